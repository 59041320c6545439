"""What a plugin's code raises is said of the plugin, in one sentence, and is never taken for a fault of the harness. Standard
library only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import TracebackType

from findna_bench.errors import BenchError, PluginError

__all__ = ["in_words", "plugin_code", "plugin_fault"]


def in_words(error: BaseException) -> str:
    """What was raised, in a line.

    Example:
        >>> in_words(KeyError("loss")), in_words(SystemExit(3)), in_words(NotImplementedError())
        ("KeyError: 'loss'", 'it calls sys.exit(3)', 'NotImplementedError')
    """
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({'' if error.code is None else repr(error.code)})"
    text = " ".join(_text(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception of a stranger's may raise when it is printed
        return ""


@contextlib.contextmanager
def plugin_code(what: str, factory: str = "") -> Iterator[None]:
    """Inside, code of a plugin runs: whatever it raises becomes one sentence about it.

    Args:
        what: kind and name of its card, as ``objective 'denoise'``.
        factory: that of the card, which says whose code it is.

    Raises:
        PluginError: it raised something, or left the program. Errors of the harness and interruptions pass as they are.
    """
    try:
        yield
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{what}{f' ({factory})' if factory else ''}: {in_words(error)}") from error


def plugin_fault(error: BaseException, packages: Mapping[str, str]) -> PluginError | None:
    """The same for an error that was met anywhere: a sentence where code of a plugin was running, else None.

    Args:
        error: with its traceback.
        packages: top packages of plugins, with the distributions they are part of.
    """
    place = _innermost(error.__traceback__, packages)
    if isinstance(error, BenchError) or place is None:
        return None
    package, module, line = place
    return PluginError(f"plugin {packages[package]}: {in_words(error)} ({module}, line {line})")


def _innermost(trace: TracebackType | None, packages: Mapping[str, str]) -> tuple[str, str, int] | None:
    """(package, module, line) of the last call of a plugin's code."""
    found = None
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if (package := module.partition(".")[0]) in packages:
            found = package, module, trace.tb_lineno
        trace = trace.tb_next
    return found
