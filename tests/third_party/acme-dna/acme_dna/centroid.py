"""A protocol of a stranger: the class whose mean vector is nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import findna_bench.api as fb


@dataclass(frozen=True, kw_only=True)
class CentroidSettings(fb.Preset):
    """The nearest class mean; the sharpness of its probabilities is chosen on validation."""

    method = "centroid"
    sharpness: tuple[float, ...] = (0.1, 1.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class CentroidHead(fb.FittedHead):
    """Class means (C, D) and how sharply a nearer one is preferred."""

    means: np.ndarray
    sharpness: float

    def predict_scores(self, features: Any) -> np.ndarray:
        distance = np.linalg.norm(_dense(features)[:, None] - self.means, axis=2)
        nearness = np.exp(-self.sharpness * (distance - distance.min(axis=1, keepdims=True)))
        scores: np.ndarray = nearness / nearness.sum(axis=1, keepdims=True)
        return scores


def _dense(features: Any) -> np.ndarray:
    """k-mer counts come as sparse rows."""
    return features.toarray() if hasattr(features, "toarray") else np.asarray(features)


class NearestCentroid(fb.HeadProtocol):
    """One mean per class, on frozen features."""

    settings = (CentroidSettings,)
    presets: ClassVar[Mapping[str, fb.Preset]] = {
        "default": CentroidSettings(),
        "sharp": CentroidSettings(sharpness=(10.0,)),
    }

    def fit_heads(
        self,
        features: Any,
        labels: np.ndarray,
        splits: Sequence[fb.SeedSplit],
        n_classes: int,
        preset: CentroidSettings,
        device: str,
    ) -> list[fb.FittedHead]:
        return [self._fit(_dense(features), labels, split, n_classes, preset) for split in splits]

    def _fit(
        self, features: np.ndarray, labels: np.ndarray, split: fb.SeedSplit, n_classes: int, preset: CentroidSettings
    ) -> CentroidHead:
        own, truth = features[split.train], labels[split.train]
        means = np.stack([own[truth == c].mean(axis=0) for c in range(n_classes)])
        held = split.validation if len(split.validation) else split.train
        heads = [
            CentroidHead(seed=split.seed, settings={"sharpness": sharpness}, means=means, sharpness=sharpness)
            for sharpness in preset.sharpness
        ]
        return min(heads, key=lambda head: self._loss(head, features[held], labels[held]))

    @staticmethod
    def _loss(head: CentroidHead, features: np.ndarray, labels: np.ndarray) -> float:
        own = head.predict_scores(features)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(own, 1e-12)).mean())
