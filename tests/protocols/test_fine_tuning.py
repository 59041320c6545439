"""Fine-tuning: learns, chooses on validation only, resumes exactly, and survives small memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from gc import collect, get_objects
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from findna_bench.data.table import SequenceTable
from findna_bench.errors import ModelError, UnsupportedError, UsageError
from findna_bench.models.backbone import TokenBatch
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.models.windows import WindowPolicy
from findna_bench.protocols import fine_tuning
from findna_bench.protocols.encoder_head import Reading, cut_tokens, layer_parameters
from findna_bench.protocols.fine_tuning import FineTuned, FineTuneOptions, FineTuning, LabelledRows
from findna_bench.protocols.settings import FINETUNE_PRESETS
from findna_bench.registry import get_registry, load_factory
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.targets.classes import Classes

SMALL = {"d_model": 32, "n_layers": 2, "max_seq_len": 258}
QUICK = FineTuning(lr=3e-3, batch_size=16, epochs=2, warmup=0.1)


def rows_and_options(
    train: SequenceTable, validation: SequenceTable, n_classes: int, test: SequenceTable | None = None, **options: Any
) -> tuple[LabelledRows, FineTuneOptions]:
    return LabelledRows(train, validation, n_classes, test), FineTuneOptions(**options)


def fine_tune(
    model: LoadedModel, train: Any, validation: Any, n: int, preset: FineTuning, seed: int, **options: Any
) -> FineTuned:
    data, how = rows_and_options(train, validation, n, **options)
    return fine_tuning.fine_tune(model, data, preset, seed, how)


def search(
    model: LoadedModel, train: Any, validation: Any, n: int, presets: list[FineTuning], seed: int, **options: Any
) -> FineTuned:
    data, how = rows_and_options(train, validation, n, **options)
    return fine_tuning.search(model, data, presets, seed, how)


def hyena(**options: Any) -> LoadedModel:
    return load_model("hyenadna@random", config={**SMALL, **options}, device="cpu")


def chordmixer(**options: Any) -> LoadedModel:
    sizes = {"channels": 24, "track_size": 6, "hidden": 32, "layers": 2, "blocks_per_layer": 3}
    return load_model("findna@random", config={**sizes, **options}, device="cpu")


def rows(n: int, seed: int, length: int = 60) -> SequenceTable:
    """Class 1 holds TATAAA somewhere, class 0 its reverse; rows of unequal length."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    sequences = []
    for label in labels:
        bases = "".join(rng.choice(list("ACGT"), int(length - rng.integers(20))))
        at = int(rng.integers(len(bases) - 6))
        sequences.append(bases[:at] + ("TATAAA" if label else "AAATAT") + bases[at + 6 :])
    return SequenceTable(sequences, labels.astype(np.int64), np.arange(n))


def noise(n: int, seed: int, length: int = 60) -> SequenceTable:
    rng = np.random.default_rng(seed)
    sequences = ["".join(rng.choice(list("ACGT"), length)) for _ in range(n)]
    return SequenceTable(sequences, rng.integers(2, size=n), np.arange(n))


def gc(sequence: str) -> float:
    return sum(base in "GC" for base in sequence) / len(sequence)


