"""Tables, pages and plots of a profile; score against cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from findna_bench.errors import UsageError
from findna_bench.profiling.cost_tables import ratios, read_profile, render_page, tables, to_json, write_profile
from findna_bench.profiling.plots import (
    Point,
    best_control,
    fitted_exponent,
    pareto_front,
    pareto_points,
    plot_pareto,
)
from findna_bench.profiling.profile_rows import ProfileRow, spread_of

BASE = ProfileRow(
    model="first", task="s/t", mode="train", formulation="published", length=1000, batch_size=2, tokens=1000,
    step_ms=spread_of([90.0, 100.0, 130.0]), peak_bytes=2**30, flops=10**10, ceiling_flops=2e11, n_parameters=10**7,
    n_parameters_training=10**7, checklist={"precision": "float32"}, data="random sequence", device_name="test",
)  # fmt: skip
OTHER = replace(BASE, model="second", step_ms=spread_of([250.0]), peak_bytes=2**31, flops=3 * 10**10)
BEST = replace(BASE, formulation="best", step_ms=spread_of([50.0]))
FAILED = replace(
    BASE,
    model="third",
    status="oom",
    reason="not enough memory",
    step_ms=None,
    peak_bytes=None,
    flops=8 * 10**10,
    checklist={},
)
ROWS = [BASE, BEST, OTHER, FAILED]
PUBLISHED = {
    "first": {"time": "1", "memory": "1", "flops": "1"},
    "second": {"time": "1.71", "memory": "2.20", "flops": "2.75"},
}


def test_factors_are_of_the_first_model_in_the_same_formulation() -> None:
    assert ratios(OTHER, ROWS) == {"time": 2.5, "memory": 2.0, "flops": 3.0}
    assert ratios(BEST, ROWS) == {"time": 1.0, "memory": 1.0, "flops": 1.0}
    assert ratios(FAILED, ROWS) == {"time": None, "memory": None, "flops": 8.0}


def test_derived_figures() -> None:
    assert BASE.ns_per_base == pytest.approx(100e6 / 2000)
    assert BASE.bases_per_s == pytest.approx(2000 / 0.1)
    assert BASE.share_of_ceiling == pytest.approx(1e11 / 2e11)
    assert (FAILED.ns_per_base, FAILED.bases_per_s, FAILED.share_of_ceiling) == (None, None, None)


def test_tables_show_spread_failures_and_the_papers_factors_beside_ours() -> None:
    costs, factors, checklist = tables(ROWS, PUBLISHED)
    assert "100 (90.0-130, n=3)" in costs.rows[0]
    assert "oom: not enough memory" in costs.rows[3]
    assert factors.rows[2][-3:] == ("2.50 (paper 1.71)", "2.00 (paper 2.20)", "3.00 (paper 2.75)")
    assert factors.rows[3][-1] == "8.00"
    assert [row[:2] for row in checklist.rows] == [("first", "published"), ("first", "best"), ("second", "published")]
    assert any("2.5 N log2 N" in note for note in costs.notes)


def test_a_teacher_shows_in_the_training_parameters_and_a_head_does_not() -> None:
    with_head, with_teacher = (
        replace(BASE, n_parameters_training=10**7 + 618),
        replace(BASE, n_parameters_training=2 * 10**7),
    )
    cells = [tables([row])[1].rows[0][6] for row in (with_head, with_teacher)]
    assert cells == ["10.00M", "10.00M (20.00M in training)"]


def test_the_page_is_the_same_for_the_same_rows_and_its_cells_stay_in_their_columns() -> None:
    hostile = [*ROWS, replace(OTHER, model="a|b")]
    page = render_page(hostile, command="profile", published=PUBLISHED)
    assert page == render_page(list(hostile), command="profile", published=PUBLISHED)
    assert "a\\|b" in page
    assert "paper 2.75" in page


def test_written_files_hold_the_rows(tmp_path: Path) -> None:
    longer = [
        replace(row, length=4000, step_ms=row.step_ms and spread_of([8 * row.step_ms.median])) for row in ROWS[:3]
    ]
    page, data, plot = write_profile(
        [*ROWS, *longer], tmp_path, command="profile", environment={"x": 1}, published=PUBLISHED
    )
    content = json.loads(data.read_text())
    assert content["profile_schema"] == 1
    assert [row["status"] for row in content["rows"]] == ["ok", "ok", "ok", "oom", "ok", "ok", "ok"]
    assert content["rows"][2]["published_ratios"] == PUBLISHED["second"]
    assert content["rows"][2]["ratios"]["flops"] == 3.0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert plot.name in page.read_text()
    to_json(ROWS)


@given(st.floats(0.2, 3), st.floats(1e-3, 1e3), st.lists(st.integers(1, 20), min_size=2, max_size=6, unique=True))
def test_a_power_law_gives_back_its_exponent(exponent: float, factor: float, powers: list[int]) -> None:
    lengths = [2.0**p for p in powers]
    assert fitted_exponent(lengths, [factor * n**exponent for n in lengths]) == pytest.approx(exponent, rel=1e-6)


def test_one_length_has_no_exponent() -> None:
    assert fitted_exponent([1024, 1024], [1.0, 2.0]) is None


points = st.lists(
    st.builds(Point, model=st.text(min_size=1), score=st.sampled_from([0.1, 0.2, 0.5, 0.9]), cost=st.sampled_from([1.0, 2.0, 5.0]), n_tasks=st.just(1)),
    max_size=12,
)  # fmt: skip


@given(points)
def test_the_front_holds_exactly_what_nothing_beats(everything: list[Point]) -> None:
    front = pareto_front(everything)
    for point in everything:
        beaten = any(
            (q.score > point.score and q.cost <= point.cost) or (q.score >= point.score and q.cost < point.cost)
            for q in everything
        )
        assert (point in front) == (not beaten)
    assert [p.cost for p in front] == sorted(p.cost for p in front)


def result(
    model: str,
    task: str,
    value: float | None,
    metric: str = "accuracy",
    status: str = "success",
    split: str = "official",
    **changes: Any,
) -> dict[str, Any]:
    main = {"name": metric, "value": value, "higher_is_better": True}
    return {
        "request_id": "r", "config_id": "c", "status": status, "limit": None, "flags": ["untrained"] if "@" in model else [],
        "model": {"name": model}, "task": {"suite": "s", "name": task, "split": split}, "protocol": {"name": "probe"},
        "metrics": {"main": main},
    } | changes  # fmt: skip


RESULTS = [
    result("first", "a", 0.8), result("first", "a", 0.6), result("first", "b", 0.5), result("first", "c", 0.9),
    result("second@random", "a", 0.9), result("second@random", "b", 0.7), result("second@random", "d", 0.3, "mcc"),
    result("second@random", "c", None, status="error"), result("unprofiled", "a", 0.99),
    result("first", "a", 0.99, protocol={"name": "finetune"}), result("first", "a", 0.99, limit=10),
    result("first", "a", 0.99, split="grouped"),
]  # fmt: skip


def test_scores_are_means_over_the_tasks_that_all_models_share() -> None:
    first, second = pareto_points(RESULTS, [BASE, OTHER], formulation="published")
    assert (first.model, first.n_tasks, first.flags) == ("first", 2, ())
    assert first.score == pytest.approx((0.7 + 0.5) / 2)
    assert (second.model, second.flags, second.cost) == ("second@random", ("untrained",), OTHER.ns_per_base)
    assert second.score == pytest.approx(0.8)
    assert first.cost == BASE.ns_per_base


def test_configurations_of_a_model_are_points_of_their_own() -> None:
    other = result("first", "a", 0.1, config_id="other")
    assert {p.model: p.score for p in pareto_points([*RESULTS[:2], other], [BASE], formulation="published")} == {
        "first (c)": pytest.approx(0.7),
        "first (other)": 0.1,
    }


def test_the_best_control_on_validation_is_scored_on_the_same_tasks() -> None:
    def control(model: str, task: str, value: float, validated: float | None = 0.5) -> dict[str, Any]:
        return result(model, task, value, validation={"metrics": {"accuracy": validated}})

    controls = [
        control("coin", "a", 0.5),
        control("coin", "b", 0.5),
        control("kmer", "a", 0.9),
        control("kmer", "b", 0.7, 0.6),
    ]
    lucky = [
        control("lucky", "a", 1.0, 0.1),
        control("lucky", "b", 1.0),
        result("unknown", "a", 1.0),
        result("unknown", "b", 1.0),
    ]
    everything = [*RESULTS, *controls, *lucky, control("kmer", "c", 0.1), control("partly", "a", 1.0)]
    rows, names = [BASE, OTHER], {"coin", "kmer", "partly", "lucky", "unknown"}
    assert best_control(everything, rows, names, formulation="published") == ("kmer", pytest.approx(0.8))
    assert best_control(RESULTS, rows, names, formulation="published") is None
    assert [p.model for p in pareto_points(everything, rows, formulation="published")] == ["first", "second@random"]


def test_a_profile_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_profile(ROWS, tmp_path)
    assert read_profile(tmp_path / "compute.json") == ROWS
    (tmp_path / "compute.json").write_text("[]")
    with pytest.raises(UsageError, match="not a compute"):
        read_profile(tmp_path / "compute.json")


def test_nothing_shared_and_unknown_costs_are_refused() -> None:
    with pytest.raises(UsageError, match="no task"):
        pareto_points([RESULTS[2], RESULTS[4]], [BASE, OTHER], formulation="published")
    with pytest.raises(UsageError, match="cost"):
        pareto_points(RESULTS, ROWS, cost="price")


def test_the_pareto_plot_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    plot_pareto(pareto_points(RESULTS, [BASE, OTHER], formulation="published"), path)
    assert path.read_bytes().startswith(b"\x89PNG")
