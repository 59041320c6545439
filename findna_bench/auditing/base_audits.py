"""The audit of states per base: rows found again, and what place, letter case or the letters around a base say of its state.

A row holds several states, so that shares of a state are of the rows that hold it. Rules on bases are scored state by state against all
others, with both sides counting alike (:mod:`findna_bench.auditing.balanced`), and their errors are over rows: the bases of a row are not
independent of each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from findna_bench.auditing import shortcuts
from findna_bench.auditing.audit_report import (
    AuditReport,
    ClassSummary,
    CrossSplit,
    Finding,
    SplitSummary,
    family_sizes,
    spread,
)
from findna_bench.auditing.balanced import Gain, balanced_lookup, balanced_trees, gain_of, significant
from findna_bench.auditing.examples import ExampleRows
from findna_bench.auditing.relatives import Relatives, count_holders
from findna_bench.auditing.rules import ERRORS, RULES, find_rule
from findna_bench.auditing.verdict import Measured, judge_states
from findna_bench.cards import TaskCard
from findna_bench.data.catalog import SPLITS
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError, listed
from findna_bench.relatedness.duplicates import Identity
from findna_bench.relatedness.rows import Rows, rows_from_table
from findna_bench.sequences.alphabet import BASES, encode, reverse_complement
from findna_bench.statistics.base_states import NO_STATE, state_counts

__all__ = ["audit_bases"]

_BUDGET = 4_000_000
"""Bases of a split that rules may be fitted on or scored on, whole rows of a seeded sample."""
_SCORED = 300_000
SETTING = "states_per_base"
"""Entry of a report's ``settings`` by which pages know such reports."""
_OF_LABELS = ("conflicting", "near_conflicting", "same_composition_conflicting", "overlap_conflicting")
_RULES = {
    "place-trees": ("shortcut: position", "The place in the row alone (bases from its start and to its end) tells"),
    "base-case": ("shortcut: case", "Upper and lower case of the file alone tell"),
}
_NOTES = {
    "letter": "the letter of the base",
    "trinucleotide": "the base and its two neighbours",
}


def audit_bases(
    tables: Mapping[str, SequenceTable],
    card: TaskCard,
    find_relatives: Callable[[dict[str, Rows]], Relatives],
    *,
    status: str = "",
) -> AuditReport:
    """Audit splits of rows with a state at every base.

    Args:
        tables: splits, labels (n, W) uint8.
        card: of the task.
        find_relatives: what is known of rows in several splits.
        status: how complete the data are.

    Raises:
        DataError: no split, or an empty one.
    """
    tables = {name: tables[name] for name in SPLITS if name in tables}
    if not tables or any(not len(table) for table in tables.values()):
        raise DataError(f"task {card.full_name}: nothing to audit, a split is absent or empty; import the task again")
    names = card.labels
    relatives = find_relatives({name: rows_from_table(_without_states(table)) for name, table in tables.items()})
    holds = {name: _holds(table, len(names)) for name, table in tables.items()}
    summaries = {name: _summary(table, holds[name], relatives.identity[name], names) for name, table in tables.items()}
    across = {
        f"{a}->{b}": _across((a, tables[a]), (b, tables[b]), relatives, holds[b], names)
        for a, b in itertools.combinations(tables, 2)
    }
    cross = across.get("train->test")
    controls: dict[str, shortcuts.Control] = {}
    findings: list[Finding] = []
    if cross is not None:
        controls, found = _controls(tables["train"], tables["test"], names)
        findings = [*found, *_of_splits(summaries, names)]
    measured = Measured(
        splits=summaries,
        cross=cross,
        controls=controls,
        diverged=relatives.diverged,
        rows=_example_rows(tables, holds, relatives, names),
        looked_at=relatives.looked_at,
    )
    return AuditReport(
        task=card.full_name,
        labels=tuple(names),
        metric=card.metric,
        status=status,
        route=relatives.route,
        splits=summaries,
        across=across,
        asymmetry={},
        controls=controls,
        similarity_bins=(),
        verdict=judge_states(measured, findings),
        known_shortcuts=tuple(card.known_shortcuts),
        derived_from=card.derived_from,
        settings={**relatives.settings, SETTING: {"scored": _SCORED, "correction": "holm"}},
        histograms=_histograms(tables, holds, names),
    )


