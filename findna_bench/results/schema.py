"""Result schema 2: what one finished, failed or skipped cell says about itself. Missing is null, never absent.

Schema 2 has every key of schema 1 and adds some; results of schema 1 stay readable, and say which they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticSerializationError, to_json

from findna_bench.errors import OutputError
from findna_bench.files import stable_hash
from findna_bench.private_paths import published

__all__ = [
    "ADDED_KEYS",
    "APART",
    "SCHEMA_VERSION",
    "Hashed",
    "Result",
    "digest_of",
    "parse_result",
    "read_content",
    "read_result",
    "result_text",
    "sealed",
]

SCHEMA_VERSION: Final = 2
ADDED_KEYS = ("digest", "predictions_digest", "threads", "hashed", "request")
"""Keys that results of schema 1 did not have."""
Status = Literal["success", "error", "oom", "skipped"]
APART = "#"
"""Stands between a task's name and the beginning of its data's digest where tables tell tasks of one name apart; in no name itself."""


class _Part(BaseModel):
    # Validators are built when a result is first read: planning and listing often read none.
    model_config = ConfigDict(extra="forbid", protected_namespaces=(), defer_build=True)


class Weights(_Part):
    """Where the network of a model came from."""

    source: str | None = None
    """The repository, file or folder on the card, or `random`; a file or folder of the user by its name alone."""
    digest: str | None = None
    """sha256 over the names and values of its tensors."""
    network: str | None = None
    """Which of several networks of a checkpoint (`teacher`, `student`)."""
    trained: bool | None = None
    """Whether it was ever trained; None for what has no weights."""


class Model(_Part):
    """What was scored."""

    name: str
    """As tables show it."""
    kind: str
    """`encoder`, `classifier` or `features`."""
    distribution: str | None = None
    """The package that it came with."""
    version: str | None = None
    """Of that package."""
    backbone: str | None = None
    """Name of an encoder's backbone."""
    n_parameters: int | None = None
    """Of the encoder, without the head that it was pretrained with."""
    weights: Weights = Field(default_factory=Weights)
    tokenizer_digest: str | None = None
    """Of what turns letters into tokens."""
    code_digest: str | None = None
    """Of the code that made the model; None where it could not be hashed (and before schema 2)."""
    pooling: str | None = None
    """How tokens became one vector; that of the fit where it was chosen on validation."""
    layer: int | None = None
    """Which hidden states were read, counted from the embeddings (0); None for the last ones."""
    licence: str | None = None
    """Of the weights."""


class Task(_Part):
    """What it was scored on."""

    suite: str
    """Suite, `adhoc` for a file or table of the user."""
    name: str
    """Within the suite."""
    labels: list[str]
    """Names of the classes, labels, values or states, in the order of the scores."""
    target: str = "classes"
    """What rows are labelled with."""
    data_digest: str | None = None
    """sha256 over the rows that were there."""
    counts: dict[str, dict[str, int]] | None = None
    """Split -> class -> rows that were there."""
    published_counts: dict[str, dict[str, int]] | None = None
    """The same as published, where that is known."""
    split: str | None = None
    """`official`, or how the rows were split anew (`grouped`, `chromosome:20`, ...)."""


class Protocol(_Part):
    """How it was scored."""

    name: str
    """`probe`, `knn`, `finetune`, `zero_shot` or one of a plugin."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Everything about the fit: of the preset, and what was chosen on validation."""


class Batch(_Part):
    """How many sequences were computed at once."""

    requested: int | str | None = None
    """As asked for; `auto` = by length."""
    effective: int | None = None
    """Most sequences in a batch as planned; in fine-tuning, of an optimiser step."""
    micro: int | None = None
    """Most sequences in a pass that memory allowed."""


class MainMetric(_Part):
    """The metric that tables show."""

    name: str
    """As `--metric` takes it."""
    value: float | None = None
    """A fraction, or in the units of the metric; None where it is undefined."""
    higher_is_better: bool = True
    """Which way is better."""


