"""Faults planted into real sequence: a part of benchmarks/planted_faults.py, on the samples that the package holds."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from findna_bench.auditing.audit_pages import render_report
from findna_bench.relatedness.diverged_copies import diverged_copies
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.sequences.reference_samples import reference_sample, sampled_species

FILE = Path(__file__).parents[2] / "benchmarks" / "planted_faults.py"


@pytest.fixture(scope="module")
def planting(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmarks/planted_faults.py")


def bases() -> str:
    """80,000 bases of five species."""
    samples = [reference_sample(species) for species in sampled_species()]
    return "".join(window for sample in samples if sample is not None for window in sample.sequences)


@pytest.mark.parametrize(
    "fault",
    [
        "dinucleotide at base 101 in one class",
        "6-mer at one place in one class",
        "N at the start of one class",
        "lower case in one class",
        "start TG, end CA in one class",
        "15 % substituted",
        "20 % substituted",
        "duplicates within a class of train",
    ],
)
def test_a_planted_fault_is_found(planting: ModuleType, fault: str, tmp_path: Path) -> None:
    plant, strengths = planting.FAULTS[fault]
    generator = np.random.default_rng(0)
    planting.write(plant(planting.clean(bases(), 190, generator), strengths[-1], generator), tmp_path)
    report = planting.ours(tmp_path)
    assert set(report.flags) & planting.EXPECTED.get(fault, {"leak: diverged-copies"})
    shown = render_report(report.to_dict())
    assert all(finding.text.split()[0] in shown for finding in report.verdict.findings)


def test_shuffles_that_stand_in_one_split_are_told(planting: ModuleType, tmp_path: Path) -> None:
    """Dealt so that a row and its shuffle are on one side: no leak, and yet the task is about telling shuffles from sequence."""
    generator = np.random.default_rng(0)
    rows = planting.windows(bases(), 120, generator)
    pairs = [[(row, 1), (planting.dinucleotide_shuffle(row, generator), 0)] for row in rows]
    planting.write(
        planting.Set(*([row for pair in part for row in pair] for part in (pairs[:80], pairs[80:]))), tmp_path
    )
    flags = planting.ours(tmp_path).flags
    assert "note: shuffles" in flags
    assert not any("same-composition" in flag for flag in flags)


def test_nothing_planted_accuses_nobody(planting: ModuleType) -> None:
    assert [planting.accused(bases(), 190, seed) for seed in (1, 2)] == [[], []]


@pytest.mark.parametrize(
    ("share", "least", "length"), [(0.15, 0.95, 200), (0.20, 0.95, 200), (0.15, 0.95, 100), (0.20, 0.90, 100)]
)
def test_copies_are_found_at_low_identity_on_either_strand(
    planting: ModuleType, share: float, least: float, length: int
) -> None:
    generator = np.random.default_rng(1)
    rows = planting.windows(bases(), 380, generator, length)
    train, rest = rows[:300], rows[300:]
    for strand in (str, reverse_complement):
        copies = [strand(planting.substituted(row, share, generator)) for row in train[:200]]
        found = diverged_copies(copies, train, np.arange(len(copies)))
        assert (found.target == np.arange(len(copies))).mean() >= least
    assert (diverged_copies(rest, train, np.arange(len(rest))).target < 0).all()


def test_a_family_is_no_copy(planting: ModuleType) -> None:
    """Rows that are all descended from one are its relatives, and none is the copy of another."""
    generator = np.random.default_rng(2)
    ancestor = planting.windows(bases(), 1, generator)[0]
    family = [planting.substituted(ancestor, 0.1, generator) for _ in range(60)]
    assert (diverged_copies(family[:20], family[20:], np.arange(20)).target < 0).all()


def test_a_linter_that_is_absent_is_said_to_be(planting: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    asked = argparse.Namespace(linters=list(planting.LINTERS), seqleak=None, gb_qc=None)
    found, absent = planting.linters(asked)
    assert [linter.name for linter in found] == ["findna-bench"]
    assert absent == ["seqleak is not installed here", "gb-qc is not installed here"]


def test_another_linter_finds_what_it_did_not_complain_of_before(planting: ModuleType) -> None:
    def said(level: int, share: float) -> object:
        return planting.Complaint(level, share)

    case, nothing = planting.Case("worm", "exact copies", 0.2, 0), planting.Case("worm", "", 0, 0)
    before = {"near": said(1, 0.02), "homology": said(2, 0.3), "length": said(0, 0.0), "case": said(0, 0.0)}
    after = {"near": said(1, 0.03), "homology": said(2, 0.5), "length": said(1, 0.2), "case": said(0, 0.09)}
    assert planting.found_by({(nothing, "seqleak"): before, (case, "seqleak"): after}, case, "seqleak") == {
        "homology",
        "length",
    }
