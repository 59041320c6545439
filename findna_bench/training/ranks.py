"""Several processes that train one network, as ``torchrun`` starts them; one process is the same thing with nobody to talk to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist

__all__ = ["Ranks", "process_group"]


@dataclass(frozen=True)
class Ranks:
    """rank: number of this process. world: how many there are. local: its number on this machine, i.e. its GPU."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def broadcast(self, module: nn.Module) -> None:
        """Give every process the first one's parameters and buffers."""
        if self.world > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.data, 0)

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Add up gradients over processes in one message; a parameter without one counts as zero."""
        if self.world == 1:
            return
        wanted = list(parameters)
        flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in wanted])
        dist.all_reduce(flat)
        for parameter, part in zip(wanted, flat.split([p.numel() for p in wanted]), strict=True):
            parameter.grad = part.view_as(parameter)

    def total(self, values: Tensor) -> Tensor:
        """Sum over processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """The processes ``torchrun`` started (environment variables ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``), or this one alone."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    already = dist.is_initialized()
    if not already:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))
    finally:
        if not already:
            dist.destroy_process_group()