def by_gc(n: int, seed: int) -> SequenceTable:
    """Class 1 is richer in G and C."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    chances = [[0.3, 0.2, 0.2, 0.3], [0.2, 0.3, 0.3, 0.2]]
    sequences = ["".join(rng.choice(list("ACGT"), int(40 + rng.integers(20)), p=chances[y])) for y in labels]
    return SequenceTable(sequences, labels.astype(np.int64), np.arange(n))


def accuracy(tuned: FineTuned, table: SequenceTable) -> float:
    return float((tuned.predict_scores(table).argmax(1) == table.labels).mean())


def weights(tuned: FineTuned) -> dict[str, torch.Tensor]:
    return {**tuned.model.backbone.state_dict(), **{f"head.{k}": v for k, v in tuned.net.head.state_dict().items()}}


def same(a: FineTuned, b: FineTuned) -> bool:
    one, other = weights(a), weights(b)
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("n", [24, pytest.param(256, marks=pytest.mark.long)])
def test_a_random_network_learns_rows_by_heart(n: int) -> None:
    train = noise(n, 0, 30)
    preset = FineTuning(lr=1e-3, batch_size=32, min_steps=5 * n // 2, weight_decay=0.0, monitor="accuracy")
    seen: list[tuple[int, int]] = []
    model = load_model("hyenadna@random", device="cpu")
    tuned = fine_tune(model, train, train, 2, preset, 0, progress=lambda done, total: seen.append((done, total)))
    assert accuracy(tuned, train) >= 0.99
    assert tuned.validation["path"][-1]["train_accuracy"] > 0.95
    assert seen[-1] == (5 * n // 2, 5 * n // 2)


def test_a_signal_is_learned_and_the_best_validation_kept() -> None:
    model = chordmixer()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    preset = FineTuning(lr=5e-3, batch_size=32, epochs=8)
    tuned = fine_tune(model, by_gc(300, 0), by_gc(150, 1), 2, preset, 0)
    test = by_gc(300, 2)
    assert (
        accuracy(tuned, test)
        > np.mean([(2 * gc(s) > 1) == y for s, y in zip(test.sequences, test.labels, strict=True)]) - 0.05
    )
    path = tuned.validation["path"]
    assert tuned.validation["loss"] == min(entry["loss"] for entry in path)
    assert tuned.settings["chosen_step"] == min(path, key=lambda entry: entry["loss"])["step"]
    held_out = by_gc(150, 1)
    scores = tuned.predict_scores(held_out)
    assert -np.log(scores[np.arange(150), held_out.labels]).mean() == pytest.approx(tuned.validation["loss"], abs=1e-5)
    after = model.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


class Interrupted(Exception):
    pass


def stop_at(step: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == step:
            raise Interrupted

    return progress


@pytest.mark.parametrize("strand", ["forward", "rc-augment"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strand: str
) -> None:
    monkeypatch.setattr("findna_bench.protocols.fine_tuning_run._CHECKPOINT_SECONDS", 0.02)
    monkeypatch.setattr("findna_bench.protocols.fine_tuning_run._CHECKPOINT_SHARE", 1.0)
    model = chordmixer(dropout=0.2)
    data = (rows(100, 0), rows(40, 1), 2, replace(QUICK, epochs=3, head_dropout=0.3), 7)
    whole = fine_tune(model, *data, strand=strand)
    file = tmp_path / "cell.pt"
    for step in (5, 12):  # within the first epoch of seven steps, and within the second
        with pytest.raises(Interrupted):
            fine_tune(model, *data, strand=strand, checkpoint=file, progress=stop_at(step))
    done: list[int] = []
    resumed = fine_tune(model, *data, strand=strand, checkpoint=file, progress=lambda step, _: done.append(step))
    assert done[0] > 1
    assert same(whole, resumed)
    assert whole.validation == resumed.validation
    resumed.discard_checkpoint()
    assert not file.exists()


def test_a_checkpoint_with_flipped_bits_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two bits anywhere, in weights, in the optimiser's state or in what holds them together: the predictions are the same."""
    monkeypatch.setattr("findna_bench.protocols.fine_tuning_run._CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("findna_bench.protocols.fine_tuning_run._CHECKPOINT_SHARE", 1e9)
    model, data, file = hyena(), (rows(40, 0), rows(20, 1), 2, QUICK, 0), tmp_path / "cell.pt"
    whole = fine_tune(model, *data).predict_scores(rows(20, 2).sequences)
    with pytest.raises(Interrupted):
        fine_tune(model, *data, checkpoint=file, progress=stop_at(4))
    kept = file.read_bytes()
    for share in (0.5, 0.3, 0.8, 0.0, 0.999):
        damaged = bytearray(kept)
        for place in (int(share * len(kept)), int(share * len(kept)) + 3):
            damaged[place % len(kept)] ^= 0x40
        file.write_bytes(damaged)
        caplog.clear()
        first: list[int] = []
        tuned = fine_tune(model, *data, checkpoint=file, progress=lambda step, _: first.append(step))  # noqa: B023
        assert np.array_equal(tuned.predict_scores(rows(20, 2).sequences), whole)
        assert first[0] == 1
        assert "damaged" in caplog.text
        assert "starts anew" in caplog.text


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path: Path) -> None:
    file, model = tmp_path / "cell.pt", hyena()
    fine_tune(model, rows(40, 0), rows(20, 1), 2, QUICK, 0, checkpoint=file)
    done: list[int] = []
    changed = replace(model, code_digest="sha256:other")
    fine_tune(
        changed, rows(40, 0), rows(20, 1), 2, QUICK, 0, checkpoint=file, progress=lambda step, _: done.append(step)
    )
    assert done[0] == 1, "other code begins anew"
    fine_tune(model, rows(40, 0), rows(20, 1), 2, QUICK, 0, checkpoint=file)
    train, done = rows(40, 0), []
    edited = replace(train, sequences=[*train.sequences[:-1], train.sequences[-1][::-1]])
    fine_tune(model, edited, rows(20, 1), 2, QUICK, 0, checkpoint=file, progress=lambda step, _: done.append(step))
    assert done[0] == 1, "other sequences under the same ids begin anew"
    before = file.read_bytes()
    unknown = replace(model, code_digest=None)
    fine_tune(unknown, rows(40, 0), rows(20, 1), 2, QUICK, 0, checkpoint=file)
    assert file.read_bytes() == before, "code that cannot be hashed leaves no checkpoint and takes none up"
    other = fine_tune(model, rows(40, 0), rows(20, 1), 2, QUICK, 1, checkpoint=file)
    assert same(other, fine_tune(model, rows(40, 0), rows(20, 1), 2, QUICK, 1))


