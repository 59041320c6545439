"""The table of rules: verdicts, pages and help say what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from findna_bench.auditing import AuditReport, audit_tables, rules
from findna_bench.auditing.audit_pages import read_verdicts, render_report, write_pages
from findna_bench.auditing.audit_report import Finding, outdated
from findna_bench.cards import TaskCard
from findna_bench.cli.audit import audit
from findna_bench.data.table import SequenceTable
from findna_bench.statistics.proportions import difference_interval, paired_interval, share_interval

ROOT = Path(__file__).resolve().parents[2]
CARD = TaskCard(name="planted", suite="made-up", labels=("negative", "positive"))


def table(sequences: list[str], labels: np.ndarray, split: str) -> SequenceTable:
    ids = np.array([f"{split}-{i}" for i in range(len(sequences))], dtype=object)
    return SequenceTable(sequences, labels, ids)


@pytest.fixture(scope="module")
def report() -> AuditReport:
    """Of 200 test rows 40 stand in train, ten of these under the other label, and rows of a class are longer."""
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 2
    train, test = (
        [("".join(generator.choice(list("ACGT"), 80 + 20 * int(label)))) for label in labels] for _ in range(2)
    )
    test[:40] = train[:40]
    told = np.concatenate([1 - labels[:10], labels[10:]])
    return audit_tables({"train": table(train, labels, "train"), "test": table(test, told, "test")}, CARD)


def test_a_verdict_quotes_rule_number_interval_and_examples(report: AuditReport) -> None:
    found = {finding.rule_id: finding for finding in report.verdict.findings}
    assert {"shortcut/length", "leak/duplicates", "conflicting-labels"} <= found.keys()
    conflicts = found["conflicting-labels"]
    assert conflicts.number == 0.05
    assert conflicts.interval == pytest.approx((0.0274, 0.0896), abs=1e-4)  # Wilson's of 10 of 200
    assert "conflicting-labels: 5.0 % [2.7, 9.0]; from 0.5 %" in report.verdict.text
    for finding in found.values():
        assert 1 <= len(finding.examples) <= 5
        assert finding.interval is not None
        assert finding.interval[0] <= finding.number <= finding.interval[1]  # type: ignore[operator]
        assert finding.number >= finding.rule.threshold  # type: ignore[operator]
    for example in found["leak/duplicates"].examples:
        assert example.counterpart is not None
        assert (example.split, example.counterpart.split) == ("test", "train")
        assert example.id.removeprefix("test") == example.counterpart.id.removeprefix("train")
        assert example.sequence == example.counterpart.sequence
        assert len(example.sequence) <= 40 < example.length
    for example in conflicts.examples:
        assert example.counterpart is not None
        assert example.label != example.counterpart.label
    assert any("sequences of train, test" in words for words in report.verdict.looked_at)
    assert any("no coordinates" in words for words in report.verdict.looked_at)


def test_a_verdict_says_which_rows_it_rests_on_and_how_complete_they_are() -> None:
    generator = np.random.default_rng(0)
    tables = {
        split: table(["".join(generator.choice(list("ACGT"), 40)) for _ in range(n)], np.arange(n) % 2, split)
        for split, n in (("train", 1200), ("validation", 40), ("test", 60))
    }
    for status, said in (("partial", " (data: partial)"), ("coordinates", ""), ("", "")):
        words = audit_tables(tables, CARD, status=status).verdict.looked_at
        assert words[:3] == ("1,200 rows of train", "40 rows of validation", f"60 rows of test{said}")


def test_json_and_pages_hold_the_findings(report: AuditReport) -> None:
    content = json.loads(json.dumps(report.to_dict()))
    assert content["rules"] == rules.rule_versions()
    page = render_report(content)
    for finding in content["verdict"]["findings"]:
        rule = rules.RULES[finding["rule_id"]]
        assert (finding["threshold"], finding["version"], finding["kind"]) == (
            rule.threshold,
            rule.version,
            rule.kind.name,
        )
        assert f"{100 * finding['number']:.1f}" in page
        for example in finding["examples"]:
            assert example["id"] in page
    assert "Looked at: 200 rows of train; 200 rows of test" in page
    assert all(f"`{rule_id}`" in page for rule_id in rules.RULES)


def test_a_verdict_by_an_older_rule_says_so(
    report: AuditReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = report.to_dict()
    assert outdated(content) == ""
    write_pages([report], tmp_path)
    newer = {**rules.RULES, "leak/duplicates": rules.Rule("leak/duplicates", "x", "share", 0.5, "x", version=2)}
    monkeypatch.setattr("findna_bench.auditing.audit_report.RULES", newer)
    assert outdated(content) == "made by an older rule leak/duplicates; audit again"
    (verdict,) = read_verdicts(tmp_path)
    assert "made by an older rule" in verdict["level"]
    old: Mapping[str, object] = {key: value for key, value in content.items() if key != "rules"} | {"schema": "audit-3"}
    assert outdated(old) == ""


def test_a_finding_without_a_rule_is_refused() -> None:
    with pytest.raises(KeyError, match=r"rules\.py"):
        Finding("leak: of nothing", "text")


def test_the_help_names_the_kinds_of_the_table() -> None:
    assert ", ".join(rules.KINDS) in " ".join(str(annotation) for annotation in audit.__annotations__.values())


def test_the_reference_is_made_from_the_table(load_script: Callable[[str], ModuleType]) -> None:
    for name in ("griffe", "mkdocs"):
        pytest.importorskip(name, reason="the extra `docs` is not installed")
    generated = load_script("scripts/docs_reference.py").audit_rules()
    for rule in rules.RULES.values():
        assert rule.rule_id.partition("/")[0] in rules.KINDS
        assert rule.title.endswith(".")
        assert rule.reason.endswith(".")
        assert f"| `{rule.rule_id}` |" in generated
        assert rule.condition in generated
    assert "<!-- generated: audit-rules -->" in (ROOT / "docs" / "reference" / "audit-rules.md").read_text()


def test_intervals_are_those_of_the_literature() -> None:
    assert share_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)  # Newcombe 1998, table of single shares
    assert difference_interval((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=1e-4)  # Newcombe 1998, (a)
    first = np.array([True] * 12 + [False] * 2 + [True] * 40 + [False] * 46)
    second = np.array([False] * 12 + [True] * 2 + [True] * 40 + [False] * 46)
    low, high = paired_interval(first, second)
    assert (low + high) / 2 == pytest.approx(10 / 102)
    assert low == pytest.approx(10 / 102 - 1.96 * (15 - 100 / 102) ** 0.5 / 102, abs=1e-5)
