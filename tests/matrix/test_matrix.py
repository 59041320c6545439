"""The matrix keeps its promises: isolation, resume, identities, honest flags, one opening of the test split."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from motif_tasks import write_task

import findna_bench as fb
from findna_bench.data.task import Task
from findna_bench.errors import UnknownNameError, UsageError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix.report import Silent
from findna_bench.matrix.runner import run as run_matrix
from findna_bench.models.folders import save_model_folder
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.store import ResultStore
from findna_bench.statistics.classification import compute_metrics


def run(task: Path, out: Path, models: list[str], **options) -> list[fb.Result]:
    return fb.run(models, [str(task)], output_dir=out, **options)


def test_a_result_holds_every_key_and_its_metrics_follow_from_its_predictions(task: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    results = run(task, out, ["hyenadna@random", "majority"], seeds=2)
    assert [r.status for r in results] == ["success"] * 4
    for result in results:
        path = ResultStore(out).path_of(result)
        stored = json.loads(path.read_text())
        assert set(stored) == set(type(result).model_fields)
        assert path.name == f"{result.identity[:16]}.json"
        table = pq.read_table(path.with_suffix(".predictions.parquet")).to_pandas()
        scores = table[[c for c in table.columns if c.startswith("score_")]].to_numpy()
        again = compute_metrics(table["label"].to_numpy(), scores)
        for name, value in stored["metrics"]["all"].items():
            assert value == pytest.approx(again[name], abs=1e-6)
            interval = stored["metrics"]["intervals"][name]
            if name in ("log_loss", "brier_score", "expected_calibration_error") and result.model.name == "majority":
                assert interval is None  # no row is unlike another
                continue
            low, high = interval
            assert low <= value + 1e-9
            assert value - 1e-9 <= high
    assert "untrained" in results[0].flags
    assert results[0].model.weights.trained is False


def test_finished_cells_are_not_computed_again_and_more_seeds_add_only_theirs(task: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    run(task, out, ["hyenadna@random"], seeds=2)
    before = {path: path.stat().st_mtime_ns for path in ResultStore(out).paths()}
    results = run(task, out, ["hyenadna@random"], seeds=3)
    after = {path: path.stat().st_mtime_ns for path in ResultStore(out).paths()}
    assert len(results) == 3
    assert len(after) == len(before) + 1
    assert {path: after[path] for path in before} == before


def test_the_test_split_is_opened_once_and_after_validation(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    load = Task.load
    monkeypatch.setattr(Task, "load", lambda self, split: (opened.append(split), load(self, split))[1])
    run(task, tmp_path / "results", ["hyenadna@random"], seeds=3)
    assert opened.count("test") == 1
    assert opened[-1] == "test"


def test_identity_changes_with_what_decides_a_number_and_with_nothing_else(task: Path, tmp_path: Path) -> None:
    base = run(task, tmp_path / "a", ["hyenadna@random"], seeds=1)[0]
    same = run(task, tmp_path / "b", ["HyenaDNA@random"], seeds=1, executor="process")[0]
    assert same.identity == base.identity
    for changed in (
        {"pooling": "max"},
        {"strand": "rc-mean"},
        {"limit": 60},
        {"seeds": [1]},
        {"layer": 1},
        {"window": "truncate-middle"},
        {"protocol": "knn"},
        {"batch_size": 3},
        {"threads": 2},
    ):
        other = run(task, tmp_path / "c", ["hyenadna@random"], **({"seeds": 1} | changed))[0]
        assert other.status == "success", other.error
        assert other.identity != base.identity
        assert (other.config_id == base.config_id) == (changed == {"seeds": [1]})
    assert run(task, tmp_path / "a", ["hyenadna@random:1"], seeds=1)[0].config_id != base.config_id


def test_one_failing_model_costs_the_others_nothing(task: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    results = run(task, out, ["hyenadna", "majority"], seeds=1, offline=True)
    assert [r.status for r in results] == ["error", "success"]
    assert "--weights" in results[0].error.message
    assert (out / "errors" / f"{results[0].request_id}.json").exists()
    assert [r.status for r in run(task, out, ["hyenadna", "majority"], seeds=1, offline=True)] == ["error", "success"]


def test_changed_data_gives_a_new_identity_and_the_old_result_leaves_the_table(task: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    first = run(task, out, ["majority"], seeds=1)[0]
    task.write_text(task.read_text() + "ACGTACGTACGTACGT,with,test\n")
    second = run(task, out, ["majority"], seeds=1)[0]
    assert second.identity != first.identity
    from findna_bench.leaderboard.table_building import leaderboard

    board = leaderboard(ResultStore(out).load())
    assert board.tables[0].rows[0].entries["adhoc/motif"].n == 1
    assert any("older data" in note for note in board.notes)


def test_a_damaged_result_is_computed_again(task: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    result = run(task, out, ["majority"], seeds=1)[0]
    path = ResultStore(out).path_of(result)
    whole = json.loads(path.read_text())
    path.write_text(path.read_text()[:200])
    again = run(task, out, ["majority"], seeds=1)[0]
    assert again.identity == result.identity
    assert json.loads(path.read_text())["metrics"] == whole["metrics"]


def test_names_and_options_are_checked_before_any_work(task: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean findna"):
        run(task, tmp_path / "r", ["majority", "fndna"])
    with pytest.raises(UnknownNameError, match="unknown task"):
        fb.run(["majority"], ["no_such_task"], output_dir=tmp_path / "r")
    with pytest.raises(UsageError, match="--pooling"):
        run(task, tmp_path / "r", ["majority"], pooling="median")
    assert not (tmp_path / "r").exists()


def test_unsupported_combinations_are_skipped_with_their_reason(task: Path, tmp_path: Path) -> None:
    results = run(task, tmp_path / "r", ["majority", "cnn"], protocol="knn", seeds=2)
    assert {r.status for r in results} == {"skipped", "success"}
    skipped = [r for r in results if r.status == "skipped"]
    assert {r.model.name for r in skipped} == {"cnn"}
    assert all("knn" in r.error.message for r in skipped)


@pytest.mark.parametrize("strand", ["forward", "rc-mean", "rc-logit-mean", "rc-augment"])
def test_every_strand_policy_runs_and_counts_its_bases(task: Path, tmp_path: Path, strand: str) -> None:
    result = run(task, tmp_path / "r", ["hyenadna@random"], seeds=1, strand=strand)[0]
    assert result.status == "success", result.error
    assert result.strand == strand
    bases = sum(len(line.partition(",")[0]) for line in task.read_text().splitlines()[1:])
    assert (result.coverage.bases_seen, result.coverage.bases_total) == (bases, bases)


@pytest.mark.parametrize("strand", ["rc-mean", "rc-logit-mean", "rc-augment"])
def test_both_strands_are_read_of_the_same_bases_where_rows_are_cut(tmp_path: Path, strand: str) -> None:
    """The model reads 1,024 bases: what lies behind them changes no score, whichever strand is read."""
    generator = np.random.default_rng(0)
    heads, tails, others = (
        ["".join(generator.choice(list("ACGT"), size=n)) for _ in range(24)] for n in (1024, 40, 40)
    )
    predictions = []
    for name, ends in (("a", tails), ("b", others)):
        lines = [
            f"{h}{t},{i % 2},{'test' if i % 3 == 0 else 'train'}"
            for i, (h, t) in enumerate(zip(heads, ends, strict=True))
        ]
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(["sequence,label,split", *lines]) + "\n")
        result = run(path, tmp_path / "r", ["hyenadna@random"], seeds=1, strand=strand, window="truncate")[0]
        assert result.status == "success", result.error
        assert result.coverage.model_dump() == {
            "bases_total": 24 * 1064, "bases_seen": 24 * 1024, "truncated_sequences": 24, "windows": 24, "short_sequences": 0
        }  # fmt: skip
        found = pq.read_table(ResultStore(tmp_path / "r").path_of(result).with_suffix(".predictions.parquet"))
        predictions.append(found["score_1"].to_numpy())
    np.testing.assert_array_equal(*predictions)


def test_two_networks_of_one_model_are_two_rows_of_one_table(task: Path, tmp_path: Path) -> None:
    """Table 9 of the FinDNA paper; models without a second network are scored once."""
    networks = {
        str(name): fb.load_model("findna-tiny@random:" + str(k)) for k, name in ((1, "teacher"), (2, "student"))
    }
    config = networks["teacher"].config
    folder = tmp_path / "both"
    save_model_folder(folder, {n: m.backbone for n, m in networks.items()}, backbone="chordmixer", config=config)
    options = {"protocol": "knn", "seeds": 1, "sanity": False}
    models = [f"path:{folder}", "findna-tiny@random", "kmer"]
    both = run(task, tmp_path / "out", models, network="teacher,student", **options)
    assert [r.status for r in both] == ["success"] * 4
    assert [r.model.weights.network for r in both] == ["teacher", "student", None, None]
    for result in both[:2]:
        alone = run(task, tmp_path / "alone", models[:1], network=result.model.weights.network, **options)[0]
        assert alone.identity == result.identity
        assert alone.metrics.all == result.metrics.all
    rows = [row for row in leaderboard(both).tables[0].rows if row.model.startswith("path:")]
    assert sorted(row.settings for row in rows) == [("network student",), ("network teacher",)]
    with pytest.raises(UsageError, match="--network teacher: checkpoints of findna-tiny hold one network only"):
        run(task, tmp_path / "out", ["findna-tiny"], network="teacher,student", **options)


def test_weights_that_predict_nothing_are_scored_on_no_task(task: Path, tmp_path: Path) -> None:
    model = fb.load_model("findna-tiny@random:1")
    folder = tmp_path / "untrained"
    save_model_folder(folder, model.backbone, backbone="chordmixer", config=model.config)
    tasks = [str(task), str(write_task(tmp_path / "other.csv", seed=1))]
    results = fb.run([f"path:{folder}"], tasks, output_dir=tmp_path / "out", protocol="knn", seeds=1)
    assert [r.status for r in results] == ["error", "error"]
    assert all("no better than chance" in r.error.message for r in results)


def test_a_few_shot_cell_that_fails_says_how_few(task: Path, tmp_path: Path) -> None:
    """Else it would stand in the row of the fits on all training rows, as one of them that failed."""
    out = tmp_path / "results"
    run(task, out, ["trivial"], seeds=2)
    (skipped,) = run(task, out, ["trivial"], seeds=2, shots=(100_000,))
    assert (skipped.status, skipped.protocol.settings) == ("skipped", {"shots": 100_000, "shot_validation": "within"})
    whole, few = leaderboard(ResultStore(out).load()).tables
    assert [entry.reason for row in whole.rows for entry in row.entries.values()] == [""]
    assert [entry.status for row in few.rows for entry in row.entries.values()] == ["skipped"]


@pytest.mark.parametrize("model", ["kmer", "majority"])
def test_weights_for_a_model_that_is_fitted_are_refused_before_any_work(task: Path, tmp_path: Path, model: str) -> None:
    """They were ignored without a word."""
    with pytest.raises(UsageError, match=f"--weights {model}=model.pt: {model} is a model of kind .*has no weights"):
        run(task, tmp_path / "out", ["hyenadna@random", model], weights={model: "model.pt"})
    assert not list((tmp_path / "out").rglob("*.json"))


def test_weights_of_a_model_are_not_those_of_its_untrained_twin(task: Path, tmp_path: Path) -> None:
    tiny = files("findna_plugins") / "weights" / "findna-tiny"
    models = ["findna-tiny", "findna-tiny@random"]
    given = {"weights": {"findna-tiny": str(tiny)}, "seeds": 1, "limit": 40, "sanity": False}
    own, untrained = run(task, tmp_path / "out", models, **given)
    assert [own.model.weights.trained, untrained.model.weights.trained] == [True, False]
    with pytest.raises(UsageError, match="not among the models"):
        run(task, tmp_path / "out", models[1:], **given)


def test_a_control_computes_on_the_device_asked_for(task: Path, tmp_path: Path) -> None:
    (result,) = run(task, tmp_path / "results", ["cnn"], seeds=1, limit=40, device="cpu")
    assert (result.status, result.environment["device"]) == ("success", "cpu")
    results = run(task, tmp_path / "elsewhere", ["cnn", "majority"], seeds=1, limit=40, device="cuda:99")
    assert [r.status for r in results] == ["error", "success"]  # one has a device, the other counts labels


def test_a_repository_without_a_commit_is_looked_at_again_and_a_pinned_or_offline_one_is_not(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    hub: dict[str, bool] = {"reached": True}

    def download(repo_id: str, name: str, revision: str | None = None, **_: object) -> str:
        if not hub["reached"]:
            raise huggingface_hub.errors.LocalEntryNotFoundError(name)
        path = repo / "snapshots" / (revision or (repo / "refs" / "main").read_text()) / name
        if not path.is_file():
            raise huggingface_hub.errors.EntryNotFoundError(name)
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    repo = Path(os.environ["HF_HOME"]) / "hub" / "models--acme--tiny"
    (repo / "refs").mkdir(parents=True)

    def publish(commit: str, seed: int) -> None:
        model = fb.load_model(f"findna-tiny@random:{seed}", device="cpu")
        folder = repo / "snapshots" / commit
        save_model_folder(folder, model.backbone, backbone="chordmixer", config=model.config)
        (repo / "refs" / "main").write_text(commit)

    def digest(name: str, **options: object) -> str | None:
        (result,) = run(task, tmp_path / "r", [name], seeds=1, protocol="knn", sanity=False, **options)
        assert result.status == "success", result.error
        return result.model.weights.digest

    publish("a" * 40, 1)
    first, pinned = digest("hf:acme/tiny"), digest(f"hf:acme/tiny@{'a' * 40}")
    assert first == pinned
    publish("b" * 40, 2)
    assert digest(f"hf:acme/tiny@{'a' * 40}") == pinned
    assert digest("hf:acme/tiny", offline=True) == first
    hub["reached"] = False
    assert digest("hf:acme/tiny") == first, "a hub that cannot be reached makes no finished result wrong"
    hub["reached"] = True
    assert digest("hf:acme/tiny") != first
    assert len(list(ResultStore(tmp_path / "r").paths())) == 3


def test_options_of_encoders_are_not_ignored_in_silence(tmp_path: Path) -> None:
    class Notes(Silent):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    def notes_of(models: tuple[str, ...]) -> list[str]:
        heard = Notes()
        asked = {"tasks": ("demo/species4",), "seeds": (0,), "limit": 40, "output_dir": tmp_path, "offline": True}
        run_matrix(RunRequest(models=models, layer=1, pooling="max", **asked), heard)
        return [note for note in heard.notes if "without effect" in note]

    assert notes_of(("majority",)) == ["--pooling, --layer: without effect, none of these models is an encoder"]
    assert notes_of(("majority", "hyenadna@random")) == []
