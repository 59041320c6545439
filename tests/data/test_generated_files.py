"""200 generated files: what is read is what was written, or a sentence says which row is not."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from user_files import UserFile, user_files

import findna_bench as fb
from findna_bench.errors import BenchError


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(user_files())
def test_what_is_read_is_what_was_written(file: UserFile) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = file.write(Path(folder))
        if file.missing:
            with pytest.raises(BenchError, match=r"(has no|is empty).*--drop-missing"):
                fb.load_task(path)
        task = fb.load_task(path, drop_missing=True)
        rows, splits = task.in_order()
    wanted = file.kept()
    assert task.label_names == file.classes
    if file.kind == "fasta splits":
        wanted = sorted(wanted, key=lambda row: ("train", "validation", "test").index(str(row[2])))
    assert rows.sequences == [sequence for sequence, _, _ in wanted]
    assert [task.label_names[label] for label in rows.labels] == [name for _, name, _ in wanted]
    if wanted[0][2] is not None:
        assert splits.tolist() == [split for _, _, split in wanted]
    counts = Counter(name for _, name, _ in wanted)
    assert {name: sum(held[name] for held in task.counts.values()) for name in file.classes} == counts
    dropped = [note for note in task.notes if "dropped" in note]
    assert bool(dropped) == bool(file.missing)
    assert f"{len(wanted):,} rows" in task.notes[0]
