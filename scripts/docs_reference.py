"""Sections of the documentation that are made from the code when the site is built (``make docs``).

A page says ``<!-- generated: NAME -->`` where one stands, and ``<!-- source: FILE [NAME] -->`` where code of the example plugin does. This module is a hook of MkDocs, and an extension of Griffe that turns the
roles of docstrings (``:class:`~a.b.C```) into code. Pages of results that lie elsewhere in the repository are part of the site; links to other
files of the repository become code, as the site does not hold them. After a build it holds that the site loads nothing from anywhere else.
"""

from __future__ import annotations

import ast
import inspect
import posixpath
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import griffe
import typer
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

from findna_bench import api, hookspecs
from findna_bench.auditing.rules import KINDS, RULES
from findna_bench.cli import app
from findna_bench.registry import CARD_TYPES, get_registry
from findna_bench.results import schema
from findna_bench.statistics.metric import make_metric
from findna_bench.testing import CHECKS

ROOT = Path(__file__).resolve().parents[1]
ADOPTED = ("leaderboards", "benchmarks/results")
"""Folders of the repository whose pages and pictures are part of the site, under the same names."""
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>(?!\w+:|#|/)[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
EXAMPLE = ROOT / "tests" / "third_party" / "acme-dna"
"""The plugin whose code the pages on plugins show."""
_SOURCE = re.compile(r"<!-- source: (?P<path>[\w./-]+)(?: (?P<name>\w+))? -->")
_PLACE = re.compile(r"<!-- generated: (?P<name>[a-z-]+) -->")
_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`(?:[^`<]*<)?~?(?P<target>[\w.]+)>?`")
_REMOTE = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\brel=["']?(?:stylesheet|preload|preconnect)"""
    r"""["']?[^>]*\bhref=["']?(?:https?:)?//""",
    re.IGNORECASE,
)


# ------------------------------------------------------------------------------------------------------------- tables


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; cells hold Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def plain(text: str) -> str:
    """Text of the code as Markdown: what stands there is shown, and nothing of it is markup but code."""
    parts = re.split(r"(``[^`]+``|`[^`]+`)", _ROLE.sub(lambda role: f"`{role['target'].rpartition('.')[2]}`", text))
    return "".join(
        f"`{part.strip('`')}`" if part.startswith("`") else re.sub(r"([\\*_<>\[\]])", r"\\\1", part) for part in parts
    )


# ------------------------------------------------------------------------------------------------------ command line


def command_line() -> str:
    """Every verb with its options, from the application itself."""
    root = typer.main.get_command(app)
    parts = ["Before the verb:", _options(root)]
    for words, command in _verbs(root):
        parts += [
            f"## findna-bench {words}",
            plain(inspect.cleandoc(command.help or "")),
            _usage(words, command),
            _options(command),
        ]
    return "\n\n".join(parts)


def _verbs(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        words = f"{before}{name}"
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{words} ")
        else:
            yield words, command


def _usage(words: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    named = [(p.name.upper() + ("..." if p.nargs == -1 else "")) for p in arguments]
    shown = [name if p.required else f"[{name}]" for name, p in zip(named, arguments, strict=True)]
    lines = [f"    findna-bench {' '.join([words, *shown, '[OPTIONS]'])}"]
    if said := [[f"`{name}`", plain(p.help or "")] for name, p in zip(named, arguments, strict=True)]:
        lines += ["", table(["argument", "meaning"], said)]
    return "\n".join(lines)


def _options(command: Any) -> str:
    rows = []
    for parameter in command.params:
        if parameter.param_type_name != "option" or getattr(parameter, "hidden", False):
            continue
        names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len, reverse=True))
        if parameter.secondary_opts:
            names += " / " + ", ".join(f"`{name}`" for name in parameter.secondary_opts)
        default = (
            ""
            if parameter.default is None or parameter.is_flag or callable(parameter.default)
            else f"`{parameter.default}`"
        )
        variable = parameter.envvar if isinstance(parameter.envvar, str) else ""
        rows.append(
            [
                names,
                plain(parameter.help or ""),
                "required" if parameter.required else default,
                variable and f"`{variable}`",
            ]
        )
    return table(["option", "meaning", "default", "environment"], rows)


# ----------------------------------------------------------------------------------------------------- result schema


