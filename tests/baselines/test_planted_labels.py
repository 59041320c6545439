"""Several labels with what goes wrong in practice, planted in one file: a label with one class (in train, in test, in either), a missing
label (of some rows, of all test rows, of all train rows), rows of N alone: for every first-party network and every control that predicts labels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from test_likelihoods import CASES, built

import findna_bench as fb
from findna_baselines.controls.control_cards import MODELS as CONTROLS
from findna_bench.api import Backbone, SequenceTable
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore

LABELS = ("rich", "some", "test-alike", "train-alike", "no-test", "no-train", "never")
MISSING = -1
LENGTH = 42
SHORT = {"chordmixer", "hyenadna", "nt_v2", "dnabert", "dnabert2"}
"""One for each kind of token; the others are long tests."""
NETWORKS = [
    pytest.param(build, id=build.__name__, marks=[] if build.__name__ in SHORT else pytest.mark.long)
    for build in dict.fromkeys(build for build, _ in CASES)
]


def planted() -> dict[str, SequenceTable]:
    """60 rows, of which half have much G and C; -1 is not known."""
    rng = np.random.default_rng(0)
    rich = np.arange(60) % 2
    shares = ((0.35, 0.15, 0.15, 0.35), (0.15, 0.35, 0.35, 0.15))
    sequences = ["".join(rng.choice(list("ACGT"), size=LENGTH, p=shares[own])) for own in rich]
    sequences[8] = sequences[50] = "N" * LENGTH
    sequences[52] = sequences[10][:20] + "N" + sequences[10][21:]  # a copy, nearly
    truth = np.stack([rich] * len(LABELS), axis=1).astype(np.int8)
    test = np.arange(60) >= 44
    truth[::3, 1] = MISSING
    truth[test, 2] = 1
    truth[~test, 3] = 0
    truth[test, 4] = MISSING
    truth[~test, 5] = MISSING
    truth[:, 6] = MISSING
    truth[12] = truth[54] = MISSING  # rows of which nothing is known
    table = SequenceTable(sequences, truth, np.array([f"row-{number}" for number in range(60)]))
    return {
        "train": table.take(range(32)),
        "validation": table.take(range(32, 44)),
        "test": table.take(range(44, 60)),
    }


def write(path: Path) -> Path:
    """A cell is 0, 1, or empty."""
    lines = [",".join(["id", "sequence", "split", *(f"label_{name}" for name in LABELS)])]
    for split, table in planted().items():
        for row in range(len(table)):
            cells = ["" if cell == MISSING else str(cell) for cell in table.labels[row].tolist()]
            lines.append(",".join([str(table.ids[row]), table.sequences[row], split, *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


def run(models: Any, folder: Path, **options: Any) -> Result:
    (result,) = fb.run(
        models, [write(folder / "x.csv")], seeds=1, sanity=False, device="cpu", output_dir=folder / "r", **options
    )
    assert result.status == "success", result.error
    return result


def predicted(folder: Path, result: Result) -> np.ndarray:
    """(16, 7) probabilities of the test rows."""
    rows = ResultStore(folder / "r").predictions(result)
    np.testing.assert_array_equal(rows.labels, planted()["test"].labels)
    assert np.isfinite(rows.scores).all()
    return rows.scores


def check_metrics(result: Result, scores: np.ndarray) -> None:
    """Labels with both classes in test are counted, by the rows of which they are known; the others are named."""
    truth = planted()["test"].labels
    both = [place for place in range(len(LABELS)) if {0, 1} <= set(truth[:, place].tolist())]
    assert [LABELS[place] for place in both] == ["rich", "some", "train-alike", "no-train"]
    assert "not in the means, all test rows alike: test-alike, no-test, never" in result.flags
    known = [truth[:, place] != MISSING for place in range(len(LABELS))]
    of_labels = [(truth[known[place], place], scores[known[place], place]) for place in both]
    for name, metric in (("auroc_macro", roc_auc_score), ("auprc_macro", average_precision_score)):
        assert result.metrics.all[name] == pytest.approx(np.mean([metric(*each) for each in of_labels]))
    every = truth != MISSING
    assert result.metrics.all["auroc_micro"] == pytest.approx(roc_auc_score(truth[every], scores[every]))


def shares(place: int) -> float:
    """Of a label in train: half a row is added to either side where all rows that are known are alike."""
    own = planted()["train"].labels[:, place]
    known = own[own != MISSING]
    alike = len(set(known.tolist())) < 2
    return float((known.sum() + 0.5 * alike) / (len(known) + alike))


ALIKE_IN_TRAIN = [LABELS.index(name) for name in ("train-alike", "no-train", "never")]


def by_loop(backbone: Backbone, sequences: list[str]) -> np.ndarray:
    """(n, D) means over the tokens that stand for bases; over all where there are none."""
    found = []
    for sequence in sequences:
        batch = backbone.tokenize([sequence])
        with torch.inference_mode():
            states = backbone(batch).tokens[0].double().numpy()
        ordinary = (batch.mask & ~batch.special)[0].numpy()
        found.append(states[ordinary if ordinary.any() else np.ones(len(states), dtype=bool)].mean(axis=0))
    return np.stack(found)


@pytest.mark.parametrize("build", NETWORKS)
def test_every_network_has_scikit_learn_s_regression_of_every_label(
    build: Callable[[Path], Backbone], tmp_path: Path
) -> None:
    backbone = built(build, tmp_path)
    result = run(backbone, tmp_path)
    scores = predicted(tmp_path, result)
    check_metrics(result, scores)
    tables = planted()
    train, test = (by_loop(backbone, tables[split].sequences) for split in ("train", "test"))
    for place, strength in enumerate(result.validation["selected"]["strength"]):
        if place in ALIKE_IN_TRAIN:
            np.testing.assert_allclose(scores[:, place], shares(place), atol=1e-6)
            continue
        truth = tables["train"].labels[:, place]
        known = truth != MISSING
        x = train[known]
        mean, scale = x.mean(axis=0), x.std(axis=0)
        scale[scale < 1e-6] = np.inf
        theirs = LogisticRegression(C=1 / (strength * len(x)), tol=1e-10, max_iter=5000)
        theirs.fit((x - mean) / scale, truth[known])
        expected = theirs.predict_proba((test - mean) / scale)[:, 1]
        np.testing.assert_allclose(scores[:, place], expected, atol=2e-3, err_msg=LABELS[place])
    words = ", ".join(map(str, ALIKE_IN_TRAIN))
    assert f"labels whose train rows are all alike, predicted by their share: {words}" in result.validation["warnings"]


@pytest.mark.parametrize("protocol", ["probe", "knn"])
def test_every_control_of_labels_counts_what_is_known(protocol: str, tmp_path: Path) -> None:
    able = [card.name for card in CONTROLS if "labels" in (card.targets or ()) and "sequence" in card.inputs]
    assert able == ["majority", "trivial", "position", "nn-overlap", "kmer"]
    for name in able:
        (folder := tmp_path / name).mkdir()
        result = run(name, folder, protocol=protocol)
        scores = predicted(folder, result)
        check_metrics(result, scores)
        if name == "majority":
            np.testing.assert_allclose(scores, np.tile([shares(place) for place in range(7)], (16, 1)))
        elif name == "nn-overlap":
            copied, alone = scores[8], np.delete(scores, 8, axis=0)  # row-52 is row-10, but for an N
            assert (alone == alone[0]).all()
            assert copied[0] < alone[0, 0]
        else:
            assert result.metrics.main.value > 0.5
            np.testing.assert_allclose(scores[:, -1], 0.5)  # never known


def test_a_control_that_predicts_no_labels_says_so(tmp_path: Path) -> None:
    others = [card.name for card in CONTROLS if "labels" not in (card.targets or ("classes",))]
    results = fb.run(others, [write(tmp_path / "x.csv")], seeds=1, output_dir=tmp_path / "r")
    assert len(results) == len(others)
    for result in results:
        assert result.status == "skipped"
        assert result.error is not None
        assert result.error.message.endswith(("not labels", "rows of adhoc/x are sequences")), result.error.message
