"""HyenaDNA (Nguyen et al. 2023, arXiv:2306.15794): long convolutions with implicit filters, character tokens, causal.

Written from the published description and checked against outputs of the authors' implementation. The model has no attention
mask: because it is causal, padding at the right never reaches a real position, padding at the left would change all of them.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from findna_baselines.checkpoints import config_value, own_prefix, translate
from findna_baselines.encoder import Encoder, at_least_float32, run_stack, unless_narrower, wanted_layers
from findna_baselines.tokenization import CharacterTokenizer
from findna_bench.api import (
    Adapted,
    Checkpoint,
    Encoding,
    TokenBatch,
    WeightsError,
)

__all__ = ["HyenaDNA"]

_CACHE_BYTES = 256 * 2**20
_SHIFT = 0.05
_CACHED_NUMBERS = 1 << 18
"""Numbers that are transformed together on a CPU."""


def filter_tables(max_seq_len: int, emb_dim: int, d_model: int) -> dict[str, Tensor]:
    """Positional features z (1, L, emb_dim), times t (1, L, 1) and decay rates (1, 1, D), all normalised by the trained length."""
    bands = (emb_dim - 1) // 2
    t = torch.linspace(0, 1, max_seq_len)[None, :, None]
    angle = torch.linspace(0, max_seq_len - 1, max_seq_len)[None, :, None] * (2 * math.pi / max_seq_len)
    phase = torch.linspace(1e-4, bands - 1, bands)[None, None] * angle
    slow, fast = math.log(1e-2) / 1.5, math.log(1e-2) / 0.3
    deltas = torch.linspace(slow, fast, d_model)[None, None]
    return {"z": torch.cat((t, phase.cos(), -phase.sin()), dim=-1), "t": t, "deltas": deltas}


def bucket(length: int) -> int:
    """The smallest of 4, 5, 6, 7 times a power of two (at least 16) that is not below ``length``: a good FFT size."""
    power = max(2, math.ceil(length / 7).bit_length() - 2)
    while True:
        for factor in (4, 5, 6, 7):
            if factor << power >= length:
                return factor << power
        power += 1


class _Version(NamedTuple):
    """A tensor as it was: the object is held, so that its address cannot be reused."""

    tensor: Tensor
    address: int
    version: int

    def same(self, other: _Version) -> bool:
        return self.tensor is other.tensor and self.address == other.address and self.version == other.version


class _CausalConvolution(torch.autograd.Function):
    """(B, D, L) by the spectrum (D, S + 1) of taps, at FFT size 2 S >= 2 L, is (B, D, L).

    On a CPU a few rows at a time, in the cache. The backward pass is written down because torch's takes a complex transform for
    every real one; it transforms the input again rather than keep what is four times its size.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, spectrum: Tensor) -> Tensor:
        ctx.save_for_backward(x, spectrum)
        size, length = 2 * (spectrum.shape[-1] - 1), x.shape[-1]
        rows = _rows_at_once(x, size)
        mixed = [
            torch.fft.irfft(torch.fft.rfft(some, n=size) * spectrum, n=size)[..., :length] for some in x.split(rows)
        ]
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        x, spectrum = ctx.saved_tensors
        size, length, (gradient,) = 2 * (spectrum.shape[-1] - 1), x.shape[-1], gradients
        rows, conjugate, to_x = _rows_at_once(x, size), spectrum.conj().resolve_conj(), []
        to_spectrum = torch.zeros_like(spectrum) if ctx.needs_input_grad[1] else None
        for some, towards in zip(x.split(rows), gradient.split(rows), strict=True):
            transformed = torch.fft.rfft(towards, n=size)
            if to_spectrum is not None:
                to_spectrum += (transformed * torch.fft.rfft(some, n=size).conj()).sum(0)
            to_x.append(torch.fft.irfft(transformed.mul_(conjugate), n=size)[..., :length])
        if to_spectrum is not None:
            to_spectrum /= size
            to_spectrum[:, 1:-1] *= 2  # frequencies that stand for their negative, too
        return torch.cat(to_x), to_spectrum


