"""A task of values from a designed library: the expression of 3' ends of yeast (Shalem et al. 2015, PLoS Genet 11:e1005147).

    python scripts/make_yeast_table.py shalem_2015.tsv.gz -o yeast.csv

The table has a sequence of 150 bp and its log expression per row, tab-separated, compressed or not; the file written has the columns
``sequence`` and ``value``, which is all that a file of one's own needs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="sequence, log expression")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    rows = pd.read_csv(options.table, sep="\t")
    rows.columns = ["sequence", "value"]
    rows.to_csv(options.output, index=False)
    print(f"{options.output}: {len(rows):,} rows")


if __name__ == "__main__":
    main()
