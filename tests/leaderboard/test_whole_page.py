"""Pages of a leaderboard of results that hold one of everything, to the letter: Markdown, screen, CSV and what the page in HTML shows."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from findna_bench.cards import ModelCard, SuiteCard, TaskCard, hookimpl
from findna_bench.leaderboard.audits import Verdict
from findna_bench.leaderboard.columns import render_csv
from findna_bench.leaderboard.costs import Cost, Costs
from findna_bench.leaderboard.html import html_files
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.published import Figure, Paper
from findna_bench.leaderboard.score_tables import Leaderboard
from findna_bench.leaderboard.screen import render_screen
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix import plugin as core
from findna_bench.registry import Plugin, Registry
from findna_bench.results.schema import Result

HERE = Path(__file__).parent / "pages"
TASKS = ("one", "two", "three")
COSTS = Costs(
    "inference, 1,000 bases, cpu", {"net": Cost(123.456, 2.5e6, 3 * 2**30), "coin": Cost(0.01234, None, None)}
)
AUDITS = {"toy/one": (Verdict("leak", "sequences", "Rows | stand in train."),)}


class Toy:
    """Two tasks by accuracy, one of them known for a shortcut, and one by an error; two controls."""

    @hookimpl
    def findna_bench_suites(self) -> list[SuiteCard]:
        tasks = tuple(f"toy/{name}" for name in TASKS)
        return [
            SuiteCard(name="toy", tasks=tasks, extra_tasks=("toy/extra", "toy/four"), summary="Three <b>tasks</b>.")
        ]

    @hookimpl
    def findna_bench_tasks(self) -> list[TaskCard]:
        def card(name: str, **more: Any) -> TaskCard:
            return TaskCard(name=name, suite="toy", labels=("a", "b"), factory="no:where", **more)

        return [card("one"), card("two"), card("three", known_shortcuts=("length", "gc")), card("four"), card("extra")]

    @hookimpl
    def findna_bench_models(self) -> list[ModelCard]:
        return [
            ModelCard(name=name, kind="classifier", factory="no:where", control=True) for name in ("coin", "trivial")
        ]


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = Registry()
    registry.add(core, Plugin("core", "findna_bench.matrix.plugin", "findna-bench", "0"))
    registry.add(Toy(), Plugin("toy", "toy", "toy", "1"))
    return registry


def result(name: str, on: str, value: float | None, seed: int = 0, config: str = "c1", **changes: Any) -> Result:
    varies = changes.pop("varies", ("validation draw",))
    low = changes.pop("low", 0.05)
    error = on == "three"
    metric = "rmse" if error else "accuracy"
    record: dict[str, Any] = {
        "identity": f"{name}-{config}-{on}-{seed}", "request_id": f"{name}-{config}-{on}-{seed}", "config_id": f"{name}-{config}",
        "status": "success", "command": f"findna-bench run {name}", "protocol_version": 1, "preset": "default", "selection": "validation",
        "strand": "forward", "model": {"name": name, "kind": "encoder", "pooling": "mean"},
        "task": {"suite": "toy", "name": on, "labels": ["a", "b"], "data_digest": "d", "split": "official", "counts": {"test": {"a": 600, "b": 900}}},
        "seed": seed, "protocol": {"name": "probe", "settings": {"method": "logistic", "seed_varies": list(varies)}},
        "metrics": {
            "main": {"name": metric, "value": value, "higher_is_better": not error}, "all": {metric: value},
            "intervals": {metric: None if low is None or value is None else [value - low, value + low]}, "n_groups": 100,
        },
        "validation": {"metrics": {metric: value}}, "created": "2026-01-01T00:00:00+00:00",
        "environment": {"device": "cpu", "cpu": "c", "cpu_count": 2, "python": "3.11", "versions": {"torch": "2", "findna-bench": "0.2.0"}},
    }  # fmt: skip
    for key, change in changes.items():
        record[key] = record[key] | change if isinstance(record.get(key), dict) else change
    if record["status"] != "success":
        record |= {
            "identity": None,
            "config_id": None,
            "error": {"type": "DataError", "message": f"{name} broke on {on}"},
        }
        record["metrics"] = {"main": {"name": metric, "higher_is_better": not error}}
    return Result.model_validate(record)


def groups(first: float, second: float) -> dict[str, Any]:
    return {
        "groups": {
            "g1": {"n": 1000, "accuracy": first, "intervals": {"accuracy": [first - 0.1, first + 0.1]}},
            "g2": {"n": 500, "accuracy": second, "intervals": {"accuracy": None}},
        },
        "grouping": {"weights": "rows", "mean": {"accuracy": (first + second) / 2}, "pooled": {"accuracy": first}, "rule": {"accuracy": 0.5}},
    }  # fmt: skip


def everything() -> list[Result]:
    net = {"model": {"n_parameters": 1_234_567, "licence": "MIT"}}
    found = [result("net", "one", 0.80 + 0.01 * seed, seed, flags=["leak"], **net) for seed in range(3)]
    found += [
        result("net", "two", 0.9, varies=(), metrics=groups(0.95, 0.8), flags=["limit none"], **net),
        result("net", "three", 1.5, low=0.25, varies=(), flags=["partial (1 of 2)"], coverage={"bases_seen": 46, "bases_total": 100, "truncated_sequences": 7}, **net),
        result("net", "extra", 0.7, low=None, varies=(), **net),
        result("net", "one", 0.6, config="c2", varies=(), model={"pooling": "max", "n_parameters": 1_234_567}, validation={"warnings": ["the fit did not settle after 100 steps"]}),
        result("net", "two", 0.65, config="c2", varies=(), model={"pooling": "max", "n_parameters": 1_234_567}, metrics=groups(0.7, 0.6)),
        result("net", "three", None, config="c2", status="oom", model={"pooling": "max"}),
        result("coin", "one", 0.7, varies=(), model={"kind": "classifier"}),
        result("coin", "two", 0.7, varies=(), model={"kind": "classifier"}),
        result("coin", "three", 2.0, low=0.5, varies=(), model={"kind": "classifier"}),
        result("trivial", "one", 0.75, varies=(), model={"kind": "classifier"}, validation={"metrics": {}}),
        result("trivial", "two", 0.5, varies=(), model={"kind": "classifier"}),
        result("net", "one", 0.5, 0, "old", task={"data_digest": "older"}, created="2025-01-01T00:00:00+00:00"),
        result("net", "one", 0.99, 0, "limited", limit=10),
        result("gone", "one", None, status="error"),
        result("lone", "one", 0.55, 0, protocol={"name": "knn"}, varies=()),
    ]  # fmt: skip
    found += [result("net", "one", 0.8, 3, status="error", **net)]
    return found


@pytest.fixture(scope="module")
def board(registry: Registry) -> Leaderboard:
    return leaderboard(everything(), registry=registry)


def papers() -> list[Paper]:
    def figure(on: str, value: str, **more: Any) -> Figure:
        facts: dict[str, Any] = {
            "n_test": 1500,
            "n_runs": 1,
            "selection": "validation",
            "split": "official",
            "protocol": "probe",
        } | more
        return Figure(
            paper="x2020",
            table="2",
            label="Theirs",
            model="",
            column=on,
            task=f"toy/{on}",
            metric="accuracy",
            value=value,
            **facts,
        )

    figures = (
        figure("one", "88.10", spread="0.30", spread_kind="standard deviation"),
        figure("two", "0.912", unit="fraction", notes=("Odd.",)),
    )
    return [Paper(key="x2020", title="A <paper>", source="doi", figures=figures)]


def squeezed(page: str) -> list[str]:
    """Lines of tables without the spaces that line their columns up."""
    return [re.sub(r"-{3,}", "---", re.sub(r" +", " ", line)).rstrip() for line in page.splitlines()]


def test_the_page_in_markdown(board: Leaderboard) -> None:
    page = render_markdown(
        board, title="Boards | here", command="findna-bench leaderboard", papers=papers(), audits=AUDITS, costs=COSTS
    )
    assert squeezed(page) == (HERE / "board.md").read_text(encoding="utf-8").splitlines()


def test_the_page_of_one_table_has_no_overview(registry: Registry) -> None:
    page = render_markdown(leaderboard([r for r in everything() if r.protocol.name == "probe"], registry=registry))
    assert page.startswith("# Leaderboard\n\nIts results were computed by\n")
    assert "## Overview" not in page
    assert render_markdown(leaderboard([], registry=registry)).endswith("There are no results yet.\n")


def test_the_screen(board: Leaderboard, capsys: pytest.CaptureFixture[str]) -> None:
    render_screen(board)
    assert capsys.readouterr().out == (HERE / "board.txt").read_text(encoding="utf-8")
    render_screen(Leaderboard(()))
    assert capsys.readouterr().out == "no results\n"


def test_the_file_of_scores(board: Leaderboard) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(board))))
    assert list(rows[0]) == [
        "table", "model", "parameters", "toy/one", "mean", "n", "flags", "toy/two", "toy/three", "toy/extra",
    ]  # fmt: skip
    scores = {(row["table"], row["model"]): (row["toy/one"], row["toy/three"], row["n"]) for row in rows}
    assert scores == {
        ("toy, knn", "lone"): ("0.55", "", "1"),
        ("toy, probe", "net (pooling mean)"): (str((0.80 + 0.81 + 0.82) / 3), "1.5", "1–3"),
        ("toy, probe", "net (pooling max)"): ("0.6", "", "1"),
        ("toy, probe", "gone"): ("", "", "–"),
        ("toy, probe", "coin"): ("0.7", "2.0", "1"),
        ("toy, probe", "trivial"): ("0.75", "", "1"),
    }


def data_of(page: str) -> Any:
    found = re.search(r'(\{"command".*\})\s*</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_page_in_html_shows_the_same(board: Leaderboard) -> None:
    files = html_files(
        board, title="Boards | here", command="findna-bench leaderboard", papers=papers(), audits=AUDITS, costs=COSTS
    )
    assert list(files) == ["index.html"]
    data = data_of(files["index.html"])
    details = data.pop("details")
    assert [type(block) for block in details] == [str] * 6
    expected = json.loads((HERE / "board.json").read_text(encoding="utf-8"))
    for key, value in data.items():
        assert value == expected[key], key
    n = sum(len(row.results) for table in board.tables for row in table.rows)
    assert list(html_files(board, most_in_one=n)) == ["index.html"]
    assert list(html_files(board, most_in_one=n - 1)) == ["index.html", *(f"cells/{i}.js" for i in range(6))]
