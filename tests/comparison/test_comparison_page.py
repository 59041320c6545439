"""A comparison as it is shown, whole: every table and sentence of a record that holds one of each; and how models are named and told apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from findna_bench.comparison.comparison_pages import render_comparison_markdown, render_comparison_screen
from findna_bench.comparison.comparison_records import (
    AcrossTasks,
    ComparedModel,
    Comparison,
    PairAcross,
    PairedDifference,
    Score,
    TaskComparison,
)
from findna_bench.comparison.contestants import (
    NamedModel,
    check_distinct,
    contestant_of,
    find_model,
    one_protocol,
    task_order,
    wanted_tasks,
    without_limited,
)
from findna_bench.errors import UnknownNameError, UsageError
from findna_bench.registry import get_registry
from findna_bench.results.schema import Result
from findna_bench.statistics.paired_tests import RankInterval

MODELS = (
    ComparedModel("net", ("pooling max", "layer 2"), (), ("untrained",)),
    ComparedModel("kmer", (), (), ()),
    ComparedModel("family:new-*", (), ("path:new-1", "path:new-2"), ()),
)
ONE = TaskComparison(
    "toy/one",
    "accuracy",
    12_000,
    1_100,
    True,
    "as the data set groups them",
    scores={
        "net (pooling max, layer 2)": Score(
            0.91234, 0.9, 0.92512, 3, 0.0123, (0, 1, 2), ("weights",), ("untrained", "limit 60"), "a", "", ("not settled, 1 of 3 fits",)
        ),
        "kmer": Score(0.9, None, None, 1, None, (0,), (), ("limit 60",), "ab", "1 more failed: oom"),
        "family:new-*": Score(0.5, 0.45, 0.55, 2, 0.00001, (0, 1), ("row order",), (), "b"),
    },
    differences=(
        PairedDifference("net (pooling max, layer 2)", "kmer", 0.01234, -0.00011, 0.0248, 0.0499, 0.0998, 0.0212, (0.5, 0.00009, 1.0)),
        PairedDifference("net (pooling max, layer 2)", "family:new-*", 0.41234, 0.4, 0.42, 0.00001, 0.00003, 0.05, ()),
        PairedDifference("kmer", "family:new-*", 0.4, None, None, None, None, None, (), "too few rows of the rarer class, or all alike"),
    ),
)  # fmt: skip
TWO = TaskComparison(
    "toy/two",
    "rmse",
    50,
    50,
    False,
    "the data are not at hand",
    scores={
        "net (pooling max, layer 2)": Score(1.25, 1.0, 1.5, 1, None, (0,), ("weights",), ("untrained",)),
        "kmer": Score(2.5, 2.25, 2.75, 6, 0.25, (0,), (), ()),
    },
    differences=(
        PairedDifference(
            "net (pooling max, layer 2)", "kmer", -1.25, -1.5, -1.0, 0.0001, 0.0003, 0.5, (0.1, 0.2, 0.3, 0.04, 0.5, 0.6)
        ),
    ),
    missing={"family:new-*": "no result"},
)  # fmt: skip
GONE = TaskComparison("toy/three", "mcc", missing=dict.fromkeys(("net (pooling max, layer 2)", "kmer", "family:new-*"), "no result"))  # fmt: skip
TORN = TaskComparison("toy/four", "mcc", missing={"kmer": "oom: it broke"}, problem="fewer than two models have scores")
BARE = TaskComparison("toy/five", "mcc", problem="its results have unlike main metrics")
ACROSS = AcrossTasks(
    ("toy/one", "toy/two"),
    2,
    {"marks": ("toy/one", "toy/six")},
    {"kmer": RankInterval(1.5, 1.0, 2.0, 0.505), "net (pooling max, layer 2)": RankInterval(1.25, 1.0, 1.75, 0.4)},
    (
        PairAcross("net (pooling max, layer 2)", "kmer", 2, 2, -0.6188, 0.5, 0.5, 0.5),
        PairAcross("kmer", "family:new-*", 1, 1, 0.4, None, None, 1.0),
    ),
)
WHOLE = Comparison(
    "probe",
    "grouped",
    MODELS,
    (ONE, TWO, GONE, TORN, BARE),
    3,
    ACROSS,
    notes=("3 results computed with --limit are left out: there are complete ones",),
    commands=("findna-bench run net", "findna-bench run `x`"),
    environments=("cpu, 2 cores",),
)
PAGE = """\
# A \\| page

