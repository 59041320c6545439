"""An audit as one self-contained page: no request leaves it, and no string of a report is ever read as markup.

Style and the shared parts of its scripts are those of the leaderboard's page; its tables are those of the Markdown page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from html import unescape
from typing import Any

from findna_bench.auditing.audit_pages import definitions, known_shortcuts, report_grids
from findna_bench.auditing.audit_report import AuditReport, outdated
from findna_bench.auditing.rules import KINDS
from findna_bench.leaderboard.html import page_template, script_json, shown

__all__ = ["render_audit_html"]


def render_audit_html(report: AuditReport | Mapping[str, Any]) -> str:
    """The page of one report, or of its plain values (``AuditReport.to_dict``). Equal reports give equal bytes.

    Where all published coordinates are known as well, or rows have several labels or numbers, the page shows one of these reports at a time.
    """
    content = report.to_dict() if isinstance(report, AuditReport) else report
    data = {"title": f"Audit of {content['task']}", "parts": [_part(name, part) for name, part in _parts(content)]}
    return page_template("audit_page.html").replace("@@DATA@@", script_json(shown(data)))


def _parts(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield f"the task ({content['route']})", content
    if published := content.get("published_coordinates"):
        yield "all published coordinates", published
    yield from (content.get("outputs") or {}).items()


def _part(name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    verdict, whole = content["verdict"], not content.get("outputs")
    grids = report_grids(content)
    findings = [grid for grid in grids if grid.title in ("Findings", "Example rows", "Each by itself")]
    old = outdated(content)
    return {
        "name": name,
        "labels": list(content["labels"]),
        "level": f"{verdict['level']} ({old})" if old else verdict["level"],
        "severity": _severity(verdict),
        "sentences": list(verdict["sentences"]),
        "looked_at": list(verdict.get("looked_at", ())),
        "known": known_shortcuts(content),
        "findings": [asdict(grid) for grid in findings],
        "tables": [asdict(grid) for grid in grids if grid not in findings],
        "definitions": [_plain(line) for line in _joined(definitions(content))],
        "positions": content.get("positions") if whole else None,
        "histograms": content["histograms"] if whole else {},
        "splits": list(content["splits"]),
        "neighbours": [_neighbour(entry) for entry in content.get("neighbours", ())] if whole else [],
    }


def _severity(verdict: Mapping[str, Any]) -> str:
    """Of the worst finding; "clean" where there is none, or notes alone."""
    if verdict["level"] == "not audited":
        return "none"
    kinds = {flag.partition(":")[0] for flag in verdict["flags"]}
    worst = next((KINDS[kind].severity for kind in KINDS if kind in kinds), "clean")
    return "clean" if worst == "note" else worst


def _neighbour(entry: Mapping[str, Any]) -> dict[str, Any]:
    row, other = entry["row"], entry["row"]["counterpart"]
    identity = (
        "" if entry["identity"] is None else f", {100 * entry['identity']:.1f} % identity, strand {entry['strand']}"
    )
    names = [f"{each['split']} {each['id']} ({each['label']})" for each in (row, other)]
    where = f"from base {entry['start'] + 1} of {names[0]} and base {entry['other_start'] + 1} of {names[1]}"
    words = f"{names[0]} = {names[1]}: {entry['kind']}{identity}"
    return {"words": words, "where": where, "alignment": entry["alignment"]}


def _joined(lines: list[str]) -> Iterator[str]:
    """The points of a Markdown list, each in one line."""
    point = ""
    for line in lines:
        if line.startswith("* "):
            if point:
                yield point
            point = line[2:]
        elif line.startswith("  "):
            point += f" {line.strip()}"
    if point:
        yield point


def _plain(text: str) -> str:
    """What a reader of the Markdown sees."""
    text = re.sub(r"</?code>|`", "", text)
    return unescape(re.sub(r"\\([\\`*_\[\]|#~])", r"\1", text))
