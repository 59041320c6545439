"""The request as a result holds it: that of its own cell, files by name and digest, so that anyone can ask for the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from findna_bench.matrix.request import Unit, network_of, weights_of
from findna_bench.private_paths import last_part
from findna_bench.requests.declarations import recorded
from findna_bench.requests.run_request import RunRequest
from findna_bench.results import schema

__all__ = ["FOLDER_MARK", "paths_of", "stored_request"]

FOLDER_MARK = "./"
"""Stands before the name of a task that is a file or folder."""


def paths_of(request: RunRequest, unit: Unit) -> list[Path]:
    """Files and folders of the user's that a message about a unit may name."""
    override = weights_of(request, unit.model)
    given = (
        unit.model.location,
        unit.task.path,
        request.fasta,
        request.data_dir,
        request.output_dir,
        override and Path(override),
    )
    return [path for path in given if path]


def stored_request(
    request: RunRequest,
    unit: Unit,
    seeds: Sequence[int],
    *,
    weights_digest: str | None = None,
    data_digest: str | None = None,
) -> schema.Request:
    """What computing a cell of ``unit`` again takes to ask for.

    Args:
        request: of the whole run.
        unit: the model and task of the cell.
        seeds: those that are fitted in one piece with the cell's.
        weights_digest, data_digest: of what was loaded, None where the cell failed before.
    """
    spec, task = unit.model, unit.task
    override = weights_of(request, spec)
    files: dict[str, str | None] = {}

    def named(path: Path, digest: str | None, name: str = "") -> str:
        name = name or last_part(path)
        while name in files:  # a model's and a task's file of one name
            name += "+"
        files[name] = digest
        return name

    model = spec.display_name
    if spec.location is not None:
        digest = None if override else weights_digest
        model = f"{model.partition(':')[0]}:{named(spec.location, digest, spec.local_name)}"
    own_task = task.name if task.path is None else FOLDER_MARK + named(task.path, data_digest)
    genome = request.fasta if task.path is not None else None  # what it gives is part of the data's digest
    own = replace(
        request,
        models=(model,),
        tasks=(own_task,),
        fasta=None if genome is None else Path(named(genome, None)),
        suites=(),
        seeds=tuple(seeds),
        shots=() if unit.shots is None else (unit.shots,),
        weights={} if override is None else {model: named(Path(override), weights_digest)},
        network=network_of(request, spec),
    )
    return schema.Request(options=recorded(own), files=files)
