"""Make the manifests of ``genomic_benchmarks-clean``: from the published coordinates alone, seeded, the same bytes of rows
wherever it runs.

    findna-bench fetch genomic_benchmarks --from FOLDER_OF_INTERVALS
    python scripts/make_clean_suite.py [--check]

Recipe, for every task, with the steps of ``findna-bench audit --write`` (:mod:`findna_bench.auditing.cure`): rows of a class shorter than ``crop`` are left out and the others cut to their middle (only where the
audit finds a length shortcut); where the audit finds the class in the first and last bases (rows of human_enhancers_ensembl start TG
and end CA, as they do whose boundaries were taken from CAGE tags), rows of both classes lose six bases at either end when they are loaded,
which moves no row; all rows of train and test are pooled; rows whose intervals overlap, directly or through others,
form a group; groups are dealt to train and test in the published proportion, stratified by class, with seed 0. A task one of
whose classes has fewer than 30 groups in test is left out as not evaluable. Nothing depends on sequence, so that the manifests
can be made and checked without any genome; similarity between loci (repeats, gene families) is therefore still there, and
the audit of the cleaned tasks shows how much. ``audit --write`` of a task with sequences goes further: it leaves out equal sequences,
deals copies at other loci to one side, and cuts ends before it deals, which can part rows that overlap by no more than is cut.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from findna_bench.auditing.cure import cut_alike, deal_anew
from findna_bench.data.derived import manifest_key, read_row_manifest, write_row_manifest
from findna_bench.data.resplitting import independent_groups, not_evaluable
from findna_bench.data.task import open_task

TARGET = Path(__file__).resolve().parents[1] / "plugins" / "findna_plugins" / "genomic_benchmarks_clean"
SOURCE = "genomic_benchmarks"
CROP = {"human_ensembl_regulatory": 200}
TRIM = {"human_enhancers_ensembl": 6, "human_ocr_ensembl": 6, "drosophila_enhancers_stark": 6}
"""Bases cut from both ends of every row when it is loaded: the audit finds the class in them."""
TASKS = (
    "dummy_mouse_enhancers_ensembl",
    "demo_coding_vs_intergenomic_seqs",
    "demo_human_or_worm",
    "human_enhancers_cohn",
    "human_enhancers_ensembl",
    "human_ensembl_regulatory",
    "human_nontata_promoters",
    "human_ocr_ensembl",
    "drosophila_enhancers_stark",
)


def make(name: str, folder: Path) -> dict[str, object]:
    """Write the manifest of one task and return its entry of the recipe."""
    task = open_task(f"{SOURCE}/{name}")
    labels, crop = task.label_names, CROP.get(name)
    before = {split: task.intervals(split) for split in task.interval_splits}
    tables, _ = cut_alike(before, crop, 0)
    # Coordinates without strand: two rows on either strand of one place are one locus.
    dealt = deal_anew({split: replace(table, group=None) for split, table in tables.items()}, labels)
    rows: dict[str, tuple[str, int]] = {}
    counts, groups = {}, {}
    for split, table in dealt.items():
        group = np.asarray(table.group)
        alone = np.bincount(group)[group] == 1
        for row_id, label, number in zip(
            table.ids.tolist(), table.labels.tolist(), np.where(alone, -1, group).tolist(), strict=True
        ):
            source_split, _, own = row_id.partition("/")
            rows[manifest_key(source_split, labels[label], own)] = (split, number)
        counts[split] = dict(zip(labels, table.class_counts(len(labels)).tolist(), strict=True))
        groups[split] = dict(zip(labels, independent_groups(table.labels, group, len(labels)), strict=True))
    path = folder / f"{name}.parquet"
    write_row_manifest(rows, path)
    total = sum(len(table) for table in before.values())
    return {
        "source": f"{SOURCE}/{name}",
        "seed": 0,
        "crop": crop,
        "trim": TRIM.get(name),
        "rows_published": total,
        "rows_left_out": total - len(rows),
        "counts": counts,
        "independent_groups": groups,
        "not_evaluable": not_evaluable(list(groups["test"].values()), labels),
        "rows_sha256": digest(rows),
    }


def digest(rows: dict[str, tuple[str, int]]) -> str:
    """sha256 of the rows themselves: parquet bytes may change with the library, these may not."""
    lines = (f"{key}\t{split}\t{group}\n" for key, (split, group) in sorted(rows.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    options = parser.parse_args()
    if not options.check:
        TARGET.mkdir(parents=True, exist_ok=True)
        recipe = {name: make(name, TARGET) for name in TASKS}
        (TARGET / "recipe.json").write_text(json.dumps(recipe, indent=1) + "\n")
        return 0
    committed = json.loads((TARGET / "recipe.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        made = {name: make(name, Path(folder)) for name in TASKS}
    wrong = [name for name in TASKS if made[name] != committed.get(name)]
    wrong += [n for n in TASKS if digest(read_row_manifest(TARGET / f"{n}.parquet")) != committed[n]["rows_sha256"]]
    for name in dict.fromkeys(wrong):
        print(f"{name}: the committed manifest is not what the recipe makes", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
