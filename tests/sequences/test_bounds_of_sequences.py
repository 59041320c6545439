"""Sequences at their bounds: every letter, every edge of a window, and each sentence in full."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from findna_bench.errors import DataError
from findna_bench.sequences.alphabet import (
    decode,
    encode,
    encode_padded,
    normalise,
    normalise_all,
    one_hot,
    reverse_complement,
    reverse_complement_codes,
)
from findna_bench.sequences.batches import length_batches
from findna_bench.sequences.fasta import (
    Fasta,
    content_digest,
    match_contig,
    plain_fasta,
    read_blocks,
    read_fasta,
    windows,
)
from findna_bench.sequences.genome import Genome, Interval, WindowManifest, read_bed
from findna_bench.sequences.letter_case import case_features, lower_case, lower_share
from findna_bench.sequences.positions import at_places, position_features
from findna_bench.sequences.reference_samples import reference_sample, sampled_species
from findna_bench.sequences.shuffling import dinucleotide_shuffle


def refusal(call: Callable[[], object], kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# -------------------------------------------------------------------------------------------------------- alphabet


def test_every_letter_has_its_code_and_its_complement() -> None:
    letters, normal, codes, complements = (
        "ACGTUNRYSWKMBDHV",
        "ACGTT" + "N" * 11,
        [0, 1, 2, 3, 3] + [4] * 11,
        "TGCAANYRSWMKVHDB",
    )
    for letter, plain, code, complement in zip(letters, normal, codes, complements, strict=True):
        for text, other in ((letter, complement), (letter.lower(), complement.lower())):
            assert normalise(text) == plain
            assert encode([text])[0].tolist() == [code]
            assert reverse_complement(text) == other
    for bad in map(chr, [*range(128), 228]):
        if bad.upper() not in letters:
            for call in (
                lambda bad=bad: normalise(f"AC{bad}"),
                lambda bad=bad: encode([f"AC{bad}"]),
                lambda bad=bad: reverse_complement(f"AC{bad}"),
            ):
                assert "position 3 is " in refusal(call)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x: the sequence is empty; give at least one base, or remove the row"),
        ("AC!", "x: position 3 is '!', which is not a DNA letter; allowed are A, C, G, T, U, N and the other IUPAC letters (read as N)"),
        ("A C", "x: position 2 is a space, which is not a DNA letter; allowed are A, C, G, T, U, N and the other IUPAC letters (read as N)"),
        ("\nC", "x: position 1 is a line break, which is not a DNA letter; allowed are A, C, G, T, U, N and the other IUPAC letters (read as N)"),
        ("ACé", "x: position 3 is 'é', which is not a DNA letter; allowed are A, C, G, T, U, N and the other IUPAC letters (read as N)"),
        ("A-", "x: position 2 is '-', which is not a DNA letter; allowed are A, C, G, T, U, N and the other IUPAC letters (read as N)"),
    ],
)  # fmt: skip
def test_what_is_no_sequence_is_said_with_its_place(text: str, message: str) -> None:
    assert refusal(lambda: normalise(text, "x")) == message
    assert refusal(lambda: normalise(text)) == message.replace("x:", "sequence:", 1)
    assert refusal(lambda: normalise_all(["AC", text, "!"], "row {}".format)) == message.replace("x:", "row 1:", 1)
    if text:
        assert refusal(lambda: encode(["AC", "", text, "!"])) == message.replace("x:", "sequence 2:", 1)


@pytest.mark.parametrize("sizes", [[1 << 18, 5], [(1 << 18) - 1, 1, 7], [5, 1 << 18, 3], [(1 << 18) + 1], [3, 4], []])
def test_many_sequences_are_read_as_one_by_one(sizes: list[int]) -> None:
    rng = np.random.default_rng(1)
    texts = ["".join(np.array(list("ACGTNacgu"))[rng.integers(0, 9, size)]) for size in sizes]
    assert normalise_all(texts) == [normalise(text) for text in texts]
    codes, offsets = encode(texts)
    assert offsets.tolist() == np.concatenate([[0], np.cumsum(sizes)]).astype(int).tolist()
    assert "".join(decode(codes[a:b]) for a, b in pairwise(offsets.tolist())) == "".join(map(normalise, texts))
    if sizes:
        broken = [*texts[:-1], texts[-1][:-1] + "!"]
        assert refusal(lambda: normalise_all(broken)).startswith(
            f"sequence {len(sizes) - 1}: position {sizes[-1]} is '!'"
        )
        assert refusal(lambda: encode(broken)).startswith(f"sequence {len(sizes) - 1}: position {sizes[-1]} is '!'")


def test_batches_are_padded_at_the_right() -> None:
    assert encode_padded(["ACG", "T", ""]).tolist() == [[0, 1, 2], [3, 4, 4], [4, 4, 4]]
    assert encode_padded(["AC", "GT"]).tolist() == [[0, 1], [2, 3]]
    assert encode_padded(["AC"], 3, pad=9).tolist() == [[0, 1, 9]]
    assert encode_padded(["AC"], 2).tolist() == [[0, 1]]
    assert encode_padded([]).shape == (0, 0)
    assert encode_padded([], 3).shape == (0, 3)
    assert (
        refusal(lambda: encode_padded(["A", "ACG"], 2), ValueError)
        == "a sequence has 3 bases, more than the 2 asked for; cut it first"
    )


def test_codes_are_letters_or_refused() -> None:
    assert decode(np.array([0, 1, 2, 3, 4])) == "ACGTN"
    assert decode(np.array([], dtype=np.uint8)) == ""
    assert refusal(lambda: decode(np.array([0, 5])), ValueError) == "codes must be 0 to 4, not 5"
    assert refusal(lambda: decode(np.array([-1, 0])), ValueError) == "codes must be 0 to 4, not 0"
    assert refusal(lambda: decode(np.zeros((2, 2))), ValueError) == "codes must be one-dimensional, not of shape (2, 2)"


@pytest.mark.parametrize("lengths", [None, [5, 3, 0]])
def test_rows_are_turned_within_their_lengths_in_arrays_and_tensors(lengths: list[int] | None) -> None:
    rows = [[0, 1, 2, 3, 4], [0, 0, 1, 4, 4], [4, 4, 5, 4, 7]]
    wanted = []
    for row, n in zip(rows, lengths or [5] * 3, strict=True):
        turned = [3 - c if c < 4 else c for c in reversed(row[:n])]
        wanted.append(turned + [3 - c if c < 4 else c for c in row[n:]])
    array = reverse_complement_codes(np.array(rows), None if lengths is None else np.array(lengths))
    tensor = reverse_complement_codes(torch.tensor(rows), None if lengths is None else torch.tensor(lengths))
    assert array.tolist() == tensor.tolist() == wanted


def test_one_hot_rows_are_zero_where_masked_or_beyond_the_alphabet() -> None:
    codes, mask = torch.tensor([[0, 3, 4, 5]], dtype=torch.uint8), torch.tensor([[True, False, True, True]])
    plain = one_hot(codes)
    assert plain.dtype == torch.float32
    assert plain.tolist() == [[[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]]
    assert one_hot(codes, mask=mask, dtype=torch.float64).tolist() == [
        [[1, 0, 0, 0, 0], [0] * 5, [0, 0, 0, 0, 1], [0] * 5]
    ]
    rows = torch.tensor([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1.0]])
    assert one_hot(rows) is rows
    assert one_hot(rows, mask=torch.tensor([True, False])).tolist() == [[0.5, 0.5, 0, 0, 0], [0] * 5]
    assert one_hot(rows, dtype=torch.float64).dtype == torch.float64


# --------------------------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize(
    ("lengths", "options", "batches"),
    [
        ([3, 1, 2, 2], {"batch_size": 2}, [[1, 2], [3, 0]]),
        ([3, 1, 2, 2], {"max_tokens": 4}, [[1, 2], [3], [0]]),
        ([3, 1, 2, 2], {"max_tokens": 6}, [[1, 2, 3], [0]]),
        ([3, 1, 2, 2], {"max_tokens": 5}, [[1, 2], [3], [0]]),
        ([3, 1, 2, 2], {"max_tokens": 12}, [[1, 2, 3, 0]]),
        ([3, 1, 2, 2], {"max_tokens": 12, "batch_size": 3}, [[1, 2, 3], [0]]),
        ([9, 1, 1], {"max_tokens": 2}, [[1, 2], [0]]),
        ([0, 0, 0], {"max_tokens": 2}, [[0, 1], [2]]),
        ([3, 2, 1], {"max_tokens": 2, "n_tokens": [1, 1, 1]}, [[2, 1], [0]]),
        ([], {"max_tokens": 2}, []),
    ],
)
def test_rows_of_like_length_share_a_batch(
    lengths: list[int], options: dict[str, Any], batches: list[list[int]]
) -> None:
    assert [batch.tolist() for batch in length_batches(lengths, **options)] == batches


def test_batches_need_a_limit_and_lengths_that_fit() -> None:
    assert refusal(lambda: length_batches([1]), ValueError) == "give max_tokens, batch_size or both"
    for options in ({"max_tokens": 0}, {"batch_size": 0}, {"max_tokens": 5, "batch_size": 0}):
        assert (
            refusal(lambda options=options: length_batches([1], **options), ValueError)
            == "max_tokens and batch_size must be at least 1"
        )  # type: ignore[misc]
    said = "lengths has shape (1,) and n_tokens (2,); both must be (n,)"
    assert refusal(lambda: length_batches([1], max_tokens=1, n_tokens=[1, 2]), ValueError) == said
    assert "shape (1, 1)" in refusal(lambda: length_batches(np.ones((1, 1)), max_tokens=1), ValueError)


# ---------------------------------------------------------------------------------------- case, places and samples


def test_lower_case_is_told_letter_by_letter() -> None:
    texts = ["ACGT", "acgtACGTa", "", "aa", "A" * 40 + "c" * 24]
    marks = lower_case(texts)
    assert marks is not None
    lengths = np.array([len(text) for text in texts])
    own = [[letter.islower() for letter in text] for text in texts]
    assert lower_share(marks, lengths).tolist() == [sum(row) / max(len(row), 1) for row in own]
    features = case_features(marks, lengths)
    assert features.shape == (5, 28)
    for row, flags in enumerate(own):
        n = len(flags)
        wanted = [0.0] * 28
        if any(flags):
            for k in range(16):
                part = flags[k * n // 16 : (k + 1) * n // 16]
                wanted[k] = sum(part) / max(len(part), 1)
            wanted[16 : 16 + min(6, n)] = map(float, flags[:6])
            wanted[28 - min(6, n) :] = map(float, flags[-6:])
        assert features[row].tolist() == wanted
    assert lower_case(["AC", "GT"]) is None


@pytest.mark.parametrize("anchor", ["start", "end", "centre"])
def test_places_are_counted_from_either_end_or_the_middle(anchor: Any) -> None:
    texts, places = ["ACGTN", "AC", "G", ""], np.arange(-3, 4)
    found = at_places(encode(texts), anchor, places)
    for row, text in enumerate(texts):
        zero = {"start": 0, "end": len(text), "centre": len(text) // 2}[anchor]
        wanted = ["ACGTN".index(text[zero + p]) if 0 <= zero + p < len(text) else 5 for p in places.tolist()]
        assert found[row].tolist() == wanted
    assert at_places(encode(["", ""]), anchor, places).tolist() == [[5] * 7] * 2


def test_bases_by_place_are_a_column_each() -> None:
    texts = ["ACGT", "TN", "G"]
    whole = position_features(texts, 1, whole=3).toarray()
    ends = position_features(texts, 2).toarray()

    def columns(letters: list[str]) -> list[float]:
        return [float(letter == base) for letter in letters for base in "ACGTN"]

    assert whole.tolist() == [columns(list("ACG")), columns(["T", "N", "-"]), columns(["G", "-", "-"])]
    assert ends.tolist() == [columns(list("ACGT")), columns(list("TNTN")), columns(["G", "-", "-", "G"])]
    assert whole.dtype == np.float32


def test_each_species_has_a_sample_of_windows_of_one_length() -> None:
    assert sampled_species()[0] == "human"
    assert reference_sample("unicorn") is None
    for name in sampled_species():
        sample = reference_sample(name)
        assert sample is not None
        assert len({len(window) for window in sample.sequences}) == 1
        assert set("".join(sample.sequences)) == set("ACGT")
        assert sample.words == f"{name} sequence, {len(sample.sequences)} windows of {sample.assembly} {sample.contig}"


def test_what_can_be_shuffled_in_one_way_stays() -> None:
    for text in ("A", "AC", "ACG", "AAAA", "ACGT"):
        assert dinucleotide_shuffle(text, np.random.default_rng(0)) == text
    found = {dinucleotide_shuffle("ACAGA", np.random.default_rng(seed)) for seed in range(20)}
    assert found == {"ACAGA", "AGACA"}


# ----------------------------------------------------------------------------------------------------------- FASTA


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; give a FASTA file with at least one record"),
        ("\n\r\n", "is empty; give a FASTA file with at least one record"),
        ("ACGT\n", "is not FASTA, its first line does not begin with '>'"),
        (">a\nAC\n>b\n>c\nA\n", "record 'b' has no sequence; remove it, or get the file again"),
        (">a\nAC\n>b", "record 'b' has no sequence; remove it, or get the file again"),
        (">a\nAC\n>a x\nA\n", "two records are named 'a'; rename or remove one"),
        (">\nAC\n", "record 1 has no name after '>'"),
        (">a\nAC\n> \t\nAC\n", "record 2 has no name after '>'"),
        (">a x\nAC\nA!C\n", ", record 'a': position 4 is '!', which is not a DNA letter; allowed are A, C, G, T, U, N and the other IUPAC letters (read as N)"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_fasta_is_refused_by_every_reader(content: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.fa", content)
    wanted = f"{path}{message}" if message.startswith(",") else f"{path}: {message}"
    assert refusal(lambda: list(read_fasta(path))) == wanted
    assert refusal(lambda: Genome.open(path, tmp_path / "cache")) == wanted


def test_records_are_read_with_their_first_words_or_whole_headers(tmp_path: Path) -> None:
    path = write(tmp_path / "x.fa", b"\xef\xbb\xbf\n\r\n>a  first one \r\nac\r\nGT\r\n\n>b\nNN")
    assert list(read_fasta(path)) == [("a", "ACGT"), ("b", "NN")]
    assert [name for name, _ in read_fasta(path, full_header=True)] == ["a  first one", "b"]
    blocks = list(read_blocks(path))
    assert [header for header, _ in blocks if header is not None] == ["a  first one", "b"]
    assert b"".join(letters for header, letters in blocks if header is None) == b"acGTNN"


@pytest.mark.parametrize(
    ("asked", "names", "found"),
    [
        ("1", ["1", "chr1"], "1"),
        ("chr1", ["1", "2"], "1"),
        ("1", ["chr1"], "chr1"),
        ("M", ["chrMT"], "chrMT"),
        ("MT", ["chrM"], "chrM"),
        ("chrM", ["MT"], "MT"),
        ("chrMT", ["M"], "M"),
        ("chrM", ["chrMT"], "chrMT"),
        ("9", list("abcde"), "w: has no contig '9' (it has a, b, c, d, e)"),
        ("9", list("abcdef"), "w: has no contig '9' (it has a, b, c, d, e, ...)"),
        ("9", [], "w: has no contig '9' (it has )"),
    ],
)
def test_contigs_are_found_by_either_name(asked: str, names: list[str], found: str) -> None:
    if found.startswith("w:"):
        assert refusal(lambda: match_contig(asked, names, "w")) == found
    else:
        assert match_contig(asked, names, "w") == match_contig(asked, dict.fromkeys(names), "w") == found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "s.fa", ">1 x\nACGTN\nacgtn\nGG\n>2\nTTT\n")


@pytest.mark.parametrize(
    ("place", "answer"),
    [
        (("1", 0, 12, "+"), "ACGTNACGTNGG"),
        (("chr1", 4, 7, "+"), "NAC"),
        (("1", 4, 7, "-"), "GTN"),
        (("2", 2, 3, "."), "T"),
        (("1", 0, 13, "+"), "{p}: 1:0-13 does not lie in 1, which has 12 bases"),
        (("chr2", -1, 2, "+"), "{p}: chr2:-1-2 does not lie in 2, which has 3 bases"),
        (("1", 3, 3, "+"), "{p}: 1:3-3 is empty or reversed; start must be below end"),
        (("1", 4, 3, "+"), "{p}: 1:4-3 is empty or reversed; start must be below end"),
        (("1", 0, 1, "x"), "{p}: strand of 1:0-1 is 'x'; it must be + or -"),
        (("3", 0, 1, "+"), "{p}: has no contig '3' (it has 1, 2)"),
    ],
)
def test_stretches_are_cut_where_they_lie(
    place: tuple[str, int, int, str], answer: str, small: Path, tmp_path: Path
) -> None:
    packed = write(tmp_path / "s.fa.gz", gzip.compress(small.read_bytes()))
    for path in (small, packed):
        with Fasta(path, tmp_path / "cache") as fasta:
            assert fasta.lengths == {"1": 12, "2": 3}
            if "{p}" in answer:
                assert refusal(lambda fasta=fasta: fasta.fetch(*place)) == answer.format(p=path)  # type: ignore[misc]
            else:
                assert fasta.fetch(*place) == answer


def test_a_file_is_known_by_its_bytes_until_it_changes(tmp_path: Path, small: Path) -> None:
    import hashlib

    digest = hashlib.sha256(small.read_bytes()).hexdigest()
    assert content_digest(small) == content_digest(small, tmp_path / "c") == digest
    (note,) = (tmp_path / "c" / "digests").iterdir()
    note.write_text("f" * 64)
    assert content_digest(small, tmp_path / "c") == "f" * 64  # remembered
    note.write_text("f" * 63)
    assert content_digest(small, tmp_path / "c") == digest
    assert plain_fasta(small, tmp_path / "c") == small
    packed = write(tmp_path / "p.fa.gz", gzip.compress(small.read_bytes()))
    plain = plain_fasta(packed, tmp_path / "c")
    assert plain == tmp_path / "c" / f"{content_digest(packed)}.fa"
    assert plain.read_bytes() == small.read_bytes()
    missing = tmp_path / "none.fa"
    assert (
        refusal(lambda: content_digest(missing, tmp_path / "c"))
        == f"{missing}: cannot be read (No such file or directory); check the path"
    )


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"length": 3}, [("1", s) for s in (0, 3, 6, 9)] + [("2", 0)]),
        ({"length": 5}, [("1", 0), ("1", 5)]),
        ({"length": 3, "stride": 4}, [("1", 0), ("1", 4), ("1", 8), ("2", 0)]),
        ({"length": 12}, [("1", 0)]),
        ({"length": 3, "max_n_frac": 0.0}, [("1", 0), ("1", 6), ("2", 0)]),
        ({"length": 6, "stride": 1, "max_n_frac": 0.2}, [("1", s) for s in range(7) if s != 4]),
        ({"length": 3, "contigs": ["chr2"]}, [("2", 0)]),
        ({"length": 3, "contigs": ["2", "1"]}, [("2", 0)] + [("1", s) for s in (0, 3, 6, 9)]),
    ],
)
def test_windows_lie_side_by_side_or_a_stride_apart(
    options: dict[str, Any], places: list[tuple[str, int]], small: Path, tmp_path: Path
) -> None:
    length = options.pop("length")
    with Fasta(small, tmp_path / "cache") as fasta:
        found = list(windows(fasta, length, **options))
        assert [(w.contig, w.start) for w in found] == places
        assert all(w.end == w.start + length and w.sequence == fasta.fetch(w.contig, w.start, w.end) for w in found)


def test_windows_that_contradict_themselves_are_refused(small: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with Fasta(small, tmp_path / "cache") as fasta:
        for options in ({"length": 0}, {"length": 1, "stride": 0}):
            assert (
                refusal(lambda options=options: windows(fasta, **options), ValueError)
                == "length and stride must be at least 1"
            )  # type: ignore[misc]
        for options in ({"n": 1}, {"generator": rng}, {"n": 1, "generator": rng, "stride": 1}):
            assert (
                refusal(lambda options=options: windows(fasta, 1, **options), ValueError)
                == "give either a stride, or n and a generator"
            )  # type: ignore[misc]
        assert refusal(lambda: windows(fasta, 13)) == f"{small}: no contig has 13 bases; ask for shorter windows"
        drawn = list(windows(fasta, 3, n=300, generator=rng))
        assert len(drawn) == 300
        assert {(w.contig, w.start) for w in drawn} == {*(("1", s) for s in range(10)), ("2", 0)}
        assert list(windows(fasta, 3, n=0, generator=rng)) == []
        none = write(tmp_path / "n.fa", ">1\nNNNN\n")
        with Fasta(none, tmp_path / "cache") as only_n:
            said = f"{none}: 10000 random windows in a row had more than 50% of N; allow more"
            assert refusal(lambda: list(windows(only_n, 2, n=1, generator=rng, max_n_frac=0.5))) == said


# ---------------------------------------------------------------------------------------------------------- genome


@pytest.fixture
def packed(tmp_path: Path) -> Genome:
    return Genome.open(write(tmp_path / "g.fa", ">a\nACGTNNNACG\n>chrb\nNNTTTN\n>c\nGATTACA\n"), tmp_path / "cache")


TEXTS = {"a": "ACGTNNNACG", "chrb": "NNTTTN", "c": "GATTACA"}


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 7])
def test_every_window_of_a_packed_genome_is_what_the_file_has(packed: Genome, length: int) -> None:
    places = [(i, s) for i, text in enumerate(TEXTS.values()) for s in range(len(text) - length + 1)]
    manifest = WindowManifest(
        packed.contigs, np.array([i for i, _ in places]), np.array([s for _, s in places]), length
    )
    found = [decode(row) for row in packed.codes(manifest)]
    assert found == [list(TEXTS.values())[i][s : s + length] for i, s in places]
    assert len(packed) == 23
    assert packed.contig_index("b") == 1
    assert manifest.take(slice(1, 3)).start.tolist() == [s for _, s in places][1:3]


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("sampling", ["uniform-chromosome", "length-weighted"])
def test_windows_are_drawn_from_all_that_have_few_enough_n(packed: Genome, fraction: float, sampling: Any) -> None:
    allowed = {
        (i, s)
        for i, text in enumerate(TEXTS.values())
        for s in range(len(text) - 3)
        if text[s : s + 4].count("N") <= 4 * fraction
    }
    found = packed.draw(400, 4, np.random.default_rng(0), max_n_frac=fraction, unique=False, sampling=sampling)
    assert set(zip(found.contig.tolist(), found.start.tolist(), strict=True)) == allowed
    whole = packed.draw(len(allowed), 4, np.random.default_rng(1), max_n_frac=fraction, sampling=sampling)
    assert set(zip(whole.contig.tolist(), whole.start.tolist(), strict=True)) == allowed


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"contigs": ["c"]}, [(2, s) for s in range(5)]),
        ({"contigs": ["c", "b", "c"]}, [(1, s) for s in range(4)] + [(2, s) for s in range(5)]),
        ({"regions": [Interval("c", 2, 6)]}, [(2, 2), (2, 3)]),
        ({"regions": [Interval("c", -5, 4), Interval("c", 4, 60)]}, [(2, s) for s in range(5)]),
        ({"regions": [Interval("c", 0, 4), Interval("c", 5, 7), Interval("zz", 0, 9)]}, [(2, 0), (2, 1)]),
        ({"contigs": ["c"], "exclude": [Interval("c", 3, 4)]}, [(2, 0), (2, 4)]),
        ({"contigs": ["c"], "exclude": [Interval("c", 0, 1), Interval("c", 6, 7)]}, [(2, 1), (2, 2), (2, 3)]),
        ({"contigs": ["c"], "exclude": [Interval("a", 0, 10), Interval("zz", 0, 1)]}, [(2, s) for s in range(5)]),
        ({"contigs": ["c"], "exclude": [Interval("c", 1, 2), Interval("c", 0, 3)]}, [(2, 3), (2, 4)]),
    ],
)
def test_windows_lie_where_they_may(packed: Genome, options: dict[str, Any], places: list[tuple[int, int]]) -> None:
    found = packed.draw(len(places), 3, np.random.default_rng(2), **options)
    assert sorted(zip(found.contig.tolist(), found.start.tolist(), strict=True)) == places
    assert refusal(lambda: packed.draw(len(places) + 1, 3, np.random.default_rng(2), **options)) == (
        f"{len(places) + 1} windows of 3 bases are asked for, and there are {len(places)} places for one in the contigs and regions asked "
        "for; ask for fewer windows or shorter ones"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g, r: g.draw(1, 11, r), "no place for a window of 11 bases in the contigs and regions asked for: the longest of them has 10; ask for shorter windows"),
        (
            lambda g, r: g.draw(1, 10, r, exclude=[Interval("a", 0, 1)]),
            "no place for a window of 10 bases in the contigs and regions asked for: what is excluded leaves none; exclude less, or ask for shorter windows",
        ),
        (
            lambda g, r: g.draw(1, 5, r, regions=[Interval("c", 0, 4)]),
            "no place for a window of 5 bases in the contigs and regions asked for: the longest of them has 4; ask for shorter windows",
        ),
        (
            lambda g, r: g.draw(1, 1, r, exclude=[Interval(n, 0, 1) for n in ("z", "y", "x", "w")]),
            "exclude: none of its contigs (w, x, y, ...) is in the genome (a, chrb, c, ...)",
        ),
        (
            lambda g, r: g.draw(1, 2, r, regions=[Interval("b", 0, 2)], max_n_frac=0.0),
            "only 0 of 1 windows of 2 bases were found in 101014 draws; allow more N, exclude less, or ask for fewer",
        ),
        (lambda g, r: g.draw(1, 2, r, contigs=["z"]), "the genome: has no contig 'z' (it has a, chrb, c)"),
        (lambda g, r: Genome.open([], "x"), "no FASTA file was given"),
    ],
)  # fmt: skip
def test_wishes_that_cannot_be_met_are_refused(
    call: Callable[[Genome, np.random.Generator], object], message: str, packed: Genome
) -> None:
    assert refusal(lambda: call(packed, np.random.default_rng(0))) == message


def test_settings_and_windows_that_are_none_are_errors(packed: Genome) -> None:
    rng = np.random.default_rng(0)
    for n, length in ((-1, 1), (1, 0)):
        assert (
            refusal(lambda n=n, length=length: packed.draw(n, length, rng), ValueError)
            == "n must be at least 0 and length at least 1"
        )  # type: ignore[misc]
    assert len(packed.draw(0, 1, rng)) == 0
    assert (
        refusal(lambda: packed.draw(1, 1, rng, sampling="x"), ValueError)
        == "sampling must be uniform-chromosome or length-weighted, not 'x'"
    )  # type: ignore[arg-type]
    for start, length in ((-1, 2), (9, 2)):
        outside = WindowManifest(packed.contigs, np.array([0]), np.array([start]), length)
        assert (
            refusal(lambda outside=outside: packed.codes(outside), ValueError)
            == "a window does not lie inside its contig"
        )  # type: ignore[misc]
    other = WindowManifest(("z",), np.array([0]), np.array([0]), 1)
    assert refusal(lambda: packed.codes(other), ValueError) == "the manifest names other contigs than this genome has"
    assert packed.codes(WindowManifest(packed.contigs, np.array([], dtype=int), np.array([], dtype=int), 2)).shape == (
        0,
        2,
    )
    assert decode(packed.fetch("b", 1, 4)) == "NTT"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1 5", "is not contig, start, end separated by tabs: 'chr1 5'"),
        ("chr1\t5\tx", "is not contig, start, end separated by tabs: 'chr1\\t5\\tx'"),
        ("c" * 70, f"is not contig, start, end separated by tabs: '{'c' * 60}'"),
        ("chr1\t5\t5", "start 5 must be below end 5"),
        ("chr1\t-1\t5", "start -1 must be below end 5"),
    ],
)
def test_a_line_that_is_no_interval_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.bed", f"track x\nbrowser y\n# z\n\nchr1 0 1\n{line}\n")
    assert refusal(lambda: read_bed(path)) == f"{path}, line 6: {message}"
    write(path, "track x\nchr1 0 1\n")
    assert read_bed(path) == [Interval("chr1", 0, 1)]
