"""``--search N``: the same settings for every model and seed, chosen on validation, all of them told, none tried twice."""

from __future__ import annotations

import json
import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fork_server import Job, Server, alive, wait_until
from motif_tasks import IMPORTED, import_motif_task, write_task
from test_resume import fits, lasting, stamps

import findna_bench as fb
from findna_bench.errors import UsageError
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.protocols.settings import FineTuning
from findna_bench.results.store import ResultStore
from findna_bench.training.training_checkpoints import load_checkpoint

BRIEF = FineTuning(lr=0.01, batch_size=8, epochs=2)
"""The preset of this name of the unruly plugin."""


def command(task: Path | str, *words: object) -> list[object]:
    return ["run", "--json", "-t", task, "--protocol", "finetune", "--preset", "brief", "-o", "r", *words]


def done(server: Server, cwd: Path, *words: object) -> list[dict[str, Any]]:
    job = server.start(*words, cwd=cwd)
    assert job.wait() == 0, job.stderr
    return json.loads(job.stdout)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_task(tmp_path / "t.csv", seed=0, rows=60)


def test_all_models_and_seeds_are_given_the_same_settings_and_validation_chooses(
    server: Server, tmp_path: Path, log: Path
) -> None:
    import_motif_task(tmp_path / "data", tmp_path, seed=0)
    models = ("hungry@random", "frugal@random", "majority")
    words = command(IMPORTED, "-m", ",".join(models), "--seeds", 2, "--data-dir", "data")
    results = done(server, tmp_path, *words, "--search", 3)
    assert [r["status"] for r in results] == ["success"] * 6
    expected = [{"lr": p.lr, "weight_decay": p.weight_decay, "batch_size": p.batch_size} for p in BRIEF.variations(3)]
    for r in results[:4]:
        settings, selected = r["protocol"]["settings"], r["validation"]["selected"]
        trials = settings["trials"]
        assert settings["search"] == len(trials) == 3
        assert [{name: trial["settings"][name] for name in expected[0]} for trial in trials] == expected
        losses = [trial["validation"]["loss"] for trial in trials]
        assert len(set(losses)) == 3
        best = losses.index(min(losses))
        assert selected["chosen_trial"] == best
        assert r["validation"]["metrics"]["loss"] == losses[best]
        assert selected["lr"] == trials[best]["settings"]["lr"]
        assert r["validation"]["metrics"]["rows"] == settings["validation_rows"]
        assert "best of 3 settings on validation" in r["flags"]
    assert results[0]["batch"]["micro"] <= 3 < results[2]["batch"]["micro"]
    for r in results[4:]:
        assert "own budget, not searched" in r["flags"]
        assert "trials" not in r["protocol"]["settings"]
    assert not list((tmp_path / "r" / ".checkpoints").iterdir())

    trained, before = len(fits(log)), stamps(tmp_path / "r")
    again = done(server, tmp_path, *words, "--search", 3)
    assert (again, len(fits(log)), stamps(tmp_path / "r")) == (results, trained, before)

    plain = done(server, tmp_path, *words)
    assert {r["identity"] for r in plain}.isdisjoint({r["identity"] for r in results})
    assert [r["coverage"] for r in plain] == [r["coverage"] for r in results]
    assert not any("search" in r["protocol"]["settings"] for r in plain)
    board = leaderboard(ResultStore(tmp_path / "r").load())
    labels = {(row.model, row.settings) for row in board.tables[0].rows}
    assert labels == {(model, (f"search {word}",)) for model in models for word in ("3", "none")}
    page = render_markdown(board)
    assert "best of 3 settings on validation" in page
    assert "weight_decay" not in page.replace("\\", "")
    job = server.start("verify", "r", "--rerun", 2, "--data-dir", "data", cwd=tmp_path)
    assert job.wait() == 0, job.stdout


def finished_trials(checkpoints: Path) -> int:
    return sum(len((load_checkpoint(path) or {"trials": []})["trials"]) for path in checkpoints.glob("*.trials.pt"))


