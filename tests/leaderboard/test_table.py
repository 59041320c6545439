"""What stands in a table: means of complete and equal configurations only, no invented spread, the same bytes from the same results."""

from __future__ import annotations

import csv
import hashlib
import random
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from findna_bench.cards import ModelCard, SuiteCard, TaskCard, hookimpl
from findna_bench.cli import main
from findna_bench.comparison.comparing import compare_models
from findna_bench.errors import UsageError
from findna_bench.leaderboard import columns, fit_intervals
from findna_bench.leaderboard.fit_intervals import INTERVALS, kept_intervals
from findna_bench.leaderboard.html import render_html
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.overview import overview
from findna_bench.leaderboard.reference_controls import reference_control
from findna_bench.leaderboard.score_tables import Leaderboard, Row
from findna_bench.leaderboard.screen import render_screen
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix import plugin as core
from findna_bench.registry import Plugin, Registry
from findna_bench.results.result_index import ResultIndex
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore, ScoredRows
from findna_bench.statistics.classification import compute_metrics
from findna_bench.statistics.score_intervals import confidence_intervals

TASKS = ("one", "two", "three")


class Toy:
    """A suite of three tasks, one of them outside the mean for its shortcut."""

    @hookimpl
    def findna_bench_suites(self) -> list[SuiteCard]:
        return [SuiteCard(name="toy", tasks=tuple(f"toy/{name}" for name in TASKS))]

    @hookimpl
    def findna_bench_tasks(self) -> list[TaskCard]:
        return [
            TaskCard(
                name=name, suite="toy", labels=("a", "b"), factory="no:where",
                known_shortcuts=("length",) if name == "three" else (),
            )
            for name in TASKS
        ]  # fmt: skip

    @hookimpl
    def findna_bench_models(self) -> list[ModelCard]:
        return [ModelCard(name="coin", kind="classifier", factory="no:where", control=True)]


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(core, Plugin("core", "findna_bench.matrix.plugin", "findna-bench", "0"))
    registry.add(Toy(), Plugin("toy", "toy", "toy", "1"))
    return registry


def result(name: str = "m", on: str = "one", value: float = 0.8, seed: int = 0, **changes: Any) -> Result:
    """A success; ``changes`` are top-level fields, or ``status`` with an error, ``config`` and ``varies``."""
    config, varies = changes.pop("config", "c1"), changes.pop("varies", ("validation draw",))
    record: dict[str, Any] = {
        "identity": f"{name}-{config}-{on}-{seed}",
        "request_id": f"{name}-{config}-{on}-{seed}",
        "config_id": config,
        "status": "success",
        "command": "findna-bench run",
        "protocol_version": 1,
        "preset": "default",
        "selection": "validation",
        "strand": "forward",
        "model": {"name": name, "kind": "encoder", "pooling": "mean"},
        "task": {
            "suite": "toy",
            "name": on,
            "labels": ["a", "b"],
            "data_digest": "d",
            "split": "official",
            "counts": {"test": {"a": 60, "b": 40}},
        },
        "seed": seed,
        "protocol": {"name": "probe", "settings": {"method": "logistic", "seed_varies": list(varies)}},
        "metrics": {
            "main": {"name": "accuracy", "value": value},
            "all": {"accuracy": value},
            "intervals": {"accuracy": [value - 0.05, value + 0.05]},
        },
        "validation": {"metrics": {"accuracy": 0.5}},
        "created": "2026-01-01T00:00:00+00:00",
    }
    if changes.get("status", "success") != "success":
        record |= {"identity": None, "config_id": None, "error": {"type": "DataError", "message": "it broke"}}
        record["metrics"] = {"main": {"name": "accuracy"}}
    for key, change in changes.items():
        record[key] = record[key] | change if isinstance(record.get(key), dict) else change
    return Result.model_validate(record)


