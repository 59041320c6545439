"""``--shots K``: the K rows of each class are all labelled rows that a fit sees, whatever chooses on validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import findna_bench as fb
from findna_bench.errors import UsageError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.protocols.heads import AdamWProbe, LogisticProbe, SeedSplit, fit_probe, with_reverse_strand
from findna_bench.protocols.seed_splits import few_shot_split
from findna_bench.protocols.settings import FINETUNE_PRESETS, FineTuning

WAYS: dict[str, dict[str, Any]] = {
    "probe": {"models": ["findna-tiny"]},
    "adamw": {"models": ["findna-tiny"], "preset": "findna-paper-inferred"},
    "knn": {"models": ["findna-tiny"], "protocol": "knn"},
    "fine-tuning": {"models": ["findna-tiny@random"], "protocol": "finetune"},
    "k-mers": {"models": ["kmer"]},
    "trees": {"models": ["trivial"]},
    "network": {"models": ["cnn"]},
}


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fine-tuning of a few steps."""
    monkeypatch.setitem(FINETUNE_PRESETS, "default", FineTuning(lr=1e-3, epochs=2, batch_size=8))  # type: ignore[misc]


def write_split(folder: Path, *, n_validation: int, flipped: bool) -> Path:
    """Train, validation and test rows in which class 1 is rich in G; ``flipped``: every validation label is wrong."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name, n in (("train", 60), ("validation", n_validation), ("test", 60)):
        labels = np.arange(n) % 2
        rows = [
            "".join(generator.choice(list("ACGT"), size=40, p=[0.25, 0.25, 0.25 + 0.08 * y, 0.25 - 0.08 * y]))
            for y in labels
        ]
        wrong = flipped and name == "validation"
        pd.DataFrame({"sequence": rows, "label": 1 - labels if wrong else labels}).to_csv(
            folder / f"{name}.csv", index=False
        )
    return folder


def run(task: Path, out: Path, way: str, **options: Any) -> list[fb.Result]:
    chosen = {"shots": (10,), "seeds": 2, "sanity": False, "device": "cpu", "batch_size": 64, **WAYS[way], **options}
    results = fb.run(chosen.pop("models"), [str(task)], output_dir=out, **chosen)
    assert [r.status for r in results if r.error] == [], [r.error.message for r in results if r.error]
    return results


def values(results: list[fb.Result]) -> list[float | None]:
    return [r.metrics.main.value for r in results] + [r.metrics.all["auroc"] for r in results]


@pytest.mark.parametrize("way", WAYS)
def test_ten_shots_are_all_labelled_rows_that_a_fit_sees(way: str, tmp_path: Path) -> None:
    n = 1000 if way == "probe" else 40
    right = write_split(tmp_path / "right" / "task", n_validation=n, flipped=False)
    wrong = write_split(tmp_path / "wrong" / "task", n_validation=n, flipped=True)
    results = run(right, tmp_path / "a", way)
    for result in results:
        settings = result.protocol.settings
        assert settings["train_rows"] + settings["validation_rows"] == 20
        assert settings["seed_varies"][0] == "few-shot draw"
        crossed = way in ("probe", "adamw", "knn", "k-mers")
        expected = "cross-validation within the shots" if crossed else "held out within the shots"
        assert (settings["validation_split"], settings["train_rows"]) == (expected, 20 if crossed else 16)
        assert result.n_effective_seeds == 2
        assert "10-shot" in result.flags
    assert values(run(wrong, tmp_path / "b", way)) == values(results)


@pytest.mark.parametrize("way", WAYS)
def test_one_shot_has_nothing_to_choose_on(way: str, tmp_path: Path) -> None:
    task = write_split(tmp_path / "task", n_validation=30, flipped=False)
    for result in run(task, tmp_path / "r", way, shots=(1,)):
        settings, validation = result.protocol.settings, result.validation
        assert (settings["train_rows"], settings["validation_rows"], settings["validation_split"]) == (2, 0, "none")
        assert validation["metrics"].get("loss") is None
        assert "accuracy" not in validation["metrics"]
    if way == "probe":
        assert result.validation["selected"]["strength"] == 0.5  # C = 1 of scikit-learn, two rows


def test_the_old_way_has_a_name_of_its_own(tmp_path: Path) -> None:
    task = write_split(tmp_path / "task", n_validation=100, flipped=False)
    within, full = (run(task, tmp_path / "r", "probe", shot_validation=way) for way in ("within", "full"))
    assert {r.request_id for r in within}.isdisjoint(r.request_id for r in full)
    assert {r.config_id for r in within}.isdisjoint(r.config_id for r in full)
    settings = full[0].protocol.settings
    assert (settings["train_rows"], settings["validation_rows"]) == (20, 100)
    assert (settings["validation_split"], settings["shot_validation"]) == ("official", "full")
    assert "10-shot, full validation" in full[0].flags
    assert {table.part for table in leaderboard([*within, *full]).tables} == {"10-shot", "10-shot, full validation"}
    with pytest.raises(UsageError, match="--shot-validation full says how --shots are validated"):
        run(task, tmp_path / "r", "probe", shots=(), shot_validation="full")


def test_nothing_is_searched_where_one_shot_leaves_nothing_to_choose_on(tmp_path: Path) -> None:
    task = write_split(tmp_path / "task", n_validation=10, flipped=False)
    options: dict[str, Any] = {"search": 2, "seeds": 1}
    one, two = run(task, tmp_path / "r", "fine-tuning", shots=(1, 2), **options)
    assert "trials" not in one.protocol.settings
    assert "own budget, not searched" in one.flags
    assert len(two.protocol.settings["trials"]) == 2
    again = run(task, tmp_path / "r", "fine-tuning", shots=(1, 2), **options)
    assert [r.created for r in again] == [one.created, two.created]


def test_shots_that_are_all_rows_are_no_draw(tmp_path: Path) -> None:
    task = write_split(tmp_path / "task", n_validation=10, flipped=False)
    (result,) = run(task, tmp_path / "knn", "knn", shots=(30,))
    assert (result.n_effective_seeds, result.protocol.settings["seed_varies"]) == (1, [])
    results = run(task, tmp_path / "probe", "probe", shots=(30,))
    assert [r.protocol.settings["seed_varies"] for r in results] == [["folds"]] * 2


def test_too_many_shots_name_the_class_that_has_fewer_rows(tmp_path: Path) -> None:
    task = write_split(tmp_path / "task", n_validation=10, flipped=False)
    for table in task.glob("*.csv"):
        rows = pd.read_csv(table)
        rows.assign(label=rows["label"].map({0: "poor", 1: "rich"})).to_csv(table, index=False)
    (skipped,) = fb.run(["kmer"], [str(task)], output_dir=tmp_path / "r", shots=(31,), seeds=1, protocol="knn")
    assert skipped.status == "skipped"
    assert skipped.error is not None
    assert skipped.error.message == "31 shots asked for, but 30 training rows are of class poor: ask for 30 or fewer"


def test_folds_are_stratified_keep_relatives_together_and_belong_to_the_seed() -> None:
    labels, rows = np.arange(60) % 3, np.arange(60)
    split = few_shot_split(labels, rows, rows, 7, seed=4)
    assert split.folds is not None
    assert len(split.folds) == 5
    assert sorted(np.concatenate([held for _, held in split.folds])) == sorted(split.train)
    for train, held in split.folds:
        assert sorted([*train, *held]) == sorted(split.train)
        assert set(np.bincount(labels[held])) <= {1, 2}
    same, other = (few_shot_split(labels, rows, rows, 7, seed=seed) for seed in (4, 5))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(split.folds, same.folds or (), strict=True))
    assert not np.array_equal(split.train, other.train)
    pairs = few_shot_split(labels, rows, rows // 6, 12, seed=0)
    for train, held in pairs.folds or ():
        assert not set(train // 6) & set(held // 6)
    one_family = few_shot_split(labels, rows, np.zeros(60, dtype=int), 4, seed=0)  # together they would leave nothing
    assert [len(held) for _, held in one_family.folds or ()] == [3, 3, 3, 3]


@pytest.mark.parametrize("preset", [LogisticProbe(), AdamWProbe(lr=0.05, epochs=40)])
def test_the_strength_is_that_of_the_lowest_held_out_loss_and_all_shots_are_fitted(preset: Any) -> None:
    """The same choice made by hand, fold by fold, through the public fit with validation rows."""
    generator = np.random.default_rng(3)
    labels = np.arange(40) % 2
    features = (generator.standard_normal((40, 12)) + 0.8 * labels[:, None]).astype(np.float32)
    split = few_shot_split(labels, np.arange(40), np.arange(40), 10, seed=1)
    (head,) = fit_probe(features, labels, [split], 2, preset)
    key, chosen = ("strength", "strength") if isinstance(preset, LogisticProbe) else ("epoch", "epoch")
    paths = []
    for train, held in split.folds or ():
        (one,) = fit_probe(features, labels, [SeedSplit(1, train, held)], 2, preset)
        paths.append({entry[key]: entry["loss"] for entry in one.validation["path"]})
    common = set.intersection(*map(set, paths))
    mean = {value: float(np.mean([path[value] for path in paths])) for value in common}
    assert head.settings[chosen] == min(mean, key=lambda value: mean[value])
    assert head.validation["loss"] == pytest.approx(min(mean.values()), rel=1e-6)
    assert head.validation["rows"] == 20
    assert head.settings["train_rows"] == 20


def test_a_held_out_row_is_not_trained_on_from_its_other_strand() -> None:
    labels = np.arange(20) % 2
    split = few_shot_split(labels, np.arange(20), np.arange(20), 4, seed=0)
    features = np.zeros((20, 3), dtype=np.float32)
    _, _, (doubled,) = with_reverse_strand(features, features, labels, [split])
    for train, held in doubled.folds or ():
        assert len(train) == 12
        assert not set(train % 20) & set(held)
        assert held.max() < 20
