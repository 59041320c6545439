"""Wrong input gives one clear line on stderr and the right exit code, before work where that is possible."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
import termios
import zipfile
from pathlib import Path

import pytest

from findna_bench.cli import main

HEAVY = ("torch", "transformers", "pandas", "sklearn", "scipy", "timm", "pyarrow", "numpy")


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Runs the command line in this process."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["findna-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        return Answer(int(left.value.code or 0), captured.out, captured.err)

    return call


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_threads_may_come_from_flag_environment_and_configuration(
    bench, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (verb, "-m", "majority", "-t", "demo/species4", "-o", tmp_path / "r")
    one_line(bench(*asked, "--threads", 0), 2, "--threads 0", "at least one")
    (tmp_path / "c.toml").write_text("threads = -1\n")
    one_line(bench(*asked, "-C", tmp_path / "c.toml"), 2, "threads -1")
    monkeypatch.setenv("FINDNA_BENCH_THREADS", "-2")
    one_line(bench(*asked), 2, "-2", "at least one")
    assert not (tmp_path / "r").exists()


def one_line(answer: Answer, code: int, *words: str) -> None:
    """Exit code, no traceback, a single sentence holding the words."""
    assert answer.code == code, answer.err
    assert "Traceback" not in answer.err
    said = [line for line in answer.err.splitlines() if line.startswith("findna-bench:")]
    assert len(said) == 1, answer.err
    for word in words:
        assert word in said[0]


def task_file(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_unknown_names_are_refused_before_work_and_near_ones_offered(bench, tmp_path: Path) -> None:
    out = tmp_path / "r"
    one_line(bench("run", "-m", "hyenadnaa", "-t", "demo/species4", "-o", out), 2, "did you mean hyenadna")
    one_line(bench("run", "-m", "majority", "-t", "species5", "-o", out), 2, "unknown task", "species4")
    one_line(bench("run", "-m", "majority", "--suite", "dem", "-o", out), 2, "unknown suite", "demo")
    one_line(bench("run", "-m", "majority", "-t", "./absent.csv", "-o", out), 2, "absent.csv")
    one_line(bench("run", "-m", "majority", "-t", "demo/species4", "--seeds", "x", "-o", out), 2, "--seeds")
    one_line(bench("run", "-m", "majority", "-o", out), 2, "no task")
    one_line(bench("run", "-m", "majority", "-t", "species4", "--device", "gpu", "-o", out), 2, "--device", "cuda:N")
    one_line(bench("check", "hyenadnaa"), 2, "did you mean model hyenadna", "backbone hyenadna")
    one_line(bench("describe", "findn"), 2, "findna")
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["bad.csv"]),
        ("sequence,label\nACGT,a\nACGT,\n", ["bad.csv", "row 3", "label"]),
        ("sequence,label\nACGT,a\nAC!T,b\n", ["bad.csv", "row 3", "!"]),
        ("sequence,label\nACGT,a\n,b\n", ["bad.csv", "row 3"]),
        ("name,score\nx,1\n", ["bad.csv", "label", "rename one"]),
        ("name,value\nx,1\n", ["bad.csv", "sequence", "rename one"]),  # numbers, of what?
        ("ACGTACGTAC,1\nACGTACGTAA,0\n", ["bad.csv", "first row holds a sequence", "put a row above it"]),
        ("sequence;label\nACGT;a\n", ["bad.csv", "separated by ';'"]),
        ("sequence\tlabel\nACGT\ta\n", ["bad.csv", "name it .tsv"]),
    ],
)
def test_a_bad_file_is_named_with_its_row(bench, tmp_path: Path, content: str, words: list[str]) -> None:
    path = task_file(tmp_path / "bad.csv", content)
    answer = bench("run", "-m", "majority", "-t", path, "-o", tmp_path / "r", "--seeds", "1")
    assert answer.code == 1
    assert "Traceback" not in answer.err + answer.out
    for word in words:
        assert word in answer.out + answer.err


def test_a_label_that_the_card_does_not_have_is_refused(bench, tmp_path: Path) -> None:
    folder = tmp_path / "human_enhancers_cohn"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text("sequence,label\nACGT,0\nACGT,7\n")
    answer = bench("fetch", "genomic_benchmarks", "--from", tmp_path)
    assert answer.code == 1
    assert "7" in answer.out + answer.err
    assert "row 3" in answer.out + answer.err


@pytest.mark.parametrize("damage", ["truncated", "outside"])
def test_a_bad_zip_is_refused_and_leaves_nothing(bench, tmp_path: Path, damage: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for split in ("train", "test"):
            for name in ("negative", "positive"):
                archive.writestr(f"human_enhancers_cohn/{split}/{name}/1.txt", "ACGT" * 100)
        if damage == "outside":
            archive.writestr("../../evil.txt", "x")
    content = buffer.getvalue()
    path = tmp_path / "in" / "human_enhancers_cohn.zip"
    path.parent.mkdir()
    path.write_bytes(content[: len(content) // 2] if damage == "truncated" else content)
    data = tmp_path / "data"
    answer = bench("fetch", "genomic_benchmarks", "--from", path, "--data-dir", data)
    assert answer.code == 1
    assert "human_enhancers_cohn.zip" in answer.out + answer.err
    assert "Traceback" not in answer.err
    assert not list(tmp_path.rglob("evil.txt"))
    assert not list(data.rglob("*.parquet"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_output_folder_is_refused_before_work(bench, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    one_line(bench("run", "-m", "majority", "-t", "demo/species4", "-o", locked / "r"), 1, "locked", "--output-dir")


def test_a_file_where_the_output_folder_should_be_is_refused_before_work(bench, tmp_path: Path) -> None:
    path = task_file(tmp_path / "taken", "")
    one_line(bench("run", "-m", "majority", "-t", "demo/species4", "-o", path), 1, "taken", "--output-dir")


def test_a_results_file_that_is_not_json_is_named_and_left_out(bench, tmp_path: Path) -> None:
    bad = tmp_path / "results" / "m" / "s" / "t" / "probe" / "0123456789abcdef.json"
    bad.parent.mkdir(parents=True)
    bad.write_text("{ not json")
    one_line(bench("leaderboard", "-o", tmp_path / "results"), 0, bad.name, "delete it", "it is left out")


def test_configuration_files_fill_in_what_flags_and_environment_leave_open(
    bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = task_file(
        tmp_path / "bench.toml",
        'models = ["majority"]\ntasks = "demo/species4"\nseeds = [3]\n[plan]\npooling = "max"\n',
    )
    planned = json.loads(bench("plan", "-C", config, "-o", tmp_path / "r", "--json").out)
    assert [(row["model"], row["task"], row["cells"]) for row in planned] == [("majority", "demo/species4", 1)]
    monkeypatch.setenv("FINDNA_BENCH_SEEDS", "2")
    assert json.loads(bench("plan", "-C", config, "--json").out)[0]["cells"] == 2
    assert json.loads(bench("plan", "-C", config, "--seeds", "4", "--json").out)[0]["cells"] == 4
    one_line(bench("plan", "-C", task_file(tmp_path / "b.toml", "sedes = 3")), 2, "b.toml", "sedes")
    one_line(bench("plan", "-C", task_file(tmp_path / "c.toml", "seeds = = 3")), 2, "c.toml")
    one_line(bench("plan", "-C", tmp_path / "absent.toml"), 2, "absent.toml")
    wrong = {"limit": '"ten"', "timeout": '"1 h"', "layer": "1.5", "fail-fast": '"yes"', "device": "0", "split": "[1]"}
    for key, value in wrong.items():
        text = f'models = "majority"\ntasks = "demo/species4"\n{key} = {value}'
        one_line(bench("plan", "-C", task_file(tmp_path / "d.toml", text)), 2, "d.toml", key, "is expected")


@pytest.mark.parametrize(
    "verb",
    [["--help"], ["list", "models"], ["list", "tasks"], ["list", "suites"], ["list", "plugins"], ["list", "presets"]],
)
def test_starting_is_light(verb: list[str], tmp_path: Path) -> None:
    script = (
        "import sys\nfrom findna_bench.cli import main\nsys.argv = ['findna-bench', *sys.argv[1:]]\n"
        f"try:\n    main()\nfinally:\n    loaded = [m for m in {HEAVY!r} if m in sys.modules]\n    assert not loaded, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *verb], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_sequences_of_one_to_seven_bases_run_on_cheap_models(bench, tmp_path: Path) -> None:
    paths = []
    for length in range(1, 8):
        rows = ["sequence,label,split"]
        for row in range(48):
            rows.append(
                f"{('ACGTNAC' * 2)[row % 4 : row % 4 + length]},{'ab'[row % 2]},{'test' if row % 4 == 0 else 'train'}"
            )
        paths.append(str(task_file(tmp_path / f"short{length}.csv", "\n".join(rows) + "\n")))
    models = "hyenadna@random,majority,kmer"
    answer = bench("run", "-m", models, "-t", ",".join(paths), "--seeds", "1", "-o", tmp_path / "r", "--json")
    assert answer.code == 0, answer.err
    assert [r["status"] for r in json.loads(answer.out)] == ["success"] * 3 * 7


def test_weights_are_fetched_by_the_model_s_name(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINDNA_BENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    told = bench("fetch", "findna-tiny", "--json")
    assert told.code == 0
    found = json.loads(told.out)
    assert found["digest"].startswith("sha256:")
    assert found["n_bytes"] == sum(Path(file).stat().st_size for file in found["files"])
    several = bench("fetch", "dnabert2", "nt-v2-50m,findna-tiny", "--offline")
    assert several.code == 1
    assert "findna-tiny" in several.out
    said = [line for line in several.err.splitlines() if line.startswith("findna-bench:")]
    assert ["fetch dnabert2" in said[0], "fetch nt-v2-50m" in said[1], len(said)] == [True, True, 2]
    one_line(bench("fetch", "kmer"), 2, "no weights to fetch")
    one_line(bench("fetch", "genomic_benchmrks"), 2, "did you mean genomic_benchmarks")
    one_line(bench("fetch", "findna-tiny", "--from", tmp_path), 2, "--weights NAME=PATH")


def test_names_are_whole_on_a_terminal_of_80_columns(tmp_path: Path) -> None:
    """A name that a table breaks in two cannot be copied."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (40, 80))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "dumb"}
    command = [sys.executable, "-c", "from findna_bench.cli import main; main()", "list", "tasks"]
    with subprocess.Popen(command, stdout=theirs, env=environment, cwd=tmp_path) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the far end was closed
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    lines = shown.decode().splitlines()
    assert process.returncode == 0
    assert "genomic_benchmarks-clean/demo_coding_vs_intergenomic_seqs-clean" in lines
    assert max(map(len, lines)) <= 80
