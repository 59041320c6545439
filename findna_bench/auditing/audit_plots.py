"""One picture per audited task: distributions, rows found again, controls, score by similarity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from findna_bench.auditing.rules import RULES
from findna_bench.files import atomic_path
from findna_bench.terminal import in_picture

__all__ = ["plot_report"]

# Okabe and Ito's colours, told apart with any colour vision.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
_MEASURES = (
    ("overlap_any", "overlap"),
    ("overlap_half", "overlap\nby half"),
    ("exact", "identical"),
    ("reverse_complement", "reverse\ncomplement"),
    ("similar", "similar"),
    ("same_composition", "same com-\nposition"),
)


def plot_report(report: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a report (``AuditReport.to_dict``) as PNG; equal reports give equal bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(report["labels"])}
    _distribution(axes[0, 0], report, colours)
    _found_again(axes[0, 1], report, colours)
    _controls(axes[1, 0], report)
    _bins(axes[1, 1], report)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(in_picture(f"{report['task']} ({report['route']})"))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _empty(axis: Any, text: str) -> None:
    axis.set_axis_off()
    axis.text(0.5, 0.5, text, ha="center", va="center", color="#666666", transform=axis.transAxes)


def _distribution(axis: Any, report: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    """Length by class, or GC where all rows have one length."""
    split = "train" if "train" in report["splits"] else next(iter(report["splits"]))
    spreads = [entry["length"] for entry in report["splits"][split]["classes"].values() if entry["length"]]
    constant = min(s["min"] for s in spreads) == max(s["max"] for s in spreads)
    measure = "gc" if constant and "gc" in report["histograms"] else "length"
    histogram = report["histograms"][measure]
    for name in report["labels"]:
        counts = histogram[split][name]
        total = max(sum(counts), 1)
        axis.stairs(
            [100 * c / total for c in counts],
            histogram["edges"],
            label=in_picture(name),
            color=colours[name],
            linewidth=1.5,
        )
    axis.set_xlabel("GC" if measure == "gc" else "length in bases")
    axis.set_ylabel(f"% of the class's {split} rows")
    axis.legend(frameon=False, fontsize=8)


def _found_again(axis: Any, report: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    cross = report["across"].get("train->test")
    measures = [(key, words) for key, words in _MEASURES if cross and cross[key] is not None]
    if not cross or not measures:
        _empty(axis, "no train and test to compare")
        return
    width = 0.8 / len(report["labels"])
    for i, name in enumerate(report["labels"]):
        shares = [100 * cross[key]["per_class"][name]["fraction"] for key, _ in measures]
        axis.bar(
            [x + i * width for x in range(len(measures))], shares, width, label=in_picture(name), color=colours[name]
        )
    centre = width * (len(report["labels"]) - 1) / 2
    axis.set_xticks([x + centre for x in range(len(measures))], [words for _, words in measures], fontsize=8)
    axis.set_ylim(0, max(10, 1.05 * max((bar.get_height() for bar in axis.patches), default=0)))
    axis.set_ylabel("% of test rows with one in train")
    axis.legend(frameon=False, fontsize=8)


def _controls(axis: Any, report: Mapping[str, Any]) -> None:
    controls = report["controls"]
    if not controls:
        _empty(axis, "no train and test: no controls")
        return
    names = list(controls)[::-1]
    values = [100 * controls[name]["accuracy"] for name in names]
    base = 100 * controls["majority"]["accuracy"]
    axis.barh(
        [in_picture(name) for name in names],
        values,
        color=["#999999" if v < base + 100 * RULES["shortcut/length"].threshold else "#D55E00" for v in values],
        height=0.7,
    )
    axis.axvline(base, color="black", linewidth=1, linestyle=":")
    for y, value in enumerate(values):
        axis.text(value + 1, y, f"{value:.1f}", va="center", fontsize=8)
    axis.set_xlim(0, 112)
    axis.tick_params(axis="y", labelsize=8)
    axis.set_xlabel("test accuracy in %; dotted: majority class")


def _bins(axis: Any, report: Mapping[str, Any]) -> None:
    bins = [entry for entry in report["similarity_bins"] if entry["total"]]
    if not bins:
        _empty(axis, "no sequences: no score by similarity")
        return
    names = ["no hit" if b["high"] == 0 else f"{100 * b['low']:.0f}-{100 * b['high']:.0f} %" for b in bins]
    values = [100 * b["accuracy"] for b in bins]
    axis.bar(names, values, color="#56B4E9", width=0.7)
    for x, entry in enumerate(bins):
        axis.text(x, values[x] + 1, f"n={entry['total']:,}", ha="center", fontsize=8)
    axis.set_ylim(0, 110)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel("bases of the test row matched by its nearest train row")
    axis.set_ylabel("accuracy of the k-mer control, %")