class Metrics(_Part):
    """Scores on the test rows."""

    main: MainMetric
    """The metric of the task."""
    all: dict[str, float | None] = Field(default_factory=dict)
    """Every metric of the target, by name; None = undefined on these rows."""
    intervals: dict[str, tuple[float, float] | None] = Field(default_factory=dict)
    """95 % interval of every metric over groups of test rows; None = undefined, or too few of the rarer class."""
    interval_unit: Literal["rows", "groups"] | None = None
    """What intervals take as independent: rows, or groups of related rows where some are related (schema 2)."""
    n_groups: int | None = None
    """Independent groups among the test rows; as many as rows where none are related (schema 2)."""
    groups_by: str | None = None
    """How related rows were found, in words (schema 2)."""
    groups: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Of rows that name what they belong to (an element, a gene): group -> ``n``, every metric, and ``intervals``."""
    grouping: dict[str, Any] = Field(default_factory=dict)
    """Beside ``groups``: ``all`` (whether the metrics of ``all`` are of ``rows`` together, means over ``groups``, or over ``folds``), ``left_out``
    (groups that are in no mean, since no prediction of them could be scored), ``weights`` (``rows`` where a group counts in the mean by its rows; else
    all count the same and the key is absent), and ``pooled``, ``mean`` and ``rule``, each with every metric: of all rows
    together, the mean over groups, and of all rows together where each is predicted by the mean truth of the other half of its group. Where groups
    are strata of pairs, ``strata`` says of what (``distance``), and ``within`` holds the AUROC over pairs of rows of one stratum, of all strata
    pooled."""

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The 95 % interval of a metric; None where there is none."""
        return self.intervals.get(metric)


class Coverage(_Part):
    """How much of the rows the model has read, all splits together."""

    bases_total: int | None = None
    """Bases of all sequences."""
    bases_seen: int | None = None
    """Bases that reached the model."""
    truncated_sequences: int | None = None
    """Sequences of which bases are missing."""
    windows: int | None = None
    """Pieces that were read."""
    short_sequences: int | None = None
    """Sequences too short for any ordinary token."""


class Timing(_Part):
    """Wall time, seconds."""

    load_s: float | None = None
    """To load the model."""
    embed_s: float | None = None
    """To compute vectors, or to read them from the cache."""
    fit_s: float | None = None
    """To fit; of all seeds where they are fitted together."""
    predict_s: float | None = None
    """To score the test rows."""


class Memory(_Part):
    """Of the process that computed."""

    peak_bytes: int | None = None
    """Highest resident memory so far, or on CUDA highest memory of the allocator."""


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
    """Why there is no score."""

    type: str
    """Name of the exception, or the status."""
    message: str
    """A sentence."""
    traceback: str | None = None
    """Of an unexpected error, without folders of the machine."""


_SETTINGS: Final[Mapping[str, Any]] = {
    "shots": int, "shot_validation": str, "seed_varies": list, "trials": list, "cross_validation": list, "left_out": dict,
    "search": int, "validation_split": str, "train_rows": int, "validation_rows": int, "candidates": dict,
}  # fmt: skip
_VALIDATION: Final[Mapping[str, Any]] = {"metrics": dict, "selected": dict, "warnings": list}


