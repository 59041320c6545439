"""The log of a training: one CSV row per report, and a picture of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from findna_bench.files import atomic_path, write_atomic
from findna_bench.terminal import in_picture

__all__ = ["TrainingLog", "draw_curves"]

_FIXED = ("step", "split", "seconds", "lr", "sequences_per_second")


class TrainingLog:
    """``log.csv``: step (optimiser steps done), split (train: mean since the last row; validation), seconds, lr, then metrics.

    Columns are those of the first row written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []

    def resume(self, step: int) -> None:
        """Keep the rows up to ``step``: what came after the checkpoint happens again."""
        if not self.path.is_file():
            return
        with self.path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            # A process killed while writing leaves half a row, whose last column is missing.
            rows = [row for row in reader if None not in row.values() and int(row["step"]) <= step]
            self._columns = list(reader.fieldnames or ())
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.path, text.getvalue())

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Append one row."""
        row: dict[str, object] = {"step": step, "split": split, **{k: f"{v:.6g}" for k, v in values.items()}}
        if not self._columns:
            self._columns = [*_FIXED, *(name for name in values if name not in _FIXED)]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("w", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, self._columns, lineterminator="\n").writeheader()
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self._columns, restval="", extrasaction="ignore", lineterminator="\n")
            writer.writerow(row)


def draw_curves(log: Path, picture: Path) -> None:
    """A PNG with one panel per metric of ``log``, training and validation over steps; nothing where the log is empty."""
    with log.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = [name for name in rows[0] if name not in _FIXED]
    columns = min(len(metrics), 3)
    lines = -(-len(metrics) // columns)
    figure = Figure(figsize=(4 * columns, 2.6 * lines), dpi=100)
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(lines, columns, squeeze=False).flat, metrics, strict=False):
        for split, style in (("train", "-"), ("validation", "o-")):
            points = [(int(row["step"]), float(row[name])) for row in rows if row["split"] == split and row[name]]
            if points:
                axes.plot(*zip(*points, strict=True), style, label=split, linewidth=1, markersize=3)
        axes.set_title(in_picture(name), fontsize=9)
        axes.tick_params(labelsize=7)
        axes.locator_params(nbins=4)
    figure.subplots_adjust(left=0.07, right=0.98, top=0.94, bottom=0.09, wspace=0.22, hspace=0.4)
    figure.supxlabel("optimiser steps", fontsize=9)
    figure.axes[0].legend(fontsize=7)
    for axes in figure.axes[len(metrics) :]:
        axes.set_visible(False)
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, format="png")
