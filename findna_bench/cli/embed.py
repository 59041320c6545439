"""``findna-bench embed MODEL --fasta IN -o OUT.parquet``: one vector per sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from findna_bench.cli import options, output
from findna_bench.cli import run as run_verb


def embed(
    model: Annotated[str, typer.Argument(help="A model, as --models of `run` takes it.")],
    fasta: Annotated[Path, typer.Option("--fasta", help="Sequences, plain or gzipped.", envvar=options.env("fasta"))],
    out: Annotated[Path, typer.Option("-o", "--out", help="Parquet file: id, length, e_0 .. e_{D-1}.")],
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--weights", help="File or folder with the weights.", envvar=options.env("weights")),
    ] = None,
    network: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--network", help="teacher or student, where a checkpoint holds both.", envvar=options.env("network")
        ),
    ] = None,
    pooling: run_verb.Pooling = None,
    layer: run_verb.Layer = -1,
    strand: Annotated[
        str, typer.Option("--strand", help="forward or rc-mean.", envvar=options.env("strand"))
    ] = "forward",
    window: run_verb.Window = None,
    device: options.Device = "auto",
    dtype: run_verb.Dtype = "auto",
    batch_size: run_verb.BatchSize = "auto",
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Embed the sequences of a FASTA file."""
    from findna_bench import api
    from findna_bench.errors import UsageError
    from findna_bench.models.export import embed_fasta

    if strand not in ("forward", "rc-mean"):
        raise UsageError(f"--strand {strand}: embed knows forward and rc-mean")
    live = api.load_model(model, weights=weights, device=device, dtype=dtype, network=network, offline=offline)
    n, d = embed_fasta(
        live,
        fasta,
        out,
        pooling=pooling,
        layer=layer,
        batch_size=options.parse_batch_size(batch_size),
        strand=strand,
        window=window,
    )
    output.remark(f"wrote {n} vectors of {d} channels to {out}")
