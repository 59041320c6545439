"""Which results stand for the models that are compared: names, configurations, untrained draws, tasks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from findna_bench.comparison.comparison_records import ComparedModel
from findna_bench.data.catalog import TaskRef, resolve_suite, resolve_task, suite_tasks
from findna_bench.errors import UnknownNameError, UsageError
from findna_bench.leaderboard.configurations import differing_settings, requested_settings, settings_in_words
from findna_bench.registry import Registry
from findna_bench.requests.families import FAMILY, family_members, family_name
from findna_bench.results.schema import Result

__all__ = [
    "Contestant",
    "NamedModel",
    "canonical_name",
    "check_distinct",
    "contestant_of",
    "draw_of",
    "find_model",
    "one_protocol",
    "task_order",
    "wanted_tasks",
    "without_limited",
]

_POOLED = re.compile(r"(.+@random):\*", re.DOTALL)
_LABEL = re.compile(r"(.+?) \((.+)\)", re.DOTALL)


def wanted_tasks(
    tasks: Sequence[str], suites: Sequence[str], known: Collection[str], registry: Registry
) -> dict[str, TaskRef | None]:
    """Canonical names asked for, in order; none = all. A task whose plugin is gone is found by its results, which are of tasks ``known``."""
    wanted: dict[str, TaskRef | None] = {}
    for text in tasks:
        try:
            ref = resolve_task(text, registry)
            wanted[ref.name] = ref
        except UnknownNameError:
            alike = sorted(name for name in known if text in (name, name.partition("/")[2]))
            if len(alike) != 1:
                raise
            wanted[alike[0]] = None
    for suite in suites:
        wanted |= {ref.name: ref for ref in suite_tasks(resolve_suite(suite, registry), registry)}
    return wanted


@dataclass(frozen=True)
class NamedModel:
    """What a name on the command line stands for. members: names of models in the results, draws in order. pooled: whether they
    stand for one model together, as draws of what it is: untrained networks, or pretrainings of a family."""

    name: str
    settings: str
    members: tuple[str, ...]
    pooled: bool


def find_model(text: str, names: Sequence[str], registry: Registry, root: Path) -> NamedModel:
    """What ``text`` stands for in results of models of these names.

    Raises:
        UsageError: there are no results of it.
    """
    label = None if text in names else _LABEL.fullmatch(text)  # a name that holds brackets itself is a name
    name, settings = (label[1], label[2]) if label else (text, "")
    if name.startswith(FAMILY):
        if members := family_members(name, names):
            return NamedModel(family_name(name), settings, members, True)
        raise UsageError(f"no results of {name} are in {root}; there are {', '.join(names[:12]) or 'none at all'}")
    if match := _POOLED.fullmatch(name):
        base = canonical_name(match[1], names, registry)
        found = [n for n in names if n == base or re.fullmatch(re.escape(base) + r":\d+", n)]
        if found:
            return NamedModel(f"{base}:*", settings, tuple(sorted(found, key=draw_of)), True)
    name = canonical_name(name, names, registry)
    if name in names:
        return NamedModel(name, settings, (name,), False)
    near = difflib.get_close_matches(text, names, n=3) or names[:12]
    there = f"; there are {', '.join(near)}" if near else ""
    raise UsageError(f"no results of {text} are in {root}{there}")


def canonical_name(name: str, names: Sequence[str], registry: Registry) -> str:
    """A model's name as results have it, whatever alias was written; one of ``names`` as it is."""
    base, at, variant = name.partition("@")
    if name in names:
        return name
    try:
        return str(registry.resolve("models", base).card.name) + at + variant
    except UnknownNameError:
        return name


def draw_of(name: str) -> int:
    """Initialisation seed of an untrained model's name."""
    number = name.rpartition("@random")[2].removeprefix(":")
    return int(number) if number else 0


def one_protocol(results: Sequence[Result], protocol: str | None, split: str | None) -> list[Result]:
    """The results under one protocol on one kind of split.

    Raises:
        UsageError: there are several and none is chosen, or none of the chosen one.
    """
    kept = _only(results, "--protocol", protocol, lambda r: r.protocol.name)
    return _only(kept, "--split", split, lambda r: r.task.split or "official")


def _only(results: Sequence[Result], option: str, wanted: str | None, key: Callable[[Result], str]) -> list[Result]:
    found = sorted({key(r) for r in results if r.status == "success"})
    if wanted is None and len(found) > 1:
        raise UsageError(f"the results of these models are under {', '.join(found)}; choose one with {option}")
    chosen = wanted if wanted is not None else found[0] if found else None
    if wanted is not None and results and wanted not in found:
        raise UsageError(f"{option} {wanted}: these models have no such results, only {', '.join(found) or 'failures'}")
    return [r for r in results if chosen is None or key(r) == chosen]


def without_limited(results: Sequence[Result], notes: list[str]) -> list[Result]:
    """Of a model that has results on all rows, those computed on a part of them are left out."""
    whole = {(r.model.name, r.task_name) for r in results if r.status == "success" and r.limit is None}
    kept = [r for r in results if r.limit is None or (r.model.name, r.task_name) not in whole]
    if len(kept) < len(results):
        notes.append(f"{len(results) - len(kept)} results computed with --limit are left out: there are complete ones")
    return kept


