"""Finds plugins, resolves names, and explains collisions and plugins that fail.

Each entry point of the group ``findna_bench`` is loaded by itself, and hooks are called plugin by plugin, so that one
broken plugin costs nobody else anything: it is listed as broken with its error. Of two entries of one name, a card's own
distribution's is meant where a card names it (a suite its tasks, a model its backbone), else the harness's own; two strangers'
are an error when the name is used, and ``distribution:name`` says which is meant in any case.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import pluggy

from findna_bench import hookspecs
from findna_bench.cards import (
    ENTRY_POINT_GROUP,
    AugmentationCard,
    BackboneCard,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    ProtocolCard,
    PublishedCard,
    SuiteCard,
    TargetCard,
    TaskCard,
)
from findna_bench.errors import PluginError, UnknownNameError, UsageError
from findna_bench.plugin_code import fault_in_words, plugin_code

__all__ = [
    "NO_PLUGIN",
    "Entry",
    "Plugin",
    "Registry",
    "factory_options",
    "full_name",
    "get_registry",
    "load_factory",
    "make",
    "make_with_options",
    "normalise",
]

NO_PLUGIN = "FINDNA_BENCH_NO_PLUGIN"
"""Environment variable with the plugins that are not to be loaded, by name or distribution, separated by commas."""
_OWN = "findna-bench"
"""The distribution this package is part of."""
_CORE = "core"
"""The entry point of the harness itself, beside those of first-party plugins."""

CARD_TYPES: Mapping[str, type] = {
    "backbones": BackboneCard,
    "objectives": ObjectiveCard,
    "augmentations": AugmentationCard,
    "tasks": TaskCard,
    "suites": SuiteCard,
    "models": ModelCard,
    "executors": ExecutorCard,
    "metrics": MetricCard,
    "targets": TargetCard,
    "protocols": ProtocolCard,
    "presets": PresetCard,
    "published": PublishedCard,
}
SINGULAR = {kind: kind.removesuffix("s") for kind in CARD_TYPES} | {"published": "published figures"}


def normalise(name: str) -> str:
    """Names are compared without regard to case and with ``_`` read as ``-``."""
    return name.lower().replace("_", "-")


@dataclass(frozen=True)
class Entry:
    """A card and where it came from."""

    card: Any
    distribution: str
    version: str
    plugin: str


@dataclass
class Plugin:
    """An entry point, whether it loaded, and what went wrong."""

    name: str
    module: str
    distribution: str
    version: str
    errors: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    disabled: bool = False
    """Left out because the user said so; nothing of it was imported."""

    @property
    def broken(self) -> bool:
        return bool(self.errors)

    @property
    def top_package(self) -> str:
        """Of the module that its entry point names."""
        return self.module.partition(":")[0].partition(".")[0]


class Registry:
    """All cards of all plugins, by kind and name."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self._entries: dict[str, list[Entry]] = {kind: [] for kind in CARD_TYPES}
        self._names: dict[str, tuple[list[Entry], int, dict[str, list[Entry]]]] = {}
        self._manager = pluggy.PluginManager("findna_bench")
        self._manager.add_hookspecs(hookspecs)

    @classmethod
    def discover(cls) -> Registry:
        """Load every entry point of the group ``findna_bench`` in a fixed order, but for those that :data:`NO_PLUGIN` names.

        Raises:
            UsageError: it names a plugin that is not installed.
        """
        registry = cls()
        unwanted = {normalise(part.strip()) for part in os.environ.get(NO_PLUGIN, "").split(",") if part.strip()}
        met: set[str] = set()
        points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
        for point in sorted(points, key=lambda p: (p.dist.name if p.dist else "", p.name)):
            distribution = point.dist.name if point.dist else "unknown"
            version = point.dist.version if point.dist else "unknown"
            plugin = Plugin(point.name, point.value, distribution, version)
            if named := {normalise(point.name), normalise(distribution)} & unwanted:
                met |= named
                plugin.disabled = True
                registry.plugins.append(plugin)
                continue
            try:
                module = point.load()
            except (Exception, SystemExit) as error:
                plugin.errors.append(f"cannot be imported: {fault_in_words(error, package=plugin.top_package)}")
                registry.plugins.append(plugin)
                continue
            registry.add(module, plugin)
        if absent := sorted(unwanted - met):
            known = ", ".join(sorted({plugin.distribution for plugin in registry.plugins}))
            raise UsageError(f"--no-plugin {absent[0]}: no such plugin is installed; there are {known}")
        return registry

    def add(self, module: ModuleType | object, plugin: Plugin) -> None:
        """Register one plugin's hooks; a hook that raises or returns something else is recorded, the others still count."""
        self.plugins.append(plugin)
        try:
            self._manager.register(module, name=f"{plugin.distribution}:{plugin.name}")
        except (Exception, SystemExit) as error:
            plugin.errors.append(f"cannot be registered: {fault_in_words(error, package=plugin.top_package)}")
            return
        plugin.errors.extend(self._misnamed(module))
        others = [p for p in self._manager.get_plugins() if p is not module]
        for kind, card_type in CARD_TYPES.items():
            caller = self._manager.subset_hook_caller(f"findna_bench_{kind}", others)
            try:
                answers = [_as_list(answer) for answer in caller()]
            except (Exception, SystemExit) as error:
                plugin.errors.append(f"findna_bench_{kind} failed: {fault_in_words(error, package=plugin.top_package)}")
                continue
            for card in (card for answer in answers for card in answer):
                if not isinstance(card, card_type):
                    plugin.errors.append(
                        f"findna_bench_{kind} returned {type(card).__name__} where a list of {card_type.__name__} is expected"
                    )
                    continue
                self._entries[kind].append(Entry(card, plugin.distribution, plugin.version, plugin.name))
                plugin.counts[kind] = plugin.counts.get(kind, 0) + 1

    def _misnamed(self, module: ModuleType | object) -> Iterator[str]:
        """What an author meant as a hook and pluggy passes over: a mark on an unknown name, a known name without a mark."""
        hooks = [f"findna_bench_{kind}" for kind in CARD_TYPES]
        for name in dir(module):
            marked = self._manager.parse_hookimpl_opts(module, name) is not None
            if marked and name not in hooks:
                near = difflib.get_close_matches(name, hooks, n=1)
                yield f"{name} is no hook; " + (f"did you mean {near[0]}?" if near else f"hooks are {', '.join(hooks)}")
            elif not marked and name in hooks:
                yield f"{name} is not marked @hookimpl, so it is not called"

    @property
    def strangers(self) -> dict[str, str]:
        """Top packages of plugins that are not the harness's own, with the distributions that they are part of."""
        loaded = [plugin for plugin in self.plugins if plugin.distribution != _OWN and not plugin.disabled]
        return {plugin.top_package: plugin.distribution for plugin in loaded}

    def entries(self, kind: str) -> list[Entry]:
        """All entries of a kind, in registration order."""
        return list(self._entries[kind])

    def own(self, kind: str, *, core: bool = False) -> list[Any]:
        """The harness's own cards of a kind, in registration order. core: without those of the plugins that come with it."""
        return [e.card for e in self._entries[kind] if e.distribution == _OWN and (e.plugin == _CORE or not core)]

    def cards(self, kind: str) -> list[Any]:
        """All cards of a kind, in registration order."""
        return [entry.card for entry in self._entries[kind]]

    def resolve(self, kind: str, name: str, *, within: str | None = None) -> Entry:
        """The entry called ``name`` (or an alias of it, or ``distribution:name``).

        Args:
            kind: plural, as ``models``.
            name: compared without regard to case, ``_`` read as ``-``.
            within: distribution of the card that names it: its own entry of that name is meant, whoever else has one.

        Raises:
            UnknownNameError: no such name (the nearest ones are named), or several plugins register it.
        """
        found = self.named(kind, name)
        if not found:
            raise UnknownNameError(self._unknown(kind, name))
        for owner in (within, _OWN):
            own = [entry for entry in found if entry.distribution == owner]
            if len(own) == 1:
                return own[0]
        if len(found) == 1:
            return found[0]
        choices = sorted({f"{entry.distribution}:{full_name(entry.card)}" for entry in found})
        if len(choices) == 1:
            raise UnknownNameError(f"{SINGULAR[kind]} {name!r} is registered more than once by {found[0].distribution}")
        if len({normalise(full_name(entry.card)) for entry in found}) > 1 and ":" not in name:
            choices = sorted({full_name(entry.card) for entry in found})
        raise UnknownNameError(f"{SINGULAR[kind]} {name!r} is ambiguous; write one of {', '.join(choices)}")

    def distributions(self) -> list[str]:
        """Names of all distributions that have plugins, broken and disabled ones among them."""
        return list(dict.fromkeys(plugin.distribution for plugin in self.plugins))

    def labels(self, kind: str) -> list[tuple[str, Any]]:
        """All names and aliases of a kind with their cards, in alphabetical order."""
        named = ((label, entry.card) for entry in self._entries[kind] for label in _names(entry.card))
        return sorted(named, key=lambda pair: pair[0])

    def shadowed(self, kind: str, name: str) -> list[str]:
        """``distribution:name`` of every other entry of a name that :meth:`resolve` finds one for."""
        if ":" in name:
            return []
        resolved = self.resolve(kind, name)
        return [f"{e.distribution}:{full_name(e.card)}" for e in self.named(kind, name) if e is not resolved]

    def distribution_of(self, kind: str, card: Any) -> str | None:
        """The distribution that registers a card."""
        return next((entry.distribution for entry in self._entries[kind] if entry.card is card), None)

    def named(self, kind: str, name: str) -> list[Entry]:
        """All entries called ``name``; where some bear it as their own and others as an alias, the former alone."""
        wanted, distribution = name, None
        if ":" in name:
            distribution, wanted = name.split(":", 1)
        found = [
            entry
            for entry in self._called(kind).get(normalise(wanted), ())
            if distribution is None or normalise(entry.distribution) == normalise(distribution)
        ]
        exact = [entry for entry in found if normalise(full_name(entry.card)) == normalise(wanted)]
        return exact or found

    def _called(self, kind: str) -> dict[str, list[Entry]]:
        """Entries of a kind by normalised name: names are looked up for every cell of a matrix."""
        entries = self._entries[kind]
        listed, length, found = self._names.get(kind, (None, 0, {}))
        if listed is not entries or length != len(entries):
            found = {}
            for entry in entries:
                for name in dict.fromkeys(map(normalise, _names(entry.card))):
                    found.setdefault(name, []).append(entry)
            self._names[kind] = entries, len(entries), found
        return found

    def _unknown(self, kind: str, name: str) -> str:
        known = list(dict.fromkeys(label for label, _ in self.labels(kind)))
        near = difflib.get_close_matches(normalise(name), [normalise(k) for k in known], n=3, cutoff=0.5)
        spelled = list(dict.fromkeys(label for n in near for label in known if normalise(label) == n))
        verb = kind if kind != "published" else "plugins"
        hint = f"; did you mean {' or '.join(spelled)}?" if spelled else f"; see `findna-bench list {verb}`"
        broken = [p.distribution for p in self.plugins if p.broken]
        note = f" (broken plugins: {', '.join(sorted(set(broken)))}; see `findna-bench list plugins`)" if broken else ""
        return f"unknown {SINGULAR[kind]} {name!r}{hint}{note}"

    def collisions(self, kind: str) -> dict[str, list[Entry]]:
        """Names that more than one entry registers; presets of different protocols may share a name."""
        by_name: dict[tuple[str, str], list[Entry]] = {}
        for entry in self._entries[kind]:
            scope = entry.card.protocol if isinstance(entry.card, PresetCard) else ""
            by_name.setdefault((normalise(full_name(entry.card)), scope), []).append(entry)
        return {name: entries for (name, _), entries in by_name.items() if len(entries) > 1}


