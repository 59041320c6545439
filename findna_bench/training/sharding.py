"""An encoder that several processes share: parameters, gradients and optimiser state in parts, by PyTorch's fully sharded data parallelism.

``torch.distributed.fsdp.fully_shard`` (FSDP2) leaves each process its part of every parameter. A block is gathered whole when its forward or
backward pass begins, and is in parts again when that ends; its gradients are added up over the processes and kept in parts. So forward and
backward passes are talks among all processes, which have to take the same number of them in the same order (:class:`LockStep`).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.utils import _pytree

from findna_bench.errors import ModelError, RanksError, UnsupportedError
from findna_bench.models.backbone import Backbone, Encoding
from findna_bench.training.ranks import GONE, Ranks

__all__ = [
    "SHARDED_FROM",
    "LockStep",
    "SharedWeights",
    "as_part",
    "gathered",
    "is_part",
    "others_may_be_gone",
    "outline",
    "own_part",
    "own_values",
    "shard_encoder",
    "sharding_blocks",
    "shards",
    "take_part",
]

SHARDED_FROM = 1_000_000_000
"""Parameters above which several processes share an encoder unless they are told otherwise: its weights, gradients and the two
averages of AdamW take 16 GB in float32, and a copy of each in every process is what does not fit."""

_ON_CPU_FROM = (2, 8)
"""The first torch whose ``fully_shard`` computes on a CPU: 2.6 raises an AttributeError there, and 2.7 ends the process in the first optimiser step."""
_PROBE = "ACGT" * 8
"""What is read to see how an encoder computes."""


def shards(choice: str, ranks: Ranks, n_parameters: int) -> bool:
    """Whether the processes share an encoder of so many parameters. choice: ``auto``, ``on`` or ``off``."""
    return ranks.world > 1 and (choice == "on" or (choice == "auto" and n_parameters > SHARDED_FROM))


# ----------------------------------------------------------------------------------------------- weights between fits


class SharedWeights:
    """The weights of an encoder, of which each process keeps its part; a whole network is made of them when one is needed.

    Args:
        backbone: with all weights, the same ones in every process. It is not held on to.
        ranks: the processes.
    """

    def __init__(self, backbone: Backbone, ranks: Ranks) -> None:
        self._ranks = ranks
        empty = {id(p): nn.Parameter(p.to("meta"), requires_grad=p.requires_grad) for p in backbone.parameters()}
        self._parts = [(empty[id(p)], _flat_part(p.detach(), ranks)) for p in backbone.parameters()]
        self.outline: Backbone = copy.deepcopy(backbone, dict(empty))
        """The network without its weights: parameters lie on the meta device, where they take no memory."""

    @property
    def nbytes(self) -> int:
        """Of the part that this process keeps."""
        return sum(part.nbytes for _, part in self._parts)

    def whole(self) -> Backbone:
        """A network of its own with all weights; every process asks for it at the same time."""
        made: dict[int, Any] = {}
        for empty, part in self._parts:
            flat = self._ranks.joined(part)[: empty.numel()]
            made[id(empty)] = nn.Parameter(flat.view(empty.shape), requires_grad=empty.requires_grad)
        return copy.deepcopy(self.outline, made)


def _flat_part(values: Tensor, ranks: Ranks) -> Tensor:
    """One of equally many numbers for each process, zeros at the end."""
    size = -(-values.numel() // ranks.world)
    part = values.new_zeros(size)
    own = values.reshape(-1)[ranks.rank * size : (ranks.rank + 1) * size]
    part[: len(own)] = own
    return part


# --------------------------------------------------------------------------------------------------- the shared encoder


def shard_encoder(backbone: Backbone, ranks: Ranks, device: torch.device, name: str) -> float:
    """Leave each process its part of the parameters; from here on every forward and backward pass is one of all processes.

    Args:
        backbone: with all weights, which are given up block by block. Its parameters are other objects afterwards.
        ranks: the processes.
        device: where it computes.
        name: of the model, for messages.

    Returns:
        What its gradients are to be multiplied by, so that they are sums over the processes.

    Raises:
        UnsupportedError: this torch cannot share on this device, or the encoder has parameters that cannot be shared, or reads those of a block outside of the block's forward pass.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if device.type == "cpu" and tuple(map(int, torch.__version__.split(".")[:2])) < _ON_CPU_FROM:
        raise UnsupportedError(
            f"torch {torch.__version__} shares an encoder among processes on GPUs only; on a CPU that takes torch 2.8 or later, or --shard off"
        )
    _know_encodings()
    blocks = sharding_blocks(backbone)
    before = _hidden(backbone)
    mesh = init_device_mesh(device.type, (ranks.world,))
    backbone.register_forward_hook(_without_views)  # before torch's own, which is to watch what this one returns
    try:
        for module in (*blocks, backbone):
            fully_shard(module, mesh=mesh, reshard_after_forward=True)
        with others_may_be_gone():
            same = torch.allclose(before, _hidden(backbone), rtol=1e-4, atol=1e-5)
            factor = _factor_to_sums(mesh, ranks, device)
    except RanksError:
        raise
    except Exception as error:  # torch has a type of its own for each kind of parameter and use that it does not share
        reason = " ".join(str(error).split())
        raise UnsupportedError(
            f"{name} cannot be shared by {ranks.world} processes ({type(error).__name__}: {reason[:200]}); say --shard off, or override "
            f"sharded_blocks of {_plain_name(backbone)}"
        ) from error
    if not same:
        raise UnsupportedError(
            f"{name} computes something else when {ranks.world} processes share it, so it reads parameters of a block outside of the block's "
            f"forward pass; say --shard off, or override sharded_blocks of {_plain_name(backbone)}"
        )
    return factor


