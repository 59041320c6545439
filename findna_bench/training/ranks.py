"""Several processes that train one network, as ``torchrun`` starts them; one process is the same thing with nobody to talk to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from findna_bench.errors import ModelError, RanksError
from findna_bench.torchrun import world_size

__all__ = ["GONE", "Ranks", "process_group", "ranks_at_work"]

GONE = "another process of torchrun is gone; start the same command again: finished work stays, and training goes on from its checkpoint"


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
            with _talking():
                for tensor in (*module.parameters(), *module.buffers()):
                    dist.broadcast(tensor.data, 0)

    def sum_gradients(self, parameters: Iterable[Tensor], *, failed: bool = False) -> None:
        """Add up gradients over processes in one message; a parameter without one counts as zero.

        Args:
            parameters: whose gradients, the same in every process.
            failed: that this process has none, and says so to the others.

        Raises:
            ModelError: one has failed. RanksError: one is gone.
        """
        if self.world == 1:
            return
        wanted = list(parameters)
        parts = [(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in wanted]
        flat = torch.cat([*parts, parts[0].new_full((1,), float(failed))])
        with _talking():
            dist.all_reduce(flat)
        if bool(flat[-1]):
            raise ModelError(f"one of {self.world} processes failed in this step of training")
        for parameter, part in zip(wanted, flat[:-1].split([p.numel() for p in wanted]), strict=True):
            parameter.grad = part.view_as(parameter)

    def total(self, values: Tensor) -> Tensor:
        """Sum over processes."""
        if self.world > 1:
            with _talking():
                dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """What each process has, in the order of their numbers."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        with _talking():
            dist.all_gather_object(found, value)
        return found

    def joined(self, part: Tensor) -> Tensor:
        """The tensors of all processes, of one shape, one after the other along the first axis of a new one."""
        if self.world == 1:
            return part.clone()
        found = part.new_empty(self.world * len(part), *part.shape[1:])
        with _talking():
            dist.all_gather(list(found.chunk(self.world)), part)
        return found

    def from_first(self, value: Any) -> Any:
        """What the first process has, whatever it is."""
        if self.world == 1:
            return value
        found = [value]
        with _talking():
            dist.broadcast_object_list(found, 0)
        return found[0]

    def from_first_tensor(self, values: Tensor) -> Tensor:
        """The first process's numbers, in a tensor that every process has of that shape."""
        if self.world > 1:
            with _talking():
                dist.broadcast(values, 0)
        return values

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            with _talking():
                dist.barrier()


@contextlib.contextmanager
def _talking() -> Iterator[None]:
    """What a library says of a process that is gone, in a sentence.

    Raises:
        RanksError: one is.
    """
    try:
        yield
    except RuntimeError as error:
        raise RanksError(GONE) from error


def ranks_at_work() -> Ranks:
    """The processes of the group that this one is in, or this one alone."""
    if not dist.is_available() or not dist.is_initialized():
        return Ranks()
    return Ranks(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """The processes ``torchrun`` started (environment variables ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``), or this one alone."""
    if world_size() == 1:
        yield Ranks()
        return
    already = dist.is_initialized()
    if not already:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ranks_at_work()
    finally:
        if not already:
            dist.destroy_process_group()
