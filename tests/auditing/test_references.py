"""A task against another benchmark, a genome and a published score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import findna_bench as fb
from findna_bench.cli import app
from findna_bench.errors import DataError, UsageError
from findna_bench.leaderboard.audit_references import audit_references
from findna_bench.leaderboard.published import best_published, load_published
from findna_bench.registry import get_registry
from findna_bench.relatedness.genome_places import Places, places_by_minimap2, places_by_seeds
from findna_bench.sequences.alphabet import reverse_complement


def random_sequences(n: int, length: int, generator: np.random.Generator) -> list[str]:
    return ["".join(row) for row in np.array(list("ACGT"))[generator.integers(0, 4, (n, length))]]


def mutated(sequence: str, share: float, generator: np.random.Generator) -> str:
    letters = list(sequence)
    for i in generator.choice(len(letters), round(share * len(letters)), replace=False):
        letters[i] = "ACGT"[("ACGT".index(letters[i]) + generator.integers(1, 4)) % 4]
    return "".join(letters)


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train rows of a genome; of 60 test rows 15 overlap them there, 15 stand elsewhere on it, 30 do not. 12 of train and 6 of test are
    in ``other.csv``, on the other strand, the latter with 15 % of their bases changed."""
    generator = np.random.default_rng(0)
    text = random_sequences(1, 30_000, generator)[0]
    train = [text[100 * i : 100 * i + 100] for i in range(120)]
    test = [text[100 * i + 30 : 100 * i + 130] for i in range(0, 30, 2)]
    test += [reverse_complement(text[20_000 + 150 * i : 20_100 + 150 * i]) for i in range(15)]
    test += random_sequences(30, 100, generator)
    place = tmp_path_factory.mktemp("references")
    write(place / "genome.fa", [">one", text[:15_000], ">two", text[15_000:]])
    rows = [f"{s},{i % 2},train" for i, s in enumerate(train)] + [f"{s},{i % 2},test" for i, s in enumerate(test)]
    write(place / "mine.csv", ["sequence,label,split", *rows])
    other = [reverse_complement(s) for s in train[60:72]] + [
        reverse_complement(mutated(s, 0.15, generator)) for s in test[-6:]
    ]
    more = random_sequences(42, 100, generator)
    write(place / "other.csv", ["sequence,label", *(f"{s},{i % 3}" for i, s in enumerate([*other, *more]))])
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[dict[str, Any], str]:
    """The JSON and the page."""
    arguments = [
        "--against",
        str(folder / "other.csv"),
        "--genome",
        str(folder / "genome.fa"),
        "--published-best",
        "97.4",
    ]
    result = CliRunner().invoke(
        app,
        ["audit", str(folder / "mine.csv"), *arguments, "--pages", str(folder / "pages"), "--json"],
        catch_exceptions=False,
    )
    return json.loads(result.stdout), (folder / "pages" / "adhoc" / "mine.md").read_text()


def test_copies_of_another_benchmark_are_counted_on_either_strand(found: tuple[dict[str, Any], str]) -> None:
    report, page = found
    (other,) = report["references"]["against"]
    assert (other["task"], other["split"], other["rows"]) == ("adhoc/other", "all", 60)
    train, test = other["found"]["train"], other["found"]["test"]
    assert {key: counts["total"] for key, counts in train.items()} == {
        "exact": 0, "reverse_complement": 12, "copies": 12, "repeats": 0, "diverged_copies": 0
    }  # fmt: skip
    assert (test["copies"]["total"], test["diverged_copies"]["total"]) == (0, 6)
    notes = [f for f in report["verdict"]["findings"] if f["rule_id"] == "note/other-benchmark"]
    assert [f["number"] for f in notes] == [0.1, 0.1]
    assert "adhoc/other all | 60 | train | 0 | 12" in " ".join(page.replace("|", " | ").split())


