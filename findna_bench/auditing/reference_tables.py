"""Tables of what a report compares a task with: another benchmark, a genome, a published score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from findna_bench.grid import Grid

__all__ = ["reference_grids"]

_FOUND = (
    ("exact", "identical"),
    ("reverse_complement", "reverse complement"),
    ("copies", "copies (those and near ones)"),
    ("diverged_copies", "diverged copies"),
    ("repeats", "repeats"),
)


def reference_grids(report: Mapping[str, Any]) -> list[Grid]:
    """The tables of a report's ``references``; reports made without any have none."""
    references = report.get("references") or {}
    grids = [*_against(references), *_genome(references), *_published(references)]
    return [grid for grid in grids if grid.rows]


def _against(references: Mapping[str, Any]) -> Iterator[Grid]:
    rows = [
        (f"{other['task']} {other['split']}", f"{other['rows']:,}", split, *(_all(found[key]) for key, _ in _FOUND))
        for other in references.get("against", ())
        for split, found in other["found"].items()
    ]
    header = ("other benchmark", "sequences", "rows of", *(words for _, words in _FOUND))
    yield Grid(header, tuple(rows), "Rows that another benchmark has as well")


def _genome(references: Mapping[str, Any]) -> Iterator[Grid]:
    if (genome := references.get("genome")) is None:
        return
    rows = [
        (f"{split} rows that are of it", _all(counts), _classes(counts)) for split, counts in genome["placed"].items()
    ]
    for key, words in (("overlap_any", "test rows that overlap a train row"), ("overlap_half", "by half or more")):
        if genome[key] is not None:
            rows.append((words, _all(genome[key]), _classes(genome[key])))
    title = f"Places on {genome['file']}, {100 * genome['identity']:.0f} % identity over {100 * genome['full']:.0f} % of a row, by {genome['by']}"
    yield Grid(("", "rows", "of each class"), tuple(rows), title, words=3)


def _published(references: Mapping[str, Any]) -> Iterator[Grid]:
    """x 100, as scores are printed."""
    if (best := references.get("published_best")) is None:
        return
    rows = [(f"published ({best['source']})", _percent(best["published"]), "-")]
    if best["why_not"]:
        rows.append((f"not compared: {best['why_not']}", "-", "-"))
    if best.get("majority") is not None:
        rows.append(("majority class", _percent(best["majority"]), "0.0"))
    for key, prefix, words in (
        ("rule", "", "best rule without biology"),
        ("composition", "composition_", "best one on composition"),
    ):
        if best.get(key) is not None:
            name = f"{words} ({best[key]})"
            rows.append((name, _percent(best[f"{prefix}reaches"]), _percent(best[f"{prefix}of_gain"])))
    header = ("", f"{best['metric']} x 100", "% of the gain over the majority class")
    yield Grid(header, tuple(rows), "What the published best is worth")


def _all(counts: Mapping[str, Any]) -> str:
    return f"{counts['total']:,}"


def _classes(counts: Mapping[str, Any]) -> str:
    """Rows and share of each class."""
    return ", ".join(
        f"{name} {entry['rows']:,} ({100 * entry['fraction']:.1f} %)" for name, entry in counts["per_class"].items()
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
