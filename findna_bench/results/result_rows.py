"""Results as rows of an index: what many have in common is kept once, what tables and plans read is at hand, and the rest is read when it
is first looked at.
"""

from __future__ import annotations

import copy
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

from findna_bench.results import schema
from findna_bench.results.schema import Metrics, Result, read_result

__all__ = ["DamagedRowError", "Parts", "Record", "Row", "Rows", "RowsInMemory", "StoredResult", "record_of"]

_M = TypeVar("_M", bound=BaseModel)
_SHARED: Final[Mapping[str, type[BaseModel]]] = {
    "model": schema.Model,
    "task": schema.Task,
    "protocol": schema.Protocol,
    "batch": schema.Batch,
    "coverage": schema.Coverage,
}
_OWN: Final = ("request_id", "identity", "seed", "created", "predictions_digest")
_REST: Final = ("digest", "metrics", "validation", "error")
_APART: Final = (*_SHARED, *_OWN, *_REST, "timing", "memory", "environment", "hashed", "request")
_OF_TABLES: Final = ("status", "flags", "limit", "config_id", "command", "selection")
"""What tables look at in each result, apart from its parts."""
_UNLIKE: Final = ("models", "tasks", "seeds")
"""Options of a request that differ from cell to cell."""
_UNITS: Final = ("interval_unit", "n_groups", "groups_by")
_TIMES: Final = ("load_s", "embed_s", "fit_s", "predict_s")
_OF_RESULTS, _OF_METRICS = frozenset(Result.model_fields), frozenset(Metrics.model_fields)
_FIELDS: Final[dict[type[BaseModel], set[str]]] = {}


class DamagedRowError(Exception):
    """What an index holds is not what was written."""


class Record(NamedTuple):
    """What a row holds of one result alone.

    place: of its parts among those of its folder. number: of its rest.
    """

    place: int
    number: int
    request_id: str
    identity: str | None
    seed: int | None
    created: str
    predictions_digest: str | None
    value: float | None
    low: float | None
    high: float | None
    validated: float | None
    """The main metric: its value, its interval, and that of validation rows."""
    warnings: list[str]
    times: list[float | None]
    """Seconds of loading, embedding, fitting and predicting."""
    peak_bytes: int | None
    grouped: bool


def record_of(content: Mapping[str, Any]) -> Record:
    """The record of a result (as JSON), before an index gives it a place and a number."""
    metrics, validation, timing = content["metrics"], content["validation"], content["timing"]
    main = metrics["main"]
    low, high = metrics["intervals"].get(main["name"]) or (None, None)
    return Record(
        place=0,
        number=0,
        **{name: content[name] for name in _OWN},
        value=main["value"],
        low=low,
        high=high,
        validated=(validation.get("metrics") or {}).get(main["name"]),
        warnings=validation.get("warnings") or [],
        times=[timing[name] for name in _TIMES],
        peak_bytes=content["memory"]["peak_bytes"],
        grouped=bool(metrics["groups"] or metrics["grouping"]),
    )


class Row(NamedTuple):
    """A result in an index: numbers of its parts, its record (its place and number are the index's to give), and the rest as compressed JSON."""

    numbers: tuple[int, ...]
    record: Record
    rest: bytes


class _Main(NamedTuple):
    """A part: the main metric, what intervals take as independent, where the task lies, and the options, those unlike as None."""

    name: str
    higher_is_better: bool
    units: list[Any]
    place: str | None
    options: dict[str, Any] | None


