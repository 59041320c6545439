"""The public names, for scripts and plugin authors.

Everything is imported when first used (PEP 562), so that importing this module costs nothing; no module of the core imports it.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

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
    PluginError,
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
    from findna_bench.matrix.job_folders import (
        Ended,
        JobFolder,
        OpenJobs,
        follow_jobs,
        job_folders,
        open_jobs,
        waiting_for,
    )
    from findna_bench.matrix.job_needs import Needs, needs_of
    from findna_bench.matrix.job_running import run_isolated, run_job
    from findna_bench.matrix.jobs import Executor, Job, fail_job, settle_finished
    from findna_bench.matrix.planning import Plan
    from findna_bench.matrix.run_status import RunStatus, UnitStatus
    from findna_bench.models.backbone import Adapted, Backbone, Checkpoint, Encoding, TokenBatch
    from findna_bench.models.combinations import combine_sides
    from findna_bench.models.estimators import AlignedFeatures, Classifier, Features
    from findna_bench.models.linear_products import linear
    from findna_bench.models.loading import LoadedModel
    from findna_bench.models.object_models import Embeds
    from findna_bench.profiling.profile_rows import ProfileRow
    from findna_bench.protocols.heads import FittedHead, SeedSplit, fit_probe
    from findna_bench.protocols.label_probe import fit_labels
    from findna_bench.protocols.protocol import FitOptions, Fitted, HeadProtocol, ModelToFit, Pool, Protocol
    from findna_bench.protocols.ridge import fit_ridge
    from findna_bench.protocols.settings import LogisticProbe, Preset
    from findna_bench.relatedness.composition import composition
    from findna_bench.relatedness.overlaps import largest_overlaps
    from findna_bench.relatedness.rows import rows_from_table
    from findna_bench.relatedness.similarity import SequenceIndex
    from findna_bench.requests.run_request import RunRequest
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
    from findna_bench.sequences.positions import position_features
    from findna_bench.statistics.base_states import NO_STATE
    from findna_bench.statistics.classification import compute_metrics
    from findna_bench.statistics.metric import Metric
    from findna_bench.targets.learning import label_priors, state_shares
    from findna_bench.targets.target import Target
    from findna_bench.training.augmentation import (
        Augmentation,
        MaskingAugmentation,
        augment,
        effect_of,
        make_augmentation,
    )
    from findna_bench.training.objective import Objective
    from findna_bench.training.pretraining import PretrainReport
    from findna_bench.training.recipes import Recipe, View, Views

    AnyModel: TypeAlias = str | PathLike[str] | LoadedModel | Backbone | Embeds
    Rows: TypeAlias = SequenceTable | pd.DataFrame
    AnyTask: TypeAlias = str | PathLike[str] | Task | Rows | Mapping[str, Rows]

__all__ = [
    "BASES",
    "NO_STATE",
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
    "Ended",
    "Event",
    "Executor",
    "ExecutorCard",
    "Features",
    "FitOptions",
    "Fitted",
    "FittedHead",
    "HeadProtocol",
    "Job",
    "JobFolder",
    "LoadedModel",
    "LogisticProbe",
    "MaskingAugmentation",
    "Metric",
    "MetricCard",
    "ModelCard",
    "ModelError",
    "ModelToFit",
    "Needs",
    "Note",
    "Objective",
    "ObjectiveCard",
    "OpenJobs",
    "Plan",
    "PluginError",
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
    "Recipe",
    "Report",
    "Result",
    "RunStatus",
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
    "UnitStatus",
    "UnsupportedError",
    "UsageError",
    "View",
    "Views",
    "WeightsError",
    "WeightsSource",
    "audit",
    "augment",
    "combine_sides",
    "compare",
    "composition",
    "compute_metrics",
    "effect_of",
    "embed",
    "encode",
    "encode_bases",
    "encode_padded",
    "fail_job",
    "fit_labels",
    "fit_probe",
    "fit_ridge",
    "follow_jobs",
    "hookimpl",
    "job_folders",
    "label_priors",
    "largest_overlaps",
    "length_batches",
    "linear",
    "load_model",
    "load_results",
    "load_task",
    "make_augmentation",
    "make_jobs",
    "needs_of",
    "normalise",
    "one_hot",
    "open_jobs",
    "plan",
    "position_features",
    "pretrain",
    "profile",
    "read_fasta",
    "reverse_complement",
    "reverse_complement_codes",
    "rows_from_table",
    "run",
    "run_isolated",
    "run_job",
    "settle_finished",
    "state_shares",
    "status",
    "waiting_for",
]

_LAZY = {
    "findna_bench.auditing.audit_report": ("AuditReport",),
    "findna_bench.data.table": ("SequenceTable",),
    "findna_bench.data.task": ("Task",),
    "findna_bench.comparison.comparison_records": ("Comparison",),
    "findna_bench.matrix.events": ("Event", "Note", "Report", "Settled", "UnitProgress", "UnitStarted"),
    "findna_bench.matrix.job_folders": (
        "Ended",
        "JobFolder",
        "OpenJobs",
        "follow_jobs",
        "job_folders",
        "open_jobs",
        "waiting_for",
    ),
    "findna_bench.matrix.job_needs": ("Needs", "needs_of"),
    "findna_bench.matrix.job_running": ("run_isolated", "run_job"),
    "findna_bench.matrix.jobs": ("Executor", "Job", "fail_job", "settle_finished"),
    "findna_bench.matrix.planning": ("Plan",),
    "findna_bench.matrix.run_status": ("RunStatus", "UnitStatus"),
    "findna_bench.models.backbone": ("Adapted", "Backbone", "Checkpoint", "Encoding", "TokenBatch"),
    "findna_bench.models.combinations": ("combine_sides",),
    "findna_bench.models.estimators": ("AlignedFeatures", "Classifier", "Features"),
    "findna_bench.models.linear_products": ("linear",),
    "findna_bench.models.loading": ("LoadedModel",),
    "findna_bench.profiling.profile_rows": ("ProfileRow",),
    "findna_bench.protocols.heads": ("FittedHead", "SeedSplit", "fit_probe"),
    "findna_bench.protocols.label_probe": ("fit_labels",),
    "findna_bench.protocols.ridge": ("fit_ridge",),
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
    "findna_bench.sequences.positions": ("position_features",),
    "findna_bench.statistics.base_states": ("NO_STATE",),
    "findna_bench.statistics.classification": ("compute_metrics",),
    "findna_bench.statistics.metric": ("Metric",),
    "findna_bench.targets.learning": ("label_priors", "state_shares"),
    "findna_bench.targets.target": ("Target",),
    "findna_bench.training.augmentation": (
        "Augmentation",
        "MaskingAugmentation",
        "augment",
        "effect_of",
        "make_augmentation",
    ),
    "findna_bench.training.objective": ("Objective",),
    "findna_bench.training.pretraining": ("PretrainReport",),
    "findna_bench.training.recipes": ("Recipe", "View", "Views"),
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

    Args:
        name: as ``--models`` takes it.
        weights: None for the card's source, ``"random"``, or a file or folder (a ``config.json`` in the folder overrides the card's
            sizes).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        dtype: ``auto`` (float32), ``float32`` or ``bfloat16``.
        network: ``teacher`` or ``student``, where a checkpoint holds both.
        offline: never reach for the network.

    Returns:
        The model, in evaluation mode.

    Raises:
        UnknownNameError: no plugin registers the name.
        WeightsError: a checkpoint is missing, unsafe, or does not fit.

    Example:
        >>> fb.load_model("findna-tiny", device="cpu").n_parameters
        298176
    """
    from findna_bench.models.loading import load_model as load
    from findna_bench.models.spec import parse_model

    if weights == "random":
        return load(parse_model(f"{name}@random"), device=device, dtype=dtype, network=network, offline=offline)
    override = None if weights is None else Path(weights).expanduser()
    return load(parse_model(name), weights=override, device=device, dtype=dtype, network=network, offline=offline)


