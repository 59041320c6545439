"""Models that are Python objects: a loaded model, a backbone, or whatever has ``embed(list[str]) -> (n, D)``.

They are called ``memory:NAME-DIGEST`` by their content, so that two objects with the same weights and code are one model and any others two.
"""

from __future__ import annotations

import contextlib
import re
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from findna_bench.cards import ModelCard
from findna_bench.code import live_digest
from findna_bench.errors import BenchError, ModelError, UnsupportedError, UsageError, is_out_of_memory
from findna_bench.files import stable_hash
from findna_bench.models.consistency import check_consistent_rows
from findna_bench.models.spec import MEMORY, ModelSpec, card_name
from findna_bench.registry import Registry, get_registry

if TYPE_CHECKING:
    from findna_bench.data.table import SequenceTable
    from findna_bench.models.loading import LoadedModel

__all__ = ["Embeds", "HeldModel", "ObjectFeatures", "evaluating", "held_network", "object_spec"]

_ACCEPTED = (
    "give a name, a path, fb.load_model(...), an fb.Backbone, or an object with a method embed(list of str) -> (n, D)"
)
_BLOCK = 256
"""Sequences that an object is given at a time."""


class Embeds(Protocol):
    """Whatever gives vectors of sequences."""

    def embed(self, sequences: list[str], /) -> Any:
        """(n, D) finite numbers, one row for each sequence: a NumPy array, a tensor, or lists."""


@dataclass(frozen=True)
class HeldModel:
    """An object that is run as a model: a :class:`~findna_bench.models.loading.LoadedModel`, or one with ``embed``.

    code_digest: of its code and state; None where Python cannot reach all of them: then nothing of it is kept.
    """

    value: Any
    code_digest: str | None


def object_spec(model: Any, registry: Registry | None = None) -> ModelSpec:
    """What is to be run for an object.

    Raises:
        UsageError: it is no model.
    """
    network = _network(model)
    if network is not None:
        return _of_network(network, registry or get_registry())
    _check_embeds(model)
    with evaluating(model):
        digest = live_digest(model)
    own = getattr(model, "name", None)
    name = own if isinstance(own, str) and own else type(model).__name__
    counted = sum(p.numel() for p in model.parameters()) if _is_module(model) else None
    card = ModelCard(
        name=card_name(name),
        kind="features",
        factory="findna_bench.models.object_models:ObjectFeatures",
        pooling_source="what the object's embed gives",
        n_parameters=counted,
        notes=(
            "an object in memory: its vectors are what its embed gives; pooling and pretraining data are not known here",
        ),
    )
    spec = ModelSpec(card, "local", "", held=HeldModel(model, digest))
    return _called(spec, name, digest)


def _called(spec: ModelSpec, name: str, digest: str | None) -> ModelSpec:
    """The spec with a name by its content; what cannot be hashed is a model of its own each time."""
    content = stable_hash([name, digest]) if digest is not None else uuid.uuid4().hex
    shown = f"{MEMORY}:{re.sub(r'[^A-Za-z0-9._@+-]+', '-', name)}-{content[:8]}"
    return replace(spec, text=shown, display_name=shown, content=content)


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _network(model: Any) -> LoadedModel | Any | None:
    """A loaded model, or a backbone; None for anything else. Neither can be there before torch is."""
    if "torch" not in sys.modules:
        return None
    from findna_bench.models.backbone import Backbone
    from findna_bench.models.loading import LoadedModel

    return model if isinstance(model, LoadedModel | Backbone) else None


def _check_embeds(model: Any) -> None:
    what = (
        f"{model!r} "
        if model is None or isinstance(model, int | float)
        else f"an object of class {type(model).__name__} "
    )
    if isinstance(model, type):
        raise UsageError(f"{model.__name__} is a class, no model; make an object of it: {model.__name__}(...)")
    embed = getattr(model, "embed", None)
    if callable(embed) and not _is_module(embed):
        return
    if _is_module(model):
        raise UsageError(
            f"{type(model).__name__} is a torch module that does not say how it reads DNA; give it a method embed(list of str) -> (n, D), or "
            "derive it from fb.Backbone"
        )
    raise UsageError(f"{what}is no model; {_ACCEPTED}")


def _of_network(network: Any, registry: Registry) -> ModelSpec:
    from findna_bench.models.loading import LoadedModel

    loaded = network if isinstance(network, LoadedModel) else _wrapped(network, registry)
    with evaluating(loaded):
        found = live_digest(loaded.backbone)
    digest = None if found is None else stable_hash([found, loaded.dtype_name])
    code = None if digest is None else loaded.code_digest or digest
    spec = _called(
        replace(loaded.spec, location=None, card=loaded.card), loaded.name.removeprefix(f"{MEMORY}:"), digest
    )
    held = replace(
        loaded, spec=spec, weights_digest=f"{MEMORY}:{spec.content}", weights_source=MEMORY, code_digest=code
    )
    return replace(spec, held=HeldModel(held, code))