class Parts:
    """What results have in common, each part kept once and known by a number; turns results into rows.

    Args:
        add: keeps the JSON text of a part, new or known, and gives its number.
        text: the JSON text of a part.
    """

    def __init__(self, add: Callable[[str], int], text: Callable[[int], str]) -> None:
        self._add, self._text = add, text
        self._plain: dict[int, Any] = {}
        self._objects: dict[tuple[int, type[BaseModel]], Any] = {}

    def plain(self, number: int) -> Any:
        """A part as JSON. It is shared, and not to be changed."""
        if number not in self._plain:
            self._plain[number] = json.loads(self._text(number))
        return self._plain[number]

    def of(self, number: int, kind: type[_M]) -> _M:
        """A part as an object of the schema. It is shared, too."""
        if (number, kind) not in self._objects:
            self._objects[number, kind] = kind.model_validate(json.loads(self._text(number)))
        found: _M = self._objects[number, kind]
        return found

    def row(self, result: Result) -> Row:
        """A result as a row."""
        content = result.to_dict()
        hashed, request, metrics = content["hashed"], content["request"], content["metrics"]
        main = metrics["main"]
        facts = {name: value for name, value in content.items() if name not in _APART}
        place = ((hashed["request"] or {}).get("task") or {}).get("path")
        options = request and {key: None if key in _UNLIKE else value for key, value in request["options"].items()}
        units = [metrics[name] for name in _UNITS]
        numbers = (
            *(self._number(content[name]) for name in _SHARED),
            self._number(content["environment"]),
            self._number(facts),
            self._number(_Main(main["name"], main["higher_is_better"], units, place, options)),
            *(self._number(part) for part in (hashed["request"], hashed["config"])),
        )
        own = request and {
            "options": {key: value for key, value in request["options"].items() if key in _UNLIKE},
            "files": request["files"],
        }
        rest = {name: content[name] for name in _REST} | {"cell": hashed["cell"], "request": own}
        return Row(numbers, record_of(content), zlib.compress(_json(rest).encode(), 1))

    def _number(self, value: Any) -> int:
        return self._add(_json(value))


class Source(Protocol):
    """Where rows are from."""

    @property
    def parts(self) -> Parts:
        """Those of the rows."""

    def rest(self, record: Record) -> bytes:
        """The rest of a row.

        Raises:
            DamagedRowError: it is not what was written.
        """

    def from_file(self, record: Record) -> Result:
        """The result of a row, from its file.

        Raises:
            OutputError: it cannot be read any more.
        """


class Rows:
    """Rows that have all of their parts in common.

    Args:
        source: of the rows.
        numbers: of the parts.

    Raises:
        DamagedRowError: a part is not what was written.
    """

    __slots__ = ("_base", "_numbers", "facts", "main", "shared", "source")

    def __init__(self, source: Source, numbers: list[int]) -> None:
        parts = source.parts
        self.source, self._numbers = source, numbers
        self.facts: dict[str, Any] = parts.plain(numbers[6])
        self.main = _Main(*parts.plain(numbers[7]))
        self.shared: dict[str, Any] = {}  # other parts, once they were looked at
        self._base = {
            **{name: parts.of(numbers[i], _SHARED[name]) for i, name in enumerate(("model", "task", "protocol"))},
            "coverage": parts.of(numbers[4], schema.Coverage),
            "environment": parts.plain(numbers[5]),
            **{name: self.facts[name] for name in _OF_TABLES},
        }

    @property
    def model(self) -> str:
        """The name of the model."""
        return str(self._base["model"].name)

    @property
    def task(self) -> str:
        """The task, ``suite/name``."""
        return f"{self._base['task'].suite}/{self._base['task'].name}"

    def result(self, record: Record) -> StoredResult:
        """The result of a row."""
        fields = self._base.copy()
        fields["request_id"], fields["seed"], fields["created"] = record.request_id, record.seed, record.created
        made = _built(StoredResult, fields)
        object.__setattr__(made, "_row", (self, record))
        return made

    def part(self, name: str) -> Any:
        """A field that is a part, and is looked at for the first time."""
        if name == "environment":
            found = self.source.parts.plain(self._numbers[5])
        else:
            found = self.source.parts.of(self._numbers[[*_SHARED].index(name)], _SHARED[name])
        self.shared[name] = found
        return found

    def rest(self, record: Record) -> dict[str, Any]:
        """The fields that are neither parts nor in the record."""
        rest = json.loads(zlib.decompress(self.source.rest(record)))
        request, options = rest["request"], self.main.options
        hashed, config = (self.source.parts.plain(number) for number in self._numbers[8:])
        return {
            **{name: rest[name] for name in ("digest", "validation")},
            "metrics": Metrics.model_validate(rest["metrics"]),
            "error": rest["error"] and schema.Error.model_validate(rest["error"]),
            "request": request
            and schema.Request(options={**(options or {}), **request["options"]}, files=request["files"]),
            "hashed": schema.Hashed.model_validate({"request": hashed, "config": config, "cell": rest["cell"]}),
        }


