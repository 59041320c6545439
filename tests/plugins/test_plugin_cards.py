"""Cards: what each says where nothing is said, what none may say, and how names are found among several plugins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType
from typing import Any

import pytest
from refused import refused

from findna_bench.cards import (
    AugmentationCard,
    BackboneCard,
    DataSource,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    Pretraining,
    ProtocolCard,
    PublishedCard,
    PublishedFineTuning,
    SuiteCard,
    TargetCard,
    TaskCard,
    WeightsSource,
    card_content,
    hookimpl,
)
from findna_bench.errors import PluginError, UnknownNameError
from findna_bench.registry import Plugin, Registry, load_factory, make, normalise


def refusal(call: Callable[[], object], kind: type[Exception] = ValueError) -> str:
    return refused(call, kind)


MADE = {"name": "n", "factory": "p.m:F"}
TASK: dict[str, Any] = {"name": "t", "suite": "s", "labels": ("a", "b")}
MODEL: dict[str, Any] = {"name": "m", "kind": "features", "factory": "p.m:F"}
FACTORY = {"name": "n", "factory": "p.m:F", "summary": "", "reference": ""}

DEFAULTS: list[tuple[Any, dict[str, Any]]] = [
    *((kind(**MADE), FACTORY) for kind in (BackboneCard, ObjectiveCard, ProtocolCard)),
    (AugmentationCard(**MADE), FACTORY | {"aliases": ()}),
    (ExecutorCard(**MADE), FACTORY | {"in_process": False}),
    (TargetCard(**MADE), FACTORY | {"of_bases": False}),
    (
        MetricCard(**MADE),
        FACTORY
        | {"targets": ("classes",), "scale_free": False, "per_class": False, "higher_is_better": True, "label": "", "scale": 100.0},
    ),
    (
        WeightsSource(repo="o/n"),
        {"repo": "o/n", "revision": None, "url": None, "package": None, "files": (), "sha256": None, "git_blob": None, "size": None, "licence": ""},
    ),
    (Pretraining(), {"assemblies": (), "chromosomes": None, "regions": (), "excluded_chromosomes": (), "note": ""}),
    (
        PublishedFineTuning(learning_rate=1e-3, source="x"),
        {
            "learning_rate": 1e-3, "source": "x", "batch_size": None, "epochs": None, "steps": None, "optimizer": {}, "adapter_learning_rate": None,
            "adapter_source": "", "note": "",
        },
    ),
    (
        ModelCard(**MODEL),
        {
            **MODEL, "aliases": (), "summary": "", "backbone": None, "config": {}, "protocols": None, "weights": (), "tokenizer": (),
            "pooling": "mean", "pooling_source": "", "window": "truncate", "max_length": None, "causal": False, "n_parameters": None, "paper": "",
            "licence_code": "", "licence_weights": "", "notes": (), "pretraining": None, "pretraining_preset": "", "finetuning": None,
            "networks": (), "sanity": True, "targets": None, "inputs": ("sequence",), "control": False, "version": 1,
        },
    ),
    (DataSource(url="u"), {"url": "u", "layout": "folders-zip", "sha256": None, "git_blob": None, "size": None, "licence": ""}),
    (
        TaskCard(**TASK),
        {
            **TASK, "target": "classes", "inputs": "sequence", "combination": "absdiff_product", "effect": "signed", "aggregate": "rows",
            "group_weights": "uniform", "metric": "accuracy", "summary": "", "split_policy": "official", "counts": {}, "sources": (),
            "embedded": None, "factory": None, "config": {}, "derived_from": "", "rows": "", "attainable": None, "strand": "unknown",
            "known_shortcuts": (), "citation": "", "licence": "", "length": None, "assembly": "", "locus_group": "", "aliases": (), "version": 1,
        },
    ),
    (
        SuiteCard(name="s", tasks=("a/b",)),
        {"name": "s", "tasks": ("a/b",), "extra_tasks": (), "summary": "", "reference": "", "protocol": "probe", "preset": "", "citation": "", "aliases": ()},
    ),
    (
        PresetCard(name="p", protocol="probe"),
        {"name": "p", "protocol": "probe", "settings": {}, "tasks": {}, "summary": "", "reference": "", "listed_only": False},
    ),
    (PublishedCard(name="p", path="a:b"), {"name": "p", "path": "a:b", "summary": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("card", "fields"), DEFAULTS, ids=lambda one: type(one).__name__)
def test_a_card_says_what_it_is_given_and_else_this(card: Any, fields: dict[str, Any]) -> None:
    assert asdict(card) == fields


MAY = "may only hold letters, digits and . _ + -, and starts with a letter or digit"
FORM = 'must have the form "package.module:Name"'


@pytest.mark.parametrize(
    ("call", "message"),
    [
        *((lambda bad=bad: BackboneCard(name=bad, factory="p:F"), f"BackboneCard name {bad!r} {MAY}") for bad in ("", "a b", ".a", "a/b", "-a", "é")),
        *((lambda bad=bad: MetricCard(name="n", factory=bad), f"MetricCard 'n': factory {bad!r} {FORM}") for bad in ("", "p", "p:", ":F", "p:F.g", "p-q:F")),
        (lambda: ModelCard(**MODEL | {"aliases": ("a b",)}), f"model name 'a b' {MAY}"),
        (lambda: ModelCard(name="m", kind="encoder"), "model 'm': an encoder names its backbone"),
        (lambda: ModelCard(name="m", kind="features"), "model 'm': kind 'features' names its factory"),
        (lambda: ModelCard(name="m", kind="classifier"), "model 'm': kind 'classifier' names its factory"),
        (lambda: ModelCard(**MODEL | {"factory": "x"}), f"model 'm': factory 'x' {FORM}"),
        (lambda: ModelCard(**MODEL | {"kind": "net"}), "model 'm': kind must be encoder, features or classifier, not 'net'"),
        (lambda: ModelCard(**MODEL, pooling="sum"), "model 'm': pooling must be one of mean, mean_all, mean_bases, cls, last, max, not 'sum'"),
        (lambda: ModelCard(**MODEL, causal=True, pooling="cls"), "model 'm': cls pooling is meaningless for a causal model"),
        (lambda: ModelCard(**MODEL, protocols=("a b",)), f"model 'm': protocol name 'a b' {MAY}"),
        (lambda: TaskCard(**TASK | {"name": "a/b"}), f"task name 'a/b' {MAY}"),
        (lambda: TaskCard(**TASK | {"suite": ""}), f"suite name '' {MAY}"),
        (lambda: TaskCard(**TASK, metric="a:"), "task 's/t': metric 'a:' is no name of a metric"),
        (lambda: TaskCard(**TASK, target=""), f"task 's/t': target name '' {MAY}"),
        (lambda: TaskCard(**TASK, inputs="row"), "task 's/t': inputs must be sequence or variant or pair, not 'row'"),
        (lambda: TaskCard(**TASK, effect="x"), "task 's/t': effect must be signed or negative or absolute, not 'x'"),
        (lambda: TaskCard(**TASK, aggregate="x"), "task 's/t': aggregate must be rows or groups, not 'x'"),
        (lambda: TaskCard(**TASK, group_weights="x"), "task 's/t': group_weights must be uniform or rows, not 'x'"),
        (
            lambda: TaskCard(**TASK, combination="x"),
            "task 's/t': combination must be absdiff_product or concat or difference or concat_absdiff_product, not 'x'",
        ),
        (lambda: TaskCard(**TASK | {"labels": ("a",)}), "task 's/t': labels must be 2 or more different names"),
        (lambda: TaskCard(**TASK | {"labels": ("a", "a")}), "task 's/t': labels must be 2 or more different names"),
        (lambda: TaskCard(**TASK | {"labels": (), "target": "values"}), "task 's/t': labels must be 1 or more different names"),
        (lambda: TaskCard(**TASK, factory="x"), f"task 's/t': factory 'x' {FORM}"),
        (lambda: TaskCard(**TASK, attainable="x"), f"task 's/t': factory 'x' {FORM}"),
        (lambda: TaskCard(**TASK, factory="p:F", embedded="p:f"), "task 's/t': give embedded or factory, not both"),
        *((lambda given=given: TaskCard(**TASK, **given), "task 's/t': a derived task has derived_from and rows, and no other origin") for given in (
            {"rows": "p:r"}, {"derived_from": "s/u"}, {"derived_from": "s/u", "rows": "p:r", "embedded": "p:f"}, {"derived_from": "s/u", "rows": "p:r", "factory": "p:F"},
        )),
        (lambda: SuiteCard(name="s", tasks=("a/b/c",)), f"suite 's': task name 'a/b/c' {MAY}"),
        (lambda: SuiteCard(name="s", tasks=(), extra_tasks=("a b",)), f"suite 's': task name 'a b' {MAY}"),
        (lambda: SuiteCard(name="s", tasks=(), aliases=("a b",)), f"suite name 'a b' {MAY}"),
        (lambda: PresetCard(name="p", protocol="a b"), f"preset 'p': protocol name 'a b' {MAY}"),
        (lambda: PresetCard(name="p", protocol="x", tasks={"a b": {}}), f"preset 'p': task name 'a b' {MAY}"),
        (lambda: PresetCard(name="p", protocol="x", listed_only=True), "preset 'p': listed_only needs tasks"),
        (lambda: PublishedCard(name="a b", path="x"), f"published name 'a b' {MAY}"),
        *((lambda given=given: WeightsSource(**given), "a WeightsSource names exactly one of repo, url and package") for given in (
            {}, {"repo": "r", "url": "u"}, {"repo": "r", "package": "p"}, {"url": "u", "package": "p"},
        )),
        *((lambda given=given: PublishedFineTuning(**{"learning_rate": 1.0, "source": "x", **given}), "a published learning rate is above 0") for given in (
            {"learning_rate": 0}, {"learning_rate": -1}, {"adapter_learning_rate": 0, "adapter_source": "y"},
        )),
        *((lambda given=given: PublishedFineTuning(**{"learning_rate": 1.0, "source": "x", **given}), "a published learning rate names its source") for given in (
            {"source": ""}, {"adapter_learning_rate": 1.0},
        )),
    ],
)  # fmt: skip
def test_a_card_that_contradicts_itself_is_refused(call: Callable[[], object], message: str) -> None:
    assert refusal(call) == message


@pytest.mark.parametrize(
    "call",
    [
        lambda: TaskCard(**TASK | {"labels": ("a",), "target": "values"}),
        lambda: TaskCard(**TASK, metric="recall:a b/c", derived_from="s/u", rows="p:r"),
        lambda: TaskCard(**TASK, attainable="p.m:f", factory="p.m:f"),
        lambda: PresetCard(name="p", protocol="x", tasks={"a/b": {}, "c": {}}, listed_only=True),
        lambda: ModelCard(name="m", kind="encoder", backbone="b", causal=True, pooling="last", protocols=("probe",)),
        lambda: ModelCard(**MODEL, pooling="cls"),
        lambda: PublishedFineTuning(learning_rate=1e-9, source="x", adapter_learning_rate=1e-9, adapter_source="y"),
    ],
)
def test_a_card_that_does_not_is_taken(call: Callable[[], object]) -> None:
    call()


def test_what_came_later_is_hashed_only_where_it_is_said() -> None:
    later = {"inputs", "effect", "aggregate", "group_weights", "combination"}
    assert set(asdict(TaskCard(**TASK))) - set(card_content(TaskCard(**TASK))) == later
    assert card_content(TaskCard(**TASK, effect="absolute", inputs="variant"))["effect"] == "absolute"
    assert "aggregate" not in card_content(TaskCard(**TASK, effect="absolute"))
    plain = card_content(ModelCard(**MODEL))
    assert "inputs" not in plain
    assert card_content(ModelCard(**MODEL, inputs=("sequence", "pair"))) == plain
    assert card_content(ModelCard(**MODEL, inputs=("pair",)))["inputs"] == ("pair",)
    assert card_content(ModelCard(**MODEL, inputs=("sequence", "variant", "pair")))["inputs"] == ("sequence", "variant")


@pytest.mark.parametrize(
    ("given", "pinned", "label"),
    [
        ({"repo": "o/n"}, False, "hf:o/n"),
        ({"repo": "o/n", "revision": "main", "sha256": "x"}, False, "hf:o/n@main"),
        ({"repo": "o/n", "revision": "a" * 40}, True, f"hf:o/n@{'a' * 40}"),
        ({"repo": "o/n", "revision": "a" * 39}, False, f"hf:o/n@{'a' * 39}"),
        ({"url": "http://x"}, False, "http://x"),
        ({"url": "http://x", "sha256": "y"}, True, "http://x"),
        ({"url": "http://x", "git_blob": "y"}, True, "http://x"),
        ({"package": "p:f"}, True, "package:p:f"),
    ],
)
def test_weights_are_pinned_where_they_can_only_be_the_same(given: dict[str, Any], pinned: bool, label: str) -> None:
    source = WeightsSource(**given)
    assert (source.pinned, source.label) == (pinned, label)


def test_what_was_read_before_is_added_up_on_the_safe_side() -> None:
    one = Pretraining(
        assemblies=("h", "m"), chromosomes=("1", "2"), regions=(("1", 0, 5),), excluded_chromosomes=("8", "9"), note="a"
    )
    two = Pretraining(
        assemblies=("m", "z"), chromosomes=("2", "3"), regions=(("2", 1, 2),), excluded_chromosomes=("9", "X"), note="b"
    )
    assert one.followed_by(two) == Pretraining(
        assemblies=("h", "m", "z"),
        chromosomes=("1", "2", "3"),
        regions=(("1", 0, 5), ("2", 1, 2)),
        excluded_chromosomes=("9",),
        note="a; b",
    )
    assert one.followed_by(Pretraining(assemblies=("m",))) == Pretraining(assemblies=("h", "m"), note="a")
    assert one.followed_by(Pretraining()).assemblies == Pretraining().followed_by(one).assemblies == ()
    rows = one.followed_by(Pretraining(assemblies=("m",), chromosomes=()))
    assert (rows.regions, rows.chromosomes) == (one.regions, ("1", "2"))
    listed = {
        "assemblies": ["h"],
        "chromosomes": ["1"],
        "regions": [["1", "0", 5]],
        "excluded_chromosomes": [],
        "note": "n",
    }
    assert Pretraining.of(listed) == Pretraining(
        assemblies=("h",), chromosomes=("1",), regions=(("1", 0, 5),), note="n"
    )
    assert Pretraining.of({"chromosomes": None}) == Pretraining()
    for wrong, words in (
        ([], "not a mapping: []"),
        ({"note": 1}, "note is no text"),
        ({"assemblies": "h"}, "assemblies is no list of names"),
        ({"assemblies": None}, "assemblies is no list of names"),
        ({"chromosomes": [1]}, "chromosomes is no list of names"),
        ({"excluded_chromosomes": None}, "excluded_chromosomes is no list of names"),
    ):
        assert refusal(lambda wrong=wrong: Pretraining.of(wrong), TypeError) == words  # type: ignore[misc]


# -------------------------------------------------------------------------------------------------------- registry


def plugin(name: str, distribution: str, **cards: list[Any]) -> tuple[ModuleType, Plugin]:
    module = ModuleType(name)
    for kind, held in cards.items():
        setattr(module, f"findna_bench_{kind}", hookimpl(lambda held=held: held))
    return module, Plugin(name, f"{name}.cards:x", distribution, "1")


def registry(*plugins: tuple[ModuleType, Plugin]) -> Registry:
    made = Registry()
    for module, one in plugins:
        made.add(module, one)
    return made


def models(*names: str) -> list[ModelCard]:
    return [ModelCard(**MODEL | {"name": name}) for name in names]


def test_a_name_is_found_in_any_case_and_near_ones_are_told() -> None:
    held = registry(
        plugin(
            "p",
            "dist-p",
            models=[*models("Alpha-One", "beta"), ModelCard(**MODEL | {"name": "g", "aliases": ("gamma_x",)})],
        ),
        plugin("q", "findna-bench", models=models("beta"), tasks=[TaskCard(**TASK)]),
    )
    assert normalise("Ab_C") == "ab-c"
    assert held.resolve("models", "alpha_one").card.name == "Alpha-One"
    assert held.resolve("models", "GAMMA-X").card.name == "g"
    assert held.resolve("models", "beta").distribution == "findna-bench"  # the harness's own
    assert held.resolve("models", "beta", within="dist-p").distribution == "dist-p"
    assert held.resolve("models", "Dist_P:beta").distribution == "dist-p"
    assert held.resolve("tasks", "t") is held.resolve("tasks", "S/T")
    assert held.shadowed("models", "beta") == ["dist-p:beta"]
    assert held.shadowed("models", "dist-p:beta") == held.shadowed("models", "g") == []
    assert held.distributions() == ["dist-p", "findna-bench"]
    assert [label for label, _ in held.labels("models")] == ["Alpha-One", "beta", "beta", "g", "gamma_x"]
    assert held.strangers == {"p": "dist-p"}
    assert list(held.collisions("models")) == ["beta"]
    assert [card.name for card in held.own("models")] == ["beta"]
    assert held.own("models", core=True) == []
    assert held.distribution_of("models", held.cards("models")[0]) == "dist-p"
    assert held.distribution_of("models", models("x")[0]) is None
    assert (
        refusal(lambda: held.resolve("models", "betta"), UnknownNameError)
        == "unknown model 'betta'; did you mean beta?"
    )
    assert (
        refusal(lambda: held.resolve("models", "zzzz"), UnknownNameError)
        == "unknown model 'zzzz'; see `findna-bench list models`"
    )
    assert (
        refusal(lambda: held.resolve("published", "zzzz"), UnknownNameError)
        == "unknown published figures 'zzzz'; see `findna-bench list plugins`"
    )


def test_two_strangers_of_one_name_have_to_be_told_apart() -> None:
    def task(suite: str) -> TaskCard:
        return TaskCard(**TASK | {"suite": suite})

    held = registry(
        plugin("p", "dist-p", models=models("m", "twice", "twice"), tasks=[task("one")]),
        plugin("q", "dist-q", models=models("M"), tasks=[task("two")]),
    )
    assert (
        refusal(lambda: held.resolve("models", "m"), UnknownNameError)
        == "model 'm' is ambiguous; write one of dist-p:m, dist-q:M"
    )
    assert (
        refusal(lambda: held.resolve("tasks", "t"), UnknownNameError)
        == "task 't' is ambiguous; write one of one/t, two/t"
    )
    assert (
        refusal(lambda: held.resolve("models", "twice"), UnknownNameError)
        == "model 'twice' is registered more than once by dist-p"
    )
    assert held.resolve("models", "m", within="dist-q").card.name == "M"
    assert list(held.collisions("models")) == ["m", "twice"]
    presets = registry(plugin("p", "d", presets=[PresetCard(name="x", protocol=p) for p in ("a", "b")]))
    assert presets.collisions("presets") == {}


def test_what_a_plugin_does_wrong_is_kept_and_the_rest_counts() -> None:
    module, broken = plugin("p", "dist-p", models=[*models("m"), 5], tasks=5)  # type: ignore[arg-type]
    module.findna_bench_model = hookimpl(lambda: None)  # type: ignore[attr-defined]
    module.findna_bench_suites = list  # type: ignore[attr-defined]
    held = registry((module, broken))
    assert broken.counts == {"models": 1}
    assert broken.errors[:2] == [
        "findna_bench_model is no hook; did you mean findna_bench_models?",
        "findna_bench_suites is not marked @hookimpl, so it is not called",
    ]
    assert broken.errors[2].startswith(
        "findna_bench_tasks failed: TypeError: it returned a int; return a list of cards"
    )
    assert broken.errors[3] == "findna_bench_models returned int where a list of ModelCard is expected"
    assert (broken.broken, Plugin("x", "x", "d", "1").broken, broken.top_package) == (True, False, "p")
    assert refusal(lambda: held.resolve("models", "zzzz"), UnknownNameError) == (
        "unknown model 'zzzz'; see `findna-bench list models` (broken plugins: dist-p; see `findna-bench list plugins`)"
    )


def test_a_factory_that_is_not_there_is_the_plugin_s_fault() -> None:
    assert load_factory("json:dumps", "x")([1]) == "[1]"
    assert make("collections:Counter", "x", "aab")["a"] == 2
    assert refusal(lambda: load_factory("no_such_module:F", "model 'm'"), PluginError).startswith(
        "model 'm': factory 'no_such_module:F' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert refusal(lambda: load_factory("json:F", "model 'm'"), PluginError).startswith(
        "model 'm': factory 'json:F' cannot be loaded: AttributeError: module 'json' has no attribute 'F'"
    )
