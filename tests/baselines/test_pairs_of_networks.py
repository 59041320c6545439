"""Pairs for every first-party network: the order of the sides, padding, equal sides and a test split of one class are each read as they should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_likelihoods import CASES, built

import findna_bench as fb
from findna_baselines.controls.control_cards import MODELS as CONTROLS
from findna_bench.api import Backbone
from findna_bench.models.loading import load_model
from findna_bench.protocols.fine_tuning import FineTuneOptions, FineTuning, LabelledRows, fine_tune
from findna_bench.results.store import ResultStore

PADDING, LENGTH = "N" * 42, 42
BUILDERS = list(dict.fromkeys(build for build, _ in CASES))


def sequences(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), size=LENGTH)) for _ in range(n)]


def tables() -> dict[str, fb.SequenceTable]:
    """Train of both classes; a test split of one, with a side of N alone, and a pair of equal sides."""
    a, b = sequences(18, 0), sequences(18, 1)
    a[13], b[14] = PADDING, a[14]
    labels = np.array([0, 1] * 6 + [1] * 6)
    rows = fb.SequenceTable(a, labels, np.arange(18).astype(str), sequences_b=b)
    return {"train": rows.take(range(12)), "test": rows.take(range(12, 18))}


def swapped(table: fb.SequenceTable) -> fb.SequenceTable:
    """The same pairs, every other one in the other order."""
    turn = np.arange(len(table)) % 2 == 0
    sides = list(zip(table.texts, turn, strict=True))
    a, b = ([row[int(t) ^ side] for row, t in sides] for side in (0, 1))
    return replace(table, sequences=a, sequences_b=b)


NETWORKS = [
    pytest.param(
        build, protocol, id=f"{build.__name__}-{protocol}", marks=[] if protocol == "knn" else pytest.mark.long
    )
    for protocol in ("knn", "probe")
    for build in BUILDERS
]


@pytest.mark.parametrize(("build", "protocol"), NETWORKS)
def test_planted_pairs_are_read_alike_in_either_order(
    build: Callable[[Path], Backbone], protocol: str, tmp_path: Path
) -> None:
    backbone = built(build, tmp_path)
    found = []
    for number, turned in enumerate((False, True)):
        task = {split: swapped(table) if turned else table for split, table in tables().items()}
        (result,) = fb.run(
            [backbone], task, protocol=protocol, seeds=1, device="cpu", sanity=False, output_dir=tmp_path / f"r{number}"
        )
        assert result.status == "success", result.error
        assert result.metrics.all["auroc"] is None  # one class
        assert result.metrics.main.value is not None
        assert result.coverage.bases_total == 2 * 18 * LENGTH
        found.append(ResultStore(tmp_path / f"r{number}").predictions(result).scores)
    assert np.array_equal(*found)
    assert np.isfinite(found[0]).all()


def located(table: fb.SequenceTable, *, turned: bool) -> fb.SequenceTable:
    """With distances and strands, which belong to a pair in either order."""
    rng = np.random.default_rng(len(table))
    extra = {
        "distance": rng.integers(10, 9999, size=len(table)).astype(float),
        "strand": rng.choice(["+", "-"], len(table)),
    }
    return replace(swapped(table) if turned else table, extra=extra)


def scores_of(control: str, tables: dict[str, fb.SequenceTable], folder: Path, **options: Any) -> np.ndarray:
    (result,) = fb.run([control], tables, seeds=1, device="cpu", output_dir=folder, **options)
    assert result.status == "success", result.error
    return ResultStore(folder).predictions(result).scores


@pytest.mark.parametrize("protocol", ["probe", "knn"])
def test_every_control_of_pairs_reads_them_alike_in_either_order(protocol: str, tmp_path: Path) -> None:
    """Where the combination is symmetric; what reads one side alone is what the other control reads once all sides change places."""
    able = [card.name for card in CONTROLS if "pair" in card.inputs]
    one_side = {"pair-a": "pair-b", "pair-b": "pair-a"}
    orders = [{split: located(table, turned=turned) for split, table in tables().items()} for turned in (False, True)]
    ends = {
        split: replace(table, sequences=list(table.sequences_b or ()), sequences_b=list(table.sequences))
        for split, table in orders[0].items()
    }
    for control in able:
        if control in one_side:
            own = scores_of(control, orders[0], tmp_path / control, protocol=protocol)
            other = scores_of(one_side[control], ends, tmp_path / f"{control}-ends", protocol=protocol)
            assert np.array_equal(own, other), control
            continue
        one, two = (
            scores_of(control, order, tmp_path / f"{control}-{n}", protocol=protocol) for n, order in enumerate(orders)
        )
        assert np.isfinite(one).all()
        assert np.array_equal(one, two), control


def test_a_control_that_reads_no_pairs_says_so(tmp_path: Path) -> None:
    others = [card.name for card in CONTROLS if "pair" not in card.inputs and card.kind == "classifier"]
    for result in fb.run(others, tables(), seeds=1, output_dir=tmp_path / "r"):
        assert result.status == "skipped"
        assert result.error is not None
        assert "are pairs" in result.error.message


@pytest.mark.parametrize("combination", ["concat", "difference"])
def test_the_order_counts_where_the_combination_has_one(combination: str, tmp_path: Path) -> None:
    orders = [{split: located(table, turned=turned) for split, table in tables().items()} for turned in (False, True)]
    one, two = (scores_of("kmer", order, tmp_path / str(n), combination=combination) for n, order in enumerate(orders))
    assert not np.array_equal(one, two)


def test_one_network_is_tuned_on_both_sides() -> None:
    sizes = {"channels": 24, "track_size": 6, "hidden": 32, "layers": 1, "blocks_per_layer": 2}
    model = load_model("findna@random", config=sizes, device="cpu")
    rng = np.random.default_rng(0)

    def rows(n: int) -> fb.SequenceTable:
        """Do both sides have much G and C, or both little?"""
        which = rng.integers(2, size=(n, 2))
        shares = ((0.4, 0.1, 0.1, 0.4), (0.1, 0.4, 0.4, 0.1))
        a, b = (["".join(rng.choice(list("ACGT"), size=30, p=shares[w])) for w in which[:, side]] for side in (0, 1))
        labels = (which[:, 0] == which[:, 1]).astype(np.int64)
        return fb.SequenceTable(a, labels, np.arange(n).astype(str), sequences_b=b)

    train, validation, test = rows(160), rows(40), rows(100)
    counted: list[dict[str, int]] = []
    options = FineTuneOptions(combination="absdiff_product", counted=lambda c, batch: counted.append(dict(c)))
    preset = FineTuning(lr=1e-2, batch_size=16, epochs=6)
    tuned = fine_tune(model, LabelledRows(train, validation, 2), preset, 0, options)
    scores = tuned.predict_scores(test)
    assert (scores.argmax(1) == test.labels).mean() > 0.8
    assert np.array_equal(tuned.predict_scores(swapped(test)), scores)
    (weight,) = (p for p in tuned.net.head.parameters() if p.ndim == 2)
    assert weight.shape == (2, 48)
    assert counted[0]["bases_total"] == 2 * 200 * 30
    before, after = (dict(m.backbone.named_parameters()) for m in (model, tuned.model))
    assert any(not torch.equal(before[name], after[name]) for name in before)
