"""Several labels of a user's own file: read by their columns, probed by a logistic regression each, with controls, tables and splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import findna_bench as fb
from findna_bench.errors import DataError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.leaderboard.wording import format_entry
from findna_bench.matrix.verification import verify
from findna_bench.protocols.label_probe import fit_labels
from findna_bench.protocols.neighbour_means import fit_neighbour_means
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import KNearest, LogisticProbe
from findna_bench.results.store import ResultStore


def planted(n: int = 200, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Sequences; whether each is rich in G and C, and whether it holds TATAAA, a fifth of these labels turned around."""
    rng = np.random.default_rng(seed)
    sequences, truth = [], []
    for _ in range(n):
        rich, tata = rng.random(2) < (0.5, 0.3)
        p = (0.15, 0.35, 0.35, 0.15) if rich else (0.35, 0.15, 0.15, 0.35)
        text = "".join(rng.choice(list("ACGT"), size=60, p=p))
        sequences.append(text[:20] + "TATAAA" + text[26:] if tata else text)
        truth.append((rich, tata))
    return sequences, np.array(truth, dtype=np.int8)


def write(path: Path, header: str, *columns: object) -> Path:
    lines = [",".join(map(str, row)) for row in zip(*columns, strict=True)]  # type: ignore[call-overload]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def named(truth: np.ndarray) -> list[str]:
    return [";".join(name for name, has in zip(("rich", "tata"), row, strict=True) if has) for row in truth]


def test_columns_say_which_labels_there_are(tmp_path: Path) -> None:
    sequences, truth = planted()
    by_name = fb.load_task(write(tmp_path / "names.csv", "sequence,labels", sequences, named(truth)))
    assert (by_name.card.target, by_name.card.metric, by_name.label_names) == (
        "labels",
        "auroc_macro",
        ("rich", "tata"),
    )
    whole, _ = by_name.in_order()
    np.testing.assert_array_equal(whole.labels, truth)
    assert whole.labels.dtype == np.int8
    n = truth.sum(axis=0)
    assert by_name.notes[0].startswith(f"names.csv: 200 rows, labels rich ({n[0]}), tata ({n[1]}); train 1")
    cells = [["" if row == 7 else ("NA" if row == 9 else str(v)) for row, v in enumerate(column)] for column in truth.T]
    path = write(tmp_path / "columns.csv", "sequence,label_Rich,label_tata", sequences, *cells)
    of_one, _ = fb.load_task(path).in_order()
    expected = truth.copy()
    expected[[7, 9]] = -1
    np.testing.assert_array_equal(of_one.labels, expected)
    lists = pd.DataFrame({"sequence": sequences, "labels": [text.split(";") if text else [] for text in named(truth)]})
    lists.to_parquet(tmp_path / "lists.parquet")
    np.testing.assert_array_equal(fb.load_task(tmp_path / "lists.parquet").in_order()[0].labels, truth)


def test_a_column_labels_without_separators_holds_classes(tmp_path: Path) -> None:
    sequences, truth = planted()
    classes = ["rich" if rich else "poor" for rich in truth[:, 0]]
    assert fb.load_task(write(tmp_path / "a.csv", "sequence,labels", sequences, classes)).card.target == "classes"
    both = write(tmp_path / "b.csv", "sequence,label,labels", sequences, classes, named(truth))
    assert fb.load_task(both).card.target == "classes"


def test_an_empty_list_of_names_is_none_of_them_and_na_is_not_known(tmp_path: Path) -> None:
    sequences, _ = planted(60)
    texts = ["a;b", "a", "", "NA", " b ; "] * 12
    task = fb.load_task(write(tmp_path / "x.csv", "sequence,labels", sequences, texts))
    whole, _ = task.in_order()
    np.testing.assert_array_equal(whole.labels[:5], [[1, 1], [1, 0], [0, 0], [-1, -1], [0, 1]])


def test_a_cell_that_is_neither_0_nor_1_is_named_with_its_row(tmp_path: Path) -> None:
    sequences, truth = planted(20)
    texts = [str(v) for v in truth[:, 0]]
    texts[6] = "2"
    path = write(tmp_path / "x.csv", "sequence,label_a,label_b", sequences, texts, truth[:, 1])
    with pytest.raises(DataError, match="label_a '2' is neither 0 nor 1") as refused:
        fb.load_task(path)
    assert "row 8 (the header is row 1)" in str(refused.value)