This page was made by `findna-bench compare net kmer`.

The results were computed by

* `findna-bench run net`
* <code>findna-bench run \\`x\\`</code>

on

* cpu, 2 cores

## Scores, probe, split grouped

| task | test rows | independent groups | net (pooling max, layer 2) | kmer | family:new-\\* |
|:---|---:|---:|---:|---:|---:|
| one (accuracy %) | 12,000 | 1,100 | 91.23 ± 1.23 \\[90.0, 92.5\\] n=3 a | 90.00 \\[too few\\] n=1 ab | 50.00 ± <0.01 \\[45.0, 55.0\\] n=2 b |
| two (RMSE) | 50 | 50 | 1.25 \\[1.00, 1.50\\] n=1 | 2.50 ± 0.25 \\[2.25, 2.75\\] n=6 | – |

* ± is the standard deviation over n fits (ddof 1), brackets the 95 % interval over groups of related test rows and over fits (rows alone where n is 1), of the same method as in tables; too few: fewer than 10 rows of the rarer class.
* Models that share a letter do not differ at 5% after Holm's correction over the whole table.
* 3 results computed with --limit are left out: there are complete ones.
* Related rows are known (as the data set groups them): one.
* Related rows are not known, every row counts as independent, and intervals may be too narrow (the data are not at hand): two.
* What a seed changes here: row order, weights.
* net (pooling max, layer 2) has one fit of something that varies, so that no interval here covers it and no order is tested: two.
* Flags of net (pooling max, layer 2): untrained; limit 60 on one.
* Flags of kmer: limit 60 on one.
* Warning of fits of net (pooling max, layer 2) on one: not settled, 1 of 3 fits.
* kmer on one: 1 more failed: oom
* family:new-\\* on two: no result

## Differences

| task | pair | difference, points | p | p (Holm) | McNemar mid-p per seed | smallest detectable |
|:---|:---|---:|---:|---:|---:|---:|
| one | net (pooling max, layer 2) − kmer | +1.23 \\[-0.01, +2.48\\] | 0.0499 | 0.0998 | 0.5000, <0.0001, 1.0000 | 2.12 |
| one | net (pooling max, layer 2) − family:new-\\* | +41.23 \\[+40.00, +42.00\\] | <0.0001 | <0.0001 | – | 5.00 |
| one | kmer − family:new-\\* | +40.00 \\[too few\\] | – | – | – | – |
| two | net (pooling max, layer 2) − kmer | -1.25 \\[-1.50, -1.00\\] | 0.0001 | 0.0003 | 0.0400 to 0.6000 (6) | 0.50 |

* Every difference is the first model's metric minus the second's on the same rows, with its 95 % interval.
* p (Holm) is corrected for the 3 tests of this table; below 0.05 the order of these models, as they were fitted, is evidence, above it is not. Where each stands for one pretraining, it says nothing of how they were pretrained: another pretraining seed may reverse it.
* Not tested (too few rows of the rarer class, or all alike): one.
* McNemar's test counts right and wrong rows of a pair of fits of one seed, takes rows as independent, and is not corrected; a dash stands where the two models do not have the same seeds.
* Smallest detectable: the true difference that rows and fits like these show in four of five cases (5 % level, uncorrected).

## Ranks

| model | mean rank | chance of being the best |
|:---|---:|---:|
| net (pooling max, layer 2) | 1.25 \\[1.00, 1.75\\] | 40% |
| kmer | 1.50 \\[1.00, 2.00\\] | 50% |

* Over the 2 tasks that all models have, 2 of them independent; the interval is over tasks, rows and fits.
* Tasks on the same loci count as one: marks (one, six).

## Across tasks

| pair | tasks | independent | mean difference, points | p | p (Holm) | smallest possible p |
|:---|---:|---:|---:|---:|---:|---:|
| net (pooling max, layer 2) − kmer | 2 | 2 | -61.88 | 0.5000 | 0.5000 | 0.5000 |
| kmer − family:new-\\* | 1 | 1 | +40.00 | – | – | 1.0000 |

* Wilcoxon's signed-rank test over independent tasks, exact; Holm's correction over the 1 test of this table. A dash stands where one fit of a model stands for something that varies.

## Not compared