def _wrapped(backbone: Any, registry: Registry) -> LoadedModel:
    """A backbone as a loaded model, whose weights are taken for trained."""
    import torch

    from findna_bench.models.loading import LoadedModel, check_backbone, count_parameters

    kind = type(backbone)
    factory = f"{kind.__module__}:{kind.__qualname__}"
    name = next(
        (e.card.name for e in registry.entries("backbones") if e.card.factory == factory), card_name(kind.__name__)
    )
    card = ModelCard(
        name=card_name(kind.__name__),
        kind="encoder",
        backbone=name,
        causal=backbone.causal,
        max_length=backbone.max_length,
        pooling_source="default of the harness for models without a card",
        notes=("an object in memory: what it was pretrained on is not known here",),
    )
    spec = ModelSpec(card, "local", "", text=kind.__name__, display_name=kind.__name__)
    parameter = next(backbone.parameters(), None)
    return LoadedModel(
        spec=spec,
        card=card,
        backbone=backbone,
        device=torch.device("cpu") if parameter is None else parameter.device,
        dtype=torch.float32,
        weights_digest="",
        weights_source=MEMORY,
        tokenizer_digest=check_backbone(backbone, name),
        network=None,
        n_parameters=count_parameters(backbone),
        trained=True,
        code_digest=live_digest(kind),
    )


def held_network(spec: ModelSpec, changes: Mapping[str, Any], *, device: str, dtype: str) -> LoadedModel:
    """The network of a spec on the device that it is on; a copy where some settings of its backbone change (e.g. its dropout).

    Raises:
        UsageError: another device is asked for. UnsupportedError: it cannot be built anew from its settings.
    """
    from findna_bench.models.precision import resolve_device

    assert spec.held is not None
    loaded: LoadedModel = spec.held.value
    if device != "auto" and (wanted := resolve_device(device)).type != loaded.device.type:
        raise UsageError(
            f"{spec.display_name} is on {loaded.device}, not on {wanted}; move the object, or leave out --device"
        )
    loaded = loaded if dtype == "auto" else loaded.with_dtype(dtype)
    return _rebuilt(loaded, changes) if changes else loaded


def _rebuilt(loaded: LoadedModel, changes: Mapping[str, Any]) -> LoadedModel:
    try:
        backbone = type(loaded.backbone).from_config({**loaded.config, **changes}, loaded.files)
        backbone.load_state_dict(loaded.backbone.state_dict())
    except (TypeError, ValueError, RuntimeError) as error:
        raise UnsupportedError(
            f"{loaded.name}: this preset sets {', '.join(changes)} of the backbone, and the object cannot be built anew with it ({error}); choose "
            "another --preset"
        ) from error
    return replace(loaded, backbone=backbone.to(loaded.device).eval(), config={**loaded.config, **changes})


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The torch module that an object is, if it is one, in eval mode; afterwards its parts are in the mode they were in."""
    network = getattr(model, "backbone", model)
    training = [part for part in network.modules() if part.training] if _is_module(network) else []
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part in training:
            part.training = True


class ObjectFeatures:
    """Vectors that an object's ``embed`` gives, as features; nothing is fitted, so no seed changes anything.

    Raises:
        ModelError: they are not one row of finite numbers for each sequence, or a row depends on the call or on the rows beside it.
    """

    settings: ClassVar[Mapping[str, Any]] = {}
    varies: ClassVar[tuple[str, ...]] = ()

    def __init__(self, held: Any, name: str) -> None:
        self._embed, self._name = held.embed, name
        self._checked = False

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> None:
        """Nothing."""

    def transform(self, table: SequenceTable) -> np.ndarray:
        """(n, D) float32 or float64."""
        if not self._checked:
            texts = table.sequences
            check_consistent_rows(
                self._name, lambda rows: self._vectors([texts[i] for i in rows]), list(map(len, texts))
            )
            self._checked = True
        blocks = [self._vectors(table.sequences[i : i + _BLOCK]) for i in range(0, len(table), _BLOCK)]
        widths = {block.shape[1] for block in blocks}
        if len(widths) > 1:
            raise ModelError(
                f"{self._name}: embed gives {' and '.join(map(str, sorted(widths)))} channels; give as many for each sequence"
            )
        return np.concatenate(blocks)

    def _vectors(self, sequences: Sequence[str]) -> np.ndarray:
        try:
            with _no_gradients():
                found = _as_array(self._embed(list(sequences)))
        except BenchError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise ModelError(f"{self._name}: its embed fails with {type(error).__name__}: {error}") from error
        if found.ndim != 2 or len(found) != len(sequences) or not found.shape[1] or found.dtype.kind not in "fiu":
            raise ModelError(
                f"{self._name}: embed gives {found.dtype} of shape {found.shape} for {len(sequences)} sequences; ({len(sequences)}, D) numbers are "
                "expected, one vector per sequence"
            )
        if not np.isfinite(found).all():
            raise ModelError(f"{self._name}: embed gives NaN or infinity")
        return found if found.dtype in (np.float32, np.float64) else found.astype(np.float32)


def _no_gradients() -> contextlib.AbstractContextManager[Any]:
    torch = sys.modules.get("torch")
    return torch.no_grad() if torch is not None else contextlib.nullcontext()


def _as_array(found: Any) -> np.ndarray:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(found, torch.Tensor):
        found = found.detach().cpu()
        return np.asarray(found.float() if found.dtype in (torch.bfloat16, torch.float16) else found)
    if torch is not None and isinstance(found, list | tuple) and any(isinstance(row, torch.Tensor) for row in found):
        return np.stack([_as_array(row) for row in found])
    return np.asarray(found)
