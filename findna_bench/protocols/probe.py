"""``probe``: a linear model on frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from findna_bench.errors import UsageError
from findna_bench.protocols.protocol import HeadProtocol
from findna_bench.protocols.settings import PROBE_PRESETS, AdamWProbe, ConvProbe, LogisticProbe

if TYPE_CHECKING:
    import numpy as np

    from findna_bench.protocols.heads import FittedHead
    from findna_bench.protocols.seed_splits import SeedSplit

__all__ = ["Probe"]


class Probe(HeadProtocol):
    """L2 logistic regression, or a linear layer trained by AdamW; strength or epoch chosen on validation. Numbers are probed by ridge
    regression, with the strengths of logistic regression; of several labels each has a logistic regression and a strength of its own.
    States per base are probed as classes are, on vectors of bases; ``conv`` reads their neighbours as well.
    """

    targets = ("classes", "values", "labels", "per_base")
    inputs = ("sequence", "variant", "pair")
    settings = (LogisticProbe, AdamWProbe, ConvProbe)
    presets = PROBE_PRESETS
    streams = True

    def check(self, request: Any) -> None:
        if request.search is not None:
            raise UsageError(
                "--search is for --protocol finetune; a probe already tries the preset's strengths, or epochs, on validation, the "
                "same for every model"
            )

    def fit_heads(
        self, features: Any, labels: np.ndarray, splits: Sequence[SeedSplit], n_classes: int, preset: Any, device: str
    ) -> Sequence[FittedHead]:
        if labels.dtype.kind == "f":
            from findna_bench.protocols.ridge import fit_ridge

            return fit_ridge(features, labels, splits, preset)
        if labels.dtype.kind == "u":
            if isinstance(preset, ConvProbe):
                from findna_bench.protocols.conv_probe import fit_conv_probe

                return fit_conv_probe(features, labels, splits, n_classes, preset, device=device)
            from findna_bench.protocols.base_probe import fit_base_probe

            return fit_base_probe(features, labels, splits, n_classes, preset, device=device)
        if labels.ndim > 1:
            from findna_bench.protocols.label_probe import fit_labels

            return fit_labels(features, labels, splits, preset, device=device)
        from findna_bench.protocols.heads import fit_probe  # torch, which a run of classifiers does without

        return fit_probe(features, labels, splits, n_classes, preset, device=device)
