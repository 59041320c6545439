"""The audit as a gate: exit codes, JUnit and SARIF."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from findna_bench.auditing import audit_tables
from findna_bench.auditing.audit_targets import Audited
from findna_bench.auditing.gate import failures, junit, parse_kinds, sarif
from findna_bench.auditing.rules import RULES
from findna_bench.cards import TaskCard
from findna_bench.cli import app, output
from findna_bench.data.table import SequenceTable
from findna_bench.errors import UsageError

SCHEMAS = os.environ.get("FINDNA_BENCH_SCHEMAS")


def rows(n: int, generator: np.random.Generator, length: int = 80) -> list[str]:
    return ["".join(generator.choice(list("ACGT"), length)) for _ in range(n)]


def write(path: Path, *, copies: int = 0, longer: int = 0) -> Path:
    """An own file of two classes. copies: test rows that stand in train; longer: bases by which class 1 is longer."""
    generator = np.random.default_rng(0)
    train, test = rows(200, generator), rows(200, generator)
    test[:copies] = train[:copies]
    lines = ["sequence,label,split"]
    for split, sequences in (("train", train), ("test", test)):
        for number, sequence in enumerate(sequences):
            lines.append(f"{sequence if number % 2 else sequence[longer:]},{number % 2},{split}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    output.set_verbosity(0)  # a verb of another test may have been told to be quiet
    return lambda *arguments: CliRunner().invoke(app, ["audit", *arguments], standalone_mode=False)


@pytest.mark.parametrize(
    ("planted", "kinds", "code"),
    [
        ({}, "leak,shortcut", 0),
        ({"copies": 40}, "leak", 1),
        ({"copies": 40}, "shortcut", 0),
        ({"longer": 20}, "shortcut", 1),
        ({"longer": 20}, "leak", 0),
        ({"copies": 40, "longer": 20}, "leak,shortcut", 1),
    ],
)
def test_the_exit_code_says_whether_there_is_a_finding_of_the_kinds_named(
    planted: dict[str, int], kinds: str, code: int, audit: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "mine.csv", **planted)
    result = audit("./mine.csv", "--fail-on", kinds)
    assert result.return_value == code, result.output
    if code:
        assert "adhoc/mine: " in result.stderr
    else:
        assert f"passed: no {' and no '.join(kinds.split(','))} in 1 task" in result.stderr
    assert audit("./mine.csv").return_value == 0


def test_a_single_rule_is_a_gate(audit: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "mine.csv", copies=40)
    assert audit("./mine.csv", "--fail-on", "leak/duplicates").return_value == 1
    assert audit("./mine.csv", "--fail-on", "leak/overlap,shortcut").return_value == 0


@pytest.mark.parametrize("kinds", ["leaks", "leak/duplicate", "", "leak,,shortcuts", "clean"])
def test_a_kind_that_does_not_exist_is_no_gate_that_passes(
    kinds: str, audit: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "mine.csv")
    result = audit("./mine.csv", "--fail-on", kinds)
    assert isinstance(result.exception, UsageError)
    assert "there are leak, shortcut, conflicting-labels, asymmetric, note" in str(result.exception)


def test_a_task_that_was_not_audited_does_not_pass() -> None:
    table = SequenceTable(rows(10, np.random.default_rng(0)), np.arange(10) % 2, np.arange(10))
    no_train = Audited(
        "x/test-only", audit_tables({"test": table}, TaskCard(name="test-only", suite="x", labels=("a", "b")))
    )
    missing = Audited("x/y", None, "not imported: findna-bench fetch x")
    assert [(f.task, f.rule_id) for f in failures([no_train, missing], ["leak"])] == [
        ("x/test-only", "not-audited"),
        ("x/y", "not-audited"),
    ]
    assert ElementTree.fromstring(junit([no_train, missing], ["leak"])).get("failures") == "2"
    (run,) = json.loads(sarif([no_train, missing]))["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 2


def test_junit_and_sarif_hold_every_finding(audit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "two words.csv", copies=40, longer=20)
    write(tmp_path / "clean.csv")
    result = audit(
        "data/two words.csv", "./clean.csv", "--junit", "out/junit.xml", "--sarif", "out/found.sarif", "--json"
    )
    found = {report["task"]: report["verdict"]["findings"] for report in json.loads(result.stdout)}
    faulty = next(findings for findings in found.values() if findings)
    root = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    assert (root.tag, root.get("tests")) == ("testsuites", "10")
    assert set(root.attrib) <= {
        "name",
        "time",
        "tests",
        "failures",
        "errors",
    }  # what Jenkins' schema knows (junit-10.xsd)
    assert [suite.get("skipped") for suite in root] == ["0", "0"]
    assert int(root.get("failures", "")) == len({f["kind"] for f in faulty} & {"leak", "shortcut"}) == 2
    for case in root.iter("testcase"):
        assert (case.find("failure") is not None) == (
            case.get("name") in ("leak", "shortcut") and case.get("classname") == "adhoc/two-words"
        )
    (run,) = json.loads((tmp_path / "out" / "found.sarif").read_text())["runs"]
    assert [entry["ruleId"] for entry in run["results"]] == [finding["rule_id"] for finding in faulty]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(RULES)
    for entry in run["results"]:
        assert run["tool"]["driver"]["rules"][entry["ruleIndex"]]["id"] == entry["ruleId"]
        (place,) = entry["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "data/two%20words.csv"
    assert {entry["level"] for entry in run["results"] if entry["ruleId"].startswith("leak")} == {"error"}


def test_reports_are_valid_by_the_schemas_of_those_who_read_them(audit: Callable[..., Any], tmp_path: Path) -> None:
    """The schemas are not ours to copy: a folder with ``sarif-2.1.0.json`` (OASIS; in the npm package @microsoft/sarif-multitool-linux) and
    ``junit-10.xsd`` (Jenkins; in pytest's repository, testing/example_scripts) is named by FINDNA_BENCH_SCHEMAS."""
    jsonschema, etree = pytest.importorskip("jsonschema"), pytest.importorskip("lxml.etree")
    if not (folder := SCHEMAS):
        pytest.skip("FINDNA_BENCH_SCHEMAS names no folder with sarif-2.1.0.json and junit-10.xsd")
    write(tmp_path / "faulty.csv", copies=40, longer=20)
    write(tmp_path / "clean.csv")
    content = json.loads(Path(folder, "sarif-2.1.0.json").read_text())
    validator = jsonschema.validators.validator_for(content)(content)
    schema = etree.XMLSchema(etree.parse(str(Path(folder, "junit-10.xsd"))))
    for files in (["./faulty.csv", "./clean.csv"], ["./clean.csv"]):
        audit(*files, "--junit", "junit.xml", "--sarif", "found.sarif", "--fail-on", "leak")
        assert [
            error.message for error in validator.iter_errors(json.loads((tmp_path / "found.sarif").read_text()))
        ] == []
        assert schema.validate(etree.parse(str(tmp_path / "junit.xml"))), schema.error_log
    missing = Audited("x/y", None, "not imported: findna-bench fetch x")
    assert [error.message for error in validator.iter_errors(json.loads(sarif([missing])))] == []
    assert schema.validate(etree.fromstring(junit([missing], ["leak"]).encode())), schema.error_log
    assert list(validator.iter_errors({"version": "2.1.0"}))
    assert not schema.validate(etree.fromstring(b"<testsuites><case/></testsuites>"))


def test_what_xml_cannot_hold_and_where_files_lie_stays_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = SequenceTable(rows(40, np.random.default_rng(0)), np.arange(40) % 2, np.arange(40))
    card = TaskCard(name="mine", suite="adhoc", labels=("x<y>&\x1b[31m", "\ud800"))
    elsewhere = write(tmp_path / "mine.csv")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    audited = [
        Audited(str(elsewhere), audit_tables({"train": table, "test": table}, card)),
        Audited("a/\x00", None, "b"),
    ]
    text = junit(audited, parse_kinds("leak"))
    assert ElementTree.fromstring(text.encode()).get("failures") == "2"
    assert str(tmp_path) not in sarif(audited)
    assert str(tmp_path) not in text
