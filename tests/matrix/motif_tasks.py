"""Small labelled tables for matrix tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from unruly import MARK

from findna_bench.data.adhoc import open_path
from findna_bench.data.task_store import write_task as store_task

__all__ = ["IMPORTED", "import_motif_task", "write_task"]

IMPORTED = "genomic_benchmarks/human_enhancers_cohn"
"""A registered task with two classes that is imported, under whose name tests put rows of their own."""


def write_task(path: Path, seed: int, rows: int = 120, motif: str = "TATAAA", *, marked: bool = False) -> Path:
    """A csv task with a split column: does a random sequence hold ``motif``? ``marked`` upsets the unruly models."""
    generator = np.random.default_rng(seed)
    lines = ["sequence,label,split"]
    for row in range(rows):
        letters = "".join(generator.choice(list("ACGT"), size=int(generator.integers(30, 60))))
        label = row % 2
        if label:
            at = int(generator.integers(0, len(letters) - len(motif)))
            letters = letters[:at] + motif + letters[at + len(motif) :]
        if marked:
            letters = MARK + letters
        lines.append(f"{letters},{'with' if label else 'without'},{'test' if row % 3 == 0 else 'train'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def import_motif_task(data_dir: Path, folder: Path, seed: int, rows: int = 60) -> Path:
    """Put a motif task under the data root as if it had been fetched; its folder."""
    _, origin = open_path(write_task(folder / f"source-{seed}.csv", seed, rows), "source")
    counts = {
        split: dict(zip(("negative", "positive"), classes.values(), strict=True))
        for split, classes in origin.counts.items()
    }
    manifest = {"status": "partial", "digest": origin.digest, "counts": counts, "labels": ["negative", "positive"]}
    target = data_dir / "tasks" / IMPORTED
    store_task(target, origin.tables, manifest)
    return target
