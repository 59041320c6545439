"""The audit of pairs: what is found again, and what needs no look at whether the sides fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.auditing.audit_pages import write_pages
from findna_bench.auditing.auditing import audit_tables
from findna_bench.auditing.cure import cure_tables
from findna_bench.errors import UnsupportedError
from findna_bench.sequences.alphabet import reverse_complement

N = 120


def sequences(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), size=40)) for _ in range(n)]


def tables(**more: Any) -> dict[str, fb.SequenceTable]:
    """Pairs that say nothing: train 120, test 120."""
    found = {}
    for number, split in enumerate(("train", "test")):
        found[split] = fb.SequenceTable(
            sequences(N, 10 * number),
            np.arange(N) % 2,
            np.array([f"{split}{i}" for i in range(N)]),
            sequences_b=sequences(N, 10 * number + 1),
            extra={name: of(number) for name, of in more.items()},
        )
    return found


def card(**more: Any) -> fb.TaskCard:
    return fb.TaskCard(name="pairs", suite="lab", labels=("far", "near"), inputs="pair", **more)


def test_pairs_that_say_nothing_are_clean_and_have_a_page(tmp_path: Path) -> None:
    report = audit_tables(tables(), card())
    assert (report.flags, report.verdict.level) == ((), "clean")
    assert set(report.controls) == {"majority", "length-trees", "composition-trees", "side-a", "side-b", "shared-side"}
    written = write_pages([report], tmp_path)
    page = next(path for path in written if path.name == "pairs.md").read_text()
    assert "a side in common" in page


def test_a_distance_that_gives_the_label_away_is_a_shortcut() -> None:
    rng = np.random.default_rng(0)
    given = tables(distance=lambda number: np.where(np.arange(N) % 2, 1000.0, 90_000.0) + rng.integers(0, 900, size=N))
    report = audit_tables(given, card())
    assert "shortcut: distance" in report.flags
    assert report.controls["distance-trees"].accuracy > 0.95
    rule = next(finding for finding in report.verdict.findings if finding.flag == "shortcut: distance")
    assert rule.rule_id == "shortcut/distance"


def test_padding_that_follows_the_label_is_a_shortcut_by_length() -> None:
    given = tables()
    for table in given.values():
        sides = table.sequences_b
        assert sides is not None
        for row in np.flatnonzero(table.labels == 1).tolist():
            sides[row] = sides[row][:25] + "N" * 15
    assert "shortcut: length" in audit_tables(given, card()).flags


def test_shared_sides_and_pairs_in_either_order_are_found_and_conflicts_named() -> None:
    given = tables()
    train, test = given["train"], given["test"]
    assert train.sequences_b is not None
    assert test.sequences_b is not None
    for row in range(40):
        test.sequences[row] = reverse_complement(train.sequences_b[row])
    for row in range(40, 46):
        test.sequences[row], test.sequences_b[row] = train.sequences_b[row + 1], train.sequences[row + 1]  # other label
    symmetric, ordered = audit_tables(given, card()), audit_tables(given, card(combination="concat"))
    for report in (symmetric, ordered):
        assert "leak: shared-side" in report.flags
        shared = report.across["train->test"].shared_side
        assert shared is not None
        assert shared.total == 46
    assert {"leak: duplicates", "conflicting-labels"} <= set(symmetric.flags)
    assert not {"leak: duplicates", "conflicting-labels"} & set(ordered.flags)
    assert not symmetric.settings["pairs"]["ordered"]


def test_copies_of_sides_are_related() -> None:
    given = tables()
    for row in range(30):
        whole = given["train"].sequences[row]
        given["test"].sequences[row] = whole[:20] + {"A": "C", "C": "G", "G": "T", "T": "A"}[whole[20]] + whole[21:]
    report = audit_tables(given, card())
    assert "leak: related-side" in report.flags
    assert "leak: shared-side" not in report.flags


def test_pairs_are_not_written_anew() -> None:
    with pytest.raises(UnsupportedError, match="--split grouped keeps pairs with a common side together"):
        cure_tables(tables(), card())
