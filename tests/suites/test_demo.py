"""The embedded demo suite is what its cards and its manifest say, and is cut again from the real sequence by its script."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from findna_bench.data.table import SequenceTable
from findna_bench.data.task_store import read_split
from findna_bench.files import sha256_file
from findna_plugins.suites.demo import TASKS

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(str(files("findna_plugins"))) / "demo_data"
MANIFEST = json.loads((DATA / "manifest.json").read_text())
CARDS = {card.name: card for card in TASKS}


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("scripts/make_demo_suite.py")


@pytest.fixture(scope="module")
def tables() -> dict[tuple[str, str], SequenceTable]:
    return {
        (task, split): read_split(DATA / task / f"{split}.parquet") for task in CARDS for split in ("train", "test")
    }


def words(sequence: str, k: int) -> Counter[str]:
    return Counter(sequence[i : i + k] for i in range(len(sequence) - k + 1))


def pairs(table: SequenceTable) -> list[tuple[str, str]]:
    """Sequences of label 0 and 1 of each group."""
    by_group: dict[str, dict[int, str]] = {}
    assert table.group is not None
    for group, label, sequence in zip(table.group, table.labels, table.sequences, strict=True):
        by_group.setdefault(group, {})[int(label)] = sequence
    assert all(set(members) == {0, 1} for members in by_group.values())
    return [(members[0], members[1]) for members in by_group.values()]


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) <= 1_000_000
    assert sum(f["bases"] for entry in MANIFEST["tasks"].values() for f in entry["splits"].values()) <= 1_200_000


def test_files_are_those_of_the_manifest_and_of_the_cards(
    tables: dict[tuple[str, str], SequenceTable], script: ModuleType
) -> None:
    assert set(MANIFEST["tasks"]) == set(CARDS)
    for (task, split), table in tables.items():
        facts, card = MANIFEST["tasks"][task]["splits"][split], CARDS[task]
        assert sha256_file(DATA / task / f"{split}.parquet") == facts["file_sha256"]
        assert script.rows_digest(table) == facts["rows_sha256"]
        assert facts["counts"] == card.counts[split]
        if card.target == "classes":
            assert facts["counts"] == {label: int((table.labels == i).sum()) for i, label in enumerate(card.labels)}
        else:
            assert facts["counts"] == {"rows": len(table)}
        lengths = {len(sequence) for sequence in table.sequences}
        assert card.length == (min(lengths), max(lengths))
        assert len(set(table.ids)) == len(table)
        assert set("".join(table.sequences)) == set("ACGT")


def test_train_and_test_share_no_place_no_group_and_no_sequence(tables: dict[tuple[str, str], SequenceTable]) -> None:
    for task in CARDS:
        train, test = tables[task, "train"], tables[task, "test"]
        assert not set(train.group) & set(test.group)
        assert not set(train.sequences) & set(test.sequences)
        for contig in set(train.contig) & set(test.contig):
            ends, starts = train.end[train.contig == contig], test.start[test.contig == contig]
            assert ends.max() <= starts.min()


def test_no_two_human_windows_overlap_unless_they_are_one_group(tables: dict[tuple[str, str], SequenceTable]) -> None:
    human = {
        (int(start), int(end))
        for table in tables.values()
        for contig, start, end in zip(table.contig, table.start, table.end, strict=True)
        if contig == "20"
    }
    ordered = sorted(human)
    assert all(first[1] <= second[0] for first, second in pairwise(ordered))


def test_shuffles_keep_every_dinucleotide(tables: dict[tuple[str, str], SequenceTable]) -> None:
    for split in ("train", "test"):
        for real, shuffled in pairs(tables["human_vs_shuffled", split]):
            assert words(real, 2) == words(shuffled, 2)
            assert real != shuffled


def test_words_of_up_to_three_bases_do_not_tell_the_motif_order(tables: dict[tuple[str, str], SequenceTable]) -> None:
    for split in ("train", "test"):
        for one, other in pairs(tables["motif_order", split]):
            assert words(one, 3) == words(other, 3)
            assert one != other


def test_the_label_of_motif_order_is_the_order(
    tables: dict[tuple[str, str], SequenceTable], script: ModuleType
) -> None:
    first, second = script.MOTIFS["cre"], script.MOTIFS["gata"]
    table = tables["motif_order", "test"]
    gaps = []
    for row_id, label, sequence in zip(table.ids, table.labels, table.sequences, strict=True):
        gap = int(row_id.rsplit("gap", 1)[1])
        left, right = (first, second) if label == 0 else (second, first)
        at = {i for i in range(len(sequence)) if sequence.startswith(left, i)}
        assert any(sequence.startswith(right, i + len(left) + gap) for i in at)
        gaps.append(gap)
    assert 0.55 < np.mean(np.array(gaps) == 0) < 0.75
    assert max(gaps) <= script.LONGEST_GAP


def test_species_have_the_same_lengths(tables: dict[tuple[str, str], SequenceTable]) -> None:
    for split in ("train", "test"):
        table = tables["species4", split]
        lengths = [sorted(len(table.sequences[i]) for i in np.flatnonzero(table.labels == label)) for label in range(4)]
        assert lengths[0] == lengths[1] == lengths[2] == lengths[3]


def test_a_rule_that_counts_the_motifs_reaches_what_is_said_to_be_attainable(
    tables: dict[tuple[str, str], SequenceTable], script: ModuleType
) -> None:
    for split in ("train", "test"):
        table = tables["motif_dose", split]
        told = np.array(
            [
                sum(weight * text.count(script.MOTIFS[name]) for name, weight in script.DOSES.items())
                for text in table.sequences
            ]
        )
        variances = [w**2 * ((script.MOST_SITES + 1) ** 2 - 1) / 12 for w in script.DOSES.values()]
        attainable = np.sqrt(sum(variances) / (sum(variances) + script.NOISE**2))
        assert round(float(attainable), 2) == 0.93
        assert abs(np.corrcoef(told, table.labels[:, 0])[0, 1] - attainable) < 0.02


def test_variants_in_the_motif_have_partners_that_only_the_motif_tells_apart(
    tables: dict[tuple[str, str], SequenceTable], script: ModuleType
) -> None:
    for split in ("train", "test"):
        table = tables["motif_variants", split]
        offsets, refs, alts = (table.extra[name] for name in ("offset", "ref", "alt"))
        pairs_of: dict[str, set[tuple[str, str]]] = {}
        for row, text in enumerate(table.sequences):
            offset = int(offsets[row])
            assert text[offset] == refs[row] != alts[row]
            inside = any(
                text[max(0, offset - 9 + i) :].startswith(motif) for motif in script.MOTIFS.values() for i in range(10)
            )
            assert inside == bool(table.labels[row])
            assert table.group is not None
            pairs_of.setdefault(str(table.group[row]), set()).add((text[offset - 1 : offset + 2], str(alts[row])))
        assert {len(kinds) for kinds in pairs_of.values()} == {1}


@pytest.mark.shared
def test_the_script_cuts_the_same_rows_again(shared: Path, script: ModuleType, tmp_path: Path) -> None:
    for name, source in script.SOURCES.items():
        assert sha256_file(shared / "data" / source.file) == MANIFEST["sources"][name]["sha256"]
    for task, splits in script.make_suite(shared / "data", tmp_path).items():
        for split, table in splits.items():
            assert script.rows_digest(table) == MANIFEST["tasks"][task]["splits"][split]["rows_sha256"], (task, split)
            script.write_table(table, tmp_path / "again.parquet")
            assert script.rows_digest(read_split(tmp_path / "again.parquet")) == script.rows_digest(table)


@pytest.mark.shared
def test_planted_windows_differ_from_the_genome_only_at_the_motifs(
    shared: Path, script: ModuleType, tables: dict[tuple[str, str], SequenceTable], tmp_path: Path
) -> None:
    from findna_bench.sequences.fasta import Fasta

    table = tables["motif_order", "test"]
    with Fasta(shared / "data" / "human" / "GRCh37_chr20.fa.gz", tmp_path) as fasta:
        for i in range(50):
            real = fasta.fetch("chr20", int(table.start[i]), int(table.end[i]))
            changed = [a != b for a, b in zip(real, table.sequences[i], strict=True)]
            assert 0 < sum(changed) <= sum(map(len, script.MOTIFS.values()))
