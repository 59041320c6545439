"""Standard streams that may be closed, full, or unable to write all letters, and signals that end a verb.

Progress that nobody can read is no reason to lose a computation: what goes wrong on stderr ends nothing. An answer that cannot be
written is an error.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, TextIO, cast

from findna_bench.errors import OutputError

__all__ = ["finish_streams", "interrupted_by", "prepare_streams", "raise_on_termination"]

_PLAIN = {"±": "+/-", "–": "-", "—": "-", "…": "...", "µ": "u", "×": "x", "≥": ">=", "≤": "<=", "→": "->"}
_received: list[int] = []


class _Stream:
    """A text stream, with what happens when it cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._broken()
        except OSError as error:
            self._failed(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._broken()
        except OSError as error:
            self._failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _let_go(self) -> None:
        """Nothing more is written, and what is left in the buffer goes nowhere."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def _broken(self) -> None:
        self._let_go()

    def _failed(self, error: OSError) -> None:
        self._let_go()


class _Answer(_Stream):
    """stdout."""

    def _broken(self) -> None:
        self._let_go()
        raise BrokenPipeError

    def _failed(self, error: OSError) -> None:
        self._let_go()
        raise OutputError(f"the answer cannot be written to standard output: {error.strerror or error}") from error


def prepare_streams() -> None:
    """Make stdin, stdout and stderr usable, whatever they are; to be called before anything is printed."""
    _open_closed()
    codecs.register_error("findna-bench", _in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
        with contextlib.suppress(AttributeError, ValueError, OSError):  # a script may have put something else there
            stream.reconfigure(errors="backslashreplace" if encoding == "utf8" else "findna-bench")  # type: ignore[union-attr]
    if not isinstance(sys.stdout, _Stream):
        sys.stdout = cast("TextIO", _Answer(sys.stdout))
    if not isinstance(sys.stderr, _Stream):
        sys.stderr = cast("TextIO", _Stream(sys.stderr))


def _open_closed() -> None:
    """Descriptors 0 to 2, where they are closed, on nothing: a file opened later would take their place, and get what is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            stream = open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
            setattr(sys, name, stream)


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """Our own signs in ASCII, any other letter as its number: for locales that cannot write them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("unicode_escape").decode() for c in letters), error.end


def finish_streams() -> None:
    """Write out what is buffered.

    Raises:
        OutputError: standard output cannot take it. BrokenPipeError: nobody reads it any more.
    """
    sys.stdout.flush()
    sys.stderr.flush()


def raise_on_termination() -> None:
    """SIGTERM, and SIGHUP of a terminal that is closed, interrupt as Ctrl-C does, so that what is begun is left in order."""
    if threading.current_thread() is not threading.main_thread():
        return
    _received.clear()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def interrupted_by() -> int:
    """The signal that ended a verb: by convention its exit code is 128 more."""
    return _received[-1] if _received else signal.SIGINT