def _rows_at_once(x: Tensor, size: int) -> int:
    """Of (B, D, L), transformed at an FFT size: on a CPU what fits into its cache, else all."""
    return max(1, _CACHED_NUMBERS // (x.shape[1] * size)) if x.device.type == "cpu" else len(x)


class HyenaFilter(nn.Module):
    """The implicit long filter: an MLP with sine activations over positional features, times an exponential window."""

    z: Tensor
    t: Tensor
    deltas: Tensor

    def __init__(
        self, d_model: int, max_seq_len: int, emb_dim: int, filter_order: int, inner_layers: int, activation_freq: float
    ) -> None:
        super().__init__()
        widths = (emb_dim, *[filter_order] * (inner_layers + 1))
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.output = nn.Linear(filter_order, d_model, bias=False)
        self.freq = nn.Parameter(torch.full((1, filter_order), float(activation_freq)))
        self.bias = nn.Parameter(torch.randn(d_model))
        for name, table in filter_tables(max_seq_len, emb_dim, d_model).items():
            self.register_buffer(name, table)
        self._spectra: dict[int, tuple[list[_Version], Tensor]] = {}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> HyenaFilter:
        """Move with the module, but stay in fp32: half precision can neither tell a million positions apart nor bear the sines."""
        nn.Module._apply(self, unless_narrower(fn), recurse)
        self._spectra.clear()
        return self

    def train(self, mode: bool = True) -> HyenaFilter:
        self._spectra.clear()
        return super().train(mode)

    def kernel(self, length: int) -> Tensor:
        """(D, length) filter taps, in fp32 or wider."""
        rows = min(length, self.z.shape[1])
        x = self.z[:, :rows]
        for layer in self.hidden:
            x = torch.sin(self.freq * layer(x))
        taps = self.output(x)
        taps = taps * (torch.exp(-self.t[:, :rows] * self.deltas.abs()) + _SHIFT)
        return F.pad(taps[0].t(), (0, length - rows))

    def spectrum(self, length: int) -> Tensor:
        """(D, length + 1) Fourier transform of the taps at FFT size ``2 * length``; kept in eval mode.

        Kept together with the parameters it came from and their versions, so that a weight that is replaced or updated in
        place is seen. Spectra above 256 MiB are computed anew each time.
        """
        parameters = [self.freq, *self.hidden.parameters(), *self.output.parameters(), self.z, self.t, self.deltas]
        if self.training or (torch.is_grad_enabled() and any(p.requires_grad for p in parameters)):
            spectrum: Tensor = torch.fft.rfft(self.kernel(length), n=2 * length)
            return spectrum
        versions = [_Version(p, p.data_ptr(), 0 if p.is_inference() else p._version) for p in parameters]
        known = self._spectra.get(length)
        if known is not None and all(old.same(new) for old, new in zip(known[0], versions, strict=True)):
            return known[1]
        # A tensor made in inference mode could not serve a later backward pass through the activations.
        with torch.inference_mode(False), torch.no_grad():
            spectrum = torch.fft.rfft(self.kernel(length), n=2 * length)
        if sum(kept.nbytes for _, kept in self._spectra.values()) + spectrum.nbytes > _CACHE_BYTES:
            self._spectra.clear()
        if spectrum.nbytes <= _CACHE_BYTES:
            self._spectra[length] = (versions, spectrum)
        return spectrum

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, L) -> (B, D, L): causal convolution plus skip, in fp32 whatever the surrounding precision."""
        # Autocast does not know the meta device, on which operations are counted.
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            wide = at_least_float32(x)
            mixed = _CausalConvolution.apply(wide, self.spectrum(bucket(x.shape[-1])))
            return torch.addcmul(mixed, wide, self.bias[:, None]).to(x.dtype)


class HyenaOperator(nn.Module):
    """Order-2 Hyena: project, short causal convolution, gate, long convolution, gate, project."""

    def __init__(self, d_model: int, short_filter_order: int, **filter_sizes: Any) -> None:
        super().__init__()
        self.in_proj = nn.Linear(d_model, 3 * d_model)
        self.short_filter = nn.Conv1d(
            3 * d_model, 3 * d_model, short_filter_order, groups=3 * d_model, padding=short_filter_order - 1
        )
        self.filter = HyenaFilter(d_model, **filter_sizes)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        projected = self.in_proj(x).transpose(1, 2)
        # Padded at the left only: the layer's own padding at either side computes what is cut off again.
        short = self.short_filter
        before = F.pad(projected, (short.kernel_size[0] - 1, 0))
        gate, gate_in, value = F.conv1d(before, short.weight, short.bias, groups=short.groups).chunk(3, dim=1)
        mixed: Tensor = self.out_proj((self.filter(value * gate_in) * gate).transpose(1, 2))
        return mixed


class HyenaBlock(nn.Module):
    """Pre-norm block: Hyena operator, then MLP."""

    def __init__(self, d_model: int, d_inner: int, layer_norm_eps: float, **operator: Any) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.mixer = HyenaOperator(d_model, **operator)
        self.norm2 = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.fc1 = nn.Linear(d_model, d_inner)
        self.fc2 = nn.Linear(d_inner, d_model)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm1(x))
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate="tanh"))
        return x


class HyenaDNA(Encoder):
    """HyenaDNA.

    Args:
        d_model: channels D. n_layers: blocks. max_seq_len: trained length in tokens; filters are normalised by it, so it is
        part of the weights and must not be shortened. d_inner: MLP width, default ``4 * d_model``.
        with_head: build the next-token head.
    """

    causal: ClassVar[bool] = True
    can_compile: ClassVar[bool] = False
    head_prefixes: ClassVar[tuple[str, ...]] = ("lm_head.",)
    published_as: ClassVar[tuple[str, ...]] = ("hyenadna", "HyenaDNAForCausalLM", "HyenaDNAModel")

    def __init__(
        self,
        *,
        d_model: int,
        n_layers: int,
        max_seq_len: int,
        d_inner: int | None = None,
        vocab_size: int = 16,
        emb_dim: int = 5,
        filter_order: int = 64,
        filter_inner_layers: int = 2,
        short_filter_order: int = 3,
        activation_freq: float = 10.0,
        layer_norm_eps: float = 1e-5,
        with_head: bool = True,
    ) -> None:
        super().__init__()
        self.embed_dim, self.n_layers, self.max_length = d_model, n_layers, max_seq_len - 2
        self.tokenizer = CharacterTokenizer(self.max_length)
        self.embedding = nn.Embedding(vocab_size, d_model)
        block = {
            "short_filter_order": short_filter_order,
            "max_seq_len": max_seq_len,
            "emb_dim": emb_dim,
            "filter_order": filter_order,
            "inner_layers": filter_inner_layers,
            "activation_freq": activation_freq,
        }
        self.blocks = nn.ModuleList(
            HyenaBlock(d_model, d_inner or 4 * d_model, layer_norm_eps, **block) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model, eps=layer_norm_eps)
        self.lm_head = nn.Linear(d_model, vocab_size, bias=False) if with_head else None
        self._initialise()

    def _initialise(self) -> None:
        """The authors' scheme: N(0, 0.02), zero biases, residual outputs scaled by 1/sqrt(2 * layers)."""
        for name, parameter in self.named_parameters():
            if name.endswith(("embedding.weight", "lm_head.weight")) or (
                "proj" in name or ".fc" in name or ".filter." in name
            ):
                if parameter.dim() == 2 and not name.endswith("freq"):
                    residual = name.endswith(("out_proj.weight", "fc2.weight"))
                    nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.n_layers) if residual else 0.02)
                elif name.endswith("bias") and not name.endswith("filter.bias"):
                    nn.init.zeros_(parameter)

    @classmethod
    def adapt_checkpoint(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        sizes = dict(config) | _published_sizes(checkpoint)
        sizes["with_head"] = "lm_head.weight" in checkpoint.tensors
        prefix = own_prefix(checkpoint.tensors, "hyena.")
        names = {
            "embedding.weight": f"{prefix}backbone.embeddings.word_embeddings.weight",
            "norm.weight": f"{prefix}backbone.ln_f.weight",
            "norm.bias": f"{prefix}backbone.ln_f.bias",
        }
        inner = sizes.get("filter_inner_layers", 2)
        for n in range(sizes["n_layers"]):
            block = {**_BLOCK_KEYS, **_filter_keys(inner)}
            names |= {f"blocks.{n}.{own}": f"{prefix}backbone.layers.{n}.{key}" for own, key in block.items()}
        if sizes["with_head"]:
            names["lm_head.weight"] = "lm_head.weight"
        tables = filter_tables(sizes["max_seq_len"], sizes.get("emb_dim", 5), sizes["d_model"])
        computed = {f"blocks.{n}.mixer.filter.{k}": v for n in range(sizes["n_layers"]) for k, v in tables.items()}
        again = tuple(2 * i + 1 for i in range(1, inner + 1))
        ignored = {
            rf".*implicit_filter\.{i}\.freq": "the same sine module as implicit_filter.1, stored again" for i in again
        }
        sine = f"{prefix}backbone.layers.{{}}.{_FILTER}.implicit_filter.{{}}.freq"
        tied = {sine.format(n, i): sine.format(n, 1) for n in range(sizes["n_layers"]) for i in again}
        return translate(cls, sizes, checkpoint, names, computed=computed, ignored=ignored, tied=tied)

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        wanted = wanted_layers(layers, self.n_layers)
        x = self.embedding(batch.inputs)
        x, kept = run_stack(x, self.blocks, wanted=wanted, checkpointing=self.gradient_checkpointing)
        x = self.norm(x)
        if self.n_layers in wanted:
            kept[self.n_layers] = x
        return Encoding(tokens=x, layers=kept if layers is not None else None)

    def analytic_flops(self, batch_size: int, n_tokens: int) -> int:
        """Per block: projections, short convolution, MLP, three transforms of twice the padded length, and once the filter MLP."""
        width, size = self.embed_dim, bucket(n_tokens)
        positions = batch_size * n_tokens
        total = 0.0
        for block in self.blocks:
            assert isinstance(block, HyenaBlock)
            taps = block.mixer.short_filter.kernel_size[0]
            products = 4 * width * width + 2 * width * block.fc1.out_features
            short = 3 * width * taps * positions
            layers = [*block.mixer.filter.hidden, block.mixer.filter.output]
            rows = min(size, block.mixer.filter.z.shape[1])
            implicit = rows * sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Linear))
            transforms = (2 * batch_size + 1) * width * 2.5 * 2 * size * math.log2(2 * size)
            total += 2 * (positions * products + short + implicit) + transforms
        return round(total)

    def logits(self, batch: TokenBatch) -> Tensor:
        """(B, T, V): logits of the token after each position."""
        if self.lm_head is None:
            raise self.no_head("lm_head.weight")
        logits: Tensor = self.lm_head(self.forward(batch).tokens)
        return logits


