"""Does a model of kind ``features`` or ``classifier`` keep its contract (:mod:`findna_bench.models.estimators`)?

It is fitted to a small made-up table, as ``run`` would, and asked for rows of all sorts: three classes, or where the model's card does not
name classes the first target that it names (numbers, labels, states per base), on sequences, or where it reads none on pairs or variants.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.errors import BenchError, UnsupportedError
from findna_bench.models.consistency import check_consistent_rows
from findna_bench.models.estimators import device_option, fit_estimator, fitted_settings, load_estimator
from findna_bench.models.spec import ModelSpec
from findna_bench.protocols.heads import SeedSplit, fit_probe
from findna_bench.statistics.base_states import NO_STATE
from findna_bench.testing.check_report import Checklist, Fault, Report

__all__ = ["check_estimator"]

_BASES = np.array([[0.4, 0.1, 0.1, 0.4], [0.1, 0.4, 0.4, 0.1], [0.25, 0.25, 0.25, 0.25]])
"""Chances of A, C, G, T in the made-up classes."""
_N_CLASSES = len(_BASES)
_MADE_UP = ("classes", "values", "labels", "per_base")
"""Targets for which there are made-up labels, first come first."""


def check_estimator(spec: ModelSpec, device: str = "auto") -> Report:
    """All checks of a model that is fitted to a task; where it cannot be made or fitted, only these."""
    checklist, subject = Checklist("model", spec.display_name), _Subject(spec, device)
    if checklist.check("loads", subject.loads) and checklist.check("fits", subject.fits):
        checklist.check("shape", subject.shape)
        checklist.check("settings", subject.settings)
        checklist.check("deterministic", subject.deterministic)
        checklist.check("seed", subject.seed)
        if checklist.check("short", subject.short):
            checklist.check("batch", subject.batch)
        checklist.check("untouched", subject.untouched)
        checklist.check("attributes", subject.attributes)
        if spec.kind == "features":
            checklist.check("probe", subject.probe)
            checklist.check("targets", subject.targets)
    return checklist.report()


class _Subject:
    """A model and the tables it is tried on; every check returns what holds, or raises what does not."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        self.spec, self._device = spec, device
        rng = np.random.default_rng(7)
        drawn = _drawn(rng, 60), _drawn(rng, 24), _table([*("ACGTACG"[:length] for length in range(1, 8)), "N" * 9])
        self.classes = np.concatenate([drawn[0].labels, drawn[1].labels])
        self.train, self.validation, self.few = (self._rows(table) for table in drawn)

    def _rows(self, table: SequenceTable) -> SequenceTable:
        """The rows as the model reads them, with labels as its target has them."""
        return _labelled(_as_inputs(table, self.spec.card.inputs), self.target)

    @cached_property
    def target(self) -> str:
        """What the made-up rows are labelled with."""
        named = self.spec.card.targets
        return "classes" if named is None else next((target for target in _MADE_UP if target in named), "classes")

    def make(self) -> Any:
        """An unfitted one, as ``run`` makes it."""
        return load_estimator(self.spec, **device_option(self.spec, self._device))

    def fitted(self, seed: int) -> Any:
        """A fresh one, fitted."""
        estimator = self.make()
        fit_estimator(estimator, self.spec.card.name, self.train, self.validation, seed, self.n_outputs)
        return estimator

    @property
    def n_outputs(self) -> int:
        """What ``fit`` is told: classes, labels, states, or one number."""
        return 1 if self.target == "values" else _N_CLASSES

    @cached_property
    def first(self) -> Any:
        return self.fitted(0)

    def answer(self, estimator: Any, table: SequenceTable) -> Any:
        """Vectors or scores, as the model gives them."""
        return estimator.transform(table) if self.spec.kind == "features" else estimator.predict_scores(table)

    def numbers(self, estimator: Any, table: SequenceTable) -> np.ndarray:
        """The same as a dense array."""
        found = self.answer(estimator, table)
        return np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float64)

    def counted(self, scores: np.ndarray, table: SequenceTable) -> np.ndarray:
        """(m, C) scores: of all rows, or of states the bases that count."""
        return scores[table.labels != NO_STATE] if self.target == "per_base" else scores

    # ------------------------------------------------------------------------------------------------- the checks

    def loads(self) -> str:
        self.make()
        return f"a model of kind {self.spec.kind} is made, and has what is read before it is fitted"

    def fits(self) -> str:
        if hasattr(self.first, "align"):
            raise UnsupportedError("vectors are looked up for the rows of a task, so nothing is fitted")
        return f"it is fitted to {len(self.train)} made-up rows ({self.target}: {self.n_outputs})"

    def shape(self) -> str:
        found, other = (self.numbers(self.first, table) for table in (self.validation, self.few))
        method, n = "transform" if self.spec.kind == "features" else "predict_scores", len(self.validation)
        if method == "predict_scores" and self.target == "per_base":
            wanted, words = (*self.validation.labels.shape, _N_CLASSES), "(n, W, C)"
        else:
            wanted, words = (n, found.shape[-1]), "(n, D)" if method == "transform" else "(n, C)"
        if found.shape != wanted:
            raise Fault(f"{method} of {n} rows gives shape {found.shape}, not {words}")
        if found.shape[-1] != other.shape[-1]:
            raise Fault(f"{method} gives {found.shape[-1]} columns for one table and {other.shape[-1]} for another")
        found = self.counted(found, self.validation)
        if not np.isfinite(found).all():
            raise Fault(f"{method} gives NaN or infinity")
        if method == "transform":
            return f"every row has {found.shape[1]} finite numbers"
        if found.shape[1] != self.n_outputs:
            raise Fault(f"predict_scores gives {found.shape[1]} columns for {self.n_outputs} {self.target}")
        if self.target == "values":
            return "every row has a finite number"
        if found.min() < 0 or found.max() > 1 + 1e-3:
            raise Fault("predict_scores gives numbers that are no probabilities: between 0 and 1")
        if self.target != "labels" and not np.allclose(
            found.sum(axis=1), 1, atol=5e-3 if self.target == "per_base" else 1e-3
        ):
            raise Fault(
                "predict_scores gives numbers that are no probabilities: between 0 and 1, adding up to 1 in every row"
            )
        return f"every {'base' if self.target == 'per_base' else 'row'} has {_N_CLASSES} probabilities"

    def settings(self) -> str:
        settings = fitted_settings(self.first, self.spec.card.name)
        return f"settings are JSON: {', '.join(settings) or 'none'}"

    def deterministic(self) -> str:
        if not np.array_equal(self.numbers(self.first, self.validation), self.numbers(self.fitted(0), self.validation)):
            raise Fault("two fits with one seed give different numbers: draw from the seed alone")
        return "two fits with one seed give the same numbers"

    def seed(self) -> str:
        varies = tuple(self.first.varies)
        same = np.array_equal(self.numbers(self.first, self.validation), self.numbers(self.fitted(1), self.validation))
        if not varies and not same:
            raise Fault(
                "varies is empty, and another seed gives other numbers: say what a seed changes, or one fit stands for all"
            )
        words = "gives the same numbers" if same else "gives other numbers"
        return f"another seed {words}; varies: {', '.join(varies) or 'nothing'}"

    def batch(self) -> str:
        table = self._rows(_table([*self.validation.sequences, *self.few.sequences]))
        lengths = table.lengths.tolist()
        check_consistent_rows(self.spec.display_name, lambda rows: self.answer(self.first, table.take(rows)), lengths)
        return "a row has the same answer alone, among others, and again"

    def short(self) -> str:
        found = self.numbers(self.first, self.few)
        rows = np.isfinite(found.reshape(len(found), -1)).all(axis=1)
        if not rows.all():
            row = int(np.argmin(rows))
            raise Fault(f"the sequence {self.few.sequences[row]} gives NaN or infinity")
        return "lengths 1 to 7 and a row of N give finite numbers"

    def untouched(self) -> str:
        fresh = _Subject(self.spec, self._device)
        for name in ("train", "validation", "few"):
            mine, kept = getattr(self, name), getattr(fresh, name)
            if mine.sequences != kept.sequences or not np.array_equal(mine.labels, kept.labels):
                raise Fault(f"the {name} table was changed in place: other models see it, too")
        return "tables are left as they were"

    def attributes(self) -> str:
        invariant, longest = (getattr(self.first, name, None) for name in ("thread_invariant", "max_length"))
        if invariant is not None and not isinstance(invariant, bool):
            raise Fault(f"thread_invariant must be True or False, not {invariant!r}")
        if longest is not None and (not isinstance(longest, int) or isinstance(longest, bool) or longest < 1):
            raise Fault(f"max_length must be a number of bases or None, not {longest!r}")
        return f"thread_invariant {bool(invariant)}, max_length {longest}"

    def probe(self) -> str:
        features = self.answer(self.first, self._rows(_table([*self.train.sequences, *self.validation.sequences])))
        rows = np.arange(len(self.classes))
        split = SeedSplit(0, rows[: len(self.train)], rows[len(self.train) :])
        (head,) = fit_probe(features, self.classes, [split], _N_CLASSES)
        return f"a probe reads them (accuracy {head.validation['accuracy']:.2f} on three classes told apart by their bases)"

    def targets(self) -> str:
        """Features that name no targets are run on tasks of every kind."""
        named = self.spec.card.targets
        others = [
            target for target in ("values", "labels") if target != self.target and (named is None or target in named)
        ]
        for target in others:
            train, validation = (
                replace(table, labels=_labelled(replace(table, labels=classes), target).labels)
                for table, classes in zip(
                    (self.train, self.validation), np.split(self.classes, [len(self.train)]), strict=True
                )
            )
            n_outputs = 1 if target == "values" else _N_CLASSES
            try:
                fit_estimator(self.make(), self.spec.card.name, train, validation, 0, n_outputs)
            except BenchError as error:
                said = (
                    f"the card says targets={self.spec.card.targets}"
                    if named
                    else "the card names no targets, so it is run on all"
                )
                raise Fault(f"{said}, and on {target} it fails: {error}") from error
        return f"fitted to {' and '.join(others)} as well" if others else f"the card names {self.target} alone"


