"""Finds checkpoint files and reads them without ever running what they hold.

Sources of a card are tried in order; a local file or folder stands in for all of them. Only files on an allow-list are
fetched, never code. ``torch.load`` is called with ``weights_only=True`` and nothing else.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import re
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from findna_bench.cards import WeightsSource
from findna_bench.download import digest_file, download
from findna_bench.errors import BenchError, OfflineError, OutputError, WeightsError
from findna_bench.files import path_segment, sha256_file, stable_hash, write_atomic
from findna_bench.models.backbone import Checkpoint
from findna_bench.models.cache_folder import cache_root
from findna_bench.models.spec import CONFIG_KEY, ModelSpec, read_config
from findna_bench.private_paths import last_part

__all__ = [
    "WeightsFiles",
    "fetch_source",
    "file_digest",
    "find_tokenizer_files",
    "find_weights",
    "is_offline",
    "read_checkpoint",
]

_INDEX = ".index.json"
_STANDARD = (
    "model.safetensors",
    f"model.safetensors{_INDEX}",
    "pytorch_model.bin",
    f"pytorch_model.bin{_INDEX}",
)
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_COMPANIONS = (".json", ".txt", ".model")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_STATE_DICTS = ("state_dict", "model_state_dict")
_TRAINER_STATE = ("optimizer", "optimizer_states", "optimizer_state_dict", "lr_schedulers", "callbacks", "loops")
"""Entries beside a state dictionary that a trainer resumes from; they are no part of a model."""
_MOST_ENTRIES, _DEEPEST = 200_000, 32
_FRESH_SECONDS = 2.0


@dataclass(frozen=True)
class WeightsFiles:
    """Files of one checkpoint.

    weights: the file with the tensors, or all shards. files: the small files that came with it, by name (``config.json``,
    vocabularies). source: where it came from, in words. digest: ``sha256:<of the file>``; of the list of shard digests where
    there are several; ``+config:<16 digits>`` follows where a ``config.json`` takes part.
    """

    weights: tuple[Path, ...]
    files: Mapping[str, Path] = field(default_factory=dict)
    source: str = ""
    digest: str = ""


def is_offline(offline: bool = False) -> bool:
    """Whether the network may not be used: asked for, or by ``HF_HUB_OFFLINE`` or ``FINDNA_BENCH_OFFLINE``."""
    names = ("HF_HUB_OFFLINE", "FINDNA_BENCH_OFFLINE")
    return offline or any(os.environ.get(name, "").lower() in ("1", "true", "yes", "on") for name in names)


# ---------------------------------------------------------------------------------------------------------- finding


def find_weights(
    spec: ModelSpec, override: str | Path | None = None, *, offline: bool = False, cache_dir: str | Path | None = None
) -> WeightsFiles:
    """The checkpoint of a model: ``override`` or the spec's folder if given, else the first source of the card that has it.

    Raises:
        OfflineError: it is not on this machine and the network may not be used.
        WeightsError: no source has it, or a file is not what the card says; the message says what to do.
    """
    root = cache_root(cache_dir)
    local = Path(os.path.expanduser(override)) if override is not None else spec.location
    if local is not None:
        return _finish(_local(local, spec), f"local:{last_part(local)}", root)
    if not spec.card.weights:
        raise WeightsError(
            f"{spec.display_name}: no weights are published for it; give some with --weights {spec.card.name}=PATH, "
            f"or run {spec.card.name}@random"
        )
    failures: list[BenchError] = []
    for source in spec.card.weights:
        try:
            files, label = fetch_source(source, offline=offline, cache_dir=root)
            found = _finish(files, label, root)
            _check_source(found, source)
            return found
        except (OfflineError, WeightsError) as error:
            failures.append(error)
        except BenchError as error:
            failures.append(WeightsError(str(error)))
    raise _not_found(spec, failures)


def _not_found(spec: ModelSpec, failures: Sequence[BenchError]) -> BenchError:
    sources = ", ".join(source.label for source in spec.card.weights)
    remedy = f"run `findna-bench fetch {_fetchable(spec)}` where there is a network, or give them with --weights {spec.card.name}=PATH"
    if all(isinstance(failure, OfflineError) for failure in failures):
        return OfflineError(
            f"{spec.display_name}: its weights ({sources}) are not on this machine and the network is off; {remedy}"
        )
    reasons = "; ".join(str(failure) for failure in failures if not isinstance(failure, OfflineError))
    return WeightsError(f"{spec.display_name}: its weights cannot be had: {reasons}; {remedy}")


def _fetchable(spec: ModelSpec) -> str:
    """The name to fetch: as the user wrote it, without ``@random``."""
    return (spec.text or spec.card.name).partition("@random")[0]


def find_tokenizer_files(
    spec: ModelSpec,
    names: Sequence[str],
    beside: Mapping[str, Path],
    *,
    offline: bool = False,
    cache_dir: str | Path | None = None,
) -> dict[str, Path]:
    """Files a tokenizer needs, by name: those beside the weights first, then the card's tokenizer and weights sources.

    Raises:
        OfflineError, WeightsError: one of them is nowhere.
    """
    found = {name: beside[name] for name in names if name in beside}
    missing = [name for name in names if name not in found]
    failures: list[BenchError] = []
    for source in (*spec.card.tokenizer, *spec.card.weights) if missing else ():
        wanted = tuple(name for name in missing if name in source.files)
        if not wanted:
            continue
        try:
            files, _ = fetch_source(_narrowed(source, wanted), offline=offline, cache_dir=cache_root(cache_dir))
        except BenchError as error:
            failures.append(error)
            continue
        for name in wanted:
            if name in files:
                _check_file(files[name], source if source.files == wanted else None, name)
                found[name] = files[name]
        missing = [name for name in names if name not in found]
    if missing:
        offline_only = bool(failures) and all(isinstance(failure, OfflineError) for failure in failures)
        kind = OfflineError if offline_only else WeightsError
        raise kind(
            f"{spec.display_name}: tokenizer file {', '.join(missing)} is missing"
            + (f" ({'; '.join(dict.fromkeys(map(str, failures)))})" if failures else "")
            + f"; run `findna-bench fetch {_fetchable(spec)}` or put it beside the weights"
        )
    return found


def _narrowed(source: WeightsSource, files: tuple[str, ...]) -> WeightsSource:
    return WeightsSource(
        repo=source.repo,
        revision=source.revision,
        url=source.url,
        package=source.package,
        files=files,
        licence=source.licence,
    )


def fetch_source(
    source: WeightsSource, *, offline: bool = False, cache_dir: Path | None = None
) -> tuple[dict[str, Path], str]:
    """All files of a source by name, fetched where they are not here yet, and its label with the commit that was resolved.

    Raises:
        OfflineError: not here, and the network may not be used. WeightsError, DataError: they cannot be had.
    """
    if source.repo:
        return _from_hub(source, is_offline(offline))
    if source.package:
        return _from_package(source), source.label
    assert source.url is not None
    name = source.files[0] if source.files else path_segment(source.url.rsplit("/", 1)[-1])
    folder = cache_root(cache_dir) / "weights" / stable_hash(source.url)[:16]
    path = download(
        source.url,
        folder / name,
        sha256=source.sha256,
        git_blob=source.git_blob,
        size=source.size,
        offline=is_offline(offline),
    )
    return {name: path}, source.label


def _from_package(source: WeightsSource) -> dict[str, Path]:
    package, _, inside = str(source.package).partition(":")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise WeightsError(f"package {package!r} is not installed")
    folder = Path(next(iter(found.submodule_search_locations))) / inside
    names = source.files or tuple(sorted(path.name for path in folder.iterdir() if path.is_file()))
    files = {name: folder / name for name in names if (folder / name).is_file()}
    if not files:
        raise WeightsError(f"{source.label} holds none of {', '.join(names)}")
    return files


def _from_hub(source: WeightsSource, offline: bool) -> tuple[dict[str, Path], str]:
    """Allowed files of a hub repository: one form of the weights (the first on the list that is there), and the small files."""
    heavy = [name for name in source.files if _is_weights(name)]
    files: dict[str, Path] = {}
    for name in heavy:
        path = _hub_file(source, name, offline)
        if path is None:
            continue
        files[name] = path
        for shard in _shards(path) if name.endswith(_INDEX) else ():
            shard_path = _hub_file(source, shard, offline)
            if shard_path is None:
                raise WeightsError(f"{source.label} has {name} but not its part {shard}")
            files[shard] = shard_path
        break
    if heavy and not files:
        raise WeightsError(f"{source.label} has none of {', '.join(heavy)}")
    for name in source.files:
        if not _is_weights(name) and (path := _hub_file(source, name, offline, needed=not heavy)) is not None:
            files[name] = path
    commit = next(
        (path.parent.name for path in files.values() if path.parent.parent.name == "snapshots"), source.revision
    )
    return files, f"hf:{source.repo}" + (f"@{commit}" if commit else "")


def _hub_file(source: WeightsSource, name: str, offline: bool, needed: bool = True) -> Path | None:
    """One file from the hub or its cache; None where the repository has no such file."""
    import huggingface_hub
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if not _PLAIN_NAME.fullmatch(name):
        raise WeightsError(f"{source.label}: {name!r} is no plain file name")
    cached = huggingface_hub.try_to_load_from_cache(
        str(source.repo), name, cache_dir=_hub_cache(), revision=source.revision or "main"
    )
    if isinstance(cached, str) and (offline or re.fullmatch(r"[0-9a-f]{40}", source.revision or "")):
        return Path(cached)
    if offline:
        if cached is not None or not needed:  # known not to exist there, or one that a repository need not have
            return None
        if _hub_has_any(source):
            return None
        raise OfflineError(f"{source.label} is not on this machine and the network may not be used")
    try:
        return Path(
            huggingface_hub.hf_hub_download(str(source.repo), name, revision=source.revision, cache_dir=_hub_cache())
        )
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise WeightsError(
            f"{source.label}: no such repository or revision, or no access to it ({type(error).__name__})"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise OfflineError(f"{source.label} is not on this machine and the hub cannot be reached") from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError) as error:
        raise WeightsError(f"{source.label}: {name} cannot be downloaded ({error})") from error


def _hub_has_any(source: WeightsSource) -> bool:
    """Whether the cache holds weights of this repository and revision in any of the allowed forms."""
    import huggingface_hub

    return any(
        isinstance(
            huggingface_hub.try_to_load_from_cache(
                str(source.repo), name, cache_dir=_hub_cache(), revision=source.revision or "main"
            ),
            str,
        )
        for name in source.files
        if _is_weights(name)
    )


def _hub_cache() -> str:
    """The hub's cache folder as the environment says now (the library reads it once, when it is imported)."""
    if path := os.environ.get("HF_HUB_CACHE"):
        return str(Path(os.path.expanduser(path)))
    if home := os.environ.get("HF_HOME"):
        return str(Path(os.path.expanduser(home)) / "hub")
    from huggingface_hub.constants import HF_HUB_CACHE

    return HF_HUB_CACHE