* No model has a result on three.
* four: fewer than two models have scores (kmer: oom: it broke).
* five: its results have unlike main metrics.
"""


def lines_of(page: str) -> list[str]:
    """Tables without the spaces that line their columns up."""
    return [re.sub(r"-{3,}", "---", re.sub(r" +", " ", line)) for line in page.splitlines()]


def test_the_whole_page() -> None:
    page = render_comparison_markdown(WHOLE, title="A | page", command="findna-bench compare net kmer")
    assert lines_of(page) == PAGE.replace("± <0.01", "± &lt;0.01").replace("<0.0001", "&lt;0.0001").splitlines()
    assert page.endswith("metrics.\n")


def test_the_page_of_two_models_has_no_letters_and_no_pairs() -> None:
    across = replace(ACROSS, n_clusters=1, clusters={}, pairs=(), why_no_pairs="the tasks have unlike metrics")
    two = replace(
        WHOLE, split="official", models=MODELS[:2], tasks=(TWO,), n_tests=1, across=across, notes=(), commands=(), environments=()
    )  # fmt: skip
    lines = lines_of(render_comparison_markdown(two))
    assert lines[:5] == [
        "# Comparison",
        "",
        "## Scores, probe",
        "",
        "| task | test rows | independent groups | net (pooling max, layer 2) | kmer |",
    ]
    assert not any("letter" in line for line in lines)
    at = lines.index("## Differences: net (pooling max, layer 2) − kmer")
    assert lines[at + 2 : at + 4] == [
        "| task | difference, points | p | p (Holm) | McNemar mid-p per seed | smallest detectable |",
        "|:---|---:|---:|---:|---:|---:|",
    ]
    assert "* p (Holm) is corrected for the 1 test of this table; below 0.05 the order of these models" in " ".join(
        lines
    )
    assert lines[-5:] == [
        "* Over the 2 tasks that all models have, 1 of them independent; the interval is over rows and fits.",
        "",
        "## Across tasks",
        "",
        "* No signed-rank test: the tasks have unlike metrics.",
    ]
    assert "## Ranks" not in render_comparison_markdown(replace(two, across=None))
    assert "Not compared" not in render_comparison_markdown(two)


def test_the_screen_shows_what_the_page_does(capsys: pytest.CaptureFixture[str]) -> None:
    render_comparison_screen(WHOLE)
    shown = capsys.readouterr().out.splitlines()
    titles = [line.removeprefix("# ") for line in shown if line.startswith("# ")]
    assert titles == [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
    assert "one (accuracy %)\t12,000\t1,100\t91.23 ± 1.23 [90.0, 92.5] n=3 a\t90.00 [too few] n=1 ab\t50.00 ± <0.01 [45.0, 55.0] n=2 b" in shown  # fmt: skip


def test_a_model_is_called_by_its_settings_and_a_family_is_one() -> None:
    assert [model.label for model in MODELS] == ["net (pooling max, layer 2)", "kmer", "family:new-*"]
    assert [model.is_family for model in MODELS] == [False, False, True]
    labels = [model["label"] for model in WHOLE.to_dict()["models"]]
    assert labels == [model.label for model in MODELS]


# ------------------------------------------------------------------------------------------------- which results are meant


def result(name: str, on: str = "one", seed: int = 0, config: str = "c", **changes: Any) -> Result:
    record: dict[str, Any] = {
        "identity": "i", "request_id": f"{name} {on} {seed} {config}", "config_id": f"{name} {config}", "status": "success",
        "protocol_version": 1, "model": {"name": name, "kind": "encoder", "pooling": "mean", "weights": {"digest": f"w {name}"}},
        "task": {"suite": "toy", "name": on, "labels": ["a", "b"], "data_digest": "d", "split": "official"}, "seed": seed,
        "protocol": {"name": "probe", "settings": {"seed_varies": ["row order"]}},
        "metrics": {"main": {"name": "accuracy", "value": 0.5}, "all": {"accuracy": 0.5}}, "created": f"2026-01-01T00:00:0{seed}+00:00",
    }  # fmt: skip
    for field, change in changes.items():
        record[field] = record[field] | change if isinstance(record.get(field), dict) else change
    if record["status"] != "success":
        record |= {"identity": None, "config_id": None, "error": {"type": "DataError", "message": "it broke"}}
    return Result.model_validate(record)


HERE = Path("r")
NAMES = ("a", "a (b)", "net@random", "net@random:10", "net@random:2", "path:new-10", "path:new-9", "kmer")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", NamedModel("a", "", ("a",), False)),
        ("a (b)", NamedModel("a (b)", "", ("a (b)",), False)),
        ("a (pooling max, layer 2)", NamedModel("a", "pooling max, layer 2", ("a",), False)),
        ("net@random:2", NamedModel("net@random:2", "", ("net@random:2",), False)),
        ("net@random:*", NamedModel("net@random:*", "", ("net@random", "net@random:2", "net@random:10"), True)),
        ("net@random:* (layer 2)", NamedModel("net@random:*", "layer 2", ("net@random", "net@random:2", "net@random:10"), True)),
        ("family:runs/new-*", NamedModel("family:new-*", "", ("path:new-9", "path:new-10"), True)),
    ],
)  # fmt: skip
def test_what_a_name_stands_for(text: str, expected: NamedModel) -> None:
    assert find_model(text, NAMES, get_registry(), HERE) == expected


@pytest.mark.parametrize(
    ("text", "names", "sentence"),
    [
        ("kmr", NAMES, "no results of kmr are in r; there are kmer"),
        ("zzzzzz", [f"n{i:02}" for i in range(14)], "no results of zzzzzz are in r; there are " + ", ".join(f"n{i:02}" for i in range(12))),
        ("zzzzzz", [], "no results of zzzzzz are in r"),
        ("family:no-*", [f"n{i:02}" for i in range(14)], "no results of family:no-* are in r; there are " + ", ".join(f"n{i:02}" for i in range(12))),
        ("family:no-*", [], "no results of family:no-* are in r; there are none at all"),
        ("other@random:*", ["kmer"], "no results of other@random:* are in r; there are kmer"),
    ],
)  # fmt: skip
def test_a_name_without_results_is_told_what_there_is(text: str, names: Sequence[str], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        find_model(text, names, get_registry(), HERE)
    assert str(refused.value) == sentence


def test_one_protocol_and_one_split_are_chosen() -> None:
    probe, tuned = result("a"), result("b", protocol={"name": "finetune"})
    grouped, failed = result("c", task={"split": "grouped"}), result("d", status="oom")
    assert one_protocol([probe, failed], None, None) == [probe, failed]
    assert one_protocol([probe, tuned, failed], "probe", None) == [probe, failed]
    assert one_protocol([probe, grouped], None, "grouped") == [grouped]
    assert one_protocol([failed], None, None) == [failed]
    assert one_protocol([], "knn", None) == []
    for given, chosen, sentence in (
        ([probe, tuned], (None, None), "the results of these models are under finetune, probe; choose one with --protocol"),
        ([probe, grouped], (None, None), "the results of these models are under grouped, official; choose one with --split"),
        ([probe], ("knn", None), "--protocol knn: these models have no such results, only probe"),
        ([failed], ("knn", None), "--protocol knn: these models have no such results, only failures"),
    ):  # fmt: skip
        with pytest.raises(UsageError) as refused:
            one_protocol(given, *chosen)  # type: ignore[arg-type]
        assert str(refused.value) == sentence


def test_results_on_a_part_of_the_rows_make_way_for_whole_ones() -> None:
    whole, part = result("a"), result("a", limit=5)
    other, failed = result("a", "two", limit=5), result("a", "two", status="error")
    notes: list[str] = []
    assert without_limited([whole, part, other, failed], notes) == [whole, other, failed]
    assert notes == ["1 results computed with --limit are left out: there are complete ones"]
    assert without_limited([whole, other], notes) == [whole, other]
    assert len(notes) == 1


def test_a_contestant_has_one_configuration_with_its_failures() -> None:
    mean, maximum = result("a"), result("a", config="max", model={"pooling": "max"})
    failed = [result("a", "two", status="oom"), result("a", "two", status="error", preset="fast")]
    named = NamedModel("a", "pooling max", ("a",), False)
    found = contestant_of(named, [mean, maximum, *failed], HERE, [])
    assert found.model == ComparedModel("a", ("pooling max",), (), ())
    assert (found.results, found.failures) == ((maximum,), (failed[0],))
    for settings, sentence in (
        ("", "a has 2 configurations in r that must not be mixed; name one of them in quotes: 'a (pooling max)', 'a (pooling mean)'"),
        ("pooling cls", "a has no configuration (pooling cls) in r; there is 'a (pooling max)', 'a (pooling mean)'"),
    ):  # fmt: skip
        with pytest.raises(UsageError) as refused:
            contestant_of(NamedModel("a", settings, ("a",), False), [mean, maximum], HERE, [])
        assert str(refused.value) == sentence
    with pytest.raises(UsageError) as alone:
        contestant_of(named, [mean], HERE, [])
    assert str(alone.value) == "a has no configuration (pooling max) in r; there is one configuration only, 'a'"
    nothing = contestant_of(named, failed, HERE, [])
    assert (nothing.results, nothing.failures) == ((), tuple(failed))


def test_draws_and_pretrainings_stand_together_and_it_is_said() -> None:
    draws = [result(f"net@random{n}", flags=["untrained"]) for n in ("", ":3")]
    notes: list[str] = []
    members = ("net@random", "net@random:3", "net@random:4")
    pooled = contestant_of(NamedModel("net@random:*", "", members, True), draws, HERE, notes)
    assert pooled.model == ComparedModel("net@random:*", (), ("net@random", "net@random:3"), ("untrained",))
    assert [pooled.draw_of(r) for r in draws] == [0, 3]
    one = contestant_of(NamedModel("net@random:*", "", members, True), draws[:1], HERE, notes)
    assert one.model.pooled == ()
    contestant_of(NamedModel("net@random:*", "", members, True), [], HERE, notes)
    family = [result(f"path:new-{n}") for n in (9, 10)]
    members = ("path:new-9", "path:new-10")
    pretrained = contestant_of(NamedModel("family:new-*", "", members, True), family, HERE, notes)
    assert [pretrained.draw_of(r) for r in family] == [0, 1]
    lone = contestant_of(NamedModel("family:new-*", "", members, True), family[:1], HERE, notes)
    assert lone.model.pooled == ("path:new-9",)
    assert notes == [
        "net@random:* stands for 2 untrained draws (net@random, net@random:3); each counts once, with the mean over its seeds",
        "net@random:* stands for one untrained draw only (net@random)",
        "net@random:* stands for one untrained draw only (without a score)",
        "family:new-* stands for 2 pretrainings (path:new-9, path:new-10); each counts once, with the mean over its seeds",
        "family:new-* stands for one pretraining only (path:new-9)",
    ]
    same = [result(name, model={"weights": {"digest": "w"}}) for name in members]
    with pytest.raises(UsageError) as refused:
        contestant_of(NamedModel("family:new-*", "", members, True), same, HERE, [])
    assert str(refused.value) == (
        "family:new-*: path:new-9 and path:new-10 have the same weights, so they are one pretraining; leave one of them out"
    )
    lone = contestant_of(NamedModel("net@random:3", "", ("net@random:3",), False), draws, HERE, [])
    with pytest.raises(UsageError) as shared:
        check_distinct([pooled, lone])
    assert str(shared.value) == "net@random:* and net@random:3 share results; name models that do not overlap"
    check_distinct([pooled, pretrained])


def test_the_newest_result_of_a_seed_counts_and_a_fixed_fit_once() -> None:
    old, new = result("a"), result("a", created="2026-02-01T00:00:00+00:00")
    other = result("a", seed=1)
    named = NamedModel("a", "", ("a",), False)
    for given in ([old, new, other], [new, other, old]):
        assert contestant_of(named, given, HERE, []).on("toy/one") == [new, other]
    fixed = [result("a", seed=seed, protocol={"settings": {"seed_varies": []}}) for seed in (0, 1)]
    assert contestant_of(named, fixed, HERE, []).on("toy/one") == fixed[:1]
    assert contestant_of(named, fixed, HERE, []).on("toy/two") == []


def test_tasks_are_asked_for_by_name_or_by_what_results_know() -> None:
    registry = get_registry()
    wanted = wanted_tasks(["demo/species4", "gone"], (), ("lab/gone", "other/x"), registry)
    assert list(wanted) == ["demo/species4", "lab/gone"]
    assert wanted["lab/gone"] is None
    for known in ((), ("lab/gone", "other/gone")):
        with pytest.raises(UnknownNameError):
            wanted_tasks(["gone"], (), known, registry)
    demo = list(wanted_tasks((), ["demo"], (), registry))
    assert demo[0].startswith("demo/")
    assert task_order({"zz/a", "aa/b", *demo[:2]}, registry) == [*demo[:2], "aa/b", "zz/a"]
