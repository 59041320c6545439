"""Checkpoints: whole ones load to the last bit, damaged or dangerous ones are refused in one sentence that names the fault."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbone import SIZES, TinyBackbone

from findna_bench.errors import BenchError, ModelError, OfflineError, UnsupportedError, UsageError, WeightsError
from findna_bench.models.embedding import encode
from findna_bench.models.folders import save_model_folder
from findna_bench.models.loading import LoadedModel, build_on_meta, count_parameters, load_estimator, load_model
from findna_bench.models.spec import parse_model
from findna_bench.models.weights import file_digest, find_weights, read_checkpoint
from findna_bench.registry import Registry

Load = Callable[..., LoadedModel]
Tensors = dict[str, torch.Tensor]


def state(model: LoadedModel) -> Tensors:
    return model.backbone.state_dict()


def same(a: Tensors, b: Tensors) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ------------------------------------------------------------------------------------------------ what is harmless


def test_a_published_folder_loads_with_its_own_sizes(load: Load, folder: Path, published: Tensors) -> None:
    model = load("tiny", weights=folder)
    assert torch.equal(state(model)["blocks.1.weight"], published["tiny.blocks.1.weight"])
    assert model.backbone.get_parameter("head.weight") is model.backbone.get_parameter("embedding.weight")
    assert model.n_parameters == 9 * 8 + 2 * (16 * 8 + 8)
    assert (model.trained, model.backbone.training, model.config["width"]) == (True, False, 8)
    assert model.weights_digest.startswith(f"sha256:{file_digest(folder / 'model.safetensors')}+config:")
    (folder / "config.json").write_text(json.dumps({"model_type": "tiny", **SIZES, "note": 1}))
    assert load("tiny", weights=folder).weights_digest != model.weights_digest


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_number_formats_become_float32(load: Load, folder: Path, published: Tensors, dtype: torch.dtype) -> None:
    save_file(
        {k: v.to(dtype) if v.is_floating_point() else v for k, v in published.items()}, folder / "model.safetensors"
    )
    got = state(load("tiny", weights=folder))
    assert all(value.dtype == torch.float32 for value in got.values())
    assert torch.equal(got["blocks.0.bias"], published["tiny.blocks.0.bias"].to(dtype).float())


def test_pickles_of_tensors_nested_and_in_parts_equal_safetensors(
    load: Load, folder: Path, published: Tensors, tmp_path: Path
) -> None:
    expected = state(load("tiny", weights=folder))
    nested: dict[str, Any] = {"epoch": 3, "name": "x", "tiny": {}}
    for key, value in published.items():
        nested["tiny"][key.removeprefix("tiny.")] = value
    nested["position_ids"] = nested["tiny"].pop("position_ids")
    torch.save(nested, tmp_path / "nested.pt")
    assert same(state(load("tiny", weights=tmp_path / "nested.pt")), expected)
    assert read_checkpoint(tmp_path / "nested.pt").extra == {"epoch": 3, "name": "x"}
    torch.save(nested, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(state(load("tiny", weights=tmp_path / "old.pt")), expected)

    for suffix, save in ((".bin", torch.save), (".safetensors", save_file)):
        parts = tmp_path / f"parts{suffix}"
        parts.mkdir()
        stem = "pytorch_model" if suffix == ".bin" else "model"
        keys = sorted(published)
        placed = {key: f"{stem}-0000{1 + i % 2}-of-00002{suffix}" for i, key in enumerate(keys)}
        for name in set(placed.values()):
            save({key: published[key] for key in keys if placed[key] == name}, parts / name)
        (parts / f"{stem}{suffix}.index.json").write_text(json.dumps({"weight_map": placed}))
        assert same(state(load("tiny", weights=parts)), expected)
        os.unlink(parts / f"{stem}-00002-of-00002{suffix}")
        with pytest.raises(WeightsError, match=r"part .*00002-of-00002.* is missing"):
            load("tiny", weights=parts)


def test_a_checkpoint_without_head_gives_a_model_without_head(load: Load, folder: Path, published: Tensors) -> None:
    sequences = ["ACGTACGT", "GGN"]
    with_head = load("tiny", weights=folder)
    save_file({k: v for k, v in published.items() if not k.startswith("tiny.head")}, folder / "model.safetensors")
    model = load("tiny", weights=folder)
    assert model.n_parameters == with_head.n_parameters
    for a, b in zip(encode(model, sequences), encode(with_head, sequences), strict=True):
        assert (a == b).all()
    with pytest.raises(UnsupportedError, match="no pretraining head"):
        model.backbone.logits(model.backbone.tokenize(sequences))


def test_weights_do_not_depend_on_the_file_after_loading(load: Load, folder: Path) -> None:
    model = load("tiny", weights=folder)
    before = state(model)["blocks.0.weight"].clone()
    (folder / "model.safetensors").write_bytes(b"\0" * (folder / "model.safetensors").stat().st_size)
    assert torch.equal(state(model)["blocks.0.weight"], before)


def test_own_folders_come_back_bit_by_bit_with_the_network_asked_for(
    load: Load, registry: Registry, tmp_path: Path
) -> None:
    teacher, student = load("tiny@random:1"), load("tiny@random:2")
    networks = {"teacher": teacher.backbone, "student": student.backbone}
    out = save_model_folder(
        tmp_path / "mine", networks, backbone="tiny", config=teacher.config, pooling="max", notes=["mine"]
    )
    loaded = load(f"path:{out}")
    assert (loaded.network, loaded.card.pooling, loaded.notes) == ("teacher", "max", ("mine",))
    assert same(state(loaded), state(teacher))
    assert same(state(load(f"path:{out}", network="student")), state(student))
    assert loaded.backbone.get_parameter("head.weight") is loaded.backbone.get_parameter("embedding.weight")
    with pytest.raises(UsageError, match="hold teacher, student"):
        load(f"path:{out}", network="centre")
    save_model_folder(tmp_path / "one", teacher.backbone, backbone="tiny", config=teacher.config)
    assert same(state(load("tiny", weights=tmp_path / "one")), state(teacher))
    with pytest.raises(WeightsError, match="backbone 'tiny', the card 'cramped'"):
        load("cramped", weights=tmp_path / "one")
    random = load(f"path:{tmp_path / 'one'}", weights="random:4")
    assert same(state(random), state(load("tiny@random:4")))
    assert not random.trained


def test_published_folders_without_a_card_find_their_backbone(load: Load, folder: Path) -> None:
    assert load(f"path:{folder}").card.backbone == "tiny"


# ------------------------------------------------------------------------------------------------- what is refused


def edit(change: Callable[[Tensors], Any]) -> Callable[[Path, Tensors], None]:
    def damage(folder: Path, tensors: Tensors) -> None:
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return damage


def pickled(make: Callable[[Tensors], Any]) -> Callable[[Path, Tensors], None]:
    def damage(folder: Path, tensors: Tensors) -> None:
        (folder / "model.safetensors").unlink()
        torch.save(make(tensors), folder / "pytorch_model.bin")

    return damage


def raw(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path, Tensors], None]:
    def damage(folder: Path, tensors: Tensors) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


def config(**changes: Any) -> Callable[[Path, Tensors], None]:
    return lambda folder, tensors: (
        (folder / "config.json").write_text(json.dumps({"model_type": "tiny", **SIZES, **changes})) and None
    )


def swap(tensors: Tensors, key: str, value: torch.Tensor) -> None:
    tensors[key] = value


class Bomb:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def with_code(folder: Path, tensors: Tensors) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({**tensors, "x": Bomb(folder / "ran")}, folder / "pytorch_model.bin")


def bare_pickle(folder: Path, tensors: Tensors) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Bomb(folder / "ran")}))


def truncated_pickle(folder: Path, tensors: Tensors) -> None:
    pickled(dict)(folder, tensors)
    raw("pytorch_model.bin", lambda content: content[: len(content) // 2])(folder, tensors)


def zip_bomb(folder: Path, tensors: Tensors) -> None:
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", b"\0" * (32 << 20))


def index(weight_map: Any) -> Callable[[Path, Tensors], None]:
    def damage(folder: Path, tensors: Tensors) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return damage


def deep(tensors: Tensors) -> dict[str, Any]:
    nested: dict[str, Any] = {"w": torch.zeros(1)}
    for _ in range(40):
        nested = {"x": nested}
    return nested


def laughs(tensors: Tensors) -> dict[str, Any]:
    nested: dict[str, Any] = {"w": torch.zeros(1)}
    for _ in range(25):
        nested = {"x": nested, "y": nested}
    return nested


KEY = "tiny.blocks.0.weight"
REFUSED: dict[str, tuple[Callable[[Path, Tensors], None], str]] = {
    "renamed key": (edit(lambda t: swap(t, "tiny.block.0.weight", t.pop(KEY))), "not part of|not filled"),
    "foreign key": (edit(lambda t: swap(t, "classifier.weight", torch.zeros(2))), "'classifier.weight' is not expected"),
    "extra block": (edit(lambda t: swap(t, "tiny.blocks.2.bias", torch.zeros(8))), "'blocks.2.bias' is not part of"),
    "four foreign keys": (edit(lambda t: t.update({f"x{i}": torch.zeros(2) for i in range(4)})), "keys 'x0', 'x1', 'x2', 'x3' are not expected"),
    "six foreign keys": (edit(lambda t: t.update({f"x{i}": torch.zeros(2) for i in range(6)})), "keys 'x0', 'x1', 'x2', 'x3' and 2 more are not expected"),
    "missing key": (edit(lambda t: t.pop(KEY)), "key 'blocks.0.weight' is not filled"),
    "half a head": (edit(lambda t: swap(t, "tiny.head.weight", t["tiny.embedding.weight"].clone()) or t.pop("tiny.head.bias")), "head.bias"),
    "wrong shape": (edit(lambda t: swap(t, KEY, torch.zeros(8, 8))), r"blocks.0.weight has shape \(8, 8\)"),
    "transposed": (edit(lambda t: swap(t, KEY, t[KEY].t().contiguous())), r"has shape \(16, 8\)"),
    "NaN": (edit(lambda t: t[KEY].__setitem__((0, 0), float("nan"))), f"{KEY} holds NaN"),
    "infinity": (edit(lambda t: t[KEY].__setitem__((0, 0), float("inf"))), f"{KEY} holds NaN or inf"),
    "beyond float32": (edit(lambda t: swap(t, KEY, t[KEY].double() * 1e300)), "beyond float32"),
    "integers": (edit(lambda t: swap(t, KEY, t[KEY].to(torch.int8))), "torch.int8"),
    "complex": (edit(lambda t: swap(t, KEY, t[KEY].to(torch.complex64))), "complex64"),
    "tied ones differ": (edit(lambda t: swap(t, "tiny.head.weight", t["tiny.embedding.weight"] + 1)), "one parameter"),
    "no tensors": (edit(lambda t: t.clear()), "no tensors|is this a checkpoint"),
    "empty file": (raw("model.safetensors", lambda _: b""), "not a whole safetensors"),
    "truncated": (raw("model.safetensors", lambda c: c[:-100]), "not a whole safetensors"),
    "noise": (raw("model.safetensors", lambda c: bytes(range(256)) * 10), "not a whole safetensors"),
    "longer than it says": (raw("model.safetensors", lambda c: c + b"\0" * 64), "not a whole safetensors"),
    "huge header": (raw("model.safetensors", lambda c: b"\xff" * 7 + b"\x7f" + c[8:]), "not a whole safetensors"),
    "pickle with code": (with_code, "mkdir.*never run"),
    "bare pickle with code": (bare_pickle, "never run|damaged"),
    "pickle with a class": (pickled(lambda t: {**t, "args": argparse.Namespace(lr=1)}), "Namespace.*never run"),
    "pickled list": (pickled(lambda t: list(t.values())), "list and not a dictionary"),
    "pickled module": (pickled(lambda t: torch.nn.Linear(2, 2)), "never run"),
    "truncated pickle": (truncated_pickle, "truncated or damaged|never run"),
    "expanded tensor": (pickled(lambda t: {**t, KEY: torch.zeros(1).expand(1 << 20, 1 << 10)}), "claims"),
    "zip bomb": (zip_bomb, "unpacks to"),
    "deep nesting": (pickled(deep), "absurdly deep"),
    "endless references": (pickled(laughs), "absurdly deep or often"),
    "same name twice": (pickled(lambda t: {**t, "a": {"b": torch.ones(1)}, "a.b": torch.ones(1)}), "two entries are called 'a.b'"),
    "config no JSON": (raw("config.json", lambda c: c[:-2]), "config.json cannot be read"),
    "config a list": (raw("config.json", lambda c: b"[1]"), "must hold a JSON object"),
    "config of another size": (config(width=16), "has shape"),
    "config with a word": (config(width="wide"), "cannot be built"),
    "config negative": (config(width=-8), "cannot be built"),
    "config too shallow": (config(depth=1), "blocks.1"),
    "index with a path": (index({KEY: "../model.safetensors"}), "no checkpoint file beside it"),
    "index of code": (index({KEY: "model.py"}), "no checkpoint file beside it"),
    "index a list": (index([]), "no index"),
    "two candidates": (lambda f, t: [(f / "model.safetensors").rename(f / n) if n == "a.pt" else torch.save(t, f / n) for n in ("a.pt", "b.pt")] and None, "a.pt, b.pt: say which"),
    "no weights": (lambda f, t: (f / "model.safetensors").unlink(), "holds no model.safetensors"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_damaged_checkpoint_is_refused(
    load: Load, folder: Path, published: Tensors, damage: Callable[[Path, Tensors], None], words: str
) -> None:
    damage(folder, published)
    with pytest.raises(BenchError, match=words) as caught:
        load("tiny", weights=folder)
    assert isinstance(caught.value, (WeightsError, ModelError))
    assert "\n" not in str(caught.value)
    assert not (folder / "ran").exists(), "code in a checkpoint was run"


def test_a_backbone_that_trips_over_a_file_blames_the_file(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        TinyBackbone, "adapt_checkpoint", classmethod(lambda cls, c, config, network=None: c.tensors["gone"])
    )
    with pytest.raises(WeightsError, match=r"no tiny checkpoint .*gone"):
        load("tiny", weights=folder)


def test_nothing_may_stay_without_values(load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TinyBackbone, "reset_buffers", lambda self: None)
    with pytest.raises(ModelError, match="scale has no values"):
        load("tiny", weights=folder)


def test_the_parameter_count_of_the_card_is_asserted(load: Load, folder: Path) -> None:
    with pytest.raises(WeightsError, match="its card says 7"):
        load("miscounted", weights=folder)
    with pytest.raises(ModelError, match="its card says 7"):
        load("miscounted@random")
    assert load("miscounted@random", config={"width": 4}).n_parameters != 7


# ---------------------------------------------------------------------------------------------------- random weights


def test_random_weights_depend_on_their_seed_and_nothing_else(load: Load) -> None:
    torch.manual_seed(1)
    first = load("tiny@random:3")
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), expected), "loading changed the global generator"
    assert same(state(first), state(load("tiny", weights="random:3")))
    assert not same(state(first), state(load("tiny@random:4")))
    assert (first.trained, first.weights_source) == (False, "random:3")
    assert first.weights_digest.startswith("random:3:")
    assert first.weights_digest != load("tiny@random:3", config={"width": 4}).weights_digest


def test_contradicting_arguments_are_wrong_usage(load: Load, folder: Path, registry: Registry) -> None:
    for name, options, words in (
        ("tiny@random", {"weights": folder}, "contradicts"),
        ("tiny", {"weights": "random:x"}, "random:K"),
        ("tiny", {"network": "teacher"}, "no others"),
        ("counted", {}, "fitted to a task"),
        ("tiny@random", {"dtype": "float16"}, "float32 or bfloat16"),
    ):
        with pytest.raises(UsageError, match=words):
            load(name, **options)
    with pytest.raises(UsageError, match="auto, cpu, cuda"):
        load_model("tiny@random", device="abacus", registry=registry)
    with pytest.raises(ModelError, match="made a Counter without a method fit"):
        load_estimator(parse_model("counted", registry))


# ----------------------------------------------------------------------------------------------------------- sources


def hub_snapshot(folder: Path, commit: str = "0" * 40) -> Path:
    """Put a folder where the hub's cache would have it."""
    repo = Path(os.environ["HF_HOME"]) / "hub" / "models--acme--tiny"
    (repo / "snapshots").mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    return Path(folder.rename(repo / "snapshots" / commit))


