"""The examples in the docstrings that plugin authors read are run, and every public function, card and contract has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import findna_bench as fb
from findna_bench import api, cards
from findna_bench.cards import hookimpl

MODULES = (
    "findna_bench.api",
    "findna_bench.cards",
    "findna_bench.hookspecs",
    "findna_bench.matrix.jobs",
    "findna_bench.models.backbone",
    "findna_bench.models.estimators",
    "findna_bench.protocols.protocol",
    "findna_bench.protocols.settings",
    "findna_bench.requests.run_request",
    "findna_bench.statistics.metric",
    "findna_bench.testing.checking",
    "findna_bench.training.augmentation",
    "findna_bench.training.objective",
)
CONTRACTS = (
    fb.Backbone, fb.Objective, fb.Augmentation, fb.Features, fb.Classifier, fb.Metric, fb.Target, fb.HeadProtocol, fb.Preset, fb.Executor
)  # fmt: skip


def examples() -> list[Any]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    names: dict[str, Any] = {"fb": fb, "np": np, "torch": torch, "dataclass": dataclass, "Tensor": torch.Tensor}
    found = []
    for name in MODULES:
        module = importlib.import_module(name)
        own = names | vars(module) | {"Generator": torch.Generator, "fb": fb}
        found += [test for test in finder.find(module, name, globs=own) if test.examples]
    return [pytest.param(test, id=test.name.removeprefix("findna_bench.")) for test in found]


@pytest.mark.parametrize("example", examples())
def test_it_gives_what_it_says(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=told.append)
    assert not told, "".join(told)


def shown(doc: str) -> bool:
    """By an example that is run here, or in the plugin that is tested."""
    return ">>>" in doc or "tests/third_party/acme-dna" in doc


def test_every_public_function_card_and_contract_has_an_example() -> None:
    functions = [
        value
        for name in api.__all__
        if inspect.isfunction(value := getattr(api, name)) and value.__module__ == api.__name__
    ]
    listed = [
        value for name in cards.__all__ if (value := getattr(cards, name)) is not hookimpl and name.endswith("Card")
    ]
    without = [value.__name__ for value in (*functions, *listed, *CONTRACTS) if not shown(value.__doc__ or "")]
    assert without == []


def test_every_public_function_says_what_it_takes_and_gives() -> None:
    for name in api.__all__:
        value = getattr(api, name)
        if inspect.isfunction(value) and value.__module__ == api.__name__:
            for section in ("Args:", "Returns:", "Raises:"):
                assert section in (value.__doc__ or ""), f"{name} has no {section}"
