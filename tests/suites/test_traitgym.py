"""TraitGym from disk: small files in the layout of the published ones, windows cut from a small genome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import findna_bench as fb
from findna_bench.data.importing import import_suite
from findna_bench.data.reference import check_assembly
from findna_bench.data.task import open_task
from findna_bench.errors import DataError

BASES = "ACGT"
LENGTH = 4000


def genome(path: Path, contigs: tuple[str, ...] = ("1", "2"), length: int = LENGTH) -> dict[str, str]:
    generator = np.random.default_rng(8)
    found = {name: "".join(generator.choice(list(BASES), size=length)) for name in contigs}
    path.write_text("".join(f">chr{name}\n{sequence}\n" for name, sequence in found.items()))
    return found


def variants(sequences: dict[str, str], per_set: int = 5, n_sets: int = 4, step: int = 40) -> pd.DataFrame:
    """Matched sets on each chromosome: one causal variant and its controls."""
    rows: list[dict[str, Any]] = []
    for chrom, sequence in sequences.items():
        for number in range(n_sets):
            for member in range(per_set):
                place = 300 + (number * per_set + member) * step
                ref = sequence[place]
                rows.append(
                    {
                        "chrom": chrom,
                        "pos": place + 1,
                        "ref": ref,
                        "alt": BASES[(BASES.index(ref) + 1 + member % 3) % 4],
                        "label": member == 0,
                        "tss_dist": 100 * member,
                        "match_group": f"{chrom}_{number}",
                        "OMIM": None,
                    }
                )
    return pd.DataFrame(rows)


def layout(folder: Path, frame: pd.DataFrame) -> Path:
    for name in ("mendelian_traits_matched_9", "complex_traits_matched_9"):
        (folder / name / "subset").mkdir(parents=True)
        frame.to_parquet(folder / name / "test.parquet")
        frame[["chrom", "pos"]].to_parquet(folder / name / "subset" / "all.parquet")
    return folder


def test_files_as_published_are_imported_and_scored_by_chromosome(tmp_path: Path) -> None:
    sequences = genome(tmp_path / "hg38.fa")
    frame = variants(sequences)
    report = import_suite(
        "traitgym", layout(tmp_path / "hub", frame), tmp_path / "data", reference=tmp_path / "hg38.fa"
    )
    assert {task.outcome for task in report.tasks} == {"imported"}
    assert "test has 40 rows, 3380 are published" in report.tasks[0].message
    task = fb.load_task("traitgym/mendelian_traits", data_dir=tmp_path / "data")
    rows = task.load("test")
    assert task.counts == {"test": {"control": 32, "causal": 8}}
    assert rows.sequences[0] == sequences["1"][300 - 256 : 300 + 257]
    assert rows.extra["offset"].tolist() == [256] * 40
    assert rows.group is not None
    assert len(set(rows.group)) == 8
    results = fb.run(
        ["variant-substitution", "variant-tss-distance"],
        ["traitgym/complex_traits"],
        protocol="zero_shot",
        data_dir=tmp_path / "data",
        output_dir=tmp_path / "r",
    )
    for result in results:
        assert result.status == "success", result.error
        assert result.metrics.main.name == "auprc"
        assert result.metrics.grouping["all"] == "groups"
        assert result.metrics.grouping["weights"] == "rows"
        assert set(result.metrics.groups) == {"1", "2"}
        assert {part["n"] for part in result.metrics.groups.values()} == {20}


def test_what_does_not_fit_is_left_out_counted_and_told(tmp_path: Path) -> None:
    sequences = genome(tmp_path / "hg38.fa")
    frame = variants(sequences)
    frame.loc[3, "ref"] = next(b for b in BASES if b not in (frame.loc[3, "ref"], frame.loc[3, "alt"]))
    frame.loc[4, "alt"] = frame.loc[4, "ref"]
    frame.loc[5, "pos"] = LENGTH + 7
    frame.loc[6, "pos"], frame.loc[6, "ref"], frame.loc[6, "alt"] = (
        1,
        sequences["1"][0],
        "A" if sequences["1"][0] != "A" else "C",
    )
    hub = layout(tmp_path / "hub", frame)
    report = import_suite("traitgym", hub, tmp_path / "data", reference=tmp_path / "hg38.fa")
    (message,) = {task.message.partition("; test has")[0] for task in report.tasks}
    assert "3 of 40 variants are left out" in message
    for why in ("1 whose ref is not", "1 whose alt is their ref", "1 which lie in no sequence of the genome"):
        assert why in message
    assert "1 windows that a contig's end cuts short" in report.tasks[0].message
    assert str(tmp_path) not in message
    assert report.tasks[0].rows == {"test": 37}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.rename(columns={"alt": "other"}), "no column alt among"),
        (lambda frame: frame.assign(label="maybe"), "label 'maybe' is none of 0, 1, false, true"),
        (lambda frame: frame.assign(pos=frame["pos"] - 1), "pos counts from 1"),
    ],
    ids=["column", "label", "positions from 0"],
)
def test_another_layout_is_refused_in_a_sentence(change: Any, words: str, tmp_path: Path) -> None:
    frame = change(variants(genome(tmp_path / "hg38.fa")))
    report = import_suite(
        "traitgym", layout(tmp_path / "hub", frame), tmp_path / "data", reference=tmp_path / "hg38.fa"
    )
    assert all(words in task.message for task in report.tasks), report.tasks


def test_the_genome_has_to_be_there_and_of_the_assembly(tmp_path: Path) -> None:
    hub = layout(tmp_path / "hub", variants(genome(tmp_path / "hg19.fa")))
    report = import_suite("traitgym", hub, tmp_path / "data")
    assert "give that genome with --reference" in report.tasks[0].message
    report = import_suite("traitgym", hub, tmp_path / "data", reference=tmp_path / "hg19.fa")
    assert "needs one FASTA whose name holds 'GRCh38'" in report.tasks[0].message
    card = fb.registry.get_registry().resolve("tasks", "traitgym/complex_traits").card
    check_assembly(card, tmp_path / "x.fa", {"chr20": 64_444_167})
    with pytest.raises(DataError, match=r"chr20 has 63,025,520 bases, as in GRCh37; .* are those of GRCh38"):
        check_assembly(card, tmp_path / "x.fa", {"chr20": 63_025_520})


def test_matched_sets_stay_whole_where_chromosomes_are_left_out(tmp_path: Path) -> None:
    sequences = genome(tmp_path / "hg38.fa", ("1", "2", "3"), length=40_000)
    frame = variants(sequences, per_set=2, n_sets=32, step=600)
    frame = frame.drop(index=frame.index[(frame["chrom"] == "3") & (frame["match_group"] > "3_1")])
    import_suite("traitgym", layout(tmp_path / "hub", frame), tmp_path / "data", reference=tmp_path / "hg38.fa")
    held_out = open_task("traitgym/mendelian_traits", data_dir=tmp_path / "data", split="chromosome:2")
    assert set(held_out.load("test").extra["element"]) == {"2"}
    assert set(held_out.load("train").extra["element"]) == {"1", "3"}
    every = open_task("traitgym/mendelian_traits", data_dir=tmp_path / "data", split="chromosome:*")
    assert [fold.split_name for fold in every.folds] == ["chromosome:1", "chromosome:2"]
    assert "fewer than 30 independent groups" in every.left_out["3"]
