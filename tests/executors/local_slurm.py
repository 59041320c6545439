"""A real Slurm on this machine for tests: a controller and two nodes of one processor each, without accounting."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from full_disks import with_full_disk

NODES = ("n1", "n2")
_PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scontrol", "sinfo")


def missing() -> str | None:
    """Why no Slurm can be started here; None where one can."""
    if absent := [name for name in _PROGRAMS if _path(name) is None]:
        return f"Slurm is not installed here: no {absent[0]}"
    return None if os.geteuid() == 0 else "the daemons of Slurm are started by root only"


def _path(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _program(name: str) -> str:
    path = _path(name)
    assert path is not None
    return path


class LocalSlurm:
    """Starts it in ``folder``; to be stopped by :meth:`stop`."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.folder, self.conf = folder, folder / "slurm.conf"
        self._munge = self._start_munge()
        ports = _free_ports(3)
        host = socket.gethostname().partition(".")[0]
        nodes = [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=4000"
            for name, port in zip(NODES, ports[1:], strict=True)
        ]
        lines = [
            "ClusterName=tests", f"SlurmctldHost={host}(127.0.0.1)", f"SlurmctldPort={ports[0]}", "SlurmUser=root", "SlurmdUser=root",
            "AuthType=auth/munge", f"AuthInfo=socket={folder}/munge.socket", f"StateSaveLocation={folder}/state",
            f"SlurmctldLogFile={folder}/slurmctld.log", f"SlurmctldPidFile={folder}/slurmctld.pid", f"SlurmdPidFile={folder}/slurmd.%n.pid",
            f"SlurmdSpoolDir={folder}/spool.%n", f"SlurmdLogFile={folder}/slurmd.%n.log", "SlurmdTimeout=10", "KillWait=5",
            "ProctrackType=proctrack/pgid", "TaskPlugin=task/none", "SelectType=select/cons_tres", "SelectTypeParameters=CR_Core",
            "ReturnToService=2", "AccountingStorageType=accounting_storage/none", "MpiDefault=none",
            "SlurmdParameters=config_overrides", *nodes, f"PartitionName=tests Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP",
        ]  # fmt: skip
        (folder / "state").mkdir()
        self.conf.write_text("\n".join(lines) + "\n")
        self._daemon("slurmctld")
        for name in NODES:
            self.start_node(name)
        wait_until(lambda: self.ask("sinfo", "-h", "-N", "-t", "idle").count("\n") == len(NODES), 60)

    def _start_munge(self) -> subprocess.Popen[bytes]:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("pid", "seed", "log")]
        command = [
            _program("munged"),
            "--force",
            "--foreground",
            f"--key-file={key}",
            f"--socket={self.folder}/munge.socket",
            *files,
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: (self.folder / "munge.socket").exists(), 30)
        return process

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.conf)}

    def _daemon(self, *command: str) -> None:
        subprocess.run(
            [_program(command[0]), *command[1:]], check=True, env={**os.environ, **self.environment}, timeout=60
        )

    def ask(self, *command: str) -> str:
        """What a program of Slurm prints."""
        done = subprocess.run(
            [_program(command[0]), *command[1:]],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout

    def start_node(self, name: str) -> None:
        self._daemon("slurmd", "-N", name)

    def start_node_with_full_disk(self, name: str, folder: Path, scratch: Path) -> None:
        """The daemon and its steps see ``folder`` on a disk that is full."""
        command = with_full_disk(folder, scratch, [_program("slurmd"), "-N", name])
        subprocess.run(command, check=True, env={**os.environ, **self.environment}, timeout=60)

    def kill_daemon(self, name: str) -> None:
        """The daemon of a node is gone, the steps that it started live on."""
        with contextlib.suppress(ProcessLookupError, OSError):
            os.kill(int((self.folder / f"slurmd.{name}.pid").read_text()), signal.SIGKILL)

    def kill_node(self, name: str) -> None:
        """A node loses its power: daemon, steps and all that they started."""
        steps = [f"slurmstepd: [{job}." for job in self.ask("squeue", "-h", "-w", name, "-o", "%A").split()]
        self.kill_daemon(name)
        for pid in [p for p in _processes() if _command(p).startswith(tuple(steps))] if steps else []:
            for child in descendants(pid):
                _kill(child)
            _kill(pid)

    def stop(self) -> None:
        self.ask("scancel", "--me")
        for name in NODES:
            self.kill_node(name)
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.folder / "slurmctld.pid").read_text()), signal.SIGKILL)
        self._munge.kill()
        self._munge.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    """Wait until ``condition()`` holds.

    Raises:
        AssertionError: it does not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def descendants(pid: int) -> list[int]:
    children = [one for one in _processes() if _parent(one) == pid]
    return [found for child in children for found in (child, *descendants(child))]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
