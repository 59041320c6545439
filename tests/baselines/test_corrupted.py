"""Damaged, mislabelled and hostile checkpoints: each is refused with a sentence that names what is wrong, or proven harmless."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from findna_baselines.nucleotide_transformer_v2 import SPECIAL_V2
from findna_baselines.tokenization import KmerVocabulary
from findna_bench.errors import BenchError, WeightsError
from findna_bench.models.embedding import embed
from findna_bench.models.loading import load_model

D, INNER, LAYERS, HEADS, POSITIONS, VOCABULARY = 16, 24, 2, 2, 34, 4107
LAYER = "esm.encoder.layer.1."
SEQUENCES = ["ACGTACGTTGCANNACGTAGG", "GATTACAGATTACA"]


@dataclass
class Folder:
    """A checkpoint in the published layout of Nucleotide Transformer v2, with random numbers."""

    path: Path
    tensors: dict[str, Tensor]
    config: dict[str, Any] = field(default_factory=dict)

    def write(self, *, pickled: bool = False) -> None:
        for name in ("model.safetensors", "pytorch_model.bin"):
            (self.path / name).unlink(missing_ok=True)
        if pickled:
            torch.save(self.tensors, self.path / "pytorch_model.bin")
        else:
            save_file({k: t.contiguous() for k, t in self.tensors.items()}, self.path / "model.safetensors")
        (self.path / "config.json").write_text(json.dumps(self.config))

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    def vectors(self) -> Any:
        return embed(load_model("nt-v2-50m", weights=self.path), SEQUENCES).vectors


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.2

    tensors = {
        "esm.embeddings.word_embeddings.weight": draw(VOCABULARY, D),
        "esm.embeddings.position_embeddings.weight": draw(POSITIONS, D),
        "esm.encoder.emb_layer_norm_after.weight": 1 + draw(D),
        "esm.encoder.emb_layer_norm_after.bias": draw(D),
        "esm.contact_head.regression.weight": draw(1, LAYERS * HEADS),
        "esm.contact_head.regression.bias": draw(1),
        "lm_head.dense.weight": draw(D, D),
        "lm_head.dense.bias": draw(D),
        "lm_head.layer_norm.weight": 1 + draw(D),
        "lm_head.layer_norm.bias": draw(D),
        "lm_head.decoder.weight": draw(VOCABULARY, D),
        "lm_head.bias": draw(VOCABULARY),
    }
    frequencies = 1 / 10_000 ** (torch.arange(0, D // HEADS, 2) / (D // HEADS))
    for n in range(LAYERS):
        layer = f"esm.encoder.layer.{n}."
        tensors[f"{layer}attention.self.rotary_embeddings.inv_freq"] = frequencies.clone()
        tensors[f"{layer}intermediate.dense.weight"] = draw(2 * INNER, D)
        tensors[f"{layer}output.dense.weight"] = draw(D, INNER)
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            tensors[f"{layer}attention.{part}.weight"] = draw(D, D)
            tensors[f"{layer}attention.{part}.bias"] = draw(D)
        for norm in ("attention.LayerNorm", "LayerNorm"):
            tensors[f"{layer}{norm}.weight"] = 1 + draw(D)
            tensors[f"{layer}{norm}.bias"] = draw(D)
    config = {
        "model_type": "esm",
        "auto_map": {"AutoModelForMaskedLM": "modeling_esm.EsmForMaskedLM"},
        "hidden_size": D,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": POSITIONS,
        "vocab_size": VOCABULARY,
        "layer_norm_eps": 1e-12,
        "position_embedding_type": "rotary",
        "token_dropout": False,
        "emb_layer_norm_before": False,
    }
    made = Folder(tmp_path, tensors, config)
    made.write()
    return made


class Malicious:
    """Unpickled carelessly, it would leave a file behind."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.target,)


def rename(f: Folder) -> None:
    f.tensors[f"{LAYER}attention.self.queri.weight"] = f.tensors.pop(f"{LAYER}attention.self.query.weight")
    f.write()


def drop(f: Folder) -> None:
    del f.tensors[f"{LAYER}output.dense.weight"]
    f.write()


def drop_layer(f: Folder) -> None:
    f.tensors = {k: t for k, t in f.tensors.items() if not k.startswith(LAYER)}
    f.write()


def add(f: Folder) -> None:
    f.tensors[f"{LAYER}adapter.weight"] = torch.zeros(D, D)
    f.write()


def reshape(f: Folder) -> None:
    f.tensors[f"{LAYER}output.dense.weight"] = f.tensors[f"{LAYER}output.dense.weight"].T
    f.write()


def poison(value: float) -> Callable[[Folder], None]:
    def change(f: Folder) -> None:
        f.tensors[f"{LAYER}LayerNorm.bias"][3] = value
        f.write()

    return change


def poison_unused(f: Folder) -> None:
    f.tensors["esm.contact_head.regression.weight"][0, 0] = float("nan")
    f.write()


