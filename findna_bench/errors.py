"""Errors whose text is meant for the user: one sentence saying what, where, and what to do.

Every room may raise these; ``cli`` prints ``str(error)`` and leaves with ``exit_code``. Anything else that escapes is a
bug and is shown as one. Standard library only.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable

__all__ = [
    "BenchError",
    "ConfigError",
    "DataError",
    "ModelError",
    "NotFiniteError",
    "OfflineError",
    "OutputError",
    "PluginError",
    "RanksError",
    "ResultsFolderError",
    "TruncationWarning",
    "UnknownNameError",
    "UnsupportedError",
    "UsageError",
    "WeightsError",
    "is_out_of_memory",
    "listed",
]


def listed(names: Iterable[object], most: int) -> str:
    """Names for a sentence, as many as it can bear; how many more there are, it says.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    shown = list(map(str, names))
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if shown[most:] else "")


class BenchError(Exception):
    """Base of all errors shown to the user as one sentence."""

    exit_code = 1


class TruncationWarning(UserWarning):
    """A model did not read all bases of the sequences it was given (a Python warning, for scripts)."""


class UsageError(BenchError):
    """Wrong option or argument; raised before any work is done."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file cannot be read or names something that does not exist."""


class UnknownNameError(UsageError):
    """A name that no installed plugin registers; the message names the nearest ones."""


class DataError(BenchError):
    """Input data is missing, damaged or not what the card says (file, row and remedy are in the message)."""


class OfflineError(DataError):
    """Something is not on this machine and the network may not be used."""


class WeightsError(BenchError):
    """A checkpoint is missing, unsafe, damaged, or does not account for every parameter."""


class ModelError(BenchError):
    """A model cannot be built or run as asked."""


class NotFiniteError(ModelError):
    """A model gives NaN or infinity, or gradients that are: the numbers it was trained with or computes in are at fault."""


class PluginError(BenchError):
    """Code of a plugin raised something, or gave what its contract rules out; the message says which, and where."""


class UnsupportedError(BenchError):
    """A combination that a card rules out; the cell is ``skipped`` with this text as its reason."""


class OutputError(BenchError):
    """Results cannot be written or read."""


class ResultsFolderError(OutputError):
    """The results folder cannot be written: nothing that follows could be kept, so a run ends here."""


class RanksError(BenchError):
    """Processes that train one network together have lost one another, so a run ends here."""


_MEMORY_RAN_OUT = re.compile(
    r"out[ _]of[ _]memory"  # CUDA, HIP, XPU and MPS, their drivers, oneDNN, XLA; as an exception or as an error code's text
    r"|not enough memory|(can't|cannot|could not|unable to|failed to) allocate"  # CPU allocators, mmap
    r"|bad[ _]alloc|invalid buffer size"  # C++, MPS
    r"|ALLOC(ATION)?_FAILED\b|cudaErrorMemoryAllocation",  # cuBLAS, cuDNN, cuFFT, cuSOLVER, the CUDA runtime
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out: on a device, in Python, in NumPy, or in a library that has no exception of its own for it.

    An error raised ``from`` such a one is one, too. Errors of this harness (:class:`BenchError`) are judged by their cause
    alone: their text may speak of memory for other reasons.
    """
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        # By name: this module imports no torch. torch.OutOfMemoryError is torch.cuda's, too.
        if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
            return True
        if isinstance(error, RuntimeError) and _MEMORY_RAN_OUT.search(str(error)):
            return True
        error = error.__cause__
    return False
