"""What verbs print, word for word, and the codes they leave with."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from findna_bench.cli import main, output, pretraining_progress, progress
from findna_bench.errors import DataError, UsageError
from findna_bench.results.schema import Coverage, Error, MainMetric, Metrics, Model, Protocol, Result, Task


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs the command line in this process."""

    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["findna-bench", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capfd.readouterr()
        return Answer(int(left.value.code or 0), said.out, said.err)

    return call


def fit(value: float | None = 0.5, *, status: Any = "success", metric: str = "accuracy", message: str = "") -> Result:
    return Result(
        identity="i",
        request_id="r",
        config_id="c",
        status=status,
        protocol_version=2,
        model=Model(name="m", kind="features"),
        task=Task(suite="s", name="t", labels=["a", "b"]),
        seed=0,
        protocol=Protocol(name="probe"),
        metrics=Metrics(main=MainMetric(name=metric, value=value)),
        error=Error(type="X", message=message, traceback=None) if message else None,
        coverage=Coverage(),
        created="2026",
    )


FAILED = fit(None, status="error", message="no weights")


@pytest.mark.parametrize(
    ("fits", "words"),
    [
        ([], "no result"),
        ([fit(0.5)], "accuracy 50.00 % (1 fit)"),
        ([fit(0.5), fit(0.751)], "accuracy 62.55 % (2 fits)"),
        ([fit(0.5, metric="mcc")], "mcc 50.00 % (1 fit)"),
        ([fit(0.5, metric="rmse")], "rmse 0.50 (1 fit)"),
        ([fit(None)], "accuracy is undefined"),
        ([FAILED], "error: no weights"),
        ([fit(0.5), FAILED], "accuracy 50.00 % (1 fit); error: no weights"),
        ([fit(0.5), fit(None)], "accuracy 50.00 % (1 fit)"),
        ([fit(0.1, status="error", message="late")], "error: late"),
    ],
)
def test_a_unit_is_told_in_a_few_words(fits: list[Result], words: str) -> None:
    assert progress.summary(fits) == words


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line[20:] for line in capsys.readouterr().err.splitlines()]


def test_lines_count_units_and_guess_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    lines = progress.Lines()
    lines.started(6, 12, 4)  # a third was finished before: four units are to be computed
    lines.unit_finished("old on t", [fit()], 0.0)
    lines.unit_started("a on t")
    lines.unit_finished("a on t", [fit()], 4.0)
    lines.unit_started("b on t")
    lines.unit_started("c on t")
    lines.unit_finished("b on t", [FAILED], 8.04)
    lines.unit_finished("bad on t", [FAILED], 0.0)
    lines.unit_finished("c on t", [fit()], 6.0)
    lines.unit_finished("d on t", [fit()], 6.0)
    assert lines_of(capsys) == [
        "12 cells in 6 model x task units, 4 finished before",
        "[1/6] 1 unit had been finished before",
        "[2/6] a on t: accuracy 50.00 % (1 fit), 4.0 s, about 12 s left",
        "[3/6] b on t: error: no weights, 8.0 s, about 6 s left",
        "[4/6] bad on t: error: no weights, 0.0 s, about 12 s left",
        "[5/6] c on t: accuracy 50.00 % (1 fit), 6.0 s, about 6 s left",
        "[6/6] d on t: accuracy 50.00 % (1 fit), 6.0 s",
    ]
    empty = progress.Lines()
    empty.started(0, 0, 0)
    assert lines_of(capsys) == ["0 cells in 0 model x task units"]
    quiet = progress.Lines(quiet=True)
    quiet.started(1, 1, 0)
    quiet.note("x")
    assert capsys.readouterr().err == ""


def test_progress_within_a_unit_is_said_every_half_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("findna_bench.cli.progress.time.monotonic", lambda: now[0])
    lines = progress.Lines()
    lines.unit_started("a on t")
    for seconds, done in ((30.0, 1), (0.5, 2), (20.0, 3), (10.5, 4)):
        now[0] += seconds
        lines.unit_progress("a on t", done, 9, "steps")
    assert lines_of(capsys) == ["  steps 2/9", "  steps 4/9"]


