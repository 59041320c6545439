"""What a job needs of the machine that computes it, as far as cards and finished results tell."""

from __future__ import annotations

from dataclasses import dataclass

from findna_bench.errors import OutputError
from findna_bench.files import path_segment
from findna_bench.matrix.jobs import Job
from findna_bench.models.spec import parse_model
from findna_bench.registry import get_registry
from findna_bench.results.schema import read_result
from findna_bench.results.store import ResultStore

__all__ = ["Needs", "needs_of"]

_WITHOUT_A_MODEL = 1_000_000_000
"""Bytes that the harness and torch take, rounded up: runs of ``kmer`` and ``findna-tiny`` on 60 rows of ``demo/species4`` had a peak
resident set of 0.89 and 0.90 GB on a CPU."""
_BYTES_PER_PARAMETER = {"finetune": 20}
"""float32 weights, gradients, two moments of AdamW and the best weights so far; else weights and a copy while they are loaded."""
_LOOKED_AT = 20


@dataclass(frozen=True)
class Needs:
    """What a job needs.

    Attributes:
        threads: CPU threads.
        network: whether it computes a network, so that a GPU is of use.
        memory_bytes: main memory, an estimate: by parameters, or the most that results of this model in the folder have taken.
    """

    threads: int
    network: bool
    memory_bytes: int


def needs_of(job: Job) -> Needs:
    """What a job needs, by its model's card and by what finished results of the model in the results folder have taken.

    Args:
        job: a job.

    Returns:
        Its needs; memory without that of activations, where no result of the model lies there yet.

    Raises:
        UsageError: its model is not known here.
    """
    spec = parse_model(job.request.models[0], get_registry())
    parameters = spec.card.n_parameters or 0
    by_card = _WITHOUT_A_MODEL + parameters * _BYTES_PER_PARAMETER.get(job.request.protocol, 8)
    return Needs(job.request.threads, spec.kind == "encoder", max(by_card, _measured(job, spec.display_name)))


def _measured(job: Job, model: str) -> int:
    """The most that a result of the model has taken, 0 where none says; of a fit of networks those under the same protocol count."""
    store, most = ResultStore(job.request.output_dir), 0
    found = (store.root / path_segment(model)).glob(f"*/*/{path_segment(job.request.protocol)}/*.json")
    for path, _ in zip(found, range(_LOOKED_AT), strict=False):
        try:
            most = max(most, read_result(path).memory.peak_bytes or 0)
        except OutputError:
            continue
    return most
