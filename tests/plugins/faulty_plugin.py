"""A plugin in which everything is wrong in one way or another: each name says in which."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from acme_dna.centroid import NearestCentroid
from acme_dna.network import Convolution
from acme_dna.objective import Denoise

import findna_bench.api as fb
from findna_bench.cards import (
    AugmentationCard,
    BackboneCard,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    ProtocolCard,
    PublishedCard,
    TaskCard,
    hookimpl,
)

HERE = __name__


class OddError(Exception):
    """Of a kind that nobody expects, and which cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError


def raises(*arguments: Any, **options: Any) -> Any:
    raise ZeroDivisionError("by design")


def odd(*arguments: Any, **options: Any) -> Any:
    raise OddError


def leaves(*arguments: Any, **options: Any) -> Any:
    sys.exit(3)


def nothing(*arguments: Any, **options: Any) -> Any:
    return None


not_callable = 5


# ---------------------------------------------------------------------------------------------------------------- tasks


def _rows(split: str, n: int, **changes: Any) -> fb.SequenceTable:
    generator = np.random.default_rng(len(split))
    columns = {
        "sequences": ["".join(generator.choice(list("ACGT"), size=30)) for _ in range(n)],
        "labels": np.arange(n) % 2,
        "ids": np.array([f"{split}-{row}" for row in range(n)]),
    }
    return fb.SequenceTable(**{**columns, **changes})  # type: ignore[arg-type]


def _third_sequence(value: Any) -> dict[str, Any]:
    sequences: list[Any] = list(_rows("train", 60).sequences)
    sequences[2] = value
    return {"sequences": sequences}


_TRAIN: dict[str, Callable[[], dict[str, Any]]] = {
    "good": dict,
    "empty-sequence": lambda: _third_sequence(""),
    "protein": lambda: _third_sequence("MKVL"),
    "lower-case": lambda: _third_sequence("acgt"),
    "blank": lambda: _third_sequence("AC GT"),
    "no-sequence": lambda: _third_sequence(None),
    "number": lambda: _third_sequence(7),
    "label-outside": lambda: {"labels": np.arange(60) % 3},
    "negative-label": lambda: {"labels": np.arange(60) % 2 - 1},
    "string-labels": lambda: {"labels": np.array(["no", "yes"] * 30)},
    "float-labels": lambda: {"labels": np.arange(60) % 2 + 0.5},
    "two-labels": lambda: {"labels": np.zeros((60, 2), dtype=int)},
    "label-list": lambda: {"labels": [0, 1] * 30},
    "one-class": lambda: {"labels": np.zeros(60, dtype=int)},
    "repeated-ids": lambda: {"ids": np.array([str(row % 59) for row in range(60)])},
    "id-list": lambda: {"ids": list(map(str, range(60)))},
    "no-ids": lambda: {"ids": np.array([None] * 60)},
    "tuple": lambda: {"sequences": tuple(_rows("train", 60).sequences)},
    "lengths": lambda: {"labels": np.zeros(3, dtype=int)},
    "group-list": lambda: {"group": [1] * 60},
}
TASK_FACTORIES: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "none": nothing,
    "raises": raises,
    "odd": odd,
    "leaves": leaves,
    "list": lambda config: [_rows("train", 60)],
    "no-splits": lambda config: {},
    "other-split": lambda config: {"train": _rows("train", 60), "dev": _rows("dev", 30)},
    "no-train": lambda config: {"test": _rows("test", 30)},
    "no-table": lambda config: {"train": [("ACGT", 0)], "test": _rows("test", 30)},
    "no-rows": lambda config: {"train": _rows("train", 0), "test": _rows("test", 30)},
}
TASKS = (*_TRAIN, *TASK_FACTORIES)


def make_task(config: Mapping[str, Any]) -> Any:
    name = config["name"]
    if name in TASK_FACTORIES:
        return TASK_FACTORIES[name](config)
    return {"train": _rows("train", 60, **_TRAIN[name]()), "test": _rows("test", 30)}


def no_argument() -> Any:
    return {}


# --------------------------------------------------------------------------------------------------- what learns on them


def _broken(base: type, method: str, answer: Callable[..., Any]) -> type:
    return type(f"{base.__name__}_{method}_{answer.__name__}", (base,), {method: answer, "__module__": HERE})


def _half(self: Any, batch: Any, *, layers: Any = None) -> Any:
    found = Convolution.forward(self, batch, layers=layers)
    return fb.Encoding(found.tokens[:, :-1])


