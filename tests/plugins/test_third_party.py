"""A stranger's distribution is found, listed and run like the first-party ones; broken and colliding ones cost nobody else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from findna_bench.registry import SINGULAR

ACME = Path(__file__).resolve().parents[1] / "third_party" / "acme-dna"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution, installed by pip into a folder of its own."""
    work = tmp_path_factory.mktemp("acme")
    source = shutil.copytree(ACME, work / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--target", str(work / "site"), str(source)], check=True, capture_output=True, timeout=300
    )
    return work / "site"


def findna_bench(site: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from findna_bench.cli import main; main()", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_backbone_task_and_model_of_a_stranger_are_listed_and_run(installed: Path, tmp_path: Path) -> None:
    for kind, name in (("backbones", "acme-convolution"), ("models", "acme"), ("tasks", "acme/poly-a")):
        listed = json.loads(findna_bench(installed, "list", kind, "--json", cwd=tmp_path).stdout)
        assert name in {row[kind.removesuffix("s")] for row in listed}
    run = findna_bench(
        installed, "run", "-m", "acme@random,majority", "-t", "acme/poly-a", "--seeds", "2", "--json", cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    results = {(r["model"]["name"], r["seed"]): r for r in json.loads(run.stdout)}
    acme = results["acme@random", 0]
    assert (acme["model"]["distribution"], acme["model"]["version"]) == ("acme-dna", "2.3.1")
    assert acme["metrics"]["main"]["value"] > 0.9 > results["majority", 0]["metrics"]["main"]["value"]
    assert "untrained" in acme["flags"]


def test_a_strangers_augmentation_trains(installed: Path, tmp_path: Path) -> None:
    letters = np.random.default_rng(0).choice(list("ACGT"), size=4000)
    (tmp_path / "g.fa").write_text(">c\n" + "".join(letters) + "\n")
    small = ["channels=8", "track_size=2", "hidden=8", "layers=1", "blocks_per_layer=3"]
    words = [
        "--windows",
        "16",
        "--window-length",
        "40",
        "--batch-size",
        "8",
        "--validation-windows",
        "4",
        "--steps",
        "2",
    ]
    words += [word for size in small for word in ("--set", f"backbone.{size}")]
    recipe = "mask,deletion,snp+noise,reverse_complement"
    done = findna_bench(
        installed, "pretrain", "chordmixer", "--objective", "self_distillation", "--recipe", recipe, "--fasta", "g.fa",
        "-o", "out", "--device", "cpu", "-q", *words, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["settings"]["objective_options"]["recipe"] == recipe
    described = json.loads(findna_bench(installed, "describe", "snp", "--json", cwd=tmp_path).stdout)
    assert described["options"] == {"p": 0.01}
    assert described["distribution"] == "acme-dna"


EVERYTHING = {
    "models": ("acme", "acme-gaps", "acme-bayes"),
    "tasks": ("acme/poly-a", "acme/poly-a-short", "acme/composition"),
    "suites": ("acme",),
    "backbones": ("acme-convolution",),
    "objectives": ("denoise",),
    "augmentations": ("snp",),
    "metrics": ("kappa", "explained_variance"),
    "targets": ("shares",),
    "protocols": ("centroid",),
    "executors": ("acme-pool",),
    "presets": ("acme-soft", "acme-short"),
    "published": ("acme-paper",),
}


def test_all_that_the_example_of_a_plugin_brings_passes_its_checks(installed: Path, tmp_path: Path) -> None:
    done = findna_bench(installed, "check", "acme-dna", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert (done.returncode, report["distribution"]) == (0, "acme-dna"), report
    things = {f"{SINGULAR[kind]} {name}" for kind in EVERYTHING for name in EVERYTHING[kind]}
    assert {check["name"] for check in report["checks"]} == things
    assert {check["status"] for check in report["checks"]} == {"passed"}
    (denoise,) = (check for check in report["checks"] if check["name"] == "objective denoise")
    assert [one["status"] for one in denoise["details"]["checks"]] == ["passed"] * 7


def test_it_offers_one_of_everything() -> None:
    from findna_bench.registry import CARD_TYPES

    assert set(EVERYTHING) == set(CARD_TYPES)


def test_a_strangers_suite_models_protocol_preset_metric_and_paper_work_together(
    installed: Path, tmp_path: Path
) -> None:
    words = ["run", "-m", "acme@random,acme-gaps,acme-bayes", "--suite", "acme", "--seeds", "2", "--json"]
    done = findna_bench(installed, *words, "--protocol", "centroid", "--preset", "acme-soft", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert {result["status"] for result in results} == {"success"}
    found = {(r["model"]["name"], r["task"]["name"]): r for r in results if r["seed"] == 0}
    assert len(found) == 6
    assert found["acme-gaps", "poly-a"]["metrics"]["main"]["value"] > 0.9
    assert found["acme-bayes", "poly-a"]["validation"]["selected"]["pseudocount"] in (0.1, 1.0, 10.0)
    assert found["acme-gaps", "poly-a"]["validation"]["selected"]["features"]["gap"] in (0, 1, 2, 5)
    page = findna_bench(installed, "leaderboard", "--metric", "kappa", "--markdown", "page.md", "-q", cwd=tmp_path)
    assert page.returncode == 0, page.stderr
    assert "kappa x100" in (tmp_path / "page.md").read_text()
    described = findna_bench(installed, "describe", "acme/poly-a", cwd=tmp_path).stdout
    assert "97.50" in described


def test_a_strangers_backbone_is_pretrained_by_its_objective_and_scored(installed: Path, tmp_path: Path) -> None:
    letters = np.random.default_rng(0).choice(list("ACGT"), size=4000)
    (tmp_path / "g.fa").write_text(">c\n" + "".join(letters) + "\n")
    words = [
        "--windows",
        "64",
        "--window-length",
        "40",
        "--validation-windows",
        "4",
        "--steps",
        "4",
        "--device",
        "cpu",
        "-q",
    ]
    done = findna_bench(installed, "pretrain", "acme", "--fasta", "g.fa", "-o", "out", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["settings"]["objective"] == "denoise"
    assert record["settings"]["objective_options"] == {"p": 0.2}
    run = findna_bench(
        installed, "run", "-m", "path:out", "-t", "acme/poly-a", "--seeds", "1", "--no-sanity", "--json", cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)[0]["metrics"]["main"]["value"] > 0.9


@pytest.mark.long
def test_it_type_checks_under_mypy_strict(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    root = Path(__file__).resolve().parents[2]
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(root / ".mypy_cache" / "plugins"),
        "-p",
        "acme_dna",
    ]
    env = os.environ | {"MYPYPATH": os.pathsep.join([str(installed), str(root)])}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


MEETING = """
import os, time
from pathlib import Path

from findna_bench.cards import ModelCard, hookimpl

@hookimpl
def findna_bench_models():
    return [
        ModelCard(name=name, kind="classifier", factory="meeting:Meets", config={"name": name}, protocols=("probe",))
        for name in ("left", "right", "dies")
    ]

class Meets:
    settings, varies = {}, ()

    def __init__(self, name):
        self.name = name

    def fit(self, train, validation, seed, n_classes):
        print("a word on standard output")
        if self.name == "dies":
            os._exit(7)
        self.n_classes, place = n_classes, Path(os.environ["MEETING_PLACE"])
        (place / self.name).touch()
        end = time.monotonic() + 200
        while len(list(place.iterdir())) < 2:  # comes to an end only where both are at work
            assert time.monotonic() < end, "nobody else is at work"
            time.sleep(0.01)

    def predict_scores(self, table):
        import numpy as np

        return np.full((len(table), self.n_classes), 1 / self.n_classes)
"""

IN_THE_POOL = """
import json
import findna_bench as fb
from acme_dna.executor import pool

jobs = fb.make_jobs("left,right", "demo/species4", seeds=1, limit=40, executor="acme-pool", workers=2, output_dir="r")
settled = list(pool(jobs, print))
print(json.dumps([[s.started, s.ended, *s.results] for s in settled]))
"""


def test_a_strangers_executor_runs_two_models_at_once(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("MEETING_PLACE", str(place))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(installed), os.environ.get("PYTHONPATH", "")]))
    plugin(tmp_path, "meeting", MEETING)
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_POOL], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    one, other = json.loads(done.stdout.splitlines()[-1])
    for _, _, path in (one, other):
        assert json.loads((tmp_path / "r" / path).read_text())["status"] == "success"
    assert one[0] < other[1]
    assert other[0] < one[1]


def test_a_process_that_dies_under_a_strangers_executor_is_a_failed_cell(installed: Path, tmp_path: Path) -> None:
    plugin(tmp_path, "meeting", MEETING)
    words = [
        "-m",
        "dies",
        "-t",
        "demo/species4",
        "-L",
        "40",
        "--seeds",
        "2",
        "--executor",
        "acme-pool",
        "--workers",
        "2",
    ]
    done = findna_bench(installed, "run", *words, "--json", cwd=tmp_path)
    assert done.returncode == 1
    failed = json.loads(done.stdout)
    assert [r["status"] for r in failed] == ["error"] * 2
    assert "a process of the pool died" in failed[0]["error"]["message"]


def plugin(folder: Path, name: str, body: str) -> None:
    """A minimal installed distribution, without pip."""
    (folder / f"{name}.py").write_text(body)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[findna_bench]\n{name} = {name}\n")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import a_package_that_is_not_there", "a_package_that_is_not_there"),
        ("raise RuntimeError('bad day')", "bad day"),
        (
            "from findna_bench.cards import hookimpl\n@hookimpl\ndef findna_bench_models():\n    raise ValueError('no cards')",
            "no cards",
        ),
        (
            "from findna_bench.cards import hookimpl\n@hookimpl\ndef findna_bench_tasks():\n    return ['text']",
            "TaskCard",
        ),
        (
            "from findna_bench.cards import ModelCard, hookimpl\n@hookimpl\ndef findna_bench_models():\n"
            "    return ModelCard(name='lone', kind='features', factory='a:b')",
            "return a list of cards",
        ),
        (
            "from findna_bench.cards import hookimpl\n@hookimpl\ndef findna_bench_model():\n    return []",
            "did you mean findna_bench_models?",
        ),
        (
            "def findna_bench_models():\n    return []",
            "not marked @hookimpl",
        ),
    ],
)
def test_a_broken_plugin_is_listed_with_its_error_and_costs_nobody_else_anything(
    tmp_path: Path, body: str, words: str
) -> None:
    plugin(tmp_path, "rotten", body)
    listed = json.loads(findna_bench(tmp_path, "list", "plugins", "--json", cwd=tmp_path).stdout)
    rotten = next(row for row in listed if row["distribution"] == "rotten")
    assert words in rotten["state"]
    models = json.loads(findna_bench(tmp_path, "list", "models", "--json", cwd=tmp_path).stdout)
    assert {"findna", "dnabert2"} <= {row["model"] for row in models}


