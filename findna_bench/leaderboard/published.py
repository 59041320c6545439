"""Figures printed in papers: read from the files plugins register, checked against what arithmetic allows, and compared
with results only where that is fair.

A file (TOML) holds one paper: ``[[tables]]`` with ``columns`` and ``[[tables.rows]]`` of ``values``, as strings, so that
every printed digit is kept. What does not fit is noted beside the figure and never corrected.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

from findna_bench.cards import PublishedCard
from findna_bench.errors import DataError

__all__ = ["NOT_STATED", "Figure", "Paper", "best_published", "differences", "load_published", "read_published"]

_PRINTED = re.compile(r"(?P<value>\d+(?:\.\d+)?)(?P<suffix>[MBk]?)(?: ± (?P<spread>\d+(?:\.\d+)?))?")
_SUFFIX = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9}
_UNITS = {"percent": Fraction(1, 100), "fraction": Fraction(1)}
NOT_STATED = "not stated"
_MAX_RUNS = 10
"""A number of runs that is not stated is taken to be at most this."""

_TABLE_KEYS = {
    *("number", "about", "protocol", "metric", "unit", "kind", "spread", "n_runs", "selection", "epochs", "split"),
    *("columns", "column", "rows", "notes"),
}
_COLUMN_KEYS = {"task", "metric", "unit", "kind", "epochs", "n_test", "notes"}
_ROW_KEYS = {"label", "model", "variant", "quoted", "metric", "values", "notes", "selection", "n_runs", "epochs"}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of a paper.

    value, spread: as printed (strings); unit ``percent``, ``fraction``, ``ratio``, ``ms``, ``GB``, ``count`` or ``nats``.
    kind: ``score``, ``average`` (over the row's scores), ``cost`` or ``other``.
    model: the card this row is about, empty where none is; label: the row's name as printed.
    task: canonical task name, empty where the number belongs to none; column: as in the file.
    n_test, n_runs, epochs: None where the paper does not say. quoted: the paper this number was taken from, or empty.
    notes: what does not fit, and what else a reader should know; neutral sentences.
    """

    paper: str
    table: str
    label: str
    model: str
    variant: str = ""
    column: str
    task: str
    metric: str
    kind: str = "score"
    value: str
    unit: str = "percent"
    spread: str | None = None
    spread_kind: str = ""
    n_test: int | None = None
    n_runs: int | None = None
    selection: str = NOT_STATED
    epochs: int | None = None
    split: str = ""
    protocol: str = ""
    quoted: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def number(self) -> float:
        """The value in its printed unit, suffixes (k, M, B) multiplied out."""
        return float(_number(self.value))

    @property
    def fraction(self) -> float:
        """A score as a fraction, as results store it.

        Raises:
            ValueError: this figure is no score.
        """
        if self.unit not in _UNITS:
            raise ValueError(f"a figure in {self.unit} is not a score")
        return float(_number(self.value) * _UNITS[self.unit])


@dataclass(frozen=True, kw_only=True)
class Paper:
    """All figures of one file. notes: on the paper as a whole; table_notes, table_abouts (what it shows): by table number."""

    key: str
    title: str
    authors: str = ""
    year: int = 0
    url: str = ""
    source: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    table_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    table_abouts: Mapping[str, str] = field(default_factory=dict)


def best_published(papers: Iterable[Paper], task: str, metric: str) -> Figure | None:
    """The highest score of a task in these papers, by the metric of its card; None = none is printed."""
    figures = [
        figure
        for paper in papers
        for figure in paper.figures
        if (figure.task, figure.metric, figure.kind) == (task, metric, "score") and figure.unit in _UNITS
    ]
    return max(figures, key=lambda figure: figure.fraction, default=None)


def load_published(cards: Iterable[PublishedCard], left_out: Callable[[str], object] | None = None) -> list[Paper]:
    """The papers behind ``cards`` (``registry.cards("published")``), in their order.

    Args:
        cards: of any plugins.
        left_out: called with what is wrong with a file, whose paper is then left out.

    Raises:
        DataError: a file is missing or damaged (file, table and row are named), and nobody is to be told.
    """
    papers = []
    for card in cards:
        try:
            papers.append(read_published(_card_path(card)))
        except DataError as error:
            if left_out is None:
                raise
            left_out(f"published figures {card.name!r} are left out: {error}")
    return papers


