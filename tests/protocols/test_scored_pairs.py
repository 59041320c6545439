"""Pairs are scored: their sides combined, each sequence read once, controls beside them, results that can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import findna_bench as fb
from findna_bench.cards import COMBINATIONS
from findna_bench.matrix.verification import verify
from findna_bench.protocols.settings import FINETUNE_PRESETS, FineTuning
from findna_bench.results.store import ResultStore

MOTIFS = ("TGACGTCACC", "AGATAAGCAG")


def pairs(n: int = 240, seed: int = 0, length: int = 40) -> pd.DataFrame:
    """Do both sides hold the same motif, in 19 of 20 rows? The distance says nothing of it."""
    rng = np.random.default_rng(seed)

    def planted(which: int) -> str:
        text, at = "".join(rng.choice(list("ACGT"), size=length)), int(rng.integers(0, length - 10))
        return text[:at] + MOTIFS[which] + text[at + 10 :]

    which = rng.integers(2, size=(n, 2))
    split = ["test" if i % 4 == 0 else "dev" if i % 4 == 1 else "train" for i in range(n)]
    return pd.DataFrame(
        {
            "sequence_a": [planted(a) for a, _ in which],
            "sequence_b": [planted(b) for _, b in which],
            "label": ["same" if (a == b) ^ (i % 20 == 7) else "other" for i, (a, b) in enumerate(which)],
            "distance": rng.integers(100, 10_000, size=n),
            "strand": rng.choice(["+", "-"], size=n),
            "split": split,
        }
    )


def swapped(frame: pd.DataFrame, rows: slice = slice(None, None, 2)) -> pd.DataFrame:
    """The same pairs, those of some rows in the other order."""
    found = frame.copy()
    a, b = frame.columns.get_loc("sequence_a"), frame.columns.get_loc("sequence_b")
    found.iloc[rows, [a, b]] = frame.iloc[rows, [b, a]].to_numpy()
    return found


class Words:
    """Which of the motifs there is, and counts of another word: a model that takes no time."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def embed(self, sequences: list[str]) -> np.ndarray:
        self.read.extend(sequences)
        which = [[s.count(MOTIFS[0]) - s.count(MOTIFS[1]), s.count("AC") / 10] for s in sequences]
        return np.array(which, dtype=np.float64)


def scores(folder: Path, result: Any) -> np.ndarray:
    assert result.status == "success", result.error
    return ResultStore(folder).predictions(result).scores


def test_a_score_on_the_combination_stands_beside_controls_that_ask_for_no_fit(tmp_path: Path) -> None:
    models = [Words(), "majority", "pair-a", "pair-distance", "pair-length", "pair-elements"]
    best, *controls = fb.run(models, pairs(100), seeds=1, output_dir=tmp_path)
    assert best.metrics.main.value > 0.85
    assert best.protocol.settings["combination"] == "absdiff_product"
    assert best.metrics.groups_by == "equal sequences on either strand, of any side; no coordinates are known"
    assert {r.status for r in controls} == {"success"}
    assert all(r.metrics.main.value < 0.8 for r in controls), {r.model.name: r.metrics.main.value for r in controls}


@pytest.mark.long
def test_kmers_are_chosen_and_read_on_the_combination(tmp_path: Path) -> None:
    combined, side = fb.run("kmer,pair-b", pairs(), seeds=1, output_dir=tmp_path)
    assert combined.metrics.main.value > 0.85
    assert side.metrics.main.value < 0.7


def test_a_linear_head_on_both_vectors_beside_each_other_cannot_see_that_they_fit(tmp_path: Path) -> None:
    table = pairs()
    for combination in COMBINATIONS:
        (found,) = fb.run([Words()], table, seeds=1, combination=combination, output_dir=tmp_path)
        assert found.protocol.settings["combination"] == combination
        assert (found.metrics.main.value > 0.85) == ("absdiff_product" in combination), combination
    assert len(fb.load_results(tmp_path)) == len(COMBINATIONS)


@pytest.mark.parametrize("strand", ["forward", "rc-mean"])
def test_each_sequence_is_read_once_and_the_order_of_the_sides_changes_nothing(strand: str, tmp_path: Path) -> None:
    table = pairs(60)
    table.loc[:20, "sequence_b"] = table.sequence_a[0]
    words = Words()
    (one,) = fb.run([words], table, seeds=1, output_dir=tmp_path / "o")
    assert one.status == "success"
    sides = {*table.sequence_a, *table.sequence_b}
    assert len(words.read) <= len(sides) + 3 * 2 * 3  # three rows are read again to see that the answers are the same
    models = ["findna-tiny", "trivial", "majority", "pair-length", "pair-distance", "pair-elements", Words()]
    options: dict[str, Any] = {"seeds": 1, "device": "cpu", "strand": strand}
    models = models if strand == "forward" else models[:1]
    both = [fb.run(models, t, output_dir=tmp_path / f"{i}", **options) for i, t in enumerate((table, swapped(table)))]
    for result, other in zip(*both, strict=True):
        mine, theirs = scores(tmp_path / "0", result), scores(tmp_path / "1", other)
        assert np.array_equal(mine, theirs), result.model.name
    assert both[0][0].coverage.bases_total == 60 * 80


