"""An encoder with a head per base, as fine-tuning trains it; and the small convolutional head, which frozen vectors of bases are given too.

Shapes: R rows, P pieces (windows and strands of rows), W bases of the longest row, D channels, C states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from findna_bench.models.backbone import Backbone, TokenBatch
from findna_bench.models.base_vectors import BaseReading, spread_over_bases
from findna_bench.models.loading import LoadedModel
from findna_bench.protocols.encoder_head import Pieces, linear_layer, uniform_by_fan_in
from findna_bench.sequences.alphabet import normalise_all

__all__ = ["BaseEncoderHead", "ConvHead", "base_logits", "predict_base_logits"]


class ConvHead(nn.Module):
    """Two convolutions over neighbouring bases with GELU, then a linear layer: the head of BEND (Marin et al. 2024), whose widths are
    the defaults.

    What lies behind a row's end, and bases that the model has not read, are zeros to both convolutions, so that a row's logits do not
    depend on the rows beside it.

    Args:
        dimension: D.
        n_states: C.
        generator: draws the weights, by PyTorch's rule for such layers.
    """

    def __init__(
        self,
        dimension: int,
        n_states: int,
        generator: torch.Generator,
        *,
        channels: int = 64,
        kernel: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.first = _convolution(dimension, channels, kernel, generator)
        self.second = _convolution(channels, channels, kernel, generator)
        self.dropout = nn.Dropout(dropout)
        self.last = linear_layer(channels, n_states, generator)

    def forward(self, vectors: Tensor, read: Tensor) -> Tensor:
        """(R, W, C) logits. vectors: (R, W, D), zero where nothing was read. read: (R, W) bool."""
        inside = read[:, None].to(vectors.dtype)
        hidden = nn.functional.gelu(self.first(vectors.mT * inside)) * inside
        hidden = nn.functional.gelu(self.second(hidden))
        logits: Tensor = self.last(self.dropout(hidden.mT))
        return logits


def _convolution(inputs: int, outputs: int, kernel: int, generator: torch.Generator) -> nn.Conv1d:
    layer: nn.Conv1d = nn.utils.skip_init(nn.Conv1d, inputs, outputs, kernel, padding="same")
    return uniform_by_fan_in(layer, inputs * kernel, generator)


def base_logits(head: nn.Module, vectors: Tensor, read: Tensor, prior: Tensor) -> Tensor:
    """(R, W, C) logits of a head per base; ``prior`` (C,), without a gradient, where a base was not read."""
    found = head(vectors, read) if isinstance(head, ConvHead) else head(vectors)
    return torch.where(read[..., None], found, prior)


class BaseEncoderHead(nn.Module):
    """Backbone and a head per base: logits (R, W, C) in float32, whatever the backbone computes in.

    A base that several pieces read has the mean of their vectors, as frozen vectors have it.

    Args:
        prior: (C,) logits of a base that no piece reads.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, prior: Tensor) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.register_buffer("prior", prior, persistent=False)

    def forward(self, batch: TokenBatch, pieces: Pieces) -> Tensor:
        tokens = self.backbone(batch).tokens
        with torch.autocast(tokens.device.type, enabled=False):
            vectors, read = _assembled(*spread_over_bases(self.backbone, batch, tokens), pieces)
            return base_logits(self.head, vectors, read, self.get_buffer("prior"))


def _assembled(vectors: Tensor, read: Tensor, pieces: Pieces) -> tuple[Tensor, Tensor]:
    """Rows (R, W, D), and their bases that were read (R, W), of pieces (P, L, D) and (P, L)."""
    device = vectors.device
    length = torch.tensor([len(piece) for piece in pieces.sequences], device=device)
    owner, start = (torch.from_numpy(part).to(device) for part in (pieces.owner, pieces.start))
    turned = torch.from_numpy(pieces.turned).to(device)
    width = int((start + length).max())
    piece, place = torch.nonzero(read, as_tuple=True)
    along = torch.where(turned[piece], length[piece] - 1 - place, place)
    base = owner[piece] * width + start[piece] + along
    counts = torch.zeros(pieces.n_rows * width, device=device).index_add(0, base, torch.ones(len(base), device=device))
    rows = torch.zeros(pieces.n_rows * width, vectors.shape[2], device=device)
    rows = rows.index_add(0, base, vectors[piece, place]) / counts.clamp(min=1)[:, None]
    return rows.view(pieces.n_rows, width, -1), (counts > 0).view(pieces.n_rows, width)


def predict_base_logits(
    model: LoadedModel,
    net: BaseEncoderHead,
    sequences: Sequence[str],
    *,
    window: str,
    strand: str,
    batch_size: int | str,
    width: int,
) -> tuple[np.ndarray, dict[str, int], dict[str, Any]]:
    """(logits (n, width, C) float32, zero behind the end of a sequence, coverage, batch).

    Args:
        strand: ``forward``, ``rc-mean``, or ``reverse``: the other strand is read, by the head too, and its logits stand in the order of
            this one.
    """
    head, prior = net.head.eval(), net.get_buffer("prior")
    device = prior.device
    found = np.zeros((len(sequences), width, len(prior)), dtype=np.float32)
    reading = BaseReading(model, normalise_all(list(sequences)), window=window, strand=strand, batch_size=batch_size)
    with torch.inference_mode():
        for row, vectors, read in reading:
            if strand == "reverse":
                vectors, read = vectors[::-1].copy(), read[::-1].copy()
            logits = base_logits(
                head, torch.from_numpy(vectors).to(device)[None], torch.from_numpy(read).to(device)[None], prior
            )
            own = logits[0].float().cpu().numpy()
            found[row, : len(own)] = own[::-1] if strand == "reverse" else own
    return found, reading.coverage(), reading.batching.record()
