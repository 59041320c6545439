"""Brings a model's weights and tokenizer to this machine, so that runs need no network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from findna_bench.errors import UsageError
from findna_bench.models.loading import backbone_class
from findna_bench.models.spec import ModelSpec, read_config
from findna_bench.models.weights import find_tokenizer_files, find_weights
from findna_bench.registry import Registry, get_registry

__all__ = ["FetchedModel", "fetch_model"]


@dataclass(frozen=True)
class FetchedModel:
    """What lies on this machine now. files: weights first. digest: of the weights, as results state it."""

    model: str
    source: str
    digest: str
    n_bytes: int
    files: tuple[str, ...]
    licence: str | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def fetch_model(
    spec: ModelSpec, *, offline: bool = False, cache_dir: str | Path | None = None, registry: Registry | None = None
) -> FetchedModel:
    """Weights and tokenizer files of a model, downloaded where they are not here yet, checked against the card's digests.

    Raises:
        UsageError: the model has no weights to fetch. WeightsError, OfflineError: they cannot be had.
        ModelError: no backbone reads them.
    """
    if spec.kind != "encoder":
        raise UsageError(f"{spec.display_name} is a model of kind {spec.kind}: it has no weights to fetch")
    found = find_weights(spec, offline=offline, cache_dir=cache_dir)
    config = read_config(found.files["config.json"]) if "config.json" in found.files else None
    _, backbone = backbone_class(spec, config, registry or get_registry())
    tokenizer = find_tokenizer_files(spec, backbone.tokenizer_files, found.files, offline=offline, cache_dir=cache_dir)
    files = {str(path): path for path in (*found.weights, *found.files.values(), *tokenizer.values())}
    return FetchedModel(
        spec.card.name,
        found.source,
        found.digest,
        sum(path.stat().st_size for path in files.values()),
        tuple(files),
        spec.card.licence_weights,
    )