def _factor_to_sums(mesh: Any, ranks: Ranks, device: torch.device) -> float:
    """What makes sums of what torch does to gradients: it divides them by the number of processes, but with gloo
    some versions (2.8) do not."""
    from torch.distributed.fsdp import fully_shard

    one = nn.Linear(1, 1, bias=False, device=device)
    fully_shard(one, mesh=mesh)
    one(torch.ones(1, 1, device=device)).sum().backward()
    assert one.weight.grad is not None
    found = float(ranks.total(own_values(one.weight.grad).sum().reshape(1)))
    return ranks.world / found


def sharding_blocks(backbone: Backbone) -> list[nn.Module]:
    """Those of :meth:`~findna_bench.models.backbone.Backbone.sharded_blocks` that can be gathered alone: each is called once in a forward pass,
    and has no parameter in common with the rest. What is in none of them is gathered for the whole pass.
    """
    everywhere = [id(p) for _, p in backbone.named_parameters(remove_duplicate=False)]
    calls: dict[int, int] = {}
    alone = []
    for block in dict.fromkeys(backbone.sharded_blocks()):
        own = [id(p) for _, p in block.named_parameters(remove_duplicate=False)]
        if own and all(everywhere.count(one) == own.count(one) for one in set(own)):
            alone.append(block)

    def count(module: nn.Module, *_: Any) -> None:
        calls[id(module)] = calls.get(id(module), 0) + 1

    hooks = [block.register_forward_hook(count) for block in alone]
    try:
        _hidden(backbone)
    finally:
        for hook in hooks:
            hook.remove()
    return [block for block in alone if calls.get(id(block)) == 1]


def _hidden(backbone: Backbone) -> Tensor:
    """Last hidden states of a short sequence."""
    was_training = backbone.training
    device = next(backbone.parameters()).device
    try:
        # Not in inference mode: memory for gathered parameters is made in the first pass, and has to serve training, too.
        with torch.no_grad():
            batch = backbone.eval().tokenize([_PROBE[: backbone.max_length]])
            tokens: Tensor = backbone(batch.to(device)).tokens
            return tokens
    finally:
        backbone.train(was_training)


def _plain_name(backbone: Backbone) -> str:
    """Of the class, which sharding puts one of its own before."""
    return type(backbone).__name__.removeprefix("FSDP")


def _know_encodings() -> None:
    """Let torch find the tensors in what a backbone returns: it watches for their gradients, with which the backward pass begins."""
    if Encoding not in _pytree.SUPPORTED_NODES:
        _pytree.register_pytree_node(
            Encoding,
            lambda made: ([made.tokens, made.summary, None if made.layers is None else dict(made.layers)], None),
            lambda parts, _: Encoding(*parts),
        )


def _without_views(_: nn.Module, arguments: Any, made: Encoding) -> Encoding:
    """Last hidden states in memory of their own: whoever changes a view in place takes from torch what it watches to begin the backward pass."""
    return replace(made, tokens=made.tokens.clone()) if torch.is_grad_enabled() and made.tokens._is_view() else made