def test_places_on_a_genome_say_what_train_and_test_share(found: tuple[dict[str, Any], str], folder: Path) -> None:
    report, page = found
    genome = report["references"]["genome"]
    assert genome["file"] == "genome.fa"
    typed = "findna-bench audit mine.csv --pages pages --against other.csv --genome genome.fa --published-best 97.4"
    assert f"Made by `{typed}`" in page
    assert {split: counts["total"] for split, counts in genome["placed"].items()} == {"train": 120, "test": 30}
    assert (genome["overlap_any"]["total"], genome["overlap_half"]["total"]) == (15, 15)
    assert "leak/genome-locus" in {finding["rule_id"] for finding in report["verdict"]["findings"]}
    assert f"by {genome['by']}" in page
    assert str(folder) not in json.dumps(report)


def test_what_a_published_score_is_worth(found: tuple[dict[str, Any], str]) -> None:
    report, page = found
    best = report["references"]["published_best"]
    controls = report["controls"]
    assert (best["metric"], best["published"]) == ("accuracy", 0.974)
    assert best["reaches"] == controls[best["rule"]]["accuracy"] >= controls["length-lookup"]["accuracy"]
    gained = best["reaches"] - controls["majority"]["accuracy"]
    assert best["of_gain"] == pytest.approx(gained / (0.974 - controls["majority"]["accuracy"]), abs=1e-5)
    assert f"best rule without biology ({best['rule']})" in page


@pytest.mark.parametrize("method", [places_by_seeds, places_by_minimap2])
def test_a_row_is_found_on_either_strand_of_any_contig(method: Any, tmp_path: Path) -> None:
    if method is places_by_minimap2:
        pytest.importorskip("mappy", reason="the extra `genome` is not installed")
    generator = np.random.default_rng(1)
    one, two = random_sequences(2, 6000, generator)
    fasta = write(tmp_path / "g.fa", [">one", one, ">two", two])
    rows = [
        one[:200],
        reverse_complement(two[5800:]),
        mutated(one[4000:4200], 0.06, generator),
        two[3999:4299],
        random_sequences(1, 200, generator)[0],
        one[2000:2150] + random_sequences(1, 50, generator)[0],  # three quarters of a row are not the row
    ]
    places: Places = method(rows, fasta)
    assert places.contig.tolist() == ["one", "two", "one", "two", "", ""]
    assert np.abs(places.start[:4] - [0, 5800, 4000, 3999]).max() <= 8
    assert places.reverse.tolist() == [False, True, False, False, False, False]


def test_every_one_of_many_rows_is_found(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    (text,) = random_sequences(1, 30_000, generator)
    begins = generator.integers(0, len(text) - 150, 80)
    cut = [mutated(text[begin : begin + 150], 0.03, generator) for begin in begins.tolist()]
    rows = [reverse_complement(row) if number % 2 else row for number, row in enumerate(cut)]
    places = places_by_seeds(rows, write(tmp_path / "g.fa", [">one", text]))
    assert set(places.contig.tolist()) == {"one"}
    assert places.reverse.tolist() == [False, True] * 40
    assert np.abs(places.start - begins).max() <= 8
    assert places.identity.min() > 0.9


def test_figures_that_papers_print_are_known() -> None:
    figures = [
        f for paper in load_published(get_registry().cards("published")) for f in paper.figures if f.kind == "score"
    ]
    some = next(f for f in figures if f.task and f.unit == "percent")
    best = best_published(load_published(get_registry().cards("published")), some.task, some.metric)
    assert best is not None
    assert best.fraction == max(f.fraction for f in figures if (f.task, f.metric) == (some.task, some.metric))
    published = audit_references().published(get_registry().resolve("tasks", some.task).card)
    assert published is None or published.source


@pytest.mark.parametrize(
    ("option", "value"), [("published_best", 0.974), ("published_best", 101.0), ("genome", "no.fa")]
)
def test_what_cannot_be_compared_is_a_usage_error(option: str, value: Any, folder: Path) -> None:
    with pytest.raises(UsageError):
        fb.audit(folder / "mine.csv", **{option: value})


def test_a_benchmark_that_is_not_here_is_named(folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    references = audit_references(against=["gue"], data_dir=tmp_path, offline=True, progress=told.append)
    with pytest.raises(DataError, match="gue"):
        references.against()
    assert all("not on this machine" in text for text in told)
