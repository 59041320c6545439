"""Variants with train rows: probed, fine-tuned and compared with their nearest, on any combination of both windows' vectors, and few at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from test_zero_shot import HEADER, substitutions, windows, write

import findna_bench as fb
from findna_bench.cards import COMBINATIONS
from findna_bench.errors import UsageError
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix.verification import verify
from findna_bench.results.store import ResultStore

NETWORK: dict[str, Any] = {"seeds": 1, "device": "cpu", "sanity": False}
SPLITS = ["train"] * 6 + ["validation"] * 2 + ["test"] * 4


def rows_of(label: str) -> list[list[object]]:
    """12 elements of 10 variants; a transition is of the one class."""
    rows = substitutions(windows(12, length=40), per_element=10)
    found = []
    for row in rows:
        transition = {str(row[2]), str(row[3])} in ({"A", "G"}, {"C", "T"})
        value = ("ts" if transition else "tv") if label == "label" else row[4]
        found.append([*row[:4], value, row[5], SPLITS[int(str(row[5])[1:])]])
    return found


def file_of(path: Path, label: str) -> Path:
    return write(path, rows_of(label), [*HEADER[:4], label, "element", "split"])


def vectors(rows: list[list[object]]) -> tuple[np.ndarray, np.ndarray]:
    """Of the windows with the reference, and with the alternative."""
    model = fb.load_model("findna-tiny", weights="random", device="cpu")
    pairs = [(str(w), str(w)[: int(str(o))] + str(alt) + str(w)[int(str(o)) + 1 :]) for w, o, _, alt, *_ in rows]
    one, two = (fb.embed(model, [pair[side] for pair in pairs]).astype(np.float64) for side in (0, 1))
    return one, two


def combined(name: str | None, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    parts = {
        None: (a, b - a),
        "concat": (a, b),
        "difference": (b - a,),
        "absdiff_product": (np.abs(a - b), a * b),
        "concat_absdiff_product": (a, b, np.abs(a - b), a * b),
    }[name]
    return np.concatenate(parts, axis=1)


def predicted(folder: Path, result: fb.Result) -> np.ndarray:
    return ResultStore(folder).predictions(result).scores


@pytest.mark.parametrize(
    "name",
    [
        None,
        *(
            pytest.param(name, marks=[] if name in ("difference", "absdiff_product") else pytest.mark.long)
            for name in COMBINATIONS
        ),
    ],
)
def test_a_probe_and_the_nearest_read_the_named_combination(name: str | None, tmp_path: Path) -> None:
    rows = rows_of("label")
    task, split = file_of(tmp_path / "v.csv", "label"), np.array([str(row[6]) for row in rows])
    truth = np.array([str(row[4]) == "tv" for row in rows])
    x = combined(name, *vectors(rows))
    options = NETWORK | ({} if name is None else {"combination": name})
    (probed,) = fb.run(["findna-tiny@random"], [task], output_dir=tmp_path / "r", **options)
    assert probed.status == "success", probed.error
    assert probed.protocol.settings.get("combination") == name
    train, test = split == "train", split == "test"
    mean, scale = x[train].mean(axis=0), x[train].std(axis=0)
    scale[scale < 1e-6 * np.median(scale)] = np.inf
    strength = 1 / (probed.validation["selected"]["strength"] * train.sum())
    theirs = LogisticRegression(C=strength, tol=1e-10, max_iter=5000).fit((x[train] - mean) / scale, truth[train])
    expected = theirs.predict_proba((x[test] - mean) / scale)
    np.testing.assert_allclose(predicted(tmp_path / "r", probed), expected, atol=5e-3)
    (near,) = fb.run(["findna-tiny@random"], [task], protocol="knn", output_dir=tmp_path / "k", **options)
    assert near.status == "success", near.error
    distances = ((x[test][:, None] - x[train][None]) ** 2).sum(axis=2)
    votes = truth[train][np.argsort(distances, axis=1)[:, :5]].mean(axis=1)
    found = predicted(tmp_path / "k", near)[:, 1]
    assert (np.abs(found - votes) < 1e-3).mean() > 0.9  # but for equal distances
    assert set(near.metrics.groups) == {"e8", "e9", "e10", "e11"}


def test_values_of_the_nearest_and_controls_beside_them(tmp_path: Path) -> None:
    task = file_of(tmp_path / "v.csv", "value")
    models = ["findna-tiny@random", "variant-substitution", "class-rate"]
    results = fb.run(models, [task], protocol="knn", output_dir=tmp_path / "r", **NETWORK)
    assert [result.status for result in results] == ["success"] * 3
    rows = rows_of("value")
    split, values = np.array([str(row[6]) for row in rows]), np.array([float(str(row[4])) for row in rows])
    x = combined(None, *vectors(rows))
    distances = ((x[split == "test"][:, None] - x[split == "train"][None]) ** 2).sum(axis=2)
    means = values[split == "train"][np.argsort(distances, axis=1)[:, :5]].mean(axis=1)
    assert (np.abs(predicted(tmp_path / "r", results[0])[:, 0] - means) < 1e-3).mean() > 0.9
    assert not verify(tmp_path / "r").findings


def test_few_shots_of_variants_are_rows_of_each_class_or_in_all(tmp_path: Path) -> None:
    models = ["findna-tiny@random", "variant-substitution"]
    for label, seen in (("label", 8), ("value", 4)):
        task = file_of(tmp_path / f"{label}.csv", label)
        for protocol in ("probe", "knn"):
            for result in fb.run(models, [task], protocol=protocol, shots=(4,), output_dir=tmp_path / "r", **NETWORK):
                assert result.status == "success", result.error
                settings = result.protocol.settings
                assert settings["train_rows"] + settings["validation_rows"] == seen
    assert not verify(tmp_path / "r").findings


def test_results_of_two_combinations_are_not_one_and_are_computed_again_alike(tmp_path: Path) -> None:
    task = file_of(tmp_path / "v.csv", "label")
    found = [
        *fb.run(["findna-tiny@random"], [task], output_dir=tmp_path / "r", **NETWORK),
        *fb.run(["findna-tiny@random"], [task], output_dir=tmp_path / "r", combination="difference", **NETWORK),
    ]
    assert len({result.identity for result in found}) == len({result.request_id for result in found}) == 2
    checked = verify(tmp_path / "r", rerun=2, places={"v.csv": task})
    assert (checked.findings, checked.rerun) == ((), 2)
    store = ResultStore(tmp_path / "r")
    (table,) = leaderboard(store.load(), predictions=store.predictions).tables
    assert len(table.rows) == 2
    assert "difference" in render_markdown(leaderboard(store.load(), predictions=store.predictions))


def test_one_network_is_tuned_on_the_named_combination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from findna_bench.protocols.finetune import FineTune
    from findna_bench.protocols.settings import FineTuning

    monkeypatch.setitem(FineTune.presets, "short", FineTuning(lr=1e-3, epochs=1, batch_size=20))  # type: ignore[index]
    task = file_of(tmp_path / "v.csv", "label")
    scores = []
    for name in (None, "difference"):
        options = NETWORK | ({} if name is None else {"combination": name})
        folder = tmp_path / str(name)
        (result,) = fb.run(
            ["findna-tiny@random"],
            [task],
            protocol="finetune",
            preset="short",
            executor="serial",
            output_dir=folder,
            **options,
        )
        assert result.status == "success", result.error
        assert result.protocol.settings.get("combination") == name
        scores.append(predicted(folder, result))
    assert not np.allclose(scores[0], scores[1])


def test_a_combination_has_no_meaning_without_vectors_to_combine(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="--combination concat: --protocol zero_shot compares both windows of a variant"
    ):
        fb.run(
            ["findna-tiny@random"],
            [file_of(tmp_path / "v.csv", "value")],
            protocol="zero_shot",
            combination="concat",
            output_dir=tmp_path / "r",
        )
