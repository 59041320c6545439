"""What a plugin's code does wrong is said of the plugin, and a wrong option of the user's is the user's: never an internal error."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from findna_bench.cli import main, output
from findna_bench.plugin_code import fault_in_words
from findna_bench.registry import Plugin, Registry

Command = Callable[[str], tuple[int, str]]


@pytest.fixture
def faulty(acme_registry: Registry, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The plugin, registered in this process."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import faulty_plugin

    acme_registry.add(faulty_plugin, Plugin("faulty", "faulty_plugin", "faulty-dna", "1"))
    assert not [plugin.errors for plugin in acme_registry.plugins if plugin.errors]
    return faulty_plugin


@pytest.fixture
def command(
    faulty: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command line in an empty folder with a genome; gives its exit code and all that it printed."""
    monkeypatch.chdir(tmp_path)
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 4000))
    Path("g.fa").write_text(f">c\n{bases}\n", encoding="utf-8")

    def run(line: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["findna-bench", *shlex.split(line)])
        with pytest.raises(SystemExit) as stop:
            main()
        output.set_verbosity(0)
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out + printed.err

    return run


def is_a_sentence(answer: tuple[int, str], *words: str) -> None:
    code, text = answer
    assert code in (1, 2), text
    assert "internal error" not in text
    assert "Traceback" not in text
    for word in words:
        assert word in text


RUN = "run -m {} -t faulty/good --seeds 1 -q --executor serial"
PRETRAIN = (
    "pretrain {} --fasta g.fa -o out --device cpu -q --windows 16 --window-length 40 --batch-size 8 "
    "--validation-windows 4 --steps 2"
)
DENOISE = PRETRAIN.format("acme-convolution") + " --objective denoise"
SMALL = " ".join(
    f"--set backbone.{size}" for size in ("channels=8", "track_size=2", "hidden=8", "layers=1", "blocks_per_layer=3")
)


def test_rows_of_a_task_factory_are_checked_like_those_of_files(faulty: ModuleType, command: Command) -> None:
    assert command("run -m majority -t faulty/good --seeds 1 -q --executor serial")[0] == 0
    where = "faulty_plugin:make_task"
    row = {
        "empty-sequence": "row 2 (train-2): its sequence is empty",
        "protein": "row 2 (train-2): its sequence holds 'M'",
        "label-outside": "row 2 has label 2",
        "negative-label": "row 0 has label -1",
        "repeated-ids": "rows 0 and 59 have the same id '0'",
        "one-class": "there is no row of 'yes'",
        "string-labels": "labels must be whole numbers",
        "leaves": "it calls sys.exit(3)",
        "odd": "OddError",
        "raises": "ZeroDivisionError: by design",
        "none": "makes a NoneType",
    }
    for name in faulty.TASKS[1:]:
        is_a_sentence(
            command(f"run -m majority -t faulty/{name} --seeds 1 -q --executor serial"),
            f"task faulty/{name}",
            where,
            row.get(name, ""),
        )
        if name in row:
            is_a_sentence(command(f"audit faulty/{name}"), f"task faulty/{name}", where, row[name])


def test_what_a_plugin_raises_names_file_and_line(faulty: ModuleType, command: Command) -> None:
    """Where it was raised, or, where arguments do not fit, where the function is written."""
    raised, written = (f"(faulty_plugin.py, line {lines(f)})" for f in (faulty.raises, faulty.no_argument))
    raised = re.sub(r"line (\d+)", lambda found: f"line {int(found[1]) + 1}", raised)
    is_a_sentence(command("run -m majority -t faulty/raises --seeds 1 -q --executor serial"), f"by design {raised}")
    is_a_sentence(command("run -m majority -t faulty/no-argument --seeds 1 -q"), "TypeError: no_argument()", written)
    is_a_sentence(command("check faulty/no-argument"), "TypeError: no_argument()", written)
    is_a_sentence(command(RUN.format("features-fit")), "features-fit", raised)
    is_a_sentence(command(RUN.format("network-tokenize@random")), raised)
    is_a_sentence(command(PRETRAIN.format("acme-convolution") + " --objective objective-constructor"), raised)
    is_a_sentence(command("check objective-validation"), raised)


def test_a_file_deep_in_a_package_is_named_from_the_package_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "deep" / "acme_deep" / "inner"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text("def fails():\n    raise ValueError('no idea')\n")
    monkeypatch.syspath_prepend(tmp_path / "deep")
    inner = importlib.import_module("acme_deep.inner.model")
    with pytest.raises(ValueError, match="no idea") as raised:
        inner.fails()
    expected = "ValueError: no idea (acme_deep/inner/model.py, line 2)"
    assert fault_in_words(raised.value, package="acme_deep") == expected


def lines(function: Any) -> int:
    return int(function.__code__.co_firstlineno)


