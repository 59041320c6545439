"""Numbers and labels predicted by a network that is trained on them, and fine-tuning over all folds of a split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_labels import named, planted, write
from test_per_base import drawn
from test_per_base import write as states_file
from torch.nn import functional

import findna_bench as fb
from findna_bench.errors import ConfigError
from findna_bench.matrix.verification import verify
from findna_bench.protocols.finetune import _windows
from findna_bench.protocols.settings import FINETUNE_PRESETS, FineTuning, preset_settings
from findna_bench.results.store import ResultStore
from findna_bench.targets.classes import Classes
from findna_bench.targets.labels import Labels
from findna_bench.targets.values import Values

MODEL = "findna-tiny@random"
QUICK = FineTuning(lr=3e-3, epochs=6, batch_size=16)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FINETUNE_PRESETS, "default", QUICK)  # type: ignore[misc]
    monkeypatch.setitem(FINETUNE_PRESETS, "huber", replace(QUICK, loss="huber"))  # type: ignore[misc]


def test_numbers_far_from_zero_are_learned_and_given_in_their_own_units(tmp_path: Path) -> None:
    sequences, _ = planted(200)
    values = np.array([1e6 + 100.0 * sum(base in "GC" for base in s) for s in sequences])
    path = write(tmp_path / "x.csv", "sequence,value", sequences, values)
    found = {}
    for preset in ("default", "huber"):
        (result,) = fb.run([MODEL], [path], protocol="finetune", preset=preset, seeds=1, output_dir=tmp_path / preset)
        assert result.status == "success", result.error
        rows = ResultStore(tmp_path / preset).predictions(result)
        found[preset] = rows.scores
        assert result.metrics.all["r2"] > 0.5
        assert result.validation["metrics"]["learned"] is True
        assert np.abs(rows.scores - 1e6).max() < 1e4
    assert not np.allclose(found["default"], found["huber"])
    assert "loss" not in preset_settings(QUICK)


def test_labels_that_are_not_known_train_nothing() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    truth = torch.tensor([[1, 0, -1], [0, 1, 1], [-1, -1, -1], [1, 1, 0], [0, 0, 0], [1, -1, 0]], dtype=torch.int8)
    loss = Labels().loss(logits, truth)
    loss.backward()
    known = truth >= 0
    expected = functional.binary_cross_entropy_with_logits(logits[known], truth[known].float(), reduction="sum") / 3
    torch.testing.assert_close(loss, expected)
    assert (logits.grad[~known] == 0).all()
    assert (logits.grad[known] != 0).all()


def test_labels_are_fine_tuned(tmp_path: Path) -> None:
    sequences, truth = planted(200)
    cells = [["" if row % 9 == 0 else str(v) for row, v in enumerate(column)] for column in truth.T]
    path = write(tmp_path / "x.csv", "sequence,label_rich,label_tata", sequences, *cells)
    found = fb.run([MODEL, "kmer"], [path], protocol="finetune", seeds=1, output_dir=tmp_path / "r")
    assert [r.status for r in found] == ["success", "success"], [r.error for r in found]
    rows = ResultStore(tmp_path / "r").predictions(found[0])
    assert found[0].metrics.main.value > 0.6
    assert ((rows.scores > 0) & (rows.scores < 1)).all()
    assert not verify(tmp_path / "r").findings


def test_states_of_bases_are_fine_tuned_with_either_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, head in (("default", "linear"), ("conv", "conv")):
        monkeypatch.setitem(FINETUNE_PRESETS, name, replace(QUICK, head=head))  # type: ignore[misc,arg-type]
    sequences = drawn(60, longest=40)
    path = states_file(
        tmp_path / "x.csv", sequences, ["".join("sw"[base in "AT"] for base in sequence) for sequence in sequences]
    )
    options: dict = {"protocol": "finetune", "seeds": 1, "output_dir": tmp_path / "r"}
    for preset in ("default", "conv"):
        network, control = fb.run([MODEL, "base-context"], [path], preset=preset, **options)
        assert (network.status, control.status) == ("success", "success"), (network.error, control.error)
        assert network.metrics.all["base_mcc"] > 0.5
        assert network.validation["selected"]["head"] == preset.replace("default", "linear")
    assert not verify(tmp_path / "r").findings
    values, _ = planted(60)
    numbers = write(tmp_path / "y.csv", "sequence,value", values, [len(s) + i for i, s in enumerate(values)])
    (refused,) = fb.run([MODEL], [numbers], preset="conv", **options)
    assert refused.status == "skipped"
    assert refused.error.message.startswith(
        "--preset conv: its head reads the neighbours of a base, and values are not"
    )


def test_losses_of_a_target_are_found_by_name() -> None:
    truth = np.array([[1.0, 10.0], [3.0, 30.0]])
    values = Values()
    logits = torch.tensor([[0.0, 5.0], [1.0, 1.0]])
    squares = values.for_training(truth).loss(logits, torch.from_numpy(truth))
    assert float(squares) == pytest.approx((1 + 36 + 0 + 0) / 2)
    huber = values.for_training(truth, "huber").loss(logits, torch.from_numpy(truth))
    assert float(huber) == pytest.approx((0.5 + 5.5) / 2)
    np.testing.assert_allclose(values.for_training(truth).outputs(logits.numpy()), [[2, 70], [3, 30]])
    with pytest.raises(ConfigError, match="loss 'huber' is not for classes: there is one loss only"):
        Classes().for_training(np.array([0, 1]), "huber")


def test_fine_tuning_over_all_folds_is_each_fold_averaged(tmp_path: Path) -> None:
    sequences, truth = planted(90)
    classes = ["rich" if rich else "poor" for rich in truth[:, 0]]
    path = write(tmp_path / "x.csv", "sequence,label", sequences, classes)
    options = {"protocol": "finetune", "seeds": 1}
    (whole,) = fb.run([MODEL], [path], split="grouped:*/3", output_dir=tmp_path / "all", **options)
    assert whole.status == "success", whole.error
    each = [
        fb.run([MODEL], [path], split=f"grouped:{fold}/3", output_dir=tmp_path / "each", **options)[0]
        for fold in range(3)
    ]
    assert whole.metrics.main.value == pytest.approx(np.mean([r.metrics.main.value for r in each]), abs=1e-12)
    rows = ResultStore(tmp_path / "all").predictions(whole)
    parts = [ResultStore(tmp_path / "each").predictions(r) for r in each]
    np.testing.assert_array_equal(rows.scores, np.concatenate([part.scores for part in parts]))
    assert len(set(rows.ids.tolist())) == 90
    assert [fold["split"] for fold in whole.protocol.settings["cross_validation"]] == [r.task.split for r in each]
    assert not list((tmp_path / "all" / ".checkpoints").glob("*.pt"))
    (several,) = fb.run(
        [MODEL], [write(tmp_path / "l.csv", "sequence,labels", sequences, named(truth))], split="grouped:*/2",
        output_dir=tmp_path / "labels", **options,
    )  # fmt: skip
    assert several.status == "success", several.error


def variants(n: int = 160) -> list[tuple[str, int, str, str, str, str]]:
    """(sequence, offset, ref, alt, label, split): what a variant puts in decides, whatever surrounds it."""
    rng, rows = np.random.default_rng(4), []
    for number in range(n):
        window, offset = "".join(rng.choice(list("ACGT"), size=24)), int(rng.integers(24))
        strong = bool(number % 2)
        alt = str(rng.choice([base for base in ("GC" if strong else "AT") if base != window[offset]]))
        rows.append(
            (window, offset, window[offset], alt, "up" if strong else "down", "train" if number < 120 else "test")
        )
    return rows


def test_variants_are_fine_tuned_on_both_windows_through_one_network(tmp_path: Path) -> None:
    header = "sequence,offset,ref,alt,label,split\n"
    path = tmp_path / "v.csv"
    path.write_text(header + "".join(",".join(map(str, row)) + "\n" for row in variants()))
    models = [MODEL, "variant-substitution"]
    network, control = fb.run(models, [path], protocol="finetune", seeds=1, output_dir=tmp_path / "r")
    assert network.status == "success", network.error
    assert network.metrics.all["auroc"] > 0.7
    assert network.coverage.bases_total == network.coverage.bases_seen
    assert control.metrics.all["auroc"] > 0.9
    assert not verify(tmp_path / "r", rerun=1, places={"v.csv": path}).findings


def test_windows_of_variants_are_cut_around_their_site(tmp_path: Path) -> None:
    rows = [("A" * 400 + row[0] + "C" * 500, row[1] + 400, *row[2:]) for row in variants()]
    path = tmp_path / "v.csv"
    header = "sequence,offset,ref,alt,label,split\n"
    path.write_text(header + "".join(",".join(map(str, row)) + "\n" for row in rows))
    preset = replace(QUICK, max_length=40)
    model = fb.load_model(MODEL, device="cpu")
    task = fb.load_task(path)
    read = _windows(_Held(model), preset, task.load("train"))  # type: ignore[arg-type]
    assert {len(text) for texts in read.texts for text in texts} == {40}
    for (one, other), row in zip(read.texts, rows, strict=False):
        assert sum(a != b for a, b in zip(one, other, strict=True)) == 1
        assert one[20] == row[2]
        assert other[20] == row[3]


class _Held:
    def __init__(self, model: fb.LoadedModel) -> None:
        self._model = model

    def encoder(self) -> fb.LoadedModel:
        return self._model
