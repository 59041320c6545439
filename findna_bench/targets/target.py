"""What a target is: what the rows of a task are labelled with, and all that follows from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from findna_bench.cards import TargetCard
from findna_bench.errors import ConfigError, ModelError, listed
from findna_bench.registry import Registry, get_registry, make
from findna_bench.statistics.fold_mean import FoldMean, Folds
from findna_bench.statistics.metric import Sample, evaluate, make_metric, metric_names
from findna_bench.statistics.score_intervals import Design, interval_of

if TYPE_CHECKING:
    from torch import Tensor

    from findna_bench.data.table import SequenceTable
    from findna_bench.data.tabular import RawTable

__all__ = ["Evaluation", "Target", "find_target"]

Interval = tuple[float, float] | None
Evaluation = tuple[dict[str, float | None], dict[str, Interval]]
"""Values and intervals of metrics, by name."""


class Target(ABC):
    """What is predicted of a row; plugins register theirs with a :class:`~findna_bench.cards.TargetCard`.

    A target holds no data and no settings. ``truth`` stands for the labels of rows, (n,) or (n, K); ``outputs`` for what a fitted
    head says of them, (n, K), as it is stored and scored. Class names are called ``labels``, after :attr:`TaskCard.labels
    <findna_bench.cards.TaskCard.labels>`; a target without classes may use them as names of its K outputs.

    Example:
        ``tests/third_party/acme-dna/acme_dna/shares.py`` is a target for shares of a whole, with a ridge head for the probe.
    """

    name: str = ""
    """As it is registered; set when it is made."""
    default_metric: ClassVar[str]
    """The usual one; a task's card names its own."""
    heads: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    """Name of a protocol -> how it fits heads for this target: called as :meth:`HeadProtocol.fit_heads
    <findna_bench.protocols.protocol.HeadProtocol.fit_heads>`."""
    prior: ClassVar[str] = "a prediction that looks at no sequence"
    """In words, what :meth:`learned` compares with."""
    reads_missing: ClassVar[bool] = False
    """Whether :meth:`read` knows what an empty cell of its columns means; else rows with one are refused, or dropped on request."""
    of_bases: bool = False
    """Whether every base of a row is predicted, as its card says; set when it is made. Heads then read a
    :class:`~findna_bench.models.base_vectors.BaseVectors`."""
    outputs_dtype: ClassVar[Any] = np.float64
    """In what format outputs are kept."""
    can_be_trained: ClassVar[bool] = False
    """Whether :meth:`loss` is there, so that a network can be fine-tuned."""
    losses: ClassVar[tuple[str, ...]] = ()
    """Names of losses that a preset may choose among, the usual one first; none where there is one only."""

    # ------------------------------------------------------------------------------------------------------------ rows

    def label_columns(self, table: RawTable) -> tuple[str, ...]:
        """Columns of a user's own table that hold such labels, by their names or by what is in them; none = it holds none.

        Args:
            table: ``columns`` maps lower-case names to the values of all rows, as they stand in the file.
        """
        return ()

    def possible_columns(self, table: RawTable) -> tuple[str, ...]:
        """Columns that may hold such labels where the user says so (``--target``), though nothing in them does; none = it has none."""
        return self.label_columns(table)

    def read(self, tables: Sequence[RawTable], columns: Sequence[str]) -> tuple[tuple[str, ...], list[np.ndarray]]:
        """Labels of a user's own tables. Needed where :meth:`label_columns` finds any.

        Args:
            tables: one per file, or split.
            columns: those that :meth:`label_columns` has found.

        Returns:
            (the task's ``labels``, truth of each table).

        Raises:
            DataError: a value cannot be read; ``table.where(row)`` names the row.
        """
        raise NotImplementedError

    @abstractmethod
    def check(self, table: SequenceTable, labels: Sequence[str], where: str) -> None:
        """Whether rows are labelled as the target has it.

        Raises:
            DataError: a row is not; ``where`` is named, and the row.
        """

    def n_outputs(self, labels: Sequence[str]) -> int:
        """Size of a head."""
        return len(labels)

    def strata(self, truth: np.ndarray) -> np.ndarray:
        """(n,) int64 codes by which rows are stratified when some are drawn (validation, few shots, ``--limit``)."""
        return np.zeros(len(truth), dtype=np.int64)

    def counts(self, truth: np.ndarray, labels: Sequence[str]) -> dict[str, int]:
        """Rows of a split, by class where there are any."""
        return {"rows": len(truth)}

    def in_words(self, truth: np.ndarray, labels: Sequence[str]) -> str:
        """What the rows of a user's own file predict, for the line that says what was read."""
        return f"{self.name} {listed(labels, 10)}"

    def flags(self, truth: np.ndarray, labels: Sequence[str]) -> list[str]:
        """What tables must say beside scores on such test rows."""
        return []

    # -------------------------------------------------------------------------------------------------------- training

    def for_training(self, truth: np.ndarray, loss: str | None = None) -> Target:
        """The target as it is trained on rows: what :meth:`loss` and :meth:`outputs` have to know of them.

        Args:
            truth: of the train rows.
            loss: one of :attr:`losses`, None = the usual one.

        Raises:
            ConfigError: there is no such loss.
        """
        if why := self.refuses_loss(loss):
            raise ConfigError(why)
        return self

    def refuses_loss(self, loss: str | None) -> str | None:
        """Why it cannot be trained by a loss, in a sentence; None where it can."""
        if loss is None or loss in self.losses:
            return None
        known = f"there are {', '.join(self.losses)}" if self.losses else "there is one loss only"
        return f"loss {loss!r} is not for {self.name}: {known}; use another preset"

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Of a batch, summed over what :meth:`scored` counts. logits: (n, K) float32. Needed where :attr:`can_be_trained`."""
        raise NotImplementedError

    def scored(self, truth: Tensor) -> int:
        """Over how many things :meth:`loss` is summed: rows, unless others count."""
        return len(truth)

    def outputs(self, logits: np.ndarray) -> np.ndarray:
        """(n, K) float64 outputs of a head's raw ones."""
        return np.asarray(logits, dtype=np.float64)

    def average(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """(n, K) from the outputs of both strands (``--strand rc-logit-mean``)."""
        mean: np.ndarray = np.mean(outputs, axis=0)
        return mean

    def turned(self, outputs: np.ndarray, table: SequenceTable) -> np.ndarray:
        """Outputs for the reverse complements of a table's rows, as outputs for the rows; other ones where they are of bases."""
        return outputs

    # --------------------------------------------------------------------------------------------------------- scoring

    @abstractmethod
    def learned(self, truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
        """``prior_loss``, the loss of the best prediction that looks at no sequence, and whether a fit ``learned`` more than that.

        Args:
            truth, outputs: of validation rows, n > 0.
            train_truth: of the rows that were trained on.
        """

    def prepare(self, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Truth and outputs as metrics take them.

        Raises:
            ModelError: an output is not a finite number.
        """
        outputs = np.asarray(outputs, dtype=np.float64)
        if not np.isfinite(outputs).all():
            row = int(np.argmin(np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)))
            raise ModelError(f"the model's score for test row {row} is not a finite number")
        return np.asarray(truth), outputs

    def design(self, truth: np.ndarray, outputs: np.ndarray, groups: np.ndarray | None) -> Design:
        """How rows are stratified and grouped where intervals are computed."""
        return Design(np.zeros(len(truth), dtype=np.int64), groups, 1)

    def metrics(self, main: str | None = None, labels: Sequence[str] = ()) -> tuple[str, ...]:
        """Those that every result holds, and the task's main one. labels: of the task."""
        return tuple(dict.fromkeys((*metric_names(self.name), *((main,) if main else ()))))

    def evaluate(
        self,
        truth: np.ndarray,
        outputs: np.ndarray,
        metrics: Sequence[str],
        labels: Sequence[str] = (),
        groups: np.ndarray | None = None,
        *,
        folds: np.ndarray | None = None,
        intervals: bool = True,
    ) -> Evaluation:
        """Values and 95 % intervals of metrics; None where one is undefined, or there are too few groups. With ``folds`` (n,), of rows
        that were scored in folds, means over them.

        Raises:
            UsageError: there is no such metric, or it does not score this target.
        """
        truth, outputs = self.prepare(truth, outputs)
        sample, design = Sample(truth, outputs), self.design(truth, outputs, groups)
        added, by_fold = design.with_added_data(outputs, truth), None if folds is None else Folds(folds)
        values: dict[str, float | None] = {}
        found: dict[str, Interval] = {}
        for name in metrics:
            metric = make_metric(name, labels, target=self.name)
            if by_fold is not None:
                metric = FoldMean(metric, by_fold)
            value = evaluate(metric, sample, slopes=False).value
            values[name] = None if np.isnan(value) else value
            if intervals:
                found[name] = interval_of(metric, design, sample, added)
        return values, found

    def judge(self, truth: np.ndarray, outputs: np.ndarray, train_truth: np.ndarray) -> dict[str, Any]:
        """Metrics on validation rows, and whether anything was learned."""
        values, _ = self.evaluate(truth, outputs, self.metrics(), intervals=False)
        return values | self.learned(*self.prepare(truth, outputs), train_truth)

    # ----------------------------------------------------------------------------------------------------- predictions

    def to_columns(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Columns of the predictions file, beside row ids and groups."""
        truth = np.asarray(truth, dtype=np.float64).reshape(len(truth), -1)
        columns = {f"value_{k}": truth[:, k] for k in range(truth.shape[1])}
        return columns | {f"score_{k}": np.asarray(outputs, dtype=np.float64)[:, k] for k in range(outputs.shape[1])}

    def from_columns(self, columns: Mapping[str, np.ndarray], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(truth, outputs) of what :meth:`to_columns` made.

        Raises:
            ValueError: they are not its columns, or hold what cannot be.
        """
        n = self.n_outputs(labels)
        if sorted(columns) != sorted([f"value_{k}" for k in range(n)] + [f"score_{k}" for k in range(n)]):
            raise ValueError(f"they have columns {', '.join(columns)}")
        truth, outputs = (np.stack([columns[f"{of}_{k}"] for k in range(n)], axis=1) for of in ("value", "score"))
        if not (np.isfinite(truth).all() and np.isfinite(outputs).all()):
            raise ValueError("they hold a number that is not finite")
        return truth, outputs


def find_target(name: str, registry: Registry | None = None) -> Target:
    """The target called ``name``.

    Raises:
        UnknownNameError: there is none.
        ModelError: its factory makes something else.
    """
    registry = registry or get_registry()
    card: TargetCard = registry.resolve("targets", name).card
    made = make(card.factory, f"target {name!r}")
    if not isinstance(made, Target):
        raise ModelError(f"target {name!r}: {card.factory} makes a {type(made).__name__}, no findna_bench.api.Target")
    made.name, made.of_bases = card.name, card.of_bases
    return made
