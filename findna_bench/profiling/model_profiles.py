"""Profiles several models side by side: counted once, timed in turn in fresh processes, one row per model and formulation."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from findna_bench.data.catalog import TaskRef, data_root, resolve_task
from findna_bench.errors import BenchError, ModelError, UsageError
from findna_bench.models.spec import ModelSpec, parse_model
from findna_bench.private_paths import without_paths
from findna_bench.profiling.profile_rows import Formulation, ProfileRow, spread_of
from findna_bench.registry import get_registry
from findna_bench.requests.profile_request import ProfileRequest

if TYPE_CHECKING:
    from findna_bench.data.task import Task

__all__ = ["formulations", "profile_models", "profile_objectives", "run_job"]

Reporter = Callable[[str], None]

AUTO_BATCHES = (16, 8, 4, 2, 1)
AUTO_ROUNDS = 3
DEFAULT_LENGTH = 1024
CPU_BUDGET_S = 300.0
"""What a profile on the CPU is planned to take where ``batch_size`` or ``repeats`` are left to choose. Estimates err: a round is
begun only if it would end within 1.8 times this."""
JOB_TIMEOUT_S = 1800.0

_BUILD_BYTES_PER_S = 2e8
"""Drawing random weights; for estimates only."""
_EXPECTED_SHARE = 0.4
"""Of the measured ceiling, for estimates only."""
_OPTIMISER_BYTES_PER_S = 4e9
_BF16_GAIN = 1.5
"""Products in bfloat16 must be this much faster than in float32 before they are called the best available."""
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


@dataclass(frozen=True)
class _Planned:
    """One row to be: what is known of it before it is measured, and the worker's job without its formulation."""

    row: ProfileRow
    formulation: Formulation
    counted: Mapping[str, Any]
    job: Mapping[str, Any]


