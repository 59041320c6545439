"""The interval of a mean over several fits: over rows and fits, from their predictions. A results folder keeps those that were computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

import findna_bench.statistics
import findna_bench.targets
from findna_bench.errors import OutputError, UsageError
from findna_bench.files import sha256_file, write_atomic
from findna_bench.registry import get_registry
from findna_bench.results.schema import Result
from findna_bench.results.schema import Task as TaskOfResult
from findna_bench.results.store import ResultStore, ScoredRows
from findna_bench.statistics.metric import metric_card

__all__ = ["INTERVALS", "Interval", "KeptIntervals", "interval_over_fits", "kept_intervals"]

INTERVALS: Final = ".intervals.json"
_FEWEST: Final = 20
"""New intervals from which writing them is worth it."""
_MOST_OTHERS: Final = 100_000
"""Intervals kept that this process did not look up: of other metrics, and of results that are gone."""

Interval: TypeAlias = tuple[float, float] | None


def interval_over_fits(fits: Sequence[ScoredRows], metric: str, task: TaskOfResult) -> Interval:
    """The 95 % interval of the mean of a metric over fits; None where it is undefined.

    Raises:
        OutputError: the fits' rows are not the same ones.
    """
    # Looked up where an interval is computed: importing SciPy takes as long as a table of thousands of results.
    from findna_bench.statistics.paired_tests import Predictions, estimate
    from findna_bench.targets.target import find_target

    first = fits[0]
    if any(not np.array_equal(rows.ids, first.ids) or not np.array_equal(rows.labels, first.labels) for rows in fits):
        raise OutputError("the fits were scored on different rows")
    groups = next((rows.groups for rows in fits if rows.groups is not None), None)
    scores = tuple(rows.scores for rows in fits)
    classes, target = tuple(task.labels), find_target(task.target)
    scored = Predictions(first.labels, scores, groups, classes=classes, target=target, folds=first.folds)
    found = estimate(scored, metric)
    return None if found.low is None or found.high is None else (found.low, found.high)


@contextmanager
def kept_intervals(store: ResultStore) -> Iterator[KeptIntervals]:
    """Those of a results folder; what was computed within is kept there for the next reader."""
    kept = KeptIntervals(store)
    yield kept
    kept.save()


class KeptIntervals:
    """Intervals that were computed before, by the digests of the predictions that they follow from, and the code that computed them. They
    answer as the predictions would, which have to be there still; whether these are what their digests say is found out when an interval is
    computed, and by ``verify``. Only of the harness's own metrics and targets: of others' no code is known.
    """

    def __init__(self, store: ResultStore) -> None:
        self._store = store
        self._path = store.root / INTERVALS
        self._known = self._read()
        self._used: set[str] = set()
        self._new = 0
        self._kept: dict[tuple[str, str], bool] = {}

    def of(self, fits: Sequence[Result], metric: str) -> Interval:
        """The interval of the mean over fits of one model on one task.

        Raises:
            OutputError: predictions are missing or damaged, or of different rows.
        """
        if not self._store.have_predictions(fits):
            raise OutputError("its predictions are missing")
        key = self._key(fits, metric)
        if key is not None and key in self._known:
            self._used.add(key)
            return self._known[key]
        found = interval_over_fits([self._store.predictions(r) for r in fits], metric, fits[0].task)
        if key is not None and self._are_as_said(fits):
            self._known[key] = found
            self._used.add(key)
            self._new += 1
        return found

    def save(self) -> None:
        """Write them, where there are enough new ones and the folder can be written; another process may have written others since."""
        if self._new < _FEWEST:
            return
        others = [(key, interval) for key, interval in (self._read() | self._known).items() if key not in self._used]
        content = json.dumps([*others[-_MOST_OTHERS:], *((key, self._known[key]) for key in self._used)])
        with suppress(OutputError):
            write_atomic(self._path, f"{_heading(content)}\n{content}\n")

    def _read(self) -> dict[str, Interval]:
        """Empty where there are none, none of this version, or what is there is damaged."""
        try:
            heading, _, content = self._path.read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return {}
        if heading != _heading(content := content.removesuffix("\n")):
            return {}
        return {key: None if ends is None else (ends[0], ends[1]) for key, ends in json.loads(content)}

    def _key(self, fits: Sequence[Result], metric: str) -> str | None:
        """None for what is not kept."""
        task = fits[0].task
        digests = [r.predictions_digest for r in fits]
        if None in digests or not self._is_own(metric, task.target):
            return None
        facts = "\0".join(map(str, (metric, task.target, *task.labels, "", *digests)))
        return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()

    def _is_own(self, metric: str, target: str) -> bool:
        found = self._kept.get((metric, target))
        if found is None:
            registry = get_registry()
            try:
                cards = metric_card(metric), registry.resolve("targets", target).card
            except UsageError:
                return False
            own = (registry.own("metrics", core=True), registry.own("targets", core=True))
            found = all(card in of_kind for card, of_kind in zip(cards, own, strict=True))
            self._kept[metric, target] = found
        return found

    def _are_as_said(self, fits: Sequence[Result]) -> bool:
        """Whether predictions are those that were written with their results."""
        try:
            files = (self._store.root / self._store.predictions_name(r) for r in fits)
            return all(sha256_file(file) == r.predictions_digest for file, r in zip(files, fits, strict=True))
        except OSError:
            return False


def _heading(content: str) -> str:
    """Of the code that intervals are computed by, and of what is kept."""
    folders = [Path(str(package.__file__)).parent for package in (findna_bench.statistics, findna_bench.targets)]
    files = [Path(__file__), *(file for folder in folders for file in sorted(folder.glob("*.py")))]
    code = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return f"{code} {hashlib.sha256(content.encode()).hexdigest()}"