def test_missing_weights_name_the_remedy_and_open_no_socket(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was opened"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a name was looked up"))
    with pytest.raises(OfflineError, match=r"`findna-bench fetch tiny` .*--weights tiny=PATH"):
        load("tiny", offline=True)
    with pytest.raises(WeightsError, match=r"no weights are published.*tiny-3mer@random"):
        load("tiny-3mer", offline=True)
    with pytest.raises(OfflineError, match="hf:acme/none"):
        load("hf:acme/none", offline=True)


def test_the_hub_cache_serves_the_pinned_revision(load: Load, folder: Path, registry: Registry) -> None:
    expected = state(load("tiny", weights=folder))
    hub_snapshot(folder)
    model = load("tiny", offline=True)
    assert same(state(model), expected)
    assert model.weights_source == f"hf:acme/tiny@{'0' * 40}"
    found = find_weights(parse_model("hf:acme/tiny", registry), offline=True)
    assert (found.source, set(found.files)) == (f"hf:acme/tiny@{'0' * 40}", {"config.json"})


@pytest.mark.parametrize("parts", [False, True])
def test_the_hub_cache_serves_whichever_form_is_there(
    load: Load, folder: Path, published: Tensors, parts: bool
) -> None:
    expected = state(load("tiny", weights=folder))
    (folder / "model.safetensors").unlink()
    if parts:
        placed = {key: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, key in enumerate(published)}
        for name in set(placed.values()):
            torch.save({key: value for key, value in published.items() if placed[key] == name}, folder / name)
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": placed}))
    else:
        torch.save(published, folder / "pytorch_model.bin")
    hub_snapshot(folder)
    assert same(state(load("hf:acme/tiny", offline=True)), expected)


