"""``findna-bench describe NAME``: everything a card says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from findna_bench.cli import options, output
from findna_bench.errors import UnknownNameError
from findna_bench.models.spec import MODEL_SCHEMES, ModelSpec, parse_model
from findna_bench.plugin_code import plugin_code
from findna_bench.registry import Entry, factory_options, get_registry, load_factory

if TYPE_CHECKING:
    from findna_bench.leaderboard.published import Figure

_KINDS = (
    "models", "suites", "tasks", "backbones", "objectives", "augmentations", "presets", "executors", "metrics", "targets", "protocols",
    "published",
)  # fmt: skip


def describe(
    name: Annotated[
        str,
        typer.Argument(
            help="A model or task as `run` takes them (path:FOLDER and ./my.csv too), a suite, backbone, objective, "
            "augmentation, metric, target, protocol, preset, executor, file of published figures, or column of the score tables."
        ),
    ],
    data_dir: options.DataDir = None,
    target: options.Target = None,
    drop_missing: options.DropMissing = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Print what is known about one name; for a task also its data, the audit's verdict and what papers print on it."""
    if (given := _model_given(name) or _task_given(name, data_dir, drop_missing, target)) is not None:
        described = [given]
    else:
        described = [*_generic_presets(name), *_columns(name)]
        described += [_facts(kind, entry, data_dir, in_words=not json) for kind, entry in _find(name, bool(described))]
    if json:
        output.print_json(_plain(described if len(described) > 1 else described[0]))
        return
    for number, facts in enumerate(described):
        if number:
            output.answer()
        _print(facts)


def _model_given(name: str) -> dict[str, Any] | None:
    """A model named by where it lies, or drawn at random, which no plugin registers under that name."""
    scheme, separator, _ = name.partition(":")
    if not (separator and scheme in MODEL_SCHEMES) and "@" not in name:
        return None
    spec = parse_model(name)
    drawn = {"weights drawn with seed": spec.init_seed} if spec.variant else {}
    place = {"folder": str(spec.location)} if spec.location is not None else {}
    facts = {**_head("models", spec), **drawn, **place, **_card_fields(spec.card)}
    return {key: value for key, value in facts.items() if not (drawn and key == "weights")}


def _task_given(name: str, data_dir: Path | None, drop_missing: bool, target: str | None) -> dict[str, Any] | None:
    """A task given by the path of its rows."""
    if not name.startswith("~") and "/" not in name:
        return None
    from findna_bench.data.catalog import resolve_task
    from findna_bench.data.task import open_task

    try:
        ref = resolve_task(name)
    except UnknownNameError:
        return None
    if ref.path is None:
        return None
    task = open_task(ref, data_dir=data_dir, drop_missing=drop_missing, target=target)
    facts = {"kind": "task", "distribution": "local", "file": str(ref.path), **_card_fields(task.card)}
    return facts | {
        "data": "read from the path",
        "data counts": task.counts,
        "data digest": task.data_digest,
        "read": "; ".join(task.notes),
    }


def _card_fields(card: Any) -> dict[str, Any]:
    """What a card says; how sides are combined only where rows have any. ``version`` is that of the distribution."""
    fields = {"card_version" if name == "version" else name: value for name, value in asdict(card).items()}
    if fields.get("inputs") != "pair":
        fields.pop("combination", None)
    return fields


def _head(kind: str, found: Entry | ModelSpec) -> dict[str, Any]:
    """What stands before the fields of a card."""
    return {"kind": kind.removesuffix("s"), "distribution": found.distribution, "version": found.version}


def _facts(kind: str, entry: Entry, data_dir: Path | None, *, in_words: bool) -> dict[str, Any]:
    """Everything that is known about one card."""
    facts = _head(kind, entry) | _card_fields(entry.card)
    if kind in ("backbones", "objectives", "augmentations"):
        factory = load_factory(entry.card.factory, f"{kind.removesuffix('s')} {entry.card.name!r}")
        with plugin_code(f"{kind.removesuffix('s')} {entry.card.name!r}", entry.card.factory):
            options = factory_options(factory).items()
        facts["options"] = {name: "required" if default is ... else default for name, default in options}
    if kind == "metrics":
        facts["heading"] = entry.card.label or f"{entry.card.name.replace('_', ' ')} %"
    if kind == "protocols":
        facts |= _protocol_facts(entry)
    if kind == "published":
        facts |= _paper_facts(entry)
    if kind != "tasks":
        return facts
    facts |= _data_facts(entry, data_dir)
    papers = _published(entry.card.full_name)
    if in_words:
        facts["published"] = [line for title, how, group in papers for line in _figure_lines(title, how, group)]
    else:
        facts["published"] = [asdict(figure) for _, _, group in papers for figure in group]
    return facts


def _print(facts: dict[str, Any]) -> None:
    width = max(len(key) for key, value in facts.items() if _shown(value))
    for key, value in facts.items():
        if _shown(value):
            lines = _lines(value)
            output.answer(f"{key.replace('_', ' '):<{width}}  {lines[0]}")
            for line in lines[1:]:
                output.answer(f"{'':<{width}}  {line}")


