"""Classes that are written in more than one way in a user's files: made one, refused, or noted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from findna_bench.data.tabular import LABEL_COLUMNS, RawTable, is_number, label_texts
from findna_bench.errors import DataError

__all__ = ["with_one_spelling"]

_MOST_COMPARED = 1000
_MOST_NAMED = 3


def with_one_spelling(files: Mapping[str, RawTable]) -> tuple[dict[str, RawTable], list[str]]:
    """The files of a task, in which ``true`` and ``TRUE`` are one class, and notes on what else may be one class in two spellings.

    Raises:
        DataError: one number is written in two ways (``1`` and ``01``).
    """
    texts = {name: label_texts(raw)[0] for name, raw in files.items()}
    distinct = sorted(set().union(*texts.values()))
    if len(distinct) > _MOST_COMPARED:
        return dict(files), []
    spellings: dict[str, list[str]] = {}
    for text in distinct:
        spellings.setdefault(text.lower(), []).append(text)
    several = [alike for alike in spellings.values() if len(alike) > 1]
    if several and spellings.keys() == {"true", "false"}:
        return {name: _relabelled(raw, [t.capitalize() for t in texts[name]]) for name, raw in files.items()}, []
    _check_numbers(next(iter(files.values())).origin, distinct)
    notes = []
    if several:
        notes.append(f"labels {' and '.join(map(repr, several[0]))} differ in case alone and are different classes")
    names = [text for text in distinct if not is_number(text)]
    if names and len(names) < len(distinct):
        shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
        notes.append(f"some labels are numbers, others are not ({shown}); all of them are classes")
    return dict(files), notes


def _relabelled(raw: RawTable, texts: list[str]) -> RawTable:
    column = next(name for name in LABEL_COLUMNS if name in raw.columns)
    return replace(raw, columns={**raw.columns, column: texts})


def _check_numbers(origin: str, distinct: Sequence[str]) -> None:
    written: dict[int, str] = {}
    for text in distinct:
        if re.fullmatch(r"-?\d+", text) and (other := written.setdefault(int(text), text)) != text:
            raise DataError(f"{origin}: labels {other!r} and {text!r} are one number; write it alike in all rows")
