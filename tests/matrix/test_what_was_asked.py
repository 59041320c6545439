"""What a request is expanded to: labels, ids, and each sentence of why a model and a task do not go together."""

from __future__ import annotations

import hashlib
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from findna_bench.errors import UsageError
from findna_bench.matrix.request import can_choose, expand, few_shot_validation, request_id
from findna_bench.registry import get_registry
from findna_bench.requests.declarations import build
from findna_bench.requests.run_request import RunRequest


def asked(**values: Any) -> Any:
    given = {"models": ["kmer"], "tasks": ["demo/species4"]} | values
    return build(RunRequest, given)


def units(**values: Any) -> list[Any]:
    return expand(asked(**values), get_registry())


def skipped(**values: Any) -> list[str | None]:
    return [unit.skip for unit in units(**values)]


def test_units_are_models_by_tasks_by_shots_with_a_cell_per_seed() -> None:
    found = units(models=["kmer", "majority"], tasks=["demo/species4", "demo/motif_order"], shots=[5, 10], seeds=[0, 3])
    assert [unit.label for unit in found] == [
        f"{model} on {task} {shots}-shot"
        for model in ("kmer", "majority")
        for task in ("demo/species4", "demo/motif_order")
        for shots in (5, 10)
    ]
    assert {tuple(cell.seed for cell in unit.cells) for unit in found} == {(0, 3)}
    assert len({cell.request_id for unit in found for cell in unit.cells}) == 16
    for unit in found:
        text = json.dumps(unit.hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert unit.key == hashlib.sha256(text.encode()).hexdigest()
        for cell in unit.cells:
            whole = hashlib.sha256(f'["{unit.key}",{cell.seed}]'.encode()).hexdigest()
            assert cell.request_id == whole[:32] == request_id(unit.hashed, cell.seed)
    assert [unit.label for unit in units()] == ["kmer on demo/species4"]


def test_a_model_or_task_that_is_named_twice_is_one() -> None:
    found = units(models=["kmer", "kmer"], tasks=["demo/species4", "demo/species4"], suites=["demo"])
    names = [unit.task.name for unit in found]
    assert len(names) == len(set(names))
    assert {unit.model.display_name for unit in found} == {"kmer"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"protocol": "zero_shot", "tasks": ["demo/motif_variants"]},
            "--protocol zero_shot scores models of kind encoder, classifier, not kmer (features)",
        ),
        (
            {"models": ["majority"], "protocol": "zero_shot", "tasks": ["demo/motif_variants"]},
            "majority reads sequences and pairs, and rows of demo/motif_variants are variants",
        ),
        (
            {"models": ["findna-tiny@random"], "protocol": "zero_shot"},
            "--protocol zero_shot scores variants, and rows of demo/species4 are sequences",
        ),
        ({"strand": "rc-augment"}, "--strand rc-augment does not apply to kmer, a model of kind features"),
        ({"strand": "rc-mean"}, None),
        ({"strand": "rc-logit-mean"}, "--strand rc-logit-mean does not apply to kmer, a model of kind features"),
        (
            {"models": ["majority"], "strand": "rc-mean"},
            "--strand rc-mean does not apply to majority, a model of kind classifier",
        ),
        (
            {"models": ["majority"], "strand": "rc-augment"},
            "--strand rc-augment does not apply to majority, a model of kind classifier",
        ),
        ({"models": ["majority"], "strand": "rc-logit-mean"}, None),
        (
            {"models": ["findna-tiny@random"], "combination": "concat"},
            "--combination concat is of pairs and variants, and rows of demo/species4 are sequences; leave it out",
        ),
        ({"models": ["findna-tiny@random"], "pooling": "cls"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_skipped_with_its_reason(values: dict[str, Any], words: str | None) -> None:
    assert skipped(**values) == [words]


def test_the_first_token_of_a_causal_model_is_no_vector() -> None:
    for pooling in ("cls", ["cls", "mean"]):
        (unit,) = units(models=["hyenadna@random"], pooling=pooling)
        assert unit.skip == f"--pooling cls is meaningless for {unit.model.card.name}, a causal model"
    assert skipped(models=["hyenadna@random"], pooling="mean") == [None]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"weights": {"other": "w.pt"}}, "--weights other=...: 'other' is not among the models asked for (kmer)"),
        (
            {"weights": {"kmer": "w.pt"}},
            "--weights kmer=w.pt: kmer is a model of kind features, which is fitted and has no weights; leave it out",
        ),
        (
            {"models": ["findna-tiny@random"], "protocol": "finetune", "layer": 3},
            "--layer 3: --protocol finetune trains the whole network and reads its last layer; leave --layer out",
        ),
        (
            {"models": ["findna-tiny@random"], "protocol": "finetune", "layer": [1, 2]},
            "--layer: several are tried by heads on a model that is not changed; --protocol finetune takes one",
        ),
        (
            {"models": ["findna-tiny@random"], "protocol": "finetune", "layer": [1, 2], "pooling": ["mean", "max"]},
            "--layer and --pooling: several are tried by heads on a model that is not changed; --protocol finetune takes one",
        ),
        (
            {"models": ["findna-tiny@random"], "selection": "last", "layer": [1, 2]},
            "--layer: validation chooses among several; --selection last looks at none, so name one",
        ),
        ({"selection": "last"}, "--selection last: this preset trains no epochs; use validation"),
        (
            {"search": 3},
            "--search is for --protocol finetune; a probe already tries the preset's strengths, or epochs, on validation, the same for every model",
        ),
        (
            {"protocol": "finetune", "search": 3, "selection": "last"},
            "--search chooses settings on validation; --selection last looks at none, so leave one of them out",
        ),
        (
            {"protocol": "finetune", "search": 3, "selection": "test"},
            "--search chooses settings on validation; with --selection test it would choose them on the test split, so leave one of them out",
        ),
        (
            {"target": "values"},
            "--target values says what columns of a file predict; demo/species4 is no file: leave one of them out",
        ),
    ],
    ids=str,
)
def test_what_contradicts_is_refused_before_any_work(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(words)}$"):
        units(**values)


@pytest.mark.parametrize(
    ("shots", "validation", "selection", "expected", "chooses"),
    [
        (None, "within", "validation", None, True),
        (1, "within", "validation", "within", False),
        (2, "within", "validation", "within", True),
        (1, "full", "validation", "full", True),
        (1, "within", "test", "full", True),
        (1, "within", "last", "within", False),
    ],
)
def test_one_shot_of_each_class_leaves_nothing_to_choose_on(
    shots: int | None, validation: str, selection: str, expected: str | None, chooses: bool
) -> None:
    request: Any = SimpleNamespace(shot_validation=validation, selection=selection)
    assert few_shot_validation(request, shots) == expected
    unit: Any = SimpleNamespace(shots=shots)
    assert can_choose(request, unit) is chooses
