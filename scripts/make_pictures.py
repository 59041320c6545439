"""Make the pictures of README from a results folder: a screenshot of the HTML page, and score against cost.

    python scripts/make_pictures.py RESULTS [--costs compute.json] [--audits leaderboards/audit] [--into leaderboards/images]

Writes ``leaderboard.png`` (headless Chromium, which must be installed) and ``pareto.png``; without ``--costs`` the cost is the
number of parameters. Both are reduced to a palette, so that neither is larger than 250 kB, and say in their metadata on what processor,
with what versions and by which protocol version their scores were computed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from findna_bench.errors import BenchError, UsageError
from findna_bench.files import atomic_path
from findna_bench.leaderboard.audits import read_audits
from findna_bench.leaderboard.costs import read_costs
from findna_bench.leaderboard.html import render_html
from findna_bench.leaderboard.published import load_published
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.profiling.cost_tables import read_profile
from findna_bench.profiling.plots import best_control, pareto_points, plot_pareto
from findna_bench.profiling.profile_rows import ProfileRow
from findna_bench.registry import get_registry
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 250_000
"""Bytes of a picture."""


def screenshot(page: str, path: Path, *, width: int, height: int, about: str) -> None:
    """What headless Chromium shows of a page, light."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise UsageError("a screenshot needs Chromium (Debian: apt install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        source, shot = Path(folder) / "index.html", Path(folder) / "shot.png"
        source.write_text(page, encoding="utf-8")
        flags = (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
        )
        subprocess.run(
            [chromium, *flags, f"--user-data-dir={folder}/profile", f"--window-size={width},{height}", f"--screenshot={shot}", source.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        shrink(shot, path, about)


def shrink(source: Path, path: Path, about: str) -> None:
    """Write a picture with as many colours (at most 256) as fit into the size allowed. about: its comment."""
    picture = Image.open(source).convert("RGB")
    comment = PngInfo()
    comment.add_text("Comment", about)
    for colours in (256, 128, 64, 32):
        with atomic_path(path) as temporary:
            picture.quantize(colours, dither=Image.Dither.NONE).save(
                temporary, format="png", optimize=True, pnginfo=comment
            )
        if path.stat().st_size <= LARGEST:
            return
    raise UsageError(f"{path} has {path.stat().st_size:,} bytes, more than {LARGEST:,}; make it smaller with --height")


def pareto(results: list[Result], costs: Path | None, path: Path, about: str) -> None:
    """Score against time per base, or against parameters where nothing was profiled."""
    records: list[Mapping[str, Any]] = [result.to_dict() for result in results]
    if costs is not None:
        rows, cost = read_profile(costs), "ns_per_base"
        longest = max(row.length for row in rows)
        rows = [row for row in rows if row.length == longest]
    else:
        sizes = {r.model.name.partition("@")[0]: r.model.n_parameters for r in results if r.model.n_parameters}
        rows, cost = [parameters_only(model, size) for model, size in sorted(sizes.items())], "n_parameters"
    controls = {card.name for card in get_registry().cards("models") if card.control}
    control = best_control(records, rows, controls, cost=cost)
    with tempfile.TemporaryDirectory() as folder:
        plot = Path(folder) / "pareto.png"
        plot_pareto(pareto_points(records, rows, cost=cost), plot, cost=cost, control=control)
        shrink(plot, path, about)


def parameters_only(model: str, size: int) -> ProfileRow:
    return ProfileRow(
        model=model, task="", mode="inference", formulation="best", length=1, batch_size=1, n_parameters=size
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--costs", type=Path, help="compute.json of `findna-bench profile -o FOLDER`")
    parser.add_argument("--audits", type=Path, help="folder of `findna-bench audit --pages FOLDER`")
    parser.add_argument("--title", default="Leaderboard")
    parser.add_argument("--into", type=Path, default=ROOT / "leaderboards" / "images")
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=1100)
    options = parser.parse_args()
    try:
        if not options.results.is_dir():
            raise UsageError(f"results folder {options.results} does not exist; `findna-bench run` makes one")
        store = ResultStore(options.results)
        results = store.load()
        board = leaderboard(results, predictions=store.predictions)
        about = "\n".join(board.environments)
        page = render_html(
            board,
            title=options.title,
            papers=load_published(get_registry().cards("published")),
            audits=read_audits(options.audits) if options.audits else None,
            costs=read_costs(options.costs) if options.costs else None,
        )
        screenshot(page, options.into / "leaderboard.png", width=options.width, height=options.height, about=about)
        pareto(results, options.costs, options.into / "pareto.png", about)
    except BenchError as error:
        print(f"make_pictures: {error}", file=sys.stderr)
        return 1
    for name in ("leaderboard.png", "pareto.png"):
        print(f"{options.into / name}: {(options.into / name).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
