"""Numbers of a user's own file: read by their column, probed by ridge regression, with controls, tables, audit and splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import findna_bench as fb
from findna_bench.errors import DataError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.leaderboard.wording import format_entry
from findna_bench.matrix.verification import verify
from findna_bench.protocols.ridge import fit_ridge
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.results.store import ResultStore


def rows(n: int = 160, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Sequences, and how many G and C each has, with some noise."""
    rng = np.random.default_rng(seed)
    sequences = ["".join(rng.choice(list("ACGT"), size=40, p=rng.dirichlet([3, 3, 3, 3]))) for _ in range(n)]
    return sequences, np.array([sum(base in "GC" for base in s) for s in sequences]) + rng.normal(size=n)


def write(path: Path, header: str, *columns: object) -> Path:
    lines = [",".join(map(str, row)) for row in zip(*columns, strict=True)]  # type: ignore[call-overload]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_columns_say_what_is_predicted(tmp_path: Path) -> None:
    sequences, values = rows()
    one = fb.load_task(write(tmp_path / "one.csv", "sequence,value", sequences, values))
    assert (one.card.target, one.card.metric, one.label_names) == ("values", "spearman", ("value",))
    assert one.load("train").labels.shape == (128, 1)
    assert one.notes[0].startswith("one.csv: 160 rows, values ")
    two = fb.load_task(write(tmp_path / "two.csv", "Sequence,Value_Dev,value_hk", sequences, values, values[::-1]))
    assert two.label_names == ("dev", "hk")
    whole, _ = two.in_order()
    np.testing.assert_allclose(whole.labels, np.stack([values, values[::-1]], axis=1))
    labelled = fb.load_task(write(tmp_path / "both.csv", "sequence,label,value", sequences, [0, 1] * 80, values))
    assert labelled.card.target == "classes"


@pytest.mark.parametrize(
    ("cell", "words"), [("", "the row has no value"), ("nan", "no value"), ("high", "'high' is no number")]
)
def test_a_value_that_is_none_is_named_with_its_row(tmp_path: Path, cell: str, words: str) -> None:
    sequences, values = rows(20)
    texts = [str(v) for v in values]
    texts[6] = cell
    with pytest.raises(DataError, match=words) as refused:
        fb.load_task(write(tmp_path / "x.csv", "sequence,value", sequences, texts))
    assert "row 8 (the header is row 1)" in str(refused.value)


def test_a_file_of_numbers_runs_through_everything(tmp_path: Path) -> None:
    path = write(tmp_path / "gc.csv", "sequence,value", *rows())
    models = ["kmer", "trivial", "nn-overlap", "majority", "findna-tiny@random"]
    for protocol in ("probe", "knn"):
        found = fb.run(models, [path], protocol=protocol, seeds=2, output_dir=tmp_path / "r")
        for result in found:
            skipped = protocol == "knn" and result.model.name == "cnn"
            assert result.status == ("skipped" if skipped else "success"), result.error
            assert set(result.metrics.all) == {"spearman", "pearson", "r2", "rmse", "mae"}
        best = {r.model.name: r for r in found}
        assert best["trivial"].metrics.main.value > 0.85
        assert best["majority"].metrics.main.value is None
        assert best["majority"].metrics.all["r2"] == pytest.approx(0.0, abs=0.15)
        if protocol == "probe":
            assert best["kmer"].metrics.main.value > 0.8
            assert best["kmer"].validation["metrics"]["learned"] is True
    assert not verify(tmp_path / "r").findings
    store = ResultStore(tmp_path / "r")
    board = leaderboard(store.load(), predictions=store.predictions, metric="rmse")
    shown = {row.model: format_entry(row.entries["adhoc/gc"]) for row in board.tables[0].rows}
    spread = float(np.std(fb.load_task(path).load("test").labels))
    assert float(shown["majority"].split()[0].partition("\n")[0]) == pytest.approx(spread, rel=0.15)


def test_ridge_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for n, d in ((300, 30), (40, 90)):
        features = rng.normal(size=(n, d)).astype(np.float32) + 5
        truth = np.stack([features[:, 0] * 3 + rng.normal(size=n), 1e3 + 1e-3 * rng.normal(size=n)], axis=1)
        splits = [SeedSplit(s, *np.split(rng.permutation(n), [n - n // 5])) for s in range(3)]
        for head, split in zip(fit_ridge(features, truth, splits), splits, strict=True):
            x, y = features[split.train].astype(float), truth[split.train]
            z = (x - x.mean(0)) / x.std(0)
            model = Ridge(alpha=head.settings["strength"] * len(x)).fit(z, (y - y.mean(0)) / y.std(0))
            expected = model.predict((features - x.mean(0)) / x.std(0)) * y.std(0) + y.mean(0)
            np.testing.assert_allclose((head.predict_scores(features) - expected) / truth.std(0), 0, atol=1e-8)


def test_numbers_are_split_and_audited(tmp_path: Path) -> None:
    sequences, values = rows(300)
    path = write(tmp_path / "gc.csv", "sequence,value", sequences, values)
    (result,) = fb.run(["trivial"], [path], split="grouped", seeds=1, output_dir=tmp_path / "r")
    assert result.status == "success"
    assert result.metrics.main.value > 0.7
    report = fb.audit(path)
    assert report.labels[0].startswith("value up to ")
    assert report.controls["composition-trees"].accuracy > 0.7
    other = np.random.default_rng(1).normal(size=300)
    several = fb.audit(write(tmp_path / "two.csv", "sequence,value_a,value_b", sequences, values, other))
    assert several.labels == ("a", "b")
    of_a = {name: control.accuracy for name, control in several.outputs["a"].controls.items()}
    assert of_a == {name: control.accuracy for name, control in report.controls.items()}
    assert several.outputs["b"].controls["composition-trees"].accuracy < 0.65
    assert several.verdict.sentences[0].startswith("a: note. ")
    assert several.verdict.sentences[1].startswith("b: ")


def test_what_does_not_predict_numbers_is_skipped_with_a_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "gc.csv", "sequence,value", *rows(60))
    (network,) = fb.run(["cnn"], [path], seeds=1, output_dir=tmp_path / "r")
    assert (network.status, network.error.message) == ("skipped", "cnn predicts classes, not values")
