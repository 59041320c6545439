"""A card becomes a live model: built on the meta device, filled from a checkpoint that accounts for every number, proved.

Every key of a checkpoint is used or ignored for a stated reason; every parameter is filled; shapes agree; nothing is NaN;
nothing stays on the meta device; the parameter count is the card's where the sizes are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from findna_bench.cards import ModelCard
from findna_bench.errors import BenchError, ModelError, PluginError, UnsupportedError, UsageError, WeightsError, listed
from findna_bench.files import stable_hash
from findna_bench.models.backbone import Adapted, Backbone, Checkpoint
from findna_bench.models.estimators import load_estimator
from findna_bench.models.linear_products import with_fast_products
from findna_bench.models.precision import resolve_device, resolve_dtype
from findna_bench.models.sanity import check_weights
from findna_bench.models.spec import PUBLISHED, ModelSpec, as_described, folder_settings, model_code, parse_model
from findna_bench.models.weights import WeightsFiles, find_tokenizer_files, find_weights, read_checkpoint
from findna_bench.plugin_code import fault_in_words, plugin_code
from findna_bench.registry import Registry, get_registry, load_factory

__all__ = [
    "LoadedModel",
    "backbone_class",
    "build_on_meta",
    "built_again",
    "check_backbone",
    "count_parameters",
    "load_estimator",
    "load_model",
]


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to compute.

    card: the card with the sizes that were loaded. backbone: in eval mode, float32 weights, on ``device``. dtype: what it
    computes in. weights_digest: ``sha256:...`` or ``random:K:<config hash>``. n_parameters: without the pretraining head.
    trained: False for random weights. config: arguments of the backbone. notes: to be shown with every result.
    code_digest: of the code of the backbone, None where it cannot be hashed: then nothing of the model is kept.
    """

    spec: ModelSpec
    card: ModelCard
    backbone: Backbone
    device: torch.device
    dtype: torch.dtype
    weights_digest: str
    weights_source: str
    tokenizer_digest: str
    network: str | None
    n_parameters: int
    trained: bool
    notes: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """The tokenizer's files by name."""
    code_digest: str | None = None
    whole: Callable[[], Backbone] | None = None
    """Where several processes keep the weights in parts between fits, and ``backbone`` has none: makes a network of its own with all of them,
    in all processes at the same time."""
    shared: bool = False
    """Whether ``backbone`` is computed by several processes together, each with a part of it."""

    @property
    def name(self) -> str:
        return self.spec.display_name

    @property
    def dtype_name(self) -> str:
        """``float32`` or ``bfloat16``."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def max_length(self) -> int | None:
        """Longest sequence in bases that is read whole; None = no limit."""
        limits = [limit for limit in (self.backbone.max_length, self.card.max_length) if limit is not None]
        return min(limits, default=None)

    def with_dtype(self, dtype: str | torch.dtype) -> LoadedModel:
        """The same weights, computing in another format."""
        return replace(self, dtype=resolve_dtype(dtype))


def load_model(
    spec: ModelSpec | str,
    *,
    weights: str | Path | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    network: str | None = None,
    offline: bool = False,
    sanity: bool = False,
    config: Mapping[str, Any] | None = None,
    cache_dir: str | Path | None = None,
    registry: Registry | None = None,
) -> LoadedModel:
    """Load an encoder.

    weights: None (the card's sources), a file or folder, or ``"random"`` / ``"random:K"``. network: which network of a
    checkpoint that holds several. sanity: whether trained weights must predict embedded real sequence clearly better than chance.
    config: sizes or options that override the card's and the folder's (e.g. dropout).

    Raises:
        WeightsError, OfflineError: the checkpoint is missing, unsafe, damaged or does not account for every parameter.
        ModelError: the model cannot be built. UsageError: the arguments contradict each other.
    """
    registry = registry or get_registry()
    spec = parse_model(spec, registry) if isinstance(spec, str) else spec
    if spec.kind != "encoder":
        raise UsageError(
            f"{spec.display_name} is a model of kind {spec.kind}: it has no weights to load and is fitted to a task"
        )
    spec, weights = _random_variant(spec, weights)
    target, compute = resolve_device(device), resolve_dtype(dtype)
    _check_network(spec, network)
    options = dict(config or {})
    if spec.variant == "random":
        loaded = _load_random(spec, options, offline, cache_dir, registry)
    else:
        found = find_weights(spec, weights, offline=offline, cache_dir=cache_dir)
        loaded = _load_trained(spec, found, options, network, offline, cache_dir, registry, target)
    _check_complete(loaded)
    loaded.backbone.to(target).eval()
    model = replace(loaded, device=target, dtype=compute, n_parameters=count_parameters(loaded.backbone))
    published = weights is None and spec.location is None and not options
    _check_count(model, published=published)
    if sanity and model.trained:
        model = replace(model, notes=(*model.notes, check_weights(model).words))
    return model


# -------------------------------------------------------------------------------------------------------- arguments


def _random_variant(spec: ModelSpec, weights: str | Path | None) -> tuple[ModelSpec, str | Path | None]:
    """``weights="random"`` means the same as ``NAME@random``."""
    if isinstance(weights, str) and (weights == "random" or weights.startswith("random:")):
        _, _, seed = weights.partition(":")
        if seed and not seed.isdecimal():
            raise UsageError(f"weights={weights!r}: write random or random:K, K an initialisation seed")
        number = int(seed or 0)
        shown = f"{spec.display_name.partition('@random')[0]}@random" + (f":{number}" if number else "")
        return replace(spec, variant="random", init_seed=number, display_name=shown), None
    if weights is not None and spec.variant == "random":
        raise UsageError(f"{spec.display_name} is to have random weights, so weights={str(weights)!r} contradicts it")
    return spec, weights


def _check_network(spec: ModelSpec, network: str | None) -> None:
    if network is None or spec.card.backbone == PUBLISHED:
        return
    if network not in spec.card.networks:
        known = ", ".join(spec.card.networks) or "no others"
        raise UsageError(f"--network {network}: checkpoints of {spec.display_name} hold {known}")


def backbone_class(spec: ModelSpec, config: Mapping[str, Any] | None, registry: Registry) -> tuple[str, type[Backbone]]:
    """Name and class of a model's backbone; for ``hf:`` and ``path:`` the one whose ``published_as`` fits ``config.json``.

    Raises:
        ModelError: none fits, several fit, or the factory is no Backbone.
    """
    if spec.card.backbone != PUBLISHED:
        entry = registry.resolve("backbones", str(spec.card.backbone), within=spec.distribution)
        return entry.card.name, backbone_type(entry.card.factory, entry.card.name)
    if config is None:
        raise ModelError(f"{spec.display_name}: it has no config.json, so nothing says which architecture this is")
    fitting = {}
    for entry in registry.entries("backbones"):
        candidate = backbone_type(entry.card.factory, entry.card.name)
        if candidate.recognises(config):
            fitting[entry.card.name] = candidate
    if len(fitting) == 1:
        return next(iter(fitting.items()))
    named = config.get("model_type") or config.get("architectures") or "an unnamed architecture"
    if fitting:
        raise ModelError(
            f"{spec.display_name}: {named} is read by several backbones ({', '.join(fitting)}); name a model and give --weights"
        )
    custom = ", and its own code (auto_map) is never run" if "auto_map" in config else ""
    raise ModelError(
        f"{spec.display_name}: no installed backbone reads {named}{custom}; see `findna-bench list backbones`"
    )


def backbone_type(factory: str, name: str) -> type[Backbone]:
    """The class that a backbone's card names.

    Raises:
        PluginError: it cannot be imported. ModelError: it is no backbone.
    """
    found = load_factory(factory, f"backbone {name!r}")
    if not (isinstance(found, type) and issubclass(found, Backbone)):
        raise ModelError(f"backbone {name!r}: {factory} is no subclass of findna_bench.api.Backbone")
    return found


# ---------------------------------------------------------------------------------------------------------- loading


def build_on_meta(cls: type[Backbone], config: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> Backbone:
    """The backbone without numbers: shapes and counts of any size for nothing.

    Raises:
        ModelError: the sizes are impossible.
    """
    with torch.device("meta"):
        return build_backbone(cls, config, files)


def build_backbone(cls: type[Backbone], config: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> Backbone:
    """The backbone of some sizes.

    Raises:
        ModelError: it cannot be made of them.
    """
    what = f"{cls.__name__} ({cls.__module__}) cannot be built with {dict(config)}"
    try:
        made = cls.from_config(dict(config), files)
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{what}: {fault_in_words(error, cls)}") from error
    if not isinstance(made, Backbone):
        raise ModelError(f"{what}: from_config makes a {type(made).__name__}, no findna_bench.api.Backbone")
    with_fast_products(made)
    return made


def _load_random(
    spec: ModelSpec, options: dict[str, Any], offline: bool, cache_dir: str | Path | None, registry: Registry
) -> LoadedModel:
    """Weights drawn with the spec's seed on the CPU, whatever the global generator or the device is."""
    if spec.card.backbone == PUBLISHED:
        raise UnsupportedError(f"{spec.display_name}: random weights need a card or a folder written by findna-bench")
    name, cls = backbone_class(spec, None, registry)
    config = {**spec.card.config, **options}
    files = find_tokenizer_files(spec, cls.tokenizer_files, _folder_files(spec), offline=offline, cache_dir=cache_dir)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also reseed the GPU's generator.
        torch.default_generator.manual_seed(spec.init_seed)
        backbone = build_backbone(cls, config, files)
    backbone.reset_buffers()
    digest = f"random:{spec.init_seed}:{stable_hash([name, config])[:16]}"
    code = model_code(spec, registry, name)
    return _unproved(spec, name, backbone, config, files, digest, f"random:{spec.init_seed}", None, code, trained=False)


def _folder_files(spec: ModelSpec) -> dict[str, Path]:
    if spec.location is None or not spec.location.is_dir():
        return {}
    return {path.name: path for path in spec.location.iterdir() if path.is_file()}


def _load_trained(
    spec: ModelSpec,
    found: WeightsFiles,
    options: dict[str, Any],
    network: str | None,
    offline: bool,
    cache_dir: str | Path | None,
    registry: Registry,
    device: torch.device,
) -> LoadedModel:
    checkpoint = read_checkpoint(found)
    local = found.source.startswith("local:")
    spec = as_described(spec, checkpoint.config, checkpoint.source, registry, local=local)
    name, cls = backbone_class(spec, checkpoint.config, registry)
    adapted = _adapt(cls, name, checkpoint, {**spec.card.config, **options}, options, network)
    config = {**adapted.config, **options}
    _check_accounting(checkpoint, adapted, cls)
    files = find_tokenizer_files(spec, cls.tokenizer_files, found.files, offline=offline, cache_dir=cache_dir)
    files |= {name: found.files[name] for name in cls.optional_tokenizer_files if name in found.files}
    backbone = build_on_meta(cls, config, files)
    _fill(backbone, adapted.state, checkpoint.source, device)
    backbone.reset_buffers()
    code = model_code(spec, registry, name)
    return _unproved(
        spec, name, backbone, config, files, found.digest, found.source, adapted.network, code, trained=True
    )


def _unproved(
    spec: ModelSpec,
    name: str,
    backbone: Backbone,
    config: Mapping[str, Any],
    files: Mapping[str, Path],
    digest: str,
    source: str,
    network: str | None,
    code: str | None,
    *,
    trained: bool,
) -> LoadedModel:
    digest_of_tokenizer = check_backbone(backbone, name)
    card = replace(
        spec.card,
        backbone=name,
        causal=spec.card.causal or backbone.causal,
        max_length=_length_limit(spec.card, backbone, files),
    )
    return LoadedModel(
        spec=spec,
        card=card,
        backbone=backbone,
        device=torch.device("cpu"),
        dtype=torch.float32,
        weights_digest=digest,
        weights_source=source,
        tokenizer_digest=digest_of_tokenizer,
        network=network,
        n_parameters=0,
        trained=trained,
        notes=spec.card.notes,
        config=dict(config),
        files=files,
        code_digest=code,
    )


def check_backbone(backbone: Backbone, name: str) -> str:
    """The tokenizer's digest of a backbone that says what every backbone must.

    Raises:
        ModelError: its class leaves an attribute or the digest out.
    """
    who = f"backbone {name!r}: {type(backbone).__name__}"
    if absent := [word for word in ("embed_dim", "n_layers", "max_length") if not hasattr(backbone, word)]:
        raise ModelError(f"{who} has no {', '.join(absent)}; set {'it' if len(absent) == 1 else 'them'} in __init__")
    try:
        with plugin_code(who):
            return _digest(backbone)
    except PluginError as error:
        if not isinstance(error.__cause__, NotImplementedError):
            raise
        raise ModelError(f"{who} has no method tokenizer_digest; results could not say which tokens it read") from error


def _digest(backbone: Backbone) -> str:
    digest = backbone.tokenizer_digest()
    if not isinstance(digest, str) or not digest:
        raise TypeError(f"tokenizer_digest gives {digest!r}, not a text")
    return digest


def _length_limit(card: ModelCard, backbone: Backbone, files: Mapping[str, Path]) -> int | None:
    """The card's longest input; that of the backbone where other sizes than the card's were loaded and it has another one."""
    if card.max_length is None or backbone.max_length in (None, card.max_length):
        return card.max_length
    try:
        of_card = build_on_meta(type(backbone), card.config, files).max_length
    except BenchError:  # the files do not fit the card's sizes, so these are not what was loaded
        of_card = None
    return card.max_length if of_card == backbone.max_length else backbone.max_length


def _adapt(
    cls: type[Backbone],
    name: str,
    checkpoint: Checkpoint,
    config: Mapping[str, Any],
    options: Mapping[str, Any],
    network: str | None,
) -> Adapted:
    """The checkpoint in the backbone's own names, whoever wrote it."""
    section = folder_settings(checkpoint.config, checkpoint.source)
    try:
        if section is None:
            return cls.adapt_checkpoint(checkpoint, config, network)
        if section["backbone"] != name:
            raise WeightsError(
                f"{checkpoint.source}: config.json says backbone {section['backbone']!r}, the card {name!r}"
            )
        section["config"] = {**section["config"], **options}
        return cls.adapt_own(replace(checkpoint, config=section), config, network)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        # A file that an adapter's author did not think of; which key it tripped over is all that can be said.
        raise WeightsError(
            f"{checkpoint.source} is no {name} checkpoint ({type(error).__name__}: {error}); restore the published files"
        ) from error


def _check_accounting(checkpoint: Checkpoint, adapted: Adapted, cls: type[Backbone]) -> None:
    """Every upstream key exactly once in used or ignored, and all used ones finite floating-point numbers."""
    keys, used, ignored = set(checkpoint.tensors), set(adapted.used), set(adapted.ignored)
    source = checkpoint.source
    if unknown := sorted((used | ignored) - keys):
        raise WeightsError(f"{source}: {_listed(unknown)} missing; is this a complete {cls.__name__} checkpoint?")
    if twice := sorted(used & ignored):
        raise ModelError(f"{cls.__name__}.adapt_checkpoint both uses and ignores {_listed(twice, verb=False)}")
    if left := sorted(keys - used - ignored):
        raise WeightsError(f"{source}: {_listed(left)} not expected in a {cls.__name__} checkpoint")
    for key in sorted(used):
        tensor = checkpoint.tensors[key]
        if tensor.layout != torch.strided or tensor.is_complex():
            raise WeightsError(
                f"{source}: {key} holds {tensor.dtype} ({tensor.layout}), not dense floating-point weights"
            )
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise WeightsError(f"{source}: {key} holds NaN or infinite values; the file is damaged, fetch it again")


def _is_finite(tensor: Tensor) -> bool:
    flat = tensor.reshape(-1)
    return all(bool(torch.isfinite(part).all()) for part in flat.split(1 << 24))


def _listed(keys: Sequence[str], verb: bool = True) -> str:
    shown = listed(map(repr, keys), 4)
    if not verb:
        return shown
    return f"key {shown} is" if len(keys) == 1 else f"keys {shown} are"


def _fill(backbone: Backbone, state: Mapping[str, Tensor], source: str, device: torch.device) -> None:
    """Put ``state`` in place, own copies in float32 on ``device``, keeping tied parameters tied.

    Raises:
        WeightsError: a parameter is missing, unexpected, of another shape, or two tied ones differ.
    """
    _drop_absent_head(backbone, state, source)
    expected = backbone.state_dict()
    parameters = dict(backbone.named_parameters(remove_duplicate=False))
    buffers = {name for name in expected if name not in parameters}
    ties = _ties(parameters)
    if unexpected := sorted(set(state) - set(expected)):
        raise WeightsError(f"{source}: {_listed(unexpected)} not part of {type(backbone).__name__} at these sizes")
    missing = sorted(
        name for name in parameters if name not in state and not any(other in state for other in ties.get(name, ()))
    )
    if missing:
        raise WeightsError(f"{source}: {_listed(missing)} not filled by this checkpoint; is it complete?")
    ready: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.shape != expected[name].shape:
            raise WeightsError(
                f"{source}: {name} has shape {tuple(value.shape)} where the configuration asks for {tuple(expected[name].shape)}"
            )
        if name in parameters and not value.is_floating_point():
            raise WeightsError(f"{source}: {name} holds {value.dtype}, not floating-point weights")
        twin = next((other for other in ties.get(name, ()) if other in ready), None)
        if twin is not None and not torch.equal(state[twin], value):
            raise WeightsError(f"{source}: {name} and {twin} differ, but they are one parameter")
        # A copy, so that the model neither depends on the file staying as it is nor shares memory with it.
        kind = torch.float32 if value.is_floating_point() else expected[name].dtype
        ready[name] = ready[twin] if twin else value.detach().to(device=device, dtype=kind, copy=True).contiguous()
        if value.dtype == torch.float64 and not _is_finite(ready[name]):
            raise WeightsError(f"{source}: {name} holds numbers beyond float32; the file is damaged, fetch it again")
    result = backbone.load_state_dict(ready, strict=False, assign=True)
    assert not result.unexpected_keys
    assert set(result.missing_keys) <= buffers | ties.keys()
    _tie(backbone, ties, ready)


def _ties(parameters: Mapping[str, nn.Parameter]) -> dict[str, tuple[str, ...]]:
    """For each parameter known under several names, all its names."""
    by_object: dict[int, list[str]] = {}
    for name, parameter in parameters.items():
        by_object.setdefault(id(parameter), []).append(name)
    return {name: tuple(names) for names in by_object.values() if len(names) > 1 for name in names}


def _tie(backbone: Backbone, ties: Mapping[str, tuple[str, ...]], ready: Mapping[str, Tensor]) -> None:
    """Give every name of a tied parameter the same object again (assigning broke them apart)."""
    for names in {tuple(names) for names in ties.values()}:
        filled = next(name for name in names if name in ready)
        shared = backbone.get_parameter(filled)
        for name in names:
            path, _, attribute = name.rpartition(".")
            setattr(backbone.get_submodule(path), attribute, shared)


class _NoHead(nn.Module):
    """Stands where the pretraining head of a backbone would be."""

    def forward(self, *_: Any) -> Tensor:
        raise UnsupportedError("this checkpoint holds no pretraining head")


def _drop_absent_head(backbone: Backbone, state: Mapping[str, Tensor], source: str) -> None:
    """A checkpoint without any number of the pretraining head gives a backbone without it; one with a part of it is damaged."""
    prefixes = backbone.head_prefixes
    body = {id(parameter) for _, parameter in _body(backbone)}
    names = [
        name
        for name, parameter in backbone.named_parameters(remove_duplicate=False)
        if any(name.startswith(prefix) for prefix in prefixes) and id(parameter) not in body
    ]
    missing = [name for name in names if name not in state]
    if not missing:
        return
    if len(missing) < len(names) or any(name.startswith(prefix) for name in state for prefix in prefixes):
        raise WeightsError(
            f"{source}: {_listed(missing)} missing from the pretraining head; fetch the checkpoint again"
        )
    for prefix in prefixes:
        path, _, attribute = prefix.rstrip(".").rpartition(".")
        setattr(backbone.get_submodule(path), attribute, _NoHead())


# ---------------------------------------------------------------------------------------------------------- proving


def count_parameters(backbone: Backbone, *, head: bool = False) -> int:
    """Parameters, each counted once; without the pretraining head unless ``head``."""
    parameters = backbone.named_parameters(remove_duplicate=False) if head else _body(backbone)
    return sum({id(parameter): parameter.numel() for _, parameter in parameters}.values())


def _body(backbone: Backbone) -> Iterator[tuple[str, nn.Parameter]]:
    """All parameters but those of the pretraining head, tied ones under each of their names."""
    for name, parameter in backbone.named_parameters(remove_duplicate=False):
        if not any(name.startswith(prefix) for prefix in backbone.head_prefixes):
            yield name, parameter


def built_again(model: LoadedModel) -> LoadedModel:
    """The same weights in a network that is made as one from a checkpoint is: without memory, then given its numbers.

    Raises:
        ModelError: a parameter or buffer is without values then.
    """
    backbone = build_on_meta(type(model.backbone), model.config, model.files)
    for prefix in model.backbone.head_prefixes:
        path, _, attribute = prefix.rstrip(".").rpartition(".")
        if isinstance(getattr(model.backbone.get_submodule(path), attribute, None), _NoHead):
            setattr(backbone.get_submodule(path), attribute, _NoHead())
    _fill(backbone, model.backbone.state_dict(), model.name, model.device)
    backbone.reset_buffers()
    again = replace(model, backbone=backbone)
    _check_complete(again)
    backbone.to(model.device).eval()
    return again


def _check_complete(model: LoadedModel) -> None:
    tensors: Iterable[tuple[str, Tensor]] = (*model.backbone.named_parameters(), *model.backbone.named_buffers())
    for name, tensor in tensors:
        if tensor.is_meta:
            raise ModelError(
                f"{model.name}: {name} has no values after loading; {type(model.backbone).__name__}.reset_buffers must assign a new tensor "
                f"to it (self.{name} = ...), as a network is loaded without memory of its own, where a change in place is lost"
            )


def _check_count(model: LoadedModel, *, published: bool) -> None:
    """The card's parameter count: always for the card's own weights, for others where the shapes are those of the card's sizes."""
    card = model.card
    if card.n_parameters is None or model.n_parameters == card.n_parameters:
        return
    if not published:
        try:
            built = build_on_meta(type(model.backbone), card.config, model.files)
        except BenchError:  # a vocabulary of another size than the card's: these are not the card's sizes
            return
        of_card = {name: p.shape for name, p in _body(built)}
        if of_card != {name: p.shape for name, p in _body(model.backbone)}:
            return
    error = WeightsError if model.trained else ModelError
    raise error(
        f"{model.name} has {model.n_parameters:,} parameters, its card says {card.n_parameters:,}; report this as a bug"
    )