@dataclass
class _Measured:
    """Answers of the processes of one row, and the first failure."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    failure: dict[str, Any] | None = None
    no_graph: str = ""


def formulations(device: str, machine: Mapping[str, Any], dtype: str, compile: bool | None) -> list[Formulation]:
    """The two formulations every model is measured in: as published, and best available here.

    ``dtype`` auto: as published is float32 on the CPU and float16 autocast on CUDA (what the authors of all compared models
    trained in); best is bfloat16 where its products are at least 1.5 times faster than float32's on this device.
    """
    on_cuda = device.startswith("cuda")
    ceilings = machine["ceilings"]
    half = ceilings["bfloat16"] > _BF16_GAIN * ceilings["float32"]
    published: Any = ("float16" if on_cuda else "float32") if dtype == "auto" else dtype
    best: Any = ("bfloat16" if half else "float32") if dtype == "auto" else dtype
    return [
        Formulation(name="published", plain=True, attention="math", precision=published),
        Formulation(
            name="best",
            plain=False,
            attention="fused",
            precision=best,
            compile=on_cuda if compile is None else compile,
            cuda_graphs=on_cuda,
            fused_optimiser=True,
            allocator=not on_cuda,
        ),
    ]


def profile_models(request: ProfileRequest, *, reporter: Reporter = lambda text: None) -> list[ProfileRow]:
    """Two rows per model and length, in the order given.

    Args:
        request: ``mode`` train is one fine-tuning step (forward, cross-entropy, backward, AdamW), inference one forward pass;
            ``lengths`` are bases per sequence, by default the task's longest; ``batch_size`` and ``repeats`` ``auto``: 16 and
            3 on CUDA, on the CPU what fits into :data:`CPU_BUDGET_S`; ``repeats`` are fresh processes per row, taken in turn;
            ``compile`` None means on CUDA only.
        reporter: told in words what is being done.

    Raises:
        UnknownNameError: a model or the task is not registered. UsageError: no model is named.
    """
    started = time.monotonic()
    _check_models(request)
    mode, batch_size, repeats = request.mode, request.batch_size, request.repeats
    registry = get_registry()
    specs = [parse_model(model, registry) for model in request.models]
    ref = resolve_task(request.task, registry)
    task = _open_task(ref, request)
    for note in task.notes if task is not None else ():
        reporter(note)
    device = _device(request.device)
    machine = _machine(device, request.threads)
    two = formulations(device, machine, request.dtype, request.compile)
    wanted = request.lengths or (_task_length(ref),)
    reporter(f"{machine['device_name']}: {machine['ceilings']['float32'] / 1e9:.0f} GFLOP/s in float32 products")
    chosen, rounds = _choose(specs, wanted, machine, device, mode, len(two), batch_size, repeats)
    auto = "auto" in (batch_size, repeats)
    reporter(f"batch size {chosen}, {rounds} processes per row" + (" (chosen for this machine)" if auto else ""))
    threads = {"threads": request.threads}
    drawn = {length: _sequences(task, length, chosen) for length in wanted}
    counts = _count(specs, {length: sequences for length, (sequences, _) in drawn.items()}, mode)
    planned = []
    for length in wanted:
        sequences, data = drawn[length]
        for spec in specs:
            counted = counts[spec.text, length]
            job = {"kind": "measure", "model": spec.text, "sequences": list(sequences), "mode": mode, **threads}
            common = {"model": spec.display_name, "task": ref.name, "mode": mode, "data": data, "device": device}
            planned += [_plan(common, length, chosen, formulation, counted, job) for formulation in two]
    deadline = started + 1.8 * CPU_BUDGET_S if auto and device == "cpu" else None
    return _measure_all(planned, device, rounds, deadline, reporter)


def profile_objectives(
    request: ProfileRequest, *, objectives: Sequence[str] = (), reporter: Reporter = lambda text: None
) -> list[ProfileRow]:
    """The cost of one pretraining step of the first model under each objective (default: all that are registered), two rows each.

    Sequences are random, of the task's length; rows are named ``model + objective``. ``auto``: batch 64 and 3 processes on
    CUDA, batch 1 and one process on the CPU.

    Raises:
        UnknownNameError, UsageError: as :func:`profile_models`.
    """
    _check_models(request)
    registry = get_registry()
    spec, ref = parse_model(request.models[0], registry), resolve_task(request.task, registry)
    batch_size, repeats = request.batch_size, request.repeats
    names = tuple(objectives) or tuple(card.name for card in registry.cards("objectives"))
    cards = [registry.resolve("objectives", name).card for name in names]
    if not cards:
        raise UsageError("no plugin registers a pretraining objective; see `findna-bench list objectives`")
    device = _device(request.device)
    on_cuda = device.startswith("cuda")
    two = formulations(device, _machine(device, request.threads), request.dtype, compile=False)
    two = [replace(formulation, cuda_graphs=False) for formulation in two]
    batch = (64 if on_cuda else 1) if batch_size == "auto" else int(batch_size)
    rounds = (AUTO_ROUNDS if on_cuda else 1) if repeats == "auto" else int(repeats)
    reporter(f"batch size {batch}, {rounds} processes per row")
    threads, planned = {"threads": request.threads}, []
    for length in request.lengths or (_task_length(ref),):
        for card in cards:
            job = {"model": spec.text, "objective": card.name, "batch_size": batch, "length": length, **threads}
            counted = run_job({"kind": "count-objective", **job})
            common = {
                "model": f"{spec.display_name} + {card.name}",
                "task": ref.name,
                "mode": "pretrain",
                "data": "random sequence of the task's length",
                "device": device,
            }
            planned += [
                _plan(common, length, batch, formulation, counted, {"kind": "measure-objective", **job})
                for formulation in two
            ]
    return _measure_all(planned, device, rounds, None, reporter)


def _plan(
    common: Mapping[str, str],
    length: int,
    batch_size: int,
    formulation: Formulation,
    counted: Mapping[str, Any],
    job: Mapping[str, Any],
) -> _Planned:
    known: dict[str, Any] = {name: counted.get(name) for name in _COUNTED}
    row = ProfileRow(**common, length=length, batch_size=batch_size, formulation=formulation.name, **known)  # type: ignore[arg-type]
    return _Planned(row, formulation, counted, job)


def _check_models(request: ProfileRequest) -> None:
    if not request.models:
        raise UsageError("no model to profile; name some with --models, see `findna-bench list models`")


def _machine(device: str, threads: int | None) -> dict[str, Any]:
    """What the device does in large products, and how long a fresh process takes to start."""
    before = time.monotonic()
    machine = run_job({"kind": "machine", "device": device, "threads": threads})
    if machine["status"] != "ok":
        raise ModelError(f"device {device} cannot be used: {machine['reason']}")
    return machine | {"start_s": time.monotonic() - before}


def _device(device: str) -> str:
    """``auto`` without importing torch in this process: a worker looks."""
    if device != "auto":
        return device
    probe = "import torch; print(torch.cuda.is_available())"
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    return "cuda" if found.stdout.strip() == "True" else "cpu"


# ------------------------------------------------------------------------------------------------------------- data


def _task_length(ref: TaskRef) -> int:
    return ref.card.length[1] if ref.card is not None and ref.card.length else DEFAULT_LENGTH


def _random_sequences(number: int, length: int) -> tuple[str, ...]:
    draw = random.Random(length)
    return tuple("".join(draw.choices("ACGT", k=length)) for _ in range(number))


def _open_task(ref: TaskRef, request: ProfileRequest) -> Task | None:
    """The task, None where its data are not here.

    Raises:
        DataError: it is given as a path, and cannot be read.
    """
    from findna_bench.data.task import open_task

    try:
        return open_task(
            ref,
            data_dir=data_root(request.data_dir),
            offline=True,
            drop_missing=request.drop_missing,
            target=request.target,
        )
    except BenchError:
        if ref.path is not None:
            raise
        return None


def _sequences(task: Task | None, length: int, number: int) -> tuple[tuple[str, ...], str]:
    """Rows of the task cut to ``length`` where it is here and long enough, else random sequence of that shape."""
    nothing = _random_sequences(number, length), "random sequence of the task's shape (its data is not here)"
    if task is None:
        return nothing
    try:
        table = task.load("train" if "train" in task.splits else task.splits[0])
        rows = [s[:length] for row in table.texts for s in row]
    except (BenchError, IndexError):
        return nothing
    whole = [s for s in rows if len(s) == length]
    if len(whole) < number:
        return _random_sequences(number, length), f"random sequence (the task has {len(whole)} rows of {length} bases)"
    return tuple(whole[:number]), f"the task's first {number} rows of {length} bases"


# ------------------------------------------------------------------------------------------------------- processes


def run_job(
    job: Mapping[str, Any], *, environment: Mapping[str, str] | None = None, timeout_s: float = JOB_TIMEOUT_S
) -> dict[str, Any]:
    """One worker process; whatever ends it is an answer with ``status`` and ``reason``."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "findna_bench.profiling.worker"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"status": "timeout", "reason": f"no answer within {timeout_s:.0f} s"}
    if done.returncode < 0:
        hint = ", usually for want of memory" if done.returncode == -9 else ""
        return {"status": "killed", "reason": f"ended by signal {-done.returncode}{hint}"}
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"status": "error", "reason": without_paths(f"exit code {done.returncode}: {last[0][:300]}")}
    return answer