def test_a_file_of_labels_runs_through_everything(tmp_path: Path) -> None:
    sequences, truth = planted(360)
    path = write(tmp_path / "l.csv", "sequence,labels", sequences, named(truth))
    models = ["kmer", "trivial", "nn-overlap", "majority", "findna-tiny@random"]
    for protocol in ("probe", "knn"):
        results = fb.run(models, [path], protocol=protocol, seeds=2, output_dir=tmp_path / "r")
        found = {r.model.name: r for r in results}
        for result in found.values():
            assert result.status == "success", result.error
            assert list(result.metrics.all) == ["auroc_macro", "auprc_macro", "auroc_micro", "auprc_micro", "lrap"]
        assert found["kmer"].metrics.main.value > 0.8
        assert found["majority"].metrics.main.value == pytest.approx(0.5)
    assert found["trivial"].validation["metrics"]["learned"] is True
    assert not verify(tmp_path / "r").findings
    store = ResultStore(tmp_path / "r")
    board = leaderboard(
        [r for r in store.load() if r.protocol.name == "probe"],
        predictions=store.predictions,
        metric="label_auroc:rich",
    )
    shown = {row.model: format_entry(row.entries["adhoc/l"]) for row in board.tables[0].rows}
    test = fb.load_task(path).load("test")
    of_trivial = [r for r in store.load() if r.model.name == "trivial" and r.protocol.name == "probe"]
    rows = store.predictions(of_trivial[0])
    np.testing.assert_array_equal(rows.labels, test.labels)
    fits = [store.predictions(r).scores[:, 0] for r in of_trivial]
    expected = np.mean([roc_auc_score(rows.labels[:, 0], scores) for scores in fits])
    assert shown["trivial"].startswith(f"{100 * expected:.2f}")
    assert expected > 0.95
    comparison = fb.compare(["kmer", "majority"], [str(path)], protocol="probe", output_dir=tmp_path / "r")
    (task,) = comparison.tasks
    assert task.differences[0].p_value < 0.05


def test_the_best_attainable_score_is_reached(tmp_path: Path) -> None:
    """Labels are drawn from known probabilities, so that the best possible AUROC is known, too."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 80, size=1500)
    sequences = ["".join(rng.choice(list("ACGT"), size=n)) for n in lengths]
    chance = 1 / (1 + np.exp(-np.stack([(lengths - 50) / 10, (35 - lengths) / 20], axis=1)))
    truth = (rng.random(chance.shape) < chance).astype(int)
    path = write(tmp_path / "x.csv", "sequence,label_long,label_short", sequences, *truth.T)
    (result,) = fb.run(["trivial"], [path], seeds=1, output_dir=tmp_path / "r")
    rows = ResultStore(tmp_path / "r").predictions(result)
    of_sequence = dict(zip(fb.load_task(path).in_order()[0].ids.tolist(), chance, strict=True))
    best = np.array([of_sequence[row] for row in rows.ids.tolist()])
    attainable = roc_auc_score(rows.labels, best, average="macro")
    assert result.metrics.main.value == pytest.approx(attainable, abs=0.02)


def test_each_label_has_the_logistic_regression_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    n, d, k = 600, 12, 4
    features = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3).astype(np.float32)
    truth = (features @ rng.normal(size=(d, k)) * 0.2 + rng.normal(size=(n, k)) > 0).astype(np.int8)
    truth[rng.random(truth.shape) < 0.2] = -1
    splits = [SeedSplit(s, *np.split(rng.permutation(n), [480])) for s in range(2)]
    for head, split in zip(fit_labels(features, truth, splits), splits, strict=True):
        for label, strength in enumerate(head.settings["strength"]):
            rows = split.train[truth[split.train, label] >= 0]
            x = features[rows].astype(float)
            model = LogisticRegression(C=1 / (strength * len(rows)), solver="newton-cholesky", tol=1e-12, max_iter=1000)
            model.fit((x - x.mean(0)) / x.std(0), truth[rows, label])
            expected = model.predict_proba((features - x.mean(0)) / x.std(0))[:, 1]
            np.testing.assert_allclose(head.predict_scores(features)[:, label], expected, atol=1e-7)


def told_and_untold() -> tuple[np.ndarray, np.ndarray, np.ndarray, SeedSplit]:
    """Features of 300 rows, a label that one of them tells, a label that none tells, and a split."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(300, 30)).astype(np.float32)
    signal = (features[:, 0] * 3 + rng.normal(size=300) * 0.1 > 0).astype(np.int8)
    noise = (rng.random(300) < 0.5).astype(np.int8)
    split = SeedSplit(0, np.arange(240), np.arange(240, 300))
    return features, signal, noise, split


def test_labels_are_fitted_as_if_alone_and_choose_for_themselves() -> None:
    features, signal, noise, split = told_and_untold()
    (both,) = fit_labels(features, np.stack([signal, noise], axis=1), [split])
    for label, truth in enumerate((signal, noise)):
        (alone,) = fit_labels(features, truth[:, None], [split])
        assert alone.settings["strength"] == [both.settings["strength"][label]]
        np.testing.assert_allclose(
            alone.predict_scores(features)[:, 0], both.predict_scores(features)[:, label], atol=1e-7
        )
    assert both.settings["strength"][0] < both.settings["strength"][1]


