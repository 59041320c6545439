"""A registry with the tiny backbone, and checkpoints in its published layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_backbone import SIZES, TinyBackbone
from tiny_backbone import Plugin as TinyPlugin

from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.registry import Plugin, Registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    registry = Registry()
    registry.add(TinyPlugin(), Plugin("tiny", "tiny_backbone", "acme-tiny", "1.2"))
    return registry


@pytest.fixture
def published() -> dict[str, torch.Tensor]:
    """Tensors of a whole published checkpoint of ``tiny``, every one with values of its own."""
    generator = torch.Generator().manual_seed(5)
    backbone = TinyBackbone(**SIZES)
    tensors = {
        f"tiny.{k}": torch.randn(v.shape, generator=generator)
        for k, v in backbone.state_dict().items()
        if k != "head.weight"
    }
    return tensors | {"position_ids": torch.arange(12)}


@pytest.fixture
def folder(tmp_path: Path, published: dict[str, torch.Tensor]) -> Path:
    """A published model folder of ``tiny``."""
    target = tmp_path / "published"
    target.mkdir()
    save_file(published, target / "model.safetensors")
    (target / "config.json").write_text(json.dumps({"model_type": "tiny", **SIZES}))
    return target


@pytest.fixture
def load(registry: Registry) -> Callable[..., LoadedModel]:
    """``load_model`` on the CPU with the registry of these tests."""

    def load(name: str, **options: object) -> LoadedModel:
        return load_model(name, device="cpu", registry=registry, **options)  # type: ignore[arg-type]

    return load
