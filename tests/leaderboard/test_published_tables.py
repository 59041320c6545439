"""What stands beside scores: published figures only where they may, the overview of suites, audit verdicts, costs."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from findna_bench.auditing import audit_tables
from findna_bench.auditing.audit_pages import write_pages
from findna_bench.cards import ModelCard, SuiteCard, TaskCard, hookimpl
from findna_bench.cli import main
from findna_bench.data.table import SequenceTable
from findna_bench.errors import UsageError
from findna_bench.leaderboard.audits import read_audits
from findna_bench.leaderboard.costs import read_costs
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.overview import overview
from findna_bench.leaderboard.published import read_published
from findna_bench.leaderboard.published_tables import Published, published_tables
from findna_bench.leaderboard.score_tables import Leaderboard
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix import plugin as core
from findna_bench.registry import Plugin, Registry
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore

PAPER = """
schema = 1
key = "paper"
title = "A paper"
source = "arXiv:1"
[n_test]
"toy/one" = 100
"toy/two" = 100
[[tables]]
number = "1"
about = "probing"
protocol = "probe"
metric = "accuracy"
unit = "fraction"
spread = "standard deviation of five runs"
selection = "validation"
epochs = 50
n_runs = 5
split = "official"
columns = ["toy/one", "toy/two"]
[tables.column."toy/two"]
epochs = 99
[[tables.rows]]
label = "Theirs"
values = ["0.830 ± 0.004", "0.80"]
[[tables.rows]]
label = "Older"
quoted = "another paper"
values = ["0.701", "0.699"]
"""


class Toy:
    """Two suites of two tasks, a control named trivial and a stronger one."""

    @hookimpl
    def findna_bench_suites(self) -> list[SuiteCard]:
        return [SuiteCard(name=s, tasks=(f"{s}/one", f"{s}/two")) for s in ("toy", "other")]

    @hookimpl
    def findna_bench_tasks(self) -> list[TaskCard]:
        return [
            TaskCard(name=t, suite=s, labels=("a", "b"), factory="no:where")
            for s in ("toy", "other")
            for t in ("one", "two")
        ]

    @hookimpl
    def findna_bench_models(self) -> list[ModelCard]:
        return [ModelCard(name=n, kind="classifier", factory="no:where", control=True) for n in ("trivial", "strong")]


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(core, Plugin("core", "findna_bench.matrix.plugin", "findna-bench", "0"))
    registry.add(Toy(), Plugin("toy", "toy", "toy", "1"))
    return registry


def result(model: str, on: str, value: float, seed: int = 0, **changes: Any) -> Result:
    suite, _, task = on.partition("/")
    name = hashlib.sha256(f"{model} {on} {seed} {changes}".encode()).hexdigest()
    record: dict[str, Any] = {
        "identity": name, "request_id": name, "config_id": "c",
        "status": "success", "protocol_version": 1, "selection": "validation", "model": {"name": model, "kind": "encoder"},
        "task": {
            "suite": suite, "name": task, "labels": ["a", "b"], "data_digest": "d", "split": "official",
            "counts": {"test": {"a": 60, "b": 40}},
        },
        "seed": seed, "protocol": {"name": "probe", "settings": {"epochs": 50, "seed_varies": ["row order"]}},
        "metrics": {"main": {"name": "accuracy", "value": value}, "all": {"accuracy": value}},
        "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    for key, change in changes.items():
        record[key] = record[key] | change if isinstance(record.get(key), dict) else change
    return Result.model_validate(record)


@pytest.fixture
def published(registry: Registry, tmp_path: Path) -> Any:
    path = tmp_path / "paper.toml"
    path.write_text(PAPER, "utf-8")
    paper = read_published(path)

    def of(*results: Result) -> Published:
        board = leaderboard(results, registry=registry, include_limited=True)
        found = published_tables(board.suites[0], [paper])
        assert found is not None
        return found

    return of


def cells(published: Published) -> dict[tuple[str, str], tuple[str, ...]]:
    assert published.comparable is not None
    return {(source, label): values for source, label, *values in published.comparable.rows}


def test_only_the_pairs_that_may_be_compared_stand_beside_each_other(published: Any) -> None:
    ours = [result("m", on, 0.8 + 0.01 * seed, seed) for on in ("toy/one", "toy/two") for seed in (0, 1)]
    otherwise = result("n", "toy/one", 0.9, protocol={"settings": {"epochs": 10}})
    found = published(*ours, otherwise)
    assert found.comparable.header == ("source", "row", "one (test rows 100)")
    assert cells(found) == {
        ("here (toy, probe)", "m"): ["80.50 ± 0.71 (n=2)"],
        ("paper, table 1", "Theirs"): ["83.0 ± 0.4"],
    }
    assert "50 epochs" in found.comparable_groups[0].how
    assert found.others.rows == (
        ("paper, table 1", "Theirs", "–", "80"),
        ("paper, table 1, quoted from another paper", "Older", "70.1", "69.9"),
    )
    why = {group.name: group.why for group in found.other_groups}
    assert why["paper, table 1: probing"] == ("budget: 50 epochs here, 99 epochs there",)
    assert "selection: validation here, not stated there" in why["paper, table 1, quoted from another paper: probing"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"flags": ["partial (100 of 900)"]}, "partial"),
        ({"limit": 50, "flags": ["limit 50"]}, "limit"),
        ({"selection": "test"}, "selection"),
        ({"task": {"counts": {"test": {"a": 1, "b": 1}}}}, "test rows"),
        ({"protocol": {"name": "finetune"}}, "protocol"),
        ({"task": {"split": "grouped"}}, "split"),
    ],
)
def test_one_seed_that_differs_keeps_the_whole_row_apart(published: Any, changes: dict[str, Any], word: str) -> None:
    fair = [result("m", "toy/one", 0.8, seed) for seed in (0, 1)]
    assert published(*fair).comparable is not None
    found = published(fair[0], result("m", "toy/one", 0.8, 1, **changes)) if "protocol" not in changes else published(
        result("m", "toy/one", 0.8, 1, **changes)
    )  # fmt: skip
    if changes.get("task", {}).get("split") or "limit" in changes:  # a row of another table; the whole one still stands
        assert cells(found)[("here (toy, probe)", "m")] == ["80.00 (n=1)"]
        return
    assert found.comparable is None
    assert any(word in clause for group in found.other_groups for clause in group.why)


def board_of_two_suites(registry: Registry) -> Leaderboard:
    rows = {"m": (0.9, 0.6), "trivial": (0.5, 0.5), "strong": (0.7, 0.7)}
    results = [
        result(model, f"toy/{task}", value, validation={"metrics": {"accuracy": 0.9 if model == "strong" else 0.5}})
        for model, values in rows.items()
        for task, value in zip(("one", "two"), values, strict=True)
    ]
    results += [result("m", "other/one", 0.8, flags=["untrained"]), result("trivial", "other/one", 0.9)]
    return leaderboard(results, registry=registry)


def test_the_overview_gives_gains_over_trivial_then_over_the_best_control_on_validation(
    registry: Registry, tmp_path: Path
) -> None:
    costs = read_costs(profile(tmp_path))
    grid = overview(board_of_two_suites(registry), costs)
    assert grid is not None
    lines = {row[0]: dict(zip(grid.header, row, strict=True)) for row in grid.rows}
    assert list(lines) == ["m", "strong (control)", "trivial (control)"]
    m = lines["m"]
    assert m["toy, probe: over trivial"] == "+25.00 (2 of 2)"
    assert m["toy, probe: over the best control on validation"] == "+5.00 (1 of 2)"
    assert m["toy, probe: mean"] == "75.00"
    # One of the suite's two tasks has no number: there is no mean, so there is no mean gain either.
    assert (m["other, probe: over trivial"], m["other, probe: mean"]) == ("(0 of 1)", "–")
    assert m["flags"] == "untrained (other, probe)"
    assert (m["ns per base"], m["MFLOP per base"], m["peak GiB"]) == ("2,000", "3", "0.5")
    assert lines["strong (control)"]["toy, probe: over the best control on validation"] == "–"
    one_suite = leaderboard([result("m", "toy/one", 0.9)], registry=registry)
    assert "## Overview" not in render_markdown(one_suite)
    page = render_markdown(board_of_two_suites(registry))
    assert page.index("## Overview") < page.index("## toy, probe") < page.index("## other, probe")
    assert page == render_markdown(board_of_two_suites(registry))


def profile(folder: Path) -> Path:
    row = {
        "model": "m", "formulation": "best", "status": "ok", "mode": "train", "device": "cpu", "device_name": "CPU",
        "length": 100, "batch_size": 2, "ns_per_base": 2000.0, "flops": 6 * 10**8, "peak_bytes": 2**29,
    }  # fmt: skip
    slow = row | {"formulation": "published", "ns_per_base": 9e9}
    failed = row | {"model": "n", "status": "oom", "ns_per_base": None, "length": 200}
    path = folder / "compute.json"
    path.write_text(json.dumps({"profile_schema": 1, "rows": [row, slow, failed]}))
    return path


def test_untrained_weights_cost_what_trained_ones_do(tmp_path: Path) -> None:
    costs = read_costs(profile(tmp_path))
    assert costs.of("m@random:3") == costs.of("m")
    assert costs.of("n") is None
    assert costs.about == "train, 100 bases, CPU"


def test_other_files_are_neither_costs_nor_audits(tmp_path: Path) -> None:
    (tmp_path / "compute.json").write_text("{}")
    with pytest.raises(UsageError, match=r"not a compute\.json"):
        read_costs(tmp_path / "compute.json")
    with pytest.raises(UsageError, match="no audit in"):
        read_audits(tmp_path)
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "task.json").write_text("{")
    with pytest.raises(UsageError, match="no report of"):
        read_audits(tmp_path)


def test_pages_show_what_an_audit_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bench(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["findna-bench", *words])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0)

    monkeypatch.chdir(tmp_path)
    ResultStore(Path("results")).write(result("m", "toy/one", 0.8))
    bases = np.random.default_rng(0).choice(list("ACGT"), (40, 80))
    rows = SequenceTable(["".join(row) for row in bases], np.arange(40) % 2, np.arange(40))
    card = TaskCard(name="one", suite="toy", labels=("a", "b"))
    write_pages([audit_tables({"train": rows, "test": rows}, card)], Path("audits"))
    assert bench("leaderboard", "--audits", "audits") == 2  # shown on pages only
    words = ("leaderboard", "--markdown", "page.md", "--audits", "audits", "--costs", str(profile(tmp_path)))
    assert bench(*words, "--html", "html") == 0
    page = Path("page.md").read_text()
    assert "* one, by sequences: **shortcut and leak**. " in page
    assert "identical to a train row on either strand: 100.0 % of a" in page
    assert "train, 100 bases, CPU" in page
    assert "--audits audits --costs compute.json`" in page
    assert '"level":"shortcut and leak"' in Path("html/index.html").read_text()
    assert bench(*words, "--check") == 0
    assert bench("leaderboard", "--markdown", "page.md", "--check") == 1