def test_seeds_differ_and_repeat() -> None:
    model, data = hyena(), (rows(40, 0), rows(20, 1), 2, QUICK)
    torch.manual_seed(1)
    first = fine_tune(model, *data, 0)
    state = torch.random.get_rng_state()
    assert same(first, fine_tune(model, *data, 0))
    assert torch.equal(state, torch.random.get_rng_state())  # nobody else's random numbers are touched
    assert not same(first, fine_tune(model, *data, 1))
    assert first.varies == ("head initialisation", "row order", "dropout")


def test_selection_last_and_test() -> None:
    model, train, validation = hyena(), rows(60, 0), rows(30, 1)
    last = fine_tune(model, train, validation, 2, QUICK, 0, selection="last")
    assert last.settings["chosen_step"] == last.settings["steps"] == 8
    test = rows(30, 2)
    chosen = fine_tune(model, train, validation, 2, replace(QUICK, epochs=4), 0, selection="test", test=test)
    scores = chosen.predict_scores(test)
    assert chosen.validation["loss"] == pytest.approx(-np.log(scores[np.arange(30), test.labels]).mean(), abs=1e-5)
    with pytest.raises(UsageError, match="needs the test split"):
        fine_tune(model, train, validation, 2, QUICK, 0, selection="test")


def test_a_step_that_does_not_fit_is_done_in_smaller_portions() -> None:
    data = (rows(32, 0), rows(20, 1), 2, replace(QUICK, batch_size=32, epochs=3), 0)
    roomy = fine_tune(hyena(), *data)
    assert roomy.settings["batch"] == {"requested": "auto", "effective": 32, "micro": 32}

    class Narrow(type(hyena().backbone)):  # type: ignore[misc]
        def forward(self, batch: TokenBatch, **options: Any) -> Any:
            if self.training and batch.mask.numel() > 700:
                raise torch.OutOfMemoryError("out of memory, as a small device would say")
            return super().forward(batch, **options)

    model = hyena()
    model.backbone.__class__ = Narrow
    cramped = fine_tune(model, *data)
    assert 1 <= cramped.settings["batch"]["micro"] < 32
    assert cramped.settings["batch"]["effective"] == 32
    for one, other in zip(roomy.validation["path"], cramped.validation["path"], strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-3)
    model.backbone.__class__ = type("Nothing", (Narrow,), {"forward": _never})
    with pytest.raises(torch.OutOfMemoryError, match="one row of"):
        fine_tune(model, *data)


