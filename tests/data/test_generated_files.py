"""200 generated files: what is read is what was written, or a sentence says which row is not."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from user_files import FORMATS, UserFile, user_files

import findna_bench as fb
from findna_bench.errors import BenchError

FILES = 250


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=FILES // len(FORMATS), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_read_is_what_was_written(kind: str, data: st.DataObject) -> None:
    file = data.draw(user_files(kind))
    with tempfile.TemporaryDirectory() as folder:
        path = file.write(Path(folder))
        if file.missing:
            with pytest.raises(BenchError, match=r"(has no|is empty).*--drop-missing"):
                fb.load_task(path)
        task = fb.load_task(path, drop_missing=True)
        rows, splits = task.in_order()
    wanted = file.kept()
    assert task.card.target == file.target
    assert task.label_names == file.classes
    if file.kind == "fasta splits":
        wanted = sorted(wanted, key=lambda row: ("train", "validation", "test").index(str(row[2])))
    assert rows.sequences == [sequence for sequence, _, _ in wanted]
    assert _truth(file, rows.labels) == [_wanted(file, name) for _, name, _ in wanted]
    if wanted[0][2] is not None:
        assert splits.tolist() == [split for _, _, split in wanted]
    if file.target == "classes":
        counts = Counter(name for _, name, _ in wanted)
        assert {name: sum(held[name] for held in task.counts.values()) for name in file.classes} == counts
    dropped = [note for note in task.notes if "dropped" in note]
    assert bool(dropped) == bool(file.missing)
    assert f"{len(wanted):,} rows" in task.notes[0]


def _truth(file: UserFile, labels: np.ndarray) -> list[object]:
    """What was read of each row: a class, a number, or a set of labels."""
    if file.target == "classes":
        return [file.classes[label] for label in labels]
    if file.target == "values":
        return labels[:, 0].tolist()
    return [{name for name, has in zip(file.classes, row, strict=True) if has == 1} for row in labels.tolist()]


def _wanted(file: UserFile, written: str) -> object:
    """What has to be read for what was written."""
    if file.target == "values":
        return float(written)
    return {name.strip() for name in written.split(";")} if file.target == "labels" else written
