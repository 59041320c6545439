"""Cases that go wrong in practice, planted in one file: every first-party network scores them as a loop does that sees one variant at a
time, or the run says in a sentence why not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_likelihoods import BASES, CASES, Loop, built, of_bases, of_byte_pairs, of_next_bases, of_overlapping, sixmers
from test_likelihoods import pseudo as byte_pair_likelihood
from test_likelihoods import run as log_probabilities

import findna_bench as fb
from findna_bench.api import Backbone
from findna_bench.results.store import ResultStore

FLANK = 12
CONTIG = "".join(np.random.default_rng(7).choice(list("ACGT"), size=120))
GENOME = CONTIG[:40] + "N" + CONTIG[41:70] + CONTIG[70:90].lower() + CONTIG[90:]
"""Bases 70 to 90 are masked for repeats, as genomes write it."""


def other(base: str, step: int = 1) -> str:
    return "ACGT"[("ACGT".index(base) + step) % 4]


def planted() -> dict[str, tuple[int, str, str]]:
    """Name -> (place from 0, ref, alt)."""
    at = CONTIG.__getitem__
    return {
        "middle": (60, at(60), other(at(60))),
        "second-allele": (60, at(60), other(at(60), 2)),
        "first-base": (0, at(0), other(at(0))),
        "last-base": (119, at(119), other(at(119))),
        "near-the-end": (112, at(115), other(at(115))),
        "before-n": (39, at(39), other(at(39))),
        "after-n": (41, at(41), other(at(41))),
        "lower-case": (80, at(80).lower(), other(at(80)).lower()),
        "several-bases": (54, CONTIG[54:56], other(at(54)) + other(at(55))),
        "deletion": (57, CONTIG[57:59], CONTIG[57]),
        "insertion": (63, at(63), at(63) + other(at(63))),
        "wrong-ref": (50, other(at(50)), other(at(50), 2)),
        "same": (51, at(51), at(51)),
        "multi-allelic": (52, at(52), f"{other(at(52))},{other(at(52), 2)}"),
        "not-a-base": (53, at(53), "N"),
        "beyond": (120, "A", "C"),
    }


LEFT_OUT = ("wrong-ref", "same", "multi-allelic", "not-a-base", "beyond")


def write(folder: Path) -> tuple[Path, Path]:
    genome, table = folder / "genome.fa", folder / "variants.tsv"
    genome.write_text(f">chr1\n{GENOME}\n")
    lines = [
        f"1\t{place + 1}\t{ref}\t{alt}\t{number % 5}\t{name}\n"
        for number, (name, (place, ref, alt)) in enumerate(planted().items())
    ]
    table.write_text("chrom\tpos\tref\talt\tvalue\tid\n" + "".join(lines))
    return table, genome


def windows(name: str) -> tuple[str, str]:
    """With the reference, and with the alternative."""
    place, ref, alt = planted()[name]
    text, first = GENOME.upper(), max(0, place - FLANK)
    after = text[place + len(ref) : place + len(ref) + FLANK]
    return text[first : place + len(ref)] + after, text[first:place] + alt.upper() + after


def turned(text: str) -> str:
    return "".join({"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}[base] for base in reversed(text))


def differing(one: str, two: str) -> list[int]:
    return [place for place, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]


def ratio_of_bases(backbone: Any, reference: str, variant: str) -> float:
    letters, mask = BASES.get(type(backbone), (".......ACGTN", 3))

    def likelihood(text: str, hidden: list[int]) -> float:
        ids = [letters.index(base) for base in text]
        shown = [mask if place in hidden else number for place, number in enumerate(ids)]
        values = log_probabilities(backbone, shown)
        return sum(float(values[place, ids[place]]) for place in hidden)

    if len(reference) == len(variant):
        return likelihood(variant, places := differing(reference, variant)) - likelihood(reference, places)
    sums = [sum(likelihood(text, [place]) for place in range(len(text))) for text in (reference, variant)]
    return sums[1] - sums[0]


def ratio_of_next_bases(backbone: Any, reference: str, variant: str) -> float:
    sums = []
    for text in (reference, variant):
        ids = [".......ACGTN".index(base) for base in text]
        values = log_probabilities(backbone, [*ids, 1], [len(ids)])
        sums.append(sum(float(values[place - 1, ids[place]]) for place in range(1, len(ids))))
    return sums[1] - sums[0]


def ratio_of_sixmers(backbone: Any, reference: str, variant: str) -> float:
    vocabulary = backbone.tokenizer.vocabulary

    def likelihood(text: str, hidden: list[int]) -> float:
        ids = [vocabulary.id(word) for word in sixmers(text)]
        shown = [vocabulary.id("<mask>") if place in hidden else number for place, number in enumerate(ids)]
        values = log_probabilities(backbone, [vocabulary.id("<cls>"), *shown], [0])
        return sum(float(values[place + 1, ids[place]]) for place in hidden)

    words = [sixmers(text) for text in (reference, variant)]
    if len(reference) == len(variant):
        hidden = [place for place, (a, b) in enumerate(zip(*words, strict=True)) if a != b]
        return likelihood(variant, hidden) - likelihood(reference, hidden)
    sums = [
        sum(likelihood(text, [place]) for place in range(len(own)))
        for text, own in zip((reference, variant), words, strict=True)
    ]
    return sums[1] - sums[0]


def ratio_of_overlapping(backbone: Any, reference: str, variant: str) -> float:
    """All words that hold a changed base are hidden; those with an N are one and the same unknown word anyway."""
    if len(reference) != len(variant):
        return 0.0
    vocabulary, k, places = backbone.tokenizer.vocabulary, backbone.tokenizer.k, differing(reference, variant)
    starts = range(len(reference) - k + 1)
    covering = [i for i in starts if any(i <= place < i + k for place in places) and "N" not in reference[i : i + k]]

    def number(word: str) -> int:
        return int(vocabulary.id("[UNK]" if "N" in word else word))

    def likelihood(text: str) -> float:
        shown = [vocabulary.id("[MASK]") if i in covering else number(text[i : i + k]) for i in starts]
        values = log_probabilities(
            backbone, [vocabulary.id("[CLS]"), *shown, vocabulary.id("[SEP]")], [0, len(shown) + 1]
        )
        return sum(float(values[i + 1, number(text[i : i + k])]) for i in covering)

    return likelihood(variant) - likelihood(reference)


def ratio_of_byte_pairs(backbone: Any, reference: str, variant: str) -> float:
    return byte_pair_likelihood(backbone, variant) - byte_pair_likelihood(backbone, reference)


RATIOS: dict[Loop, Callable[[Any, str, str], float]] = {
    of_bases: ratio_of_bases,
    of_next_bases: ratio_of_next_bases,
    of_overlapping: ratio_of_overlapping,
    of_byte_pairs: ratio_of_byte_pairs,
}


@pytest.mark.parametrize(("build", "loop"), CASES, ids=[build.__name__ for build, _ in CASES])
def test_planted_cases_have_the_value_of_a_plain_loop(
    build: Callable[[Path], Backbone], loop: Loop, tmp_path: Path
) -> None:
    backbone = built(build, tmp_path)
    ratio = RATIOS.get(loop, ratio_of_sixmers)
    kept = [name for name in planted() if name not in LEFT_OUT]
    table, genome = write(tmp_path)
    (result,) = fb.run(
        models=backbone,
        tasks=table,
        protocol="zero_shot",
        fasta=genome,
        flank=FLANK,
        strand="rc-mean",
        sanity=False,
        device="cpu",
        output_dir=tmp_path / "r",
    )
    assert result.status == "success", result.error
    rows = ResultStore(tmp_path / "r").predictions(result)
    assert rows.ids.tolist() == kept
    for name, found in zip(kept, rows.scores[:, 0].tolist(), strict=True):
        reference, variant = windows(name)
        both = ratio(backbone, reference, variant), ratio(backbone, turned(reference), turned(variant))
        assert found == pytest.approx(np.mean(both), abs=1e-4), name
    no_score = "2 of 11 variants have no likelihood score by this model's tokens and count as no difference"
    assert (no_score in result.validation["warnings"]) == (loop is of_overlapping)


def site_token(backbone: Any, loop: Loop, text: str, place: int) -> int:
    """Number of the token that brings in the base at a place."""
    if loop in (of_bases, of_next_bases):
        return place
    if loop is of_overlapping:
        return 1 + max(0, place - backbone.tokenizer.k + 1)
    if loop is of_byte_pairs:
        spans = backbone.tokenize([text]).spans[0].tolist()
        return next(token for token in range(len(spans)) if sum(spans[: token + 1]) > place)
    starts = np.cumsum([0, *map(len, sixmers(text))])
    return 1 + next(token for token, start in enumerate(starts) if start > place) - 1


@pytest.mark.parametrize(("build", "loop"), CASES, ids=[build.__name__ for build, _ in CASES])
def test_planted_cases_move_the_token_at_their_site(
    build: Callable[[Path], Backbone], loop: Loop, tmp_path: Path
) -> None:
    backbone = built(build, tmp_path)
    table, genome = write(tmp_path)
    (result,) = fb.run(
        models=backbone,
        tasks=table,
        protocol="zero_shot",
        preset="cosine",
        fasta=genome,
        flank=FLANK,
        sanity=False,
        device="cpu",
        output_dir=tmp_path / "r",
    )
    assert result.status == "success", result.error
    scores = dict(
        zip(*[getattr(ResultStore(tmp_path / "r").predictions(result), of) for of in ("ids", "scores")], strict=True)
    )

    def state(text: str, place: int) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = (
                backbone(backbone.tokenize([text])).tokens[0, site_token(backbone, loop, text, place)].numpy()
            )
        return found.astype(np.float64)

    for name in scores:
        place = min(planted()[name][0], FLANK)
        one, other_one = (state(text, place) for text in windows(name))
        expected = 1 - one @ other_one / np.linalg.norm(one) / np.linalg.norm(other_one)
        assert scores[name][0] == pytest.approx(expected, abs=2e-5), name


def test_what_is_left_out_and_what_is_kept_is_told(tmp_path: Path) -> None:
    table, genome = write(tmp_path)
    notes = " ".join(fb.load_task(table, fasta=genome, flank=FLANK).notes)
    for words in (
        "5 of 16 variants are left out",
        "1 whose ref is not what the sequence has there",
        "1 whose alt is their ref",
        "1 with several alternatives (one row each: `bcftools norm -m-`)",
        "1 with letters other than A, C, G and T",
        "1 which lie in no sequence of the genome",
        "3 windows that a contig's end cuts short",
        "2 variants with an N next to them",
        "2 insertions or deletions",
    ):
        assert words in notes
