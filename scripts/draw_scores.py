"""Draw the scores of a results folder as one SVG: a panel per task of the suite's mean (per task, where there is none), a dot with its
95 % interval per model, the best control as a line. Dots have titles with their numbers, as tables show them.

    python scripts/draw_scores.py RESULTS --to leaderboards/images/scores.svg

The same results give the same bytes. Colours follow the reader's light or dark setting.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from findna_bench.errors import BenchError, UsageError
from findna_bench.files import atomic_path
from findna_bench.leaderboard.reference_controls import reference_control
from findna_bench.leaderboard.score_tables import Row, SuiteTable, TaskColumn
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.results.store import ResultStore
from findna_bench.statistics.metric_cards import metric_label

NAMES, PANEL, GAP, LINE, TOP = 200, 190, 26, 26, 62
"""Widths of the column of names, of a panel and between panels; height of a row, and above the first."""
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.middle { text-anchor: middle }
.end { text-anchor: end }
.grid { stroke: #d1d9e0 }
.best { stroke: #bc4c00; stroke-dasharray: 4 3 }
.model { stroke: #0969da; fill: #0969da; stroke-width: 2 }
.control { stroke: #818b98; fill: #818b98; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .grid { stroke: #3d444d }
  .best { stroke: #f0883e }
  .model { stroke: #4493f8; fill: #4493f8 }
}
"""


def draw(table: SuiteTable) -> str:
    """A table of scores as SVG."""
    rows = [row for row in table.rows if any(entry.value is not None for entry in row.entries.values())]
    columns = [column for column in table.columns if column.in_mean] or table.columns
    width, height = NAMES + len(columns) * (PANEL + GAP), TOP + LINE * len(rows) + 48
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(table.name)}: scores with 95 % intervals</title>",
        f"<style>{STYLE}</style>",
    ]
    for number, row in enumerate(rows):
        words = f"{row.model} (control)" if row.control else row.model
        lines.append(f'<text class="end" x="{NAMES - 14}" y="{_middle(number) + 4}">{escape(words)}</text>')
    for place, column in enumerate(columns):
        lines += _panel(column, rows, NAMES + place * (PANEL + GAP))
    words = f"{escape(table.name)}. Dot: mean over seeds; bar: 95 % interval; dashed: the control that is best on validation"
    lines.append(f'<text class="small" x="{NAMES}" y="{height - 8}">{words}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _middle(number: int) -> int:
    return TOP + LINE * number + LINE // 2


def _panel(column: TaskColumn, rows: list[Row], left: int) -> Iterator[str]:
    """One task: the metric, a scale, the reference control, and a dot with its bar for each model."""
    found = {
        number: (
            entry.value * entry.scale,
            *(None if end is None else end * entry.scale for end in (entry.low, entry.high)),
        )
        for number, row in enumerate(rows)
        if (entry := row.entries.get(column.name)) is not None and entry.value is not None
    }
    scaled = any(rows[number].entries[column.name].scale == 100 for number in found)
    ends = [end for triple in found.values() for end in triple if end is not None]
    low, high = 10 * int(min(ends) // 10), 10 * int(-(-max(ends) // 10))
    bottom = TOP + LINE * len(rows)

    def x(value: float) -> float:
        return round(left + PANEL * (value - low) / (high - low), 1)

    centre = left + PANEL / 2
    yield f'<text class="middle" x="{centre}" y="20">{escape(column.name.rpartition("/")[2])}</text>'
    yield f'<text class="small middle" x="{centre}" y="37">{escape(metric_label(column.metric))}</text>'
    for tick in range(low, high + 1, 10 if high - low <= 50 else 20):
        yield f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="{TOP - 8}" y2="{bottom}"/>'
        yield f'<text class="small middle" x="{x(tick)}" y="{bottom + 15}">{tick}</text>'
    reference = reference_control(rows, column)
    if reference is not None:
        best = x(reference.value * (100 if scaled else 1))
        yield f'<line class="best" x1="{best}" x2="{best}" y1="{TOP - 8}" y2="{bottom}"/>'
    for number, (value, *interval) in found.items():
        kind, y = "control" if rows[number].control else "model", _middle(number)
        if None not in interval:
            yield f'<line class="{kind}" x1="{x(interval[0])}" x2="{x(interval[1])}" y1="{y}" y2="{y}"/>'
        spread = "" if None in interval else f" [{interval[0]:.1f}, {interval[1]:.1f}]"
        title = f"{rows[number].model}, {column.name.rpartition('/')[2]}: {value:.2f}{spread}"
        yield f'<circle class="{kind}" cx="{x(value)}" cy="{y}" r="4"><title>{escape(title)}</title></circle>'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--to", type=Path, required=True, help="the SVG file to write")
    options = parser.parse_args()
    try:
        if not options.results.is_dir():
            raise UsageError(f"results folder {options.results} does not exist; `findna-bench run` makes one")
        store = ResultStore(options.results)
        tables = leaderboard(store.load(), include_limited=True, predictions=store.predictions).tables
        if len(tables) != 1:
            raise UsageError(f"{options.results} holds {len(tables)} tables; a picture shows one")
        with atomic_path(options.to) as temporary:
            temporary.write_text(draw(tables[0]), encoding="utf-8")
    except BenchError as error:
        print(f"draw_scores: {error}", file=sys.stderr)
        return 1
    print(f"{options.to}: {options.to.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
