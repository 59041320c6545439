"""A site of several submissions: pages that lead to each other, what each submission changed, and nothing read as markup."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from test_hostile_strings import HOSTILE, whole_result

from findna_bench.cli import main
from findna_bench.files import path_segment
from findna_bench.results.bundle import write_bundle
from findna_bench.results.schema import Result, sealed

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``findna-bench leaderboard WORDS``."""
    monkeypatch.chdir(tmp_path)

    def typed(*words: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["findna-bench", "leaderboard", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out + shown.err

    return typed


def write(folder: Path, model: str, value: float, *, day: int = 1, task: str = "toy", key: str | None = None) -> None:
    """A result of a model on a task."""
    made: dict[str, Any] = copy.deepcopy(whole_result(model, value))
    made["task"]["name"] = task
    made["created"] = f"2026-01-{day:02}T00:00:00+00:00"
    made["request_id"] = (key or f"{model} {task}".encode().hex())[:32].ljust(32, "0")
    made["identity"] = (made["request_id"] * 2)[:64]
    made["config_id"] = model.encode().hex()[:32].ljust(32, "0")
    # A folder's name may be longer in the site than a file system takes for that of a result.
    place = hashlib.sha256(f"{model} {task}".encode()).hexdigest()[:8] if len(model) > 100 else path_segment(model)
    path = folder / place / "demo" / path_segment(task) / "probe" / f"{made['request_id'][:16]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sealed(Result.model_validate(made), None)))


class _Links(HTMLParser):
    """Addresses and scripts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.shown = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attributes if name.startswith("on")]
        self.addresses += [value or "" for name, value in attributes if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        self.shown += " "

    def handle_data(self, text: str) -> None:
        self.shown += text


def pages(site: Path) -> dict[str, _Links]:
    return {str(p.relative_to(site)): _Links(p.read_text(encoding="utf-8")) for p in sorted(site.rglob("*.html"))}


def leads_nowhere(site: Path) -> list[tuple[str, str]]:
    """Links of pages to what is not there."""
    return [
        (page, address)
        for page, found in pages(site).items()
        for address in found.addresses
        if not address.startswith("data:")
        and not ((site / page).parent / unquote(urlsplit(address).path)).resolve().is_file()
    ]


def test_a_page_per_suite_model_and_task_and_what_each_submission_changed(run: Run, tmp_path: Path) -> None:
    submissions = tmp_path / "submissions"
    write(tmp_path / "b", "second", 0.9, day=2)
    write(tmp_path / "b", "second", 0.7, day=2, task="other")
    write(submissions / "lab-a", "first", 0.8, day=1)
    write_bundle(tmp_path / "b", submissions / "lab-b.tar.gz")
    (submissions / "lab-b.tar.gz.minisig").write_text("a signature is no submission")
    code, said = run("--submissions", "submissions", "--site", "site", "--title", "Ours")
    assert code == 0, said
    site = tmp_path / "site"
    found = pages(site)
    assert set(found) == {
        "index.html", "history.html", "suites/demo/index.html", "models/first.html", "models/second.html",
        "tasks/demo/toy.html", "tasks/demo/other.html",
    }  # fmt: skip
    assert leads_nowhere(site) == []
    reached = {"index.html"} | {unquote(urlsplit(address).path) for address in found["index.html"].addresses}
    assert set(found) <= reached
    assert "2 of 2" in found["models/first.html"].shown
    assert "second 90.00" in found["models/first.html"].shown
    history = found["history.html"].shown
    assert history.index("lab-b") < history.index("lab-a"), "the newest first"
    newest = " ".join(history[: history.index("lab-a")].split())
    assert re.search(r"second demo/toy .* – 90.00", newest)
    assert "first 80.00 second 90.00" in newest, "who is best since"
    assert "first demo/toy" not in newest, "what did not change is not said"
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    shutil.rmtree(site)
    assert run("--submissions", "submissions", "--site", "site", "--title", "Ours")[0] == 0
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


def test_what_is_no_longer_part_of_the_site_goes_and_nothing_else_does(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "r", "stays", 0.8)
    write(tmp_path / "r", "goes", 0.7)
    assert run("-o", "r", "--site", "site")[0] == 0
    (tmp_path / "site" / "CNAME").write_text("ours.org")
    (tmp_path / "precious.html").write_text("not the site's")
    listed = json.loads((tmp_path / "site" / "site.json").read_text())
    (tmp_path / "site" / "site.json").write_text(
        json.dumps([*listed, "../precious.html", str(tmp_path / "precious.html")])
    )
    shutil.rmtree(tmp_path / "r" / "goes")
    assert run("-o", "r", "--site", "site")[0] == 0
    assert not (tmp_path / "site" / "models" / "goes.html").exists()
    assert (tmp_path / "site" / "models" / "stays.html").exists()
    assert (tmp_path / "site" / "CNAME").exists()
    assert (tmp_path / "precious.html").exists()


def test_submissions_that_contradict_each_other_or_are_damaged_are_named(run: Run, tmp_path: Path) -> None:
    submissions = tmp_path / "submissions"
    write(submissions / "lab-a", "same", 0.8, key="1")
    write(submissions / "lab-a", "own", 0.6)
    write(submissions / "lab-b", "same", 0.9, key="1")
    (submissions / "torn.tar.gz").write_bytes(b"no archive")
    code, said = run("--submissions", "submissions", "--site", "site")
    assert code == 1
    history = (tmp_path / "site" / "history.html").read_text()
    for shown in (said, history):
        assert "0.8 in lab-a; 0.9 in lab-b" in shown
        assert "torn.tar.gz cannot be read as a bundle" in shown
        assert str(tmp_path) not in shown
    assert set(pages(tmp_path / "site")) >= {"models/own.html"}
    assert not (tmp_path / "site" / "models" / "same.html").exists()
    for words, expected in (
        (("--submissions", "nowhere"), "no folder of submissions"),
        (("--submissions", "site"), "no submission"),
    ):
        code, said = run(*words)
        assert code == 2
        assert expected in said


def test_hostile_names_are_text_and_stay_inside_the_site(run: Run, tmp_path: Path) -> None:
    submissions = tmp_path / "submissions"
    names = [HOSTILE, "x/../../outside", "/etc/passwd", "a" * 300, "Case", "case", "..", "x\ny"]
    for number, name in enumerate(names):
        write(submissions / "lab<script>alert(1)", name, 0.5 + number / 100, key=str(number))
    write(submissions / "lab<script>alert(1)", "m", 0.9, task="<b>../../t</b>")
    code, said = run("--submissions", "submissions", "--site", "site", "--title", "<script>alert(1)</script>")
    assert code == 0, said
    site = tmp_path / "site"
    assert leads_nowhere(site) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site", "submissions"]
    assert len(list((site / "models").rglob("*.html"))) == len(names) + 1
    for page, found in pages(site).items():
        scripts = found.tags.count("script")
        assert scripts == (2 if page.startswith("suites/") else 0), page
        assert not {"img", "iframe", "object"} & set(found.tags), page
        text = (site / page).read_text(encoding="utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text), page