def _card_path(card: PublishedCard) -> Path:
    package, _, relative = card.path.partition(":")
    try:
        path = Path(str(resources.files(package))) / relative
    except (ModuleNotFoundError, TypeError) as error:
        raise DataError(f"published figures {card.name!r}: package {package!r} cannot be imported") from error
    return path


def read_published(path: Path) -> Paper:
    """Read and check one file.

    Raises:
        DataError: the file cannot be read, or a table does not have the form described above.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"cannot read published figures {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid TOML ({error})") from error
    if content.get("schema") != 1:
        raise DataError(f"{path}: schema must be 1, not {content.get('schema')!r}")
    tables = content.get("tables", [])
    figures = [figure for table in tables for figure in _read_table(table, content, str(path))]
    return Paper(
        key=_text(content, "key", str(path)),
        title=_text(content, "title", str(path)),
        authors=content.get("authors", ""),
        year=content.get("year", 0),
        url=content.get("url", ""),
        source=_text(content, "source", str(path)),
        figures=tuple(figures),
        notes=tuple(content.get("notes", ())),
        table_notes={str(table["number"]): tuple(table.get("notes", ())) for table in tables},
        table_abouts={str(table["number"]): table.get("about", "") for table in tables},
    )


def _text(part: Mapping[str, Any], key: str, where: str) -> str:
    value = part.get(key)
    if not isinstance(value, str):
        raise DataError(f"{where}: {key} is missing or not text")
    return value


def _known_keys(part: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(part) - known)
    if unknown:
        raise DataError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")


def _read_table(table: Mapping[str, Any], paper: Mapping[str, Any], path: str) -> list[Figure]:
    where = f"{path}, table {table.get('number', '?')}"
    _known_keys(table, _TABLE_KEYS, where)
    for key in ("number", "protocol", "metric", "unit", "selection", "split"):
        _text(table, key, where)
    columns: list[str] = table.get("columns", [])
    options: Mapping[str, Mapping[str, Any]] = table.get("column", {})
    for name, option in options.items():
        if name not in columns:
            raise DataError(f"{where}: options for column {name!r}, which is not among its columns")
        _known_keys(option, _COLUMN_KEYS, f"{where}, column {name}")
    figures: list[Figure] = []
    for number, row in enumerate(table.get("rows", []), 1):
        row_where = f"{where}, row {number} ({row.get('label', '?')})"
        _known_keys(row, _ROW_KEYS, row_where)
        if len(row.get("values", ())) != len(columns):
            raise DataError(f"{row_where}: {len(row.get('values', ()))} values for {len(columns)} columns")
        figures += _with_average_notes(_read_row(row, table, columns, options, paper, row_where))
    return figures


def _read_row(
    row: Mapping[str, Any],
    table: Mapping[str, Any],
    columns: list[str],
    options: Mapping[str, Mapping[str, Any]],
    paper: Mapping[str, Any],
    where: str,
) -> list[Figure]:
    figures = []
    quoted = row.get("quoted", "")
    # How another paper's number was made is not what this table says of its own rows.
    own = {} if quoted else table
    for name, printed in zip(columns, row["values"], strict=True):
        match = _PRINTED.fullmatch(printed) if isinstance(printed, str) else None
        if not match:
            raise DataError(f"{where}, column {name}: {printed!r} is not a printed number")
        option = options.get(name, {})
        spread = match["spread"]
        figure = Figure(
            paper=paper["key"],
            table=table["number"],
            label=_text(row, "label", where),
            model=row.get("model", ""),
            variant=row.get("variant", ""),
            column=name,
            task=option.get("task", name if "/" in name else ""),
            metric=option.get("metric", row.get("metric", table["metric"])),
            kind=option.get("kind", table.get("kind", "score")),
            value=match["value"] + match["suffix"],
            unit=option.get("unit", table["unit"]),
            spread=spread,
            spread_kind=table.get("spread", "") if spread else "",
            n_test=option.get("n_test", paper.get("n_test", {}).get(name)),
            n_runs=row.get("n_runs", own.get("n_runs")),
            selection=row.get("selection", own.get("selection", NOT_STATED)),
            epochs=row.get("epochs", None if quoted else option.get("epochs", own.get("epochs"))),
            split=table["split"],
            protocol=table["protocol"],
            quoted=quoted,
            source=f"{paper['source']}, table {table['number']}" + (f" (quoted from {quoted})" if quoted else ""),
            notes=(*option.get("notes", ()), *row.get("notes", ())),
        )
        figures.append(replace(figure, notes=(*figure.notes, *_lattice_notes(figure))))
    return figures


def _number(printed: str) -> Fraction:
    suffix = printed[-1] if printed[-1] in "kMB" else ""
    return Fraction(printed.removesuffix(suffix)) * _SUFFIX[suffix]


def _interval(printed: str) -> tuple[Fraction, Fraction]:
    """Numbers that round to ``printed``: half a unit of its last place to either side, both ends included."""
    places = len(printed.partition(".")[2])
    half = Fraction(1, 2 * 10**places)
    value = Fraction(printed)
    return value - half, value + half


def _lattice_notes(figure: Figure) -> tuple[str, ...]:
    """What the number of test rows forbids, for accuracies.

    The mean of k accuracies over n rows is a multiple of 1/(k n), and their standard deviation comes from k integers.
    Only impossibility is noted: necessary conditions, checked in exact arithmetic.
    """
    if figure.metric != "accuracy" or figure.kind != "score" or figure.unit not in _UNITS or not figure.n_test:
        return ()
    n, scale = figure.n_test, 1 / _UNITS[figure.unit]
    if figure.n_runs is None:
        if any(_sums(figure, k) for k in range(1, _MAX_RUNS + 1)):
            return ()
        return (f"No mean of up to {_MAX_RUNS} accuracies over {n} rows rounds to {figure.value}.",)
    k = figure.n_runs
    sums = _sums(figure, k)
    runs = "accuracy" if k == 1 else f"mean of {k} accuracies"
    if not sums:
        step = float(scale / (n * k))
        return (f"No {runs} over {n} rows rounds to {figure.value}: they are multiples of {step:.4g}.",)
    if figure.spread is None or k == 1 or "standard deviation" not in figure.spread_kind:
        return ()
    low, high = _interval(figure.spread)
    if any(_spread_possible(total, k, n, scale, low, high) for total in sums):
        return ()
    least = math.sqrt(min(d for total in sums if (d := _least_nonzero(total, k))) / k) * float(scale / n)
    return (
        f"No {k} accuracies over {n} rows have this mean and a standard deviation (or standard error) that rounds to "
        f"{figure.spread}; the smallest standard deviation other than 0 is {least:.2f}.",
    )


def _sums(figure: Figure, k: int) -> range:
    """Total numbers of right answers in ``k`` runs whose mean rounds to the printed value."""
    assert figure.n_test is not None
    low, high = (bound * _UNITS[figure.unit] * k * figure.n_test for bound in _interval(figure.value))
    return range(max(0, math.ceil(low)), min(k * figure.n_test, math.floor(high)) + 1)


def _least_nonzero(total: int, k: int) -> Fraction:
    remainder = total % k
    return Fraction(remainder * (k - remainder), k) or Fraction(2)


def _spread_possible(total: int, k: int, n: int, scale: Fraction, low: Fraction, high: Fraction) -> bool:
    """Whether sum-of-squares values reachable by k integers of this total meet the printed ±.

    The sum of squared deviations is r(k-r)/k + 2j for r = total mod k and an integer j >= 0 (parity of the squares).
    """
    remainder = total % k
    least = Fraction(remainder * (k - remainder), k)
    for divisor in (k, k - 1, k * (k - 1)):  # population, sample, standard error
        unit = (scale / n) ** 2 / divisor
        first = math.ceil(max(Fraction(0), (low if low > 0 else Fraction(0)) ** 2 / unit - least) / 2)
        if unit * (least + 2 * first) <= high**2:
            return True
    return False


def _with_average_notes(figures: list[Figure]) -> list[Figure]:
    """Note an average that is not the mean of the row's printed scores."""
    scores = [_number(f.value) for f in figures if f.kind == "score" and f.unit in _UNITS]
    checked = []
    for figure in figures:
        if figure.kind == "average" and scores:
            low, high = _interval(figure.value)
            mean = sum(scores, Fraction(0)) / len(scores)
            slack = Fraction(1, 200)  # the scores themselves are rounded
            if not low - slack <= mean <= high + slack:
                note = f"The mean of the row's {len(scores)} printed scores is {float(mean):.2f}."
                figure = replace(figure, notes=(*figure.notes, note))
        checked.append(figure)
    return checked


