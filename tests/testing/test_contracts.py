"""``check`` finds a planted fault of every kind of thing that a plugin registers, and names it; sound ones pass."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import findna_bench as fb
from findna_bench.cards import (
    AugmentationCard,
    BackboneCard,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    ProtocolCard,
    PublishedCard,
    SuiteCard,
    TargetCard,
    TaskCard,
    hookimpl,
)
from findna_bench.errors import ModelError, UnknownNameError, UsageError
from findna_bench.matrix.executors import serial
from findna_bench.registry import Plugin, Registry, get_registry
from findna_bench.testing import Check, Report, check


def registered(kind: str, *cards: Any, name: str = "tried") -> Registry:
    """A registry with these cards beside the installed ones."""

    class Hooks:
        pass

    def hook() -> list[Any]:
        return list(cards)

    hook.__name__ = f"findna_bench_{kind}"
    setattr(Hooks, hook.__name__, staticmethod(hookimpl(hook)))
    registry = Registry.discover()
    registry.add(Hooks(), Plugin(name, __name__, name, "0"))
    return registry


def here(factory: type | Callable[..., Any]) -> str:
    return f"{__name__}:{factory.__name__}"


def failed(report: Report) -> dict[str, str]:
    return {found.name: found.words for found in report.checks if found.status == "failed"}


def the_fault(report: Report) -> tuple[str, str]:
    """The first failed check and its sentence."""
    assert not report.passed, report.text()
    found: Check = next(one for one in report.checks if one.status == "failed")
    return found.name, re.sub(r" \(test_contracts\.py, line \d+\)", "", found.words)


# ------------------------------------------------------------------------------------- models of kind features, classifier


class Shares:
    """A sound classifier."""

    varies: Any = ()

    def fit(self, train: fb.SequenceTable, validation: fb.SequenceTable, seed: int, n_classes: int) -> None:
        self.seed, self.shares = seed, train.class_counts(n_classes) / len(train)

    @property
    def settings(self) -> Any:
        return {"shares": self.shares.tolist()}

    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return np.tile(self.shares, (len(table), 1))


class LacksVaries(Shares):
    varies = None


class VariesIsOneWord(Shares):
    varies = "initialisation"


class LacksScores(Shares):
    predict_scores = None  # type: ignore[assignment]


class LacksSettings(Shares):
    settings = None  # type: ignore[assignment]


class SettingsAreArrays(Shares):
    @property
    def settings(self) -> Any:
        return {"shares": self.shares}


class TwoColumns(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return super().predict_scores(table)[:, :2]


class ScoresOfTheClass(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return np.zeros(len(table))


class Logits(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return 5.0 - 3 * super().predict_scores(table)


class Unseeded(Shares):
    def fit(self, *arguments: Any) -> None:
        super().fit(*arguments)
        self.shares = np.random.default_rng().dirichlet(np.ones(3))


class HidesItsSeed(Shares):
    def fit(self, *arguments: Any) -> None:
        super().fit(*arguments)
        self.shares = np.random.default_rng(self.seed).dirichlet(np.ones(3))


class SeesOtherRows(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        tilted = np.exp(-np.arange(3) / len(table))
        return np.tile(tilted / tilted.sum(), (len(table), 1))


class ShortIsNaN(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        scores = super().predict_scores(table)
        scores[[len(sequence) < 3 for sequence in table.sequences]] = np.nan
        return scores


class ChangesTheTable(Shares):
    def fit(self, train: fb.SequenceTable, *arguments: Any) -> None:
        super().fit(train, *arguments)
        train.sequences.sort()


class LongestIsText(Shares):
    max_length = "512"


class OldSignature(Shares):
    def fit(self, train: fb.SequenceTable, validation: fb.SequenceTable, seed: int) -> None: ...  # type: ignore[override]


CLASSIFIERS = {
    LacksVaries: (
        "loads",
        "model 'tried': LacksVaries.varies must be a tuple of what a seed changes, in words (empty: nothing), not None; see findna_bench.api.Classifier",
    ),
    VariesIsOneWord: (
        "loads",
        "model 'tried': VariesIsOneWord.varies must be a tuple of what a seed changes, in words (empty: nothing), not 'initialisation'; see findna_bench.api.Classifier",
    ),
    LacksScores: (
        "loads",
        "model 'tried': its factory made a LacksScores without a method predict_scores; see findna_bench.api.Classifier",
    ),
    OldSignature: (
        "fits",
        "model 'tried': OldSignature.fit: TypeError: OldSignature.fit() takes 4 positional arguments but 5 were given",
    ),
    LacksSettings: ("settings", "model 'tried': LacksSettings.settings must be a mapping once it is fitted, not None"),
    SettingsAreArrays: (
        "settings",
        "model 'tried': SettingsAreArrays.settings cannot be written as JSON (Object of type ndarray is not JSON serializable); use plain numbers, texts and lists",
    ),
    TwoColumns: ("shape", "predict_scores gives 2 columns for 3 classes"),
    ScoresOfTheClass: ("shape", "predict_scores of 24 rows gives shape (24,), not (n, C)"),
    Logits: ("shape", "predict_scores gives numbers that are no probabilities: between 0 and 1"),
    Unseeded: ("deterministic", "two fits with one seed give different numbers: draw from the seed alone"),
    HidesItsSeed: (
        "seed",
        "varies is empty, and another seed gives other numbers: say what a seed changes, or one fit stands for all",
    ),
    SeesOtherRows: (
        "batch",
        "tried: the answer for a row depends on the rows that are asked for with it (by 6.3e-01 where 1e-04 is allowed), so that its scores could not be computed again; `findna-bench check` tells more",
    ),
    ShortIsNaN: ("short", "the sequence A gives NaN or infinity"),
    ChangesTheTable: ("untouched", "the train table was changed in place: other models see it, too"),
    LongestIsText: ("attributes", "max_length must be a number of bases or None, not '512'"),
}


@pytest.mark.parametrize("cls", CLASSIFIERS, ids=lambda cls: cls.__name__)
def test_a_classifiers_fault_is_found(cls: type) -> None:
    registry = registered("models", ModelCard(name="tried", kind="classifier", factory=here(cls)))
    name, words = the_fault(check("tried", registry=registry))
    assert (name, words) == CLASSIFIERS[cls]


class Constant(Shares):
    """A classifier of any target that predicts what it is made for."""

    number = 0.5

    def fit(self, train: fb.SequenceTable, validation: fb.SequenceTable, seed: int, n_classes: int) -> None:
        self.shares = np.full(n_classes, self.number)


class TwoNumbers(Constant):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return np.zeros((len(table), 2))


class MoreThanOne(Constant):
    number = 1.5


@pytest.mark.parametrize(
    ("target", "cls", "words"),
    [
        ("values", TwoNumbers, "2 columns for 1 values"),
        ("labels", MoreThanOne, "no probabilities"),
        ("per_base", Constant, "not (n, W, C)"),
    ],
    ids=["values", "labels", "per_base"],
)
def test_a_fault_on_rows_of_another_target_is_found(target: str, cls: type, words: str) -> None:
    registry = registered("models", ModelCard(name="tried", kind="classifier", factory=here(cls), targets=(target,)))
    assert words in the_fault(check("tried", registry=registry))[1]
    if target != "per_base":
        sound = registered("models", ModelCard(name="t", kind="classifier", factory=here(Constant), targets=(target,)))
        assert check("t", registry=sound).passed


@pytest.mark.parametrize("name", ["variant-substitution", "class-rate", "base-context", "base-position", "pair-length"])
def test_controls_of_every_kind_of_row_keep_the_contract(name: str) -> None:
    report = check(name, "models")
    assert report.passed, report
    assert {one.status for one in report.checks} == {"passed"}


class Lengths:
    """Sound features."""

    varies = ()
    settings = {"unit": "bases"}  # noqa: RUF012

    def fit(self, train: fb.SequenceTable, validation: fb.SequenceTable, seed: int, n_classes: int) -> None: ...

    def transform(self, table: fb.SequenceTable) -> Any:
        return np.array([[len(sequence), sequence.count("A")] for sequence in table.sequences], dtype=np.float32)


class ClassesAlone(Lengths):
    def fit(self, train: fb.SequenceTable, validation: fb.SequenceTable, seed: int, n_classes: int) -> None:
        fb.fit_probe(
            self.transform(train), train.labels, [fb.SeedSplit(0, np.arange(40), np.arange(40, 60))], n_classes
        )


def test_features_that_choose_by_classes_say_so() -> None:
    card = ModelCard(name="tried", kind="features", factory=here(ClassesAlone))
    name, words = the_fault(check("tried", registry=registered("models", card)))
    assert name == "targets"
    assert "the card names no targets, so it is run on all, and on values it fails" in words
    assert "a probe of classes takes labels (n,) of whole numbers" in words
    assert check("tried", registry=registered("models", replace(card, targets=("classes",)))).passed


class WidthOfTheTable(Lengths):
    def transform(self, table: fb.SequenceTable) -> Any:
        return np.ones((len(table), max(map(len, table.sequences))), dtype=np.float32)


class Coordinates(Lengths):
    def transform(self, table: fb.SequenceTable) -> Any:
        from scipy.sparse import coo_matrix

        return coo_matrix(super().transform(table))


@pytest.mark.parametrize(
    ("cls", "fault"), [(WidthOfTheTable, ("shape", "columns for one table")), (Coordinates, ("probe", "coo_matrix"))]
)
def test_a_fault_of_features_is_found(cls: type, fault: tuple[str, str]) -> None:
    found = check("tried", registry=registered("models", ModelCard(name="tried", kind="features", factory=here(cls))))
    assert fault[1] in failed(found)[fault[0]], found.text()


@pytest.mark.parametrize(("kind", "cls"), [("classifier", Shares), ("features", Lengths)])
def test_sound_ones_pass(kind: Any, cls: type) -> None:
    report = check("tried", registry=registered("models", ModelCard(name="tried", kind=kind, factory=here(cls))))
    assert report.passed, report.text()


def test_run_refuses_in_the_words_of_check(tmp_path: Path) -> None:
    """It was an AttributeError after the fit."""
    rows = "".join(f"ACGTTGCA{'ACGT'[row % 4]},{row % 2},{'test' if row % 3 == 0 else 'train'}\n" for row in range(30))
    (tmp_path / "t.csv").write_text("sequence,label,split\n" + rows)
    site = tmp_path / "site"
    site.mkdir()
    (site / "lacking.py").write_text(
        "from findna_bench.cards import ModelCard, hookimpl\n\n"
        "@hookimpl\ndef findna_bench_models():\n"
        "    return [ModelCard(name='lacking', kind='classifier', factory='lacking:Lacking')]\n\n"
        "class Lacking:\n    varies = ()\n    def fit(self, train, validation, seed, n_classes): ...\n"
        "    def predict_scores(self, table):\n        import numpy as np\n        return np.full((len(table), 2), 0.5)\n"
    )
    info = site / "lacking-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lacking\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[findna_bench]\nlacking = lacking\n")
    program = f"import sys; sys.path.insert(0, {str(site)!r}); from findna_bench.cli import main; main()"
    words = ["run", "-m", "lacking", "-t", "./t.csv", "--seeds", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stderr
    (result,) = json.loads(done.stdout)
    assert "Lacking.settings must be a mapping once it is fitted" in result["error"]["message"]


# ------------------------------------------------------------------------------------------------------------ augmentations


class Keeps:
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x.clone()


class GlobalDraws(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x.roll(int(torch.randint(1, 9, ())), dims=1)


class InPlace(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        x[:, 0] = 0
        return x


class Shortens(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x[:, :-1]


class MixesRows(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x.flip(0)


class BeyondTheAlphabet(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x + 3


class NeedsAnOption(Keeps):
    def __init__(self, p: float) -> None: ...


class UnknownEffect(Keeps):
    effect = "edits"


class MasksElsewhere(Keeps):
    effect = "mask"

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(x.shape[:2], generator=generator) < 0.3

    def apply(self, x: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
        return torch.zeros_like(x)


AUGMENTATIONS = {
    GlobalDraws: ("randomness", "it draws from torch's global generator: draw from the one it is given"),
    InPlace: ("untouched", "(B, L) uint8 codes are changed in place: the batch is read again"),
    Shortens: ("form", "(B, L) uint8 codes of shape (6, 120) come back as (6, 119) torch.uint8, not in the same form"),
    MixesRows: ("rows", "what becomes of a row depends on the other rows of its batch"),
    BeyondTheAlphabet: ("form", "a code is 7; they are A 0, C 1, G 2, T 3, N 4, blank 5"),
    NeedsAnOption: ("loads", "option p has no default, so that no recipe can name the augmentation"),
    UnknownEffect: ("loads", "effect must be one of bases, values, mask, not 'edits'"),
    MasksElsewhere: ("masking", "apply changes positions that were not chosen"),
}


@pytest.mark.parametrize("cls", AUGMENTATIONS, ids=lambda cls: cls.__name__)
def test_an_augmentations_fault_is_found(cls: type) -> None:
    registry = registered("augmentations", AugmentationCard(name="tried", factory=here(cls)))
    name, words = the_fault(check("tried", registry=registry))
    assert (name, words) == AUGMENTATIONS[cls]


# --------------------------------------------------------------------------------------------------------------- objectives


class Copies(fb.Objective):
    """A sound objective: predict the bases from themselves; a running mean is its state."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.network = backbone
        self.register_buffer("mean", torch.zeros(()))

    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        letters = ["".join("ACGT"[code] for code in row) for row in batch.tolist()]
        logits = self.network.logits(self.network.tokenize(letters))
        loss = nn.functional.cross_entropy(logits.mT, batch.long()) + self.mean
        self.collected = loss.detach()
        return {"loss": loss}

    def validation_step(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Any]:
        with torch.no_grad():
            return self.training_step(batch, 0, generator)

    def after_step(self, step: int, total_steps: int) -> None:
        self.mean.add_(0.1 * self.collected)

    def export(self) -> Mapping[str, nn.Module]:
        return {"network": self.network}

    def settings(self) -> Mapping[str, Any]:
        return {}


