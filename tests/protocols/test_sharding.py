"""Encoders that processes share: the numbers of one process, parts instead of copies, and a sentence where it cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sharding_worker import Strange, encoders, of
from test_fine_tuning import chordmixer
from torch import nn

import findna_bench.api as fb
from findna_bench.errors import ModelError, RanksError, UsageError
from findna_bench.models.backbone import Encoding, TokenBatch
from findna_bench.models.embedding import embed
from findna_bench.requests.declarations import identity_options, recorded, request_id_options
from findna_bench.requests.run_request import RunRequest
from findna_bench.training.ranks import Ranks
from findna_bench.training.sharding import (
    SHARDED_FROM,
    Absent,
    LockStep,
    SharedWeights,
    gathered,
    outline,
    sharding_blocks,
    shards,
)

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("sharding_worker.py")
ROUNDING = 1e-6


def by_two(scenario: str, folder: Path) -> dict[str, Any]:
    """What two processes find together."""
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(WORKER), scenario, str(folder)]
    path = os.pathsep.join([*map(str, (ROOT, ROOT / "plugins", ROOT / "baselines")), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / f"{scenario}.json").read_text())
    return found


# ------------------------------------------------------------------------------------------------- without processes


def test_processes_share_large_encoders_unless_they_are_told_otherwise() -> None:
    two = Ranks(0, 2)
    large = SHARDED_FROM + 1
    asked = [(choice, n) for choice in ("auto", "on", "off") for n in (1000, SHARDED_FROM, large)]
    assert [shards(choice, two, n) for choice, n in asked] == [False, False, True] + [True] * 3 + [False] * 3
    assert not any(shards(choice, Ranks(), n) for choice, n in asked)


def test_the_option_is_on_record_and_in_no_identity() -> None:
    requests = [
        RunRequest(models="findna-tiny", tasks="demo/species4", world_size=2, shard=choice)
        for choice in ("auto", "on", "off")
    ]
    assert [recorded(request)["shard"] for request in requests] == ["auto", "on", "off"]
    assert len({json.dumps(identity_options(request)) for request in requests}) == 1
    assert len({json.dumps(request_id_options(request)) for request in requests}) == 1
    with pytest.raises(UsageError, match="choose one of auto, on, off"):
        RunRequest(models="findna-tiny", tasks="demo/species4", shard="yes")


def test_one_process_has_nobody_to_share_with(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--shard on: one process has nobody .* `torchrun --nproc-per-node N"):
        fb.run("findna-tiny", "demo/species4", protocol="finetune", shard="on", output_dir=tmp_path)


def test_blocks_are_what_can_be_gathered_alone(tmp_path: Path) -> None:
    found = {name: len(sharding_blocks(model.backbone)) for name, model in encoders(tmp_path)}
    assert found == {
        "hyenadna": 2,
        "chordmixer": 0,  # reads the weights of its blocks without calling them
        "transformer": 3,
        "gated": 3,
        "dnabert2": 3,
        "nucleotide-transformer-v2": 3,
        "nucleotide-transformer": 2,
        "caduceus": 2,
        "tied": 0,
        "twice": 1,
    }


def test_blocks_are_found_in_lists_of_lists_and_where_a_backbone_says() -> None:
    assert len(chordmixer().backbone.sharded_blocks()) == 6

    class Own(Strange):
        def sharded_blocks(self) -> list[nn.Module]:
            return [self.layers[1]]

    network = Own("plain")
    assert sharding_blocks(network) == [network.layers[1]]


def test_weights_in_parts_make_a_network_of_its_own(tmp_path: Path) -> None:
    for _, model in encoders(tmp_path):
        parts = SharedWeights(model.backbone, Ranks())
        assert all(parameter.is_meta for parameter in parts.outline.parameters())
        whole, batch = parts.whole(), model.backbone.tokenize(["ACGTTGCA", "ACG"])
        with torch.inference_mode():
            assert torch.equal(whole(batch).tokens, model.backbone(batch).tokens)
        assert [name for name, _ in whole.named_parameters()] == [n for n, _ in model.backbone.named_parameters()]
        with torch.no_grad():
            next(whole.parameters()).zero_()
        assert next(model.backbone.parameters()).any()
        assert next(parts.whole().parameters()).any()


class Told(Ranks):
    """The first of two processes; what the other one says is written down: (working, failed)."""

    def __init__(self, *others: tuple[float, float]) -> None:
        super().__init__(0, 2)
        object.__setattr__(self, "others", list(others))

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return values + torch.tensor(self.others.pop(0))  # type: ignore[attr-defined]


def lockstep(*others: tuple[float, float]) -> tuple[LockStep, nn.Module, Told]:
    network, ranks = nn.Linear(2, 2), Told(*others)
    return LockStep(network, ranks, torch.device("cpu")), network, ranks  # type: ignore[arg-type]


def test_who_is_through_computes_as_often_as_the_others() -> None:
    steps, network, ranks = lockstep((1, 0), (1, 0), (1, 0), (0, 0))
    network(torch.zeros(1, 2))
    steps.passed()
    idle = []
    steps.catch_up(lambda: idle.append(network(torch.zeros(1, 2))))
    assert len(idle) == 2
    assert not ranks.others  # type: ignore[attr-defined]


def test_a_failure_is_told_between_passes_and_not_within_one() -> None:
    steps, network, ranks = lockstep((1, 0), (0, 1), (0, 0))
    network(torch.zeros(1, 2))
    steps.fail()  # the others compute the blocks of this pass, and hear nothing
    assert len(ranks.others) == 2  # type: ignore[attr-defined]
    steps.passed()
    with pytest.raises(ModelError, match="one of 2 processes failed"):
        network(torch.zeros(1, 2))
    steps.fail()  # everybody knows
    assert len(ranks.others) == 1  # type: ignore[attr-defined]


def test_the_first_process_alone_has_what_is_whole() -> None:
    state = {"step": 3, "network": {"weight": torch.arange(4.0)}, "groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]}
    assert gathered(state, Ranks(0, 2))["network"]["weight"].tolist() == [0, 1, 2, 3]
    expected = {**state, "network": {"weight": Absent((4,), torch.float32)}}
    assert gathered(state, Ranks(1, 2)) == expected
    assert outline(state) == expected


def test_a_shared_batch_that_does_not_fit_is_not_divided() -> None:
    class Greedy(Strange):
        def forward(self, batch: TokenBatch, *, layers: Any = None) -> Encoding:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model = replace(of(Greedy("plain")), shared=True)
    with pytest.raises(RanksError, match=r"processes that share an encoder cannot divide a batch .* --batch-size N"):
        embed(model, ["ACGT", "ACGA"])


# ---------------------------------------------------------------------------------------------------- two processes


@pytest.mark.long
@pytest.mark.parametrize("scenario", ["encoders", "settings"])
def test_two_processes_that_share_an_encoder_give_the_numbers_of_one(scenario: str, tmp_path: Path) -> None:
    found = by_two(scenario, tmp_path)
    if scenario == "settings":
        assert found.pop("weights in parts")["equal"]
        of_steps = found.pop("norms")
        assert len(of_steps["alone"]) == 4
        assert of_steps["shared"] == pytest.approx(of_steps["alone"], rel=1e-5)
    assert len(found) == (10 if scenario == "encoders" else 16)
    for name, differences in found.items():
        assert differences["loss"] < ROUNDING, name
        assert differences["scores"] < ROUNDING, name
    if scenario == "settings":
        assert 2 < found["early stopping"]["steps"] < 8  # it ended before the last epoch, in both


@pytest.mark.long
def test_each_of_two_processes_holds_half_and_no_whole_copy_between_steps(tmp_path: Path) -> None:
    found = by_two("memory", tmp_path)
    whole = found["whole"]
    assert len(found["of each"]) == 2
    for own in found["of each"]:
        assert own["in parts"] == pytest.approx(whole / 2, rel=0.01)
        assert len(own["steps"]) == 3
        for step in own["steps"]:
            assert step["parameters"] == pytest.approx(whole / 2, rel=0.01)
            assert step["moments"] == pytest.approx(whole, rel=0.01)  # half of two averages
            # All tensors that came with the training: a whole copy of the weights would make it 2.5.
            assert step["live"] < 1.6 * whole


@pytest.mark.long
def test_what_cannot_be_shared_says_so_in_a_sentence(tmp_path: Path) -> None:
    found = by_two("refused", tmp_path)
    for kind, reason in (("outside", "mixed torch.Tensor and DTensor"), ("scalar", "scalar parameters")):
        assert found[kind].startswith("UnsupportedError: ")
        assert "cannot be shared by 2 processes" in found[kind]
        assert reason in found[kind]
        assert found[kind].endswith("say --shard off, or override sharded_blocks of Strange")


@pytest.mark.long
def test_a_shared_training_goes_on_from_its_checkpoint_shared_or_not(tmp_path: Path) -> None:
    found = by_two("checkpoints", tmp_path)
    assert {name: one["first step"] for name, one in found.items()} == dict.fromkeys(found, 11)
    assert found["same"]["equal"]
    for name in ("to copies", "from copies"):
        assert found[name]["loss"] < ROUNDING, name
        assert found[name]["scores"] < ROUNDING, name
