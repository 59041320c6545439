"""Results as rows of an index: what many of them have in common is kept once, and what tables and plans read lies apart from the rest."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

from findna_bench.results import schema
from findna_bench.results.schema import Result

__all__ = ["Parts", "Row"]

_M = TypeVar("_M", bound=BaseModel)
_SHARED: Final[Mapping[str, type[BaseModel]]] = {
    "model": schema.Model,
    "task": schema.Task,
    "protocol": schema.Protocol,
    "batch": schema.Batch,
    "coverage": schema.Coverage,
}
_OWN: Final = ("identity", "request_id", "seed", "created")
_REST: Final = ("digest", "predictions_digest", "metrics", "validation", "timing", "memory", "error")
_APART: Final = (*_SHARED, *_OWN, *_REST, "environment", "hashed", "request")
_UNLIKE: Final = ("models", "tasks", "seeds")
"""Options of a request that differ from cell to cell."""
_UNITS: Final = ("interval_unit", "n_groups", "groups_by")
_TIMES: Final = ("load_s", "embed_s", "fit_s", "predict_s")
_FIELDS: Final[dict[type[BaseModel], set[str]]] = {}


class Row(NamedTuple):
    """A result in an index.

    model, task: numbers of these parts. summary: JSON, with the numbers of all parts. rest: compressed JSON.
    """

    request_id: str
    model: int
    task: int
    summary: str
    rest: bytes


class Parts:
    """What results have in common, each part kept once and known by a number; turns results into rows and back.

    Args:
        add: keeps the JSON text of a part, new or known, and gives its number.
        text: the JSON text of a part.
    """

    def __init__(self, add: Callable[[str], int], text: Callable[[int], str]) -> None:
        self._add, self._text = add, text
        self._values: dict[tuple[int, type[BaseModel] | None], Any] = {}
        self._fields: dict[tuple[int, ...], dict[str, Any]] = {}

    def plain(self, number: int) -> Any:
        """A part as JSON. It is shared, and not to be changed."""
        if (number, None) not in self._values:
            self._values[number, None] = json.loads(self._text(number))
        return self._values[number, None]

    def of(self, number: int, kind: type[_M]) -> _M:
        """A part as an object of the schema. It is shared, too."""
        if (number, kind) not in self._values:
            self._values[number, kind] = kind.model_validate(json.loads(self._text(number)))
        found: _M = self._values[number, kind]
        return found

    def row(self, result: Result) -> Row:
        """A result as a row."""
        content = result.to_dict()
        hashed, request, metrics = content["hashed"], content["request"], content["metrics"]
        main, validation, timing = metrics["main"], content["validation"], content["timing"]
        facts = {name: value for name, value in content.items() if name not in _APART}
        place = ((hashed["request"] or {}).get("task") or {}).get("path")
        options = request and {key: value for key, value in request["options"].items() if key not in _UNLIKE}
        parts = {name: self._number(content[name]) for name in _SHARED}
        numbers = [
            *parts.values(),
            self._number(content["environment"]),
            self._number(facts),
            self._number([main["name"], main["higher_is_better"], [metrics[name] for name in _UNITS], place, options]),
            *(self._number(part) for part in (request, hashed["request"], hashed["config"])),
        ]
        scores = _score(metrics, validation, main["name"])
        error = content["error"] and content["error"] | {"traceback": None}
        summary = [
            [content[name] for name in _OWN],
            numbers,
            [main["value"], *scores[1:]],
            validation.get("warnings") or [],
            [timing[name] for name in _TIMES],
            content["memory"]["peak_bytes"],
            bool(metrics["groups"] or metrics["grouping"]),
            error,
        ]
        rest = {name: content[name] for name in _REST} | {"cell": hashed["cell"]}
        packed = zlib.compress(_json(rest).encode(), 1)
        return Row(result.request_id, parts["model"], parts["task"], _json(summary), packed)

    def _number(self, value: Any) -> int:
        return self._add(_json(value))

    def _shared(self, numbers: list[int]) -> dict[str, Any]:
        """The fields that are parts, to be copied."""
        key = tuple(numbers[:7])
        if (found := self._fields.get(key)) is None:
            found = self._fields[key] = {
                **self.plain(numbers[6]),
                **{name: self.of(number, kind) for number, (name, kind) in zip(numbers, _SHARED.items(), strict=False)},
                "environment": self.plain(numbers[5]),
            }
        return found

    def result(self, summary: str, packed: bytes) -> Result:
        """The whole result of a row."""
        own, numbers, *_ = json.loads(summary)
        rest = json.loads(zlib.decompress(packed))
        request, hashed, config = (self.plain(number) for number in numbers[8:])
        fields = {
            **self._shared(numbers),
            **dict(zip(_OWN, own, strict=True)),
            **{name: rest[name] for name in ("digest", "predictions_digest", "validation")},
            "metrics": schema.Metrics.model_validate(rest["metrics"]),
            "timing": schema.Timing.model_validate(rest["timing"]),
            "memory": schema.Memory.model_validate(rest["memory"]),
            "error": rest["error"] and schema.Error.model_validate(rest["error"]),
            "request": request and schema.Request.model_validate(request),
            "hashed": schema.Hashed.model_validate({"request": hashed, "config": config, "cell": rest["cell"]}),
        }
        return _built(Result, fields)

    def summary(self, summary: str, rest: Callable[[], bytes], metric: str | None = None) -> Result:
        """The result of a row with what tables and plans read: scores in its main metric, and in ``metric`` where it has that.

        Other metrics of all rows, digests and ``validation.selected`` are not there, nor what its ids are hashes of (but for
        where its task lies), the models, tasks and seeds of its request, and the traceback of its error: it is not to be written or shown
        as a whole.

        Args:
            summary: of the row.
            rest: reads its rest, where it is needed.
            metric: beside the main one.
        """
        own, numbers, (value, low, high, validated), warnings, times, peak_bytes, grouped, error = json.loads(summary)
        name, higher_is_better, units, place, options = self.plain(numbers[7])
        scores: dict[str, float | None] = {}
        intervals = {name: None if low is None else (low, high)}
        checked = {} if validated is None else {name: validated}
        whole = json.loads(zlib.decompress(rest())) if grouped or metric is not None else {}
        if metric is not None and metric in whole["metrics"]["all"]:
            scores[metric], low, high, validated = _score(whole["metrics"], whole["validation"], metric)
            intervals[metric] = None if low is None else (low, high)
            checked |= {} if validated is None else {metric: validated}
        main = _built(schema.MainMetric, {"name": name, "value": value, "higher_is_better": higher_is_better})
        fields = self._shared(numbers).copy()
        fields["identity"], fields["request_id"], fields["seed"], fields["created"] = own
        fields["metrics"] = _built(
            schema.Metrics,
            {
                "main": main,
                "all": scores,
                "intervals": intervals,
                "interval_unit": units[0],
                "n_groups": units[1],
                "groups_by": units[2],
                "groups": whole["metrics"]["groups"] if grouped else {},
                "grouping": whole["metrics"]["grouping"] if grouped else {},
            },
        )
        fields["validation"] = {"metrics": checked, "warnings": warnings}
        fields["timing"] = _built(schema.Timing, dict(zip(_TIMES, times, strict=True)))
        fields["memory"] = _built(schema.Memory, {"peak_bytes": peak_bytes})
        fields["error"] = error and schema.Error.model_validate(error)
        fields["request"] = None if options is None else self._request(numbers[7], options)
        fields["hashed"] = _NOT_HASHED if place is None else schema.Hashed(request={"task": {"path": place}})
        return _built(Result, fields)

    def _request(self, number: int, options: Mapping[str, Any]) -> schema.Request:
        """Of the part with this number, once."""
        if (number, schema.Request) not in self._values:
            self._values[number, schema.Request] = schema.Request(options=dict(options), files={})
        found: schema.Request = self._values[number, schema.Request]
        return found


def _score(metrics: Mapping[str, Any], validation: Mapping[str, Any], metric: str) -> tuple[Any, Any, Any, Any]:
    """Value, both ends of the interval, and validation score in a metric; None for what is not there."""
    low, high = metrics["intervals"].get(metric) or (None, None)
    return metrics["all"].get(metric), low, high, (validation.get("metrics") or {}).get(metric)


def _json(value: Any) -> str:
    return to_json(value).decode()


def _built(kind: type[_M], fields: dict[str, Any]) -> _M:
    """An object of the schema from all of its fields, which were validated before they became a row: to do it again, or to count the
    fields of each object anew as ``model_construct`` does, takes most of the time of a large table.
    """
    made, put = kind.__new__(kind), object.__setattr__
    put(made, "__dict__", fields)
    put(made, "__pydantic_fields_set__", _FIELDS.get(kind) or _FIELDS.setdefault(kind, set(kind.model_fields)))
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", None)
    return made


_NOT_HASHED: Final = schema.Hashed()