def _generic_presets(name: str) -> list[dict[str, Any]]:
    """Presets of that name that the protocols have of their own."""
    from findna_bench.protocols.protocol import preset_summary, protocols
    from findna_bench.protocols.settings import preset_settings

    return [
        {"kind": "preset", "name": name, "protocol": protocol, "distribution": distribution}
        | {"summary": preset_summary(found, name), "settings": preset_settings(found.presets[name])}
        for protocol, distribution, found in protocols(get_registry())
        if name in found.presets
    ]


def _find(name: str, known: bool) -> list[tuple[str, Entry]]:
    """Everything that plugins register under a name, of every kind.

    Raises:
        UnknownNameError: there is nothing, and it is not ``known`` from elsewhere.
    """
    registry = get_registry()
    found = [(kind, entry) for kind in _KINDS for entry in registry.named(kind, name)]
    if found or known:
        return found
    if Path(name).exists():
        raise UnknownNameError(f"nothing is called {name!r}; for the file or folder of this name write ./{name}")
    errors = []
    for kind in _KINDS:
        try:
            registry.resolve(kind, name)
        except UnknownNameError as error:
            errors.append(str(error))
    raise UnknownNameError(next((e for e in errors if "did you mean" in e), errors[0]))


def _columns(name: str) -> list[dict[str, Any]]:
    """Columns of the score tables of that name."""
    from findna_bench.leaderboard.columns import FIRST, LAST

    found = [(where, c) for where, part in (("before", FIRST), ("after", LAST)) for c in part if c.name == name.lower()]
    return [
        {"kind": "column", "name": c.name, "heading": c.label, "summary": c.about, "place": f"{where} the tasks"}
        for where, c in found
    ]


def _protocol_facts(entry: Entry) -> dict[str, Any]:
    """Which models and targets a protocol scores, and its presets."""
    from findna_bench.protocols.protocol import made_protocol

    protocol = made_protocol(entry.card)
    return {
        "scores models of kind": list(protocol.kinds),
        "presets": list(protocol.presets),
        "trains the network": protocol.trains_encoder,
    }


def _paper_facts(entry: Entry) -> dict[str, Any]:
    """What a file of published figures holds: the paper, its tables, how many figures."""
    from findna_bench.leaderboard.published import load_published

    (paper,) = load_published([entry.card])
    tables = {
        f"table {table}": f"{sum(figure.table == table for figure in paper.figures)} figures"
        for table in dict.fromkeys(figure.table for figure in paper.figures)
    }
    return {"title": paper.title, "source": paper.source, "figures": tables}


def _data_facts(entry: Entry, data_dir: Path | None) -> dict[str, Any]:
    """State and origin of the data here, and the last audit of it."""
    from findna_bench.auditing.stored_reports import describe_task
    from findna_bench.data.catalog import data_root, read_manifest, task_folder

    known = describe_task(entry.card, data_dir)
    facts = {"data": known["data"], "data counts": known["counts"]}
    manifest = read_manifest(task_folder(entry.card.suite, entry.card.name, data_root(data_dir)))
    if manifest:
        facts["data source"] = manifest.get("source")
        facts["data digest"] = manifest.get("digest")
    return facts | {name: value for name, value in known.items() if name.startswith("audit")}


def _published(task: str) -> list[tuple[str, str, list[Figure]]]:
    """What papers print on a task: (paper and table, how it was made, figures)."""
    from findna_bench.leaderboard.published import load_published
    from findna_bench.leaderboard.published_tables import figure_groups, how_made

    return [
        (name, f"{how_made(figures)}; {paper.source}", figures)
        for paper in load_published(get_registry().cards("published"), output.complain)
        for name, figures in figure_groups(paper, [task]).items()
    ]


def _figure_lines(title: str, how: str, figures: Sequence[Figure]) -> list[str]:
    lines = [f"{title} ({how})"]
    for figure in figures:
        spread = f" ± {figure.spread}" if figure.spread is not None else ""
        label = figure.label + (f" ({figure.variant})" if figure.variant else "")
        lines.append(f"  {label}: {figure.value}{spread} {figure.unit}")
        lines += [f"    {note}" for note in figure.notes]
    return lines


def _shown(value: Any) -> bool:
    """Whether there is something to say; 0 is."""
    return value is not None and value is not False and not (isinstance(value, str | tuple | list | dict) and not value)


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [
            f"{k}: {', '.join(_lines(v)) if isinstance(v, dict | list | tuple) else v}"
            for k, v in value.items()
            if _shown(v)
        ] or ["-"]
    if isinstance(value, list | tuple):
        return [
            line for item in value for line in ([", ".join(_lines(item))] if isinstance(item, dict) else [str(item)])
        ] or ["-"]
    return str(value).splitlines() or ["-"]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