def _nan(self: Any, batch: Any, *, layers: Any = None) -> Any:
    return fb.Encoding(Convolution.forward(self, batch, layers=layers).tokens * float("nan"))


def _vector(self: Any, *arguments: Any) -> Any:
    return {"loss": Denoise.training_step(self, *arguments)["loss"].repeat(3)}


def _detached(self: Any, *arguments: Any) -> Any:
    return {"loss": Denoise.training_step(self, *arguments)["loss"].detach()}


def _no_loss(self: Any, *arguments: Any) -> Any:
    return {"los": torch.zeros(())}


def _number(self: Any, *arguments: Any) -> Any:
    return {"loss": 1.0}


def _empty(self: Any) -> Any:
    return {}


class _Features:
    varies: tuple[str, ...] = ()
    settings: Mapping[str, Any] = {}

    def fit(self, train: Any, validation: Any, seed: int, n_classes: int) -> None: ...

    def transform(self, table: fb.SequenceTable) -> Any:
        return np.zeros((len(table), 3))

    predict_scores = transform


class _Metric(fb.Metric):
    def compute(self, truth: Any, outputs: Any, weights: Any) -> float:
        return 0.5


def _flat(self: Any, table: fb.SequenceTable) -> Any:
    return np.zeros(3)


def _texts(self: Any, table: fb.SequenceTable) -> Any:
    return np.array([["a"]] * len(table))


def _tensor(self: Any, table: fb.SequenceTable) -> Any:
    return torch.zeros(len(table), 3)


def _few(self: Any, *arguments: Any) -> Any:
    return []


def _shorter(self: Any, x: torch.Tensor, generator: torch.Generator) -> Any:
    return x[:, :-1]


def _wider(self: Any, x: torch.Tensor, generator: torch.Generator) -> Any:
    return x.double()


def _late(jobs: Any, report: Any) -> Iterator[Any]:
    for job in jobs:
        yield from fb.run_job(job)
    raise ZeroDivisionError("by design")


def _junk(jobs: Any, report: Any) -> Iterator[Any]:
    yield 3


class TakesNoBytes(Convolution):
    """Embeds its own tokens well, and not the codes of an objective."""

    def tokenize(self, sequences: Any) -> Any:
        batch = super().tokenize(sequences)
        return replace(batch, inputs=batch.inputs.long())

    def forward(self, batch: Any, *, layers: Any = None) -> Any:
        torch.nn.functional.embedding(batch.inputs, torch.zeros(6, 3))
        return super().forward(batch, layers=layers)


BACKBONES = {
    "constructor": _broken(Convolution, "__init__", raises),
    "from-config": _broken(Convolution, "from_config", classmethod(nothing)),  # type: ignore[arg-type]
    "tokenize": _broken(Convolution, "tokenize", raises),
    "tokenize-none": _broken(Convolution, "tokenize", nothing),
    "forward": _broken(Convolution, "forward", odd),
    "forward-none": _broken(Convolution, "forward", nothing),
    "forward-leaves": _broken(Convolution, "forward", leaves),
    "half": _broken(Convolution, "forward", _half),
    "nan": _broken(Convolution, "forward", _nan),
    "digest": _broken(Convolution, "tokenizer_digest", nothing),
    "no-class": not_callable,
}
FEATURES = {
    name: _broken(_Features, method, answer)
    for name, method, answer in (
        ("fit", "fit", raises),
        ("transform", "transform", odd),
        ("none", "transform", nothing),
        ("flat", "transform", _flat),
        ("texts", "transform", _texts),
        ("tensor", "transform", _tensor),
        ("constructor", "__init__", leaves),
    )
}
CLASSIFIERS = {"three-columns": _Features, "raises": _broken(_Features, "predict_scores", raises)}
OBJECTIVES = {
    "constructor": _broken(Denoise, "__init__", raises),
    "step": _broken(Denoise, "training_step", odd),
    "step-none": _broken(Denoise, "training_step", nothing),
    "no-loss": _broken(Denoise, "training_step", _no_loss),
    "vector": _broken(Denoise, "training_step", _vector),
    "number": _broken(Denoise, "training_step", _number),
    "detached": _broken(Denoise, "training_step", _detached),
    "validation": _broken(Denoise, "validation_step", raises),
    "after": _broken(Denoise, "after_step", leaves),
    "export": _broken(Denoise, "export", nothing),
    "export-empty": _broken(Denoise, "export", _empty),
    "settings": _broken(Denoise, "settings", raises),
    "no-objective": nothing,
}
AUGMENTATIONS = {
    "raises": _broken(object, "__call__", raises),
    "none": _broken(object, "__call__", nothing),
    "shorter": _broken(object, "__call__", _shorter),
    "wider": _broken(object, "__call__", _wider),
    "not-callable": nothing,
    "constructor": _broken(object, "__init__", raises),
}
METRICS = {
    "raises": _broken(_Metric, "compute", raises),
    "none": _broken(_Metric, "compute", nothing),
    "constructor": _broken(_Metric, "__init__", odd),
    "no-metric": nothing,
}
PROTOCOLS = {
    "raises": _broken(NearestCentroid, "fit_heads", raises),
    "none": _broken(NearestCentroid, "fit_heads", nothing),
    "few": _broken(NearestCentroid, "fit_heads", _few),
    "constructor": _broken(NearestCentroid, "__init__", raises),
    "no-protocol": nothing,
}
EXECUTORS = {
    "raises": raises, "none": nothing, "late": _late, "junk": _junk, "leaves": leaves, "no-function": not_callable,
}  # fmt: skip