def _count(
    specs: Sequence[ModelSpec], sequences: Mapping[int, Sequence[str]], mode: str
) -> dict[tuple[str, int], dict[str, Any]]:
    """Operation counts and parameters per model and length; a failure is the answer of that pair alone."""
    pairs = [(spec, length) for length in sequences for spec in specs]
    requests = [{"model": spec.text, "sequences": list(sequences[length])} for spec, length in pairs]
    done = run_job({"kind": "count", "mode": mode, "requests": requests})
    answers = done["answers"] if done["status"] == "ok" else [done] * len(pairs)
    counts = {(spec.text, length): answer for (spec, length), answer in zip(pairs, answers, strict=True)}
    for (text, length), answer in counts.items():
        limit = answer.get("max_length")
        if answer["status"] == "ok" and limit is not None and length > limit:
            counts[text, length] = {"status": "skipped", "reason": f"reads at most {limit} bases"}
    return counts


def _choose(
    specs: Sequence[ModelSpec],
    lengths: Sequence[int],
    machine: Mapping[str, Any],
    device: str,
    mode: str,
    per_model: int,
    batch_size: int | str,
    repeats: int | str,
) -> tuple[int, int]:
    """Batch size and rounds: as asked, else the largest that the estimates let finish in time on the CPU, rounds first."""
    batches = AUTO_BATCHES if batch_size == "auto" else (int(batch_size),)
    rounds = tuple(range(AUTO_ROUNDS, 0, -1)) if repeats == "auto" else (int(repeats),)
    if device.startswith("cuda") or len(batches) == len(rounds) == 1:
        return batches[0], rounds[0]
    counts = _count(specs, {length: _random_sequences(1, length) for length in lengths}, mode)
    counted = [answer for answer in counts.values() if answer["status"] == "ok"]
    for number in rounds:
        for batch in batches:
            if _estimate(counted, machine, mode, batch) * per_model * number <= CPU_BUDGET_S:
                return batch, number
    return batches[-1], rounds[-1]