def integers(f: Folder) -> None:
    f.tensors[f"{LAYER}attention.self.key.weight"] = torch.ones(D, D, dtype=torch.int64)
    f.write()


def complexes(f: Folder) -> None:
    f.tensors[f"{LAYER}attention.self.key.weight"] = torch.ones(D, D, dtype=torch.complex64)
    f.write(pickled=True)


def beyond_float32(f: Folder) -> None:
    f.tensors[f"{LAYER}attention.self.key.weight"] = torch.full((D, D), 1e300, dtype=torch.float64)
    f.write()


def truncate(f: Folder) -> None:
    f.weights.write_bytes(f.weights.read_bytes()[:-1000])


def truncate_pickle(f: Folder) -> None:
    f.write(pickled=True)
    path = f.path / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-1000])


def empty(f: Folder) -> None:
    f.weights.write_bytes(b"")


def error_page(f: Folder) -> None:
    f.weights.write_text("<!DOCTYPE html><html><body>404: Not Found</body></html>")


def pointer(f: Folder) -> None:
    f.weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 223642688\n")


def code(f: Folder) -> None:
    f.tensors["esm.embeddings.position_ids"] = Malicious(f.path / "executed")  # type: ignore[assignment]
    f.write(pickled=True)


def legacy_pickle(f: Folder) -> None:
    import pickle

    f.weights.unlink()
    (f.path / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious(f.path / "executed")))


def whole_module(f: Folder) -> None:
    f.weights.unlink()
    torch.save(torch.nn.Linear(2, 2), f.path / "pytorch_model.bin")


def other_architecture(f: Folder) -> None:
    f.tensors = {k.replace("esm.", "bert."): t for k, t in f.tensors.items()}
    f.write()


def frequencies(f: Folder) -> None:
    f.tensors[f"{LAYER}attention.self.rotary_embeddings.inv_freq"] *= 2
    f.write()


def half_head(f: Folder) -> None:
    del f.tensors["lm_head.layer_norm.bias"]
    f.write()


def setting(**changes: Any) -> Callable[[Folder], None]:
    def change(f: Folder) -> None:
        f.config = {k: v for k, v in {**f.config, **changes}.items() if v is not ...}
        f.write()

    return change


def no_json(f: Folder) -> None:
    (f.path / "config.json").write_text('{"hidden_size": 16,')


def vocabulary(edit: Callable[[list[str]], list[str]]) -> Callable[[Folder], None]:
    def change(f: Folder) -> None:
        tokens = list(KmerVocabulary.by_rule(SPECIAL_V2, 6, tuple("ATCGN")).tokens)
        (f.path / "vocab.txt").write_text("\n".join(edit(tokens)))

    return change


