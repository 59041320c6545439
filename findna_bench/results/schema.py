"""Result schema 2: what one finished, failed or skipped cell says about itself. Missing is null, never absent.

Schema 2 has every key of schema 1 and adds some; results of schema 1 stay readable, and say which they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from findna_bench.errors import OutputError
from findna_bench.files import stable_hash

__all__ = ["ADDED_KEYS", "SCHEMA_VERSION", "Hashed", "Result", "digest_of", "parse_result", "read_result", "sealed"]

SCHEMA_VERSION: Final = 2
ADDED_KEYS = ("digest", "predictions_digest", "threads", "hashed", "request")
"""Keys that results of schema 1 did not have."""
Status = Literal["success", "error", "oom", "skipped"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Weights(_Part):
    source: str | None = None
    digest: str | None = None
    network: str | None = None
    trained: bool | None = None


class Model(_Part):
    name: str
    kind: str
    distribution: str | None = None
    version: str | None = None
    backbone: str | None = None
    n_parameters: int | None = None
    weights: Weights = Field(default_factory=Weights)
    tokenizer_digest: str | None = None
    code_digest: str | None = None
    """Of the code that made the model; None where it could not be hashed (and before schema 2)."""
    pooling: str | None = None
    layer: int | None = None
    licence: str | None = None


class Task(_Part):
    suite: str
    name: str
    labels: list[str]
    target: str = "classes"
    """What rows are labelled with."""
    data_digest: str | None = None
    counts: dict[str, dict[str, int]] | None = None
    published_counts: dict[str, dict[str, int]] | None = None
    split: str | None = None


class Protocol(_Part):
    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


class Batch(_Part):
    requested: int | str | None = None
    effective: int | None = None
    micro: int | None = None


class MainMetric(_Part):
    name: str
    value: float | None = None
    higher_is_better: bool = True


class Metrics(_Part):
    main: MainMetric
    all: dict[str, float | None] = Field(default_factory=dict)
    intervals: dict[str, tuple[float, float] | None] = Field(default_factory=dict)
    """95 % interval of every metric over groups of test rows; None = undefined, or too few of the rarer class."""
    interval_unit: Literal["rows", "groups"] | None = None
    """What intervals take as independent: rows, or groups of related rows where some are related (schema 2)."""
    n_groups: int | None = None
    """Independent groups among the test rows; as many as rows where none are related (schema 2)."""
    groups_by: str | None = None
    """How related rows were found, in words (schema 2)."""


class Coverage(_Part):
    bases_total: int | None = None
    bases_seen: int | None = None
    truncated_sequences: int | None = None
    windows: int | None = None
    short_sequences: int | None = None


class Timing(_Part):
    load_s: float | None = None
    embed_s: float | None = None
    fit_s: float | None = None
    predict_s: float | None = None


class Memory(_Part):
    peak_bytes: int | None = None


class Hashed(_Part):
    """What the ids are hashes of, so that they can be computed again: see :mod:`findna_bench.matrix.identity`."""

    request: dict[str, Any] | None = None
    """With the seed, of ``request_id``; folders and files of the user's machine stand in it by digest alone."""
    config: dict[str, Any] | None = None
    """Of ``config_id``; None where a cell failed before its model and data were known."""
    cell: dict[str, Any] | None = None
    """With ``config``, of ``identity``."""


class Request(_Part):
    """What to ask for to have the cell computed again (see :mod:`findna_bench.matrix.recording`)."""

    options: dict[str, Any]
    """Fields of :class:`~findna_bench.requests.run_request.RunRequest`, but for those that say where and how to compute."""
    files: dict[str, str | None]
    """Files and folders of the user's that the options name, by that name, with the digest of their weights, vectors or rows."""


class Error(_Part):
    type: str
    message: str
    traceback: str | None = None


class Result(_Part):
    """One cell. Metric values are fractions; percent appears only in tables."""

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    digest: str | None = None
    """Hash of all other fields (schema 2); what was changed afterwards shows."""
    predictions_digest: str | None = None
    """sha256 of the predictions file (schema 2); None where there are no predictions."""
    identity: str | None
    request_id: str
    config_id: str | None
    status: Status
    flags: list[str] = Field(default_factory=list)
    command: str | None = None
    protocol_version: int
    preset: str | None = None
    limit: int | None = None
    selection: str | None = None
    model: Model
    task: Task
    strand: str | None = None
    window: str | None = None
    seed: int | None = None
    n_effective_seeds: int | None = None
    dtype: str | None = None
    threads: int | None = None
    """CPU threads, where the number may depend on them (it is part of the identity then); None where it does not."""
    protocol: Protocol
    batch: Batch = Field(default_factory=Batch)
    metrics: Metrics
    validation: dict[str, Any] = Field(default_factory=dict)
    coverage: Coverage = Field(default_factory=Coverage)
    timing: Timing = Field(default_factory=Timing)
    memory: Memory = Field(default_factory=Memory)
    environment: dict[str, Any] = Field(default_factory=dict)
    created: str
    error: Error | None = None
    hashed: Hashed = Field(default_factory=Hashed)
    request: Request | None = None
    """None in results that were written before it was kept (schema 1, and early ones of schema 2)."""

    @property
    def task_name(self) -> str:
        return f"{self.task.suite}/{self.task.name}"

    @property
    def is_deterministic(self) -> bool:
        """Whether this one fit stands for all seeds: no seed changes anything."""
        return self.status == "success" and self.protocol.settings.get("seed_varies") == []

    def to_dict(self) -> dict[str, Any]:
        """All keys of schema 2, JSON-serialisable."""
        return self.model_dump(mode="json")


def digest_of(content: Mapping[str, Any]) -> str:
    """sha256 (hex) of the canonical JSON of everything that a result holds but ``digest``.

    content: a result as JSON; keys that a reader fills in count as well, so this is what stands in the file.
    """
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != "digest"}))
    return stable_hash(plain)


def sealed(result: Result, predictions_digest: str | None) -> Result:
    """The result as it is written: with the digest of its predictions and that of its own fields."""
    whole = result.model_copy(update={"predictions_digest": predictions_digest})
    return whole.model_copy(update={"digest": digest_of(whole.to_dict())})


def parse_result(text: str | bytes, where: str) -> Result:
    """A result from JSON text.

    Raises:
        OutputError: not JSON, or neither schema 1 nor 2; ``where`` is named.
    """
    try:
        return Result.model_validate(json.loads(text))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        else:
            reason = "not valid JSON"
        raise OutputError(f"{where} is not a findna-bench result ({reason}); delete it or move it away") from error


def read_result(path: Path) -> Result:
    """Read one result file (errors as :func:`parse_result`)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error
    return parse_result(content, str(path))
