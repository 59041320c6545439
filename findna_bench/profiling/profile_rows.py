"""What a profile says about one model in one formulation: plain data, no torch."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["FORMULATIONS", "Formulation", "ProfileRow", "Spread", "spread_of"]

FORMULATIONS = ("published", "best")
Status = Literal["ok", "oom", "killed", "timeout", "error", "skipped"]


@dataclass(frozen=True)
class Formulation:
    """The checklist, the same for every model: what is switched on for this row.

    plain: the backbone computes as published, not in its fast way. attention: ``math`` (products and softmax written
    out) or ``fused`` (whichever kernel the library picks). precision: ``float32``, ``float16`` or ``bfloat16``.
    compile: torch.compile where the backbone allows it. cuda_graphs: one training step captured and replayed.
    fused_optimiser: AdamW in one kernel per step. allocator: glibc told to keep large blocks (CPU only).
    """

    name: str
    plain: bool
    attention: Literal["math", "fused"]
    precision: Literal["float32", "float16", "bfloat16"]
    compile: bool = False
    cuda_graphs: bool = False
    fused_optimiser: bool = False
    allocator: bool = False

    def checklist(self, *, training: bool) -> dict[str, str]:
        """In words; what depends on the model (compilation, graphs) is filled in by who carries it out."""
        optimiser = ("fused AdamW" if self.fused_optimiser else "AdamW") if training else "none"
        return {
            "computation": "as published" if self.plain else "fastest of its own",
            "attention": {"math": "written out", "fused": "fused kernels"}[self.attention],
            "precision": self.precision + ("" if self.precision == "float32" else " autocast" if training else ""),
            "compile": "off",
            "CUDA graphs": "off",
            "optimiser": optimiser,
            "allocator": "keeps large blocks" if self.allocator else "default",
        }


@dataclass(frozen=True)
class Spread:
    """Median of n medians, each from a process of its own, with the lowest and the highest of them."""

    median: float
    low: float
    high: float
    n: int


def spread_of(values: Sequence[float]) -> Spread:
    """Median and range of at least one value."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True, kw_only=True)
class ProfileRow:
    """One model, formulation, length and mode. None = not measured (the status or a note says why).

    length: bases per sequence; tokens: tokens per sequence after padding. times_ms: per process the times of its steps.
    processor_ms: processor time of a step over all threads, which other work on the machine disturbs less than the clock.
    flops: operations of one step over the batch in the plain formulation, Fourier transforms among them fft_flops.
    peak_bytes: most memory allocated on CUDA, peak resident set of a fresh process on the CPU; start_bytes: the same
    before the model was built; reserved_bytes: CUDA only. ceiling_flops: operations per second of a large matrix product
    measured in the same process and precision. n_parameters: encoder at inference; n_parameters_training: everything a
    training step holds (head, teacher). energy_j: per step, from NVML.
    """

    model: str
    task: str
    mode: str
    formulation: str
    status: Status = "ok"
    reason: str = ""
    length: int
    batch_size: int
    tokens: int | None = None
    device: str = "cpu"
    device_name: str = ""
    threads: int | None = None
    checklist: Mapping[str, str] = field(default_factory=dict)
    step_ms: Spread | None = None
    processor_ms: Spread | None = None
    times_ms: tuple[tuple[float, ...], ...] = ()
    peak_bytes: int | None = None
    start_bytes: int | None = None
    reserved_bytes: int | None = None
    memory_kind: str = ""
    flops: int | None = None
    fft_flops: int | None = None
    analytic_forward_flops: int | None = None
    counted_forward_flops: int | None = None
    ceiling_flops: float | None = None
    n_parameters: int | None = None
    n_parameters_training: int | None = None
    energy_j: float | None = None
    data: str = ""
    notes: tuple[str, ...] = ()

    @property
    def bases(self) -> int:
        """Bases one step reads."""
        return self.length * self.batch_size

    @property
    def ns_per_base(self) -> float | None:
        return None if self.step_ms is None else self.step_ms.median * 1e6 / self.bases

    @property
    def bases_per_s(self) -> float | None:
        return None if self.step_ms is None else self.bases / (self.step_ms.median / 1e3)

    @property
    def achieved_flops(self) -> float | None:
        """Operations per second: those of the plain formulation, whatever was run."""
        if self.step_ms is None or self.flops is None:
            return None
        return self.flops / (self.step_ms.median / 1e3)

    @property
    def share_of_ceiling(self) -> float | None:
        if self.achieved_flops is None or not self.ceiling_flops:
            return None
        return self.achieved_flops / self.ceiling_flops

    def to_dict(self) -> dict[str, Any]:
        """All fields and derived figures, JSON-serialisable; missing is null."""
        derived = ("ns_per_base", "bases_per_s", "achieved_flops", "share_of_ceiling")
        return asdict(self) | {name: getattr(self, name) for name in derived}
