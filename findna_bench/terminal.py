"""Text for a terminal: what could move its cursor, set its colours or turn the direction of writing is shown, not sent.

Strings of results, files and plugins come from others; whatever prints them takes them through here. Standard library only.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["in_picture", "printable", "printable_json"]

_HARMLESS = re.compile(r"[\x20-\x7e\n]*")


def printable(text: str) -> str:
    """``text`` with every control and format character, and every half of a surrogate pair, as a backslash and its number; lines
    stay lines.

    Example:
        >>> printable("a\\x1b[2Jb\\u202ec")
        'a\\\\x1b[2Jb\\\\u202ec'
    """
    if _HARMLESS.fullmatch(text):
        return text
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode() for c in text)


def in_picture(text: str) -> str:
    """The same for a text that matplotlib draws, which takes what stands between two dollars for mathematics.

    Example:
        >>> in_picture("$x^2$")
        '\\\\$x^2\\\\$'
    """
    return printable(text).replace("$", r"\$")


def printable_json(text: str) -> str:
    """The same for JSON, in which such characters stand as JSON writes them."""
    if _HARMLESS.fullmatch(text):
        return text
    return "".join(c if _is_shown(c) else _json_escape(c) for c in text)


def _is_shown(character: str) -> bool:
    return character == "\n" or character.isprintable() or unicodedata.category(character) == "Zs"


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
