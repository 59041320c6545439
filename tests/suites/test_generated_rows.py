"""Generated tasks give the same rows and the same best attainable score for good: results of before are about these."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from findna_bench.api import SequenceTable
from findna_bench.cards import TaskCard
from findna_bench.registry import get_registry, load_factory

GENERATED = {
    card.full_name: card for card in get_registry().cards("tasks") if (card.factory or "").startswith("findna_plugins.")
}
FEW = {"train": 12, "validation": 7, "test": 9}
# Of the rows that FEW asks for: the first digits of their digest. A new number here is a new task: results of before are of other rows.
ROWS = {
    "copy-recall/control": "c4b34887e67f98f1",
    "copy-recall/exact": "cbe29f5b63d86d9f",
    "copy-recall/exact-far": "d78192cfc6b99cc6",
    "copy-recall/inverted": "a8d5356ab8ae07c1",
    "copy-recall/inverted-far": "c04061b1ec3ff10f",
    "copy-recall/mutated": "e921f38abeff872d",
    "copy-recall/mutated-far": "f4e6ea898fc1c177",
    "synthetic-kinds/motif_dose": "04f922b6a8f05fc0",
    "synthetic-kinds/motif_labels": "7fec2f9b889904ce",
    "synthetic-kinds/motif_sites": "68b5b97ee15c0541",
    "synthetic-kinds/site_variants": "2b3486bdf9763ded",
    "synthetic-pairs/shared_motif": "04d7077ca190ee22",
    "synthetic-pairs/shared_motif_distance": "972ee140024014b1",
    "synthetic/distant_motifs": "67d4150f4f35a77c",
    "synthetic/gc_content": "2306b89c742ce1bd",
    "synthetic/motif_order": "9b52374e8fb5237f",
    "synthetic/planted_motif": "f95da2c73b597969",
    "synthetic/spacing": "e8bf59714f819a9b",
    "synthetic/strand_symmetric_motif": "d711894aac41320c",
}
# By hand where there is a closed form, else what the simulation gave whose standard error the generators name.
ATTAINABLE = {
    "synthetic-kinds/motif_dose": (1.5625 / 1.8125)
    ** 0.5,  # counts of 0 to 3 have a variance of 5 / 4; weights 1 and -1/2; noise 1/2
    "synthetic-kinds/motif_labels": (1 + 0.36 / 0.42 - 0.04 / 0.58) / 2,
    "synthetic-kinds/motif_sites": 0.18 * 0.8 / (0.2 * 0.18 * 0.82 * 0.8) ** 0.5,
    "synthetic-kinds/site_variants": (0.531875 / (0.531875 + 0.35**2)) ** 0.5,  # weights: mean 1.15, mean square 1.725
    **{f"copy-recall/{kind}{far}": 1.0 for kind in ("exact", "mutated", "inverted") for far in ("", "-far")},
    "copy-recall/control": 0.5,
    "synthetic/gc_content": float(np.maximum(*(binom.pmf(np.arange(201), 200, gc) for gc in (0.45, 0.55))).sum() / 2),
    "synthetic/planted_motif": 0.92970377,
    "synthetic/strand_symmetric_motif": 0.89576197,
    "synthetic/motif_order": 0.98285590,
    "synthetic/spacing": 0.99188938,
    "synthetic/distant_motifs": 0.99356465,
    **dict.fromkeys(("synthetic-pairs/shared_motif", "synthetic-pairs/shared_motif_distance"), 0.99290175),
}


def few_rows(card: TaskCard) -> Mapping[str, SequenceTable]:
    rows: Any = 3 if card.suite == "copy-recall" else FEW
    tables: Mapping[str, SequenceTable] = load_factory(str(card.factory), card.name)({**card.config, "rows": rows})
    return tables


def digest(tables: Mapping[str, SequenceTable]) -> str:
    hashed = hashlib.sha256()
    for split, table in sorted(tables.items()):
        columns: dict[str, Any] = {"ids": table.ids, "labels": table.labels, **table.extra}
        sides = [table.sequences, *([] if table.sequences_b is None else [table.sequences_b])]
        hashed.update(
            repr((split, sides, [(name, np.asarray(columns[name]).tolist()) for name in sorted(columns)])).encode()
        )
    return hashed.hexdigest()[:16]


def test_every_generated_task_is_held_here() -> None:
    assert set(ROWS) == set(ATTAINABLE) == set(GENERATED)


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_rows_stay_what_they_are(name: str) -> None:
    assert digest(few_rows(GENERATED[name])) == ROWS[name]


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_the_best_attainable_score_stays_what_it_is(name: str) -> None:
    card = GENERATED[name]
    assert load_factory(str(card.attainable), name)(card.config) == pytest.approx(ATTAINABLE[name], abs=1e-6)
