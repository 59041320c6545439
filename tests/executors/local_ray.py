"""A real Ray cluster on this machine for tests: a head that computes nothing, and nodes of one processor each, which may be lost."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

from local_slurm import descendants


class LocalRay:
    """Starts it; to be stopped by :meth:`stop`."""

    def __init__(self, nodes: int = 2) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": 80_000_000, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes = [self._add() for _ in range(nodes)]

    @property
    def address(self) -> str:
        """For ``--ray-address``."""
        return str(self._cluster.address)

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=80_000_000)

    def kill_node_of(self, pid: int) -> None:
        """The node on which a process runs loses its power: daemon, workers and all that they started."""
        node, raylet = self._found(pid)
        below = descendants(raylet)
        os.kill(raylet, signal.SIGKILL)
        for one in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self._replace(node)

    def kill_daemon_of(self, pid: int) -> None:
        """The daemon of a process's node is gone, what it started is left to itself."""
        node, raylet = self._found(pid)
        os.kill(raylet, signal.SIGKILL)
        self._replace(node)

    def _found(self, pid: int) -> tuple[Any, int]:
        for node in self._nodes:
            raylet = node.all_processes["raylet"][0].process.pid
            if pid in descendants(raylet):
                return node, raylet
        raise AssertionError(f"no node runs process {pid}")

    def _replace(self, node: Any) -> None:
        self._nodes.remove(node)
        with contextlib.suppress(Exception):
            self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._add())

    def stop(self) -> None:
        self._cluster.shutdown()

