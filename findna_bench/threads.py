"""How many CPU threads numbers are computed with: fixed, since sums that threads share end in other last bits."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Collection, Iterator

__all__ = ["DEFAULT_THREADS", "compute_threads"]

DEFAULT_THREADS = 1
"""The one number that every library can keep to on every machine: some use no more threads than there are cores."""

_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@contextlib.contextmanager
def compute_threads(number: int) -> Iterator[None]:
    """Inside, torch, BLAS and OpenMP compute with ``number`` threads: libraries that are loaded already, those loaded inside, and
    those of processes started inside. Afterwards all is as it was.
    """
    import threadpoolctl

    own = _own_choice()
    # Loaded inside, torch takes a number that the environment names, but never more than there are cores.
    torch = sys.modules.get("torch") if number == 1 else importlib.import_module("torch")
    before = own if torch is None else torch.get_num_threads()
    known = {library.filepath for library in threadpoolctl.ThreadpoolController().lib_controllers}
    with contextlib.ExitStack() as stack:  # left from the last line to the first
        stack.callback(_set_torch_threads, before)
        stack.callback(_set_library_threads, own, known)
        stack.enter_context(_environment(dict.fromkeys(_VARIABLES, str(number))))
        stack.enter_context(threadpoolctl.threadpool_limits(number))
        _set_torch_threads(number)
        yield


def _own_choice() -> int:
    """Threads that a library takes where nobody has asked for a number."""
    variable = os.environ.get("OMP_NUM_THREADS", "")
    if variable.isdecimal() and int(variable):
        return int(variable)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _set_torch_threads(number: int) -> None:
    """Of torch, where it is loaded: it has a pool of its own that threadpoolctl does not see."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(number)


def _set_library_threads(number: int, known: Collection[str]) -> None:
    """Of libraries that are not ``known``: loaded under a limit, they have taken it for their own."""
    import threadpoolctl

    for library in threadpoolctl.ThreadpoolController().lib_controllers:
        if library.filepath not in known:
            library.set_num_threads(number)


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
