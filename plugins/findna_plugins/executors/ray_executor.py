"""The executor ``ray``: each model a task of a Ray cluster, a running one or one that is started on this machine.

Tasks write what they settle into the results folder (:class:`findna_bench.api.JobFolder`). Ray itself tries nothing again: a task whose
worker is lost is sent again by :func:`findna_bench.api.follow_jobs`, a few times at most, and one that failed (a full disk, say) to
another node. An error of a model is a result.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import findna_bench.api as fb

__all__ = ["ray"]

_OBJECT_STORE_BYTES = 100_000_000
"""Of a cluster that is started here: nothing but a path travels through it."""
_SHARE_OF_A_NODE = 0.9
_STOP_S = 20.0
_PASSED_ON = re.compile(r"FINDNA_BENCH_\w+|HF_(HOME|HUB_CACHE|HUB_OFFLINE|ENDPOINT)|XDG_(CACHE|DATA)_HOME")
"""Variables that say where things are, which a cluster that was started elsewhere does not have."""
_SECRET = re.compile(r"\w*(TOKEN|PASSPHRASE|PASSWORD|SECRET)\w*")
"""What whoever sees the cluster must not read."""


def ray(jobs: Sequence[fb.Job], report: fb.Report) -> Iterator[fb.Settled]:
    """Run jobs as tasks of Ray, and wait for them. The tasks end with this command.

    Raises:
        UsageError: Ray is not there, or no cluster answers.
    """
    request = jobs[0].request
    module = _import_ray()
    opened = fb.open_jobs(jobs, "ray", _alive)
    yield from opened.settled
    if not opened.new:
        return
    with fb.waiting_for(opened.new):
        try:
            with contextlib.closing(_Tasks(module, request)) as tasks:
                tasks.send(opened.new)
                yield from fb.follow_jobs(opened.new, tasks.ended, tasks.send, report)
        finally:
            for folder in opened.new:
                folder.close()


def _alive(folder: fb.JobFolder) -> None:
    """Nothing is known of tasks that another command has sent, but that they ended with it."""
    if folder.abandoned():
        folder.close()


def _import_ray() -> Any:
    try:
        import ray as module
    except ImportError as error:
        raise fb.UsageError("executor ray needs Ray; install it with `pip install 'findna-bench[ray]'`") from error
    return module


class _Tasks:
    """Tasks of one run, and the connection to the cluster."""

    def __init__(self, ray: Any, request: Any) -> None:
        self._ray, self._request = ray, request
        self._running: dict[Path, Any] = {}
        self._failed: dict[Path, set[str]] = {}
        self._connected_here = not ray.is_initialized()
        if self._connected_here:
            self._connect(request.ray_address)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self._gpus = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
        self._memory = max((node.get("memory", 0.0) for node in nodes), default=0.0)

    def _connect(self, address: str | None) -> None:
        # Workers find what this process finds, wherever they were started.
        path = os.pathsep.join(dict.fromkeys(entry for entry in sys.path if entry and Path(entry).exists()))
        passed = {
            name: value
            for name, value in os.environ.items()
            if _PASSED_ON.fullmatch(name) and not _SECRET.fullmatch(name)
        }
        here: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
        if self._request.workers > 1:
            here["num_cpus"] = self._request.workers * self._request.threads
        try:
            self._ray.init(
                address=address or "local",
                runtime_env={"env_vars": {**passed, "PYTHONPATH": path}},
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else here),
            )
        except Exception as error:  # whatever a network, a version or a machine may do
            where = address or "this machine"
            text = " ".join(str(error).split())
            raise fb.UsageError(f"executor ray: no cluster at {where}: {text[:300]}") from error

    def send(self, folders: Sequence[fb.JobFolder]) -> None:
        """Send jobs, each with the resources that it needs; what no node has is not asked for."""
        for folder in folders:
            needs = fb.needs_of(folder.job)
            wants_gpu = needs.network and self._request.device != "cpu" and self._gpus > 0
            name = f"findna-{folder.job.model}"
            task = self._ray.remote(
                num_cpus=needs.threads,
                num_gpus=1 if wants_gpu else 0,
                memory=int(min(needs.memory_bytes, _SHARE_OF_A_NODE * self._memory)),
                max_retries=0,
                max_calls=1,  # a process of its own
            )(_compute)
            options = {"name": name, **self._elsewhere(folder, {"CPU": needs.threads, "GPU": int(wants_gpu)})}
            self._running[folder.path] = task.options(**options).remote(str(folder.path), os.getcwd())
            folder.submitted(id=self._running[folder.path].task_id().hex(), name=name)

    def _elsewhere(self, folder: fb.JobFolder, needs: Mapping[str, float]) -> dict[str, Any]:
        """Options that send a job to a node where it has not failed, if one has what it needs."""
        if (avoided := self._failed.get(folder.path)) is None:
            return {}
        for node in self._ray.nodes():
            fits = all(node["Resources"].get(name, 0.0) >= number for name, number in needs.items())
            if node["Alive"] and node["NodeID"] not in avoided and fits:
                strategies = self._ray.util.scheduling_strategies
                return {
                    "scheduling_strategy": strategies.NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=True)
                }
        return {}

    def ended(self, folder: fb.JobFolder) -> fb.Ended | None:
        """How a task ended; None while it runs or waits."""
        errors = self._ray.exceptions
        ready, _ = self._ray.wait([self._running[folder.path]], timeout=0)
        if not ready:
            return None
        try:
            if (failure := self._ray.get(ready[0])) is not None:
                node, text = failure
                self._failed.setdefault(folder.path, set()).add(node)
                return fb.Ended(f"its task failed: {text[:300]}")
        except errors.OutOfMemoryError:
            return fb.Ended("Ray ended the process computing it, as its node ran out of memory", "fail-unit")
        except (errors.RuntimeEnvSetupError, errors.TaskUnschedulableError) as error:
            return fb.Ended(f"Ray cannot run it: {' '.join(str(error).split())[:300]}", "fail")
        except errors.RayTaskError as error:
            return fb.Ended(f"its task failed: {' '.join(str(error.cause).split())[:300]}")
        except errors.RayError as error:
            return fb.Ended(f"its Ray worker was lost ({type(error).__name__})")
        return fb.Ended("its task ended before it was done")

    def close(self) -> None:
        """Have tasks that still run stop after a training step, and let go of the cluster."""
        left = [reference for reference in self._running.values() if not self._ray.wait([reference], timeout=0)[0]]
        with contextlib.suppress(Exception):  # a cluster that is gone has nothing to stop
            for reference in left:
                self._ray.cancel(reference)
            if left:
                self._ray.wait(left, num_returns=len(left), timeout=_STOP_S)
        if self._connected_here:
            self._ray.shutdown()


def _compute(path: str, cwd: str) -> tuple[str, str] | None:
    """What a task does, on its node: where it cannot compute the job, the node's id and the reason come back."""
    import ray as module

    try:
        os.chdir(cwd)
        folder = fb.JobFolder.open(Path(path))
        if folder is not None:
            for _ in folder.compute(ray=os.getpid()):
                pass
    except (fb.BenchError, OSError) as error:
        return module.get_runtime_context().get_node_id(), " ".join(str(error).split())
    return None
