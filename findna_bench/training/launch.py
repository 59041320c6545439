"""From names and files to a running pretraining: what ``findna-bench pretrain`` does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from findna_bench.cards import PresetCard
from findna_bench.cards import Pretraining as ReadBefore
from findna_bench.code import factory_digest
from findna_bench.data.catalog import data_root
from findna_bench.errors import DataError, ModelError, NotFiniteError, PluginError, UnknownNameError, UsageError
from findna_bench.models.backbone import Backbone
from findna_bench.models.loading import backbone_type, build_backbone, load_model
from findna_bench.models.precision import resolve_device, resolve_dtype
from findna_bench.models.spec import parse_model
from findna_bench.registry import Registry, get_registry
from findna_bench.requests.pretrain_request import PretrainRequest
from findna_bench.sequences.fasta import content_digest
from findna_bench.sequences.genome import Genome, WindowManifest, read_bed
from findna_bench.threads import compute_threads
from findna_bench.training.corpus import Corpus, GenomeWindows, SequenceRows
from findna_bench.training.objective import Objective, make_objective, refuse_base_codes
from findna_bench.training.pretrain_settings import PretrainSettings
from findna_bench.training.pretraining import Pretraining, PretrainReport, Reporter
from findna_bench.training.ranks import Ranks, process_group
from findna_bench.training.run_folder import ModelFolder

__all__ = ["choose_settings", "pretrain"]

PROTOCOL = "pretrain"
_VALIDATION_DRAW, _TRAINING_DRAW, _HELD_OUT_DRAW = 11, 12, 13
_VALIDATION_SHARE = 0.05
_CHROMOSOME = re.compile(r"(chr)?(\d{1,3}[a-z]?|[ivx]+|[wxyzm]|mt)", re.IGNORECASE)
"""Names by which task rows know chromosomes, too; accessions and scaffolds are none."""
_MOST_NAMED = 1000
"""Chromosomes or regions that a model folder names one by one."""


@dataclass(frozen=True)
class _Start:
    """The network to train, and how its folder will describe it."""

    backbone: Backbone
    folder: ModelFolder
    origin: str
    """Digest of the weights it starts from."""
    trained: bool = False
    pretraining: ReadBefore | None = None
    """What the weights it starts from have read; None where they are random or nobody knows."""


def choose_settings(
    model: str,
    *,
    preset: str | None = None,
    objective: str | None = None,
    changes: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> tuple[PretrainSettings, str]:
    """Settings and the preset's name: ``preset``, else the model card's, else the defaults; then ``changes``.

    ``changes`` may hold any field of :class:`PretrainSettings` (None = not given); ``objective_options`` and ``backbone`` are
    merged into the preset's. Another ``objective`` than the preset's begins with that objective's own defaults.

    Raises:
        UnknownNameError: no such preset. UsageError: no objective is named anywhere, or a name is no setting.
    """
    registry = registry or get_registry()
    name = preset or _preset_of(model, registry)
    values: dict[str, Any] = {}
    if name:
        card = _preset(name, registry)
        values = dict(card.settings)
    if objective and objective != values.get("objective"):
        values["objective"] = objective
        values.pop("objective_options", None)
    for key, value in (changes or {}).items():
        if value is None:
            continue
        if key in ("objective_options", "backbone") and isinstance(value, Mapping):
            values[key] = {**values.get(key, {}), **value}
        else:
            values[key] = value
    if not values.get("objective"):
        raise UsageError(f"{model} names no way to be pretrained; give --objective or --preset (see `list objectives`)")
    return PretrainSettings.of(values, f"preset {name!r}" if name else model), name


def _preset_of(model: str, registry: Registry) -> str:
    try:
        return str(parse_model(model, registry).card.pretraining_preset)
    except UnknownNameError:
        return ""


def _preset(name: str, registry: Registry) -> PresetCard:
    # Several protocols may have a preset of one paper, so the name alone is not enough.
    cards = [card for card in registry.cards("presets") if card.protocol == PROTOCOL]
    found = [card for card in cards if card.name == name]
    if not found:
        known = ", ".join(sorted(card.name for card in cards)) or "none"
        raise UnknownNameError(f"no pretraining preset is called {name!r}; there are {known}")
    card: PresetCard = found[0]
    return card


def pretrain(
    request: PretrainRequest,
    settings: PretrainSettings | None = None,
    *,
    registry: Registry | None = None,
    reporter: Reporter | None = None,
    curves: bool = True,
) -> PretrainReport:
    """Pretrain a model or a backbone by name into the folder ``request.output``; goes on where the same call stopped.

    Weights start at random (``settings.seed``) unless ``from_weights`` or ``weights`` says otherwise, the model is a
    ``path:FOLDER``, or ``on`` continues a pretraining.

    Args:
        request: what is trained on what.
        settings: in place of those that the request's preset and changes give (:func:`choose_settings`).
        registry: where names are looked up.
        reporter: told of the progress.
        curves: whether a picture of the losses is drawn at the end.

    Raises:
        UsageError: options contradict each other, or the folder holds another run.
        DataError, WeightsError, ModelError: as data, weights and models do.
    """
    registry = registry or get_registry()
    preset = request.preset or ""
    if settings is None:
        settings, preset = choose_settings(
            request.model,
            preset=request.preset,
            objective=request.objective,
            changes=request.changes(),
            registry=registry,
        )
    target = resolve_device(request.device)
    compute = _precision(request.dtype, target)
    with compute_threads(request.threads), process_group(target) as ranks:
        if target.type == "cuda" and ranks.world > 1:
            target = torch.device("cuda", ranks.local)
            torch.cuda.set_device(target)
        start = _start(request, settings, registry)
        corpus, validation, provenance, read = _open_data(request, settings, ranks)
        if start.trained:
            read = start.pretraining.followed_by(read) if start.pretraining is not None and read is not None else None
        start.backbone.to(target)
        if request.compile:
            _compile(start.backbone)
        objective = _objective(start.backbone, settings, registry)
        refuse_base_codes(start.backbone, start.folder.backbone, settings.objective)
        training = Pretraining(
            objective.to(target),
            corpus,
            validation,
            settings,
            request.output,
            model=start.folder,
            identity={"start": start.origin},
            provenance={
                "model_name": _model_name(request.model, registry),
                "preset": preset,
                "pretraining": provenance,
                "code": _code(start, settings, registry),
            },
            read=read,
            device=target,
            dtype=compute,
            ranks=ranks,
            reporter=reporter if ranks.first else None,
            log_every=request.log_every,
            validate_every=request.validate_every,
            checkpoint_minutes=request.checkpoint_minutes,
            checkpoint_steps=request.checkpoint_steps,
            tensorboard=request.tensorboard,
            curves=curves,
            overwrite=request.overwrite,
        )
        if ranks.first:
            _write_manifests(request.output, corpus, validation)
        return training.run()


def _code(start: _Start, settings: PretrainSettings, registry: Registry) -> dict[str, str | None]:
    """Digests of the code that is trained and that trains it; None where it cannot be hashed."""
    named = {"backbone": start.folder.backbone, "objective": settings.objective}
    return {kind: factory_digest(registry.resolve(f"{kind}s", name).card.factory) for kind, name in named.items()}


def _model_name(model: str, registry: Registry) -> str:
    """As records of a training call it: without the folder that a model of the user's lies in."""
    try:
        return parse_model(model, registry).display_name
    except UnknownNameError:  # a backbone
        return model