def result_schema() -> str:
    """Every key of a result file, from the models that read and write it."""
    said = _field_docstrings()
    parts = []
    for model in _models(schema.Result):
        prefix = "the whole file" if model is schema.Result else f"`{model.__name__}`"
        rows = []
        for name, field in model.model_fields.items():
            kind = _kind(field.annotation)
            words = said.get((model.__name__, name), "")
            rows.append([f"`{name}`", kind, plain(inspect.cleandoc(words)) or "–"])
        parts += [
            f"## {model.__name__}",
            f"{plain(inspect.cleandoc(model.__doc__ or ''))} ({prefix})" if model.__doc__ else "",
            table(["key", "type", "meaning"], rows),
        ]
    return "\n\n".join(part for part in parts if part)


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    """``root`` and every model that stands in it, in the order of their keys."""
    found = [root]
    for field in root.model_fields.values():
        for kind in _parts(field.annotation):
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                found += [model for model in _models(kind) if model not in found]
    return found


def _parts(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation] if not arguments else [part for argument in arguments for part in _parts(argument)]


def _kind(annotation: Any) -> str:
    text = (
        annotation.__name__
        if inspect.isclass(annotation) and not getattr(annotation, "__args__", ())
        else str(annotation)
    )
    text = (
        re.sub(r"(?:typing|findna_bench\.results\.schema)\.", "", text).replace("None", "null").replace(" | ", " or ")
    )
    text = re.sub(r"^Optional\[(.*)\]$", r"\1 or null", text)
    names = [model.__name__ for model in _models(schema.Result)[1:]]
    linked = [name for name in names if re.search(rf"\b{name}\b", text)]
    return f"[`{text}`](#{linked[0].lower()})" if linked else f"`{text}`"


