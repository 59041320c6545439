"""Model folders as this harness writes them, to be named ``path:FOLDER`` or given with ``--weights NAME=FOLDER``.

``model.safetensors``: parameters in the backbone's own names, below ``<network>.`` where there are several networks.
``config.json``: key ``findna_bench`` with backbone, sizes, pooling, networks, notes. Tokenizer files lie beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from findna_bench.cards import Pretraining
from findna_bench.errors import ModelError, OutputError
from findna_bench.files import atomic_path, write_json
from findna_bench.models.spec import CONFIG_KEY

__all__ = ["save_model_folder"]


def save_model_folder(
    folder: str | Path,
    networks: nn.Module | Mapping[str, nn.Module],
    *,
    backbone: str,
    config: Mapping[str, Any],
    files: Mapping[str, Path] | None = None,
    pooling: str = "mean",
    pooling_source: str = "",
    causal: bool = False,
    max_length: int | None = None,
    notes: Sequence[str] = (),
    pretraining: Pretraining | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a folder that :func:`findna_bench.models.loading.load_model` reads back bit by bit.

    networks: one backbone, or several by name (``{"teacher": ..., "student": ...}``, default first). backbone: name of the
    backbone's card. config: its arguments. files: tokenizer files by name. pretraining: what the model has read. extra: anything JSON-serialisable worth keeping,
    e.g. how the weights were trained. The config is written last: without it the folder is not a model.

    Raises:
        ModelError: a number is NaN or infinite. OutputError: the folder cannot be written.
    """
    target = Path(folder)
    several = isinstance(networks, Mapping)
    tensors: dict[str, Tensor] = {}
    for name, network in networks.items() if isinstance(networks, Mapping) else [("", networks)]:
        prefix = f"{name}." if several else ""
        tensors |= {prefix + key: value for key, value in _own_copies(network).items()}
    for key, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(f"{key} holds NaN or infinite values; nothing was written to {target}")
    _write_tensors(target / "model.safetensors", tensors)
    for name, path in (files or {}).items():
        with atomic_path(target / name) as temporary:
            temporary.write_bytes(Path(path).read_bytes())
    section = {
        "format": 1,
        "backbone": backbone,
        "config": dict(config),
        "networks": list(networks) if isinstance(networks, Mapping) else [],
        "pooling": pooling,
        "pooling_source": pooling_source,
        "causal": causal,
        "max_length": max_length,
        "notes": list(notes),
        "pretraining": asdict(pretraining) if pretraining is not None else None,
        "extra": dict(extra or {}),
    }
    write_json(target / "config.json", {CONFIG_KEY: section})
    return target


def _own_copies(network: nn.Module) -> dict[str, Tensor]:
    """Tensors on the CPU; a parameter with several names is stored under the first."""
    kept: dict[str, Tensor] = {}
    seen: set[tuple[int, tuple[int, ...]]] = set()
    for name, value in network.state_dict().items():
        key = (value.data_ptr(), tuple(value.shape))
        if value.numel() and key in seen:
            continue
        seen.add(key)
        kept[name] = value.detach().cpu().contiguous().clone()
    return kept


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata={"format": "pt"})
        except SafetensorError as error:  # the library reports a full disk as its own error
            raise OutputError(f"cannot write {path}: {error}; free some space or choose another folder") from error