def suite(name: str = "m", tasks: tuple[str, ...] = TASKS, seeds: int = 3, **changes: Any) -> list[Result]:
    return [result(name, task, 0.7 + 0.01 * seed, seed, **changes) for task in tasks for seed in range(seeds)]


def rows(board: Leaderboard) -> dict[str, Row]:
    (table,) = board.tables
    return {" ".join((row.model, *row.settings)): row for row in table.rows}


def mean_of(results: list[Result], registry: Registry, **options: bool) -> tuple[float | None, str]:
    (row,) = rows(leaderboard(results, registry=registry, **options)).values()
    return row.mean, row.mean_why_not


def test_a_suite_has_a_mean_only_where_it_is_complete_and_equal(registry: Registry) -> None:
    assert mean_of(suite(), registry)[0] == pytest.approx(0.71)  # "three" is outside the mean for its shortcut
    assert mean_of(suite(tasks=("one", "three")), registry) == (None, "1 of 2 tasks have no number")
    broken = [*suite(tasks=("one",)), result(on="two", status="error")]
    assert mean_of(broken, registry) == (None, "1 of 2 tasks have no number")
    uneven = [*suite(tasks=("one",)), *suite(tasks=("two",), seeds=2)]
    assert mean_of(uneven, registry) == (None, "the tasks have unlike seeds")
    limited = suite(limit=10, flags=["limit 10"])
    assert mean_of(limited, registry, include_limited=True) == (None, "computed with --limit")
    partial = suite(flags=["partial (1 of 2)"])
    assert mean_of(partial, registry) == (None, "some data sets are partial")
    unlike = [*suite(tasks=("one",)), *suite(tasks=("two",), metrics={"main": {"name": "mcc", "value": 0.5}})]
    assert mean_of(unlike, registry) == (None, "the tasks have unlike metrics")
    once = [*suite(tasks=("one",)), result(on="two", value=0.9, varies=())]
    assert mean_of(once, registry)[0] == pytest.approx((0.71 + 0.9) / 2)  # a deterministic fit stands for all seeds
    split = [*suite(tasks=("one",)), *suite(tasks=("two",), config="c2", strand="rc-mean")]
    assert [row.mean for row in rows(leaderboard(split, registry=registry)).values()] == [None, None]


class Mixed:
    """A suite of a task of its own and one of the suite toy, and a suite of tasks of toy alone."""

    @hookimpl
    def findna_bench_suites(self) -> list[SuiteCard]:
        return [
            SuiteCard(name="mixed", tasks=("mixed/own", "toy/one")),
            SuiteCard(name="selection", tasks=("toy/one", "toy/two")),
        ]


def test_a_suite_shows_the_tasks_that_it_takes_from_others(registry: Registry) -> None:
    registry.add(Mixed(), Plugin("mixed", "mixed", "mixed", "1"))
    own = result(on="own", value=0.6).model_copy(
        update={"task": result().task.model_copy(update={"suite": "mixed", "name": "own"})}
    )
    board = leaderboard([result(value=0.8), result(on="two"), own], registry=registry)
    tables = {table.suite: table for table in board.tables}
    assert set(tables) == {"toy", "mixed"}, "a mere selection of another suite's tasks is no table of its own"
    assert [column.name for column in tables["mixed"].columns] == ["mixed/own", "toy/one"]
    assert tables["mixed"].missing == ()
    assert tables["mixed"].rows[0].mean == pytest.approx(0.7)
    assert [column.name for column in tables["toy"].columns] == ["toy/one", "toy/two"]
    without = leaderboard([result(value=0.8)], registry=registry)
    assert [table.suite for table in without.tables] == ["toy"]


