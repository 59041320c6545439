"""Options in the help of a verb, in the groups that they are declared in."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

__all__ = ["GroupedCommand"]

_FIRST, _LAST = ("Arguments", "Options"), "Running"


class GroupedCommand(TyperCommand):
    """A verb whose help shows options in sections: each is the ``rich_help_panel`` of its options, plain text, and those of no group
    come first.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, options of no group, a section for every group in the order in which they are met; how it runs comes last."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            line = parameter.get_help_record(ctx)
            if line is not None:
                default = _FIRST[parameter.param_type_name != "argument"]
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or default, []).append(line)
        rest = [name for name in groups if name not in (*_FIRST, _LAST)]
        for name in (name for name in (*_FIRST, *rest, _LAST) if name in groups):
            with formatter.section(name):
                formatter.write_dl(groups[name])
