"""The audit as a gate: which findings fail it, and reports that continuous integration reads (JUnit XML, SARIF 2.1.0)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from findna_bench import __version__
from findna_bench.auditing.audit_report import FINDINGS, AuditReport, Finding
from findna_bench.auditing.audit_targets import Audited
from findna_bench.errors import UsageError

__all__ = ["Failure", "failures", "junit", "parse_kinds", "sarif"]

_LEVELS = {"leak": "error", "shortcut": "error", "conflicting-labels": "warning", "asymmetric": "warning"}
"""SARIF level of a kind of finding; all others are notes."""
_WORDS = {
    "leak": "Test rows stand in train, as they are or nearly.",
    "shortcut": "A rule that knows no biology predicts the labels of test.",
    "conflicting-labels": "Test rows stand in train under another label.",
    "asymmetric": "What is found again in train falls on one class more than on another.",
    "note": "Repeats or composition that a score has to be read beside.",
}
_NOT_IN_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


@dataclass(frozen=True)
class Failure:
    """Why a task does not pass. rule_id: of the finding, "not-audited" where the task could not be looked at."""

    task: str
    rule_id: str
    text: str


def parse_kinds(text: str) -> tuple[str, ...]:
    """Kinds of findings ("leak,shortcut"), each once.

    Raises:
        UsageError: there is no such kind.
    """
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    unknown = [kind for kind in kinds if kind not in FINDINGS]
    if unknown or not kinds:
        raise UsageError(
            f"--fail-on {text}: {unknown[0] if unknown else 'nothing'!r} is no kind of finding; there are {', '.join(FINDINGS)}"
        )
    return kinds


def failures(audited: Sequence[Audited], kinds: Sequence[str]) -> list[Failure]:
    """Findings of these kinds, over all tasks, and tasks that were not audited: a gate that did not look has not passed anything."""
    found = []
    for entry in audited:
        if (reason := _not_audited(entry)) is not None:
            found.append(Failure(_name(entry), "not-audited", reason))
        found += [
            Failure(report.task, finding.rule_id, finding.text)
            for report, finding in _findings(entry)
            if finding.kind in kinds
        ]
    return found


def _name(entry: Audited) -> str:
    """The task's name; that of a user's file is where it lies until it is audited."""
    return entry.task if entry.report is None else entry.report.task


def _not_audited(entry: Audited) -> str | None:
    if entry.report is None:
        return entry.reason
    return entry.report.verdict.text if entry.report.verdict.level == "not audited" else None


def _findings(entry: Audited) -> Iterator[tuple[AuditReport, Finding]]:
    """Of the sequences at hand, then of all published coordinates where those are known as well."""
    for report in (entry.report, entry.report.published_coordinates if entry.report else None):
        if report is not None:
            yield from ((report, finding) for finding in report.verdict.findings)


def junit(audited: Sequence[Audited], kinds: Sequence[str]) -> str:
    """JUnit XML: a suite per task, in it a case per kind of finding. Kinds that do not fail the gate are there with their words."""
    root = ElementTree.Element("testsuites", name="findna-bench audit")
    totals = {"tests": 0, "failures": 0, "skipped": 0}
    for entry in audited:
        reason = _not_audited(entry)
        findings = [finding for _, finding in _findings(entry)]
        suite = ElementTree.SubElement(root, "testsuite", name=_plain(_name(entry)))
        counts = dict.fromkeys(totals, 0)
        for kind in FINDINGS:
            counts["tests"] += 1
            case = ElementTree.SubElement(suite, "testcase", classname=_plain(_name(entry)), name=kind)
            mine = [finding for finding in findings if finding.kind == kind]
            words = _plain("\n".join(f"{finding.rule_id}: {finding.text}" for finding in mine))
            if reason is not None and kind in kinds:
                ElementTree.SubElement(case, "failure", type="not-audited", message=_plain(reason))
                counts["failures"] += 1
            elif reason is not None:
                ElementTree.SubElement(case, "skipped", message=_plain(reason))
                counts["skipped"] += 1
            elif mine and kind in kinds:
                first = ", ".join(finding.rule_id for finding in mine)
                ElementTree.SubElement(case, "failure", type=kind, message=first).text = words
                counts["failures"] += 1
            elif mine:
                ElementTree.SubElement(case, "system-out").text = words
        for key, count in counts.items():
            suite.set(key, str(count))
            totals[key] += count
        suite.set("errors", "0")
    for key in ("tests", "failures"):  # the schema of Jenkins knows no "skipped" here
        root.set(key, str(totals[key]))
    root.set("errors", "0")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _plain(text: str) -> str:
    """Text without characters that XML has no way to write."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def sarif(audited: Sequence[Audited]) -> str:
    """SARIF 2.1.0: a result per finding. The place of one on a user's file is its path below the working folder; others are named."""
    found = [(entry, report, finding) for entry in audited for report, finding in _findings(entry)]
    rules = {finding.rule_id: finding for _, _, finding in found}
    order = {rule_id: number for number, rule_id in enumerate(rules)}
    results = [
        {
            "ruleId": finding.rule_id,
            "ruleIndex": order[finding.rule_id],
            "level": _LEVELS.get(finding.kind, "note"),
            "message": {"text": f"{report.task} ({report.route}): {finding.text}"},
            "locations": [_place(entry.task, report.task)],
        }
        for entry, report, finding in found
    ]
    notifications = [
        {"level": "error", "message": {"text": f"{_name(entry)}: {reason}"}}
        for entry in audited
        if (reason := _not_audited(entry)) is not None
    ]
    driver = {
        "name": "findna-bench",
        "version": __version__,
        "rules": [
            {
                "id": rule_id,
                "shortDescription": {"text": _WORDS[finding.kind]},
                "defaultConfiguration": {"level": _LEVELS.get(finding.kind, "note")},
            }
            for rule_id, finding in rules.items()
        ],
    }
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": not notifications, "toolExecutionNotifications": notifications}],
        "results": results,
    }
    content = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"


def _place(name: str, task: str) -> dict[str, Any]:
    place: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": task, "kind": "resource"}]}
    path = Path(name)
    if path.exists():
        try:
            uri = path.absolute().relative_to(Path.cwd()).as_posix()
        except ValueError:  # elsewhere on this machine: nobody's business
            uri = path.name
        place["physicalLocation"] = {"artifactLocation": {"uri": _quoted(uri)}, "region": {"startLine": 1}}
    return place


def _quoted(uri: str) -> str:
    from urllib.parse import quote

    return quote(uri, errors="replace")
