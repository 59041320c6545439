"""Checkpoints of sizes that nobody published, against plain float64 readings of the architectures and against the library.

The readings take the published tensors by their published names, one sequence at a time, and share no code with the models.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from findna_bench.errors import WeightsError
from findna_bench.models.embedding import encode
from findna_bench.models.loading import load_model

Tensors = dict[str, Tensor]
Reading = Callable[[Tensors, list[int]], Tensor]
SEQUENCES = ["ACGTTGCANNACGGTACAGGT", "GATTACA", "TGCCAT", "A", "NN", "N" * 7, "CCGTAAGCTTGACCATGACTGGATN" * 3]


@dataclass
class Case:
    """A checkpoint in its published layout, and what its hidden states are. tensors: without ``prefix``; head: with its own."""

    model: str
    config: dict[str, Any]
    tensors: Tensors
    read: Reading
    prefix: str
    head: Tensors = field(default_factory=dict)

    def stored(self) -> Tensors:
        return {self.prefix + key: t for key, t in self.tensors.items()} | self.head

    def write(self, folder: Path, stored: Tensors | None = None, *, pickled: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        stored = self.stored() if stored is None else stored
        if pickled:
            torch.save(stored, folder / "pytorch_model.bin")
        else:
            save_file({key: t.contiguous() for key, t in stored.items()}, folder / "model.safetensors")
        if self.model == "dnabert2":
            write_tokenizer(folder, self.config["vocab_size"])

    def check(self, folder: Path, sequences: list[str] = SEQUENCES) -> None:
        """In float32 through ``encode``, alone and padded, and in float64 through the backbone."""
        exact = {key: t.double() for key, t in self.tensors.items()}
        model = load_model(self.model, weights=folder, device="cpu")
        double = load_model(self.model, weights=folder, device="cpu").backbone.double()
        for sequence, padded in zip(sequences, encode(model, sequences, batch_size=len(sequences)), strict=True):
            batch = double.tokenize([sequence])
            expected = self.read(exact, batch.inputs[0].tolist())
            with torch.inference_mode():
                torch.testing.assert_close(double(batch).tokens[0], expected, atol=1e-11, rtol=0)
            np.testing.assert_allclose(encode(model, [sequence])[0], expected.numpy(), atol=5e-5, rtol=0)
            np.testing.assert_allclose(padded, expected.numpy(), atol=5e-5, rtol=0)


def draws(seed: int = 0) -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape, scale=0.15, about=0.0: about + torch.randn(*shape, generator=generator) * scale


def linear(t: Tensors, key: str, x: Tensor) -> Tensor:
    return x @ t[f"{key}.weight"].T + t.get(f"{key}.bias", torch.zeros(()))


def norm(t: Tensors, key: str, x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + eps) * t[f"{key}.weight"] + t[f"{key}.bias"]


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """(H, T, d) each -> (T, H d)."""
    mixed = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias).softmax(-1) @ v
    return mixed.transpose(0, 1).flatten(1)


def heads(x: Tensor, n: int) -> Tensor:
    return x.view(len(x), n, -1).transpose(0, 1)


# --------------------------------------------------------------------------------------------------------- DNABERT-2


def write_tokenizer(folder: Path, vocab_size: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", *"ACGT"]
    pairs = ["".join(pair) for pair in itertools.product("ACGT", repeat=2)]
    longer = ["".join(four) for four in itertools.product(pairs, repeat=2)][: vocab_size - len(words) - len(pairs)]
    merges = [(pair[0], pair[1]) for pair in pairs] + [(four[:2], four[2:]) for four in longer]
    vocabulary = {word: number for number, word in enumerate([*words, *pairs, *longer])}
    assert len(vocabulary) == vocab_size
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(words[:5])
    tokenizer.save(str(folder / "tokenizer.json"))


def published_slopes(n: int) -> list[float]:
    """Press et al. 2022: a geometric series; between powers of two, every other one of the next finer series is appended."""
    if n & (n - 1) == 0:
        return [2.0 ** (-8.0 * i / n) for i in range(1, n + 1)]
    below = 1 << (n.bit_length() - 1)
    return published_slopes(below) + published_slopes(2 * below)[::2][: n - below]


def dnabert2(n_heads: int, *, eps: float = 1e-12, vocab_size: int = 61, layers: int = 2, inner: int = 20) -> Case:
    draw, width = draws(), 6 * n_heads
    t = {
        "embeddings.word_embeddings.weight": draw(vocab_size, width, scale=0.5),
        "embeddings.token_type_embeddings.weight": draw(2, width),
    }
    norms = ["embeddings.LayerNorm"]
    for n in range(layers):
        block = f"encoder.layer.{n}."
        for key, out, into in (
            ("attention.self.Wqkv", 3 * width, width),
            ("attention.output.dense", width, width),
            ("mlp.wo", width, inner),
        ):
            t |= {f"{block}{key}.weight": draw(out, into), f"{block}{key}.bias": draw(out)}
        t[f"{block}mlp.gated_layers.weight"] = draw(2 * inner, width)
        norms += [f"{block}attention.output.LayerNorm", f"{block}mlp.layernorm"]
    t |= {f"{key}.weight": draw(width, about=1.0) for key in norms} | {f"{key}.bias": draw(width) for key in norms}
    slopes = torch.tensor(published_slopes(n_heads)).double()

    def read(t: Tensors, ids: list[int]) -> Tensor:
        x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.token_type_embeddings.weight"][0]
        x = norm(t, "embeddings.LayerNorm", x, eps)
        position = torch.arange(len(ids))
        # The authors build the bias in float32.
        distance = (position[:, None] - position).abs().float()
        bias = (-slopes.float()[:, None, None] * distance).double()
        for n in range(layers):
            block = f"encoder.layer.{n}."
            q, k, v = (heads(part, n_heads) for part in linear(t, f"{block}attention.self.Wqkv", x).chunk(3, dim=-1))
            mixed = linear(t, f"{block}attention.output.dense", attend(q, k, v, bias))
            x = norm(t, f"{block}attention.output.LayerNorm", x + mixed, eps)
            gate, value = linear(t, f"{block}mlp.gated_layers", x).chunk(2, dim=-1)
            x = norm(t, f"{block}mlp.layernorm", x + linear(t, f"{block}mlp.wo", F.gelu(gate) * value), eps)
        return x

    head = {
        "cls.predictions.transform.dense.weight": draw(width, width),
        "cls.predictions.transform.dense.bias": draw(width),
        "cls.predictions.transform.LayerNorm.weight": draw(width, about=1.0),
        "cls.predictions.transform.LayerNorm.bias": draw(width),
        "cls.predictions.decoder.bias": draw(vocab_size),
    }
    config = {
        "architectures": ["BertForMaskedLM"],
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": n_heads,
        "intermediate_size": inner,
        "vocab_size": vocab_size,
        "layer_norm_eps": eps,
    }
    return Case("dnabert2", config, t, read, "bert.", head)


@pytest.mark.parametrize("n_heads", [1, 3, 7, 8, 11, 12])
def test_dnabert2_with_any_number_of_heads(n_heads: int, tmp_path: Path) -> None:
    case = dnabert2(n_heads, eps=1e-5 if n_heads % 2 else 1e-12)
    case.write(tmp_path)
    case.check(tmp_path, [*SEQUENCES, "ACGGTCA" * 300])


# ------------------------------------------------------------------------------------------------------------- NT v2


def nt_v2(n_heads: int, *, head_width: int = 6, rows: int = 66, eps: float = 1e-12, layers: int = 3) -> Case:
    draw, width, inner = draws(), n_heads * head_width, 10
    t = {
        "embeddings.word_embeddings.weight": draw(4107, width, scale=0.5),
        "embeddings.position_embeddings.weight": draw(rows, width),
        "contact_head.regression.weight": draw(1, layers * n_heads),
        "contact_head.regression.bias": draw(1),
    }
    frequencies = 1.0 / 10_000 ** (torch.arange(0, head_width, 2).float() / head_width)
    norms = ["encoder.emb_layer_norm_after"]
    for n in range(layers):
        block = f"encoder.layer.{n}."
        for key in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            t |= {f"{block}{key}.weight": draw(width, width), f"{block}{key}.bias": draw(width)}
        t[f"{block}attention.self.rotary_embeddings.inv_freq"] = frequencies.clone()
        t[f"{block}intermediate.dense.weight"] = draw(2 * inner, width)
        t[f"{block}output.dense.weight"] = draw(width, inner)
        norms += [f"{block}attention.LayerNorm", f"{block}LayerNorm"]
    t |= {f"{key}.weight": draw(width, about=1.0) for key in norms} | {f"{key}.bias": draw(width) for key in norms}

    def turned(x: Tensor) -> Tensor:
        """Each pair (i, i + half) of a head's channels, turned by position times frequency i."""
        half, angle = head_width // 2, torch.outer(torch.arange(x.shape[1]).double(), frequencies.double())
        first, second = x[..., :half], x[..., half:]
        return torch.cat(
            (first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()), dim=-1
        )

    def read(t: Tensors, ids: list[int]) -> Tensor:
        x = t["embeddings.word_embeddings.weight"][ids]
        for n in range(layers):
            block = f"encoder.layer.{n}."
            normed = norm(t, f"{block}attention.LayerNorm", x, eps)
            q, k, v = (
                heads(linear(t, f"{block}attention.self.{part}", normed), n_heads) for part in ("query", "key", "value")
            )
            x = x + linear(t, f"{block}attention.output.dense", attend(turned(q), turned(k), v))
            gate, value = linear(t, f"{block}intermediate.dense", norm(t, f"{block}LayerNorm", x, eps)).chunk(2, -1)
            x = x + linear(t, f"{block}output.dense", F.silu(gate) * value)
        return norm(t, "encoder.emb_layer_norm_after", x, eps)

    head = {
        "lm_head.dense.weight": draw(width, width),
        "lm_head.dense.bias": draw(width),
        "lm_head.layer_norm.weight": draw(width, about=1.0),
        "lm_head.layer_norm.bias": draw(width),
        "lm_head.decoder.weight": draw(4107, width),
        "lm_head.bias": draw(4107),
    }
    config = {
        "model_type": "esm",
        "auto_map": {"AutoModelForMaskedLM": "modeling_esm.EsmForMaskedLM"},
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": n_heads,
        "intermediate_size": inner,
        "vocab_size": 4107,
        "max_position_embeddings": rows,
        "layer_norm_eps": eps,
        "position_embedding_type": "rotary",
    }
    return Case("nt-v2-50m", config, t, read, "esm.", head)