def _field_docstrings() -> dict[tuple[str, str], str]:
    """(class, field) -> the text below the field; Python itself does not keep it."""
    found = {}
    for node in ast.parse(inspect.getsource(schema)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, text in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[node.name, field.target.id] = str(text.value.value)
    return found


# ----------------------------------------------------------------------------------------------- what is registered


def metrics() -> str:
    """The metrics of the harness, from their cards and classes."""
    rows = []
    for entry in get_registry().entries("metrics"):
        card = entry.card
        made = make_metric(f"{card.name}:a" if card.per_class else card.name, ["a", "b"], target=card.targets[0])
        low, high = (f"{bound:g}".replace("inf", "∞") for bound in made.bounds)
        rows.append(
            [
                f"`{card.name}:CLASS`" if card.per_class else f"`{card.name}`",
                plain(card.summary) + (f" ({plain(card.reference)})" if card.reference else ""),
                f"{low} to {high}",
                "higher" if card.higher_is_better else "lower",
                ", ".join(card.targets),
                _NEEDS[made.support],
            ]
        )
    return table(["metric", "what it is", "range", "better", "scores", "an interval needs 10 groups of"], rows)


_NEEDS = {
    "rows": "rows",
    "minority": "rows outside the largest class",
    "classes": "each class",
    "counted": "rows that it counts",
}


def hooks() -> str:
    """The whole extension surface, from the hook specifications."""
    rows = []
    for kind, card in CARD_TYPES.items():
        hook = getattr(hookspecs, f"findna_bench_{kind}")
        rows.append(
            [
                f"`{hook.__name__}`",
                f"[`{card.__name__}`](../reference/cards.md#findna_bench.cards.{card.__name__})",
                plain(inspect.cleandoc(hook.__doc__)),
            ]
        )
    return table(["hook", "returns a list of", "which are"], rows)


def registered() -> str:
    """What an installation without further plugins offers."""
    registry = get_registry()
    parts = []
    for kind in CARD_TYPES:
        own = [entry.card for entry in registry.entries(kind) if entry.distribution == "findna-bench"]
        named = [[f"`{getattr(card, 'full_name', card.name)}`", plain(getattr(card, "summary", ""))] for card in own]
        parts += [f"## {kind.capitalize()}", table(["name", "what it is"], named)]
    return "\n\n".join(parts)


def further_names() -> str:
    """Public names that no page places."""
    text = "".join(
        (ROOT / f"docs/reference/{page}.md").read_text(encoding="utf-8") for page in ("api", "contracts", "cards")
    )
    placed = set(re.findall(r"^::: findna_bench\.(?:api|cards)\.(\w+)", text, re.MULTILINE))
    return "\n".join(f"::: findna_bench.api.{name}" for name in api.__all__ if name not in placed)


def encoder_checks() -> str:
    """What ``check`` and ``BackboneConformance`` ask of an encoder."""
    rows = [[f"`{name}`", plain(inspect.cleandoc(check.__doc__ or ""))] for name, check in CHECKS.items()]
    return table(["check", "what it holds"], rows)


def audit_rules() -> str:
    """Every rule of an audit, from the table that verdicts and gates read."""
    parts = []
    for kind in KINDS.values():
        rules = [rule for rule in RULES.values() if rule.kind is kind]
        rows = [
            [f"`{r.rule_id}`", plain(r.title), plain(r.number), r.condition, plain(r.reason), str(r.version)]
            for r in rules
        ]
        header = ["rule", "what is so where it fires", "number", "from", "why there", "version"]
        parts += [f"## {kind.name}", f"{plain(kind.about)} SARIF level: `{kind.severity}`.", table(header, rows)]
    return "\n\n".join(parts)


def source(path: str, name: str) -> str:
    """A file of the example plugin, or one thing in it, as a block of code."""
    text = (EXAMPLE / path).read_text(encoding="utf-8")
    language = {".py": "python", ".toml": "toml"}[Path(path).suffix]
    if name:
        lines = text.splitlines()
        first, last = _lines(ast.parse(text), path, name)
        text = "\n".join(lines[first - 1 : last])
    return f'```{language} title="{path}"\n{text.rstrip()}\n```'


def _lines(module: ast.Module, path: str, name: str) -> tuple[int, int]:
    """First and last line of a function or class of a module, or of its docstring and imports."""
    if name == "imports":
        last = [node for node in module.body if isinstance(node, (ast.Import, ast.ImportFrom))][-1]
        return 1, last.end_lineno or last.lineno
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno or node.lineno
    raise PluginError(f"{path} has nothing called {name!r}")


SECTIONS: dict[str, Callable[[], str]] = {
    "command-line": command_line,
    "result-schema": result_schema,
    "metrics": metrics,
    "hooks": hooks,
    "registered": registered,
    "further-names": further_names,
    "encoder-checks": encoder_checks,
    "audit-rules": audit_rules,
}


# ------------------------------------------------------------------------------------------------------ MkDocs, Griffe


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of results."""
    for folder in ADOPTED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".md", ".png"):
                name = path.relative_to(ROOT).as_posix()
                files.append(File(name, str(ROOT), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Put the generated sections where a page asks for them, and links where they lead in the site."""
    adopted = page.file.src_uri.startswith(ADOPTED)
    if adopted and "/audit/" in page.file.src_uri:  # a page per task, all in the same words
        page.meta["search"] = {"exclude": True}
    linked = _LINK.sub(lambda link: _in_site(link, page.file.src_uri, adopted, files), markdown)
    return _SOURCE.sub(lambda place: source(place["path"], place["name"] or ""), _PLACE.sub(_section, linked))


def _section(place: re.Match[str]) -> str:
    if place["name"] not in SECTIONS:
        raise PluginError(f"no generated section is called {place['name']!r}; there are {', '.join(SECTIONS)}")
    return SECTIONS[place["name"]]()


def _in_site(link: re.Match[str], page: str, adopted: bool, files: Files) -> str:
    """A link as it leads in the site; one that leaves the site, to a file that the repository has, is its text alone."""
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(page), link["target"]))
    if files.get_file_from_path(inside) is not None:
        return link[0]
    there = inside if adopted else posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link["target"]))
    if files.get_file_from_path(there) is not None:
        return f"[{link['text']}]({posixpath.relpath(there, posixpath.dirname(page) or '.')}{link['anchor'] or ''})"
    if not (ROOT / there).exists():
        return link[0]  # MkDocs says so
    return link["text"]


def on_post_build(config: Any) -> None:
    """Hold that the site can be read without a network."""
    for page in sorted(Path(config["site_dir"]).rglob("*.html")):
        if found := _REMOTE.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page} loads something from elsewhere: {found[0]}...; the site is to be read offline")


class Roles(griffe.Extension):
    """Roles in docstrings become code, examples become code blocks, and lines ``name: text`` of a class's docstring a list."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is None:
            return
        text = _ROLE.sub(lambda role: f"`{role['target'].rpartition('.')[2]}`", obj.docstring.value)
        text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
        obj.docstring.value = "\n".join(_listed(text.splitlines())) if obj.is_class else text


_NAMED = re.compile(r"[a-z_]+(?:, [a-z_]+)*: \S")


def _listed(lines: Sequence[str]) -> Iterator[str]:
    """Lines that say what a field is stand in a list, each as an entry of its own."""
    inside = False
    for number, line in enumerate(lines):
        if _NAMED.match(line):
            if not inside and number and lines[number - 1].strip():
                yield ""
            names, _, rest = line.partition(":")
            yield "- " + ", ".join(f"`{name.strip()}`" for name in names.split(",")) + ":" + rest
            inside = True
        elif inside and line.strip() and not line.startswith(" "):
            yield textwrap.indent(line, "  ")
        else:
            inside = inside and bool(line.strip())
            yield line