def test_what_a_backbone_makes_of_an_objectives_codes_is_said_of_the_backbone(command: Command) -> None:
    is_a_sentence(command("check takes-no-bytes"), "failed    objectives", "faulty_plugin.py, line ")
    answer = command(PRETRAIN.format("takes-no-bytes") + " --objective denoise")
    is_a_sentence(answer, "backbone 'TakesNoBytes', called by objective 'denoise'", "faulty_plugin.py, line ")


def test_models_that_fail_or_give_something_else_are_named(faulty: ModuleType, command: Command) -> None:
    for name in faulty.BACKBONES:
        answer = command(RUN.format(f"network-{name}@random"))
        is_a_sentence(answer, f"network-{name}@random on good: error: ")
        assert any(
            who in answer[1]
            for who in ("faulty_plugin", "faulty-dna", "backbone 'faulty-", f"network-{name}@random: its", "NaN")
        )
        is_a_sentence(command(f"embed network-{name}@random --task faulty/good -o e.npy -q"))
    for kind, names in (("features", faulty.FEATURES), ("classifier", faulty.CLASSIFIERS)):
        for name in names:
            is_a_sentence(command(RUN.format(f"{kind}-{name}")), f"error: model '{kind}-{name}'")


def test_objectives_that_fail_or_give_something_else_are_named(faulty: ModuleType, command: Command) -> None:
    for name in faulty.OBJECTIVES:
        is_a_sentence(
            command(PRETRAIN.format("acme-convolution") + f" --objective objective-{name} --overwrite"),
            f"objective 'objective-{name}'",
        )


def test_augmentations_that_fail_or_give_something_else_are_named(faulty: ModuleType, command: Command) -> None:
    line = PRETRAIN.format("chordmixer") + f" --objective self_distillation --overwrite {SMALL} --recipe "
    for name in faulty.AUGMENTATIONS:
        is_a_sentence(command(line + f"mask,view-{name}+noise"), "augmentation", "faulty_plugin")


def test_metrics_protocols_executors_presets_and_papers_are_named(faulty: ModuleType, command: Command) -> None:
    assert command(RUN.format("majority") + " -o results")[0] == 0
    for name in faulty.METRICS:
        is_a_sentence(command(f"leaderboard -o results --metric metric-{name}"), f"metric 'metric-{name}'")
    for name in faulty.PROTOCOLS:
        is_a_sentence(command(RUN.format("kmer") + f" --protocol protocol-{name}"), f"protocol 'protocol-{name}'")
        assert "internal error" not in command(f"describe protocol-{name}")[1]
    for name in faulty.EXECUTORS:
        line = RUN.format("majority").replace("serial", f"executor-{name}") + f" -o of-{name}"
        is_a_sentence(command(line), f"executor 'executor-{name}'")
    for name in ("bogus-setting", "bogus-type", "bogus-objective"):
        is_a_sentence(command(PRETRAIN.format("acme-convolution") + f" --preset {name}"))
    is_a_sentence(command(RUN.format("kmer") + " --preset bogus-head"), "preset 'bogus-head'", "no setting 'bogus'")
    code, text = command("leaderboard -o results --markdown page.md")
    assert code == 0
    assert "published figures 'lost-paper' are left out" in text
    assert "majority" in Path("page.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("objective.bogus=1", "objective 'denoise' has no option 'bogus'; it has p"),
        ("objective.p=abc", "objective 'denoise' cannot be made with p='abc'"),
        ("objective.p=[1]", "objective 'denoise' cannot be made with p=[1]"),
        ("objective.=1", "has no option ''"),
        ("backbone.bogus=1", "bogus"),
        ("backbone.width=abc", "backbone.width='abc'"),
        ("backbone.width=-3", "backbone.width=-3"),
        ("probe.bogus=1", "before the dot stands objective or backbone, not 'probe'"),
        ("bogus=1", "no setting 'bogus'"),
        ("steps=abc", "steps must be a whole number, not 'abc'"),
        ("steps=1.5", "steps must be a whole number, not 1.5"),
        ("lr=true", "lr must be a number, not True"),
        ("lr=NaN", "lr must be a number, not nan"),
        ("betas=1", "betas must be two numbers"),
        ("seed=x", "seed must be a whole number"),
        ("schedule=foo", "schedule must be one of cosine, linear, constant"),
        ("objective=1", "objective must be a name"),
        ("objective_options=3", "objective_options must be options by name"),
        ("backbone=3", "backbone must be options by name"),
        ("decay_biases=maybe", "decay_biases must be true or false"),
    ],
)
def test_a_wrong_option_is_the_users(command: Command, option: str, words: str) -> None:
    line = DENOISE.replace(" --steps 2", "") if option.startswith("steps") else DENOISE
    code, text = command(f"{line} --set {shlex.quote(option)}")
    assert code == 2, text
    assert words in text


def test_a_fault_of_the_harness_is_still_called_one(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import findna_bench.matrix.planning as planning

    monkeypatch.setattr(planning, next(n for n in planning.__all__ if callable(getattr(planning, n))), None)
    assert "internal error, please report it (TypeError" in command("plan -m majority -t faulty/good")[1]