def embed(
    model: LoadedModel | str,
    sequences: str | Sequence[str],
    *,
    pooling: str | None = None,
    layer: int = -1,
    batch_size: int | str = "auto",
    strand: str = "forward",
    window: str | None = None,
) -> np.ndarray:
    """One vector per sequence, which depends on neither batch size nor the other sequences.

    Args:
        model: a loaded model, or a name.
        sequences: one, or several; may hold lower case, U and IUPAC letters.
        pooling: None for the card's default.
        layer: number of the hidden layer, 0 the embedding, -1 the last.
        batch_size: sequences at a time; ``auto`` fits them to the memory.
        strand: ``forward``, ``reverse`` or ``rc-mean`` (the mean over both).
        window: ``truncate`` or ``window``, for sequences longer than the model takes; None for the card's default.

    Returns:
        (n, D) float32.

    Raises:
        DataError: a sequence is empty, or holds a letter that is none of DNA's.

    Warns:
        TruncationWarning: sequences are longer than the model takes and were cut; ``window="window"`` reads all of them.

    Example:
        >>> fb.embed("findna-tiny", ["ACGTACGT", "GATTACA"]).shape
        (2, 96)
    """
    from findna_bench.errors import TruncationWarning
    from findna_bench.models.embedding import embed as embed_sequences
    from findna_bench.sequences.alphabet import normalise_all

    live = load_model(model) if isinstance(model, str) else model
    clean = normalise_all(_texts(sequences), lambda row: f"sequence {row}")
    found = embed_sequences(
        live, clean, pooling=pooling, layer=layer, batch_size=batch_size, strand=strand, window=window
    )
    if found.truncation:
        warnings.warn(f"{live.name}: {found.truncation}", TruncationWarning, stacklevel=2)
    return found.vectors


