"""Rows without sequence or label: refused with the option's name; with it left out, counted, and part of the identity."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_user_files import alternating, letters

import findna_bench as fb
from findna_bench.cli import main
from findna_bench.errors import DataError

Rows = list[tuple[Any, Any]]


def rows(missing: Any = "NA", n: int = 40) -> Rows:
    """Two classes; row 10 has no label, row 13 no sequence, row 20 neither."""
    found: Rows = list(zip(letters(n=n), alternating("no", "yes", n=n), strict=True))
    found[10] = (found[10][0], missing)
    found[13] = (missing, found[13][1])
    found[20] = (missing, missing)
    return found


def as_text(separator: str) -> Callable[[Path, Rows], Path]:
    def write(folder: Path, held: Rows) -> Path:
        path = folder / f"x.{'tsv' if separator == chr(9) else 'csv'}"
        lines = [separator.join(("sequence", "label")), *(separator.join(map(str, row)) for row in held)]
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def as_parquet(folder: Path, held: Rows) -> Path:
    pd.DataFrame(held, columns=["sequence", "label"]).to_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def as_lines(folder: Path, held: Rows) -> Path:
    text = "\n".join(json.dumps({"sequence": sequence, "label": label}) for sequence, label in held)
    (folder / "x.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return folder / "x.jsonl.gz"


def as_folder(folder: Path, held: Rows) -> Path:
    (folder / "set").mkdir()
    as_text(",")(folder / "set", held).rename(folder / "set" / "train.csv")
    return folder / "set"


def as_fasta(folder: Path, held: Rows) -> Path:
    (folder / "set").mkdir()
    text = "".join(f">r{i}|{label}\n{sequence}\n" for i, (sequence, label) in enumerate(held))
    (folder / "set" / "train.fa").write_text(text)
    return folder / "set"


WRITERS = {
    "csv": as_text(","), "tsv": as_text("\t"), "parquet": as_parquet, "jsonl.gz": as_lines, "folder": as_folder,
    "fasta": as_fasta,
}  # fmt: skip


@pytest.mark.parametrize("missing", ["NA", ""])
@pytest.mark.parametrize("form", WRITERS)
def test_missing_rows_are_dropped_and_counted_in_every_format(tmp_path: Path, form: str, missing: str) -> None:
    path = WRITERS[form](tmp_path, rows(missing))
    with pytest.raises(DataError, match=r"(has no label|is empty).*leave out all 3 such rows with --drop-missing"):
        fb.load_task(path)
    task = fb.load_task(path, drop_missing=True)
    table, _ = task.in_order()
    kept = [i for i in range(40) if i not in (10, 13, 20)]
    assert table.sequences == [letters()[i] for i in kept]
    assert table.labels.tolist() == [i % 2 for i in kept]
    shown = "'NA' 2" if missing else "empty 2"
    assert any(f"3 of 40 rows are dropped, 2 without sequence ({shown}) and 2 without label" in n for n in task.notes)
    if form != "fasta":
        assert table.ids.tolist() == [str(i) for i in kept]  # rows keep the numbers that they have in the file


@pytest.mark.parametrize("missing", [None, float("nan")])
@pytest.mark.parametrize("form", ["parquet", "jsonl.gz"])
def test_what_a_format_calls_missing_is_missing(tmp_path: Path, form: str, missing: Any) -> None:
    path = WRITERS[form](tmp_path, rows(missing))
    assert len(fb.load_task(path, drop_missing=True).in_order()[0]) == 37


def test_a_class_named_like_a_missing_value_is_refused_and_never_dropped_unsaid(tmp_path: Path) -> None:
    held = list(zip(letters(), alternating("None", "some"), strict=True))
    path = as_text(",")(tmp_path, held)
    with pytest.raises(DataError, match=r"'None' stands for a missing value; rename a class of this name"):
        fb.load_task(path)
    with pytest.raises(DataError, match="all rows have label 'some'"):
        fb.load_task(path, drop_missing=True)


def test_a_file_of_missing_values_is_no_data(tmp_path: Path) -> None:
    path = as_text(",")(tmp_path, [(sequence, "NA") for sequence in letters()])
    with pytest.raises(DataError, match="all 40 rows lack a label"):
        fb.load_task(path, drop_missing=True)


def test_run_plan_audit_and_verify_follow_the_option(tmp_path: Path, bench: Callable[..., Answer]) -> None:
    path, results = as_text(",")(tmp_path, rows()), tmp_path / "r"
    asked = ["-m", "majority", "-t", str(path), "--seeds", "1", "-o", str(results)]
    failed = bench("run", *asked)
    assert failed.code == 1
    assert "--drop-missing" in failed.out
    found = bench("run", *asked, "--drop-missing")
    assert found.code == 0
    assert found.out.count("3 of 40 rows are dropped") == 1
    (held,) = (json.loads(file.read_text()) for file in results.glob("majority/**/*.json"))
    assert held["request"]["options"]["drop_missing"] is True
    assert bench("plan", *asked, "--drop-missing").out.count("1 finished") == 1
    assert "3 of 40 rows are dropped" in bench("audit", str(path), "--drop-missing").out
    assert "--drop-missing" in bench("audit", str(path)).out
    there = bench("verify", str(results), "--map", f"x.csv={path}", "--rerun", "1")
    assert there.code == 0, there.out


def test_profile_reads_what_it_is_told(tmp_path: Path, bench: Callable[..., Answer]) -> None:
    path = as_text(",")(tmp_path, rows())
    assert "--drop-missing" in bench("profile", "-m", "findna-tiny", "-t", str(path), "--lengths", "30").out


def test_where_it_is_not_used_the_option_changes_no_identity(tmp_path: Path) -> None:
    path = as_text(",")(tmp_path, list(zip(letters(), alternating("no", "yes"), strict=True)))
    (plain,) = fb.run("majority", [path], seeds=1, output_dir=tmp_path / "a")
    (used,) = fb.run("majority", [path], seeds=1, output_dir=tmp_path / "a", drop_missing=True)
    assert "drop_missing" not in plain.hashed.config  # type: ignore[operator]
    assert used.hashed.config["drop_missing"] is True  # type: ignore[index]
    assert plain.task.data_digest == used.task.data_digest
    assert plain.identity != used.identity


@dataclass(frozen=True)
class Answer:
    code: int
    out: str


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs the command line in this process: exit code, and all that it prints in one line."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["findna-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capfd.readouterr()
        return Answer(int(left.value.code or 0), " ".join((said.out + said.err).split()))

    return call


def test_missing_numbers_are_dropped_as_classes_are(tmp_path: Path) -> None:
    held = [(sequence, f"{i / 7:.3f}") for i, (sequence, _) in enumerate(rows())]
    held[5] = (held[5][0], "NaN")
    path = as_text(",")(tmp_path, held)
    path.write_text(path.read_text().replace("sequence,label", "sequence,value"))
    with pytest.raises(
        DataError, match=r"row 7 .*has no value \('NaN' stands for .*all 3 such rows with --drop-missing"
    ):
        fb.load_task(path)
    table, _ = fb.load_task(path, drop_missing=True).in_order()
    assert table.labels[:, 0].tolist() == [float(value) for i, (_, value) in enumerate(held) if i not in (5, 13, 20)]
