"""What CONTRIBUTING.md counts: how many files each kind of addition takes, each made in a copy and run from a shell."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("findna_bench", "plugins", "baselines")


def findna_bench(
    *arguments: str, cwd: Path, first: Sequence[Path] = (), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with folders that it imports from before all others."""
    paths = [*map(str, first), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-c", "from findna_bench.cli import main; main()", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | (env or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def distribution(name: str, folder: Path) -> Path:
    """One of ``plugins/`` as pip would leave it: the module, and the entry point that pyproject.toml declares."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "plugins" / f"{name}.py", folder)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[findna_bench]\n{name} = {name}\n")
    return folder


def copy_of_the_source(folder: Path) -> list[Path]:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return [folder, folder / "plugins", folder / "baselines"]


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new))


def changed(folder: Path) -> set[str]:
    """Files of a copy that the source has otherwise, or not at all."""
    files = {p.relative_to(folder) for package in PACKAGES for p in (folder / package).rglob("*") if p.is_file()}
    ours = {file for file in files if "__pycache__" not in file.parts}
    return {str(f) for f in ours if not (ROOT / f).exists() or (ROOT / f).read_bytes() != (folder / f).read_bytes()}


def write_task(path: Path) -> Path:
    """120 sequences; the second class holds more G and C."""
    generator = np.random.default_rng(0)
    rows = ["sequence,label"]
    for number in range(120):
        shares = (0.35, 0.15, 0.15, 0.35) if number % 2 else (0.15, 0.35, 0.35, 0.15)
        rows.append(f"{''.join(generator.choice(list('ACGT'), 60, p=shares))},{'AT' if number % 2 else 'GC'}")
    path.write_text("\n".join(rows) + "\n")
    return path


def table(results: Path, *options: str, first: Sequence[Path] = ()) -> dict[str, dict[str, str]]:
    """The rows of the leaderboard, by model."""
    written = results.parent / "table.csv"
    succeeded(
        findna_bench(
            "leaderboard", "-o", str(results), "--csv", str(written), *options, cwd=results.parent, first=first
        )
    )
    return {row["model"]: row for row in csv.DictReader(written.open())}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results from before any of the additions."""
    folder = tmp_path_factory.mktemp("finished")
    write_task(folder / "two.csv")
    succeeded(
        findna_bench("run", "-m", "trivial,majority", "-t", "./two.csv", "--seeds", "1", "-o", "results", cwd=folder)
    )
    return folder / "results"


def test_a_metric_is_one_file_and_scores_results_from_before_it(finished: Path, tmp_path: Path) -> None:
    plugin = distribution("kappa_metric", tmp_path)
    rows = table(finished, "--metric", "cohens_kappa", first=[plugin])
    assert float(rows["majority"]["adhoc/two"]) == 0
    assert float(rows["trivial"]["adhoc/two"]) > 0.5


def test_a_protocol_is_one_file(tmp_path: Path) -> None:
    plugin, _ = distribution("cosine_protocol", tmp_path / "plugin"), write_task(tmp_path / "two.csv")
    words = [
        "run",
        "-m",
        "trivial",
        "-t",
        "./two.csv",
        "--seeds",
        "2",
        "--protocol",
        "cosine",
        "-o",
        "results",
        "--json",
    ]
    results = json.loads(succeeded(findna_bench(*words, cwd=tmp_path, first=[plugin])))
    assert {r["protocol"]["name"] for r in results} == {"cosine"}
    assert min(r["metrics"]["main"]["value"] for r in results) > 0.8


def test_a_target_is_one_file_with_its_head_and_reads_own_files(tmp_path: Path) -> None:
    plugin = distribution("counts_target", tmp_path / "plugin")
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("ACGT"), 60)) for _ in range(200)]
    (tmp_path / "ta.csv").write_text("sequence,count\n" + "".join(f"{t},{t.count('TA')}\n" for t in texts))
    words = ["run", "-m", "findna-tiny", "-t", "./ta.csv", "--seeds", "1", "-o", "results", "--json"]
    (result,) = json.loads(succeeded(findna_bench(*words, cwd=tmp_path, first=[plugin])))
    assert (result["task"]["target"], result["metrics"]["main"]["name"]) == ("counts", "explained_deviance")
    assert result["metrics"]["main"]["value"] > 0.3
    assert result["metrics"]["intervals"]["explained_deviance"]


