"""A small labelled data set in every layout that upstream uses, and its card."""

from __future__ import annotations

import csv
import gzip
import io
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from refused import refused

from findna_bench.cards import DataSource, TaskCard
from findna_bench.errors import DataError

LABELS = ("negative", "positive")
N = {"train": 20, "test": 8}


def card(name: str = "toy_enhancers", sources: Sequence[DataSource] = (), **changes: object) -> TaskCard:
    """Card of the toy task: half of each split's rows negative, half positive."""
    settings: dict[str, object] = {
        "name": name,
        "suite": "toys",
        "labels": LABELS,
        "counts": {split: dict.fromkeys(LABELS, n // 2) for split, n in N.items()},
        "sources": tuple(sources),
        "aliases": (f"ORG_{name}",),
    }
    return TaskCard(**{**settings, **changes})  # type: ignore[arg-type]


def refusal(call: Callable[[], object]) -> str:
    """The whole sentence with which something is refused as no data."""
    return refused(call, DataError)


def rows(split: str, seed: int = 0) -> list[tuple[str, str, str]]:
    """(id, class, sequence) of all rows, classes in label order, ids in numerical order."""
    generator = random.Random(f"{split}-{seed}")
    return [
        (str(i), label, "".join(generator.choices("ACGT", k=generator.randint(20, 40))))
        for label in LABELS
        for i in range(N[split] // 2)
    ]


def write_folders(folder: Path, seed: int = 0) -> Path:
    """``SPLIT/CLASS/ID.txt``."""
    for split in N:
        for row, label, sequence in rows(split, seed):
            path = folder / split / label / f"{row}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(sequence + "\n")
    return folder


def zip_bytes(prefix: str = "", seed: int = 0) -> bytes:
    """The same as a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for split in N:
            for row, label, sequence in rows(split, seed):
                archive.writestr(f"{prefix}{split}/{label}/{row}.txt", sequence)
    return stream.getvalue()


def csv_text(split: str, label: str = "label", numbers: bool = True, seed: int = 0) -> str:
    """``sequence,label`` rows."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["sequence", label])
    for _, name, sequence in rows(split, seed):
        writer.writerow([sequence, LABELS.index(name) if numbers else name])
    return stream.getvalue()


def write_csvs(folder: Path, packed: bool = False) -> Path:
    """``train.csv`` and ``test.csv``, or gzipped."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in N:
        if packed:
            (folder / f"{split}.csv.gz").write_bytes(gzip.compress(csv_text(split).encode()))
        else:
            (folder / f"{split}.csv").write_text(csv_text(split))
    return folder
