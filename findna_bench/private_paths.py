"""Where files lie on the user's machine stays out of everything that is written for others. Standard library only."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["last_part", "legible", "public_path", "public_word", "published", "without_paths"]

_PART = r"[^\s/'\"`<>|:;,()\[\]{}\\]"
_ABSOLUTE = re.compile(rf"(?:(?<![\w.~/\\-])/|(?<![\w.~/\\:-])//+)((?:{_PART}+/+)+{_PART}*)")
"""A path from the root, of two parts at least: no division, no ``and/or``, no web address."""
_OF_HOME = re.compile(rf"(?<![\w/])~\w*/((?:{_PART}+/+)*{_PART}*)")
_FILE_ADDRESS = re.compile(r"file:/{2,}(?:localhost)?(?=/)", re.IGNORECASE)
_PATH_IN_WORD = re.compile(
    r"(?P<scheme>(?:path|family|embeddings|scores):)?(?P<path>(?:/|~|\.\.?(?:/|$)).*)", re.DOTALL
)
"""A path in a word of a command line, which says so by how it begins, and the scheme of a model before it."""


def last_part(path: str | os.PathLike[str]) -> str:
    """What a file or folder is called, wherever it lies: empty for the root, ``~`` for a home folder."""
    whole = os.path.abspath(os.path.expanduser(path))
    return "~" if whole in _homes() else legible(os.path.basename(whole))


def legible(name: str) -> str:
    """A file name as text: its bytes are read as UTF-8, whatever the locale took them for; what is none becomes U+FFFD.

    Example:
        >>> legible("gr\udcc3\udcb6\udcc3\udc9fe")
        'größe'
    """
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def public_path(path: str | os.PathLike[str]) -> str:
    """A path as others may read it: as it was written where it leads into the working folder, else its last part.

    Example:
        >>> public_path("results/mine"), public_path("/home/jane/secret/results")
        ('results/mine', 'results')
    """
    text = os.fspath(path)
    if text == "/":
        return text
    inside = not text.startswith(("/", "~")) and ".." not in Path(text).parts
    return legible(text) if inside and not _leads_home(text) else last_part(text)


def _leads_home(path: str) -> bool:
    """Whether a path within the working folder passes through a home folder, as it does where one works in ``/``."""
    whole = os.path.abspath(path)
    here = os.getcwd()
    return any(_within(whole, home) and not _within(here, home) for home in _homes())


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def public_word(word: str) -> str:
    """A word of a command line with every path in it as :func:`public_path` gives it: ``/home/x/m``, ``path:/home/x/m``,
    ``NAME=/home/x/m``, and several of these separated by commas.
    """
    return _text(_without_homes(",".join(map(_public_part, word.split(",")))))


def _public_part(part: str) -> str:
    name, equals, value = part.partition("=")
    if equals and _PATH_IN_WORD.fullmatch(value):
        return f"{_public_part(name)}={_public_part(value)}"
    found = _PATH_IN_WORD.fullmatch(part)
    return f"{found['scheme'] or ''}{public_path(found['path'])}" if found else part


def without_paths(text: str, known: Iterable[str | os.PathLike[str]] = ()) -> str:
    """Free text (a message, a traceback) with the last part of every path from the root or from the home folder; of a module its
    place within its packages.

    Args:
        text: what to write for others.
        known: paths that it may name, which are found even with blanks in them.

    Example:
        >>> without_paths("/home/jane/secret/x.csv: row 3 has no label")
        'x.csv: row 3 has no label'
    """
    for form in sorted({form for path in known for form in _forms(path)}, key=len, reverse=True):
        text = re.sub(rf"{re.escape(form)}(?![\w-]|\.\w)", last_part(form).replace("\\", r"\\"), text)
    text = _FILE_ADDRESS.sub("", _without_homes(text))
    text = _ABSOLUTE.sub(lambda found: _shortened("/" + found[1]), text)
    return _OF_HOME.sub(lambda found: last_part("/" + found[1]), text)


def published(value: Any) -> Any:
    """JSON with every text in it as :func:`without_paths` gives it."""
    if isinstance(value, Mapping):
        return {_text(key): published(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [published(part) for part in value]
    return without_paths(_text(value)) if isinstance(value, str) else value


def _text(text: str) -> str:
    """Without halves of surrogate pairs, which cannot be written."""
    try:
        return legible(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()


def _forms(path: str | os.PathLike[str]) -> set[str]:
    whole = os.path.abspath(os.path.expanduser(path))
    forms = {os.fspath(path), whole, os.path.realpath(whole)}
    return {form for form in forms if form.startswith(("/", "~/")) and len(form) > 2}


def _shortened(path: str) -> str:
    if path.endswith((".py", ".pyc", ".so")):
        for folder in _import_folders():
            if path.startswith(folder):
                return path[len(folder) :]
    return last_part(path)


def _import_folders() -> list[str]:
    """Folders that modules are imported from, the longest first; none that a home folder lies in."""
    folders = {os.path.abspath(folder).rstrip(os.sep) + os.sep for folder in sys.path if folder}
    own = {folder for folder in folders if not any((home + os.sep).startswith(folder) for home in _homes())}
    return sorted(own, key=len, reverse=True)


def _without_homes(text: str) -> str:
    """``text`` with ``~`` wherever a home folder still stands in it."""
    for home in _homes():
        text = re.sub(rf"{re.escape(home)}(?![\w-]|\.\w)", "~", text)
    return text


def _homes() -> list[str]:
    """The user's home folder by every name that it has, the longest first; the root is none."""
    return list(_home_names(os.environ.get("HOME", "")))


@cache
def _home_names(given: str) -> tuple[str, ...]:
    names = {given}
    try:
        import pwd

        names.add(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):  # another system, or a user without an entry
        pass
    names |= {os.path.realpath(name) for name in names if name}
    homes = {name.rstrip("/") for name in names if name.startswith("/")}
    return tuple(sorted((home for home in homes if len(home) > 1), key=len, reverse=True))