def _local(path: Path, spec: ModelSpec) -> dict[str, Path]:
    """Files of a local checkpoint by name: a file with its companions, or a folder."""
    if path.is_file():
        if path.name.endswith(_INDEX):
            shards = {name: path.parent / name for name in _shards(path)}
            return {path.name: path} | shards | _companions(path.parent)
        return {path.name: path} | _companions(path.parent)
    if not path.is_dir():
        raise WeightsError(f"{spec.display_name}: {path} does not exist; give a checkpoint file or a folder")
    present = {entry.name: entry for entry in path.iterdir() if entry.is_file()}
    named = [name for source in spec.card.weights for name in source.files if _is_weights(name)]
    standard = next((name for name in (*_STANDARD, *named) if name in present), None)
    if standard is None:
        candidates = sorted(name for name in present if name.endswith(_SUFFIXES))
        if len(candidates) != 1:
            what = f"holds {', '.join(candidates[:5])}: say which" if candidates else f"holds no {', '.join(_STANDARD)}"
            raise WeightsError(f"{spec.display_name}: {path} {what}, with --weights {spec.card.name}=FILE")
        standard = candidates[0]
    shards = {name: path / name for name in _shards(path / standard)} if standard.endswith(_INDEX) else {}
    return {standard: path / standard} | shards | _companions(path)