def _as_inputs(table: SequenceTable, inputs: tuple[str, ...]) -> SequenceTable:
    """Rows of a kind that a model reads, sequences where it reads these."""
    n = len(table)
    if "sequence" in inputs:
        return table
    if "pair" in inputs:
        return replace(table, sequences_b=table.sequences[::-1], extra={"distance": 100.0 * np.arange(n)})
    if "variant" in inputs:
        offsets = np.array([len(sequence) // 2 for sequence in table.sequences], dtype=np.int64)
        ref = [sequence[offset] for sequence, offset in zip(table.sequences, offsets, strict=True)]
        alt = ["CGTAA"["ACGTN".index(base)] for base in ref]
        named = {"offset": offsets, "ref": np.array(ref), "alt": np.array(alt), "tss_distance": 100.0 * np.arange(n)}
        return replace(table, contig=np.array([f"chr{row % 4 + 1}" for row in range(n)]), extra=named)
    return table


def _labelled(table: SequenceTable, target: str) -> SequenceTable:
    """Rows of classes with labels of another target that say the same."""
    classes = table.labels
    if target == "values":
        return replace(table, labels=classes.astype(np.float64)[:, None])
    if target == "labels":
        return replace(table, labels=np.eye(_N_CLASSES, dtype=np.int8)[classes])
    if target == "per_base":
        states = np.full((len(table), int(table.lengths.max(initial=1))), NO_STATE, dtype=np.uint8)
        for row, (sequence, state) in enumerate(zip(table.sequences, classes, strict=True)):
            known = np.frombuffer(sequence.encode(), dtype="S1") != b"N"
            states[row, : len(sequence)] = np.where(known, state, NO_STATE)
        return replace(table, labels=states)
    return table


def _drawn(rng: np.random.Generator, n: int) -> SequenceTable:
    labels = np.arange(n, dtype=np.int64) % _N_CLASSES
    lengths = rng.integers(40, 80, size=n)
    rows = zip(labels, lengths, strict=True)
    sequences = ["".join(rng.choice(list("ACGT"), size=length, p=_BASES[label])) for label, length in rows]
    return SequenceTable(sequences, labels, np.array([f"row-{number}" for number in range(n)]))


def _table(sequences: list[str]) -> SequenceTable:
    ids = np.array([f"row-{number}" for number in range(len(sequences))])
    return SequenceTable(sequences, np.zeros(len(sequences), dtype=np.int64), ids)
