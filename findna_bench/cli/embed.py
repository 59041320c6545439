"""``findna-bench embed MODEL --fasta IN | --task TASK -o OUT``: one vector per sequence, in a file that ``embeddings:OUT`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from findna_bench.cli import options, output
from findna_bench.cli import run as run_verb

if TYPE_CHECKING:
    from findna_bench.models.export import NamedSequences


def embed(
    model: Annotated[str, typer.Argument(help="A model, as --models of `run` takes it.")],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="File that embeddings:FILE reads; the suffix says how: .npy (vectors in the order of the rows), .npz (vectors, ids) "
            "or .parquet (id, length, e_0 .. e_{D-1}).",
        ),
    ],
    fasta: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--fasta", help="Sequences, plain or gzipped.", envvar=options.env("fasta")),
    ] = None,
    task: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "-t",
            "--task",
            help="All rows of a task or of a csv, tsv or parquet file, as --tasks of `run` takes it.",
            envvar=options.env("task"),
        ),
    ] = None,
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
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Embed the sequences of a FASTA file, or all rows of a task."""
    from findna_bench import api
    from findna_bench.errors import UsageError
    from findna_bench.models.export import check_suffix, embed_to_file, read_fasta_records

    if strand not in ("forward", "rc-mean"):
        raise UsageError(f"--strand {strand}: embed knows forward and rc-mean")
    if (fasta is None) == (task is None):
        raise UsageError("give what to embed: --fasta FILE or --task TASK, one of them")
    check_suffix(out)
    rows = read_fasta_records(fasta) if fasta is not None else _rows_of(str(task), data_dir)
    check_suffix(out, rows)
    live = api.load_model(model, weights=weights, device=device, dtype=dtype, network=network, offline=offline)
    found = embed_to_file(
        live,
        rows,
        out,
        pooling=pooling,
        layer=layer,
        batch_size=options.parse_batch_size(batch_size),
        strand=strand,
        window=window,
    )
    n, d = found.vectors.shape
    if found.truncation:
        output.remark(f"note: {model}: {found.truncation}")
    output.remark(f"wrote {n} vectors of {d} channels to {out}")


def _rows_of(name: str, data_dir: Path | None) -> NamedSequences:
    """All rows of a task in its order, named as ``embeddings:`` looks them up."""
    from findna_bench import api
    from findna_bench.models.export import NamedSequences

    task = api.load_task(name, data_dir=data_dir)
    table, splits = task.in_order()
    ids = [str(row_id) for row_id in table.ids.tolist()]
    no_order = (
        "" if task.row_order.words else "this task is made of one FASTA per class, whose records have no common order"
    )
    return NamedSequences(table.sequences, ids, None if len(set(ids)) == len(ids) else splits.tolist(), no_order)
