"""Claims: how several processes share one results folder without computing a cell twice.

A claim is a small file created exclusively. It is dead when its process is gone (same host, same boot: pid and start time
are compared) or, from another host, when its heartbeat is older than ten minutes. No lock is held while computing; a short
one is held only while a dead claim is replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from findna_bench.errors import ResultsFolderError

__all__ = ["HEARTBEAT_TIMEOUT_S", "Claims"]

HEARTBEAT_TIMEOUT_S = 600.0
_HEARTBEAT_EVERY_S = 60.0


@dataclass(frozen=True)
class _Owner:
    host: str
    boot_id: str
    pid: int
    process_start: str
    token: str

    @classmethod
    def this_process(cls) -> _Owner:
        return cls(
            socket.gethostname(), _boot_id(), os.getpid(), _process_start(os.getpid()) or "", os.urandom(8).hex()
        )


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot, None when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:  # no /proc (macOS): existence of the pid is all there is
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return ""
    return None if fields[0] == "Z" else fields[19]


class Claims:
    """Claims of this process under ``<results>/.claims``.

    Use as a context manager: on leaving, all own claims are released and the heartbeat stops.
    """

    def __init__(self, results: Path, *, now: Callable[[], float] = time.time) -> None:
        self._folder = results / ".claims"
        self._now = now
        self._owner = _Owner.this_process()
        self._mine: set[str] = set()
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
            for path in list(self._folder.iterdir()):
                if path.name.startswith("."):
                    if self._now() - path.stat().st_mtime > HEARTBEAT_TIMEOUT_S:
                        path.unlink(missing_ok=True)
                elif path.suffix == ".json" and self._state(path.stem) == "dead":
                    path.unlink(missing_ok=True)

    def take(self, request_id: str) -> bool:
        """Claim a cell; False when a living process holds it."""
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
        content = json.dumps(asdict(self._owner) | {"heartbeat": self._now()})
        # link() publishes a complete file: a reader never sees a half-written claim
        temporary = self._folder / f".{request_id}.{self._owner.token}"
        try:
            temporary.write_text(content)
            os.link(temporary, self._path(request_id))
        except FileExistsError:
            return False
        except OSError as error:
            raise ResultsFolderError(
                f"cannot claim a cell under {self._folder}: {error.strerror or error}; free some space or choose another "
                "folder with --output-dir"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        with self._mutex:
            self._mine.add(request_id)
        return True

    @contextlib.contextmanager
    def _takeover_lock(self) -> Iterator[None]:
        with (self._folder / "lock").open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _state(self, request_id: str) -> str:
        """``absent``, ``held``, or ``dead``: the owner is gone."""
        try:
            claim = json.loads(self._path(request_id).read_text())
            host, boot, pid = claim["host"], claim["boot_id"], int(claim["pid"])
            start, heartbeat = claim["process_start"], float(claim["heartbeat"])
        except FileNotFoundError:
            return "absent"
        except (OSError, ValueError, KeyError, TypeError):
            return "dead"  # damaged: no process of ours writes such a file
        if host == self._owner.host:
            gone = boot != self._owner.boot_id or _process_start(pid) != start
        else:
            gone = self._now() - heartbeat > HEARTBEAT_TIMEOUT_S
        return "dead" if gone else "held"

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
                self._mine.discard(request_id)

    def _beat(self) -> None:
        while not self._stop.wait(_HEARTBEAT_EVERY_S):
            with self._mutex:
                mine = list(self._mine)
            for request_id in mine:
                with contextlib.suppress(OSError), self._takeover_lock():
                    if self.still_mine(request_id):
                        temporary = self._folder / f".{request_id}.{self._owner.token}.beat"
                        temporary.write_text(json.dumps(asdict(self._owner) | {"heartbeat": self._now()}))
                        temporary.replace(self._path(request_id))
