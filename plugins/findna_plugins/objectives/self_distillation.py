"""FinDNA's self-distillation: masked nucleotides and [CLS] tokens of two views (arXiv 2405.08538, equations 1 to 9).

Authors' code: ``wiedersehne/FinDNA`` at e3e72f1; where it differs from the paper, the paper is the default and the code an option.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from findna_bench.api import Backbone, ModelError, Objective, Recipe, Views, one_hot
from findna_plugins.bases import BLANK
from findna_plugins.objectives.centre import Centre
from findna_plugins.objectives.momentum import MomentumTeacher, momentum
from findna_plugins.objectives.nucleotides import Reduction, base_batch, nucleotide_head, nucleotide_losses
from findna_plugins.views import PAPER_RECIPE, REFERENCE_RECIPE

__all__ = ["SelfDistillation", "SelfDistillationOptions", "distillation_losses"]


def distillation_losses(
    p: Tensor, q: Tensor, centre: Tensor, *, student_temperature: float, teacher_temperature: float | Tensor, axis: int
) -> Mapping[str, Tensor]:
    """Equations 4, 5 and 8.

    p, q: (B, K, I) outputs of student and teacher; centre: (K, I). axis: 1 = softmax over the K tokens (the paper), 2 = over
    the channels (the code, as in DINO). Returns ``cl_sum`` (per sequence, summed over tokens and channels), ``cl`` (nats per
    distribution), mean entropies of both sides, their maximum, and ``teacher_information``, the entropy of the batch's mean
    distribution above the mean entropy: 0 where the teacher says the same of every sequence.
    """
    log_p = functional.log_softmax(p.float() / student_temperature, dim=axis)  # equation 4
    log_q = functional.log_softmax((q.float() - centre) / teacher_temperature, dim=axis)  # equation 5
    q_hat = log_q.exp()
    per_sequence = -(q_hat * log_p).sum((1, 2))  # equation 8
    distributions = p.shape[2] if axis == 1 else p.shape[1]
    mean_q = q_hat.detach().mean(0)
    entropy_q = -(q_hat * log_q).detach().sum((1, 2)).mean() / distributions
    return {
        "cl_sum": per_sequence.mean(),
        "cl": per_sequence.mean() / distributions,
        "teacher_entropy": entropy_q,
        "student_entropy": -(log_p.exp() * log_p).detach().sum((1, 2)).mean() / distributions,
        "max_entropy": p.new_tensor(math.log(p.shape[axis]), dtype=torch.float32),
        "teacher_information": -(mean_q * mean_q.clamp_min(1e-30).log()).sum() / distributions - entropy_q,
    }


@dataclass(frozen=True, kw_only=True)
class SelfDistillationOptions:
    """Settings of :class:`SelfDistillation`; the defaults are the paper's equations read literally.

    Raises:
        ModelError: a setting is unknown or out of range.
    """

    recipe: str = PAPER_RECIPE
    """Student's and teacher's augmentations, letters or names (:mod:`findna_plugins.views`); ``reference`` for those of the released code."""
    translocation_maximum: int | None = None
    """None: translocation swaps the two parts at a random breakpoint (section 3.3). A number: it rolls by at most so many bases
    either way, as EvoAug and the released code (20) do."""
    alpha: float = 0.5
    """L = alpha L_MNM + (1 - alpha) L_CL (equation 1)."""
    n_cls: int = 10
    """K, the [CLS] rows appended to both views."""
    cls: Literal["zeros", "learned"] = "zeros"
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    teacher_temperature_start: float | None = None
    """With ``teacher_temperature_warmup``, the fraction of all steps over which the temperature moves linearly from here."""
    teacher_temperature_warmup: float = 0.0
    centre_momentum: float = 0.996
    """beta of equation 6; what the released code really uses is 0.9."""
    teacher_momentum: float = 0.996
    """lambda of equation 9 at the first step; a half cosine takes it to 1."""
    mask_ratio: float = 0.3
    mask_scheme: Literal["blank", "bert_80_10_10"] = "blank"
    mnm_loss: Literal["ce", "bce"] = "ce"
    """bce: five sigmoids as in the released code."""
    mnm_reduction: Reduction = "sum"
    """sum over the masked positions of a sequence (equation 2), or their mean."""
    mnm_temperature: float = 1.0
    """Divides the nucleotide logits (released code: 0.1)."""
    cl_softmax: Literal["tokens", "channels"] = "tokens"
    """Over the K tokens (equations 4 and 5), or over the channels (released code, DINO)."""
    cl_space: Literal["features", "head"] = "features"
    """The mixer's I channels, or the five outputs of the nucleotide head (released code)."""
    cl_reduction: Reduction = "sum"
    """sum over tokens and channels (equation 8), or mean over distributions."""
    symmetric: bool = False
    """Add the contrastive loss with the views swapped, as DINO does."""
    static: bool = False
    """Draw the augmentations of a sequence once and for all, as the released code does."""
    static_seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "cls": ("zeros", "learned"),
            "mnm_loss": ("ce", "bce"),
            "mnm_reduction": ("sum", "mean"),
            "cl_softmax": ("tokens", "channels"),
            "cl_space": ("features", "head"),
            "cl_reduction": ("sum", "mean"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise _wrong(name, getattr(self, name), " or ".join(allowed))
        for name in ("alpha", "centre_momentum", "teacher_momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise _wrong(name, getattr(self, name), "between 0 and 1")
        for name in ("student_temperature", "teacher_temperature", "mnm_temperature", "n_cls"):
            if not getattr(self, name) > 0:
                raise _wrong(name, getattr(self, name), "positive")


def _wrong(name: str, value: Any, allowed: str) -> ModelError:
    error: ModelError = ModelError(f"self_distillation: {name} must be {allowed}, not {value!r}")
    return error


class SelfDistillation(Objective):
    """L = alpha L_MNM + (1 - alpha) L_CL of a student and a teacher that is its moving average.

    The student sees ``u``, the teacher ``v`` of the recipe; K blank rows are appended to both, and the outputs at their places
    are compared. Steps are in the paper's order: loss, optimiser, then teacher and centre (:meth:`after_step`). Options are
    the fields of :class:`SelfDistillationOptions`.

    Example::

        objective = SelfDistillation(ChordMixer(channels=22, track_size=2, hidden=32), n_cls=4)
        codes = torch.randint(0, 4, (8, 256), dtype=torch.uint8)
        objective.training_step(codes, 0, torch.Generator())["loss"].backward()

    Raises:
        ModelError: an option is unknown or out of range, or the backbone has no nucleotide head.
    """

    Options = SelfDistillationOptions
    progress: Tensor

    def __init__(self, backbone: Backbone, **options: Any) -> None:
        super().__init__()
        try:
            self.options = SelfDistillationOptions(**options)
        except TypeError as error:
            raise ModelError(f"self_distillation: {error}") from error
        head = nucleotide_head(backbone)
        self.student = backbone
        self.teacher = MomentumTeacher(backbone)
        width = backbone.embed_dim if self.options.cl_space == "features" else head.out_features
        self.centre = Centre((self.options.n_cls, width), self.options.centre_momentum)
        self.cls_rows = nn.Parameter(0.02 * torch.randn(self.n_cls, 5)) if self.options.cls == "learned" else None
        recipe = REFERENCE_RECIPE if self.options.recipe == "reference" else self.options.recipe
        masking = {"ratio": self.options.mask_ratio, "scheme": self.options.mask_scheme}
        self.recipe = Recipe(recipe, {"M": masking, "T": {"maximum": self.options.translocation_maximum}})
        self.register_buffer("progress", torch.zeros(()))

    @property
    def n_cls(self) -> int:
        """K."""
        return self.options.n_cls

    def training_step(self, batch: Tensor, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """``batch`` (B, L) codes -> ``loss`` and everything worth a column in the log."""
        result, outputs = self._losses(self._views(batch, generator))
        self.centre.collect(outputs)
        return result

    @torch.no_grad()
    def validation_step(self, batch: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
        """As :meth:`training_step`; the centre is left alone (the released code moves it here, too)."""
        return self._losses(self._views(batch, generator))[0]

    def after_step(self, step: int, total_steps: int) -> None:
        """Equations 9 and 6, after the optimiser step number ``step`` (counted from 0)."""
        self.teacher.follow(self.student, momentum(step, total_steps, self.options.teacher_momentum))
        self.centre.update()
        self.progress.fill_((step + 1) / max(total_steps, 1))

    def export(self) -> Mapping[str, nn.Module]:
        """The teacher, which the paper uses downstream, and the student."""
        return {"teacher": self.teacher.network, "student": self.student}

    def settings(self) -> Mapping[str, Any]:
        """Options of the constructor."""
        return asdict(self.options)

    # -------------------------------------------------------------------------------------------------------------

    def _views(self, batch: Tensor, generator: torch.Generator) -> Views:
        if not self.options.static:
            return self.recipe.views(batch, generator)
        # One generator per sequence, seeded by its letters: the same sequence always gets the same views.
        parts = []
        for row in batch:
            seed = zlib.crc32(row.cpu().numpy().tobytes()) ^ self.options.static_seed
            own = torch.Generator(batch.device).manual_seed(seed)
            parts.append(self.recipe.views(row[None], own))
        masked = None if parts[0].masked is None else torch.cat([p.masked for p in parts if p.masked is not None])
        return Views(
            torch.cat([p.student for p in parts]),
            torch.cat([p.teacher for p in parts]),
            torch.cat([p.target for p in parts]),
            masked,
        )

    def _with_cls(self, view: Tensor) -> Tensor:
        """Append the K [CLS] rows at the end."""
        rows = len(view)
        if self.cls_rows is not None:
            view = one_hot(view) if view.dtype == torch.uint8 else view
            return torch.cat([view, self.cls_rows.to(view.dtype).expand(rows, -1, -1)], dim=1)
        fill = BLANK if view.dtype == torch.uint8 else 0
        return torch.cat([view, view.new_full((rows, self.n_cls, *view.shape[2:]), fill)], dim=1)

    def _summary(self, network: nn.Module, tokens: Tensor) -> Tensor:
        """(B, K, I) outputs that are compared."""
        summary = tokens[:, tokens.shape[1] - self.n_cls :]
        if self.options.cl_space == "head":
            summary = nucleotide_head(network)(summary)
        return summary

    def teacher_temperature(self) -> float | Tensor:
        """tau_t at the current step."""
        end, start = self.options.teacher_temperature, self.options.teacher_temperature_start
        warmup = self.options.teacher_temperature_warmup
        if start is None or warmup <= 0:
            return end
        return start + (end - start) * (self.progress / warmup).clamp(max=1.0)

    def _losses(self, views: Views) -> tuple[dict[str, Tensor], Tensor]:
        options = self.options
        tokens = self.student(base_batch(self._with_cls(views.student), self.n_cls)).tokens
        with torch.no_grad():
            q = self._summary(
                self.teacher.network,
                self.teacher.network(base_batch(self._with_cls(views.teacher), self.n_cls)).tokens,
            )
        p = self._summary(self.student, tokens)
        contrast = self._contrast(p, q)
        collected = q
        if options.symmetric:
            swapped, other = self._swapped(views)
            contrast = {name: (contrast[name] + swapped[name]) / 2 for name in contrast}
            collected = torch.cat([q, other])
        result: dict[str, Tensor] = {}
        loss = (1 - options.alpha) * contrast["cl_sum" if options.cl_reduction == "sum" else "cl"]
        if views.masked is not None and options.alpha > 0:
            logits = nucleotide_head(self.student)(tokens[:, : views.target.shape[1]][views.masked])
            nucleotides = nucleotide_losses(
                logits / options.mnm_temperature,
                views.target[views.masked],
                len(views.target),
                loss=options.mnm_loss,
                reduction=options.mnm_reduction,
            )
            loss = loss + options.alpha * nucleotides["mnm_loss"]  # equation 1
            result = {name: value for name, value in nucleotides.items() if name != "mnm_loss"}
        result |= {name: value.detach() for name, value in contrast.items()}
        result["centre_norm"] = self.centre.value.norm()
        return {"loss": loss, **result}, collected

    def _contrast(self, p: Tensor, q: Tensor) -> dict[str, Tensor]:
        return dict(
            distillation_losses(
                p,
                q,
                self.centre.value,
                student_temperature=self.options.student_temperature,
                teacher_temperature=self.teacher_temperature(),
                axis=1 if self.options.cl_softmax == "tokens" else 2,
            )
        )

    def _swapped(self, views: Views) -> tuple[dict[str, Tensor], Tensor]:
        """The contrastive loss of the student on ``v`` against the teacher on ``u``."""
        p = self._summary(self.student, self.student(base_batch(self._with_cls(views.teacher), self.n_cls)).tokens)
        with torch.no_grad():
            network = self.teacher.network
            q = self._summary(network, network(base_batch(self._with_cls(views.student), self.n_cls)).tokens)
        return self._contrast(p, q), q
