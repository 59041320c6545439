"""The verb: which models it takes by default, what it refuses, what it prints and writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from findna_bench.cli import app
from findna_bench.errors import UsageError
from findna_bench.profiling import model_profiles
from findna_bench.profiling.profile_rows import ProfileRow, spread_of
from findna_bench.requests.profile_request import ProfileRequest

ROW = ProfileRow(
    model="findna", task="mtcdna/mtcdna-1024", mode="train", formulation="published", length=1024, batch_size=1,
    step_ms=spread_of([100.0]), peak_bytes=2**30, flops=10**10, checklist={"precision": "float32"}, data="random sequence",
)  # fmt: skip


class Profiler:
    """Stands for the measurements: remembers what was asked, answers with three rows."""

    def __init__(self) -> None:
        self.asked: ProfileRequest | None = None
        self.rows = [
            ROW,
            replace(ROW, model="dnabert2", flops=2 * 10**10),
            replace(ROW, model="nt-500m-human", flops=65 * 10**9),
        ]

    def __call__(self, request: ProfileRequest, **_: Any) -> list[ProfileRow]:
        self.asked = request
        return self.rows


@pytest.fixture
def profiler(monkeypatch: pytest.MonkeyPatch) -> Profiler:
    made = Profiler()
    monkeypatch.setattr(model_profiles, "profile_models", made)
    monkeypatch.setattr(model_profiles, "profile_objectives", made)
    return made


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, ["profile", *words], standalone_mode=False)


def test_by_default_the_models_of_the_paper_that_prints_costs_for_the_task(profiler: Profiler) -> None:
    done = invoke("--task", "mtcdna-1024")
    assert done.exception is None, done.output
    assert list(profiler.asked.models) == ["findna", "dnabert2", "nt-500m-human"]
    assert "2.00 (paper 2.75)" in done.output
    assert "6.50 (paper 8.35)" in done.output


def test_the_papers_factors_are_left_out_where_another_model_is_the_reference(profiler: Profiler) -> None:
    profiler.rows = profiler.rows[::-1]
    done = invoke("--task", "mtcdna-1024", "--models", "nt-500m-human,dnabert2,findna")
    assert "(paper" not in done.output
    profiler.rows = profiler.rows[::-1]
    assert "(paper" not in invoke("--task", "mtcdna-1024", "--mode", "inference").output


def test_overhead_shows_the_papers_table_beside_the_objectives(profiler: Profiler) -> None:
    done = invoke("--task", "mtcdna-1024", "--overhead")
    assert profiler.asked.models[0] == "findna"
    assert "95.42 ms" in done.output


def test_json_and_files_hold_the_same_rows(profiler: Profiler, tmp_path: Path) -> None:
    done = invoke("--task", "mtcdna-1024", "--json", "-q", "-o", str(tmp_path))
    printed = json.loads(done.stdout)
    assert printed["rows"] == json.loads((tmp_path / "compute.json").read_text())["rows"]
    assert (tmp_path / "compute.md").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--task"),
        (("--task", "mtcdna-1024,mtcdna-4096"), "one task"),
        (("--task", "demo/motif_order"), "--models"),
        (("--task", "mtcdna-1024", "--repeats", "often"), "--repeats"),
        (("--task", "mtcdna-1024", "--lengths", "long"), "--lengths"),
        (("--task", "mtcdna-1024", "--results", "somewhere"), "-o"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_measured(
    profiler: Profiler, words: tuple[str, ...], message: str
) -> None:
    done = invoke(*words)
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert not profiler.asked
