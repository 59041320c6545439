"""What every backbone is to the harness: ``tokenize``, ``forward``, and where the numbers of a checkpoint go.

Shapes: B batch, T tokens, L bases, D channels, K summary vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from findna_bench.errors import ModelError, UnsupportedError, WeightsError
from findna_bench.plugin_code import fault_in_words

__all__ = ["Adapted", "Backbone", "Checkpoint", "Encoding", "TokenBatch"]


@dataclass(frozen=True)
class TokenBatch:
    """A batch of tokenized sequences, padded at the right.

    inputs: (B, T) integer ids, or (B, T, 5) one-hot / real-valued rows in the order A, C, G, T, N.
    mask: (B, T) bool, True where a token is not padding.
    special: (B, T) bool, True at [CLS], [SEP] and their like (False at padding).
    spans: (B, T) int, bases each token stands for (0 at special tokens and padding).
    lengths: (B,) int, bases per sequence before any truncation by the tokenizer.
    """

    inputs: Tensor
    mask: Tensor
    special: Tensor
    spans: Tensor
    lengths: Tensor

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> TokenBatch:
        """The same batch on ``device``."""
        moved = {name: getattr(self, name).to(device, non_blocking=non_blocking) for name in self.__dataclass_fields__}
        return replace(self, **moved)

    def __len__(self) -> int:
        return self.inputs.shape[0]


@dataclass(frozen=True)
class Encoding:
    """What a forward pass gives.

    tokens: (B, T, D) last hidden states. summary: (B, K, D) or None, summary tokens kept apart from the sequence.
    layers: None, or the hidden states asked for, as a mapping from layer number (0 = embedding output) to (B, T, D).
    """

    tokens: Tensor
    summary: Tensor | None = None
    layers: Mapping[int, Tensor] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read from disk by the harness: tensors only, nothing executed.

    tensors: flat name -> tensor (nested dictionaries are joined with dots).
    config: parsed ``config.json`` beside the weights, or None.
    extra: what the file held besides tensors (numbers, strings), flat.
    """

    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files that came with the weights by name, e.g. ``tokenizer.json``."""


@dataclass(frozen=True)
class Adapted:
    """A checkpoint translated into a backbone's own names.

    config: arguments of ``Backbone.from_config``. state: own parameter (or persistent buffer) name -> tensor, pretraining head
    included where the checkpoint has one (:attr:`Backbone.head_prefixes` tells them apart).
    ignored: upstream keys that are knowingly not used, with the reason; every key must be in ``used`` or ``ignored``.
    used: upstream keys that went into ``state``.
    """

    config: Mapping[str, Any]
    state: Mapping[str, Tensor]
    used: frozenset[str]
    ignored: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    """Which network of the checkpoint was taken (``teacher``, ``student``), where it holds several."""


class Backbone(nn.Module):
    """Base class of encoders.

    A subclass sets ``embed_dim`` (D), ``n_layers`` and ``max_length`` (bases, None = no limit) in ``__init__``, whose keyword
    arguments are the entries of a card's ``config``. It may be constructed on the meta device, so ``__init__`` must
    not compute with values; :meth:`reset_buffers` recomputes what is not in a checkpoint.

    Example:
        >>> class Letters(fb.Backbone):
        ...     def __init__(self, width: int = 8) -> None:
        ...         super().__init__()
        ...         self.embed_dim, self.n_layers, self.max_length = width, 0, None
        ...         self.embedding = torch.nn.Linear(5, width)
        ...
        ...     def tokenizer_digest(self):
        ...         return "one token per base"
        ...
        ...     def tokenize(self, sequences):
        ...         codes = torch.from_numpy(fb.encode_padded(sequences))
        ...         lengths = torch.tensor([len(sequence) for sequence in sequences])
        ...         mask = torch.arange(codes.shape[1])[None] < lengths[:, None]
        ...         return fb.TokenBatch(codes, mask, torch.zeros_like(mask), mask.long(), lengths)
        ...
        ...     def forward(self, batch, *, layers=None):
        ...         hidden = self.embedding(fb.one_hot(batch.inputs))  # of codes or rows
        ...         return fb.Encoding(hidden, layers=None if layers is None else {0: hidden})
        >>> network = Letters()
        >>> network(network.tokenize(["ACGT", "GATTACA"])).tokens.shape
        torch.Size([2, 7, 8])
    """

    causal: ClassVar[bool] = False
    """Whether a token sees only those before it."""
    tokenizer_files: ClassVar[tuple[str, ...]] = ()
    """Files the tokenizer needs, given to ``from_config`` as ``files``; empty where it is a rule in code."""
    optional_tokenizer_files: ClassVar[tuple[str, ...]] = ()
    """Files that replace the rule in code where they came with the weights; given to ``from_config`` with the others."""
    can_compile: ClassVar[bool] = True
    """Whether `torch.compile` may be used on it."""
    head_prefixes: ClassVar[tuple[str, ...]] = ()
    """Own names of pretraining-head parameters start so; they are not counted in ``n_parameters``."""
    published_as: ClassVar[tuple[str, ...]] = ()
    """``model_type`` and ``architectures`` of ``config.json`` files that this class reads; used by ``path:`` and ``hf:``."""

    tokens_per_base: ClassVar[float | None] = None
    """Tokens per base of ordinary sequence, where only a vocabulary file tells exactly; lets costs be measured without it."""

    mask_token: int | None = None
    """Id that hides a token from a masked language model (5 where tokens are codes of bases); set where the sanity check of
    loaded weights shall mask. A causal model, and one whose ``tokenize`` gives (B, T, 5) rows, needs none."""
    gradient_checkpointing: bool = False
    """Set to True to recompute blocks in the backward pass (less memory, more time); a backbone may ignore it."""
    embed_dim: int
    n_layers: int
    max_length: int | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> Backbone:
        """Build with ``config`` as keyword arguments; ``files`` are the tokenizer's, by name.

        Default: ``cls(**config)``, with ``files=files`` where :attr:`tokenizer_files` or its optional companion names any.

        Raises:
            ModelError: an argument is unknown or impossible.
        """
        arguments = dict(config) | (
            {"files": dict(files or {})} if cls.tokenizer_files or cls.optional_tokenizer_files else {}
        )
        try:
            return cls(**arguments)
        except (TypeError, ValueError) as error:
            raise ModelError(f"{cls.__name__} cannot be built: {fault_in_words(error, cls)}") from error

    @classmethod
    def adapt_checkpoint(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        """Translate a published checkpoint into this class's own sizes and parameter names.

        ``config`` holds the card's sizes; ``checkpoint.config`` overrides them where it is there.
        Default: the checkpoint is in this class's own names and of the card's sizes (:meth:`adapt_own`).

        Raises:
            WeightsError: a key is missing or unexpected (the message names it).
        """
        return cls.adapt_own(checkpoint, config, network)

    @classmethod
    def adapt_own(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        """Read a model folder written by this harness: parameters in this class's own names.

        ``checkpoint.config`` is the section ``findna_bench`` of its ``config.json`` (``config``: sizes; ``networks``: names of
        the networks whose parameters are stored below ``<network>.``, default first).

        Raises:
            WeightsError: no such network.
        """
        section = checkpoint.config or {}
        merged = {**config, **section.get("config", {})}
        networks = tuple(section.get("networks", ()))
        if not networks:
            if network is not None and network != section.get("network", network):
                raise WeightsError(f"{checkpoint.source} holds one network only, not {network!r}; leave out --network")
            state = dict(checkpoint.tensors)
            return Adapted(config=merged, state=state, used=frozenset(state), network=section.get("network", network))
        chosen = network or networks[0]
        if chosen not in networks:
            raise WeightsError(f"{checkpoint.source} holds no network {chosen!r}, only {', '.join(networks)}")
        used = {key: key.removeprefix(f"{chosen}.") for key in checkpoint.tensors if key.startswith(f"{chosen}.")}
        others = {
            key: f"belongs to the {name} network"
            for name in networks
            if name != chosen
            for key in checkpoint.tensors
            if key.startswith(f"{name}.")
        }
        state = {own: checkpoint.tensors[key] for key, own in used.items()}
        return Adapted(config=merged, state=state, used=frozenset(used), ignored=others, network=chosen)

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Whether this class reads checkpoints with this ``config.json``; default: :attr:`published_as` names it."""
        named = config.get("architectures") or ()
        names = {config.get("model_type"), *(named if isinstance(named, (list, tuple)) else (named,))}
        return not names.isdisjoint(cls.published_as)

    def reset_buffers(self) -> None:
        """Recompute buffers that checkpoints do not hold (position slopes, rotary tables, filters); called after loading."""

    def tokenizer_digest(self) -> str:
        """sha256 of everything that decides how sequences become tokens (rule version, vocabulary file)."""
        raise NotImplementedError

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        """Tokenize upper- or lower-case sequences over A, C, G, T, N; on the CPU, padded at the right."""
        raise NotImplementedError

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        """Hidden states; ``layers`` asks for intermediate ones too (0 = embedding output, ``n_layers`` = last)."""
        raise NotImplementedError

    def logits(self, batch: TokenBatch) -> Tensor:
        """(B, T, V) masked- or next-token logits, for sanity checks and continued pretraining; column i is the token with id i.

        Raises:
            UnsupportedError: this backbone has no pretraining head.
        """
        raise UnsupportedError(f"{type(self).__name__} has no pretraining head")

    def hidden_logits(self, sequences: Sequence[str], hidden: Sequence[Sequence[int]]) -> Tensor:
        """Logits at tokens that are hidden, for :meth:`log_likelihoods`. Override where they can be had for less than :meth:`logits` of whole rows.

        Args:
            sequences: of a batch; one may stand in it many times.
            hidden: of each, the places of the tokens that are hidden in it, at least one.

        Returns:
            (M, V) of all rows one after the other, M tokens in all.

        Raises:
            UnsupportedError: it has no pretraining head, or one that does not fit its tokens.
        """
        from findna_bench.models.likelihood import hidden_logits

        return hidden_logits(self, sequences, hidden)

    def log_likelihoods(
        self,
        alternatives: Sequence[Sequence[str]],
        *,
        max_tokens: int = 8192,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[np.ndarray]:
        """Log-likelihoods of sequences that are alternatives to each other, such as a reference and its variants.

        Those of one question are comparable with each other and with no others, since what they share may be left out. By default a
        causal backbone sums next-token log-probabilities. A masked one hides all tokens in which the alternatives differ, and sums
        the log-probabilities of each one's own tokens there. Where tokens have other places in one than in another (byte-pair tokens,
        insertions, deletions) it sums over all tokens, each hidden in turn.

        Args:
            alternatives: per question two sequences or more that fit into the model whole; one alone gives its (pseudo-)log-likelihood.
            max_tokens: of a batch; halved when memory runs out.
            progress: called with (rows computed, of all).

        Returns:
            Per question (m,) float64 in nats, one per alternative; NaN where the model does not read what they differ in, or where no
            likelihood is defined (alternatives of different length over overlapping k-mers).

        Raises:
            UnsupportedError: it has no pretraining head, or nothing to hide tokens with.
        """
        from findna_bench.models.likelihood import likelihoods_of

        return likelihoods_of(self, alternatives, max_tokens=max_tokens, progress=progress)

    def token_ranges(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Bases that each token reads, as half-open ranges of its sequence: (starts (B, T), stops (B, T)), int64.

        Equal where a token reads none (special ones, padding). Default: tokens lie side by side, each on as many bases as its span;
        a backbone whose tokens overlap says so here, and a base then has the mean of all tokens that read it.
        """
        stops = torch.cumsum(batch.spans.clamp(min=0), dim=1)
        return stops - batch.spans.clamp(min=0), stops

    def token_counts(self, lengths: Sequence[int]) -> list[int]:
        """Tokens that sequences of these lengths take, at most; used to plan batches. Default: one per base plus two."""
        return [length + 2 for length in lengths]

    def use_formulation(self, name: Literal["plain", "fast"]) -> None:
        """Compute in the published way (``plain``) or in the fastest this class has on its device (``fast``).

        Both give the same numbers up to rounding. Default: there is one way, and nothing to do.
        """

    def sharded_blocks(self) -> Sequence[nn.Module]:
        """Modules whose parameters are gathered one after the other where several processes share an encoder (``--shard``).

        A block has to be computed by calling it: its parameters are whole while its own forward and backward pass are computed, and in parts
        elsewhere. One that is never called (its weights are read instead), is called twice in a pass, or has a parameter in common with
        another module is gathered with what stands in no block, for the whole pass: right, but with more memory. Default: what stands in
        the ``ModuleList`` and ``Sequential`` containers, the outermost ones; lists of lists are looked into. Override it where blocks are kept otherwise.
        """
        return _blocks_in(self)

    def analytic_flops(self, batch_size: int, n_tokens: int) -> int | None:
        """Operations of one forward pass over (batch_size, n_tokens), from the sizes alone; None where nobody has written it.

        Products and convolutions (a multiply-add is two) and Fourier transforms (2.5 N log2 N between N real numbers and
        their half spectrum), in the published formulation. Checks what :mod:`findna_bench.profiling` counts.
        """
        return None


def _blocks_in(module: nn.Module) -> list[nn.Module]:
    """What stands in the outermost lists and sequences of modules."""
    contains = isinstance(module, (nn.ModuleList, nn.Sequential))
    found: list[nn.Module] = []
    for child in module.children():
        found += [child] if contains and not isinstance(child, nn.ModuleList) else _blocks_in(child)
    return found
