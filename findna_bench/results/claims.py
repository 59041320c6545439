"""Claims: how several processes, on one machine or many, share one results folder without computing a cell twice.

A claim is a small file created exclusively. Its owner writes it anew every minute, its heartbeat. It is dead

* when its process is gone: only a process of the same boot and the same pid namespace can tell (containers number their processes
  alike and may share a host's name), by pid and start time;
* or else when it was last written more than ten minutes ago. Ages are differences of the times that the file system of the results
  folder gives to files, so the clocks of hosts need not agree.

A machine that was suspended finds its claims taken when it wakes, and writes no result for them (:meth:`Claims.still_mine`). No lock
is held while computing; a short one is held while a dead claim is replaced. Where a file system has no locks or no hard links, as
some network folders have not, files that are created exclusively stand for them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from findna_bench.errors import ResultsFolderError

__all__ = ["HEARTBEAT_TIMEOUT_S", "Claims", "held_claims"]

HEARTBEAT_TIMEOUT_S = 600.0
_HEARTBEAT_EVERY_S = 60.0
_MISSED_S = 3 * _HEARTBEAT_EVERY_S
"""Silence after which a heart that beats does not beat."""
_HALF_WRITTEN_S = 60.0
"""Age from which a claim that cannot be read is damaged, and not just being written."""
_LOCK_STALE_S = 30.0
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


@dataclass(frozen=True)
class _Owner:
    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    process_start: str
    token: str

    @classmethod
    def this_process(cls) -> _Owner:
        start = _process_start(os.getpid()) or ""
        return cls(socket.gethostname(), _boot_id(), _pid_namespace(), os.getpid(), start, os.urandom(8).hex())

    def sees(self, claim: Mapping[str, Any]) -> bool:
        """Whether the processes that this one sees include the owner of a claim, if it lives."""
        return all((claim["host"] == self.host, self.boot_id, self.pid_namespace)) and all(
            claim.get(key) == getattr(self, key) for key in ("boot_id", "pid_namespace")
        )


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    """Inode of the pid namespace, "" where it is not known: a number is used again after its namespace ended, on one boot at most
    by one that starts later, whose processes have later start times."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return "" if Path("/proc").is_dir() else "one"  # no /proc (macOS): there are no namespaces


def _since_start() -> float:
    """Seconds of silence after which the owner of a claim of this host's name and another boot went down before this machine
    started: one on another machine of that name would have been heard."""
    try:
        return max(_MISSED_S, float(Path("/proc/uptime").read_text().split()[0]))
    except (OSError, ValueError, IndexError):
        return HEARTBEAT_TIMEOUT_S


def _process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot, None when there is no such process, "" when it exists and cannot be
    looked at (no /proc, or one that hides the processes of others)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return None
        except PermissionError:
            pass
        return ""
    return None if fields[0] == "Z" else fields[19]


def _folder_time(folder: Path) -> float:
    """The time that the file system gives to a file written now."""
    probe = folder / f".now.{os.getpid()}.{threading.get_ident()}"
    try:
        probe.write_bytes(b"")
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


