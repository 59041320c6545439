"""Log-likelihoods of sequences that differ in a few bases, by whatever a backbone was pretrained to predict.

What :meth:`Backbone.log_likelihoods <findna_bench.models.backbone.Backbone.log_likelihoods>` computes by default. Which of three
readings applies follows from the backbone and its tokens alone:

* causal: the sum over tokens of log p(token | tokens before it).
* masked, tokens whose places do not depend on the letters (single bases, k-mers from the left, overlapping k-mers): where the
  alternatives have the same places, all tokens in which they differ are hidden at once, and the log-probabilities of each alternative's own tokens
  there are summed. No alternative shows through a token that covers the site.
* masked otherwise (byte-pair tokens; alternatives of different length): the pseudo-log-likelihood of the whole sequence, each token
  hidden in turn (Salazar et al. 2020). Of overlapping k-mers that is not defined: neighbours give a hidden token away.

Rows that hide the same tokens of the same sequence are computed once, whatever asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from findna_bench.errors import UnsupportedError, is_out_of_memory
from findna_bench.sequences.batches import length_batches

if TYPE_CHECKING:
    from findna_bench.models.backbone import Backbone, TokenBatch

__all__ = ["TokenLayout", "hidden_logits", "likelihoods_of", "token_layout"]

TokenLayout = Literal["fixed", "overlapping", "by content"]

_QUESTIONS = 2048
"""Questions whose tokens are compared at once."""
_PROBE_BASES = 48
_PROBES = 16


def token_layout(backbone: Backbone) -> TokenLayout:
    """How tokens lie on sequences of one length, found by tokenizing a few.

    ``fixed``: at the same places whatever the letters, one token per base at most. ``overlapping``: fixed, and a base is part of
    several tokens. ``by content``: places depend on the letters (byte pairs).
    """
    limit = backbone.max_length
    length = _PROBE_BASES if limit is None else min(_PROBE_BASES, limit)
    codes = np.random.default_rng(0).integers(4, size=(_PROBES, length))
    batch = backbone.tokenize(["".join("ACGT"[code] for code in row) for row in codes])
    if not bool((batch.spans == batch.spans[:1]).all() and (batch.mask == batch.mask[:1]).all()):
        return "by content"
    middle = length // 2
    changed = backbone.tokenize(["A" * length, "A" * middle + "C" + "A" * (length - middle - 1)])
    return "overlapping" if len(_differing(_ids(changed))) > 1 else "fixed"


def likelihoods_of(
    backbone: Backbone,
    alternatives: Sequence[Sequence[str]],
    *,
    max_tokens: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[np.ndarray]:
    """See :meth:`Backbone.log_likelihoods`."""
    layout = "fixed" if backbone.causal else token_layout(backbone)
    if not backbone.causal and not _reads_rows(backbone) and backbone.mask_token is None:
        raise UnsupportedError(
            f"{type(backbone).__name__} with these settings predicts no hidden token (it names no mask_token), so it has no likelihoods"
        )
    plan = _Plan(backbone, layout)
    found = plan.of(alternatives)
    _compute(backbone, plan.rows, max_tokens, progress)
    return [np.array([sum(part.value for part in parts) if parts else np.nan for parts in each]) for each in found]


@dataclass(eq=False)
class _Part:
    """Log-probability of ids at the hidden places of a row; of all tokens, where nothing is hidden."""

    ids: tuple[int, ...]
    value: float = 0.0


@dataclass(eq=False)
class _Row:
    """One row of a forward pass. hidden: places of tokens that are not shown."""

    sequence: str
    hidden: tuple[int, ...]
    parts: dict[tuple[int, ...], _Part]


class _Plan:
    """Rows to compute, each once, and which of their parts answer which question."""

    def __init__(self, backbone: Backbone, layout: TokenLayout) -> None:
        self._backbone, self._layout = backbone, layout
        self._rows: dict[tuple[str, tuple[int, ...]], _Row] = {}
        self._whole: dict[str, list[_Part]] = {}

    @property
    def rows(self) -> list[_Row]:
        return list(self._rows.values())

    def of(self, alternatives: Sequence[Sequence[str]]) -> list[list[list[_Part]]]:
        """Per question and alternative the parts whose sum is its log-likelihood; none where there is none."""
        found: list[list[list[_Part]]] = []
        for first in range(0, len(alternatives), _QUESTIONS):
            some = [[sequence.upper() for sequence in each] for each in alternatives[first : first + _QUESTIONS]]
            if self._backbone.causal or self._layout == "by content":
                found += [[self._of_whole(sequence) for sequence in each] for each in some]
                continue
            names = list(dict.fromkeys(sequence for each in some for sequence in each))
            tokens = dict(zip(names, self._tokens(names), strict=True))
            found += [self._of_differing(each, tokens) for each in some]
        return found

    def _tokens(self, sequences: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """(ids, spans) of each, both (T,), padding left out."""
        batch = self._backbone.tokenize(sequences)
        ids, spans, real = _ids(batch).numpy(), batch.spans.numpy(), batch.mask.numpy()
        return [(ids[row, real[row]], spans[row, real[row]]) for row in range(len(sequences))]

    def _of_differing(self, each: Sequence[str], tokens: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[list[_Part]]:
        known = [tokens[sequence] for sequence in each]
        spans = known[0][1]
        if len(each) < 2 or any(not np.array_equal(other, spans) for _, other in known):
            return [self._of_whole(sequence) for sequence in each]
        ids = np.stack([one for one, _ in known])
        hidden = np.flatnonzero((ids != ids[:1]).any(axis=0))
        if not len(hidden):
            return [[] for _ in each]  # none of what differs is read
        row = self._row(each[0], tuple(hidden.tolist()))
        return [[_part(row, tuple(one.tolist()))] for one in ids[:, hidden]]

    def _of_whole(self, sequence: str) -> list[_Part]:
        if sequence not in self._whole:
            self._whole[sequence] = list(self._parts_of_whole(sequence))
        return self._whole[sequence]

    def _parts_of_whole(self, sequence: str) -> list[_Part]:
        if self._backbone.causal:
            return [_part(self._row(sequence, ()), ())]
        if self._layout == "overlapping":
            return []
        batch = self._backbone.tokenize([sequence])
        ids = _ids(batch)[0]
        places = torch.nonzero(batch.mask[0] & ~batch.special[0] & (batch.spans[0] > 0)).flatten().tolist()
        return [_part(self._row(sequence, (place,)), (int(ids[place]),)) for place in places]

    def _row(self, sequence: str, hidden: tuple[int, ...]) -> _Row:
        return self._rows.setdefault((sequence, hidden), _Row(sequence, hidden, {}))


def _part(row: _Row, ids: tuple[int, ...]) -> _Part:
    return row.parts.setdefault(ids, _Part(ids))


def _compute(
    backbone: Backbone, rows: Sequence[_Row], max_tokens: int, progress: Callable[[int, int], None] | None
) -> None:
    """Fill the parts of all rows; batches are halved where memory runs out."""
    lengths = [len(row.sequence) for row in rows]
    counts = backbone.token_counts(lengths) if rows else []
    done = 0
    # Longest first: if memory is too small, that shows at once.
    waiting = length_batches(lengths, max_tokens=max_tokens, n_tokens=counts) if rows else []
    while waiting:
        batch = waiting.pop()
        try:
            _forward(backbone, [rows[number] for number in batch])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or len(batch) < 2:
                raise
            half = len(batch) // 2
            waiting += [batch[:half], batch[half:]]
            continue
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))


def _forward(backbone: Backbone, rows: Sequence[_Row]) -> None:
    sequences = [row.sequence for row in rows]
    if backbone.causal:
        batch = backbone.tokenize(sequences)
        with torch.inference_mode():
            _fill_causal(rows, batch, _logits(backbone, batch))
        return
    with torch.inference_mode():
        logits = backbone.hidden_logits(sequences, [row.hidden for row in rows])
    if len(logits) != (n_hidden := sum(len(row.hidden) for row in rows)):
        raise UnsupportedError(
            f"{type(backbone).__name__}.hidden_logits gives {tuple(logits.shape)} for {n_hidden} hidden tokens"
        )
    values = torch.log_softmax(logits.double(), dim=-1).cpu().numpy()
    first = 0
    for row in rows:
        own = values[first : first + len(row.hidden)]
        first += len(row.hidden)
        for part in row.parts.values():
            part.value = float(own[np.arange(len(own)), list(part.ids)].sum())


def hidden_logits(backbone: Backbone, sequences: Sequence[str], hidden: Sequence[Sequence[int]]) -> Tensor:
    """See :meth:`Backbone.hidden_logits`: a forward pass over whole rows."""
    batch = backbone.tokenize(sequences)
    with torch.inference_mode():
        logits = _logits(backbone, batch, _hide(backbone, batch, hidden))
    number = torch.tensor([n for n, places in enumerate(hidden) for _ in places], device=logits.device)
    where = torch.tensor([token for places in hidden for token in places], device=logits.device)
    return logits[number, where]


def _logits(backbone: Backbone, batch: TokenBatch, shown: TokenBatch | None = None) -> Tensor:
    """Of a batch as it is, or with tokens hidden.

    Raises:
        UnsupportedError: they are not of its tokens.
    """
    logits = backbone.logits((batch if shown is None else shown).to(next(backbone.parameters()).device))
    if logits.shape[:-1] != batch.mask.shape:
        raise UnsupportedError(
            f"{type(backbone).__name__}.logits gives {tuple(logits.shape)} for {tuple(batch.mask.shape)} tokens"
        )
    return logits


def _fill_causal(rows: Sequence[_Row], batch: TokenBatch, logits: Tensor) -> None:
    """Every ordinary token but one that nothing comes before."""
    ids, ordinary = _ids(batch)[:, 1:], (batch.mask & ~batch.special)[:, 1:]
    for number, row in enumerate(rows):
        values = torch.log_softmax(logits[number, :-1].double(), dim=-1).cpu()
        own = values.gather(1, ids[number, :, None])[:, 0]
        for part in row.parts.values():
            part.value = float(own[ordinary[number]].sum())


def _hide(backbone: Backbone, batch: TokenBatch, hidden: Sequence[Sequence[int]]) -> TokenBatch:
    chosen = torch.zeros_like(batch.mask)
    for number, places in enumerate(hidden):
        chosen[number, list(places)] = True
    if batch.inputs.dim() == 3:
        return replace(batch, inputs=batch.inputs.masked_fill(chosen[..., None], 0))
    if backbone.mask_token is None:
        return batch
    return replace(batch, inputs=batch.inputs.masked_fill(chosen, backbone.mask_token))


def _ids(batch: TokenBatch) -> Tensor:
    """(B, T) int64; of one-hot rows the number of the letter."""
    return batch.inputs.argmax(-1) if batch.inputs.dim() == 3 else batch.inputs.long()


def _differing(ids: Tensor) -> list[int]:
    return torch.nonzero((ids != ids[:1]).any(0)).flatten().tolist()


def _reads_rows(backbone: Backbone) -> bool:
    """Whether its inputs are one-hot rows, which are hidden by zeros."""
    return backbone.tokenize(["ACGT"]).inputs.dim() == 3
