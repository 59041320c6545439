"""FASTA: records, intervals, windows, and broken files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from findna_bench.errors import DataError
from findna_bench.sequences import fasta as fasta_module
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.sequences.fasta import Fasta, match_contig, plain_fasta, read_fasta, windows

CHR1 = "ACGTTGCANNACGTAGGTCCATTTGCAAGT"
TEXT = f">chr1 first\n{CHR1[:12]}\n{CHR1[12:24].lower()}\n{CHR1[24:]}\n>2\nGGRUA\n"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(params=["plain", "gzip"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "user"
    folder.mkdir()
    file = folder / ("genome.fa" if request.param == "plain" else "genome.fa.gz")
    file.write_bytes(TEXT.encode() if request.param == "plain" else gzip.compress(TEXT.encode()))
    return file


def test_intervals_on_both_strands_and_under_either_name(path: Path, cache: Path) -> None:
    with Fasta(path, cache) as fasta:
        assert fasta.lengths == {"chr1": 30, "2": 5}
        assert fasta.fetch("1", 3, 20) == CHR1[3:20]
        assert fasta.fetch("chr1", 3, 20, "-") == reverse_complement(CHR1[3:20])
        assert fasta.fetch("chr2", 0, 5) == "GGNTA"


def test_nothing_is_written_beside_the_users_file(path: Path, cache: Path) -> None:
    with Fasta(path, cache) as fasta:
        fasta.fetch("chr1", 0, 1)
    assert list(path.parent.iterdir()) == [path]
    assert not list(cache.rglob(".*"))


def test_a_gzipped_file_is_decompressed_once_under_its_digest(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.fa.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    plain = plain_fasta(path, cache)
    assert plain.read_text() == TEXT
    assert plain == cache / f"{fasta_module.content_digest(path)}.fa"
    before = plain.stat().st_mtime_ns
    assert plain_fasta(path, cache).stat().st_mtime_ns == before


def test_a_changed_file_is_indexed_again(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">a\nACGT\n")
    with Fasta(path, cache) as fasta:
        assert fasta.fetch("a", 0, 4) == "ACGT"
    path.write_text(">b\nGGGTTT\n")
    with Fasta(path, cache) as fasta:
        assert fasta.fetch("b", 0, 6) == "GGGTTT"


@pytest.mark.parametrize(
    ("contig", "start", "end", "strand", "message"),
    [
        ("chr3", 0, 1, "+", "no contig 'chr3'"),
        ("chr1", 0, 31, "+", "30 bases"),
        ("chr1", -1, 3, "+", "30 bases"),
        ("chr1", 4, 4, "+", "empty"),
        ("chr1", 1, 4, "x", "strand"),
    ],
)
def test_impossible_intervals(
    path: Path, cache: Path, contig: str, start: int, end: int, strand: str, message: str
) -> None:
    with Fasta(path, cache) as fasta, pytest.raises(DataError, match=message):
        fasta.fetch(contig, start, end, strand)


@pytest.mark.parametrize(("count", "shown"), [(1, "c0"), (5, "c0, c1, c2, c3, c4"), (6, "c0, c1, c2, c3, c4, ...")])
def test_a_contig_that_is_not_there_is_said_with_those_that_are(count: int, shown: str) -> None:
    with pytest.raises(DataError) as refused:
        match_contig("chr9", [f"c{i}" for i in range(count)], "a.fa")
    assert str(refused.value) == f"a.fa: has no contig 'chr9' (it has {shown})"


def test_records_in_turn(path: Path) -> None:
    assert list(read_fasta(path)) == [("chr1", CHR1), ("2", "GGNTA")]
    assert next(read_fasta(path, full_header=True))[0] == "chr1 first"


names = st.text("abcXY.|_:", min_size=1, max_size=6)
sequences = st.text("ACGTN", min_size=1, max_size=40)


@given(st.dictionaries(names, sequences, min_size=1, max_size=5), st.integers(1, 12), st.sampled_from(["\n", "\r\n"]))
def test_records_are_read_whatever_the_blocks_and_line_lengths(
    tmp_path_factory: pytest.TempPathFactory, records: dict[str, str], width: int, newline: str
) -> None:
    path = tmp_path_factory.mktemp("fasta") / "a.fa"
    lines = [
        line
        for name, sequence in records.items()
        for line in (f">{name} x>y", *(sequence[i : i + width] for i in range(0, len(sequence), width)))
    ]
    path.write_bytes((newline.join(lines) + newline).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fasta_module, "_BLOCK", width)
        assert dict(read_fasta(path)) == records


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"ACGT\n", "does not begin with '>'"),
        (b">a\nACGT\n>b\n>c\nAC\n", "'b' has no sequence"),
        (b">a\nACGT\n>b\n", "'b' has no sequence"),
        (b">a\nAC\n>a\nGT\n", "two records are named 'a'"),
        (b">a\nAC\n>\nGT\n", "record 2 has no name"),
        (b">a\nAC\nG@T\n", "record 'a': position 4 is '@'"),
        (gzip.compress(b">a\nACGT\n" * 9, mtime=0)[:-9], "damaged or truncated"),
    ],
)
def test_broken_files_are_named_with_their_fault(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.fa"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        list(read_fasta(path))
    assert str(path) in str(error.value)


def test_a_sign_within_a_line_begins_no_record_even_at_the_edge_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">a\nAC>T\n")
    monkeypatch.setattr(fasta_module, "_BLOCK", 5)
    with pytest.raises(DataError, match="record 'a': position 3 is '>'"):
        list(read_fasta(path))


@pytest.mark.parametrize(
    "content",
    [b"", b"ACGT\n", b">a\nACGTACGT\nAC\nACGTACGT\n", b">a\nAC\n>a\nGT\n", b">a\n>b\nAC\n"],
    ids=["empty", "no record", "unequal lines", "two of one name", "no sequence"],
)
def test_files_that_cannot_be_indexed_are_refused(tmp_path: Path, cache: Path, content: bytes) -> None:
    path = tmp_path / "broken.fa"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.fa"):
        Fasta(path, cache)


def test_windows_side_by_side_and_overlapping(path: Path, cache: Path) -> None:
    with Fasta(path, cache) as fasta:
        assert [(w.contig, w.start) for w in windows(fasta, 5)] == [("chr1", s) for s in range(0, 30, 5)] + [("2", 0)]
        few_n = list(windows(fasta, 10, stride=1, max_n_frac=0.1, contigs=["1"]))
        assert [w.start for w in few_n] == [s for s in range(21) if CHR1[s : s + 10].count("N") <= 1]
        assert all(w.sequence == CHR1[w.start : w.end] for w in few_n)


def test_random_windows_are_seeded_and_keep_the_limit_on_n(path: Path, cache: Path) -> None:
    with Fasta(path, cache) as fasta:
        drawn = list(windows(fasta, 6, n=50, generator=np.random.default_rng(1), max_n_frac=0.0))
        again = list(windows(fasta, 6, n=50, generator=np.random.default_rng(1), max_n_frac=0.0))
        assert drawn == again
        assert len(drawn) == 50
        assert all("N" not in w.sequence and w.sequence == CHR1[w.start : w.end] for w in drawn)
        of_both = list(windows(fasta, 4, n=60, generator=np.random.default_rng(1)))
        contigs = {"chr1": CHR1, "2": "GGNTA"}
        assert all(w.sequence == contigs[w.contig][w.start : w.end] and len(w.sequence) == 4 for w in of_both)
        assert {w.start for w in of_both if w.contig == "2"} == {0, 1}
        assert {w.start for w in of_both if w.contig == "chr1"} >= {0, 26}
        with pytest.raises(DataError, match="no contig has 31 bases"):
            list(windows(fasta, 31))


@pytest.mark.shared
def test_real_files(shared: Path, cache: Path) -> None:
    good = {name: len(s) for name, s in read_fasta(shared / "data/small_genomes/ecoli_536_NC_008253.fna.gz")}
    assert good == {"gi|110640213|ref|NC_008253.1|": 4938920}
    with pytest.raises(DataError, match=r"pangolin_test_seqs\.fasta, record 'b117': position 1 is '-'"):
        list(read_fasta(shared / "data/sars_cov_2/pangolin_test_seqs.fasta"))


def test_a_truncated_gzip_leaves_no_half_file_in_the_cache(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "half.fa.gz"
    path.write_bytes(gzip.compress(random_text().encode())[:-2000])
    with pytest.raises(DataError, match=r"half\.fa\.gz is damaged or truncated"):
        Fasta(path, cache)
    assert not [file for file in cache.iterdir() if file.is_file()]


def random_text() -> str:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[np.random.default_rng(0).integers(4, size=200_000)]
    return f">a\n{letters.tobytes().decode()}\n"
