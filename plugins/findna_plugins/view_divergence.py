"""How far apart the two views of a recipe are on given sequence: equation 10 and the first row of Table 4 of arXiv 2405.08538.

python -m findna_plugins.view_divergence --fasta genome.fa [--recipe MDIT+NR] [--windows 1000] [--length 1000]
python -m findna_plugins.view_divergence --task genomic_benchmarks/human_nontata_promoters
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

__all__ = ["main", "recipe_divergences"]


def recipe_divergences(
    sequences: Sequence[str],
    recipes: Iterable[str],
    seed: int = 0,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, float]:
    """Mean KL divergence per position of each recipe on ``sequences`` of any lengths; parameters: as of ``Recipe``.

    Raises:
        ModelError: a recipe makes no sense. DataError: a letter is not DNA.
    """
    import torch

    from findna_bench.api import Recipe, encode_padded
    from findna_plugins.views import divergence

    by_length: dict[int, list[str]] = defaultdict(list)
    for sequence in sequences:
        by_length[len(sequence)].append(sequence)
    batches = [torch.from_numpy(encode_padded(group).copy()) for _, group in sorted(by_length.items())]
    result = {}
    for text in recipes:
        recipe, total, positions = Recipe(text, parameters or {}), 0.0, 0
        generator = torch.Generator().manual_seed(seed)
        for batch in (part for whole in batches for part in whole.split(256)):
            views = recipe.views(batch, generator)
            total += divergence(views.student, views.teacher) * batch.numel()
            positions += batch.numel()
        result[text] = total / positions
    return result


def _windows(fasta: Path, count: int, length: int, seed: int) -> list[str]:
    """Random windows, each place of the file equally likely."""
    import numpy as np

    from findna_bench.api import DataError, read_fasta

    contigs = [sequence for _, sequence in read_fasta(fasta) if len(sequence) >= length]
    if not contigs:
        raise DataError(f"{fasta}: no record has {length} bases; choose a smaller --length")
    rng = np.random.default_rng(seed)
    places = np.array([len(contig) - length + 1 for contig in contigs], dtype=np.float64)
    chosen = rng.choice(len(contigs), size=count, p=places / places.sum())
    starts = (rng.random(count) * places[chosen]).astype(int)
    return [contigs[i][start : start + length] for i, start in zip(chosen.tolist(), starts.tolist(), strict=True)]


def command(
    fasta: Annotated[Optional[Path], typer.Option(help="Plain or gzipped.")] = None,  # noqa: UP045
    task: Annotated[Optional[str], typer.Option(help="Rows of this task's train split.")] = None,  # noqa: UP045
    recipe: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Student's letters + teacher's letters; repeatable."),
    ] = None,
    windows: Annotated[int, typer.Option(help="Windows drawn from --fasta.")] = 1000,
    length: Annotated[int, typer.Option(help="Bases per window.")] = 1000,
    translocation_maximum: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="T rolls by at most so many bases, as EvoAug does (20); without: a random breakpoint."),
    ] = None,
    seed: int = 0,
) -> None:
    """Print the divergence of the views per recipe."""
    from findna_bench import api as fb
    from findna_plugins.views import PAPER_RECIPE, TABLE_4

    if (fasta is None) == (task is None):
        raise fb.UsageError("give --fasta FILE or --task NAME")
    if task is not None:
        sequences = list(fb.load_task(task).load("train").sequences)
    else:
        assert fasta is not None
        sequences = _windows(fasta, windows, length, seed)
    parameters = {"T": {"maximum": translocation_maximum}}
    found = recipe_divergences(sequences, recipe or [*TABLE_4, PAPER_RECIPE], seed, parameters)
    print("recipe\tdivergence\tpublished")
    for text, value in found.items():
        published = TABLE_4.get(text)
        print(f"{text}\t{value:.4f}\t{'' if published is None else published}")


def main() -> None:
    """Entry point: a wrong input is one sentence on stderr."""
    from findna_bench.api import BenchError

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app()
    except BenchError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
