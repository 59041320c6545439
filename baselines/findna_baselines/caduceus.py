"""Caduceus (Schiff et al. 2024, arXiv:2403.03234): bidirectional Mamba over single nucleotides, Ph and PS.

Written from the published description; no output of the authors' implementation was at hand, which needs compiled kernels.
``Ph`` learns strand symmetry from augmentation and averages both strands afterwards (post-hoc conjoining). ``PS`` carries both
strands in the halves of its channels, with shared parameters.

The released PS models were trained with fused addition and norm, whose code takes the SECOND half of the channels for the
forward strand and so swaps the halves in every block. The path without fusion does not. Both are equivariant, so no
symmetry test tells them apart; the released weights need the swap.

The authors pad without a mask, which a bidirectional model sees. Here every flip is within a sequence's own length, so that
padding at the right changes nothing.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from findna_baselines.checkpoints import config_value, own_prefix, translate
from findna_baselines.encoder import Encoder, at_least_float32, run_stack, wanted_layers
from findna_baselines.selective_scan import fused_scan, selective_scan
from findna_baselines.tokenization import CharacterTokenizer
from findna_bench.api import Adapted, Checkpoint, Encoding, TokenBatch, WeightsError

__all__ = ["Caduceus"]

_COMPLEMENT = (0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11)


def flip_index(length: int, counts: Tensor) -> Tensor:
    """(B, L) positions that turn the first ``counts`` tokens of each row around and leave the others where they are."""
    position = torch.arange(length, device=counts.device)
    return torch.where(position < counts[:, None], counts[:, None] - 1 - position, position)


def turn(x: Tensor, index: Tensor) -> Tensor:
    """Rows of x (B, L, D) in the order of ``index`` (B, L)."""
    return torch.take_along_dim(x, index[..., None], dim=1)


class Direction(nn.Module):
    """What one direction of a bidirectional Mamba layer has to itself: convolution and selective parameters."""

    def __init__(self, width: int, d_state: int, d_conv: int, dt_rank: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, d_conv, groups=width, padding=d_conv - 1)
        self.x_proj = nn.Linear(width, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(dt_rank, width)
        self.A_log = nn.Parameter(torch.arange(1.0, d_state + 1).log().repeat(width, 1))
        self.D = nn.Parameter(torch.ones(width))
        self._initialise(dt_rank)

    def _initialise(self, dt_rank: int) -> None:
        """Steps log-uniform in [0.001, 0.1] through the inverse of softplus, as in Mamba."""
        nn.init.uniform_(self.dt_proj.weight, -(dt_rank**-0.5), dt_rank**-0.5)
        step = torch.exp(torch.rand_like(self.dt_proj.bias) * math.log(100) + math.log(1e-3))
        with torch.no_grad():
            self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))

    def parameters_of_scan(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x (B, L, E) -> u (B, L, E), dt (B, L, E), B and C (B, L, N)."""
        n_state = self.A_log.shape[1]
        u = F.silu(self.conv(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
        low_rank, b, c = self.x_proj(u).split([self.dt_proj.in_features, n_state, n_state], dim=-1)
        return u, F.softplus(at_least_float32(self.dt_proj(low_rank))), b, c


class BiMamba(nn.Module):
    """Forward and reverse Mamba with common projections; their outputs are added."""

    def __init__(self, d_model: int, d_state: int, d_conv: int, expand: int, n_layers: int) -> None:
        super().__init__()
        width = expand * d_model
        self.fused = False
        self.in_proj = nn.Linear(d_model, 2 * width, bias=False)
        self.forward_scan = Direction(width, d_state, d_conv, math.ceil(d_model / 16))
        self.reverse_scan = Direction(width, d_state, d_conv, math.ceil(d_model / 16))
        self.out_proj = nn.Linear(width, d_model, bias=False)
        nn.init.kaiming_uniform_(self.out_proj.weight, a=math.sqrt(5))
        with torch.no_grad():
            self.out_proj.weight /= math.sqrt(n_layers)

    def forward(self, x: Tensor, flip: Tensor) -> Tensor:
        """x (B, L, D), flip (B, L) own-length reversal -> (B, L, D)."""
        values, gate = self.in_proj(x).chunk(2, dim=-1)
        directions = (self.forward_scan, self.reverse_scan)
        parts = [
            direction.parameters_of_scan(v)
            for direction, v in zip(directions, (values, turn(values, flip)), strict=True)
        ]
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            u, dt, b, c = (torch.stack([at_least_float32(part[i]) for part in parts]) for i in range(4))
            decay = torch.stack([-torch.exp(at_least_float32(direction.A_log)) for direction in directions])
            skip = torch.stack([at_least_float32(direction.D) for direction in directions])
            scan = fused_scan if self.fused else selective_scan
            y = scan(u, dt, decay, b, c) + skip[:, None, None] * u
        projected: Tensor = self.out_proj((y[0] + turn(y[1], flip)).to(gate.dtype) * F.silu(gate))
        return projected


class CaduceusBlock(nn.Module):
    """Add, norm, mix. Works on the pair (hidden, residual), stacked as (2, B, L, D or 2 D)."""

    def __init__(self, d_model: int, layer_norm_eps: float, *, rcps: bool, swap: bool, **mamba: Any) -> None:
        super().__init__()
        self.rcps, self.swap = rcps, swap
        self.norm = nn.RMSNorm(d_model, eps=layer_norm_eps)
        self.mixer = BiMamba(d_model, **mamba)

    def forward(self, pair: Tensor, flip: Tensor) -> Tensor:
        residual = pair[0] + pair[1]
        if not self.rcps:
            return torch.stack((self.mixer(self.norm(residual), flip), residual))
        first, second = residual.chunk(2, dim=-1)
        if self.swap:
            first, second = second, first
        # The second half is stored with its channels reversed; reversing length too gives the other strand's own reading.
        strands = torch.cat((self.norm(first), turn(self.norm(second.flip(-1)), flip)))
        ahead, behind = self.mixer(strands, torch.cat((flip, flip))).chunk(2)
        mixed = torch.cat((ahead, turn(behind, flip).flip(-1)), dim=-1)
        return torch.stack((mixed, torch.cat((first, second), dim=-1)))


class Caduceus(Encoder):
    """Caduceus.

    Args:
        d_model: channels D of one strand. n_layers: blocks. rcps: True for PS, False for Ph.
        fused_add_norm: as the released models were trained; decides whether PS blocks swap halves (see above).
        strands: ``"average"`` gives D channels per token, both strands averaged as in the authors' pooling (PS: its halves; Ph:
        in eval mode a second pass over the reverse complement, post-hoc conjoining). ``"raw"`` gives the hidden states as they
        are: 2 D channels for PS, one pass for Ph.
        append_sep: put [SEP] behind a sequence, as the hub's tokenizer does unless told otherwise. The authors' benchmarks leave it
        away, and must: with it at one end the two strands are no longer read alike.
        max_length: longest sequence in bases; the recurrence has no limit, this is the length of pretraining.
    """

    can_compile: ClassVar[bool] = False
    published_as: ClassVar[tuple[str, ...]] = ("caduceus", "CaduceusForMaskedLM", "Caduceus")

    def __init__(
        self,
        *,
        d_model: int,
        n_layers: int,
        rcps: bool,
        max_length: int | None = 131_072,
        vocab_size: int = 16,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        layer_norm_eps: float = 1e-5,
        fused_add_norm: bool = True,
        strands: Literal["average", "raw"] = "average",
        append_sep: bool = False,
    ) -> None:
        super().__init__()
        if strands not in ("average", "raw"):
            raise ValueError(f'strands must be "average" or "raw", not {strands!r}')
        self.n_layers, self.max_length, self.rcps, self.strands = n_layers, max_length, rcps, strands
        self.embed_dim = 2 * d_model if rcps and strands == "raw" else d_model
        self.tokenizer = CharacterTokenizer(max_length, append_sep=append_sep)
        self.mask_token = self.tokenizer.mask
        self.register_buffer("complement", self._complement(vocab_size), persistent=False)
        self.embedding = nn.Embedding(vocab_size, d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        mamba = {"d_state": d_state, "d_conv": d_conv, "expand": expand, "n_layers": n_layers}
        self.blocks = nn.ModuleList(
            CaduceusBlock(d_model, layer_norm_eps, rcps=rcps, swap=fused_add_norm, **mamba) for _ in range(n_layers)
        )
        self.norm = nn.RMSNorm(d_model, eps=layer_norm_eps)

    complement: Tensor

    @staticmethod
    def _complement(vocab_size: int) -> Tensor:
        return torch.tensor((*_COMPLEMENT, *range(len(_COMPLEMENT), vocab_size)))

    def reset_buffers(self) -> None:
        self.complement = self._complement(self.embedding.num_embeddings).to(self.embedding.weight.device)

    @classmethod
    def adapt_checkpoint(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        sizes = dict(config) | _published_sizes(checkpoint)
        tensors, rcps = checkpoint.tensors, sizes["rcps"]
        prefix = own_prefix(tensors, "caduceus.") + "backbone."
        words = f"{prefix}embeddings.word_embeddings" + (".embedding" if rcps else "") + ".weight"
        head = "lm_head.lm_head.weight" if rcps else "lm_head.weight"
        wrapped = "submodule." if rcps else ""
        norm = "norm.submodule.weight" if rcps and not sizes.get("fused_add_norm", True) else "norm.weight"
        tied = {head: words}
        names = {"norm.weight": f"{prefix}{norm.replace('norm', 'norm_f', 1)}", "embedding.weight": words}
        for n in range(sizes["n_layers"]):
            block = f"{prefix}layers.{n}."
            names[f"blocks.{n}.norm.weight"] = block + norm
            for own, key in _SHARED_KEYS.items():
                shared, again = (f"{block}mixer.{wrapped}{mamba}.{key}" for mamba in ("mamba_fwd", "mamba_rev"))
                names[f"blocks.{n}.mixer.{own}"] = shared
                tied[again] = shared
            for own, mamba in (("forward_scan", "mamba_fwd"), ("reverse_scan", "mamba_rev")):
                names |= {
                    f"blocks.{n}.mixer.{own}.{part}": f"{block}mixer.{wrapped}{mamba}.{key}"
                    for part, key in _DIRECTION_KEYS.items()
                }
        ignored = dict.fromkeys(map(_exactly, tied), "tied to another parameter, and equal to it")
        for key in (f"{prefix}embeddings.word_embeddings.complement_map", "lm_head.complement_map"):
            _check_complement(checkpoint, key, sizes.get("vocab_size", 16))
            ignored[_exactly(key)] = "the complement of each token id, known from the vocabulary"
        return translate(cls, sizes, checkpoint, names, ignored=ignored, tied=tied)

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        wanted = wanted_layers(layers, self.n_layers)
        tokens, kept = self._states(batch.inputs, batch.mask, wanted)
        if self.strands == "average" and self.rcps:
            tokens, kept = _fold(tokens), {n: _fold(x) for n, x in kept.items()}
        elif self.strands == "average" and not self.training:
            index = flip_index(batch.inputs.shape[1], (batch.mask & ~batch.special).sum(1))
            turned = torch.take_along_dim(self.complement[batch.inputs], index, dim=1)
            others, other_layers = self._states(turned, batch.mask, wanted)
            tokens = (tokens + turn(others, index)) / 2
            kept = {n: (x + turn(other_layers[n], index)) / 2 for n, x in kept.items()}
        return Encoding(tokens=tokens, layers=kept if layers is not None else None)

    def use_formulation(self, name: Literal["plain", "fast"]) -> None:
        """``fast``: the kernel of the package mamba-ssm, where it is installed and the model is on a GPU."""
        on_gpu = self.embedding.weight.device.type == "cuda"
        fused = name == "fast" and on_gpu and importlib.util.find_spec("mamba_ssm") is not None
        for block in self.blocks:
            assert isinstance(block, CaduceusBlock)
            block.mixer.fused = fused

    def _states(self, ids: Tensor, mask: Tensor, wanted: frozenset[int]) -> tuple[Tensor, dict[int, Tensor]]:
        x = self.embedding(ids)
        if self.rcps:
            x = torch.cat((x, self.embedding(self.complement[ids]).flip(-1)), dim=-1)
        flip = flip_index(ids.shape[1], mask.sum(1))
        pair = torch.stack((x, torch.zeros_like(x)))
        pair, pairs = run_stack(pair, self.blocks, flip, wanted=wanted, checkpointing=self.gradient_checkpointing)
        kept = {n: x[0] + x[1] for n, x in pairs.items()}
        x = self._last_norm(pair[0] + pair[1])
        if self.n_layers in wanted:
            kept[self.n_layers] = x
        return x, kept

    def _last_norm(self, x: Tensor) -> Tensor:
        if not self.rcps:
            normed: Tensor = self.norm(x)
            return normed
        first, second = x.chunk(2, dim=-1)
        return torch.cat((self.norm(first), self.norm(second.flip(-1)).flip(-1)), dim=-1)

    def analytic_flops(self, batch_size: int, n_tokens: int) -> int:
        """Per block and strand read: common projections, and for each direction the short convolution, the projections to the
        scan's parameters and the product of its states with C; the recurrence itself is elementwise."""
        twice = self.rcps or (self.strands == "average" and not self.training)
        total = 0
        for block in self.blocks:
            assert isinstance(block, CaduceusBlock)
            mixer, scan = block.mixer, block.mixer.forward_scan
            taps, positions = scan.conv.kernel_size[0], n_tokens + scan.conv.kernel_size[0] - 1
            linear = scan.x_proj.weight.numel() + scan.dt_proj.weight.numel() + scan.A_log.numel()
            direction = n_tokens * linear + positions * scan.conv.out_channels * taps
            common = mixer.in_proj.weight.numel() + mixer.out_proj.weight.numel()
            total += 2 * batch_size * (n_tokens * common + 2 * direction)
        return total * (2 if twice else 1)

    def logits(self, batch: TokenBatch) -> Tensor:
        """(B, T, V): logits of the token at each position; PS adds those of both strands."""
        x, _ = self._states(batch.inputs, batch.mask, frozenset())
        words = self.embedding.weight
        if not self.rcps:
            return F.linear(x, words)
        first, second = x.chunk(2, dim=-1)
        return F.linear(first, words) + F.linear(second.flip(-1), words[self.complement])


def _fold(x: Tensor) -> Tensor:
    """(..., 2 D) -> (..., D): both strands' channels, brought into the same order, averaged."""
    first, second = x.chunk(2, dim=-1)
    return (first + second.flip(-1)) / 2


_SHARED_KEYS = {"in_proj.weight": "in_proj.weight", "out_proj.weight": "out_proj.weight"}
_DIRECTION_KEYS = {
    "conv.weight": "conv1d.weight",
    "conv.bias": "conv1d.bias",
    "x_proj.weight": "x_proj.weight",
    "dt_proj.weight": "dt_proj.weight",
    "dt_proj.bias": "dt_proj.bias",
    "A_log": "A_log",
    "D": "D",
}


def _exactly(key: str) -> str:
    return key.replace(".", r"\.")


def _check_complement(checkpoint: Checkpoint, key: str, vocab_size: int) -> None:
    stored = checkpoint.tensors.get(key)
    if stored is not None and stored.tolist() != Caduceus._complement(vocab_size).tolist():
        raise WeightsError(
            f"{checkpoint.source or 'checkpoint'}: {key} is not the complement A-T, C-G of the published vocabulary"
        )


def _published_sizes(checkpoint: Checkpoint) -> dict[str, Any]:
    """Sizes from ``config.json``.

    Raises:
        WeightsError: a size is missing, or the file describes a variant that was not published.
    """
    config, source = checkpoint.config, checkpoint.source or "checkpoint"
    if config is None:
        return {}
    expected = {
        "rms_norm": True,
        "bidirectional": True,
        "bidirectional_strategy": "add",
        "bidirectional_weight_tie": True,
    }
    ssm = config.get("ssm_cfg") or {}
    for name, value in (*expected.items(), ("bias", False), ("conv_bias", True), ("dt_rank", "auto")):
        found = (config if name in expected else ssm).get(name, value)
        if found not in (value, None):
            raise WeightsError(
                f"{source}: config.json says {name} = {found!r}, published Caduceus models have {value!r}"
            )
    vocabulary, multiple = config_value(config, "vocab_size", source=source), config.get("pad_vocab_size_multiple", 8)
    sizes = {
        "d_model": config_value(config, "d_model", source=source),
        "n_layers": config_value(config, "n_layer", source=source),
        "vocab_size": -(-vocabulary // multiple) * multiple,
        "rcps": bool(config.get("rcps", False)),
        "fused_add_norm": bool(config.get("fused_add_norm", True)),
    }
    sizes |= {name: config_value(ssm, name, source=source) for name in ("d_state", "d_conv", "expand") if name in ssm}
    if "norm_epsilon" in config:
        sizes["layer_norm_eps"] = config_value(config, "norm_epsilon", source=source, kind=float)
    return sizes
