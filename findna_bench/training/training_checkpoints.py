"""Checkpoints of a training in progress: whole or absent, tensors and plain values only.

A file ends with the sha256 of all that comes before it: torch itself reads tensors with flipped bits without a word, and a
training that goes on from them ends in other numbers.
"""

from __future__ import annotations

import hashlib
import logging
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import torch

from findna_bench.errors import OutputError
from findna_bench.files import atomic_path

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

logger = logging.getLogger(__name__)

_MARK = b"FBSHA256"
_TRAILER = len(_MARK) + hashlib.sha256().digest_size


@dataclass
class Checkpoint:
    """The file that a training goes on from, and when it is written.

    path: the file. run: what decides the training's numbers, as a hash; a file that was written for another is not gone on from.
    seconds, steps: how often one is due, ``steps`` aside from the time. share: of the time that writing may take at most.
    replaceable: a file that is damaged or another training's is written over; otherwise it is an error.
    """

    path: Path
    run: str
    seconds: float = 600.0
    steps: int | None = None
    share: float = 1.0
    replaceable: bool = False
    _saved_at: float = field(default_factory=time.monotonic, repr=False)
    _took: float = field(default=0.0, repr=False)

    def due(self, step: int) -> bool:
        """Whether one is to be written after optimiser step ``step``."""
        if self.steps is not None and step % self.steps == 0:
            return True
        return time.monotonic() - self._saved_at >= max(self.seconds, self._took / self.share)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write ``state``, as :func:`save_checkpoint` does."""
        started = time.monotonic()
        save_checkpoint(self.path, {"run": self.run, **state})
        self._saved_at = time.monotonic()
        self._took = self._saved_at - started

    def load(self) -> dict[str, Any] | None:
        """What was written for this run; None where there is nothing to go on from.

        Raises:
            OutputError: the file is damaged or another run's, and is not ``replaceable``.
        """
        try:
            found = load_checkpoint(self.path)
        except OutputError as error:
            if not self.replaceable:
                raise
            logger.warning("%s; training starts anew", str(error).removesuffix("; remove it to begin again"))
            return None
        if found is None or found.get("run") == self.run:
            return found
        if not self.replaceable:
            raise OutputError(f"{self.path} is of another run; remove it to begin again")
        return None


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` (nested mappings and lists of tensors, numbers and strings) to ``path``, whole or not at all.

    Whoever is killed while writing leaves the previous checkpoint in place.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    with atomic_path(path) as temporary, temporary.open("wb+") as stream:
        try:
            torch.save(dict(state), stream)
        except RuntimeError as error:  # what torch makes of a write that failed; the reason is what it was handling
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        stream.seek(0)
        checksum = hashlib.file_digest(stream, "sha256").digest()  # leaves the stream at its end
        stream.write(_MARK + checksum)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state at ``path`` with all tensors on the CPU, or None where there is none.

    Raises:
        OutputError: the file is damaged (a single flipped bit is found), or holds anything but tensors and plain values.
    """
    try:
        with path.open("rb") as stream:
            whole = _is_whole(stream)
        if not whole:
            raise OutputError(
                f"{path} is damaged: its content does not have the checksum at its end; remove it to begin again"
            )
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, UnpicklingError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise OutputError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}); remove it to begin again"
        ) from error
    if not isinstance(state, dict):
        raise OutputError(f"{path} is no checkpoint of this program; remove it to begin again")
    return state


def _is_whole(stream: IO[bytes]) -> bool:
    """Whether a file ends with the checksum of what comes before."""
    length = stream.seek(0, 2) - _TRAILER
    if length < 0:
        return False
    stream.seek(length)
    trailer = stream.read()
    stream.seek(0)
    digest = hashlib.sha256()
    while length and (block := stream.read(min(length, 1 << 20))):
        digest.update(block)
        length -= len(block)
    return trailer == _MARK + digest.digest()
