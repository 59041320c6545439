"""Reports of states per base, variants, pairs and rare labels: every count, control and sentence against plain loops over rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from drawn_sequences import made

import findna_bench as fb
from findna_bench.auditing import shortcuts
from findna_bench.auditing.audit_report import AuditReport, PerClass
from findna_bench.auditing.auditing import audit_tables
from findna_bench.auditing.balanced import (
    Gain,
    balanced_left_out,
    balanced_lookup,
    balanced_trees,
    gain_of,
    significant,
)
from findna_bench.errors import DataError, UnsupportedError
from findna_bench.relatedness.composition import composition
from findna_bench.relatedness.similarity import SequenceIndex
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.sequences.letter_case import lower_case
from findna_bench.statistics.base_states import NO_STATE

SPLITS = ("train", "validation", "test")


def canonical(text: str) -> str:
    return min(text, reverse_complement(text))


def plain(found: PerClass | None) -> dict[str, int]:
    assert found is not None
    return {name: entry.rows for name, entry in found.per_class.items()} | {"total": found.total}


def counted(mask: list[bool], labels: np.ndarray, names: tuple[str, ...]) -> dict[str, int]:
    return {name: sum(m and y == i for m, y in zip(mask, labels, strict=True)) for i, name in enumerate(names)} | {
        "total": sum(mask)
    }


def told(gains: dict[Any, Gain], rule: str, least: float, looks: int = 1) -> list[Any]:
    """What one rule tells, the best first."""
    shown = [key for key in significant(gains, 3.0, looks) if key[0] == rule and gains[key].value >= least]
    return sorted(shown, key=lambda key: -gains[key].value)


# ------------------------------------------------------------------------------------------------------- states per base

STATES = fb.TaskCard(name="states", suite="lab", labels=("E", "I", "r"), target="per_base", metric="base_mcc")


def with_states(seed: int) -> dict[str, fb.SequenceTable]:
    """Rows of 30 to 39 bases whose states follow from the letter, mostly; N, bases without a state, lower case, rows found again."""
    generator, found = np.random.default_rng(seed), {}
    for number, split in enumerate(SPLITS):
        n = 40 - 5 * number
        rows = [made(1, 30 + i % 10, generator)[0] for i in range(n)]
        states = np.full((n, 39), NO_STATE, dtype=np.uint8)
        for i, row in enumerate(rows):
            follows = ["ACGT".index(base) % 3 for base in row]
            states[i, : len(row)] = np.where(
                generator.random(len(row)) < 0.8, follows, generator.integers(3, size=len(row))
            )
            states[i, 3 : 3 + i % 4] = NO_STATE
            if i % 6 == 5:
                rows[i] = row[:4] + "N" * 3 + row[7:]
                states[i, 4:7] = NO_STATE
        if number:
            first = found["train"]
            for i, same in enumerate((True, True, False)):
                rows[i], states[i] = first.sequences[i], first.labels[i]
                if not same:
                    states[i, 20] = (states[i, 20] + 1) % 3
            turned = first.sequences[13]
            rows[3] = reverse_complement(turned)
            states[3] = NO_STATE
            states[3, : len(turned)] = first.labels[13, : len(turned)][::-1]
            rows[5] = rows[4]
            states[5] = states[4]
            states[5, 25] = NO_STATE
        lower = lower_case([r[:8].lower() + r[8:] if i % 2 else r for i, r in enumerate(rows)])
        found[split] = fb.SequenceTable(rows, states, np.array([f"{split}{i}" for i in range(n)]), lower=lower)
    return found


def of_rows(table: fb.SequenceTable) -> list[list[int]]:
    return [table.labels[i, : len(text)].tolist() for i, text in enumerate(table.sequences)]


def differ(text: str, mine: list[int], other: str, theirs: list[int]) -> bool:
    """Whether two rows of one sequence, on either strand, have another state somewhere."""
    if canonical(text) != canonical(other):
        return False
    theirs = theirs if text == other else theirs[::-1]
    return any(a != b and NO_STATE not in (a, b) for a, b in zip(mine, theirs, strict=True))


@pytest.fixture(scope="module")
def of_states() -> tuple[dict[str, fb.SequenceTable], AuditReport]:
    tables = with_states(0)
    return tables, audit_tables(tables, STATES, status="complete")


def test_states_are_counted_base_by_base(of_states: tuple[dict[str, fb.SequenceTable], AuditReport]) -> None:
    tables, report = of_states
    assert (report.task, report.labels, report.metric, report.status) == (
        "lab/states",
        STATES.labels,
        "base_mcc",
        "complete",
    )
    assert report.settings["states_per_base"] == {"scored": 300_000, "correction": "holm"}
    for split, table in tables.items():
        rows, summary = of_rows(table), report.splits[split]
        known = sum(state != NO_STATE for row in rows for state in row)
        bases, n = sum(map(len, table.sequences)), sum(text.count("N") for text in table.sequences)
        details = summary.details
        assert (details["bases"], details["counted"], details["n"], details["unknown"]) == (
            bases,
            known,
            n,
            bases - n - known,
        )
        for state, name in enumerate(STATES.labels):
            runs: list[int] = []
            gc, lower = [], 0
            for i, row in enumerate(rows):
                length = 0
                for mine in [*row, None]:
                    if mine == state:
                        length += 1
                    elif length:
                        runs.append(length)
                        length = 0
                at = [j for j, mine in enumerate(row) if mine == state]
                if at:
                    gc.append(sum(table.sequences[i][j] in "GC" for j in at) / len(at))
                    lower += sum(j < 8 for j in at) if i % 2 else 0
            entry, of = summary.classes[name], details["states"][name]
            total = sum(row.count(state) for row in rows)
            holders = [i for i, row in enumerate(rows) if state in row]
            assert (of["bases"], of["runs"], of["run_length"]["max"]) == (total, len(runs), max(runs))
            assert of["run_length"]["mean"] == pytest.approx(np.mean(runs))
            assert (entry.rows, entry.fraction, entry.lower_mean) == pytest.approx(
                (len(holders), total / known, lower / total)
            )
            assert entry.gc is not None
            assert entry.gc.mean == pytest.approx(np.mean(gc))
            assert entry.rows_with_n == sum("N" in table.sequences[i] for i in holders)
            assert entry.n_mean == pytest.approx(
                np.mean([table.sequences[i].count("N") / len(table.sequences[i]) for i in holders])
            )
        texts = table.sequences
        within = [
            any(i != j and differ(texts[i], rows[i], texts[j], rows[j]) for j in range(len(rows)))
            for i in range(len(rows))
        ]
        assert summary.conflicting is not None
        assert summary.conflicting.total == sum(within)
        assert summary.exact is not None
        assert summary.exact.total == sum(texts.count(text) > 1 for text in texts)


def test_rows_with_states_are_found_again_by_row(of_states: tuple[dict[str, fb.SequenceTable], AuditReport]) -> None:
    tables, report = of_states
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        earlier, later = tables[a], tables[b]
        cross = report.across[f"{a}->{b}"]
        exact = [text in earlier.sequences for text in later.sequences]
        known = {canonical(text) for text in earlier.sequences}
        others = list(zip(earlier.sequences, of_rows(earlier), strict=True))
        rows = list(zip(later.sequences, of_rows(later), strict=True))
        conflicting = [any(differ(*mine, *other) for other in others) for mine in rows]
        masks = {
            "exact": exact,
            "reverse_complement": [
                canonical(t) in known and not e for t, e in zip(later.sequences, exact, strict=True)
            ],
            "conflicting": conflicting,
        }
        for name, mask in masks.items():
            holders = {
                state: sum(m and i in row for m, (_, row) in zip(mask, rows, strict=True))
                for i, state in enumerate(STATES.labels)
            }
            assert plain(getattr(cross, name)) == holders | {"total": sum(mask)}, name
        assert (cross.near_conflicting, cross.overlap_conflicting) == (None, None)
    assert report.across["train->test"].conflicting.total == 1  # type: ignore[union-attr]


def test_rules_on_bases_are_look_ups_of_letters(of_states: tuple[dict[str, fb.SequenceTable], AuditReport]) -> None:
    tables, report = of_states
    columns: dict[str, dict[str, np.ndarray]] = {}
    for split in ("train", "test"):
        kept: dict[str, list[Any]] = {name: [] for name in ("state", "row", "place", "letter", "context", "low")}
        for i, (text, states) in enumerate(zip(tables[split].sequences, of_rows(tables[split]), strict=True)):
            around = f"-{text}-"
            for j, state in enumerate(states):
                if state != NO_STATE:
                    values = (state, i, (j, len(text) - 1 - j), text[j], around[j : j + 3], i % 2 == 1 and j < 8)
                    for name, value in zip(kept, values, strict=True):
                        kept[name].append(value)
        columns[split] = {name: np.array(values) for name, values in kept.items()}
    train, test = columns["train"], columns["test"]
    predicted = {
        "place-trees": balanced_trees(train["place"].astype(float), train["state"], test["place"].astype(float)),
        "letter": balanced_lookup(train["letter"], train["state"], test["letter"], 3),
        "trinucleotide": balanced_lookup(train["context"], train["state"], test["context"], 3),
        "base-case": balanced_lookup(train["low"], train["state"], test["low"], 3),
        "majority": np.full(len(test["state"]), int(np.bincount(train["state"]).argmax())),
    }
    assert set(report.controls) == set(predicted)
    for name, labels in predicted.items():
        assert report.controls[name].accuracy == pytest.approx((labels == test["state"]).mean()), name
        assert report.controls[name].details == ({} if name == "majority" else {"states": "weighted alike"})
    gains = {
        (rule, state): gain_of(test["state"] == state, labels == state, clusters=test["row"])
        for rule, labels in predicted.items()
        if rule != "majority"
        for state in range(3)
    }
    best = max(("letter", "trinucleotide"), key=lambda rule: max(gains[rule, state].value for state in range(3)))
    (finding,) = [one for one in report.verdict.findings if one.rule_id == "note/composition"]
    keys = told(gains, best, 0.10)
    words = ", ".join(
        f"{STATES.labels[s]} from the other states in {100 * gains[best, s].score:.1f} % of test bases" for _, s in keys
    )
    what = {"letter": "The letter of the base", "trinucleotide": "The base and its two neighbours"}[best]
    assert finding.text == (
        f"{what} alone tells {words} (mean recall of both sides; chance 50); a model's score is to be read above that."
    )
    assert (finding.number, finding.interval) == (gains[keys[0]].value, gains[keys[0]].interval)
    assert not {"shortcut: position", "shortcut: case"} & set(report.flags)
    assert {"leak: duplicates", "conflicting-labels"} <= set(report.flags)
    (leak,) = [one for one in report.verdict.findings if one.flag == "leak: duplicates"]
    held = {row.id: row.label for row in leak.examples}
    for name, label in held.items():
        states = set(of_rows(tables["test"])[int(name.removeprefix("test"))])
        assert label == ", ".join(state for i, state in enumerate(STATES.labels) if i in states)


def test_states_by_place_and_by_case_are_said_with_their_recall() -> None:
    generator = np.random.default_rng(1)
    by_place, by_case = {}, {}
    for split in ("train", "test"):
        rows = made(60, 30, generator)
        states = np.where(np.arange(30) < 10, 1, 0).astype(np.uint8)[None].repeat(60, 0)
        noise = generator.integers(2, size=(60, 30)).astype(np.uint8)
        lower = lower_case(
            [
                "".join(b.lower() if s else b for b, s in zip(r, n, strict=True))
                for r, n in zip(rows, noise, strict=True)
            ]
        )
        by_place[split] = fb.SequenceTable(rows, states, np.arange(60))
        by_case[split] = fb.SequenceTable(rows, noise, np.arange(60), lower=lower)
    card = fb.TaskCard(name="two", suite="lab", labels=("out", "in"), target="per_base", metric="base_mcc")
    for tables, flag, words in (
        (by_place, "shortcut: position", "The place in the row alone (bases from its start and to its end) tells"),
        (by_case, "shortcut: case", "Upper and lower case of the file alone tell"),
    ):
        report = audit_tables(tables, card)
        assert report.flags == (flag,)
        (finding,) = report.verdict.findings
        assert (
            finding.text
            == f"{words} in from the other states in 100.0 % of test bases (mean recall of both sides; chance 50)."
        )
        assert finding.number == 0.5
    assert "base-case" not in audit_tables(by_place, card).controls


def test_states_that_a_split_lacks_and_bases_that_do_not_count_are_told_with_their_numbers() -> None:
    generator = np.random.default_rng(2)
    tables = {}
    for split in ("train", "test"):
        states = generator.integers(3, size=(40, 50)).astype(np.uint8)
        if split == "test":
            states[states == 2] = 0
            states[:, 25:] = NO_STATE
        rows = [text[:45] + "N" * 5 if split == "test" else text for text in made(40, 50, generator)]
        tables[split] = fb.SequenceTable(rows, states, np.arange(40))
    findings = {one.flag: one for one in audit_tables(tables, STATES).verdict.findings}
    missing, unknown = findings["note: missing-state"], findings["note: unknown-states"]
    assert missing.text == "No base of test has state r; scores that count states alike leave it out."
    assert missing.number == pytest.approx(1 / 3)
    assert unknown.text == "50.0 % of the bases of test do not count: 200 are N, 800 have no state."
    assert unknown.number == 0.5
    tables["test"].labels[0, 25] = 1
    assert "note: unknown-states" not in audit_tables(tables, STATES).flags


# --------------------------------------------------------------------------------------------------------------- variants

VARIANTS = fb.TaskCard(name="v", suite="lab", labels=("benign", "harmful"), inputs="variant")


def with_variants(seed: int, *, located: bool, elements: bool = True) -> dict[str, fb.SequenceTable]:
    """Variants of all kinds in overlapping windows; labels go by element; some stand in several splits."""
    generator = np.random.default_rng(seed)
    genome = made(1, 2000, generator)[0]
    found = {}
    for number, split in enumerate(SPLITS):
        n = 120 - 20 * number
        window = generator.integers(12, size=n) + 6 * number
        start = 60 * window
        sequences = [genome[s : s + 70] for s in start.tolist()]
        if number == 1:
            sequences = [text[:-4] + "NNNN" if i % 5 == 0 else text for i, text in enumerate(sequences)]
        offset = generator.integers(70, size=n)
        offset[:4] = 0, 69, 1, 68
        ref = np.array([s[o] for s, o in zip(sequences, offset, strict=True)], dtype=object)
        alt = np.array([generator.choice([b for b in "ACGT" if b != r]) for r in ref], dtype=object)
        for row in range(5, n, 9):
            offset[row] = 30
            kind = row % 4
            ref[row] = sequences[row][30 : 30 + (3, 1, 2, 2)[kind]]
            alt[row] = ref[row][0] + ("", "ACG", "G", "A")[kind] if kind < 2 else "TC"[: 2 - (kind == 3)]
        labels = (generator.random(n) < np.where(window % 3 == 0, 0.9, 0.2)).astype(np.int64)
        extra = {"offset": offset, "ref": ref, "alt": alt}
        if elements:
            extra["element"] = np.array([f"e{w}" for w in window])
        place: dict[str, Any] = {}
        if located:
            place = {"contig": np.where(window % 2, "1", "2").astype(object), "start": start, "end": start + 70}
        found[split] = fb.SequenceTable(
            sequences, labels, np.array([f"{split}{i}" for i in range(n)]), extra=extra, **place
        )
    return found


def substitution(text: str, offset: int, ref: str, alt: str) -> str:
    if len(ref) > 1 or len(alt) > 1:
        return f"={len(ref)}" if len(ref) == len(alt) else f"{len(alt) - len(ref):+d}"
    padded = f"N{text}N"
    return f"{padded[offset]}{ref}{padded[offset + 2]}>{alt}"


@pytest.mark.parametrize("located", [False, True])
@pytest.mark.parametrize("elements", [False, True])
def test_variants_are_counted_one_by_one(located: bool, elements: bool) -> None:
    tables = with_variants(0, located=located, elements=elements)
    report = audit_tables(tables, VARIANTS)
    known: dict[str, list[Any]] = {}
    for split, table in tables.items():
        offset, ref, alt = (table.extra[name].tolist() for name in ("offset", "ref", "alt"))
        kinds = [substitution(*one) for one in zip(table.sequences, offset, ref, alt, strict=True)]
        if located:
            sites: list[Any] = [(c, int(s) + o) for c, s, o in zip(table.contig, table.start, offset, strict=True)]  # type: ignore[arg-type]
        else:
            sites = [
                (t[max(0, o - 20) : o].rjust(20), t[o : o + 21].ljust(21))
                for t, o in zip(table.sequences, offset, strict=True)
            ]
        single = [len(kind) == 5 for kind in kinds]
        groups = table.extra["element"].tolist() if elements else table.contig.tolist() if located else []  # type: ignore[union-attr]
        details = report.splits[split].details
        assert {name: details[name] for name in details if name != "by_group"} == {
            "sites": len(set(sites)),
            "windows": len(set(table.sequences)),
            "elements": len(set(groups)) if elements else None,
            "substitutions": sum(single),
            "insertions_or_deletions": len(kinds) - sum(single),
            "cpg": sum(s and (k[1:3] == "CG" or k[:2] == "CG") for k, s in zip(kinds, single, strict=True)),
            "n_beside": sum(s and "N" in k[:3] for k, s in zip(kinds, single, strict=True)),
        }
        assert details["by_group"] == {
            name: {
                "rows": n,
                "classes": {c: sum(g == name and y == i for g, y in zip(groups, table.labels, strict=True)) for i, c in enumerate(VARIANTS.labels)},
            }
            for name, n in Counter(groups).items()
        }  # fmt: skip
        variants = list(zip(sites, ref, alt, strict=True))
        summary = report.splits[split]
        assert plain(summary.exact) == counted([variants.count(v) > 1 for v in variants], table.labels, VARIANTS.labels)
        own = list(zip(variants, table.labels.tolist(), strict=True))
        assert plain(summary.conflicting) == counted([(v, 1 - y) in own for v, y in own], table.labels, VARIANTS.labels)
        known[split] = [sites, variants, groups, kinds]
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        (sites, variants, groups, _), (my_sites, my_variants, my_groups, _) = known[a], known[b]
        first, second = tables[a], tables[b]
        labelled = set(zip(variants, first.labels.tolist(), strict=True))
        masks = {
            "exact": [v in variants for v in my_variants],
            "same_site": [s in sites for s in my_sites],
            "conflicting": [(v, 1 - y) in labelled for v, y in zip(my_variants, second.labels.tolist(), strict=True)],
        }
        if elements:
            masks["shared_element"] = [g in groups for g in my_groups]
        if located:
            shared = [
                max(
                    (
                        min(int(e), int(f)) - max(int(s), int(t))
                        for c, s, e in zip(first.contig, first.start, first.end, strict=True)
                        if c == d
                    ),  # type: ignore[arg-type]
                    default=0,
                )
                for d, t, f in zip(second.contig, second.start, second.end, strict=True)  # type: ignore[arg-type]
            ]
            masks |= {"overlap_any": [n > 0 for n in shared], "overlap_half": [n >= 35 for n in shared]}
        else:
            theirs, mine = sorted(set(first.sequences)), sorted(set(second.sequences))
            hits = SequenceIndex(theirs).nearest(mine)
            copied = {text for text, j in zip(mine, hits.copy.tolist(), strict=True) if j >= 0 or text in theirs}
            masks["copies"] = [text in copied for text in second.sequences]
        touched = [any(mask[i] for name, mask in masks.items() if name != "conflicting") for i in range(len(second))]
        masks["untouched"] = [not one for one in touched]
        cross = report.across[f"{a}->{b}"]
        for name, mask in masks.items():
            assert plain(getattr(cross, name)) == counted(mask, second.labels, VARIANTS.labels), name
    train, test = tables["train"], tables["test"]
    keys = {"substitution": 3} | ({"group": 2} if elements or located else {})
    for rule, column in keys.items():
        labels = balanced_lookup(np.array(known["train"][column]), train.labels, np.array(known["test"][column]), 2)
        assert report.controls[rule].accuracy == pytest.approx((labels == test.labels).mean()), rule
    features = [
        np.array(
            [(o, len(t) - 1 - o) for t, o in zip(table.sequences, table.extra["offset"], strict=True)], dtype=float
        )
        for table in (train, test)
    ]
    assert report.controls["place"].accuracy == pytest.approx(
        (balanced_trees(features[0], train.labels, features[1]) == test.labels).mean()
    )
    made_of = [composition(table.sequences) for table in (train, test)]
    columns = [np.column_stack([one.gc, one.dinucleotides]) for one in made_of]
    labels = balanced_trees(columns[0], train.labels, columns[1])
    assert report.controls["composition"].accuracy == pytest.approx((labels == test.labels).mean())
    assert set(report.controls) == {*keys, "place", "composition", "length", "majority"}
    assert report.controls["place"].details == {"classes": "weighted alike"}
    assert report.settings["variants"] == {
        "group": "element" if elements else "chromosome", "site": "coordinates" if located else 20, "notes": [],
    }  # fmt: skip
    assert report.verdict.looked_at == (
        "120 variants of train",
        "100 variants of validation",
        "80 variants of test",
        "sites by coordinates" if located else "sites by the 20 bases on either side",
    )
    assert report.route == ("sequences and coordinates" if located else "sequences")
    alone = audit_tables({"test": test}, VARIANTS)
    for rule, column in keys.items():
        labels = balanced_left_out(np.array(known["test"][column]), test.labels, 2)
        assert alone.controls[rule].accuracy == pytest.approx((labels == test.labels).mean())
    assert set(alone.controls) == {*keys, "majority"}


def test_what_a_rule_on_variants_tells_is_said_with_its_recall() -> None:
    tables = with_variants(3, located=False)
    for table in tables.values():  # elements of the first one, whose rates train knows
        table.extra["element"] = np.array([f"e{int(name[1:]) % 6}" for name in table.extra["element"]])
    report = audit_tables({split: tables[split] for split in ("train", "test")}, VARIANTS)
    train, test = tables["train"], tables["test"]
    labels = balanced_lookup(train.extra["element"], train.labels, test.extra["element"], 2)
    gain = gain_of(test.labels == 1, labels == 1)
    (finding,) = [one for one in report.verdict.findings if one.rule_id == "shortcut/group"]
    assert finding.text == (
        f"The class rate of its group (element) tells harmful in {100 * gain.score:.1f} % of variants from all others (mean recall of both "
        "sides; chance 50)."
    )
    assert (finding.number, finding.interval) == (gain.value, gain.interval)


def test_examples_of_variants_show_the_change_between_its_neighbours() -> None:
    window = "ACGTACGTACGTACGTACGTACGTACGTAC"
    sequences, offsets = [window] * 3, np.array([14, 2, 28])
    refs, alts = np.array(["GTA", "G", "A"], dtype=object), np.array(["C", "T", "T"], dtype=object)
    extra = {"offset": offsets, "ref": refs, "alt": alts}
    place = {"contig": np.array(["1"] * 3, dtype=object), "start": np.full(3, 100), "end": np.full(3, 130)}
    tables = {
        split: fb.SequenceTable(
            sequences, np.array([0, 1, 1]), np.array([f"{split}{i}" for i in range(3)]), extra=extra, **place
        )  # type: ignore[arg-type]
        for split in ("train", "test")
    }
    (finding,) = [one for one in audit_tables(tables, VARIANTS).verdict.findings if one.rule_id == "leak/duplicates"]
    assert [(e.id, e.sequence, e.at, e.label) for e in finding.examples] == [
        ("test0", "GTACGTACGTAC[GTA/C]CGTACGTACGTA", "1:114-115", "benign"),
        ("test1", "AC[G/T]TACGTACGTACG", "1:102-103", "harmful"),
        ("test2", "ACGTACGTACGT[A/T]C", "1:128-129", "harmful"),
    ]


# ------------------------------------------------------------------------------------------------------------------ pairs


def with_pairs(seed: int) -> dict[str, fb.SequenceTable]:
    generator, found = np.random.default_rng(seed), {}
    for number, split in enumerate(SPLITS):
        n = 60 - 10 * number
        a, b = made(n, 40, generator), made(n, 50, generator)
        labels = generator.integers(2, size=n)
        if number:
            first = found["train"]
            for i in range(3):
                a[i], b[i] = first.sequences[i], first.sequences_b[i]
            for i in range(3, 6):
                a[i], b[i] = reverse_complement(first.sequences[i]), reverse_complement(first.sequences_b[i])
            for i in range(6, 9):
                a[i], b[i] = first.sequences_b[i], first.sequences[i]
            for i in range(9, 15):
                b[i] = reverse_complement(first.sequences[i])
            a[15] = first.sequences[15][:20] + "ACGT"["CGTA".index(first.sequences[15][20])] + first.sequences[15][21:]
            a[16] = "N" * 40
        a[n - 1] = "N" * 40
        a[n - 2], b[n - 2] = b[n - 3], a[n - 3]
        b[4] = "NN" + b[4][2:-3] + "NNN"
        extra = {
            "distance": np.where(np.arange(n) % 7, generator.integers(100, 9000, n).astype(float), np.nan),
            "strand": np.where(np.arange(n) % 3, "+", "-"),
        }
        found[split] = fb.SequenceTable(
            a, labels, np.array([f"{split}{i}" for i in range(n)]), sequences_b=b, extra=extra
        )
    return found


@pytest.mark.parametrize("combination", ["concat", "absdiff_product"])
def test_pairs_are_found_again_side_by_side(combination: str) -> None:
    tables = with_pairs(0)
    card = fb.TaskCard(name="p", suite="lab", labels=("far", "near"), inputs="pair", combination=combination)
    report = audit_tables(tables, card)
    ordered = bool(report.settings["pairs"]["ordered"])
    assert report.settings["pairs"]["combination"] == card.combination

    def keys(table: fb.SequenceTable, either: bool) -> list[tuple[str, ...]]:
        rows = [tuple(canonical(s) if either else s for s in row) for row in table.texts]
        return rows if ordered else [tuple(sorted(row)) for row in rows]

    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        first, second = tables[a], tables[b]
        exact = [key in keys(first, False) for key in keys(second, False)]
        either = [key in keys(first, True) for key in keys(second, True)]
        labelled = set(zip(keys(first, True), first.labels.tolist(), strict=True))
        known = {canonical(side) for row in first.texts for side in row if set(side) != {"N"}}
        asked = {canonical(side) for row in second.texts for side in row if set(side) != {"N"}}
        hits = SequenceIndex(sorted(known)).nearest(sorted(asked))
        copied = {side for side, j in zip(sorted(asked), hits.copy.tolist(), strict=True) if j >= 0}
        shared = [any(canonical(side) in known for side in row) for row in second.texts]
        related = [
            s or any(canonical(side) in copied for side in row) for s, row in zip(shared, second.texts, strict=True)
        ]
        masks = {
            "exact": exact,
            "reverse_complement": [e and not x for e, x in zip(either, exact, strict=True)],
            "conflicting": [
                (k, 1 - y) in labelled for k, y in zip(keys(second, True), second.labels.tolist(), strict=True)
            ],
            "shared_side": shared,
            "related_side": related,
            "untouched": [not r and not e for r, e in zip(related, either, strict=True)],
        }
        for name, mask in masks.items():
            assert plain(getattr(report.across[f"{a}->{b}"], name)) == counted(mask, second.labels, card.labels), name
    for split, table in tables.items():
        own = keys(table, False)
        assert plain(report.splits[split].exact) == counted(
            [own.count(key) > 1 for key in own], table.labels, card.labels
        )
    train, test = tables["train"], tables["test"]

    def lengths(table: fb.SequenceTable) -> np.ndarray:
        return np.array([[v for s in row for v in (len(s), s.count("N"), len(s) - len(s.lstrip("N")), len(s) - len(s.rstrip("N")))] for row in table.texts], dtype=float)  # fmt: skip

    def distances(table: fb.SequenceTable) -> np.ndarray:
        strand = table.extra["strand"]
        return np.column_stack([table.extra["distance"], strand == "+", strand == "-"]).astype(float)

    def made_of(table: fb.SequenceTable) -> np.ndarray:
        sides = [composition([row[i] for row in table.texts]) for i in (0, 1)]
        return np.column_stack([column for one in sides for column in (one.gc, one.n, one.dinucleotides)])

    predicted = {
        name: shortcuts.boosted_trees(of(train), train.labels, of(test))
        for name, of in (("length-trees", lengths), ("distance-trees", distances), ("composition-trees", made_of))
    }
    for number, side in enumerate("ab"):
        one, other = ([row[number] for row in table.texts] for table in (train, test))
        predicted[f"side-{side}"] = shortcuts.kmer_regression(one, train.labels, other)
    rate = [float((train.labels == c).mean()) for c in (0, 1)]
    votes = []
    for row in test.texts:
        score = [0.0, 0.0]
        for side in row:
            seen = [
                int(y)
                for other, y in zip(train.texts, train.labels, strict=True)
                if canonical(side) in map(canonical, other)
            ]
            for c in (0, 1):
                score[c] += (seen.count(c) + rate[c]) / (len(seen) + 1)
        votes.append(int(np.argmax(score)))
    predicted["shared-side"] = np.array(votes)
    predicted["majority"] = np.full(len(test), int(np.bincount(train.labels).argmax()))
    assert set(report.controls) == set(predicted)
    for name, labels in predicted.items():
        assert report.controls[name].accuracy == pytest.approx((labels == test.labels).mean()), name
    assert report.verdict.looked_at == (
        "60 pairs of train",
        "50 pairs of validation",
        "40 pairs of test",
        "sequences of both sides, on either strand",
    )
    (leak,) = [one for one in report.verdict.findings if one.rule_id == "leak/shared-side"]
    row = int(leak.examples[0].id.removeprefix("test"))
    assert leak.examples[0].sequence == f"{test.texts[row][0][:18]} | {test.texts[row][1][:18]}"
    assert leak.examples[0].length == 90


# ------------------------------------------------------------------------------------------------------------- of outputs


def test_rules_on_a_rare_label_are_said_with_their_recall() -> None:
    card = fb.TaskCard(
        name="labels", suite="lab", labels=("rare", "same", "half"), target="labels", metric="auroc_macro"
    )
    generator, tables = np.random.default_rng(0), {}
    for split in ("train", "test"):
        truth = np.zeros((400, 3), dtype=np.int8)
        truth[:16, 0], truth[:, 2] = 1, generator.integers(2, size=400)
        sequences = [text[:52] if y else text for text, y in zip(made(400, 60, generator), truth[:, 0], strict=True)]
        tables[split] = fb.SequenceTable(sequences, truth, np.array([f"{split}{i}" for i in range(400)]))
    report = audit_tables(tables, card)
    rare = report.outputs["rare"]
    recall = rare.controls["length-balanced"].recall
    assert set(recall) == {"without rare", "rare"}
    score = 50 * (recall["without rare"] + recall["rare"])  # type: ignore[operator]
    (finding,) = [one for one in rare.verdict.findings if one.flag == "shortcut: length"]
    text = f"Length alone tells rare from without rare in {score:.1f} % of test rows (mean recall of both sides; chance 50)."
    assert finding.text == text
    assert finding.number == pytest.approx(score / 100 - 0.5)
    assert [one.text for one in report.verdict.findings if one.flag == "shortcut: length"] == [f"rare: {text}"]
    assert list(report.outputs) == ["rare", "half"]
    assert report.verdict.sentences[0].startswith("rare: shortcut. ")
    assert report.verdict.sentences[1].startswith("half: clean. ")
    assert report.verdict.sentences[2] == "same: not audited, its rows are all alike."
    assert (report.labels, report.metric, report.verdict.level) == (card.labels, "auroc_macro", "shortcut")
    assert {name for name in rare.controls if name.endswith("-balanced")} == {
        "length-balanced", "composition-balanced", "ends-balanced", "middle-balanced",
    }  # fmt: skip
    assert not any(name.endswith("-balanced") for name in report.outputs["half"].controls)


def test_numbers_are_cut_at_the_median_of_train_and_unknown_labels_are_left_out() -> None:
    generator = np.random.default_rng(1)
    values = {"train": np.arange(60.0)[:, None] / 7, "test": np.arange(20.0)[:, None]}
    tables = {split: fb.SequenceTable(made(len(v), 60, generator), v, np.arange(len(v))) for split, v in values.items()}
    card = fb.TaskCard(name="v", suite="lab", labels=("dose",), target="values", metric="spearman")
    report = audit_tables(tables, card)
    assert report.labels == ("dose up to 4.214", "dose above 4.214")
    assert {name: entry.rows for name, entry in report.splits["test"].classes.items()} == {
        "dose up to 4.214": 5,
        "dose above 4.214": 15,
    }
    truth = np.tile(np.array([[0, 1], [1, -1], [-1, 0], [1, 1]], dtype=np.int8), (20, 1))
    labels = fb.TaskCard(name="l", suite="lab", labels=("a", "b"), target="labels", metric="auroc_macro")
    marked = {split: fb.SequenceTable(made(80, 60, generator), truth, np.arange(80)) for split in ("train", "test")}
    report = audit_tables(marked, labels)
    assert {name: part.splits["test"].rows for name, part in report.outputs.items()} == {"a": 60, "b": 60}
    assert {n: e.rows for n, e in report.outputs["b"].splits["test"].classes.items()} == {"without b": 20, "b": 40}
    same = {
        split: fb.SequenceTable(made(8, 60, generator), np.ones((8, 1)), np.arange(8)) for split in ("train", "test")
    }
    with pytest.raises(UnsupportedError) as alike:
        audit_tables(same, card)
    assert str(alike.value) == "task lab/v: its train rows are all alike, so that there is nothing to audit"


@pytest.mark.parametrize("kind", ["rows", "states", "pairs", "variants"])
def test_an_empty_split_of_any_kind_is_refused_in_a_sentence(kind: str) -> None:
    whole = {
        "rows": fb.SequenceTable(["ACGT"], np.array([0]), np.arange(1)),
        "states": with_states(0)["train"],
        "pairs": with_pairs(0)["train"],
        "variants": with_variants(0, located=False)["train"],
    }[kind]
    with pytest.raises(DataError) as refused:
        audit_tables({"train": whole, "test": whole.take([])}, STATES)
    assert str(refused.value) == "task lab/states: nothing to audit, a split is absent or empty; import the task again"
