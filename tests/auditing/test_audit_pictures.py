"""What the picture of a report draws, and what a published score is worth beside rules without biology, of reports made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from findna_bench.auditing.audit_plots import plot_report
from findna_bench.auditing.audit_report import AuditReport, ClassCount, PerClass, Verdict
from findna_bench.auditing.references import Published, References, with_references
from findna_bench.auditing.shortcuts import Control
from findna_bench.auditing.verdict import class_share, listed_shares
from findna_bench.cards import TaskCard
from findna_bench.errors import UnsupportedError


def a_report(**changes: Any) -> dict[str, Any]:
    def share(far: float, near: float) -> dict[str, Any]:
        return {"per_class": {"far": {"fraction": far}, "near": {"fraction": near}}}

    lengths = {"far": {"length": {"min": 10, "max": 40}}, "near": {"length": {"min": 10, "max": 20}}}
    return {
        "task": "s/t", "route": "sequences", "labels": ["far", "near"],
        "splits": {"train": {"classes": lengths}, "test": {"classes": lengths}},
        "histograms": {
            "length": {"edges": [0, 1, 2], "train": {"far": [1, 3], "near": [0, 0]}, "test": {"far": [9, 9], "near": [9, 9]}},
            "gc": {"edges": [0, 0.5, 1], "train": {"far": [2, 2], "near": [1, 0]}, "test": {"far": [9, 9], "near": [9, 9]}},
        },
        "across": {"train->test": {
            "overlap_any": None, "overlap_half": None, "exact": share(0.4, 0.1), "reverse_complement": share(0, 0.5), "similar": share(0.8, 0.2),
            "same_composition": share(0.0, 0.0),
        }},
        "controls": {"majority": {"accuracy": 0.5}, "kmer": {"accuracy": 0.549}, "site": {"accuracy": 0.551}},
        "similarity_bins": [
            {"low": 0.0, "high": 0.0, "total": 1200, "accuracy": 0.6}, {"low": 0.0, "high": 0.25, "total": 0, "accuracy": None},
            {"low": 0.25, "high": 0.5, "total": 7, "accuracy": 0.75},
        ],
    } | changes  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    kept: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *places: Any, **options: Any) -> None:
        kept.append(self)
        save(self, *places, **options)

    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(report: dict[str, Any]) -> Figure:
        plot_report(report, tmp_path / "x.png")
        assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
        return kept[-1]

    return draw


def test_a_picture_shows_lengths_rows_found_again_controls_and_scores(drawn: Any) -> None:
    figure = drawn(a_report())
    assert figure.get_suptitle() == "s/t (sequences)"
    assert (figure.get_size_inches() * figure.dpi).tolist() == [800, 512]
    lengths, again, controls, bins = figure.axes
    assert [patch.get_data().values.tolist() for patch in lengths.patches] == [[25, 75], [0, 0]]
    assert [patch.get_data().edges.tolist() for patch in lengths.patches] == [[0, 1, 2]] * 2
    assert (lengths.get_xlabel(), lengths.get_ylabel()) == ("length in bases", "% of the class's train rows")
    assert [text.get_text() for text in lengths.get_legend().get_texts()] == ["far", "near"]
    assert [bar.get_height() for bar in again.patches] == [40, 0, 80, 0, 10, 50, 20, 0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in again.patches] == pytest.approx(
        [0, 1, 2, 3, 0.4, 1.4, 2.4, 3.4]
    )
    assert again.get_xticks().tolist() == pytest.approx([0.2, 1.2, 2.2, 3.2])
    assert [text.get_text() for text in again.get_xticklabels()] == [
        "identical",
        "reverse\ncomplement",
        "similar",
        "same com-\nposition",
    ]
    assert again.get_ylim() == pytest.approx((0, 84))
    assert [bar.get_width() for bar in controls.patches] == pytest.approx([55.1, 54.9, 50])
    assert [text.get_text() for text in controls.get_yticklabels()] == ["site", "kmer", "majority"]
    assert [bar.get_facecolor()[:3] == pytest.approx((0.835, 0.369, 0), abs=0.01) for bar in controls.patches] == [
        True,
        False,
        False,
    ]
    assert [(text.get_text(), *text.get_position()) for text in controls.texts] == [
        ("55.1", pytest.approx(56.1), 0),
        ("54.9", pytest.approx(55.9), 1),
        ("50.0", 51.0, 2),
    ]
    assert controls.lines[0].get_xdata() == [50, 50]
    assert controls.get_xlim() == (0, 112)
    assert [bar.get_height() for bar in bins.patches] == [60, 75]
    assert [text.get_text() for text in bins.get_xticklabels()] == ["no hit", "25-50 %"]
    assert [(text.get_text(), *text.get_position()) for text in bins.texts] == [("n=1,200", 0, 61), ("n=7", 1, 76)]
    assert bins.get_ylim() == (0, 110)
    assert not any(axis.spines[side].get_visible() for axis in figure.axes for side in ("top", "right"))


def test_a_picture_shows_gc_where_all_rows_have_one_length_and_says_what_is_not_there(drawn: Any) -> None:
    one = {"far": {"length": {"min": 10, "max": 10}}, "near": {"length": None}}
    figure = drawn(a_report(splits={"test": {"classes": one}}, across={}, controls={}, similarity_bins=[]))
    gc, *others = figure.axes
    assert gc.get_xlabel() == "GC"
    assert gc.get_ylabel() == "% of the class's test rows"
    assert [patch.get_data().values.tolist() for patch in gc.patches] == [[50, 50]] * 2
    assert [axis.texts[0].get_text() for axis in others] == [
        "no train and test to compare", "no train and test: no controls", "no sequences: no score by similarity",
    ]  # fmt: skip
    assert not any(axis.axison for axis in others)
    low = a_report()
    for entry in low["across"]["train->test"].values():
        if entry:
            entry["per_class"] = {"far": {"fraction": 0.01}, "near": {"fraction": 0.0}}
    assert drawn(low).axes[1].get_ylim() == (0, 10)
    unknown = a_report(across={"train->test": dict.fromkeys(low["across"]["train->test"])})
    assert drawn(unknown).axes[1].texts[0].get_text() == "no train and test to compare"


# ------------------------------------------------------------------------------------------------------- published scores


CARD = TaskCard(name="t", suite="s", labels=("a", "b"))


def scored(metric: str = "accuracy", **scores: float) -> AuditReport:
    controls = {name: Control(v, v / 2, v / 4, v / 8, {}) for name, v in scores.items()}
    return AuditReport(
        "s/t", ("a", "b"), metric, "", "sequences", {}, {}, {}, controls, (), Verdict("clean", (), ("Clean.",))
    )


def published(report: AuditReport, value: float = 0.9) -> dict[str, Any]:
    found = with_references(report, {}, CARD, References(published=lambda card: Published(value, "paper")))
    assert found.verdict == report.verdict
    return dict(found.references["published_best"])


def test_a_published_score_is_set_against_the_best_rules() -> None:
    scores = {"majority": 0.5, "length-trees": 0.6, "case": 0.7, "kmer": 0.8, "composition-trees": 0.65}
    names = {key.replace("-", "_"): value for key, value in scores.items()}
    assert len(names) == 5
    assert published(scored(**scores)) == {
        "metric": "accuracy", "published": 0.9, "source": "paper", "why_not": "", "majority": 0.5, "rule": "case", "reaches": 0.7,
        "of_gain": pytest.approx(0.5), "composition": "kmer", "composition_reaches": 0.8, "composition_of_gain": pytest.approx(0.75),
    }  # fmt: skip
    halves = published(scored("balanced_accuracy", **scores), 0.45)
    assert (halves["reaches"], halves["of_gain"]) == (0.35, pytest.approx(0.5))
    below = published(scored(**scores), 0.5)
    assert (below["of_gain"], below["composition_of_gain"]) == (None, None)
    only = published(scored(majority=0.5, kmer=0.8))
    assert "rule" not in only
    assert only["composition"] == "kmer"


def test_a_published_score_that_no_rule_can_stand_beside_says_why() -> None:
    assert published(scored("auroc", majority=0.5)) == {
        "metric": "auroc", "published": 0.9, "source": "paper", "why_not": "rules are scored by accuracy, balanced_accuracy, f1_macro, mcc",
    }  # fmt: skip
    assert published(scored(kmer=0.5))["why_not"] == "no rule was scored on this task as a whole"
    of_outputs = scored(majority=0.5, kmer=0.8)
    object.__setattr__(of_outputs, "outputs", {"a": scored(majority=0.5)})
    assert published(of_outputs)["why_not"] == "no rule was scored on this task as a whole"


def test_without_references_a_report_stays_as_it_is_and_sequences_are_asked_for() -> None:
    report = scored(majority=0.5)
    assert with_references(report, {}, CARD, References()) is report
    with pytest.raises(UnsupportedError) as refused:
        with_references(report, {}, CARD, References(genome=Path("x.fa")))
    assert str(refused.value) == (
        "task s/t: only coordinates are on this machine; --against and --genome compare sequences"
    )
    assert not References().read_sequences
    assert References(genome=Path("x.fa")).read_sequences


def test_the_class_of_the_highest_share_is_named_with_its_interval() -> None:
    counts = PerClass(9, {"a": ClassCount(5, 0.1), "b": ClassCount(4, 0.2)})
    number, interval = class_share(counts, np.repeat([0, 1], [50, 20]), ("a", "b"))
    expected = stats.binomtest(4, 20).proportion_ci(method="wilson")
    assert number == 0.2
    assert interval == pytest.approx((expected.low, expected.high))
    assert listed_shares(counts) == "10.0 % of a, 20.0 % of b"
