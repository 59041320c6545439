"""Do loaded weights know DNA? Masked- or next-token loss on real sequence, against a uniform guess.

The last proof of loading: a checkpoint whose tensors all fit, but in the wrong places, predicts no better than chance. It is a
property of the weights, so the sequence is embedded and the same for all tasks: a task's rows may be shuffled or synthetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from findna_bench.errors import UnsupportedError, UsageError, WeightsError
from findna_bench.files import stable_hash
from findna_bench.models.backbone import Backbone, TokenBatch
from findna_bench.models.precision import compute_precision
from findna_bench.sequences.reference_samples import reference_sample, sampled_species
from findna_bench.sequences.species import species

if TYPE_CHECKING:
    from findna_bench.models.loading import LoadedModel

__all__ = ["SanityLoss", "SanityVerdict", "check_weights", "hide_tokens", "judge_weights", "sanity_loss"]

MASKED_SHARE = 0.15
"""Share of tokens hidden, as in BERT's pretraining (Devlin et al. 2019)."""
IGNORED = -100
LONGEST = 1000
"""Bases that are read at once."""


@dataclass(frozen=True)
class SanityLoss:
    """loss: mean cross-entropy in nats. standard_error: of that mean. uniform: loss of a uniform guess. n_tokens: targets."""

    loss: float
    standard_error: float
    uniform: float
    n_tokens: int

    @property
    def passed(self) -> bool:
        """Clearly below a uniform guess."""
        return self.below(self.uniform)

    def below(self, chance: float) -> bool:
        """Below by more than three standard errors."""
        return self.loss + 3 * self.standard_error < chance

    @property
    def words(self) -> str:
        """Loss, standard error, number of tokens and the loss of a uniform guess."""
        return f"loss {self.loss:.3f} +- {self.standard_error:.3f} nats for {self.n_tokens} tokens, uniform {self.uniform:.3f}"


def sanity_loss(model: LoadedModel, sequences: Sequence[str], *, seed: int = 0, batch_size: int = 8) -> SanityLoss:
    """Loss of the pretraining head on ``sequences`` (real DNA, a few thousand bases in all are enough).

    A uniform guess chooses among the tokens that a target could be: 4 for single bases, 4096 for 6-mers, the vocabulary at
    most. Sequences longer than the model takes are read in pieces.

    Raises:
        UnsupportedError: the model has no pretraining head, or nothing to hide tokens with. UsageError: no sequence given.
    """
    if not sequences:
        raise UsageError("the sanity check needs a few real sequences")
    generator = torch.Generator().manual_seed(seed)
    losses: list[Tensor] = []
    longest, vocabulary = 1, 4
    pieces = _pieces(sequences, min(LONGEST, model.max_length or LONGEST))
    for first in range(0, len(pieces), batch_size):
        batch = model.backbone.tokenize(pieces[first : first + batch_size])
        hidden, targets = hide_tokens(model.backbone, batch, generator)
        with torch.inference_mode(), compute_precision(model.device, model.dtype):
            logits = model.backbone.logits(hidden.to(model.device)).float().cpu()
        chosen = targets != IGNORED
        if logits.shape[:-1] != targets.shape or int(targets.max()) >= logits.shape[-1]:
            raise UnsupportedError(
                f"{type(model.backbone).__name__}.logits gives {tuple(logits.shape)} for {tuple(targets.shape)} tokens"
            )
        losses.append(torch.nn.functional.cross_entropy(logits[chosen], targets[chosen], reduction="none"))
        longest = max(longest, _longest(batch))
        vocabulary = logits.shape[-1]
    values = torch.cat(losses).double()
    if len(values) < 2:
        raise UsageError("the sanity check found fewer than two tokens to predict; give longer sequences")
    uniform = math.log(min(vocabulary, 4**longest))
    return SanityLoss(float(values.mean()), float(values.std() / math.sqrt(len(values))), uniform, len(values))