def test_configurations_of_a_model_are_rows_that_name_what_differs(registry: Registry) -> None:
    pooled = {"model": {"pooling": "max"}, "config": "c2"}
    board = rows(leaderboard([*suite(), *suite(**pooled), *suite("other")], registry=registry))
    assert set(board) == {"m pooling mean", "m pooling max", "other"}
    preset = {"protocol": {"settings": {"method": "adamw", "lr": 0.1, "seed_varies": ["row order"]}}, "config": "c2"}
    board = rows(leaderboard([*suite(), *suite(**preset)], registry=registry))
    assert set(board) == {"m method logistic", "m method adamw lr 0.1"}
    shots = {"shots": 10, "shot_validation": "within"}
    few = {"protocol": {"settings": {"method": "logistic", "seed_varies": ["few-shot draw"], **shots}}, "config": "c2"}
    failed = result(on="one", seed=9, status="error", config="f", protocol={"settings": shots})
    # Before there was a choice, nothing of it was recorded, and all validation rows were used.
    older = {"protocol": {"settings": {"method": "logistic", "seed_varies": ["few-shot draw"], "shots": 10}}}
    results = [*suite(), *suite(**few), failed, *suite(config="c3", **older)]
    whole, part, full = sorted(leaderboard(results, registry=registry).tables, key=lambda table: len(table.part))
    assert [(table.name, len(table.rows)) for table in (whole, part, full)] == [
        ("toy, probe", 1),
        ("toy, probe, 10-shot", 1),
        ("toy, probe, 10-shot, full validation", 1),
    ]
    assert not whole.rows[0].entries["toy/one"].reason
    assert part.rows[0].entries["toy/one"].reason == "1 more failed: it broke"
    hidden = rows(leaderboard([*suite(), *suite(config="c2")], registry=registry))
    assert set(hidden) == {"m configuration c1", "m configuration c2"}


def test_a_search_is_named_by_its_size_and_never_by_its_trials(registry: Registry) -> None:
    def searched(n: int, *trials: dict[str, Any]) -> dict[str, Any]:
        settings = {"method": "finetune", "search": n, "trials": list(trials), "seed_varies": ["row order"]}
        return {"protocol": {"settings": settings}, "config": f"best of {n}"}

    one, other = searched(2, {"settings": {"lr": 0.1}}), searched(3, {"settings": {"lr": 0.2}})
    plain = {"protocol": {"settings": {"method": "finetune", "seed_varies": ["row order"]}}}
    failed = result(on="two", status="oom", protocol={"settings": {"search": 3}}, config="f")
    board = rows(
        leaderboard(
            [*suite(**plain), *suite(**one), *suite(tasks=("one", "three"), **other), failed], registry=registry
        )
    )
    assert set(board) == {"m search none", "m search 2", "m search 3"}
    assert board["m search 3"].entries["toy/two"].status == "oom"


def test_a_failure_stands_in_the_row_it_was_asked_for(registry: Registry) -> None:
    strands = [*suite(tasks=("one",)), *suite(tasks=("one",), config="c2", strand="rc-mean")]
    failed = result(on="two", status="oom", strand="rc-mean", config="f")
    board = rows(leaderboard([*strands, failed], registry=registry))
    assert "toy/two" not in board["m strand forward"].entries
    assert board["m strand rc-mean"].entries["toy/two"].status == "oom"
    alone = rows(leaderboard([*suite(tasks=("one",)), failed], registry=registry))
    assert {name: sorted(row.entries) for name, row in alone.items()} == {
        "m strand forward": ["toy/one"],
        "m strand rc-mean": ["toy/two"],
    }
    some = rows(leaderboard([*suite(tasks=("one",)), result(seed=3, status="error", config="f")], registry=registry))
    assert some["m"].entries["toy/one"].n == 3
    assert some["m"].entries["toy/one"].reason == "1 more failed: it broke"
    settled = result(seed=0, status="error", config="c1")
    assert not rows(leaderboard([*suite(tasks=("one",)), settled], registry=registry))["m"].entries["toy/one"].reason