def _precision(dtype: str, device: torch.device) -> torch.dtype:
    """``auto``: bfloat16 where a CUDA device has it."""
    if dtype == "auto":
        short = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if short else torch.float32
    return resolve_dtype(dtype)


def _start(request: PretrainRequest, settings: PretrainSettings, registry: Registry) -> _Start:
    try:
        return _network(request, settings, registry)
    except (ModelError, PluginError) as error:
        given = ", ".join(f"backbone.{name}={value!r}" for name, value in settings.backbone.items())
        if not given or isinstance(error, NotFiniteError):
            raise
        raise UsageError(f"{error} (given: {given})") from error


def _network(request: PretrainRequest, settings: PretrainSettings, registry: Registry) -> _Start:
    try:
        spec = parse_model(request.model, registry)
    except UnknownNameError as error:
        return _bare(request.model, settings, registry, error)
    given = request.from_weights or request.weights is not None
    released = given or request.on is not None or request.model.startswith("path:")
    if not released:
        spec = replace(spec, variant="random", init_seed=settings.seed)
    live = load_model(
        spec,
        weights=request.weights,
        device="cpu",
        network=request.network,
        offline=request.offline,
        config=settings.backbone,
        registry=registry,
    )
    folder = ModelFolder(
        backbone=str(live.card.backbone),
        config=live.config,
        pooling=live.card.pooling,
        pooling_source=live.card.pooling_source,
        notes=(f"pretrained here from {live.weights_source}",),
    )
    return _Start(live.backbone, folder, live.weights_digest, live.trained, live.card.pretraining)


