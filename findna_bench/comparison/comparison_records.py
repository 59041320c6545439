"""What a comparison of models comes to: plain data, and the JSON it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from findna_bench.requests.families import FAMILY
from findna_bench.statistics.paired_tests import RankInterval

__all__ = ["AcrossTasks", "ComparedModel", "Comparison", "PairAcross", "PairedDifference", "Score", "TaskComparison"]


@dataclass(frozen=True)
class ComparedModel:
    """One configuration of a model. pooled: the untrained draws, or the pretrainings of a family, that stand under this name, if
    several do."""

    name: str
    settings: tuple[str, ...]
    """What was asked for to tell it from the model's other configurations."""
    pooled: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def is_family(self) -> bool:
        """Whether pretrainings stand under this name, not one network."""
        return self.name.startswith(FAMILY)

    @property
    def label(self) -> str:
        return self.name + (f" ({', '.join(self.settings)})" if self.settings else "")


@dataclass(frozen=True)
class Score:
    """One model on one task: the metric averaged over fits.

    low, high: 95 % interval over rows and, where fits differ, over fits; None where there are too few rows of the rarer class.
    n_fits: independent ones (draws of an untrained network, else seeds). seed_sd: standard deviation (ddof 1) between them, None where all agree. varies: what a seed changes; empty = one deterministic fit.
    letters: models that share one do not differ; empty with two models, and where nothing was tested. reason: what else was asked for and is not here.
    """

    value: float
    low: float | None
    high: float | None
    n_fits: int
    seed_sd: float | None
    seeds: tuple[int, ...]
    varies: tuple[str, ...]
    flags: tuple[str, ...]
    letters: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    """Of its fits, each with how many of them it is true of."""


@dataclass(frozen=True)
class PairedDifference:
    """Metric of ``first`` minus that of ``second``. p_holm: corrected for all pairs on all tasks of the comparison that are tested.

    withheld: why there is no test (p_value, p_holm, detectable and mcnemar are then empty): one fit stands for something that
    varies, and the interval covers rows alone; or there are too few rows of the rarer class, and there is no interval either.
    mcnemar: mid-p per pair of seeds, not corrected. detectable: the smallest true difference that would have been found in four of
    five cases at 5 %, not corrected.
    """

    first: str
    second: str
    value: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    detectable: float | None
    mcnemar: tuple[float, ...]
    withheld: str = ""


@dataclass(frozen=True)
class TaskComparison:
    """One task. groups: how related rows were tested (``known_groups``), or why every row counts as independent.

    missing: model -> why it has no score here. problem: why nothing was compared at all.
    """

    task: str
    metric: str
    n_rows: int = 0
    n_groups: int = 0
    known_groups: bool = False
    groups: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)
    differences: tuple[PairedDifference, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class PairAcross:
    """Two models over the tasks both have: mean difference over clusters and Wilcoxon's signed-rank p over them.

    p_value, p_holm: None where one fit of a model stands for something that varies. smallest_p: no result on so few clusters could
    have come below it.
    """

    first: str
    second: str
    n_tasks: int
    n_clusters: int
    mean_difference: float
    p_value: float | None
    p_holm: float | None
    smallest_p: float


@dataclass(frozen=True)
class AcrossTasks:
    """Several tasks together. ranks: over ``tasks``, which all models have. clusters: tasks that share loci, counted as one.

    n_clusters: independent tasks behind the ranks. pairs: empty where ``why_no_pairs`` says so.
    """

    tasks: tuple[str, ...]
    n_clusters: int
    clusters: Mapping[str, tuple[str, ...]]
    ranks: Mapping[str, RankInterval]
    pairs: tuple[PairAcross, ...]
    why_no_pairs: str = ""


@dataclass(frozen=True)
class Comparison:
    """Everything a page or the screen shows. n_tests: those that ``p_holm`` of the tasks corrects for."""

    protocol: str
    split: str
    models: tuple[ComparedModel, ...]
    tasks: tuple[TaskComparison, ...]
    n_tests: int
    across: AcrossTasks | None
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    complete: bool = True
    """False where predictions are missing, damaged or not of the same rows."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self) | {"models": [asdict(model) | {"label": model.label} for model in self.models]}
