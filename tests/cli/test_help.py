"""The help of every verb: whole option names on a terminal of 80 columns, and examples that the parser takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from findna_bench.cli import app
from findna_bench.cli.examples import EXAMPLES


def verbs(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    command = command or get_command(app)
    if not hasattr(command, "commands"):
        yield name, command
        return
    for inner, found in command.commands.items():
        yield from verbs(found, f"{name} {inner}".strip())


def shown(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        get_command(app).main([*name.split(), "--help"], prog_name="findna-bench")
    return capsys.readouterr().out


@pytest.mark.parametrize(("name", "command"), list(verbs()), ids=[name for name, _ in verbs()])
def test_help_names_every_option_whole_and_gives_examples(
    name: str, command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    text = shown(name, capsys)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    words = text.replace(",", " ").split()
    for parameter in command.params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("-"):
                assert option in words, option
    for line in EXAMPLES[name]:
        assert f"  {line}\n" in text


@pytest.mark.parametrize(("name", "command"), list(verbs()), ids=[name for name, _ in verbs()])
def test_options_stand_in_the_groups_they_are_declared_in(
    name: str, command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    heading, found = "", dict[str, str]()
    for line in shown(name, capsys).splitlines():
        if line.endswith(":") and not line.startswith(" "):
            heading = line.removesuffix(":")
        elif line.startswith("  -"):
            found |= {word.strip(","): heading for word in line.split() if word.startswith("-")}
    declared = {getattr(parameter, "rich_help_panel", None) for parameter in command.params} - {None}
    assert declared <= set(found.values())
    for parameter in command.params:
        if parameter.param_type_name == "option":
            group = getattr(parameter, "rich_help_panel", None) or "Options"
            assert {found[option] for option in parameter.opts} == {group}, parameter.opts
    if len(command.params) > 12:
        assert len(declared) > 1, f"{name} has {len(command.params)} options in one heap"


def test_every_verb_has_a_line_in_the_list_of_verbs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in shown("", capsys).replace("[ARGS]...", "")


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_examples_are_what_the_parser_takes(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "findna-bench"
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(line, words).close()


def test_o_is_the_results_folder_wherever_there_is_one() -> None:
    for name, command in verbs():
        taken = {option: parameter for parameter in command.params for option in parameter.opts}
        if "--output-dir" in taken:
            assert taken["-o"] is taken["--output-dir"], name
    for name in ("run", "plan", "leaderboard", "compare", "verify", "results export", "results bundle"):
        assert "--output-dir" in {option for parameter in dict(verbs())[name].params for option in parameter.opts}
