"""Whatever stands in the strings of a result, a file or a plugin, terminal, Markdown and HTML show it as text."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import os
import pty
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from findna_bench.cli import main
from findna_bench.leaderboard.html import render_html
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.screen import render_screen
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore
from findna_bench.terminal import printable, printable_json

MARKUP = '<img src=x onerror="window.owned=1">`</code><script>window.owned=1</script> [x](javascript:window.owned=1) **b** | <b>'
CONTROL = "\x1b[2J\x1b]0;owned\x07\r\x08\x9b31m\u202eevil\u2066\x7f"
HOSTILE = f"evil {MARKUP} {CONTROL}"
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal acts upon, line ends and tabulators aside."""


def whole_result(model: str = "m", value: float = 0.8) -> dict[str, Any]:
    """A result with something in every field, as JSON."""
    return {
        "identity": "i" * 64, "request_id": "r" * 32, "config_id": "c" * 32, "status": "success", "flags": ["untrained"],
        "command": "findna-bench run", "protocol_version": 2, "preset": "default", "selection": "validation",
        "model": {
            "name": model, "kind": "encoder", "distribution": "d", "version": "1", "backbone": "b", "n_parameters": 1000,
            "weights": {"source": "local:m", "digest": "sha256:0", "network": "teacher", "trained": True},
            "tokenizer_digest": "t", "code_digest": "k", "pooling": "mean", "layer": -1, "licence": "MIT",
        },
        "task": {
            "suite": "demo", "name": "toy", "labels": ["a", "b"], "target": "classes", "data_digest": "d",
            "counts": {"test": {"a": 6, "b": 4}}, "published_counts": {"test": {"a": 6, "b": 4}}, "split": "official",
        },
        "strand": "forward", "window": "truncate", "seed": 0, "n_effective_seeds": 1, "dtype": "float32",
        "protocol": {"name": "probe", "settings": {"seed_varies": ["validation draw"], "validation_split": "drawn", "solver": "x"}},
        "metrics": {
            "main": {"name": "accuracy", "value": value}, "all": {"accuracy": value, "mcc": 0.5},
            "intervals": {"accuracy": [value - 0.1, value + 0.1]}, "interval_unit": "rows", "n_groups": 10, "groups_by": "identical rows",
        },
        "validation": {"metrics": {"accuracy": value}, "selected": {"c": "x"}, "warnings": ["did not converge"]},
        "environment": {"python": "3.11", "platform": "Linux", "versions": {"torch": "2"}, "cpu": "cpu", "gpu": "gpu", "git_commit": "g"},
        "created": "2026-01-01T00:00:00+00:00",
        "hashed": {"request": {"options": {"x": "y"}}, "config": {"model_settings": {"a": "b"}}, "cell": {"task": "t"}},
        "request": {"options": {"models": ["m"]}, "files": {"f": "d"}},
    }  # fmt: skip


def failed_result() -> dict[str, Any]:
    value = whole_result()
    return value | {
        "identity": None, "config_id": None, "status": "error", "metrics": {"main": {"name": "accuracy"}},
        "error": {"type": "ValueError", "message": "went wrong", "traceback": "File x"},
    }  # fmt: skip


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand, keys of free mappings included."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from texts(part, (*path, key))
            if path[-1:] and path[-1] in ("counts", "test", "files", "settings", "versions", "all", "selected"):
                yield (*path, key, None)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from texts(part, (*path, number))
    elif isinstance(value, str):
        yield path


