"""Every flag and note of a result, at, below and above the bounds that decide it; and results in other people's forms, key by key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from refused import refused

from findna_bench.errors import OutputError, UsageError
from findna_bench.results.environment import environment, environment_line, versions_line
from findna_bench.results.export import check_form, export
from findna_bench.results.flags import (
    FROM_DATA,
    bases_read,
    choice_words,
    class_flag,
    few_shot_words,
    flags_of,
    following_flags,
    group_flags,
    share_read,
    truncation_flag,
    truncation_note,
    warnings_of,
)
from findna_bench.results.schema import Coverage, Result


def made(**changes: Any) -> Result:
    """A result of a trained encoder on an official split, with nothing to say about it."""
    content: dict[str, Any] = {
        "identity": "i" * 64,
        "request_id": "r",
        "config_id": "c",
        "status": "success",
        "protocol_version": 2,
        "model": {"name": "m", "kind": "encoder", "code_digest": "d", "weights": {"trained": True, "digest": "w" * 30}},
        "task": {"suite": "s", "name": "t", "labels": ["a", "b"], "split": "official", "data_digest": "x"},
        "seed": 0,
        "selection": "validation",
        "protocol": {"name": "probe"},
        "metrics": {"main": {"name": "mcc", "value": 0.5}, "all": {"mcc": 0.5, "accuracy": 0.75, "f1_macro": None}},
        "environment": {"versions": {"findna-bench": "1"}},
        "created": "2026-01-01T00:00:00+00:00",
    }
    for name, value in changes.items():
        top, _, below = name.partition("__")
        if below:
            content[top] = {**content.get(top, {}), below: value}
        else:
            content[top] = value
    return Result.model_validate(content)


@pytest.mark.parametrize(
    ("seen", "total", "words"),
    [
        (0, 0, "100 %"), (10, 10, "100 %"), (0, 10, "0 %"), (1, 101, "under 1 %"), (1, 100, "1 %"), (199, 10_000, "1 %"), (9899, 10_000, "98 %"),
        (9900, 10_000, "99.0 %"), (9_999, 10_000, "99.9 %"), (99_999, 100_000, "99.9 %"), (11, 10, "100 %"), (999, 1009, "99.0 %"),
    ],
)  # fmt: skip
def test_a_share_is_rounded_down(seen: int, total: int, words: str) -> None:
    assert share_read(seen, total) == words


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({}, None),
        ({"bases_total": 10}, None),
        ({"bases_seen": 5, "bases_total": 0, "truncated_sequences": 1}, None),
        ({"bases_seen": 5, "bases_total": 10}, None),
        ({"bases_seen": 5, "bases_total": 10, "truncated_sequences": 0}, None),
        ({"bases_seen": 10, "bases_total": 10, "truncated_sequences": 1}, None),
        ({"bases_seen": 5, "bases_total": 10, "truncated_sequences": 1}, "truncated (50 % of bases read)"),
        ({"bases_seen": 0, "bases_total": 10, "truncated_sequences": 2}, "truncated (0 % of bases read)"),
    ],
)
def test_what_was_cut_is_said_with_a_remedy(fields: dict[str, int], flag: str | None) -> None:
    coverage = Coverage(**fields)
    assert truncation_flag(coverage) == flag
    if flag is None:
        assert truncation_note(coverage) == ""
        return
    n = fields["truncated_sequences"]
    rows = f"{n} sequence{' is' if n == 1 else 's are'} longer than the model takes and cut"
    assert truncation_note(coverage) == f"{flag}: {rows}; --window window reads all of them"
    assert truncation_note(coverage, "") == f"{flag}: {rows}"
    many = Coverage(**fields | {"truncated_sequences": 1234})
    assert "1,234 sequences are longer" in truncation_note(many, "x")


def test_small_choices_are_worded() -> None:
    assert (class_flag(3, 2), class_flag(2, 2)) == (None, None)
    assert class_flag(1, 3) == "one class in test (MCC and AUROC mean nothing)"
    assert class_flag(0, 3) == "absent from test: 3 of 3 classes"
    assert class_flag(2, 3) == "absent from test: 1 of 3 classes"
    assert few_shot_words(10, "full") == "10-shot, full validation"
    assert few_shot_words(1, "within") == few_shot_words(1, None) == "1-shot"
    assert choice_words({}) is None
    assert choice_words({"candidates": {}}) is None
    assert (
        choice_words({"candidates": {"layer": [1, 2], "pooling": ["mean"]}, "trials": []})
        == "best of 2 layers x 1 pooling on validation"
    )
    assert choice_words({"candidates": {"pooling": ["mean", "max"]}}) == "first of 2 poolings, none chosen"


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, []),
        ({"model__weights": {"trained": False}}, ["untrained"]),
        ({"model__weights": {"trained": None}}, []),
        ({"model__code_digest": None}, ["code not hashed"]),
        ({"limit": 0}, ["limit 0"]),
        ({"protocol__settings": {"shots": 5}}, ["5-shot"]),
        ({"protocol__settings": {"shots": 5, "shot_validation": "full"}}, ["5-shot, full validation"]),
        ({"selection": "test"}, ["test-selected"]),
        ({"selection": "last"}, ["last-epoch"]),
        ({"task__split": "grouped"}, ["split grouped"]),
        ({"protocol__settings": {"search": 8}}, ["best of 8 settings on validation"]),
        ({"protocol__settings": {"search": 8}, "model__kind": "features"}, ["own budget, not searched"]),
        ({"protocol__settings": {"search": 8, "shots": 1, "shot_validation": "within"}}, ["1-shot", "own budget, not searched"]),
        ({"protocol__settings": {"search": 8, "shots": 2, "shot_validation": "within"}}, ["2-shot", "best of 8 settings on validation"]),
        ({"protocol__settings": {"search": 8, "shots": 1, "shot_validation": "full"}}, ["1-shot, full validation", "best of 8 settings on validation"]),
        ({"protocol__settings": {"candidates": {"layer": [1, 2]}, "trials": [1]}}, ["best of 2 layers on validation"]),
        ({"coverage": {"bases_seen": 1, "bases_total": 4, "truncated_sequences": 1}}, ["truncated (25 % of bases read)"]),
        ({"validation": {"warnings": ["did not learn: x", "y"]}}, ["did not learn"]),
        ({"validation": {"warnings": ["y did not learn"]}}, []),
        ({"validation": {"warnings": []}}, []),
    ],
)  # fmt: skip
def test_a_result_has_the_flags_that_its_fields_say(changes: dict[str, Any], flags: list[str]) -> None:
    assert following_flags(made(**changes), []) == flags
    own = ["absent from test: 1 of 3 classes"]
    found = following_flags(made(**changes), own)
    assert sorted(found) == sorted(flags + own)


@pytest.mark.parametrize(
    ("pooled", "rule", "higher", "groups", "flags"),
    [
        (0.6, 0.6, True, 2, ["shortcut (group)"]),
        (0.005, 0.0, True, 2, ["shortcut (group)"]),
        (0.0051, 0.0, True, 2, []),
        (0.5, 0.6, True, 2, ["shortcut (group)"]),
        (0.0, 0.005, False, 2, ["shortcut (group)"]),
        (0.0, 0.0051, False, 2, []),
        (0.6, 0.6, True, 1, []),
        (None, 0.6, True, 2, []),
        (0.6, None, True, 2, []),
    ],
)
def test_a_score_that_a_rule_on_the_group_has_is_a_shortcut(
    pooled: float | None, rule: float | None, higher: bool, groups: int, flags: list[str]
) -> None:
    metrics = {
        "main": {"name": "mcc", "value": 0.5, "higher_is_better": higher},
        "groups": {f"g{n}": {"n": 3} for n in range(groups)},
        "grouping": {"all": "rows", "pooled": {"mcc": pooled}, "rule": {"mcc": rule}},
    }
    assert group_flags(made(metrics=metrics)) == flags
    metrics["grouping"] = {"all": "groups", "left_out": ["g0"]}
    assert group_flags(made(metrics=metrics)) == [f"mean over {groups - 1} groups"]
    assert group_flags(made()) == []


def test_flags_of_several_fits_are_said_of_all_of_them() -> None:
    cut = {"bases_seen": 3, "bases_total": 10, "truncated_sequences": 1}
    fits = [
        made(flags=["truncated (30 % of bases read)", "did not learn", "a"], coverage=cut),
        made(flags=["b", "a"], coverage={"bases_total": 10}),
        made(flags=["did not learn"], coverage=cut | {"bases_seen": 8}),
    ]
    assert bases_read(fits) == Coverage(bases_total=20, bases_seen=11, truncated_sequences=2)
    assert flags_of(fits) == ("a", "b", "truncated (55 % of bases read)", "did not learn (2 of 3 fits)")
    assert flags_of(fits[::2]) == ("a", "truncated (55 % of bases read)", "did not learn")
    assert flags_of(fits[1:2]) == ("b", "a")
    said = [
        made(validation={"warnings": texts})
        for texts in (["1 of 2e-3 x", "y"], ["5 of 7 x"], ["1 of 2e-3 x", "3 of 4 x"])
    ]
    assert list(warnings_of(said).values()) == ["1 of 2e-3 x, and the like (all 3 fits)", "y (1 of 3 fits)"]
    assert list(warnings_of(said[:1]).values()) == ["1 of 2e-3 x", "y"]
    assert list(warnings_of([said[0], said[0]]).values()) == ["1 of 2e-3 x (all 2 fits)", "y (all 2 fits)"]


@pytest.mark.parametrize(
    ("flag", "from_data"),
    [
        ("partial (1 of 2)", True), ("shortcut", True), ("leak", True), ("test drawn from train (20 %, seed 0)", True),
        *((f"pretraining-overlap ({kind})", True) for kind in ("yes", "same genome", "unknown")), ("pretraining-overlap (no)", False),
        ("human sequence not predicted", True), ("shortcut (group)", False), ("untrained", False), ("limit 5", False), ("leaky", False),
    ],
)  # fmt: skip
def test_flags_that_come_from_data_are_told_by_their_words(flag: str, from_data: bool) -> None:
    assert (FROM_DATA.fullmatch(flag) is not None) is from_data


# ---------------------------------------------------------------------------------------------------- other forms


@pytest.mark.parametrize(
    ("form", "out", "message"),
    [
        ("xml", "x.csv", "--format 'xml': choose one of table, geneb, mteb"),
        ("table", "x.txt", "x.txt: the suffix says how a table is written; give .csv, .parquet or .jsonl"),
        ("parquet", "x.csv", "x.csv: the suffix says how a table is written; give .parquet"),
        *((form, out, None) for form, out in (("table", "x.CSV"), ("table", "x.jsonl"), ("parquet", "x.parquet"), ("geneb", "x.csv"), ("mteb", "x"))),
    ],
)  # fmt: skip
def test_a_form_and_its_suffix_belong_together(form: str, out: str, message: str | None) -> None:
    if message is None:
        check_form(form, Path(out))
    else:
        assert refused(lambda: check_form(form, Path(out)), UsageError) == message


def several() -> list[Result]:
    timing = {"embed_s": 1.0, "fit_s": 2.0, "predict_s": 4.0, "load_s": 8.0}
    return [
        made(timing=timing),
        made(
            seed=1,
            metrics={"main": {"name": "mcc", "value": 0.25}, "all": {"mcc": 0.25, "accuracy": None, "f1_macro": None}},
            timing={"fit_s": 0.5},
        ),
        made(protocol__settings={"shots": 10, "shot_validation": "within"}),
        made(protocol__settings={"shots": 10, "shot_validation": "full"}),
        made(protocol__settings={"shots": 5}),
        made(task__name="u"),
        made(model__name="n/o", model__weights={"digest": None}),
        made(
            status="error", error={"type": "X", "message": "no", "traceback": None}, metrics={"main": {"name": "mcc"}}
        ),
    ]


def test_a_submission_holds_means_over_seeds_by_regime(tmp_path: Path) -> None:
    paths = export(several(), "geneb", tmp_path)
    assert [path.name for path in paths] == ["m.json", "n%2Fo.json"]
    whole = {"MCC": 0.5, "Acc": 0.75, "F1": None}
    found = json.loads(paths[0].read_text())
    assert found["results"] == {
        "full": {"s/t": {"MCC": 0.375, "Acc": 0.75, "F1": None}, "s/u": whole},
        "10shot": {"s/t": whole},
        "10shot_full_validation": {"s/t": whole},
        "5shot_full_validation": {"s/t": whole},
    }
    assert {name: found[name] for name in ("schema_version", "model_id", "harness_version")} == {
        "schema_version": "1.0",
        "model_id": "m",
        "harness_version": "1",
    }
    assert found["meta"] == {
        "harness": "findna-bench",
        "protocol": "probe",
        "preset": None,
        "weights": "w" * 30,
        "pooling": None,
        "n_parameters": None,
    }


def test_files_in_mteb_s_form_hold_an_entry_per_fit(tmp_path: Path) -> None:
    paths = export(several(), "mteb", tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        f"m/{'w' * 24}/s%2Ft.json",
        f"m/{'w' * 24}/s%2Fu.json",
        "n%2Fo/no_revision_available/s%2Ft.json",
    ]
    found = json.loads(paths[0].read_text())
    assert found["evaluation_time"] == 7.5
    assert {name: found[name] for name in ("task_name", "dataset_revision", "mteb_version", "kg_co2_emissions")} == {
        "task_name": "s/t",
        "dataset_revision": "x",
        "mteb_version": None,
        "kg_co2_emissions": None,
    }
    assert found["scores"]["test"][:2] == [
        {
            "hf_subset": "default",
            "languages": [],
            "seed": 0,
            "main_score": 0.5,
            "mcc": 0.5,
            "accuracy": 0.75,
            "f1_macro": None,
        },
        {
            "hf_subset": "default",
            "languages": [],
            "seed": 1,
            "main_score": 0.25,
            "mcc": 0.25,
            "accuracy": None,
            "f1_macro": None,
        },
    ]
    assert len(found["scores"]["test"]) == 5


def test_a_table_is_the_same_in_every_format(tmp_path: Path) -> None:
    import pandas as pd

    results = several()
    (lines,) = export(results, "table", tmp_path / "x.jsonl")
    assert [json.loads(line)["seed"] for line in lines.read_text().splitlines()] == [0, 1, 0, 0, 0, 0, 0]
    (csv,) = export(results, "table", tmp_path / "x.csv")
    (packed,) = export(results, "parquet", tmp_path / "x.parquet")
    table, frame = pq.read_table(packed), pd.read_csv(csv)
    assert table.column_names == list(frame.columns)
    assert (
        frame["metrics.all.mcc"].tolist()
        == table.column("metrics.all.mcc").to_pylist()
        == [0.5, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5]
    )
    assert table.column("task.labels").to_pylist() == ['["a", "b"]'] * 7
    assert table.column("model.weights.digest").to_pylist() == ["w" * 30] * 6 + [None]
    assert (
        refused(lambda: export(results[-1:], "table", tmp_path / "y.csv"), OutputError)
        == "there is no successful result to export"
    )


def test_where_numbers_were_computed_is_a_line() -> None:
    known = {
        "device": "cuda:0",
        "cpu": "X",
        "cpu_count": 8,
        "python": "3.11",
        "versions": {"torch": "2", "findna-bench": None},
    }
    assert environment_line(known) == "cuda:0: X, 8 cores; Python 3.11, torch 2, findna-bench ?"
    assert environment_line({}, 0) == "?, ? cores; Python ?, torch ?, findna-bench ?; protocol version 0"
    assert versions_line(known, ("torch", "numpy")) == "Python 3.11, torch 2, numpy ?"
    here = environment()
    assert {*here} == {"python", "platform", "versions", "git_commit", "dirty", "cpu", "cpu_count"}
    assert here["versions"]["torch"] is not None
    assert here["cpu"]