def _companions(folder: Path) -> dict[str, Path]:
    return {
        entry.name: entry
        for entry in sorted(folder.iterdir())
        if entry.name.endswith(_COMPANIONS) and not entry.name.endswith(_INDEX) and entry.is_file()
    }


def _is_weights(name: str) -> bool:
    return name.endswith(_SUFFIXES) or name.endswith(_INDEX)


def _shards(index: Path) -> list[str]:
    """Names of the parts that an index file lists.

    Raises:
        WeightsError: it is no index, or names something else than files beside it.
    """
    listed = read_config(index)
    weight_map = (listed or {}).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{index} is no index of a checkpoint in parts; restore the published file")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if not _PLAIN_NAME.fullmatch(name) or not name.endswith(_SUFFIXES):
            raise WeightsError(
                f"{index} names {name!r}, which is no checkpoint file beside it; restore the published file"
            )
    return names


def _finish(files: Mapping[str, Path], source: str, root: Path) -> WeightsFiles:
    """The files of one checkpoint, the first of them being the weights or their index, with their digest."""
    main = next(iter(files))
    if not _is_weights(main) and main.endswith(_COMPANIONS):
        raise WeightsError(f"{source}: {main} holds no weights; give a checkpoint file or its folder")
    parts = _shards(files[main]) if main.endswith(_INDEX) else [main]
    for name in parts:
        if name not in files or not files[name].is_file():
            raise WeightsError(f"{source}: part {name} is missing; restore it")
    weights = tuple(files[name] for name in parts)
    small = {name: path for name, path in files.items() if name.endswith(_COMPANIONS) and not name.endswith(_INDEX)}
    digests = [file_digest(path, root) for path in weights]
    digest = digests[0] if len(digests) == 1 else stable_hash(dict(zip(parts, digests, strict=True)))
    digest = f"sha256:{digest}"
    if "config.json" in small:
        digest += f"+config:{file_digest(small['config.json'], root)[:16]}"
    return WeightsFiles(weights, small, source, digest)