def hostile(value: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """The same with a hostile text at ``path``; a path that ends with None is a key."""
    changed = copy.deepcopy(value)
    rename = path[-1] is None
    *way, last = path[:-1] if rename else path
    inner: Any = changed
    for part in way:
        inner = inner[part]
    if rename:
        inner[HOSTILE] = inner.pop(last)
    else:
        inner[last] = HOSTILE
    return changed


CASES = [
    pytest.param(value, path, id=f"{value['status']}:{'.'.join(map(str, path))}")
    for value in (whole_result(), failed_result())
    for path in texts(value)
]


class Tags(HTMLParser):
    """What a browser would make elements of."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, Any]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


HARMLESS_TAGS = {
    "h1",
    "h2",
    "h3",
    "p",
    "ul",
    "li",
    "ol",
    "em",
    "strong",
    "code",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "br",
    "u",
    "blockquote",
    "details",
    "summary",
    "hr",
    "pre",
}


def check_markdown(page: str) -> None:
    markdown_it = pytest.importorskip("markdown_it")
    assert not FORBIDDEN.search(page)
    tags = Tags()
    tags.feed(markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(page))
    strange = [(tag, attrs) for tag, attrs in tags.found if tag not in HARMLESS_TAGS or {*attrs} - {"style"}]
    strange = [
        (tag, attrs) for tag, attrs in strange if not (tag == "a" and not attrs["href"].startswith("javascript"))
    ]
    assert not strange
    assert "onerror" not in page or MARKUP.split(">")[0].partition("onerror")[0] in tags.text, "not shown as text"


@pytest.mark.parametrize(("value", "path"), CASES)
def test_a_hostile_text_in_any_field_of_a_result_is_shown_as_text(
    value: dict[str, Any], path: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        result = Result.model_validate(hostile(value, path))
    except ValidationError:
        return  # one of a few words, by the schema
    board = leaderboard([result, Result.model_validate(whole_result("other", 0.6))])
    check_markdown(render_markdown(board, command=f"findna-bench leaderboard --title '{HOSTILE}'", title=HOSTILE))
    render_screen(board)
    assert not FORBIDDEN.search(capsys.readouterr().out)
    page = render_html(board, title=HOSTILE)
    tags = Tags()
    tags.feed(page)
    assert not [tag for tag, _ in tags.found if tag in ("img", "b")]
    assert sum(tag == "script" for tag, _ in tags.found) == 2
    data = page.partition('id="data">')[2].partition("</script>")[0]
    assert not FORBIDDEN.search(json.dumps(json.loads(data), ensure_ascii=False))
    for block in json.loads(data)["details"]:
        shown = json.loads(zlib.decompress(base64.b64decode(block)))
        assert not FORBIDDEN.search(json.dumps(shown, ensure_ascii=False))


@pytest.mark.parametrize("text", ["plain", "Größe µ ± 日本語", "a\nb", "a\u00a0b"])
def test_harmless_text_is_left_alone(text: str) -> None:
    assert printable(text) == text
    assert json.loads(printable_json(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", [CONTROL, "\ud800", "\U000e0041", "\x00"])
def test_control_characters_are_shown_and_json_keeps_them(text: str) -> None:
    assert not FORBIDDEN.search(printable(text))
    assert json.loads(printable_json(json.dumps(text, ensure_ascii=False))) == text


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder of which every text is hostile that may be; its file names are those of the store."""
    store = ResultStore(tmp_path / "results")
    for number, value in enumerate((whole_result(), failed_result())):
        for path in texts(copy.deepcopy(value)):
            if path[0] in ("request", "hashed", "status", "created"):
                continue
            changed = hostile(value, path)
            with contextlib.suppress(ValidationError):
                Result.model_validate(changed)
                if path not in (("identity",), ("request_id",), ("config_id",)):
                    value = changed
        result = Result.model_validate(value | {"request_id": f"{number}" * 32})
        path = store.root / "errors" / f"{number}.json" if number else store.root / "a" / "b" / "c" / "d" / "e.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result.to_dict()), encoding="utf-8")
    return store.root


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["findna-bench", *words])
        with pytest.raises(SystemExit):
            main()
    seen = capsys.readouterr()
    assert "internal error" not in seen.err
    return seen.out + seen.err


def test_no_verb_sends_what_a_result_holds_to_the_terminal(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["-o", str(results)]
    page = tmp_path / "page.md"
    for words in (
        ["leaderboard", *where],
        ["leaderboard", "--json", *where],
        ["leaderboard", *where, "--markdown", str(page)],
        ["leaderboard", *where, "--html", str(tmp_path / "html")],
        ["compare", "a", "b", *where],
        ["compare", HOSTILE, "b", *where, "--json"],
        ["verify", str(results)],
        ["verify", str(results), "--json"],
    ):
        said = run(capsys, *words)
        assert not FORBIDDEN.search(said), words
    check_markdown(page.read_text(encoding="utf-8"))


def test_nor_does_a_terminal_with_colours_get_them(results: Path) -> None:
    parent, child = pty.openpty()
    program = "from findna_bench.cli import main; main()"
    words = [sys.executable, "-c", program, "leaderboard", "-o", str(results)]
    process = subprocess.Popen(
        words, stdout=child, stderr=child, env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    )
    os.close(child)
    seen = b""
    with contextlib.suppress(OSError):  # how the other end of a terminal says that it is closed
        while part := os.read(parent, 65536):
            seen += part
    process.wait()
    text = re.sub(r"\x1b\[[0-9;]*m", "", seen.decode("utf-8")).replace("\r\n", "\n")
    assert "evil" in text
    assert not FORBIDDEN.search(text)


def test_hostile_class_names_and_files_reach_screen_and_pages_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "evil <img src=x> \x1b[2J.csv"
    names = [MARKUP.replace('"', "'").replace(",", " "), f"b {CONTROL}".replace("\r", "")]
    rows = [
        f'{"ACGT" * (3 + i % 5)}{"ACGT"[i % 4]},"{names[i % 2]}",{"test" if i > 30 else "train"}' for i in range(44)
    ]
    table.write_text("\n".join(["sequence,label,split", *rows]) + "\n", encoding="utf-8")
    out = str(tmp_path / "results")
    for words in (
        ["run", "-m", "majority,kmer", "-t", str(table), "--seeds", "1", "-o", out],
        ["audit", str(table), "--pages", str(tmp_path / "pages")],
        ["describe", str(table)],
        ["plan", "-m", "majority", "-t", str(table), "-o", out],
        ["leaderboard", "-o", out, "--markdown", str(tmp_path / "page.md")],
    ):
        said = run(capsys, *words)
        assert not FORBIDDEN.search(said), (words, FORBIDDEN.search(said))
    for page in (tmp_path / "page.md", *(tmp_path / "pages").rglob("*.md")):
        check_markdown(page.read_text(encoding="utf-8").replace("![class distributions", "[class distributions"))