def _never(self: Any, batch: TokenBatch, **options: Any) -> Any:
    raise torch.OutOfMemoryError("out of memory")


def test_gradients_do_not_depend_on_portions() -> None:
    data = (rows(40, 0), rows(20, 1), 2, replace(QUICK, epochs=1, batch_size=20), 0)
    one, other = (fine_tune(hyena(), *data, batch_size=size) for size in (20, 3))
    assert one.validation["path"][0]["train_loss"] == pytest.approx(other.validation["path"][0]["train_loss"], abs=1e-5)
    assert one.validation["loss"] == pytest.approx(other.validation["loss"], abs=1e-4)
    assert other.settings["batch"]["micro"] == 3


def test_frozen_layers_stay_and_the_others_move() -> None:
    model = hyena()
    data = (rows(40, 0), rows(20, 1), 2)
    groups = layer_parameters(model.backbone)
    assert len(groups) == 3
    names = {id(p): name for name, p in model.backbone.named_parameters()}
    tuned = fine_tune(model, *data, replace(QUICK, freeze_layers=1), 0)
    start, end = model.backbone.state_dict(), tuned.model.backbone.state_dict()
    moved = {name for name in start if not torch.equal(start[name], end[name])}
    assert not moved & {names[id(p)] for group in groups[:2] for p in group}
    assert moved & {names[id(p)] for p in groups[2]}
    frozen = fine_tune(model, *data, replace(QUICK, freeze_layers=-1), 0)
    assert all(torch.equal(start[n], v) for n, v in frozen.model.backbone.state_dict().items())
    assert frozen.settings["trained_parameters"] == 32 * 2 + 2
    with pytest.raises(UsageError, match="2 layers"):
        fine_tune(model, *data, replace(QUICK, freeze_layers=3), 0)


@pytest.mark.parametrize("make", [hyena, chordmixer])
def test_low_rank_adapters_train_and_the_weights_below_stay(make: Callable[[], LoadedModel]) -> None:
    pytest.importorskip("peft")
    model = make()
    tuned = fine_tune(model, rows(64, 0), rows(20, 1), 2, replace(QUICK, lora_rank=2, epochs=3), 0)
    end = tuned.model.backbone.state_dict()
    adapters = {name: value for name, value in end.items() if "lora_B" in name}
    assert adapters
    assert any(value.abs().max() > 0 for value in adapters.values())
    for name, value in model.backbone.state_dict().items():
        kept = end.get(name)
        if kept is None:
            head, _, tail = name.rpartition(".")
            kept = end[f"{head}.base_layer.{tail}"]
        assert torch.equal(value, kept), name
    assert tuned.settings["trained_parameters"] < sum(p.numel() for p in model.backbone.parameters())
    torch.manual_seed(1)  # adapters are drawn from the run's seed and nothing else
    assert same(tuned, fine_tune(model, rows(64, 0), rows(20, 1), 2, replace(QUICK, lora_rank=2, epochs=3), 0))


def test_gradient_checkpointing_changes_nothing_but_memory() -> None:
    data = (rows(32, 0), rows(20, 1), 2)
    plain, checkpointed = (
        fine_tune(hyena(), *data, replace(QUICK, gradient_checkpointing=g), 0) for g in (False, True)
    )
    one, other = weights(plain), weights(checkpointed)
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def test_strands() -> None:
    data = (rows(40, 0), rows(20, 1), 2, QUICK, 0)
    test = rows(20, 2)
    other = SequenceTable([reverse_complement(s) for s in test.sequences], test.labels, test.ids)
    for strand in ("rc-mean", "rc-logit-mean"):
        tuned = fine_tune(hyena(), *data, strand=strand)
        assert tuned.predict_scores(test) == pytest.approx(tuned.predict_scores(other), abs=1e-5)
    forward = fine_tune(hyena(), *data)
    assert np.abs(forward.predict_scores(test) - forward.predict_scores(other)).max() > 1e-4
    with pytest.raises(UsageError, match="strand"):
        fine_tune(hyena(), *data, strand="both")


