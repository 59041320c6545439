"""What a plugin's code raises is said of the plugin, in one sentence with file and line, and is never taken for a fault of the
harness. Standard library only.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from findna_bench.cards import ENTRY_POINT_GROUP
from findna_bench.errors import BenchError, PluginError

__all__ = ["fault_in_words", "in_words", "plugin_code", "plugin_fault"]

_HARNESS = "findna_bench"
_INIT, _CALL = "__init__", "__call__"


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


def fault_in_words(error: BaseException, called: Any = None, *, package: str = "") -> str:
    """The same, with the file and line of the plugin's code where it was raised.

    Args:
        error: with its traceback.
        called: the function or class that was called, whose own place stands in where none of its lines ran (wrong arguments).
        package: top package of the plugin, beside those that are registered.
    """
    found = _innermost(error.__traceback__, {*_registered_packages(), package})
    place = found.place if found is not None else _definition(called)
    return f"{in_words(error)} ({place})" if place else in_words(error)


@contextlib.contextmanager
def plugin_code(
    what: str, factory: str = "", *, called: Any = None, parts: Mapping[type, str] | None = None
) -> Iterator[None]:
    """Inside, code of a plugin runs: whatever it raises becomes one sentence about it.

    Args:
        what: kind and name of its card, as ``objective 'denoise'``.
        factory: that of the card, which says whose code it is.
        called: the function or class that is called.
        parts: classes of things that this code calls in turn, such as an objective's backbone, and what they are called: where
            one of them was running, the sentence is about it.

    Raises:
        PluginError: it raised something, or left the program. Errors of the harness and interruptions pass as they are.
    """
    try:
        yield
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        package = factory.partition(":")[0].partition(".")[0]
        who = f"{what}{f' ({factory})' if factory else ''}"
        if (part := _running_part(error.__traceback__, parts or {})) is not None:
            who = f"{part}, called by {who}"
        raise PluginError(f"{who}: {fault_in_words(error, called, package=package)}") from error


def plugin_fault(error: BaseException, packages: Mapping[str, str]) -> PluginError | None:
    """The same for an error that was met anywhere: a sentence where code of a plugin was running, else None.

    Args:
        error: with its traceback.
        packages: top packages of plugins, with the distributions they are part of.
    """
    found = _innermost(error.__traceback__, packages, own_code=False)
    if isinstance(error, BenchError) or found is None:
        return None
    return PluginError(f"plugin {packages[found.package]}: {in_words(error)} ({found.place})")


# ------------------------------------------------------------------------------------------------ where it was raised


@dataclass(frozen=True)
class _Found:
    """A line of a plugin: the top package of its module, and where it stands."""

    package: str
    place: str


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    """Calls from the outermost to the innermost, with the line of each."""
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _innermost(trace: TracebackType | None, packages: Collection[str], *, own_code: bool = True) -> _Found | None:
    """The last call of a plugin's code: of one of these packages, or (``own_code``) of any file that is no installed library."""
    found = None
    for frame, line in _frames(trace):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        file = frame.f_code.co_filename
        if package != _HARNESS and (package in packages or (own_code and _is_own_code(file))):
            found = _Found(package, f"{_short(file, package)}, line {line}")
    return found


def _running_part(trace: TracebackType | None, parts: Mapping[type, str]) -> str | None:
    found = None
    for frame, _ in _frames(trace):
        running = frame.f_locals.get("self")
        for kind, name in parts.items():
            if isinstance(running, kind):
                found = f"{name} {type(running).__name__!r}"
    return found


def _is_own_code(file: str) -> bool:
    """Whether a file is somebody's own, such as a notebook's, rather than part of Python or of an installed library."""
    return not file.startswith("<") and not file.startswith(_library_folders())


@cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _registered_packages() -> set[str]:
    """Top packages of the entry points of installed plugins, the harness's own among them."""
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {point.value.partition(":")[0].partition(".")[0] for point in points}


def _short(file: str, package: str) -> str:
    """A file without the folder that its package lies in, which is nobody else's business."""
    parts = Path(file).parts
    return "/".join(parts[parts.index(package) :]) if package in parts[:-1] else parts[-1]


def _definition(called: Any) -> str:
    """Where a function, a method, a class or a callable object is written, empty where it is no Python code."""
    if called is None:
        return ""
    own_class = called if isinstance(called, type) else type(called)
    functions = [getattr(called, _INIT)] if isinstance(called, type) else [called, getattr(own_class, _CALL, None)]
    for function in functions:
        code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
        if isinstance(code, CodeType) and not code.co_filename.startswith("<"):
            package = str(getattr(called, "__module__", "")).partition(".")[0]
            return f"{_short(code.co_filename, package)}, line {code.co_firstlineno}"
    return _class_definition(own_class)


def _class_definition(kind: type) -> str:
    """Where a class is written whose ``__init__`` is generated, such as a dataclass's."""
    try:
        file, line = inspect.getsourcefile(kind), inspect.findsource(kind)[1] + 1
    except (OSError, TypeError):
        return ""
    return f"{_short(file, kind.__module__.partition('.')[0])}, line {line}" if file else ""