def encode(model: LoadedModel | str, sequences: str | Sequence[str]) -> list[np.ndarray]:
    """Last hidden states of every sequence.

    Args:
        model: a loaded model, or a name.
        sequences: one, or several; may hold lower case, U and IUPAC letters.

    Returns:
        (T_i, D) float32 for each sequence: all tokens but padding, special ones included.

    Raises:
        DataError: a sequence is empty, or holds a letter that is none of DNA's.

    Warns:
        TruncationWarning: sequences are longer than the model takes and were cut at their end.

    Example:
        >>> [states.shape for states in fb.encode("findna-tiny", ["ACGTACGT", "GATTACA"])]
        [(8, 96), (7, 96)]
    """
    from findna_bench.models.embedding import encode as encode_sequences
    from findna_bench.sequences.alphabet import normalise_all

    live = load_model(model) if isinstance(model, str) else model
    return encode_sequences(live, normalise_all(_texts(sequences), lambda row: f"sequence {row}"))


def _texts(sequences: str | Sequence[str]) -> list[str]:
    """One sequence is a list of one."""
    texts = [sequences] if isinstance(sequences, str) else list(sequences)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"sequence {row} is {text!r}, a {type(text).__name__}; give text over A, C, G, T, N")
    return texts


def load_task(
    name: str | PathLike[str],
    *,
    data_dir: str | PathLike[str] | None = None,
    drop_missing: bool = False,
    target: str | None = None,
    fasta: str | PathLike[str] | None = None,
    flank: int | None = None,
) -> Task:
    """Open a task; ``.load("train")`` gives its rows.

    Args:
        name: ``suite/task``, the bare name if it is unique, or a path.
        data_dir: data root; None for the user's.
        drop_missing: of a path: leave out rows without sequence or label, which are refused otherwise; ``.notes`` counts them.
        target: of a path: what its columns predict (``values``, ``labels``, ...), where it is not what they say.
        fasta: of a path with variants or regions that are known by their places: the genome that they are cut from.
        flank: bases on either side; None = 256 of a variant, 0 of a region.

    Returns:
        The task, of which nothing but a manifest is read yet.

    Raises:
        UnknownNameError: no such task.
        DataError: its data are not on this machine, or damaged.

    Example:
        >>> fb.load_task("demo/species4").load("test").class_counts(4).tolist()
        [150, 150, 150, 150]
    """
    from findna_bench.data.task import open_task

    root = None if data_dir is None else Path(data_dir)
    genome = None if fasta is None else Path(fasta)
    return open_task(
        _task_name(name), data_dir=root, drop_missing=drop_missing, target=target, fasta=genome, flank=flank
    )


def _task_name(name: str | PathLike[str]) -> str:
    """A task as the verbs take it; a path is one whether it looks like one or not."""
    from findna_bench.requests.declarations import Names

    return name if isinstance(name, str) else Names().read([name], "task")[0]


