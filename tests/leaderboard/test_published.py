"""Published figures: digits as printed, impossible numbers noted, and no result beside a figure it cannot be compared with."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from findna_bench.cards import PublishedCard
from findna_bench.errors import DataError
from findna_bench.leaderboard.published import (
    Figure,
    differences,
    load_published,
    read_published,
)
from findna_bench.registry import get_registry
from findna_plugins.published_cards import PUBLISHED

TASKS = {
    "Mouse Enhancers": "genomic_benchmarks/dummy_mouse_enhancers_ensembl",
    "Coding vs Intergenic": "genomic_benchmarks/demo_coding_vs_intergenomic_seqs",
    "Coding vs Intergenomic": "genomic_benchmarks/demo_coding_vs_intergenomic_seqs",
    "Human vs Worm": "genomic_benchmarks/demo_human_or_worm",
    "Human Enhancers Cohn": "genomic_benchmarks/human_enhancers_cohn",
    "Human Enhancers Ensembl": "genomic_benchmarks/human_enhancers_ensembl",
    "Human Regulatory": "genomic_benchmarks/human_ensembl_regulatory",
    "Human Nontata Promoters": "genomic_benchmarks/human_nontata_promoters",
    "Human OCR Ensembl": "genomic_benchmarks/human_ocr_ensembl",
    "Covid": "gue/virus_covid",
    "1024": "mtcdna/mtcdna-1024",
    "4096": "mtcdna/mtcdna-4096",
    "8192": "mtcdna/mtcdna-8192",
    "Average": "average",
    "Param.": "parameters",
    "KL-divergence": "kl-divergence",
    "Time": "time",
    "Time (ms)": "time",
    "Memory": "memory",
    "Memory(GB)": "memory",
    "FLOPs": "flops",
}


def clean(cell: str) -> str:
    cell = re.sub(r"</?u>|\$|\\times", " ", cell).replace("\\pm", "±").replace("\\blacklozenge", "♦")
    return re.sub(r"\s+", " ", cell).strip()


def paper_tables(text: str) -> dict[str, dict[tuple[str, str], str]]:
    """{table number: {(row label, column label): printed cell}} of all tab-separated tables that carry a caption."""
    tables: dict[str, dict[tuple[str, str], str]] = {}
    pending: dict[tuple[str, str], str] = {}
    header: list[str] | None = None
    for line in text.splitlines():
        caption = re.match(r"Table (\d+):", line)
        if caption and pending:
            tables[caption[1]], pending, header = pending, {}, None
        if "\t" not in line:
            header = None if not line.strip() else header
            continue
        cells = [clean(cell) for cell in line.split("\t")]
        if cells[0].startswith("Epigenetic Marks"):
            continue
        if cells[0] in ("Dataset", "Lengths") or (header is None and not cells[0]):
            header = cells
            continue
        assert header is not None, line
        if "" in header[1:]:  # the last two columns of Table 3 are named one line above
            header = [*header[: header.index("")], "Average", "Param."]
        assert len(cells) == len(header), line
        pending.update({(cells[0], column): cell for column, cell in zip(header[1:], cells[1:], strict=True)})
    return tables


def task_of(label: str) -> str:
    return TASKS.get(label) or f"gue/emp_{label}"


@pytest.mark.shared
def test_every_number_of_the_paper_is_there_digit_for_digit(shared: Path) -> None:
    source = shared / "paper" / "findna-paper.txt"
    if not source.is_file():
        pytest.skip(f"the paper's text is not at {source}")
    printed = paper_tables(source.read_text("utf-8"))
    assert set(printed) == {"1", "2", "3", "4", "5", "6", "7", "8", "9"}
    expected: dict[tuple[str, str, str], str] = {}
    for number, cells in printed.items():
        if number == "7":  # row counts of data sets, which the task cards hold
            continue
        transposed = number in ("2", "4", "8", "9")  # one row per task
        for (row, column), cell in cells.items():
            model, task = (column, row) if transposed else (row, column)
            expected[number, model, task_of(task)] = cell
    [paper] = load_published([card for card in PUBLISHED if card.name == "findna"])
    got: dict[tuple[str, str, str], str] = {}
    for figure in paper.figures:
        row = {"4": figure.variant, "9": figure.variant.capitalize()}.get(figure.table, figure.label)
        key = (figure.table, row, figure.column)
        assert key not in got
        got[key] = figure.value if figure.spread is None else f"{figure.value} ± {figure.spread}"
    assert got == expected


def test_all_papers_load_and_name_their_source() -> None:
    papers = load_published(PUBLISHED)
    assert [paper.key for paper in papers] == ["findna", "hyenadna", "caduceus", "genomic_benchmarks"]
    for figure in (figure for paper in papers for figure in paper.figures):
        assert figure.source
        assert figure.task or figure.kind in ("average", "cost", "other")
        assert (figure.spread is None) == (figure.spread_kind == "")
        if figure.kind == "score":
            assert 0 < figure.fraction < 1


def test_quoted_numbers_do_not_inherit_the_quoting_papers_protocol() -> None:
    [paper] = load_published(PUBLISHED[:1])
    for figure in (f for f in paper.figures if f.quoted):
        assert (figure.n_runs, figure.epochs, figure.selection) == (None, None, "not stated")
        assert "quoted from" in figure.source


def test_numbers_that_arithmetic_forbids_are_noted_and_the_others_are_not() -> None:
    papers = load_published(PUBLISHED)
    noted = {
        (figure.table, figure.label, figure.spread)
        for figure in papers[0].figures
        for note in figure.notes
        if note.startswith("No ")
    }
    # 242 test rows: means of five accuracies are multiples of 1/1210; every other data set is too large to say anything.
    assert noted == {
        ("1", "HyenaDNA", "0.31"),
        ("1", "FinDNA-T", "0.05"),
        ("1", "FinDNA", "0.22"),
        ("2", "HyenaDNA", "0.05"),
        ("2", "DNABERT-2", "0.38"),
        ("2", "CM-MNM", "0.02"),
        ("2", "FinDNA", "0.03"),
    }


def toml_with(value: str, n_test: int, n_runs: int | None) -> str:
    runs = f"n_runs = {n_runs}\n" if n_runs else ""
    return (
        'schema = 1\nkey = "k"\ntitle = "t"\nsource = "s"\n[n_test]\n"a/b" = ' + str(n_test) + "\n"
        '[[tables]]\nnumber = "1"\nprotocol = "probe"\nmetric = "accuracy"\nunit = "percent"\nselection = "validation"\n'
        'split = "official"\nspread = "standard deviation"\n' + runs + 'columns = ["a/b"]\n'
        f'[[tables.rows]]\nlabel = "m"\nvalues = ["{value}"]\n'
    )


@settings(max_examples=150, deadline=None)
@given(
    n_test=st.integers(5, 400),
    right=st.lists(st.floats(0, 1), min_size=2, max_size=6),
    ddof=st.sampled_from([0, 1]),
    places=st.integers(0, 3),
)
def test_real_accuracies_are_never_called_impossible(
    tmp_path_factory: pytest.TempPathFactory, n_test: int, right: list[float], ddof: int, places: int
) -> None:
    counts = np.array([round(share * n_test) for share in right])
    accuracy = 100 * counts / n_test
    value = f"{accuracy.mean():.{places}f} ± {accuracy.std(ddof=ddof):.{places}f}"
    path = tmp_path_factory.mktemp("published") / "one.toml"
    path.write_text(toml_with(value, n_test, len(right)), "utf-8")
    [figure] = read_published(path).figures
    assert figure.notes == ()


def test_the_papers_average_over_gue_is_that_of_its_eleven_scores() -> None:
    papers = load_published(get_registry().cards("published"))
    rows = [f for p in papers for f in p.figures if f.table == "3" and f.model == "findna" and "2405.08538" in f.source]
    scores = [f.number for f in rows if f.kind == "score"]
    assert len(scores) == 11
    (average,) = [f for f in rows if f.kind == "average"]
    assert round(sum(scores) / 11, 2) == average.number == 66.49


def test_a_wrong_average_is_noted(tmp_path: Path) -> None:
    text = toml_with("80.00", 1000, 1).replace('["a/b"]', '["a/b", "a/c", "average"]')
    text = text.replace("[[tables.rows]]", '[tables.column.average]\ntask = ""\nkind = "average"\n[[tables.rows]]')
    path = tmp_path / "average.toml"
    for average, notes in (("85.00", 0), ("85.50", 1)):
        path.write_text(text.replace('["80.00"]', f'["80.00", "90.00", "{average}"]'), "utf-8")
        assert len(read_published(path).figures[-1].notes) == notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('values = ["80.00"]', 'values = ["80.00", "1"]'), "2 values for 1 columns"),
        (lambda t: t.replace('"80.00"', '"80,00"'), "'80,00' is not a printed number"),
        (lambda t: t.replace("schema = 1", "schema = 9"), "schema must be 1"),
        (lambda t: t.replace('protocol = "probe"', 'protocl = "probe"'), "unknown key 'protocl'"),
        (lambda t: t + "]", "not valid TOML"),
    ],
)
def test_damaged_files_are_refused_with_file_and_row(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(change(toml_with("80.00", 1000, 1)), "utf-8")
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_published(path)
    assert "bad.toml" in str(error.value)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(DataError, match="no_such_package"):
        load_published([PublishedCard(name="x", path="no_such_package:a.toml")])


FIGURE = Figure(
    paper="p", table="1", label="m", model="m", column="s/t", task="s/t", metric="accuracy", value="80.0",
    n_test=1000, n_runs=5, selection="validation", epochs=50, split="official (v0)", protocol="probe",
)  # fmt: skip

RESULT: dict[str, Any] = {
    "status": "success",
    "flags": ["untrained"],
    "limit": None,
    "selection": "validation",
    "task": {"suite": "s", "name": "t", "split": "official", "counts": {"test": {"a": 400, "b": 600}}},
    "protocol": {"name": "probe", "settings": {"epochs": 50}},
    "metrics": {"main": {"name": "accuracy", "value": 0.8}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    result = copy.deepcopy(RESULT)
    *parents, last = path.split(".")
    part = result
    for parent in parents:
        part = part[parent]
    part[last] = value
    return result


def test_an_equal_protocol_may_stand_beside_a_figure() -> None:
    assert differences(RESULT, FIGURE) == ()


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("status", "error", "status"),
        ("flags", ["partial (10 of 20)"], "partial"),
        ("flags", ["limit"], "limit"),
        ("limit", 100, "limit"),
        ("task.name", "other", "another task"),
        ("task.split", "grouped", "split"),
        ("task.split", None, "split"),
        ("task.counts", {"test": {"a": 400, "b": 599}}, "test rows"),
        ("task.counts", None, "test rows"),
        ("protocol.name", "finetune", "protocol"),
        ("protocol.settings", {}, "budget"),
        ("protocol.settings", {"epochs": 49}, "budget"),
        ("protocol.settings", {"epochs": 50, "shots": 10}, "10-shot"),
        ("metrics.main.name", "mcc", "metric"),
        ("selection", "test", "selection"),
        ("selection", None, "selection"),
    ],
)
def test_any_difference_makes_a_row_not_comparable(path: str, value: Any, word: str) -> None:
    assert word in differences(changed(path, value), FIGURE)[0]


def test_what_a_paper_does_not_state_is_not_assumed() -> None:
    papers = load_published(PUBLISHED)
    [figure] = [
        f
        for f in papers[0].figures
        if (f.kind, f.task, f.table, f.model) == ("score", TASKS["Mouse Enhancers"], "1", "findna")
    ]
    result = changed("task", {"suite": "genomic_benchmarks", "name": "dummy_mouse_enhancers_ensembl", "split": "official", "counts": {"test": {"n": 121, "p": 121}}})  # fmt: skip
    assert differences(result, figure)[0] == "selection: validation here, not stated there"


def test_models_and_tasks_of_figures_are_registered_under_these_names() -> None:
    registry = get_registry()
    papers = load_published(registry.cards("published"))
    assert len(papers) == len(PUBLISHED)
    for figure in (figure for paper in papers for figure in paper.figures):
        if figure.model:
            registry.resolve("models", figure.model.partition("@")[0])
        if figure.task:
            card = registry.resolve("tasks", figure.task).card
            assert card.full_name == figure.task
            rows = sum(card.counts.get("test", {}).values())
            assert figure.n_test is None or not rows or figure.n_test == rows, figure