class RowsInMemory:
    """Results that this process read from their files, as rows of its own: twenty thousand take a tenth of the memory. A :class:`Source`."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._numbers: dict[bytes, int] = {}
        self._rows: dict[tuple[int, ...], Rows] = {}
        self._kept: list[tuple[Path, bytes]] = []
        self.parts = Parts(self._add, self._texts.__getitem__)

    def read(self, path: Path) -> StoredResult:
        """A result, as an index would give it.

        Raises:
            OutputError: the file cannot be read, or is no result.
        """
        row = self.parts.row(read_result(path))
        if (rows := self._rows.get(row.numbers)) is None:
            rows = self._rows[row.numbers] = Rows(self, list(row.numbers))
        self._kept.append((path, row.rest))
        return rows.result(row.record._replace(number=len(self._kept) - 1))

    def rest(self, record: Record) -> bytes:
        return self._kept[record.number][1]

    def from_file(self, record: Record) -> Result:
        return read_result(self._kept[record.number][0])

    def _add(self, content: str) -> int:
        key = hashlib.blake2b(content.encode(), digest_size=16).digest()
        if key not in self._numbers:
            self._numbers[key] = len(self._texts)
            self._texts.append(content)
        return self._numbers[key]


class _AsInItsFile:
    """What pydantic does with an object it does with the fields that are at hand; here with all of them."""

    __slots__ = ()

    def whole(self) -> Any:
        raise NotImplementedError

    def model_dump(self, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.whole().model_dump(**options)
        return found

    def model_dump_json(self, **options: Any) -> str:
        return str(self.whole().model_dump_json(**options))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.whole())

    def __eq__(self, other: object) -> bool:
        return bool(self.whole() == (other.whole() if isinstance(other, _AsInItsFile) else other))

    __hash__ = None  # type: ignore[assignment]  # as those of pydantic

    def __repr__(self) -> str:
        return repr(self.whole())

    __str__ = __repr__


class StoredResult(_AsInItsFile, Result):  # type: ignore[misc]
    """A result as an index holds it, all of it: fields that are not at hand are read when they are first looked at. What it has in common
    with others it shares, and it is not to be changed.
    """

    __slots__ = ("_row",)
    if TYPE_CHECKING:
        _row: tuple[Rows, Record]

    def __getattr__(self, name: str) -> Any:
        if name not in _OF_RESULTS:
            raise AttributeError(f"a result has no {name}")
        rows, record = self._row
        for common in (rows.facts, rows.shared):
            if name in common:
                return common[name]
        if name in ("identity", "predictions_digest"):
            return getattr(record, name)
        try:
            if name in _SHARED or name == "environment":
                return rows.part(name)
            self._read(name, rows, record)
        except DamagedRowError:
            self._add(rows.source.from_file(record).__dict__)
        return self.__dict__[name]

    def _read(self, name: str, rows: Rows, record: Record) -> None:
        """Take a field, or all that are read with it, into the object's own.

        Raises:
            DamagedRowError: the index does not have it any more.
        """
        if name == "metrics":
            self.__dict__[name] = _metrics(rows, record)
        elif name == "timing":
            self.__dict__[name] = _built(schema.Timing, dict(zip(_TIMES, record.times, strict=True)))
        elif name == "memory":
            self.__dict__[name] = _built(schema.Memory, {"peak_bytes": record.peak_bytes})
        else:
            self._add(rows.rest(record))

    def _add(self, fields: Mapping[str, Any]) -> None:
        """Fields that were read; what the object has been given stays."""
        for name, value in fields.items():
            self.__dict__.setdefault(name, value)

    @property
    def warnings(self) -> list[str]:
        return self._row[1].warnings if "validation" not in self.__dict__ else super().warnings

    @property
    def place(self) -> str | None:
        return self._row[0].main.place if "hashed" not in self.__dict__ else super().place

    def option(self, name: str, default: Any = None) -> Any:
        options = self._row[0].main.options
        if name in _UNLIKE or options is None or "request" in self.__dict__:
            return super().option(name, default)
        return options.get(name, default)

    @property
    def alike(self) -> int:
        return id(self._row[0])

    @property
    def main_metric(self) -> str:
        return self._row[0].main.name if "metrics" not in self.__dict__ else super().main_metric

    def score(self, metric: str) -> float | None:
        rows, record = self._row
        return record.value if metric == rows.main.name and "metrics" not in self.__dict__ else super().score(metric)

    def interval(self, metric: str) -> tuple[float, float] | None:
        rows, record = self._row
        if metric != rows.main.name or "metrics" in self.__dict__:
            return super().interval(metric)
        return _interval(record)

    def validation_score(self, metric: str) -> Any:
        if metric != self._row[0].main.name or "validation" in self.__dict__:
            return super().validation_score(metric)
        return self._row[1].validated

    def whole(self) -> Result:
        """The same, as it would be read from its file; this one does not grow by it."""
        every = self.__copy__()
        fields = {name: getattr(every, name) for name in Result.model_fields}
        if isinstance(fields["metrics"], _StoredMetrics):
            fields["metrics"] = fields["metrics"].whole()
        return _built(Result, fields)

    def __copy__(self) -> StoredResult:
        made = _built(_CopiedResult, self.__dict__.copy())
        object.__setattr__(made, "__pydantic_fields_set__", set(self.__pydantic_fields_set__))
        object.__setattr__(made, "_row", self._row)
        return made

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Result:  # type: ignore[override]
        return copy.deepcopy(self.whole(), memo)

    def __reduce__(self) -> tuple[Any, ...]:
        return Result.model_validate, (self.to_dict(),)


class _CopiedResult(StoredResult):
    """One whose fields may since have been given other values."""

    __slots__ = ()

    @property
    def alike(self) -> int:
        return id(self)


class _StoredMetrics(_AsInItsFile, Metrics):  # type: ignore[misc]
    """The metrics of a stored result: those of the main one are at hand."""

    __slots__ = ("_row",)
    if TYPE_CHECKING:
        _row: tuple[Rows, Record]

    def __getattr__(self, name: str) -> Any:
        if name not in _OF_METRICS:
            raise AttributeError(f"metrics have no {name}")
        rows, record = self._row
        if name in _UNITS:
            return rows.main.units[_UNITS.index(name)]
        if name in ("groups", "grouping") and not record.grouped:
            return {}
        whole = self.whole()
        self.__dict__.update({key: value for key, value in whole.__dict__.items() if key != "main"})
        return self.__dict__[name]

    def interval(self, metric: str) -> tuple[float, float] | None:
        rows, record = self._row
        if metric != rows.main.name:
            return super().interval(metric)
        return _interval(record)

    def whole(self) -> Metrics:
        """The same, as it would be read from its file."""
        rows, record = self._row
        try:
            metrics: Metrics = rows.rest(record)["metrics"]
        except DamagedRowError:
            metrics = rows.source.from_file(record).metrics
        return metrics

    def __copy__(self) -> Metrics:  # type: ignore[override]
        return copy.copy(self.whole())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Metrics:  # type: ignore[override]
        return copy.deepcopy(self.whole(), memo)

    def __reduce__(self) -> tuple[Any, ...]:
        return Metrics.model_validate, (self.model_dump(),)


def _interval(record: Record) -> tuple[float, float] | None:
    return None if record.low is None or record.high is None else (record.low, record.high)


def _metrics(rows: Rows, record: Record) -> Metrics:
    main = {"name": rows.main.name, "value": record.value, "higher_is_better": rows.main.higher_is_better}
    made = _built(_StoredMetrics, {"main": _built(schema.MainMetric, main)})
    object.__setattr__(made, "_row", (rows, record))
    return made


def _json(value: Any) -> str:
    return to_json(value).decode()


def _built(kind: type[_M], fields: dict[str, Any]) -> _M:
    """An object of the schema from its fields, which were validated before they became a row: to do it again, or to count the
    fields of each object anew as ``model_construct`` does, takes most of the time of a large table.
    """
    made, put = kind.__new__(kind), object.__setattr__
    put(made, "__dict__", fields)
    put(made, "__pydantic_fields_set__", _FIELDS.get(kind) or _FIELDS.setdefault(kind, set(kind.model_fields)))
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", None)
    return made