def test_an_option_is_two_files_and_all_verbs_know_it(tmp_path: Path) -> None:
    copy, _ = copy_of_the_source(tmp_path / "copy"), write_task(tmp_path / "two.csv")
    core = tmp_path / "copy" / "findna_bench"
    replace_once(
        core / "requests" / "run_request.py",
        "    limit: int | None = option(\n",
        "    train_share: float | None = option(\n"
        '        Number(above=0), "Read this share of the train rows.", default=None, panel=_PROTOCOL, in_ids="given"\n'
        "    )\n"
        "    limit: int | None = option(\n",
    )
    replace_once(
        core / "matrix" / "rows_read.py",
        "    return n if request.limit is None else min(n, request.limit)\n",
        '    if split == "train" and request.train_share is not None:\n'
        "        n = min(n, round(request.train_share * n))\n"
        "    return n if request.limit is None else min(n, request.limit)\n",
    )
    assert changed(tmp_path / "copy") == {"findna_bench/requests/run_request.py", "findna_bench/matrix/rows_read.py"}

    words = ["run", "-m", "trivial", "-t", "./two.csv", "--seeds", "1", "-o", "results", "--json"]
    (whole,) = json.loads(succeeded(findna_bench(*words, cwd=tmp_path, first=copy)))
    (part,) = json.loads(
        succeeded(findna_bench(*words, cwd=tmp_path, first=copy, env={"FINDNA_BENCH_TRAIN_SHARE": "0.5"}))
    )
    held = sum(whole["task"]["counts"]["train"].values())
    fitted = [sum(r["protocol"]["settings"][f"{name}_rows"] for name in ("train", "validation")) for r in (whole, part)]
    assert fitted == [held, round(held / 2)]
    assert part["request"]["options"]["train_share"] == 0.5
    assert part["identity"] != whole["identity"]

    assert set(table(tmp_path / "results", first=copy)) == {"trivial (train_share none)", "trivial (train_share 0.5)"}
    checked = findna_bench(
        "verify", "-o", "results", "--rerun", "2", "--map", "two.csv=two.csv", cwd=tmp_path, first=copy
    )
    assert "2 results, 2 computed again: no problems" in succeeded(checked)


def test_a_column_is_one_file(finished: Path, tmp_path: Path) -> None:
    copy = copy_of_the_source(tmp_path)
    replace_once(
        tmp_path / "findna_bench" / "leaderboard" / "columns.py",
        '    Column("n", "n", fits, about="Fits per task."),\n',
        '    Column("n", "n", fits, about="Fits per task."),\n'
        "    Column(\n"
        '        "train_rows",\n'
        '        "train rows",\n'
        '        lambda row: max((r.protocol.settings.get("train_rows") or 0 for r in row.results), default=None),\n'
        "    ),\n",
    )
    assert changed(tmp_path) == {"findna_bench/leaderboard/columns.py"}
    shown = table(finished, "--markdown", str(tmp_path / "page.md"), first=copy)
    assert int(shown["trivial"]["train_rows"]) > 50
    assert "train rows" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(("executor", "status"), [("pair", "success"), ("serial", "error")])
def test_an_executor_is_one_file_and_runs_two_models_at_once(executor: str, status: str, tmp_path: Path) -> None:
    """Each of the two models waits for the other's fit to begin, which nobody does who runs one after the other."""
    plugin, meeting_place = distribution("pair_executor", tmp_path / "plugin"), tmp_path / "meeting"
    write_task(tmp_path / "two.csv")
    meeting_place.mkdir()
    env = {"MEETING_PLACE": str(meeting_place), "PATIENCE_S": "100" if executor == "pair" else "0.1"}
    words = [
        "-m",
        "castor,pollux",
        "-t",
        "./two.csv",
        "--seeds",
        "1",
        "--executor",
        executor,
        "-o",
        "results",
        "--json",
    ]
    results = json.loads(findna_bench("run", *words, cwd=tmp_path, first=[plugin], env=env).stdout)
    of_model = {r["model"]["name"]: r["status"] for r in results}
    assert of_model["castor"] == status
    assert set(of_model) == {"castor", "pollux"}
    assert executor == "serial" or of_model["pollux"] == status
