"""Every option of every request: how it is spelt, its default, what holds it, what it takes, and what is said of what it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from refused import refused

from findna_bench.errors import UsageError
from findna_bench.requests.compare_request import CompareRequest
from findna_bench.requests.declarations import (
    AutoOrNumber,
    Candidates,
    Flag,
    Kind,
    Names,
    Number,
    Numbers,
    Pairs,
    PathName,
    PathNames,
    Seeds,
    Settings,
    Text,
    Whole,
    Words,
    build,
    option,
    options_of,
    to_words,
)
from findna_bench.requests.embed_request import EmbedRequest
from findna_bench.requests.families import family_members, family_name
from findna_bench.requests.leaderboard_request import LeaderboardRequest
from findna_bench.requests.pretrain_request import PretrainRequest
from findna_bench.requests.profile_request import ProfileRequest
from findna_bench.requests.run_request import RunRequest
from findna_bench.requests.shared import DeviceName, WindowPolicy
from findna_bench.requests.split_choice import SplitChoice, parse_split


def refusal(call: Callable[[], object]) -> str:
    return refused(call, UsageError)


OPTIONS = {
    RunRequest: """
        models | -m --models --model | ()
        name | --name | None | no variable | not recorded
        tasks | -t --tasks --task | ()
        suites | --suite --benchmark | ()
        protocol | --protocol | 'probe' | in ids always
        preset | --preset | 'default' | in ids always
        seeds | --seeds | (0,1,2,3,4)
        shots | --shots | ()
        shot_validation | --shot-validation | 'within'
        weights | --weights | {}
        network | --network | None | in ids always
        pooling | --pooling | None | in ids always
        layer | --layer | -1 | in ids always
        combination | --combination | None | in ids given
        strand | --strand | 'forward' | in ids always
        window | --window | None | in ids always
        split | --split | 'official' | in ids always
        selection | --selection | 'validation' | in ids always
        search | --search | None | in ids given
        limit | -L --limit | None | in ids always
        device | --device | 'auto' | in ids always
        dtype | --dtype | 'auto' | in ids always
        batch_size | --batch-size | 'auto' | in ids always
        threads | --threads | 1 | in ids always
        world_size | --world-size | 1 | no variable | in ids given
        shard | --shard | 'auto'
        output_dir | -o --output-dir | results | not recorded
        data_dir | --data-dir | None | not recorded
        drop_missing | --drop-missing | False | in ids given
        target | --target | None | in ids given
        fasta | --fasta | None
        flank | --flank | None | in ids given
        offline | --offline | False | not recorded
        sanity | --no-sanity | True
        overwrite | --overwrite | 'failed' | not recorded
        fail_fast | --fail-fast | False | not recorded
        executor | --executor | 'serial' | not recorded
        workers | --workers | 1 | not recorded
        timeout_s | --timeout | None | not recorded
        environment | --environment | {} | not recorded
        slurm | --slurm | {} | not recorded
        ray_address | --ray-address | None | not recorded
    """,
    PretrainRequest: """
        model | (first words) | needed
        output | -o --output | needed | no variable
        fasta | --fasta | ()
        regions | --regions | None
        exclude | --exclude | None
        contigs | --contigs | ()
        assembly | --assembly | ''
        on | --on | None
        windows | --windows | None
        window_length | --window-length | None
        sampling | --sampling | None
        max_n_frac | --max-n-frac | None
        validation_windows | --validation-windows | None
        preset | --preset | None | no variable
        objective | --objective | None
        epochs | --epochs | None
        steps | --steps | None
        batch_size | --batch-size | None | no variable
        accumulate | --accumulate | None
        lr | --lr | None
        seed | --seed | None | no variable
        recipe | --recipe | None
        set | --set | {} | no variable
        weights | --weights | None | no variable
        from_weights | --from-weights/--from-random | False
        network | --network | None | no variable
        device | --device | 'auto' | in ids always
        dtype | --dtype | 'auto' | in ids always
        threads | --threads | 1 | in ids always
        compile | --compile/--no-compile | False
        log_every | --log-every | 50
        validate_every | --validate-every | None
        checkpoint_minutes | --checkpoint-minutes | 10.0
        checkpoint_steps | --checkpoint-steps | None
        tensorboard | --tensorboard | False
        overwrite | --overwrite | False | no variable
        data_dir | --data-dir | None | not recorded
        drop_missing | --drop-missing | False | in ids given
        offline | --offline | False | not recorded
    """,
    ProfileRequest: """
        models | -m --models --model | ()
        name | --name | None | no variable | not recorded
        tasks | -t --tasks --task | ()
        mode | --mode | 'train'
        batch_size | --batch-size | 'auto'
        lengths | --lengths | ()
        repeats | --repeats | 'auto'
        device | --device | 'auto' | in ids always
        dtype | --dtype | 'auto' | in ids always
        threads | --threads | None
        compile | --compile/--no-compile | None
        overhead | --overhead | False
        data_dir | --data-dir | None | not recorded
        target | --target | None | in ids given
        drop_missing | --drop-missing | False | in ids given
        output_dir | -o --output-dir | None
        results | --results | None
    """,
    EmbedRequest: """
        model | (first words) | needed
        out | -o --out | needed | no variable
        fasta | --fasta | None
        task | -t --task | None
        weights | --weights | None
        network | --network | None
        pooling | --pooling | None
        layer | --layer | -1
        strand | --strand | 'forward'
        window | --window | None | in ids always
        device | --device | 'auto' | in ids always
        dtype | --dtype | 'auto' | in ids always
        batch_size | --batch-size | 'auto' | in ids always
        data_dir | --data-dir | None | not recorded
        target | --target | None | in ids given
        drop_missing | --drop-missing | False | in ids given
        offline | --offline | False | not recorded
    """,
    CompareRequest: """
        models | (first words) | needed
        output_dir | -o --output-dir | results | not recorded
        tasks | -t --tasks --task | ()
        suites | --suite --benchmark | ()
        protocol | --protocol | None
        split | --split | None
        metric | --metric | None
        data_dir | --data-dir | None | not recorded
        markdown | --markdown | None
        title | --title | 'Comparison' | no variable
    """,
    LeaderboardRequest: """
        output_dir | -o --output-dir | results | not recorded
        submissions | --submissions | None | no variable
        markdown | --markdown | None
        html | --html | None
        site | --site | None | no variable
        csv | --csv | None
        title | --title | 'Leaderboard' | no variable
        metric | --metric | None
        include_limited | --include-limited | False | no variable
        audits | --audits | None
        costs | --costs | None
        check | --check | False | no variable
    """,
}
"""Field, spellings, default, and where it differs: whether a variable sets it, results hold it, identities count it."""


@pytest.mark.parametrize("request_class", OPTIONS, ids=lambda one: one.__name__)
def test_options_are_spelt_and_left_out_as_promised(request_class: type[Any]) -> None:
    found = []
    for one in options_of(request_class):
        default = (
            "needed" if one.default is ... else str(one.default) if isinstance(one.default, Path) else repr(one.default)
        )
        words = [one.field, " ".join(one.flags) or "(first words)", default.replace(" ", "")]
        words += [] if one.environment else ["no variable"]
        words += [] if one.recorded else ["not recorded"]
        words += [f"in ids {one.in_ids}"] if one.in_ids else []
        found.append(" | ".join(words))
    assert found == [line.strip() for line in OPTIONS[request_class].strip().splitlines()]


GOOD: list[tuple[Kind, Any, Any, Any, list[str]]] = [
    (Text(), "a b", "a b", "a b", ["--x", "a b"]),
    (Text(("a", "b")), "b", "b", "b", ["--x", "b"]),
    (Whole(), -5, -5, -5, ["--x", "-5"]),
    (Whole(3), 3, 3, 3, ["--x", "3"]),
    (Number(), 3, 3.0, 3.0, ["--x", "3.0"]),
    (Number(above=0), 0.001, 0.001, 0.001, ["--x", "0.001"]),
    (Flag(), True, True, True, ["--x", "True"]),
    (PathName(), "a/b", Path("a/b"), "a/b", ["--x", "a/b"]),
    (PathName(), "~/b", Path.home() / "b", str(Path.home() / "b"), ["--x", str(Path.home() / "b")]),
    (PathNames(), "a", (Path("a"),), ["a"], ["--x", "a"]),
    (PathNames(), ["a", Path("b")], (Path("a"), Path("b")), ["a", "b"], ["--x", "a", "--x", "b"]),
    (Names(), "a, b,,a", ("a", "b"), ["a", "b"], ["--x", "a,b"]),
    (Names(), ["a,b", " c "], ("a,b", "c"), ["a,b", "c"], ["--x", "a,b,c"]),
    (Names(), Path("x.csv"), ("./x.csv",), ["./x.csv"], ["--x", "./x.csv"]),
    (Names(), [Path("/y/x.csv"), "z"], ("/y/x.csv", "z"), ["/y/x.csv", "z"], ["--x", "./x.csv,z"]),
    (Words(), "a,b", ("a,b",), ["a,b"], ["--x", "a,b"]),
    (Words(), ["a", "a"], ("a", "a"), ["a", "a"], ["--x", "a", "--x", "a"]),
    (Numbers(), 0, (0,), [0], ["--x", "0"]),
    (Numbers(1), "2, 10,,2", (2, 10), [2, 10], ["--x", "2,10"]),
    (Numbers(1), [1, "3"], (1, 3), [1, 3], ["--x", "1,3"]),
    (Seeds(), 3, (0, 1, 2), [0, 1, 2], ["--x", "3"]),
    (Seeds(), "1", (0,), [0], ["--x", "1"]),
    (Seeds(), "3,", (3,), [3], ["--x", "3,"]),
    (Seeds(), "0,2,0", (0, 2), [0, 2], ["--x", "0,2"]),
    (Seeds(), [4], (4,), [4], ["--x", "4,"]),
    (Pairs(), "a=b=c", {"a": "b=c"}, {"a": "b=c"}, ["--x", "a=b=c"]),
    (Pairs(), [" a = b ", "c=d"], {"a": "b", "c": "d"}, {"a": "b", "c": "d"}, ["--x", "a=b", "--x", "c=d"]),
    (Pairs(), {1: Path("p"), "q": 2}, {"1": "p", "q": 2}, {"1": "p", "q": 2}, ["--x", "1=p", "--x", "q=2"]),
    (Settings(), "a=1,b=2,3,c=4", {"a": "1", "b": "2,3", "c": "4"}, {"a": "1", "b": "2,3", "c": "4"}, ["--x", "a=1,b=2,3,c=4"]),
    (Settings(), ["a=1", "b=2, c=3"], {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "2", "c": "3"}, ["--x", "a=1,b=2,c=3"]),
    (Settings(), {"a": 1}, {"a": "1"}, {"a": "1"}, ["--x", "a=1"]),
    (Settings(), "", {}, {}, []),
    (AutoOrNumber(), "auto", "auto", "auto", ["--x", "auto"]),
    (AutoOrNumber(), "1", 1, 1, ["--x", "1"]),
    (AutoOrNumber(), 7, 7, 7, ["--x", "7"]),
    (Candidates(Whole()), "1,-2, 1", (1, -2), [1, -2], ["--x", "1,-2"]),
    (Candidates(Whole()), "3", 3, 3, ["--x", "3"]),
    (Candidates(Whole()), 3, 3, 3, ["--x", "3"]),
    (Candidates(Whole()), (3, 4), (3, 4), [3, 4], ["--x", "3,4"]),
    (Candidates(Text(("a", "b"))), "a,b", ("a", "b"), ["a", "b"], ["--x", "a,b"]),
    (Candidates(Text()), "auto", "auto", "auto", ["--x", "auto"]),
    *((WindowPolicy(), text, text, text, ["--x", text]) for text in ("truncate", "truncate-middle", "window", "window:1")),
    *((DeviceName(), text, text, text, ["--x", text]) for text in ("auto", "cpu", "cuda", "cuda:12")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "value", "written", "words"), GOOD)
def test_what_an_option_takes_is_read_and_written(
    kind: Kind, given: Any, value: Any, written: Any, words: list[str]
) -> None:
    found = kind.read(given, "--x")
    assert (found, type(found)) == (value, type(value))
    assert kind.write(found) == written
    assert kind.words("--x", found) == words
    assert kind.read(kind.write(found), "--x") == found


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Text(), 3, "--x: text in quotes is expected, not 3"),
        (Text(("a", "b")), "c", "--x 'c': choose one of a, b"),
        (Whole(), True, "--x: a whole number is expected, not True"),
        (Whole(), 1.0, "--x: a whole number is expected, not 1.0"),
        (Whole(3), 2, "--x 2: give 3 or more"),
        (Whole(0, "none is too few"), -1, "--x -1: none is too few"),
        (Number(), True, "--x: a number is expected, not True"),
        (Number(), "1", "--x: a number is expected, not '1'"),
        (Number(above=0), 0, "--x 0: give a number above 0"),
        (Number(above=0.5), 0.25, "--x 0.25: give a number above 0.5"),
        (Flag(), 1, "--x: true or false is expected, not 1"),
        (PathName(), 1, "--x: a path is expected, not 1"),
        (PathNames(), 1, "--x: a list is expected, not 1"),
        (PathNames(), [1], "--x: a path is expected, not 1"),
        (Names(), 1, "--x: a list is expected, not 1"),
        (Names(), ["a", 1], "--x: names are expected, not ['a', 1]"),
        (Names(), {"a": 1}, "--x: a list is expected, not {'a': 1}"),
        (Words(), 1, "--x: a list is expected, not 1"),
        (Words(), ["a", 1], "--x: names are expected, not ['a', 1]"),
        (Numbers(), "a", "--x 'a': give whole numbers separated by commas"),
        (Numbers(), -1, "--x -1: give whole numbers separated by commas"),
        (Numbers(), [1.5], "--x [1.5]: give whole numbers separated by commas"),
        (Numbers(1), "3,0", "--x 3,0: each is 1 or more"),
        (Numbers(2, "one is none"), "1,2", "--x 1,2: one is none"),
        (Seeds(), "", "--x '': give a number of seeds (5) or a list of seeds (0,1,2)"),
        (Seeds(), (), "no seed given; say --x 5 or --x 0,1,2"),
        (Seeds(), "a", "--x 'a': give a number of seeds (5) or a list of seeds (0,1,2)"),
        (Seeds(), 0, "--x 0: at least one seed is needed"),
        (Seeds(), True, "--x: a list is expected, not True"),
        (Pairs(), "a", "--x 'a': write NAME=PATH"),
        (Pairs(), "=b", "--x '=b': write NAME=PATH"),
        (Pairs("N=V"), ["a=b", "a= "], "--x 'a= ': write N=V"),
        (Pairs(), 3, "--x: a list is expected, not 3"),
        (Settings(), "a", "--x 'a': write NAME=PATH"),
        (AutoOrNumber(), "0", "--x '0': give auto or a positive number"),
        (AutoOrNumber(), True, "--x 'True': give auto or a positive number"),
        (AutoOrNumber(), "x", "--x 'x': give auto or a positive number"),
        (Candidates(Whole()), (), "--x: name at least one value"),
        (Candidates(Whole()), "1,x", "--x: a whole number is expected, not 'x'"),
        (Candidates(Text(("a",))), "a,b", "--x 'b': choose one of a"),
        (Candidates(Whole()), 1.5, "--x: a list is expected, not 1.5"),
        *((WindowPolicy(), t, f"--x '{t}': choose truncate, truncate-middle, window or window:STRIDE") for t in ("cut", "window:0", "window:x", "truncate:5")),
        *((DeviceName(), t, f"--x '{t}': choose auto, cpu, cuda or cuda:N") for t in ("gpu", "cuda:", "cuda:x", "cpu:0")),
    ],
)  # fmt: skip
def test_what_an_option_does_not_take_is_refused_in_a_sentence(kind: Kind, given: Any, message: str) -> None:
    assert refusal(lambda: kind.read(given, "--x")) == message


def test_a_repeated_option_is_a_list_of_names_in_a_shell() -> None:
    assert Names().from_shell(["a,b", "c"]) == "a,b,c"
    assert Words().from_shell(["a,b", "c"]) == ["a,b", "c"]


SPLIT = "is none of official, grouped, grouped:FOLD/K, grouped:*/K, chromosome, chromosome:NAME[+NAME], chromosome:*"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("grouped", SplitChoice("grouped")),
        ("grouped:0/2", SplitChoice("grouped", 0, 2)),
        ("grouped:4/5", SplitChoice("grouped", 4, 5)),
        ("grouped:*/2", SplitChoice("grouped", k=2, every=True)),
        ("chromosome", SplitChoice("chromosome")),
        ("chromosome:*", SplitChoice("chromosome", every=True)),
        ("chromosome:20", SplitChoice("chromosome", contigs=("20",))),
        ("chromosome:20+ X+20", SplitChoice("chromosome", contigs=("20", "X"))),
        *(
            (text, None)
            for text in (
                "official", "", "random", "grouped:", "grouped:5/5", "grouped:6/5", "grouped:0/1", "grouped:*/1", "grouped:*/x", "grouped:*",
                "grouped:1", "grouped:/5", "grouped:1/", "grouped:-1/5", "chromosome:", "chromosome:1+", "chromosome:+1", "random:1/5",
            )
        ),
    ],
)  # fmt: skip
def test_splits_are_named_in_a_few_ways(text: str, choice: SplitChoice | None) -> None:
    if choice is not None:
        assert parse_split(text) == choice
        return
    with pytest.raises(ValueError, match=r"^split") as refused:
        parse_split(text)
    assert str(refused.value) == f"split {text!r} {SPLIT}"


GIVEN: dict[str, Any] = {"models": ("m",), "tasks": ("t",)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ()}, "no model given; say --models NAME,NAME (see `findna-bench list models`)"),
        ({"tasks": ()}, "no task given; say --suite NAME or --tasks NAME (see `findna-bench list suites`)"),
        ({"split": "grouped:*/5", "limit": 5}, "--split grouped:*/5 does not go with --limit; name one fold, or leave it out"),
        ({"split": "chromosome:*", "search": 5}, "--split chromosome:* does not go with --search; name one fold, or leave it out"),
        ({"split": "chromosome:*", "layer": "auto"}, "--split chromosome:* does not go with --layer with several values; name one fold, or leave it out"),
        ({"split": "grouped:*/5", "pooling": "mean,max"}, "--split grouped:*/5 does not go with --pooling with several values; name one fold, or leave it out"),
        ({"shot_validation": "full"}, "--shot-validation full says how --shots are validated; add --shots, or leave it out"),
        ({"slurm": "a=b"}, "--slurm is for the executor slurm; add --executor slurm, or leave it out"),
        ({"ray_address": "a", "executor": "slurm"}, "--ray-address is for the executor ray; add --executor ray, or leave it out"),
        ({"timeout_s": 1}, "--timeout needs a process that can be stopped; add --executor process"),
        ({"workers": 2}, "--workers 2: serial computes one model after the other; add --executor process"),
        ({"workers": 0}, "--workers 0: at least one worker computes"),
        ({"threads": 0}, "--threads 0: at least one thread computes"),
        ({"shots": "1,0"}, "--shots 1,0: shots are rows per class, 1 or more"),
        ({"search": 0}, "--search 0: at least 1 setting has to be tried"),
        ({"limit": 1}, "--limit 1: at least 2 rows of each split are needed"),
        ({"world_size": 0}, "--world-size 0: at least one process computes"),
        ({"flank": 0}, "--flank 0: a window has at least 1 base on either side"),
        ({"timeout_s": 0, "executor": "process"}, "--timeout 0: give a number above 0"),
        ({"sanity": "no"}, "--no-sanity: true or false is expected, not 'no'"),
        ({"name": "n"}, "--name n: it names one model that lies on this machine, and there are 0; write NAME=path:FOLDER of each"),
        ({"name": "n", "models": "path:a,path:b"}, "--name n: it names one model that lies on this machine, and there are 2; write NAME=path:FOLDER of each"),
        ({"name": "a b", "models": "path:a"}, "--name a b: give one name of letters, digits, dots, dashes, underscores and plus signs"),
        ({"name": "n" * 101, "models": "path:a"}, f"--name {'n' * 101}: give one name of letters, digits, dots, dashes, underscores and plus signs"),
        ({"name": "n", "models": "k=path:a"}, "--name n: give one name of letters, digits, dots, dashes, underscores and plus signs"),
        *(({name: "x"}, f"--{name} 'x': choose one of {choices}") for name, choices in (
            ("strand", "forward, rc-mean, rc-logit-mean, rc-augment"), ("selection", "validation, last, test"), ("shard", "auto, on, off"),
            ("dtype", "auto, float32, bfloat16"), ("overwrite", "never, failed, always"),
        )),
        ({"shot_validation": "x"}, "--shot-validation 'x': choose one of within, full"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(lambda: RunRequest(**GIVEN | changes)) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": 2},
        {"flank": 1},
        {"search": 1},
        {"workers": 2, "executor": "process"},
        {"workers": 1},
        {"timeout_s": 0.5, "executor": "process"},
        {"slurm": "a=b", "executor": "slurm"},
        {"ray_address": "a", "executor": "ray"},
        {"tasks": (), "suites": "demo"},
        {"shot_validation": "full", "shots": 1},
        {"split": "grouped:1/5", "limit": 5, "search": 3},
        {"split": "grouped:*/5"},
        {"name": "n" * 100, "models": "path:a,kmer"},
        {"name": "n.1+x-y_z", "models": "embeddings:a.npy"},
    ],
)
def test_a_run_that_can_be_is_taken(changes: dict[str, Any]) -> None:
    RunRequest(**GIVEN | changes)


def test_a_name_is_that_of_the_one_model_on_this_machine() -> None:
    named = RunRequest(models="kmer,scores:v.npy", tasks="t", name="mine")
    assert (named.models, named.name) == (("kmer", "mine=scores:v.npy"), None)
    assert RunRequest(**GIVEN, layer=(1, 2), pooling="auto").choices == ("layer", "pooling")
    assert RunRequest(**GIVEN, layer=1, pooling="mean").choices == ()
    assert family_name("family:a/b/mine-*/") == "family:mine-*"
    names = ["path:mine-10", "mine-2", "mine-2@random", "other", "path:mine-x"]
    assert family_members("family:a/mine-*", names) == ("mine-2", "path:mine-10", "path:mine-x")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EmbedRequest(model="m", out="v.npy"), "give what to embed: --fasta FILE or --task TASK, one of them"),
        (lambda: EmbedRequest(model="m", out="v.npy", fasta="a", task="t"), "give what to embed: --fasta FILE or --task TASK, one of them"),
        (lambda: ProfileRequest(tasks="a,b"), "name one task with --task, e.g. --task mtcdna-1024; it gives the shape of the sequences"),
        (lambda: ProfileRequest(), "name one task with --task, e.g. --task mtcdna-1024; it gives the shape of the sequences"),
        (lambda: ProfileRequest(tasks="a", results="r"), "--results draws a plot: say with -o where to write it"),
        (lambda: ProfileRequest(tasks="a", lengths="0"), "--lengths 0: each is 1 or more"),
        (lambda: PretrainRequest(model="m", output="o"), "say what to pretrain on: --fasta FILE, or --on TASK (one of the two)"),
        (lambda: PretrainRequest(model="m", output="o", fasta="a", on="t"), "say what to pretrain on: --fasta FILE, or --on TASK (one of the two)"),
        (lambda: PretrainRequest(model="m", output="o", on="t", log_every=0), "--log-every 0: give 1 or more"),
        (lambda: PretrainRequest(model="m", output="o", on="t", validate_every=0), "--validate-every 0: give 1 or more"),
        (lambda: PretrainRequest(model="m", output="o", on="t", checkpoint_steps=0), "--checkpoint-steps 0: give 1 or more"),
        (
            lambda: PretrainRequest(model="m", output="o", on="t", set="x-y.z=1").changes(),
            "--set x-y.z=1: before the dot stands objective or backbone, not 'x_y'",
        ),
        (lambda: LeaderboardRequest(check=True), "--check compares a page with the results; say which page with --markdown FILE"),
        (lambda: LeaderboardRequest(csv="a.tsv"), "--csv a.tsv: it writes a .csv file; give it that suffix"),
        *((lambda shown=shown: LeaderboardRequest(**{shown: "a"}),
           "--audits and --costs are shown on pages; write one with --markdown FILE, --html FOLDER or --site FOLDER") for shown in ("audits", "costs")),
        (lambda: build(CompareRequest, {}), "MODELS is missing"),
        (lambda: build(PretrainRequest, {"model": "m"}), "--output is missing"),
        (
            lambda: build(CompareRequest, {"models": "a", "x": 1, "b": 2}),
            "'b' is no option; there are data_dir, markdown, metric, models, output_dir, protocol, split, suites, tasks, title",
        ),
    ],
)  # fmt: skip
def test_other_requests_that_cannot_be_are_refused(call: Callable[[], object], message: str) -> None:
    assert refusal(call) == message


def test_requests_that_can_be_are_taken() -> None:
    LeaderboardRequest(check=True, markdown="a.md")
    LeaderboardRequest(csv="a.CSV")
    for page in ("markdown", "html", "site"):
        LeaderboardRequest(audits="a", costs="b", **{page: "p"})
    made = LeaderboardRequest(markdown="p.md", html="h", csv="c.csv", site="s", check=True)
    assert made.command == "findna-bench leaderboard --markdown p.md"
    assert made.site_command == "findna-bench leaderboard --site s"
    ProfileRequest(tasks="a", results="r", output_dir="o", lengths="1")
    asked = PretrainRequest(
        model="m",
        output="o",
        on="t",
        recipe="r",
        set=["clip=1", "backbone.n-layers=2", "objective.x=a b", "lr-end=0.5"],
        steps=3,
    )
    assert asked.changes() == {
        "steps": 3,
        "clip": 1,
        "lr_end": 0.5,
        "backbone": {"n_layers": 2},
        "objective_options": {"recipe": "r", "x": "a b"},
    }
    words = "findna-bench pretrain m --output o --on t --steps 3 --recipe r --set clip=1 --set backbone.n-layers=2"
    assert to_words(asked, "pretrain") == f"{words} --set 'objective.x=a b' --set lr-end=0.5"
    turned = PretrainRequest(model="m", output="o", on="t", from_weights=True, compile=True)
    assert to_words(turned, "pretrain") == "findna-bench pretrain m --output o --on t --from-weights --compile"
    plain = RunRequest(models="m", tasks="t", sanity=False, fail_fast=True)
    assert to_words(plain, "run") == "findna-bench run --models m --tasks t --no-sanity --fail-fast"
    assert to_words(CompareRequest(models=("a b", "c")), "compare") == "findna-bench compare 'a b' c"


def test_an_option_says_how_it_is_called() -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True, kw_only=True)
    class Asked:
        two_words: str = option(Text(), "Help.", flags=("-t", "--two-words"))
        other: str = option(Text(), "Help.", default="x", flags=("-o", "--another"), metavar="WORD", panel="P")
        on: bool = option(Flag(), "Help.", default=True, off="--no-on")
        first: str = option(Text(), "Help.", default=None, positional=True)
        many: dict[str, str] = option(Pairs(), "Help.", default={})

    two_words, other, on, first, many = options_of(Asked)
    assert [one.flag for one in (two_words, other, on, first, many)] == [
        "--two-words",
        "--another",
        "--no-on",
        "FIRST",
        "--many",
    ]
    assert [one.variable for one in (two_words, on)] == ["FINDNA_BENCH_TWO_WORDS", "FINDNA_BENCH_ON"]
    assert (two_words.default, other.metavar, other.panel, first.read(None)) == (..., "WORD", "P", None)
    assert refusal(lambda: other.read(None)) == "--another: text in quotes is expected, not None"
    assert refusal(lambda: other.read(1, "other of c.toml")) == "other of c.toml: text in quotes is expected, not 1"
    one, two = Asked(two_words="a"), Asked(two_words="a")
    assert one.many == two.many == {}
    assert one.many is not two.many