@pytest.mark.parametrize(
    ("level", "terminal", "kind"), [(-1, True, "Lines"), (0, True, "Bars"), (0, False, "Lines"), (1, True, "Bars")]
)
def test_the_reporter_suits_the_terminal(
    level: int, terminal: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    output.set_verbosity(level)
    try:
        assert type(progress.matrix_reporter()).__name__ == kind
        of_training = pretraining_progress.pretraining_reporter()
        assert type(of_training).__name__ == {"Bars": "Bar", "Lines": "Lines" if level >= 0 else "NoneType"}[kind]
    finally:
        output.set_verbosity(0)


def test_a_pretraining_speaks_every_ten_seconds_and_at_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("findna_bench.cli.pretraining_progress.time.monotonic", lambda: now[0])
    lines = pretraining_progress.Lines()
    lines.started(100, 0, "x")
    lines.started(100, 7, "x")
    for seconds, step in ((0.0, 1), (9.9, 2), (0.1, 3), (1.0, 99), (1.0, 100)):
        now[0] += seconds
        lines.progress(step, 100, {"loss": 0.123456, "lr": 1e-3}, 3661.9 if step < 100 else 59)
    lines.note("done")
    assert lines_of(capsys) == [
        "100 steps on x",
        "100 steps on x, going on at step 7",
        "step 1/100, 1:01:01 left: loss=0.1235 lr=0.001",
        "step 3/100, 1:01:01 left: loss=0.1235 lr=0.001",
        "step 100/100, 0:00:59 left: loss=0.1235 lr=0.001",
        "done",
    ]


def test_a_bar_of_a_pretraining_shows_four_values() -> None:
    bar = pretraining_progress.Bar()
    bar.started(10, 2, "x")
    bar.progress(5, 10, dict.fromkeys("abcde", 1.0), 60)
    (task,) = bar._progress.tasks
    assert (task.completed, task.total, task.description) == (5, 10, "0:01:00 left  a=1 b=1 c=1 d=1")
    assert not task.finished
    bar.progress(10, 10, {}, 0)
    assert bar._progress.finished


def test_verbs_speak_by_how_much_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    for level, remarks in ((-1, ""), (0, "r\n"), (1, "r\n")):
        output.set_verbosity(level)
        output.remark("r")
        assert capsys.readouterr().err == remarks
    output.set_verbosity(0)
    output.complain("c\x1b")
    output.complain("d", name="")
    output.answer("a\tb\nc")
    output.answer("a\tb", tabs=True)
    output.answer()
    output.print_json({"é": ["\x7f"]})
    said = capsys.readouterr()
    assert said.err == "findna-bench: c\\x1b\nd\n"
    assert said.out == 'a\\tb\nc\na\tb\n\n{\n "é": [\n  "\\u007f"\n ]\n}\n'
    output.print_table("t", ["a", "b"], [["1\n2", "3\x1b"]], notes=["n"])
    assert capsys.readouterr().out == "a\tb\n1 2\t3\\x1b\n# n\n"


# -------------------------------------------------------------------------------------------------------- exit codes


def fails_with(error: BaseException) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("no data"), 1, "findna-bench: no data\n"),
        (UsageError("no option"), 2, "findna-bench: no option\n"),
        (ZeroDivisionError("a bug"), 1, "findna-bench: internal error, please report it (ZeroDivisionError: a bug); -v shows where\n"),
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on where this one stopped\n"),
        (BrokenPipeError(), 1, ""),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_a_line_and_a_code(
    error: BaseException, code: int, said: str, bench: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("findna_bench.models.cache_folder.cache_info", fails_with(error))
    found = bench("cache", "info")
    assert (found.code, found.err, found.out) == (code, said, "")
    if isinstance(error, DataError | ZeroDivisionError):
        traced = bench("cache", "info", "-v")
        assert traced.code == code
        assert traced.err.startswith("Traceback (most recent call last):")
        assert bench("cache", "info", "-q").err == said


def test_a_termination_is_its_signal_and_128(bench: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("findna_bench.models.cache_folder.cache_info", ended)
    try:
        assert bench("cache", "info").code == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)


class Checked:
    kind = "model"

    def __init__(self, passed: bool) -> None:
        self.passed = passed

    def text(self) -> str:
        return "the report"

    def to_dict(self) -> dict[str, bool]:
        return {"passed": self.passed}


@pytest.mark.parametrize("passed", [True, False])
def test_check_leaves_with_its_verdict(
    passed: bool, bench: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("findna_bench.testing.check", lambda *_, **__: Checked(passed))
    monkeypatch.setattr("findna_bench.testing.kinds_of", lambda _: ["models", "presets", "suites"])
    plain = bench("check", "x")
    assert (plain.code, plain.out) == (int(not passed), "the report\n")
    assert plain.err == "x is also among the presets and suites: --kind checks that\n"
    assert bench("check", "x", "-q").err == bench("check", "x", "--kind", "models").err == ""
    shown = bench("check", "x", "--json")
    assert (shown.code, json.loads(shown.out), shown.err) == (int(not passed), {"passed": passed}, "")


# -------------------------------------------------------------------------------------------------- what verbs say


def test_cache_info_is_four_lines(bench: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    from findna_bench.models import cache_folder

    found = cache_folder.cache_info()
    monkeypatch.setattr(
        cache_folder,
        "cache_info",
        lambda: type(found)(**{**vars(found), "bytes": 1_234_567, "vectors": 12_345, "spaces": 1_000, "shards": 2_000}),
    )
    assert bench("cache", "info").out.splitlines() == [
        f"folder   {found.folder}  (FINDNA_BENCH_CACHE_DIR)",
        "size     1.2 MB",
        "limit    20.0 GB  (FINDNA_BENCH_CACHE_LIMIT)",
        "entries  12,345 vectors of 1,000 models and settings, in 2,000 files",
    ]
    monkeypatch.setattr(cache_folder, "cache_info", lambda: type(found)(**{**vars(found), "limit": None}))
    assert "limit    none  (FINDNA_BENCH_CACHE_LIMIT)" in bench("cache", "info").out
    assert bench("cache", "clear").err == f"removed 0 bytes from {found.folder}\n"


def test_results_say_where_to_write_and_what_was_done(bench: Callable[..., Answer], tmp_path: Path) -> None:
    results = tmp_path / "r"
    for verb, example in (("export", "table.csv"), ("bundle", "results.tar.gz")):
        said = f"findna-bench: say where to write: `results {verb} --to {example}`\n"
        assert (bench("results", verb, "-o", results).code, bench("results", verb, "-o", results).err) == (2, said)
        assert bench("results", verb, "old.csv", "--to", "new.csv", "-o", results).err == said
    assert (
        bench("results", "bundle", "--to", "x.zip", "-o", results).err
        == "findna-bench: --to x.zip: a bundle is a .tar.gz; give it that suffix\n"
    )
    missing = f"findna-bench: results folder {results} does not exist; `findna-bench run` makes one\n"
    assert bench("results", "export", "--to", "x.csv", "-o", results).err == missing
    for verb in ("push", "pull"):
        words = ("--key", "k") if verb == "pull" else ()
        offline = bench("results", verb, "a/b", "--offline", *words, "-o", results)
        assert (offline.code, offline.err) == (
            1,
            "findna-bench: the hub is on the network, which --offline forbids; leave it out\n",
        )
    assert bench("run", "-m", "majority", "-t", "demo/species4", "--seeds", 1, "-o", results, "-q").code == 0
    one = bench("results", "export", "--to", tmp_path / "x.csv", "-o", results)
    assert (one.code, one.err) == (0, f"wrote 1 file to {tmp_path / 'x.csv'}\n")
    old = bench("results", "export", tmp_path / "y.csv", "-o", results)
    path = tmp_path / "y.csv"
    assert old.err == f"note: `results export {path}` is now `results export --to {path}`\nwrote 1 file to {path}\n"
    merged = bench("results", "merge", results, "-o", tmp_path / "both")
    assert (merged.code, merged.err) == (
        0,
        f"1 results copied to {tmp_path / 'both'}, 0 there already or alike, 0 failures settled by a number, 0 conflicts\n",
    )
    planned = bench("plan", "-m", "majority,kmer", "-t", "demo/species4", "--seeds", 2, "-o", results)
    rows = [line.split("\t") for line in planned.out.splitlines()]
    assert rows[0] == ["model", "task", "cells", "finished", "failed", "seconds to go", "remark"]
    assert [row[:5] for row in rows[1:3]] == [
        ["majority", "demo/species4", "2", "1", "0"],
        ["kmer", "demo/species4", "2", "0", "0"],
    ]
    assert rows[2][5] == "?"
    assert planned.out.splitlines()[-1] == "# 4 cells, 1 finished, 0 failed, 3 to compute, time to go not known yet"
    status = bench("status", "-o", results)
    assert status.out.splitlines() == [
        "unit\tstate\tsince\texecutor\tjob\tprocess\twhat",
        "# 1 result finished; model x task units: 0 running, 0 waiting, 0 failed",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x-y = 1\n", "configuration {p}: 'x-y' is no option of plan; see `--help`"),
        ("seeds = 'x'\n", "configuration {p}: seeds 'x': give a number of seeds (5) or a list of seeds (0,1,2)"),
        ("[plan]\nlimit = 1\n", "configuration {p}: limit 1: at least 2 rows of each split are needed"),
        ("no-sanity = 1\n", "configuration {p}: no-sanity: true or false is expected, not 1"),
    ],
)
def test_a_configuration_is_answered_for_by_file_and_key(
    text: str, message: str, bench: Callable[..., Answer], tmp_path: Path
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    found = bench("plan", "-m", "majority", "-t", "demo/species4", "-o", tmp_path / "r", "-C", path)
    if text.startswith("no-sanity"):
        assert found.code == 0  # turned round, 1 is false
    else:
        assert (found.code, found.err) == (2, f"findna-bench: {message.format(p=path)}\n")
    missing = bench("plan", "-m", "majority", "-t", "demo/species4", "-C", tmp_path / "none.toml")
    assert (missing.code, missing.err) == (
        2,
        f"findna-bench: cannot read configuration {tmp_path / 'none.toml'}: No such file or directory\n",
    )


def test_plugins_and_metrics_are_listed_with_what_they_offer(bench: Callable[..., Answer]) -> None:
    rows = [line.split("\t") for line in bench("list", "plugins").out.splitlines()]
    assert rows[0] == ["plugin", "distribution", "version", "state", "offers"]
    assert {row[0] for row in rows[1:]} >= {"core", "findna", "baselines"}
    assert {row[3] for row in rows[1:]} == {"ok"}
    suites = json.loads(bench("list", "suites", "--json").out)
    demo = next(row for row in suites if row["suite"] == "demo")
    from findna_bench.registry import get_registry

    card = get_registry().resolve("suites", "demo").card
    assert (demo["tasks"], demo["outside the mean"], demo["summary"]) == (
        str(len(card.tasks)),
        str(len(card.extra_tasks)),
        card.summary,
    )
    models = {row["model"]: row for row in json.loads(bench("list", "models", "--json").out)}
    assert (models["kmer"]["kind"], models["kmer"]["pooling"], models["kmer"]["parameters"]) == ("control", "-", "-")
    tiny = get_registry().resolve("models", "findna-tiny").card
    assert models["findna-tiny"]["pooling"] == tiny.pooling
    assert models["findna-tiny"]["parameters"] == (f"{tiny.n_parameters:,}" if tiny.n_parameters else "-")


def test_fetch_takes_one_suite_from_disk(bench: Callable[..., Answer], tmp_path: Path) -> None:
    said = "findna-bench: --from holds the data of one suite; name that suite alone (weights on disk: --weights NAME=PATH)\n"
    for names in (("gue,demo",), ("kmer",), ("gue", "kmer")):
        assert bench("fetch", *names, "--from", tmp_path).err == said
    (tmp_path / "x").mkdir()
    nothing = bench("fetch", "gue", "--from", tmp_path / "x")
    assert nothing.code == 1
    assert f"findna-bench: nothing of suite gue is in {tmp_path / 'x'}\n" in nothing.err
    header, first = (line.split("\t") for line in nothing.out.splitlines()[:2])
    assert header == ["task", "outcome", "status", "rows", "published", "remark"]
    assert first[1:4] == ["missing", "missing", "-"]
    demo = bench("fetch", "demo")
    assert (demo.code, demo.err) == (1, "findna-bench: suite demo needs no fetching: its tasks come with the package\n")


def test_audit_says_what_is_missing(bench: Callable[..., Answer]) -> None:
    for words, said in (
        ((), "nothing to audit: name a task, a suite or a path (see `findna-bench list tasks`)"),
        (("demo", "--published-best", 5), "--published-best is a score of one task; name one"),
        (("demo", "--html", "x.html"), "--html is a page on one task; name one (--pages writes a folder for several)"),
    ):
        found = bench("audit", *words)
        assert (found.code, found.err) == (2, f"findna-bench: {said}\n")
