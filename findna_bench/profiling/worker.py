"""``python -m findna_bench.profiling.worker``: one job as JSON on stdin, one answer as JSON on stdout, then the end.

A process of its own gives every measurement a fresh allocator and a peak of its own, and turns a kill into a row.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from findna_bench.errors import BenchError, UnsupportedError, is_out_of_memory
from findna_bench.plugin_code import plugin_fault
from findna_bench.private_paths import without_paths
from findna_bench.registry import get_registry
from findna_bench.threads import compute_threads

__all__ = ["answer", "main"]


def main() -> None:
    """Read, work, print. Whatever libraries print goes to stderr."""
    answer_stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Should memory run out, the kernel is to end this process and no other.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    job = json.loads(sys.stdin.read())
    answer_stream.write(json.dumps(answer(job), allow_nan=False))
    answer_stream.close()


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """The job's result with ``status`` ok, or what went wrong with ``reason``; ``threads`` of the job are those it computes with."""
    threads = job.get("threads")
    try:
        with compute_threads(threads) if threads else contextlib.nullcontext():
            return {"status": "ok", **_KINDS[job["kind"]](job)}
    except UnsupportedError as error:
        return {"status": "skipped", "reason": _published(str(error), job)}
    except (Exception, SystemExit) as error:  # one model's failure is a row, not the end of the others
        error = plugin_fault(error, get_registry().strangers) or error
        text = _published(str(error), job)
        text = text.splitlines()[0] if text else ""
        if is_out_of_memory(error):
            return {"status": "oom", "reason": text[:200] or "not enough memory"}
        if isinstance(error, BenchError):
            return {"status": "error", "reason": _published(str(error), job)}
        return {"status": "error", "reason": f"{type(error).__name__}: {text[:300]}"}


def _published(text: str, job: Mapping[str, Any]) -> str:
    """Rows are published: what went wrong, without the folders that the user's files lie in."""
    return without_paths(text, [str(job.get("model", "")).partition(":")[2]])


def _count(job: Mapping[str, Any]) -> dict[str, Any]:
    """Several models in one process: nothing is timed, and importing torch is the larger part."""
    requests = [{"kind": "count-one", "mode": job["mode"], **request} for request in job["requests"]]
    return {"answers": [answer(request) for request in requests]}


def _count_one(job: Mapping[str, Any]) -> dict[str, Any]:
    from findna_bench.profiling.measure import count_model

    return count_model(job["model"], job["sequences"], job["mode"])


def _measure(job: Mapping[str, Any]) -> dict[str, Any]:
    from findna_bench.profiling.measure import measure_model
    from findna_bench.profiling.profile_rows import Formulation
    from findna_bench.profiling.timing import Steps

    return measure_model(
        job["model"],
        job["sequences"],
        mode=job["mode"],
        device=job["device"],
        formulation=Formulation(**job["formulation"]),
        steps=Steps(**job["steps"]),
    )


def _count_objective(job: Mapping[str, Any]) -> dict[str, Any]:
    from findna_bench.profiling.pretraining_steps import count_objective

    return count_objective(job["model"], job["objective"], job["batch_size"], job["length"])


def _measure_objective(job: Mapping[str, Any]) -> dict[str, Any]:
    from findna_bench.profiling.pretraining_steps import measure_objective
    from findna_bench.profiling.profile_rows import Formulation
    from findna_bench.profiling.timing import Steps

    return measure_objective(
        job["model"],
        job["objective"],
        batch_size=job["batch_size"],
        length=job["length"],
        device=job["device"],
        formulation=Formulation(**job["formulation"]),
        steps=Steps(**job["steps"]),
    )


def _machine(job: Mapping[str, Any]) -> dict[str, Any]:
    from findna_bench.profiling.timing import ceiling, device_name

    device = job["device"]
    measured = {precision: ceiling(device, precision) for precision in ("float32", "bfloat16")}
    return {
        "device_name": device_name(device),
        "ceilings": {precision: best for precision, (best, _) in measured.items()},
        "sustained": {precision: mean for precision, (_, mean) in measured.items()},
    }


_KINDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "count": _count,
    "count-one": _count_one,
    "measure": _measure,
    "count-objective": _count_objective,
    "measure-objective": _measure_objective,
    "machine": _machine,
}


if __name__ == "__main__":
    main()
