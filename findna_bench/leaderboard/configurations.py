"""In which settings the configurations of a model differ, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from findna_bench.requests.declarations import options_of
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.schema import Result

__all__ = ["differing_settings", "requested_settings", "settings_in_words", "shot_validation"]


def shot_validation(r: Result) -> str:
    """``within`` or ``full``; empty where there are no shots. Results from before this was recorded had all validation rows."""
    settings = r.protocol.settings
    return str(settings.get("shot_validation") or "full") if settings.get("shots") else ""


_LATER = tuple(option for option in options_of(RunRequest) if option.in_ids == "given" and option.field != "search")
"""Options that ids count where they are given. Results from before there was one were computed with its default, as were those
that do not hold a request. ``search`` stands in the settings of a protocol, which is where such results have it, too."""


def _later_options(r: Result) -> dict[str, str]:
    words = {}
    for option in _LATER:
        default = None if option.default is None else option.kind.write(option.default)
        value = r.option(option.field, default)
        words[option.field] = "none" if value is None else str(value)
    return words


def requested_settings(r: Result) -> tuple[object, ...]:
    """What a cell was asked for with, which a failure knows as well."""
    settings = r.protocol.settings
    few = settings.get("shots") or "all", shot_validation(r) or "none"
    return r.preset, r.selection, r.limit, r.strand, settings.get("search") or "none", *few, *_later_options(r).values()


def differing_settings(config: str, others: Mapping[str, Sequence[Result]]) -> tuple[str, ...]:
    """In which settings this configuration of a model differs from its other ones."""
    if len(others) < 2:
        return ()
    in_words = {key: settings_in_words(group) for key, group in others.items()}
    # A row of failures says only what was asked for; it cannot differ in what only a result knows.
    full = {key: d for key, d in in_words.items() if any(r.status == "success" for r in others[key])}

    def differs(name: str) -> bool:
        values = {d.get(name) for d in full.values()} | {d[name] for d in in_words.values() if name in d}
        return len(values) > 1

    labels = {
        key: tuple(f"{name} {value}" for name, value in d.items() if differs(name)) for key, d in in_words.items()
    }
    if list(labels.values()).count(labels[config]) > 1:  # they differ in something that no result shows
        return (*labels[config], f"configuration {config[:8] or 'unknown'}")
    return labels[config]


_OF_THE_RUN = (
    "seed_varies",
    "train_rows",
    "validation_rows",
    "validation_split",
    "folds",
    "features",
    "trials",
    "candidates",
    "cross_validation",
    "left_out",
)
_REQUESTED = (
    "preset",
    "selection",
    "limit",
    "strand",
    "search",
    "shots",
    "shot_validation",
    *(o.field for o in _LATER),
)


def settings_in_words(group: Sequence[Result]) -> dict[str, str]:
    """Settings in words, as far as they are the same for all tasks of the group."""
    r = next((r for r in group if r.status == "success"), group[0])
    if r.status != "success":
        return {
            name: "none" if name == "limit" and value is None else str(value)
            for name, value in zip(_REQUESTED, requested_settings(r), strict=True)
        }
    weights = r.model.weights
    settings = {name: str(value) for name, value in r.protocol.settings.items() if name not in _OF_THE_RUN}
    # Results of one folder share what they have in common, so that few of these are different objects.
    others = {id(other.protocol): other.protocol for other in group if other.status == "success"}.values()
    same = {
        name: value
        for name, value in settings.items()
        if all(str(other.settings.get(name)) == value for other in others)
    }
    facts = {
        "preset": str(r.preset),
        "weights": str(weights.digest or weights.source or "-").removeprefix("sha256:")[:12],
        "network": str(weights.network),
        "pooling": _best_of(r, "pooling", r.model.pooling),
        "layer": _best_of(r, "layer", r.model.layer),
        "strand": str(r.strand),
        "window": str(r.window),
        "dtype": str(r.dtype),
        "selection": str(r.selection),
        "limit": "none" if r.limit is None else str(r.limit),
        "distribution": str(r.model.distribution),
        "version": str(r.model.version),
        "code": str(r.model.code_digest or "-").removeprefix("sha256:")[:12],
        "tokenizer": str(r.model.tokenizer_digest or "-")[:12],
        "protocol version": str(r.protocol_version),
        "device": str(r.environment.get("device")),
        "threads": str(r.threads),
        "batch size": str(r.batch.requested) if r.model.kind == "encoder" else "any",
    } | _later_options(r)
    # A preset's pooling or window is None where it leaves them to the card: what was used stands in the facts.
    rest = {"search": "none", "shots": "all", "shot_validation": "none"} | {
        name: value for name, value in same.items() if name not in facts
    }
    return facts | rest


def _best_of(r: Result, name: str, value: str | int | None) -> str:
    """A layer or pooling, or those that validation has chosen among: seeds may differ in the one they use."""
    candidates = r.protocol.settings.get("candidates", {}).get(name)
    return str(value) if candidates is None else f"of {'/'.join(map(str, candidates))}"