def test_weak_strengths_are_tried_while_the_loss_of_a_label_does_not_rise() -> None:
    features, signal, noise, split = told_and_untold()
    for always, truth, tried in ((6, signal, 9), (6, noise, 6), (2, noise, 9)):  # of two losses nothing can be told
        preset = LogisticProbe(always=always)
        (head,) = fit_labels(features, truth[:, None], [split], preset)
        path = head.validation["path"]
        assert [entry["strength"] for entry in path] == sorted(preset.strengths, reverse=True)[:tried]
        rising = path[5]["loss"] > path[4]["loss"] > path[3]["loss"]
        assert rising == (truth is noise)


def test_a_label_of_which_train_knows_one_class_is_predicted_by_its_share() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(100, 5)).astype(np.float32)
    truth = np.stack([features[:, 0] > 0, np.zeros(100), -np.ones(100), np.ones(100)], axis=1).astype(np.int8)
    split = SeedSplit(0, np.arange(80), np.arange(80, 100))
    (head,) = fit_labels(features, truth, [split], LogisticProbe())
    scores = head.predict_scores(features)
    np.testing.assert_allclose(scores[:, 1:], np.tile([0.5 / 81, 0.5, 80.5 / 81], (100, 1)), atol=1e-12)
    assert any("train rows are all alike, predicted by their share: 1, 2, 3" in w for w in head.warnings)
    assert head.validation["auroc_macro"] > 0.9
    (head,) = fit_labels(features, np.concatenate([truth[:, :1], np.zeros((100, 12), np.int8)], axis=1), [split])
    assert any(w.endswith("predicted by their share: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more") for w in head.warnings)


def test_neighbours_of_which_a_label_is_not_known_have_no_vote() -> None:
    features = np.arange(6, dtype=np.float32)[:, None]
    truth = np.array([[1, -1], [0, -1], [-1, -1], [1, 0], [1, 1], [0, 1]], dtype=np.int8)
    split = SeedSplit(0, np.arange(6), np.arange(0))
    (head,) = fit_neighbour_means(features, truth, [split], KNearest(k=3))
    np.testing.assert_allclose(head.predict_scores(features[[1, 4]]), [[0.5, 2 / 3], [2 / 3, 2 / 3]])


def test_a_label_with_one_class_in_test_is_named_beside_the_score(tmp_path: Path) -> None:
    sequences, truth = planted()
    path = write(tmp_path / "x.csv", "sequence,label_rich,label_none", sequences, truth[:, 0], np.zeros(200, int))
    (result,) = fb.run(["trivial"], [path], seeds=1, output_dir=tmp_path / "r")
    assert "not in the means, all test rows alike: none" in result.flags
    assert result.metrics.main.value > 0.9


def test_splits_shots_and_folds_of_labels(tmp_path: Path) -> None:
    sequences, truth = planted(240)
    path = write(tmp_path / "x.csv", "sequence,labels", sequences, named(truth))
    options = {"seeds": 1, "output_dir": tmp_path / "r"}
    (grouped,) = fb.run(["trivial"], [path], split="grouped", **options)
    (folds,) = fb.run(["trivial"], [path], split="grouped:*/3", **options)
    (few,) = fb.run(["trivial"], [path], shots=(20,), **options)
    for result in (grouped, folds, few):
        assert result.status == "success", result.error
        assert result.metrics.main.value > 0.75
    assert len(ResultStore(tmp_path / "r").predictions(folds).labels) == 240
    assert not verify(tmp_path / "r").findings


def test_labels_are_audited_one_by_one(tmp_path: Path) -> None:
    sequences, truth = planted(300)
    cells = [["" if row % 10 == 0 else str(v) for row, v in enumerate(truth[:, 0])], truth[:, 1], np.zeros(300, int)]
    path = write(tmp_path / "x.csv", "sequence,label_rich,label_tata,label_none", sequences, *cells)
    report = fb.audit(path)
    assert report.labels == ("rich", "tata", "none")
    assert list(report.outputs) == ["rich", "tata"]
    alone = write(
        tmp_path / "alone.csv", "sequence,label", sequences, [("without tata", "tata")[v] for v in truth[:, 1]]
    )
    plain, own = fb.audit(alone), report.outputs["tata"]
    assert own.labels == ("without tata", "tata")
    assert sum(split.rows for split in own.splits.values()) == 300
    assert sum(split.rows for split in report.outputs["rich"].splits.values()) == 270
    assert own.splits.keys() == plain.splits.keys()
    assert report.outputs["rich"].verdict.level == "note"
    assert own.flags == ("shortcut: site",)  # TATAAA stands at one place
    assert report.verdict.level == own.verdict.level == "shortcut"
    assert report.verdict.sentences[0].startswith("rich: note. ")
    assert report.verdict.sentences[-1] == "none: not audited, its rows are all alike."
    assert report.to_dict()["outputs"]["rich"]["verdict"]["level"] == "note"
    from findna_bench.auditing.audit_pages import report_grids, write_pages

    grid, findings, _ = report_grids(report.to_dict())
    assert [row[0] for row in grid.rows] == ["rich", "tata"]
    assert "shortcut/site" in {row[0] for row in findings.rows}
    written = [file.name for file in write_pages([report], tmp_path / "pages")]
    assert "x.md" in written
    assert "x.png" not in written