_FILTER = "mixer.filter_fn"
_BLOCK_KEYS = {
    **{f"{norm}.{kind}": f"{norm}.{kind}" for norm in ("norm1", "norm2") for kind in ("weight", "bias")},
    **{f"fc{n}.{kind}": f"mlp.fc{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")},
    **{
        f"mixer.{part}.{kind}": f"mixer.{part}.{kind}"
        for part in ("in_proj", "short_filter", "out_proj")
        for kind in ("weight", "bias")
    },
    "mixer.filter.freq": f"{_FILTER}.implicit_filter.1.freq",
    "mixer.filter.bias": f"{_FILTER}.bias",
    "mixer.filter.z": f"{_FILTER}.pos_emb.z",
    "mixer.filter.t": f"{_FILTER}.pos_emb.t",
    "mixer.filter.deltas": f"{_FILTER}.modulation.deltas",
}


def _filter_keys(inner_layers: int) -> dict[str, str]:
    """Linear layers of the implicit filter; sines stand between them in the published list."""
    linear = f"{_FILTER}.implicit_filter."
    keys = {
        f"mixer.filter.hidden.{n}.{kind}": f"{linear}{2 * n}.{kind}"
        for n in range(inner_layers + 1)
        for kind in ("weight", "bias")
    }
    return {**keys, "mixer.filter.output.weight": f"{linear}{2 * (inner_layers + 1)}.weight"}


