"""A real Ray cluster on this machine for tests: a head that computes nothing, and nodes of one processor each, which may be lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from full_disks import with_full_disk
from local_slurm import descendants, wait_until


class LocalRay:
    """Starts it; to be stopped by :meth:`stop`."""

    def __init__(self, nodes: int = 2) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": 80_000_000, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: list[Any] = []
        self._by_hand: list[subprocess.Popen[bytes]] = []
        for _ in range(nodes):
            self.add_node()

    @property
    def address(self) -> str:
        """For ``--ray-address``."""
        return str(self._cluster.address)

    def add_node(self) -> None:
        """One more, of one processor."""
        self._nodes.append(self._cluster.add_node(num_cpus=1, object_store_memory=80_000_000))

    def add_node_with_full_disk(self, folder: Path, scratch: Path) -> None:
        """A node whose tasks see ``folder`` on a disk that is full."""
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={self.address}", "--num-cpus=1"]
        command += ["--object-store-memory=80000000", "--block"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        known = len(self._alive())
        self._by_hand.append(
            subprocess.Popen(with_full_disk(folder, scratch, command), start_new_session=True, **quiet)
        )
        wait_until(lambda: len(self._alive()) > known, 60)

    def _alive(self) -> set[str]:
        return set(self._cluster.global_state._live_node_ids())

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
        self.add_node()

    def stop(self) -> None:
        for process in self._by_hand:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._cluster.shutdown()