def test_a_page_says_the_processor_the_versions_and_the_protocol_version_of_every_result(registry: Registry) -> None:
    here = {
        "device": "cpu",
        "cpu": "c",
        "cpu_count": 2,
        "python": "3.11",
        "versions": {"torch": "2", "findna-bench": "0.2.0"},
    }
    results = [
        result(environment=here, protocol_version=1),
        result("n", environment=here, protocol_version=2),
        result("o", environment=here, protocol_version=2),
    ]
    page = render_markdown(leaderboard(results, registry=registry))
    line = "cpu: c, 2 cores; Python 3.11, torch 2, findna-bench 0.2.0; protocol version"
    assert [row for row in page.splitlines() if row.startswith("* cpu")] == [f"* {line} 1", f"* {line} 2"]


def test_a_spread_is_shown_where_fits_differ_and_is_never_zero(registry: Registry) -> None:
    def shown(values: list[float], **changes: Any) -> str:
        results = [result(value=value, seed=seed, **changes) for seed, value in enumerate(values)]
        page = render_markdown(leaderboard(results, registry=registry))
        return next(line for line in page.splitlines() if line.startswith("| m "))

    assert "71.00 ± 1.00" in re.sub(r"\*", "", shown([0.70, 0.71, 0.72]))
    assert "±" not in shown([0.7])
    assert "±" not in shown([0.7, 0.7, 0.7])
    assert "± <0.01" in shown([0.7, 0.70001])
    one_fit = shown([0.7, 0.8], varies=())
    assert "±" not in one_fit
    assert "70.00" in one_fit
    assert re.search(r"\| +1 \|", one_fit)


def test_limited_results_are_left_out_unless_asked_for(registry: Registry) -> None:
    results = [*suite(tasks=("one",)), *suite("tried", tasks=("one",), limit=10, flags=["limit 10"])]
    board = leaderboard(results, registry=registry)
    assert set(rows(board)) == {"m"}
    assert board.notes[0] == "3 results computed with --limit are left out; --include-limited shows them"
    whole, part = leaderboard(results, registry=registry, include_limited=True).tables
    assert (whole.name, part.name) == ("toy, probe", "toy, probe, limit 10")
    assert [row.model for row in whole.rows] == ["m"]
    assert part.rows[0].flags == ("limit 10",)
    assert (whole.columns[0].n_test, part.columns[0].n_test) == (100, 10)


def test_a_control_on_other_rows_is_no_control(registry: Registry) -> None:
    """A model is set against controls that learned from as many rows and were scored on the same ones."""
    lucky = suite("coin", tasks=("one",), limit=10, flags=["limit 10"], config="c2")
    shots = {"protocol": {"settings": {"method": "logistic", "shots": 1, "seed_varies": ["few-shot draw"]}}}
    few = suite("coin", tasks=("one",), config="c3", **shots)
    model = suite(tasks=("one",))
    board = leaderboard([*lucky, *few, *model], registry=registry, include_limited=True)
    page = render_markdown(board)
    assert "Gain over the best control on validation" not in page
    alike = leaderboard([*few, *model, *suite("coin", tasks=("one",))], registry=registry)
    assert render_markdown(alike).count("Gain over the best control on validation") == 1


def test_the_reference_control_is_chosen_on_validation_rows(registry: Registry) -> None:
    """A model exactly as good as five controls, n = 100: the maximum of their test scores shows -4.5 points."""
    rng = np.random.default_rng(0)
    gains, lost = [], []
    for _ in range(300):
        test, validation = rng.binomial(100, 0.8, (2, 6)) / 100
        results = [
            result(
                "m" if i == 5 else "coin", "one", test[i], validation={"metrics": {"accuracy": validation[i]}},
                config=f"c{i}", varies=(),
            )
            for i in range(6)
        ]  # fmt: skip
        (table,) = leaderboard(results, registry=registry).tables
        found = reference_control(table.rows, table.columns[0])
        assert found is not None
        assert found.value in test[:5][validation[:5] == validation[:5].max()]
        gains.append(test[5] - found.value)
        lost.append(test[5] - test[:5].max())
    assert np.mean(lost) == pytest.approx(-0.045, abs=0.006)
    assert np.mean(gains) == pytest.approx(0.0, abs=0.01)


