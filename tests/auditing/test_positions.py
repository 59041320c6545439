"""Shortcuts by place and by letter case: each is found where it is planted, and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import findna_bench.api as fb
from findna_bench.auditing import AuditReport, audit_tables, audit_task
from findna_bench.auditing.audit_pages import render_report
from findna_bench.auditing.positional import Layout, PlacedRows, find_site
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable

CARD = TaskCard(name="planted", suite="made-up", labels=("negative", "positive"))
Plant = Callable[[str, int, np.random.Generator], str]


def put(sequence: str, word: str, place: int) -> str:
    place = place % len(sequence)
    return sequence[:place] + word + sequence[place + len(word) :]


def often(share: float, change: Callable[[str], str]) -> Plant:
    """Changes that share of the positives."""
    return lambda sequence, label, generator: change(sequence) if label and generator.random() < share else sequence


def splits(
    plant: Plant, *, seed: int = 0, lengths: tuple[int, int] = (160, 161), n: int = 400, classes: int = 2
) -> dict[str, SequenceTable]:
    generator = np.random.default_rng(seed)
    out = {}
    for split, rows in (("train", n), ("test", n)):
        labels = np.arange(rows) % classes
        drawn = [
            "".join(np.array(list("ACGT"))[generator.integers(0, 4, generator.integers(*lengths))]) for _ in range(rows)
        ]
        sequences = [plant(s, int(y == 1), generator) for s, y in zip(drawn, labels, strict=True)]
        out[split] = SequenceTable(sequences, labels, np.arange(rows))
    return out


def places(report: AuditReport) -> list[str]:
    """Findings of this kind."""
    return [
        flag
        for flag in report.flags
        if flag in ("shortcut: site", "shortcut: ends", "shortcut: case", "note: position")
    ]


ONE_LENGTH, SEVERAL = (160, 161), (120, 200)


@pytest.mark.parametrize(
    ("plant", "lengths", "flags", "word", "at"),
    [
        (often(1.0, lambda s: put(s, "GT", 100)), ONE_LENGTH, ["shortcut: site"], "GT", "base 101"),
        (often(0.7, lambda s: put(s, "GATTAC", 60)), ONE_LENGTH, ["shortcut: site"], "GATTAC", "base 61"),
        (often(0.7, lambda s: put(s, "GATTAC", 60)), SEVERAL, ["shortcut: site"], "GATTAC", "base 61"),
        (often(0.7, lambda s: put(s, "GATTAC", -40)), SEVERAL, ["shortcut: site"], "GATTAC", "base 40 from the end"),
        (often(0.7, lambda s: put(s, "GATTAC", len(s) // 2 + 3)), SEVERAL, ["shortcut: site"], "GATTAC", "base +3 from the centre"),
        (often(0.7, lambda s: put(s, "NNN", 0)), ONE_LENGTH, ["shortcut: ends", "shortcut: site"], "NNN", "base 1"),
        (often(0.7, lambda s: put(put(s, "TG", 0), "CA", -2)), SEVERAL, ["shortcut: ends", "shortcut: site"], None, None),
    ],
)  # fmt: skip
def test_a_planted_place_is_found_and_said(
    plant: Plant, lengths: tuple[int, int], flags: list[str], word: str | None, at: str | None
) -> None:
    report = audit_tables(splits(plant, lengths=lengths), CARD)
    assert places(report) == flags
    site = report.to_dict()["positions"]["site"]
    assert site["class"] == "positive"
    assert word is None or (site["word"], site["at"]) == (word, at)
    assert site["excess"] > 0.4
    assert "shortcut" in report.verdict.level
    assert site["word"] in render_report(report.to_dict())


def test_words_that_stand_anywhere_and_composition_are_no_place() -> None:
    """Biology of a class that has no fixed place: rich in GC, or with a motif somewhere."""

    def rich(sequence: str, label: int, generator: np.random.Generator) -> str:
        return "".join("G" if label and generator.random() < 0.3 else base for base in sequence)

    def somewhere(sequence: str, label: int, generator: np.random.Generator) -> str:
        return put(sequence, "TGACTCA", int(generator.integers(0, 150))) if label else sequence

    for plant in (rich, somewhere):
        assert places(audit_tables(splits(plant), CARD)) == []


def test_a_class_of_several_that_lacks_a_word_is_found() -> None:
    three = TaskCard(name="planted", suite="made-up", labels=("a", "b", "c"))
    plant: Plant = lambda s, label, generator: s if label else put(s, "AG", 79)  # noqa: E731
    report = audit_tables(splits(plant, classes=3, n=900), three)
    assert "shortcut: site" in report.flags
    assert report.to_dict()["positions"]["site"]["word"] == "AG"


@pytest.mark.long
def test_places_accuse_no_clean_set() -> None:
    found = [
        places(audit_tables(splits(lambda s, *_: s, seed=seed, lengths=(ONE_LENGTH, SEVERAL)[seed % 2]), CARD))
        for seed in range(200)
    ]
    assert sum(map(bool, found)) <= 4


def written(tables: dict[str, SequenceTable], path: Path) -> str:
    lines = ["sequence,label,split"]
    for split, table in tables.items():
        lines += [f"{s},{CARD.labels[y]},{split}" for s, y in zip(table.sequences, table.labels, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_lower_case_of_a_class_is_found_in_a_file_and_seen_by_no_model(tmp_path: Path) -> None:
    upper = written(splits(often(1.0, str.upper)), tmp_path / "upper.csv")
    lower = written(splits(often(1.0, str.lower)), tmp_path / "lower.csv")
    report = audit_task(lower)
    assert places(report) == ["shortcut: case"]
    assert report.controls["case"].accuracy == 1.0
    shares = report.to_dict()["splits"]["test"]["classes"]
    assert {name: entry["lower_mean"] for name, entry in shares.items()} == {"negative": 0.0, "positive": 1.0}
    assert places(audit_task(upper)) == []
    first, second = fb.load_task(upper), fb.load_task(lower)
    assert first.data_digest == second.data_digest
    assert first.load("train").sequences == second.load("train").sequences


def test_repeats_in_lower_case_by_place_are_found_and_alike_in_both_classes_are_not(tmp_path: Path) -> None:
    half: Plant = lambda s, label, generator: (s[:80].lower() + s[80:]) if label else (s[:80] + s[80:].lower())  # noqa: E731
    assert places(audit_task(written(splits(half), tmp_path / "half.csv"))) == ["shortcut: case"]
    alike: Plant = lambda s, label, generator: s[:40].lower() + s[40:]  # noqa: E731
    assert places(audit_task(written(splits(alike), tmp_path / "alike.csv"))) == []


def test_the_control_reads_the_ends_and_a_run_scores_it(tmp_path: Path) -> None:
    path = written(splits(often(0.8, lambda s: put(s, "TGTG", 0)), lengths=SEVERAL), tmp_path / "ends.csv")
    position, trivial = fb.run(["position", "trivial"], [path], seeds=1, output_dir=tmp_path / "r")
    assert position.metrics.main.value > 0.75
    assert trivial.metrics.main.value < position.metrics.main.value - 0.1


def test_a_class_of_short_rows_lacks_no_word_at_places_that_it_does_not_reach() -> None:
    """At base 150 half of the short rows have no base at all, which is no site of the long ones."""
    generator = np.random.default_rng(0)
    lengths = np.where(np.arange(600) % 2, 200, generator.integers(100, 201, 600)).tolist()
    sequences = ["".join(generator.choice(list("ACGT"), n, p=[0.7, 0.1, 0.1, 0.1])) for n in lengths]
    known = PlacedRows(sequences[:400], np.arange(400) % 2)
    asked = PlacedRows(sequences[400:], np.arange(200) % 2)
    layout = Layout.of(known, asked)
    site = find_site(known, layout, 2)
    assert site is None or abs(site.count(asked, layout).excess) < 0.1


def test_a_stretch_is_told_as_far_as_it_is_the_same_and_no_further_than_looked_at() -> None:
    """Of 100 bases that positives share, all have the ten in the middle and nearly all the others: 30 on either side of the word are told."""
    generator = np.random.default_rng(3)
    fixed = generator.integers(0, 4, 100)
    codes = generator.integers(0, 4, (400, 160))
    mutated = generator.random((400, 100)) < 0.05
    mutated[:, 45:55] = False
    codes[1::2, 30:130] = np.where(mutated, generator.integers(0, 4, (400, 100)), fixed)[1::2]
    rows = PlacedRows(["".join("ACGT"[code] for code in row) for row in codes.tolist()], np.arange(400) % 2)
    site = find_site(rows, Layout.of(rows, rows), 2)
    assert site is not None
    start = site.place if site.anchor == "start" else 160 + site.place
    assert 70 <= start < 85
    around = fixed[start - 60 : start + len(site.word)]
    assert site.longer == "".join("ACGT"[code] for code in around)
    assert site.first - site.place == -30
