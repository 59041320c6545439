"""The public names, for scripts and plugin authors. Everything is imported when first used (PEP 562), so that importing
this module costs nothing; no module of the core imports it.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Cards and errors cost nothing to import.
from findna_bench.cards import (
    AugmentationCard,
    BackboneCard,
    DataSource,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    Pretraining,
    ProtocolCard,
    PublishedCard,
    PublishedFineTuning,
    SuiteCard,
    TargetCard,
    TaskCard,
    WeightsSource,
    hookimpl,
)
from findna_bench.errors import (
    BenchError,
    DataError,
    ModelError,
    TruncationWarning,
    UnsupportedError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from findna_bench.auditing.audit_report import AuditReport
    from findna_bench.comparison.comparison_records import Comparison
    from findna_bench.data.table import SequenceTable
    from findna_bench.data.task import Task
    from findna_bench.matrix.events import Event, Note, Report, Settled, UnitProgress, UnitStarted
    from findna_bench.matrix.jobs import Executor, Job, fail_job, run_job
    from findna_bench.matrix.plan import Plan
    from findna_bench.models.backbone import Adapted, Backbone, Checkpoint, Encoding, TokenBatch
    from findna_bench.models.estimators import AlignedFeatures, Classifier, Features
    from findna_bench.models.loading import LoadedModel
    from findna_bench.profiling.rows import ProfileRow
    from findna_bench.protocols.heads import FittedHead, SeedSplit, fit_probe
    from findna_bench.protocols.protocol import FitOptions, Fitted, HeadProtocol, ModelToFit, Pool, Protocol
    from findna_bench.protocols.settings import LogisticProbe, Preset
    from findna_bench.relatedness.composition import composition
    from findna_bench.relatedness.overlaps import largest_overlaps
    from findna_bench.relatedness.rows import rows_from_table
    from findna_bench.relatedness.similarity import SequenceIndex
    from findna_bench.results.schema import Result
    from findna_bench.sequences.alphabet import (
        BASES,
        encode_padded,
        normalise,
        one_hot,
        reverse_complement,
        reverse_complement_codes,
    )
    from findna_bench.sequences.alphabet import encode as encode_bases
    from findna_bench.sequences.batches import length_batches
    from findna_bench.sequences.fasta import read_fasta
    from findna_bench.statistics.classification import compute_metrics
    from findna_bench.statistics.metric import Metric
    from findna_bench.targets.target import Target
    from findna_bench.training.augmentation import Augmentation, MaskingAugmentation, effect_of, make_augmentation
    from findna_bench.training.objective import Objective
    from findna_bench.training.pretrain import PretrainReport

__all__ = [
    "BASES",
    "Adapted",
    "AlignedFeatures",
    "AuditReport",
    "Augmentation",
    "AugmentationCard",
    "Backbone",
    "BackboneCard",
    "BenchError",
    "Checkpoint",
    "Classifier",
    "Comparison",
    "DataError",
    "DataSource",
    "Encoding",
    "Event",
    "Executor",
    "ExecutorCard",
    "Features",
    "FitOptions",
    "Fitted",
    "FittedHead",
    "HeadProtocol",
    "Job",
    "LoadedModel",
    "LogisticProbe",
    "MaskingAugmentation",
    "Metric",
    "MetricCard",
    "ModelCard",
    "ModelError",
    "ModelToFit",
    "Note",
    "Objective",
    "ObjectiveCard",
    "Plan",
    "Pool",
    "Preset",
    "PresetCard",
    "PretrainReport",
    "Pretraining",
    "ProfileRow",
    "Protocol",
    "ProtocolCard",
    "PublishedCard",
    "PublishedFineTuning",
    "Report",
    "Result",
    "SeedSplit",
    "SequenceIndex",
    "SequenceTable",
    "Settled",
    "SuiteCard",
    "Target",
    "TargetCard",
    "Task",
    "TaskCard",
    "TokenBatch",
    "TruncationWarning",
    "UnitProgress",
    "UnitStarted",
    "UnsupportedError",
    "UsageError",
    "WeightsError",
    "WeightsSource",
    "audit",
    "compare",
    "composition",
    "compute_metrics",
    "effect_of",
    "embed",
    "encode",
    "encode_bases",
    "encode_padded",
    "fail_job",
    "fit_probe",
    "hookimpl",
    "largest_overlaps",
    "length_batches",
    "load_model",
    "load_results",
    "load_task",
    "make_augmentation",
    "make_jobs",
    "normalise",
    "one_hot",
    "plan",
    "pretrain",
    "profile",
    "read_fasta",
    "reverse_complement",
    "reverse_complement_codes",
    "rows_from_table",
    "run",
    "run_job",
]

_LAZY = {
    "findna_bench.auditing.audit_report": ("AuditReport",),
    "findna_bench.data.table": ("SequenceTable",),
    "findna_bench.data.task": ("Task",),
    "findna_bench.comparison.comparison_records": ("Comparison",),
    "findna_bench.matrix.events": ("Event", "Note", "Report", "Settled", "UnitProgress", "UnitStarted"),
    "findna_bench.matrix.jobs": ("Executor", "Job", "fail_job", "run_job"),
    "findna_bench.matrix.plan": ("Plan",),
    "findna_bench.models.backbone": ("Adapted", "Backbone", "Checkpoint", "Encoding", "TokenBatch"),
    "findna_bench.models.estimators": ("AlignedFeatures", "Classifier", "Features"),
    "findna_bench.models.loading": ("LoadedModel",),
    "findna_bench.profiling.rows": ("ProfileRow",),
    "findna_bench.protocols.heads": ("FittedHead", "SeedSplit", "fit_probe"),
    "findna_bench.protocols.protocol": ("FitOptions", "Fitted", "HeadProtocol", "ModelToFit", "Pool", "Protocol"),
    "findna_bench.protocols.settings": ("LogisticProbe", "Preset"),
    "findna_bench.relatedness.composition": ("composition",),
    "findna_bench.relatedness.overlaps": ("largest_overlaps",),
    "findna_bench.relatedness.rows": ("rows_from_table",),
    "findna_bench.relatedness.similarity": ("SequenceIndex",),
    "findna_bench.results.schema": ("Result",),
    "findna_bench.sequences.alphabet": (
        "BASES",
        "encode_bases",
        "encode_padded",
        "normalise",
        "one_hot",
        "reverse_complement",
        "reverse_complement_codes",
    ),
    "findna_bench.sequences.batches": ("length_batches",),
    "findna_bench.sequences.fasta": ("read_fasta",),
    "findna_bench.statistics.classification": ("compute_metrics",),
    "findna_bench.statistics.metric": ("Metric",),
    "findna_bench.targets.target": ("Target",),
    "findna_bench.training.augmentation": ("Augmentation", "MaskingAugmentation", "effect_of", "make_augmentation"),
    "findna_bench.training.objective": ("Objective",),
    "findna_bench.training.pretrain": ("PretrainReport",),
}
"""Names that are imported when first used, by their module; type checkers see them above."""
_RENAMED = {"encode_bases": "encode"}
_HOME = {name: module for module, names in _LAZY.items() for name in names}

if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for Any

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'findna_bench.api' has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOME[name]), _RENAMED.get(name, name))
        globals()[name] = value
        return value


def load_model(
    name: str,
    *,
    weights: str | PathLike[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    network: str | None = None,
    offline: bool = False,
) -> LoadedModel:
    """Load an encoder and prove that its weights were loaded.

    name: as ``--models`` takes it. weights: None for the card's source, ``"random"``, or a file or folder (a ``config.json``
    in the folder overrides the card's sizes). dtype: ``auto`` is float32. network: ``teacher`` or ``student`` where a
    checkpoint holds both.

    Raises:
        UnknownNameError: no plugin registers the name. WeightsError: a checkpoint is missing, unsafe, or does not fit.
    """
    from findna_bench.models.loading import load_model as load
    from findna_bench.models.spec import parse_model

    if weights == "random":
        return load(parse_model(f"{name}@random"), device=device, dtype=dtype, network=network, offline=offline)
    override = None if weights is None else Path(weights).expanduser()
    return load(parse_model(name), weights=override, device=device, dtype=dtype, network=network, offline=offline)


def embed(
    model: LoadedModel | str,
    sequences: Sequence[str],
    *,
    pooling: str | None = None,
    layer: int = -1,
    batch_size: int | str = "auto",
    strand: str = "forward",
    window: str | None = None,
) -> np.ndarray:
    """One vector per sequence: float32 (n, D).

    pooling: None for the card's default. layer: hidden layer, -1 the last. Sequences may hold lower case, U and IUPAC
    letters. The vectors depend on neither batch size nor the other sequences.

    Warns:
        TruncationWarning: sequences are longer than the model takes and were cut; ``window="window"`` reads all of them.
    """
    from findna_bench.errors import TruncationWarning
    from findna_bench.models.embedding import embed as embed_sequences
    from findna_bench.sequences.alphabet import normalise_all

    live = load_model(model) if isinstance(model, str) else model
    clean = normalise_all(sequences, lambda row: f"sequence {row}")
    found = embed_sequences(
        live, clean, pooling=pooling, layer=layer, batch_size=batch_size, strand=strand, window=window
    )
    if found.truncation:
        warnings.warn(f"{live.name}: {found.truncation}", TruncationWarning, stacklevel=2)
    return found.vectors


def encode(model: LoadedModel | str, sequences: Sequence[str]) -> list[np.ndarray]:
    """Last hidden states per sequence, float32 (T_i, D) each: all non-padding tokens, special ones included.

    Warns:
        TruncationWarning: sequences are longer than the model takes and were cut at their end.
    """
    from findna_bench.models.embedding import encode as encode_sequences
    from findna_bench.sequences.alphabet import normalise_all

    live = load_model(model) if isinstance(model, str) else model
    return encode_sequences(live, normalise_all(sequences, lambda row: f"sequence {row}"))


def load_task(name: str | PathLike[str], *, data_dir: str | PathLike[str] | None = None) -> Task:
    """A task by name (``suite/task``, or the bare name if unique) or path; ``.load("train")`` gives its rows.

    Raises:
        UnknownNameError: no such task. DataError: its data is not on this machine, or damaged.
    """
    from findna_bench.data.task import open_task

    return open_task(str(name), data_dir=Path(data_dir) if data_dir is not None else None)


def load_results(folder: str | PathLike[str] = "results") -> pd.DataFrame:
    """All results of a folder as a tidy table, failed and skipped cells included.

    Args:
        folder: what :func:`run` was given as ``output_dir``.

    Returns:
        One row per cell; nested keys are joined by dots, lists and free-form settings are JSON text. Scores are fractions.

    Raises:
        UsageError: the folder is not there.
        OutputError: a file in it is no result.

    Example:
        >>> table = fb.load_results("results")  # doctest: +SKIP
        >>> table.groupby(["model.name", "task.name"])["metrics.main.value"].mean()  # doctest: +SKIP
    """
    from findna_bench.results.export import to_frame
    from findna_bench.results.store import ResultStore

    return to_frame(ResultStore.existing(Path(folder).expanduser()).load())


def run(
    models: str | Sequence[str],
    tasks: str | Sequence[str] = (),
    *,
    suite: str | Sequence[str] = (),
    **options: Any,
) -> list[Result]:
    """Run models on tasks as ``findna-bench run`` does.

    Args:
        models: names, as ``--models`` takes them.
        tasks: names or paths.
        suite: named lists of tasks.
        options: the other fields of :class:`~findna_bench.requests.run_request.RunRequest`: ``protocol``, ``seeds``,
            ``weights``, ``output_dir``, ...

    Returns:
        The results of all cells, in the order models x tasks x seeds; failed ones have a status that is not ``success``.

    Raises:
        UsageError: a name or an option is wrong; before any work.

    Example:
        >>> fb.run(["findna-tiny", "kmer"], ["demo/species4"], seeds=2, output_dir="results")  # doctest: +SKIP
    """
    from findna_bench.matrix.run import run as run_matrix
    from findna_bench.requests.options import build
    from findna_bench.requests.run_request import RunRequest

    return run_matrix(build(RunRequest, {"models": models, "tasks": tasks, "suites": suite or (), **options}))


def plan(
    models: str | Sequence[str],
    tasks: str | Sequence[str] = (),
    *,
    suite: str | Sequence[str] = (),
    **options: Any,
) -> Plan:
    """What :func:`run` with the same arguments would do; opens no data and no weights."""
    from findna_bench.matrix.plan import plan as make_plan
    from findna_bench.requests.options import build
    from findna_bench.requests.run_request import RunRequest

    return make_plan(build(RunRequest, {"models": models, "tasks": tasks, "suites": suite or (), **options}))


def make_jobs(
    models: str | Sequence[str],
    tasks: str | Sequence[str] = (),
    *,
    suite: str | Sequence[str] = (),
    **options: Any,
) -> list[Job]:
    """What :func:`run` with the same arguments hands to an executor: one job per model, to be run by :func:`run_job` anywhere.

    Raises:
        UsageError: a name or an option is wrong.

    Example:
        >>> jobs = fb.make_jobs("findna-tiny,kmer", suite="demo", output_dir="results")
        >>> [job.model for job in jobs]
        ['findna-tiny', 'kmer']
    """
    from findna_bench.matrix.jobs import make_jobs as make
    from findna_bench.matrix.request import expand
    from findna_bench.registry import get_registry
    from findna_bench.requests.options import build
    from findna_bench.requests.run_request import RunRequest

    request = build(RunRequest, {"models": models, "tasks": tasks, "suites": suite or (), **options})
    return make(request, expand(request, get_registry()))


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def compare(
    models: Sequence[str],
    tasks: Sequence[str] = (),
    *,
    suite: str | Sequence[str] | None = None,
    protocol: str | None = None,
    split: str | None = None,
    metric: str | None = None,
    output_dir: str | PathLike[str] = "results",
    data_dir: str | PathLike[str] | None = None,
) -> Comparison:
    """What finished results say of the order of models, as ``findna-bench compare``: per task paired differences with intervals
    and corrected p-values, across tasks ranks and signed-rank tests.

    models: as the leaderboard names its rows; ``NAME@random:*`` for all untrained draws. tasks, suite: none = all that there are.

    Raises:
        UsageError: unknown or ambiguous names. OutputError: nothing can be compared.
    """
    from findna_bench.comparison.comparing import compare_models

    return compare_models(
        Path(output_dir),
        _names(models),
        tasks=_names(tasks),
        suites=_names(suite or ()),
        protocol=protocol,
        split=split,
        metric=metric,
        data_dir=Path(data_dir) if data_dir is not None else None,
    )


def pretrain(
    model: str,
    output: str | PathLike[str],
    *,
    fasta: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
    on: str | None = None,
    **options: Any,
) -> PretrainReport:
    """Train a network by self-supervision as ``findna-bench pretrain`` does; the same call goes on where it was stopped.

    Args:
        model: a model, ``path:FOLDER``, or a backbone together with ``objective``.
        output: folder of the run and of the model it makes, a name for :func:`load_model` as ``path:FOLDER``.
        fasta: genomes, plain or gzipped.
        on: in place of ``fasta``: continue on this task's train rows, labels unused.
        options: the other fields of :class:`~findna_bench.requests.pretrain_request.PretrainRequest`.

    Raises:
        UsageError: an option is wrong, or the folder holds another run. DataError, WeightsError: files do not fit.

    Example:
        >>> fb.pretrain("findna-tiny", "my-model", fasta="genome.fa", steps=100)  # doctest: +SKIP
    """
    from findna_bench.requests.options import build
    from findna_bench.requests.pretrain_request import PretrainRequest
    from findna_bench.training.launch import pretrain as launch

    return launch(build(PretrainRequest, {"model": model, "output": output, "fasta": fasta, "on": on, **options}))


def profile(models: str | Sequence[str] = (), task: str = "mtcdna-1024", **options: Any) -> list[ProfileRow]:
    """Time, memory and FLOPs of models on sequences of a task's shape, as ``findna-bench profile`` measures them.

    Args:
        models: names, in the order of the rows.
        task: gives the shape of the sequences.
        options: the other fields of :class:`~findna_bench.requests.profile_request.ProfileRequest`.

    Returns:
        Two rows per model and length: as published, and in the best formulation here.
    """
    from findna_bench.profiling.run import profile_models
    from findna_bench.requests.options import build
    from findna_bench.requests.profile_request import ProfileRequest

    return profile_models(build(ProfileRequest, {"models": models, "tasks": task, **options}))


def audit(
    task: str | PathLike[str], *, data_dir: str | PathLike[str] | None = None, offline: bool = False
) -> AuditReport:
    """What a benchmark is worth: duplicates, leaks, shortcuts, verdict.

    Args:
        task: a task's name or path.
        data_dir: data root; None for the user's.
        offline: never reach for the network.

    Returns:
        The report, which is also kept under the data root, for ``describe``.

    Raises:
        UnknownNameError: no such task. DataError: its data are not on this machine, or damaged.

    Example:
        >>> fb.audit("demo/motif_order").verdict  # doctest: +SKIP
    """
    from findna_bench.auditing import audit_task

    return audit_task(str(task), data_dir=None if data_dir is None else Path(data_dir), offline=offline)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