def _check_part(where: str, part: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Values of a part that may hold anything are of these types, where they are there at all.

    Raises:
        ValueError: one is not.
    """
    for name, value in part.items():
        wanted = types.get(name, object)
        if not isinstance(value, wanted) and (value is not None or wanted in (list, dict)):
            raise ValueError(f"{where}.{name} is {type(value).__name__}")


class Result(_Part):
    """One cell. Metric values are fractions; percent appears only in tables."""

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    """Which keys there are."""
    digest: str | None = None
    """Hash of all other fields (schema 2); what was changed afterwards shows."""
    predictions_digest: str | None = None
    """sha256 of the predictions file (schema 2); None where there are no predictions."""
    identity: str | None
    """Hash of all that the score depends on (model, weights, code, rows, split, protocol, seed): name of the file and key of the cache. None where the cell failed before that was known."""
    request_id: str
    """Hash of what was asked for, seed included."""
    config_id: str | None
    """Hash of all that `identity` depends on but the seed: cells of one configuration are averaged."""
    status: Status
    """Whether there is a score, and why not."""
    flags: list[str] = Field(default_factory=list)
    """What a reader must know beside the score, see [flags](flags.md)."""
    command: str | None = None
    """What was typed, or the call in Python."""
    protocol_version: int
    """Of the rules of this program; results of other versions are not averaged or compared."""
    preset: str | None = None
    """Of the protocol, None for the default."""
    limit: int | None = None
    """Most rows per split (`--limit`), None = all."""
    selection: str | None = None
    """Split on which settings were chosen: `validation`, or `test`, which is flagged."""
    model: Model
    task: Task
    strand: str | None = None
    """Which strands were read (`--strand`)."""
    window: str | None = None
    """What was done with sequences longer than the model takes."""
    seed: int | None = None
    """Of this fit."""
    n_effective_seeds: int | None = None
    """Fits that differ: 1 where nothing depends on the seed."""
    dtype: str | None = None
    """Format in which the network was computed."""
    threads: int | None = None
    """CPU threads, where the number may depend on them (it is part of the identity then); None where it does not."""
    protocol: Protocol
    batch: Batch = Field(default_factory=Batch)
    metrics: Metrics
    validation: dict[str, Any] = Field(default_factory=dict)
    """Scores on the rows that settings were chosen on, what was chosen, and warnings."""
    coverage: Coverage = Field(default_factory=Coverage)
    timing: Timing = Field(default_factory=Timing)
    memory: Memory = Field(default_factory=Memory)
    environment: dict[str, Any] = Field(default_factory=dict)
    """Versions, processor, device and system."""
    created: str
    """UTC, ISO 8601."""
    error: Error | None = None
    """None where there is a score."""
    hashed: Hashed = Field(default_factory=Hashed)
    request: Request | None = None
    """None in results that were written before it was kept (schema 1, and early ones of schema 2)."""

    @model_validator(mode="after")
    def _check_free_parts(self) -> Result:
        """What is read of the parts that may hold anything."""
        _check_part("protocol.settings", self.protocol.settings, _SETTINGS)
        _check_part("validation", self.validation, _VALIDATION)
        scores = dict.fromkeys((*self.metrics.all, self.metrics.main.name), (int, float))
        _check_part("validation.metrics", self.validation.get("metrics") or {}, scores)
        _check_part("environment", self.environment, {"versions": dict})
        for name in ("seed_varies", "warnings"):
            texts = {**self.protocol.settings, **self.validation}.get(name) or ()
            if not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} holds something else than text")
        return self

    @property
    def task_name(self) -> str:
        return f"{self.task.suite}/{self.task.name}"

    @property
    def alike(self) -> int:
        """A number that results share which differ in nothing but ids, seed, scores, times and what was said of the fit: what the rest decides
        can be decided once for all of them. Results of an index have it in common; any other has one of its own."""
        return id(self)

    @property
    def main_metric(self) -> str:
        """The name of the main metric."""
        return self.metrics.main.name

    def score(self, metric: str) -> float | None:
        """A metric on test rows; None where it is undefined or was not computed."""
        main = self.metrics.main
        return main.value if metric == main.name else self.metrics.all.get(metric)

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The 95 % interval of a metric on test rows; None where there is none."""
        return self.metrics.interval(metric)

    @property
    def is_deterministic(self) -> bool:
        """Whether this one fit stands for all seeds: no seed changes anything."""
        return self.status == "success" and self.protocol.settings.get("seed_varies") == []

    @property
    def warnings(self) -> list[str]:
        """What was noticed while it was fitted, in words."""
        return self.validation.get("warnings") or []

    @property
    def place(self) -> str | None:
        """Stands for the path of a task that was given as one, without saying it; None for any other, and where it is not known."""
        path: str | None = ((self.hashed.request or {}).get("task") or {}).get("path")
        return path

    def option(self, name: str, default: Any = None) -> Any:
        """A field of the request, as JSON; ``default`` where the result holds no request, or one from before there was the field."""
        return default if self.request is None else self.request.options.get(name, default)

    def validation_score(self, metric: str) -> Any:
        """A metric on validation rows; None where it was not computed."""
        return (self.validation.get("metrics") or {}).get(metric)

    def whole(self) -> Result:
        """The result with every field at hand; one that an index gives reads some when they are looked at."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """All keys of schema 2, JSON-serialisable."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """The same as text, as :func:`result_text` writes it."""
        return result_text(self.to_dict())


def result_text(content: Mapping[str, Any]) -> str:
    """A result as JSON -> indented text with a final newline, in an eighth of the time that Python's own encoder takes to indent; of a
    :func:`sealed` result, whose numbers are finite."""
    try:
        text = to_json(content, indent=1).decode()
    except PydanticSerializationError:  # half of a surrogate pair, which is written as Python escapes it
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def digest_of(content: Mapping[str, Any]) -> str:
    """sha256 (hex) of the canonical JSON of everything that a result holds but ``digest``.

    content: a result as JSON; keys that a reader fills in count as well, so this is what stands in the file.
    """
    return stable_hash({key: value for key, value in content.items() if key != "digest"})


def sealed(result: Result, predictions_digest: str | None) -> dict[str, Any]:
    """The result as it is written, as JSON: without the places of the user's files in whatever models and libraries said, with the digest of
    its predictions and that of its own fields.
    """
    texts = {name: published(getattr(result, name)) for name in ("flags", "validation", "environment")}
    content = result.model_copy(update={**texts, "predictions_digest": predictions_digest}).to_dict()
    content["digest"] = digest_of(content)
    return content


class _NoNumberError(ValueError):
    """JSON that holds what results never do."""


def _no_number(text: str) -> float:
    raise _NoNumberError(f"it holds {text}, where results have numbers or null")


def _finite(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _no_number(text)


def _may_hold_half_a_pair(text: str | bytes) -> bool:
    """Whether JSON has an escape of a surrogate, a byte that one in UTF-8 begins with, or is no UTF-8."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return any(mark in data for mark in (b"\\ud", b"\\uD", b"\xed", b"\x00"))


def parse_result(text: str | bytes, where: str) -> Result:
    """A result from JSON text.

    Raises:
        OutputError: not JSON, or neither schema 1 nor 2; ``where`` is named.
    """
    try:
        content = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if _may_hold_half_a_pair(text):  # half of a surrogate pair is no text that could be written again
            json.dumps(content, ensure_ascii=False).encode()
        return Result.model_validate(content)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        elif isinstance(error, UnicodeEncodeError):
            reason = f"it holds half of a surrogate pair, {error.object[error.start]!r}, which is no text"
        elif isinstance(error, _NoNumberError):
            reason = str(error)
        else:
            reason = "not valid JSON"
        raise OutputError(f"{where} is not a findna-bench result ({reason}); delete it or move it away") from error


def read_result(path: Path) -> Result:
    """Read one result file (errors as :func:`parse_result` and :func:`read_content`)."""
    return parse_result(read_content(path), str(path))


def read_content(path: Path) -> bytes:
    """What a result file holds.

    Raises:
        OutputError: it cannot be read, or is no file (a pipe would be waited for).
    """
    try:
        if not path.is_file() and path.exists():
            raise OutputError(f"{path} is not a findna-bench result (no file); delete it or move it away")
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error