def test_windows_cover_long_rows_and_coverage_says_what_was_read() -> None:
    model = hyena()
    train = rows(24, 0, length=400)
    counted: list[dict[str, Any]] = []
    preset = replace(QUICK, epochs=1, max_length=100)
    for window, share in (("truncate", 100 / 380), ("window", 1.0)):
        counted.clear()
        tuned = fine_tune(
            model, train, train, 2, preset, 0, window=window, counted=lambda c, b: counted.append({**c, **b})
        )
        tuned.predict_scores(train)
        assert len(counted) == 2
        for entry in counted:
            assert entry["bases_seen"] / entry["bases_total"] == pytest.approx(share, abs=0.03)
    pieces = Reading(WindowPolicy.parse("window"), 100, both_strands=True).pieces(["A" * 250, "C" * 10])
    assert [len(s) for s in pieces.sequences] == [100, 100, 100, 100, 50, 50, 10, 10]
    assert pieces.owner.tolist() == [0] * 6 + [1] * 2
    assert np.bincount(pieces.owner, pieces.share) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("strand", ["forward", "rc-mean", "rc-augment"])
def test_bases_behind_the_window_change_nothing_on_either_strand(strand: str) -> None:
    model, preset = hyena(), replace(QUICK, epochs=1, max_length=100)
    heads, tails = rows(24, 0, length=100), rows(24, 3, length=60)
    long = replace(heads, sequences=[(a * 2)[:100] + b for a, b in zip(heads.sequences, tails.sequences, strict=True)])
    short = replace(heads, sequences=[s[:100] for s in long.sequences])
    assert same(
        *(fine_tune(model, table, table, 2, preset, 0, strand=strand, window="truncate") for table in (long, short))
    )


def test_tokens_are_cut_before_the_last_special_one() -> None:
    ids = torch.tensor([[1, 5, 6, 7, 8, 2], [1, 5, 2, 0, 0, 0]])
    mask = ids > 0
    special = (ids == 1) | (ids == 2)
    cut = cut_tokens(TokenBatch(ids, mask, special, (mask & ~special).int() * 3, torch.tensor([12, 3])), 4)
    assert cut.inputs.tolist() == [[1, 5, 6, 2], [1, 5, 2, 0]]
    assert cut.spans.tolist() == [[0, 3, 3, 0], [0, 3, 0, 0]]
    assert cut.special.tolist() == [[True, False, False, True], [True, False, True, False]]


def test_epochs_steps_and_patience() -> None:
    data = (rows(40, 0), rows(20, 1), 2)

    def steps(**changes: Any) -> int:
        return fine_tune(hyena(), *data, replace(QUICK, **changes), 0).settings["steps"]

    assert steps(epochs=2) == 6
    assert steps(epochs=2, drop_last=True) == 4
    assert steps(epochs=2, max_steps=4) == 4
    assert steps(epochs=1, min_steps=10) == 10
    assert steps(epochs=50, lr=0.0, patience=1) == 9  # nothing ever improves: the first validation and two more
    every = fine_tune(hyena(), *data, replace(QUICK, validate_every=2), 0)
    assert [entry["step"] for entry in every.validation["path"]] == [2, 4, 6]


def test_a_collapsed_run_says_so() -> None:
    table = rows(40, 0)
    lopsided = SequenceTable(table.sequences, np.r_[np.ones(39, np.int64), 0], table.ids)
    tuned = fine_tune(hyena(), lopsided, rows(20, 1), 2, replace(QUICK, epochs=3), 0)
    assert any("collapsed" in warning for warning in tuned.warnings)


def test_gradients_that_never_become_finite_end_the_run() -> None:
    model = hyena()
    with torch.no_grad():
        next(iter(model.backbone.parameters())).fill_(float("inf"))
    with pytest.raises(ModelError, match="finite"):
        fine_tune(model, rows(400, 0), rows(20, 1), 2, QUICK, 0)