@pytest.mark.parametrize(("n_heads", "head_width", "eps"), [(1, 10, 1e-12), (5, 2, 1e-5), (7, 4, 1e-12)])
def test_nucleotide_transformer_v2_of_other_widths(n_heads: int, head_width: int, eps: float, tmp_path: Path) -> None:
    case = nt_v2(n_heads, head_width=head_width, eps=eps)
    case.write(tmp_path)
    case.check(tmp_path, [*SEQUENCES, "GCCTAA" * 100])


# ---------------------------------------------------------------------------------------------------------- HyenaDNA


def hyenadna(
    width: int = 12,
    *,
    rows: int = 98,
    features: int = 5,
    order: int = 64,
    inner_layers: int = 2,
    taps: int = 3,
    inner: int = 20,
    eps: float = 1e-5,
    vocab_size: int = 12,
    layers: int = 2,
) -> Case:
    draw = draws()
    t = {
        "backbone.embeddings.word_embeddings.weight": draw(-(-vocab_size // 8) * 8, width, scale=0.5),
        "backbone.ln_f.weight": draw(width, about=1.0),
        "backbone.ln_f.bias": draw(width),
    }
    time = torch.linspace(0, 1, rows)
    angle = 2 * math.pi * torch.arange(rows)[:, None] / rows * torch.linspace(1e-4, features // 2 - 1, features // 2)
    decay = torch.linspace(math.log(0.01) / 1.5, math.log(0.01) / 0.3, width)
    for n in range(layers):
        block, filter_ = f"backbone.layers.{n}.", f"backbone.layers.{n}.mixer.filter_fn."
        for key, out, into in (
            ("mixer.in_proj", 3 * width, width),
            ("mixer.out_proj", width, width),
            ("mlp.fc1", inner, width),
            ("mlp.fc2", width, inner),
        ):
            t |= {f"{block}{key}.weight": draw(out, into), f"{block}{key}.bias": draw(out)}
        for key in ("norm1", "norm2"):
            t |= {f"{block}{key}.weight": draw(width, about=1.0), f"{block}{key}.bias": draw(width)}
        t |= {
            f"{block}mixer.short_filter.weight": draw(3 * width, 1, taps, scale=0.5),
            f"{block}mixer.short_filter.bias": draw(3 * width),
            f"{filter_}bias": draw(width),
            f"{filter_}implicit_filter.1.freq": draw(1, order, about=10.0),
            f"{filter_}implicit_filter.{2 * inner_layers + 2}.weight": draw(width, order, scale=0.08),
            f"{filter_}pos_emb.z": torch.cat((time[:, None], angle.cos(), -angle.sin()), dim=1)[None],
            f"{filter_}pos_emb.t": time[None, :, None].clone(),
            f"{filter_}modulation.deltas": decay[None, None].clone(),
        }
        for i, into in enumerate([features, *[order] * inner_layers]):
            key = f"{filter_}implicit_filter.{2 * i}"
            t |= {f"{key}.weight": draw(order, into, scale=0.08), f"{key}.bias": draw(order, scale=0.08)}

    def causal(x: Tensor, kernel: Tensor) -> Tensor:
        """x (T, D) * kernel (K, D), written out: y[i] = sum over j of kernel[j] x[i - j]."""
        y = torch.zeros_like(x)
        for j in range(min(len(kernel), len(x))):
            y[j:] += kernel[j] * x[: len(x) - j]
        return y

    def read(t: Tensors, ids: list[int]) -> Tensor:
        x = t["backbone.embeddings.word_embeddings.weight"][ids]
        for n in range(layers):
            block, filter_ = f"backbone.layers.{n}.", f"backbone.layers.{n}.mixer.filter_fn."
            short = t[f"{block}mixer.short_filter.weight"][:, 0].T.flip(0)
            projected = linear(t, f"{block}mixer.in_proj", norm(t, f"{block}norm1", x, eps))
            gate, gate_in, value = (causal(projected, short) + t[f"{block}mixer.short_filter.bias"]).chunk(3, dim=-1)
            hidden = t[f"{filter_}pos_emb.z"][0, : len(ids)]
            for i in range(inner_layers + 1):
                hidden = linear(t, f"{filter_}implicit_filter.{2 * i}", hidden)
                hidden = torch.sin(t[f"{filter_}implicit_filter.1.freq"] * hidden)
            taps_ = linear(t, f"{filter_}implicit_filter.{2 * inner_layers + 2}", hidden)
            window = torch.exp(-t[f"{filter_}pos_emb.t"][0, : len(ids)] * t[f"{filter_}modulation.deltas"][0].abs())
            mixed = causal(value * gate_in, taps_ * (window + 0.05)) + value * gate_in * t[f"{filter_}bias"]
            x = x + linear(t, f"{block}mixer.out_proj", mixed * gate)
            up = linear(t, f"{block}mlp.fc1", norm(t, f"{block}norm2", x, eps))
            x = x + linear(t, f"{block}mlp.fc2", F.gelu(up, approximate="tanh"))
        return norm(t, "backbone.ln_f", x, eps)

    head = {"lm_head.weight": draw(-(-vocab_size // 8) * 8, width)}
    config = {
        "model_type": "hyenadna",
        "d_model": width,
        "n_layer": layers,
        "vocab_size": vocab_size,
        "pad_vocab_size_multiple": 8,
        "max_seq_len": rows,
        "layer_norm_epsilon": eps,
        "hyena_order": 2,
    }
    return Case("hyenadna", config, t, read, "hyena.", head)


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"width": 13, "layers": 3, "eps": 1e-3, "vocab_size": 20},
        {"features": 3, "order": 16, "inner_layers": 1, "taps": 4, "inner": 9},
        {"features": 7, "inner_layers": 3},
    ],
)
def test_hyenadna_of_other_sizes_many_of_which_its_config_leaves_out(sizes: dict[str, Any], tmp_path: Path) -> None:
    case = hyenadna(**sizes)
    case.write(tmp_path)
    case.check(tmp_path)


# -------------------------------------------------------------------------------------- how the same tensors are stored

SMALL: dict[str, Callable[[], Case]] = {
    "dnabert2": lambda: dnabert2(3),
    "nt v2": lambda: nt_v2(3),
    "hyenadna": lambda: hyenadna(),
}
every = pytest.mark.parametrize("kind", SMALL)


@every
@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "state_dict.", "state_dict.module.", "state_dict.model."])
def test_what_a_training_script_puts_around_the_names_is_taken_away(kind: str, wrapper: str, tmp_path: Path) -> None:
    case = SMALL[kind]()
    case.write(tmp_path, {wrapper + key: t for key, t in case.stored().items()}, pickled=True)
    case.check(tmp_path)


@every
def test_an_optimiser_beside_the_model_is_left_alone(kind: str, tmp_path: Path) -> None:
    case = SMALL[kind]()
    saved = {"state_dict": case.stored(), "optimizer_states": [{"exp_avg": torch.ones(3)}], "epoch": 3}
    case.write(tmp_path, saved, pickled=True)  # type: ignore[arg-type]
    case.check(tmp_path)


@every
def test_a_name_that_only_some_tensors_carry_is_no_wrapper(kind: str, tmp_path: Path) -> None:
    case = SMALL[kind]()
    stored = case.stored()
    first = next(iter(stored))
    case.write(tmp_path, {f"module.{key}" if key == first else key: t for key, t in stored.items()})
    with pytest.raises(WeightsError, match=re.escape(first)):
        load_model(case.model, weights=tmp_path)


@every
def test_an_encoder_saved_by_itself_or_in_half_precision(kind: str, tmp_path: Path) -> None:
    case = SMALL[kind]()
    case.tensors = {
        key: t if re.search(r"inv_freq|pos_emb|deltas", key) else t.bfloat16() for key, t in case.tensors.items()
    }
    case.write(tmp_path, dict(case.tensors))
    case.check(tmp_path)


@every
def test_parts_that_an_index_lists(kind: str, tmp_path: Path) -> None:
    case = SMALL[kind]()
    stored = case.stored()
    case.write(tmp_path, stored)
    (tmp_path / "model.safetensors").unlink()
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    weight_map = {key: names[i % 2] for i, key in enumerate(stored)}
    for name in names:
        torch.save({key: t for key, t in stored.items() if weight_map[key] == name}, tmp_path / name)
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    case.check(tmp_path)


@pytest.mark.parametrize("keys", [("head",), ("body",), ("head", "body")])
def test_a_tied_tensor_may_be_stored_under_either_name_or_both(keys: tuple[str, ...], tmp_path: Path) -> None:
    case = dnabert2(3)
    stored = case.stored()
    words = stored.pop("bert.embeddings.word_embeddings.weight")
    stored |= {"cls.predictions.decoder.weight": words.clone()} if "head" in keys else {}
    stored |= {"bert.embeddings.word_embeddings.weight": words} if "body" in keys else {}
    case.write(tmp_path, stored)
    case.check(tmp_path)


@pytest.mark.parametrize("index", [1, 3, 5])
def test_the_shared_sine_of_hyenadna_may_be_stored_at_any_of_its_places(index: int, tmp_path: Path) -> None:
    case = hyenadna()
    stored = {key.replace("filter.1.freq", f"filter.{index}.freq"): t for key, t in case.stored().items()}
    case.write(tmp_path, stored)
    case.check(tmp_path)


# ----------------------------------------------------------------------------------- longer than what the card's size reads


@pytest.mark.parametrize(
    ("case", "bases"),
    [(hyenadna(8, rows=1402, layers=1), 1400), (nt_v2(1, rows=2102, layers=1), 6 * 2099)],
    ids=["hyenadna", "nt v2"],
)
def test_the_length_that_is_read_whole_is_the_checkpoint_s(case: Case, bases: int, tmp_path: Path) -> None:
    case.write(tmp_path)
    model = load_model(case.model, weights=tmp_path, device="cpu")
    assert model.max_length == bases
    case.check(tmp_path, ["ACGTTG" * (bases // 6)])


# --------------------------------------------------------------------------------------------- the library's BERT and ESM


def library_states(model: Any, ids: list[int]) -> np.ndarray:
    with torch.inference_mode():
        mask = torch.ones(1, len(ids), dtype=torch.long)
        return model.base_model(torch.tensor([ids]), attention_mask=mask).last_hidden_state[0].numpy()


def randomised(model: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def check_library(name: str, folder: Path, theirs: Any, tokens: Callable[[str], list[int]], longest: int) -> None:
    sequences = [*SEQUENCES, "ACGTCCA" * 60, ("GATTACA" * longest)[:longest], ("GATTACA" * longest)[: longest + 9]]
    model = load_model(name, weights=folder, device="cpu")
    assert model.max_length == longest
    for sequence, padded in zip(sequences, encode(model, sequences, batch_size=len(sequences)), strict=True):
        expected = library_states(theirs, tokens(sequence[:longest]))
        np.testing.assert_allclose(encode(model, [sequence])[0], expected, atol=5e-5, rtol=0)
        np.testing.assert_allclose(padded, expected, atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    ("k", "name", "rows", "wrapper"),
    [(3, "dnabert-3", 130, ""), (4, "dnabert", 512, "module."), (5, "dnabert", 600, ""), (6, "dnabert", 1024, "")],
)
@pytest.mark.parametrize("with_vocabulary", [True, False])
def test_dnabert_with_any_k(k: int, name: str, rows: int, wrapper: str, with_vocabulary: bool, tmp_path: Path) -> None:
    from transformers import BertConfig, BertForMaskedLM

    sizes = {
        "vocab_size": 4**k + 5,
        "hidden_size": 21,
        "num_attention_heads": 7,
        "num_hidden_layers": 2,
        "intermediate_size": 11,
        "max_position_embeddings": rows,
        "layer_norm_eps": 1e-5,
    }
    theirs = randomised(BertForMaskedLM(BertConfig(**sizes)))
    stored = {wrapper + key: t for key, t in theirs.state_dict().items()}
    stored[f"{wrapper}bert.embeddings.position_ids"] = torch.arange(rows)[None]
    torch.save(stored, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(sizes | {"model_type": "bert"}))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map("".join, itertools.product("ATCG", repeat=k))]
    if with_vocabulary:
        (tmp_path / "vocab.txt").write_text("\n".join(words))
    ids = {word: number for number, word in enumerate(words)}

    def tokens(sequence: str) -> list[int]:
        return [2, *(ids.get(sequence[i : i + k], 1) for i in range(len(sequence) - k + 1)), 3]

    check_library(name, tmp_path, theirs, tokens, rows - 2 + k - 1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"emb_layer_norm_before": True, "num_hidden_layers": 3, "layer_norm_eps": 1e-5},
        {"token_dropout": ...},  # absent: the library's default is False, the card's models have True
        {"position_embedding_type": "rotary", "hidden_size": 36},
        {"max_position_embeddings": 1202},
    ],
    ids=["odd", "norm before", "silent config", "rotary", "longer"],
)
def test_nucleotide_transformer_v1_is_the_library_s_esm(changes: dict[str, Any], tmp_path: Path) -> None:
    from transformers import EsmConfig, EsmForMaskedLM

    sizes = {
        "vocab_size": 4105,
        "hidden_size": 30,
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "intermediate_size": 17,
        "max_position_embeddings": 92,
        "position_embedding_type": "absolute",
        "token_dropout": True,
        "pad_token_id": 1,
        "mask_token_id": 2,
    }
    sizes = {key: value for key, value in (sizes | changes).items() if value is not ...}
    theirs = randomised(EsmForMaskedLM(EsmConfig(**sizes)))
    theirs.save_pretrained(tmp_path, max_shard_size="300KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    (tmp_path / "config.json").write_text(json.dumps(sizes | {"model_type": "esm"}))
    words = ["<unk>", "<pad>", "<mask>", "<cls>", *map("".join, itertools.product("ATCG", repeat=6)), *"ATCGN"]
    ids = {word: number for number, word in enumerate(words)}
    most = sizes["max_position_embeddings"] - 2

    def tokens(sequence: str) -> list[int]:
        found = [ids["<cls>"]]
        for run in re.findall("N|[ACGT]+", sequence):
            whole = len(run) - len(run) % 6
            found += [ids[run[i : i + 6]] for i in range(0, whole, 6)] + [ids[base] for base in run[whole:]]
        return found[:most]

    check_library("nt-500m-human", tmp_path, theirs, tokens, 6 * (most - 1))
