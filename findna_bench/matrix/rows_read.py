"""Which rows of a split a run reads. An option that leaves rows out is used here and nowhere else: what is fitted and scored follows, and
so does what ``verify`` holds results against.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from findna_bench.data.table import SequenceTable
from findna_bench.errors import BenchError
from findna_bench.requests.declarations import options_of
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.schema import Result
from findna_bench.targets.target import Target

__all__ = ["n_read", "request_of_rows", "rows_read"]


def n_read(split: str, n: int, request: RunRequest) -> int:
    """How many rows of a split of ``n`` rows are read.

    Args:
        split: ``train``, ``validation`` or ``test``.
        n: rows that the split holds.
        request: of the run.

    Returns:
        A number from 0 to n.
    """
    return n if request.limit is None else min(n, request.limit)


def rows_read(table: SequenceTable, split: str, request: RunRequest, target: Target) -> SequenceTable:
    """:func:`n_read` of a split's rows, drawn with a fixed seed and stratified by label, in their old order."""
    number = n_read(split, len(table), request)
    if len(table) <= number:
        return table
    from sklearn.model_selection import StratifiedShuffleSplit

    strata = target.strata(table.labels)
    classes, counts = np.unique(strata, return_counts=True)
    if counts.min() >= 2 and number >= len(classes) and len(table) - number >= len(classes):
        rows, _ = next(StratifiedShuffleSplit(1, train_size=number, random_state=0).split(strata, strata))
    else:
        rows = np.random.default_rng(0).permutation(len(table))[:number]
    return table.take(np.sort(rows))


def request_of_rows(result: Result) -> RunRequest:
    """What a result was computed with, as far as it may decide which rows are read: the limit, and the options that it holds and ids
    count where they are given. What is no value of such an option decides nothing.
    """
    request = RunRequest(models=("-",), tasks=("-",))
    given = result.request.options if result.request is not None else {}
    values = {
        option.field: given.get(option.field, option.default)
        for option in options_of(RunRequest)
        if option.in_ids == "given"
    }
    for name, value in {**values, "limit": result.limit}.items():
        with suppress(BenchError, TypeError, ValueError, AttributeError):  # free-form parts may hold anything
            request = replace(request, **{name: value})
    return request