USURPER = """
from findna_bench.cards import ModelCard, TaskCard, hookimpl

@hookimpl
def findna_bench_models():
    return [ModelCard(name=name, kind="encoder", backbone="chordmixer") for name in ("kmer", "theirs")]

@hookimpl
def findna_bench_tasks():
    return [
        TaskCard(name=name, suite="demo", labels=("a", "b"), metric="accuracy", factory="nowhere:rows")
        for name in ("species4", "motif_order")
    ]
"""


def test_a_strangers_names_disturb_neither_suites_nor_the_harness_own(tmp_path: Path) -> None:
    plugin(tmp_path, "usurper", USURPER)
    done = findna_bench(
        tmp_path, "run", "-m", "kmer", "--suite", "demo", "--seeds", "1", "-L", "40", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    of_variants = [r for r in results if r["task"]["name"] == "motif_variants"]
    assert [r["status"] for r in of_variants] == ["skipped"]
    assert {(r["model"]["kind"], r["status"]) for r in results if r not in of_variants} == {("features", "success")}
    assert len(results) == 5
    assert "usurper:kmer" in done.stderr, "which of the two was meant is said"
    both = findna_bench(tmp_path, "plan", "-m", "kmer", "--suite", "demo", "-t", "usurper:demo/species4", cwd=tmp_path)
    assert both.returncode == 2
    assert "findna-bench and usurper both have a task demo/species4" in both.stderr


def test_two_strangers_of_one_name_are_an_error_only_when_it_is_used(tmp_path: Path) -> None:
    for name in ("usurper", "pretender"):
        plugin(tmp_path, name, USURPER)
    assert findna_bench(tmp_path, "list", "models", cwd=tmp_path).returncode == 0
    clash = findna_bench(tmp_path, "plan", "-m", "theirs", "-t", "demo/species4", cwd=tmp_path)
    assert clash.returncode == 2
    assert "usurper:theirs" in clash.stderr
    assert "pretender:theirs" in clash.stderr
    named = findna_bench(tmp_path, "plan", "-m", "pretender:theirs", "-t", "demo/species4", cwd=tmp_path)
    assert named.returncode == 0, named.stderr
    left_out = findna_bench(
        tmp_path, "--no-plugin", "usurper", "plan", "-m", "theirs", "-t", "demo/species4", cwd=tmp_path
    )
    assert left_out.returncode == 0, left_out.stderr
    listed = json.loads(
        findna_bench(tmp_path, "--no-plugin", "usurper", "list", "plugins", "--json", cwd=tmp_path).stdout
    )
    assert next(row["state"] for row in listed if row["plugin"] == "usurper").startswith("left out")
    absent = findna_bench(tmp_path, "--no-plugin", "nobody", "list", "models", cwd=tmp_path)
    assert absent.returncode == 2
    assert "no such plugin" in absent.stderr
