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
from findna_bench.auditing.audit_report import AuditReport, Finding
from findna_bench.auditing.audit_targets import Audited
from findna_bench.auditing.rules import KINDS, RULES
from findna_bench.errors import UsageError

__all__ = ["Failure", "failures", "junit", "parse_kinds", "sarif"]

_NOT_IN_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


@dataclass(frozen=True)
class Failure:
    """Why a task does not pass. rule_id: of the finding, "not-audited" where the task could not be looked at."""

    task: str
    rule_id: str
    text: str


def parse_kinds(text: str) -> tuple[str, ...]:
    """Kinds of findings or single rules ("leak,shortcut/length"), each once.

    Raises:
        UsageError: there is no such kind and no such rule.
    """
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    unknown = [kind for kind in kinds if kind not in KINDS and kind not in RULES]
    if unknown or not kinds:
        of_kind = [rule_id for rule_id in RULES if unknown and rule_id.startswith(f"{unknown[0].partition('/')[0]}/")]
        rules = f"; rules: {', '.join(of_kind)}" if of_kind else ""
        raise UsageError(
            f"--fail-on {text}: {unknown[0] if unknown else 'nothing'!r} is no kind of finding and no rule; there are {', '.join(KINDS)}{rules}"
        )
    return kinds


def _fails(finding: Finding, kinds: Sequence[str]) -> bool:
    """Whether a finding is of the kinds or the rules named."""
    return finding.kind in kinds or finding.rule_id in kinds


def failures(audited: Sequence[Audited], kinds: Sequence[str]) -> list[Failure]:
    """Findings of these kinds or rules, over all tasks, and tasks that were not audited: a gate that did not look has not passed anything."""
    found = []
    for entry in audited:
        if (reason := _not_audited(entry)) is not None:
            found.append(Failure(_name(entry), "not-audited", reason))
        found += [
            Failure(report.task, finding.rule_id, finding.quoted)
            for report, finding in _findings(entry)
            if _fails(finding, kinds)
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
        for kind in KINDS:
            gated = any(word.partition("/")[0] == kind for word in kinds)
            counts["tests"] += 1
            case = ElementTree.SubElement(suite, "testcase", classname=_plain(_name(entry)), name=kind)
            mine = [finding for finding in findings if finding.kind == kind]
            words = _plain("\n".join(_words(finding) for finding in mine))
            if reason is not None and gated:
                ElementTree.SubElement(case, "failure", type="not-audited", message=_plain(reason))
                counts["failures"] += 1
            elif reason is not None:
                ElementTree.SubElement(case, "skipped", message=_plain(reason))
                counts["skipped"] += 1
            elif any(_fails(finding, kinds) for finding in mine):
                first = ", ".join(finding.rule_id for finding in mine if _fails(finding, kinds))
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


def _words(finding: Finding) -> str:
    """A finding with its example rows, one a line."""
    return "\n".join([finding.quoted, *(f"  {example.words}" for example in finding.examples)])


def _plain(text: str) -> str:
    """Text without characters that XML has no way to write."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def sarif(audited: Sequence[Audited]) -> str:
    """SARIF 2.1.0: a result per finding. The place of one on a user's file is its path below the working folder; others are named."""
    order = {rule_id: number for number, rule_id in enumerate(RULES)}
    results = [
        {
            "ruleId": finding.rule_id,
            "ruleIndex": order[finding.rule_id],
            "level": finding.rule.kind.severity,
            "message": {"text": f"{report.task} ({report.route}): {finding.quoted}"},
            "locations": [_place(entry.task, report.task)],
            "properties": {key: finding.to_dict()[key] for key in ("number", "interval", "threshold", "examples")},
        }
        for entry in audited
        for report, finding in _findings(entry)
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
                "shortDescription": {"text": rule.title},
                "fullDescription": {
                    "text": f"{rule.kind.about} {rule.number[:1].upper()}{rule.number[1:]}: from {rule.condition}."
                },
                "help": {"text": rule.reason},
                "defaultConfiguration": {"level": rule.kind.severity},
                "properties": {"threshold": rule.threshold, "version": rule.version},
            }
            for rule_id, rule in RULES.items()
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
