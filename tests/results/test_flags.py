"""Flags that follow from what a result holds, and how the fits of several seeds are put into words."""

from __future__ import annotations

import pytest

from findna_bench.results.flags import class_flag, flags_of, share_read, truncation_flag, warnings_of
from findna_bench.results.schema import Coverage, MainMetric, Metrics, Model, Protocol, Result, Task


@pytest.mark.parametrize(
    ("seen", "total", "words"),
    [
        (61_440, 132_000, "46 %"),
        (9_996, 10_000, "99.9 %"),
        (999_999_999, 1_000_000_000, "99.9 %"),
        (994, 1000, "99.4 %"),
        (1, 1000, "under 1 %"),
        (989, 1000, "98 %"),
    ],
)
def test_what_was_cut_never_reads_as_everything(seen: int, total: int, words: str) -> None:
    assert share_read(seen, total) == words
    cut = Coverage(bases_total=total, bases_seen=seen, truncated_sequences=3)
    assert truncation_flag(cut) == f"truncated ({words} of bases read)"


def test_nothing_is_said_where_all_was_read_or_nothing_is_known() -> None:
    assert truncation_flag(Coverage(bases_total=10, bases_seen=10, truncated_sequences=0)) is None
    assert truncation_flag(Coverage(bases_total=10)) is None
    assert truncation_flag(Coverage()) is None


def test_absent_classes() -> None:
    assert class_flag(2, 2) is None
    assert class_flag(1, 2) == "one class in test (MCC and AUROC mean nothing)"
    assert class_flag(3, 5) == "absent from test: 2 of 5 classes"


def fit(seed: int, flags: list[str] = [], warnings: list[str] = [], seen: int = 10) -> Result:  # noqa: B006 - not changed
    return Result(
        identity="i",
        request_id=f"r{seed}",
        config_id="c",
        status="success",
        flags=flags,
        protocol_version=2,
        model=Model(name="m", kind="encoder"),
        task=Task(suite="s", name="t", labels=["a", "b"]),
        seed=seed,
        protocol=Protocol(name="probe"),
        metrics=Metrics(main=MainMetric(name="accuracy", value=0.5)),
        validation={"warnings": warnings},
        coverage=Coverage(bases_total=10, bases_seen=seen, truncated_sequences=int(seen < 10)),
        created="2026",
    )


def test_fits_of_several_seeds_are_said_once() -> None:
    fits = [
        fit(0, ["untrained", "did not learn"], ["12 steps were skipped"], seen=5),
        fit(1, ["untrained"], ["3 steps were skipped", "collapsed"], seen=4),
        fit(2, ["untrained"], ["3 steps were skipped"], seen=5),
    ]
    assert flags_of(fits) == ("untrained", "truncated (46 % of bases read)", "did not learn (1 of 3 fits)")
    assert list(warnings_of(fits).values()) == [
        "12 steps were skipped, and the like (all 3 fits)",
        "collapsed (1 of 3 fits)",
    ]
    assert list(warnings_of(fits[:1]).values()) == ["12 steps were skipped"]
    assert flags_of(fits[:1]) == ("untrained", "truncated (50 % of bases read)", "did not learn")
