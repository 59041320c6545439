"""The audit verb and its pages; the findings on published data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from findna_bench import __version__
from findna_bench.auditing import audit_tables
from findna_bench.auditing.audit_pages import read_verdicts, write_pages
from findna_bench.auditing.stored_reports import describe_task
from findna_bench.cards import TaskCard
from findna_bench.cli import app
from findna_bench.data.importing import import_suite
from findna_bench.data.table import SequenceTable
from findna_bench.registry import get_registry

CARD = TaskCard(name="a-task", suite="made-up", labels=("no|yes", "b"))


def tables(n: int = 120, seed: int = 0) -> dict[str, SequenceTable]:
    generator = np.random.default_rng(seed)
    splits = {}
    for split in ("train", "test"):
        sequences = ["".join(np.array(list("ACGT"))[generator.integers(0, 4, 80 + i % 7)]) for i in range(n)]
        splits[split] = SequenceTable(sequences, np.arange(n) % 2, np.arange(n))
    return splits


@pytest.fixture
def run() -> Callable[..., Any]:
    """The verb's parsed JSON."""

    def call(*arguments: str) -> Any:
        result = CliRunner().invoke(app, ["audit", *arguments, "--json"], catch_exceptions=False, standalone_mode=True)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


def test_equal_reports_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_pages([audit_tables(tables(), CARD)], tmp_path / folder)
    names = sorted(path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*.*"))
    assert names == ["README.md", "made-up/a-task.json", "made-up/a-task.md", "made-up/a-task.png"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_page_says_by_what_it_was_made(tmp_path: Path) -> None:
    write_pages([audit_tables(tables(), CARD)], tmp_path, command="findna-bench audit made-up --pages audits")
    made_by = json.loads((tmp_path / "made-up" / "a-task.json").read_text())["made_by"]
    assert made_by["command"] == "findna-bench audit made-up --pages audits"
    assert made_by["versions"]["findna-bench"] == __version__
    page = (tmp_path / "made-up" / "a-task.md").read_text()
    assert f"Made by `{made_by['command']}` (`audit-4`) on {made_by['cpu']}; Python {made_by['python']}, " in page


def test_the_index_is_made_from_every_report_in_the_folder(tmp_path: Path) -> None:
    write_pages([audit_tables(tables(), CARD)], tmp_path)
    other = TaskCard(name="other", suite="made-up", labels=CARD.labels)
    write_pages([audit_tables({**tables(), "test": tables()["train"]}, other)], tmp_path)
    assert [(v["task"], v["level"]) for v in read_verdicts(tmp_path)] == [
        ("made-up/a-task", "clean"),
        ("made-up/other", "shortcut and leak"),
    ]
    index = (tmp_path / "README.md").read_text()
    assert "[a-task](made-up/a-task.md)" in index
    assert "leak: duplicates" in index
    page = (tmp_path / "made-up" / "a-task.md").read_text()
    assert "no\\|yes" in page  # a class name does not break a table
    assert "![class distributions, rows found again, controls](a-task.png)" in page


def test_a_path_is_audited_like_a_task(tmp_path: Path, run: Callable[..., Any]) -> None:
    lines = ["sequence,label,split"]
    for split, table in tables().items():
        lines += [f"{s},{label},{split}" for s, label in zip(table.sequences, table.labels, strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    report = run(str(tmp_path / "mine.csv"))
    assert report["schema"] == "audit-4"
    assert report["task"] == "adhoc/mine"
    assert report["splits"]["test"]["rows"] == 120


def test_an_audited_task_is_described_with_its_verdict(run: Callable[..., Any]) -> None:
    card = get_registry().resolve("tasks", "synthetic/gc").card if _registered("synthetic/gc") else _first_embedded()
    assert describe_task(card)["audit"].startswith("not audited here")
    report = run(card.full_name)
    facts = describe_task(card)
    assert facts["audit"] == report["verdict"]["level"]
    assert facts["audit verdict"] == report["verdict"]["sentences"]


def _registered(name: str) -> bool:
    return any(card.full_name == name for card in get_registry().cards("tasks"))


def _first_embedded() -> TaskCard:
    return next(card for card in get_registry().cards("tasks") if card.embedded)


def test_unknown_names_and_nothing_at_all_are_usage_errors() -> None:
    for arguments in (["audit"], ["audit", "no-such-task"]):
        result = CliRunner().invoke(app, arguments)
        assert getattr(result.exception, "exit_code", None) == 2


def near(value: float, percent: float) -> bool:
    """Equal to a percentage with one decimal."""
    return abs(100 * value - percent) < 0.06


@pytest.mark.shared
@pytest.mark.long
def test_findings_on_published_coordinates(shared: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    """From interval files alone: lengths that give the class away, and overlap that falls on one class."""
    import_suite("genomic_benchmarks", shared / "data" / "genomic_benchmarks" / "intervals", tmp_path)
    options = ("--data-dir", str(tmp_path))
    report = run("genomic_benchmarks/human_ensembl_regulatory", *options)
    assert report["route"] == "coordinates"
    scores = {name: entry["accuracy"] for name, entry in report["controls"].items()}
    assert near(scores["length-lookup"], 91.5)
    assert near(scores["majority"], 37.0)
    assert near(scores["length-linear"], 47.5)
    assert near(scores["length-trees"], 90.3)
    assert report["verdict"]["flags"] == ["shortcut: length"]

    report = run("genomic_benchmarks/human_nontata_promoters", *options)
    half = report["across"]["train->test"]["overlap_half"]["per_class"]
    assert near(half["negative"]["fraction"], 99.2)
    assert near(half["positive"]["fraction"], 4.2)
    assert near(report["controls"]["overlap-half"]["accuracy"], 99.6)
    assert report["controls"]["overlap-half"]["details"]["fallback"] == "positive"
    untouched = report["across"]["train->test"]["untouched"]["per_class"]["negative"]["rows"]
    assert untouched == 18

    report = run("genomic_benchmarks/human_enhancers_ensembl", *options)
    half = report["across"]["train->test"]["overlap_half"]["per_class"]
    assert near(half["positive"]["fraction"], 75.6)
    assert near(half["negative"]["fraction"], 0.6)
    assert near(report["controls"]["overlap-any"]["accuracy"], 87.5)

    for name in ("human_enhancers_cohn", "human_ocr_ensembl", "dummy_mouse_enhancers_ensembl"):
        assert run(f"genomic_benchmarks/{name}", *options)["verdict"]["level"] == "clean by coordinates"


@pytest.mark.shared
@pytest.mark.long
def test_findings_on_the_sequences_of_three_chromosomes(shared: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    import_suite("genomic_benchmarks", shared / "data" / "genomic_benchmarks" / "chr20_22_X", tmp_path)
    options = ("--data-dir", str(tmp_path))
    report = run("genomic_benchmarks/human_ensembl_regulatory", *options)
    assert report["controls"]["length-lookup"]["accuracy"] > 0.85
    assert "shortcut: length" in report["verdict"]["flags"]
    report = run("genomic_benchmarks/human_nontata_promoters", *options)
    assert report["asymmetry"]["similar"]["highest_class"] == "negative"
    assert report["asymmetry"]["similar"]["difference"] > 0.9
    assert report["controls"]["similar"]["accuracy"] > 0.97
    report = run("genomic_benchmarks/human_enhancers_ensembl", *options)
    similar = report["across"]["train->test"]["similar"]["per_class"]
    assert similar["positive"]["fraction"] > 0.7
    assert similar["negative"]["fraction"] < 0.1
    assert report["controls"]["similar"]["accuracy"] > 0.8