def _example_rows(
    tables: Mapping[str, SequenceTable], holds: Mapping[str, np.ndarray], relatives: Relatives, names: Sequence[str]
) -> ExampleRows:
    """Rows as examples show them, with the states that they hold."""
    held = {
        split: [", ".join(n for n, h in zip(names, row, strict=True) if h) for row in holds[split]] for split in tables
    }
    every = sorted({text for texts in held.values() for text in texts})
    number = {text: place for place, text in enumerate(every)}
    splits = {
        split: rows_from_table(replace(table, labels=np.array([number[text] for text in held[split]], dtype=np.int64)))
        for split, table in tables.items()
    }
    return ExampleRows(splits, every, relatives.behind)


def _without_states(table: SequenceTable) -> SequenceTable:
    return replace(table, labels=np.zeros(len(table), dtype=np.int64))


def _holds(table: SequenceTable, n_states: int) -> np.ndarray:
    """(n, C) bool: rows that hold a state."""
    found = np.zeros((len(table), n_states), dtype=bool)
    for row, states in enumerate(table.labels):
        found[row] = np.bincount(states, minlength=NO_STATE + 1)[:n_states] > 0
    return found


# --------------------------------------------------------------------------------------------------------- what is there


def _summary(table: SequenceTable, holds: np.ndarray, identity: Identity, names: Sequence[str]) -> SplitSummary:
    states = _states_in_detail(table, names)
    counts = state_counts(table.labels, len(names))
    known = max(int(counts.sum()), 1)
    n_share = np.array([s.count("N") / len(s) for s in table.sequences])
    lengths = table.lengths
    classes = {}
    for number, name in enumerate(names):
        mine, detail = holds[:, number], states[name]
        classes[name] = ClassSummary(
            rows=int(mine.sum()),
            fraction=float(counts[number] / known),
            length=spread(lengths[mine]),
            gc=spread(detail.gc),
            n_mean=float(n_share[mine].mean()) if mine.any() else None,
            rows_with_n=int((n_share[mine] > 0).sum()),
            lower_mean=None if table.lower is None or not counts[number] else detail.lower / int(counts[number]),
        )
    twice = np.bincount(identity.exact)[identity.exact] > 1
    reverse = (np.bincount(identity.either)[identity.either] > 1) & ~twice
    n, total = sum(s.count("N") for s in table.sequences), int(lengths.sum())
    runs = {name: spread(detail.runs) for name, detail in states.items()}
    return SplitSummary(
        len(table),
        classes,
        exact=count_holders(twice, holds, names),
        reverse_complement=count_holders(reverse, holds, names),
        conflicting=count_holders(_conflicting(table, table, identity, identity), holds, names),
        families=family_sizes(identity.either),
        details={
            "bases": total,
            "counted": int(counts.sum()),
            "n": n,
            "unknown": total - n - int(counts.sum()),
            "states": {
                name: {
                    "bases": int(counts[number]),
                    "runs": len(states[name].runs),
                    "run_length": None if (run := runs[name]) is None else asdict(run),
                }
                for number, name in enumerate(names)
            },
        },
    )


@dataclass(frozen=True)
class _State:
    """gc: per row that holds it the share of G and C among its bases. runs: lengths of its stretches. lower: its bases in lower case."""

    gc: np.ndarray
    runs: np.ndarray
    lower: int


def _states_in_detail(table: SequenceTable, names: Sequence[str]) -> dict[str, _State]:
    gc: list[list[float]] = [[] for _ in names]
    runs: list[list[np.ndarray]] = [[] for _ in names]
    lower = np.zeros(len(names), dtype=np.int64)
    for codes, states, low in _rows(table):
        edges = np.concatenate([[0], np.flatnonzero(np.diff(states)) + 1, [len(states)]])
        lengths, of = np.diff(edges), states[edges[:-1]]
        strong = (codes == 1) | (codes == 2)
        for state in np.unique(of[of != NO_STATE]).tolist():
            mine = states == state
            gc[state].append(float(strong[mine].mean()))
            runs[state].append(lengths[of == state])
            lower[state] += int(low[mine].sum())
    return {
        name: _State(
            np.array(gc[i]), np.concatenate(runs[i]) if runs[i] else np.zeros(0, dtype=np.int64), int(lower[i])
        )
        for i, name in enumerate(names)
    }