def test_a_control_without_a_validation_score_is_no_reference_and_is_named(registry: Registry) -> None:
    model = suite(tasks=("one",))
    unknown = suite("coin", tasks=("one",), validation={"metrics": {"accuracy": None}})
    chosen_on_test = suite("coin", tasks=("one",), selection="test", config="c2")
    for controls in (unknown, chosen_on_test):
        page = render_markdown(leaderboard([*model, *controls], registry=registry))
        assert "Gain over the best control" not in page
        assert "Controls without a validation score, and so no reference: coin on one." in page
    known = suite("coin", tasks=("one",), config="c3", strand="rc-mean")
    page = render_markdown(leaderboard([*model, *unknown, *known], registry=registry))
    assert "over coin (strand rc-mean)" in page


def scored(root: Path, seeds_of: Mapping[str, Sequence[int]]) -> ResultStore:
    """Results on 200 rows in groups, with their predictions; models -> seeds."""
    rng = np.random.default_rng(0)
    store, labels, groups = ResultStore(root), np.arange(200) % 2, np.arange(200) // 4
    for name, seeds in seeds_of.items():
        for seed in seeds:
            scores = np.eye(2)[np.where(rng.random(200) < 0.8, labels, 1 - labels)]
            values = compute_metrics(labels, scores)
            metrics = {
                "main": {"name": "accuracy", "value": values["accuracy"]}, "all": values, "interval_unit": "groups",
                "intervals": confidence_intervals(labels, scores, groups), "n_groups": 50, "groups_by": "as told",
            }  # fmt: skip
            one = result(name, "one", seed=seed, metrics=metrics, varies=() if name == "coin" else ("row order",))
            one = one.model_copy(update={"identity": hashlib.sha256(one.request_id.encode()).hexdigest()})
            store.write(one, ScoredRows(np.array([f"r{i}" for i in range(200)]), labels, scores, groups))
    return store


def test_one_cell_has_one_interval_in_tables_and_in_a_comparison(tmp_path: Path, registry: Registry) -> None:
    store = scored(tmp_path, {"m": (0, 1, 2), "coin": (0,)})
    results = store.load()
    board = rows(leaderboard(results, registry=registry, predictions=store.predictions))
    (task,) = compare_models(tmp_path, ["m", "coin"], registry=registry).tasks
    assert (task.n_groups, task.groups) == (50, "as told")
    for name in ("m", "coin"):
        entry, score = board[name].entries["toy/one"], task.scores[name]
        assert entry.low is not None
        assert (entry.low, entry.high) == (score.low, score.high)
    unread = leaderboard(results, registry=registry)
    assert rows(unread)["m"].entries["toy/one"].low is None
    assert unread.notes == ("no interval for means over several fits whose predictions are not there: m on toy/one",)


