"""Profiles: rows in fresh processes taken in turn, failures as rows, budgets kept; the worker's answers."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from findna_bench.errors import UnknownNameError, UsageError
from findna_bench.profiling import model_profiles
from findna_bench.profiling.model_profiles import formulations, profile_models, profile_objectives, run_job
from findna_bench.profiling.worker import answer
from findna_bench.requests.profile_request import ProfileRequest

MACHINE = {"status": "ok", "device_name": "test", "ceilings": {"float32": 1e11, "bfloat16": 1.1e11}, "sustained": {"float32": 1e11, "bfloat16": 1e11}}  # fmt: skip
TASK = "demo/motif_order"


class Workers:
    """Stands for the worker processes: canned answers, and a record of what was asked."""

    def __init__(self, **measure: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.environments: list[Mapping[str, str] | None] = []
        self.measure = measure
        self.flops = 1e9

    def __call__(
        self, job: dict[str, Any], *, environment: Mapping[str, str] | None = None, **_: Any
    ) -> dict[str, Any]:
        self.jobs.append(job)
        self.environments.append(environment)
        if job["kind"] == "machine":
            return dict(MACHINE)
        if job["kind"] == "count":
            return {"status": "ok", "answers": [self.count(request) for request in job["requests"]]}
        if job["kind"] == "count-objective":
            return self.count({"sequences": ["A"] * job["batch_size"]})
        return self.measure.get(job["model"].replace("-", "_"), self.measured)(job)

    def count(self, request: Mapping[str, Any]) -> dict[str, Any]:
        flops = int(self.flops) * len(request["sequences"])
        return {
            "status": "ok", "flops": flops, "fft_flops": 0, "tokens": 10, "tokenized": "tokenized", "n_parameters": 1000,
            "n_parameters_training": 1010, "counted_forward_flops": 1, "analytic_forward_flops": 1, "notes": [], "max_length": 5000,
        }  # fmt: skip

    def measured(self, job: Mapping[str, Any]) -> dict[str, Any]:
        times = [float(len(self.jobs))] * 3
        return {
            "status": "ok", "times_ms": times, "processor_ms": times, "checklist": {"precision": job["formulation"]["precision"]}, "start_bytes": 5,
            "peak_bytes": 10 * len(self.jobs), "reserved_bytes": None, "memory_kind": "resident", "energy_j": None,
            "ceiling_flops": 1e11, "device_name": "test", "threads": 2, "load": 0.1, "warm": True,
        }  # fmt: skip

    @property
    def measurements(self) -> list[tuple[str, str]]:
        return [(job["model"], job["formulation"]["name"]) for job in self.jobs if job["kind"].startswith("measure")]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    made = Workers()
    monkeypatch.setattr(model_profiles, "run_job", made)
    return made


def test_models_take_turns_and_rows_hold_the_median_of_processes(workers: Workers) -> None:
    rows = profile_models(
        ProfileRequest(models=["hyenadna", "dnabert2"], tasks=TASK, batch_size=2, repeats=3, device="cpu", threads=7)
    )
    once = [("hyenadna", "published"), ("hyenadna", "best"), ("dnabert2", "published"), ("dnabert2", "best")]
    assert workers.measurements == once * 3
    assert {job["threads"] for job in workers.jobs if job["kind"] != "count"} == {7}
    assert [(row.model, row.formulation) for row in rows] == [
        (m.replace("hyenadna", "hyenadna-tiny-1k"), f) for m, f in once
    ]
    first = rows[0]
    assert first.step_ms is not None
    assert first.step_ms.n == 3
    assert first.step_ms.low < first.step_ms.median < first.step_ms.high
    assert first.bases == 2 * first.length


@pytest.mark.parametrize(("said", "device"), [("True", "cuda"), ("False", "cpu"), ("", "cpu")])
def test_auto_is_the_gpu_where_a_process_of_its_own_sees_one(
    workers: Workers, said: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {said}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    profile_models(ProfileRequest(models=["hyenadna"], tasks=TASK, batch_size=1, repeats=1, device="auto"))
    assert {job["device"] for job in workers.jobs if "device" in job} == {device}


def test_only_the_best_formulation_gets_the_allocator_and_the_fused_optimiser(workers: Workers) -> None:
    profile_models(ProfileRequest(models=["hyenadna"], tasks=TASK, batch_size=1, repeats=1, device="cpu"))
    asked = [
        (j["formulation"], e) for j, e in zip(workers.jobs, workers.environments, strict=True) if j["kind"] == "measure"
    ]
    (published, without), (best, with_allocator) = asked
    options = ("plain", "attention", "fused_optimiser")
    assert [published[name] for name in options] == [True, "math", False]
    assert [best[name] for name in options] == [False, "fused", True]
    assert without is None
    assert with_allocator


@pytest.mark.parametrize("load", [2.0, 2.5])
def test_times_beside_other_work_say_so(workers: Workers, monkeypatch: pytest.MonkeyPatch, load: float) -> None:
    measured = workers.measured
    monkeypatch.setattr(workers, "measured", lambda job: {**measured(job), "load": load})
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    rows = profile_models(ProfileRequest(models=["hyenadna"], tasks=TASK, batch_size=1, repeats=1, device="cpu"))
    said = [
        any("other work ran on this machine (load above its 2 processors)" in note for note in r.notes) for r in rows
    ]
    assert said == [load > 2] * len(rows)


def test_a_model_that_runs_out_of_memory_is_a_row_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Workers(dnabert2=lambda job: {"status": "oom", "reason": "not enough memory"})
    monkeypatch.setattr(model_profiles, "run_job", failing)
    rows = profile_models(
        ProfileRequest(models=["dnabert2", "hyenadna"], tasks=TASK, batch_size=1, repeats=2, device="cpu")
    )
    assert [row.status for row in rows] == ["oom", "oom", "ok", "ok"]
    assert failing.measurements.count(("dnabert2", "published")) == 1, "a row that failed is not tried again"
    assert rows[0].flops is not None, "operations are known all the same"


def test_weights_that_cannot_fit_are_not_tried(workers: Workers) -> None:
    workers.count = lambda request: Workers.count(workers, request) | {"n_parameters_training": 10**15}  # type: ignore[method-assign]
    rows = profile_models(ProfileRequest(models=["dnabert2"], tasks=TASK, batch_size=1, repeats=1, device="cpu"))
    assert {row.status for row in rows} == {"oom"}
    assert "GiB" in rows[0].reason
    assert not workers.measurements


def test_a_step_that_no_cuda_graph_can_hold_is_measured_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(job: Mapping[str, Any]) -> dict[str, Any]:
        if job["formulation"]["cuda_graphs"]:
            return {"status": "error", "reason": "operation not permitted when stream is capturing"}
        return made.measured(job)

    made = Workers(hyenadna=refuse)
    monkeypatch.setattr(model_profiles, "run_job", made)
    rows = profile_models(ProfileRequest(models=["hyenadna"], tasks=TASK, batch_size=1, repeats=3, device="cuda"))
    assert [row.status for row in rows] == ["ok", "ok"]
    assert any("capturing" in note for note in rows[1].notes)
    assert len(made.measurements) == 3 + 3 + 1, "refused once, then left out"


def test_lengths_beyond_a_models_limit_are_skipped_rows(workers: Workers) -> None:
    rows = profile_models(
        ProfileRequest(models=["hyenadna"], tasks=TASK, lengths=(100, 8000), batch_size=1, repeats=1, device="cpu")
    )
    assert [(row.length, row.status) for row in rows] == [
        (100, "ok"),
        (100, "ok"),
        (8000, "skipped"),
        (8000, "skipped"),
    ]
    assert "5000" in rows[-1].reason


@pytest.mark.parametrize(("flops", "batch", "rounds"), [(1e6, 16, 3), (1e11, 8, 3), (1e13, 1, 1)])
def test_batch_and_rounds_are_chosen_by_what_the_machine_can_do(
    workers: Workers, flops: float, batch: int, rounds: int
) -> None:
    workers.flops = flops
    rows = profile_models(ProfileRequest(models=["hyenadna"], tasks=TASK, device="cpu"))
    assert (rows[0].batch_size, len(rows[0].times_ms)) == (batch, rounds)


def test_task_rows_are_used_where_they_are_and_said_where_not(workers: Workers) -> None:
    here = profile_models(ProfileRequest(models=["hyenadna"], tasks=TASK, batch_size=3, repeats=1, device="cpu"))
    assert "first 3 rows" in here[0].data
    absent = profile_models(
        ProfileRequest(models=["hyenadna"], tasks="gue/tf_0", batch_size=3, repeats=1, device="cpu")
    )
    assert "random sequence" in absent[0].data
    sent = next(job for job in workers.jobs if job["kind"] == "measure")["sequences"]
    assert len(sent) == 3
    assert {len(s) for s in sent} == {here[0].length}


def test_bfloat16_is_the_best_only_where_its_products_are_faster() -> None:
    slow = formulations("cpu", MACHINE, "auto", None)
    assert [f.precision for f in slow] == ["float32", "float32"]
    fast = formulations("cpu", {"ceilings": {"float32": 1e11, "bfloat16": 5e11}}, "auto", None)
    assert [f.precision for f in fast] == ["float32", "bfloat16"]
    cuda = formulations("cuda", {"ceilings": {"float32": 5e13, "bfloat16": 8e14}}, "auto", None)
    assert [f.precision for f in cuda] == ["float16", "bfloat16"]
    assert [(f.compile, f.cuda_graphs) for f in cuda] == [(False, False), (True, True)]


def test_every_objective_is_profiled_around_one_model(workers: Workers) -> None:
    rows = profile_objectives(ProfileRequest(models="findna", tasks=TASK, device="cpu", batch_size=2))
    assert [row.model for row in rows[::2]] == ["findna + self_distillation", "findna + masked_nucleotide"]
    assert {row.mode for row in rows} == {"pretrain"}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"models": ["no-such-model"]}, UnknownNameError),
        ({"models": []}, UsageError),
        ({"mode": "sleep"}, UsageError),
        ({"batch_size": 0}, UsageError),
        ({"lengths": (0,)}, UsageError),
        ({"dtype": "float64"}, UsageError),
    ],
)
def test_wrong_requests_are_refused_before_any_process_starts(
    workers: Workers, arguments: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        profile_models(ProfileRequest(**({"models": ["hyenadna"], "tasks": TASK, "device": "cpu"} | arguments)))
    assert not workers.jobs


@pytest.fixture
def executable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    def use(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(path))

    return use


@pytest.mark.parametrize(
    ("script", "status", "word"),
    [
        ("kill -9 $$", "killed", "memory"),
        ("echo boom >&2; exit 3", "error", "boom"),
        ("exec sleep 30", "timeout", "no answer"),
    ],
)
def test_whatever_ends_a_worker_is_an_answer(
    executable: Callable[[str], None], script: str, status: str, word: str
) -> None:
    executable(script)
    done = run_job({"kind": "machine", "device": "cpu"}, timeout_s=0.5 if status == "timeout" else 20)
    assert done["status"] == status
    assert word in done["reason"]


def test_a_worker_measures_a_training_step_of_a_real_model() -> None:
    job = {
        "kind": "measure",
        "model": "hyenadna",
        "sequences": ["ACGT" * 16] * 2,
        "mode": "train",
        "device": "cpu",
        "threads": 3,
        "formulation": {
            "name": "best",
            "plain": False,
            "attention": "fused",
            "precision": "float32",
            "fused_optimiser": True,
        },
        "steps": {"most": 2, "seconds": 0.1},
    }
    done = answer(job)
    assert done["status"] == "ok", done
    assert done["times_ms"]
    assert done["peak_bytes"] >= done["start_bytes"] > 0
    assert done["checklist"]["optimiser"] == "fused AdamW"
    assert done["threads"] == 3
    json.dumps(done, allow_nan=False)


def test_a_worker_says_what_cannot_be_profiled() -> None:
    done = answer({"kind": "count-one", "model": "findna", "sequences": [""], "mode": "train"} | {"model": "no-such"})
    assert done["status"] == "error"
    assert "no-such" in done["reason"]


@pytest.mark.long
def test_a_profile_in_real_processes() -> None:
    rows = profile_models(
        ProfileRequest(models=["hyenadna"], tasks=TASK, mode="inference", batch_size=2, repeats=1, device="cpu")
    )
    assert [row.status for row in rows] == ["ok", "ok"], rows
    for row in rows:
        assert row.step_ms is not None
        assert row.peak_bytes is not None
        assert row.share_of_ceiling is not None
        assert 0 < row.share_of_ceiling < 1
        assert row.counted_forward_flops == pytest.approx(row.analytic_forward_flops, rel=0.01)


def test_steps_are_warmed_up_unless_one_takes_too_long() -> None:
    from findna_bench.profiling.timing import Start, Steps, measure_steps

    calls: list[int] = []
    plain = formulations("cpu", MACHINE, "auto", None)[0]

    def measure(steps: Steps) -> dict[str, Any]:
        calls.clear()
        return measure_steps(
            lambda: calls.append(1), device="cpu", formulation=plain, steps=steps, start=Start.now(), training=True
        )

    patient = measure(Steps(warm_up=2, least=1, most=3, seconds=60))
    assert (len(calls), len(patient["times_ms"]), patient["warm"]) == (5, 3, True)
    impatient = measure(Steps(warm_up=2, least=1, most=3, patience=0.0))
    assert (len(calls), len(impatient["times_ms"]), impatient["warm"]) == (1, 1, False)
