"""Small files that hold much: refused before memory or the disk is full, in one sentence, whatever reads them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import socket
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.data.archives import open_tree
from findna_bench.errors import BenchError, DataError, OutputError
from findna_bench.models.precomputed import PrecomputedFeatures
from findna_bench.results.bundle import read_bundle
from findna_bench.sequences.fasta import Fasta
from findna_bench.sequences.genome import read_bed
from findna_bench.unpacking import FREE_BYTES, MAX_UNPACKED

ZEROS = FREE_BYTES + (4 << 20)
HEAD = b"sequence,label\n"
BEDS = b"chr1\t1\t2\n"


def bomb(compress: Callable[[bytes], bytes], head: bytes = HEAD, row: bytes = b"A" * 999 + b",0\n") -> bytes:
    return compress(head + row * (ZEROS // len(row)))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_tables_that_unpack_to_too_much(tmp_path: Path, compress: Callable[[bytes], bytes], suffix: str) -> None:
    path = tmp_path / f"x.{suffix}.gz"
    row = b"A" * 999 + b",0\n" if suffix != "jsonl" else b'{"sequence": "' + b"A" * 999 + b'", "label": 0}\n'
    head = HEAD if suffix != "jsonl" else b""
    if suffix == "tsv":
        head, row = head.replace(b",", b"\t"), row.replace(b",", b"\t")
    path.write_bytes(bomb(compress, head, row))
    with pytest.raises(DataError, match=r"would unpack to .* or more from .*FINDNA_BENCH_MAX_UNPACKED"):
        fb.load_task(path)


def test_fasta_and_bed_that_unpack_to_too_much(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in "ab":
        (tmp_path / "set" / f"{name}.fa.gz").write_bytes(bomb(gzip.compress, b">x\n", b"A" * 80 + b"\n"))
    (tmp_path / "x.bed.gz").write_bytes(bomb(gzip.compress, b"", BEDS))
    opened = [
        lambda: fb.load_task(tmp_path / "set"),
        lambda: list(fb.read_fasta(tmp_path / "set" / "a.fa.gz")),
        lambda: Fasta(tmp_path / "set" / "a.fa.gz", tmp_path / "cache"),
        lambda: read_bed(tmp_path / "x.bed.gz"),
    ]
    for call in opened:
        with pytest.raises(DataError, match="would unpack to"):
            call()
    assert not list((tmp_path / "cache").glob("*.fa"))  # nothing of it stays


def test_the_limit_can_be_raised_and_lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = "".join(np.random.default_rng(0).choice(list("ACGT"), 40))
    rows = "".join(f"{row[i:]}{row[:i]},{i % 2}\n" for i in range(40))
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(HEAD + rows.encode()))
    (tmp_path / "x.csv").write_bytes(HEAD + rows.encode())
    for name in ("x.csv", "x.csv.gz"):
        monkeypatch.setenv(MAX_UNPACKED, "1KB")
        with pytest.raises(DataError, match="FINDNA_BENCH_MAX_UNPACKED"):
            fb.load_task(tmp_path / name)
        for enough in ("10KB", "none"):
            monkeypatch.setenv(MAX_UNPACKED, enough)
            assert fb.load_task(tmp_path / name).counts
    monkeypatch.setenv(MAX_UNPACKED, "much")
    with pytest.raises(BenchError, match="write a size such as 500MB"):
        fb.load_task(tmp_path / "x.csv")


def test_a_dense_file_is_read_where_the_user_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b">x\n" + (b"A" * 80 + b"\n") * (ZEROS // 81)
    (tmp_path / "x.fa.gz").write_bytes(gzip.compress(content))
    monkeypatch.setenv(MAX_UNPACKED, "1GB")
    ((name, sequence),) = fb.read_fasta(tmp_path / "x.fa.gz")
    assert (name, len(sequence)) == ("x", ZEROS // 81 * 80)


def pax_tar(path: Path, size: int) -> Path:
    """A tar.gz whose extended header says that it is ``size`` bytes long."""
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, size
    with gzip.open(path, "wb") as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT))
        out.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("size", [6 << 30, 64 << 20])
def test_a_header_of_gigabytes_is_not_read(tmp_path: Path, size: int) -> None:
    path = pax_tar(tmp_path / "x.tar.gz", size)
    with pytest.raises(DataError, match=r"claims a header of"), open_tree(path):
        pass
    with pytest.raises(OutputError, match=r"cannot be read as a bundle .*claims a header of"):
        read_bundle(path, tmp_path / "out")


def test_tars_are_read_whatever_packed_them(tmp_path: Path) -> None:
    for suffix, mode in (("tar", "w"), ("tar.gz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")):
        with tarfile.open(tmp_path / f"x.{suffix}", mode) as archive:
            for name, content in (("a.txt", b"A" * 5000), ("b/empty.txt", b""), ("b/c.txt", b"C" * 1024)):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        with open_tree(tmp_path / f"x.{suffix}") as tree:
            assert {n: len(tree.open(n).read()) for n in tree.files} == {
                "a.txt": 5000,
                "b/c.txt": 1024,
                "b/empty.txt": 0,
            }


def test_folders_and_archives_hold_the_same_files_and_nothing_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    for name in ("a.txt", "b/c.txt", "b/d/e.txt", ".hidden", "b/.hidden", ".git/config", "__MACOSX/a.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    shutil.make_archive(str(tmp_path / "x"), "zip", folder)
    shutil.make_archive(str(tmp_path / "x"), "gztar", folder)
    for path in (folder, tmp_path / "x.zip", tmp_path / "x.tar.gz"):
        with open_tree(path) as tree:
            assert {name: tree.open(name).read().decode() for name in tree.files} == {
                name: name for name in ("a.txt", "b/c.txt", "b/d/e.txt")
            }, path.name


def npy_header(shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize("shape", [(10**12, 8), (10**7, 10**3), (2**62, 4), (64, -8), (10**30, 10**30)])
def test_vectors_of_a_false_shape_are_not_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    (tmp_path / "v.npy").write_bytes(npy_header(shape) + bytes(400))
    with zipfile.ZipFile(tmp_path / "v.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", npy_header(shape) + bytes(400))
        archive.writestr("ids.npy", npy_header((100,)) + bytes(400))
    for name in ("v.npy", "v.npz"):
        with pytest.raises(DataError, match="cannot be read as a plain array file"):
            PrecomputedFeatures(tmp_path / name)


def test_vectors_that_unpack_to_too_much(tmp_path: Path) -> None:
    rows = ZEROS // 4000
    with zipfile.ZipFile(tmp_path / "v.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", npy_header((rows, 1000)) + bytes(rows * 4000))
        archive.writestr("ids.npy", npy_header((rows,)) + bytes(rows * 4))
    with pytest.raises(DataError, match="would unpack to"):
        PrecomputedFeatures(tmp_path / "v.npz")


@pytest.mark.parametrize("stored", ["dictionary", "text"])
def test_a_parquet_file_of_one_value_is_not_unrolled(
    tmp_path: Path, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.array(np.zeros(20_000, dtype=np.int32))
    column = pa.DictionaryArray.from_arrays(column, pa.array(["A" * 20_000]))
    table = pa.table({"sequence": column if stored == "dictionary" else column.cast(pa.string())})
    pq.write_table(table, tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < 1 << 20
    monkeypatch.setenv(MAX_UNPACKED, "100MB")
    with pytest.raises(DataError, match=r"is read into memory as a whole"):
        fb.load_task(tmp_path / "x.parquet")


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "absent", "forbidden"])
def test_what_is_no_file_is_said_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    paths = {suffix: tmp_path / f"x.{suffix}" for suffix in ("fa", "bed", "csv", "npy", "tar.gz", "jsonl")}
    sockets = []
    for path in paths.values():
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            here = socket.socket(socket.AF_UNIX)
            here.bind(str(path)[-100:] if len(str(path)) < 100 else os.path.relpath(path))
            sockets.append(here)
        elif kind == "folder":
            path.mkdir()
        elif kind == "forbidden":
            path.write_text("x")
            path.chmod(0)
    if kind == "forbidden" and os.geteuid() == 0:
        pytest.skip("root may read anything")
    calls = [
        lambda: list(fb.read_fasta(paths["fa"])),
        lambda: Fasta(paths["fa"], tmp_path / "cache"),
        lambda: read_bed(paths["bed"]),
        lambda: fb.load_task(paths["csv"]),
        lambda: fb.load_task(paths["jsonl"]),
        lambda: PrecomputedFeatures(paths["npy"]),
        lambda: read_bundle(paths["tar.gz"], tmp_path / "out"),
    ]
    for call in calls:
        with pytest.raises(BenchError) as found:
            call()
        assert "\n" not in str(found.value)
    for here in sockets:
        here.close()