@pytest.mark.parametrize(("models", "rest"), [("abc", ""), ("abcd", " and 1 more"), ("abcdef", " and 3 more")])
def test_three_means_without_an_interval_are_named_and_the_rest_counted(
    tmp_path: Path, registry: Registry, models: str, rest: str
) -> None:
    board = leaderboard(scored(tmp_path, dict.fromkeys(models, (0, 1))).load(), registry=registry)
    named = f"a on toy/one, b on toy/one, c on toy/one{rest}"
    assert board.notes == (f"no interval for means over several fits whose predictions are not there: {named}",)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the predictions that are read from now on."""
    read: list[str] = []

    def predictions(self: ResultStore, r: Result) -> ScoredRows:
        read.append(self.predictions_name(r))
        return original(self, r)

    original = ResultStore.predictions
    monkeypatch.setattr(ResultStore, "predictions", predictions)
    return read


def test_intervals_over_fits_are_computed_once_and_follow_the_predictions(
    tmp_path: Path, registry: Registry, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scored(tmp_path, {f"m{number:02}": (0, 1) for number in range(21)})

    def page(kept: bool = True) -> str:
        with kept_intervals(store) as intervals:
            given = intervals if kept else None
            board = leaderboard(store.load(), registry=registry, predictions=store.predictions, intervals=given)
        return render_markdown(board)

    plain = page(kept=False)
    assert page() == plain
    assert len(reads) == 84
    reads.clear()
    assert page() == plain
    assert not reads
    (first,) = (r for r in store.load() if (r.model.name, r.seed) == ("m00", 0))
    file = tmp_path / store.predictions_name(first)
    before = file.read_bytes()
    file.unlink()  # what is gone cannot be computed again
    assert "whose predictions are not there: m00 on toy/one" in page()
    file.write_bytes(before)
    reads.clear()
    other = ScoredRows(*(lambda rows: (rows.ids, rows.labels, 1 - rows.scores, rows.groups))(store.predictions(first)))
    store.write(first, other)
    assert page() == page(kept=False) != plain
    reads.clear()
    kept_file = tmp_path / INTERVALS
    changed = page(kept=False)
    for harm in (b"\xff", kept_file.read_bytes().replace(b"0.", b"1.")):
        kept_file.write_bytes(harm)
        assert page() == changed
    kept_file.unlink()
    file.write_bytes(before)  # not those of its result any more: the interval is not kept under their name
    page()
    reads.clear()
    page()
    assert {Path(name).parts[0] for name in reads} == {"m00"}
    monkeypatch.setattr(fit_intervals, "_heading", lambda content: "of tomorrow's code")
    reads.clear()
    page()
    assert len(reads) == 42


def test_an_index_gives_the_table_of_the_files(tmp_path: Path, registry: Registry) -> None:
    """What tables look up once for results that are alike holds for each of them."""
    draw, store = random.Random(0), ResultStore(tmp_path)
    for turn in range(6):
        for number in range(60):
            changes: dict[str, Any] = {
                "created": f"2026-01-0{draw.randint(1, 4)}T00:00:00+00:00",
                "request_id": f"{number}",
            }
            if draw.random() < 0.15:
                changes |= {"status": draw.choice(["oom", "error", "skipped"])}
            if draw.random() < 0.1:
                changes |= {"limit": 50}
            if draw.random() < 0.2:
                changes |= {"flags": draw.choice([["leak"], ["untrained", "did not learn"]])}
            if draw.random() < 0.3:
                changes |= {
                    "config": draw.choice("cde"),
                    "environment": {"device": "cuda"},
                    "command": draw.choice("ab"),
                }
            task: dict[str, Any] = {"data_digest": draw.choice("dddddg")} if turn % 2 else {}
            paths = {"request": {"task": {"path": draw.choice("xy")}}} if turn > 3 else {}
            name, on = draw.choice(["m", "n", "coin"]), draw.choice(TASKS)
            one = result(name, on, draw.random(), draw.randint(0, 3), task=task, hashed=paths, **changes)
            path = tmp_path / f"{turn}" / name / "toy" / on / "probe" / f"{number}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(one.to_json())
        store = ResultStore(tmp_path / f"{turn}")
        indexed = ResultIndex(store.root, fewest=1).results()
        assert len({r.alike for r in indexed}) < len(indexed) == 60
        for options in ({}, {"include_limited": True}):
            board = leaderboard(indexed, registry=registry, **options)
            of_files = leaderboard((r for _, r in store.readable()), registry=registry, **options)
            assert render_markdown(board) == render_markdown(of_files)
            assert {name: r.to_dict() for name, r in board.models.items()} == {
                name: r.to_dict() for name, r in of_files.models.items()
            }


def test_too_few_is_said_and_schema_1_is_named(registry: Registry) -> None:
    few = {"metrics": {"intervals": {"accuracy": None}, "n_groups": 8, "interval_unit": "rows"}}
    board = leaderboard([result(varies=(), **few)], registry=registry)
    assert "80.00**<br>[too few]" in render_markdown(board)
    assert not board.notes
    old = leaderboard([result(varies=(), schema_version=1), result("n", varies=())], registry=registry)
    assert "1 of 2 results are of schema 1, computed under protocol 1 by a version before 0.2 (m)" in old.notes[0]
    assert "[75.0, 85.0]" in render_markdown(old)  # as it was stored


def test_other_splits_are_other_tables_and_older_data_leave(registry: Registry) -> None:
    grouped = suite(tasks=("one",), task={"split": "grouped", "data_digest": "g"}, config="c2")
    board = leaderboard([*suite(tasks=("one",)), *grouped], registry=registry)
    assert [table.name for table in board.tables] == ["toy, probe", "toy, probe, split grouped"]
    assert [row.settings for table in board.tables for row in table.rows] == [(), ()]
    older = suite("old", tasks=("one",), task={"data_digest": "before"}, created="2025-01-01T00:00:00+00:00")
    board = leaderboard([*suite(tasks=("one",)), *older], registry=registry)
    assert set(rows(board)) == {"m"}
    assert board.notes[0] == "3 results on older data of the same tasks are left out"


def test_the_same_results_give_the_same_bytes_in_any_order(registry: Registry) -> None:
    results = [
        *suite(), *suite(config="c2", strand="rc-mean"), *suite("coin", varies=()), *suite("tied", command="another"),
        result(on="two", seed=7, status="error", config="f"), result("gone", status="skipped", config="s"),
        *suite(environment={"device": "cuda", "cpu": "x"}, config="c3", model={"layer": 2}),
        *suite("mixed", tasks=("one",), flags=["untrained", "leak"]), *suite("mixed", tasks=("two",), flags=["1-shot"]),
    ]  # fmt: skip
    expected = render_markdown(leaderboard(results, registry=registry))
    for seed in range(10):
        random.Random(seed).shuffle(results)
        assert render_markdown(leaderboard(results, registry=registry)) == expected


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the verb in an empty folder; gives the exit code."""

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["findna-bench", "leaderboard", *words])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0)

    monkeypatch.chdir(tmp_path)
    return run