def _published_sizes(checkpoint: Checkpoint) -> dict[str, Any]:
    """Sizes from ``config.json`` of a ``-hf`` repository, or of an original one (lengths under ``layer``)."""
    if checkpoint.config is None:
        return {}
    source = checkpoint.source or "checkpoint"
    layer = checkpoint.config.get("layer")
    config = dict(checkpoint.config) | (dict(layer) if isinstance(layer, Mapping) else {})
    for name, value in {"hyena_order": 2, "use_bias": True, "modulate": True}.items():
        if config.get(name, value) != value:
            raise WeightsError(f"{source}: config.json says {name} = {config[name]!r}, published models have {value!r}")
    multiple = config.get("pad_vocab_size_multiple", 8)
    vocabulary = config_value(config, "vocab_size", source=source)
    sizes = {
        "d_model": config_value(config, "d_model", source=source),
        "n_layers": config_value(config, "n_layer", source=source),
        "max_seq_len": config_value(config, "max_seq_len", "l_max", source=source),
        "vocab_size": -(-vocabulary // multiple) * multiple,
    }
    optional = {
        "d_inner": ("d_inner",),
        "emb_dim": ("emb_dim",),
        "filter_order": ("hyena_filter_order", "filter_order"),
        "filter_inner_layers": ("num_inner_mlps",),
        "short_filter_order": ("short_filter_order", "local_order"),
        "activation_freq": ("activation_freq", "w"),
        "layer_norm_eps": ("layer_norm_epsilon",),
    }
    for own, published in optional.items():
        given = [name for name in published if config.get(name) is not None]
        if given:
            sizes[own] = config_value(config, *given, source=source, kind=float)
    return _stored_sizes(checkpoint.tensors) | sizes


def _stored_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Sizes that not every published ``config.json`` states, from the shapes of the first block."""
    block = {key.rpartition("layers.0.")[2]: tensor for key, tensor in tensors.items() if "layers.0." in key}
    shapes = {
        "d_inner": ("mlp.fc1.weight", 0),
        "emb_dim": (f"{_FILTER}.implicit_filter.0.weight", 1),
        "filter_order": (f"{_FILTER}.implicit_filter.0.weight", 0),
        "short_filter_order": ("mixer.short_filter.weight", 2),
    }
    sizes = {own: block[key].shape[axis] for own, (key, axis) in shapes.items() if key in block}
    linear = [key for key in block if re.fullmatch(rf"{re.escape(_FILTER)}\.implicit_filter\.\d+\.weight", key)]
    # One from the features, one to the channels, the rest between them.
    return sizes | ({"filter_inner_layers": len(linear) - 2} if len(linear) > 1 else {})
