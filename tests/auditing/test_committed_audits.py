"""The audits that lie in the repository: each page is what today's code writes of the report beside it, to the letter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from findna_bench.auditing.audit_pages import read_reports, render_index, render_report

ROOT = Path(__file__).resolve().parents[2] / "leaderboards"
REPORTS = sorted(path for folder in ("audit", "yeast/audit") for path in (ROOT / folder).rglob("*.json"))


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: "-".join(path.parts[-2:]))
def test_a_page_is_what_its_report_says(path: Path) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    picture = path.with_suffix(".png")
    page = render_report(report, plot=picture.name if picture.is_file() else None)
    assert page == path.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["audit", "yeast/audit"])
def test_the_index_is_that_of_the_reports(folder: str) -> None:
    assert render_index(read_reports(ROOT / folder)) == (ROOT / folder / "README.md").read_text(encoding="utf-8")