def _pieces(sequences: Sequence[str], limit: int) -> list[str]:
    """At most ``limit`` bases each; what is left at the end counts if it is at least half as long."""
    starts = [(sequence, range(0, max(len(sequence) - limit // 2, 1), limit)) for sequence in sequences]
    return [sequence[start : start + limit] for sequence, all_starts in starts for start in all_starts]


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


@dataclass(frozen=True)
class SanityVerdict:
    """What real sequence says of a model's weights.

    words: what was measured, on what, or why nothing was. refused: the weights are not those of the model. flag: what every table
    has to say of scores of these weights; empty = nothing.
    """

    words: str
    refused: bool = False
    flag: str = ""


_VERDICTS: dict[tuple[Any, ...], SanityVerdict] = {}
"""Of this process: weights are judged once, however many tasks they are scored on."""


def judge_weights(model: LoadedModel) -> SanityVerdict:
    """Judge trained weights on the embedded sample of what the card says they were pretrained on; the task plays no part.

    * The card names a species there is a sample of: its loss must be clearly below that of a uniform guess.
    * It names others only: human sequence; a loss that is not below is said and flagged, since it proves nothing.
    * It names none: human sequence, or else any of the samples, which the model must predict better than by their composition.
    """
    if not model.card.sanity:
        return SanityVerdict("weights not judged: its card says that the loss of its pretraining head proves nothing")
    read = model.card.pretraining.assemblies if model.card.pretraining is not None else ()
    key = (
        *(model.weights_digest, model.tokenizer_digest, model.network, model.dtype, model.device.type),
        *(type(model.backbone), stable_hash(dict(model.config)), read),
    )
    if key not in _VERDICTS:
        try:
            _VERDICTS[key] = _judge(model, read)
        except (UnsupportedError, NotImplementedError) as error:
            _VERDICTS[key] = SanityVerdict(f"weights not judged: {error}")
    return _VERDICTS[key]


def _judge(model: LoadedModel, read: Sequence[str]) -> SanityVerdict:
    known = [sample for assembly in read if (sample := reference_sample(species(assembly) or "")) is not None]
    first, *others = [reference_sample(name) for name in sampled_species()]
    sample = known[0] if known else first
    assert sample is not None
    found = sanity_loss(model, sample.sequences)
    words = f"{found.words}, on {sample.words}"
    if found.passed:
        return SanityVerdict(f"sanity {words}")
    if known:
        return SanityVerdict(
            f"its weights predict {sample.species} sequence no better than chance ({words})", refused=True
        )
    if read:
        reason = f"it was pretrained on {', '.join(read)}, of which there is no sample here"
        flag = f"{sample.species} sequence not predicted"
        return SanityVerdict(f"weights not judged: {reason}; no better than chance elsewhere ({words})", flag=flag)
    for other in others:
        assert other is not None
        loss = sanity_loss(model, other.sequences)
        if loss.below(loss.uniform * _base_entropy(other.sequences) / math.log(4)):
            return SanityVerdict(
                f"sanity {loss.words}, on {other.words}; no better than chance on {sample.species} sequence"
            )
    names = ", ".join(other.species for other in others if other is not None)
    return SanityVerdict(
        f"its weights predict {sample.species} sequence no better than chance ({words}), and that of {names} no better than its "
        "composition does",
        refused=True,
    )


def _base_entropy(sequences: Sequence[str]) -> float:
    """Nats per base of a guess by the shares of the four bases."""
    letters = "".join(sequences)
    shares = [letters.count(base) / len(letters) for base in "ACGT"]
    return -sum(share * math.log(share) for share in shares if share)


def check_weights(model: LoadedModel) -> SanityVerdict:
    """The verdict on weights that may be scored.

    Raises:
        WeightsError: they predict what the model was pretrained on no better than chance.
    """
    verdict = judge_weights(model)
    if verdict.refused:
        raise WeightsError(
            f"{model.name}: {verdict.words}: these are not the weights of this model, they have learnt too little, they were "
            "pretrained on something that the card does not name, or by an objective that does not train the head behind logits; check "
            "where they come from, or use --no-sanity (or sanity=False on the card) to run them all the same"
        )
    return verdict
