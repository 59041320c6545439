"""Pages on a designed library: how well the expression of yeast 3' ends is predicted at random, and where designs stay together.

The table is that of Shalem et al. 2015 (PLoS Genet 11:e1005147): a sequence of 150 bp and its log expression per row, tab-separated,
compressed or not. Writes ``README.md`` (scores), ``audit/`` (what they are worth), and keeps results where they are found again.

    python scripts/make_yeast_pages.py shalem_2015.tsv.gz --to leaderboards/yeast
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

MODELS = "kmer,findna-tiny,findna-tiny@random,nn-overlap,trivial,majority"
SPLITS = (None, "grouped", "grouped:*/5")


def findna_bench(*words: str, folder: Path) -> None:
    """Run a verb in a folder, where files have short names."""
    print("findna-bench", *words, flush=True)
    program = Path(sys.executable).with_name("findna-bench")
    subprocess.run([str(program), *words], cwd=folder, env=os.environ, check=True)


def main(
    table: Annotated[Path, typer.Argument(help="The table: sequence, log expression.", exists=True, dir_okay=False)],
    to: Annotated[Path, typer.Option("--to", help="Folder of the pages.")],
    work: Annotated[Path, typer.Option("--work", help="Folder of yeast.csv and its results.")] = Path("yeast-work"),
) -> None:
    """Make the pages."""
    work.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(table, sep="\t")
    rows.columns = ["sequence", "value"]
    rows.to_csv(work / "yeast.csv", index=False)
    to = to.absolute()
    for split in SPLITS:
        chosen = [] if split is None else ["--split", split]
        findna_bench("run", "-m", MODELS, "-t", "./yeast.csv", "--seeds", "1", *chosen, folder=work)
    title = "Designed 3' ends of yeast"
    findna_bench("leaderboard", "--markdown", str(to / "README.md"), "--title", title, folder=work)
    findna_bench("audit", "./yeast.csv", "--pages", str(to / "audit"), folder=work)


if __name__ == "__main__":
    typer.run(main)
