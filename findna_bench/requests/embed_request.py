"""What ``findna-bench embed`` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from findna_bench.errors import UsageError
from findna_bench.requests import shared
from findna_bench.requests.declarations import PathName, Text, option, read_fields

__all__ = ["EmbedRequest"]


@dataclass(frozen=True, kw_only=True)
class EmbedRequest:
    """All options of ``findna-bench embed``.

    Raises:
        UsageError: not exactly one of ``fasta`` and ``task`` says what to embed.

    Example:
        >>> EmbedRequest(model="findna-tiny", out=Path("v.npy"), task="./my.csv").pooling is None
        True
    """

    model: str = option(Text(), "A model, as --models of `run` takes it.", positional=True)
    out: Path = option(
        PathName(),
        "File that embeddings:FILE reads; the suffix says how: .npy (vectors in the order of the rows), .npz (vectors, ids) "
        "or .parquet (id, length, e_0 .. e_{D-1}).",
        flags=("-o", "--out"),
        environment=False,
    )
    fasta: Path | None = option(PathName(), "Sequences, plain or gzipped.", default=None)
    task: str | None = option(
        Text(),
        "All rows of a task or of a csv, tsv or parquet file, as --tasks of `run` takes it.",
        default=None,
        flags=("-t", "--task"),
    )
    weights: Path | None = option(PathName(), "File or folder with the weights.", default=None)
    network: str | None = option(Text(), "teacher or student, where a checkpoint holds both.", default=None)
    pooling: str | None = shared.pooling()
    layer: int = shared.layer()
    strand: str = option(Text(("forward", "rc-mean")), "forward or rc-mean.", default="forward", panel=shared.PROTOCOL)
    window: str | None = shared.window()
    device: str = shared.device()
    dtype: str = shared.dtype()
    batch_size: int | str = shared.batch_size()
    data_dir: Path | None = shared.data_dir()
    target: str | None = shared.target()
    drop_missing: bool = shared.drop_missing()
    offline: bool = shared.offline()

    def __post_init__(self) -> None:
        read_fields(self)
        if (self.fasta is None) == (self.task is None):
            raise UsageError("give what to embed: --fasta FILE or --task TASK, one of them")
