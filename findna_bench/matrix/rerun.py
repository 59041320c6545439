"""Computes a cell again from the request that its result holds, from nothing, and compares."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from findna_bench.data.task import open_task
from findna_bench.errors import BenchError
from findna_bench.files import canonical_json
from findna_bench.matrix.recording import FOLDER_MARK
from findna_bench.matrix.runner import run
from findna_bench.models.spec import MODEL_SCHEMES, parse_model
from findna_bench.requests.declarations import from_json
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.schema import Request, Result

__all__ = ["CannotRerunError", "Rerun"]


_DISTRIBUTION = re.compile(r"[A-Za-z0-9][\w.-]*")


class CannotRerunError(Exception):
    """A result cannot be asked for again here; the text says why, and what to do."""


@dataclass
class Rerun:
    """Computes results again.

    Attributes:
        places: where files and folders that results name lie now, by that name; those in the working folder are found.
        data_dir: data root.
        tolerance: how far a main metric may lie off.
    """

    places: Mapping[str, Path]
    data_dir: Path | None = None
    tolerance: float = 1e-3
    _digests: dict[tuple[str, ...], str] = field(default_factory=dict)

    def request_of(self, result: Result) -> RunRequest:
        """What to ask for, with files where they lie now.

        Raises:
            CannotRerunError: the result does not hold it, or a file is not here or another one.
        """
        stored = result.request
        if stored is None:
            raise CannotRerunError(
                "written before results held their request, so what was asked for is not known whole; run it again"
            )
        try:
            places = self._places(stored)
            values = _placed(result, stored, places)
            self._check(values, stored, places)
            _check_device(values["device"])
            return from_json(RunRequest, values | {"data_dir": self.data_dir and str(self.data_dir)})
        except BenchError as error:
            raise CannotRerunError(str(error)) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # free-form parts may hold anything
            raise CannotRerunError(f"its request is no such thing as `run` writes ({error!r})") from error

    def _places(self, stored: Request) -> dict[str, Path]:
        here = {name: Path(name) for name in stored.files if Path(name).name == name and Path(name).exists()}
        if unknown := [name for name in stored.files if name not in {**here, **self.places}]:
            words = " ".join(f"--map {name}=PATH" for name in unknown)
            raise CannotRerunError(f"where {' and '.join(unknown)} may lie is not known here; say {words}")
        return {name: {**here, **self.places}[name].expanduser().absolute() for name in stored.files}

    def _check(self, values: Mapping[str, Any], stored: Request, places: Mapping[str, Path]) -> None:
        """Hold every file to its digest, before anything is computed."""
        for name, path in places.items():
            expected = stored.files[name]
            if expected is None or (found := self._digest(values, path)) == expected:
                continue
            where = f"--map {name}={path}" if name in self.places else f"{path}, found without --map {name}=PATH,"
            raise CannotRerunError(
                f"{where} is not the {name} it was made with (digest {_short(found)}, not {_short(expected)})"
            )

    def _digest(self, values: Mapping[str, Any], path: Path) -> str:
        """Of a file or folder as results name it: of rows for a task, of weights or vectors for a model."""
        (model,), split, drop = values["models"], values["split"], bool(values.get("drop_missing"))
        is_task = values["tasks"] == [str(path)]
        genome: dict[str, Any] = {name: values.get(name) for name in ("fasta", "flank", "target")}
        key = (
            ("task", str(path), split, str(drop), *map(str, genome.values()))
            if is_task
            else ("model", model, str(path))
        )
        if key not in self._digests:
            self._digests[key] = (
                open_task(str(path), data_dir=self.data_dir, split=split, drop_missing=drop, **genome).data_digest
                if is_task
                else _weights_digest(model, path)
            )
        return self._digests[key]

    def problem(self, result: Result, request: RunRequest) -> str | None:
        """What came out otherwise when ``request`` was run, in words; None where it is the same."""
        with tempfile.TemporaryDirectory() as folder:
            values = {**vars(request), "output_dir": Path(folder), "overwrite": "always"}
            try:
                found = run(RunRequest(**values))
            except BenchError as error:
                return f"cannot be computed again: {error}"
        again = next((r for r in found if r.seed == result.seed), found[0])
        if again.status != "success":
            return f"computed again it ends in {again.status}: {again.error.message if again.error else ''}"
        one, other = result.metrics.main.value, again.metrics.main.value
        differ = _differing(result, again)
        if one is None or other is None or abs(one - other) > self.tolerance:
            because = f"; {', '.join(differ)} differ here" if differ else ""
            return f"computed again {again.metrics.main.name} is {other}, stored is {one}{because}"
        return f"computed again it has another identity: {', '.join(differ)} differ here" if differ else None


def _placed(result: Result, stored: Request, places: Mapping[str, Path]) -> dict[str, Any]:
    """The stored options with paths in place of names, with the distribution before a name that others may register, and with the
    kind of device that computed. A name in a file of others is never taken for a path.
    """
    values, hashed = dict(stored.options), result.hashed.request or {}
    (model,), (task,) = values["models"], values["tasks"]
    scheme, _, name = model.partition(":")
    if scheme in ("path", "embeddings", "scores"):
        placed = f"{scheme}:{places[name]}"
    else:
        placed = model if scheme in MODEL_SCHEMES else _of_distribution(hashed["model"], model)
    if task.startswith(FOLDER_MARK):
        values["tasks"] = [str(places[task.removeprefix(FOLDER_MARK)])]
    else:
        values["tasks"] = [_of_distribution(hashed["task"], task)]
    if values.get("fasta") is not None:
        values["fasta"] = str(places[values["fasta"]])
    for weights in values["weights"].values():
        values["weights"] = {placed: str(places[weights])}
    return values | {"models": [placed], "device": (result.hashed.config or {})["device_type"]}


def _check_device(kind: str) -> None:
    from findna_bench.models.precision import resolve_device

    try:
        resolve_device(kind)
    except BenchError as error:
        raise CannotRerunError(f"computed on {kind}, which is not here") from error


def _of_distribution(hashed: Mapping[str, Any], name: str) -> str:
    if not _DISTRIBUTION.fullmatch(hashed["distribution"]):
        raise ValueError(hashed["distribution"])
    return f"{hashed['distribution']}:{name}"


def _weights_digest(model: str, path: Path) -> str:
    from findna_bench.models.weights import file_digest, find_weights

    if model in (f"embeddings:{path}", f"scores:{path}"):
        return file_digest(path)
    return find_weights(parse_model(model), path).digest


def _differing(result: Result, again: Result) -> list[str]:
    """Keys of what identities are hashes of that differ; what a user's own file or folder is called is no difference."""
    own = set[str]() if not (result.request and result.request.files) else {"model", "task"}
    differing = []
    for block in ("config", "cell"):
        one, other = getattr(result.hashed, block) or {}, getattr(again.hashed, block) or {}
        for key in sorted({*one, *other} - own):
            if canonical_json(one.get(key)) != canonical_json(other.get(key)):
                differing.append(key)
    return list(dict.fromkeys(differing))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
