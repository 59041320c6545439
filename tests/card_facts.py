"""What first-party cards say, kept beside the tests of their rooms: one card a line, fields that have their defaults left out.

Of what a card's factory names, its defaults and plain attributes are kept, too. All this is part of the ids of results, so a fact that changes by accident makes results of before unknown, or gives a model other sizes. A change that is meant is
written by ``python tests/card_facts.py``, and its lines are read in the diff.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from findna_bench.registry import CARD_TYPES, get_registry, load_factory

TESTS = Path(__file__).resolve().parent
FILES = {
    "suites": TESTS / "suites" / "card_facts.jsonl",
    "findna": TESTS / "findna" / "card_facts.jsonl",
    "baselines": TESTS / "baselines" / "card_facts.jsonl",
    "controls": TESTS / "controls" / "card_facts.jsonl",
}
_LEFT_OUT = ("name", "citation", "reference", "paper")


def facts(card: Any) -> dict[str, Any]:
    """Fields of a card that have not their defaults, as JSON holds them."""
    found = {}
    for field in fields(card):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        value = getattr(card, field.name)
        if value != default and field.name not in _LEFT_OUT:
            found[field.name] = value
    plain: dict[str, Any] = json.loads(json.dumps(found, default=facts))
    return plain


def of_factory(card: Any) -> dict[str, Any]:
    """Defaults of the arguments (or options) of what a card's factory names, and its own attributes that are plain values."""
    if not getattr(card, "factory", None):
        return {}
    made = load_factory(card.factory, card.name)
    defaults = {
        name: parameter.default
        for source in (made, getattr(made, "Options", None))
        if source is not None
        for name, parameter in inspect.signature(source).parameters.items()
        if parameter.default is not parameter.empty
    }
    attributes = {
        name: value
        for name, value in vars(made).items()
        if not name.startswith("__") and isinstance(value, bool | int | float | str | tuple | dict)
    }
    plain: dict[str, Any] = json.loads(json.dumps({"defaults": defaults, "attributes": attributes}, default=repr))
    return {name: values for name, values in plain.items() if values}


def room(kind: str, plugin: str, card: Any) -> str:
    """Beside which tests a card's facts are kept."""
    if kind in ("tasks", "suites"):
        return "suites"
    return "controls" if getattr(card, "control", False) else plugin


def of_room(wanted: str) -> dict[str, dict[str, Any]]:
    """``KIND NAME`` -> facts of the cards of a room."""
    found = {}
    for kind in CARD_TYPES:
        for entry in get_registry().entries(kind):
            if entry.plugin in ("findna", "baselines") and room(kind, entry.plugin, entry.card) == wanted:
                name = getattr(entry.card, "full_name", entry.card.name)
                of = f"{entry.card.protocol} {name}" if kind == "presets" else name
                found[f"{kind} {of}"] = facts(entry.card) | of_factory(entry.card)
    return found


def kept(wanted: str) -> dict[str, dict[str, Any]]:
    """What the file of a room holds."""
    return {
        name: row
        for line in FILES[wanted].read_text(encoding="utf-8").splitlines()
        for name, row in json.loads(line).items()
    }


def differences(wanted: str) -> Iterator[str]:
    """A line per fact of the cards of a room that is not what its file says."""
    now, before = of_room(wanted), kept(wanted)
    for name in sorted({*now, *before}):
        one, other = before.get(name, {}), now.get(name, {})
        for field in sorted({*one, *other}):
            if one.get(field) != other.get(field):
                yield f"{name}: {field} was {one.get(field)!r}, and is {other.get(field)!r}"


if __name__ == "__main__":
    for name, path in FILES.items():
        rows = [json.dumps({key: row}, ensure_ascii=False) for key, row in of_room(name).items()]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
