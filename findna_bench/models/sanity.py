"""Do loaded weights know DNA? Masked- or next-token loss on real sequence, against a uniform guess.

The last proof of loading: a checkpoint whose tensors all fit, but in the wrong places, predicts no better than chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from findna_bench.errors import UnsupportedError, UsageError, WeightsError
from findna_bench.models.backbone import Backbone, TokenBatch
from findna_bench.models.precision import compute_precision

if TYPE_CHECKING:
    from findna_bench.models.loading import LoadedModel

__all__ = ["SanityLoss", "check_sanity", "hide_tokens", "sanity_loss", "sanity_sample"]

MASKED_SHARE = 0.15
"""Share of tokens hidden, as in BERT's pretraining (Devlin et al. 2019)."""
IGNORED = -100
LONGEST = 1000
"""Bases of each sequence that are looked at."""
ENOUGH = 16_000
"""Bases that suffice to tell a network that has learnt little from one that has learnt nothing: about 2,400 hidden bases."""


@dataclass(frozen=True)
class SanityLoss:
    """loss: mean cross-entropy in nats. standard_error: of that mean. uniform: loss of a uniform guess. n_tokens: targets."""

    loss: float
    standard_error: float
    uniform: float
    n_tokens: int

    @property
    def passed(self) -> bool:
        """Below a uniform guess by more than three standard errors."""
        return self.loss + 3 * self.standard_error < self.uniform


def sanity_sample(sequences: Sequence[str]) -> list[str]:
    """The first sequences that hold enough bases to judge by, however short each of them is; all, if they hold fewer."""
    sample: list[str] = []
    bases = 0
    for sequence in sequences:
        if bases >= ENOUGH:
            break
        sample.append(sequence)
        bases += min(len(sequence), LONGEST)
    return sample


def sanity_loss(model: LoadedModel, sequences: Sequence[str], *, seed: int = 0, batch_size: int = 8) -> SanityLoss:
    """Loss of the pretraining head on ``sequences`` (real DNA, a few thousand bases in all are enough).

    A uniform guess chooses among the tokens that a target could be: 4 for single bases, 4096 for 6-mers, the vocabulary at
    most.

    Raises:
        UnsupportedError: the model has no pretraining head, or nothing to hide tokens with. UsageError: no sequence given.
    """
    if not sequences:
        raise UsageError("the sanity check needs a few real sequences")
    generator = torch.Generator().manual_seed(seed)
    losses: list[Tensor] = []
    longest, vocabulary = 1, 4
    limit = min(LONGEST, model.max_length or LONGEST)
    for first in range(0, len(sequences), batch_size):
        batch = model.backbone.tokenize([sequence[:limit] for sequence in sequences[first : first + batch_size]])
        hidden, targets = hide_tokens(model.backbone, batch, generator)
        with torch.inference_mode(), compute_precision(model.device, model.dtype):
            logits = model.backbone.logits(hidden.to(model.device)).float().cpu()
        chosen = targets != IGNORED
        losses.append(torch.nn.functional.cross_entropy(logits[chosen], targets[chosen], reduction="none"))
        longest = max(longest, _longest(batch))
        vocabulary = logits.shape[-1]
    values = torch.cat(losses).double()
    if len(values) < 2:
        raise UsageError("the sanity check found fewer than two tokens to predict; give longer sequences")
    uniform = math.log(min(vocabulary, 4**longest))
    return SanityLoss(float(values.mean()), float(values.std() / math.sqrt(len(values))), uniform, len(values))


def _longest(batch: TokenBatch) -> int:
    ordinary = batch.mask & ~batch.special
    return int(batch.spans[ordinary].max()) if bool(ordinary.any()) else 1


def hide_tokens(backbone: Backbone, batch: TokenBatch, generator: torch.Generator) -> tuple[TokenBatch, Tensor]:
    """A batch with something to predict, and the targets (B, T), -100 where nothing is.

    Causal: nothing is hidden, the target of a position is the next ordinary token. One-hot rows: hidden rows are zero. Ids:
    hidden ones become :attr:`Backbone.mask_token`.

    Raises:
        UnsupportedError: ids, not causal, and no mask token.
    """
    ordinary = batch.mask & ~batch.special
    ids = (
        batch.inputs.argmax(-1) if batch.inputs.is_floating_point() or batch.inputs.dim() == 3 else batch.inputs.long()
    )
    if backbone.causal:
        targets = torch.full_like(ids, IGNORED)
        targets[:, :-1] = torch.where(ordinary[:, 1:], ids[:, 1:], IGNORED)
        return batch, targets
    chosen = ordinary & (torch.rand(ordinary.shape, generator=generator) < MASKED_SHARE)
    targets = torch.where(chosen, ids, IGNORED)
    if batch.inputs.dim() == 3:
        return replace(batch, inputs=batch.inputs.masked_fill(chosen[..., None], 0)), targets
    if backbone.mask_token is None:
        raise UnsupportedError(f"{type(backbone).__name__} names no mask_token, so nothing can be hidden from it")
    return replace(batch, inputs=batch.inputs.masked_fill(chosen, backbone.mask_token)), targets


def check_sanity(model: LoadedModel, sequences: Sequence[str], *, seed: int = 0) -> str:
    """A sentence with the loss of a model that passes; a model without a head is passed over, and the sentence says so.

    Raises:
        WeightsError: the loss is not clearly below that of a uniform guess.
    """
    try:
        found = sanity_loss(model, sequences, seed=seed)
    except UnsupportedError as error:
        return f"sanity loss not computed: {error}"
    words = f"loss {found.loss:.3f} +- {found.standard_error:.3f} nats on {found.n_tokens} tokens, uniform {found.uniform:.3f}"
    if not found.passed:
        raise WeightsError(
            f"{model.name}: its weights predict no better than chance ({words}), so they are not what the card says; "
            "fetch them again, or use --no-sanity to run it all the same"
        )
    return f"sanity {words}"