def test_presets_may_change_the_backbone() -> None:
    asked: list[Any] = []

    def reload(changes: Any) -> LoadedModel:
        asked.append(dict(changes))
        return chordmixer(**changes)

    preset = replace(QUICK, epochs=1, backbone={"chordmixer": {"dropout": 0.5}, "other": {"x": 1}})
    fine_tune(chordmixer(), rows(20, 0), rows(10, 1), 2, preset, 0, reload=reload)
    assert asked == [{"dropout": 0.5}]
    fine_tune(hyena(), rows(20, 0), rows(10, 1), 2, preset, 0)
    with pytest.raises(UsageError, match="load it anew"):
        fine_tune(chordmixer(), rows(20, 0), rows(10, 1), 2, preset, 0)


def test_drawn_settings_are_the_same_for_every_model() -> None:
    drawn = QUICK.variations(5)
    assert drawn[0] == QUICK
    assert drawn == QUICK.variations(5)
    assert len({preset.lr for preset in drawn}) == 5
    assert all(QUICK.lr / 10.1 < preset.lr < QUICK.lr * 10.1 for preset in drawn)


def test_a_backbone_without_a_stack_of_layers_cannot_be_frozen_in_part() -> None:
    class Plain(type(hyena().backbone)):  # type: ignore[misc]
        def named_modules(self, *arguments: Any, **options: Any) -> Any:
            return iter(())

    model = hyena()
    model.backbone.__class__ = Plain
    with pytest.raises(UnsupportedError, match="only as a whole"):
        layer_parameters(model.backbone)


def test_a_search_keeps_what_validation_likes_best_and_tells_all(tmp_path: Path) -> None:
    model, data = chordmixer(), (by_gc(120, 0), by_gc(60, 1), 2)
    presets = [replace(QUICK, lr=lr, epochs=3) for lr in (1e-5, 5e-3)]
    done: list[tuple[int, int]] = []
    best = search(model, *data, presets, 0, checkpoint=tmp_path / "cell.pt", progress=lambda *at: done.append(at))
    trials = best.trials
    assert [trial["settings"]["lr"] for trial in trials] == [1e-5, 5e-3]
    assert best.settings["lr"] == min(trials, key=lambda trial: trial["validation"]["loss"])["settings"]["lr"] == 5e-3
    assert same(best, fine_tune(model, *data, presets[1], 0))
    assert done[-1] == (48, 48)
    assert len(list(tmp_path.iterdir())) == 2
    done.clear()
    assert same(
        best, search(model, *data, presets, 0, checkpoint=tmp_path / "cell.pt", progress=lambda *at: done.append(at))
    )
    assert not done  # both trials were finished
    best.discard_checkpoint()
    assert not list(tmp_path.iterdir())


def test_the_default_trains_a_small_network() -> None:
    """One rate for all, 1e-4, left it at one class for every row."""
    default = replace(FINETUNE_PRESETS["default"], epochs=1, min_steps=30)
    model, data = chordmixer(), (by_gc(320, 0), by_gc(200, 1), 2)
    tuned = fine_tune(model, *data, default, 0)
    by_composition = np.mean([(2 * gc(s) > 1) == y for s, y in zip(data[1].sequences, data[1].labels, strict=True)])
    assert tuned.validation["accuracy"] > by_composition - 0.1
    assert [trial["settings"]["lr"] for trial in tuned.trials] == [5e-5, 1.6e-4, 5e-4, 1.6e-3, 5e-3]
    assert tuned.settings["lr"] == min(tuned.trials, key=lambda trial: trial["validation"]["loss"])["settings"]["lr"]
    alone = fine_tune(model, *data, replace(default, lr=1e-4, rates=(1.0,)), 0)
    assert alone.validation["accuracy"] == 0.5


RATES = replace(QUICK, lr=None, rates=(0.1, 1.0, 10.0), trial_steps=4, epochs=3)