def differences(result: Mapping[str, Any], figure: Figure) -> tuple[str, ...]:
    """Everything that keeps a result (JSON of schema 1) from standing beside ``figure``, one clause each.

    Task, protocol, metric, split with its number of test rows, selection split and training budget must all be the
    same, and the result complete. What a paper does not state is not assumed.
    """
    checks = (_complete, _same_task, _same_protocol, _same_metric, _same_split, _same_selection, _same_budget)
    return tuple(why for check in checks if (why := check(result, figure)))


def _complete(result: Mapping[str, Any], figure: Figure) -> str:
    if result.get("status") != "success":
        return f"the result has status {result.get('status')}"
    for flag in result.get("flags") or ():
        if flag.split(" ")[0].split(":")[0].rstrip("(") in ("partial", "limit"):
            return f"the result is not complete ({flag})"
    if result.get("limit"):
        return f"the result is not complete (limit {result['limit']})"
    if shots := (result["protocol"].get("settings") or {}).get("shots"):
        return f"the result is not complete ({shots}-shot)"
    return ""


def _same_task(result: Mapping[str, Any], figure: Figure) -> str:
    name = f"{result['task']['suite']}/{result['task']['name']}"
    return "" if name == figure.task and figure.kind == "score" else f"another task ({name})"


def _same_protocol(result: Mapping[str, Any], figure: Figure) -> str:
    name = result["protocol"]["name"]
    return "" if name == figure.protocol else f"protocol: {name} here, {figure.protocol} there"


