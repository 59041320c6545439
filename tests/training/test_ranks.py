"""Two processes of ``torchrun`` share gradients and numbers, hear of each other's faults, and each says in a sentence that the other is gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

PROCESS = """
import json
import os

import torch
from torch import nn

from findna_bench.errors import ModelError, RanksError
from findna_bench.training.ranks import Ranks, process_group, ranks_at_work

torch.set_num_threads(1)
alone = ranks_at_work()
with process_group(torch.device("cpu")) as ranks:
    number = float(ranks.rank)
    net = nn.Linear(2, 1)
    for parameter in net.parameters():
        nn.init.constant_(parameter, 3.0 + number)
    ranks.broadcast(net)
    found = {
        "alone": alone == Ranks(),
        "ranks": [ranks.rank, ranks.world, ranks.local, ranks.first, ranks == ranks_at_work()],
        "broadcast": [parameter.tolist() for parameter in net.parameters()],
        "total": ranks.total(torch.tensor([1.0, number])).tolist(),
        "gather": ranks.gather({"rank": ranks.rank}),
    }
    net.weight.grad = torch.tensor([[1.0, 10.0]]) * (1 + number)
    net.bias.grad = None if ranks.first else torch.tensor([5.0])
    ranks.sum_gradients(net.parameters())
    found["gradients"] = [parameter.grad.tolist() for parameter in net.parameters()]
    try:
        ranks.sum_gradients(net.parameters(), failed=ranks.first)
    except ModelError as error:
        found["failed"] = str(error)
    ranks.wait()
    if ranks.first:
        try:
            ranks.wait()
        except RanksError as error:
            found["gone"] = str(error)
    print(json.dumps(found), flush=True)
    os._exit(0)
"""


def test_two_processes_are_one_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank + 4)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        found = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    finally:
        for process in started:
            process.kill()
    assert found[0].pop("gone").startswith("another process of torchrun is gone; start the same command again: ")
    assert [one.pop("ranks") for one in found] == [[0, 2, 4, True, True], [1, 2, 5, False, True]]
    assert found[0] == found[1]
    assert found[0] == {
        "alone": True,
        "broadcast": [[[3.0, 3.0]], [3.0]],
        "total": [2.0, 1.0],
        "gather": [{"rank": 0}, {"rank": 1}],
        "gradients": [[[3.0, 30.0]], [5.0]],
        "failed": "one of 2 processes failed in this step of training",
    }
