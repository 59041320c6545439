"""DART-Eval from disk: small files in the layout that the authors' code writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import findna_bench as fb
from findna_bench.data.importing import import_suite
from findna_bench.data.variants import alternative
from findna_bench.results.store import ResultStore
from findna_plugins.paired_accuracy import PairedAccuracy

LENGTH = 9000
N = {"train": 8, "val": 4, "test": 4}


def random_sequences(rng: np.random.Generator, n: int, length: int) -> list[str]:
    return ["".join(rng.choice(list("ACGTN"), p=[0.24, 0.25, 0.25, 0.25, 0.01], size=length)) for _ in range(n)]


def one_hot(sequences: list[str]) -> np.ndarray:
    letters = np.array([list(sequence) for sequence in sequences])
    return (letters[:, :, None] == np.array(list("ACGT"))).astype(np.uint8)


def layout(folder: Path) -> dict[str, Any]:
    """Arrays of tasks 1, 3 and 4, tables of task 5, and their genomes; the sequences that went in."""
    h5py = pytest.importorskip("h5py", reason="HDF5 files are read by h5py (findna-bench[hdf5])")
    rng = np.random.default_rng(3)
    held: dict[str, Any] = {}

    def put(name: str, groups: dict[str, dict[str, Any]]) -> None:
        (folder / name).mkdir(parents=True)
        with h5py.File(folder / name / "data.h5", "w") as file:
            for group, arrays in groups.items():
                for key, values in arrays.items():
                    file[f"{group}/{key}"] = one_hot(values) if isinstance(values, list) else values
                    held[f"{name}/{group}/{key}"] = values

    put(
        "task_1_ccre",
        {
            split: {"seqs": random_sequences(rng, n, 350), "ctrls": random_sequences(rng, n, 350), "idxs": np.arange(n)}
            for split, n in N.items()
        },
    )
    put(
        "task_3_peak_classification",
        {split: {"seqs": random_sequences(rng, n + 1, 500), "labels": np.arange(n + 1) % 5} for split, n in N.items()},
    )
    put(
        "task_4_chromatin_activity",
        {
            f"{cell}/{split}/{peaks}": {
                "seqs": random_sequences(rng, n, 2114),
                "counts": rng.normal(size=n).astype(np.float32),
            }
            for cell in ("GM12878", "K562")
            for split, n in N.items()
            for peaks in ("peaks", "idr_peaks", "nonpeaks")
        },
    )
    middle = slice(170, 180)
    raw = random_sequences(rng, 12, 350)
    words = [["".join(rng.choice(list("ACGT"), size=10)) for _ in range(2)] for _ in range(3)]
    held["words"], held["raw"] = words, raw
    (folder / "task_2_footprinting").mkdir()
    with h5py.File(folder / "task_2_footprinting" / "data.h5", "w") as file:
        file["raw"] = one_hot(raw)[None]
        for key, side in (("positive", 0), ("shuffled", 1)):
            inserted = [[s[: middle.start] + word[side] + s[middle.stop :] for s in raw] for word in words]
            file[key] = np.stack([one_hot(rows) for rows in inserted])
    (folder / "refs").mkdir()
    for name in ("GRCh38_no_alt_analysis_set.fasta", "male.hg19.fa"):
        held[name] = "".join(rng.choice(list("ACGT"), size=LENGTH))
        (folder / "refs" / name).write_text(f">chr1\n{held[name]}\n")
    places = np.arange(12) * 500 + 1500
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    for file, genome, columns, labels in (
        (
            "Afr.CaQTLS.tsv",
            "GRCh38_no_alt_analysis_set.fasta",
            ("chr_hg38", "pos_hg38", "allele1", "allele2", "label", "IsUsed"),
            (0, 1),
        ),
        (
            "yoruban.dsqtls.benchmarking.tsv",
            "male.hg19.fa",
            ("var.chrom", "var.pos", "var.allele1", "var.allele2", "var.label", "var.isused"),
            (-1, 1),
        ),
    ):
        bases = [held[genome][place] for place in places]
        first = [base if row % 3 else other[base] for row, base in enumerate(bases)]  # every third is turned round
        second = [other[base] if row % 3 else base for row, base in enumerate(bases)]
        second[4] = first[4] = other[bases[4]]  # neither is the genome's, and both are the same
        rows = [places + 1, first, second, [labels[row % 2] for row in range(12)], [row != 7 for row in range(12)]]
        frame = pd.DataFrame({columns[0]: "chr1", **dict(zip(columns[1:], rows, strict=True))})
        if file.startswith("Afr"):
            frame["in_peaks"] = [row != 8 for row in range(12)]
        (folder / "task_5").mkdir(exist_ok=True)
        frame.to_csv(folder / "task_5" / file, sep="\t", index=False)
    return held


def test_arrays_and_tables_as_the_authors_write_them_are_imported(tmp_path: Path) -> None:
    held = layout(tmp_path / "dart")
    report = import_suite("dart-eval", tmp_path / "dart", tmp_path / "data", reference=tmp_path / "dart" / "refs")
    outcomes = {task.name.partition("/")[2]: task.outcome for task in report.tasks}
    assert [name for name, outcome in outcomes.items() if outcome == "missing"] == [
        f"accessibility_{cell}" for cell in ("H1ESC", "HEPG2", "IMR90")
    ]
    assert set(outcomes.values()) == {"imported", "missing"}
    pairs = fb.load_task("dart-eval/ccre", data_dir=tmp_path / "data").load("train")
    assert pairs.sequences == held["task_1_ccre/train/seqs"] + held["task_1_ccre/train/ctrls"]
    assert pairs.labels.tolist() == [1] * 8 + [0] * 8
    assert pairs.group is not None
    assert pairs.group[:8].tolist() == pairs.group[8:].tolist()
    peaks = fb.load_task("dart-eval/cell_type_peaks", data_dir=tmp_path / "data").load("validation")
    assert peaks.sequences == held["task_3_peak_classification/val/seqs"]
    assert peaks.labels.tolist() == [0, 1, 2, 3, 4]
    counts = fb.load_task("dart-eval/accessibility_K562", data_dir=tmp_path / "data").load("test")
    assert counts.extra["element"].tolist() == ["peaks"] * 4 + ["nonpeaks"] * 4
    np.testing.assert_allclose(
        counts.labels[:, 0],
        np.concatenate([held[f"task_4_chromatin_activity/K562/test/{of}/counts"] for of in ("peaks", "nonpeaks")]),
    )


def test_alleles_in_either_order_and_controls_of_either_number_are_read(tmp_path: Path) -> None:
    held = layout(tmp_path / "dart")
    report = import_suite("dart-eval", tmp_path / "dart", tmp_path / "data", reference=tmp_path / "dart" / "refs")
    messages = {task.name.partition("/")[2]: task.message for task in report.tasks}
    for name, genome, used in (
        ("african_caqtl", "GRCh38_no_alt_analysis_set.fasta", [0, 1, 2, 3, 5, 6, 9, 10, 11]),
        ("yoruban_dsqtl", "male.hg19.fa", [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]),
    ):
        rows = fb.load_task(f"dart-eval/{name}", data_dir=tmp_path / "data").load("test")
        places = [1500 + 500 * row for row in used]
        assert rows.extra["ref"].tolist() == [held[genome][place] for place in places]
        assert rows.sequences[0] == held[genome][1500 - 1057 : 1500 + 1058]
        assert rows.labels.tolist() == [row % 2 for row in used]
        assert "the second allele is the genome's base and taken as reference" in messages[name]
        assert "1 whose alt is their ref" in messages[name]
        assert "rows are not used, as its authors do" in messages[name]
    assert "2 of 12 rows are not used" in messages["african_caqtl"]
    assert "1 of 12 rows are not used" in messages["yoruban_dsqtl"]


def test_what_is_no_one_hot_sequence_is_refused(tmp_path: Path) -> None:
    layout(tmp_path / "dart")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "dart" / "task_1_ccre" / "data.h5", "r+") as file:
        file["val/ctrls"][2, 5] = 1
    with h5py.File(tmp_path / "dart" / "task_3_peak_classification" / "data.h5", "r+") as file:
        del file["test/labels"]
    report = import_suite("dart-eval", tmp_path / "dart", tmp_path / "data", reference=tmp_path / "dart" / "refs")
    messages = {task.name.partition("/")[2]: task.message for task in report.tasks if task.outcome == "failed"}
    assert "base 5 of row 2 of ctrls is not one of A, C, G, T or none" in messages["ccre"]
    assert "no array 'labels' among seqs" in messages["cell_type_peaks"]


def test_a_motif_and_its_shuffled_letters_are_alleles_and_the_share_of_pairs_is_the_score(tmp_path: Path) -> None:
    held = layout(tmp_path / "dart")
    report = import_suite("dart-eval", tmp_path / "dart", tmp_path / "data", reference=tmp_path / "dart" / "refs")
    (outcome,) = [task for task in report.tasks if task.name == "dart-eval/motif_insertions"]
    assert outcome.outcome == "imported", outcome.message
    rows = fb.load_task("dart-eval/motif_insertions", data_dir=tmp_path / "data").load("test")
    assert len(rows) == 3 * 12
    assert rows.labels.tolist() == [1, 1, 0, 0] * 9
    for number in range(36):
        (word, letters), raw = held["words"][number // 12], held["raw"][number % 12]
        with_word, without = (raw[:170] + text + raw[180:] for text in (word, letters))
        both = (without, with_word) if rows.labels[number] else (with_word, without)
        place, ref, alt = (
            int(rows.extra["offset"][number]),
            str(rows.extra["ref"][number]),
            str(rows.extra["alt"][number]),
        )
        assert rows.sequences[number] == both[0]
        assert both[0][:place] + alt + both[0][place + len(ref) :] == both[1]
    assert rows.extra["element"].tolist()[::12] == ["word 0", "word 1", "word 2"]
    assert rows.group is not None
    assert len(set(rows.group.tolist())) == 6
    (result,) = fb.run(
        "findna-tiny",
        "dart-eval/motif_insertions",
        protocol="zero_shot",
        data_dir=tmp_path / "data",
        device="cpu",
        output_dir=tmp_path / "r",
    )
    assert result.status == "success", result.error
    found = ResultStore(tmp_path / "r").predictions(result)
    backbone = fb.load_model("findna-tiny", device="cpu").backbone
    pairs = backbone.log_likelihoods([(s, alternative(rows, number)) for number, s in enumerate(rows.sequences)])
    right = [(alt > ref) == bool(label) for (ref, alt), label in zip(pairs, rows.labels.tolist(), strict=True)]
    assert result.metrics.main.name == "paired_accuracy"
    assert result.metrics.main.value == pytest.approx(np.mean(right))
    np.testing.assert_allclose(found.scores[:, 1], [alt - ref for ref, alt in pairs], atol=1e-4)
    assert {name: group["n"] for name, group in result.metrics.groups.items()} == dict.fromkeys(
        ("word 0", "word 1", "word 2"), 12
    )


def test_ties_count_half_in_pairs() -> None:
    outputs = np.array([[-1.0, 1.0], [1.0, -1.0], [0.0, 0.0], [2.0, -2.0]])
    metric = PairedAccuracy()
    assert metric.compute(np.array([1, 1, 1, 0]), outputs, np.ones(4)) == pytest.approx(2.5 / 4)
    assert metric.compute(np.array([1, 1, 1, 0]), outputs, np.array([3.0, 1.0, 0.0, 0.0])) == pytest.approx(0.75)
    three = np.array(
        [[0.0, 0.0, 0.0], [0.1, 0.7, 0.2], [0.1, 0.7, 0.2]]
    )  # above one of two others, above none: half and nothing
    assert metric.compute(np.array([1, 2, 0]), three, np.array([1.0, 0.0, 0.0])) == 0.5
    assert metric.compute(np.array([1, 2, 0]), three, np.array([0.0, 1.0, 1.0])) == pytest.approx(0.25)


def test_arrays_of_words_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    layout(tmp_path / "dart")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "dart" / "task_2_footprinting" / "data.h5", "r+") as file:
        file["shuffled"][1, 4] = file["positive"][1, 4]
    report = import_suite("dart-eval", tmp_path / "dart", tmp_path / "data", reference=tmp_path / "dart" / "refs")
    (failed,) = [task.message for task in report.tasks if task.outcome == "failed"]
    assert "positive and shuffled hold the same sequence in row 4 of word 1" in failed
