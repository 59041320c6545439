"""Import of upstream layouts: what is there, what is refused, what is kept."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from toy import LABELS, N, card, csv_text, rows, write_csvs, write_folders, zip_bytes

from findna_bench.cards import TaskCard
from findna_bench.data.catalog import TaskRef, task_folder, task_status
from findna_bench.data.importing import TaskImport, import_suite, import_tasks
from findna_bench.data.task import Task, open_task
from findna_bench.errors import DataError, UnsupportedError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data root"


def take(path: Path, root: Path, task: TaskCard | None = None) -> TaskImport:
    return import_tasks([task or card()], path, root)[0]


def opened(root: Path, task: TaskCard | None = None) -> Task:
    task = task or card()
    return open_task(TaskRef(task.full_name, card=task), data_dir=root)


def expect_rows(task: Task) -> None:
    for split in N:
        table = task.load(split)
        assert table.sequences == [sequence for _, _, sequence in rows(split)]
        assert [LABELS[i] for i in table.labels] == [label for _, label, _ in rows(split)]
        assert len(set(table.ids.tolist())) == len(table)


def _zip(tmp_path: Path, name: str, prefix: str = "") -> Path:
    (tmp_path / name).write_bytes(zip_bytes(prefix))
    return tmp_path / name


def _parquet(folder: Path, names: list[str] | None, shards: bool) -> Path:
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    for split in N:
        order = names or list(LABELS)
        table = pa.table(
            {
                "seq": [sequence for _, _, sequence in rows(split)],
                "label": [order.index(label) for _, label, _ in rows(split)],
            }
        )
        if names:
            features = {"seq": {"dtype": "string"}, "label": {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata(
                {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
            )
        parts = [table.slice(0, 3), table.slice(3)] if shards else [table]
        for i, part in enumerate(parts):
            path = (
                folder / split / f"{i:04d}.parquet"
                if shards
                else folder / "data" / f"{split}-00000-of-00001-ab12.parquet"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(part, path)
    return folder


LAYOUTS = {
    "folders": lambda tmp: write_folders(tmp / "toy_enhancers"),
    "folders below another": lambda tmp: write_folders(tmp / "x" / "toy_enhancers_v0").parent,
    "zip": lambda tmp: _zip(tmp, "toy_enhancers_v0.zip"),
    "zip, one level deeper": lambda tmp: _zip(tmp, "toy_enhancers.zip", "toy_enhancers/"),
    "zip in a folder": lambda tmp: _zip(tmp, "toy_enhancers_v0.zip", "toy_enhancers/").parent,
    "csv": lambda tmp: write_csvs(tmp / "toy_enhancers"),
    "csv.gz, hub name": lambda tmp: write_csvs(tmp / "ORG_toy_enhancers", packed=True).parent,
    "parquet of the hub": lambda tmp: _parquet(tmp / "toy_enhancers", None, shards=False),
    "parquet whose own class numbers run the other way": lambda tmp: _parquet(
        tmp / "toy_enhancers", ["positive", "negative"], shards=True
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_upstream_layout_gives_the_same_rows(layout: str, tmp_path: Path, root: Path) -> None:
    result = take(LAYOUTS[layout](tmp_path), root)
    assert (result.outcome, result.status, result.message) == ("imported", "complete", "")
    expect_rows(opened(root))


def test_suffixed_file_names_and_both_label_columns(tmp_path: Path, root: Path) -> None:
    """``NAME_test.csv.gz`` and rows with class names, numbers and coordinates."""
    lines = ["sequence,label,class,id,region_grch38,start,end,strand"]
    for i, (_, label, sequence) in enumerate(rows("test")):
        lines.append(f"{sequence},{LABELS.index(label)},{label},{i % 4},chr{i},10,{10 + len(sequence)},{'+-'[i % 2]}")
    (tmp_path / "toy_enhancers_test.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    result = take(tmp_path, root)
    assert (result.status, result.rows) == ("partial", {"test": N["test"]})
    table = opened(root).load("test")
    assert table.contig is not None
    assert table.contig[:3].tolist() == ["0", "1", "2"]
    assert table.ids[:2].tolist() == ["negative/0", "negative/1"]  # ids repeat between classes
    assert table.strand is not None
    assert set(table.strand.tolist()) == {"+", "-"}


def test_disagreeing_label_columns_name_the_row(tmp_path: Path, root: Path) -> None:
    folder = tmp_path / "toy_enhancers"
    folder.mkdir()
    (folder / "train.csv").write_text("seq,label,class\nACGT,0,negative\nACGT,0,positive\n")
    result = take(folder, root)
    assert result.outcome == "failed"
    assert "row 3 (the header is row 1)" in result.message
    assert "positive" in result.message


BAD_ROWS = {
    "a row without label": ("sequence,label\nACGT,0\nACGT,\n", "row 3 (the header is row 1): the row has no label"),
    "a letter that is not DNA": (
        "sequence,label\nACGT,0\nACGT,1\nACJT,1\n",
        "row 4 (the header is row 1): position 3 is 'J'",
    ),
    "an empty sequence": ("sequence,label\n,0\n", "row 2 (the header is row 1): the row has no sequence"),
    "a label not in the card": (
        "sequence,label\nACGT,2\n",
        "row 2 (the header is row 1): label '2' is not in the card's labels",
    ),
    "a row too short": ("sequence,label\nACGT\n", "row 2 (the header is row 1): 1 fields where the header has 2"),
    "an empty file": ("", "is empty"),
    "a header only": ("sequence,label\n", "has a header and no rows"),
    "no label column": ("sequence,lab\nACGT,1\n", "no column label or class among sequence, lab; rename one"),
    "no sequence column": ("dna,label\nACGT,1\n", "no column sequence, seq, text among dna, label"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_refused_by_file_and_row(case: str, tmp_path: Path, root: Path) -> None:
    text, expected = BAD_ROWS[case]
    folder = tmp_path / "toy_enhancers"
    folder.mkdir()
    (folder / "train.csv").write_text(text)
    (folder / "test.csv").write_text(csv_text("test"))
    result = take(folder, root)
    assert result.outcome == "failed"
    assert expected in result.message
    assert "toy_enhancers/train.csv" in result.message
    assert task_status(card(), root) == "missing"


def test_bad_text_file_in_an_archive_is_named(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "toy_enhancers.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train/positive/7.txt", "ACGT!")
    result = take(path, root)
    assert "train/positive/7.txt: position 5 is '!'" in result.message


def _damaged_archives(tmp: Path) -> dict[str, tuple[Path, str]]:
    whole = zip_bytes()
    out = {}

    def put(name: str, content: bytes) -> Path:
        folder = tmp / name.replace(" ", "_")
        folder.mkdir()
        path = folder / "toy_enhancers.zip"
        path.write_bytes(content)
        return path

    out["truncated"] = (put("truncated", whole[: len(whole) // 2]), "damaged or truncated")
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    out["a flipped byte"] = (put("flipped", bytes(flipped)), "damaged")
    for name, member in {
        "parent": "../evil.txt",
        "absolute": "/etc/evil.txt",
        "backslash": "a\\..\\..\\evil.txt",
    }.items():
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(member, "ACGT")
        out[name] = (put(name, stream.getvalue()), "points outside")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("train/positive/1.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    out["link"] = (put("link", stream.getvalue()), "link")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/positive/1.txt", b"A" * (80 << 20))
    out["bomb"] = (put("bomb", stream.getvalue()), "would unpack")
    return out


def test_damaged_and_unsafe_zips_are_refused(tmp_path: Path, root: Path) -> None:
    for case, (path, expected) in _damaged_archives(tmp_path).items():
        for source in (path, path.parent):
            try:
                message = take(source, root).message
            except DataError as error:
                message = str(error)
            assert expected in message, case
        assert task_status(card(), root) == "missing", case
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("member", ["../evil.txt", "/abs/evil.txt", "link"])
def test_unsafe_tars_are_refused_and_whole_ones_read(member: str, tmp_path: Path, root: Path) -> None:
    write_folders(tmp_path / "in" / "toy_enhancers")
    path = tmp_path / "toys.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "in" / "toy_enhancers", arcname="toy_enhancers")
    assert take(path, root).status == "complete"
    expect_rows(opened(root))
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(member)
        if member == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info, io.BytesIO())
    with pytest.raises(DataError, match="unsafe"):
        take(path, tmp_path / "other root")


def test_partial_never_replaces_complete_but_complete_replaces_partial(tmp_path: Path, root: Path) -> None:
    small = tmp_path / "small" / "toy_enhancers"
    small.mkdir(parents=True)
    (small / "train.csv").write_text("\n".join([*csv_text("train").splitlines()[:5], "ACGTACGT,1"]) + "\n")
    (small / "test.csv").write_text(csv_text("test"))
    assert take(small, root).status == "partial"
    assert opened(root).flags == ("partial (13 of 28)",)
    whole = write_csvs(tmp_path / "whole" / "toy_enhancers")
    assert take(whole, root).status == "complete"
    digest = opened(root).data_digest
    kept = take(small, root)
    assert (kept.outcome, kept.status) == ("kept", "complete")
    assert "train has 5 rows, 20 are published" in kept.message
    assert opened(root).data_digest == digest
    assert opened(root).flags == ()
    assert take(whole, root).outcome == "unchanged"


def test_swapped_class_numbers_are_noticed_where_counts_tell(tmp_path: Path, root: Path) -> None:
    folder = write_csvs(tmp_path / "toy_enhancers")
    uneven = card(counts={"train": {"negative": 12, "positive": 8}, "test": {"negative": 4, "positive": 4}})
    result = take(folder, root, uneven)
    assert result.status == "partial"
    assert "are the class numbers in another order?" in result.message


def test_a_partial_upstream_file_is_a_partial_split(tmp_path: Path, root: Path) -> None:
    folder = write_csvs(tmp_path / "toy_enhancers")
    (folder / "train.csv").rename(folder / "train_partial.csv")
    result = take(folder, root)
    assert (result.status, result.rows) == ("partial", N)
    assert "train is only a part" in result.message


def test_changed_files_are_noticed_and_copies_are_not_mistaken_for_changes(tmp_path: Path, root: Path) -> None:
    take(write_csvs(tmp_path / "toy_enhancers"), root)
    digest = opened(root).data_digest
    path = task_folder("toys", "toy_enhancers", root) / "train.parquet"
    os.utime(path, ns=(1, 1))
    assert opened(root).data_digest == digest
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="changed after it was imported"):
        opened(root)
    path.unlink()
    with pytest.raises(DataError, match="is missing; fetch the task again"):
        opened(root)


def test_digest_follows_rows_and_not_the_form_they_came_in(tmp_path: Path, root: Path) -> None:
    other = tmp_path / "other root"
    take(write_csvs(tmp_path / "a" / "toy_enhancers"), root)
    take(write_csvs(tmp_path / "b" / "toy_enhancers", packed=True), other)
    assert opened(root).data_digest == opened(other).data_digest
    changed = csv_text("test").replace("A", "C", 1)
    (tmp_path / "a" / "toy_enhancers" / "test.csv").write_text(changed)
    take(tmp_path / "a" / "toy_enhancers", root)
    assert opened(root).data_digest != opened(other).data_digest


def test_missing_split_and_missing_task_say_what_to_do(tmp_path: Path, root: Path) -> None:
    with pytest.raises(DataError, match="findna-bench fetch toys --from PATH"):
        opened(root)
    folder = write_csvs(tmp_path / "toy_enhancers")
    (folder / "train.csv").unlink()
    take(folder, root)
    with pytest.raises(UnsupportedError, match="the train split is absent from this partial copy"):
        opened(root).load("train")
    with pytest.raises(UnsupportedError, match="toys/toy_other is absent from the partial import of toys"):
        opened(root, card("toy_other"))


def _write_intervals(folder: Path) -> None:
    for split in N:
        for label in LABELS:
            lines = ["id,region,start,end,strand"]
            lines += [f"{i},chr{1 + i % 2},{10 * i},{10 * i + 12},{'+-'[i % 2]}" for i in range(N[split] // 2)]
            path = folder / split / f"{label}.csv.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress("\n".join(lines).encode()))


def test_intervals_alone_can_be_audited_but_not_run(tmp_path: Path, root: Path) -> None:
    _write_intervals(tmp_path / "toy_enhancers")
    result = take(tmp_path, root)
    assert (result.status, result.rows) == ("coordinates", N)
    assert task_status(card(), root) == "coordinates"
    task = opened(root)
    with pytest.raises(DataError, match="only coordinates are imported"):
        task.load("train")
    table = task.intervals("train")
    assert table.contig[:2].tolist() == ["1", "2"]
    assert np.bincount(table.labels).tolist() == [10, 10]
    assert (table.end - table.start == 12).all()


@pytest.mark.parametrize("prefix", ["", "chr"])
def test_intervals_with_reference_give_the_sequences(prefix: str, tmp_path: Path, root: Path) -> None:
    generator = np.random.default_rng(1)
    genome = {name: "".join(generator.choice(list("ACGTacgt"), 150)) for name in ("1", "2")}
    fasta = tmp_path / "Homo.GRCh38.fa"
    fasta.write_text("".join(f">{prefix}{name}\n{text}\n" for name, text in genome.items()))
    _write_intervals(tmp_path / "in" / "toy_enhancers")
    task = card(assembly="GRCh38")
    result = import_tasks([task], tmp_path / "in", root, reference=fasta)[0]
    assert (result.status, result.message) == ("complete", "")
    table = opened(root, task).load("train")
    forward = genome["1"][20:32].upper()
    assert table.sequences[2] == forward
    reverse = genome["2"][10:22].upper()[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert table.sequences[1] == reverse
    assert opened(root, task).interval_splits == ("train", "test")
    wrong = fasta.rename(tmp_path / "hg19.fa")
    refused = import_tasks([task], tmp_path / "in", tmp_path / "r2", reference=wrong)[0]
    assert "needs one FASTA whose name holds 'GRCh38'" in refused.message


def test_labelled_fasta_of_the_nucleotide_transformer(tmp_path: Path, root: Path) -> None:
    folder = tmp_path / "toy_enhancers"
    folder.mkdir()
    for split in N:
        lines = [f">s{i} x|{LABELS.index(label)}\n{text}\n" for i, (_, label, text) in enumerate(rows(split))]
        (folder / f"{split}.fna").write_text("".join(lines))
    assert take(tmp_path, root).status == "complete"
    expect_rows(opened(root))


@pytest.mark.shared
def test_shared_genomic_benchmarks_subset(shared: Path, root: Path) -> None:
    source = shared / "data" / "genomic_benchmarks"
    report = import_suite("genomic_benchmarks", source / "chr20_22_X", root)
    assert not report.failed
    held = {task.name.partition("/")[2]: tuple(task.rows.values()) for task in report.with_outcome("imported")}
    assert held == {
        "demo_human_or_worm": (2134, 695),
        "human_enhancers_cohn": (1037, 335),
        "human_enhancers_ensembl": (6425, 1521),
        "human_ensembl_regulatory": (10949, 2758),
        "human_nontata_promoters": (1034, 323),
        "human_ocr_ensembl": (6701, 1705),
    }
    assert all(task.status == "partial" for task in report.with_outcome("imported"))
    assert len(report.with_outcome("missing")) == 3
    # the complete test split cannot be run alone, so it does not replace what can
    report = import_suite("genomic_benchmarks", source / "published_test", root)
    assert [task.name for task in report.with_outcome("kept")] == ["genomic_benchmarks/human_nontata_promoters"]
    drosophila = open_task("drosophila_enhancers_stark", data_dir=root)
    assert drosophila.counts == {"test": {"negative": 865, "positive": 865}}
    nontata = open_task("human_nontata_promoters", data_dir=root)
    assert nontata.flags == ("partial (1357 of 36131)", "leak")


@pytest.mark.shared
def test_shared_published_intervals_have_the_published_counts(shared: Path, root: Path) -> None:
    folder = shared / "data" / "genomic_benchmarks" / "intervals"
    names = ("human_nontata_promoters", "dummy_mouse_enhancers_ensembl", "human_enhancers_cohn")
    report = import_suite("genomic_benchmarks", folder, root, tasks=names)
    for result in report.tasks:
        assert result.rows == result.published
        task = open_task(result.name, data_dir=root)
        assert task.counts == task.published_counts


@pytest.mark.shared
def test_shared_gue_names_what_is_complete_partial_and_missing(shared: Path, root: Path) -> None:
    report = import_suite("gue", shared / "data" / "gue", root)
    assert not report.failed
    complete = {t.name for t in report.tasks if t.status == "complete"}
    names = ("mouse_0", "mouse_2", "prom_300_tata", "prom_core_all", "prom_core_notata", "tf_0", "tf_1", "tf_2")
    assert complete == {f"gue/{name}" for name in names}
    assert len(report.with_outcome("missing")) == 9
    h3 = open_task("emp_H3", data_dir=root)
    assert h3.status == "partial"
    assert h3.counts["validation"] == h3.published_counts["validation"]
    assert len(h3.load("train")) == 1191


@pytest.mark.shared
def test_shared_worm_rows_are_cut_as_published(shared: Path, tmp_path: Path) -> None:
    """Published rows of both strands, cut again from the genome by their coordinates."""
    from findna_bench.data.catalog import resolve_task
    from findna_bench.data.reference import cut_sequences
    from findna_bench.sequences.fasta import read_fasta

    data = shared / "data"
    genome = dict(read_fasta(data / "small_genomes" / "celegans_chrI_1-1009800.fa"))["CHROMOSOME_I"]
    references = tmp_path / "references"
    references.mkdir()
    (references / "worm.WBcel235.dna.fa").write_text(f">I\n{genome}\n")
    (references / "human.GRCh38.dna.fa").write_text(">1\nACGT\n")
    root = tmp_path / "root"
    import_suite("genomic_benchmarks", data / "genomic_benchmarks" / "chr20_22_X", root, tasks=["demo_human_or_worm"])
    table = open_task("demo_human_or_worm", data_dir=root).load("train")
    assert table.contig is not None
    assert table.end is not None
    rows = table.take(np.flatnonzero((table.contig == "worm_I") & (table.end <= len(genome))))
    assert len(rows) > 100
    intervals = rows.coordinates()
    ref = resolve_task("demo_human_or_worm")
    assert intervals is not None
    assert ref.card is not None
    cut = cut_sequences(ref.card, {"train": intervals}, references, tmp_path / "cache")["train"]
    assert cut.sequences == rows.sequences
    assert set(intervals.strand.tolist()) == {"+", "-"}
