"""Models that are fitted to a task instead of being loaded: the contract of ``features`` and ``classifier`` cards. No torch here."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from findna_bench.errors import ModelError, PluginError, UsageError
from findna_bench.models.row_vectors import row_blocks
from findna_bench.models.spec import ModelSpec
from findna_bench.plugin_code import plugin_code
from findna_bench.registry import load_factory

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from findna_bench.data.table import RowOrder, RowOrigins, SequenceTable

    FeatureMatrix: TypeAlias = NDArray[Any] | csr_matrix

__all__ = [
    "AlignedFeatures",
    "Classifier",
    "Estimator",
    "Features",
    "combination_option",
    "device_option",
    "fitted_settings",
    "load_estimator",
]


class Estimator(Protocol):
    """What feature maps and classifiers have in common.

    A fresh object is made for every seed by calling the card's factory with the card's ``config``, with ``device`` (as
    ``--device`` has it) where the factory takes that argument, and, where the card's ``inputs`` name ``pair`` and rows are pairs, with
    ``combination`` where it takes that. ``varies`` is read before ``fit``, ``settings`` after it.
    """

    @property
    def varies(self) -> tuple[str, ...]:
        """What a seed changes, in words, e.g. ``("initialisation", "row order")``.

        Empty where every seed gives the same fit, which is then computed once and stands for all.
        """
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was chosen and what defines the fit, JSON-serialisable; stored with the result."""
        ...

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int, /) -> object:
        """Learn from ``train``, and choose settings on ``validation``.

        Args:
            train: rows to learn from; a class may have none where there are few rows.
            validation: other rows (the same ones where a single shot leaves no others); never the test split's.
            seed: all that is drawn depends on it alone.
            n_classes: C; labels are 0 to C - 1.
        """


class Features(Estimator, Protocol):
    """What the factory of a model card of kind ``features`` makes: numbers for every row, which a linear probe then reads.

    Example:
        >>> class Length:
        ...     varies = ()
        ...     settings = {"unit": "bases"}
        ...
        ...     def fit(self, train, validation, seed, n_classes): ...
        ...
        ...     def transform(self, table):
        ...         return np.array([[len(sequence)] for sequence in table.sequences], dtype=np.float32)
        >>> Length().transform(fb.load_task("demo/species4").load("test")).shape
        (600, 1)
    """

    def transform(self, table: SequenceTable, /) -> FeatureMatrix:
        """Vectors of rows.

        Args:
            table: any rows; those of one call are independent of each other.

        Returns:
            (n, D) finite floats, D the same for every table: an array, or a CSR matrix.
        """
        ...


class AlignedFeatures(Features, Protocol):
    """Features that are looked up instead of computed.

    A factory with a method ``align`` is taken for one: it is shown every split of the task first, and never fitted.
    """

    def align(self, rows: RowOrigins, order: RowOrder, split_name: Callable[[str], str | None], /) -> None:
        """Find the vectors of all rows of one split."""


class Classifier(Estimator, Protocol):
    """What the factory of a model card of kind ``classifier`` makes: class probabilities for every row.

    Two attributes are optional. ``thread_invariant = True``: the number of CPU threads changes no bit of the scores, so that
    ``--threads`` is no part of a result's identity. ``max_length``, read after ``fit``: most bases of a sequence that are
    read, None for all; what is cut off is counted and flagged.

    Of variants that nothing is fitted to (``zero_shot``), it is fitted to those of other groups. One that is about what groups are like
    says ``scores_left_out = True``, and scores test rows itself, unfitted: ``predict_left_out(table, n_classes)``, each by the labels of
    others.

    Example:
        >>> class Shares:
        ...     varies = ()
        ...     thread_invariant = True
        ...
        ...     def fit(self, train, validation, seed, n_classes):
        ...         self.shares = train.class_counts(n_classes) / len(train)
        ...
        ...     @property
        ...     def settings(self):
        ...         return {"shares": self.shares.tolist()}
        ...
        ...     def predict_scores(self, table):
        ...         return np.tile(self.shares, (len(table), 1))
        >>> model, train = Shares(), fb.load_task("demo/species4").load("train")
        >>> model.fit(train, train, 0, 4)
        >>> model.predict_scores(train.take([0])).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """

    def predict_scores(self, table: SequenceTable, /) -> NDArray[Any]:
        """Class probabilities of rows.

        Args:
            table: any rows; those of one call are independent of each other.

        Returns:
            (n, C) finite floats from 0 to 1 that add up to 1 in every row.
        """
        ...


_METHODS = {"features": ("fit", "transform"), "classifier": ("fit", "predict_scores")}
_CONTRACT = {"features": "Features", "classifier": "Classifier"}


