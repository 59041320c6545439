"""What `check` says of sound things, line by line, and of faults that no other test plants, word for word."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from test_conformance import Sound, load
from test_contracts import (
    Constant,
    Copies,
    Hits,
    Keeps,
    Lengths,
    Prior,
    PriorHead,
    PriorSettings,
    Shares,
    here,
    registered,
    rows,
    sound_rows,
    task,
    the_fault,
)
from torch import Tensor, nn

import findna_bench as fb
from findna_bench.cards import (
    AugmentationCard,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    ProtocolCard,
    TargetCard,
    TaskCard,
)
from findna_bench.matrix.executors import serial
from findna_bench.models.backbone import Encoding, TokenBatch
from findna_bench.protocols.settings import KNearest
from findna_bench.testing import Check, Report, check, check_model
from findna_bench.testing.check_report import Checklist


def said(report: Report) -> list[tuple[str, str, str]]:
    return [(one.name, one.status, one.words) for one in report.checks]


def passed(**words: str) -> list[tuple[str, str, str]]:
    return [(name, "passed", sentence) for name, sentence in words.items()]


def of_fits(
    target: str,
    outputs: int,
    shape: str,
    settings: str,
    *,
    kind: str = "classifier",
    attributes: str = "thread_invariant False, max_length None",
    names: str = "",
    other: str = "same numbers; varies: nothing",
) -> list[tuple[str, str, str]]:
    return [
        *(passed(names=f"what its card names is registered: {names}") if names else []),
        *passed(
            loads=f"a model of kind {kind} is made, and has what is read before it is fitted",
            fits=f"it is fitted to 60 made-up rows ({target}: {outputs})",
            shape=shape,
            settings=f"settings are JSON: {settings}",
            deterministic="two fits with one seed give the same numbers",
            seed=f"another seed gives the {other}" if other.startswith("same") else f"another seed gives {other}",
            short="lengths 1 to 7 and a row of N give finite numbers",
            batch="a row has the same answer alone, among others, and again",
            untouched="tables are left as they were",
            attributes=attributes,
        ),
    ]


# ------------------------------------------------------------------------------------------- models of features, classifiers


class Drawn(Shares):
    """A seed changes it, and it says so."""

    varies = ("shares", "order")
    thread_invariant = True
    max_length = 1

    def fit(self, *arguments: Any) -> None:
        super().fit(*arguments)
        self.shares = np.random.default_rng(self.seed).dirichlet(np.ones(3))

    @property
    def settings(self) -> Any:
        return {}


@pytest.mark.parametrize(
    ("cls", "targets", "expected"),
    [
        (Shares, None, of_fits("classes", 3, "every row has 3 probabilities", "shares")),
        (
            Drawn,
            None,
            of_fits(
                "classes",
                3,
                "every row has 3 probabilities",
                "none",
                attributes="thread_invariant True, max_length 1",
                other="other numbers; varies: shares, order",
            ),
        ),
        (Constant, ("values",), of_fits("values", 1, "every row has a finite number", "shares", names="target values")),
        (Constant, ("labels",), of_fits("labels", 3, "every row has 3 probabilities", "shares", names="target labels")),
    ],
    ids=["classes", "drawn", "values", "labels"],
)
def test_a_sound_classifier(cls: type, targets: Any, expected: Any) -> None:
    card = ModelCard(name="tried", kind="classifier", factory=here(cls), targets=targets)
    if cls is Drawn:
        card = replace(card, factory=f"{__name__}:Drawn")
    report = check("tried", registry=registered("models", card))
    assert said(report) == expected
    assert report.summary() == f"{len(expected)} passed"


def test_controls_of_bases_pairs_and_variants() -> None:
    invariant = "thread_invariant True, max_length None"
    bases = "every base has 3 probabilities"
    for name, expected in {
        "base-context": of_fits(
            "per_base", 3, bases, "bases, validation", attributes=invariant, names="target per_base"
        ),
        "pair-length": of_fits(
            "classes",
            3,
            "every row has 3 probabilities",
            "by, rounds, max_rounds",
            attributes=invariant,
            names="target classes, target values, target labels",
        ),
        "variant-substitution": of_fits(
            "classes",
            3,
            "every row has 3 probabilities",
            "by, kinds, prior_rows",
            attributes=invariant,
            names="target classes, target values",
        ),
    }.items():
        assert said(check(name, "models")) == expected


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (None, "fitted to values and labels as well"),
        (("classes", "labels"), "fitted to labels as well"),
        (("classes",), "the card names classes alone"),
        (("values",), "the card names values alone"),
    ],
)
def test_sound_features(targets: Any, words: str) -> None:
    card = ModelCard(name="tried", kind="features", factory=here(Lengths), targets=targets)
    found = said(check("tried", registry=registered("models", card)))
    target, outputs = ("values", 1) if targets == ("values",) else ("classes", 3)
    names = ", ".join(f"target {one}" for one in targets or ())
    probe = "a probe reads them (accuracy 0.83 on three classes told apart by their bases)"
    assert found == [
        *of_fits(target, outputs, "every row has 2 finite numbers", "unit", kind="features", names=names),
        *passed(probe=probe, targets=words),
    ]


class SeesRows:
    """Keeps what it was shown."""

    varies = ()
    settings: Mapping[str, Any] = {}
    shown: list[tuple[Any, ...]] = []  # noqa: RUF012

    def fit(self, *arguments: Any) -> None:
        self.shown.append(arguments)

    def predict_scores(self, table: fb.SequenceTable) -> Any:
        wide = (*table.labels.shape, 3) if table.labels.dtype == np.uint8 else (len(table), 3)
        return np.full(wide, 1 / 3)


@pytest.mark.parametrize("target", ["classes", "values", "labels", "per_base"])
@pytest.mark.parametrize("kind", ["sequence", "pair", "variant"])
def test_made_up_rows_are_of_the_kind_that_the_model_reads(target: str, kind: str) -> None:
    card = ModelCard(name="tried", kind="classifier", factory=f"{__name__}:SeesRows", targets=(target,), inputs=(kind,))
    SeesRows.shown.clear()
    check("tried", registry=registered("models", card))
    train, validation, seed, n_outputs = SeesRows.shown[0]
    assert (len(train), len(validation), seed) == (60, 24, 0)
    assert n_outputs == (1 if target == "values" else 3)
    classes = np.arange(60) % 3
    assert all(40 <= length < 80 for length in train.lengths.tolist()) or kind == "pair"
    composition = [sum(base in "CG" for base in sequence) / len(sequence) for sequence in train.sequences]
    means = [np.mean([share for share, y in zip(composition, classes, strict=True) if y == c]) for c in range(3)]
    assert means == pytest.approx([0.2, 0.8, 0.5], abs=0.05)
    if target == "per_base":
        longest = train.labels.shape[1]
        assert longest == max(map(len, train.sequences)) or kind == "pair"
        for row, sequence in enumerate(train.sequences):
            assert set(train.labels[row, : len(sequence)]) == {classes[row]}
            assert set(train.labels[row, len(sequence) :]) <= {255}
    else:
        expected = {
            "classes": classes,
            "values": classes[:, None].astype(float),
            "labels": np.eye(3, dtype=np.int8)[classes],
        }[target]
        np.testing.assert_array_equal(train.labels, expected)
    if kind == "pair":
        assert train.sequences_b == train.sequences[::-1]
        np.testing.assert_array_equal(train.extra["distance"], 100.0 * np.arange(60))
    else:
        assert train.sequences_b is None
    if kind == "variant":
        places = [len(sequence) // 2 for sequence in train.sequences]
        assert train.extra["offset"].tolist() == places
        ref = [sequence[place] for sequence, place in zip(train.sequences, places, strict=True)]
        assert train.extra["ref"].tolist() == ref
        assert train.extra["alt"].tolist() == [{"A": "C", "C": "G", "G": "T", "T": "A"}[base] for base in ref]
        assert train.contig.tolist() == [f"chr{row % 4 + 1}" for row in range(60)]
        np.testing.assert_array_equal(train.extra["tss_distance"], 100.0 * np.arange(60))
    assert train.ids.tolist() == [f"row-{row}" for row in range(60)]


class NegativeNumbers(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return np.tile([1.5, -0.5, 0.0], (len(table), 1))


class MoreThanCertain(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return np.tile([1.01, 0.0, 0.0], (len(table), 1))


class AddsUpToMore(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return np.tile([0.5, 0.5, 0.01], (len(table), 1))


class InvariantIsOne(Shares):
    thread_invariant = 1


class LongestIsZero(Shares):
    max_length = 0


class LongestIsTrue(Shares):
    max_length = True


class ChangesLabels(Shares):
    def fit(self, train: fb.SequenceTable, validation: fb.SequenceTable, seed: int, n_classes: int) -> None:
        super().fit(train, validation, seed, n_classes)
        validation.labels[:] = 0


class NaNEverywhere(Shares):
    def predict_scores(self, table: fb.SequenceTable) -> Any:
        return np.full((len(table), 3), np.nan)


PROBABILITIES = "predict_scores gives numbers that are no probabilities: between 0 and 1"
CLASSIFIERS = {
    NegativeNumbers: ("shape", PROBABILITIES),
    MoreThanCertain: ("shape", PROBABILITIES),
    AddsUpToMore: ("shape", f"{PROBABILITIES}, adding up to 1 in every row"),
    NaNEverywhere: ("shape", "predict_scores gives NaN or infinity"),
    InvariantIsOne: ("attributes", "thread_invariant must be True or False, not 1"),
    LongestIsZero: ("attributes", "max_length must be a number of bases or None, not 0"),
    LongestIsTrue: ("attributes", "max_length must be a number of bases or None, not True"),
    ChangesLabels: ("untouched", "the validation table was changed in place: other models see it, too"),
}


@pytest.mark.parametrize("cls", CLASSIFIERS, ids=lambda cls: cls.__name__)
def test_a_classifiers_fault(cls: type) -> None:
    card = ModelCard(name="tried", kind="classifier", factory=f"{__name__}:{cls.__name__}")
    assert the_fault(check("tried", registry=registered("models", card))) == CLASSIFIERS[cls]


class WidthOfTheTable(Lengths):
    def transform(self, table: fb.SequenceTable) -> Any:
        return np.ones((len(table), max(map(len, table.sequences))), dtype=np.float32)


class AddsARow(Lengths):
    def transform(self, table: fb.SequenceTable) -> Any:
        return np.ones((len(table) + 1, 2), dtype=np.float32)


class Infinite(Lengths):
    def transform(self, table: fb.SequenceTable) -> Any:
        return np.full((len(table), 2), np.inf, dtype=np.float32)


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (WidthOfTheTable, "transform gives 76 columns for one table and 9 for another"),
        (AddsARow, "transform of 24 rows gives shape (25, 2), not (n, D)"),
        (Infinite, "transform gives NaN or infinity"),
    ],
)
def test_a_fault_of_features(cls: type, words: str) -> None:
    card = ModelCard(name="tried", kind="features", factory=f"{__name__}:{cls.__name__}")
    assert the_fault(check("tried", registry=registered("models", card))) == ("shape", words)


# ------------------------------------------------------------------------------------------------------------ augmentations


class Masks(Keeps):
    effect = "mask"

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(x.shape[:2], generator=generator) < 0.3

    def apply(self, x: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
        return torch.where(chosen.reshape(*chosen.shape, *[1] * (x.dim() - 2)), torch.zeros_like(x), x)


class DrawsNumbers(Masks):
    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return super().draw(x, generator).long()


class DrawsRows(Masks):
    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return super().draw(x, generator)[:, 0]


class Retypes(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x.double()


class ReturnsNothing(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Any:
        return None


class RowsAreNaN(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x / 0 if x.is_floating_point() else x.clone()


class BlanksBases(Keeps):
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.full_like(x, 5) if x.dtype == torch.uint8 else torch.zeros_like(x)


BOTH = "(B, L) uint8 codes and (B, L, 5) float rows"
SOUND_WORDS = {
    "untouched": "the batch it is given is left as it was",
    "rows": "what becomes of a row depends on no other row",
}
DRAWS = "all it draws comes from the generator it is given"


def test_sound_augmentations() -> None:
    for name, effect, forms in (
        ("noise", "values", "(B, L, 5) float rows"),
        ("reverse-complement", "bases", BOTH),
    ):
        assert said(check(name, "augmentations")) == passed(
            loads=f"it is made without options and changes {effect}",
            form=f"{forms} come back in the same form",
            randomness=DRAWS,
            **SOUND_WORDS,
        )
    for cls in (Keeps, BlanksBases):
        card = AugmentationCard(name="tried", factory=here(Keeps) if cls is Keeps else f"{__name__}:BlanksBases")
        assert said(check("tried", registry=registered("augmentations", card))) == passed(
            loads="it is made without options and changes bases",
            form=f"{BOTH} come back in the same form",
            randomness=f"{DRAWS} (two seeds changed nothing alike here: it may draw nothing)",
            **SOUND_WORDS,
        )
    card = AugmentationCard(name="tried", factory=f"{__name__}:Masks")
    drawn = (torch.rand((6, 120), generator=torch.Generator().manual_seed(3)) < 0.3).float().mean()
    found = said(check("tried", registry=registered("augmentations", card)))
    assert found[0][2] == "it is made without options and changes mask"
    assert found[-1] == (
        "masking",
        "passed",
        f"draw chooses {float(drawn):.0%} of the positions, apply changes no other",
    )


@pytest.mark.parametrize(
    ("cls", "fault"),
    [
        (DrawsNumbers, ("masking", "draw gives (6, 120) torch.int64, not (B, L) bool")),
        (DrawsRows, ("masking", "draw gives (6,) torch.bool, not (B, L) bool")),
        (
            Retypes,
            (
                "form",
                "(B, L) uint8 codes of shape (6, 120) come back as (6, 120) torch.float64, not in the same form",
            ),
        ),
        (
            ReturnsNothing,
            ("form", "(B, L) uint8 codes of shape (6, 120) come back as NoneType, not in the same form"),
        ),
        (RowsAreNaN, ("form", "(B, L, 5) float rows come back with NaN or infinity")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_augmentations_fault(cls: type, fault: tuple[str, str]) -> None:
    card = AugmentationCard(name="tried", factory=f"{__name__}:{cls.__name__}")
    assert the_fault(check("tried", registry=registered("augmentations", card))) == fault


# --------------------------------------------------------------------------------------------------------------- objectives


class LossIsAList(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Any:
        return [super().training_step(batch, step, generator)["loss"]]


class LossIsNaN(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        return {"loss": super().training_step(batch, step, generator)["loss"] * float("nan")}


class LogsWords(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        return super().training_step(batch, step, generator) | {"phase": "warm"}  # type: ignore[operator]


class LogsRows(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        return super().training_step(batch, step, generator) | {"of_rows": torch.zeros(2)}  # type: ignore[operator]


class EatsItsBatch(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        found = super().training_step(batch, step, generator)
        batch[0, 0] = (batch[0, 0] + 1) % 4
        return found


class LearnsNothing(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        return {"loss": super().training_step(batch, step, generator)["loss"] * 0.0}


class GradientIsInfinite(Copies):
    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Any]:
        self.collected = torch.zeros(())
        return {"loss": torch.sqrt((self.network.head.bias - self.network.head.bias.detach()).abs()).sum()}


class ValidatesNothing(Copies):
    def validation_step(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Any]:
        return {"accuracy": torch.zeros(())}


class ExportsALayer(Copies):
    def export(self) -> Mapping[str, nn.Module]:
        return {"network": self.network, "layer": self.network.head}


class ExportsAName(Copies):
    def export(self) -> Any:
        return {"network": "network"}


class NothingToTrain(Copies):
    def __init__(self, backbone: Any) -> None:
        super().__init__(backbone.requires_grad_(False))


class NoObjective:
    def __init__(self, backbone: Any) -> None: ...


OBJECTIVES = {
    NoObjective: ("loads", "its factory made a NoObjective, which is no findna_bench.api.Objective"),
    NothingToTrain: ("loads", "trainable_parameters is empty: there is nothing to train"),
    LossIsAList: ("step", "training_step must return a mapping with `loss`, a scalar tensor"),
    LossIsNaN: ("step", "the loss is nan"),
    LogsWords: ("step", "training_step returns 'phase', which is no scalar tensor and cannot be logged"),
    LogsRows: ("step", "training_step returns 'of_rows', which is no scalar tensor and cannot be logged"),
    EatsItsBatch: ("step", "training_step changes its batch in place"),
    LearnsNothing: ("step", "no gradient reaches the trainable parameters"),
    GradientIsInfinite: ("step", "a gradient holds NaN or infinity"),
    ValidatesNothing: ("validation", "validation_step returns no `loss`"),
    ExportsALayer: ("export", "export gives 'layer', which is no backbone and cannot be saved as a model"),
    ExportsAName: ("export", "export must return networks by name, the one to use downstream first"),
}


@pytest.mark.parametrize("cls", OBJECTIVES, ids=lambda cls: cls.__name__)
def test_an_objectives_fault(cls: type) -> None:
    card = ObjectiveCard(name="tried", factory=f"{__name__}:{cls.__name__}")
    assert the_fault(check("tried", registry=registered("objectives", card))) == OBJECTIVES[cls]


def test_a_sound_objective() -> None:
    found = said(check("tried", registry=registered("objectives", ObjectiveCard(name="tried", factory=here(Copies)))))
    # embedding 5 x 8 + 8, convolution 8 x 8 x 5 + 8, head 8 x 5 + 5
    assert found[0] == ("loads", "passed", "built around a small network, with 421 trainable parameters")
    assert found[2:] == passed(
        deterministic="3 steps twice give the same losses",
        validation="a validation step gives a loss and changes no state",
        resume="stopped after a step and taken up from its state_dict, it goes on the same",
        export="it exports network",
        settings="settings are JSON: none",
    )
    words = found[1][2]
    assert words.startswith("a training step gives a finite loss (1.6")
    assert words.endswith(") whose gradients reach the parameters")


# -------------------------------------------------------------------------------------------------------------------- tasks


def list_of_tables(config: Mapping[str, Any]) -> Any:
    return list(rows().values())


def no_letters(config: Mapping[str, Any]) -> Any:
    tables = rows()
    tables["test"].sequences[3] = ""
    return tables


def shared_rows(config: Mapping[str, Any]) -> Any:
    tables = rows()
    tables["test"].sequences[:3] = tables["train"].sequences[5:8]
    return tables


def test_tasks() -> None:
    expected = passed(
        names="what its card names is registered: target classes, metric accuracy",
        loads="train 40 rows, test 40 rows",
        rows="sequences are upper-case DNA, ids are unique in their split",
        labels="labels are those of the card (without, with), train has all of them",
        opens="a run opens it as generated",
    )
    made = ("deterministic", "passed", "its factory makes the same rows again")
    none = ("overlap", "measured", "0 of 40 test rows stand in train letter by letter; `audit` tells more")
    plain = check("tried/tried", registry=registered("tasks", task(sound_rows)))
    assert said(plain) == [*expected, ("counts", "skipped", "the card names no counts"), made, none]
    assert plain.summary() == "6 passed, 1 measured, 1 skipped"
    counted = task(sound_rows, counts={"train": {"without": 20, "with": 20}})
    counts = ("counts", "passed", "as many rows per class as the card says")
    assert said(check("tried/tried", registry=registered("tasks", counted))) == [*expected, counts, made, none]
    wrong = task(sound_rows, counts={"train": {"without": 1, "with": 2}})
    assert the_fault(check("tried/tried", registry=registered("tasks", wrong))) == (
        "counts",
        "the card counts {'without': 1, 'with': 2} rows of train, there are {'without': 20, 'with': 20}",
    )

    def made_by(factory: Callable[..., Any]) -> TaskCard:
        return replace(task(sound_rows), factory=f"{__name__}:{factory.__name__}")

    report = check("tried/tried", registry=registered("tasks", made_by(shared_rows)))
    assert said(report)[-1][2] == "3 of 40 test rows stand in train letter by letter; `audit` tells more"
    report = check("tried/tried", registry=registered("tasks", made_by(list_of_tables)))
    assert the_fault(report) == ("loads", "its factory makes a list, not tables by split")
    report = check("tried/tried", registry=registered("tasks", made_by(no_letters)))
    assert the_fault(report) == (
        "rows",
        "test row row3: a sequence is one or more of A, C, G, T, N in upper case",
    )


@pytest.mark.parametrize("value", [0, 1, 0.5, -0.01, 1.01, "high"])
def test_what_can_be_attained_is_a_share(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.attained", lambda config: value)
    card = task(sound_rows, attainable=f"{__name__}:attained")
    name, status, words = said(check("tried/tried", registry=registered("tasks", card)))[-1]
    if value in (0, 1, 0.5):
        assert (name, status, words) == (
            "attainable",
            "passed",
            f"the highest attainable accuracy is {value:.3f}",
        )
    else:
        assert (name, status, words) == ("attainable", "failed", f"attainable gives {value!r}, not a value of accuracy")


def attained(config: Mapping[str, Any]) -> Any:
    raise AssertionError("the test gives another one")


# ------------------------------------------------------------------------------------------------------------------ metrics


class Scale(fb.Metric):
    """Sound, of any scale: mean score of the true class, which certainty makes largest."""

    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return float(np.average(outputs[np.arange(len(truth)), truth], weights=weights))


class GrowsWithWeights(Scale):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return float(min(1.0, super().compute(truth, outputs, weights) * weights.sum() / 1000))


class Undefined(Scale):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        return float("nan") if outputs.shape[1] > 2 else super().compute(truth, outputs, weights)


class InPlace(Scale):
    def compute(self, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
        found = super().compute(truth, outputs, weights)
        outputs[0] = outputs[0][::-1]
        return found


class Upside(Scale):
    bounds = (1.0, 1.0)


class BelowItsBounds(Scale):
    bounds = (0.9, 1.0)


METRICS = {
    GrowsWithWeights: ("weights", "weights ten times as large give another value: divide by their sum"),
    Undefined: ("value", "it is undefined on 90 ordinary rows of 3 classes"),
    InPlace: ("untouched", "it changes what it is given in place"),
    Upside: ("loads", "bounds must be the lowest and the highest value, not (1.0, 1.0)"),
}


@pytest.mark.parametrize("cls", METRICS, ids=lambda cls: cls.__name__)
def test_a_metrics_fault(cls: type) -> None:
    card = MetricCard(name="tried", factory=f"{__name__}:{cls.__name__}")
    report = check("tried", registry=registered("metrics", card))
    assert METRICS[cls] in [(one.name, one.words) for one in report.checks if one.status == "failed"], report.text()


def test_a_value_outside_its_bounds_is_told_with_both() -> None:
    report = check(
        "tried", registry=registered("metrics", MetricCard(name="tried", factory=f"{__name__}:BelowItsBounds"))
    )
    name, words = the_fault(report)
    assert name == "value"
    assert words.startswith("it gives 0.")
    assert words.endswith(", outside its bounds 0.9 to 1")


def of_metric(bounds: str, values: str, direction: str) -> list[tuple[str, str, str]]:
    return passed(
        names="what its card names is registered: target classes",
        loads=f"it is made; values lie between {bounds}",
        value=f"it gives {values} on made-up rows of two and three classes",
        weights="a row of weight two counts as the row twice",
        order="it does not depend on the order of the rows",
        direction=f"perfect outputs are best; {direction} is better",
        slopes="derivatives with respect to weights are those of its values",
        untouched="what it is given is left as it was",
    )


def test_sound_metrics() -> None:
    rng = np.random.default_rng(3)
    right, certain = [], []
    for n_classes in (2, 3):  # as the checks make their rows
        truth = np.arange(90) % n_classes
        raw = rng.random((90, n_classes)) + 0.8 * np.eye(n_classes)[truth]
        scores = raw / raw.sum(axis=1, keepdims=True)
        right.append(f"{(scores.argmax(1) == truth).mean():.3f}")
        certain.append(f"{-np.log(scores[np.arange(90), truth]).mean():.3f}")
    own = registered("metrics", MetricCard(name="tried", factory=here(Hits)))
    assert said(check("tried", registry=own)) == of_metric("0 and 1", " and ".join(right), "higher")
    assert said(check("log_loss", "metrics")) == of_metric("0 and inf", " and ".join(certain), "lower")
    assert said(check("spearman", "metrics")) == [
        *passed(
            names="what its card names is registered: target values", loads="it is made; values lie between -1 and 1"
        ),
        ("value", "skipped", "it scores values, of which there are no made-up rows here"),
    ]


# ------------------------------------------------------------------------------------------------------ protocols, executors


class SettingsAreNone(Prior):
    settings = ()


class PresetOfAnother(Prior):
    presets: ClassVar[Any] = {"default": PriorSettings(), "other": KNearest()}


class HeadsAreArrays(Prior):
    def head(self, split: fb.SeedSplit, *arguments: Any) -> Any:
        return type("Head", (), {"seed": split.seed})()


class SeedsAreMixed(Prior):
    def fit_heads(self, *arguments: Any) -> Any:
        return super().fit_heads(*arguments)[::-1]


class ScoresLackAClass(Prior):
    def head(self, *arguments: Any) -> Any:
        return replace(super().head(*arguments), shares=np.array([0.5, 0.5]))


class ScoresAddUpToMore(Prior):
    def head(self, *arguments: Any) -> Any:
        return replace(super().head(*arguments), shares=np.array([0.5, 0.5, 0.01]))


class ScoresBelowZero(Prior):
    def head(self, *arguments: Any) -> Any:
        return replace(super().head(*arguments), shares=np.array([0.6, 0.5, -0.1]))


class VariesIsAWord(Prior):
    def head(self, *arguments: Any) -> Any:
        return replace(super().head(*arguments), varies="rows")


class ValidationIsNaN(Prior):
    def head(self, *arguments: Any) -> Any:
        return replace(super().head(*arguments), validation={"loss": float("nan")})


class SparseIsOther(Prior):
    def head(self, split: fb.SeedSplit, features: Any, labels: Any, n_classes: int) -> Any:
        found = super().head(split, features, labels, n_classes)
        return replace(found, shares=found.shares[::-1] * 0 + [0.2, 0.3, 0.5]) if hasattr(features, "tocsr") else found


PROBABLE = "scores must be class probabilities: finite, between 0 and 1, adding up to 1 in every row"
PROTOCOLS = {
    SettingsAreNone: ("loads", "settings must be a tuple of classes derived from findna_bench.api.Preset"),
    PresetOfAnother: ("presets", "preset 'other' is a KNearest, none of its settings classes"),
    HeadsAreArrays: ("fits", "fit_heads gives a Head, which is no findna_bench.api.FittedHead"),
    SeedsAreMixed: ("fits", "fit_heads must give one head for each split, in their order, not 2 for 2"),
    ScoresLackAClass: ("scores", "scores of 90 rows and 3 classes have shape (90, 2)"),
    ScoresAddUpToMore: ("scores", PROBABLE),
    ScoresBelowZero: ("scores", PROBABLE),
    VariesIsAWord: ("settings", "varies of a head must be a tuple of what a seed changes, in words, not 'rows'"),
    ValidationIsNaN: (
        "settings",
        "validation of a head cannot be written as JSON (Out of range float values are not JSON compliant: nan)",
    ),
    SparseIsOther: ("sparse", "sparse features give other scores than the same numbers as an array"),
}


@pytest.mark.parametrize("cls", PROTOCOLS, ids=lambda cls: cls.__name__)
def test_a_protocols_fault(cls: type) -> None:
    card = ProtocolCard(name="tried", factory=f"{__name__}:{cls.__name__}")
    name, words = the_fault(check("tried", registry=registered("protocols", card)))
    assert (name, words.replace("compliant)", "compliant: nan)")) == PROTOCOLS[cls]  # older Pythons do not say which


def test_sound_protocols() -> None:
    assert issubclass(PriorHead, fb.FittedHead)
    found = check("tried", registry=registered("protocols", ProtocolCard(name="tried", factory=here(Prior))))
    assert said(found) == passed(
        loads="it scores encoder, features, classifier, targets classes",
        presets="presets default",
        fits="a head is fitted for each of 2 seeds",
        scores="heads give class probabilities (33% of made-up rows are right, chance is 33%)",
        settings="settings are JSON; a seed varies nothing",
        deterministic="the same splits fitted twice give the same scores",
        rows="the 4 rows that are in no split change nothing",
        sparse="sparse features give the same scores",
    )
    assert said(check("zero_shot", "protocols"))[-1] == (
        "fits",
        "skipped",
        "it is no head on frozen features, so nothing is fitted here; `run` tries it on a small task",
    )


def settles_twice(jobs: Sequence[fb.Job], report: fb.Report) -> Any:
    for settled in serial(jobs, report):
        yield settled
        yield settled


def says_another_file(jobs: Sequence[fb.Job], report: fb.Report) -> Any:
    for settled in serial(jobs, report):
        yield replace(settled, results=("elsewhere.json",))


@pytest.mark.parametrize(
    ("factory", "fault"),
    [
        (settles_twice, ("settles", "it settles a unit twice")),
        (
            says_another_file,
            ("results", r"embeddings:\w+\.npy on adhoc/\w+: elsewhere\.json is not in the results folder"),
        ),
    ],
)
def test_an_executors_fault(factory: Callable[..., Any], fault: tuple[str, str]) -> None:
    card = ExecutorCard(name="tried", factory=f"{__name__}:{factory.__name__}")
    name, words = the_fault(check("tried", registry=registered("executors", card)))
    assert name == fault[0]
    assert re.fullmatch(fault[1], words), words


def test_a_sound_executor() -> None:
    assert said(check("serial", "executors")) == passed(
        loads="it is a function",
        settles="4 units of 2 jobs are settled, each once",
        results="4 results lie in the results folder, all of them successes",
        again="the same jobs again find their results",
    )


# ------------------------------------------------------------------------------------------------------------------ targets


class Nameless(fb.api.Target):
    default_metric = None  # type: ignore[assignment]
    heads: ClassVar[Any] = {"probe": "no function"}

    def n_outputs(self, labels: Any) -> Any:
        return 0

    def check(self, table: Any, labels: Any, where: str) -> None: ...

    def learned(self, truth: Any, outputs: Any, train_truth: Any) -> dict[str, Any]:
        return {}


class OneOutput(Nameless):
    def n_outputs(self, labels: Any) -> Any:
        return 1

    def loss(self, logits: Any, truth: Any) -> Any:
        return logits.sum()


class UnknownMetric(OneOutput):
    default_metric = "acuracy"
    heads: ClassVar[Any] = {"knn": len}
    loss = fb.api.Target.loss


def test_a_targets_faults() -> None:
    def found(cls: type) -> dict[str, str]:
        registry = registered("targets", TargetCard(name="tried", factory=f"{__name__}:{cls.__name__}"))
        return {name: words for name, _, words in said(check("tried", "targets", registry=registry))}

    assert found(Nameless) == {"loads": "n_outputs of 3 labels is 0, not the size of a head"}
    assert found(OneOutput) == {
        "loads": "it is made; a head for 3 labels has 1 outputs",
        "metric": "default_metric must be the name of a metric",
        "heads": "the head for probe is no function",
        "loss": "there is a loss that nothing uses: set can_be_trained",
    }
    unknown = found(UnknownMetric)
    assert unknown["metric"].startswith("default_metric: unknown metric 'acuracy'; did you mean accuracy")
    assert unknown["heads"] == "it brings heads for knn of probe, finetune, knn, zero_shot"
    assert unknown["loss"] == "it cannot be fine-tuned"


@pytest.mark.parametrize(
    ("name", "metric"),
    [("classes", "accuracy"), ("values", "spearman"), ("labels", "auroc_macro"), ("per_base", "base_mcc")],
)
def test_the_harness_own_targets(name: str, metric: str) -> None:
    assert said(check(name, "targets")) == passed(
        loads="it is made; a head for 3 labels has 3 outputs",
        metric=f"its metric is {metric}",
        heads="it brings heads for no protocol of probe, finetune, knn, zero_shot",
        loss="it can be fine-tuned",
    )


# ------------------------------------------------------------------------------------------------------------------ encoders


class SpecialHasSpan(Sound):
    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        batch = super().tokenize(sequences)
        special = batch.special.clone()
        special[:, 0] = True
        return replace(batch, special=special)


class PaddingIsSpecial(Sound):
    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        batch = super().tokenize(sequences)
        return replace(batch, special=~batch.mask)


class CountsOneMore(Sound):
    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        batch = super().tokenize(sequences)
        return replace(batch, lengths=batch.lengths + 1)


class ReadsTheBatch(Sound):
    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        batch = super().tokenize(sequences)
        inputs = batch.inputs.clone()
        inputs[:, 0] = (inputs[:, 0] + (len(sequences) > 1)) % 5
        return replace(batch, inputs=inputs)


class DigestChanges(Sound):
    calls = 0

    def tokenizer_digest(self) -> str:
        DigestChanges.calls += 1
        return f"letters-{self.calls}"


class FirstIsLast(Sound):
    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        found = super().forward(batch, layers=layers)
        return found if found.layers is None else replace(found, layers=dict.fromkeys(found.layers, found.layers[0]))


class ChangesWeights(Sound):
    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        found = super().forward(batch, layers=layers)
        self.head.bias.data.add_(1.0)
        return found


class GradientIsNaN(Sound):
    def block(self, x: Tensor, layer: nn.Module, batch: TokenBatch) -> Tensor:
        return super().block(x, layer, batch) + torch.sqrt((x - x.detach()).abs())


class FlatLogits(Sound):
    def logits(self, batch: TokenBatch) -> Tensor:
        return super().logits(batch)[..., 0]


class LogitsAreNaN(Sound):
    def logits(self, batch: TokenBatch) -> Tensor:
        return super().logits(batch) / 0


class LogitsOfTheRow(Sound):
    def logits(self, batch: TokenBatch) -> Tensor:
        return super().logits(batch)[:, :1]


class PromisesOneToken(Sound):
    def token_counts(self, lengths: Sequence[int]) -> list[int]:
        return [1 for _ in lengths]


ENCODERS = {
    SpecialHasSpan: ("spans", "a special token or padding has a span of bases"),
    PaddingIsSpecial: ("spans", "padding is marked as special"),
    CountsOneMore: ("spans", "TokenBatch.lengths are not the lengths of the sequences"),
    ReadsTheBatch: ("round-trip", "a sequence is tokenized otherwise alone than in a batch"),
    DigestChanges: ("round-trip", "the tokenizer's digest is not stable"),
    FirstIsLast: ("layers", "layer 2 is not the last hidden state"),
    ChangesWeights: ("untouched", "the forward pass changes its parameters"),
    GradientIsNaN: ("gradients", "the gradient of embedding.weight holds NaN or infinity"),
    FlatLogits: ("logits", "logits have shape (3, 46), not (B, T, V)"),
    LogitsOfTheRow: ("logits", "logits have shape (3, 1, 6), not (B, T, V)"),
    LogitsAreNaN: ("logits", "logits hold NaN or infinity"),
    PromisesOneToken: ("maximum", "token_counts says 1 tokens for 60 bases, there are 60"),
}


def loaded(cls: type) -> Any:
    """The model of a class of this file."""
    import test_conformance

    setattr(test_conformance, cls.__name__, cls)
    return load(cls)


@pytest.mark.parametrize("cls", ENCODERS, ids=lambda cls: cls.__name__)
def test_an_encoders_fault(cls: type) -> None:
    name, words = ENCODERS[cls]
    assert said(check_model(loaded(cls), only=[name])) == [(name, "failed", words)]


def test_a_sound_encoder() -> None:
    found = {one.name: one for one in check_model(loaded(Sound)).checks}
    words = {name: one.words.partition(" (largest difference ")[0] for name, one in found.items()}
    cosines = words.pop("strands")
    assert cosines.startswith("the two strands have different embeddings: cosine 0.")
    assert words.pop("memory").startswith("60 bases take ")
    assert words.pop("bfloat16").startswith("bfloat16 is within 0.")
    # embedding 6 x 8, two convolutions of 8 x 8 x 3 + 8; 19 letters have 4 others each, and there are 3 cases more
    assert words == {
        "loads": "448 parameters, random weights, every key accounted for",
        "reload": "loaded with its own weights it gives the same embeddings",
        "deterministic": "the same sequences twice give the same numbers to the last bit",
        "padding": "an embedding is the same alone and padded in a batch",
        "batch": "an embedding does not depend on the others in its batch",
        "unknown-bases": "N anywhere gives finite numbers, alone and in a batch",
        "lower-case": "lower case gives the same tokens as upper case",
        "short": "lengths 1 to 7 give finite numbers; 0 of them hold no ordinary token and are pooled over special ones",
        "maximum": "60 bases run; of a longer sequence 60 are read, and this is counted",
        "spans": "spans add up to the bases of each sequence, special tokens and padding have none",
        "round-trip": "79 sequences that differ in one base give different tokens",
        "refusals": "an empty sequence and a letter that is no DNA are refused",
        "layers": "embedding output and 2 layers, the last being the last hidden states",
        "gradients": "finite gradients reach all 5 trainable tensors",
        "untouched": "a forward pass changes neither its batch nor the weights",
        "objectives": "uint8 codes and (B, L, 5) rows are read as its own tokens are, blank positions too",
        "logits": "the pretraining head gives finite logits over 6 tokens",
    }
    assert found["maximum"].details == {
        "max_length": 60,
        "tokens": 60,
        "coverage": {
            "bases_total": 70,
            "bases_seen": 60,
            "truncated_sequences": 1,
            "windows": 1,
            "short_sequences": 0,
        },
    }
    assert found["short"].details["without_ordinary_token"] == 0
    assert found["gradients"].details == {"parameters": 5, "without_gradient": []}
    assert found["layers"].details == {"n_layers": 2, "embed_dim": 8}
    assert found["logits"].details == {"vocabulary": 6}
    assert found["memory"].details["bases"] == 60


# ------------------------------------------------------------------------------------------------------------------- reports


def test_a_report_is_a_table_and_a_sum() -> None:
    report = Report(
        "model",
        "mine",
        (
            Check("loads", "passed", "it does"),
            Check("long-name", "failed", "it does not", {"by": 1}),
            Check("x", "measured", "some"),
            Check("y", "skipped", "no"),
            Check("z", "skipped", "no"),
        ),
    )
    assert report.text() == (
        "passed    loads      it does\n"
        "failed    long-name  it does not\n"
        "measured  x          some\n"
        "skipped   y          no\n"
        "skipped   z          no\n"
        "model mine: 1 passed, 1 failed, 1 measured, 2 skipped"
    )
    assert not report.passed
    assert report.to_dict()["checks"][1] == {
        "name": "long-name",
        "status": "failed",
        "words": "it does not",
        "details": {"by": 1},
    }
    assert Report("model", "none", ()).text() == "model none: "
    assert replace(report, checks=report.checks[2:]).passed


def test_what_a_check_raises_is_its_outcome() -> None:
    from findna_bench.errors import UnsupportedError, UsageError
    from findna_bench.testing.check_report import Fault

    def raising(error: BaseException) -> Callable[[], str]:
        def run() -> str:
            raise error

        return run

    made = Checklist("model", "mine")
    assert made.check("plain", lambda: "yes") is True
    assert made.check("number", lambda: "5", status="measured") is True
    assert made.check("not-here", raising(UnsupportedError("not here"))) is True
    assert made.check("fault", raising(Fault("wrong"))) is False
    assert made.check("usage", raising(UsageError("bad words"))) is False
    assert made.check("crash", raising(ZeroDivisionError("by nought"))) is False
    assert made.check("exit", raising(SystemExit(3))) is False
    with pytest.raises(KeyboardInterrupt):
        made.check("stop", raising(KeyboardInterrupt()))
    outcomes = [(one.name, one.status, one.details) for one in made.report().checks]
    assert outcomes == [
        ("plain", "passed", {}),
        ("number", "measured", {}),
        ("not-here", "skipped", {}),
        ("fault", "failed", {"error": "Fault"}),
        ("usage", "failed", {"error": "UsageError"}),
        ("crash", "failed", {"error": "ZeroDivisionError"}),
        ("exit", "failed", {"error": "SystemExit"}),
    ]