def _bare(model: str, settings: PretrainSettings, registry: Registry, unknown: UnknownNameError) -> _Start:
    """A backbone named instead of a model."""
    try:
        card = registry.resolve("backbones", model).card
    except UnknownNameError:
        raise unknown from None
    cls = backbone_type(card.factory, card.name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        backbone = build_backbone(cls, settings.backbone)
    backbone.reset_buffers()
    folder = ModelFolder(
        backbone=card.name, config=dict(settings.backbone), notes=("pretrained here from random weights",)
    )
    return _Start(backbone, folder, f"random:{settings.seed}")


def _compile(backbone: Backbone) -> None:
    compile_blocks = getattr(backbone, "compile_blocks", None)
    if compile_blocks is None:
        raise UsageError(f"{type(backbone).__name__} offers nothing to compile; leave out --compile")
    compile_blocks()


def _objective(backbone: Backbone, settings: PretrainSettings, registry: Registry) -> Objective:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        made = make_objective(settings.objective, backbone, settings.objective_options, registry)
    if type(made).export is Objective.export:
        raise PluginError(
            f"objective {settings.objective!r}: {type(made).__name__} has no export, so nothing of a training could be saved"
        )
    return made


# --------------------------------------------------------------------------------------------------------------- data


def _open_data(
    request: PretrainRequest, settings: PretrainSettings, ranks: Ranks
) -> tuple[Corpus, Corpus | None, dict[str, Any], ReadBefore | None]:
    if request.on is not None:
        return _task_rows(request, settings)
    cache = data_root(request.data_dir) / "fasta"
    if not ranks.first:
        ranks.wait()  # the first process packs the genome, the others find it packed
    genome = Genome.open(list(request.fasta), cache)
    if ranks.first:
        ranks.wait()
    corpus, validation = _genome_windows(genome, request, settings)
    provenance: dict[str, Any] = {
        "fasta": [{"name": file.name, "sha256": content_digest(file, cache)} for file in request.fasta],
        "bases": len(genome),
        "contigs": list(request.contigs)
        or (list(genome.contigs) if len(genome.contigs) <= 100 else len(genome.contigs)),
        "windows": corpus.manifest.digest(),
        "validation_windows": validation.manifest.digest() if validation is not None else None,
    }
    for name, bed in (("regions", request.regions), ("exclude", request.exclude)):
        if bed is not None:
            provenance[name] = [[i.contig, i.start, i.end] for i in read_bed(bed)][:10_000]
    return corpus, validation, provenance, _genome_read(genome, request)


def _genome_read(genome: Genome, request: PretrainRequest) -> ReadBefore | None:
    """What windows of a genome are drawn from, in the words of a model card; None where nobody said which genome it is.

    A contig may be a piece of a chromosome, named ``chromosome:start-end``; many contigs, or names that are no chromosomes',
    stand for the whole assembly.
    """
    if not request.assembly:
        return None
    chromosomes = tuple(dict.fromkeys(name.partition(":")[0] for name in request.contigs or genome.contigs))
    intervals = read_bed(request.regions) if request.regions is not None else []
    plain = all(_CHROMOSOME.fullmatch(name) for name in chromosomes)
    few = plain and len(chromosomes) <= _MOST_NAMED and len(intervals) <= _MOST_NAMED
    # Positions within a piece are none within its chromosome, so the piece stands for all of it.
    exact = few and not any(":" in i.contig for i in intervals)
    regions = tuple((i.contig, i.start, i.end) for i in intervals if exact)
    return ReadBefore(assemblies=(request.assembly,), chromosomes=chromosomes if few else None, regions=regions)


def _genome_windows(
    genome: Genome, request: PretrainRequest, settings: PretrainSettings
) -> tuple[GenomeWindows, GenomeWindows | None]:
    options: dict[str, Any] = {
        "sampling": settings.sampling,
        "max_n_frac": settings.max_n_frac,
        "contigs": list(request.contigs) or None,
        "regions": read_bed(request.regions) if request.regions is not None else None,
    }
    excluded = read_bed(request.exclude) if request.exclude is not None else []

    def draw(count: int, stream: int, avoid: Sequence[Any]) -> WindowManifest:
        generator = np.random.default_rng([settings.seed, stream])
        return genome.draw(count, settings.window_length, generator, exclude=[*avoid] or None, **options)

    validation = None
    if settings.validation_windows:
        held_out = draw(settings.validation_windows, _VALIDATION_DRAW, excluded)
        validation = GenomeWindows(genome, held_out)
        excluded = [*excluded, *_intervals(held_out)]
    try:
        training = draw(settings.windows, _TRAINING_DRAW, excluded)
    except DataError as error:
        if validation is None:
            raise
        raise DataError(
            f"{error}. Training windows touch none of the {len(validation):,} that are held out for validation: --validation-windows asks for "
            "fewer, 0 for none"
        ) from error
    return GenomeWindows(genome, training), validation


def _intervals(manifest: WindowManifest) -> list[Any]:
    from findna_bench.sequences.genome import Interval

    places = zip(manifest.contig.tolist(), manifest.start.tolist(), strict=True)
    return [Interval(manifest.contigs[contig], start, start + manifest.length) for contig, start in places]


def _task_rows(
    request: PretrainRequest, settings: PretrainSettings
) -> tuple[Corpus, Corpus | None, dict[str, Any], ReadBefore | None]:
    """Train rows only; a few of them are held out for the validation loss."""
    from findna_bench.data.task import open_task

    assert request.on is not None
    task = open_task(request.on, data_dir=request.data_dir, offline=request.offline, drop_missing=request.drop_missing)
    sequences = [sequence for row in task.load("train").texts for sequence in row]
    order = np.random.default_rng([settings.seed, _HELD_OUT_DRAW]).permutation(len(sequences))
    held_out = min(settings.validation_windows, int(_VALIDATION_SHARE * len(sequences)))
    rows = [sequences[i] for i in sorted(order[held_out:])]
    validation = [sequences[i] for i in sorted(order[:held_out])]
    provenance = {"task": task.card.full_name, "split": "train", "rows": len(rows), "data": task.data_digest}
    length = settings.window_length
    # Train rows: of the assembly, but on no chromosome from end to end.
    named = tuple(part.strip() for part in task.card.assembly.split(",") if part.strip())
    read = ReadBefore(assemblies=named, chromosomes=(), note=f"train rows of {task.card.full_name}") if named else None
    return SequenceRows(rows, length), SequenceRows(validation, length) if validation else None, provenance, read


def _write_manifests(output: Path, corpus: Corpus, validation: Corpus | None) -> None:
    for name, part in (("windows.bed", corpus), ("validation_windows.bed", validation)):
        if isinstance(part, GenomeWindows):
            part.manifest.write(output / name)
