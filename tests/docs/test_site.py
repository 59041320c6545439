"""The documentation cannot rot: every example on it is run, in order, in an empty folder; what cannot be run here is parsed and counted."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from site_pages import DOCS, ROOT, Reader, all_options, check_command, commands_of, pages, read_blocks

from findna_bench import api

PLUGINS = "plugins/"
NOT_RUN = {
    "network": 7,
    "a GPU": 1,
    "minutes": 2,
    "a cluster": 2,
    "two processes, and minutes": 2,
}
"""Blocks that are parsed and not run, by reason: a new one is counted here, so that none goes by in silence. The long tests run those of minutes."""
SHOWN = {"text", "toml", "json", "yaml"}
"""Languages of blocks that show something, beside those that are run."""
OWN_TEST = "paper-tables.md"
"""Its commands are held by a test of its own."""
OTHER_PROGRAM = re.compile(r"(\w+\.py|mypy) ")
"""Scripts and tools with options of their own."""


def readable(needs: str = "") -> list[object]:
    found = [page for page in pages() if not page.relative_to(DOCS).as_posix().startswith(PLUGINS)]
    return [
        pytest.param(page, id=page.relative_to(DOCS).with_suffix("").as_posix())
        for page in found
        if any(needs in block.needs for block in read_blocks(page))
    ]


@pytest.mark.parametrize("page", readable())
def test_what_a_page_says_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path)
    for block in read_blocks(page):
        reader.follow(block)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("page", readable("minutes"))
def test_what_takes_minutes_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path, has=frozenset({"minutes"}))
    for block in read_blocks(page):
        if block.needs == "minutes":
            reader.follow(block)


def test_what_readme_says_exists() -> None:
    """Commands are parsed, targets of make and files that it links to are there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    typed = re.findall(r"`((?:findna-bench|make|pip) [^`]+)`", text) + [
        command for block in read_blocks(ROOT / "README.md") for command in commands_of(block.code)
    ]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert len(typed) > 10
    for command in typed:
        check_command(command.replace(" NAME", " findna-tiny"))
        words = command.split()
        assert words[0] != "make" or words[1] in targets, command
    missing = [link for link in re.findall(r"\]\(([^)#:]+)\)", text) if not (ROOT / link).exists()]
    assert missing == []


def test_every_page_is_in_the_navigation() -> None:
    assert sorted(pages()) == sorted(DOCS.rglob("*.md"))


def test_what_is_not_run_is_counted() -> None:
    blocks = [block for page in pages() for block in read_blocks(page) if block.page != OWN_TEST]
    assert Counter(block.needs for block in blocks if block.needs) == Counter(NOT_RUN)
    odd = {block.language for block in blocks if not block.title} - SHOWN - {"sh", "python", "pycon"}
    assert odd == set(), "blocks of these languages would not be run"


@pytest.mark.parametrize(
    "command", ["findna-bench run --modles kmer", "findna-bench rnu", "findna-bench results export --nonsense x"]
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    with pytest.raises(Exception, match=r"modles|rnu|nonsense"):
        check_command(command)


def test_options_named_in_the_text_exist() -> None:
    named = {
        (page.name, option)
        for page in pages()
        for span in re.findall(r"`([^`\n]+)`", page.read_text())
        if page.name != OWN_TEST and not OTHER_PROGRAM.match(span)
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)
    }  # fmt: skip
    assert len(named) > 20
    assert {(page, option) for page, option in named if option not in all_options()} == set()


def test_names_in_the_reference_are_public() -> None:
    """Public names that no page places stand at the end of the API page by themselves."""
    text = "\n".join((DOCS / "reference" / f"{name}.md").read_text() for name in ("api", "contracts", "cards"))
    shown = re.findall(r"^::: findna_bench\.(?:api|cards)\.(\w+)", text, re.M)
    assert sorted(shown) == sorted(set(shown)), "a name stands twice"
    assert set(shown) <= set(api.__all__)
    assert "<!-- generated: further-names -->" in text


def test_the_version_is_said_in_one_place_and_the_changelog_and_citation_agree() -> None:
    import findna_bench

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "findna_bench/__init__.py"
    changes = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    cited = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert changes is not None
    assert cited is not None
    assert changes[1] == cited[1] == findna_bench.__version__