def test_a_model_with_code_of_its_own_is_not_run(load: Load, folder: Path) -> None:
    (folder / "config.json").write_text(
        json.dumps({"model_type": "novel", "auto_map": {"AutoModel": "modeling.Novel"}})
    )
    (folder / "modeling.py").write_text("raise SystemExit('ran')")
    hub_snapshot(folder)
    with pytest.raises(ModelError, match=r"novel, and its own code .*never run"):
        load("hf:acme/tiny", offline=True)


def test_a_file_that_is_not_the_cards_is_refused(load: Load, folder: Path, registry: Registry) -> None:
    from dataclasses import replace

    hub_snapshot(folder)
    spec = parse_model("tiny", registry)
    source = spec.card.weights[0]
    for change, words in (
        ({"sha256": "a" * 64}, "sha256 of"),
        ({"size": 5}, "the card says 5"),
        ({"git_blob": "b" * 40}, "git blob"),
    ):
        card = replace(spec.card, weights=(replace(source, **change),))
        with pytest.raises(WeightsError, match=words):
            find_weights(replace(spec, card=card), offline=True)


def test_digests_follow_the_content(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    os.utime(path, (1e9, 1e9))
    first = file_digest(path)
    assert file_digest(path) == first
    path.write_bytes(b"two")
    os.utime(path, (1e9 + 1, 1e9 + 1))
    assert file_digest(path) != first


def test_sizes_on_the_meta_device_cost_nothing() -> None:
    backbone = build_on_meta(TinyBackbone, {"width": 1 << 20, "depth": 3})
    assert count_parameters(backbone) == 9 * 2**20 + 3 * (2 * 2**40 + 2**20)
    assert count_parameters(backbone, head=True) == count_parameters(backbone) + 9


def test_loading_twice_gives_the_same_tensors(load: Load, folder: Path) -> None:
    assert same(state(load("tiny", weights=folder)), state(load("tiny", weights=folder / "model.safetensors")))
    assert (
        load_file(folder / "model.safetensors").keys() == read_checkpoint(folder / "model.safetensors").tensors.keys()
    )
