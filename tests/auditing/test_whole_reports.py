"""Every count and control of a report, of rows among which something of everything is planted, against plain loops over rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from drawn_sequences import made

from findna_bench.auditing import AuditReport, audit_tables, shortcuts
from findna_bench.auditing.audit_report import CrossSplit, PerClass
from findna_bench.auditing.positional import Layout, PlacedRows, find_site, logistic
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.relatedness.composition import composition, dinucleotide_keys
from findna_bench.relatedness.diverged_copies import diverged_copies
from findna_bench.relatedness.overlaps import largest_overlaps
from findna_bench.relatedness.rows import rows_from_table
from findna_bench.relatedness.similarity import SequenceIndex
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.sequences.letter_case import case_features, lower_case
from findna_bench.sequences.shuffling import dinucleotide_shuffle

CARD = TaskCard(name="planted", suite="made-up", labels=("far", "near"), known_shortcuts=("a",))


def substituted(sequence: str, share: float, generator: np.random.Generator) -> str:
    out = list(sequence)
    for place in generator.choice(len(out), round(share * len(out)), replace=False):
        out[place] = "ACGT"["CGTA".index(out[place])]
    return "".join(out)


def planted(coordinates: str, seed: int = 0) -> dict[str, SequenceTable]:
    """Three splits with rows of earlier ones in many forms. coordinates: of "all", "some" or "no" rows."""
    generator = np.random.default_rng(seed)
    train = made(80, 90, generator)
    train[71:73] = [train[70], reverse_complement(train[70])]
    train[73] = dinucleotide_shuffle(train[74], generator)
    repeat = made(1, 60, generator)[0]
    for row in range(40, 60):
        train[row] = train[row][:30] + substituted(repeat, 0.02, generator)

    def later(n: int, first: int) -> list[str]:
        rows = made(n, 100, generator)
        rows[0:3] = train[first : first + 3]
        rows[3:5] = map(reverse_complement, train[first + 3 : first + 5])
        rows[5] = substituted(train[first + 5], 0.04, generator)
        rows[6] = reverse_complement(substituted(train[first + 6], 0.04, generator))
        rows[7] = dinucleotide_shuffle(train[first + 7], generator)
        rows[8] = substituted(train[first + 8], 0.18, generator)
        rows[9] = substituted(repeat, 0.02, generator) + rows[9][60:]
        rows[10] = rows[11] = train[70]
        rows[12] = rows[13][:50] + rows[13][50:].replace("A", "N")
        return rows

    texts = {"train": train, "validation": later(30, 0), "test": later(40, 12)}
    texts["test"][14], texts["test"][15] = texts["validation"][20], texts["test"][16]
    found = {}
    for number, (split, rows) in enumerate(texts.items()):
        n = len(rows)
        more: dict[str, Any] = {
            "lower": lower_case([r[:10].lower() + r[10:] if i % 3 == 0 else r for i, r in enumerate(rows)])
        }
        if coordinates != "no":
            start = generator.integers(0, 40_000, n) if number else np.arange(n) * 500
            for row in range(0, n, 4) if number else ():
                start[row] = 500 * (row + 20) + int(generator.choice([-99, -60, 0, 30, 95, 110]))
            contig = np.full(n, "1", dtype=object)
            contig[::7] = "2"
            if coordinates == "some":
                contig[::3] = ""
            more |= {"contig": contig, "start": start, "end": start + np.array([len(r) for r in rows])}
        ids = np.array([f"{split}{i}" for i in range(n)])
        found[split] = SequenceTable(rows, generator.integers(2, size=n), ids, **more)
    return found


def canonical(text: str) -> str:
    return min(text, reverse_complement(text))


class Pair:
    """A later split against an earlier one."""

    def __init__(self, earlier: SequenceTable, later: SequenceTable, of_test: bool) -> None:
        self.earlier, self.later = earlier, later
        known = [canonical(text) for text in earlier.sequences]
        rows, others = rows_from_table(later), rows_from_table(earlier)
        n = len(later)
        hits = SequenceIndex(earlier.sequences).nearest(later.sequences)
        keys = dinucleotide_keys(earlier.sequences), dinucleotide_keys(later.sequences)
        located, there = others.located, rows.located
        overlaps = largest_overlaps(rows, others)
        self.hits, self.overlaps = hits, overlaps
        self.twin, self.shuffle, self.apart = [-1] * n, [-1] * n, [False] * n
        masks: dict[str, list[bool]] = {}

        def apart(i: int, j: int) -> bool:
            if j < 0 or not there[i] or not located[j]:
                return False
            (contig, start, end), (other, begin, stop) = rows.coordinates, others.coordinates
            return bool(contig[i] != other[j] or min(end[i], stop[j]) <= max(start[i], begin[j]))

        exact = [text in set(earlier.sequences) for text in later.sequences]
        identical = [canonical(text) in set(known) for text in later.sequences]
        for i, text in enumerate(later.sequences):
            same = [j for j, other in enumerate(known) if other == canonical(text)]
            self.twin[i] = min(same, key=lambda j: (located[j], j), default=-1)
            shuffles = [
                j for j in range(len(earlier)) if keys[0][j] == keys[1][i] != b"" and known[j] != canonical(text)
            ]
            self.shuffle[i] = min(shuffles, default=-1)
            original = self.twin[i] if identical[i] else hits.copy[i] if hits.copy[i] >= 0 else hits.target[i]
            self.apart[i] = apart(i, int(original))
        low = [-1] * n
        if of_test:
            close = [hits.similar[i] or hits.copy[i] >= 0 or identical[i] for i in range(n)]
            found = diverged_copies(later.sequences, earlier.sequences, np.flatnonzero(~np.array(close)))
            for i, j in zip(found.rows.tolist(), found.target.tolist(), strict=True):
                low[i] = j
            masks["diverged_copies"] = [low[i] >= 0 and not apart(i, low[i]) for i in range(n)]
        self.low = low
        labels, own = earlier.labels, later.labels
        copied = [identical[i] or hits.copy[i] >= 0 for i in range(n)]
        masks["exact"] = exact
        masks["reverse_complement"] = [identical[i] and not exact[i] for i in range(n)]
        masks["near"] = [bool(hits.similar[i]) and not identical[i] for i in range(n)]
        masks["near_reverse"] = [masks["near"][i] and bool(hits.reverse[i]) for i in range(n)]
        masks["similar"] = [bool(hits.similar[i]) or identical[i] for i in range(n)]
        masks["copies"] = [copied[i] and not self.apart[i] for i in range(n)]
        masks["repeats"] = [masks["similar"][i] and not masks["copies"][i] for i in range(n)]
        masks["conflicting"] = [
            any(k == canonical(text) and labels[j] != own[i] for j, k in enumerate(known))
            for i, text in enumerate(later.sequences)
        ]
        masks["near_conflicting"] = [masks["near"][i] and labels[hits.target[i]] != own[i] for i in range(n)]
        masks["same_composition"] = [j >= 0 for j in self.shuffle]
        masks["same_composition_conflicting"] = [j >= 0 and labels[j] != own[i] for i, j in enumerate(self.shuffle)]
        touched = [
            masks["similar"][i] or self.shuffle[i] >= 0 or masks.get("diverged_copies", [False] * n)[i]
            for i in range(n)
        ]
        if located.any() and there.any():
            masks["identical_elsewhere"] = [identical[i] and self.apart[i] for i in range(n)]
            masks["copies_elsewhere"] = [copied[i] and self.apart[i] for i in range(n)]
            some = overlaps.target >= 0
            masks["overlap_any"] = some.tolist()
            masks["overlap_half"] = (overlaps.fraction >= 0.5).tolist()
            masks["overlap_conflicting"] = [bool(some[i]) and labels[overlaps.target[i]] != own[i] for i in range(n)]
            if located.all() and there.all():
                masks["near_elsewhere"] = [masks["near"][i] and not some[i] for i in range(n)]
            touched = [touched[i] or bool(some[i]) for i in range(n)]
        masks["untouched"] = [not mine for mine in touched]
        self.masks = masks


def counted(mask: Sequence[bool], labels: np.ndarray, names: Sequence[str] = CARD.labels) -> dict[str, Any]:
    rows = {
        name: sum(bool(m) and label == i for m, label in zip(mask, labels, strict=True)) for i, name in enumerate(names)
    }
    return {
        name: (n, pytest.approx(n / (labels == i).sum()) if (labels == i).any() else 0.0)
        for i, (name, n) in enumerate(rows.items())
    } | {"total": sum(map(bool, mask))}


def plain(found: PerClass) -> dict[str, Any]:
    return {name: (entry.rows, entry.fraction) for name, entry in found.per_class.items()} | {"total": found.total}


def measures(cross: CrossSplit) -> dict[str, PerClass]:
    return {name: value for name, value in vars(cross).items() if isinstance(value, PerClass)}


@pytest.fixture(scope="module", params=["all", "some", "no"])
def audited(
    request: pytest.FixtureRequest,
) -> tuple[str, dict[str, SequenceTable], AuditReport, dict[tuple[str, str], Pair]]:
    tables = planted(request.param)
    splits = [("train", "validation"), ("train", "test"), ("validation", "test")]
    pairs = {(a, b): Pair(tables[a], tables[b], (a, b) == ("train", "test")) for a, b in splits}
    return request.param, tables, audit_tables(tables, CARD, status="partial"), pairs


Audited = tuple[str, dict[str, SequenceTable], AuditReport, dict[tuple[str, str], Pair]]


def test_rows_that_are_found_again_are_counted_per_class(audited: Audited) -> None:
    coordinates, tables, report, pairs = audited
    assert list(report.across) == ["train->validation", "train->test", "validation->test"]
    for (a, b), pair in pairs.items():
        found = {name: plain(value) for name, value in measures(report.across[f"{a}->{b}"]).items()}
        assert found == {name: counted(mask, tables[b].labels) for name, mask in pair.masks.items()}
    there = ["exact", "reverse_complement", "near", "near_reverse", "conflicting", "same_composition"]
    there += ["copies", "diverged_copies", "repeats"] if coordinates == "no" else ["overlap_any", "overlap_half"]
    there += ["identical_elsewhere", "copies_elsewhere"] if coordinates != "no" else []
    assert all(0 < sum(pairs["train", "test"].masks[name]) < 40 for name in there)


def test_rows_that_stand_twice_in_a_split_are_counted(audited: Audited) -> None:
    _, tables, report, _ = audited
    for split, table in tables.items():
        texts, known = table.sequences, [canonical(text) for text in table.sequences]
        keys, n = dinucleotide_keys(texts), len(table)
        exact = [texts.count(text) > 1 for text in texts]
        made_of = [
            next((j for j in range(n) if keys[j] == keys[i] != b"" and known[j] != known[i]), -1) for i in range(n)
        ]
        summary = report.splits[split]
        expected = {
            "exact": exact,
            "reverse_complement": [known.count(text) > 1 and not exact[i] for i, text in enumerate(known)],
            "conflicting": [
                any(k == known[i] and table.labels[j] != table.labels[i] for j, k in enumerate(known)) for i in range(n)
            ],
            "shuffles": [j >= 0 and table.labels[j] != table.labels[i] for i, j in enumerate(made_of)],
        }
        assert {name: plain(getattr(summary, name)) for name in expected} == {
            name: counted(mask, table.labels) for name, mask in expected.items()
        }
        sizes = Counter(Counter(known).values())
        assert summary.families == {"1": sizes[1], "2": sizes[2], "3-9": sum(sizes[i] for i in range(3, 10)), "10+": 0}
        assert summary.rows == n
        for label, name in enumerate(CARD.labels):
            mine = [text for text, y in zip(texts, table.labels, strict=True) if y == label]
            entry = summary.classes[name]
            lower = [0 if i % 3 else 10 / len(texts[i]) for i in range(n) if table.labels[i] == label]
            assert (entry.rows, entry.fraction, entry.lower_mean) == pytest.approx(
                (len(mine), len(mine) / n, np.mean(lower))
            )
            assert entry.length is not None
            assert entry.length.mean == np.mean([len(text) for text in mine])


def test_controls_are_those_of_rows_found_one_by_one(audited: Audited) -> None:
    coordinates, tables, report, pairs = audited
    train, test, pair = tables["train"], tables["test"], pairs["train", "test"]
    own = SequenceIndex(train.sequences).nearest(train.sequences, own_row=np.arange(80))
    rows = rows_from_table(train)
    every = np.arange(80)
    neighbours = {"similar": (np.where(pair.hits.similar, pair.hits.target, -1), np.where(own.similar, own.target, -1))}
    order = ["similar"]
    if coordinates != "no":
        among = largest_overlaps(rows, rows, same=True)
        for name, least in (("overlap-any", 0.0), ("overlap-half", 0.5)):
            neighbours[name] = tuple(np.where(o.fraction >= least, o.target, -1) for o in (pair.overlaps, among))  # type: ignore[assignment]
        order = ["overlap-any", "similar"]
    neighbours["nn-overlap"] = tuple(  # type: ignore[assignment]
        np.array(
            [
                next((c for c in column if c >= 0), -1)
                for column in zip(*(neighbours[name][side] for name in order), strict=True)
            ]
        )
        for side in (0, 1)
    )
    predicted: dict[str, tuple[np.ndarray, dict[str, object]]] = {}
    for name, (mine, probe) in neighbours.items():
        labels, fallback = shortcuts.neighbour_rule(mine, train.labels, every, probe, 2)
        predicted[name] = (
            labels,
            {"fallback": CARD.labels[fallback], "test_rows_with_neighbour": int((mine >= 0).sum())},
        )
    mine, probe = neighbours["nn-overlap"]
    predicted["nn-relation"] = shortcuts.neighbour_relation(mine, train.labels, every, probe, 2), {}
    shuffle = np.array(pair.shuffle)
    keys, known = dinucleotide_keys(train.sequences), [canonical(text) for text in train.sequences]
    within = [next((j for j in range(80) if keys[j] == keys[i] and known[j] != known[i]), -1) for i in range(80)]
    predicted["same-composition"] = (
        shortcuts.neighbour_relation(shuffle, train.labels, every, np.array(within), 2),
        {"test_rows_with_neighbour": int((shuffle >= 0).sum())},
    )
    most = int(np.bincount(train.labels).argmax())
    predicted["majority"] = np.full(40, most), {"class": CARD.labels[most]}
    lengths = [np.array([len(text) for text in table.sequences]) for table in (train, test)]
    predicted["length-lookup"] = (
        shortcuts.length_lookup(lengths[0], train.labels, lengths[1], 2),
        {"lengths_in_train": len(set(lengths[0].tolist()))},
    )
    predicted["length-linear"] = shortcuts.length_regression(lengths[0], train.labels, lengths[1]), {}
    predicted["length-trees"] = (
        shortcuts.boosted_trees(lengths[0][:, None] * 1.0, train.labels, lengths[1][:, None] * 1.0),
        {},
    )
    features = []
    for table, n in zip((train, test), lengths, strict=True):
        of = composition(table.sequences)
        features.append(np.column_stack([n, of.gc, of.n, of.dinucleotides]))
    predicted["composition-trees"] = shortcuts.boosted_trees(features[0], train.labels, features[1]), {}
    kmers = shortcuts.kmer_regression(train.sequences, train.labels, test.sequences)
    predicted["kmer"] = kmers, {"k": 5}
    case = [case_features(table.lower, n) for table, n in zip((train, test), lengths, strict=True)]  # type: ignore[arg-type]
    predicted["case"] = shortcuts.boosted_trees(case[0], train.labels, case[1]), {}
    placed = [PlacedRows(table.sequences, table.labels) for table in (train, test)]
    layout = Layout.of(*placed)
    for name, of_rows in (("position", PlacedRows.wide), ("ends", PlacedRows.ends), ("middle", PlacedRows.middle), ("position-rotated", PlacedRows.rotated)):  # fmt: skip
        codes = [of_rows(one, layout) for one in placed]
        predicted[name] = logistic(codes[0], train.labels, codes[1]), {"bases": codes[0].shape[1]}
    if (predicted["position"][0] == test.labels).mean() <= (most == test.labels).mean():
        del predicted["position-rotated"]
    site = find_site(placed[0], layout, 2)
    if site is not None:
        predicted["site"] = (
            site.predict(placed[1]),
            {"word": site.longer, "at": site.where, "class": CARD.labels[site.label]},
        )
    assert set(report.controls) == set(predicted)
    for name, (labels, details) in predicted.items():
        assert report.controls[name].accuracy == (labels == test.labels).mean(), name
        assert report.controls[name].details == details, name
        assert report.controls[name].right.tolist() == (labels == test.labels).tolist()  # type: ignore[union-attr]
    matched, right = pair.hits.matches / lengths[1], kmers == test.labels
    edges = [(-1.0, 0.0), (0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 0.9), (0.9, 1.0)]
    assert [(b.low, b.high) for b in report.similarity_bins] == [(0.0, 0.0), *edges[1:]]
    for (low, high), one in zip(edges, report.similarity_bins, strict=True):
        inside = [i for i in range(40) if low < matched[i] <= high]
        assert one.total == len(inside)
        assert one.rows == {name: sum(test.labels[i] == c for i in inside) for c, name in enumerate(CARD.labels)}
        assert one.accuracy == (pytest.approx(np.mean(right[inside])) if inside else None)
        for c, name in enumerate(CARD.labels):
            of_class = [bool(right[i]) for i in inside if test.labels[i] == c]
            assert one.recall[name] == (pytest.approx(np.mean(of_class)) if of_class else None)


def test_neighbours_and_examples_are_the_rows_that_were_found(audited: Audited) -> None:
    coordinates, tables, report, pairs = audited
    pair = pairs["train", "test"]
    masks = {**pair.masks, "identical": np.logical_or(pair.masks["exact"], pair.masks["reverse_complement"])}
    near = [twin if twin >= 0 else int(pair.hits.target[i]) for i, twin in enumerate(pair.twin)]
    counterparts = {
        "identical": pair.twin,
        "copy": [twin if twin >= 0 else int(pair.hits.copy[i]) for i, twin in enumerate(pair.twin)],
        "diverged copy": pair.low,
        "repeat": near,
        "overlap by half or more": pair.overlaps.target.tolist(),
        "overlap": pair.overlaps.target.tolist(),
        "same dinucleotide counts": pair.shuffle,
    }
    measure = {
        "identical": "identical", "copy": "copies", "diverged copy": "diverged_copies", "repeat": "repeats",
        "overlap by half or more": "overlap_half", "overlap": "overlap_any", "same dinucleotide counts": "same_composition",
    }  # fmt: skip
    kinds = {one.kind for one in report.neighbours}
    assert kinds >= ({"identical", "copy", "diverged copy"} if coordinates == "no" else {"identical", "overlap"})
    shown = set()
    for one in report.neighbours:
        row = int(one.row.id.removeprefix("test"))
        assert masks[measure[one.kind]][row]
        assert one.row.counterpart is not None
        assert one.row.counterpart.id == f"train{counterparts[one.kind][row]}"
        assert one.row.label == CARD.labels[tables["test"].labels[row]]
        assert row not in shown
        shown.add(row)
    for finding in report.verdict.findings:
        if finding.rule_id == "conflicting-labels":
            for example in finding.examples:
                assert example.counterpart is not None
                other = int(example.counterpart.id.removeprefix("train"))
                assert canonical(tables["train"].sequences[other]).startswith(
                    canonical(tables["train"].sequences[other])[:5]
                )
                assert example.label != example.counterpart.label
        if finding.rule_id == "note/duplicates":
            for example in finding.examples:
                assert example.counterpart is not None
                assert example.counterpart.split == example.split
                assert example.counterpart.id != example.id
                texts = [
                    tables[e.split].sequences[int(e.id.removeprefix(e.split))] for e in (example, example.counterpart)
                ]
                assert canonical(texts[0]) == canonical(texts[1])


def test_a_report_says_what_it_rests_on(audited: Audited) -> None:
    coordinates, tables, report, _ = audited
    located = {name: int(rows_from_table(table).located.sum()) for name, table in tables.items()}
    places = ", ".join(f"{located[name]} of {len(table)} rows of {name}" for name, table in tables.items())
    n_low = int((~_close(tables)).sum())
    assert report.verdict.looked_at == (
        "80 rows of train",
        "30 rows of validation",
        "40 rows of test (data: partial)",
        "sequences of train, validation, test, on either strand",
        "no coordinates" if coordinates == "no" else f"coordinates of {places}",
        "letter case of train, validation, test",
        f"copies at low identity of {n_low} rows of test that have no closer relative",
    )
    assert report.route == ("sequences" if coordinates == "no" else "sequences and coordinates")
    assert (report.task, report.labels, report.metric, report.status) == (
        "made-up/planted",
        CARD.labels,
        CARD.metric,
        "partial",
    )
    assert (report.known_shortcuts, report.derived_from) == (("a",), "")
    assert set(report.histograms) == {"length", "gc"}
    settings = report.settings
    assert settings["seeds"] == {"train": {"k": 11, "window": 2}, "validation": {"k": 11, "window": 2}}
    assert settings["probe_rows"] == 4000
    assert settings["similar"] == {"identity": 0.9, "coverage": 0.5, "min_columns": 32}
    assert settings["copy"] == {
        "full": 0.9, "end_to_end": 0.9, "shifted_identity": 0.97, "unique": 0.25, "few": 10, "same": 0.99, "alike_identity": 0.95, "alike": 0.8,
    }  # fmt: skip
    assert settings["diverged_copies"] == {
        "identity": 0.77, "full": 0.9, "slack": 0.05, "few": 3, "least_length": 60, "rows": n_low, "background": 0.0,
    }  # fmt: skip


def _close(tables: dict[str, SequenceTable]) -> np.ndarray:
    hits = SequenceIndex(tables["train"].sequences).nearest(tables["test"].sequences)
    known = {canonical(text) for text in tables["train"].sequences}
    return hits.similar | (hits.copy >= 0) | np.array([canonical(text) in known for text in tables["test"].sequences])


def test_without_case_and_without_sequences_it_is_said() -> None:
    tables = planted("all")
    upper = {split: SequenceTable(t.sequences, t.labels, t.ids) for split, t in tables.items()}
    report = audit_tables(upper, CARD)
    assert report.verdict.looked_at[4:6] == (
        "no coordinates",
        "no letter case: all letters are upper case, or it is not known",
    )
    assert report.verdict.looked_at[2] == "40 rows of test"
    assert "case" not in report.controls