def test_short_trials_choose_a_rate_and_the_best_one_is_trained_to_the_end(tmp_path: Path) -> None:
    model, data = chordmixer(), (by_gc(120, 0), by_gc(60, 1), 2)
    file, done = tmp_path / "cell.pt", list[tuple[int, int]]()
    tuned = fine_tune(model, *data, RATES, 0, checkpoint=file, progress=lambda *at: done.append(at))
    trials = tuned.trials
    assert [(trial["settings"]["lr"], trial["steps"]) for trial in trials[:3]] == [(5e-5, 4), (5e-4, 4), (5e-3, 4)]
    chosen = min(trials[:3], key=lambda trial: trial["validation"]["loss"])["settings"]["lr"]
    assert (trials[3]["settings"]["lr"], trials[3]["steps"]) == (chosen, 24)
    assert tuned.settings["chosen_trial"] == 3
    assert done[-1] == (36, 36)
    assert same(tuned, fine_tune(model, *data, replace(QUICK, lr=chosen, epochs=3), 0))
    assert chosen == 5e-3
    assert tuned.warnings == [
        *fine_tune(model, *data, replace(QUICK, lr=chosen, epochs=3), 0).warnings,
        "the highest learning rate of the grid (0.005) was the best on validation; a higher one might be better",
    ]
    done.clear()
    again = fine_tune(model, *data, RATES, 0, checkpoint=file, progress=lambda *at: done.append(at))
    assert same(tuned, again)
    assert again.trials == trials
    assert not done  # all four runs were finished


@pytest.mark.parametrize("step", [2, 5, 14, 30])
def test_a_choice_of_rates_that_was_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr("findna_bench.protocols.fine_tuning_run._CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("findna_bench.protocols.fine_tuning_run._CHECKPOINT_SHARE", 1e9)
    model, data, done = chordmixer(), (by_gc(120, 0), by_gc(60, 1), 2), list[int]()
    with pytest.raises(Interrupted):
        fine_tune(model, *data, RATES, 0, checkpoint=tmp_path / "cell.pt", progress=stop_at(step))
    resumed = fine_tune(model, *data, RATES, 0, checkpoint=tmp_path / "cell.pt", progress=lambda at, _: done.append(at))
    whole = fine_tune(model, *data, RATES, 0)
    assert done[0] >= step - 1
    assert same(resumed, whole)
    assert resumed.trials == whole.trials


def test_a_whole_run_worse_than_its_trial_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = hyena(), (rows(60, 0), rows(20, 1), 2)
    finite = fine_tune(model, *data, replace(RATES, rates=(0.1, 1.0)), 0)
    wild = replace(RATES, rates=(1.0, 1e34), clip=None, head_lr=1e-3)
    tuned = fine_tune(model, *data, wild, 0)
    assert tuned.trials[1]["validation"] is None
    assert "error" in tuned.trials[1]
    assert tuned.settings["lr"] == 6e-4
    losses = [trial["validation"]["loss"] for trial in finite.trials]
    assert finite.validation["loss"] == min(losses)
    assert finite.settings["chosen_trial"] == losses.index(min(losses))


@pytest.mark.parametrize("selection", ["last", "test"])
def test_without_a_choice_on_validation_the_centre_alone_is_trained(selection: str) -> None:
    model, data = hyena(), (rows(40, 0), rows(20, 1), 2)
    tuned = fine_tune(model, *data, RATES, 0, selection=selection, test=rows(20, 2))
    assert (tuned.settings["lr"], tuned.trials) == (6e-4, [])


def test_a_search_holds_one_copy_of_the_model_at_a_time() -> None:
    model = chordmixer()
    alive: list[int] = []

    def count(done: int, total: int) -> None:
        alive.append(sum(type(thing) is type(model.backbone) for thing in get_objects()))

    collect()
    others = sum(type(thing) is type(model.backbone) for thing in get_objects())
    search(model, by_gc(48, 0), by_gc(20, 1), 2, replace(QUICK, epochs=1).variations(3), 0, progress=count)
    assert max(alive) == others + 1


def test_a_trial_that_does_not_stay_finite_is_recorded_and_the_others_go_on() -> None:
    model, data = hyena(), (rows(60, 0), rows(20, 1), 2)
    wild = replace(QUICK, lr=1e30, clip=None, epochs=20)
    best = search(model, *data, [wild, QUICK], 0)
    assert best.settings["chosen_trial"] == 1
    assert best.trials[0]["validation"] is None
    assert "gives NaN or infinity" in best.trials[0]["error"]
    with pytest.raises(ModelError, match="none of 2 settings stayed finite"):
        search(model, *data, [wild, replace(wild, lr=1e31)], 0)


def test_a_search_chooses_on_validation_or_not_at_all() -> None:
    for selection in ("last", "test"):
        with pytest.raises(UsageError, match=f"--selection {selection} does not look at"):
            search(hyena(), rows(20, 0), rows(10, 1), 2, [QUICK], 0, selection=selection, test=rows(10, 2))


BERT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 32}
SIZES: dict[str, dict[str, Any]] = {
    "nt-v2-50m": {"d_model": 24, "n_layers": 2, "n_heads": 3, "d_inner": 32, "max_positions": 66},
    "caduceus-ps": {"d_model": 16, "n_layers": 2, "d_state": 4},
    "caduceus-ph": {"d_model": 16, "n_layers": 2, "d_state": 4},
    "findna-t": {"width": 24, "layers": 2, "heads": 3, "feedforward": 32, "positions": 128},
    "findna-t gated": {"width": 24, "layers": 2, "attention": "gau", "query_width": 8, "group": 16, "positions": 128},
}


