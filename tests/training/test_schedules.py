"""Learning rates, parameter groups, checkpoints and corpora."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from findna_bench.errors import OutputError
from findna_bench.training.corpus import SequenceRows
from findna_bench.training.schedules import learning_rate_factor, parameter_groups, set_learning_rate
from findna_bench.training.training_checkpoints import load_checkpoint, save_checkpoint


def test_the_cosine_is_that_of_timm() -> None:
    from timm.scheduler import CosineLRScheduler

    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=3e-4)
    timm = CosineLRScheduler(optimiser, t_initial=70, warmup_t=30, warmup_prefix=True, t_in_epochs=False)
    for step in range(100):
        timm.step_update(step)
        expected = optimiser.param_groups[0]["lr"]
        assert math.isclose(3e-4 * learning_rate_factor(step, 100, 30), expected, rel_tol=1e-6, abs_tol=1e-12)


def test_the_papers_run_warms_up_for_30_percent_of_78_100_steps() -> None:
    total = 50 * (100_000 // 64)
    assert total == 78_100
    assert learning_rate_factor(23_430, total, round(0.3 * total)) == 1.0
    assert learning_rate_factor(23_429, total, round(0.3 * total)) < 1.0
    assert learning_rate_factor(total, total, round(0.3 * total)) == 0.0


def test_other_shapes_and_groups() -> None:
    assert [learning_rate_factor(step, 10, 2, "linear") for step in (0, 1, 2, 6, 10)] == [0, 0.5, 1, 0.5, 0]
    assert learning_rate_factor(9, 10, 0, "constant") == 1.0
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    groups = parameter_groups(module, 0.1, decay_biases=False)
    decayed = {tuple(p.shape) for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {(4, 3)}
    assert len(parameter_groups(module, 0.1, decay_biases=True)[0]["params"]) == 4
    optimiser = torch.optim.AdamW(groups, lr=0.1)
    optimiser.add_param_group({"params": [nn.Parameter(torch.zeros(1))], "lr": 0.4})
    assert [set_learning_rate(optimiser, factor) for factor in (0.5, 1.0, 0.5)] == [0.05, 0.1, 0.05]
    assert [group["lr"] for group in optimiser.param_groups] == [0.05, 0.05, 0.2]


def test_a_checkpoint_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run" / "checkpoint.pt"
    assert load_checkpoint(path) is None
    save_checkpoint(path, {"step": 3, "weights": {"w": torch.ones(2)}})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(path, {"step": 4})
    state = load_checkpoint(path)
    assert state is not None
    assert state["step"] == 3
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(OutputError, match="remove it"):
        load_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(OutputError, match="remove it"):
        load_checkpoint(path)


def test_no_flipped_bit_of_a_checkpoint_is_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 3, "weights": {"w": torch.linspace(0, 1, 400)}})
    whole = path.read_bytes()
    for place in [*range(0, len(whole), 97), *range(len(whole) - 48, len(whole))]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(OutputError, match=r"damaged.*remove it"):
            load_checkpoint(path)
    path.write_bytes(whole)
    assert (load_checkpoint(path) or {})["step"] == 3


def test_rows_of_any_length_make_batches_without_padding() -> None:
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), size=n)) for n in rng.integers(5, 90, size=50)]
    corpus = SequenceRows(sequences, 60)
    epoch = corpus.epoch(np.random.default_rng(1), 8)
    assert epoch.shape == (6, 8)
    assert len(set(epoch.ravel().tolist())) == 48
    for rows in epoch:
        codes = corpus.batch(rows, np.random.default_rng(2))
        assert codes.shape[1] == min(60, *(len(sequences[i]) for i in rows))
        for row, code in zip(rows, codes, strict=True):
            assert "".join("ACGTN"[c] for c in code) in sequences[row]