def _factory(kind: str, name: str) -> str:
    """A factory's name for what one of these tables holds."""
    attribute = f"{kind}_{name}".replace("-", "_")
    globals()[attribute] = globals()[kind][name]
    return f"{HERE}:{attribute}"


@hookimpl
def findna_bench_tasks() -> list[TaskCard]:
    return [
        TaskCard(name=name, suite="faulty", labels=("no", "yes"), factory=f"{HERE}:make_task", config={"name": name})
        for name in TASKS
    ] + [TaskCard(name="no-argument", suite="faulty", labels=("no", "yes"), factory=f"{HERE}:no_argument")]


@hookimpl
def findna_bench_backbones() -> list[BackboneCard]:
    return [
        *(BackboneCard(name=f"faulty-{name}", factory=_factory("BACKBONES", name)) for name in BACKBONES),
        BackboneCard(name="takes-no-bytes", factory=f"{HERE}:TakesNoBytes"),
    ]


@hookimpl
def findna_bench_models() -> list[ModelCard]:
    return [
        *(
            ModelCard(name=f"network-{n}", kind="encoder", backbone=f"faulty-{n}", pooling_source="it")
            for n in BACKBONES
        ),
        *(ModelCard(name=f"features-{n}", kind="features", factory=_factory("FEATURES", n)) for n in FEATURES),
        *(
            ModelCard(name=f"classifier-{n}", kind="classifier", factory=_factory("CLASSIFIERS", n))
            for n in CLASSIFIERS
        ),
    ]


@hookimpl
def findna_bench_objectives() -> list[ObjectiveCard]:
    return [ObjectiveCard(name=f"objective-{name}", factory=_factory("OBJECTIVES", name)) for name in OBJECTIVES]


@hookimpl
def findna_bench_augmentations() -> list[AugmentationCard]:
    return [AugmentationCard(name=f"view-{name}", factory=_factory("AUGMENTATIONS", name)) for name in AUGMENTATIONS]


@hookimpl
def findna_bench_metrics() -> list[MetricCard]:
    return [MetricCard(name=f"metric-{name}", factory=_factory("METRICS", name)) for name in METRICS]


@hookimpl
def findna_bench_protocols() -> list[ProtocolCard]:
    return [ProtocolCard(name=f"protocol-{name}", factory=_factory("PROTOCOLS", name)) for name in PROTOCOLS]


@hookimpl
def findna_bench_executors() -> list[ExecutorCard]:
    return [ExecutorCard(name=f"executor-{name}", factory=_factory("EXECUTORS", name)) for name in EXECUTORS]


@hookimpl
def findna_bench_presets() -> list[PresetCard]:
    return [
        PresetCard(name="bogus-setting", protocol="pretrain", settings={"bogus": 1}),
        PresetCard(name="bogus-type", protocol="pretrain", settings={"objective": "denoise", "lr": "much"}),
        PresetCard(name="bogus-objective", protocol="pretrain", settings={"objective": "nobody"}),
        PresetCard(name="bogus-head", protocol="probe", settings={"bogus": 1}),
    ]


@hookimpl
def findna_bench_published() -> list[PublishedCard]:
    return [PublishedCard(name="lost-paper", path="acme_dna:lost.toml")]