def test_results_are_resumed_verified_and_named_by_their_combination(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    pairs(80).to_csv(path, index=False)
    options: dict[str, Any] = {"seeds": 2, "output_dir": tmp_path / "r"}
    first = fb.run("findna-tiny,pair-distance", [path], **options)
    plan = fb.plan("findna-tiny,pair-distance", [path], **options)
    assert plan.cells == plan.finished == len(first)
    again = fb.run("findna-tiny,pair-distance", [path], **options)
    assert [r.digest for r in again] == [r.digest for r in first]
    other = fb.run("findna-tiny,pair-distance", [path], combination="concat", **options)
    assert {r.identity for r in other}.isdisjoint(r.identity for r in first)
    assert not verify(tmp_path / "r", rerun=2, places={"p.csv": path}).findings


@pytest.mark.parametrize("target", ["values", "labels"])
def test_numbers_and_several_labels_of_pairs_are_predicted(target: str, tmp_path: Path) -> None:
    table = pairs(160)
    same = (table.pop("label") == "same").astype(int)
    if target == "values":
        table["value"] = same + np.random.default_rng(0).normal(0, 0.1, len(table))
    else:
        table["label_same"], table["label_odd"] = same, np.arange(len(table)) % 2
    models = [Words(), "trivial", "majority", "pair-distance", "pair-length", "pair-elements"]
    found = fb.run(models, table, seeds=1, output_dir=tmp_path)
    assert {r.status for r in found} == {"success"}, [r.error for r in found]
    best = "spearman" if target == "values" else "auroc_macro"
    assert found[0].metrics.all[best] > max(r.metrics.all[best] or 0.5 for r in found[3:]) + 0.1
    assert {r.status for r in fb.run([Words()], table, seeds=1, protocol="knn", output_dir=tmp_path)} == {"success"}


def test_models_and_protocols_that_read_no_pairs_say_so(tmp_path: Path) -> None:
    table = pairs(80)
    (found,) = fb.run("nn-overlap", table, seeds=1, output_dir=tmp_path)
    assert found.status == "skipped"
    assert "nn-overlap reads sequences, and rows of" in found.error.message
    (scored,) = fb.run("findna-tiny", table, seeds=1, protocol="zero_shot", output_dir=tmp_path)
    assert scored.status == "skipped"
    assert "--protocol zero_shot scores variants, and rows of" in scored.error.message
    (control,) = fb.run("pair-distance", table.drop(columns=["distance", "strand"]), seeds=1, output_dir=tmp_path)
    assert "these pairs have neither" in control.error.message
    (other,) = fb.run("pair-a", "demo/species4", seeds=1, output_dir=tmp_path)
    assert "pair-a reads pairs, and rows of demo/species4 are sequences" in other.error.message


def test_scores_within_strata_of_distance_are_in_every_result(tmp_path: Path) -> None:
    table = pairs(120)
    near = (table.label == "same") ^ (np.arange(120) % 10 == 0)  # distance says nearly everything
    table["distance"] = np.where(near, 1000, 90_000) + np.arange(120)
    table.loc[3, "distance"] = np.nan
    words, distance = fb.run([Words(), "pair-distance"], table, seeds=1, output_dir=tmp_path)
    for result in (words, distance):
        grouping = result.metrics.grouping
        assert (grouping["strata"], grouping["all"]) == ("distance", "rows")
        assert sum(group["n"] for group in result.metrics.groups.values()) == 30
        assert all(name.startswith("distance ") for name in result.metrics.groups)
        stored = ResultStore(tmp_path).predictions(result)
        assert grouping["within"]["auroc"] == pytest.approx(_within(stored))
    assert distance.metrics.all["auroc"] > 0.7
    assert distance.metrics.grouping["within"]["auroc"] < distance.metrics.all["auroc"] - 0.1
    assert words.metrics.grouping["within"]["auroc"] > 0.9
    assert not verify(tmp_path).findings


def _within(rows: Any) -> float:
    """A plain loop over all pairs of rows of one stratum."""
    won = []
    for i in np.flatnonzero(rows.labels == 1):
        for j in np.flatnonzero((rows.labels == 0) & (rows.elements == rows.elements[i])):
            one, other = rows.scores[i, 1], rows.scores[j, 1]
            won.append(1.0 if one > other else 0.5 if one == other else 0.0)
    return float(np.mean(won))


def test_a_network_is_fine_tuned_on_pairs_through_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = FineTuning(lr=1e-3, epochs=1, batch_size=8)
    monkeypatch.setitem(FINETUNE_PRESETS, "default", quick)  # type: ignore[misc]
    options: dict[str, Any] = {"protocol": "finetune", "seeds": 1, "device": "cpu", "output_dir": tmp_path}
    table = pairs(48)
    found = fb.run(["findna-tiny@random", "trivial"], table, strand="rc-augment", combination="concat", **options)
    assert found[0].status == "success", found[0].error
    assert found[0].protocol.settings["combination"] == "concat"
    assert found[0].coverage.bases_total == 48 * 80
    assert found[1].status == "skipped"  # a strand of its own
    (again,) = fb.run(["findna-tiny@random"], table, strand="rc-augment", combination="concat", **options)
    assert again.digest == found[0].digest


def test_folds_shots_and_comparisons_are_those_of_other_tasks(tmp_path: Path) -> None:
    table = pairs(120).drop(columns=["split"])
    options: dict[str, Any] = {"seeds": 1, "output_dir": tmp_path}
    folds = fb.run(["majority", "pair-distance"], table, split="grouped:*/3", **options)
    assert [r.status for r in folds] == ["success"] * 2, [r.error for r in folds]
    assert sum(group["n"] for group in folds[0].metrics.groups.values()) == 120
    assert folds[0].metrics.grouping["all"] == "folds"
    (few,) = fb.run(["pair-length"], table, shots=(4,), **options)
    assert (few.status, few.protocol.settings["train_rows"] + few.protocol.settings["validation_rows"]) == (
        "success",
        8,
    )
    compared = fb.compare(["majority", "pair-distance"], output_dir=tmp_path)
    assert compared.tasks
    assert not verify(tmp_path).findings
