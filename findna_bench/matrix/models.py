"""A model of the matrix while its units run: loaded once, embeddings cached, fits and coverage by kind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from findna_bench.cards import ModelCard, TaskCard
from findna_bench.code import file_settings
from findna_bench.matrix.identity import ModelFacts
from findna_bench.matrix.report import Reporter, Silent
from findna_bench.matrix.request import network_of, weights_of
from findna_bench.models.combinations import OF_VARIANTS, combine_sides, read_in_order
from findna_bench.models.paired_features import PairedFeatures
from findna_bench.models.representations import Representation, candidate_layers, candidate_poolings
from findna_bench.models.spec import MEMORY, ModelSpec, model_code
from findna_bench.private_paths import public_path
from findna_bench.protocols import fitting
from findna_bench.protocols.protocol import FitOptions, Fitted, Pool, find_protocol
from findna_bench.protocols.settings import Preset
from findna_bench.registry import Registry, load_factory
from findna_bench.requests.run_request import RunRequest
from findna_bench.results import schema

if TYPE_CHECKING:
    from findna_bench.data.table import SequenceTable
    from findna_bench.data.task import Task
    from findna_bench.models.estimators import Features
    from findna_bench.models.loading import LoadedModel
    from findna_bench.training.ranks import Ranks

__all__ = ["LiveModel"]

_COUNTED = ("bases_total", "bases_seen", "truncated_sequences", "windows", "short_sequences")


class LiveModel:
    """One model for the units of a group. Nothing is loaded before :meth:`facts` is asked for."""

    def __init__(self, request: RunRequest, registry: Registry, spec: ModelSpec) -> None:
        self._request, self._registry, self.spec = request, registry, spec
        self._protocol = find_protocol(request.protocol, registry)
        self._loaded: LoadedModel | None = None
        self._cache: Any = None
        self._reporter: Reporter = Silent()
        self._noted = self._proven = self._consistent = False
        self.doubts: tuple[str, ...] = ()
        """Flags for what :meth:`prove` found and does not refuse."""
        self.load_s = 0.0
        self.embed_s = 0.0
        self._coverage: dict[str, int] = {}
        self._aligned: tuple[Task, Any] | None = None
        self._object: Any = None
        self._batch: Mapping[str, Any] = {}
        self._counted: list[SequenceTable] = []
        self._of_bases = False
        """Whether every base has a vector, not every sequence."""
        self._combination: str | None = None
        """How vectors of both sides become one, while rows are pairs."""
        self._pool: SequenceTable | None = None
        """Rows that are fitted and chosen on."""

    @property
    def kind(self) -> str:
        return self.spec.kind

    @property
    def card(self) -> ModelCard:
        """What is known of the model: once it is loaded, its files may have said more than its name."""
        return self._loaded.card if self._loaded is not None else self.spec.card

    @property
    def varies(self) -> tuple[str, ...]:
        """What a seed changes in the model itself, beyond the rows it is fitted on."""
        return () if self.kind == "encoder" else tuple(self.estimator().varies)

    @property
    def fits_seeds_alone(self) -> bool:
        """Whether each seed is a fit of its own; heads on one model's vectors are fitted for all seeds together."""
        if self.kind == "encoder":
            return self._protocol.trains_encoder
        return self._protocol.trains_encoder or not (self._looks_up or self._held)

    @property
    def _held(self) -> bool:
        """Vectors that an object gives as it is, without being fitted."""
        return self.kind == "features" and self.spec.held is not None

    @property
    def _looks_up(self) -> bool:
        """Vectors computed elsewhere: found by row, so every split is shown to the estimator before it is asked."""
        return self.kind == "features" and hasattr(self._factory(), "align")

    @property
    def threads(self) -> int | None:
        """CPU threads, where they may change bits (benchmarks/threads.py measures it): those of a head always, those of a
        classifier unless it says that they do not.
        """
        if self.kind == "classifier" and getattr(self.estimator(), "thread_invariant", False):
            return None
        return self._request.threads

    @property
    def device_type(self) -> str:
        if self._loaded is not None:
            return self._loaded.device.type
        from findna_bench.models.estimators import device_option

        if self.kind == "encoder" or not device_option(self.spec, self._request.device):
            return "cpu"
        from findna_bench.models.precision import resolve_device

        return resolve_device(self._request.device).type

    def close(self) -> None:
        """Let go of the weights."""
        self._loaded = self._aligned = self._pool = self._object = None
        self._counted = []

    def notes(self) -> list[str]:
        """What the user should know about this model, once."""
        if self._noted:
            return []
        self._noted = True
        licence = [f"{self.card.name}: weights under {self.card.licence_weights}"] if self.card.licence_weights else []
        restrictive = [text for text in licence if "NC" in text.upper() or "NON-COMMERCIAL" in text.upper()]
        return [*restrictive, *(f"{self.card.name}: {note}" for note in self.card.notes)]

    def prove(self) -> list[str]:
        """Masked- or next-token loss of trained weights on embedded real sequence: what was found, in words, once per model.

        Raises:
            WeightsError: they predict what they were pretrained on no better than chance; whatever the task, each time.
        """
        if self.kind != "encoder" or not self._request.sanity:
            return []
        loaded = self._load()
        if not loaded.trained:
            return []
        from findna_bench.models.sanity import check_weights

        verdict = check_weights(loaded)
        said, self._proven = self._proven, True
        self.doubts = (verdict.flag,) if verdict.flag else ()
        return [] if said else [f"{self.card.name}: {verdict.words}"]

    def check_consistency(self) -> None:
        """Once per model: a row has the same embedding alone, in a batch, and again. Like any fault of the model itself this is no
        matter of ``--no-sanity``.

        Raises:
            ModelError: it has not.
        """
        if self.kind != "encoder" or self._consistent:
            return
        from findna_bench.models.consistency import check_consistent_embeddings

        layers = {one.layer: one for one in reversed(self.representations())}
        for layer, one in layers.items():  # poolings are the harness's own; layers are the model's
            check_consistent_embeddings(self._load(), pooling=one.pooling, layer=layer)
        self._consistent = True

    def representations(self) -> tuple[Representation, ...]:
        """Layers and poolings of an encoder that were asked for, in order; one, unless validation is to choose.

        Raises:
            UsageError: it has no such layer.
        """
        loaded, request = self._load(), self._request
        layers, poolings = candidate_layers(loaded, request.layer), candidate_poolings(loaded, request.pooling)
        return tuple(Representation(layer, pooling) for layer in layers for pooling in poolings)

    def candidates(self) -> dict[str, list[Any]]:
        """``layer`` and ``pooling`` -> what validation is to choose among, where that was asked for and the model is an encoder."""
        if self.kind != "encoder":
            return {}
        found = self.representations()
        return {name: list(dict.fromkeys(getattr(one, name) for one in found)) for name in self._request.choices}

    def reset_counters(self, reporter: Reporter) -> None:
        """Begin the accounting of a unit."""
        self._reporter = reporter
        self.embed_s = 0.0
        self._coverage = dict.fromkeys(_COUNTED, 0)
        self._batch = {}
        self._counted = []

    def facts(self) -> ModelFacts:
        """What the model is, weights loaded and proven.

        Raises:
            WeightsError: its weights are missing or do not fit.
        """
        if self.kind != "encoder":
            return self._control_facts()
        loaded = self._load()
        request = self._request
        first, candidates = self.representations()[0], self.candidates()
        return ModelFacts(
            name=self.spec.display_name,
            kind=self.kind,
            distribution=self.spec.distribution,
            distribution_version=self.spec.version,
            card_version=self.card.version,
            backbone=self.card.backbone,
            settings=_settings(loaded.config) | {"max_length": loaded.card.max_length},
            weights_source=loaded.weights_source,
            weights_digest=loaded.weights_digest,
            tokenizer_digest=loaded.tokenizer_digest,
            code_digest=loaded.code_digest,
            network=loaded.network,
            trained=loaded.trained,
            n_parameters=loaded.n_parameters,
            pooling=candidates.get("pooling", first.pooling),
            layer=candidates.get("layer", first.layer),
            window=request.window or self.card.window,
            licence=self.card.licence_weights or None,
            dtype=str(loaded.dtype).removeprefix("torch."),
            device_type=loaded.device.type,
            threads=self.threads,
            batch_size=request.batch_size,
        )

    def _control_facts(self) -> ModelFacts:
        digest = None
        if self.spec.location is not None:
            from findna_bench.models.weights import file_digest

            digest = file_digest(self.spec.location)
        elif self.spec.held is not None:
            digest = f"{MEMORY}:{self.spec.content}"
        return ModelFacts(
            name=self.spec.display_name,
            kind=self.kind,
            distribution=self.spec.distribution,
            distribution_version=self.spec.version,
            card_version=self.card.version,
            settings=_settings(self.card.config),
            weights_digest=digest,
            code_digest=model_code(self.spec, self._registry),
            n_parameters=self.card.n_parameters,
            licence=self.card.licence_weights or None,
            device_type=self.device_type,
            threads=self.threads,
        )

    def _load(self) -> LoadedModel:
        if self._loaded is None:
            started = time.perf_counter()
            self._loaded = self.reload({})
            self.load_s = time.perf_counter() - started
        return self._loaded

    def _matrix_dtype(self) -> str:
        """``auto`` in a matrix: bfloat16 on CUDA that has it, float32 elsewhere."""
        if self._request.dtype != "auto":
            return self._request.dtype
        import torch

        wants_cuda = self._request.device.startswith("cuda") or self._request.device == "auto"
        has = wants_cuda and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return "bfloat16" if has else "float32"

    def _factory(self) -> Any:
        assert self.card.factory is not None
        return load_factory(self.card.factory, f"model {self.card.name!r}")

    def align(self, split: str, task: Task) -> None:
        """Show all rows of a split (before ``--limit`` takes some) to vectors computed elsewhere; others need none.

        Raises:
            DataError: the file does not hold one vector for each row.
        """
        if not self._looks_up:
            return
        from findna_bench.data.split_names import split_name

        if self._aligned is None or self._aligned[0] is not task:
            self._aligned = (task, self.estimator())
        self._aligned[1].align(task.origins(split), task.row_order, split_name)

    def fit(self, pool: Pool, preset: Preset, task: TaskCard, checkpoint_of: Callable[[int], Path]) -> list[Fitted]:
        """Fit all seeds of a pool on train and validation rows. checkpoint_of: seed -> file for a fit that takes long."""
        request = self._request
        self._combination = (request.combination or task.combination) if pool.table.sequences_b is not None else None
        of_windows = (request.combination or OF_VARIANTS) if "offset" in pool.table.extra else None
        self._pool, self._of_bases = pool.table, pool.target.of_bases
        ranks, shard = self._ranks(), self.sharded
        if self.kind == "classifier" and self._protocol.reads_train:
            return fitting.fit_classifier(pool, self, request.strand)
        options = FitOptions(
            metric=task.metric,
            task=task,
            selection=request.selection,
            search=request.search,
            strand=request.strand,
            window=request.window,
            pooling=None if "pooling" in request.choices else cast("str | None", request.pooling),
            candidates=self.representations() if request.choices and self.kind == "encoder" else (),
            batch_size=request.batch_size,
            checkpoint_of=checkpoint_of,
            progress=self._reporter.progress,
            combination=self._combination or of_windows,
            ranks=ranks,
            shard=shard,
        )
        return self._protocol.fit(self, pool, preset, options)

    def _ranks(self) -> Ranks | None:
        if self._request.world_size == 1 or self.kind != "encoder":
            return None
        from findna_bench.training.ranks import ranks_at_work

        return ranks_at_work()

    @property
    def sharded(self) -> bool:
        """Whether several processes share the encoder while they train it."""
        if (ranks := self._ranks()) is None:
            return False
        from findna_bench.training.sharding import shards

        return shards(self._request.shard, ranks, self._load().n_parameters)

    # What a protocol may ask of the model (:class:`~findna_bench.protocols.protocol.ModelToFit`).

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def device(self) -> str:
        return str(self._load().device) if self.kind == "encoder" else "cpu"

    def frozen_features(
        self, representation: Representation | None = None
    ) -> Callable[[SequenceTable, str], Any] | None:
        """Of an encoder, or looked up; None for a feature map that is fitted first."""
        if self.kind == "encoder":
            return partial(self._vectors, representation or self.representations()[0])
        if self._aligned is not None and self._looks_up:
            if self._of_bases:
                return self._looked_up_bases
            return fitting.features_of(self._aligned[1], self._request.strand, self.name)
        if self._held:
            if self._object is None or isinstance(self._object, PairedFeatures):
                self._object = self.estimator()
            return fitting.features_of(self._object, self._request.strand, self.name)
        return None

    def estimator(self) -> Any:
        """Of a feature map or classifier, not fitted yet."""
        from findna_bench.models.estimators import combination_option, device_option, load_estimator

        options = device_option(self.spec, self._request.device)
        if self._combination is None:
            return load_estimator(self.spec, **options)
        made = load_estimator(self.spec, **options, **combination_option(self.spec, self._combination))
        if self.kind != "features" or self._looks_up or "pair" in self.card.inputs:
            return made
        return PairedFeatures(cast("Features", made), self._combination)

    def encoder(self) -> LoadedModel:
        """The network, which is not to be changed; where processes share it, its weights in parts from now on."""
        loaded = self._load()
        if loaded.whole is None and self.sharded:
            from findna_bench.training.sharding import SharedWeights

            ranks = self._ranks()
            assert ranks is not None  # which share it
            parts = SharedWeights(loaded.backbone, ranks)
            loaded = self._loaded = replace(loaded, backbone=parts.outline, whole=parts.whole)
        return loaded

    def reload(self, changes: Mapping[str, Any]) -> LoadedModel:
        """The same weights in a backbone with some settings changed (e.g. its dropout)."""
        if self.spec.held is not None:
            from findna_bench.models.object_models import held_network

            return held_network(self.spec, changes, device=self._request.device, dtype=self._request.dtype)
        from findna_bench.models.loading import load_model

        override = weights_of(self._request, self.spec)
        return load_model(
            self.spec,
            weights=Path(override).expanduser() if override else None,
            device=self._request.device,
            dtype=self._matrix_dtype(),
            network=network_of(self._request, self.spec),
            offline=self._request.offline,
            config=changes,
            registry=self._registry,
        )

    def _vectors(self, representation: Representation, table: SequenceTable, direction: str) -> Any:
        """Of sequences; of variants those of both windows combined, of pairs those of both sides."""
        if self._of_bases:
            return self._base_vectors(representation, table, direction)
        if table.sequences_b is not None:
            return self._pair_vectors(representation, table, direction)
        if "offset" not in table.extra:
            return self._embedded(representation, table, table.sequences, direction)
        from findna_bench.protocols.variant_scores import variant_pairs

        pairs = variant_pairs(table, self._load().max_length)
        reference = self._embedded(representation, table, [window for window, _, _ in pairs], direction)
        variant = self._embedded(representation, table, [window for _, window, _ in pairs], direction)
        return combine_sides(self._request.combination or OF_VARIANTS, reference, variant)

    def _pair_vectors(self, representation: Representation, table: SequenceTable, direction: str) -> Any:
        """Of both sides, each different sequence read once."""
        both = [*table.sequences, *(table.sequences_b or ())]
        sides = read_in_order(both, lambda some: self._embedded(representation, table, some, direction))
        assert self._combination is not None  # fit has seen pairs
        return combine_sides(self._combination, sides[: len(table)], sides[len(table) :])

    def _embedded(
        self, representation: Representation, table: SequenceTable, sequences: list[str], direction: str
    ) -> Any:
        from findna_bench.models.embedding import embed

        started = time.perf_counter()
        request = self._request
        # What is chosen among is embedded in the forward passes of the first; of test rows, what was chosen, alone.
        every = self.representations() if table is self._pool else ()
        embedded = embed(
            self._load(),
            sequences,
            pooling=representation.pooling,
            layer=representation.layer,
            batch_size=request.batch_size,
            strand="rc-mean" if request.strand == "rc-mean" else direction,
            window=request.window,
            cache=self._embedding_cache(),
            also=every[1:] if every and representation == every[0] else (),
            stream=True,
            progress=lambda done, total: self._reporter.progress(done, total, "sequences embedded"),
        )
        self.embed_s += time.perf_counter() - started
        self._count_once(table, direction, embedded.coverage, embedded.batch)
        return embedded.vectors

    def _base_vectors(self, representation: Representation, table: SequenceTable, direction: str) -> Any:
        """Vectors of bases, streamed to disk."""
        from findna_bench.models.base_vectors import embed_bases

        started, request = time.perf_counter(), self._request
        embedded = embed_bases(
            self._load(),
            table.sequences,
            layer=representation.layer,
            batch_size=request.batch_size,
            strand="rc-mean" if request.strand == "rc-mean" else direction,
            window=request.window,
            width=table.labels.shape[1],
            cache=self._embedding_cache(),
            progress=lambda done, total: self._reporter.progress(done, total, "sequences embedded base by base"),
        )
        self.embed_s += time.perf_counter() - started
        self._count_once(table, direction, embedded.coverage, embedded.batch)
        return embedded.vectors

    def _looked_up_bases(self, table: SequenceTable, direction: str) -> Any:
        """Vectors of bases computed elsewhere, of the rows as they are: there are none of the other strand."""
        assert self._aligned is not None
        forward = direction == "forward" and self._request.strand != "rc-mean"
        return self._aligned[1].transform(table if forward else fitting.reverse_complemented(table))

    def _count_once(
        self, table: SequenceTable, direction: str, coverage: Mapping[str, Any], batch: Mapping[str, Any]
    ) -> None:
        """The other strand, and other layers and poolings, are read of the same bases: a base counts once."""
        if direction == "forward" and not any(known is table for known in self._counted):
            self._counted.append(table)
            self.count(coverage, batch)

    def _embedding_cache(self) -> Any:
        if self._cache is None:
            from findna_bench.models.embedding_cache import EmbeddingCache

            self._cache = EmbeddingCache(fresh=self._request.overwrite == "always")
        return self._cache

    def count(self, coverage: Mapping[str, Any], batch: Mapping[str, Any]) -> None:
        for key in _COUNTED:
            self._coverage[key] = self._coverage.get(key, 0) + int(coverage.get(key) or 0)
        self._batch = batch or self._batch

    def coverage(self, pool: SequenceTable, test: SequenceTable, max_length: int | None = None) -> schema.Coverage:
        """Bases read of train, validation and test rows. max_length: most bases that a fitted classifier reads, None = all."""
        if any(self._coverage.values()):
            return schema.Coverage(**self._coverage)
        lengths = [length for table in (pool, test) for length in table.lengths.tolist()]
        if (
            self._looks_up or self._held or (self.kind != "encoder" and self.spec.location is not None)
        ):  # what the model that computes the vectors has read is not known here
            return schema.Coverage(bases_total=sum(lengths))
        seen = [length if max_length is None else min(length, max_length) for length in lengths]
        return schema.Coverage(
            bases_total=sum(lengths),
            bases_seen=sum(seen),
            truncated_sequences=sum(s < length for s, length in zip(seen, lengths, strict=True)),
            windows=0,
            short_sequences=0,
        )

    def batch(self) -> schema.Batch:
        """Batch sizes asked for and used."""
        known = {key: self._batch.get(key) for key in ("requested", "effective", "micro")}
        return schema.Batch(**(known | {"requested": known["requested"] or self._request.batch_size}))


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as an identity takes them: JSON-serialisable, with the digests of files that they name."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(config), default=repr))
    files = file_settings(config)
    shown: dict[str, Any] = _with_public_paths(plain)
    return shown | {"files": {public_path(path): digest for path, digest in files.items()}} if files else shown


def _with_public_paths(value: Any) -> Any:
    """Settings as they are published: files count by their digests, wherever they lie."""
    if isinstance(value, dict):
        return {key: _with_public_paths(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_public_paths(part) for part in value]
    return public_path(value) if isinstance(value, str) and value.startswith(("/", "~/")) else value
