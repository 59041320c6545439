"""What verification says of a result whose fields do not fit together: every sentence, and what is still sound beside it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

import findna_bench as fb
from findna_bench.matrix.agreement import disagreements, wrong_flags
from findna_bench.results.schema import Result

Change = dict[str, Any]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A sound result as JSON."""
    out = tmp_path_factory.mktemp("agreement")
    (result,) = fb.run(["majority"], ["demo/species4"], seeds=1, limit=40, output_dir=out)
    assert list(disagreements(result)) == []
    return result.model_dump(mode="json")


def changed(content: dict[str, Any], changes: Change) -> Result:
    """Places are written with dots."""
    made = copy.deepcopy(content)
    for where, value in changes.items():
        part = made
        *above, last = where.split(".")
        for key in above:
            part = part[key]
        part[last] = value
    return Result.model_validate(made)


def said(content: dict[str, Any], changes: Change) -> list[str]:
    return list(disagreements(changed(content, changes)))


NO_REQUEST = "it does not hold what its request id is a hash of (hashed.request)"
NO_IDENTITY = "it does not hold what its identity is a hash of (hashed.config, hashed.cell)"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hashed.request": None}, [NO_REQUEST]),
        ({"hashed.config": None}, [NO_IDENTITY]),
        ({"hashed.cell": None}, [NO_IDENTITY]),
        ({"identity": None}, [NO_IDENTITY]),
        ({"config_id": "0"}, ["config_id is not the hash of hashed.config"]),
        ({"identity": "0"}, ["identity is not the hash of hashed.config and hashed.cell"]),
        ({"request_id": "0"}, ["request_id is not the hash of hashed.request and the seed"]),
        (
            {"seed": 3},
            [
                "request_id is not the hash of hashed.request and the seed",
                "request.options.seeds lack the result's own, 3",
                "hashed.cell.seed is 0, the result says 3",
            ],
        ),
        (
            {"seed": None},
            [
                "request_id is not the hash of hashed.request and the seed",
                "request.options.seeds lack the result's own, None",
                "hashed.cell.seed is 0, the result says null",
            ],
        ),
        ({"error": {"type": "E", "message": "m"}}, ["it is a success and holds an error"]),
        ({"n_effective_seeds": 0}, ["n_effective_seeds is less than 1"]),
        ({"n_effective_seeds": None}, ["n_effective_seeds is less than 1"]),
        ({"coverage.bases_seen": 11, "coverage.bases_total": 10}, ["coverage: 11 bases seen of 10"]),
        ({"coverage.bases_seen": -1, "coverage.bases_total": 10}, ["coverage: -1 bases seen of 10"]),
        ({"coverage.bases_seen": 10, "coverage.bases_total": 10}, []),
        ({"coverage.bases_seen": 0, "coverage.bases_total": 0}, []),
        ({"coverage.bases_seen": None, "coverage.bases_total": 10}, []),
        ({"task.counts": None}, ["it does not say how many rows each split has"]),
        ({"request": None}, []),
    ],
    ids=str,
)
def test_one_change_is_told_by_what_no_longer_fits(
    content: dict[str, Any], changes: Change, expected: list[str]
) -> None:
    assert said(content, changes) == expected


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("strand", "strand", "rc-mean"),
        ("device_type", "environment.device", "cuda"),
        ("threads", "threads", 7),
        ("code_digest", "model.code_digest", "sha256:0"),
        ("kind", "model.kind", "features"),
        ("tokenizer_digest", "model.tokenizer_digest", "other"),
        ("n_parameters", "model.n_parameters", 5),
    ],
)
def test_a_field_and_the_configuration_that_was_hashed_say_the_same(
    content: dict[str, Any], name: str, field: str, value: Any
) -> None:
    before = content["hashed"]["config"].get(name)
    shown = {None: "null"}.get(before, f'"{before}"' if isinstance(before, str) else str(before))
    other = f'"{value}"' if isinstance(value, str) else str(value)
    assert f"hashed.config.{name} is {shown}, the result says {other}" in said(content, {field: value})


@pytest.mark.parametrize(("n", "shown"), [(78, f'"{"x" * 78}"'), (79, f'"{"x" * 76}...')])
def test_long_values_are_cut_to_eighty_characters(content: dict[str, Any], n: int, shown: str) -> None:
    found = said(content, {"preset": "x" * n})
    assert f'hashed.config.preset is "default", the result says {shown}' in found
    assert f'hashed.request.options.preset is "default", the result says {shown}' in found


