"""Ctrl-C does not cut a write or a training step in two: inside :func:`uninterrupted` it is kept until the block is left."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["interrupt_on_terminate", "uninterrupted"]


@contextlib.contextmanager
def uninterrupted(*, once: bool = False) -> Iterator[None]:
    """Hold SIGINT back (and SIGTERM where that interrupts too); KeyboardInterrupt is raised when the block ends.

    once: the second one is not held back, for blocks that may take long.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def hold(number: int, frame: object) -> None:
        received.append(number)
        if once and len(received) > 1:
            raise KeyboardInterrupt

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    held = [number for number, handler in previous.items() if callable(handler)]
    for number in held:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number in held:
            signal.signal(number, previous[number])
    if received:
        handler = previous[signal.Signals(received[0])]
        if callable(handler):  # raises as it would have done
            handler(received[0], None)
        raise KeyboardInterrupt


def interrupt_on_terminate() -> None:
    """For a child process: the parent's SIGTERM interrupts as Ctrl-C does, which itself is the parent's business."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, interrupt)
