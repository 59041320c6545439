"""Training against a loop written out: rows, seeds, rates, gradients, the log, and every sentence of a refusal."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from findna_bench.api import Backbone, Encoding, Objective, TokenBatch
from findna_bench.errors import ModelError, NotFiniteError, OutputError, PluginError, UsageError
from findna_bench.training import training_checkpoints
from findna_bench.training.corpus import SequenceRows
from findna_bench.training.log import TrainingLog, draw_curves
from findna_bench.training.loop import Plan, TrainingLoop
from findna_bench.training.objective import exported_networks, reads_base_codes, take_step
from findna_bench.training.pretrain_settings import PretrainSettings
from findna_bench.training.pretraining import Pretraining
from findna_bench.training.run_folder import ModelFolder, RunFolder
from findna_bench.training.schedules import learning_rate_factor
from findna_bench.training.training_checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from findna_plugins.chordmixer import ChordMixer

SMALL = {"channels": 6, "track_size": 2, "hidden": 6, "layers": 1, "blocks_per_layer": 2}


def mixed(*numbers: int) -> int:
    """A seed of 63 bits."""
    text = ",".join(map(str, numbers)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") // 2


class Guess(Objective):
    """Predicts bases from a network with dropout and drawn noise; counts what it is asked."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.network = ChordMixer(**SMALL, dropout=0.3)  # type: ignore[arg-type]
        self.register_buffer("steps_after", torch.zeros(2))
        self.largest: int | None = None

    def _loss(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
        if self.largest is not None and len(batch) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        seen = batch.masked_fill(torch.rand(batch.shape, generator=generator) < 0.5, 5)
        mask = torch.ones_like(batch, dtype=torch.bool)
        logits = self.network.logits(TokenBatch(seen, mask, ~mask, mask.long(), mask.sum(1)))
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch.long().flatten())
        return {"loss": loss, "right": (logits.argmax(-1) == batch).float().mean()}

    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {**self._loss(batch, generator), "asked": torch.tensor(float(step))}

    @torch.no_grad()
    def validation_step(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
        return self._loss(batch, generator)

    def after_step(self, step: int, total_steps: int) -> None:
        self.steps_after += torch.tensor([float(step), float(total_steps)])

    def export(self) -> Mapping[str, nn.Module]:
        return {"network": self.network}

    def settings(self) -> Mapping[str, Any]:
        return {}


def sequences(n: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return ["".join(generator.choice(list("ACGT"), size=int(generator.integers(12, 40)))) for _ in range(n)]


def settings(**changes: Any) -> PretrainSettings:
    values = {
        "objective": "guess",
        "window_length": 20,
        "batch_size": 6,
        "lr": 0.05,
        "warmup": 0.4,
        "clip": 0.05,
        "seed": 9,
        "weight_decay": 0.2,
    }
    return PretrainSettings.of({**values, **changes}, "test")


class Following:
    """Keeps what a run says of itself."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.began: list[tuple[int, int, str]] = []
        self.told: list[tuple[int, int, dict[str, float]]] = []

    def started(self, total_steps: int, done: int, description: str) -> None:
        self.began.append((total_steps, done, description))

    def progress(self, step: int, total_steps: int, values: Mapping[str, float], seconds_left: float) -> None:
        assert seconds_left >= 0
        self.told.append((step, total_steps, dict(values)))

    def note(self, text: str) -> None:
        self.notes.append(text)


def run(
    folder: Path, chosen: PretrainSettings, objective: Guess, reporter: Following | None = None, **options: Any
) -> Pretraining:
    corpus, held = SequenceRows(sequences(27, 1), 20), SequenceRows(sequences(8, 2), 20)
    training = Pretraining(
        objective, corpus, held, chosen, folder, model=ModelFolder(backbone="chordmixer", config={**SMALL, "dropout": 0.3}),
        reporter=reporter, curves=False, **{"log_every": 3, **options},
    )  # fmt: skip
    training.run()
    return training


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_pretraining_is_a_plain_loop(accumulate: int, tmp_path: Path) -> None:
    reporter = Following()
    objective = Guess()
    run(tmp_path / "m", settings(epochs=2, accumulate=accumulate), objective, reporter)
    expected = Guess()
    corpus, held = SequenceRows(sequences(27, 1), 20), SequenceRows(sequences(8, 2), 20)
    steps, per_epoch = 8, 4
    assert reporter.began == [(steps, 0, "27 sequences")]
    optimiser = torch.optim.AdamW(expected.parameters(), lr=0.05, betas=(0.9, 0.999), weight_decay=0.2)
    rows_of_log: list[dict[str, Any]] = []
    since: list[dict[str, float]] = []

    def validate(done: int, rate: float) -> None:
        expected.eval()
        batches = held.epoch(np.random.default_rng([9, 1]), 6)
        found: list[dict[str, float]] = []
        for number, rows in enumerate(batches):
            codes = torch.from_numpy(held.batch(rows, np.random.default_rng([9, 1, number])))
            with torch.no_grad():
                result = expected.validation_step(codes, torch.Generator().manual_seed(mixed(9, 1, number, 0)))
            found.append({name: float(value) for name, value in result.items()})
        rows_of_log.append(
            {
                "step": done,
                "split": "validation",
                "lr": rate,
                **{k: np.mean([one[k] for one in found]) for k in found[0]},
            }
        )
        expected.train()

    expected.train()
    for step in range(steps):
        epoch = corpus.epoch(np.random.default_rng([9, 2, step // per_epoch]), 6)
        codes = torch.from_numpy(corpus.batch(epoch[step % per_epoch], np.random.default_rng([9, 3, step])))
        rate = 0.05 * learning_rate_factor(step, steps, 3, "cosine")
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        for number, part in enumerate(codes.chunk(accumulate)):
            torch.manual_seed(mixed(9, 0, step, number))
            result = expected.training_step(part, step, torch.Generator().manual_seed(mixed(9, 0, step, number)))
            (result["loss"] / accumulate).backward()
            since.append({name: float(value.detach()) for name, value in result.items()})
        nn.utils.clip_grad_norm_(expected.parameters(), 0.05)
        optimiser.step()
        if step + 1 in (3, 6, 8):
            rows_of_log.append(
                {
                    "step": step + 1,
                    "split": "train",
                    "lr": rate,
                    **{k: np.mean([one[k] for one in since]) for k in since[0]},
                }
            )
            since = []
        if step + 1 in (4, 8):
            validate(step + 1, rate)
    for (name, own), (_, right) in zip(objective.named_parameters(), expected.named_parameters(), strict=True):
        torch.testing.assert_close(own, right, atol=2e-5, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")
    assert objective.steps_after.tolist() == [sum(range(8)), 64.0]
    with (tmp_path / "m" / "log.csv").open() as stream:
        found = list(csv.DictReader(stream))
    assert list(found[0]) == ["step", "split", "seconds", "lr", "sequences_per_second", "loss", "right", "asked"]
    for row, right in zip(found, rows_of_log, strict=True):
        assert (int(row["step"]), row["split"]) == (right["step"], right["split"])
        assert float(row["lr"]) == pytest.approx(right["lr"], rel=1e-5)
        assert float(row["loss"]) == pytest.approx(right["loss"], rel=1e-3)
        assert float(row["right"]) == pytest.approx(right["right"], abs=2e-3)
        assert bool(row["sequences_per_second"]) == (row["split"] == "train")
    assert [(step, total) for step, total, _ in reporter.told] == [(3, 8), (6, 8), (8, 8)]
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    last = rows_of_log[-1]
    assert record["validation_metrics"] == pytest.approx({"loss": last["loss"], "right": last["right"]}, rel=1e-2)
    assert (
        record["total_steps"],
        record["micro_batches"],
        record["rows"],
        record["processes"],
        record["networks"],
    ) == (8, accumulate, 27, 1, ["network"])
    assert "rows_at_once" not in record


def test_what_does_not_fit_is_divided_and_has_the_gradient_of_the_whole(tmp_path: Path) -> None:
    reporter, cramped = Following(), Guess()
    cramped.largest = 2
    corpus = SequenceRows(sequences(27, 1), 20)

    def pretraining() -> Pretraining:
        return Pretraining(
            cramped,
            corpus,
            None,
            settings(steps=2),
            tmp_path / "m",
            model=ModelFolder(backbone="chordmixer", config=SMALL),
            reporter=reporter,
            curves=False,
        )

    pretraining().run()
    assert reporter.notes == [
        "6 sequences at once do not fit into memory, going on with 3; --accumulate divides batches from the first step on",
        "3 sequences at once do not fit into memory, going on with 2; --accumulate divides batches from the first step on",
    ]
    assert json.loads((tmp_path / "m" / "training.json").read_text())["rows_at_once"] == 2
    again = pretraining().run()
    assert reporter.notes[2] == f"{tmp_path / 'm'} is finished already (2 steps)"
    assert (again.steps, again.resumed_from, again.networks, again.validation) == (2, 2, ("network",), {})
    assert again.to_dict() == {
        "folder": str(tmp_path / "m"), "steps": 2, "resumed_from": 2, "seconds": again.seconds, "networks": ["network"], "validation": {},
    }  # fmt: skip
    cramped.largest = 0
    with pytest.raises(ModelError) as one:
        run(tmp_path / "n", settings(steps=2), cramped)
    assert str(one.value).startswith("chordmixer: pretraining on one sequence of ")
    assert str(one.value).endswith(
        " bases does not fit into the memory of cpu; use a smaller --window-length, a smaller model or another device"
    )


def test_a_loss_that_is_no_number_ends_a_run_at_its_report(tmp_path: Path) -> None:
    class Lost(Guess):
        def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
            found = super().training_step(batch, step, generator)
            return {**found, "loss": found["loss"] * (math.inf if step == 2 else 1.0)}

    with pytest.raises(ModelError) as lost:
        run(tmp_path / "m", settings(steps=5), Lost())
    assert str(lost.value) == "the loss is inf after 3 steps; lower --lr, or use --dtype float32"

    class Fixed(Guess):
        def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
            return {"loss": torch.tensor(1.0)}

    with pytest.raises(PluginError) as fixed:
        run(tmp_path / "n", settings(steps=5), Fixed())
    assert str(fixed.value) == "objective 'guess': training_step gives a loss that no parameter had a part in"


def test_batches_that_cannot_be_filled_or_divided_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as few:
        run(tmp_path / "m", settings(batch_size=28), Guess())
    assert str(few.value) == "27 sequences do not fill one batch of 28; give more, or a smaller --batch-size"
    run(tmp_path / "all", settings(batch_size=27, steps=1), Guess())
    from findna_bench.training.pretraining import _micro_batches
    from findna_bench.training.ranks import Ranks

    assert [
        _micro_batches(settings(batch_size=12, accumulate=a), Ranks(0, world))
        for a, world in ((1, 1), (2, 2), (4, 2), (3, 2), (1, 4))
    ] == [1, 2, 4, 6, 4]
    with pytest.raises(UsageError) as parts:
        _micro_batches(settings(batch_size=6, accumulate=2), Ranks(0, 4))
    assert (
        str(parts.value)
        == "a batch of 6 cannot be divided into 8 equal parts; choose --batch-size and --accumulate for 4 processes"
    )


# ---------------------------------------------------------------------------------------------------------------- settings


def test_settings_have_these_defaults() -> None:
    assert {field.name: getattr(PretrainSettings(), field.name) for field in fields(PretrainSettings)} == {
        "objective": "", "objective_options": {}, "backbone": {}, "windows": 100_000, "window_length": 1000, "sampling": "uniform-chromosome",
        "max_n_frac": 1.0, "validation_windows": 1000, "epochs": 1, "steps": None, "batch_size": 64, "accumulate": 1, "lr": 3e-4, "weight_decay": 3e-4,
        "decay_biases": True, "betas": (0.9, 0.999), "clip": 0.5, "warmup": 0.3, "schedule": "cosine", "seed": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        *((name, 0, f"{name} must be at least 1, not 0") for name in ("windows", "window_length", "batch_size", "accumulate", "epochs", "steps")),
        *((name, value, f"{name} must be a whole number, not {value!r}") for name in ("windows", "seed", "steps") for value in (1.5, True, "3")),
        *((name, value, f"{name} must be a number, not {value!r}") for name in ("lr", "max_n_frac", "clip") for value in (math.nan, math.inf, True, "1")),
        ("objective", 3, "objective must be a name, not 3"),
        ("decay_biases", 1, "decay_biases must be true or false, not 1"),
        ("betas", (0.9,), "betas must be two numbers, not (0.9,)"),
        ("betas", [0.9, "x"], "betas must be two numbers, not [0.9, 'x']"),
        ("backbone", [1], "backbone must be options by name, as --set objective.NAME=VALUE, not [1]"),
        ("accumulate", 3, "a batch of 64 cannot be divided into 3 equal parts"),
        ("schedule", "step", "schedule must be one of cosine, linear, constant, not 'step'"),
        *((name, value, "lr must be positive and warmup a share between 0 and 1") for name, value in (("lr", 0.0), ("warmup", -0.1), ("warmup", 1.1))),
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_are_refused_in_a_sentence(name: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        PretrainSettings.of({name: value}, "here")
    assert str(refused.value) == f"pretraining: {message}"


def test_settings_at_the_ends_of_their_ranges_are_taken_and_unknown_ones_named() -> None:
    ends = {
        "windows": 1,
        "window_length": 1,
        "batch_size": 1,
        "epochs": 1,
        "steps": 1,
        "warmup": 1,
        "clip": None,
        "lr": 1,
        "betas": [0, 1],
        "validation_windows": 0,
    }
    assert PretrainSettings.of(ends, "here").betas == (0, 1)
    assert PretrainSettings(warmup=0, steps=None, clip=2).warmup == 0
    with pytest.raises(UsageError) as unknown:
        PretrainSettings.of({"rate": 1, "lr": 2}, "preset 'x'")
    known = ", ".join(sorted(field.name for field in fields(PretrainSettings)))
    assert str(unknown.value) == f"preset 'x': pretraining has no setting 'rate'; it has {known}"


# --------------------------------------------------------------------------------------------------------------------- log


def test_the_log_has_the_columns_of_its_first_row_and_goes_on_from_a_step(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.csv"
    log = TrainingLog(path)
    log.resume(5)
    assert not path.exists()
    log.write(2, "train", {"seconds": 1.23456789, "lr": 1e-9, "sequences_per_second": 1234567.0, "loss": 2 / 3})
    log.write(2, "validation", {"seconds": 2.0, "lr": 0.5, "loss": 1.0, "other": 7.0})
    log.write(4, "train", {"seconds": 3.0, "loss": math.nan})
    text = "step,split,seconds,lr,sequences_per_second,loss\n2,train,1.23457,1e-09,1.23457e+06,0.666667\n2,validation,2,0.5,,1\n"
    assert path.read_text() == text + "4,train,3,,,nan\n"
    with path.open("a") as stream:
        stream.write("6,train,4,0.5\n")  # half a row
    again = TrainingLog(path)
    again.resume(3)
    assert path.read_text() == text
    again.write(4, "train", {"seconds": 3.0, "lr": 0.25, "loss": 0.5, "other": 1.0})
    assert path.read_text() == text + "4,train,3,0.25,,0.5\n"


def test_curves_have_a_panel_per_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *given, **options: drawn.append(self) or save(self, *given, **options)
    )
    (tmp_path / "log.csv").write_text("step,split,seconds,lr,sequences_per_second,loss,a,b,c\n")
    draw_curves(tmp_path / "log.csv", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    (tmp_path / "log.csv").write_text(
        "step,split,seconds,lr,sequences_per_second,loss,a,b,c\n1,train,1,1,1,3,4,5,\n2,validation,1,1,,6,7,,\n3,train,1,1,1,2,1,0,\n"
    )
    draw_curves(tmp_path / "log.csv", tmp_path / "some.png")
    (figure,) = drawn
    assert (tmp_path / "some.png").read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title() for axes in figure.axes[:4]] == ["loss", "a", "b", "c"]
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False] * 2
    assert figure.get_size_inches().tolist() == [12, pytest.approx(5.2)]
    lines = [
        {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
        for axes in figure.axes[:4]
    ]
    assert lines == [
        {"train": ([1, 3], [3, 2]), "validation": ([2], [6])}, {"train": ([1, 3], [4, 1]), "validation": ([2], [7])}, {"train": ([1, 3], [5, 0])}, {},
    ]  # fmt: skip
    (tmp_path / "log.csv").write_text("step,split,seconds,lr,sequences_per_second,loss\n1,train,1,1,1,3\n")
    draw_curves(tmp_path / "log.csv", tmp_path / "one.png")
    assert drawn[1].get_size_inches().tolist() == [4, pytest.approx(2.6)]


# -------------------------------------------------------------------------------------------------------------- run folders


def test_a_folder_of_another_run_says_in_what_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "m"
    decides = {
        "settings": {"lr": 1.0, "epochs": 2},
        "objective": {"alpha": 1},
        "corpus": "abc",
        "threads": 1,
        "micro_batches": 2,
        "start": "random:0",
    }
    advice = "choose another --output or say --overwrite"

    def sentence(error: type[Exception], **changes: Any) -> str:
        with pytest.raises(error) as refused:
            RunFolder(path, {**decides, **changes}, {}).check()
        return str(refused.value)

    assert RunFolder(path, decides, {}).check() is False
    RunFolder(path, decides, {"code": {"backbone": "a", "objective": "b"}}).begin()
    assert json.loads((path / "training.json").read_text())["status"] == "running"
    assert RunFolder(path, decides, {}).check() is False
    for changes, words in (
        ({"settings": {"lr": 2.0, "epochs": 2}}, "settings: lr was 1.0, now 2.0"),
        ({"settings": {"epochs": 2, "lr": 1.0, "steps": 5}}, "settings: steps was None, now 5"),
        ({"objective": {"alpha": 2}, "corpus": "x"}, "objective: alpha was 1, now 2"),
        ({"corpus": "abd"}, "another corpus"),
        ({"threads": 2}, "threads was 1, now 2"),
        ({"micro_batches": 4}, "micro_batches was 2, now 4"),
        ({"start": "random:1"}, "another starting point"),
    ):
        assert sentence(UsageError, **changes) == f"{path} holds another pretraining ({words}); {advice}"
    record = json.loads((path / "training.json").read_text())
    (path / "training.json").write_text(json.dumps({**record, "status": "finished"}))
    for code, words in (
        ({"backbone": "a", "objective": "c"}, "objective"),
        ({"backbone": "x", "objective": "y"}, "backbone and objective"),
    ):
        with pytest.raises(UsageError) as changed:
            RunFolder(path, decides, {"code": code}).check()
        assert (
            str(changed.value)
            == f"{path} holds this pretraining, by code of the {words} that has changed since; {advice}"
        )
    assert RunFolder(path, decides, {"code": {"backbone": "a", "objective": "b", "new": "z"}}).check() is True
    (path / "training.json").write_text("[1]")
    assert sentence(OutputError) == f"{path / 'training.json'} is no record of a training; remove it to begin again"
    (path / "training.json").write_text("{")
    assert sentence(OutputError).startswith(f"{path / 'training.json'} cannot be read (")
    assert sentence(OutputError).endswith("); remove it to begin again")
    for name in ("config.json", "checkpoint.pt", "log.csv", "curves.png", "model.safetensors", "mine.txt"):
        (path / name).write_text("x")
    (path / "training.json").unlink()
    assert sentence(UsageError) == f"{path} holds a model already; {advice}"
    RunFolder(path, decides, {}).clear()
    assert [file.name for file in path.iterdir()] == ["mine.txt"]


# --------------------------------------------------------------------------------------------------------------- the loop


class Toy(TrainingLoop[int, int, float]):
    """A weight that is pulled to a number; gradients of some steps are no numbers."""

    def __init__(self, plan: Plan, *, stop_at: int | None = None, lost: tuple[int, ...] = (), **options: Any) -> None:
        self.weight = nn.Parameter(torch.tensor([4.0]))
        self.events: list[Any] = []
        self.stop_at, self.lost = stop_at, lost
        super().__init__(
            "toy", plan, [self.weight], torch.optim.SGD([self.weight], lr=0.5), torch.device("cpu"), **options
        )

    def batches(self) -> Iterator[int]:  # type: ignore[override]
        yield from range(self._step, 100)

    def parts(self, batch: int) -> list[int]:
        return [batch]

    def loss(self, part: int) -> tuple[Tensor, float]:
        scale = math.nan if part in self.lost else 1.0
        return (self.weight * scale).sum(), float(part)

    def stepped(self, outcomes: list[float]) -> None:
        self.events.append((self._step, outcomes, self.optimiser.param_groups[0]["lr"]))

    def evaluate(self) -> int:
        return self._step

    def validated(self, scores: int) -> None:
        self.events.append(f"validated {scores}")

    def stops_early(self) -> bool:
        return self._step == self.stop_at


def test_steps_have_their_rates_and_validations_their_places() -> None:
    loop = Toy(Plan(steps=5, warmup=2, schedule="linear", validate_every=2))
    loop.train()
    rates = [0.0, 0.25, 0.5, 0.5 * 2 / 3, 0.5 / 3]
    assert loop.events == [
        (1, [0.0], 0.0), (2, [1.0], 0.25), "validated 2", (3, [2.0], 0.5), (4, [3.0], pytest.approx(rates[3])), "validated 4",
        (5, [4.0], pytest.approx(rates[4])), "validated 5",
    ]  # fmt: skip
    assert float(loop.weight) == pytest.approx(4 - sum(rates))
    never = Toy(Plan(steps=2))
    never.train()
    assert [event for event in never.events if isinstance(event, str)] == []
    early = Toy(Plan(steps=9, validate_every=4), stop_at=3)
    early.train()
    assert [event if isinstance(event, str) else event[0] for event in early.events] == [1, 2, 3]
    clipped = Toy(Plan(steps=1, clip=0.25))
    clipped.train()
    assert float(clipped.weight) == pytest.approx(4 - 0.5 * 0.25, rel=1e-4)


def test_steps_without_a_finite_gradient_are_skipped_so_many_times_on_end() -> None:
    loop = Toy(Plan(steps=6, most_skipped=2), lost=(1, 2, 4))
    loop.train()
    assert float(loop.weight) == 4 - 3 * 0.5
    assert (loop._skipped, loop._skipped_on_end) == (3, 0)
    with pytest.raises(NotFiniteError) as lost:
        Toy(Plan(steps=6, most_skipped=2), lost=(1, 2, 3)).train()
    assert (
        str(lost.value)
        == "toy: gradients have not been finite for 2 steps on end; use a lower learning rate or --dtype float32"
    )
    unlooked = Toy(Plan(steps=3), lost=(1,))
    unlooked.train()
    assert math.isnan(float(unlooked.weight))


def test_a_loop_goes_on_from_its_checkpoint_and_writes_none_after_the_last_step(tmp_path: Path) -> None:
    def made(**options: Any) -> Toy:
        return Toy(
            Plan(steps=6, validate_every=2, most_skipped=5),
            checkpoint=Checkpoint(tmp_path / "c.pt", "run", steps=2),
            **options,
        )

    first = made(stop_at=5, lost=(3,))
    first.train()
    kept = load_checkpoint(tmp_path / "c.pt")
    assert kept is not None
    assert (kept["step"], kept["validated"], kept["skipped"], kept["run"]) == (4, 4, [1, 1], "run")
    again = made()
    with torch.no_grad():
        again.weight.copy_(first.weight + 0.5)
    again.resume()
    assert again.seconds >= kept["seconds"]
    again.train()
    assert [event if isinstance(event, str) else event[0] for event in again.events] == [5, 6, "validated 6"]
    assert (load_checkpoint(tmp_path / "c.pt") or {})["step"] == 4
    with pytest.raises(torch.OutOfMemoryError) as memory:
        again.divide(0)
    assert str(memory.value) == "toy: a training step does not fit into the memory of cpu"


# -------------------------------------------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_is_due_by_steps_by_time_and_by_what_writing_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(training_checkpoints.time, "monotonic", lambda: now[0])
    made = Checkpoint(tmp_path / "c.pt", "r", seconds=60.0, steps=4, share=0.1, _saved_at=100.0)
    assert [made.due(step) for step in (1, 3, 4, 5, 8)] == [False, False, True, False, True]
    now[0] = 159.9
    assert not made.due(1)
    now[0] = 160.0
    assert made.due(1)

    def slow(path: Path, state: Mapping[str, Any]) -> None:
        assert state == {"run": "r", "step": 1}
        now[0] += 9.0

    monkeypatch.setattr(training_checkpoints, "save_checkpoint", slow)
    made.save({"step": 1})  # took 9 s, which may be a tenth of the time
    now[0] += 89.9
    assert not made.due(1)
    now[0] += 0.2
    assert made.due(1)
    plain = Checkpoint(tmp_path / "c.pt", "r")
    assert (plain.seconds, plain.steps, plain.share, plain.replaceable) == (600.0, None, 1.0, False)


def test_a_checkpoint_of_another_run_or_no_checkpoint_is_refused_or_written_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "c.pt"
    assert Checkpoint(path, "a").load() is None
    save_checkpoint(path, {"run": "a", "step": 3})
    assert Checkpoint(path, "a").load() == {"run": "a", "step": 3}
    with pytest.raises(OutputError) as other:
        Checkpoint(path, "b").load()
    assert str(other.value) == f"{path} is of another run; remove it to begin again"
    assert Checkpoint(path, "b", replaceable=True).load() is None
    for content, words in ((b"x" * 39, "is damaged"), (b"x" * 40, "is damaged"), (b"x" * 41, "is damaged")):
        path.write_bytes(content)
        with pytest.raises(OutputError) as damaged:
            Checkpoint(path, "a").load()
        assert (
            str(damaged.value)
            == f"{path} {words}: its content does not have the checksum at its end; remove it to begin again"
        )
    with caplog.at_level(logging.WARNING):
        assert Checkpoint(path, "a", replaceable=True).load() is None
    assert caplog.messages == [
        f"{path} is damaged: its content does not have the checksum at its end; training starts anew"
    ]
    for content, error in ((b"", "UnpicklingError"), (b"no archive", "UnpicklingError")):
        path.write_bytes(content + b"FBSHA256" + hashlib.sha256(content).digest())
        with pytest.raises(OutputError) as unread:
            load_checkpoint(path)
        assert str(unread.value) == f"{path} cannot be read as a checkpoint ({error}); remove it to begin again"
    with path.open("wb+") as stream:
        torch.save([1], stream)
        stream.seek(0)
        content = stream.read()
        stream.write(b"FBSHA256" + hashlib.sha256(content).digest())
    with pytest.raises(OutputError) as listed:
        load_checkpoint(path)
    assert str(listed.value) == f"{path} is no checkpoint of this program; remove it to begin again"


def test_a_checkpoint_larger_than_a_block_is_checked_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"w": torch.arange(700_000)})
    whole = bytearray(path.read_bytes())
    assert len(whole) > 5 << 20
    found = load_checkpoint(path)
    assert found is not None
    assert torch.equal(found["w"], torch.arange(700_000))
    whole[-41] ^= 1
    path.write_bytes(whole)
    with pytest.raises(OutputError, match="damaged"):
        load_checkpoint(path)


# --------------------------------------------------------------------------------------------------------------- objectives


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "gives a int, not a mapping with a scalar loss"),
        ({}, "gives no loss, only nothing"),
        ({"a": torch.tensor(1.0), "b": 2}, "gives no loss, only a, b"),
        ({"loss": 2.0}, "gives a float as loss, not a scalar tensor"),
        (
            {"loss": torch.tensor(1.0), "a": torch.zeros(2, 1)},
            "gives a Tensor of shape (2, 1) as a, not a scalar tensor",
        ),
    ],
    ids=str,
)
def test_what_a_step_gives_is_scalars_by_name(given: Any, words: str) -> None:
    class Odd(Objective):
        def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Any:
            return given

    with pytest.raises(PluginError) as wrong:
        take_step(Odd(), "training_step", "odd", torch.zeros(1), 0, torch.Generator())
    assert str(wrong.value) == f"objective 'odd': training_step {words}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "export gives no networks by name, but {}"),
        ([1], "export gives no networks by name, but [1]"),
        ({"a": 3}, "export gives a int as a, not a network"),
    ],
    ids=str,
)
def test_what_is_exported_is_networks_by_name(given: Any, words: str) -> None:
    class Odd(Objective):
        def export(self) -> Any:
            return given

    with pytest.raises(PluginError) as wrong:
        exported_networks(Odd(), "objective 'odd'")
    assert str(wrong.value) == f"objective 'odd': {words}"


def test_which_networks_read_the_codes_of_bases() -> None:
    class Shifted(Backbone):
        shift, extra = 1, 0

        def tokenize(self, sequences: list[str]) -> TokenBatch:  # type: ignore[override]
            codes = torch.tensor(
                [["ACGTN".index(base) + self.shift for base in s] + [9] * self.extra for s in sequences]
            )
            mask = torch.ones_like(codes, dtype=torch.bool)
            return TokenBatch(codes, mask, ~mask, mask.long(), mask.sum(1))

        def forward(self, batch: TokenBatch, *, layers: Any = None) -> Encoding:
            raise NotImplementedError

    plain, longer = Shifted(), Shifted()
    plain.shift, longer.shift, longer.extra = 0, 0, 1
    assert [reads_base_codes(one) for one in (Shifted(), plain, longer, ChordMixer(**SMALL))] == [
        False,
        True,
        False,
        True,
    ]  # type: ignore[arg-type]
