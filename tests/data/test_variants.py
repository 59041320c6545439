"""Variants of a genome: windows around their sites, VCF and BCF, and what is said where a row does not fit."""

from __future__ import annotations

import builtins
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.errors import DataError, ModelError
from findna_bench.matrix.verification import verify
from findna_bench.results.store import ResultStore

BASES = "ACGT"


def genome(path: Path, length: int = 400) -> str:
    sequence = "".join(np.random.default_rng(3).choice(list(BASES), size=length))
    lines = [sequence[i : i + 60] for i in range(0, length, 60)]
    with gzip.open(path, "wt") as stream:
        stream.write(">chr7 made up\n" + "\n".join(lines) + "\n")
    return sequence


def sites(sequence: str, places: list[int]) -> list[tuple[str, int, str, str, float]]:
    rows = []
    for number, place in enumerate(places):
        ref = sequence[place]
        rows.append(("7", place + 1, ref, BASES[(BASES.index(ref) + 1) % 4], float(number)))
    return rows


def table(path: Path, rows: list[tuple[Any, ...]], header: str = "chrom,pos,ref,alt,value") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def test_windows_are_centred_on_sites_and_cut_at_ends(tmp_path: Path) -> None:
    sequence = genome(tmp_path / "g.fa.gz")
    places = [100, 200, 300, 3, 399]
    file = table(tmp_path / "v.csv", [*sites(sequence, places), ("9", 5, "A", "C", 0.0)])
    task = fb.load_task(file, fasta=tmp_path / "g.fa.gz", flank=20)
    rows = task.load("test")
    assert rows.sequences == [sequence[max(0, place - 20) : place + 21] for place in places]
    assert rows.extra["offset"].tolist() == [20, 20, 20, 3, 20]
    assert rows.start is not None
    assert rows.start.tolist() == [80, 180, 280, 0, 379]
    notes = " ".join(task.notes)
    assert "2 windows that a contig's end cuts short" in notes
    assert "1 which lie in no sequence of the genome" in notes
    assert {len(s) for s in fb.load_task(file, fasta=tmp_path / "g.fa.gz").load("test").sequences} <= set(
        range(256, 401)
    )
    with pytest.raises(DataError, match="give it with --fasta"):
        fb.load_task(file)
    from_zero = table(tmp_path / "z.csv", [(c, p - 1, *rest) for c, p, *rest in sites(sequence, places[:3])])
    with pytest.raises(DataError, match="pos counts from 1"):
        fb.load_task(from_zero, fasta=tmp_path / "g.fa.gz")


def test_a_genome_s_variants_score_as_their_windows_do_and_verify_elsewhere(tmp_path: Path) -> None:
    sequence = genome(tmp_path / "g.fa.gz")
    rows = sites(sequence, list(range(60, 340, 20)))
    by_place = table(tmp_path / "v.csv", rows)
    by_window = table(
        tmp_path / "w.csv",
        [(sequence[pos - 31 : pos + 30], 30, ref, alt, value) for _, pos, ref, alt, value in rows],
        "sequence,offset,ref,alt,value",
    )
    options: dict[str, Any] = {"models": "findna-tiny", "protocol": "zero_shot", "device": "cpu"}
    (one,) = fb.run(tasks=[by_place], fasta=tmp_path / "g.fa.gz", flank=30, output_dir=tmp_path / "r", **options)
    (two,) = fb.run(tasks=[by_window], output_dir=tmp_path / "s", **options)
    found, expected = (
        ResultStore(tmp_path / folder).predictions(result).scores for folder, result in (("r", one), ("s", two))
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert one.request is not None
    assert str(tmp_path) not in one.model_dump_json()
    places = {"v.csv": by_place, "g.fa.gz": tmp_path / "g.fa.gz"}
    checked = verify(tmp_path / "r", rerun=1, places=places)
    assert not checked.findings
    assert checked.rerun == 1


VCF = """##fileformat=VCFv4.2
##contig=<ID=chr7,length=400>
##INFO=<ID=LABEL,Number=1,Type=String,Description="class">
##INFO=<ID=GENE,Number=1,Type=String,Description="gene">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""


def vcf(path: Path, sequence: str) -> Path:
    rows = sites(sequence, list(range(60, 340, 20)))
    text = "".join(
        f"chr7\t{pos}\tv{i}\t{ref}\t{alt}\t.\tPASS\tLABEL={'bad' if i % 3 else 'good'};GENE=g{i % 2}\n"
        for i, (_, pos, ref, alt, _) in enumerate(rows)
    )
    ref = sequence[350]
    several = ",".join(base for base in BASES if base != ref)
    path.write_text(f"{VCF}{text}chr7\t351\tv99\t{ref}\t{several}\t.\tPASS\tLABEL=bad;GENE=g1\n")
    return path


def test_vcf_and_bcf_hold_the_same_variants(tmp_path: Path) -> None:
    pysam = pytest.importorskip("pysam", reason="VCF files are read by pysam (findna-bench[variants])")
    sequence = genome(tmp_path / "g.fa.gz")
    plain = vcf(tmp_path / "v.vcf", sequence)
    with (
        pysam.VariantFile(str(plain)) as source,
        pysam.VariantFile(str(tmp_path / "v.bcf"), "wb", header=source.header) as out,
    ):
        for record in source:
            out.write(record)
    tasks = [fb.load_task(tmp_path / name, fasta=tmp_path / "g.fa.gz", flank=30) for name in ("v.vcf", "v.bcf")]
    for task in tasks:
        assert task.label_names == ("bad", "good")
        assert (task.card.inputs, task.card.metric, task.card.effect) == ("variant", "auroc", "negative")
        rows = task.load("test")
        assert rows.ids.tolist() == [f"v{i}" for i in range(14)]
        assert rows.extra["element"].tolist() == ["g0", "g1"] * 7
        assert "1 with several alternatives (one row each: `bcftools norm -m-`) (first: record 15)" in " ".join(
            task.notes
        )
    assert tasks[0].load("test").sequences == tasks[1].load("test").sequences


def test_without_pysam_a_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = genome(tmp_path / "g.fa.gz")
    own = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "pysam":
            raise ImportError(name)
        return own(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match=r"pip install findna-bench\[variants\]"):
        fb.load_task(vcf(tmp_path / "v.vcf", sequence), fasta=tmp_path / "g.fa.gz")


def test_labels_of_one_class_are_refused_and_names_without_rows_too(tmp_path: Path) -> None:
    sequence = genome(tmp_path / "g.fa.gz")
    rows = [(*row[:4], "bad") for row in sites(sequence, [100, 200])]
    with pytest.raises(DataError, match="all rows have label 'bad'"):
        fb.load_task(table(tmp_path / "v.csv", rows, "chrom,pos,ref,alt,label"), fasta=tmp_path / "g.fa.gz")
    same = [(*row[:3], row[2], 1.0) for row in sites(sequence, [100, 200])]
    with pytest.raises(DataError, match="none of its 2 variants can be scored: 2 whose alt is their ref"):
        fb.load_task(table(tmp_path / "w.csv", same), fasta=tmp_path / "g.fa.gz")