def test_a_key_that_is_not_known_is_for_another_version(content: dict[str, Any]) -> None:
    for block in ("config", "cell"):
        words = (
            f"hashed.{block} has a key 'zzz' that this version does not know; verify it with the version that wrote it"
        )
        assert words in said(content, {f"hashed.{block}.zzz": 1})


def test_a_batch_size_that_was_hashed_is_the_one_that_was_asked_for(content: dict[str, Any]) -> None:
    words = "hashed.config.batch_size is 8, the result says 4"
    assert words in said(content, {"hashed.config.batch_size": 8, "batch.requested": 4})
    assert not [
        text for text in said(content, {"hashed.config.batch_size": 8, "batch.requested": 8}) if "batch_size is" in text
    ]


def unfinished(**more: Any) -> Change:
    bare: Change = {
        "status": "error",
        "identity": None,
        "config_id": None,
        "predictions_digest": None,
        "n_effective_seeds": None,
        "dtype": None,
        "hashed.config": None,
        "hashed.cell": None,
        "flags": [],
        "metrics.all": {},
        "metrics.intervals": {},
        "metrics.main.value": None,
        "error": {"type": "E", "message": "m"},
    }
    return bare | {name.replace("__", "."): value for name, value in more.items()}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, []),
        ({"identity": "0"}, ["it is no success and holds identity"]),
        ({"config_id": "0"}, ["it is no success and holds config_id"]),
        ({"predictions_digest": "0"}, ["it is no success and holds predictions_digest"]),
        ({"n_effective_seeds": 0}, ["it is no success and holds n_effective_seeds"]),
        ({"dtype": "float32"}, ["it is no success and holds dtype"]),
        ({"hashed__config": {}}, ["it is no success and holds what an identity is a hash of"]),
        ({"hashed__cell": {}}, ["it is no success and holds what an identity is a hash of"]),
        ({"flags": ["limit 40"]}, ["it is no success and holds flags or metrics"]),
        ({"metrics__all": {"accuracy": 0.5}}, ["it is no success and holds flags or metrics"]),
        ({"metrics__intervals": {"accuracy": None}}, ["it is no success and holds flags or metrics"]),
        ({"metrics__main__value": 0.0}, ["it is no success and holds flags or metrics"]),
        ({"error": None}, ["its status is error, and no error says why"]),
    ],
    ids=str,
)
def test_what_did_not_succeed_holds_no_numbers(content: dict[str, Any], more: Change, expected: list[str]) -> None:
    assert said(content, unfinished(**more)) == expected


CHOSEN: Change = {
    "protocol.settings.candidates": {"layer": [1, 2], "pooling": ["mean", "max"]},
    "protocol.settings.trials": [
        {"settings": {"layer": layer, "pooling": pooling}} for layer in (1, 2) for pooling in ("mean", "max")
    ],
    "model.layer": 2,
    "model.pooling": "max",
    "validation": {"selected": {"layer": 2, "pooling": "max", "chosen_trial": 3}},
}
NOT_OF = "protocol.settings.trials are not of its candidates"
NOT_THE = "validation.selected.chosen_trial is not the trial of its layer and pooling"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"model.layer": 1}, ["model.layer is 1, which was not chosen, or is none of its candidates", NOT_THE]),
        (
            {"model.layer": 3, "validation": {"selected": {"layer": 3, "pooling": "max", "chosen_trial": 3}}},
            ["model.layer is 3, which was not chosen, or is none of its candidates", NOT_THE],
        ),
        (
            {"model.pooling": "mean"},
            ["model.pooling is mean, which was not chosen, or is none of its candidates", NOT_THE],
        ),
        ({"validation": {"selected": {"layer": 2, "pooling": "max", "chosen_trial": 2}}}, [NOT_THE]),
        ({"validation": {"selected": {"layer": 2, "pooling": "max"}}}, [NOT_THE]),
        ({"protocol.settings.trials": CHOSEN["protocol.settings.trials"][:3]}, [NOT_OF]),
        ({"protocol.settings.trials": CHOSEN["protocol.settings.trials"][::-1]}, [NOT_OF]),
        ({"protocol.settings.candidates": {"layer": [1, 2]}}, [NOT_OF]),
        (
            {
                "protocol.settings.candidates": {"layer": [1, 2]},
                "protocol.settings.trials": [{"settings": {"layer": k, "pooling": "max"}} for k in (1, 2)],
                "validation": {"selected": {"layer": 2, "pooling": "max", "chosen_trial": 1}},
            },
            [],
        ),
    ],
    ids=str,
)
def test_layer_and_pooling_are_those_of_the_trial_that_was_chosen(
    content: dict[str, Any], changes: Change, expected: list[str]
) -> None:
    about = ("which was not chosen", "trials are not", "chosen_trial is not")
    assert [text for text in said(content, CHOSEN | changes) if any(words in text for words in about)] == expected


