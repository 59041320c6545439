"""What a number does not show is said beside it, on screen and on every page: truncation, fits that learned nothing, warnings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import findna_bench as fb
from findna_bench.api import SequenceTable
from findna_bench.cli.progress import remarks
from findna_bench.comparison.comparison_pages import render_comparison_markdown
from findna_bench.errors import TruncationWarning
from findna_bench.leaderboard.html import render_html
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.screen import render_screen
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.protocols.fine_tuning import FINETUNE_PRESETS, FineTuneOptions, LabelledRows, fine_tune
from findna_bench.results.schema import Result

READ_1K = "hyenadna-tiny-1k@random"
CUT = "truncated (46 % of bases read)"


def write(path: Path, rows: list[tuple[str, int, str]]) -> Path:
    path.write_text("sequence,label,split\n" + "".join(f"{s},{label},{split}\n" for s, label, split in rows))
    return path


def drawn(generator: np.random.Generator, letters: str, length: int) -> str:
    return "".join(generator.choice(list(letters), length))


@pytest.fixture(scope="module")
def long_end(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,200 bases whose class stands in the second half; a model of 1,024 bases cannot see it."""
    generator = np.random.default_rng(0)
    rows = [
        (drawn(generator, "ACGT", 1100) + drawn(generator, ("AAT", "GGC")[row % 2], 1100), row % 2, split)
        for row, split in enumerate((["train"] * 4 + ["valid"] * 2 + ["test"] * 2) * 8)
    ]
    return write(tmp_path_factory.mktemp("long") / "longend.csv", rows)


@pytest.fixture(scope="module")
def scored(long_end: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Result]]:
    folder = tmp_path_factory.mktemp("results")
    return folder, fb.run([READ_1K, "majority"], [str(long_end)], seeds=1, output_dir=folder)


def test_truncation_and_learning_nothing_are_flags_of_the_result(scored: tuple[Path, list[Result]]) -> None:
    cut, majority = scored[1]
    assert {CUT, "did not learn"} <= set(cut.flags)
    assert cut.validation["warnings"][0].startswith("did not learn: the validation loss, 0.")
    assert not {CUT, "did not learn"} & set(majority.flags)  # it has nothing to learn


def test_they_stand_on_screen_and_on_every_page(
    scored: tuple[Path, list[Result]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, results = scored
    board = leaderboard(results, include_limited=True)
    render_screen(board)
    compared = render_comparison_markdown(fb.compare([READ_1K, "majority"], output_dir=folder))
    for page in (capsys.readouterr().out, render_markdown(board), render_html(board), compared):
        assert CUT in page
        assert "did not learn: the validation loss" in page


def test_run_says_so_once_per_unit(scored: tuple[Path, list[Result]]) -> None:
    notes = remarks("a on b", scored[1][:1])
    assert notes[0] == (
        f"a on b: {CUT}: 64 sequences are longer than the model takes and cut; --window window reads all of them"
    )
    assert sum("did not learn" in note for note in notes) == 1
    assert remarks("a on b", scored[1][1:]) == []


def test_windows_read_all_of_it_and_learn(long_end: Path, tmp_path: Path) -> None:
    (result,) = fb.run([READ_1K], [str(long_end)], seeds=1, output_dir=tmp_path, window="window")
    assert not {CUT, "did not learn"} & set(result.flags)
    assert result.metrics.main.value == 1.0


def test_embedding_warns_in_python(long_end: Path) -> None:
    model = fb.load_model(READ_1K)
    with pytest.warns(TruncationWarning, match=r"46 % of bases read.*window window"):
        fb.embed(model, ["ACGT" * 550])
    with pytest.warns(TruncationWarning, match=r"1 of 2 sequences are cut"):
        fb.encode(model, ["ACGT" * 550, "ACGT"])


def test_a_convolutional_control_says_what_it_cuts(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    rows = [
        (drawn(generator, ("AAT", "GGC")[row % 2], 200 if split == "test" else 100), row % 2, split)
        for row, split in enumerate((["train"] * 4 + ["valid"] * 2 + ["test"] * 2) * 5)
    ]
    (result,) = fb.run(["cnn"], [str(write(tmp_path / "t.csv", rows))], seeds=1, output_dir=tmp_path / "r")
    assert "truncated (80 % of bases read)" in result.flags


def test_a_test_split_of_one_class_is_flagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(2)
    rows = [
        (drawn(generator, ("AAT", "GGC")[row % 2], 50), row % 2, "test" if row % 4 == 0 else "train")
        for row in range(80)
    ]
    results = fb.run(["majority"], [str(write(tmp_path / "one.csv", rows))], seeds=1, output_dir=tmp_path / "r")
    assert "one class in test (MCC and AUROC mean nothing)" in results[0].flags
    board = leaderboard(results)
    render_screen(board)
    for page in (capsys.readouterr().out, render_markdown(board), render_html(board)):
        assert "one class in test (MCC and AUROC mean nothing)" in page


def test_a_row_of_many_tasks_says_on_which(scored: tuple[Path, list[Result]]) -> None:
    cut = scored[1][0]

    def on(number: int, share: float) -> Result:
        total = cut.coverage.bases_total or 0
        coverage = cut.coverage.model_copy(update={"bases_seen": int(share * total)})
        task = cut.task.model_copy(update={"name": f"t{number}"})
        return cut.model_copy(
            update={"task": task, "coverage": coverage, "flags": ["untrained"], "request_id": str(number)}
        )

    def flags(results: list[Result]) -> tuple[str, ...]:
        return leaderboard(results).tables[0].rows[0].flags

    assert flags([on(0, 0.5), on(1, 1.0)]) == ("untrained", "truncated (50 % of bases read) on t0")
    assert flags([on(0, 0.5), on(1, 0.5)]) == ("untrained", "truncated (50 % of bases read)")
    many = [on(number, share) for number, share in enumerate((0.1, 0.25, 0.5, 0.75, 1.0))]
    assert flags(many) == ("untrained", "truncated (10 % to 75 % of bases read) on 4 of 5 tasks")


def test_a_preset_that_cuts_tokens_counts_what_it_cuts() -> None:
    generator, counted = np.random.default_rng(3), []
    train, held_out = (
        SequenceTable([drawn(generator, "ACGT", 100) for _ in range(n)], np.arange(n) % 2, np.arange(n).astype(str))
        for n in (20, 10)
    )
    preset = replace(FINETUNE_PRESETS["default"], epochs=1, min_steps=None, max_steps=1, max_tokens=51)
    model = fb.load_model(READ_1K)
    options = FineTuneOptions(counted=lambda coverage, _: counted.append(coverage))
    fine_tune(model, LabelledRows(train, held_out, 2), preset, 0, options)
    assert counted[0]["bases_total"] == 3000
    assert counted[0]["bases_seen"] == 1500  # 50 bases and [SEP] of each row
    assert counted[0]["truncated_sequences"] == 30