def kill_after_trials(job: Job, n: int, checkpoints: Path, log: Path) -> None:
    """Kill a search in the trial that follows the first ``n``."""
    wait_until(lambda: finished_trials(checkpoints) == n or not alive(job.pid))
    before = len(fits(log))
    wait_until(lambda: len(fits(log)) > before or not alive(job.pid))
    assert alive(job.pid), job.stderr
    job.send(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    assert finished_trials(checkpoints) == n


@pytest.mark.long
def test_a_killed_search_goes_on_with_the_trial_it_was_at(
    server: Server, tmp_path: Path, task: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = command(task, "-m", "frugal@random", "--seeds", "0,", "--search", 3)
    for name in ("calm", "rough"):
        (tmp_path / name).mkdir()
    done(server, tmp_path / "calm", *words)
    whole, kept = fits(log), tmp_path / "rough" / "r" / ".checkpoints"
    rows = json.loads(next((tmp_path / "calm" / "r").rglob("*.json")).read_text())["protocol"]["settings"]["train_rows"]
    steps = [BRIEF.epochs * math.ceil(rows / preset.batch_size) for preset in BRIEF.variations(3)]
    assert len(whole) == sum(steps)
    monkeypatch.setenv("UNRULY_SLEEP", "0.1")
    for n in (1, 2):
        kill_after_trials(server.start(*words, cwd=tmp_path / "rough"), n, kept, log)
    monkeypatch.setenv("UNRULY_SLEEP", "0")
    before = len(fits(log))
    done(server, tmp_path / "rough", *words)
    assert len(fits(log)) - before == steps[2]
    assert lasting(tmp_path / "rough" / "r") == lasting(tmp_path / "calm" / "r")
    assert not list(kept.iterdir())


def test_few_shots_strands_batch_sizes_and_processes_go_with_a_search(
    server: Server, tmp_path: Path, task: Path
) -> None:
    words = command(task, "-m", "frugal@random", "--seeds", 1, "--search", 2, "--executor", "process")
    for options in (["--shots", "4,8", "--strand", "rc-augment"], ["--strand", "rc-logit-mean", "--batch-size", 2]):
        for r in done(server, tmp_path, *words, *options):
            assert len(r["protocol"]["settings"]["trials"]) == 2
            assert r["batch"]["requested"] in ("auto", 2)
            settings = r["protocol"]["settings"]
            seen = settings["train_rows"] + settings["validation_rows"]  # of two classes
            assert settings.get("shots") in (None, seen // 2)


def test_a_plan_counts_every_trial(server: Server, tmp_path: Path, task: Path) -> None:
    words = command(task, "-m", "frugal@random,majority", "--seeds", 2)
    timed = [r["timing"] for r in done(server, tmp_path, *words, "--search", 2)]
    searched = done(server, tmp_path, "plan", *words[1:], "--search", 6)
    assert [(row["finished"], row["cells"]) for row in searched] == [(0, 2), (0, 2)]
    assert searched[0]["seconds"] == pytest.approx(sum(t["fit_s"] * 3 + t["predict_s"] for t in timed[:2]), rel=1e-6)
    assert searched[1]["seconds"] == pytest.approx(sum(t["fit_s"] + t["predict_s"] for t in timed[2:]), rel=1e-6)
    assert [row["seconds"] for row in done(server, tmp_path, "plan", *words[1:], "--search", 2)] == [0.0, 0.0]


def choose_rates(task: Path | str, *words: object) -> list[object]:
    """A preset without a learning rate of its own, three multiples of the model's."""
    return ["run", "--json", "-t", task, "--protocol", "finetune", "--preset", "choosy", "-o", "r", *words]


def test_rates_are_chosen_on_validation_and_all_that_was_tried_is_told(
    server: Server, tmp_path: Path, log: Path
) -> None:
    import_motif_task(tmp_path / "data", tmp_path, seed=0)
    words = choose_rates(IMPORTED, "-m", "frugal@random,majority", "--seeds", 2, "--data-dir", "data")
    results = done(server, tmp_path, *words)
    assert [r["status"] for r in results] == ["success"] * 4
    for r in results[:2]:
        settings, selected = r["protocol"]["settings"], r["validation"]["selected"]
        assert (settings["lr"], settings["rates"], settings["trial_steps"]) == (1e-3, [1.0, 10.0, 0.1], 3)
        trials, whole = settings["trials"], BRIEF.epochs * math.ceil(settings["train_rows"] / 8)
        assert [(t["settings"]["lr"], t["steps"]) for t in trials[:3]] == [(1e-4, 3), (1e-3, 3), (1e-2, 3)]
        best = min(trials[:3], key=lambda trial: trial["validation"]["loss"])
        assert (trials[3]["settings"], trials[3]["steps"]) == (best["settings"], whole)
        assert selected["lr"] == best["settings"]["lr"]
        assert r["validation"]["metrics"]["loss"] == min(t["validation"]["loss"] for t in trials)
        end = {1e-4: "lowest", 1e-2: "highest"}.get(selected["lr"])
        assert any("learning rate of the grid" in warning for warning in r["validation"]["warnings"]) is (
            end is not None
        )
    assert not list((tmp_path / "r" / ".checkpoints").iterdir())
    trained, before = len(fits(log)), stamps(tmp_path / "r")
    assert done(server, tmp_path, *words) == results
    assert (len(fits(log)), stamps(tmp_path / "r")) == (trained, before)
    planned = done(server, tmp_path, "plan", *words[1:], "--overwrite", "always")
    timed = [r["timing"] for r in results[:2]]
    assert planned[0]["seconds"] == pytest.approx(sum(t["fit_s"] + t["predict_s"] for t in timed), rel=1e-6)
    job = server.start("verify", "r", "--rerun", 2, "--data-dir", "data", cwd=tmp_path)
    assert job.wait() == 0, job.stdout


def test_a_killed_choice_of_rates_goes_on_with_the_trial_it_was_at(
    server: Server, tmp_path: Path, task: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = choose_rates(task, "-m", "frugal@random", "--seeds", "0,")
    for name in ("calm", "rough"):
        (tmp_path / name).mkdir()
    done(server, tmp_path / "calm", *words)
    kept = tmp_path / "rough" / "r" / ".checkpoints"
    monkeypatch.setenv("UNRULY_SLEEP", "0.1")
    for n in (1, 3):
        kill_after_trials(server.start(*words, cwd=tmp_path / "rough"), n, kept, log)
    monkeypatch.setenv("UNRULY_SLEEP", "0")
    done(server, tmp_path / "rough", *words)
    assert lasting(tmp_path / "rough" / "r") == lasting(tmp_path / "calm" / "r")
    assert not list(kept.iterdir())


def test_one_rate_is_trained_where_validation_does_not_choose(server: Server, tmp_path: Path, task: Path) -> None:
    for selection in ("last", "test"):
        (r,) = done(
            server, tmp_path, *choose_rates(task, "-m", "frugal@random", "--seeds", "0,", "--selection", selection)
        )
        settings = r["protocol"]["settings"]
        assert (settings["lr"], settings["rates"], "trials" in settings) == (1e-3, [1.0], False)
    (r,) = done(server, tmp_path, *choose_rates(task, "-m", "frugal@random", "--seeds", "0,", "--search", 2))
    trials = r["protocol"]["settings"]["trials"]
    assert [t["settings"]["lr"] for t in trials] == [p.lr for p in replace(BRIEF, lr=1e-3).variations(2)]
    assert len({t["steps"] for t in trials}) <= 2


def test_few_shots_go_with_a_choice_of_rates_and_one_shot_without(server: Server, tmp_path: Path, task: Path) -> None:
    words = choose_rates(task, "-m", "frugal@random", "--seeds", "0,", "--shots", "1,6")
    one, six = done(server, tmp_path, *words)
    assert (one["protocol"]["settings"]["rates"], "trials" in one["protocol"]["settings"]) == ([1.0], False)
    assert six["protocol"]["settings"]["rates"] == [1.0, 10.0, 0.1]
    assert len(six["protocol"]["settings"]["trials"]) in (3, 4)
    job = server.start("verify", "r", cwd=tmp_path)
    assert job.wait() == 0, job.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"search": 0}, "--search 0: at least 1"),
        ({"search": 4, "protocol": "probe"}, "a probe already tries"),
        ({"search": 4, "protocol": "probe", "preset": "findna-paper-inferred"}, "or epochs, on validation"),
        ({"search": 4, "protocol": "knn"}, "knn has no settings"),
        ({"search": 4, "selection": "last"}, "--selection last looks at none"),
        ({"search": 4, "selection": "test"}, "would choose them on the test split"),
    ],
)
def test_a_search_that_cannot_choose_on_validation_is_refused_before_any_work(
    task: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    for verb in (fb.plan, fb.run):
        with pytest.raises(UsageError, match=words):
            verb(["majority"], [str(task)], output_dir=tmp_path / "r", **{"protocol": "finetune"} | options)
    assert not (tmp_path / "r").exists()


def test_environment_and_configuration_file_ask_for_a_search_too(server: Server, tmp_path: Path, task: Path) -> None:
    words = ["plan", "-m", "majority", "-t", task, "--protocol", "finetune"]
    config = tmp_path / "bench.toml"
    for content, environment, said in (
        ("", {"FINDNA_BENCH_SEARCH": "0"}, "--search 0"),
        ("search = 0", {}, "search 0: at least 1"),
        ('search = "many"', {}, "search: a whole number is expected, not 'many'"),
    ):
        config.write_text(content)
        job = server.start(*words, "-C", config, cwd=tmp_path, environment=environment)
        assert job.wait() == 2
        assert said in job.stderr
