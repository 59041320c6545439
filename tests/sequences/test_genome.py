"""The packed genome gives back what went in, and random windows keep their conditions."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from findna_bench.errors import DataError
from findna_bench.sequences.alphabet import decode
from findna_bench.sequences.genome import Genome, Interval, content_digest, read_bed


def write(path: Path, records: dict[str, str]) -> Path:
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in records.items()))
    return path


def random_dna(seed: int, length: int, n: slice | None = None) -> str:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[np.random.default_rng(seed).integers(4, size=length)].copy()
    if n is not None:
        letters[n] = ord("N")
    return letters.tobytes().decode()


RECORDS = {"chr1": random_dna(1, 5000, slice(1000, 2000)), "chr2": random_dna(2, 503), "tiny": "ACG"}


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    return Genome.open(write(tmp_path / "g.fa", RECORDS), tmp_path / "cache")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text("ACGTN", min_size=1, max_size=60), min_size=1, max_size=4),
    st.integers(1, 60),
    st.integers(0, 2**32 - 1),
)
def test_every_window_is_the_sequence_at_its_place(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[str], length: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("genome")
    records = {f"c{i}": sequence for i, sequence in enumerate(sequences)}
    genome = Genome.open(write(folder / "g.fa", records), folder / "cache")
    assert [decode(genome.fetch(name, 0, len(s))) for name, s in records.items()] == sequences
    if length > max(map(len, sequences)):
        return
    codes, manifest = genome.sample(20, length, np.random.default_rng(seed), unique=False)
    for row, contig, start in zip(codes, manifest.contig, manifest.start, strict=True):
        expected = sequences[contig][start : start + length]
        assert decode(row) == expected


def test_conditions_on_windows_hold(genome: Genome) -> None:
    exclude = [Interval("1", 3000, 3500), Interval("elsewhere", 0, 10)]
    regions = [Interval("chr1", 500, 4200), Interval("2", 0, 503)]
    manifest = genome.draw(
        800, 40, np.random.default_rng(3), max_n_frac=0.25, regions=regions, exclude=exclude, sampling="length-weighted"
    )
    assert len({(c, s) for c, s in zip(manifest.contig, manifest.start, strict=True)}) == 800
    assert ((genome.codes(manifest) == 4).sum(axis=1) <= 10).all()
    in_first = manifest.contig == 0
    start, end = manifest.start[in_first], manifest.start[in_first] + 40
    assert start.min() >= 500
    assert end.max() <= 4200
    assert ((end <= 3000) | (start >= 3500)).all()


def test_all_allowed_places_are_drawn_and_no_more_are_promised(genome: Genome) -> None:
    regions = [Interval("chr2", 10, 60), Interval("chr2", 55, 70)]  # one stretch of 60 bases once merged
    places = {int(s) for s in genome.draw(41, 20, np.random.default_rng(0), regions=regions).start}
    assert places == set(range(10, 51))
    with pytest.raises(DataError, match="41 places"):
        genome.draw(42, 20, np.random.default_rng(0), regions=regions)


def test_chromosomes_are_drawn_uniformly_or_by_length(genome: Genome) -> None:
    n = 4000
    uniform = genome.draw(n, 3, np.random.default_rng(5), unique=False)
    np.testing.assert_allclose(np.bincount(uniform.contig) / n, [1 / 3] * 3, atol=0.03)
    weighted = genome.draw(n, 3, np.random.default_rng(5), unique=False, sampling="length-weighted")
    np.testing.assert_allclose(
        np.bincount(weighted.contig, minlength=3) / n, [4998 / 5500, 501 / 5500, 1 / 5500], atol=0.02
    )


def test_a_seed_gives_the_same_windows_and_the_manifest_says_which(genome: Genome, tmp_path: Path) -> None:
    first, second = (genome.draw(30, 100, np.random.default_rng(8)) for _ in range(2))
    assert first.digest() == second.digest()
    assert first.digest() != genome.draw(30, 100, np.random.default_rng(9)).digest()
    first.write(tmp_path / "windows.bed")
    written = read_bed(tmp_path / "windows.bed")
    assert [(w.contig, w.start, w.end) for w in written] == [
        (first.contigs[c], s, s + 100) for c, s in zip(first.contig, first.start, strict=True)
    ]


def test_the_cache_is_keyed_by_content(tmp_path: Path) -> None:
    one = Genome.open(write(tmp_path / "a.fa", {"a": "ACGT"}), tmp_path / "cache")
    same = Genome.open(write(tmp_path / "b.fa", {"a": "ACGT"}), tmp_path / "cache")
    other = Genome.open(write(tmp_path / "c.fa", {"a": "ACGA"}), tmp_path / "cache")
    assert one.digest == same.digest != other.digest
    assert len(list((tmp_path / "cache").glob("*.genome"))) == 2
    both = Genome.open([tmp_path / "a.fa", write(tmp_path / "d.fa", {"d": "NNA"})], tmp_path / "cache")
    assert both.contigs == ("a", "d")
    assert not list((tmp_path / "cache").glob(".*"))


def test_genomes_that_cannot_be_packed_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="record 'a': position 4 is '!'"):
        Genome.open(write(tmp_path / "a.fa", {"a": "ACG!"}), tmp_path / "cache")
    with pytest.raises(DataError, match="two records are named 'a'"):
        Genome.open([write(tmp_path / "b.fa", {"a": "AC"}), write(tmp_path / "c.fa", {"a": "GT"})], tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*genome*"))
    assert not list((tmp_path / "cache").glob(".*"))


def test_impossible_wishes_are_refused(genome: Genome) -> None:
    with pytest.raises(DataError, match="no place"):
        genome.draw(1, 6000, np.random.default_rng(0))
    with pytest.raises(DataError, match="allow more N"):
        genome.draw(1, 50, np.random.default_rng(0), regions=[Interval("chr1", 1000, 2000)], max_n_frac=0.1)
    with pytest.raises(DataError, match="regions: none of its contigs"):
        genome.draw(1, 50, np.random.default_rng(0), regions=[Interval("chrZ", 1000, 2000)])


@pytest.mark.parametrize("line", ["chr1\t5", "chr1\tx\t9", "chr1\t9\t9"])
def test_lines_that_are_no_interval_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.bed"
    path.write_text(f"# comment\nchr1\t0\t5\textra\n{line}\n")
    with pytest.raises(DataError, match=r"a\.bed, line 3"):
        read_bed(path)


def test_the_digest_is_that_of_the_bases_of_each_file(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.fa", {"chr1": "ACGT"}), write(tmp_path / "two.fa", {"chr2": "GGCC"})
    cache = tmp_path / "cache"
    digests = [content_digest(path, cache) for path in (one, two)]
    assert [Genome.open(path, cache).digest for path in (one, two)] == digests
    both = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    assert Genome.open([one, two], cache).digest == both
