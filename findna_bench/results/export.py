"""Results in other people's forms: one table, a GENEB submission, MTEB-style files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from findna_bench.errors import OutputError, UsageError
from findna_bench.files import atomic_path, path_segment, write_atomic, write_json
from findna_bench.results.schema import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMATS", "TABLES", "check_form", "export", "to_frame"]

FORMATS = ("table", "geneb", "mteb")
TABLES = (".csv", ".parquet", ".jsonl")
"""Suffixes of a table, which say how it is written."""


def check_form(form: str, out: Path) -> None:
    """Whether results can be written so.

    Raises:
        UsageError: an unknown form, or a suffix that is none of a table's.
    """
    if form == "parquet":  # its name before tables were written in several ways
        form = "table" if out.suffix.lower() == ".parquet" else form
    if form not in FORMATS and form != "parquet":
        raise UsageError(f"--format {form!r}: choose one of {', '.join(FORMATS)}")
    if form in ("table", "parquet") and (out.suffix.lower() not in TABLES or form == "parquet"):
        wanted = ".parquet" if form == "parquet" else " or ".join([", ".join(TABLES[:-1]), TABLES[-1]])
        raise UsageError(f"{out}: the suffix says how a table is written; give {wanted}")


def export(results: Sequence[Result], form: str, out: Path) -> list[Path]:
    """Write successful results. ``table``: ``out`` is a file, one row per cell, as its suffix says; ``geneb``: a folder, one JSON per model;
    ``mteb``: a folder, ``<model>/<revision>/<task>.json``.

    Raises:
        UsageError: an unknown form or suffix. OutputError: there is nothing to export, or it cannot be written.
    """
    check_form(form, out)
    good = [result for result in results if result.status == "success"]
    if not good:
        raise OutputError("there is no successful result to export")
    return {"table": _table, "parquet": _table, "geneb": _geneb, "mteb": _mteb}[form](good, out)


def to_frame(results: Sequence[Result]) -> pd.DataFrame:
    """One row per cell, one column per key of the schema, nested keys joined by dots (``model.name``, ``metrics.all.mcc``)."""
    import pandas as pd

    return pd.DataFrame(_columns(results))


def _columns(results: Sequence[Result]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    texts: dict[str, str] = {}  # equal ones once: most of a table is settings that many rows share
    for number, result in enumerate(results):
        for name, value in _flat(result.to_dict()).items():
            column = columns.setdefault(name, [])
            column += [None] * (number - len(column))
            column.append(texts.setdefault(value, value) if isinstance(value, str) else value)
    for column in columns.values():
        column += [None] * (len(results) - len(column))
    return columns


def _table(results: Sequence[Result], out: Path) -> list[Path]:
    """One row per cell. ``.csv``: an empty field where there is nothing; ``.jsonl``: a result in each line, nested as in its file."""
    suffix = out.suffix.lower()
    if suffix == ".jsonl":
        lines = (json.dumps(result.to_dict(), ensure_ascii=False, allow_nan=False) for result in results)
        write_atomic(out, "".join(f"{line}\n" for line in lines))
        return [out]
    if suffix == ".csv":
        write_atomic(out, to_frame(results).to_csv(index=False, lineterminator="\n"))
        return [out]
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _columns(results)
    with atomic_path(out) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")
    return [out]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots; lists and free-form settings as JSON text."""
    flat: dict[str, Any] = {}
    for key, entry in value.items():
        name = prefix + key
        if isinstance(entry, dict) and name not in (
            "protocol.settings",
            "validation",
            "request",
            "hashed.request",
            "hashed.config",
            "hashed.cell",
            "task.counts",
            "task.published_counts",
        ):
            flat |= _flat(entry, f"{name}.")
        elif isinstance(entry, dict | list):
            flat[name] = json.dumps(entry, sort_keys=True)
        else:
            flat[name] = str(entry) if name == "batch.requested" else entry
    return flat


def _by_model(results: Sequence[Result]) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.model.name, []).append(result)
    return groups


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _regime(result: Result) -> str:
    """``full``, ``Nshot``, or ``Nshot_full_validation`` where labelled rows beside the shots were chosen on."""
    settings = result.protocol.settings
    if not (shots := settings.get("shots")):
        return "full"
    within = settings.get("shot_validation") == "within"  # not recorded before there was a choice: all rows were used
    return f"{shots}shot" + ("" if within else "_full_validation")


def _geneb(results: Sequence[Result], out: Path) -> list[Path]:
    """``{schema_version, model_id, harness_version, meta, results{full|Nshot: {task: {MCC, Acc, F1}}}}``, means over seeds."""
    paths = []
    for model, group in _by_model(results).items():
        regimes: dict[str, dict[str, Any]] = {}
        for task in dict.fromkeys(result.task_name for result in group):
            of_task = [r for r in group if r.task_name == task]
            for regime in dict.fromkeys(map(_regime, of_task)):
                cells = [r for r in of_task if _regime(r) == regime]
                scores = {
                    label: _mean([r.metrics.all.get(name) for r in cells])
                    for label, name in (("MCC", "mcc"), ("Acc", "accuracy"), ("F1", "f1_macro"))
                }
                regimes.setdefault(regime, {})[task] = scores
        first = group[0]
        meta = {
            "harness": "findna-bench",
            "protocol": first.protocol.name,
            "preset": first.preset,
            "weights": first.model.weights.digest,
            "pooling": first.model.pooling,
            "n_parameters": first.model.n_parameters,
        }
        value = {
            "schema_version": "1.0",
            "model_id": model,
            "harness_version": first.environment.get("versions", {}).get("findna-bench"),
            "meta": meta,
            "results": regimes,
        }
        path = out / f"{path_segment(model)}.json"
        write_json(path, value)
        paths.append(path)
    return paths


def _mteb(results: Sequence[Result], out: Path) -> list[Path]:
    """``{task_name, dataset_revision, mteb_version, scores{test: [{hf_subset, main_score, ...}]}, evaluation_time}``, one entry per seed."""
    paths = []
    for model, group in _by_model(results).items():
        revision = (group[0].model.weights.digest or "no_revision_available")[:24]
        for task in dict.fromkeys(result.task_name for result in group):
            cells = [r for r in group if r.task_name == task]
            value: dict[str, Any] = {
                "task_name": task,
                "dataset_revision": cells[0].task.data_digest,
                "mteb_version": None,
                "scores": {
                    "test": [
                        {
                            "hf_subset": "default",
                            "languages": [],
                            "seed": r.seed,
                            "main_score": r.metrics.main.value,
                            **r.metrics.all,
                        }
                        for r in cells
                    ]
                },
                "evaluation_time": sum(
                    (r.timing.embed_s or 0) + (r.timing.fit_s or 0) + (r.timing.predict_s or 0) for r in cells
                ),
                "kg_co2_emissions": None,
            }
            path = out / path_segment(model) / path_segment(revision) / f"{path_segment(task)}.json"
            write_json(path, value)
            paths.append(path)
    return paths
