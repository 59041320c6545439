"""What ``make pages-check`` holds committed pages to, on a small checkout of its own in which one thing at a time is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from findna_bench.auditing.audit_pages import write_pages
from findna_bench.auditing.auditing import audit_tables
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable

ROOT = Path(__file__).resolve().parents[2]
ON = "cpu: AMD EPYC, 2 cores; Python 3.11.7, torch 2.14.1, findna-bench 0.2.0"
SCORES = f"""# Demo

This page was made by `findna-bench leaderboard -o results --markdown page.md`.

on

* {ON}; protocol version 2

| model | species4<br>accuracy % |
|---|---|
| kmer *(control)* | **83.11 ± 0.95**<br>[80.0, 85.8] |
"""
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg"><circle cx="1"><title>kmer, species4: 83.11 [80.0, 85.8]</title></circle></svg>"""
MEASURED = f"Made by `python benchmarks/speed.py --rows 9`; {ON.removeprefix('cpu: ')}.\n"
README = """# Here

<!-- figures: leaderboards/demo.md -->

| model | species4<br>accuracy % |
|---|---|
| kmer *(control)* | **83.11 ± 0.95**<br>[80.0, 85.8] |

Python 3.11 or newer.
"""
TABLE = """
[[page]]
name = "demo"
kind = "scores"
files = ["leaderboards/demo.md", "leaderboards/images/scores.svg", "leaderboards/images/sizes.png"]
commands = ["findna-bench leaderboard -o results --markdown other/page.md"]

[[page]]
name = "audit"
kind = "audits"
files = ["leaderboards/audit/"]
commands = ["findna-bench audit made-up --pages leaderboards/audit"]

[[page]]
name = "speed"
kind = "measured"
files = ["benchmarks/results/speed.md"]
commands = ["python benchmarks/speed.py --rows 9 -o speed.md"]

[sources]
"""


@pytest.fixture(scope="module")
def pages(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("scripts/pages.py")


@pytest.fixture
def checkout(good: Path, tmp_path: Path) -> Path:
    """Pages with nothing wrong, to change."""
    return Path(shutil.copytree(good, tmp_path / "copy"))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("good")
    for name, text in {
        "scripts/pages.toml": TABLE,
        "leaderboards/demo.md": SCORES,
        "leaderboards/images/scores.svg": PICTURE,
        "leaderboards/images/sizes.png": f"PNG tEXtComment\0{ON}; protocol version 2",
        "benchmarks/results/speed.md": MEASURED,
        "README.md": README,
        "docs/design/results.md": "Nothing yet.\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    generator = np.random.default_rng(0)
    rows = ["".join(generator.choice(list("ACGT"), 60)) for _ in range(80)]
    tables = {
        split: SequenceTable(rows[start : start + 40], np.arange(40) % 2, np.arange(40))
        for split, start in (("train", 0), ("test", 40))
    }
    report = audit_tables(tables, TaskCard(name="a-task", suite="made-up", labels=("no", "yes")))
    write_pages([report], tmp_path / "leaderboards/audit", command="findna-bench audit made-up --pages audit")
    return tmp_path


def test_pages_of_today_pass(pages: ModuleType, checkout: Path) -> None:
    assert pages.check(checkout) == []


def _replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / name).read_text(encoding="utf-8")
        assert old in text
        (root / name).write_text(text.replace(old, new), encoding="utf-8")

    return change


def _report(**changes: object) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / "leaderboards/audit/made-up/a-task.json"
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda root: (root / "leaderboards/new.md").write_text("x"), "leaderboards/new.md: in no page"),
        (lambda root: (root / "leaderboards/demo.md").unlink(), "is not there; `make pages PAGES=demo`"),
        (lambda root: shutil.rmtree(root / "leaderboards/audit"), "audit: stands in"),
        (_replaced("leaderboards/demo.md", "; protocol version 2", "; protocol version 1"), "says protocol version 1"),
        (_replaced("leaderboards/demo.md", "; protocol version 2", ""), "says no protocol version"),
        (_replaced("leaderboards/demo.md", f"* {ON}", "* here"), "does not say"),
        (_replaced("leaderboards/demo.md", "-o results", "-o results --metric mcc"), "none of the commands of page demo"),
        (_replaced("benchmarks/results/speed.md", "--rows 9", "--rows 8"), "names `python benchmarks/speed.py --rows 8`"),
        (_replaced("benchmarks/results/speed.md", "bench 0.2.0", "bench 0.1.0"), "older than"),
        (_replaced("leaderboards/images/scores.svg", "83.11", "84.11"), "is not what leaderboards/demo.md says"),
        (_replaced("leaderboards/images/sizes.png", "version 2", "version 1"), "says protocol version 1"),
        (_replaced("README.md", "83.11", "83.12"), "is not a cell of that row and column"),
        (_replaced("README.md", "Python 3.11 or newer", "It reaches 97.4 %"), "97.4 is held to no page"),
        (_replaced("README.md", "demo.md", "nowhere.md"), "nowhere.md, which is not there"),
        (_replaced("leaderboards/audit/made-up/a-task.md", "80", "81"), "a-task.md is not what the report says"),
        (_replaced("leaderboards/audit/README.md", "a-task", "b-task"), "is not the index of the reports"),
        (_report(schema="audit-3"), "is audit-3"),
        (_report(rules={"leak/duplicates": 0}), "made by an older rule leak/duplicates"),
        (_report(rules={}), "with all rules of today"),
        (_report(made_by=None), "does not say by what command"),
        (_report(made_by={"command": "findna-bench audit x", "cpu": "c", "python": "3", "versions": {"n": "1"}}), "which page audit"),
        (
            _replaced("scripts/pages.toml", "[sources]", '[[old]]\nfiles = "leaderboards/demo.md"\nwhy = "x"\n\n[sources]'),
            "nothing is wrong with it; take it off",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    pages: ModuleType, checkout: Path, change: Callable[[Path], object], problem: str
) -> None:
    change(checkout)
    found = pages.check(checkout)
    assert any(problem in line for line in found), found