def _rows(table: SequenceTable) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(codes, states, lower case) of each row, (L,) each."""
    codes, offsets = encode(table.sequences)
    for row, (start, stop) in enumerate(itertools.pairwise(offsets.tolist())):
        n = stop - start
        bits = b"" if table.lower is None else table.lower[row]
        low = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=n) if bits else np.zeros(n, dtype=np.uint8)
        yield codes[start:stop], table.labels[row, :n], low.astype(bool)


def _histograms(
    tables: Mapping[str, SequenceTable], holds: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, Any]:
    """Lengths of the rows that hold a state."""
    lengths = {name: table.lengths for name, table in tables.items()}
    every = np.concatenate(list(lengths.values()))
    low, high = float(every.min()), float(every.max())
    edges = np.linspace(low, high if high > low else low + 1, 41)
    counts = {
        split: {
            name: np.histogram(lengths[split][holds[split][:, i]], bins=edges)[0].tolist()
            for i, name in enumerate(names)
        }
        for split in tables
    }
    return {"length": {"edges": edges.tolist(), **counts}}


# --------------------------------------------------------------------------------------------------------- found again


def _across(
    earlier: tuple[str, SequenceTable],
    later: tuple[str, SequenceTable],
    relatives: Relatives,
    holds: np.ndarray,
    names: Sequence[str],
) -> CrossSplit:
    (first_name, first), (second_name, second) = earlier, later
    masks = {name: mask for name, mask in relatives.masks[first_name, second_name].items() if name not in _OF_LABELS}
    masks["conflicting"] = _conflicting(second, first, relatives.identity[second_name], relatives.identity[first_name])
    counts = {name: count_holders(mask, holds, names) for name, mask in masks.items()}
    return CrossSplit.of(first_name, second_name, counts, relatives.families[first_name, second_name])


def _conflicting(second: SequenceTable, first: SequenceTable, query: Identity, known: Identity) -> np.ndarray:
    """(n,) bool: rows whose sequence, on either strand, has another state at some base in a row of ``first`` (which may be the same table)."""
    bounds: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    wanted = set(query.either.tolist())
    for row, number in enumerate(known.either.tolist()):
        if number in wanted:
            states = _on_one_strand(first, row)
            high = np.where(states == NO_STATE, 0, states)
            if (some := bounds.get(number)) is None:
                bounds[number] = (states, high)
            else:
                bounds[number] = (np.minimum(some[0], states), np.maximum(some[1], high))
    found = np.zeros(len(second), dtype=bool)
    for row, number in enumerate(query.either.tolist()):
        if (some := bounds.get(number)) is not None:
            mine, (low, high) = _on_one_strand(second, row), some
            found[row] = bool(((mine != NO_STATE) & (low != NO_STATE) & ((mine != low) | (mine != high))).any())
    return found


def _on_one_strand(table: SequenceTable, row: int) -> np.ndarray:
    """(L,) states of a row in the order of whichever strand comes first in the alphabet."""
    sequence = table.sequences[row]
    states: np.ndarray = table.labels[row, : len(sequence)]
    return states if sequence <= reverse_complement(sequence) else states[::-1]


# ------------------------------------------------------------------------------------------------------------- controls


@dataclass(frozen=True)
class _Bases:
    """Bases that count, (m,) each: state, row, bases before it and behind it, its letter and its trinucleotide, and lower case."""

    state: np.ndarray
    row: np.ndarray
    before: np.ndarray
    behind: np.ndarray
    letter: np.ndarray
    context: np.ndarray
    lower: np.ndarray

    @classmethod
    def of(cls, table: SequenceTable, most: int | None) -> _Bases:
        """Of whole rows of a seeded sample, as many as :data:`_BUDGET` allows. most: bases drawn of these, None = all."""
        rng = np.random.default_rng(0)
        order = rng.permutation(len(table))
        taken = np.sort(order[: max(1, int(np.searchsorted(np.cumsum(table.lengths[order]), _BUDGET)) + 1)])
        parts = [cls._of_row(row, *one) for row, one in enumerate(_rows(table.take(taken)))]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        if most is not None and len(columns[0]) > most:
            drawn = np.sort(rng.choice(len(columns[0]), most, replace=False))
            columns = [column[drawn] for column in columns]
        return cls(*columns)

    @staticmethod
    def _of_row(row: int, codes: np.ndarray, states: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, ...]:
        n = len(codes)
        outside = np.array([len(BASES)], dtype=codes.dtype)
        around = np.concatenate([outside, codes, outside]).astype(np.int64)
        context = (around[:-2] * (len(BASES) + 1) + around[1:-1]) * (len(BASES) + 1) + around[2:]
        place = np.flatnonzero(states != NO_STATE)
        return (
            states[place].astype(np.int64),
            np.full(len(place), row),
            place,
            n - 1 - place,
            codes[place].astype(np.int64),
            context[place],
            low[place],
        )


def _controls(
    train: SequenceTable, test: SequenceTable, names: Sequence[str]
) -> tuple[dict[str, shortcuts.Control], list[Finding]]:
    """Rules fitted on bases of train, scored on bases of test; and what they find."""
    known, asked = _Bases.of(train, None), _Bases.of(test, _SCORED)
    if not len(known.state) or not len(asked.state):
        return {"majority": shortcuts.control(asked.state, asked.state, names)}, []
    c = len(names)
    places = [np.column_stack([one.before, one.behind]).astype(np.float64) for one in (known, asked)]
    predicted = {
        "majority": shortcuts.majority(known.state, len(asked.state), c),
        "place-trees": balanced_trees(places[0], known.state, places[1]),
        "letter": balanced_lookup(known.letter, known.state, asked.letter, c),
        "trinucleotide": balanced_lookup(known.context, known.state, asked.context, c),
    }
    if train.lower is not None or test.lower is not None:
        predicted["base-case"] = balanced_lookup(known.lower, known.state, asked.lower, c)
    controls = {
        name: shortcuts.control(
            asked.state, found, names, **({} if name == "majority" else {"states": "weighted alike"})
        )
        for name, found in predicted.items()
    }
    gains = {
        (rule, state): gain_of(asked.state == state, found == state, clusters=asked.row)
        for rule, found in predicted.items()
        if rule != "majority"
        for state in (range(c) if c > 2 else (1,))  # of two states either says all
    }
    return controls, _findings(gains, names)


def _findings(gains: Mapping[tuple[str, int], Gain], names: Sequence[str]) -> list[Finding]:
    findings = []
    shown = significant(gains, ERRORS)
    for rule, (flag, words) in _RULES.items():
        mine = [(rule, state) for name, state in shown if name == rule]
        if told := _told_by(mine, gains, flag):
            findings.append(_finding(flag, f"{words} {_in_words(told, gains, names)}.", gains[told[0]]))
    notes = [key for key in shown if key[0] in _NOTES]
    if told := _told_by(notes, gains, "note: composition"):
        best = told[0][0]
        words = _in_words([key for key in told if key[0] == best], gains, names)
        text = f"{_NOTES[best]} alone tells {words}; a model's score is to be read above that."
        findings.append(_finding("note: composition", text[0].upper() + text[1:], gains[told[0]]))
    return findings


def _told_by(
    keys: Sequence[tuple[str, int]], gains: Mapping[tuple[str, int], Gain], flag: str
) -> list[tuple[str, int]]:
    """Those above the threshold of a rule, the largest gain first."""
    least = find_rule(flag).threshold
    return sorted((key for key in keys if gains[key].value >= least), key=lambda key: -gains[key].value)


def _finding(flag: str, text: str, gain: Gain) -> Finding:
    return Finding(flag, text, gain.value, gain.interval)


def _in_words(told: Sequence[tuple[str, int]], gains: Mapping[tuple[str, int], Gain], names: Sequence[str]) -> str:
    shown = [f"{names[key[1]]} from the other states in {100 * gains[key].score:.1f} % of test bases" for key in told]
    return listed(shown, 5) + " (mean recall of both sides; chance 50)"


def _of_splits(splits: Mapping[str, SplitSummary], names: Sequence[str]) -> list[Finding]:
    """States that a split lacks, and bases that do not count."""
    findings = []
    for split, summary in splits.items():
        absent = [name for name in names if not summary.classes[name].rows]
        if absent:
            findings.append(
                Finding(
                    "note: missing-state",
                    f"No base of {split} has state {', '.join(absent[:5])}; scores that count states alike leave it out.",
                    len(absent) / len(names),
                )
            )
        bases, counted, n = (summary.details[key] for key in ("bases", "counted", "n"))
        if bases and 1 - counted / bases >= RULES["note/unknown-states"].threshold:
            findings.append(
                Finding(
                    "note: unknown-states",
                    f"{100 * (1 - counted / bases):.1f} % of the bases of {split} do not count: {n:,} are N, {bases - n - counted:,} have no state.",
                    1 - counted / bases,
                )
            )
    return findings