def load_estimator(spec: ModelSpec, **arguments: Any) -> Features | Classifier:
    """A fresh, unfitted object of a ``features`` or ``classifier`` card: its factory called with the card's config.

    Raises:
        ModelError: the factory cannot be imported, refuses the config, or makes something that lacks what the contract asks for.
        UsageError: the model is an encoder.
    """
    if spec.kind == "encoder":
        raise UsageError(f"{spec.display_name} is an encoder; it is loaded, not fitted")
    assert spec.card.factory is not None
    what = f"model {spec.card.name!r}"
    factory = load_factory(spec.card.factory, what)
    located: dict[str, Any] = {"path": spec.location} if spec.location is not None else {}
    if spec.held is not None:
        located = {"held": spec.held.value, "name": spec.display_name}
    with plugin_code(f"{what} cannot be built", spec.card.factory, called=factory):
        made: Features | Classifier = factory(**located, **spec.card.config, **arguments)
    contract = f"see findna_bench.api.{_CONTRACT[spec.kind]}"
    for method in _METHODS[spec.kind]:
        if not callable(getattr(made, method, None)):
            raise ModelError(f"{what}: its factory made a {type(made).__name__} without a method {method}; {contract}")
    varies = getattr(made, "varies", None)
    if isinstance(varies, str) or not isinstance(varies, (tuple, list)) or not all(isinstance(v, str) for v in varies):
        raise ModelError(
            f"{what}: {type(made).__name__}.varies must be a tuple of what a seed changes, in words (empty: nothing), not {varies!r}; "
            f"{contract}"
        )
    return made


def device_option(spec: ModelSpec, device: str) -> dict[str, Any]:
    """``device`` as an argument of :func:`load_estimator`, where the model's factory takes it and its card does not set it."""
    return {"device": device} if _takes(spec, "device") else {}


def combination_option(spec: ModelSpec, combination: str) -> dict[str, Any]:
    """``combination`` as an argument of :func:`load_estimator`, where the model reads pairs and its factory takes it."""
    return {"combination": combination} if "pair" in spec.card.inputs and _takes(spec, "combination") else {}


def _takes(spec: ModelSpec, argument: str) -> bool:
    assert spec.card.factory is not None
    factory = load_factory(spec.card.factory, f"model {spec.card.name!r}")
    return argument not in spec.card.config and argument in inspect.signature(factory).parameters


def fit_estimator(
    estimator: Any, name: str, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int
) -> None:
    """``fit`` of the model called ``name``.

    Raises:
        PluginError: it raises something.
    """
    with plugin_code(f"model {name!r}: {type(estimator).__name__}.fit", called=estimator.fit):
        estimator.fit(train, validation, seed, n_classes)


def rows_of(estimator: Any, method: str, name: str, table: SequenceTable, columns: int | None = None) -> Any:
    """``transform`` or ``predict_scores`` of the model called ``name``: (n, D) numbers, of states per base (n, W, C).

    Args:
        estimator: fitted.
        method: name of the method.
        name: of the model.
        table: n rows.
        columns: D, where that is known.

    Raises:
        PluginError: it raises something, or gives something else.
    """
    where = f"model {name!r}: {type(estimator).__name__}.{method}"
    with plugin_code(where, called=getattr(estimator, method)):
        found = getattr(estimator, method)(table)
    shape, kind = getattr(found, "shape", None), getattr(getattr(found, "dtype", None), "kind", None)
    if shape is None or kind is None:
        raise PluginError(f"{where} gives a {type(found).__name__}, not a NumPy array (n, {columns or 'D'})")
    # Scores of bases are (n, W, C).
    of_bases = method == "predict_scores" and table.labels.dtype.kind == "u"
    rows = table.labels.shape if of_bases else (len(table),)
    if len(shape) != len(rows) + 1 or tuple(shape[:-1]) != rows or (columns is not None and shape[-1] != columns):
        expected = ", ".join(map(str, (*rows, columns or "D")))
        raise PluginError(f"{where} gives shape {tuple(shape)} where ({expected}) is expected")
    if kind not in "fiub":
        raise PluginError(f"{where} gives {found.dtype} where numbers are expected")
    if not of_bases and (row := _not_finite(found)) is not None:
        raise PluginError(
            f"{where} gives NaN or infinity, first for row {table.ids[row]} ({len(table.sequences[row]):,} bases); give a finite number for "
            "every row, `findna-bench check` tells more"
        )
    return found


def _not_finite(found: Any) -> int | None:
    """Number of the first row of (n, D) that holds NaN or infinity, dense or sparse."""
    if found.dtype.kind != "f":
        return None
    if hasattr(found, "tocsr"):
        places = np.flatnonzero(~np.isfinite(found.tocsr().data))
        return int(np.searchsorted(found.tocsr().indptr, places[0], side="right")) - 1 if len(places) else None
    for where, block in row_blocks(found):
        wrong = ~np.isfinite(block).all(axis=1)
        if wrong.any():
            return int(where.start) + int(np.argmax(wrong))
    return None


def fitted_settings(estimator: Estimator, name: str) -> dict[str, Any]:
    """``settings`` of a fitted estimator of the model called ``name``.

    Raises:
        ModelError: it has none, or they are not JSON-serialisable.
    """
    where = f"model {name!r}: {type(estimator).__name__}.settings"
    with plugin_code(where):
        settings = getattr(estimator, "settings", None)
    if not isinstance(settings, Mapping):
        raise ModelError(f"{where} must be a mapping once it is fitted, not {settings!r}")
    try:
        json.dumps(dict(settings), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where} cannot be written as JSON ({error}); use plain numbers, texts and lists") from error
    return dict(settings)