def test_pages_known_to_be_old_are_printed_with_the_reason(
    pages: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _report(schema="audit-3")(checkout)
    _replaced(
        "scripts/pages.toml", "[sources]", '[[old]]\nfiles = "leaderboards/audit/"\nwhy = "two hours"\n\n[sources]'
    )(checkout)
    assert pages.check(checkout) == []
    assert capsys.readouterr().out == "old: leaderboards/audit/: two hours\n"


def test_commands_of_the_table_are_made_of_files_and_verbs_that_exist(pages: ModuleType) -> None:
    table = pages.read_table()
    assert len({page.name for page in table.pages}) == len(table.pages)
    for page in table.pages:
        assert page.kind in ("scores", "audits", "measured", "input")
        assert set(page.needs) <= set(table.sources)
        for command in page.commands:
            program, what, *_ = command.split()
            assert (ROOT / what).is_file() if program == "python" else program == "findna-bench", command


def test_make_runs_commands_in_a_folder_of_its_own(
    pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout, data = tmp_path / "checkout", tmp_path / "data"
    (checkout / "scripts").mkdir(parents=True)
    (data / "genome").mkdir(parents=True)
    (checkout / "scripts" / "count.py").write_text(
        "import sys, pathlib; pathlib.Path(sys.argv[2]).write_text(str(len(list(pathlib.Path(sys.argv[1]).iterdir()))))"
    )
    monkeypatch.setattr(pages, "ROOT", checkout)
    page = pages.Page(
        "count", "measured", ("n.md",), ("python scripts/count.py data here.md",), {"here.md": "n.md"}, ("genome",)
    )
    other = pages.Page("other", "measured", ("m.md",), ("python scripts/no.py",), needs=("far",))
    broken = pages.Page("broken", "measured", ("m.md",), ("python scripts/no.py",))
    table = pages.Table((page, other, broken), {}, {"far": "a place to get it from"})
    assert pages.make((page, other, broken), table, data, tmp_path / "work") == 1
    assert (checkout / "n.md").read_text() == "1"
    printed = capsys.readouterr().out
    assert "count: made, " in printed
    assert "other: skipped, without far in the data folder: a place to get it from" in printed
    assert "broken: failed" in printed
