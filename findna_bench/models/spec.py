"""Model names as users write them, parsed into what is to be run. No torch here: planning parses thousands of names.

``NAME``, ``distribution:NAME``, ``NAME@random[:K]``, ``path:FOLDER``, ``hf:ORG/NAME[@REV]``, ``embeddings:FILE.npy|npz|parquet``,
``scores:FILE`` (a table).
What lies on this machine is called by its last part, whatever folder it is in, or as one says: ``NAME=path:FOLDER``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from findna_bench.cards import POOLINGS, ModelCard, Pretraining, WeightsSource, card_content
from findna_bench.code import factory_digest
from findna_bench.errors import UsageError, WeightsError
from findna_bench.private_paths import last_part
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.families import FAMILY

if TYPE_CHECKING:
    from findna_bench.models.object_models import HeldModel

__all__ = [
    "CONFIG_KEY",
    "HUB_FILES",
    "MEMORY",
    "MODEL_SCHEMES",
    "PUBLISHED",
    "ModelSpec",
    "as_described",
    "card_name",
    "folder_settings",
    "model_code",
    "parse_model",
    "read_config",
]

CONFIG_KEY = "findna_bench"
"""Key of ``config.json`` under which a model folder written by this harness keeps its backbone, sizes and settings."""

PUBLISHED = "published"
"""Backbone name of cards made for ``hf:`` and ``path:``: the loader finds it by ``config.json``."""

HUB_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "merges.txt",
)
"""Files that may be taken from a hub repository nobody wrote a card for: never code."""

MEMORY = "memory"
"""Stands before the name of a model that is an object of a Python process."""

MODEL_SCHEMES = ("path", "hf", "embeddings", "scores", MEMORY)
"""What may stand before a colon instead of a distribution: the model is where the rest says."""

_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*?)(?:@([\w][\w./-]*))?")
_NAMED = re.compile(r"([^:=/]*)=((?:path|embeddings|scores|hf):.*)", re.DOTALL)
_OWN_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}")
_RANDOM = re.compile(r"random(?::(\d{1,9}))?")
_LARGEST_CONFIG = 16 * 2**20


@dataclass(frozen=True)
class ModelSpec:
    """One model of a run.

    variant: ``None``, or ``"random"`` for untrained weights drawn with ``init_seed``. location: folder of ``path:`` or file of
    ``embeddings:``. text: as the user wrote it. display_name: as tables show it (canonical, whatever alias was written, and without
    the folder that a model of the user's lies in). network: which network of a checkpoint, where a run compares several.
    """

    card: ModelCard
    distribution: str
    version: str
    variant: Literal["random"] | None = None
    init_seed: int = 0
    location: Path | None = None
    text: str = ""
    display_name: str = ""
    network: str | None = None
    held: HeldModel | None = field(default=None, compare=False, repr=False)
    """The object that the model is, where it was given as one."""
    content: str = ""
    """Digest of that object."""

    @property
    def kind(self) -> str:
        return self.card.kind

    @property
    def local_name(self) -> str:
        """What the folder or file of a model on this machine is called in results; empty for any other."""
        return self.display_name.partition(":")[2] if self.location is not None else ""

    def identity(self) -> dict[str, Any]:
        """Everything known before data or weights are opened, JSON-serialisable; part of a request id."""
        return {
            "card": json.loads(json.dumps(card_content(self.card), default=str)),
            "distribution": self.distribution,
            "version": self.version,
            "variant": self.variant,
            "init_seed": self.init_seed if self.variant else None,
            "location": str(self.location) if self.location else None,
            **({"network": self.network} if self.network else {}),
            **({"content": self.content} if self.content else {}),
        }


def parse_model(text: str, registry: Registry | None = None) -> ModelSpec:
    """The model a user named.

    Raises:
        UnknownNameError: no plugin registers the name. UsageError: the name is malformed, or a path is not there.
        WeightsError: a ``config.json`` cannot be read.
    """
    name = text.strip()
    if not name:
        raise UsageError("a model name is empty; see `findna-bench list models`")
    registry = registry or get_registry()
    called, located = _named(name)
    scheme, separator, rest = located.partition(":")
    if f"{scheme}{separator}" == FAMILY:
        raise UsageError(
            f"{name} stands for several networks; `run`, `plan` and `compare` take it, elsewhere give path:FOLDER of one"
        )
    if separator and scheme == "path":
        return _from_folder(name, rest, registry, called)
    if separator and scheme == "hf":
        return _from_hub(name, rest)
    if separator and scheme == "embeddings":
        return _from_vectors(name, rest, called)
    if separator and scheme == "scores":
        return _from_scores(name, rest, called)
    if separator and scheme == MEMORY:
        raise UsageError(f"{name} is an object of a Python process; give the object itself there, fb.run(models=[...])")
    return _from_registry(name, registry)


def _named(text: str) -> tuple[str, str]:
    """``NAME=path:FOLDER`` as its two parts; the name is empty where none is given.

    Raises:
        UsageError: that is no name, or of a model that has one.
    """
    found = _NAMED.fullmatch(text)
    if found is None:
        return "", text
    name, located = found.groups()
    if located.startswith("hf:"):
        raise UsageError(
            f"{text}: a model of the hub has a name; path:FOLDER, embeddings:FILE and scores:FILE take one"
        )
    if not _OWN_NAME.fullmatch(name):
        raise UsageError(
            f"{text}: {name!r} is no name; give letters, digits, dots, dashes, underscores and plus signs, at most 100"
        )
    return name, located


def _from_registry(name: str, registry: Registry) -> ModelSpec:
    base, at, variant = name.partition("@")
    entry = registry.resolve("models", base)
    card: ModelCard = entry.card
    if not at:
        return ModelSpec(card, entry.distribution, entry.version, text=name, display_name=card.name)
    match = _RANDOM.fullmatch(variant)
    if not match:
        raise UsageError(
            f"{name}: after @ only random or random:K is known (K an initialisation seed), not {variant!r}"
        )
    if card.kind != "encoder":
        raise UsageError(f"{name}: {card.name} is a model of kind {card.kind} and has no weights to draw at random")
    seed = int(match[1] or 0)
    shown = f"{card.name}@random" + (f":{seed}" if seed else "")
    return ModelSpec(card, entry.distribution, entry.version, "random", seed, text=name, display_name=shown)


def _from_hub(name: str, rest: str) -> ModelSpec:
    match = _HUB_NAME.fullmatch(rest)
    if not match:
        raise UsageError(f"{name}: write hf:ORG/NAME or hf:ORG/NAME@REVISION")
    organisation, repository, revision = match.groups()
    card = ModelCard(
        name=card_name(repository),
        kind="encoder",
        backbone=PUBLISHED,
        weights=(WeightsSource(repo=f"{organisation}/{repository}", revision=revision, files=HUB_FILES),),
        pooling_source="default of the harness for models without a card",
        notes=("no card: licence and pretraining data of this model are not known here",),
    )
    return ModelSpec(card, "huggingface", revision or "main", text=name, display_name=name)


def _from_folder(name: str, rest: str, registry: Registry, called: str = "") -> ModelSpec:
    folder = Path(os.path.expanduser(rest))
    if folder.is_file():
        raise UsageError(f"{name}: this is a file; name its model and give it with --weights NAME={rest}")
    if not rest or not folder.is_dir():
        raise UsageError(f"{name}: there is no such folder")
    config = read_config(folder / "config.json")
    if config is None:
        raise UsageError(f"{name}: no config.json says which model this is; use --weights NAME={rest} with its name")
    called = called or last_part(folder) or "model"
    card = ModelCard(
        name=card_name(called),
        kind="encoder",
        backbone=PUBLISHED,
        pooling_source="default of the harness for models without a card",
    )
    spec = ModelSpec(card, "local", "", location=folder.resolve(), text=name, display_name=f"path:{called}")
    return as_described(spec, config, str(folder), registry)


def as_described(
    spec: ModelSpec, config: Mapping[str, Any] | None, where: str, registry: Registry, *, local: bool = False
) -> ModelSpec:
    """A spec once its ``config.json`` is known: a folder this harness wrote describes itself, wherever it lies (``hf:``), and
    given (``local``) for another model's weights it knows better than that model's card what they have read.

    Raises:
        WeightsError: its description is damaged. UnknownNameError: its backbone is not installed.
    """
    own = folder_settings(config, where)
    if own is None:
        return spec
    if spec.card.backbone == PUBLISHED:
        return _described(spec, own, registry)
    return replace(spec, card=replace(spec.card, pretraining=own["pretraining"])) if local else spec


def _described(spec: ModelSpec, own: Mapping[str, Any], registry: Registry) -> ModelSpec:
    entry = registry.resolve("backbones", str(own["backbone"]))
    card = replace(
        spec.card,
        backbone=entry.card.name,
        config=own["config"],
        pooling=own.get("pooling", "mean"),
        pooling_source=own.get("pooling_source", ""),
        window=own.get("window", "truncate"),
        max_length=own.get("max_length"),
        causal=bool(own.get("causal", False)),
        networks=tuple(own.get("networks", ())),
        notes=(*spec.card.notes, *own.get("notes", ())),
        pretraining=own["pretraining"],
    )
    return replace(spec, card=card, distribution=entry.distribution, version=entry.version)


def _from_vectors(name: str, rest: str, called: str = "") -> ModelSpec:
    path = Path(os.path.expanduser(rest))
    if path.suffix not in (".npy", ".npz", ".parquet"):
        raise UsageError(
            f"{name}: give a .npy file (rows in the order of the file or task), a .npz file with vectors and ids, or a .parquet "
            "file that `findna-bench embed` wrote"
        )
    if not path.is_file():
        raise UsageError(f"{name}: there is no such file")
    of_bases = path.suffix == ".npz" and _holds_offsets(path)
    card = ModelCard(
        name=card_name(called or path.stem),
        kind="features",
        factory=f"findna_bench.models.{'precomputed_bases:PrecomputedBases' if of_bases else 'precomputed:PrecomputedFeatures'}",
        protocols=("probe", "knn"),
        targets=("per_base",) if of_bases else None,
        pooling_source="vectors computed elsewhere",
        notes=("vectors computed elsewhere: weights, pooling and strand are not known here",),
    )
    shown = f"embeddings:{called or last_part(path)}"
    return ModelSpec(card, "local", "", location=path.resolve(), text=name, display_name=shown)


def _holds_offsets(path: Path) -> bool:
    """Whether vectors are those of bases, by the array that says where rows begin; a damaged file is reported where it is read."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return "offsets.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _from_scores(name: str, rest: str, called: str = "") -> ModelSpec:
    path = Path(os.path.expanduser(rest))
    if not path.is_file():
        raise UsageError(f"{name}: there is no such file; give a table of scores, joined by variant")
    card = ModelCard(
        name=card_name(called or path.stem),
        kind="classifier",
        factory="findna_bench.protocols.score_files:ScoreFile",
        protocols=("zero_shot",),
        targets=("classes", "values"),
        inputs=("variant",),
        notes=("scores computed elsewhere: what they were computed from is not known here",),
    )
    shown = f"scores:{called or last_part(path)}"
    return ModelSpec(card, "local", "", location=path.resolve(), text=name, display_name=shown)


def model_code(spec: ModelSpec, registry: Registry, backbone: str | None = None) -> str | None:
    """Digest of the code that makes a model, None where it cannot be hashed; nothing is loaded for it.

    backbone: the one that was found for ``hf:`` and ``path:``.

    Raises:
        UnknownNameError: no plugin registers its backbone.
    """
    if spec.held is not None:
        return spec.held.code_digest
    if spec.kind != "encoder":
        return factory_digest(str(spec.card.factory))
    name = backbone if spec.card.backbone == PUBLISHED else spec.card.backbone
    return (
        None
        if name is None
        else factory_digest(registry.resolve("backbones", name, within=spec.distribution).card.factory)
    )


def read_config(path: Path) -> dict[str, Any] | None:
    """A ``config.json``, or None where there is none.

    Raises:
        WeightsError: it is not a JSON object, or absurdly large.
    """
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise WeightsError(f"{path}: {path.stat().st_size:,} bytes are no config.json; restore the published file")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error}); restore the published file") from error
    if not isinstance(value, dict):
        raise WeightsError(f"{path} must hold a JSON object, not {type(value).__name__}; restore the published file")
    return value


def folder_settings(config: Mapping[str, Any] | None, where: str) -> dict[str, Any] | None:
    """What a model folder of this harness says of itself (``config.json``, key ``findna_bench``), ``pretraining`` as a
    :class:`~findna_bench.cards.Pretraining` or None; None for any other folder.

    Raises:
        WeightsError: the section is damaged.
    """
    section = (config or {}).get(CONFIG_KEY)
    if section is None:
        return None
    wrong = (
        not isinstance(section, dict)
        or not isinstance(section.get("backbone"), str)
        or not isinstance(section.get("config"), dict)
        or section.get("pooling", "mean") not in POOLINGS
    )
    if wrong:
        raise WeightsError(
            f"{where}: section {CONFIG_KEY!r} of config.json names no backbone, config or pooling; write the folder anew"
        )
    read = section.get("pretraining")
    try:
        known = Pretraining.of(read) if read is not None else None
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{where}: section {CONFIG_KEY!r} of config.json does not say what was read in pretraining ({error})"
        ) from error
    return {**section, "pretraining": known}


def card_name(name: str) -> str:
    """A name as cards may have it."""
    cleaned = re.sub(r"[^A-Za-z0-9._+-]+", "-", name).lstrip("._+-")
    return cleaned or "model"