ROWS: Change = {
    "limit": None,
    "task.counts": {"train": {"rows": 90}, "validation": {"rows": 20}, "test": {"rows": 30}},
    "task.target": "values",
    "protocol.settings.train_rows": 90,
    "protocol.settings.validation_rows": 20,
    "protocol.settings.validation_split": "official",
    "protocol.settings.shots": None,
    "protocol.settings.shot_validation": None,
}
DRAWN: Change = {
    "task.counts": {"train": {"rows": 90}, "test": {"rows": 30}},
    "protocol.settings.train_rows": 81,
    "protocol.settings.validation_rows": 9,
    "protocol.settings.validation_split": "drawn",
}
FOLDS = [
    {"train_rows": 50, "validation_rows": 10, "test_rows": 15},
    {"train_rows": 40, "validation_rows": 10, "test_rows": 15},
]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        (
            {"protocol.settings.validation_split": "drawn"},
            ["validation_split is drawn, its splits and selection give official"],
        ),
        (
            {"protocol.settings.train_rows": 89},
            ["89 rows to train on and 20 for validation, its splits hold [90, 20]"],
        ),
        (
            {"protocol.settings.validation_rows": 21},
            ["90 rows to train on and 21 for validation, its splits hold [90, 20]"],
        ),
        (DRAWN, []),
        (DRAWN | {"protocol.settings.train_rows": 80, "protocol.settings.validation_rows": 10}, []),
        (
            DRAWN | {"protocol.settings.validation_rows": 10},
            ["81 rows to train on and 10 for validation, its splits hold [90]"],
        ),
        (
            DRAWN | {"protocol.settings.validation_split": "official"},
            ["validation_split is official, its splits and selection give drawn"],
        ),
        (
            {"task.target": "classes"},
            ["counts name a class that is no label"],
        ),
        (
            {
                "protocol.settings.validation_split": "not read",
                "protocol.settings.train_rows": 0,
                "protocol.settings.validation_rows": 0,
            },
            [],
        ),
        (
            {"protocol.settings.validation_split": "not read", "protocol.settings.validation_rows": 0},
            ["validation_split is not read, and rows of train or validation are counted"],
        ),
        (
            {"protocol.settings.validation_split": "not read", "protocol.settings.train_rows": 0},
            ["validation_split is not read, and rows of train or validation are counted"],
        ),
        ({"protocol.settings.cross_validation": FOLDS}, []),
        (
            {"protocol.settings.cross_validation": FOLDS, "protocol.settings.train_rows": 91},
            ["train_rows is 91, which is not the sum over its folds"],
        ),
        (
            {"protocol.settings.cross_validation": FOLDS, "protocol.settings.validation_rows": 19},
            ["validation_rows is 19, which is not the sum over its folds"],
        ),
        (
            {"protocol.settings.cross_validation": [FOLDS[0], FOLDS[1] | {"test_rows": 16}]},
            ["test rows of its folds are not the 30 of its counts"],
        ),
        (
            {"protocol.settings.shots": 5, "protocol.settings.shot_validation": "within"},
            ["validation_split is official, its splits and selection give one within the shots"],
        ),
        (
            {
                "protocol.settings.shots": 5,
                "protocol.settings.shot_validation": "within",
                "protocol.settings.validation_split": "none",
            },
            [],
        ),
        (
            {
                "protocol.settings.shots": 5,
                "protocol.settings.shot_validation": "full",
                "protocol.settings.train_rows": 10,
            },
            [],
        ),
    ],
    ids=str,
)
def test_rows_of_a_fit_are_those_of_its_splits(content: dict[str, Any], changes: Change, expected: list[str]) -> None:
    about = ("validation_split is", "rows to train on", "counts name", "its folds", "of its counts")
    assert [text for text in said(content, ROWS | changes) if any(words in text for words in about)] == expected