def load_results(folder: str | PathLike[str] = "results") -> pd.DataFrame:
    """All results of a folder as a tidy table, failed and skipped cells included.

    Args:
        folder: what :func:`run` was given as ``output_dir``.

    Returns:
        One row per cell; nested keys are joined by dots, lists and free-form settings are JSON text. Scores are fractions.

    Raises:
        UsageError: the folder is not there.

    Example:
        >>> _ = fb.run(["majority", "kmer"], ["demo/species4"], seeds=1, limit=40, output_dir="results")
        >>> table = fb.load_results("results")
        >>> table.groupby(["model.name", "task.name"])["metrics.main.value"].mean().loc["majority"].tolist()
        [0.25]
    """
    from findna_bench.results.export import to_frame
    from findna_bench.results.store import ResultStore

    return to_frame(ResultStore.existing(Path(folder).expanduser()).load())


def run(
    models: AnyModel | Collection[AnyModel],
    tasks: AnyTask | Collection[AnyTask] = (),
    *,
    suite: str | Sequence[str] = (),
    **options: Any,
) -> list[Result]:
    """Run models on tasks as ``findna-bench run`` does.

    Args:
        models: names, as ``--models`` takes them, paths, or objects: :func:`load_model`'s, a :class:`Backbone`, or anything with
            ``embed(list[str]) -> (n, D)``; one or several. An object is called ``memory:NAME-DIGEST`` by its content, and is run by the executor
            ``serial``.
        tasks: names, paths, or tables: a :class:`SequenceTable`, a pandas DataFrame with the columns that a file has, or a mapping of
            ``train``, ``validation`` and ``test`` to either; one or several.
        suite: named lists of tasks.
        options: the other fields of :class:`~findna_bench.requests.run_request.RunRequest`: ``protocol``, ``seeds``,
            ``weights``, ``output_dir``, ...

    Returns:
        The results of all cells, in the order models x tasks x seeds; failed ones have a status that is not ``success``. What they have in
        common they share: they are not to be changed.

    Raises:
        UsageError: a name or an option is wrong; before any work.

    Example:
        >>> (result,) = fb.run(["majority"], ["demo/species4"], seeds=1, output_dir="results")
        >>> result.metrics.main.name, result.metrics.main.value
        ('accuracy', 0.25)

        >>> class Shares:
        ...     def embed(self, sequences):
        ...         return np.array([[text.count(base) / len(text) for base in "ACGT"] for text in sequences])
        >>> table = fb.load_task("demo/species4").load("train").take(range(200))
        >>> (result,) = fb.run([Shares()], [table], seeds=1, output_dir="results")
        >>> result.status, result.model.name.startswith("memory:Shares-")
        ('success', True)
    """
    from findna_bench.matrix.runner import run as run_matrix

    return run_matrix(_run_request(models, tasks, suite, options))


def _run_request(models: Any, tasks: Any, suite: str | Sequence[str], options: Mapping[str, Any]) -> RunRequest:
    """What a call asks for, objects by the names that stand for them."""
    from findna_bench.matrix.held_objects import named_objects
    from findna_bench.requests.declarations import build
    from findna_bench.requests.run_request import RunRequest

    named = named_objects(models, tasks, drop_missing=bool(options.get("drop_missing", False)))
    return build(RunRequest, {**named, "suites": suite or (), **options})


def plan(
    models: AnyModel | Collection[AnyModel],
    tasks: AnyTask | Collection[AnyTask] = (),
    *,
    suite: str | Sequence[str] = (),
    **options: Any,
) -> Plan:
    """What :func:`run` with the same arguments would do; opens no data and no weights.

    Args:
        models: as for :func:`run`.
        tasks: as for :func:`run`.
        suite: named lists of tasks.
        options: as for :func:`run`.

    Returns:
        Cells by what a run would do with them.

    Raises:
        UsageError: a name or an option is wrong.

    Example:
        >>> fb.plan(["findna-tiny", "kmer"], suite="demo", seeds=5).cells
        50
    """
    from findna_bench.matrix.planning import plan as make_plan

    return make_plan(_run_request(models, tasks, suite, options))


def status(output_dir: str | Path = "results") -> RunStatus:
    """What runs, waits and has failed in a results folder, whichever executor works in it; nothing in it is changed.

    Args:
        output_dir: the folder, on this machine or any that sees it.

    Returns:
        The number of finished results, and every model on a task that runs, waits or has failed.

    Raises:
        UsageError: there is no such folder.

    Example:
        >>> (result,) = fb.run(["majority"], ["demo/species4"], seeds=1, output_dir="results")
        >>> found = fb.status("results")
        >>> found.count("running"), found.count("waiting"), found.count("failed")
        (0, 0, 0)
    """
    from findna_bench.matrix.run_status import run_status

    return run_status(Path(output_dir))


