"""DeepSTARR from disk: small files in the layout of the published ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

import findna_bench as fb
from findna_bench.data.importing import import_suite
from findna_bench.registry import get_registry


def layout(folder: Path, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """FASTA and activities of every split, as published; the activities are returned."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    found = {}
    for split, n in sizes.items():
        sequences = ["".join(rng.choice(list("ACGT"), size=249)) for _ in range(n)]
        values = np.array([[s.count("G"), s.count("A")] for s in sequences]) / 10
        with gzip.open(folder / f"Sequences_{split}.fa.gz", "wt") as stream:
            stream.writelines(f">chr2L_{i}_+_peak\n{s}\n" for i, s in enumerate(sequences))
        header = "Dev_log2_enrichment\tHk_log2_enrichment\tDev_log2_enrichment_scaled\n"
        lines = [f"{dev}\t{hk}\t0.5\n" for dev, hk in values.tolist()]
        (folder / f"Sequences_activity_{split}.txt").write_text(header + "".join(lines))
        found[split] = values
    return found


def test_files_as_published_are_imported_and_scored(tmp_path: Path) -> None:
    values = layout(tmp_path / "files", {"Train": 120, "Val": 30, "Test": 40})
    (imported,) = import_suite("deepstarr", tmp_path / "files", tmp_path / "data").tasks
    assert (imported.outcome, imported.status) == ("imported", "partial")
    assert "train has 120 rows, 402296 are published" in imported.message
    task = fb.load_task("deepstarr/s2-activity", data_dir=tmp_path / "data")
    assert task.counts == {"train": {"rows": 120}, "validation": {"rows": 30}, "test": {"rows": 40}}
    for split, theirs in (("train", "Train"), ("validation", "Val"), ("test", "Test")):
        np.testing.assert_allclose(task.load(split).labels, values[theirs])
    (result,) = fb.run(
        ["trivial"], ["deepstarr/s2-activity"], seeds=1, data_dir=tmp_path / "data", output_dir=tmp_path / "r"
    )
    assert result.status == "success", result.error
    assert result.metrics.main.name == "pearson"
    assert "partial (190 of 484052)" in result.flags


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    layout(tmp_path / "files", {"Train": 20, "Test": 20})
    beside = tmp_path / "files" / "Sequences_activity_Test.txt"
    beside.write_text("\n".join(beside.read_text().splitlines()[:-1]) + "\n")
    (failed,) = import_suite("deepstarr", tmp_path / "files", tmp_path / "data").tasks
    assert failed.outcome == "failed"
    assert "has 20 records" in failed.message
    assert "has 19 rows" in failed.message
    beside.unlink()
    (failed,) = import_suite("deepstarr", tmp_path / "files", tmp_path / "data").tasks
    assert "Sequences_activity_Test.txt is there 0 times" in failed.message


def test_sources_that_a_program_downloads_are_files() -> None:
    """A page for people would be downloaded as HTML."""
    for card in get_registry().cards("tasks"):
        for source in card.sources:
            for url in source.url.split() if source.layout in ("files", "variants", "archive") else ():
                assert "." in url.partition("?")[0].rpartition("/")[2], (card.full_name, url)
