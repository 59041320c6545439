"""Numbers predicted from length and composition, without reading the sequence as a sequence."""

from __future__ import annotations

import numpy as np

from findna_bench.api import SeedSplit, fit_ridge

__all__ = ["TrivialRegression"]


class _Trees:
    """Gradient-boosted trees for each output, as many rounds as validation likes best."""

    def __init__(self, features: np.ndarray, truth: np.ndarray, max_rounds: int) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        leaf = min(20, max(2, len(truth) // 20))
        self._models = [
            HistGradientBoostingRegressor(
                max_iter=max_rounds, early_stopping=False, random_state=0, min_samples_leaf=leaf
            ).fit(features, truth[:, k])
            for k in range(truth.shape[1])
        ]
        self.rounds = [max_rounds] * len(self._models)

    def choose_rounds(self, features: np.ndarray, truth: np.ndarray) -> None:
        for k, model in enumerate(self._models):
            errors = [float(((f - truth[:, k]) ** 2).mean()) for f in model.staged_predict(features)]
            self.rounds[k] = int(np.argmin(errors)) + 1

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(n, K)."""
        columns = []
        for rounds, model in zip(self.rounds, self._models, strict=True):
            staged = model.staged_predict(features)
            columns.append(next(f for number, f in enumerate(staged, start=1) if number == rounds))
        return np.stack(columns, axis=1)


class TrivialRegression:
    """The better one, on validation, of boosted trees and ridge regression on the same features.

    Attributes:
        settings: what was chosen, JSON-serialisable.
    """

    def __init__(
        self, features: np.ndarray, truth: np.ndarray, held_out: np.ndarray, held_truth: np.ndarray, max_rounds: int
    ) -> None:
        self._trees = _Trees(features, truth, max_rounds)
        self._trees.choose_rounds(held_out, held_truth)
        rows = np.arange(len(truth) + len(held_truth))
        split = SeedSplit(0, rows[: len(truth)], rows[len(truth) :])
        both = np.concatenate([features, held_out]).astype(np.float32), np.concatenate([truth, held_truth])
        (self._ridge,) = fit_ridge(*both, [split])
        scale = np.where((deviation := truth.std(axis=0)) > 0, deviation, 1.0)
        trials = {name: self._predict(name, held_out) for name in ("trees", "ridge")}
        losses = {name: float((((f - held_truth) / scale) ** 2).mean()) for name, f in trials.items()}
        self._chosen = min(losses, key=lambda name: losses[name])
        self.settings = {
            "chosen": self._chosen,
            "rounds": self._trees.rounds,
            "max_rounds": max_rounds,
            "strength": self._ridge.settings["strength"],
            "validation": {name: {"loss": loss} for name, loss in losses.items()},
        }

    def _predict(self, name: str, features: np.ndarray) -> np.ndarray:
        if name == "trees":
            return self._trees.predict(features)
        return self._ridge.predict_scores(features.astype(np.float32))

    def predict_scores(self, features: np.ndarray) -> np.ndarray:
        """(n, K) of features (n, D)."""
        return self._predict(self._chosen, features)
