"""What pages of a report show of one kind of rows alone: states per base, variants; and what the words there mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from findna_bench.grid import Grid

__all__ = ["kind_definitions", "kind_grids"]

_SHOWN_GROUPS = 20


def kind_grids(report: Mapping[str, Any]) -> list[Grid]:
    """Tables of a report (``AuditReport.to_dict``) that only rows of its kind have."""
    if "states_per_base" in report["settings"]:
        return [_bases(report), _states(report)]
    if "variants" in report["settings"]:
        return [_variants(report), *_groups(report)]
    return []


def kind_definitions(report: Mapping[str, Any]) -> list[str]:
    """Lines of a page, below its other definitions."""
    if "states_per_base" in report["settings"]:
        return _of_states(report)
    if "variants" in report["settings"]:
        return _of_variants(report)
    return []


def _bases(report: Mapping[str, Any]) -> Grid:
    rows = []
    for split, summary in report["splits"].items():
        details = summary["details"]
        total = max(details["bases"], 1)
        shares = (f"{details[key]:,} ({100 * details[key] / total:.1f} %)" for key in ("counted", "n", "unknown"))
        rows.append((split, f"{summary['rows']:,}", f"{details['bases']:,}", *shares))
    return Grid(("split", "rows", "bases", "with a state", "N", "other bases without a state"), tuple(rows), "Bases")


def _states(report: Mapping[str, Any]) -> Grid:
    rows = []
    for split, summary in report["splits"].items():
        for name, state in summary["details"]["states"].items():
            runs, entry = state["run_length"], summary["classes"][name]
            length = "-" if runs is None else ", ".join(f"{runs[key]:g}" for key in ("min", "median", "max"))
            share = f"{100 * entry['fraction']:.2f}"
            rows.append((split, name, f"{state['bases']:,}", share, f"{state['runs']:,}", length))
    header = ("split", "state", "bases", "% of bases that count", "stretches", "their length: min, median, max")
    return Grid(header, tuple(rows), "States")


def _of_states(report: Mapping[str, Any]) -> list[str]:
    settings = report["settings"]["states_per_base"]
    return [
        "* Rows of a state are those that hold it; their counterparts in train are counted by row. GC of a state: share of G and C among its bases in a row.",
        f"* Rules on bases (at most {settings['scored']:,} of test, drawn) are fitted with states weighted alike. place-trees: boosted trees on the bases before and behind a base; letter, "
        "trinucleotide: a look-up of it and of its neighbours; base-case: of its letter case. Standard errors are over rows, with Holm's correction over states and rules.",
    ]


def _variants(report: Mapping[str, Any]) -> Grid:
    keys = ("sites", "windows", "elements", "substitutions", "insertions_or_deletions", "cpg", "n_beside")
    rows = []
    for split, summary in report["splits"].items():
        counts = (summary["details"][key] for key in keys)
        rows.append((split, f"{summary['rows']:,}", *("-" if n is None else f"{n:,}" for n in counts)))
    header = ("split", "variants", "sites", "windows", "elements", "substitutions", "indels", "at CpG", "N beside")
    return Grid(header, tuple(rows), "Variants")


def _groups(report: Mapping[str, Any]) -> list[Grid]:
    """Classes by element or chromosome, the largest ones."""
    rows = [
        (
            split,
            name,
            f"{entry['rows']:,}",
            *(f"{100 * n / max(entry['rows'], 1):.1f}" for n in entry["classes"].values()),
        )
        for split, summary in report["splits"].items()
        for name, entry in list(summary["details"]["by_group"].items())[:_SHOWN_GROUPS]
    ]
    header = ("split", report["settings"]["variants"]["group"], "variants", *(f"% {name}" for name in report["labels"]))
    return [Grid(header, tuple(rows), "Classes by group")] if rows else []


def _of_variants(report: Mapping[str, Any]) -> list[str]:
    site = report["settings"]["variants"]["site"]
    known = "coordinates" if site == "coordinates" else f"the {site} bases on either side"
    return [
        f"* identical: the same site, reference and alternative; a site is known by {known}. Windows are those of the reference.",
        "* group: the class that the element (the chromosome, where no element is named) has more of than all rows; substitution: the same of the base, its neighbours and what it becomes; distance, "
        "place, length, composition: boosted trees. All with classes weighted alike; where one split alone is there, of the other rows of the group.",
    ]
