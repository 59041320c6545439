"""``findna-bench list KIND``: what the installed plugins offer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from findna_bench.cli import options, output
from findna_bench.registry import Plugin, Registry, get_registry


class Kind(StrEnum):
    models = "models"
    tasks = "tasks"
    suites = "suites"
    backbones = "backbones"
    objectives = "objectives"
    augmentations = "augmentations"
    targets = "targets"
    protocols = "protocols"
    metrics = "metrics"
    executors = "executors"
    presets = "presets"
    plugins = "plugins"


def list_(
    kind: Annotated[Kind, typer.Argument(help=f"What to list: {', '.join(Kind)}.", metavar="KIND", show_choices=False)],
    data_dir: options.DataDir = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """List models, tasks, suites, backbones, objectives, augmentations, targets, protocols, metrics, executors, presets or plugins."""
    registry = get_registry()
    header, rows = _ROWS[kind](registry, data_dir)
    if json:
        output.print_json([dict(zip(header, row, strict=True)) for row in rows])
        return
    notes = [f"broken plugin {p.distribution}:{p.name}: {p.errors[0]}" for p in registry.plugins if p.broken]
    if kind is not Kind.plugins:
        for name, entries in registry.collisions(kind.value).items() if kind.value != "plugins" else ():
            owners = ", ".join(f"{e.distribution}:{name}" for e in entries)
            notes.append(f"{name} is registered more than once; say which: {owners}")
    output.print_table(f"{kind.value} ({len(rows)})", header, rows, notes=notes)


Rows = tuple[list[str], list[list[str]]]


def _models(registry: Registry, data_dir: Any) -> Rows:
    header = ["model", "kind", "parameters", "pooling", "weights", "licence", "aliases", "summary"]
    return header, [
        [
            card.name,
            "control" if card.control else card.kind,
            f"{card.n_parameters:,}" if card.n_parameters else "-",
            card.pooling if card.kind == "encoder" else "-",
            card.weights[0].label if card.weights else "-",
            card.licence_weights or "-",
            ", ".join(card.aliases),
            card.summary,
        ]
        for card in registry.cards("models")
    ]


def _tasks(registry: Registry, data_dir: Any) -> Rows:
    from findna_bench.data.catalog import data_root, task_status

    root = data_root(data_dir)
    header = ["task", "classes", "metric", "data", "known shortcuts", "summary"]
    return header, [
        [
            card.full_name,
            str(len(card.labels)),
            card.metric,
            task_status(card, root),
            "; ".join(card.known_shortcuts) or "-",
            card.summary,
        ]
        for card in registry.cards("tasks")
    ]


def _suites(registry: Registry, data_dir: Any) -> Rows:
    return ["suite", "tasks", "outside the mean", "summary"], [
        [card.name, str(len(card.tasks)), str(len(card.extra_tasks)), card.summary] for card in registry.cards("suites")
    ]


def _state(plugin: Plugin) -> str:
    if plugin.disabled:
        return "left out (--no-plugin)"
    return "broken: " + "; ".join(plugin.errors) if plugin.broken else "ok"


def _plugins(registry: Registry, data_dir: Any) -> Rows:
    return ["plugin", "distribution", "version", "state", "offers"], [
        [
            plugin.name,
            plugin.distribution,
            plugin.version,
            _state(plugin),
            ", ".join(f"{count} {kind}" for kind, count in plugin.counts.items()) or "-",
        ]
        for plugin in registry.plugins
    ]


def _presets(registry: Registry, data_dir: Any) -> Rows:
    """Those every protocol has of its own, then those of plugins; one name may be a preset of several protocols."""
    from findna_bench.protocols.protocol import preset_summary, protocols

    own = [
        [name, protocol, distribution, preset_summary(found, name)]
        for protocol, distribution, found in protocols(registry)
        for name in found.presets
    ]
    named = [[e.card.name, e.card.protocol, e.distribution, e.card.summary] for e in registry.entries("presets")]
    return ["preset", "protocol", "distribution", "summary"], [*own, *named]


def _simple(kind: str) -> Any:
    def rows(registry: Registry, data_dir: Any) -> Rows:
        return [kind.removesuffix("s"), "distribution", "summary"], [
            [entry.card.name, entry.distribution, entry.card.summary] for entry in registry.entries(kind)
        ]

    return rows


_ROWS = {
    Kind.models: _models,
    Kind.tasks: _tasks,
    Kind.suites: _suites,
    Kind.backbones: _simple("backbones"),
    Kind.objectives: _simple("objectives"),
    Kind.augmentations: _simple("augmentations"),
    Kind.targets: _simple("targets"),
    Kind.protocols: _simple("protocols"),
    Kind.metrics: _simple("metrics"),
    Kind.executors: _simple("executors"),
    Kind.presets: _presets,
    Kind.plugins: _plugins,
}