def _estimate(counted: Sequence[Mapping[str, Any]], machine: Mapping[str, Any], mode: str, batch: int) -> float:
    """Seconds of one round of processes, each with a warm-up and one timed step, on a machine as busy as it is now."""
    speed = _EXPECTED_SHARE * machine["sustained"]["float32"]
    total = 0.0
    for answer in counted:
        operations = answer["flops"] or 6 * answer["n_parameters"] * answer["tokens"]
        step = batch * operations / speed
        if mode == "train":  # AdamW reads and writes seven numbers per parameter
            step += answer["n_parameters_training"] * 28 / _OPTIMISER_BYTES_PER_S
        total += machine["start_s"] + answer["n_parameters"] * 4 / _BUILD_BYTES_PER_S + 2 * step
    return total


def _measure_all(
    planned: Sequence[_Planned], device: str, rounds: int, deadline: float | None, reporter: Reporter
) -> list[ProfileRow]:
    """All rows in turn, ``rounds`` times; a row that failed is not tried again."""
    measured = [_Measured() for _ in planned]
    began = time.monotonic()
    for number in range(rounds):
        per_round = (time.monotonic() - began) / max(number, 1)
        if number and deadline is not None and time.monotonic() + per_round > deadline:
            reporter(f"{number} of {rounds} rounds: another would take too long")
            break
        for place, (plan, result) in enumerate(zip(planned, measured, strict=True), 1):
            row = plan.row
            if result.failure is None:
                result.failure = _refused(plan, device)
            if result.failure is not None:
                continue
            what = f"{row.model}, {row.formulation}, {row.length} bases"
            reporter(f"round {number + 1} of {rounds}, row {place} of {len(planned)}: {what}")
            answer = _measure_one(plan, device, result)
            if answer["status"] == "ok":
                result.answers.append(answer)
            else:
                result.failure = answer
    return [_row(plan, result) for plan, result in zip(planned, measured, strict=True)]


def _refused(plan: _Planned, device: str) -> dict[str, Any] | None:
    """A row that is not tried: it could not be counted, or its weights alone do not fit."""
    if plan.counted["status"] != "ok":
        return dict(plan.counted)
    why = _too_large(plan.counted, plan.row.mode) if device == "cpu" else ""
    return {"status": "oom", "reason": why} if why else None


