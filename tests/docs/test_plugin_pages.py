"""The pages on plugins, done as their reader would: the packages are installed, checked, run and edited in an empty folder."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from site_pages import DOCS, ROOT, Reader, pages, read_blocks

from findna_bench.registry import CARD_TYPES, get_registry

ACME = ROOT / "tests" / "third_party" / "acme-dna"
FIRST, CONTINUE_IT = "index.md", ("checking.md", "editing.md")
"""The page on which a package is made, and those that go on with it."""


def install(folder: Path, site: Path) -> None:
    """What ``pip install -e`` leaves in ``site``: the folder on the path, and the metadata with the entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["findna_bench"]
    (about / "entry_points.txt").write_text("".join(["[findna_bench]\n", *(f"{k} = {v}\n" for k, v in points.items())]))
    sys.path.insert(0, str(folder))


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Somebody in an empty folder who has installed the example plugin."""
    site = tmp_path / "installed"
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])

    def installs(folder: Path) -> None:
        install(folder, site)
        processes = [str(folder), str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(processes))

    installs(ACME)
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield Reader(folder, install=installs, packages=("acme_dna", "my_dna"))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("acme_dna", "my_dna")]:
        del sys.modules[name]
    get_registry.cache_clear()


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in pages("plugins/") if read_blocks(page)])
def test_what_a_page_says_works(page: Path, reader: Reader) -> None:
    if page.name in CONTINUE_IT:
        for block in read_blocks(page.with_name(FIRST)):
            if block.title or block.code.startswith("pip"):
                reader.follow(block)
        reader = replace(reader, separate=page.name == "editing.md")  # a process reads code once
    for block in read_blocks(page):
        reader.follow(block)


def shown() -> set[tuple[str, str]]:
    """(file, name) of all code of the example plugin that pages show."""
    text = "".join(page.read_text(encoding="utf-8") for page in pages("plugins/"))
    return set(re.findall(r"^<!-- source: ([\w./-]+)(?: (\w+))? -->$", text, re.MULTILINE))


def test_there_is_an_example_of_every_hook() -> None:
    assert {name for _, name in shown()} >= {f"findna_bench_{kind}" for kind in CARD_TYPES}
    index = (DOCS / "plugins" / FIRST).read_text(encoding="utf-8")
    assert set(re.findall(r"`(findna_bench_\w+)`", index)) == {f"findna_bench_{kind}" for kind in CARD_TYPES}


def test_all_code_of_the_example_plugin_is_shown() -> None:
    files = {path.relative_to(ACME).as_posix() for path in ACME.rglob("*") if path.suffix in (".py", ".toml")}
    assert {file for file, _ in shown()} == {file for file in files if "build" not in file}
