"""A protocol in one file: the class whose mean vector points the same way."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import findna_bench.api as fb


@dataclass(frozen=True, kw_only=True)
class CosineSettings(fb.Preset):
    method = "cosine"
    sharpness: tuple[float, ...] = (1.0, 10.0, 100.0)


@dataclass(frozen=True, kw_only=True)
class CosineHead(fb.FittedHead):
    """Unit vectors (C, D), one per class."""

    directions: np.ndarray
    sharpness: float

    def predict_scores(self, features):
        logits = self.sharpness * _unit(features) @ self.directions.T
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)


def _unit(features):
    rows = features.toarray() if hasattr(features, "toarray") else np.asarray(features)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


class Cosine(fb.HeadProtocol):
    settings = (CosineSettings,)
    presets: ClassVar = {"default": CosineSettings()}

    def fit_heads(self, features, labels, splits, n_classes, preset, device):
        return [self._fit(_unit(features), labels, split, n_classes, preset) for split in splits]

    def _fit(self, rows, labels, split, n_classes, preset):
        means = np.stack([rows[split.train][labels[split.train] == c].mean(axis=0) for c in range(n_classes)])
        held = split.validation if len(split.validation) else split.train
        heads = [
            CosineHead(seed=split.seed, settings={"sharpness": s}, directions=_unit(means), sharpness=s)
            for s in preset.sharpness
        ]
        return min(heads, key=lambda h: _loss(h.predict_scores(rows[held]), labels[held]))


def _loss(scores, labels):
    return float(-np.log(np.maximum(scores[np.arange(len(labels)), labels], 1e-12)).mean())


@fb.hookimpl
def findna_bench_protocols():
    return [fb.ProtocolCard(name="cosine", factory="cosine_protocol:Cosine", summary="angle to the class mean")]
