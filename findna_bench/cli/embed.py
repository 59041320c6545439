"""``findna-bench embed MODEL --fasta IN | --task TASK -o OUT``: one vector per sequence, in a file that ``embeddings:OUT`` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from findna_bench.cli import output
from findna_bench.cli.requested import requested
from findna_bench.errors import UsageError
from findna_bench.requests.embed_request import EmbedRequest

if TYPE_CHECKING:
    from findna_bench.models.embedding_export import NamedSequences


@requested(EmbedRequest)
def embed(request: EmbedRequest) -> None:
    """Embed the sequences of a FASTA file, or all rows of a task."""
    from findna_bench import api
    from findna_bench.models.embedding_export import check_suffix, embed_to_file, read_fasta_records

    check_suffix(request.out)
    fasta = request.fasta
    rows = read_fasta_records(fasta) if fasta is not None else _rows_of(request)
    check_suffix(request.out, rows)
    live = api.load_model(
        request.model,
        weights=request.weights,
        device=request.device,
        dtype=request.dtype,
        network=request.network,
        offline=request.offline,
    )
    found = embed_to_file(
        live,
        rows,
        request.out,
        pooling=request.pooling,
        layer=request.layer,
        batch_size=request.batch_size,
        strand=request.strand,
        window=request.window,
    )
    n, d = found.vectors.shape
    if found.truncation:
        output.remark(f"note: {request.model}: {found.truncation}")
    output.remark(f"wrote {n} vectors of {d} channels to {request.out}")


def _rows_of(request: EmbedRequest) -> NamedSequences:
    """All rows of a task in its order, named as ``embeddings:`` looks them up."""
    from findna_bench import api
    from findna_bench.models.embedding_export import NamedSequences

    task = api.load_task(
        str(request.task), data_dir=request.data_dir, drop_missing=request.drop_missing, target=request.target
    )
    for note in task.notes:
        output.remark(note)
    table, splits = task.in_order()
    if table.sequences_b is not None:
        raise UsageError(
            f"--task {request.task}: its rows are pairs, and embed writes a vector per sequence; give either side as a file of its own"
        )
    ids = [str(row_id) for row_id in table.ids.tolist()]
    no_order = (
        "" if task.row_order.words else "this task is made of one FASTA per class, whose records have no common order"
    )
    return NamedSequences(table.sequences, ids, None if len(set(ids)) == len(ids) else splits.tolist(), no_order)