def test_check_compares_a_page_with_the_results_however_the_command_was_written(bench: Callable[..., int]) -> None:
    store = ResultStore(Path("results"))
    for one in suite():
        store.write(one)
    assert bench("-o", "results", "--check") == 2
    assert bench("-o", "results", "--markdown", "page.md", "--check") == 1  # there is no page
    assert bench("-o", "results", "--markdown", "page.md") == 0
    written = Path("page.md").read_bytes()
    assert bench("--markdown", "page.md", "--check", "--output-dir", "results") == 0
    assert Path("page.md").read_bytes() == written
    assert b"`findna-bench leaderboard --markdown page.md`" in written
    store.write(result(value=0.9, seed=9))
    assert bench("-o", "results", "--markdown", "page.md", "--check") == 1
    assert Path("page.md").read_bytes() == written


def test_a_column_of_your_own_is_one_line_and_stands_everywhere(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = columns.Column("licence", "licence of weights", lambda row: row.results[0].model.licence, str.upper)
    monkeypatch.setattr(columns, "LAST", (*columns.LAST, mine))
    board = leaderboard([*suite(model={"licence": "mit"}), *suite("other")], registry=registry)
    render_screen(board)
    shown = capsys.readouterr().out.splitlines()
    assert [line.rpartition("\t")[2] for line in shown[1:4]] == ["licence of weights", "MIT", "–"]
    page = [line.split("|")[-2].strip() for line in render_markdown(board).splitlines() if line.startswith("| m")]
    assert page[:2] == ["licence of weights", "MIT"]
    html = render_html(board)
    assert '"label":"licence of weights","name":"licence"' in html
    assert '["MIT","mit"]' in html


def test_another_metric_than_the_main_one_is_shown_with_its_own_interval_and_control(
    tmp_path: Path, registry: Registry, bench: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def both(name: str, mcc: float, validation: float, **changes: Any) -> Result:
        metrics = {"all": {"accuracy": 0.8, "mcc": mcc}, "intervals": {"accuracy": [0.7, 0.9], "mcc": [mcc - 0.1, 0.7]}}
        scores = {"metrics": {"accuracy": 0.9 if name == "coin" else 0.1, "mcc": validation}}
        return result(name, metrics=metrics, validation=scores, varies=(), **changes)

    kept = [both("m", 0.6, 0.3), both("coin", 0.4, 0.1), both("coin", 0.2, 0.2, config="c2", strand="rc-mean")]
    kept.append(result("m", "two"))
    (table,) = leaderboard(kept, registry=registry, metric="mcc").tables
    (column,), entry = table.columns, table.rows[0].entries["toy/one"]
    assert (column.name, column.metric) == ("toy/one", "mcc")
    assert (entry.value, entry.low, entry.high, entry.validation) == (0.6, 0.5, 0.7, 0.3)
    control = reference_control(table.rows, column)
    assert control is not None
    assert control.value == 0.2  # the best on validation by this metric, not by accuracy
    store = ResultStore(tmp_path / "results")
    for one in kept:
        store.write(one)
    assert bench("--metric", "mcc", "--markdown", "page.md", "--csv", "rows.csv") == 0
    page = Path("page.md").read_text()
    assert "1 results without mcc are left out: its predictions are missing" in page
    assert "--markdown page.md --metric mcc`" in page
    with Path("rows.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["table"], first["model"], first["toy/one"], first["n"]) == ("toy, probe", "m", "0.6", "1")
    capsys.readouterr()
    assert bench("--metric", "mc") == 2
    assert capsys.readouterr().err == "findna-bench: unknown metric 'mc'; did you mean mcc?\n"


def test_a_metric_that_results_do_not_hold_is_computed_from_their_predictions(tmp_path: Path) -> None:
    import findna_bench as fb

    found = fb.run(["trivial", "kmer"], ["demo/species4"], seeds=1, limit=200, output_dir=tmp_path)
    store = ResultStore(tmp_path)
    classes = found[0].task.labels
    (table,) = leaderboard(
        store.load(), include_limited=True, predictions=store.predictions, metric=f"recall:{classes[2]}"
    ).tables
    rows = {row.model: row.entries["demo/species4"] for row in table.rows}
    for one in found:
        scored = store.predictions(one)
        mine = scored.labels == 2
        entry = rows[one.model.name]
        assert entry.value == pytest.approx((scored.scores[mine].argmax(1) == 2).mean())
        assert entry.low is not None
        assert entry.high is not None
        assert entry.low <= entry.value <= entry.high
    (table,) = leaderboard(store.load(), include_limited=True, predictions=store.predictions, metric="log_loss").tables
    assert not table.columns[0].higher_is_better
    assert [row.model for row in table.rows] == ["kmer", "trivial"]
    losses = [row.entries["demo/species4"].value for row in table.rows]
    assert losses == sorted(losses)
    with pytest.raises(UsageError, match="there is no class 'unicorn'; there are"):
        leaderboard(store.load(), include_limited=True, predictions=store.predictions, metric="recall:unicorn")


def test_the_overview_does_not_join_unlike_models_of_one_name(registry: Registry) -> None:
    other = {"task": {"suite": "more"}, "model": {"pooling": "max"}, "config": "c2"}
    found = overview(leaderboard([*suite(tasks=("one",)), *suite(tasks=("one",), **other)], registry=registry))
    assert found is not None
    assert [row[0] for row in found.rows] == ["m (pooling mean)", "m (pooling max)"]
    alike = overview(
        leaderboard([*suite(tasks=("one",)), *suite(tasks=("one",), task={"suite": "more"})], registry=registry)
    )
    assert alike is not None
    assert [row[0] for row in alike.rows] == ["m"]
