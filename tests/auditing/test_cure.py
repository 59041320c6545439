"""A split written anew: what is planted is gone, every row is accounted for, and what cannot be cured is not called clean."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from findna_bench.auditing import audit_task
from findna_bench.auditing.cure import cure_tables
from findna_bench.cards import TaskCard
from findna_bench.cli import app
from findna_bench.data.length_matching import trimmed
from findna_bench.data.table import SequenceTable
from findna_bench.errors import UnsupportedError
from findna_bench.sequences.alphabet import reverse_complement

CARD = TaskCard(name="planted", suite="made-up", labels=("no", "yes"))


def changed(sequence: str, share: float, generator: np.random.Generator) -> str:
    letters = list(sequence)
    for i in generator.choice(len(letters), round(share * len(letters)), replace=False).tolist():
        letters[i] = "ACGT"[("ACGT".index(letters[i]) + int(generator.integers(1, 4))) % 4]
    return "".join(letters)


def planted(path: Path, *, ends: bool = True, inside: bool = False) -> dict[str, int]:
    """A file whose test rows are copies of train rows, near and far, equal and under another label; rows of a class start TG, end CA."""
    generator = np.random.default_rng(0)
    rows: list[tuple[str, int, str]] = []
    for i in range(360):
        sequence = "".join(generator.choice(list("ACGT"), 120))
        label = i % 2
        if label and ends and generator.random() < 0.7:
            sequence = "TG" + sequence[2:-2] + "CA"
        if label and inside:
            sequence = sequence[:60] + "GATTAC" + sequence[66:]
        rows.append((sequence, label, "train" if i < 240 else "test"))
    source = rows[:100]
    rows += [(s, y, "test") for s, y, _ in source[:30]]
    rows += [(reverse_complement(s), 1 - y, "test") for s, y, _ in source[30:40]]
    rows += [(changed(s, 0.05, generator), y, "test") for s, y, _ in source[40:60]]
    rows += [(changed(s, 0.17, generator), y, "test") for s, y, _ in source[60:90]]
    rows += [(s, y, "train") for s, y, _ in rows[100:120]]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["sequence", "label", "split"])
        table.writerows([(s, CARD.labels[y], split) for s, y, split in rows])
    return {split: sum(row[2] == split for row in rows) for split in ("train", "test")}


def test_what_can_be_cured_is_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    sizes = planted(tmp_path / "faulty.csv")
    before = set(audit_task(str(tmp_path / "faulty.csv")).flags)
    assert {"shortcut: ends", "leak: duplicates", "leak: diverged-copies", "conflicting-labels"} <= before
    result = CliRunner().invoke(
        app, ["audit", str(tmp_path / "faulty.csv"), "--write", str(tmp_path / "anew")], standalone_mode=False
    )
    assert result.return_value == 0, result.output
    manifest = json.loads((tmp_path / "anew" / "manifest.json").read_text())
    assert manifest["clean"] is True
    assert manifest["trim"] == 6
    assert set(manifest["before"]["flags"]) == before
    assert manifest["after"]["flags"] == []
    with (tmp_path / "anew" / "moves.csv").open(newline="") as file:
        moves = list(csv.DictReader(file))
    assert len({move["row"] for move in moves}) == len(moves) == sum(sizes.values())
    why = [move["why"] for move in moves if not move["to"]]
    assert sum("several labels" in reason for reason in why) == 20
    assert sum(reason.startswith("the same sequence as train/") for reason in why) == 50
    assert manifest["left_out"] == 70
    assert {split: sum(move["to"] == split for move in moves) for split in sizes} == manifest["rows"]
    again = audit_task(str(tmp_path / "anew"))
    assert again.verdict.level == "clean"
    assert {split: summary.rows for split, summary in again.splits.items()} == manifest["rows"]


def test_what_stands_inside_of_rows_is_not_called_clean(tmp_path: Path) -> None:
    planted(tmp_path / "faulty.csv", ends=False, inside=True)
    result = CliRunner().invoke(
        app, ["audit", str(tmp_path / "faulty.csv"), "--write", str(tmp_path / "anew")], standalone_mode=False
    )
    assert result.return_value == 1
    assert "NOT clean" in result.output + (result.stderr or "")
    manifest = json.loads((tmp_path / "anew" / "manifest.json").read_text())
    assert manifest["clean"] is False
    assert "shortcut: site" in manifest["after"]["flags"]


def test_a_length_that_gives_the_class_away_is_cut() -> None:
    generator = np.random.default_rng(1)

    def rows(n: int) -> SequenceTable:
        sequences = [
            "".join(generator.choice(list("ACGT"), 150 + 40 * (i % 2) + int(generator.integers(30)))) for i in range(n)
        ]
        return SequenceTable(sequences, np.arange(n) % 2, np.array([str(i) for i in range(n)]))

    cure = cure_tables({"train": rows(200), "test": rows(100)}, CARD)
    assert "shortcut: length" in cure.before.flags
    assert cure.clean
    assert {len(s) for table in cure.tables.values() for s in table.sequences} == {cure.crop}
    assert sum(len(table) for table in cure.tables.values()) == sum(bool(to) for to, _ in cure.moves.values())


def test_rows_that_are_equal_once_they_are_cut_stand_there_once() -> None:
    generator = np.random.default_rng(2)
    inside = ["".join(generator.choice(list("ACGT"), 100)) for _ in range(300)]
    rows = [("TG" + s + "CA", 1) if i % 2 else ("AC" + s + "GT", 0) for i, s in enumerate(inside)]
    rows += [("TG" + s + "CC", 1) for s in inside[1:41:2]]  # the same row, and one base of it another
    rows += [("TG" + s + "CA", 1) for s in inside[:20:2]]  # the other class, inside of which nothing differs
    order = generator.permutation(len(rows))
    tables = {
        split: SequenceTable([rows[i][0] for i in part], np.array([rows[i][1] for i in part]), part)
        for split, part in (("train", order[:220]), ("test", order[220:]))
    }
    cure = cure_tables(tables, CARD)
    assert cure.trim == 6
    written = [s for table in cure.tables.values() for s in table.sequences]
    assert len(set(written)) == len(written) == 300 - 10
    assert len(cure.moves) == len(rows)
    why = [reason for to, reason in cure.moves.values() if not to]
    assert sum("several labels" in reason for reason in why) == 20
    assert sum("the same sequence" in reason for reason in why) == 20


def test_only_classes_with_train_and_test_are_written_anew() -> None:
    values = SequenceTable(["ACGT"] * 4, np.zeros((4, 1)), np.arange(4))
    with pytest.raises(UnsupportedError, match="--split grouped"):
        cure_tables({"train": values, "test": values}, CARD)
    classes = SequenceTable(["ACGT"] * 4, np.arange(4) % 2, np.arange(4))
    with pytest.raises(UnsupportedError, match="give train and test"):
        cure_tables({"train": classes}, CARD)


def test_trimming_keeps_a_base_and_moves_coordinates() -> None:
    table = SequenceTable(
        ["ACGTACGT", "ACG", "A"],
        np.zeros(3, dtype=np.int64),
        np.arange(3),
        contig=np.array(["1"] * 3),
        start=np.array([10, 20, 30]),
        end=np.array([18, 23, 31]),
    )
    cut = trimmed(table, 3)
    assert cut.sequences == ["TA", "C", "A"]
    assert (cut.start.tolist(), cut.end.tolist()) == ([13, 21, 30], [15, 22, 31])  # type: ignore[union-attr]