def test_one_fit_stands_for_all_seeds_where_none_changes_anything(content: dict[str, Any]) -> None:
    words = "n_effective_seeds is 2, and no seed changes anything"
    for varies, told in (([], True), (["rows"], False)):
        found = said(content, {"protocol.settings.seed_varies": varies, "n_effective_seeds": 2})
        assert (words in found) is told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"request.options.models": ["kmer"]}, 'request.options.models is ["kmer"], what was hashed says ["majority"]'),
        (
            {"request.options.tasks": ["demo/other"]},
            'request.options.tasks is ["demo/other"], what was hashed says ["demo/species4"]',
        ),
        ({"request.options.shots": [5]}, "request.options.shots is [5], what was hashed says []"),
        ({"request.options.suites": ["demo"]}, 'request.options.suites is ["demo"], what was hashed says []'),
        ({"request.options.limit": 41}, "request.options.limit is 41, what was hashed says 40"),
        (
            {"request.options.shot_validation": "full"},
            'request.options.shot_validation is "full", what was hashed says "within"',
        ),
        (
            {"request.options.weights": {"majority": "w.pt"}},
            "request.options.weights and hashed.request.model.weights differ",
        ),
        ({"request.options.weights": {"majority": "w.pt"}}, 'request.files are [], its options name ["w.pt"]'),
        ({"request.options.fasta": "g.fa"}, 'request.files are [], its options name ["g.fa"]'),
        ({"request.files": {"x.csv": None}}, 'request.files are ["x.csv"], its options name []'),
        (
            {"request.files": {"x.csv": "0" * 64}},
            "request.files have digests that are neither its weights' nor its data's",
        ),
        ({"hashed.request.shots": 5}, "protocol.settings.shots and hashed.request.shots differ"),
        (
            {"hashed.request.shot_validation": "full"},
            "protocol.settings.shot_validation and hashed.request.shot_validation differ",
        ),
    ],
    ids=str,
)
def test_a_request_asks_for_what_was_hashed(content: dict[str, Any], changes: Change, words: str) -> None:
    assert words in said(content, changes)


def flags(content: dict[str, Any], changes: Change, of_rows: tuple[str, ...] = ()) -> Iterator[str]:
    return wrong_flags(changed(content, changes), of_rows)


@pytest.mark.parametrize(
    ("changes", "of_rows", "expected"),
    [
        ({}, (), []),
        ({"flags": []}, (), ["the flag 'limit 40' is missing"]),
        ({}, ("one class in test",), ["the flag 'one class in test' is missing"]),
        ({"flags": ["limit 40", "last-epoch"]}, (), ["the flag 'last-epoch' does not follow from its fields"]),
        ({"flags": ["limit 40", "limit 40"]}, (), ["a flag stands there twice"]),
        ({"flags": ["limit 40", "leak", "shortcut"]}, (), []),
        (
            {"flags": ["limit 40", "pretraining-overlap (yes)"]},
            (),
            ["the flag 'pretraining-overlap (yes)' does not follow from its fields"],
        ),
        ({"flags": ["limit 40", "pretraining-overlap (yes)"], "model.weights.trained": True}, (), []),
        (
            {
                "flags": ["limit 40", "pretraining-overlap (yes)", "pretraining-overlap (unknown)"],
                "model.weights.trained": True,
            },
            (),
            ["the flag 'pretraining-overlap (unknown)' does not follow from its fields"],
        ),
        (
            {
                "flags": ["limit 40", "partial (12 of 20 rows)"],
                "task.counts": {"train": {"a": 7, "b": 3}, "test": {"a": 2}},
            },
            (),
            [],
        ),
        (
            {
                "flags": ["limit 40", "partial (13 of 20 rows)"],
                "task.counts": {"train": {"a": 7, "b": 3}, "test": {"a": 2}},
            },
            (),
            ["the flag 'partial (13 of 20 rows)' does not follow from its counts, 12 rows"],
        ),
        (
            {
                "flags": ["limit 40", "did not learn"],
                "validation": {"warnings": ["did not learn: x"], "metrics": {"learned": False}},
            },
            (),
            [],
        ),
        (
            {
                "flags": ["limit 40", "did not learn"],
                "validation": {"warnings": ["did not learn: x"], "metrics": {"learned": True}},
            },
            (),
            ["its warnings say 'did not learn', its validation metrics do not"],
        ),
    ],
    ids=str,
)
def test_flags_follow_from_fields_or_come_from_the_data(
    content: dict[str, Any], changes: Change, of_rows: tuple[str, ...], expected: list[str]
) -> None:
    assert content["flags"] == ["limit 40"]
    assert list(flags(content, changes, of_rows)) == expected