def index(**weight_map: str) -> Callable[[Folder], None]:
    def change(f: Folder) -> None:
        f.weights.rename(f.path / "model-00001-of-00002.safetensors")
        (f.path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return change


REFUSED = {
    "renamed key": (rename, r"self\.query\.weight is missing"),
    "missing key": (drop, r"output\.dense\.weight is missing"),
    "missing layer": (
        drop_layer,
        r": keys (esm\.encoder\.layer\.1\.[\w.]+, ){3}esm\.encoder\.layer\.1\.[\w.]+ and 10 more are missing; ",
    ),
    "unexpected key": (add, r"adapter\.weight is not expected"),
    "transposed tensor": (reshape, r"output\.dense\.weight has shape \(24, 16\).*\(16, 24\)"),
    "NaN": (poison(float("nan")), r"LayerNorm\.bias holds NaN"),
    "infinity": (poison(float("inf")), r"LayerNorm\.bias holds NaN or inf"),
    "NaN in a tensor that is not used": (poison_unused, r"contact_head\.regression\.weight holds NaN"),
    "integers": (integers, r"self\.key\.weight holds torch\.int64"),
    "complex numbers": (complexes, r"self\.key\.weight holds torch\.complex64"),
    "numbers beyond float32": (beyond_float32, r"key\.weight holds numbers beyond float32"),
    "truncated safetensors": (truncate, r"model\.safetensors"),
    "truncated pickle": (truncate_pickle, r"pytorch_model\.bin"),
    "empty file": (empty, r"model\.safetensors"),
    "error page": (error_page, r"model\.safetensors"),
    "git-lfs pointer": (pointer, r"model\.safetensors"),
    "pickle with code": (code, r"pytorch_model\.bin"),
    "old pickle with code": (legacy_pickle, r"pytorch_model\.bin"),
    "pickled module": (whole_module, r"pytorch_model\.bin"),
    "another architecture": (other_architecture, r"missing"),
    "rotary frequencies differ between layers": (frequencies, r"inv_freq differs from"),
    "part of the head": (half_head, r"lm_head\.layer_norm\.bias is missing"),
    "config is no JSON": (no_json, r"config\.json"),
    "config without a size": (setting(num_hidden_layers=...), r"num_hidden_layers"),
    "config with a size in words": (setting(hidden_size="sixteen"), r"hidden_size = 'sixteen'"),
    "config with a truth value for a size": (setting(num_hidden_layers=True), r"num_hidden_layers = True"),
    "config with a negative size": (setting(num_hidden_layers=-2), r"num_hidden_layers = -2"),
    "config with absurdly many layers": (setting(num_hidden_layers=10**9), r"num_hidden_layers = 1000000000"),
    "config with an absurd width": (setting(hidden_size=10**12), r"hidden_size = 1000000000000"),
    "config with an absurd vocabulary": (setting(vocab_size=10**8), r"vocab_size 100000000 is not"),
    "config with fewer layers": (setting(num_hidden_layers=1), r"encoder\.layer\.1\..*not expected"),
    "config with more layers": (setting(num_hidden_layers=3), r"encoder\.layer\.2\..*missing"),
    "config with heads that do not divide": (setting(num_attention_heads=3), r"heads"),
    "config with other heads": (setting(num_attention_heads=4), r"shape"),
    "config of another variant": (setting(position_embedding_type="absolute"), r"position_embedding_type"),
    "config with another vocabulary": (setting(vocab_size=4105), r"shape|tokens"),
    "vocabulary lacks a token": (vocabulary(lambda t: [x for x in t if x != "ACGTAC"]), r"vocab\.txt.*ACGTAC"),
    "vocabulary lists a token twice": (vocabulary(lambda t: [*t[:-1], "ACGTAC"]), r"vocab\.txt"),
    "vocabulary of another model": (vocabulary(lambda t: t[:4] + t[6:]), r"vocab\.txt.*4105"),
    "index names a part that is not there": (index(a="model-00002-of-00002.safetensors"), r"model-00002-of-00002"),
    "index leads out of the folder": (index(a="../secret.safetensors"), r"index"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_is_refused(kind: str, folder: Folder) -> None:
    damage, words = REFUSED[kind]
    damage(folder)
    with pytest.raises(BenchError, match=words) as refused:
        load_model("nt-v2-50m", weights=folder.path)
    assert not (folder.path / "executed").exists()
    assert "\n" not in str(refused.value)


def position_ids(f: Folder) -> None:
    f.tensors["esm.embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    f.write(pickled=True)


def own_code(f: Folder) -> None:
    for name in ("modeling_esm.py", "esm_config.py", "tokenization.py"):
        (f.path / name).write_text("import os\nos.mkdir('executed')\nraise SystemExit('remote code ran')\n")


def no_head(f: Folder) -> None:
    f.tensors = {k: t for k, t in f.tensors.items() if not k.startswith("lm_head.")}
    f.write()


def bare(f: Folder) -> None:
    no_head(f)
    f.tensors = {k.removeprefix("esm."): t for k, t in f.tensors.items()}
    f.write()


def in_float64(f: Folder) -> None:
    f.tensors = {k: t.double() for k, t in f.tensors.items()}
    f.write()


def no_frequencies(f: Folder) -> None:
    f.tensors = {k: t for k, t in f.tensors.items() if not k.endswith("inv_freq")}
    f.write()


def views(f: Folder) -> None:
    key = f"{LAYER}attention.self.key.weight"
    f.tensors[key] = f.tensors[key].T.contiguous().T
    f.write(pickled=True)


HARMLESS = {
    "as a pickle of tensors": lambda f: f.write(pickled=True),
    "position ids in an old pickle": position_ids,
    "code beside the weights": own_code,
    "no head": no_head,
    "encoder saved by itself": bare,
    "float64": in_float64,
    "frequencies left out": no_frequencies,
    "tensor stored transposed in memory": views,
    "published vocabulary": vocabulary(lambda t: t),
    "vocabulary with a last newline": vocabulary(lambda t: [*t, ""]),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_is_harmless(kind: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = folder.vectors()
    monkeypatch.chdir(folder.path)
    HARMLESS[kind](folder)
    assert abs(folder.vectors() - expected).max() < 1e-6
    assert not (folder.path / "executed").exists()


def test_half_precision_is_harmless_within_its_precision(folder: Folder) -> None:
    expected = folder.vectors()
    folder.tensors = {k: t.half() if t.dim() > 1 else t for k, t in folder.tensors.items()}
    folder.write()
    assert abs(folder.vectors() - expected).max() < 0.02


def test_tensors_that_fit_but_know_nothing_are_refused_by_the_sanity_loss(folder: Folder) -> None:
    with pytest.raises(WeightsError, match="predict human sequence no better than chance"):
        load_model("nt-v2-50m", weights=folder.path, sanity=True)


def test_the_fixture_reads_what_it_wrote(folder: Folder) -> None:
    stored = load_file(folder.weights)
    assert stored.keys() == folder.tensors.keys()
    assert folder.vectors().shape == (2, D)