def _check_source(found: WeightsFiles, source: WeightsSource) -> None:
    """The first file on a card's list against the size and digests that the card states (a download was checked already)."""
    if source.url or not source.files or len(found.weights) != 1 or found.weights[0].name != source.files[0]:
        return
    _check_file(
        found.weights[0], source, found.source, known_sha256=found.digest.removeprefix("sha256:").partition("+")[0]
    )


def _check_file(path: Path, source: WeightsSource | None, where: str, known_sha256: str | None = None) -> None:
    if source is None:
        return
    if source.size is not None and path.stat().st_size != source.size:
        raise WeightsError(
            f"{where}: {path} has {path.stat().st_size:,} bytes, the card says {source.size:,}; delete it and fetch again"
        )
    if source.sha256 and (known_sha256 or sha256_file(path)) != source.sha256:
        raise WeightsError(
            f"{where}: sha256 of {path} is not the card's {source.sha256[:16]}...; delete it and fetch again"
        )
    if source.git_blob and digest_file(path).git_blob != source.git_blob:
        raise WeightsError(
            f"{where}: git blob id of {path} is not the card's {source.git_blob[:16]}...; delete it and fetch again"
        )


def file_digest(path: Path, cache_dir: Path | None = None) -> str:
    """sha256 (hex) of a file, remembered under its path, size and modification time so that it is read once."""
    stat = path.stat()
    key = stable_hash([str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino])
    note = cache_root(cache_dir) / "digests" / key[:40]
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if re.fullmatch(r"[0-9a-f]{64}", text := note.read_text()):
            return text
    digest = sha256_file(path)
    # A file changed within the clock's resolution of its time stamp could change again under the same stamp.
    if time.time() - stat.st_mtime > _FRESH_SECONDS and path.stat().st_mtime_ns == stat.st_mtime_ns:
        with contextlib.suppress(OutputError):
            write_atomic(note, digest)
    return digest


# ---------------------------------------------------------------------------------------------------------- reading


