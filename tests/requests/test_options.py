"""A request is declared once: every way of asking gives the same one, and it travels whole."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from findna_bench.cli.requested import requested
from findna_bench.errors import ConfigError, UsageError
from findna_bench.models.spec import parse_model
from findna_bench.private_paths import public_word
from findna_bench.requests.compare_request import CompareRequest
from findna_bench.requests.declarations import (
    Number,
    Seeds,
    build,
    from_json,
    identity_options,
    option,
    options_of,
    recorded,
    request_id_options,
    to_json,
    to_words,
)
from findna_bench.requests.embed_request import EmbedRequest
from findna_bench.requests.pretrain_request import PretrainRequest
from findna_bench.requests.profile_request import ProfileRequest
from findna_bench.requests.run_request import RunRequest

PRETRAIN: dict[str, Any] = {
    "model": "findna-tiny", "output": Path("out"), "fasta": (Path("a.fa"), Path("b c.fa")), "contigs": ("chr1", "chr2"),
    "steps": 10, "lr": 3e-4, "set": {"clip": "1", "objective.alpha": "0.9"}, "compile": True, "from_weights": True,
}  # fmt: skip
PROFILE: dict[str, Any] = {
    "models": ("findna", "hyenadna"), "tasks": ("mtcdna-1024",), "lengths": (100, 200), "batch_size": 4, "compile": False,
    "threads": 2,
}  # fmt: skip
RUN: dict[str, Any] = {
    "models": ("findna-tiny", "kmer"), "tasks": ("./my.csv", "demo/species4"), "suites": ("demo",), "seeds": (3,),
    "shots": (1, 10), "weights": {"findna-tiny": "a b.pt"}, "layer": -2, "window": "window:100", "split": "chromosome:20+22",
    "sanity": False, "fail_fast": True, "executor": "process", "workers": 3, "timeout_s": 2.5, "batch_size": 4, "output_dir": Path("out"),
}  # fmt: skip
CHOICE: dict[str, Any] = {"models": ("findna-tiny",), "tasks": ("./my.csv",), "layer": (1, 2, -1), "pooling": "auto"}
EMBED: dict[str, Any] = {"model": "findna-tiny", "out": Path("v.npy"), "task": "./my.csv", "layer": 2, "pooling": "max"}
COMPARE: dict[str, Any] = {"models": ("a (pooling max, layer 3)", "b@random:*"), "metric": "mcc", "title": "My page"}
ALL = [
    (RunRequest, RUN),
    (RunRequest, CHOICE),
    (PretrainRequest, PRETRAIN),
    (ProfileRequest, PROFILE),
    (EmbedRequest, EMBED),
    (CompareRequest, COMPARE),
]


def asked(request: type[Any], words: list[str], **environment: str | None) -> Any:
    """What a verb is handed for these words."""
    app, seen = typer.Typer(), []

    @requested(request)
    def verb(request: Any, json: bool = False) -> None:
        seen.append(request)

    app.command("verb")(verb)
    app.command("other")(lambda: None)
    done = CliRunner().invoke(
        app, ["verb", *words], env={"FINDNA_BENCH_DATA_DIR": None, **environment}, standalone_mode=False
    )
    if done.exception is not None:
        raise done.exception
    return seen[0]


@pytest.mark.parametrize(("request_class", "values"), ALL)
def test_shell_json_and_python_ask_for_the_same(request_class: type[Any], values: dict[str, Any]) -> None:
    request = request_class(**values)
    assert from_json(request_class, json.loads(json.dumps(to_json(request)))) == request
    words = shlex.split(to_words(request, "verb"))
    assert words[:2] == ["findna-bench", "verb"]
    assert asked(request_class, words[2:]) == request


@pytest.mark.parametrize("request_class", [request for request, _ in ALL])
def test_every_field_is_an_option_with_a_help_text(request_class: type[Any]) -> None:
    for found in options_of(request_class):
        assert found.help.endswith("."), found.field
        assert found.flags or found.default is ..., f"{found.field} could not be left out"


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('task = "mtcdna-1024"\nlengths = [7, 8]\n[verb]\nmode = "inference"\nbatch-size = 2\nrepeats = 5\n')
    words = ["--config", str(file)]
    assert asked(ProfileRequest, words) == ProfileRequest(
        tasks="mtcdna-1024", lengths=(7, 8), mode="inference", batch_size=2, repeats=5
    )
    found = asked(ProfileRequest, [*words, "--repeats", "1"], FINDNA_BENCH_REPEATS="2", FINDNA_BENCH_BATCH_SIZE="3")
    assert (found.repeats, found.batch_size) == (1, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense = 1", ["'nonsense' is no option of verb"]),
        ('lengths = "long"', ["configuration", "lengths", "whole numbers"]),
        ("batch_size = 0", ["batch_size", "positive"]),
        ("mode = 3", ["mode", "text in quotes"]),
        ("mode = ", ["not valid TOML"]),
    ],
)
def test_a_configuration_file_is_answered_for_by_its_key(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as failed:
        asked(ProfileRequest, ["--task", "mtcdna-1024", "--config", str(file)])
    assert all(word in str(failed.value) for word in words), failed.value


def test_a_request_is_read_in_any_spelling() -> None:
    whole = RunRequest(models=("a", "b"), tasks=("t",), seeds=(0, 1), output_dir=Path("r"), weights={"a": "x.pt"})
    assert RunRequest(models="a,b", tasks="t", seeds=2, output_dir="r", weights="a=x.pt") == whole  # type: ignore[arg-type]
    assert RunRequest(models="a", tasks=["a,b.csv"]).tasks == ("a,b.csv",), "names in a list are whole"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"models": ()}, "no model given"),
        ({"tasks": ()}, "no task given"),
        ({"seeds": ()}, "no seed given"),
        ({"seeds": "x"}, "--seeds"),
        ({"seeds": 0}, "at least one seed"),
        ({"shots": (0,)}, "rows per class"),
        ({"limit": 1}, "--limit"),
        ({"layer": 1.5}, "--layer"),
        ({"split": "grouped:5/5"}, "--split"),
        ({"window": "window:0"}, "--window"),
        ({"weights": "x"}, "NAME=PATH"),
        ({"dtype": "half"}, "--dtype"),
        ({"device": "tpu"}, "--device"),
        ({"timeout_s": 5.0}, "--executor process"),
        ({"workers": 2}, "add --executor process"),
        ({"workers": 0, "executor": "process"}, "--workers 0: at least one"),
        ({"threads": 0}, "--threads"),
        ({"shot_validation": "full"}, "add --shots"),
    ],
)
def test_a_wrong_option_is_one_sentence_that_names_it(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RunRequest(**{"models": ("m",), "tasks": ("t",), **values})


def test_what_is_no_option_or_missing_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="'tempo' is no option"):
        build(ProfileRequest, {"tasks": "t", "tempo": 3})
    with pytest.raises(UsageError, match="--output is missing"):
        build(PretrainRequest, {"model": "m"})
    with pytest.raises(UsageError, match="NAME=VALUE"):
        build(PretrainRequest, {"model": "m", "output": "o", "on": "t", "set": "clip"})
    with pytest.raises(UsageError, match="objective or backbone"):
        build(PretrainRequest, {"model": "m", "output": "o", "on": "t", "set": {"x.y": 1}}).changes()


def test_settings_given_as_text_are_read_as_json_where_they_are() -> None:
    given = build(
        PretrainRequest, {"model": "m", "output": "o", "on": "t", "set": ["clip=1", "objective.recipe=mask+noise"]}
    )
    assert given.changes() == {"clip": 1, "objective_options": {"recipe": "mask+noise"}}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6, unique=True).map(tuple))
def test_seeds_survive_every_spelling(seeds: tuple[int, ...]) -> None:
    kind = Seeds()
    assert kind.read(kind.words("--seeds", seeds)[1], "--seeds") == seeds
    assert kind.read(kind.write(seeds), "--seeds") == seeds


def test_an_option_that_changes_numbers_is_counted_where_it_is_given_and_old_names_stay() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Wider(RunRequest):
        temperature: float = option(Number(above=0), "How soft scores are.", default=1.0, in_ids="given")

    old, new = RunRequest(models="m", tasks="t"), Wider(models="m", tasks="t")
    assert request_id_options(new) == request_id_options(old)
    assert identity_options(new) == identity_options(old) == {}
    softer = replace(new, temperature=2)
    assert request_id_options(softer) == request_id_options(old) | {"temperature": 2.0}
    assert identity_options(softer) == {"temperature": 2.0}
    assert recorded(softer)["temperature"] == 2.0
    assert not {"output_dir", "data_dir", "workers"} & {*recorded(softer)}


def test_a_family_stands_for_every_network_whose_folder_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine-10", "mine-9", "other-1"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text("{}")
    (tmp_path / "runs" / "mine-11").mkdir()  # holds no network yet
    request = RunRequest(models="kmer,family:runs/mine-*", tasks="demo/species4")
    assert request.models == ("kmer", "path:runs/mine-9", "path:runs/mine-10")
    with pytest.raises(UsageError, match=r"family:runs/none-\*: no folder of a network is called so"):
        RunRequest(models="family:runs/none-*", tasks="demo/species4")
    with pytest.raises(UsageError, match="stands for several networks; `run`, `plan` and `compare` take it"):
        parse_model("family:runs/mine-*")
    assert public_word(f"family:{tmp_path}/runs/mine-*") == "family:mine-*"


def test_home_folders_are_kept_out_of_commands_for_the_record() -> None:
    request = PretrainRequest(model="m", output=Path.home() / "my run", on="t")
    assert "-o" not in to_words(request, "pretrain").split()
    assert "--output 'my run'" in to_words(request, "pretrain")