def make_jobs(
    models: AnyModel | Collection[AnyModel],
    tasks: AnyTask | Collection[AnyTask] = (),
    *,
    suite: str | Sequence[str] = (),
    **options: Any,
) -> list[Job]:
    """What :func:`run` with the same arguments hands to an executor: one job per model, to be run by :func:`run_job` anywhere.

    Args:
        models: as for :func:`run`.
        tasks: as for :func:`run`.
        suite: named lists of tasks.
        options: as for :func:`run`.

    Returns:
        One job per model (and network).

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

    request = _run_request(models, tasks, suite, options)
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
    """What finished results say of the order of models, as ``findna-bench compare``.

    Per task paired differences with intervals and corrected p-values, across tasks ranks and signed-rank tests.

    Args:
        models: as the leaderboard names its rows; ``NAME@random:*`` for all untrained draws, ``family:PATTERN`` for
            pretrainings that differ in their seed.
        tasks: names; none = all that there are.
        suite: named lists of tasks; None = all that there are.
        protocol: of the results, where they have several.
        split: of the results, where they have several.
        metric: in place of each task's own.
        output_dir: the results folder.
        data_dir: data root; None for the user's.

    Returns:
        The comparison: one entry per task, and the tests across tasks.

    Raises:
        UsageError: unknown or ambiguous names.
        OutputError: nothing can be compared.

    Example:
        >>> _ = fb.run(["majority", "trivial"], ["demo/species4"], seeds=2, output_dir="results")
        >>> (task,) = fb.compare(["trivial", "majority"], output_dir="results").tasks
        >>> task.task
        'demo/species4'
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

    Returns:
        Steps, losses and where the model lies.

    Raises:
        UsageError: an option is wrong, or the folder holds another run.
        DataError, WeightsError: files do not fit.

    Example:
        >>> fb.pretrain("findna-tiny", "my-model", on="demo/species4", steps=2, batch_size=4, device="cpu").steps
        2
    """
    from findna_bench.requests.declarations import build
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

    Raises:
        UsageError: a name or an option is wrong.

    Example:
        >>> rows = fb.profile("findna-tiny", lengths="64", device="cpu", mode="forward", repeats=1)  # doctest: +SKIP
    """
    from findna_bench.profiling.model_profiles import profile_models
    from findna_bench.requests.declarations import build
    from findna_bench.requests.profile_request import ProfileRequest

    return profile_models(build(ProfileRequest, {"models": models, "tasks": task, **options}))


def audit(
    task: str | PathLike[str],
    *,
    data_dir: str | PathLike[str] | None = None,
    offline: bool = False,
    drop_missing: bool = False,
    target: str | None = None,
    against: Sequence[str | PathLike[str]] = (),
    genome: str | PathLike[str] | None = None,
    published_best: float | None = None,
) -> AuditReport:
    """What a benchmark is worth: duplicates, leaks, shortcuts, verdict.

    Args:
        task: a task's name or path.
        data_dir: data root; None for the user's.
        offline: never reach for the network.
        drop_missing: of a path: leave out rows without sequence or label, which are refused otherwise.
        target: of a path: what its columns predict, where these say otherwise; None = what they say.
        against: other tasks, suites or paths whose rows are looked for in this one.
        genome: FASTA file in which rows are looked for.
        published_best: a published score in percent, to be compared with what rules reach; None = the best that is known.

    Returns:
        The report, which is also kept under the data root, for ``describe``.

    Raises:
        UnknownNameError: no such task. DataError: its data are not on this machine, or damaged.

    Example:
        >>> fb.audit("demo/motif_order").verdict.level
        'note'
    """
    from findna_bench.auditing import audit_task
    from findna_bench.leaderboard.audit_references import audit_references

    root = None if data_dir is None else Path(data_dir)
    references = audit_references(
        against=[_task_name(name) for name in against],
        genome=None if genome is None else Path(genome),
        published_best=published_best,
        data_dir=root,
        offline=offline,
    )
    return audit_task(
        _task_name(task),
        data_dir=root,
        offline=offline,
        drop_missing=drop_missing,
        target=target,
        references=references,
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
