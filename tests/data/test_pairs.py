"""Rows of two sequences in a user's own tables: which columns hold them, what is refused, and which pairs are related."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import findna_bench as fb
from findna_bench.data.splits import draw_validation
from findna_bench.data.task import open_task
from findna_bench.errors import DataError, UsageError
from findna_bench.relatedness.components import components, row_groups
from findna_bench.sequences.alphabet import reverse_complement


def sequences(n: int, length: int = 40, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), size=length)) for _ in range(n)]


def columns(n: int = 40, **more: Any) -> dict[str, list[Any]]:
    both = sequences(2 * n)
    return {"sequence_a": both[:n], "sequence_b": both[n:], "label": ["far", "near"] * (n // 2), **more}


def write(path: Path, values: dict[str, list[Any]]) -> Path:
    frame = pd.DataFrame(values)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    else:
        frame.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False, encoding="utf-16")
    return path


def test_every_format_and_table_of_python_gives_the_same_pairs(tmp_path: Path) -> None:
    values = columns(
        distance=[10 * i for i in range(40)], strand=["+", "-", "", "*"] * 10, group=[f"g{i}" for i in range(40)]
    )
    tasks = [fb.load_task(write(tmp_path / f"p{ending}", values)) for ending in (".csv", ".tsv", ".jsonl", ".parquet")]
    table = fb.SequenceTable(
        values["sequence_a"],
        np.arange(40) % 2,
        np.arange(40).astype(str),
        group=np.array(values["group"]),
        sequences_b=values["sequence_b"],
        extra={"distance": np.arange(40) * 10.0, "strand": np.array(["+", "-", "", ""] * 10)},
    )
    tasks += [open_task(_held(pd.DataFrame(values))), open_task(_held(table))]
    for task in tasks:
        assert task.card.inputs == "pair"
        assert task.card.combination == "absdiff_product"
        whole, _ = task.in_order()
        assert (whole.sequences, whole.sequences_b) == (values["sequence_a"], values["sequence_b"])
        assert whole.extra["distance"].tolist() == [10.0 * i for i in range(40)]
        assert whole.extra["strand"].tolist() == ["+", "-", "", ""] * 10
        assert len(set(whole.extra["element"].tolist())) == 5
    assert len({task.data_digest for task in tasks[:5]}) == 1
    assert "40 pairs, classes far (20), near (20)" in tasks[0].notes[0]


def _held(table: Any) -> Any:
    from findna_bench.data.table_tasks import table_ref

    return table_ref(table)


@pytest.mark.parametrize("names", [("seq_a", "seq_b"), ("Sequence1", "Sequence2"), ("seq_1", "seq_2")])
def test_sides_have_other_spellings(names: tuple[str, str], tmp_path: Path) -> None:
    values = columns()
    renamed = {
        names[0]: values["sequence_a"],
        names[1]: [s.lower() for s in values["sequence_b"]],
        "value": list(range(40)),
    }
    task = fb.load_task(write(tmp_path / "p.csv", renamed))
    assert task.card.target == "values"
    assert task.in_order()[0].sequences_b == values["sequence_b"]


def test_a_column_of_single_sequences_makes_rows_sequences(tmp_path: Path) -> None:
    values = columns()
    task = fb.load_task(write(tmp_path / "p.csv", {"sequence": values["sequence_a"], **values}))
    assert task.card.inputs == "sequence"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sequence_b": ["", *sequences(39)]}, "row 2 (the header is row 1): the row has no sequence_b"),
        ({"sequence_a": ["NA", *sequences(39)]}, r"the row has no sequence_a ('NA' stands for a missing value)"),
        ({"sequence_b": ["ACGTJ", *sequences(39)]}, "row 2 (the header is row 1): "),
        ({"distance": ["near"] + [1] * 39}, "distance 'near' is no number of bases"),
        ({"strand": ["up"] + ["+"] * 39}, "strand 'up' is none; give +, - or nothing"),
        ({"states": ["0" * 40] * 40, "label": None}, "its rows are pairs, and per_base needs one sequence per row"),
        ({"sequence_b": None}, "a column sequence_a is one side of pairs; add sequence_b, or call it sequence"),
    ],
)
def test_what_no_pair_can_be_read_of_is_refused_in_a_sentence(
    changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    values = {name: column for name, column in {**columns(), **changed}.items() if column is not None}
    path = tmp_path / "p.csv"
    pd.DataFrame(values).to_csv(path, index=False)
    with pytest.raises(DataError) as caught:
        fb.load_task(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_without_a_side_are_dropped_on_request_and_pairs_that_say_nothing_are_counted(tmp_path: Path) -> None:
    values = columns()
    values["sequence_b"][3] = ""
    values["sequence_a"][5] = "N" * 40
    values["sequence_b"][7] = values["sequence_a"][7]
    path = tmp_path / "p.csv"
    pd.DataFrame(values).to_csv(path, index=False)
    task = fb.load_task(path, drop_missing=True)
    notes = " ".join(task.notes)
    assert sum(len(task.load(split)) for split in task.splits) == 39
    assert "1 of 40 rows are dropped, 1 without sequence_b (empty 1)" in notes
    assert "1 of 39 pairs have a side of N alone (first: row 7 (the header is row 1)); they are kept" in notes
    assert "1 of 39 pairs have the same sequence on both sides" in notes


def table(a: list[str], b: list[str], **more: Any) -> fb.SequenceTable:
    return fb.SequenceTable(a, np.arange(len(a)) % 2, np.arange(len(a)).astype(str), sequences_b=b, **more)


def test_pairs_that_share_a_side_on_either_strand_are_related_and_padding_is_not_a_side() -> None:
    s = sequences(12)
    mutated = s[4][:20] + ("A" if s[4][20] != "A" else "C") + s[4][21:]
    rows = table(
        [s[0], s[2], s[4], s[6], "N" * 40, "N" * 40], [s[1], reverse_complement(s[0]), s[5], mutated, s[8], s[9]]
    )
    assert row_groups(rows).tolist() == [0, 0, 1, 2, 3, 4]
    assert components(rows).tolist() == [0, 0, 1, 1, 2, 3]  # one base apart is a copy
    swapped = table(list(rows.sequences_b or []), rows.sequences)
    assert components(swapped).tolist() == components(rows).tolist()
    given = table(rows.sequences, list(rows.sequences_b or []), group=np.array(list("abcdef")))
    assert len(set(row_groups(given).tolist())) == 6


def test_a_split_by_relatives_keeps_pairs_of_an_element_on_one_side(tmp_path: Path) -> None:
    elements, others = sequences(200), sequences(600, seed=1)
    values = {
        "sequence_a": [elements[i // 3] for i in range(600)],
        "sequence_b": others,
        "label": [f"{(i + i // 3) % 2}" for i in range(600)],
    }
    path = write(tmp_path / "p.csv", values)
    for split in ("official", "grouped"):
        task = open_task(str(path), split=split)
        train, test = (set(task.load(name).sequences) for name in ("train", "test"))
        assert test
        assert not train & test
    digests = {open_task(str(path), split=split).data_digest for split in ("official", "grouped")}
    assert len(digests) == 2


def test_where_every_pair_is_related_it_is_said_what_to_do(tmp_path: Path) -> None:
    (hub,) = sequences(1)
    values = {"sequence_a": [hub] * 40, "sequence_b": sequences(40, seed=1), "label": ["x", "y"] * 20}
    with pytest.raises(DataError, match="pairs that share a side are related, unless a column group says otherwise"):
        fb.load_task(write(tmp_path / "p.csv", values))
    rows = table(values["sequence_a"], values["sequence_b"])
    with pytest.raises(DataError, match="or a column group"):
        draw_validation(rows, 0)
    grouped = fb.load_task(write(tmp_path / "q.csv", {**values, "group": [f"g{i}" for i in range(40)]}))
    assert grouped.splits == ("train", "test")


def test_tables_keep_both_sides(tmp_path: Path) -> None:
    a, b = sequences(6), sequences(6, length=30, seed=1)
    rows = table(a, b)
    assert rows.lengths.tolist() == [70] * 6
    assert rows.take([4, 1]).sequences_b == [b[4], b[1]]
    assert fb.SequenceTable.concatenate([rows.take([0]), rows.take([5])]).sequences_b == [b[0], b[5]]
    assert rows.side("b").sequences == b
    with pytest.raises(ValueError, match="sequences_b has 5 rows"):
        table(a, b[:5])
    with pytest.raises(ValueError, match="combination must be"):
        fb.TaskCard(name="x", suite="lab", labels=("a", "b"), inputs="pair", combination="sum")  # type: ignore[arg-type]


def test_combinations_are_of_pairs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose one of absdiff_product, concat"):
        fb.run("majority", "demo/species4", combination="sum", output_dir=tmp_path)
    (found,) = fb.run("majority", "demo/species4", combination="concat", seeds=1, output_dir=tmp_path)
    assert found.status == "skipped"
    assert (
        "--combination concat is of pairs and variants, and rows of demo/species4 are sequences" in found.error.message
    )
