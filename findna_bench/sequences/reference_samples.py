"""Fixed samples of real sequence in the package, one per species: what weights are judged on, whatever task they are for.

``samples/manifest.json`` says where each was cut: assembly, contig, coordinates, digests (``scripts/make_reference_samples.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["ReferenceSample", "reference_sample", "sampled_species"]


@dataclass(frozen=True)
class ReferenceSample:
    """Windows of A, C, G and T, all of one length, at equal distances over a contig."""

    species: str
    assembly: str
    contig: str
    sequences: tuple[str, ...]

    @property
    def words(self) -> str:
        """``human sequence, 16 windows of GRCh37 chr20``."""
        return f"{self.species} sequence, {len(self.sequences)} windows of {self.assembly} {self.contig}"


def sampled_species() -> tuple[str, ...]:
    """Species there is a sample of, human first."""
    return tuple(_manifest())


@cache
def reference_sample(species: str) -> ReferenceSample | None:
    """The sample of a species, by the name :func:`findna_bench.sequences.species.species` gives; None where there is none."""
    entry = _manifest().get(species)
    if entry is None:
        return None
    text = (resources.files("findna_bench.sequences") / "samples" / str(entry["file"])).read_text()
    windows = tuple(line for line in text.splitlines() if not line.startswith(">"))
    return ReferenceSample(species, str(entry["assembly"]), str(entry["contig"]), windows)


@cache
def _manifest() -> dict[str, dict[str, object]]:
    text = (resources.files("findna_bench.sequences") / "samples" / "manifest.json").read_text()
    samples: dict[str, dict[str, object]] = json.loads(text)["samples"]
    return samples