class StateOutsideBuffers(Copies):
    def after_step(self, step: int, total_steps: int) -> None:
        self.mean = self.mean + 0.1 * self.collected
        self.hidden = getattr(self, "hidden", 0.0) + 1.0

    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        found = super().training_step(batch, step, generator)
        return {"loss": found["loss"] + getattr(self, "hidden", 0.0)}


class LossOfRows(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        return {"loss": super().training_step(batch, step, generator)["loss"].expand(4)}


class NoGradient(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        return {"loss": super().training_step(batch, step, generator)["loss"].detach()}


class ValidationLearns(Copies):
    def validation_step(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Any]:
        found = super().validation_step(batch, generator)
        self.after_step(0, 1)
        return found


class ForgetsToExport(Copies):
    def export(self) -> Mapping[str, nn.Module]:
        return {}


class SettingsAreTensors(Copies):
    def settings(self) -> Mapping[str, Any]:
        return {"mean": self.mean}


class ClockDraws(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        found = super().training_step(batch, step, generator)
        return {"loss": found["loss"] + float(np.random.default_rng().random())}


OBJECTIVES = {
    StateOutsideBuffers: (
        "resume",
        "taken up from its state_dict it goes on otherwise than without a stop: keep all state in buffers",
    ),
    LossOfRows: ("step", "training_step must return a mapping with `loss`, a scalar tensor"),
    NoGradient: ("step", "the loss has no gradient"),
    ValidationLearns: ("validation", "validation_step changes mean"),
    ForgetsToExport: ("export", "export must return networks by name, the one to use downstream first"),
    SettingsAreTensors: (
        "settings",
        "settings() cannot be written as JSON (Object of type Tensor is not JSON serializable)",
    ),
    ClockDraws: (
        "deterministic",
        "the same steps twice give other losses: draw from the generator given, or from torch's own",
    ),
}


@pytest.mark.parametrize("cls", OBJECTIVES, ids=lambda cls: cls.__name__)
def test_an_objectives_fault_is_found(cls: type) -> None:
    registry = registered("objectives", ObjectiveCard(name="tried", factory=here(cls)))
    name, words = the_fault(check("tried", registry=registry))
    assert (name, words) == OBJECTIVES[cls]


def test_a_sound_objective_passes() -> None:
    report = check("tried", registry=registered("objectives", ObjectiveCard(name="tried", factory=here(Copies))))
    assert report.passed, report.text()


# -------------------------------------------------------------------------------------------------------------------- tasks

_CALLS: list[int] = []


def rows(
    n: int = 40, letters: str = "ACGT", labels: Sequence[int] = (0, 1), ids: str = "row", seed: int = 0
) -> dict[str, fb.SequenceTable]:
    generator, tables = np.random.default_rng(seed), {}
    for split in ("train", "test"):
        sequences = ["".join(generator.choice(list(letters), 20)) for _ in range(n)]
        named = np.array([f"{ids}{row if ids == 'row' else ''}" for row in range(n)])
        tables[split] = fb.SequenceTable(sequences, np.resize(np.array(labels, dtype=np.int64), n), named)
    return tables


def sound_rows(config: Mapping[str, Any]) -> Any:
    return rows()


def lower_case(config: Mapping[str, Any]) -> Any:
    return rows(letters="acgt")


def third_class(config: Mapping[str, Any]) -> Any:
    return rows(labels=(0, 1, 2))


def one_class(config: Mapping[str, Any]) -> Any:
    return rows(labels=(0,))


def one_id(config: Mapping[str, Any]) -> Any:
    return rows(ids="same")


def other_rows_every_time(config: Mapping[str, Any]) -> Any:
    _CALLS.append(0)
    return rows(seed=len(_CALLS))


def no_test(config: Mapping[str, Any]) -> Any:
    return {"train": rows()["train"]}


def lists(config: Mapping[str, Any]) -> Any:
    return {"train": ["ACGT"], "test": ["ACGT"]}


TASKS = {
    lower_case: ("rows", "train row row0: a sequence is one or more of A, C, G, T, N in upper case"),
    third_class: ("labels", "train: row 2 has label 2, outside 0 to 1"),
    one_class: ("labels", "train has no row of class 'with'"),
    one_id: ("rows", "train: ids repeat"),
    other_rows_every_time: (
        "deterministic",
        "its factory makes other rows when it is called again: draw from a fixed seed",
    ),
    no_test: ("loads", "there is no split test"),
    lists: ("loads", "split train is a list, not a findna_bench.api.SequenceTable"),
}


def task(factory: Callable[..., Any], **changes: Any) -> TaskCard:
    return TaskCard(name="tried", suite="tried", labels=("without", "with"), factory=here(factory), **changes)


@pytest.mark.parametrize("factory", TASKS, ids=lambda factory: factory.__name__)
def test_a_tasks_fault_is_found(factory: Callable[..., Any]) -> None:
    name, words = the_fault(check("tried/tried", registry=registered("tasks", task(factory))))
    assert (name, words) == TASKS[factory]


def test_a_card_that_counts_other_rows_is_found_and_a_sound_one_passes() -> None:
    wrong = task(sound_rows, counts={"train": {"without": 1, "with": 2}})
    assert the_fault(check("tried/tried", registry=registered("tasks", wrong)))[0] == "counts"
    report = check("tried/tried", registry=registered("tasks", task(sound_rows)))
    assert report.passed, report.text()


# --------------------------------------------------------------------------------------------- names that cards give

SMALL = {"channels": 8, "track_size": 2, "hidden": 8, "layers": 1, "blocks_per_layer": 3}
MISSPELT = {
    "backbone": ModelCard(name="tried", kind="encoder", backbone="chordmixr"),
    "pretraining_preset": ModelCard(
        name="tried", kind="encoder", backbone="chordmixer", config=SMALL, pretraining_preset="findna-tinny"
    ),
    "protocols": ModelCard(name="tried", kind="features", factory=here(Shares), protocols=("prob",)),
    "targets": ModelCard(name="tried", kind="features", factory=here(Shares), targets=("clases",)),
    "metric": TaskCard(name="tried", suite="tried", labels=("a", "b"), metric="acuracy", factory=here(Shares)),
    "target": TaskCard(name="tried", suite="tried", labels=("a", "b"), target="clases", factory=here(Shares)),
    "tasks": SuiteCard(name="tried", tasks=("demo/specis4",)),
    "extra_tasks": SuiteCard(name="tried", tasks=("demo/species4",), extra_tasks=("demo/specis4",)),
    "protocol": SuiteCard(name="tried", tasks=("demo/species4",), protocol="prob"),
    "settings": PresetCard(name="tried", protocol="pretrain", settings={"objective": "masked_nucleotid"}),
}
KIND_OF = {ModelCard: "models", TaskCard: "tasks", SuiteCard: "suites", PresetCard: "presets", MetricCard: "metrics"}


@pytest.mark.parametrize("field", MISSPELT)
def test_a_name_that_a_card_misspells_is_found_in_its_field(field: str) -> None:
    card = MISSPELT[field]
    registry = registered(KIND_OF[type(card)], card)
    name = "tried@random" if getattr(card, "kind", "") == "encoder" else "tried"
    words = failed(check(name, KIND_OF[type(card)], registry=registry, offline=True))["names"]
    assert words.startswith(f"{field}: "), words
    assert "did you mean" in words or "there are" in words


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (TaskCard(name="t", suite="s", labels=("a", "b"), metric="r2", factory=here(Shares)), "not classes"),
        (TaskCard(name="t", suite="s", labels=("a", "b"), metric="recall:c", factory=here(Shares)), "no class 'c'"),
        (TaskCard(name="t", suite="s", labels=("a", "b"), metric="recall", factory=here(Shares)), "recall:CLASS"),
        (PresetCard(name="t", protocol="prob"), "unknown protocol 'prob'"),
        (MetricCard(name="t", factory=here(Shares), targets=("value",)), "unknown target 'value'"),
    ],
)
def test_a_name_of_something_that_will_not_do_is_found(card: Any, words: str) -> None:
    registry = registered(KIND_OF[type(card)], card)
    assert words in failed(check("tried:t", KIND_OF[type(card)], registry=registry, offline=True))["names"]


# ------------------------------------------------------------------------------------------- suites, presets, published


def test_faults_of_suites_presets_and_published_figures_are_found(tmp_path: Path) -> None:
    suite = registered("suites", SuiteCard(name="tried", tasks=("demo/species4", "tried/absent")))
    assert "tasks: unknown task 'tried/absent'" in failed(check("tried", registry=suite))["names"]
    setting = registered("presets", PresetCard(name="tried", protocol="finetune", settings={"learning_rate": 1e-3}))
    assert "no setting 'learning_rate'" in failed(check("tried", registry=setting))["settings"]
    named = registered(
        "presets", PresetCard(name="tried", protocol="finetune", settings={}, tasks={"tried/absent": {"lr": 1e-3}})
    )
    assert "tried/absent" in failed(check("tried", registry=named))["tasks"]
    recipe = {"objective": "self_distillation", "objective_options": {"recipe": "mask,dletion+noise"}}
    view = registered("presets", PresetCard(name="tried", protocol="pretrain", settings=recipe))
    assert "did you mean deletion" in failed(check("tried", registry=view))["settings"]
    figures = registered("published", PublishedCard(name="tried", path="findna_plugins:published/absent.toml"))
    assert "cannot read" in failed(check("tried", registry=figures))["figures"]


# ------------------------------------------------------------------------------------------------------------------ metrics


class Hits(fb.Metric):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return float(np.average(outputs.argmax(axis=1) == truth, weights=weights))


class IgnoresWeights(Hits):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return super().compute(truth, outputs, np.ones(len(truth)))


class CountsHits(Hits):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return super().compute(truth, outputs, weights) * len(truth)


class Misses(Hits):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return 1 - super().compute(truth, outputs, weights)


class FirstRows(Hits):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        place = np.arange(len(truth)) / len(truth)
        return float(np.average(place, weights=weights * (outputs.argmax(axis=1) == truth)))


METRICS = {
    IgnoresWeights: (
        "weights",
        "a weight of two is not the same as the row twice, so that intervals would be wrong: use `weights`",
    ),
    CountsHits: ("value", "it gives 89, outside its bounds 0 to 1"),
    Misses: ("direction", "perfect outputs score worse than others: set higher_is_better on the card"),
    FirstRows: (
        "weights",
        "a weight of two is not the same as the row twice, so that intervals would be wrong: use `weights`",
    ),
}


@pytest.mark.parametrize("cls", METRICS, ids=lambda cls: cls.__name__)
def test_a_metrics_fault_is_found(cls: type) -> None:
    registry = registered("metrics", MetricCard(name="tried", factory=here(cls)))
    name, words = the_fault(check("tried", registry=registry))
    assert (name, words) == METRICS[cls]


def test_a_sound_metric_passes() -> None:
    report = check("tried", registry=registered("metrics", MetricCard(name="tried", factory=here(Hits))))
    assert report.passed, report.text()


# ---------------------------------------------------------------------------------------------------------------- protocols


@dataclass(frozen=True, kw_only=True)
class PriorSettings(fb.Preset):
    method = "prior"


@dataclass(frozen=True, kw_only=True)
class PriorHead(fb.FittedHead):
    shares: Any

    def predict_scores(self, features: Any) -> Any:
        return np.tile(self.shares, (features.shape[0], 1))


class Prior(fb.HeadProtocol):
    """A sound protocol: class shares of the train rows."""

    settings = (PriorSettings,)
    presets: ClassVar[Mapping[str, fb.Preset]] = {"default": PriorSettings()}

    def fit_heads(
        self, features: Any, labels: Any, splits: Sequence[fb.SeedSplit], n_classes: int, preset: Any, device: str
    ) -> Any:
        return [self.head(split, features, labels, n_classes) for split in splits]

    def head(self, split: fb.SeedSplit, features: Any, labels: Any, n_classes: int) -> Any:
        shares = np.bincount(labels[split.train], minlength=n_classes) / len(split.train)
        return PriorHead(seed=split.seed, settings={}, shares=shares)


class PriorOfOne(Prior):
    def fit_heads(self, *arguments: Any) -> Any:
        return super().fit_heads(*arguments)[:1]


class PriorOfAll(Prior):
    def head(self, split: fb.SeedSplit, features: Any, labels: Any, n_classes: int) -> Any:
        mean = float(features.mean())
        tilted = np.exp(mean * np.arange(n_classes))
        return PriorHead(seed=split.seed, settings={}, shares=tilted / tilted.sum())


class PriorAsLogits(Prior):
    def head(self, *arguments: Any) -> Any:
        head = super().head(*arguments)
        return replace(head, shares=np.log(head.shares))


class PriorWithArrays(Prior):
    def head(self, *arguments: Any) -> Any:
        head = super().head(*arguments)
        return replace(head, settings={"shares": head.shares})


class PriorUnseeded(Prior):
    def head(self, *arguments: Any) -> Any:
        return replace(super().head(*arguments), shares=np.random.default_rng().dirichlet(np.ones(3)))


class PriorWithoutDefault(Prior):
    presets: ClassVar[Mapping[str, fb.Preset]] = {"prior": PriorSettings()}


PROTOCOLS = {
    PriorOfOne: ("fits", "fit_heads must give one head for each split, in their order, not 1 for 2"),
    PriorOfAll: ("rows", "rows that are in no split change its heads: use `split.train` and `split.validation` alone"),
    PriorAsLogits: (
        "scores",
        "scores must be class probabilities: finite, between 0 and 1, adding up to 1 in every row",
    ),
    PriorWithArrays: (
        "settings",
        "settings of a head cannot be written as JSON (Object of type ndarray is not JSON serializable)",
    ),
    PriorUnseeded: ("deterministic", "the same splits fitted twice give other scores: draw from the seed alone"),
    PriorWithoutDefault: ("presets", "presets must hold one called default"),
}


@pytest.mark.parametrize("cls", PROTOCOLS, ids=lambda cls: cls.__name__)
def test_a_protocols_fault_is_found(cls: type) -> None:
    name, words = the_fault(
        check("tried", registry=registered("protocols", ProtocolCard(name="tried", factory=here(cls))))
    )
    assert (name, words) == PROTOCOLS[cls]


def test_a_sound_protocol_passes() -> None:
    report = check("tried", registry=registered("protocols", ProtocolCard(name="tried", factory=here(Prior))))
    assert report.passed, report.text()


# ---------------------------------------------------------------------------------------------------------------- executors


def forgets(jobs: Sequence[fb.Job], report: fb.Report) -> Iterator[Any]:
    yield from list(serial(jobs, report))[:-1]


def yields_paths(jobs: Sequence[fb.Job], report: fb.Report) -> Iterator[Any]:
    for settled in serial(jobs, report):
        yield settled.results[0]


def computes_nothing(jobs: Sequence[fb.Job], report: fb.Report) -> Iterator[Any]:
    for job in jobs:
        yield from fb.fail_job(job, "no time")


EXECUTORS = {
    forgets: ("settles", "it settles 3 of 4 units; yield one Settled for each"),
    yields_paths: ("settles", "it yields a str, not findna_bench.api.Settled"),
    computes_nothing: ("results", "4 results are no success: MODEL on TASK: no time"),
}


@pytest.mark.parametrize("factory", EXECUTORS, ids=lambda factory: factory.__name__)
def test_an_executors_fault_is_found(factory: Callable[..., Any]) -> None:
    registry = registered("executors", ExecutorCard(name="tried", factory=here(factory)))
    name, words = the_fault(check("tried", registry=registry))
    assert (name, re.sub(r"embeddings:\w+\.npy on adhoc/\w+", "MODEL on TASK", words)) == EXECUTORS[factory]


@pytest.mark.parametrize("name", ["serial", "process"])  # those of clusters: tests/executors
def test_the_harness_own_executors_pass(name: str) -> None:
    report = check(name, "executors")
    assert report.passed, report.text()


# ----------------------------------------------------------------------------------------------------------------- backbones


def test_a_backbone_is_checked_by_itself() -> None:
    registry = registered(
        "backbones", BackboneCard(name="tried", factory="findna_bench.testing.objective_checks:OneTokenPerBase")
    )
    report = check("tried", registry=registry)
    assert (report.kind, report.passed) == ("backbone", True), report.text()
    absent = registered("backbones", BackboneCard(name="tried", factory="findna_bench.testing:Nothing"))
    assert "cannot be loaded" in failed(check("tried", registry=absent))["loads"]


# -------------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("kind", ["augmentations", "objectives", "metrics", "protocols", "suites", "published"])
def test_what_the_harness_itself_registers_passes(kind: str) -> None:
    for entry in get_registry().entries(kind):
        report = check(entry.card.name, kind)
        assert report.passed, report.text()


class WithoutLoss(fb.api.Target):
    default_metric = "accuracy"
    can_be_trained = True

    def check(self, table: Any, labels: Any, where: str) -> None: ...

    def learned(self, truth: Any, outputs: Any, train_truth: Any) -> dict[str, Any]:
        return {}


def test_a_targets_faults_are_found() -> None:
    registry = registered("targets", TargetCard(name="tried", factory=here(WithoutLoss)))
    found = {one.name: one for one in check("tried", "targets", registry=registry).checks}
    assert "name tried in its card" in found["metric"].words
    assert found["loss"].words == "can_be_trained is True, and there is no loss"
    assert check("classes", "targets").passed


def test_every_kind_of_hook_can_be_checked() -> None:
    from findna_bench.registry import CARD_TYPES
    from findna_bench.testing.checking import KINDS

    assert set(KINDS) == set(CARD_TYPES)


def test_a_name_of_several_kinds_is_checked_as_the_one_that_is_meant() -> None:
    assert check("findna-tiny", "presets").kind == "preset"
    with pytest.raises(UnknownNameError, match="did you mean reverse-complement"):
        check("reverse-complemnt", "augmentations")
    with pytest.raises(UsageError, match="there are models, tasks"):
        check("kmer", "model")
    with pytest.raises(UsageError, match="which has none"):
        check("noise", weights="model.pt")
    with pytest.raises(UnknownNameError, match=r"did you mean task demo/species4.*KIND being one of models, tasks, "):
        check("specie4")


def test_all_that_a_distribution_brings_is_checked_and_what_is_broken_is_named() -> None:
    class Hooks:
        @staticmethod
        @hookimpl
        def findna_bench_models() -> list[Any]:
            return [ModelCard(name=cls.__name__, kind="classifier", factory=here(cls)) for cls in (Shares, Logits)]

        @staticmethod
        @hookimpl
        def findna_bench_suites() -> list[Any]:
            return [SuiteCard(name="tried", tasks=("tried/absent",))]

        @staticmethod
        @hookimpl
        def findna_bench_tasks() -> list[Any]:
            raise KeyError("rows")

    registry, said = Registry.discover(), list[str]()
    registry.add(Hooks(), Plugin("cards", __name__, "tried-dna", "0"))
    report = check("Tried_DNA", registry=registry, progress=said.append)
    assert (report.kind, report.name) == ("distribution", "tried-dna")
    found = {one.name: (one.status, one.words) for one in report.checks}
    assert {name: status for name, (status, _) in found.items()} == {
        "plugin cards": "failed",
        "model Shares": "passed",
        "model Logits": "failed",
        "suite tried": "failed",
    }
    assert re.search(
        r"findna_bench_tasks failed: KeyError: 'rows' \(.*test_contracts.py, line \d+\)", found["plugin cards"][1]
    )
    assert "no probabilities" in found["model Logits"][1]
    assert "unknown task 'tried/absent'" in found["suite tried"][1]
    assert said == ["1 of 3: suite tried", "2 of 3: model Shares", "3 of 3: model Logits"] or len(said) == 3


def test_an_executor_that_cannot_be_imported_is_a_failed_check() -> None:
    registry = registered("executors", ExecutorCard(name="tried", factory="nowhere:run"))
    assert isinstance(check("tried", registry=registry), Report)
    assert "cannot be loaded" in failed(check("tried", registry=registry))["loads"]
    assert issubclass(ModelError, Exception)


def test_a_task_that_is_scored_without_training_needs_no_train_rows() -> None:
    report = check("copy-recall/inverted", "tasks")
    assert report.passed, report.text()
