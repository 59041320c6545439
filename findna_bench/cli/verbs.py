"""The verbs: where each is defined, and its line in ``findna-bench --help``. A module is imported when its verb is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from findna_bench.cli.examples import epilog
from findna_bench.cli.help_groups import GroupedCommand

__all__ = ["VERBS", "Verbs"]

VERBS: dict[str, tuple[str, str]] = {
    "run": ("run:run", "Run models on tasks."),
    "worker": ("worker:worker", "Join runs that wait in a results folder."),
    "status": ("status:status", "Show what runs, waits and has failed."),
    "plan": ("plan:plan", "Show what a run would do."),
    "fetch": ("fetch:fetch", "Bring data and weights to this machine."),
    "audit": ("audit:audit", "Say what a score on a task is worth."),
    "pretrain": ("pretrain:pretrain", "Pretrain a network on unlabelled DNA."),
    "profile": ("profile:profile", "Measure what models cost."),
    "check": ("check:check", "Test what a plugin registers."),
    "embed": ("embed:embed", "Write one vector per sequence."),
    "leaderboard": ("leaderboard:leaderboard", "Make tables from results."),
    "compare": ("compare:compare", "Say which differences are more than noise."),
    "verify": ("verify:verify", "Check whether results hold what they say."),
    "list": ("list_:list_", "List what the installed plugins offer."),
    "describe": ("describe:describe", "Print what is known about one name."),
    "results": ("results:app", "Give results to others."),
    "cache": ("cache:app", "Embeddings kept on this machine."),
}
"""Name -> where it is defined in this package, and one line about it."""


class Verbs(TyperGroup):
    """The group of :data:`VERBS`, and of what is registered beside them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: MutableMapping[str, Any] = _Commands(self.commands)

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of verbs, which imports none of them."""
        known = [(name, line) for name, (_, line) in VERBS.items()]
        others = [(name, self.commands[name].short_help or "") for name in self.commands if name not in VERBS]
        with formatter.section("Commands"):
            formatter.write_dl([*known, *others])


class _Commands(MutableMapping[str, Any]):
    def __init__(self, commands: Mapping[str, Any]) -> None:
        self.loaded = dict(commands)

    def __getitem__(self, name: str) -> Any:
        if name not in self.loaded and name in VERBS:
            self.loaded[name] = _load(name)
        return self.loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self.loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self.loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(VERBS), **self.loaded})

    def __contains__(self, name: object) -> bool:
        return name in VERBS or name in self.loaded

    def __len__(self) -> int:
        return len(list(iter(self)))


def _load(name: str) -> Any:
    place, line = VERBS[name]
    module, attribute = place.split(":")
    verb = getattr(import_module(f"findna_bench.cli.{module}"), attribute)
    if isinstance(verb, typer.Typer):
        command: Any = typer.main.get_group(verb)
        command.name, command.short_help = name, line
        return command
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command(name, cls=GroupedCommand, short_help=line, epilog=epilog(name))(verb)
    return typer.main.get_command(alone)
