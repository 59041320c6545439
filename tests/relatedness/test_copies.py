"""Copies are a leak, repeats are a note: planted ones of every kind, and disjoint windows of real genomes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from findna_bench.auditing import AuditReport, audit_tables
from findna_bench.auditing.audit_pages import read_verdicts, render_report, write_pages
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.leaderboard.audit_html import render_audit_html
from findna_bench.leaderboard.audits import read_audits
from findna_bench.relatedness.components import components
from findna_bench.sequences.alphabet import reverse_complement

CARD = TaskCard(name="rows", suite="made-up", labels=("a", "b"))
LETTERS = np.array(list("ACGT"))


def made(n: int, generator: np.random.Generator, length: int = 200) -> list[str]:
    return ["".join(row) for row in LETTERS[generator.integers(0, 4, (n, length))]]


def mutated(sequence: str, share: float, generator: np.random.Generator) -> str:
    letters = list(sequence)
    for i in generator.choice(len(letters), round(share * len(letters)), replace=False):
        letters[i] = "ACGT"[("ACGT".index(letters[i]) + generator.integers(1, 4)) % 4]
    return "".join(letters)


def table(sequences: list[str], generator: np.random.Generator, start: np.ndarray | None = None) -> SequenceTable:
    """Rows with arbitrary labels; on one contig where ``start`` is given."""
    n = len(sequences)
    labels = generator.permutation(np.arange(n) % 2)
    if start is None:
        return SequenceTable(sequences, labels, np.arange(n))
    ends = start + np.array([len(sequence) for sequence in sequences])
    return SequenceTable(sequences, labels, np.arange(n), contig=np.full(n, "1"), start=start, end=ends)


def audited(train: list[str], test: list[str]) -> AuditReport:
    generator = np.random.default_rng(0)
    return audit_tables({"train": table(train, generator), "test": table(test, generator)}, CARD)


def total(report: AuditReport, measure: str) -> int:
    return int(report.to_dict()["across"]["train->test"][measure]["total"])


def leaks(report: AuditReport) -> list[str]:
    return [flag for flag in report.flags if flag.startswith("leak")]


def planted(how: str, source: str, generator: np.random.Generator) -> str:
    """A copy of a row of 200 bases."""
    flank = made(1, generator)[0]
    match how:
        case "reverse complement":
            return reverse_complement(source)
        case "2 % substituted":
            return mutated(source, 0.02, generator)
        case "5 % substituted, other strand":
            return reverse_complement(mutated(source, 0.05, generator))
        case "shifted by half":
            return flank[:100] + source[:100]
        case "shifted by a tenth":
            return source[20:] + flank[:20]
        case "truncated":
            return source[40:160]
        case "extended":
            return flank[:70] + source + flank[70:140]
    raise ValueError(how)


HOWS = (
    "reverse complement",
    "2 % substituted",
    "5 % substituted, other strand",
    "shifted by half",
    "shifted by a tenth",
    "truncated",
    "extended",
)


@pytest.mark.parametrize("how", HOWS)
def test_a_copy_is_a_leak_whatever_was_done_to_it(how: str) -> None:
    generator = np.random.default_rng(len(how))
    train = made(300, generator)
    test = [planted(how, source, generator) for source in train[:40]] + made(60, generator)
    report = audited(train, test)
    assert total(report, "copies") == 40
    assert total(report, "repeats") == 0
    assert "leak: similarity" in report.flags


def test_a_set_augmented_by_reverse_complements_is_not_acquitted() -> None:
    generator = np.random.default_rng(1)
    rows = [text for source in made(200, generator) for text in (source, reverse_complement(source))]
    rows = [rows[i] for i in generator.permutation(400)]
    report = audited(rows[:300], rows[300:])
    assert total(report, "copies") > 60
    assert {"leak: duplicates", "leak: similarity"} <= set(report.flags)


def test_many_mutated_copies_of_each_row_are_copies() -> None:
    generator = np.random.default_rng(2)
    rows = [mutated(source, 0.02, generator) for source in made(20, generator) for _ in range(20)]
    rows = [rows[i] for i in generator.permutation(400)]
    assert total(audited(rows[:300], rows[300:]), "copies") == 100


def test_many_windows_of_one_locus_are_copies() -> None:
    generator = np.random.default_rng(3)
    locus = made(1, generator, 4000)[0]
    rows = [locus[i : i + 200] for i in range(0, 3800, 10)]
    rows = [rows[i] for i in generator.permutation(380)]
    assert total(audited(rows[:300], rows[300:]), "copies") == 80


def inserted(element: str, generator: np.random.Generator) -> str:
    """A row of 200 bases that carries the element somewhere."""
    row, at = made(1, generator)[0], int(generator.integers(0, 201 - len(element)))
    return row[:at] + element + row[at + len(element) :]


def test_unrelated_rows_that_share_a_tandem_repeat_are_repeats() -> None:
    """(CA)60 in 200 bases: 96 % identical where it is, and nothing in common otherwise."""
    generator = np.random.default_rng(4)
    train = [inserted("CA" * 60, generator) for _ in range(3)] + made(297, generator)
    report = audited(train, [inserted("CA" * 60, generator) for _ in range(40)] + made(60, generator))
    assert total(report, "repeats") > 10
    assert total(report, "copies") == 0
    assert leaks(report) == []
    assert "note: repeats" in report.flags


def test_a_row_that_is_a_tandem_repeat_from_end_to_end_is_a_copy_of_the_same_text_only() -> None:
    generator = np.random.default_rng(5)
    train = ["CA" * 100, *made(299, generator)]
    report = audited(train, ["CA" * 100, "AC" * 100, "CA" * 80, *made(97, generator)])
    assert (total(report, "exact"), total(report, "copies"), total(report, "repeats")) == (1, 1, 2)


@pytest.mark.parametrize("length", [110, 150])
def test_an_element_within_many_rows_is_a_repeat(length: int) -> None:
    generator = np.random.default_rng(length)
    element = made(1, generator, length)[0]
    train = [inserted(element, generator) for _ in range(60)] + made(240, generator)
    report = audited(train, [inserted(element, generator) for _ in range(40)] + made(60, generator))
    assert total(report, "similar") > 30
    assert total(report, "copies") <= 2
    assert leaks(report) == []


@pytest.mark.parametrize("same_place", [False, True])
def test_rows_within_an_interspersed_repeat_are_repeats(same_place: bool) -> None:
    """A family of 300 bases, members 5 % from its consensus and so 10 % from each other, rows cut from within."""
    generator = np.random.default_rng(6)
    consensus = made(1, generator, 300)[0]

    def member() -> str:
        at = 50 if same_place else int(generator.integers(0, 101))
        text = mutated(consensus, 0.05, generator)[at : at + 200]
        return reverse_complement(text) if generator.random() < 0.5 else text

    train = [member() for _ in range(80)] + made(220, generator)
    report = audited(train, [member() for _ in range(40)] + made(60, generator))
    assert total(report, "similar") > 30
    assert total(report, "copies") <= 2
    assert leaks(report) == []
    assert "note: repeats" in report.flags
    families = report.across["train->test"].repeat_families
    assert families is not None
    assert (families.families, families.sizes["100+"]) == (1, 1)
    assert families.rows == families.rows_in_large == total(report, "repeats")
    assert 100 < families.largest <= 120
    told = f"the largest of {families.largest} rows of train and test"
    assert told in report.verdict.text
    page = report.to_dict()
    assert "## Families of repeats" in render_report(page)
    assert told in render_audit_html(page)


def test_a_copy_of_a_row_within_a_repeat_stands_out() -> None:
    generator = np.random.default_rng(7)
    consensus = made(1, generator, 300)[0]
    train = [mutated(consensus, 0.06, generator)[50:250] for _ in range(80)] + made(220, generator)
    test = [mutated(source, 0.01, generator) for source in train[:40]] + made(60, generator)
    report = audited(train, test)
    assert total(report, "copies") >= 38
    assert "leak: similarity" in report.flags


@pytest.mark.parametrize(("share", "others", "stands_out"), [(0.10, 9, True), (0.10, 10, False), (0.15, 30, True)])
def test_a_row_stands_out_where_ten_at_most_are_within_twice_its_divergence(
    share: float, others: int, stands_out: bool
) -> None:
    """A row with 5 % changed, and others that hold most of the same text with more of it changed."""
    generator = np.random.default_rng(12)
    sources, train = made(10, generator), []
    for source in sources:
        family = [made(1, generator)[0][:25] + mutated(source, share, generator)[25:] for _ in range(others)]
        train += [mutated(source, 0.05, generator), *family]
    report = audited(train + made(60, generator), sources + made(60, generator))
    found = (total(report, "copies"), total(report, "repeats"))
    assert found == ((10, 0) if stands_out else (0, 10))


def test_rows_at_known_and_disjoint_loci_are_never_copies() -> None:
    """Segmental duplications: the same text at another locus is a note, and the same rows without coordinates are a leak."""
    generator = np.random.default_rng(8)
    train = made(300, generator)
    test = train[:20] + [mutated(source, 0.03, generator) for source in train[20:40]] + made(60, generator)
    start = 1000 * np.arange(300)
    placed = {
        "train": table(train, np.random.default_rng(0), start),
        "test": table(test, np.random.default_rng(0), start[:100] + 10_000_000),
    }
    report = audit_tables(placed, CARD)
    measures = ("exact", "identical_elsewhere", "copies_elsewhere", "copies", "repeats")
    assert [total(report, measure) for measure in measures] == [20, 20, 40, 0, 40]
    assert leaks(report) == []
    assert "note: repeats" in report.flags
    without = audited(train, test)
    assert total(without, "copies") == 40
    assert {"leak: duplicates", "leak: similarity"} <= set(without.flags)
    assert without.to_dict()["across"]["train->test"]["copies_elsewhere"] is None


def test_coordinates_of_one_of_the_two_rows_decide_nothing() -> None:
    generator = np.random.default_rng(9)
    train, start = made(300, generator), 1000 * np.arange(300)
    placed = table(train, generator, start)
    assert placed.contig is not None
    placed.contig[:20] = ""  # not known
    test = table(train[:40] + made(60, generator), generator, start[:100] + 10_000_000)
    report = audit_tables({"train": placed, "test": test}, CARD)
    assert total(report, "copies") == 20
    assert total(report, "identical_elsewhere") == 20
    assert "leak: duplicates" in report.flags


def test_repeats_do_not_chain_rows_into_one_component_and_copies_do() -> None:
    generator = np.random.default_rng(10)
    element = made(1, generator, 120)[0]
    rows = [inserted(element, generator) for _ in range(60)] + [inserted("CA" * 60, generator) for _ in range(20)]
    copies = [reverse_complement(mutated(source, 0.03, generator)) for source in rows]
    group = components(table(rows + copies, generator))
    assert (group[:80] == group[80:]).mean() > 0.9
    assert np.bincount(group).max() <= 8


def test_reports_of_before_are_read_and_say_that_they_are(tmp_path: Path) -> None:
    generator = np.random.default_rng(11)
    train = made(120, generator)
    write_pages([audited(train, train[:40] + made(60, generator))], tmp_path)
    path = tmp_path / "made-up" / "rows.json"
    report = json.loads(path.read_text())
    assert report["schema"] == "audit-4"
    for cross in report["across"].values():
        for key in ("copies", "repeats", "identical_elsewhere", "copies_elsewhere"):
            del cross[key]
    for key in ("copies", "repeats"):
        del report["asymmetry"][key]
    del report["settings"]["copy"], report["rules"]
    path.write_text(json.dumps({**report, "schema": "audit-1"}))
    (verdict,) = read_verdicts(tmp_path)
    assert verdict["level"] == "leak (made before copies and repeats were told apart; audit again)"
    assert read_audits(tmp_path)["made-up/rows"][0].level == verdict["level"]
    write_pages([], tmp_path)  # the index of what is there
    assert "made before copies and repeats were told apart" in (tmp_path / "README.md").read_text()


GENOMES = {
    "chr20": "human/GRCh37_chr20.fa.gz",
    "fly": "small_genomes/drosophila_chr2R.fa.gz",
    "worm": "small_genomes/celegans_chrI_1-1009800.fa",
    "plasmodium": "small_genomes/plasmodium_falciparum.fa.gz",
}


def genome(shared: Path, name: str) -> str:
    path = shared / "data" / GENOMES[name]
    if not path.is_file():
        pytest.skip(f"{GENOMES[name]} is not there")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        return "".join("N" * 200 if line[0] == ">" else line.strip().upper() for line in stream)


def windows(text: str, n: int, seed: int, first: int = 0, last: int | None = None) -> list[str]:
    """n disjoint windows of 200 bases without N."""
    slots = np.random.default_rng(seed).permutation(((last or len(text)) - first) // 200)
    cut = (text[first + 200 * slot : first + 200 * slot + 200] for slot in slots.tolist())
    return [window for window, _ in zip((w for w in cut if "N" not in w), range(n), strict=False)]


@pytest.mark.shared
@pytest.mark.parametrize("name", list(GENOMES))
def test_disjoint_windows_of_a_genome_are_no_leak(shared: Path, name: str) -> None:
    rows = windows(genome(shared, name), 2500, 3)
    report = audited(rows[:2000], rows[2000:])
    assert leaks(report) == []
    assert report.verdict.level in ("clean", "note")


@pytest.mark.shared
def test_one_arm_of_a_chromosome_against_the_other_is_no_leak(shared: Path) -> None:
    text = genome(shared, "chr20")
    report = audited(windows(text, 4000, 2, 0, 26_000_000), windows(text, 1000, 3, 30_000_000))
    assert total(report, "similar") > 50
    assert total(report, "copies") < 15
    assert leaks(report) == []
    assert "note: repeats" in report.flags


@pytest.mark.shared
def test_copies_among_windows_of_a_genome_are_found(shared: Path) -> None:
    generator = np.random.default_rng(4)
    rows = windows(genome(shared, "chr20"), 2500, 1)
    copies = [reverse_complement(mutated(row, 0.05, generator)) for row in rows[:200]]
    report = audited(rows[:2000], copies + rows[2000:])
    assert total(report, "copies") >= 190
    assert "leak: similarity" in report.flags
