"""What a comparison concludes, and from what: the same rows of one configuration each, corrected for all looks, nothing left out unsaid."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import findna_bench as fb
from findna_bench.cards import SuiteCard, TaskCard, hookimpl
from findna_bench.cli import main
from findna_bench.comparison.comparing import compare_models
from findna_bench.comparison.comparison_pages import render_comparison_markdown, render_comparison_screen
from findna_bench.comparison.comparison_records import Comparison
from findna_bench.data.table import SequenceTable
from findna_bench.data.task import open_task
from findna_bench.errors import OutputError, UsageError
from findna_bench.matrix import plugin as core
from findna_bench.registry import Plugin, Registry
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore, ScoredRows
from findna_bench.statistics.classification import compute_metrics

N = 300
LABELS = np.arange(N) % 2
MARKS = tuple(f"mark{i}" for i in range(4))


def rows(config: Mapping[str, Any]) -> dict[str, SequenceTable]:
    """Test rows in 100 groups of three."""
    sequences = ["ACGT" + "".join("ACGT"[(i >> (2 * k)) & 3] for k in range(6)) for i in range(N)]
    table = SequenceTable(sequences, LABELS, np.array([f"row{i}" for i in range(N)]), group=np.arange(N) // 3)
    return {"train": table, "test": table}


class Toy:
    """Two tasks alone, one made from the second, and four on the same loci."""

    @hookimpl
    def findna_bench_suites(self) -> list[SuiteCard]:
        return [SuiteCard(name="toy", tasks=("toy/one", "toy/two", *(f"toy/{mark}" for mark in MARKS)))]

    @hookimpl
    def findna_bench_tasks(self) -> list[TaskCard]:
        def task(name: str, **more: Any) -> TaskCard:
            origin = {} if "derived_from" in more else {"factory": f"{__name__}:rows"}
            return TaskCard(name=name, suite="toy", labels=("a", "b"), **(origin | more))

        derived = task("two-clean", derived_from="toy/two", rows="no:where.parquet")
        return [task("one"), task("two"), derived, *(task(mark, locus_group="marks") for mark in MARKS)]


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(core, Plugin("core", "findna_bench.matrix.plugin", "findna-bench", "0"))
    registry.add(Toy(), Plugin("toy", "toy", "toy", "1"))
    return registry


Add = Callable[..., Result]


@pytest.fixture
def add(tmp_path: Path) -> Add:
    """Writes a result whose predictions are right on a share ``right`` of the rows; ``changes`` are its other fields."""
    store = ResultStore(tmp_path)

    def write(name: str, right: float, on: str = "one", seed: int = 0, *, config: str = "c", **changes: Any) -> Result:
        key = hashlib.sha256(f"{name} {on} {seed} {config}".encode()).hexdigest()
        keep: np.ndarray = changes.pop("rows", np.arange(N))
        labels: np.ndarray = changes.pop("labels", LABELS)
        predictions = changes.pop("predictions", True)
        hit = np.random.default_rng(int(key[:8], 16)).random(N) < right
        scores = np.eye(2)[np.where(hit, LABELS, 1 - LABELS)]
        metrics = compute_metrics(labels[keep], scores[keep])
        record: dict[str, Any] = {
            "identity": key, "request_id": key, "config_id": f"{name} {config}", "status": "success", "protocol_version": 1,
            "model": {"name": name, "kind": "encoder", "pooling": "mean"},
            "task": {"suite": "toy", "name": on, "labels": ["a", "b"], "data_digest": "d", "split": "official"},
            "seed": seed, "protocol": {"name": "probe", "settings": {"seed_varies": ["row order"]}},
            "metrics": {"main": {"name": "accuracy", "value": metrics["accuracy"]}, "all": metrics},
            "created": "2026-01-01T00:00:00+00:00",
        }  # fmt: skip
        if changes.get("status", "success") != "success":
            record |= {"identity": None, "config_id": None, "error": {"type": "DataError", "message": "it broke"}}
            predictions = False
        for field, change in changes.items():
            record[field] = record[field] | change if isinstance(record.get(field), dict) else change
        result = Result.model_validate(record)
        ids = np.array([f"row{i}" for i in keep])
        store.write(result, ScoredRows(ids, labels[keep], scores[keep]) if predictions else None)
        return result

    return write


def tasks_of(found: Comparison) -> dict[str, Any]:
    return {task.task.removeprefix("toy/"): task for task in found.tasks}


def test_p_values_are_corrected_over_the_whole_table_and_letters_follow_them(
    add: Add, tmp_path: Path, registry: Registry
) -> None:
    for task in ("one", "two"):
        for seed in range(3):
            for name, right in (("good", 0.9), ("fair", 0.82), ("poor", 0.6)):
                add(name, right, task, seed)
    found = compare_models(tmp_path, ["good", "fair", "poor"], registry=registry)
    pairs = [pair for task in found.tasks for pair in task.differences]
    assert found.n_tests == len(pairs) == 6
    assert [pair.p_holm for pair in pairs] == pytest.approx(multipletests([p.p_value for p in pairs], method="holm")[1])
    for task in found.tasks:
        for pair in task.differences:
            shared = set(task.scores[pair.first].letters) & set(task.scores[pair.second].letters)
            assert bool(shared) == (pair.p_holm >= 0.05)
            assert pair.value == pytest.approx(task.scores[pair.first].value - task.scores[pair.second].value)
            assert len(pair.mcnemar) == 3
        assert task.scores["good"].letters.startswith("a")
        assert "a" not in task.scores["poor"].letters
        assert task.scores["good"].seeds == (0, 1, 2)
    two = compare_models(tmp_path, ["poor", "good"], tasks=["toy/one"], registry=registry)
    assert two.across is None
    assert two.tasks[0].differences[0].value < 0
    assert two.tasks[0].scores["good"].letters == ""
    other = compare_models(tmp_path, ["poor", "good"], tasks=["one"], metric="mcc", registry=registry)
    assert other.tasks[0].metric == "mcc"
    assert other.tasks[0].scores["good"].value == pytest.approx(2 * two.tasks[0].scores["good"].value - 1, abs=0.02)


def test_one_fit_of_something_that_varies_is_not_tested(add: Add, tmp_path: Path, registry: Registry) -> None:
    for task in ("one", "two"):
        for seed in range(3):
            add("good", 0.9, task, seed)
            add("fair", 0.7, task, seed)
        add("once", 0.6, task)
        add("fixed", 0.6, task, protocol={"settings": {"seed_varies": []}})
    found = compare_models(tmp_path, ["good", "fair", "once", "fixed"], registry=registry)
    assert found.n_tests == 6  # three pairs without "once" on each of two tasks
    for task in found.tasks:
        for pair in task.differences:
            tested = "once" not in (pair.first, pair.second)
            assert (pair.p_value is not None, pair.p_holm is not None, bool(pair.mcnemar)) == (tested, tested, tested)
            assert pair.withheld == ("" if tested else "one fit of once")
            assert pair.low is not None
        assert task.scores["once"].letters == ""
        assert all(task.scores[name].letters for name in ("good", "fair", "fixed"))
    assert found.across is not None
    assert {(p.first, p.second) for p in found.across.pairs if p.p_value is None} == {
        ("good", "once"), ("fair", "once"), ("once", "fixed"),
    }  # fmt: skip
    page = render_comparison_markdown(found)
    assert "Not tested (one fit of once): one, two." in page
    assert (
        "once has one fit of something that varies, so that no interval here covers it and no order is tested" in page
    )
    assert found.tasks[0].scores["fixed"].n_fits == 1
    json.dumps(found.to_dict())


def test_a_comparison_of_too_few_rows_says_so(add: Add, tmp_path: Path, registry: Registry) -> None:
    few = np.arange(12)
    for name, right in (("a", 0.9), ("b", 0.5)):
        for seed in range(2):
            add(name, right, seed=seed, rows=few)
    found = compare_models(tmp_path, ["a", "b"], metric="mcc", registry=registry)
    (pair,) = found.tasks[0].differences
    assert (pair.low, pair.p_value, found.n_tests) == (None, None, 0)
    assert "few rows of the rarer class" in pair.withheld
    page = render_comparison_markdown(found)
    assert page.count(r"\[too few\]") == 3  # two scores and their difference


def test_draws_count_once_however_many_seeds_each_has(add: Add, tmp_path: Path, registry: Registry) -> None:
    chances = {"net@random": 0.6, "net@random:1": 0.7, "net@random:10": 0.8}
    for name, right in chances.items():
        for seed in range(6):
            add(name, right, seed=seed, model={"weights": {"digest": name}}, flags=["untrained"])
    for seed in range(6):
        add("net", 0.75, seed=seed)
    found = compare_models(tmp_path, ["net", "net@random:*"], registry=registry)
    score = found.tasks[0].scores["net@random:*"]
    assert score.n_fits == 3
    assert score.seed_sd == pytest.approx(0.1, abs=0.03)
    assert score.high - score.low > 0.25  # three draws, not eighteen seeds: t with two degrees of freedom
    assert found.models[1].pooled == ("net@random", "net@random:1", "net@random:10")
    assert found.tasks[0].differences[0].p_value > 0.05
    page = render_comparison_markdown(found)
    assert "stands for 3 untrained draws (net@random, net@random:1, net@random:10)" in page
    assert "Flags of net@random:\\*: untrained." in page
    with pytest.raises(UsageError, match="share results"):
        compare_models(tmp_path, ["net@random:1", "net@random:*"], registry=registry)
    add("net@random:2", 0.7, config="max", model={"pooling": "max"})
    with pytest.raises(UsageError, match=r"2 configurations .*'net@random:\* \(pooling max\)'"):
        compare_models(tmp_path, ["net", "net@random:*"], registry=registry)
    pooled = compare_models(tmp_path, ["net", "net@random:* (pooling mean)"], registry=registry)
    assert pooled.tasks[0].scores["net@random:* (pooling mean)"].n_fits == 3


def test_ranks_say_that_other_tasks_might_have_been_chosen(add: Add, tmp_path: Path, registry: Registry) -> None:
    for task, better, worse in (("one", "a", "b"), ("two", "b", "a")):
        for seed in range(3):
            add(better, 0.95, task, seed)
            add(worse, 0.55, task, seed)
    across = compare_models(tmp_path, ["a", "b"], registry=registry).across
    assert across is not None
    assert (across.ranks["a"].mean, across.ranks["a"].low, across.ranks["a"].high) == (1.5, 1.0, 2.0)


def test_a_family_is_compared_over_its_pretrainings(add: Add, tmp_path: Path, registry: Registry) -> None:
    for family, chances in {"new": (0.9, 0.8, 0.7), "old": (0.72, 0.62, 0.52)}.items():
        for number, right in enumerate(chances, start=8):  # 8, 9, 10: ordered as numbers
            for seed in range(4):
                add(f"path:{family}-{number}", right, seed=seed, model={"weights": {"digest": f"{family}{number}"}})
    for seed in range(4):
        add("path:new-8@random", 0.5, seed=seed)
    found = compare_models(tmp_path, ["family:runs/new-*", "family:old-*"], registry=registry)
    members = tuple(f"path:new-{number}" for number in (8, 9, 10))
    assert (found.models[0].name, found.models[0].pooled) == ("family:new-*", members)
    score, difference = found.tasks[0].scores["family:new-*"], found.tasks[0].differences[0]
    assert (score.n_fits, score.seeds) == (3, (0, 1, 2, 3))
    assert score.value == pytest.approx(0.8, abs=0.03)
    assert score.high - score.low > 0.3  # three pretrainings, not twelve fits
    assert difference.mcnemar == ()  # no two pretrainings are a pair
    # Welch's test of the pretrainings' means is what rows can only widen.
    means = {
        family: [np.mean([r.metrics.all["accuracy"] for r in ResultStore(tmp_path).load() if r.model.name == f"path:{family}-{n}"])
                 for n in (8, 9, 10)]
        for family in ("new", "old")
    }  # fmt: skip
    welch = stats.ttest_ind(means["new"], means["old"], equal_var=False)
    assert 0.8 * welch.pvalue < difference.p_value < 2 * welch.pvalue
    networks = compare_models(tmp_path, ["path:new-8", "path:old-8"], registry=registry)
    assert networks.tasks[0].differences[0].p_value < 0.01 < difference.p_value  # of two networks one may be sure
    page = render_comparison_markdown(found)
    assert "family:new-\\* stands for 3 pretrainings (path:new-8, path:new-9, path:new-10)" in page

    one = compare_models(tmp_path, ["family:new-8", "family:old-*"], registry=registry)
    assert one.tasks[0].differences[0].withheld == "one fit of family:new-8"
    with pytest.raises(UsageError, match=r"no results of family:none-\* are in .*; there are path:new-10"):
        compare_models(tmp_path, ["family:none-*", "family:old-*"], registry=registry)
    with pytest.raises(UsageError, match="share results"):
        compare_models(tmp_path, ["path:new-8", "family:new-*"], registry=registry)
    add("path:new-11", 0.8, model={"weights": {"digest": "new8"}})
    with pytest.raises(UsageError, match="path:new-11 and path:new-8 have the same weights"):
        compare_models(tmp_path, ["family:new-*", "family:old-*"], registry=registry)


def test_configurations_are_never_mixed_and_are_named_as_in_the_leaderboard(
    add: Add, tmp_path: Path, registry: Registry
) -> None:
    for seed in range(2):
        add("m", 0.9, seed=seed)
        add("m", 0.7, seed=seed, config="max", model={"pooling": "max"}, strand="rc-mean")
        add("other", 0.8, seed=seed)
    with pytest.raises(UsageError) as refused:
        compare_models(tmp_path, ["m", "other"], registry=registry)
    for choice in ("'m (pooling max, strand rc-mean)'", "'m (pooling mean, strand None)'", "2 configurations"):
        assert choice in str(refused.value)
    found = compare_models(tmp_path, ["m (pooling max)", "m (pooling mean, strand None)"], registry=registry)
    (difference,) = found.tasks[0].differences
    assert (difference.first, difference.second) == ("m (pooling max)", "m (pooling mean, strand None)")
    assert difference.value < -0.1
    with pytest.raises(UsageError, match="no configuration"):
        compare_models(tmp_path, ["m (pooling cls)", "other"], registry=registry)
    with pytest.raises(UsageError, match="share results"):
        compare_models(tmp_path, ["m (pooling max)", "m (strand rc-mean)"], registry=registry)


def test_protocols_splits_and_names_must_be_clear(add: Add, tmp_path: Path, registry: Registry) -> None:
    for name in ("a", "b"):
        add(name, 0.8)
        add(name, 0.8, config="f", protocol={"name": "finetune"})
    with pytest.raises(UsageError, match="finetune, probe; choose one with --protocol"):
        compare_models(tmp_path, ["a", "b"], registry=registry)
    found = compare_models(tmp_path, ["a", "b"], protocol="finetune", registry=registry)
    assert found.protocol == "finetune"
    for name in ("a", "b"):
        add(name, 0.8, config="s", task={"split": "grouped"})
    with pytest.raises(UsageError, match="grouped, official; choose one with --split"):
        compare_models(tmp_path, ["a", "b"], protocol="probe", registry=registry)
    for wrong, words in (
        (["a"], "two models"),
        (["a", "a"], "named twice"),
        (["a", "c"], "no results of c are in .*; there are a, b"),
    ):
        with pytest.raises(UsageError, match=words):
            compare_models(tmp_path, wrong, protocol="probe", split="official", registry=registry)
    with pytest.raises(UsageError, match="--protocol knn"):
        compare_models(tmp_path, ["a", "b"], protocol="knn", registry=registry)
    with pytest.raises(UsageError, match="f1:CLASS"):
        compare_models(tmp_path, ["a", "b"], metric="f1", registry=registry)


def test_what_is_missing_or_unequal_is_said(add: Add, tmp_path: Path, registry: Registry) -> None:
    for name in ("a", "b", "c"):
        add(name, 0.8)
    add("a", 0.8, "two")
    add("b", 0.8, "two", rows=np.arange(200), limit=200, flags=["limit 200"])
    add("a", 0.8, "mark0")
    add("b", 0.8, "mark0", labels=1 - LABELS)
    add("a", 0.8, "mark1")
    add("b", 0.8, "mark1", predictions=False)
    add("c", 0.8, "mark1", status="oom")
    add("a", 0.8, "mark2")
    add("b", 0.8, "mark2")
    add("b", 0.8, "mark2", seed=1, status="error")
    found = compare_models(tmp_path, ["a", "b", "c"], suites=["toy"], registry=registry)
    tasks = tasks_of(found)
    assert not found.complete
    assert "not scored on the same test rows (300 and 200, 200 in common)" in tasks["two"].problem
    assert "different labels" in tasks["mark0"].problem
    assert "predictions" in tasks["mark1"].missing["b"]
    assert "are missing" in tasks["mark1"].missing["b"]
    assert tasks["mark1"].missing["c"] == "oom: it broke"
    assert tasks["mark2"].missing == {"c": "no result"}
    assert tasks["mark2"].scores["b"].reason == "1 more failed: error: it broke"
    page = render_comparison_markdown(found)
    for words in ("No model has a result on mark3", "200 in common", "oom: it broke", "1 more failed"):
        assert words in page
    with pytest.raises(OutputError, match="nothing can be compared: toy/two: a and b were not scored on the same"):
        compare_models(tmp_path, ["a", "b"], tasks=["toy/two"], registry=registry)


def test_the_order_of_stored_rows_makes_no_difference(add: Add, tmp_path: Path, registry: Registry) -> None:
    add("a", 0.8)
    add("b", 0.8)
    before = compare_models(tmp_path, ["a", "b"], registry=registry)
    add("b", 0.8, rows=np.random.default_rng(0).permutation(N))
    assert compare_models(tmp_path, ["a", "b"], registry=registry) == before


def test_related_rows_count_once_where_the_data_are_those_that_were_scored(
    add: Add, tmp_path: Path, registry: Registry
) -> None:
    digest = open_task("toy/one", registry=registry).data_digest
    for name in ("a", "b"):
        add(name, 0.8, task={"data_digest": digest})
        add(name, 0.8, "two", task={"data_digest": "older"})
        add(name, 0.8, "gone")
    tasks = tasks_of(compare_models(tmp_path, ["a", "b"], registry=registry))
    assert (tasks["one"].n_rows, tasks["one"].n_groups, tasks["one"].known_groups) == (N, 100, True)
    assert (tasks["two"].n_groups, tasks["two"].known_groups) == (N, False)
    assert tasks["two"].groups == "the data here are not those that were scored"
    assert tasks["gone"].groups == "the data are not at hand"
    page = render_comparison_markdown(compare_models(tmp_path, ["a", "b"], registry=registry))
    assert "Related rows are known (as the data set groups them): one." in page
    assert "every row counts as independent, and intervals may be too narrow (the data are not at hand): gone." in page


def test_tasks_that_share_loci_are_one_observation(add: Add, tmp_path: Path, registry: Registry) -> None:
    for task in ("one", "two", "two-clean", *MARKS):
        for name, right in (("a", 0.95), ("b", 0.6)):
            add(name, right, task, protocol={"settings": {"seed_varies": []}})
    across = compare_models(tmp_path, ["a", "b"], registry=registry).across
    assert across is not None
    assert across.n_clusters == 3
    assert across.clusters == {"toy/two": ("toy/two", "toy/two-clean"), "marks": tuple(f"toy/{m}" for m in MARKS)}
    (pair,) = across.pairs
    assert (pair.n_tasks, pair.n_clusters, pair.p_value, pair.smallest_p) == (7, 3, 0.25, 0.25)
    assert across.ranks["a"].mean == 1.0
    assert across.ranks["a"].high < across.ranks["b"].low
    add("a", 0.9, "one", metrics={"main": {"name": "mcc", "value": 0.5}})
    add("b", 0.9, "one", metrics={"main": {"name": "mcc", "value": 0.5}})
    mixed = compare_models(tmp_path, ["a", "b"], registry=registry).across
    assert mixed is not None
    assert mixed.pairs == ()
    assert "unlike metrics (accuracy, mcc)" in mixed.why_no_pairs


def test_names_are_text_wherever_they_stand(
    add: Add, tmp_path: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "path:/x|<script>alert(1)</script>`*\n\x1b[31m (a) # [b](c)"
    for name in (hostile, "b", "c"):
        add(name, 0.8, command="findna-bench run `x`\n# heading", flags=["<i>\x1b"])
        add(name, 0.7, "two")
    found = compare_models(tmp_path, [hostile, "b", "c"], registry=registry)
    page = render_comparison_markdown(found, title="<b>|", command="findna-bench compare `")
    assert not any(tag in page for tag in ("<script", "<b>", "<i>", "\n# heading"))
    assert re.search(
        r"^on\n\n\* .*, \? cores; Python \?, torch \?, findna-bench \?; protocol version \d$", page, re.MULTILINE
    )
    widths = {
        line.count("|") - line.count("\\|") for line in page.splitlines() if line.startswith("| ") and "one" in line
    }
    assert widths == {7, 8}  # scores: six cells; differences: seven
    render_comparison_screen(found)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "alert(1)" in shown


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compare") / "results"
    fb.run(["kmer", "majority", "trivial"], suite="demo", seeds=2, limit=60, output_dir=out)
    return out


def test_computed_results_are_compared_on_the_command_line(
    computed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def bench(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["findna-bench", "compare", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capfd.readouterr()

    code, out, _ = bench("kmer", "majority", "trivial", "-o", computed, "--suite", "demo", "--json")
    assert code == 0
    found = json.loads(out)
    assert [model["label"] for model in found["models"]] == ["kmer", "majority", "trivial"]
    stored = ResultStore(computed).load()
    compared = {task["task"]: task for task in found["tasks"]}
    assert compared.pop("demo/motif_variants")["problem"] == "fewer than two models have scores"
    dose = compared["demo/motif_dose"]  # of a constant there is no correlation; the others are compared all the same
    assert dose["missing"] == {"majority": "pearson is undefined for what it predicts"}
    assert sorted(dose["scores"]) == ["kmer", "trivial"]
    assert len(compared) == 4
    for task in compared.values():
        assert task["known_groups"]
        assert 2 < task["n_groups"] <= task["n_rows"] == 60
        for name, score in task["scores"].items():
            mine = [r.metrics.main.value for r in stored if (r.task_name, r.model.name) == (task["task"], name)]
            assert score["value"] == pytest.approx(np.mean(mine), abs=1e-6)
            assert "limit 60" in score["flags"]
    code, out, _ = bench("kmer", "majority", "-o", computed, "-t", "species4")
    assert code == 0
    assert "species4\t+" in out
    code, _, err = bench("kmer", "majority", "-o", computed, "-t", "motif_dose")
    assert code == 1
    assert "demo/motif_dose: pearson is undefined on these rows for majority" in err
    pages = []
    for name in ("x", "y"):
        assert bench("kmer", "majority", "-o", computed, "--markdown", tmp_path / name / "page.md")[0] == 0
        pages.append((tmp_path / name / "page.md").read_text().replace(str(tmp_path / name), ""))
    assert pages[0] == pages[1]
    assert "## Differences: kmer − majority" in pages[0]
    code, _, err = bench("kmer", "majoritty", "-o", computed)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "there are majority" in err
    assert bench("kmer", "majority", "-o", tmp_path / "absent")[0] == 2
    assert fb.compare(["kmer", "majority"], ["species4"], output_dir=computed).n_tests == 1


def test_of_a_large_folder_those_models_alone_are_read_that_are_named(
    add: Add, tmp_path: Path, registry: Registry
) -> None:
    for name in ("a", "b", "c"):
        for seed in range(2):
            add(name, 0.8, seed=seed)
    for name in ("a", "c"):
        (tmp_path / name / "toy" / "one" / "probe" / "0.json").write_text("{")
    said: list[str] = []
    assert compare_models(tmp_path, ["a", "b"], registry=registry, left_out=said.append).tasks
    assert [text.partition(" is not")[0] for text in said] == [str(tmp_path / "a" / "toy" / "one" / "probe" / "0.json")]
    said.clear()
    with pytest.raises(UsageError, match=r"no results of d are in .*; there are a, b, c"):
        compare_models(tmp_path, ["a", "d"], registry=registry, left_out=said.append)
    assert len(said) == 2
