"""Names of models, files of weights and vectors from elsewhere: what is taken, and the whole sentence where it is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from refused import refused
from safetensors.torch import save_file
from tiny_backbone import SIZES, TinyBackbone

from findna_bench.cards import Pretraining, WeightsSource
from findna_bench.data.table import RowOrder, RowOrigins, SequenceTable
from findna_bench.errors import BenchError, DataError, ModelError, OfflineError, OutputError, UsageError, WeightsError
from findna_bench.models import loading, precision, weights
from findna_bench.models.loading import LoadedModel, backbone_class, build_backbone, check_backbone
from findna_bench.models.precision import resolve_device, resolve_dtype
from findna_bench.models.precomputed import PrecomputedFeatures
from findna_bench.models.precomputed_bases import PrecomputedBases
from findna_bench.models.row_vectors import ArrayFile, RowVectors, VectorFile, row_blocks, streams, vectors_for
from findna_bench.models.spec import card_name, parse_model, read_config
from findna_bench.models.weights import find_tokenizer_files, find_weights, is_offline, read_checkpoint
from findna_bench.registry import Registry

Load = Callable[..., LoadedModel]


def sentence(call: Callable[[], Any], error: type[BenchError] = BenchError) -> str:
    return refused(call, error)


# ------------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  ", "a model name is empty; see `findna-bench list models`"),
        ("x=hf:a/b", "x=hf:a/b: a model of the hub has a name; path:FOLDER, embeddings:FILE and scores:FILE take one"),
        ("a b=path:x", "a b=path:x: 'a b' is no name; give letters, digits, dots, dashes, underscores and plus signs, at most 100"),
        ("a" * 101 + "=path:x", "a" * 101 + "=path:x: '" + "a" * 101 + "' is no name; give letters, digits, dots, dashes, underscores and plus signs, at most 100"),
        ("tiny@other", "tiny@other: after @ only random or random:K is known (K an initialisation seed), not 'other'"),
        ("tiny@random:1234567890", "tiny@random:1234567890: after @ only random or random:K is known (K an initialisation seed), not 'random:1234567890'"),
        ("counted@random", "counted@random: counted is a model of kind features and has no weights to draw at random"),
        ("hf:acme", "hf:acme: write hf:ORG/NAME or hf:ORG/NAME@REVISION"),
        ("memory:x", "memory:x is an object of a Python process; give the object itself there, fb.run(models=[...])"),
        ("embeddings:v.csv", "embeddings:v.csv: give a .npy file (rows in the order of the file or task), a .npz file with vectors and ids, or a .parquet file that `findna-bench embed` wrote"),
        ("embeddings:none.npy", "embeddings:none.npy: there is no such file"),
        ("scores:none", "scores:none: there is no such file; give a table of scores, joined by variant"),
        ("path:none", "path:none: there is no such folder"),
        ("path:", "path:: there is no such folder"),
    ],
)  # fmt: skip
def test_a_name_that_is_none_is_refused_in_a_sentence(registry: Registry, text: str, message: str) -> None:
    assert sentence(lambda: parse_model(text, registry), UsageError) == message


def test_what_lies_in_a_folder_or_file_becomes_a_card(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_text("x")
    assert (
        sentence(lambda: parse_model(f"path:{file}", registry))
        == f"path:{file}: this is a file; name its model and give it with --weights NAME={file}"
    )
    empty = f"path:{tmp_path}"
    assert (
        sentence(lambda: parse_model(empty, registry))
        == f"{empty}: no config.json says which model this is; use --weights NAME={tmp_path} with its name"
    )
    np.save(tmp_path / "my vec.npy", np.zeros((1, 1)))
    spec = parse_model(f"embeddings:{tmp_path / 'my vec.npy'}", registry)
    assert (spec.display_name, spec.local_name, spec.card.name) == ("embeddings:my vec.npy", "my vec.npy", "my-vec")
    assert (spec.kind, spec.card.protocols, spec.card.targets, spec.distribution, spec.version) == (
        "features",
        ("probe", "knn"),
        None,
        "local",
        "",
    )
    assert spec.card.factory == "findna_bench.models.precomputed:PrecomputedFeatures"
    named = parse_model(f"mine=embeddings:{tmp_path / 'my vec.npy'}", registry)
    assert (named.display_name, named.local_name, named.card.name) == ("embeddings:mine", "mine", "mine")
    np.savez(tmp_path / "b.npz", vectors=np.zeros((2, 1)), offsets=[0, 2])
    bases = parse_model(f"embeddings:{tmp_path / 'b.npz'}", registry).card
    assert (bases.factory, bases.targets) == ("findna_bench.models.precomputed_bases:PrecomputedBases", ("per_base",))
    scored = parse_model(f"scores:{file}", registry)
    assert (scored.display_name, scored.card.protocols, scored.card.targets, scored.card.inputs) == (
        "scores:weights.pt",
        ("zero_shot",),
        ("classes", "values"),
        ("variant",),
    )
    hub = parse_model("hf:acme/dna.bert", registry)
    assert (hub.distribution, hub.version, hub.display_name, hub.local_name, hub.card.backbone) == (
        "huggingface",
        "main",
        "hf:acme/dna.bert",
        "",
        "published",
    )
    assert (parse_model("hf:a/b@v1/x", registry).version, hub.card.weights[0].revision) == ("v1/x", None)
    assert [card_name(name) for name in ("a b/c", "..x", "", "***", "ok_1.2+3-4")] == [
        "a-b-c",
        "x",
        "model",
        "model",
        "ok_1.2+3-4",
    ]
    seeded = parse_model("tiny@random:0", registry)
    assert (seeded.variant, seeded.init_seed, seeded.display_name) == ("random", 0, "tiny@random")


def test_an_identity_names_what_is_known_before_weights_are_opened(registry: Registry) -> None:
    plain, drawn = parse_model("tiny", registry), parse_model("tiny@random:7", registry)
    one, other = plain.identity(), drawn.identity()
    assert set(one) == {"card", "distribution", "version", "variant", "init_seed", "location"}
    assert (one["distribution"], one["version"], one["variant"], one["init_seed"], one["location"]) == (
        "acme-tiny",
        "1.2",
        None,
        None,
        None,
    )
    assert (other["variant"], other["init_seed"]) == ("random", 7)
    assert replace(plain, network="student", content="abc").identity() == {
        **one,
        "network": "student",
        "content": "abc",
    }


def test_a_folder_describes_its_model(registry: Registry, tmp_path: Path) -> None:
    def said(section: Any) -> Any:
        (tmp_path / "config.json").write_text(json.dumps({"findna_bench": section}))
        return parse_model(f"path:{tmp_path}", registry).card

    card = said({"backbone": "tiny", "config": {"width": 4}})
    assert (
        card.pooling,
        card.pooling_source,
        card.window,
        card.max_length,
        card.causal,
        card.networks,
        card.notes,
        card.pretraining,
    ) == ("mean", "", "truncate", None, False, (), (), None)
    full = said(
        {
            "backbone": "tiny", "config": {}, "pooling": "max", "pooling_source": "us", "window": "window", "max_length": 9, "causal": True, "networks": ["a", "b"],
            "notes": ["n"], "pretraining": {"assemblies": ["GRCh38"], "regions": [["c", 1, 2]]},
        }
    )  # fmt: skip
    assert (
        full.pooling,
        full.pooling_source,
        full.window,
        full.max_length,
        full.causal,
        full.networks,
        full.notes,
    ) == ("max", "us", "window", 9, True, ("a", "b"), ("n",))
    assert full.pretraining == Pretraining(assemblies=("GRCh38",), regions=(("c", 1, 2),))
    where = f"{tmp_path}: section 'findna_bench' of config.json"
    for section in (
        [1],
        {"backbone": 3, "config": {}},
        {"backbone": "tiny", "config": []},
        {"backbone": "tiny", "config": {}, "pooling": "median"},
    ):
        assert (
            sentence(lambda section=section: said(section), WeightsError)
            == f"{where} names no backbone, config or pooling; write the folder anew"
        )
    for read, words in (
        ([1], "not a mapping: [1]"),
        ({"note": 3}, "note is no text"),
        ({"chromosomes": "X"}, "chromosomes is no list of names"),
    ):
        assert (
            sentence(lambda read=read: said({"backbone": "tiny", "config": {}, "pretraining": read}))
            == f"{where} does not say what was read in pretraining ({words})"
        )
    (tmp_path / "config.json").write_text("[]")
    path = tmp_path / "config.json"
    assert (
        sentence(lambda: read_config(path)) == f"{path} must hold a JSON object, not list; restore the published file"
    )
    path.write_text("{")
    assert sentence(lambda: read_config(path)).startswith(f"{path} cannot be read as JSON (")
    with path.open("wb") as stream:
        stream.truncate((16 << 20) + 1)
    assert (
        sentence(lambda: read_config(path))
        == f"{path}: 16,777,217 bytes are no config.json; restore the published file"
    )
    assert read_config(tmp_path / "none.json") is None


# ----------------------------------------------------------------------------------------------------------------- weights


def test_where_a_local_checkpoint_is(load: Load, registry: Registry, folder: Path, tmp_path: Path) -> None:
    spec = parse_model("tiny", registry)
    nowhere = tmp_path / "nowhere"
    assert (
        sentence(lambda: find_weights(spec, nowhere))
        == f"tiny: {nowhere} does not exist; give a checkpoint file or a folder"
    )
    found = find_weights(spec, folder)
    assert (found.source, [path.name for path in found.weights], set(found.files)) == (
        "local:published",
        ["model.safetensors"],
        {"config.json"},
    )
    assert found.digest.count("+config:") == 1
    assert len(found.digest) == len("sha256:") + 64 + len("+config:") + 16
    names = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
    bare = tmp_path / "bare"
    bare.mkdir()
    assert (
        sentence(lambda: find_weights(spec, bare))
        == f"tiny: {bare} holds no {', '.join(names)}, with --weights tiny=FILE"
    )
    for name in "abcdef":
        (bare / f"{name}.pt").write_text(name)
    assert (
        sentence(lambda: find_weights(spec, bare))
        == f"tiny: {bare} holds a.pt, b.pt, c.pt, d.pt, e.pt: say which, with --weights tiny=FILE"
    )
    for name in "bcdef":
        (bare / f"{name}.pt").unlink()
    assert [path.name for path in find_weights(spec, bare).weights] == ["a.pt"]
    assert "+config" not in find_weights(spec, bare).digest
    (bare / "b.pt").write_text("b")
    (bare / "tiny.pt").write_text("t")  # as a source of the card calls it
    assert [path.name for path in find_weights(spec, bare).weights] == ["tiny.pt"]
    for name in reversed(names):
        (bare / name).write_text(json.dumps({"weight_map": {"x": "a.pt", "y": "b.pt", "z": "a.pt"}}))
        expected = ["a.pt", "b.pt"] if name.endswith("index.json") else [name]
        assert [path.name for path in find_weights(spec, bare).weights] == expected
    by_index = find_weights(spec, bare / "pytorch_model.bin.index.json")
    assert ([path.name for path in by_index.weights], set(by_index.files)) == (["a.pt", "b.pt"], set())
    (bare / "b.pt").unlink()
    assert (
        sentence(lambda: find_weights(spec, bare / "pytorch_model.bin.index.json"))
        == "local:pytorch_model.bin.index.json: part b.pt is missing; restore it"
    )
    (bare / "notes.txt").write_text("x")
    assert (
        sentence(lambda: find_weights(spec, bare / "notes.txt"))
        == "local:notes.txt: notes.txt holds no weights; give a checkpoint file or its folder"
    )


def test_a_file_that_is_not_the_cards_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"x" * 1500)
    source = WeightsSource(repo="a/b", files=("m.bin",))
    for change, words in (
        ({"size": 1499}, f"{path} has 1,500 bytes, the card says 1,499; delete it and fetch again"),
        ({"sha256": "ab" * 32}, f"sha256 of {path} is not the card's {'ab' * 8}...; delete it and fetch again"),
        ({"git_blob": "cd" * 20}, f"git blob id of {path} is not the card's {'cd' * 8}...; delete it and fetch again"),
    ):
        assert (
            sentence(lambda change=change: weights._check_file(path, replace(source, **change), "here"))
            == f"here: {words}"
        )
    weights._check_file(path, replace(source, size=1500), "here")
    weights._check_file(path, None, "here")


def test_the_network_is_off_by_argument_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "FINDNA_BENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    assert (is_offline(), is_offline(True)) == (False, True)
    for name in ("HF_HUB_OFFLINE", "FINDNA_BENCH_OFFLINE"):
        for value, off in (
            ("1", True),
            ("TRUE", True),
            ("yes", True),
            ("on", True),
            ("0", False),
            ("no", False),
            ("", False),
        ):
            monkeypatch.setenv(name, value)
            assert is_offline() == off
        monkeypatch.delenv(name)


def test_weights_and_tokenizers_that_are_nowhere_say_what_to_do(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parse_model("tiny", registry)
    there = "hf:acme/tiny@" + "0" * 40 + ", https://example.invalid/tiny.pt"
    remedy = "run `findna-bench fetch tiny` where there is a network, or give them with --weights tiny=PATH"
    assert sentence(lambda: find_weights(spec, offline=True, cache_dir=tmp_path), OfflineError) == (
        f"tiny: its weights ({there}) are not on this machine and the network is off; {remedy}"
    )

    def fails(source: WeightsSource, **_: Any) -> Any:
        raise WeightsError("it is gone") if source.repo else OfflineError("no network")

    monkeypatch.setattr(weights, "fetch_source", fails)
    assert (
        sentence(lambda: find_weights(spec, cache_dir=tmp_path), WeightsError)
        == f"tiny: its weights cannot be had: it is gone; {remedy}"
    )
    bare = parse_model("tiny-3mer", registry)
    assert (
        sentence(lambda: find_weights(bare))
        == "tiny-3mer: no weights are published for it; give some with --weights tiny-3mer=PATH, or run tiny-3mer@random"
    )
    assert sentence(lambda: find_tokenizer_files(bare, ("vocab.txt", "merges.txt"), {}), WeightsError) == (
        "tiny-3mer: tokenizer file vocab.txt, merges.txt is missing; run `findna-bench fetch tiny-3mer` or put it beside the weights"
    )
    assert find_tokenizer_files(bare, ("vocab.txt",), {"vocab.txt": tmp_path, "other": tmp_path}) == {
        "vocab.txt": tmp_path
    }
    told = replace(
        spec,
        text="acme-tiny:tiny@random:3",
        card=replace(spec.card, tokenizer=(WeightsSource(url="https://x.invalid/v", files=("vocab.txt",)),)),
    )
    assert sentence(lambda: find_tokenizer_files(told, ("vocab.txt",), {}), OfflineError) == (
        "tiny: tokenizer file vocab.txt is missing (no network); run `findna-bench fetch acme-tiny:tiny` or put it beside the weights"
    )


def test_wrappers_of_training_scripts_are_taken_away_where_all_tensors_carry_them(tmp_path: Path) -> None:
    def names(stored: dict[str, Any]) -> set[str]:
        torch.save(stored, tmp_path / "m.pt")
        return set(read_checkpoint(tmp_path / "m.pt").tensors)

    t = torch.zeros(2)
    assert names({"state_dict": {"model.a": t, "model.b": t}, "optimizer": {"state": {"0": t}}}) == {"a", "b"}
    assert names({"model_state_dict": {"module.a": t}, "lr_schedulers": [{"x": t}]}) == {"a"}
    assert names({"state_dict": {"model.a": t, "b": t}}) == {"model.a", "b"}
    assert names({"model.a": t, "model.b": t}) == {"model.a", "model.b"}
    assert names({"module.a": t, "_orig_mod.b": t}) == {"module.a", "_orig_mod.b"}
    assert names({"module._orig_mod.a": t, "module._orig_mod.b.module.c": t}) == {"a", "b.module.c"}
    assert names({"a": t, "module.a": t}) == {"a", "module.a"}
    assert names({"layers": [{"w": t}, {"w": t}], "sizes": [1, 2]}) == {"layers.0.w", "layers.1.w"}
    assert read_checkpoint(tmp_path / "m.pt").extra == {"sizes": [1, 2]}
    for size, fits in ((1 << 18, True), (1 << 30, False)):
        torch.save({"w": torch.zeros(1).expand(size)}, tmp_path / "m.pt")
        if fits:
            assert read_checkpoint(tmp_path / "m.pt").tensors["w"].shape == (size,)
        else:
            length = (tmp_path / "m.pt").stat().st_size
            assert sentence(lambda: read_checkpoint(tmp_path / "m.pt")) == (
                f"{tmp_path / 'm.pt'} has {length:,} bytes and claims {4 * size:,} bytes of tensors; it is damaged or malicious"
            )
    (tmp_path / "m.pt").write_bytes(b"")
    assert sentence(lambda: read_checkpoint(tmp_path / "m.pt")) == f"{tmp_path / 'm.pt'} is empty; fetch it again"
    assert sentence(lambda: read_checkpoint(tmp_path / "none.pt")) == f"{tmp_path / 'none.pt'} does not exist"
    assert (
        sentence(lambda: read_checkpoint(tmp_path / "none.safetensors"))
        == f"{tmp_path / 'none.safetensors'} does not exist"
    )
    save_file({"a": t}, tmp_path / "a.safetensors")
    parts = weights.WeightsFiles((tmp_path / "a.safetensors", tmp_path / "a.safetensors"))
    assert (
        sentence(lambda: read_checkpoint(parts))
        == f"{tmp_path / 'a.safetensors'}: 'a' is in another part of this checkpoint too; restore the published files"
    )


# ----------------------------------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("counted", {}, "counted is a model of kind features: it has no weights to load and is fitted to a task"),
        ("tiny", {"weights": "random:x"}, "weights='random:x': write random or random:K, K an initialisation seed"),
        ("tiny@random", {"weights": "x"}, "tiny@random is to have random weights, so weights='x' contradicts it"),
        ("causal", {"network": "three"}, "--network three: checkpoints of causal hold one, two"),
        ("tiny", {"network": "one"}, "--network one: checkpoints of tiny hold no others"),
        ("tiny@random", {"dtype": "float16"}, "--dtype float16: choose auto, float32 or bfloat16"),
        ("miscounted@random", {}, "miscounted@random has 344 parameters, its card says 7; report this as a bug"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_refused_in_a_sentence(
    load: Load, name: str, options: dict[str, Any], message: str
) -> None:
    assert sentence(lambda: load(name, **options)) == message


def test_a_random_variant_is_named_by_its_seed(load: Load) -> None:
    assert [load("tiny", weights=given).name for given in ("random", "random:0", "random:12")] == [
        "tiny@random",
        "tiny@random",
        "tiny@random:12",
    ]
    model = load("tiny@random")
    assert (model.n_parameters, model.trained, model.dtype_name, model.max_length) == (
        9 * 8 + 2 * (16 * 8 + 8),
        False,
        "float32",
        None,
    )
    assert load("tiny-short@random").max_length == 10
    assert replace(model, card=replace(model.card, max_length=7)).max_length == 7
    limited = load("tiny-short@random")
    assert replace(limited, card=replace(limited.card, max_length=99)).max_length == 10


def test_which_backbone_reads_a_config(registry: Registry) -> None:
    spec = parse_model("hf:acme/x", registry)
    assert backbone_class(spec, {"model_type": "tiny"}, registry) == ("tiny", TinyBackbone)
    assert (
        sentence(lambda: backbone_class(spec, None, registry))
        == "hf:acme/x: it has no config.json, so nothing says which architecture this is"
    )
    for config, named in (
        ({"model_type": "novel"}, "novel"),
        ({"architectures": ["Novel"]}, "['Novel']"),
        ({}, "an unnamed architecture"),
    ):
        assert sentence(lambda config=config: backbone_class(spec, config, registry)) == (
            f"hf:acme/x: no installed backbone reads {named}; see `findna-bench list backbones`"
        )
    assert sentence(lambda: backbone_class(spec, {"model_type": "n", "auto_map": {}}, registry)) == (
        "hf:acme/x: no installed backbone reads n, and its own code (auto_map) is never run; see `findna-bench list backbones`"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TinyBackbone, "recognises", classmethod(lambda cls, config: True))
        assert sentence(lambda: backbone_class(spec, {"model_type": "n"}, registry)) == (
            "hf:acme/x: n is read by several backbones (tiny, cramped, causal); name a model and give --weights"
        )
    assert (
        sentence(lambda: loading.backbone_type("collections:Counter", "odd"))
        == "backbone 'odd': collections:Counter is no subclass of findna_bench.api.Backbone"
    )


def test_a_backbone_says_what_every_backbone_must() -> None:
    class Bare(TinyBackbone):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

    bare = Bare()
    assert (
        sentence(lambda: check_backbone(bare, "b"), ModelError)
        == "backbone 'b': Bare has no embed_dim, n_layers, max_length; set them in __init__"
    )
    bare.embed_dim, bare.n_layers = 1, 1
    assert (
        sentence(lambda: check_backbone(bare, "b"), ModelError)
        == "backbone 'b': Bare has no max_length; set it in __init__"
    )
    made = TinyBackbone(**SIZES)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(TinyBackbone, "tokenizer_digest")
        assert sentence(lambda: check_backbone(made, "b"), ModelError) == (
            "backbone 'b': TinyBackbone has no method tokenizer_digest; results could not say which tokens it read"
        )
        patch.setattr(TinyBackbone, "from_config", classmethod(lambda cls, config, files=None: 3))
        assert sentence(lambda: build_backbone(TinyBackbone, {"width": 2}), ModelError) == (
            f"TinyBackbone ({TinyBackbone.__module__}) cannot be built with {{'width': 2}}: from_config makes a int, no findna_bench.api.Backbone"
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("abacus", "--device abacus: choose auto, cpu, cuda or cuda:N"),
        ("cuda", "--device cuda: this machine has no usable CUDA device; use --device cpu"),
        ("cuda:5", "--device cuda:5: this machine has 2 CUDA devices, counted from 0"),
        ("cuda:2", "--device cuda:2: this machine has 2 CUDA devices, counted from 0"),
    ],
)
def test_a_device_that_is_not_there_is_refused(given: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: ":" in given)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert sentence(lambda: resolve_device(given)) == message


def test_devices_and_formats_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for available, auto in ((True, "cuda:0"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert str(resolve_device()) == auto
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [str(resolve_device(name)) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda:0", "cuda:1"]
    assert [resolve_dtype(name) for name in ("auto", "float32", "bfloat16", torch.bfloat16)] == [
        torch.float32,
        torch.float32,
        torch.bfloat16,
        torch.bfloat16,
    ]


def test_float32_on_a_gpu_is_whole_and_what_was_allowed_is_allowed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        for matmul, convolution in ((True, False), (False, True)):
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolution
            with precision._without_tf32():
                assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (False, False)
            assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (matmul, convolution)
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    entered: list[bool] = []
    real = precision._without_tf32
    monkeypatch.setattr(precision, "_without_tf32", lambda: entered.append(True) or real())
    for device, dtype, whole in (("cpu", torch.float32, 0), ("cpu", torch.bfloat16, 0), ("cuda", torch.float32, 1)):
        entered.clear()
        with precision.compute_precision(torch.device(device), dtype):
            assert len(entered) == whole
            assert torch.is_autocast_enabled(device) == (dtype == torch.bfloat16)


# ----------------------------------------------------------------------------------------------- vectors from elsewhere


VECTORS = np.arange(12, dtype=np.float32).reshape(6, 2)
ORDER = RowOrder("the rows of train, then test", 3, {"train": 2, "test": 1})
TRAIN = RowOrigins(np.arange(2), np.array(["a", "b"]), np.full(2, "train"))
TEST = RowOrigins(np.arange(2, 3), np.array(["a"]), np.full(1, "test"))


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"vectors": VECTORS}, " must hold the arrays vectors and ids, not vectors"),
        ({"vectors": VECTORS[0], "ids": ["a", "b"]}, ": vectors must be (rows, D), not of shape (2,)"),
        ({"vectors": VECTORS[:0], "ids": []}, ": vectors must be (rows, D), not of shape (0, 2)"),
        ({"vectors": VECTORS[:, :0], "ids": ["a"] * 6}, ": vectors must be (rows, D), not of shape (6, 0)"),
        ({"vectors": VECTORS.astype(int), "ids": ["a"] * 6}, ": vectors must be floating-point numbers, not int64"),
        ({"vectors": VECTORS, "ids": ["a"] * 5}, ": ids has shape (5,), vectors has 6 rows"),
        ({"vectors": VECTORS, "ids": ["a"] * 6, "split": ["x"]}, ": split has shape (1,), vectors has 6 rows"),
        (
            {"vectors": np.where(VECTORS == 7, np.inf, VECTORS), "ids": list("abcdef")},
            ": row 3 (counted from 0) holds NaN or infinity",
        ),
    ],
    ids=str,
)
def test_vectors_that_are_none_are_refused_in_a_sentence(arrays: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = npz(tmp_path / "v.npz", **arrays)
    assert sentence(lambda: PrecomputedFeatures(path), DataError) == f"{path}{words}"


def test_rows_without_a_vector_of_their_own_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    np.save(path, VECTORS)
    features = PrecomputedFeatures(path)
    assert sentence(lambda: features.align(TRAIN, RowOrder("", 6))) == (
        f"{path}: this task is made of one FASTA per class, whose records have no common order; give an .npz file with vectors and ids"
    )
    assert sentence(lambda: features.align(TRAIN, ORDER)) == (
        f"{path} holds 6 rows and the task has 3 (2 train + 1 test); give one vector for each of the rows of train, then test, in this order, or an .npz file with vectors and ids"
    )
    assert sentence(lambda: features.align(TRAIN, RowOrder("the rows of x.csv", 1000))) == (
        f"{path} holds 6 rows and the task has 1,000; give one vector for each of the rows of x.csv, in this order, or an .npz file with vectors and ids"
    )
    path = npz(tmp_path / "i.npz", vectors=VECTORS, ids=["a", "b", "c", "d", "e", "a"])
    assert (
        sentence(lambda: PrecomputedFeatures(path).align(TRAIN, ORDER))
        == f"{path}: ids repeat; they must be unique (within a split, where the file names splits)"
    )
    path = npz(tmp_path / "j.npz", vectors=VECTORS, ids=["b", "y", "c", "d", "e", "f"])
    assert sentence(lambda: PrecomputedFeatures(path).align(TRAIN, ORDER)) == (
        f"{path} has no vector for 1 of 2 rows of train, the first being id 'a'; ids are those of the task's rows (without a column id: row numbers of the file, from 0)"
    )
    path = npz(tmp_path / "k.npz", vectors=VECTORS, ids=list("abcdef"))
    known = PrecomputedFeatures(path)
    known.align(TRAIN, ORDER)
    assert (
        sentence(lambda: known.align(TEST, ORDER))
        == f"{path}: ids of test and train are the same; add an array `split` to the file"
    )
    rows = SequenceTable(["A"], np.zeros(1, np.int64), np.array(["z"]), place=np.array([9]))
    assert (
        sentence(lambda: known.transform(rows))
        == f"{path} has no vector for row 'z': vectors computed elsewhere exist for the task's own rows only"
    )
    assert known.embed_dim == 2
    table = pa.table({"id": ["a"], "x": [1.0]})
    pq.write_table(table, tmp_path / "p.parquet")
    assert sentence(lambda: PrecomputedFeatures(tmp_path / "p.parquet")) == (
        f"{tmp_path / 'p.parquet'} must have the columns id and e_0, e_1, ... as `findna-bench embed` writes them, not id, x"
    )
    assert sentence(lambda: PrecomputedFeatures(tmp_path / "none.npy")) == f"{tmp_path / 'none.npy'} does not exist"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"offsets": [0, 2, 5]}, ": offsets must rise from 0 to 6, the number of vectors; they end at 5"),
        ({"offsets": [1, 2, 6]}, ": offsets must rise from 0 to 6, the number of vectors; they end at 6"),
        ({"offsets": [0, 5, 4, 6]}, ": offsets must rise from 0 to 6, the number of vectors; they end at 6"),
        ({"offsets": [0]}, ": offsets must be (rows + 1,) integers, not int64 (1,)"),
        ({"offsets": [0.0, 6.0]}, ": offsets must be (rows + 1,) integers, not float64 (2,)"),
        ({"vectors": VECTORS.astype(int)}, ": vectors must be floating-point numbers, not int64"),
        ({"vectors": VECTORS[:0], "offsets": [0, 0]}, ": vectors must be (bases, D), not of shape (0, 2)"),
        ({"ids": ["a", "b", "c", "d"]}, ": ids has shape (4,), offsets are of 3 rows"),
        ({"split": ["a"]}, ": split has shape (1,), offsets are of 3 rows"),
        ({"vectors": np.where(VECTORS == 7, np.nan, VECTORS)}, ": row 1 (counted from 0), base 1 holds NaN or infinity"),
        ({"vectors": np.where(VECTORS == 4, np.nan, VECTORS), "ids": ["x", "y", "z"]}, ": row 'y', base 0 holds NaN or infinity"),
    ],
    ids=str,
)  # fmt: skip
def test_vectors_of_bases_that_do_not_fit_each_other_are_refused(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = npz(tmp_path / "v.npz", **{"vectors": VECTORS, "offsets": [0, 2, 5, 6], **changes})
    assert sentence(lambda: PrecomputedBases(path), DataError) == f"{path}{words}"


def test_vectors_of_bases_belong_to_rows_of_their_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from findna_bench.models import precomputed_bases

    monkeypatch.setattr(precomputed_bases, "_PORTION_BYTES", 20)  # two rows of two float32 and a half
    path = npz(tmp_path / "v.npz", vectors=VECTORS, offsets=[0, 2, 5, 6])
    features = PrecomputedBases(path)
    assert features.embed_dim == 2
    features.align(RowOrigins(np.arange(3), np.array(["a", "b", "c"]), np.full(3, "train")), ORDER)
    rows = SequenceTable(["ACG", "AC"], np.zeros((2, 4), np.uint8), np.array(["b", "a"]), place=np.array([1, 0]))
    found = features.transform(rows)
    assert (len(found), found.width) == (2, 4)
    np.testing.assert_array_equal(found.of_sequence(0)[0], VECTORS[2:5])
    np.testing.assert_array_equal(found.of_sequence(1)[0], VECTORS[:2])
    assert found.of_sequence(0)[1].all()
    assert not found.turned.any()
    longer = replace(rows, sequences=["ACG", "ACGTA"])
    assert sentence(lambda: features.transform(longer)) == (
        f"{path} has 2 vectors for row 'a' of 5 bases; give one for every base of every row, cut rows and special tokens aside"
    )
    other = replace(rows, place=np.array([1, 7]))
    assert (
        sentence(lambda: features.transform(other))
        == f"{path} has no vectors for row 'a': vectors computed elsewhere exist for the task's own rows only"
    )
    bare = npz(tmp_path / "w.npz", offsets=[0, 1])
    assert (
        sentence(lambda: PrecomputedBases(bare)) == f"{bare} must hold the arrays vectors and offsets, not offsets.npy"
    )


# --------------------------------------------------------------------------------------------------------- vectors on disk


def test_many_vectors_are_kept_on_disk_and_few_in_memory() -> None:
    assert not streams(2**28, 1)
    assert streams(2**28 + 1, 1)
    assert streams(2**20, 257)
    for stream in (True, False):
        place, whole = vectors_for(4, 3, stream=stream)
        place[np.array([2, 0, 1])] = np.arange(9, dtype=np.float32).reshape(3, 3)
        np.testing.assert_array_equal(whole(), [[3, 4, 5], [6, 7, 8], [0, 1, 2], [0, 0, 0]])


def test_rows_on_disk_are_an_array_to_whoever_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINDNA_BENCH_CACHE_DIR", str(tmp_path / "c"))
    values = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    one, two = VectorFile(3, 9, "rows"), VectorFile(3, 9, "rows")
    one[np.array([3, 4, 5, 0, 1, 2, 8, 7, 6])] = values[[3, 4, 5, 0, 1, 2, 8, 7, 6]]
    two.write(0, 2 * values)
    np.testing.assert_array_equal(one.read(2, 3), values[2:5])
    joined = RowVectors((one,)).joined(RowVectors((two,)))[np.array([0, 17, 3, 9])]
    np.testing.assert_array_equal(np.asarray(joined), np.stack([values[0], 2 * values[8], values[3], 2 * values[0]]))
    assert joined.shape == (4, 3)
    both = RowVectors((one,)).mapped(RowVectors((two,)), lambda a, b: (a + b)[:, :2])
    np.testing.assert_allclose(both, 3 * values[:, :2], rtol=1e-6)
    blocks = list(row_blocks(RowVectors((one,)), 4))
    assert [(where.start, where.stop, len(block)) for where, block in blocks] == [(0, 4, 4), (4, 8, 4), (8, 9, 1)]
    assert (
        sentence(lambda: VectorFile(3, 2, "rows").read(0, 3), OutputError)
        == "the file of vectors of rows is shorter than what was written to it"
    )
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10**6))
    VectorFile(1, 250_000)
    assert sentence(lambda: VectorFile(1, 250_001, "rows"), OutputError) == (
        f"vectors of 250,001 rows take 1.0 MB, and {tmp_path / 'c'} has room for 1.0 MB; choose a folder with room by FINDNA_BENCH_CACHE_DIR, or fewer rows by --limit"
    )
    monkeypatch.setenv("FINDNA_BENCH_CACHE_DIR", str(tmp_path / "file" / "c"))
    (tmp_path / "file").write_text("in the way")
    assert sentence(lambda: VectorFile(1, 1), OutputError) == (
        f"cannot write vectors of bases to {tmp_path / 'file' / 'c'}: Not a directory; choose a folder with room by FINDNA_BENCH_CACHE_DIR"
    )


def test_an_array_file_is_read_at_any_row_where_it_holds_rows_of_numbers(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(7, 2))
    np.save(tmp_path / "v.npy", values)
    file = ArrayFile.open(tmp_path / "v.npy")
    assert file is not None
    assert (file.n_rows, file.dim) == (7, 2)
    np.testing.assert_array_equal(file.read_rows(np.array([6, 0, 1, 1])), values[[6, 0, 1, 1]].astype(np.float32))
    for name, other in (
        ("columns", np.asfortranarray(values)),
        ("flat", values[0]),
        ("whole", values.astype(int)),
        ("none", values[:0]),
    ):
        np.save(tmp_path / f"{name}.npy", other)
        assert ArrayFile.open(tmp_path / f"{name}.npy") is None
    content = (tmp_path / "v.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(content[:-1])
    assert ArrayFile.open(tmp_path / "short.npy") is None
    (tmp_path / "text.npy").write_bytes(b"x" + content[1:])
    assert ArrayFile.open(tmp_path / "text.npy") is None
    os.truncate(tmp_path / "v.npy", len(content) - 1)
    np.testing.assert_array_equal(file.read_rows(np.array([5])), values[[5]].astype(np.float32))
    assert (
        sentence(lambda: file.read_rows(np.array([6])), OutputError)
        == f"{tmp_path / 'v.npy'} has become shorter while it was read"
    )