def _as_list(answer: Any) -> list[Any]:
    if not isinstance(answer, Iterable):
        raise TypeError(f"it returned a {type(answer).__name__}; return a list of cards")
    return list(answer)


def full_name(card: Any) -> str:
    """A card's name, of a task with its suite."""
    return card.full_name if isinstance(card, TaskCard) else card.name


def _names(card: Any) -> Iterable[str]:
    if isinstance(card, TaskCard):
        return (card.full_name, card.name)
    return (card.name, *getattr(card, "aliases", ()))


@cache
def get_registry() -> Registry:
    """The registry of this process, discovered on first use."""
    return Registry.discover()


def load_factory(factory: str, what: str) -> Any:
    """Import ``"package.module:Name"``.

    Raises:
        PluginError: the module cannot be imported or lacks the name (``what`` names the card in the message).
    """
    module_name, _, attribute = factory.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:
        words = fault_in_words(error, package=module_name.partition(".")[0])
        raise PluginError(f"{what}: factory {factory!r} cannot be loaded: {words}") from error


def make(factory: str, what: str, *arguments: Any, **options: Any) -> Any:
    """What the factory ``"package.module:Name"`` makes of the arguments.

    Raises:
        PluginError: it cannot be imported, cannot be called, or raises something.
    """
    found = load_factory(factory, what)
    with plugin_code(what, factory, called=found):
        return found(*arguments, **options)