def read_checkpoint(found: WeightsFiles | str | Path) -> Checkpoint:
    """Tensors, ``config.json`` and plain values of a checkpoint, on the CPU; safetensors or a pickle of tensors.

    Nested dictionaries are flattened with dots. Large files are mapped, not read.

    Raises:
        WeightsError: a file is missing, truncated, damaged, holds more than tensors and plain values, or unpacks to much more
        than its size.
    """
    if not isinstance(found, WeightsFiles):
        path = Path(found)
        found = WeightsFiles((path,), _companions(path.parent) if path.parent.is_dir() else {}, str(path))
    tensors: dict[str, Tensor] = {}
    extra: dict[str, Any] = {}
    for path in found.weights:
        content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
        for name, value in content.items():
            if name in tensors or name in extra:
                raise WeightsError(
                    f"{path}: {name!r} is in another part of this checkpoint too; restore the published files"
                )
            if isinstance(value, Tensor):
                tensors[name] = value
            else:
                extra[name] = value
    if not tensors:
        raise WeightsError(f"{', '.join(map(str, found.weights))}: there are no tensors in it; is this a checkpoint?")
    config = read_config(found.files["config.json"]) if "config.json" in found.files else None
    if CONFIG_KEY not in (config or {}):
        tensors = _unwrapped(tensors)
    source = found.source or str(found.weights[0])
    return Checkpoint(tensors=tensors, config=config, extra=extra, source=source, files=dict(found.files))


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what training scripts put around a model: ``state_dict`` beside an optimiser's state, ``module``, ``_orig_mod``,
    and within a ``state_dict`` the trainer's own ``model``.

    A wrapper's name is taken away only where every tensor carries it and all names stay different.
    """
    wrappers = ["module", "_orig_mod"]
    beside = {key for key in tensors if key.partition(".")[0] in _TRAINER_STATE}
    for wrapper in _STATE_DICTS:
        rest = tensors.keys() - beside
        if rest and all(key.startswith(f"{wrapper}.") for key in rest):
            tensors = {key.removeprefix(f"{wrapper}."): t for key, t in tensors.items() if key in rest}
            wrappers += ["model"] * all(key.startswith("model.") for key in tensors)
            break
    for wrapper in wrappers:
        bare = {re.sub(rf"(^|\.){wrapper}\.", r"\1", key, count=1): t for key, t in tensors.items()}
        if len(bare) == len(tensors) and not bare.keys() & tensors.keys():
            tensors = bare
    return tensors


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path, device="cpu"))
    except FileNotFoundError as error:
        raise WeightsError(f"{path} does not exist") from error
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsError(f"{path} is not a whole safetensors file ({error}); fetch it again") from error


def _read_pickle(path: Path) -> dict[str, Any]:
    size = _checked_size(path)
    value = _load(path)
    flat: dict[str, Any] = {}
    for name, leaf in _flatten(value, path):
        flat[name] = leaf
    claimed = sum(leaf.numel() * leaf.element_size() for leaf in flat.values() if isinstance(leaf, Tensor))
    # Shared storages and expanded strides let a small file claim any size; tied weights account for a little of that.
    if claimed > 4 * size + 2**20:
        raise WeightsError(
            f"{path} has {size:,} bytes and claims {claimed:,} bytes of tensors; it is damaged or malicious"
        )
    return flat


def _checked_size(path: Path) -> int:
    try:
        size = path.stat().st_size
        if size == 0:
            raise WeightsError(f"{path} is empty; fetch it again")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > 4 * size + 2**20:
                raise WeightsError(f"{path} has {size:,} bytes and unpacks to {unpacked:,}; it is damaged or malicious")
    except FileNotFoundError as error:
        raise WeightsError(f"{path} does not exist") from error
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); fetch it again") from error
    return size


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the format; what cannot be read is refused below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it refers to {named[1]}" if named else str(error).split("\n", 1)[0][:160]
        raise WeightsError(
            f"{path} is not a plain file of tensors ({what}), and code in a checkpoint is never run; "
            "convert it to safetensors on a machine where it is trusted"
        ) from error
    except Exception as error:  # torch raises a dozen types for damaged files
        raise WeightsError(
            f"{path} is truncated or damaged ({type(error).__name__}: {str(error)[:160]}); fetch it again"
        ) from error


def _flatten(value: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """(dotted name, tensor or plain value) of nested dictionaries; lists count as dictionaries with numbers as names.

    Raises:
        WeightsError: the nesting is absurd (a pickle can refer to one object a million times), or names collide.
    """
    if not isinstance(value, Mapping):
        raise WeightsError(f"{path} holds a {type(value).__name__} and not a dictionary of tensors; save a state_dict")
    seen: set[str] = set()
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    visited = 0
    while stack:
        prefix, node, depth = stack.pop()
        visited += 1
        if depth > _DEEPEST or visited > _MOST_ENTRIES:
            raise WeightsError(f"{path} nests its entries absurdly deep or often; it is damaged or malicious")
        if isinstance(node, Mapping) or (
            isinstance(node, (list, tuple)) and any(isinstance(x, (Tensor, Mapping)) for x in node)
        ):
            items = list(node.items() if isinstance(node, Mapping) else enumerate(node))
            stack.extend(
                (f"{prefix}.{key}" if prefix else str(key), child, depth + 1) for key, child in reversed(items)
            )
            continue
        if prefix in seen:
            raise WeightsError(f"{path}: two entries are called {prefix!r} when nested names are joined with dots")
        seen.add(prefix)
        yield prefix, node