class LockStep:
    """Forward passes of a shared encoder, which all processes take together: before each of them they tell one another whether they have something
    to compute. Who has nothing left computes something that counts for nothing, until all are through.

    Args:
        backbone: what :func:`shard_encoder` has shared.
        ranks: the processes.
        device: where they talk.
    """

    def __init__(self, backbone: Backbone, ranks: Ranks, device: torch.device) -> None:
        self._ranks, self._device = ranks, device
        self._idle = self._within = self._ended = False
        backbone.register_forward_pre_hook(self._begin, prepend=True)
        backbone.register_forward_hook(self._computed)

    def catch_up(self, idle_pass: Callable[[], None]) -> None:
        """Take part in the passes that other processes still have to compute.

        Raises:
            ModelError: one of them has failed. RanksError: one is gone.
        """
        while self._tell(working=False):
            self._idle = True
            try:
                with others_may_be_gone():
                    idle_pass()
            finally:
                self._idle = False
            self.passed()

    def passed(self) -> None:
        """Say that a pass, backward included, is through."""
        self._within = False

    def fail(self) -> None:
        """Tell the others that this process has failed, where they listen; within a pass they do not."""
        if not self._within and not self._ended:
            with contextlib.suppress(ModelError, RanksError):
                self._tell(working=False, failed=True)

    def _begin(self, *_: Any) -> None:
        if not self._idle:
            self._tell(working=True)
        self._within = True
        if torch.is_autocast_enabled(self._device.type):
            # It would keep a short copy of every weight until the pass is through; the setting ends with the surrounding autocast.
            torch.set_autocast_cache_enabled(False)

    def _computed(self, *_: Any) -> None:
        if not torch.is_grad_enabled():
            self._within = False

    def _tell(self, *, working: bool, failed: bool = False) -> bool:
        """Whether any process has something to compute."""
        self._ended = True  # unless all are there, and none has failed
        counts = self._ranks.total(torch.tensor([float(working), float(failed)], device=self._device)).tolist()
        self._ended = bool(counts[1])
        if self._ended:
            raise ModelError(f"one of {self._ranks.world} processes failed in this step")
        return bool(counts[0])


@contextlib.contextmanager
def others_may_be_gone() -> Iterator[None]:
    """What torch says within a pass of a process that is gone, in a sentence.

    Raises:
        RanksError: one is.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise RanksError(GONE) from error
        raise


# ------------------------------------------------------------------------------------------------- parts and wholes


class Absent(NamedTuple):
    """Stands for numbers that the first process has."""

    shape: tuple[int, ...]
    dtype: torch.dtype


def is_part(value: Any) -> bool:
    """Whether of this tensor each process has a part."""
    from torch.distributed.tensor import DTensor

    return isinstance(value, DTensor)


def as_part(own: Tensor, like: Tensor) -> Tensor:
    """What this process has of numbers that are shared as a parameter is, as a part of the whole; for a parameter that is not shared, as it is."""
    from torch.distributed.tensor import DTensor

    if not isinstance(like, DTensor) or own.shape != like.to_local().shape:
        return own
    return DTensor.from_local(
        own, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
    )


def gathered(value: Any, ranks: Ranks) -> Any:
    """Nested mappings and lists with what is in parts made whole, in the main memory of the first process; the others have
    :class:`Absent` there. One tensor after the other is whole in all of them while it is gathered.
    """
    if is_part(value):
        with others_may_be_gone():
            whole = value.detach().full_tensor()
        return whole.cpu() if ranks.first else Absent(tuple(whole.shape), whole.dtype)
    if isinstance(value, Tensor):
        return value.detach().cpu() if ranks.first else Absent(tuple(value.shape), value.dtype)
    if isinstance(value, Mapping):
        return {name: gathered(part, ranks) for name, part in value.items()}
    if isinstance(value, list):
        return [gathered(part, ranks) for part in value]
    return value


def outline(value: Any) -> Any:
    """The same without tensors, which become :class:`Absent`."""
    if isinstance(value, Tensor):
        return Absent(tuple(value.shape), value.dtype)
    if isinstance(value, Mapping):
        return {name: outline(part) for name, part in value.items()}
    if isinstance(value, list):
        return [outline(part) for part in value]
    return value


def own_part(value: Tensor | Absent, like: Tensor, ranks: Ranks) -> Tensor:
    """Of numbers that the first process has, what belongs to this one: its part where ``like`` is shared and of their shape, else all of them, on
    the CPU.

    Args:
        value: the numbers; in other processes what stands for them.
        like: a parameter, or its like.
        ranks: the processes.
    """
    from torch.distributed.tensor import DTensor

    device = like.device
    shape, dtype = (tuple(value.shape), value.dtype)
    whole = value.to(device) if isinstance(value, Tensor) else torch.empty(shape, dtype=dtype, device=device)
    whole = ranks.from_first_tensor(whole.contiguous())
    if not isinstance(like, DTensor) or tuple(like.shape) != shape:
        return whole.cpu()
    chunks = whole.chunk(ranks.world)
    own = chunks[ranks.rank] if ranks.rank < len(chunks) else whole[:0]
    return own.clone()


def own_values(values: Tensor) -> Tensor:
    """What of a tensor lies in this process; it shares memory with it."""
    from torch.distributed.tensor import DTensor

    return values.to_local() if isinstance(values, DTensor) else values


def take_part(target: Tensor, value: Tensor | Absent, ranks: Ranks) -> None:
    """Put what :func:`own_part` gives into ``target``, a parameter or buffer."""
    with torch.no_grad():
        own_values(target).copy_(own_part(value, target, ranks))
