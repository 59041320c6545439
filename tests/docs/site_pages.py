"""Pages of the documentation as what a reader would do with them: files to write, commands to type, what these print.

A fenced block with ``title="PATH"`` is a file. ``sh`` is typed line by line, ``python`` is run, ``pycon`` is a doctest; a ``text`` block right
below is what the block before it prints (``...`` stands for anything). ``<!-- needs: REASON -->`` above a block keeps it from being run: its
commands are only parsed (those that need ``minutes`` are run by the long tests). ``<!-- exits: 1 -->`` says that the commands of a block end so.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import typer

from findna_bench.cli import app, main
from findna_bench.registry import get_registry

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`]*)$")
_REMARK = re.compile(r"^ *<!-- (?P<key>needs|exits): (?P<value>.*?) -->$")
_TITLE = re.compile(r'title="([^"]*)"')


@dataclass(frozen=True)
class Block:
    """A fenced block: line number of its fence, language, the file that it is, and what stands around it."""

    page: str
    line: int
    language: str
    code: str
    title: str = ""
    needs: str = ""
    exits: int = 0
    output: str | None = None

    @property
    def where(self) -> str:
        return f"docs/{self.page}, line {self.line}"


def read_blocks(path: Path) -> list[Block]:
    """All fenced blocks of a page; one that shows what the block before it prints is its ``output``."""
    found: list[Block] = []
    lines, number, remarks, between = path.read_text(encoding="utf-8").splitlines(), 0, {}, True
    while number < len(lines):
        line, start = lines[number], number + 1
        number += 1
        if remark := _REMARK.match(line):
            remarks[remark["key"]] = remark["value"]
        elif fence := _FENCE.match(line):
            end = next(n for n in range(number, len(lines)) if lines[n].strip() == fence["ticks"])
            code = textwrap.dedent("\n".join(lines[number:end])) + "\n"
            language, title = fence["info"].split()[0] if fence["info"].strip() else "", _TITLE.search(fence["info"])
            number = end + 1
            if language == "text" and not title and not between:
                found[-1] = replace(found[-1], output=code)
            else:
                page = path.relative_to(DOCS).as_posix() if path.is_relative_to(DOCS) else path.name
                needs, exits = remarks.get("needs", ""), int(remarks.get("exits", 0))
                found.append(Block(page, start, language, code, title[1] if title else "", needs, exits))
            remarks, between = {}, False
        elif line.strip():
            remarks, between = {}, True
    return found


def commands_of(code: str) -> list[str]:
    """What is typed, one command per entry; a backslash at the end of a line goes on, comments are left out."""
    joined = re.sub(r"\\\n\s*", " ", code)
    return [line for raw in joined.splitlines() if (line := re.sub(r"(^|\s)#.*", "", raw).strip())]


def check_command(command: str) -> None:
    """Parse a command without running it: its verb and options must exist, and the values must be of their kinds."""
    words = shlex.split(command)
    if words[0] not in ("findna-bench", "torchrun"):
        return
    words = words[words.index("findna-bench") + 1 :]
    found: Any = typer.main.get_command(app)
    parent = None
    while hasattr(found, "commands"):
        parent = found.make_context(found.name, [], parent=parent, resilient_parsing=True)
        found = found.commands[words.pop(0)]
    found.make_context(found.name, words, parent=parent)


@cache
def all_options() -> set[str]:
    """Every option of every verb."""

    def of(command: Any) -> Iterator[str]:
        for parameter in command.params:
            yield from (*parameter.opts, *parameter.secondary_opts)
        for inner in getattr(command, "commands", {}).values():
            yield from of(inner)

    return {option for option in of(typer.main.get_command(app)) if option.startswith("--")} | {"--help"}


def check_block(block: Block) -> None:
    """What can be held of a block that cannot be run here."""
    if block.language == "sh":
        for command in commands_of(block.code):
            try:
                check_command(command)
            except Exception as error:
                raise AssertionError(f"{block.where}: {command}: {error}") from error
    elif block.language == "python":
        compile(block.code, block.where, "exec")


def write_file(folder: Path, block: Block) -> None:
    """Write the file that a block is."""
    path = folder / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.code, encoding="utf-8")


@dataclass
class Reader:
    """Somebody who does what pages say, in a folder.

    install: called with the folder that ``pip install`` names. packages: names of modules that change while pages are read. has: what blocks may need
    and are run nevertheless. separate: every command of findna-bench is a process of its own, which is slower.
    """

    folder: Path
    install: Callable[[Path], None] | None = None
    packages: Sequence[str] = ()
    has: frozenset[str] = frozenset()
    separate: bool = False
    names: dict[str, Any] = field(default_factory=dict)

    def follow(self, block: Block) -> None:
        """Do what one block says.

        Raises:
            AssertionError: a command failed, or something else was printed.
        """
        if block.title:
            write_file(self.folder, block)
            return
        if block.needs and block.needs not in self.has:
            check_block(block)
            return
        if block.language == "sh":
            printed = "".join(self._type(command, block) for command in commands_of(block.code))
        elif block.language == "python":
            self._afresh()
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.code, block.where, "exec"), self.names)
            printed = out.getvalue()
        elif block.language == "pycon":
            printed = self._doctest(block)
        else:
            return
        if block.output is not None and not doctest.OutputChecker().check_output(block.output, printed, OUTPUT):
            raise AssertionError(f"{block.where} prints\n{printed}\nand the page says\n{block.output}")

    def _afresh(self) -> None:
        """Forget modules that pages have changed since."""
        for name in [n for n in sys.modules if n.partition(".")[0] in self.packages]:
            del sys.modules[name]
        importlib.invalidate_caches()
        get_registry.cache_clear()

    def _type(self, command: str, block: Block) -> str:
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            assert self.install is not None, f"{block.where}: nothing is installed here"
            self.install(self.folder / words[-1])
            return ""
        if words[0] == "findna-bench":
            check_command(command)
        if words[0] == "findna-bench" and not self.separate:
            code, out, err = self._findna_bench(words[1:])
        else:
            environment = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False
            )  # fmt: skip
            code, out, err = done.returncode, done.stdout, done.stderr
        assert code == block.exits, f"{block.where}: {command} ended with {code}\n{out}\n{err}"
        return out

    def _findna_bench(self, words: Sequence[str]) -> tuple[int, str, str]:
        self._afresh()
        before, out, err = sys.argv, io.StringIO(), io.StringIO()
        sys.argv = ["findna-bench", *words]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
            code = 0
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            sys.argv = before
        return code, out.getvalue(), err.getvalue()

    def _doctest(self, block: Block) -> str:
        self._afresh()
        test = doctest.DocTestParser().get_doctest(block.code, self.names, block.where, block.page, block.line)
        said: list[str] = []
        doctest.DocTestRunner(optionflags=OUTPUT, verbose=False).run(test, out=said.append, clear_globs=False)
        assert not said, f"{block.where}: {''.join(said)}"
        self.names.update(test.globs)
        return ""


def pages(under: str = "") -> Iterator[Path]:
    """Pages in the order in which they stand in the navigation."""
    listed = re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2])
    return (DOCS / name for name in listed if name.startswith(under))