def _too_large(counted: Mapping[str, Any], mode: str) -> str:
    """Why weights alone (training: with gradients and AdamW's two moments) do not fit; empty where they do or nobody knows.

    Asked before the attempt: a machine short of memory slows or ends other people's work first.
    """
    needed = counted["n_parameters_training"] * 4 * (1 if mode == "inference" else 4)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return ""
    if needed <= available:
        return ""
    what = "weights" if mode == "inference" else "weights, gradients and optimiser"
    return f"{what} need {needed / 2**30:.0f} GiB, {available / 2**30:.0f} GiB are free"


def _measure_one(plan: _Planned, device: str, result: _Measured) -> dict[str, Any]:
    formulation = replace(plan.formulation, cuda_graphs=plan.formulation.cuda_graphs and not result.no_graph)
    steps = {"warm_up": 5, "least": 5, "most": 100, "seconds": 3.0} if device.startswith("cuda") else {}
    job = {**plan.job, "device": device, "formulation": asdict(formulation), "steps": steps}
    environment = _ALLOCATOR if formulation.allocator else None
    answer = run_job(job, environment=environment)
    if answer["status"] == "error" and formulation.cuda_graphs:
        # A step that waits for the device cannot be captured, and leaves its process unusable: once more without.
        result.no_graph = f"no CUDA graph: {answer['reason'][:120]}"
        job["formulation"] = asdict(replace(formulation, cuda_graphs=False))
        answer = run_job(job, environment=environment)
    return answer


# ------------------------------------------------------------------------------------------------------------- rows


def _row(plan: _Planned, measured: _Measured) -> ProfileRow:
    notes = list(plan.counted.get("notes", ()))
    tokenized = str(plan.counted.get("tokenized", "tokenized"))
    if tokenized != "tokenized":
        notes.append(tokenized)
    if measured.no_graph:
        notes.append(measured.no_graph)
    failure, answers = measured.failure, measured.answers
    if not answers:
        assert failure is not None
        return replace(plan.row, status=failure["status"], reason=failure["reason"], notes=tuple(notes))
    if failure is not None:
        notes.append(f"a later process failed: {failure['reason']}")
    first = answers[0]
    processors = os.cpu_count() or 1
    busy = max(answer["load"] for answer in answers)
    if plan.row.device == "cpu" and busy > processors:
        notes.append(f"other work ran on this machine (load above its {processors} processors): times are too long")
    if not all(answer["warm"] for answer in answers):
        notes.append("the first step is the one that was timed: it took longer than a minute")
    return replace(
        plan.row,
        times_ms=tuple(tuple(answer["times_ms"]) for answer in answers),
        step_ms=spread_of([statistics.median(answer["times_ms"]) for answer in answers]),
        processor_ms=spread_of([statistics.median(answer["processor_ms"]) for answer in answers]),
        checklist=first["checklist"],
        device_name=first["device_name"],
        threads=first["threads"],
        memory_kind=first["memory_kind"],
        peak_bytes=_median(answers, "peak_bytes"),
        start_bytes=_median(answers, "start_bytes"),
        reserved_bytes=_median(answers, "reserved_bytes"),
        ceiling_flops=statistics.median(answer["ceiling_flops"] for answer in answers),
        energy_j=_median(answers, "energy_j"),
        notes=tuple(notes),
    )


_COUNTED = (
    "tokens",
    "flops",
    "fft_flops",
    "analytic_forward_flops",
    "counted_forward_flops",
    "n_parameters",
    "n_parameters_training",
)


def _median(answers: Sequence[Mapping[str, Any]], name: str) -> Any:
    values = [answer[name] for answer in answers if answer.get(name) is not None]
    if not values:
        return None
    middle = statistics.median(values)
    return round(middle) if name.endswith("_bytes") else middle
