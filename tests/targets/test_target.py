"""Targets are objects behind a hook: a stranger's, with numbers for classes, runs through everything that classes run through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.comparison.comparing import compare_models
from findna_bench.errors import UsageError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix.verification import verify
from findna_bench.registry import Registry
from findna_bench.results.store import ResultStore
from findna_bench.targets.target import find_target


def test_a_target_of_a_stranger_runs_through_everything(acme_registry: Registry, tmp_path: Path) -> None:
    asked = {"tasks": ["acme/composition"], "seeds": 2, "output_dir": tmp_path}
    found = {(r.model.name, r.seed): r for r in fb.run(["acme@random", "hyenadna@random", "kmer", "majority"], **asked)}
    assert found["majority", 0].status == "skipped"
    assert (
        found["majority", 0].error.message == "majority predicts classes and values and labels and per_base, not shares"
    )
    assert found["kmer", 0].error.message == "kmer predicts classes and values and labels, not shares"
    scored_models = [name for name, _ in found if name not in ("kmer", "majority")]
    assert len(scored_models) == 4
    for name in scored_models:
        for seed in (0, 1):
            r = found[name, seed]
            assert (r.status, r.task.target, r.metrics.main.name) == ("success", "shares", "explained_variance")
            assert set(r.metrics.all) == {"explained_variance"}
            scored = ResultStore(tmp_path).predictions(r)
            assert scored.labels.shape == scored.scores.shape == (80, 2)
            residual = ((scored.labels - scored.scores) ** 2).mean(axis=0) / scored.labels.var(axis=0)
            assert r.metrics.main.value == pytest.approx(float((1 - residual).mean()))
            low, high = r.metrics.intervals["explained_variance"]
            assert low < r.metrics.main.value < high <= 1.0
            assert r.validation["metrics"]["learned"] is True
            assert r.task.counts == {"train": {"rows": 160}, "test": {"rows": 80}}
    assert found["acme@random", 0].metrics.main.value > 0.8
    assert not verify(tmp_path).findings
    store = ResultStore(tmp_path)
    (table,) = leaderboard(store.load(), predictions=store.predictions).tables
    assert table.columns[0].metric == "explained_variance"
    assert table.rows[0].entries["acme/composition"].low is not None
    compared = compare_models(tmp_path, sorted(set(scored_models)))
    (task,) = compared.tasks
    assert task.differences[0].p_value is not None
    assert task.differences[0].mcnemar == ()
    path = next(path for path in store.paths() if path.parts[-5].startswith("acme"))
    content = json.loads(path.read_text())
    content["task"]["target"] = "classes"
    path.write_text(json.dumps(content))
    assert any("not those of target classes" in finding.problem for finding in verify(tmp_path).findings)


@pytest.mark.parametrize("n", [10, 11, 13])
@pytest.mark.parametrize(
    ("name", "words", "one", "truth"),
    [
        ("shares", "shares", "{}", lambda n: np.full((2, n), 1 / n)),
        ("values", "values", "{} 1 to 3", lambda n: np.array([[1.0] * n, [3.0] * n])),
        ("labels", "labels", "{} (2, 1 not known)", lambda n: np.repeat([[1], [1], [0], [-1]], n, axis=1)),
        ("per_base", "states per base", "{} (1)", lambda n: np.arange(n)[None]),
    ],
)
def test_ten_of_what_is_predicted_are_named_and_the_rest_counted(
    acme_registry: Registry, name: str, words: str, one: str, truth: Callable[[int], np.ndarray], n: int
) -> None:
    names = [f"x{i}" for i in range(n)]
    shown = ", ".join(one.format(label) for label in names[:10])
    rest = f" and {n - 10} more" if n > 10 else ""
    assert find_target(name, acme_registry).in_words(truth(n), names) == f"{words} {shown}{rest}"


@pytest.mark.parametrize(("n", "rest"), [(0, ""), (5, ""), (6, " and 1 more"), (8, " and 3 more")])
def test_five_labels_that_no_mean_counts_are_named_and_the_rest_counted(n: int, rest: str) -> None:
    truth = np.concatenate([np.zeros((4, n), dtype=np.int8), [[0], [1], [0], [1]]], axis=1)
    named = ", ".join(f"x{i}" for i in range(min(n, 5)))
    expected = [f"not in the means, all test rows alike: {named}{rest}"] if n else []
    assert find_target("labels").flags(truth, [f"x{i}" for i in range(n + 1)]) == expected


def test_a_target_that_has_a_loss_is_fine_tuned(acme_registry: Registry, tmp_path: Path) -> None:
    (tuned,) = fb.run(["acme@random"], ["acme/composition"], protocol="finetune", seeds=1, output_dir=tmp_path)
    assert tuned.status == "success", tuned.error
    assert tuned.metrics.main.value > 0.5
    assert tuned.validation["metrics"]["path"][0]["predicted_classes"] is None
    assert not verify(tmp_path).findings


def test_what_does_not_go_together_is_said(acme_registry: Registry, tmp_path: Path) -> None:
    (skipped,) = fb.run(["acme@random"], ["acme/composition"], protocol="knn", seeds=1, output_dir=tmp_path)
    assert (skipped.status, skipped.error.message) == ("skipped", "--protocol knn does not predict shares")
    fb.run(["acme@random"], ["acme/composition"], seeds=1, output_dir=tmp_path)
    store = ResultStore(tmp_path)
    with pytest.raises(UsageError, match="metric 'mcc' scores classes, not shares"):
        leaderboard(store.load(), predictions=store.predictions, metric="mcc")


def test_rows_that_are_not_what_the_target_says_are_named(
    acme_registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from acme_dna import tasks

    whole = tasks.composition

    def with_a_gap(config: dict[str, int]) -> dict[str, fb.api.SequenceTable]:
        tables = whole(config)
        tables["train"].labels[7, 1] = np.nan
        return tables

    monkeypatch.setattr(tasks, "composition", with_a_gap)
    (failed,) = fb.run(["acme@random"], ["acme/composition"], seeds=1, output_dir=tmp_path)
    assert failed.status == "error"
    assert failed.error.message == (
        "task acme/composition (acme_dna.tasks:composition), train: the shares of row 7 are not finite"
    )


def test_a_metric_of_another_target_is_refused_before_any_work(
    acme_registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = acme_registry.resolve("tasks", "acme/composition").card
    monkeypatch.setitem(card.__dict__, "metric", "mcc")
    with pytest.raises(UsageError, match="task acme/composition: metric 'mcc' scores classes, not shares"):
        fb.run(["acme@random"], ["acme/composition"], seeds=1, output_dir=tmp_path / "r")
    assert not (tmp_path / "r").exists()