class Claims:
    """Claims of this process under ``<results>/.claims``.

    Use as a context manager: on leaving, all own claims are released and the heartbeat stops.

    Args:
        results: the results folder.
        clock: the time of a folder's file system, in seconds.
    """

    def __init__(self, results: Path, *, clock: Callable[[Path], float] = _folder_time) -> None:
        self._folder = results / ".claims"
        self._clock = clock
        self._owner = _Owner.this_process()
        self._mine: dict[str, str] = {}
        """Name -> what its file holds."""
        self._about: dict[str, dict[str, Any]] = {}
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Claims:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / "lock").touch()
        except OSError as error:
            raise ResultsFolderError(
                f"cannot write to results folder {self._folder.parent}: {error.strerror}; choose another with --output-dir"
            ) from error
        self._sweep()
        self._thread = threading.Thread(target=self._beat, name="claims-heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.release(list(self._mine))

    def _path(self, request_id: str) -> Path:
        return self._folder / f"{request_id}.json"

    def _sweep(self) -> None:
        """Remove what killed processes left: half-made files, and claims on cells that may never be asked for again."""
        with contextlib.suppress(OSError), self._takeover_lock():
            now = self._clock(self._folder)
            for path in list(self._folder.iterdir()):
                with contextlib.suppress(FileNotFoundError):  # others come and go
                    if path.name.startswith("."):
                        if now - path.stat().st_mtime > HEARTBEAT_TIMEOUT_S:
                            path.unlink()
                    elif path.suffix == ".json" and self._state(path.stem) == "dead":
                        path.unlink()

    def take(self, request_id: str, about: Mapping[str, Any] | None = None) -> bool:
        """Claim a cell; False when a living process holds it. about: kept with the claim for whoever looks; JSON-serialisable."""
        self._about[request_id] = {**(about or {}), "since": time.time()}
        if self._create(request_id):
            return True
        with self._takeover_lock():
            state = self._state(request_id)
            if state == "held":
                return False
            if state == "dead":  # only whoever holds the lock removes a dead claim, so this is still the one just read
                with contextlib.suppress(FileNotFoundError):
                    self._path(request_id).unlink()
            return self._create(request_id)

    def _create(self, request_id: str) -> bool:
        temporary = self._folder / f".{request_id}.{self._owner.token}"
        content = json.dumps({**self._about.get(request_id, {}), **asdict(self._owner)})
        try:
            temporary.write_text(content)
            created = self._publish(temporary, self._path(request_id))
        except OSError as error:
            raise ResultsFolderError(
                f"cannot claim a cell under {self._folder}: {error.strerror or error}; free some space or choose another "
                "folder with --output-dir"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        if created:
            with self._mutex:
                self._mine[request_id] = content
        return created

    @staticmethod
    def _publish(temporary: Path, path: Path) -> bool:
        """Create a claim from a whole file, so that no reader sees half of it; False where there is one already."""
        try:
            os.link(temporary, path)
        except FileExistsError:
            return (
                temporary.stat().st_nlink > 1
            )  # a network folder's answer to the second request, the first one was lost
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            try:
                with path.open("x") as stream:
                    stream.write(temporary.read_text())
            except FileExistsError:
                return False
        return True

    @contextlib.contextmanager
    def _takeover_lock(self) -> Iterator[None]:
        with (self._folder / "lock").open("r+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                with self._lock_file():
                    yield
                return
            yield

    @contextlib.contextmanager
    def _lock_file(self) -> Iterator[None]:
        """Stands for a lock where a file system has none. A file left by a killed process counts for half a minute."""
        path = self._folder / ".locked"
        while True:
            try:
                with path.open("x") as stream:
                    stream.write(self._owner.token)
                break
            except FileExistsError:
                with contextlib.suppress(FileNotFoundError):
                    if self._clock(self._folder) - path.stat().st_mtime > _LOCK_STALE_S:
                        stale = self._folder / f".locked.{self._owner.token}"
                        path.rename(stale)  # one process alone succeeds
                        stale.unlink()
                        continue
                time.sleep(0.02)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def _state(self, request_id: str) -> str:
        """``absent``, ``held``, or ``dead``: the owner is gone."""
        path = self._path(request_id)
        try:
            silent = -path.stat().st_mtime
            content = path.read_text()
            silent += self._clock(self._folder)
        except FileNotFoundError:
            return "absent"
        except OSError:
            return "held"  # nothing is known of it
        try:
            claim = json.loads(content)
            pid, start, host = int(claim["pid"]), str(claim["process_start"]), claim["host"]
            seen = self._owner.sees(claim)
        except (ValueError, KeyError, TypeError, AttributeError):
            return "dead" if silent > _HALF_WRITTEN_S else "held"
        if seen and (found := _process_start(pid)) != "":
            return "held" if found == start else "dead"
        restarted = host == self._owner.host and claim.get("boot_id") != self._owner.boot_id
        return "dead" if silent > HEARTBEAT_TIMEOUT_S or (restarted and silent > _since_start()) else "held"

    def held(self) -> dict[str, dict[str, Any]]:
        """Claims of living processes, this one's among them: name -> what they hold."""
        found = {}
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                claim = json.loads(path.read_text())
                if self._state(path.stem) == "held":
                    found[path.stem] = {**claim, "host": str(claim["host"]), "pid": int(claim["pid"])}
        return found

    def still_mine(self, request_id: str) -> bool:
        """Whether the claim file still names this process; asked before a result is written."""
        try:
            mine: bool = json.loads(self._path(request_id).read_text())["token"] == self._owner.token
            return mine
        except (OSError, ValueError, KeyError):
            return False

    def release(self, request_ids: Iterable[str]) -> None:
        """Give claims back; those that are not ours any more are left alone."""
        for request_id in request_ids:
            with contextlib.suppress(OSError), self._takeover_lock():
                if self.still_mine(request_id):
                    self._path(request_id).unlink()
            with self._mutex:
                self._mine.pop(request_id, None)
                self._about.pop(request_id, None)

    def renew(self) -> None:
        """Write own claims anew, as the heartbeat does every minute; one that another process took over is left alone."""
        with self._mutex:
            mine = dict(self._mine)
        for request_id, content in mine.items():
            with contextlib.suppress(OSError), self._takeover_lock():
                if self.still_mine(request_id):
                    temporary = self._folder / f".{request_id}.{self._owner.token}.beat"
                    temporary.write_text(content)
                    temporary.replace(self._path(request_id))

    def _beat(self) -> None:
        while not self._stop.wait(_HEARTBEAT_EVERY_S):
            self.renew()


def held_claims(results: Path) -> dict[str, dict[str, Any]]:
    """Claims of living processes on a results folder, which is only read: name -> what they hold, with ``host``, ``pid``, ``since`` (seconds since
    1970, None in those of older versions), and what :meth:`Claims.take` was told.
    """

    def clock(folder: Path) -> float:
        try:
            return _folder_time(folder)
        except OSError:  # it may be read, and not written
            return time.time()

    return {name: {"since": None, **claim} for name, claim in Claims(results, clock=clock).held().items()}