def _same_metric(result: Mapping[str, Any], figure: Figure) -> str:
    name = result["metrics"]["main"]["name"]
    return "" if name == figure.metric else f"metric: {name} here, {figure.metric} there"


def _same_split(result: Mapping[str, Any], figure: Figure) -> str:
    here, there = result["task"].get("split") or NOT_STATED, figure.split
    if here.split(" ")[0] != there.split(" ")[0]:
        return f"split: {here} here, {there} there"
    counts = (result["task"].get("counts") or {}).get("test")
    n_test = sum(counts.values()) if counts else None
    if figure.n_test is None or n_test != figure.n_test:
        return f"test rows: {n_test or NOT_STATED} here, {figure.n_test or NOT_STATED} there"
    return ""


def _same_selection(result: Mapping[str, Any], figure: Figure) -> str:
    here, there = result.get("selection") or NOT_STATED, figure.selection
    if here != there or here == NOT_STATED:
        return f"selection: {here} here, {there} there"
    return ""


def _same_budget(result: Mapping[str, Any], figure: Figure) -> str:
    settings = result["protocol"].get("settings") or {}
    if settings.get("search"):
        return f"budget: best of {settings['search']} settings here, {NOT_STATED} there"
    if len(rates := settings.get("rates") or ()) > 1:
        return f"budget: best of {len(rates)} learning rates here, {NOT_STATED} there"
    epochs = settings.get("epochs")
    if figure.epochs is None or epochs != figure.epochs:
        here = f"{epochs} epochs" if epochs is not None else "no epochs"
        return f"budget: {here} here, {f'{figure.epochs} epochs' if figure.epochs is not None else NOT_STATED} there"
    return ""
