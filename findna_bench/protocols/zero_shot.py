"""``zero_shot``: scores variants without training, by likelihood or by how far embeddings move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from findna_bench.errors import UsageError
from findna_bench.protocols.protocol import FitOptions, Fitted, ModelToFit, Pool, Protocol
from findna_bench.protocols.settings import Preset
from findna_bench.statistics.metric_cards import metric_card

if TYPE_CHECKING:
    from findna_bench.cards import TaskCard

__all__ = ["VariantScore", "ZeroShot"]


@dataclass(frozen=True, kw_only=True)
class VariantScore(Preset):
    """How a variant is scored: log p(alt) - log p(ref), or the distance between the embeddings of both windows."""

    method: ClassVar[str] = "zero_shot"
    chooses: ClassVar[bool] = False
    score: Literal["likelihood", "cosine", "l2"] = "likelihood"
    at: Literal["site", "pooled"] = "site"
    """Embeddings: of the token that holds the site, or pooled over the window (``--pooling``)."""
    effect: Literal["task", "signed", "negative", "absolute"] = "task"
    """Likelihood: what becomes of its sign; ``task`` = what the task's card says. Distances have none."""


class ZeroShot(Protocol):
    """Nothing is fitted and no train row is read: all rows of a file without splits are scored, or the test rows.

    A model reads the window, or as much of it around the site as it takes. What it cannot score counts as no difference, and is
    counted. Controls (kind ``classifier`` with ``inputs=("variant",)``) are fitted on rows of other groups, in turn.
    """

    settings = (VariantScore,)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": VariantScore(),
        "signed": VariantScore(effect="signed"),
        "negative": VariantScore(effect="negative"),
        "absolute": VariantScore(effect="absolute"),
        "cosine": VariantScore(score="cosine"),
        "cosine-pooled": VariantScore(score="cosine", at="pooled"),
        "l2": VariantScore(score="l2"),
        "l2-pooled": VariantScore(score="l2", at="pooled"),
    }
    summaries: ClassVar[Mapping[str, str]] = {
        "default": "log p(alt) - log p(ref), with the sign that the task's card says",
        "signed": "log p(alt) - log p(ref)",
        "negative": "log p(ref) - log p(alt): what is unlikely scores high",
        "absolute": "size of log p(alt) - log p(ref)",
        "cosine": "cosine distance of the tokens at the site",
        "cosine-pooled": "cosine distance of the pooled windows",
        "l2": "Euclidean distance of the tokens at the site",
        "l2-pooled": "Euclidean distance of the pooled windows",
    }
    kinds = ("encoder", "classifier")
    targets = ("classes", "values")
    inputs = ("variant",)
    reads_train = False

    def check(self, request: Any) -> None:
        super().check(request)
        for flag, given in (("--shots", request.shots), ("--selection", request.selection != "validation")):
            if given:
                raise UsageError(f"{flag}: --protocol zero_shot trains nothing and chooses nothing; leave it out")
        if request.combination is not None:
            raise UsageError(
                f"--combination {request.combination}: --protocol zero_shot compares both windows of a variant and combines no vectors; leave it out"
            )
        if request.strand not in ("forward", "rc-mean"):
            raise UsageError(
                f"--strand {request.strand}: --protocol zero_shot knows forward, and rc-mean for the mean over both strands"
            )

    def refuses(self, task: TaskCard) -> str | None:
        if task.target == "classes" and len(task.labels) != 2:
            return (
                f"--protocol zero_shot gives one score per variant, and {task.full_name} has {len(task.labels)} classes"
            )
        if not metric_card(task.metric).scale_free:
            return f"--protocol zero_shot gives scores in units of their own, for which {task.metric}, the metric of {task.full_name}, means nothing"
        return None

    def metrics(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if metric_card(name).scale_free)

    def fit(self, model: ModelToFit, pool: Pool, preset: Preset, options: FitOptions) -> list[Fitted]:
        from findna_bench.protocols.variant_scores import fit_scores

        assert isinstance(preset, VariantScore)
        return fit_scores(model, pool, preset, options)