def dnabert2(folder: Path) -> LoadedModel:
    """Over a few byte pairs of its own: the published ones are not part of the tests."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"ACGT", "AC", "GT", "TA"]
    pairs = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, [tuple(w) for w in words[9:]], unk_token="[UNK]"))
    pairs.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    pairs.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    pairs.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    sizes = {"d_model": 24, "n_layers": 2, "n_heads": 3, "d_inner": 32, "vocab_size": len(words)}
    backbone = load_factory(get_registry().resolve("backbones", "dnabert2").card.factory, "dnabert2")(
        **sizes, files={"tokenizer.json": folder / "tokenizer.json"}
    )
    card = get_registry().resolve("models", "dnabert2").card
    return replace(hyena(), backbone=backbone.eval(), card=card, config=sizes)


def small(name: str, folder: Path) -> LoadedModel:
    if name == "dnabert2":
        return dnabert2(folder)
    if name in ("findna", "hyenadna"):
        return chordmixer() if name == "findna" else hyena()
    if name in ("dnabert-6", "nt-500m-human"):  # of transformers' architectures
        published = get_registry().resolve("models", name).card.config["published"]
        return load_model(f"{name}@random", config={"published": {**published, **BERT}}, device="cpu")
    return load_model(f"{name.split()[0]}@random", config=SIZES[name], device="cpu")


@pytest.mark.parametrize("name", [*SIZES, "dnabert2", "dnabert-6", "nt-500m-human", "hyenadna", "findna"])
@pytest.mark.parametrize(
    "changes", [{}, {"lora_rank": 2}, {"freeze_layers": 1, "gradient_checkpointing": True}], ids=str
)
def test_every_architecture_trains_with_validation_in_between(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    preset = replace(QUICK, batch_size=8, epochs=1, validate_every=1, **changes)
    model = small(name, tmp_path)
    tuned = fine_tune(model, rows(24, 0), rows(10, 1), 2, preset, 0)
    start, end = model.backbone.state_dict(), tuned.model.backbone.state_dict()
    moved = {n for n in end if not torch.equal(start.get(n.replace(".base_layer", ""), torch.tensor(0)), end[n])}
    assert moved
    if preset.lora_rank:
        assert all("lora_" in n for n in moved)
    assert len(tuned.validation["path"]) == 3


class WatchedClasses(Classes):
    """Whose loss notes what it is computed in."""

    def __init__(self) -> None:
        self.name = "classes"
        self.seen: set[tuple[torch.dtype, bool]] = set()

    def loss(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        self.seen.add((logits.dtype, torch.is_autocast_enabled("cpu")))
        return super().loss(logits, truth)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_loss_is_computed_in_at_least_single_precision_whatever_the_network_computes_in(dtype: str) -> None:
    target = WatchedClasses()
    model = load_model("hyenadna@random", config=SMALL, device="cpu", dtype=dtype)
    data = LabelledRows(by_gc(16, 0), by_gc(8, 1), 2, target=target)
    fine_tuning.fine_tune(model, data, replace(QUICK, epochs=1), 0, FineTuneOptions())
    assert target.seen == {(torch.float32, False), (torch.float64, False)}  # of train and of validation rows
