"""Reports as pages: markdown, PNG and JSON per task, and an index made from all JSON files of the folder.

The same reports give the same bytes with the same versions on the same kind of processor: no dates, no names of machines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from findna_bench.auditing.audit_plots import plot_report
from findna_bench.auditing.audit_report import AuditReport, outdated
from findna_bench.auditing.kind_pages import kind_definitions, kind_grids
from findna_bench.auditing.reference_tables import reference_grids
from findna_bench.auditing.rules import KINDS, RULES
from findna_bench.auditing.verdict import LENGTH_CONTROLS, NEIGHBOUR_CONTROLS
from findna_bench.files import path_segment, write_atomic
from findna_bench.grid import Grid, code, escape, markdown_table
from findna_bench.relatedness.composition import LEAST_LENGTH
from findna_bench.relatedness.repeat_families import LARGE, SIZES
from findna_bench.results.environment import environment, versions_line
from findna_bench.sequences.alphabet import BASES

__all__ = [
    "definitions",
    "known_shortcuts",
    "read_reports",
    "read_verdicts",
    "render_index",
    "render_report",
    "report_grids",
    "write_index",
    "write_pages",
]

_COUNTERPARTS = (
    ("exact", "identical"),
    ("reverse_complement", "reverse complement"),
    ("near", "near-duplicate"),
    ("near_reverse", "of those, other strand"),
    ("near_elsewhere", "of those, at another locus"),
    ("similar", "identical or near-duplicate"),
    ("copies", "of those, copies"),
    ("repeats", "of those, repeats"),
    ("diverged_copies", "diverged copies"),
    ("identical_elsewhere", "identical, at another locus"),
    ("copies_elsewhere", "copies by sequence, at another locus"),
    ("conflicting", "identical, other label"),
    ("near_conflicting", "near-duplicate, other label"),
    ("same_composition", "same dinucleotide counts, other sequence"),
    ("same_composition_conflicting", "same dinucleotide counts, other label"),
    ("same_design", "same segment of a library"),
    ("shared_side", "a side in common"),
    ("related_side", "a side in common, or a copy of one"),
    ("same_site", "same site"),
    ("shared_element", "same element"),
    ("overlap_any", "overlaps"),
    ("overlap_half", "overlaps by half or more"),
    ("overlap_conflicting", "overlaps, other label"),
    ("untouched", "none of all these"),
)
_SHOWN = 6
"""Places from each end in the tables of a page; reports hold more."""
_PACKAGES = ("findna-bench", "numpy", "scikit-learn")
"""What the figures of an audit are computed with."""
_OF_OUTPUTS = ("length-trees", "composition-trees", "kmer", "nn-overlap")


def write_pages(reports: Sequence[AuditReport], folder: Path, command: str | None = None) -> list[Path]:
    """Write the pages of the reports, and the index of everything in ``folder``; returns what was written. command: what the
    user typed, which the pages name.

    Raises:
        OutputError: the folder cannot be written.
    """
    written = []
    for report in reports:
        for part in (report, report.published_coordinates):
            if part is not None:
                written += _write_report({**part.to_dict(), "made_by": _made_by(command)}, folder)
    return [*written, *write_index(folder)]


def _made_by(command: str | None) -> dict[str, Any]:
    here = environment()
    versions = {package: here["versions"][package] for package in _PACKAGES}
    return {"command": command, "cpu": here["cpu"], "python": here["python"], "versions": versions}


def _write_report(report: Mapping[str, Any], folder: Path) -> list[Path]:
    suite, task = str(report["task"]).split("/", 1)
    name = path_segment(task) + (".coordinates" if report["route"] == "coordinates" else "")
    base = folder / path_segment(suite)
    picture = None if report.get("outputs") else base / f"{name}.png"  # a picture is of two classes or more
    texts = {
        base / f"{name}.json": json.dumps({**report, "published_coordinates": None}, indent=1, ensure_ascii=False)
        + "\n",
        base / f"{name}.md": render_report(report, plot=None if picture is None else picture.name),
    }
    for path, text in texts.items():
        write_atomic(path, text)
    if picture is None:
        return list(texts)
    plot_report(report, picture)
    return [*texts, picture]


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Every report stored under ``folder``, in order of suite, task and route."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*/*.json"))]
    found = [report for report in reports if str(report.get("schema", "")).startswith("audit-")]
    return sorted(found, key=lambda report: (report["task"], report["route"]))


def read_verdicts(folder: Path) -> list[dict[str, str]]:
    """``{"task", "route", "level", "verdict"}`` of every report stored under ``folder``; the level of an outdated one says so."""
    return [
        {"task": r["task"], "route": r["route"], "level": _level(r), "verdict": r["verdict"]["text"]}
        for r in read_reports(folder)
    ]


def _level(report: Mapping[str, Any]) -> str:
    level, why = str(report["verdict"]["level"]), outdated(report)
    return f"{level} ({why})" if why else level


def write_index(folder: Path) -> list[Path]:
    """Write ``README.md`` for the reports stored under ``folder``."""
    write_atomic(folder / "README.md", render_index(read_reports(folder)))
    return [folder / "README.md"]


def render_index(reports: Sequence[Mapping[str, Any]]) -> str:
    """One table per suite: what each task is worth, in one line each."""
    lines = [
        "# Audit",
        "",
        "What a test score on each task is worth, before any model is run. Made by `findna-bench audit SUITE --pages FOLDER`;",
        "do not edit. Scores are accuracies in percent of controls fitted on train and scored on test: `majority` class,",
        "`length` (the best of a look-up of the exact length, a linear model and boosted trees on it), `neighbour` (the best rule",
        "that reads the label of an overlapping, similar or shuffled train row), `composition` (trees on length, GC, N, dinucleotides),",
        "`k-mer` (logistic regression on 5-mers). `found again` is the share of test rows that overlap a train row by half or",
        "more (where coordinates are not known: that are copies of one), in the class where it is highest and where it is lowest.",
        "",
    ]
    suites = sorted({report["task"].split("/", 1)[0] for report in reports})
    for suite in suites:
        mine = [report for report in reports if report["task"].split("/", 1)[0] == suite]
        header = (
            "task",
            "route",
            "data",
            "train / test",
            "majority",
            "length",
            "neighbour",
            "composition",
            "k-mer",
            "found again",
            "verdict",
        )
        lines += [f"## {escape(suite)}", "", *_left_table(header, [_index_row(report) for report in mine]), ""]
    lines += _before_and_after(reports)
    lines += _published(reports)
    of_rows = [report for report in reports if "similar" in report["settings"]]
    lines += definitions((of_rows or reports)[0]) if reports else []
    return "\n".join(lines).rstrip() + "\n"


def _before_and_after(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Derived tasks beside the tasks they are made from, figures of one route only."""
    by_name = {(report["task"], report["route"]): report for report in reports}
    rows = []
    for report in reports:
        before = by_name.get((report["derived_from"], report["route"]))
        if before is not None:
            pairs = [(_index_row(before)[i], _index_row(report)[i]) for i in range(3, 10)]
            same = (old if old == new else f"{old} → {new}" for old, new in pairs)
            rows.append([escape(report["task"].split("/", 1)[1]), escape(report["route"]), *same])
    if not rows:
        return []
    header = ("task", "route", "train / test", "majority", "length", "neighbour", "composition", "k-mer", "found again")
    return ["## Before and after the cure", "", *_left_table(header, rows), ""]


