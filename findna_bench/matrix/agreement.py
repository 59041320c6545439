"""Whether a result's ids are the hashes of what it says was hashed, and whether its other fields say the same.

Every key of the hashed blocks is in one of the tables below, beside the field that shows it to a reader or in the list of those
that nothing else shows; a key that :mod:`findna_bench.matrix.identity` gains has to be put there, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from findna_bench.files import canonical_json, stable_hash
from findna_bench.matrix.identity import config_id, identity
from findna_bench.matrix.recording import FOLDER_MARK
from findna_bench.matrix.request import request_id
from findna_bench.matrix.rows_read import n_read, request_of_rows
from findna_bench.requests.declarations import options_of
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.flags import DID_NOT_LEARN, FROM_DATA, following_flags
from findna_bench.results.schema import Request, Result

__all__ = ["CELL_FIELDS", "CONFIG_FIELDS", "ONLY_HASHED", "disagreements", "wrong_flags"]

Shown = Callable[[Result], Any]

CONFIG_FIELDS: Mapping[str, Shown] = {
    "protocol_version": lambda r: r.protocol_version,
    "model": lambda r: r.model.name,
    "kind": lambda r: r.model.kind,
    "distribution": lambda r: r.model.distribution,
    "distribution_version": lambda r: r.model.version,
    "backbone": lambda r: r.model.backbone,
    "weights_digest": lambda r: r.model.weights.digest,
    "tokenizer_digest": lambda r: r.model.tokenizer_digest,
    "code_digest": lambda r: r.model.code_digest,
    "threads": lambda r: r.threads,
    "network": lambda r: r.model.weights.network,
    "trained": lambda r: r.model.weights.trained,
    "n_parameters": lambda r: r.model.n_parameters,
    "pooling": lambda r: _candidates(r).get("pooling", r.model.pooling),
    "layer": lambda r: _candidates(r).get("layer", r.model.layer),
    "window": lambda r: r.window,
    "strand": lambda r: r.strand,
    "dtype": lambda r: r.dtype,
    "device_type": lambda r: r.environment.get("device"),
    "protocol": lambda r: r.protocol.name,
    "preset": lambda r: r.preset,
    "shots": lambda r: r.protocol.settings.get("shots"),
    "shot_validation": lambda r: r.protocol.settings.get("shot_validation"),
    "selection": lambda r: r.selection,
    "split": lambda r: r.task.split,
    "limit": lambda r: r.limit,
    "search": lambda r: r.protocol.settings.get("search"),
}
"""Key of the configuration -> the field that shows it."""

ONLY_HASHED = frozenset({"batch_size", "card_version", "model_settings", "preset_settings"})
"""Keys of the configuration that no other field shows (``preset_settings`` are those without a task's own), or
shows in part: ``batch_size`` is None where it changes nothing, and ``batch.requested`` says it all the same."""

CELL_FIELDS: Mapping[str, Shown] = {
    "task": lambda r: r.task_name,
    "labels": lambda r: r.task.labels,
    "metric": lambda r: r.metrics.main.name,
    "higher_is_better": lambda r: r.metrics.main.higher_is_better,
    "data_digest": lambda r: r.task.data_digest,
    "split": lambda r: r.task.split,
    "seed": lambda r: r.seed,
    "task_settings": lambda r: _task_settings(r),
}
"""Key of what an identity holds beside the configuration -> the field that shows it."""

_OPTIONS: Mapping[str, Shown] = {
    "protocol_version": lambda r: r.protocol_version,
    "protocol": lambda r: r.protocol.name,
    "preset": lambda r: r.preset,
    "strand": lambda r: r.strand,
    "split": lambda r: r.task.split,
    "selection": lambda r: r.selection,
    "limit": lambda r: r.limit,
    "search": lambda r: r.protocol.settings.get("search"),
}
"""Options of a request that are shown as they were asked for."""

_RESOLVED: Mapping[str, Shown] = {"pooling": CONFIG_FIELDS["pooling"], "window": lambda r: r.window}
"""Options of a request that, where they are given, are what an encoder used."""

_MEASURED = frozenset(
    {
        "train_rows",
        "validation_rows",
        "validation_split",
        "shots",
        "shot_validation",
        "folds",
        "trials",
        "candidates",
        "cross_validation",
        "left_out",
    }
)
"""Keys of ``protocol.settings`` that are known after a fit only, or stand elsewhere in what is hashed."""


def _candidates(result: Result) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = result.protocol.settings.get("candidates", {})
    return found


def _task_settings(result: Result) -> dict[str, Any]:
    """``protocol.settings`` as they were before the fit."""
    settings = {key: value for key, value in result.protocol.settings.items() if key not in _MEASURED}
    if (
        "search" in settings and "trials" in result.protocol.settings
    ):  # rates that are tried stand in the settings already
        settings["tried"] = [trial.get("settings") for trial in result.protocol.settings["trials"]]
    return settings


def disagreements(result: Result) -> Iterator[str]:
    """What does not fit together within a result of schema 2, in words; reads nothing else."""
    hashed = result.hashed
    if hashed.request is None:
        yield "it does not hold what its request id is a hash of (hashed.request)"
    else:
        yield from _request(result, hashed.request)
    if result.status == "success":
        yield from _success(result)
    else:
        yield from _unfinished(result)


def _success(result: Result) -> Iterator[str]:
    config, cell = result.hashed.config, result.hashed.cell
    if result.identity is None or config is None or cell is None:
        yield "it does not hold what its identity is a hash of (hashed.config, hashed.cell)"
        return
    if config_id(config) != result.config_id:
        yield "config_id is not the hash of hashed.config"
    if identity(config, cell) != result.identity:
        yield "identity is not the hash of hashed.config and hashed.cell"
    yield from _differing("hashed.config", config, {**_as_given(config), **CONFIG_FIELDS}, result)
    yield from _differing("hashed.cell", cell, CELL_FIELDS, result)
    yield from _numbers(result)
    yield from _choice(result)
    if config.get("batch_size") is not None and config["batch_size"] != result.batch.requested:
        yield f"hashed.config.batch_size is {config['batch_size']}, the result says {result.batch.requested}"
    if result.error is not None:
        yield "it is a success and holds an error"


def _as_given(config: Mapping[str, Any]) -> dict[str, Shown]:
    """Options that a configuration holds as they were given -> where a result shows them."""
    given = {found.field for found in options_of(RunRequest) if found.in_ids == "given"}
    return {name: _stored_option(name) for name in given & {*config}}


def _stored_option(name: str) -> Shown:
    return lambda result: None if result.request is None else result.request.options.get(name)


def _choice(result: Result) -> Iterator[str]:
    """Of layer and pooling, where they were chosen."""
    candidates, selected = _candidates(result), result.validation.get("selected", {})
    if not candidates:
        return
    used = {"layer": result.model.layer, "pooling": result.model.pooling}
    for name, value in used.items():
        if value not in candidates.get(name, [value]) or selected.get(name) != value:
            yield f"model.{name} is {value}, which was not chosen, or is none of its candidates"
    trials = result.protocol.settings.get("trials")
    tried = {name: candidates.get(name, [value]) for name, value in used.items()}
    expected = [{"layer": layer, "pooling": pooling} for layer in tried["layer"] for pooling in tried["pooling"]]
    if trials is not None and [trial["settings"] for trial in trials] != expected:
        yield "protocol.settings.trials are not of its candidates"
    elif trials is not None and trials[selected.get("chosen_trial", 0)]["settings"] != used:
        yield "validation.selected.chosen_trial is not the trial of its layer and pooling"


def _unfinished(result: Result) -> Iterator[str]:
    for name in ("identity", "config_id", "predictions_digest", "n_effective_seeds", "dtype"):
        if getattr(result, name) is not None:
            yield f"it is no success and holds {name}"
    if result.hashed.config is not None or result.hashed.cell is not None:
        yield "it is no success and holds what an identity is a hash of"
    if result.flags or result.metrics.all or result.metrics.intervals or result.metrics.main.value is not None:
        yield "it is no success and holds flags or metrics"
    if result.error is None:
        yield f"its status is {result.status}, and no error says why"


def _request(result: Result, hashed: Mapping[str, Any]) -> Iterator[str]:
    if result.seed is None or request_id(hashed, result.seed) != result.request_id:
        yield "request_id is not the hash of hashed.request and the seed"
    options, model, task = (hashed.get(part) or {} for part in ("options", "model", "task"))
    success = result.status == "success"
    used = _RESOLVED if result.model.kind == "encoder" and success else {}
    given = {key: shown for key, shown in used.items() if options.get(key) not in (None, "auto")}
    yield from _differing("hashed.request.options", options, {**_OPTIONS, **given}, result, partly=True)
    shown_model: dict[str, Shown] = {
        "name": lambda r: r.model.name,
        "kind": lambda r: r.model.kind,
        "licence": lambda r: r.model.licence,
        "distribution": lambda r: r.model.distribution,
        "version": lambda r: r.model.version,
    }
    if not success:  # a folder's own words may name another backbone once it is loaded
        shown_model["backbone"] = lambda r: r.model.backbone
    yield from _differing("hashed.request.model", model, shown_model, result, partly=True)
    shown_task: dict[str, Shown] = {"name": lambda r: r.task_name}
    if task.get("labels") is not None:
        shown_task |= {
            "labels": lambda r: stable_hash(r.task.labels),
            "metric": lambda r: r.metrics.main.name,
            "higher_is_better": lambda r: r.metrics.main.higher_is_better,
        }
    if success:
        unknown = None if task.get("published_counts") is None else stable_hash({})
        shown_task["published_counts"] = lambda r: (
            stable_hash(r.task.published_counts) if r.task.published_counts else unknown
        )
    yield from _differing("hashed.request.task", task, shown_task, result, partly=True)
    if result.request is not None:
        yield from _stored_request(result, result.request, hashed)
    for key in ("shots", "shot_validation"):
        if hashed.get(key) != result.protocol.settings.get(key):
            yield f"protocol.settings.{key} and hashed.request.{key} differ"


def _stored_request(result: Result, stored: Request, hashed: Mapping[str, Any]) -> Iterator[str]:
    """What the request that the result can be made again from says otherwise than what was hashed."""
    own, model, task = stored.options, hashed.get("model") or {}, hashed.get("task") or {}
    (own_model,), (own_task,) = own["models"], own["tasks"]
    names = {*own["weights"].values()}
    shots = [] if hashed.get("shots") is None else [hashed["shots"]]
    not_given = {found.field: found.default for found in options_of(RunRequest) if found.in_ids == "given"}
    expected = {**not_given, **(hashed.get("options") or {}), "shots": shots, "suites": []}
    if model.get("network"):  # of a run of several networks, each result asks for its own
        expected["network"] = model["network"]
    if own.get("fasta") is not None:
        names.add(own["fasta"])
    if result.selection != "test" or not shots:  # which chooses on other rows, whatever was asked for
        expected["shot_validation"] = hashed.get("shot_validation") or "within"
    if model.get("location") is None:
        expected["models"] = [result.model.name]
    else:
        names.add(own_model.partition(":")[2])
    if task.get("path") is None:
        expected["tasks"] = [result.task_name]
    else:
        names.add(own_task.removeprefix(FOLDER_MARK))
    for key in sorted({*expected} & {*own}):
        if own[key] != expected[key]:
            yield f"request.options.{key} is {_short(own[key])}, what was hashed says {_short(expected[key])}"
    if result.seed not in own["seeds"]:
        yield f"request.options.seeds lack the result's own, {result.seed}"
    if bool(own["weights"]) != bool(model.get("weights")):
        yield "request.options.weights and hashed.request.model.weights differ"
    if names != {*stored.files}:
        yield f"request.files are {_short(sorted(stored.files))}, its options name {_short(sorted(names))}"
    if not {*stored.files.values()} <= {result.model.weights.digest, result.task.data_digest, None}:
        yield "request.files have digests that are neither its weights' nor its data's"


def _differing(
    where: str, block: Mapping[str, Any], fields: Mapping[str, Shown], result: Result, *, partly: bool = False
) -> Iterator[str]:
    """Keys of a block that do not say what the fields say; unless ``partly``, every key is looked at."""
    for key in fields if partly else sorted({*block, *fields} - ONLY_HASHED):
        if key not in fields:
            yield f"{where} has a key {key!r} that this version does not know; verify it with the version that wrote it"
        elif canonical_json(block.get(key)) != canonical_json(fields[key](result)):
            yield f"{where}.{key} is {_short(block.get(key))}, the result says {_short(fields[key](result))}"


def _short(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def wrong_flags(result: Result, of_rows: Sequence[str]) -> Iterator[str]:
    """Flags that are missing or do not follow, in words. of_rows: those that the target gives for the test rows."""
    must, has = following_flags(result, of_rows), result.flags
    if DID_NOT_LEARN in must and result.validation.get("metrics", {}).get("learned") is not False:
        yield f"its warnings say {DID_NOT_LEARN!r}, its validation metrics do not"
    for flag in must:
        if flag not in has:
            yield f"the flag {flag!r} is missing"
    of_pretraining = [flag for flag in has if flag.startswith("pretraining-overlap")]
    if len(of_pretraining) > (result.model.weights.trained is True):
        yield f"the flag {of_pretraining[-1]!r} does not follow from its fields"
    held = sum(n for classes in (result.task.counts or {}).values() for n in classes.values())
    for flag in has:
        if flag.startswith("partial (") and flag.split()[1].strip("()") != str(held):
            yield f"the flag {flag!r} does not follow from its counts, {held} rows"
        if flag not in must and not FROM_DATA.fullmatch(flag):
            yield f"the flag {flag!r} does not follow from its fields"
    if len(set(has)) < len(has):
        yield "a flag stands there twice"


def _numbers(result: Result) -> Iterator[str]:
    """Numbers that bound or give each other."""
    settings, counts, coverage = result.protocol.settings, result.task.counts, result.coverage
    if result.n_effective_seeds is None or result.n_effective_seeds < 1:
        yield "n_effective_seeds is less than 1"
    elif settings.get("seed_varies") == [] and result.n_effective_seeds != 1:
        yield f"n_effective_seeds is {result.n_effective_seeds}, and no seed changes anything"
    seen, total = coverage.bases_seen, coverage.bases_total
    if seen is not None and total is not None and not 0 <= seen <= total:
        yield f"coverage: {seen} bases seen of {total}"
    if counts is None:
        yield "it does not say how many rows each split has"
    else:
        yield from _rows(result, {split: sum(classes.values()) for split, classes in counts.items()})


def _rows(result: Result, rows: Mapping[str, int]) -> Iterator[str]:
    settings = result.protocol.settings
    not_read = settings.get("validation_split") == "not read"  # by a protocol that trains nothing
    if not_read and (settings.get("train_rows") or settings.get("validation_rows")):
        yield "validation_split is not read, and rows of train or validation are counted"
    official = "test" if result.selection == "test" else "official" if "validation" in rows else "drawn"
    within = settings.get("shot_validation") == "within"
    if (not not_read and within == (settings.get("validation_split") in ("test", "official", "drawn"))) or (
        not not_read and not within and settings.get("validation_split") != official
    ):
        yield f"validation_split is {settings.get('validation_split')}, its splits and selection give {'one within the shots' if within else official}"
    if result.task.counts is not None and any(
        not set(classes) <= {*result.task.labels, *(() if result.task.target == "classes" else ("rows",))}
        for classes in result.task.counts.values()
    ):
        yield "counts name a class that is no label"
    if (folds := settings.get("cross_validation")) is not None:
        for name in ("train_rows", "validation_rows"):
            if sum(fold[name] for fold in folds) != settings.get(name):
                yield f"{name} is {settings.get(name)}, which is not the sum over its folds"
        if sum(fold["test_rows"] for fold in folds) != rows.get("test"):
            yield f"test rows of its folds are not the {rows.get('test')} of its counts"
    elif settings.get("shots") is None and not not_read:
        validation = {"test": "test", "official": "validation"}.get(official)
        request = request_of_rows(result)
        held = [n_read(split, rows.get(split, 0), request) for split in ("train", validation) if split]
        fitted = [settings.get("train_rows"), settings.get("validation_rows")]
        if (fitted if len(held) == 2 else [sum(n or 0 for n in fitted)]) != held:
            yield f"{fitted[0]} rows to train on and {fitted[1]} for validation, its splits hold {held}"
