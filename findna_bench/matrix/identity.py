"""Identities: the hash that names a result is also its provenance. What goes in is listed here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from findna_bench.files import stable_hash
from findna_bench.matrix.request import PROTOCOL_VERSION, few_shot_validation
from findna_bench.requests.declarations import identity_options
from findna_bench.requests.run_request import RunRequest

__all__ = ["ModelFacts", "TaskFacts", "cell_settings", "config_id", "config_settings", "identity"]


@dataclass(frozen=True)
class ModelFacts:
    """What a loaded model turned out to be."""

    name: str
    kind: str
    distribution: str | None
    distribution_version: str | None
    card_version: int
    backbone: str | None = None
    settings: Mapping[str, Any] | None = None
    """What it was built with: sizes of a network, constructor settings of a control, digests of files that these name."""
    weights_source: str | None = None
    weights_digest: str | None = None
    tokenizer_digest: str | None = None
    code_digest: str | None = None
    """Of the code that made the model (:mod:`findna_bench.code`); None where it cannot be hashed."""
    network: str | None = None
    trained: bool | None = None
    n_parameters: int | None = None
    pooling: str | list[str] | None = None
    layer: int | list[int] | None = None
    """Of an encoder; those that validation is to choose among, where it is to."""
    window: str | None = None
    licence: str | None = None
    dtype: str = "float32"
    device_type: str = "cpu"
    threads: int | None = None
    """CPU threads, where bits of its numbers may depend on how many they are; None where they do not."""
    batch_size: int | str | None = None
    """As asked for, where bits may depend on it; None where they do not."""


@dataclass(frozen=True)
class TaskFacts:
    """What the data turned out to be."""

    suite: str
    name: str
    labels: tuple[str, ...]
    data_digest: str
    split: str
    metric: str
    higher_is_better: bool


def config_settings(
    request: RunRequest, model: ModelFacts, preset: Mapping[str, Any], shots: int | None
) -> dict[str, Any]:
    """Everything that makes two rows of a table comparable: all but seed and task data."""
    return {
        "protocol_version": PROTOCOL_VERSION,
        "model": model.name,
        "kind": model.kind,
        "distribution": model.distribution,
        "distribution_version": model.distribution_version,
        "card_version": model.card_version,
        "backbone": model.backbone,
        "model_settings": dict(model.settings or {}),
        "weights_digest": model.weights_digest,
        "tokenizer_digest": model.tokenizer_digest,
        "code_digest": model.code_digest,
        "network": model.network,
        "trained": model.trained,
        "n_parameters": model.n_parameters,
        "pooling": model.pooling,
        "layer": model.layer,
        "window": model.window,
        "strand": request.strand,
        "dtype": model.dtype,
        "device_type": model.device_type,
        "threads": model.threads,
        "batch_size": model.batch_size,
        "protocol": request.protocol,
        "preset": request.preset,
        "preset_settings": dict(preset),
        "shots": shots,
        "shot_validation": few_shot_validation(request, shots),
        "selection": request.selection,
        "split": request.split,
        "limit": request.limit,
        **identity_options(request),
    }


def config_id(config: Mapping[str, Any]) -> str:
    """Hash of :func:`config_settings`: means over seeds and suites are taken only within one."""
    return stable_hash(config)[:32]


def cell_settings(task: TaskFacts, task_settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What an identity holds beside the configuration; ``task_settings`` are a preset's values for this task, and what a seed
    changes.
    """
    return {
        "task": f"{task.suite}/{task.name}",
        "labels": list(task.labels),
        "metric": task.metric,
        "higher_is_better": task.higher_is_better,
        "data_digest": task.data_digest,
        "split": task.split,
        "task_settings": dict(task_settings),
        "seed": seed,
    }


def identity(config: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """Hash of everything that decides a cell's numbers."""
    return stable_hash({"config": dict(config), **cell})
