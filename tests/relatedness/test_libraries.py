"""Designed libraries: variants of one parent belong together, constant segments and repeats make nobody related."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from findna_bench.auditing.auditing import audit_tables
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.relatedness.components import components
from findna_bench.relatedness.libraries import find_library

SCAFFOLD = "TCTAGAAATAAAGAGTATCATCTTTCAAAGGATCCTTAAC"
CARD = TaskCard(name="library", suite="made-up", labels=("low", "high"))


def sequence(generator: np.random.Generator, length: int) -> str:
    return "".join(generator.choice(list("ACGT"), size=length))


def library(generator: np.random.Generator, parents: int = 40, variants: int = 8) -> tuple[list[str], np.ndarray]:
    """Variants of parents of 150 bases; a block of 10 is exchanged, a third of all carries a scaffold. With each row's parent."""
    rows, parent_of = [], []
    for parent in range(parents):
        whole = sequence(generator, 150)
        for variant in range(variants):
            at = int(generator.integers(100))
            row = whole[:at] + sequence(generator, 10) + whole[at + 10 :]
            rows.append(row if variant % 3 else row[:110] + SCAFFOLD)
            parent_of.append(parent)
    order = generator.permutation(len(rows))
    return [rows[i] for i in order], np.array(parent_of)[order]


def table(rows: list[str], generator: np.random.Generator) -> SequenceTable:
    return SequenceTable(rows, generator.permutation(np.arange(len(rows)) % 2), np.arange(len(rows)))


def test_variants_of_one_parent_are_one_group_and_the_scaffold_joins_none() -> None:
    generator = np.random.default_rng(0)
    rows, parent = library(generator)
    found = find_library(rows)
    assert found is not None
    assert set(found.constant) == {SCAFFOLD[i : i + 30] for i in range(11)}
    assert found.related == 1.0
    group = components(table(rows, generator))
    assert len(np.unique(group)) == 40
    assert all(len(np.unique(group[parent == p])) == 1 for p in range(40))


def test_a_library_drawn_at_random_into_train_and_test_is_a_leak_and_one_kept_together_is_not() -> None:
    generator = np.random.default_rng(1)
    rows, parent = library(generator)
    at_random = {"train": table(rows[:240], generator), "test": table(rows[240:], generator)}
    report = audit_tables(at_random, CARD)
    assert "leak: design" in report.flags
    assert report.across["train->test"].same_design.total == 80
    assert "--split grouped" in report.verdict.text
    together = {
        "train": table([row for row, p in zip(rows, parent, strict=True) if p < 30], generator),
        "test": table([row for row, p in zip(rows, parent, strict=True) if p >= 30], generator),
    }
    report = audit_tables(together, CARD)
    assert report.across["train->test"].same_design.total == 0
    assert report.settings["library"]["related"] == 1.0
    assert "leak: design" not in report.flags


@pytest.mark.parametrize("kind", ["unrelated", "repeats", "windows", "a scaffold alone"])
def test_rows_of_a_genome_are_no_library(kind: str) -> None:
    generator = np.random.default_rng(2)
    genome, element = sequence(generator, 20_000), sequence(generator, 100)
    rows = []
    for _ in range(300):
        if kind == "windows":  # overlapping, at any offset
            at = int(generator.integers(19_800))
            rows.append(genome[at : at + 200])
        elif kind == "repeats":
            at = int(generator.integers(100))
            rows.append(sequence(generator, at) + element + sequence(generator, 100 - at))
        else:
            rows.append(
                sequence(generator, 160) + (SCAFFOLD if kind == "a scaffold alone" else sequence(generator, 40))
            )
    assert find_library(rows) is None


def test_duplicates_short_rows_and_n_are_harmless() -> None:
    generator = np.random.default_rng(3)
    rows, _ = library(generator)
    rows = rows + rows[:50] + ["ACGT", "", "N" * 150, "N" * 150]
    group = components(table(rows, generator))
    assert group[:50].tolist() == group[320:370].tolist()
    assert len(np.unique(group)) == 40 + 3


def test_the_yeast_library_is_one(shared: Path) -> None:
    path = shared / "data" / "yeast_3utr" / "shalem_2015.tsv.gz"
    if not path.is_file():
        pytest.skip("yeast_3utr is not there")
    with gzip.open(path, "rt") as stream:
        rows = [line.split("\t")[0].upper() for line in list(stream)[1:]]
    found = find_library(rows)
    assert found is not None
    assert len(found.constant) == 10
    assert found.related == pytest.approx(0.93, abs=0.005)
    assert found.in_place == pytest.approx(0.90, abs=0.005)
