"""Fine-tuning to a state at every base: the one loop, a head per base, padding that counts nowhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import findna_bench as fb
from findna_bench.data.table import SequenceTable
from findna_bench.matrix.verification import verify
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.protocols.encoder_head import Reading
from findna_bench.protocols.fine_tuning import FineTuneOptions, LabelledRows, fine_tune
from findna_bench.protocols.fine_tuning_run import FineTuningRun
from findna_bench.protocols.finetune import FineTune
from findna_bench.protocols.settings import FineTuning
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.statistics.base_states import NO_STATE
from findna_bench.targets.per_base import PerBase

HEADS = pytest.mark.parametrize("head", ["linear", "conv"])


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return fb.load_model("findna-tiny", weights="random", device="cpu")


def drawn(n: int, low: int = 20, high: int = 40, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), size=rng.integers(low, high))) for _ in range(n)]


def states_of(sequence: str) -> list[int]:
    """A state that the base before decides, so that strands differ."""
    return [int(base in "AC") for base in "A" + sequence[:-1]]


def table_of(sequences: list[str], width: int | None = None) -> SequenceTable:
    truth = np.full((len(sequences), width or max(map(len, sequences))), NO_STATE, dtype=np.uint8)
    for row, sequence in enumerate(sequences):
        truth[row, : len(sequence)] = states_of(sequence)
    return SequenceTable(sequences, truth, np.arange(len(sequences)).astype(str))


def run_of(model: LoadedModel, table: SequenceTable, head: str = "linear", **options: object) -> FineTuningRun:
    preset = FineTuning(lr=1e-3, head=head, batch_size=len(table))  # type: ignore[arg-type]
    rows = LabelledRows(table, table, 2, None, PerBase())
    return FineTuningRun(model, rows, preset, 0, FineTuneOptions(**options))  # type: ignore[arg-type]


def step_loss(run: FineTuningRun, batch_size: int | str = "auto") -> float:
    """Of one step over all rows, in portions of ``batch_size`` rows."""
    run.portions = replace(run.portions, batch_size=batch_size)
    batch = next(iter(run.batches()))
    return sum(float(run.loss(part)[0].detach()) for part in run.parts(batch))


@HEADS
def test_padding_changes_no_loss(model: LoadedModel, head: str) -> None:
    """One row at a time, without padding, or all in a batch with the padding of the longest, and columns that no row reaches."""
    sequences = drawn(12)
    sequences[4] = sequences[4][:9] + "N" + sequences[4][10:]
    narrow, wide = table_of(sequences), table_of(sequences, 90)
    narrow.labels[4, 9] = wide.labels[4, 9] = NO_STATE
    narrow.labels[7] = wide.labels[7] = NO_STATE  # a row of nothing but padding
    alone = step_loss(run_of(model, narrow, head), batch_size=1)
    together = step_loss(run_of(model, narrow, head))
    assert together == pytest.approx(alone, abs=1e-5)
    assert step_loss(run_of(model, wide, head)) == pytest.approx(alone, abs=1e-5)
    assert run_of(model, wide, head).evaluate()["loss"] == pytest.approx(alone, abs=1e-5)


@HEADS
def test_the_loss_is_the_mean_cross_entropy_of_the_bases_that_count(model: LoadedModel, head: str) -> None:
    table = table_of(drawn(8))
    table.labels[2, :6] = NO_STATE
    run = run_of(model, table, head)
    scores = _probabilities(run, table)
    known = table.labels != NO_STATE
    own = -np.log(np.take_along_axis(scores[known], table.labels[known].astype(int)[:, None], axis=1))
    assert step_loss(run) == pytest.approx(own.mean(), abs=1e-5)


def _probabilities(run: FineTuningRun, table: SequenceTable) -> np.ndarray:
    """(n, W, C) in float64, a row at a time through backbone and head."""
    found = np.zeros((*table.labels.shape, 2))
    with torch.inference_mode():
        for row, sequence in enumerate(table.sequences):
            batch = run.model.backbone.tokenize([sequence])
            tokens = run.model.backbone.eval()(batch).tokens
            head = run.net.head.eval()
            read = torch.ones(1, len(sequence), dtype=torch.bool)
            logits = head(tokens, read) if run.preset.head == "conv" else head(tokens)
            found[row, : len(sequence)] = torch.softmax(logits[0].double(), dim=-1).numpy()
    return found


def test_a_row_of_the_other_strand_brings_its_states_along() -> None:
    """Only what a window reads is trained on."""
    from findna_bench.models.windows import WindowPolicy
    from findna_bench.protocols.fine_tuning_run import _states_read

    reading = Reading(WindowPolicy.parse("truncate-middle"), 10)
    sequences = drawn(4, 8, 16)
    table = table_of(sequences)
    flipped = np.array([True, False, True, False])
    spans = [reading.span(len(sequence)) for sequence in sequences]
    found = _states_read(table.labels, spans, flipped)
    for row, (sequence, (start, stop)) in enumerate(zip(sequences, spans, strict=True)):
        own = np.full(table.labels.shape[1], NO_STATE)
        if flipped[row]:
            assert reading.other_strand(sequence) == reverse_complement(sequence[start:stop])
            own[: stop - start] = states_of(sequence)[start:stop][::-1]
        else:
            own[start:stop] = states_of(sequence)[start:stop]
        np.testing.assert_array_equal(found[row], own)


@pytest.mark.parametrize("strand", ["forward", "rc-mean", "rc-augment", "rc-logit-mean"])
@HEADS
def test_predictions_are_those_of_the_network_on_each_strand(model: LoadedModel, head: str, strand: str) -> None:
    table = table_of(drawn(6))
    preset = FineTuning(lr=1e-3, head=head, epochs=1, batch_size=3)  # type: ignore[arg-type]
    rows = LabelledRows(table, table, 2, None, PerBase())
    tuned = fine_tune(model, rows, preset, 0, FineTuneOptions(strand=strand))
    scores = tuned.predict_scores(table)
    assert scores.shape == (6, table.labels.shape[1], 2)
    for row, sequence in enumerate(table.sequences):
        expected = np.exp(_log_probabilities(tuned, sequence, strand))
        np.testing.assert_allclose(scores[row, : len(sequence)], expected, atol=2e-3)
        (alone,) = tuned.predict_scores([sequence])
        np.testing.assert_allclose(alone, scores[row, : len(sequence)], atol=2e-3)


def _log_probabilities(tuned: object, sequence: str, strand: str) -> np.ndarray:
    """(L, C) by a plain loop: strands one at a time."""
    backbone, head = tuned.net.backbone.eval(), tuned.net.head.eval()  # type: ignore[attr-defined]
    read = torch.ones(1, len(sequence), dtype=torch.bool)

    def of(tokens: torch.Tensor) -> np.ndarray:
        found = head(tokens, read) if type(head).__name__ == "ConvHead" else head(tokens)
        logs: np.ndarray = torch.log_softmax(found[0].double(), dim=-1).numpy()
        return logs

    with torch.inference_mode():
        own, other = (backbone(backbone.tokenize([text])).tokens for text in (sequence, reverse_complement(sequence)))
        if strand == "rc-mean":
            return of((own + other.flip(1)) / 2)
        if strand != "rc-logit-mean":
            return of(own)
        mean = (of(own) + of(other)[::-1]) / 2
    return mean - np.log(np.exp(mean).sum(axis=1, keepdims=True))


def test_what_no_window_reads_has_the_shares_of_train(model: LoadedModel) -> None:
    table = table_of(drawn(8, 30, 31))
    short = replace(model, card=replace(model.card, max_length=20, window="truncate"))
    preset = FineTuning(lr=1e-3, epochs=1, batch_size=4)
    tuned = fine_tune(short, LabelledRows(table, table, 2, None, PerBase()), preset)
    shares = np.bincount(table.labels[table.labels != NO_STATE]) / (table.labels != NO_STATE).sum()
    np.testing.assert_allclose(tuned.predict_scores(table)[:, 20:], np.broadcast_to(shares, (8, 10, 2)), atol=1e-3)


def test_a_state_of_neighbours_is_learned_where_the_frozen_head_cannot(model: LoadedModel) -> None:
    train, held = table_of(drawn(40)), table_of(drawn(20, seed=1))
    preset = FineTuning(lr=3e-3, head="conv", epochs=12, batch_size=8, freeze_layers=-1)
    tuned = fine_tune(model, LabelledRows(train, held, 2, None, PerBase()), preset)
    assert tuned.validation["base_mcc"] > 0.9
    assert tuned.validation["learned"] is True
    assert tuned.settings["head"] == "conv"


def test_a_killed_run_goes_on_bit_by_bit(model: LoadedModel, tmp_path: Path) -> None:
    table = table_of(drawn(12))
    rows = LabelledRows(table, table, 2, None, PerBase())
    preset = FineTuning(lr=1e-3, head="conv", epochs=4, batch_size=4)
    whole = fine_tune(model, rows, preset).predict_scores(table)
    options = FineTuneOptions(checkpoint=tmp_path / "c.pt")
    run = FineTuningRun(model, rows, preset, 0, options)
    steps = run.plan.steps
    run.plan = replace(run.plan, steps=steps)
    run.stops_early = lambda: run._step >= 5  # type: ignore[method-assign]
    run.train()
    run.save()
    np.testing.assert_array_equal(fine_tune(model, rows, preset, 0, options).predict_scores(table), whole)


SIZES = {"channels": 24, "track_size": 6, "hidden": 32, "layers": 1, "blocks_per_layer": 2}
OPTIONS: dict[str, dict[str, object]] = {
    "search": {"search": 2},
    "folds": {"split": "grouped:*/3"},
    "shots": {"shots": (20,)},
    "shots-and-all-validation": {"shots": (20,), "shot_validation": "full"},
    "one-shot": {"shots": (1,)},
    "seeds": {"seeds": 2},
    "rc-mean": {"strand": "rc-mean"},
    "rc-augment": {"strand": "rc-augment"},
    "rc-logit-mean": {"strand": "rc-logit-mean"},
    "window": {"window": "window:8"},
    "last": {"selection": "last"},
    "on-test": {"selection": "test"},
    "limit": {"limit": 60},
}


@pytest.mark.parametrize(
    "option",
    [pytest.param(name, marks=[] if name in ("search", "folds", "shots") else pytest.mark.long) for name in OPTIONS],
)
@HEADS
def test_every_option_of_a_run_goes_with_states(
    option: str, head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a file is run, planned, finished, verified and computed again under each of them."""
    name = "conv" if head == "conv" else "default"
    short = replace(FineTune.presets[name], rates=(0.3, 1.0), trial_steps=3, epochs=1, min_steps=6)
    monkeypatch.setitem(FineTune.presets, name, short)  # type: ignore[index]
    sequences = drawn(120, 30, 40)
    rows = ["".join("uR"[state] for state in states_of(sequence)) for sequence in sequences]
    path = tmp_path / "x.csv"
    path.write_text("sequence,states\n" + "".join(f"{s},{r}\n" for s, r in zip(sequences, rows, strict=True)))
    network = load_model("findna@random", config=SIZES, device="cpu").backbone
    given = {
        "seeds": 1,
        "protocol": "finetune",
        "preset": name,
        "output_dir": tmp_path / "r",
        "device": "cpu",
        "sanity": False,
    } | OPTIONS[option]
    found = fb.run([network, "base-context"], [path], **given)  # type: ignore[arg-type]
    for result in found:
        assert result.status in ("success", "skipped"), result.error
    tuned = [result for result in found if result.model.kind == "encoder"]
    assert len(tuned) == given["seeds"]
    for result in tuned:
        assert result.status == "success", result.error
        assert np.isfinite(result.metrics.all["base_accuracy"])
        if option == "search":
            assert len(result.protocol.settings["trials"]) == 2
    assert fb.plan([network, "base-context"], [path], **given).cells == len(found)  # type: ignore[arg-type]
    again = fb.run([network, "base-context"], [path], **given)  # type: ignore[arg-type]
    kept = [result for result in found if result.status == "success"]
    assert [result.digest for result in again if result.status == "success"] == [result.digest for result in kept]
    assert not verify(tmp_path / "r").findings


def test_a_loss_of_numbers_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("sequence,states\n" + "".join(f"{s},{'uR' * 20}\n" for s in drawn(40, 40, 41)))
    (result,) = fb.run(["findna-tiny@random"], [path], protocol="finetune", preset="huber", output_dir=tmp_path / "r")
    assert result.status == "skipped"
    assert result.error is not None
    assert (
        result.error.message
        == "--preset huber: loss 'huber' is not for per_base: there is one loss only; use another preset"
    )
