"""The audits that lie in the repository: each page is what today's code writes of the report beside it, to the letter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from findna_bench.auditing.audit_pages import read_reports, render_index, render_report
from findna_bench.relatedness import copies, diverged_copies
from findna_bench.relatedness.similarity import COVERAGE, IDENTITY, MIN_COLUMNS

ROOT = Path(__file__).resolve().parents[2] / "leaderboards"
REPORTS = sorted(path for folder in ("audit", "yeast/audit") for path in (ROOT / folder).rglob("*.json"))

ALIGNED = [path for path in REPORTS if '"similar": {' in path.read_text(encoding="utf-8")]
"""Of sequences, not of variants."""


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: "-".join(path.parts[-2:]))
def test_a_page_is_what_its_report_says(path: Path) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    picture = path.with_suffix(".png")
    page = render_report(report, plot=picture.name if picture.is_file() else None)
    assert page == path.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["audit", "yeast/audit"])
def test_the_index_is_that_of_the_reports(folder: str) -> None:
    assert render_index(read_reports(ROOT / folder)) == (ROOT / folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ALIGNED, ids=lambda path: "-".join(path.parts[-2:]))
def test_a_report_was_made_with_the_limits_of_today(path: Path) -> None:
    """A limit that changes changes findings: it takes a new version of its rule, and all pages anew."""
    settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
    assert settings["similar"] == {"identity": IDENTITY, "coverage": COVERAGE, "min_columns": MIN_COLUMNS}
    names = ("full", "end_to_end", "shifted_identity", "unique", "few", "same", "alike_identity", "alike")
    assert settings["copy"] == {name: getattr(copies, name.upper()) for name in names}
    if found := settings.get("diverged_copies"):
        names = ("identity", "full", "slack", "few", "least_length")
        assert {name: found[name] for name in names} == {name: getattr(diverged_copies, name.upper()) for name in names}