def make_with_options(factory: str, what: str, options: Mapping[str, Any], *arguments: Any) -> Any:
    """What a factory makes of arguments of the harness and of options that a user may name.

    Raises:
        UsageError: it has no such option, or refuses the values. PluginError: it fails without any.
    """
    found = load_factory(factory, what)
    with plugin_code(what, factory):
        first = 0 if hasattr(found, "Options") else len(arguments)
        known, open_ended = list(factory_options(found))[first:], _takes_any(found)
    if not open_ended and (unknown := sorted(set(options) - set(known))):
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise UsageError(f"{what} has no option {unknown[0]!r}; {has}")
    try:
        with plugin_code(what, factory, called=found):
            return found(*arguments, **options)
    except PluginError as error:
        if options and isinstance(error.__cause__, (TypeError, ValueError, ArithmeticError, LookupError)):
            given = ", ".join(f"{name}={value!r}" for name, value in options.items())
            raise UsageError(f"{what} cannot be made with {given}: {error.__cause__}") from error
        raise


def _takes_any(factory: Any) -> bool:
    parameters = inspect.signature(getattr(factory, "Options", None) or factory).parameters.values()
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


def factory_options(factory: Any) -> dict[str, Any]:
    """Options of a factory with their defaults (``...`` where one must be given): its keyword arguments, or the fields of its
    class attribute ``Options`` where it has one.
    """
    declared = getattr(factory, "Options", None)
    parameters = inspect.signature(declared if declared is not None else factory).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: ... if p.default is inspect.Parameter.empty else p.default for p in parameters if p.kind in named}
