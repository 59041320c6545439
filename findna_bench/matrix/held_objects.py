"""Models and tasks of a run that are objects of this process, and the names that stand for them in its request."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

__all__ = ["named_objects"]

_VECTORS = (".npy", ".npz", ".parquet")


def named_objects(models: Any, tasks: Any, *, drop_missing: bool = False) -> dict[str, Any]:
    """``models``, ``tasks`` and ``held`` of a :class:`~findna_bench.requests.run_request.RunRequest`.

    Args:
        models: names, paths and objects (:func:`findna_bench.models.object_models.object_spec`), or one of them.
        tasks: names, paths and tables (:func:`findna_bench.data.table_tasks.table_ref`), or one of them.
        drop_missing: of tables, leave out rows without sequence or label.

    Raises:
        UsageError: an object is no model, or no table. DataError: a table's rows are no labelled DNA.
    """
    held: dict[str, Any] = {}
    return {
        "models": models if _is_text(models) else [_model(model, held) for model in _listed_models(models)],
        "tasks": tasks if _is_text(tasks) else [_task(task, held, drop_missing) for task in _listed_tasks(tasks)],
        "held": held,
    }


def _is_text(values: Any) -> bool:
    """Whether nothing but names is there, which the request reads itself."""
    return isinstance(values, str) or (isinstance(values, list | tuple) and all(isinstance(v, str) for v in values))


def _listed_models(models: Any) -> list[Any]:
    """One model, or several; a network may be iterable (``torch.nn.Sequential``) and is one nevertheless."""
    several = isinstance(models, Iterable) and not isinstance(models, str) and not _is_one_model(models)
    return list(models) if several else [models]


def _is_one_model(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return hasattr(value, "embed") or (torch is not None and isinstance(value, torch.nn.Module))


def _listed_tasks(tasks: Any) -> list[Any]:
    from findna_bench.data.table_tasks import is_table

    several = isinstance(tasks, Iterable) and not isinstance(tasks, str) and not is_table(tasks)
    return list(tasks) if several else [tasks]


def _model(model: Any, held: dict[str, Any]) -> str:
    if isinstance(model, str):
        return model
    if isinstance(model, PathLike):
        path = Path(fspath(model))
        return f"{'embeddings' if path.suffix in _VECTORS else 'path'}:{path}"
    from findna_bench.models.object_models import object_spec

    spec = object_spec(model)
    held[spec.text] = spec
    return spec.text


def _task(task: Any, held: dict[str, Any], drop_missing: bool) -> Any:
    if isinstance(task, str | PathLike):
        return task
    from findna_bench.data.table_tasks import name_of_task, table_ref

    if (name := name_of_task(task)) is not None:
        return name
    ref = table_ref(task, drop_missing=drop_missing)
    held[ref.name] = ref
    return ref.name