@dataclass(frozen=True)
class Contestant:
    """A model to be compared, with its successes, and its failures of the same request."""

    model: ComparedModel
    results: tuple[Result, ...]
    failures: tuple[Result, ...]

    def draw_of(self, r: Result) -> int:
        """Which draw of this model a result is of: the seed of an untrained network, the place of a pretraining in its family."""
        if r.model.name in self.model.pooled and self.model.is_family:
            return self.model.pooled.index(r.model.name)
        return draw_of(r.model.name) if self.model.pooled else 0

    def on(self, task: str) -> list[Result]:
        """One result per draw and seed; one alone where no seed changes anything."""
        cells: dict[tuple[int, int], Result] = {}
        for r in sorted((r for r in self.results if r.task_name == task), key=lambda r: (r.created, r.request_id)):
            cells[self.draw_of(r), r.seed or 0] = r
        kept: dict[tuple[int, int], Result] = {}
        for (draw, seed), r in sorted(cells.items()):
            if not (r.is_deterministic and any(other == draw for other, _ in kept)):
                kept[draw, seed] = r
        return list(kept.values())


def contestant_of(named: NamedModel, usable: Sequence[Result], root: Path, notes: list[str]) -> Contestant:
    mine = [r for r in usable if r.model.name in named.members]
    good = [r for r in mine if r.status == "success"]
    chosen = _configuration(named, good, root)
    wanted = {requested_settings(r) for r in chosen}
    failures = [r for r in mine if r.status != "success" and (not wanted or requested_settings(r) in wanted)]
    draws = tuple(member for member in named.members if any(r.model.name == member for r in chosen))
    kind = "pretraining" if named.name.startswith(FAMILY) else "untrained draw"
    if named.pooled and len(draws) > 1:
        notes.append(
            f"{named.name} stands for {len(draws)} {kind}s ({', '.join(draws)}); each counts once, with the mean over its seeds"
        )
    elif named.pooled:
        notes.append(f"{named.name} stands for one {kind} only ({', '.join(draws) or 'without a score'})")
    if named.name.startswith(FAMILY):
        _check_pretrainings(named.name, chosen)
    flags = tuple(dict.fromkeys(flag for r in chosen for flag in r.flags))
    settings = tuple(named.settings.split(", ")) if named.settings else ()
    together = named.pooled and (len(draws) > 1 or named.name.startswith(FAMILY))
    model = ComparedModel(named.name, settings, draws if together else (), flags)
    return Contestant(model, tuple(chosen), tuple(failures))


def _check_pretrainings(family: str, chosen: Sequence[Result]) -> None:
    """No network is there twice.

    Raises:
        UsageError: one is, under two names.
    """
    owner: dict[str, str] = {}
    for r in chosen:
        other = owner.setdefault(str(r.model.weights.digest or r.model.name), r.model.name)
        if other != r.model.name:
            raise UsageError(
                f"{family}: {other} and {r.model.name} have the same weights, so they are one pretraining; leave one of them out"
            )


def _configuration(named: NamedModel, good: Sequence[Result], root: Path) -> list[Result]:
    """The successes of the one configuration that is named.

    Raises:
        UsageError: several are, or none.
    """
    name, settings = named.name, named.settings
    groups: dict[str, list[Result]] = {}
    for r in good:
        groups.setdefault(r.config_id or "", []).append(r)
    groups = _merged_draws(groups) if named.pooled else groups
    labels = {config: differing_settings(config, groups) for config in groups}
    if named.pooled:  # the draws' weights differ by intent
        labels = {c: tuple(setting for setting in s if not setting.startswith("weights ")) for c, s in labels.items()}
    fitting = [c for c, group in groups.items() if settings in ("", ", ".join(labels[c])) or _has(group, settings)]
    if len(fitting) == 1 or not groups:
        return groups[fitting[0]] if fitting else []
    choices = ", ".join(f"'{name} ({', '.join(s)})'" for s in sorted(labels.values()) if s)
    if not fitting:
        there = choices or f"one configuration only, {name!r}"
        raise UsageError(f"{name} has no configuration ({settings}) in {root}; there is {there}")
    raise UsageError(
        f"{name} has {len(fitting)} configurations in {root} that must not be mixed; name one of them in quotes: {choices}"
    )


def _has(group: Sequence[Result], settings: str) -> bool:
    """Whether a configuration has all of ``pooling max, layer 2``."""
    words = {f"{name} {value}" for name, value in settings_in_words(group).items()}
    return set(settings.split(", ")) <= words | {f"configuration {(group[0].config_id or '')[:8]}"}


def _merged_draws(groups: Mapping[str, Sequence[Result]]) -> dict[str, list[Result]]:
    """Configurations that differ in nothing but the draw of their weights, as one."""
    words = {config: settings_in_words(group) for config, group in groups.items()}
    common = set.intersection(*(set(found) for found in words.values())) if words else set()
    merged: dict[tuple[str, ...], list[str]] = {}
    for config, found in words.items():
        key = tuple(f"{setting} {found[setting]}" for setting in sorted(common - {"weights"}))
        merged.setdefault(key, []).append(config)
    return {configs[0]: [r for config in configs for r in groups[config]] for configs in merged.values()}


def check_distinct(contestants: Sequence[Contestant]) -> None:
    owner: dict[str, str] = {}
    for contestant in contestants:
        for r in contestant.results:
            other = owner.setdefault(r.request_id, contestant.model.label)
            if other != contestant.model.label:
                raise UsageError(f"{other} and {contestant.model.label} share results; name models that do not overlap")


def task_order(names: set[str], registry: Registry) -> list[str]:
    cards = [task for card in registry.cards("suites") for task in (*card.tasks, *card.extra_tasks)]
    return [n for n in dict.fromkeys(cards) if n in names] + sorted(n for n in names if n not in cards)