def _published(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the best published score of each task is worth, where there is one and rules have its metric."""
    rows = []
    for report in reports:
        best = (report.get("references") or {}).get("published_best")
        if not best or best["why_not"] or best.get("rule") is None:
            continue
        cells = [_percent(best["published"]), _percent(best["majority"])]
        for key, prefix in (("rule", ""), ("composition", "composition_")):
            reached = [_percent(best.get(f"{prefix}{name}")) for name in ("reaches", "of_gain")]
            cells += [escape(best.get(key) or "-"), *reached]
        audited = (
            f"{escape(report['route'])}, {escape(report['status'])}" if report["status"] else escape(report["route"])
        )
        rows.append([escape(report["task"]), audited, escape(best["metric"]), *cells, escape(best["source"])])
    if not rows:
        return []
    by_rule = ("best rule without biology", "reaches", "% of the gain")
    by_composition = ("best one on composition", "reaches", "% of the gain")
    header = ("task", "audited", "metric", "published", "majority", *by_rule, *by_composition, "published by")
    about = (
        "The best figure that a registered paper prints, and how much of what it gains over the majority class rules gain (x 100). Where rows are audited in "
        "part, rules are scored on these, and the figure is of all."
    )
    return ["## What the published best is worth", "", about, "", *_left_table(header, rows), ""]


def _index_row(report: Mapping[str, Any]) -> list[str]:
    suite, task = report["task"].split("/", 1)
    name = path_segment(task) + (".coordinates" if report["route"] == "coordinates" else "")
    rows = [report["splits"].get(split, {}).get("rows") for split in ("train", "test")]
    controls = report["controls"]
    return [
        f"[{escape(task)}]({path_segment(suite)}/{name}.md)",
        escape(report["route"]),
        escape(report["status"] or "-"),
        " / ".join("-" if n is None else f"{n:,}" for n in rows),
        _best(controls, ("majority",)),
        _best(controls, LENGTH_CONTROLS),
        _best(controls, NEIGHBOUR_CONTROLS),
        _best(controls, ("composition-trees",)),
        _best(controls, ("kmer",)),
        _found_again(report),
        f"**{escape(_level(report))}**"
        + (f" ({escape(', '.join(report['verdict']['flags']))})" if report["verdict"]["flags"] else ""),
    ]


def _left_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table of cells that are Markdown already, all set to the left."""
    return markdown_table(header, rows, words=len(header))


def _best(controls: Mapping[str, Any], names: Sequence[str]) -> str:
    present = [name for name in names if name in controls]
    if not present:
        return "-"
    best = max(present, key=lambda name: controls[name]["accuracy"])
    return _percent(controls[best]["accuracy"])


def _found_again(report: Mapping[str, Any]) -> str:
    asymmetry = report["asymmetry"]
    known = [asymmetry[name] for name in ("overlap_half", "copies", "similar") if name in asymmetry]
    if not known:
        return "-"
    entry = known[0]
    if not entry["highest"]:
        return "none"
    highest, lowest = escape(str(entry["highest_class"])), escape(str(entry["lowest_class"]))
    return f"{_percent(entry['highest'])} of {highest}, {_percent(entry['lowest'])} of {lowest}"


def render_report(report: Mapping[str, Any], plot: str | None = None) -> str:
    """The page of one task. plot: name of the picture beside it."""
    verdict = report["verdict"]
    lines = [f"# {escape(report['task'])}", "", f"**{escape(verdict['level'])}.** {escape(verdict['text'])}", ""]
    lines += [f"Flags: {', '.join(map(code, verdict['flags'])) or 'none'}. {escape(known_shortcuts(report))}", ""]
    lines += [
        f"Audited by {escape(report['route'])}{escape(_status(report))}. [All figures as JSON]({_json_name(report)}).",
        "",
    ]
    if made_by := report.get("made_by"):  # pages of older versions have none
        command = f" by {code(made_by['command'])}" if made_by["command"] else ""
        versions = versions_line(made_by, tuple(made_by["versions"]))
        lines += [f"Made{command} ({code(report['schema'])}) on {escape(made_by['cpu'])}; {escape(versions)}.", ""]
    if plot:
        lines += [f"![class distributions, rows found again, controls]({plot})", ""]
    if looked_at := verdict.get("looked_at"):
        lines += [f"Looked at: {escape('; '.join(looked_at))}.", ""]
    for grid in report_grids(report):
        lines += [f"## {escape(grid.title)}", "", *grid.to_markdown(words=len(grid.header)), ""]
    lines += definitions(report)
    return "\n".join(lines).rstrip() + "\n"


def report_grids(report: Mapping[str, Any]) -> list[Grid]:
    """The tables of a report (``AuditReport.to_dict``), as pages and screen show them."""
    if report.get("outputs"):
        return [grid for grid in (_outputs(report), *_findings(report), *reference_grids(report)) if grid.rows]
    crossed = [_cross(pair, cross, report["labels"]) for pair, cross in report["across"].items()]
    grids = [
        *_findings(report),
        _classes(report),
        *kind_grids(report),
        *crossed,
        _families(report),
        _controls(report),
        *_positions(report),
        _bins(report),
        _neighbours(report),
        *reference_grids(report),
    ]
    return [grid for grid in grids if grid.rows]


def _findings(report: Mapping[str, Any]) -> list[Grid]:
    """A line for each rule that fired, and for each example row; reports made before numbers were kept have none."""
    found = [finding for finding in report["verdict"].get("findings", ()) if finding.get("number") is not None]
    rows, examples = [], []
    for finding in found:
        rule_id = finding["rule_id"]
        interval = "-" if finding["interval"] is None else ", ".join(_percent(bound) for bound in finding["interval"])
        number = RULES[rule_id].number if rule_id in RULES else "-"
        rows.append((rule_id, number, _percent(finding["number"]), interval, f"{100 * finding['threshold']:g}"))
        examples += [(rule_id, *_example(example)) for example in finding["examples"]]
    return [
        Grid(("rule", "number", "x 100", "95 % interval", "from"), tuple(rows), "Findings", words=2),
        Grid(("rule", "row", "class", "bases", "begins", "found again as"), tuple(examples), "Example rows", words=6),
    ]


def _example(example: Mapping[str, Any]) -> tuple[str, ...]:
    """Cells of an example row (:class:`~findna_bench.auditing.examples.Example`)."""
    counterpart = example["counterpart"]
    again = "-" if counterpart is None else f"{_row(counterpart)} ({counterpart['label']})"
    return _row(example), example["label"], f"{example['length']:,}", example["sequence"] or "-", again


def _neighbours(report: Mapping[str, Any]) -> Grid:
    """Test rows beside the train rows that they were found again as; reports made before there were any have none."""
    rows = []
    for entry in report.get("neighbours", ()):
        row, other = entry["row"], entry["row"]["counterpart"]
        columns = "-" if entry["alignment"] is None else f"{len(entry['alignment'][0]):,}"
        cells = (_row(row), row["label"], _row(other), other["label"], entry["kind"], entry["strand"] or "-", columns)
        rows.append((*cells, _percent(entry["identity"])))
    header = ("row", "class", "found again as", "its class", "as", "strand", "columns", "identity %")
    return Grid(header, tuple(rows), "Some rows of test beside those of train", words=6)


def _row(example: Mapping[str, Any]) -> str:
    return " ".join(part for part in (example["split"], example["id"], example["at"]) if part)


def _outputs(report: Mapping[str, Any]) -> Grid:
    """A line for each of several numbers or labels."""
    rows = []
    for name, part in report["outputs"].items():
        second = part["labels"][1]
        sizes = [
            f"{split['classes'][second]['rows']:,} of {split['rows']:,}" if split else "-"
            for split in (part["splits"].get("train"), part["splits"].get("test"))
        ]
        scores = [part["controls"].get(control) for control in _OF_OUTPUTS]
        shown = ["-" if score is None else _percent(score["balanced_accuracy"]) for score in scores]
        verdict = part["verdict"]
        rows.append((name, *sizes, *shown, verdict["level"], ", ".join(verdict["flags"]) or "-"))
    header = ("of", "in train", "in test", *(f"{control}: balanced accuracy %" for control in _OF_OUTPUTS))
    return Grid((*header, "verdict", "flags"), tuple(rows), "Each by itself")


def known_shortcuts(report: Mapping[str, Any]) -> str:
    """What the card of the task says, in a sentence."""
    known = report["known_shortcuts"]
    return f"The task's card names: {', '.join(known)}." if known else "The task's card names no shortcut."


def _status(report: Mapping[str, Any]) -> str:
    return f"; data: {report['status']}" if report["status"] and report["status"] != report["route"] else ""


def _json_name(report: Mapping[str, Any]) -> str:
    task = report["task"].split("/", 1)[1]
    return path_segment(task) + (".coordinates" if report["route"] == "coordinates" else "") + ".json"


def _classes(report: Mapping[str, Any]) -> Grid:
    header = (
        "split",
        "class",
        "rows",
        "share",
        "length: min, median, max",
        "GC: 5 %, median, 95 %",
        "rows with N",
        "identical rows within",
        "of other label",
    )
    rows = []
    for split, summary in report["splits"].items():
        for name, entry in summary["classes"].items():
            length, gc = entry["length"], entry["gc"]
            same, reverse, conflicting = (
                summary[key]["per_class"][name]["rows"] if summary[key] else None
                for key in ("exact", "reverse_complement", "conflicting")
            )
            rows.append(
                (
                    split,
                    name,
                    _whole(entry["rows"]),
                    _percent(entry["fraction"]),
                    ", ".join(f"{length[key]:g}" for key in ("min", "median", "max")) if length else "-",
                    ", ".join(f"{gc[key]:.2f}" for key in ("q05", "median", "q95")) if gc else "-",
                    _whole(entry["rows_with_n"]),
                    _whole(None if same is None else same + reverse),
                    _whole(conflicting),
                )
            )
    return Grid(header, tuple(rows), "Classes")


def _whole(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _cross(pair: str, cross: Mapping[str, Any], labels: Sequence[str]) -> Grid:
    rows = tuple(
        (words, *(_count(cross[key]["per_class"][name]) for name in labels), _whole(cross[key]["total"]))
        for key, words in _COUNTERPARTS
        if cross.get(key) is not None
    )
    earlier, later = pair.split("->")
    return Grid((f"in {earlier}", *labels, "all"), rows, f"Rows of {later} that {earlier} has already")


def _families(report: Mapping[str, Any]) -> Grid:
    """A line for each two splits; nothing in reports made before families were counted."""
    rows = []
    for pair, cross in report["across"].items():
        found = cross.get("repeat_families")
        if found and found["families"]:
            cells = (found["rows"], found["rows_in_large"], found["families"], found["largest"])
            rows.append((pair, *map(_whole, (*cells, *found["sizes"].values()))))
    sizes = (f"of {size} rows" for size in SIZES)
    header = ("splits", "repeats", f"of those, in families of {LARGE}+", "families", "largest, rows", *sizes)
    return Grid(header, tuple(rows), "Families of repeats, rows of both splits together")


def _count(entry: Mapping[str, Any]) -> str:
    return f"{entry['rows']:,} ({_percent(entry['fraction'])} %)" if entry["rows"] else "0"


def _controls(report: Mapping[str, Any]) -> Grid:
    recalls = (f"recall {name}" for name in report["labels"])
    header = ("control", "accuracy", "balanced", "macro F1", "MCC", *recalls, "remark")
    rows = []
    for name, control in report["controls"].items():
        scores = [control[key] for key in ("accuracy", "balanced_accuracy", "f1_macro", "mcc")]
        scores += [control["recall"][label] for label in report["labels"]]
        remark = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in control["details"].items())
        rows.append((name, *map(_percent, scores), remark))
    return Grid(header, tuple(rows), "Controls, fitted on train, scored on test (x 100)")


def _positions(report: Mapping[str, Any]) -> list[Grid]:
    """The site of a report and the bases at both ends; nothing in reports made before there were any."""
    positions = report.get("positions") or {}
    grids = []
    if site := positions.get("site"):
        header = ("word", "at", "class", "in the class", "in other rows", "elsewhere", "excess", "standard error")
        shares = [_percent(site[key]) for key in ("share", "others", "elsewhere", "excess", "error")]
        row = (site["word"], site["at"], site["class"], *shares)
        grids.append(Grid(header, (row,), "The word at one place that tells a class of train best, in test (x 100)"))
    for anchor, title in (("start", "First"), ("end", "Last")):
        rows = [row for name, places in positions.get(anchor, {}).items() for row in _bases(name, places, anchor)]
        numbers = [str(n) for n in range(1, len(rows[0]) - 1)] if rows else []
        grids.append(Grid(("class", "base", *numbers), tuple(rows), f"{title} bases of test rows, per class (x 100)"))
    return grids


def _bases(name: str, places: Sequence[Sequence[float]], anchor: str) -> list[tuple[str, ...]]:
    """A line per letter that occurs; places: shares of A, C, G, T, N at the places from one end of a class's rows."""
    shown = places[:_SHOWN] if anchor == "start" else places[-_SHOWN:]
    shares = {base: [place[letter] for place in shown] for letter, base in enumerate(BASES)}
    return [(name, base, *map(_percent, each)) for base, each in shares.items() if base != "N" or any(each)]


def _bins(report: Mapping[str, Any]) -> Grid:
    labels = report["labels"]
    recalls = (f"recall {name}" for name in labels)
    header = ("matched bases", *(f"rows {name}" for name in labels), "accuracy", *recalls)
    rows = []
    for entry in report["similarity_bins"]:
        bounds = "no hit" if entry["high"] == 0 else f"{100 * entry['low']:.0f}-{100 * entry['high']:.0f} %"
        shares = [entry["accuracy"], *(entry["recall"][name] for name in labels)]
        rows.append((bounds, *(_whole(entry["rows"][name]) for name in labels), *map(_percent, shares)))
    return Grid(header, tuple(rows), "Score of the k-mer control by similarity of the test row to train")


def definitions(report: Mapping[str, Any]) -> list[str]:
    """What the words of a report mean: lines of Markdown, a heading and a list."""
    if "pairs" in report["settings"]:
        return _of_pairs(report)
    if "similar" not in report["settings"]:
        return ["## Definitions", "", *kind_definitions(report), *_rules(), ""]
    similar = report["settings"]["similar"]
    return [
        "## Definitions",
        "",
        f"* near-duplicate, similar: best local alignment on either strand (match 1, mismatch -2, gap -3) with at least {100 * similar['identity']:.0f} %",
        f"  identity over {100 * similar['coverage']:.0f} % of the shorter row and {similar['min_columns']} columns.",
        *_copies_and_repeats(report["settings"].get("copy")),
        *_diverged_copies(report["settings"].get("diverged_copies")),
        *_library(report["settings"].get("library")),
        "* overlap: bases shared on the reference, whatever the strand, over the length of the test row.",
        '* overlap-any, overlap-half, similar, nn-overlap: "label of that train row, else F", where F is the class that train rows',
        "  without such a neighbour in train mostly have. nn-relation: the class that train rows with a neighbour of that label mostly have.",
        "* same-composition: the same for a train row with exactly the same dinucleotide counts, which is what a shuffle that keeps",
        f"  dinucleotides leaves (rows of {LEAST_LENGTH} bases and more).",
        *_places(report),
        *kind_definitions(report),
        *_rules(),
        "",
    ]


def _rules() -> list[str]:
    """The table of rules, a line for each kind."""
    lines = []
    for kind in KINDS.values():
        rules = [rule for rule in RULES.values() if rule.kind is kind]
        each = "; ".join(f"{code(rule.rule_id)} from {rule.condition}" for rule in rules)
        lines.append(f"* {kind.name}: {kind.about} {each}.")
    return lines


def _of_pairs(report: Mapping[str, Any]) -> list[str]:
    """What the words of a report on pairs mean."""
    pairs = report["settings"]["pairs"]
    order = "in this order" if pairs["ordered"] else "in either order"
    return [
        "## Definitions",
        "",
        f"* identical: both sides are those of an earlier pair, {order} (combination {code(pairs['combination'])}); reverse complement: the same on whichever strand of each side.",
        "* a side in common: either side is a side of an earlier pair, on either strand; sides of N alone are none. A copy: whole, shifted, cut or extended.",
        "* length-trees: boosted trees on bases, N and N at the ends of both sides; distance-trees: on distance and strand; composition-trees: on GC, N and dinucleotides of both",
        "  sides; side-a, side-b: a linear model on 5-mers of one side; shared-side: the class that train pairs with the same sides mostly have.",
        *_rules(),
        "",
    ]


def _places(report: Mapping[str, Any]) -> list[str]:
    """Nothing in reports made before places were looked at."""
    if "positions" not in report:
        return []
    return [
        "* position: logistic regression on the base at every place (rows of several lengths: near the start, the end and the centre);",
        "  position-rotated: the same of rows that are each turned round by a random number of bases. ends, middle: of the first and last",
        "  bases, and of as many from the middle. site: the word of 1, 2 or 4 letters at one place that tells a class of train best.",
        "  case: trees on which letters of the file are lower case.",
    ]


def _copies_and_repeats(copy: Mapping[str, Any] | None) -> list[str]:
    """copy: the settings of a report, None in reports made before there were any."""
    if copy is None:
        return []
    return [
        "* copy: the same text or its reverse complement; or a similar row whose alignment covers "
        f"{100 * copy['full']:.0f} % of what lies beside each other",
        f"  (less than {100 * copy['end_to_end']:.0f} % of the shorter row, as in a shifted window: at {100 * copy['shifted_identity']:.0f} % identity or more), "
        f"of which {100 * copy['unique']:.0f} % is no tandem repeat,",
        f"  and that stands out: at most {copy['few']} rows are as near, or {100 * copy['alike']:.0f} % of the many reach the end of a row at "
        f"{100 * copy['same']:.0f} % identity or are cut end to end at {100 * copy['alike_identity']:.0f} %. Never two rows whose",
        "  coordinates are known and do not overlap. Either strand, whatever the label. A tandem repeat from end to end is a copy only of the same text.",
        "* repeats: all other similar rows: matches in part, to many rows, by tandem repeats, or at another locus. A family: rows of both splits that such matches",
        "  link, directly or through others; of each test row its few dozen strongest are looked at.",
    ]


def _diverged_copies(settings: Mapping[str, Any] | None) -> list[str]:
    """settings: of a report, None where none were looked for."""
    if settings is None:
        return []
    return [
        f"* diverged copy: a test row that is similar to none, and is a train row from end to end (either strand, lengths and ends within {100 * settings['slack']:.0f} %) with",
        f"  {100 * settings['identity']:.0f} % identity or more over {100 * settings['full']:.0f} %, where at most {settings['few']} others are related by half of the row; "
        f"looked for in {settings['rows']:,} rows of {settings['least_length']} bases or more.",
        f"  Of rows read backwards {100 * settings['background']:.1f} % pass. Grouped splits do not join such pairs.",
    ]


def _library(library: Mapping[str, Any] | None) -> list[str]:
    """library: the settings of a report on a designed library, None on others."""
    if library is None:
        return []
    return [
        f"* library: {100 * library['related']:.0f} % of the different sequences have {library['word']} bases in common with another one at the same place, "
        f"and {100 * library['in_place']:.0f} % of the",
        f"  pairs that share {library['word']} bases share them at the same place. Rows of a library are related where they share {library['word']} bases, wherever",
        f"  they stand, half of them or more outside of constant segments (the {len(library['constant'])} words that more than a fifth of all hold).",
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
