"""``--layer 1,2`` and ``--pooling auto``: chosen on validation per seed, the same candidates for every model, the test split read once."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from motif_tasks import write_task

import findna_bench as fb
from findna_bench.errors import UsageError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix.agreement import disagreements
from findna_bench.matrix.models import LiveModel
from findna_bench.matrix.request import expand
from findna_bench.matrix.verification import verify
from findna_bench.models import embedding
from findna_bench.registry import get_registry
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.store import ResultStore

CANDIDATES: dict[str, Any] = {"layer": [2, 1], "pooling": ["mean", "max"]}
FOUR = [{"layer": layer, "pooling": pooling} for layer, pooling in itertools.product(*CANDIDATES.values())]


def run(task: Path, out: Path, models: tuple[str, ...] = ("findna-tiny",), **options: Any) -> list[fb.Result]:
    found = fb.run([*models], [str(task)], output_dir=out, **{"seeds": 2, **options})
    assert [r.status for r in found if r.error] == [], [r.error for r in found]
    return found


def test_each_seed_keeps_what_a_run_of_the_best_candidate_alone_would_give(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    rows, vectors, read = embedding._embed_rows, LiveModel._vectors, []
    monkeypatch.setattr(
        embedding,
        "_embed_rows",
        lambda model, s, which, wanted, *rest: (passes.append(len(wanted)), rows(model, s, which, wanted, *rest))[1],
    )
    monkeypatch.setattr(
        LiveModel,
        "_vectors",
        lambda self, one, table, way: (read.append((one, table)), vectors(self, one, table, way))[1],
    )
    chosen = run(task, tmp_path / "chosen", **CANDIDATES, overwrite="always")
    embedded = [n for n in passes if n > 1]
    assert embedded == [4], "one forward pass over train and validation rows serves all four"
    pool = read[0][1]
    of_test = [one for one, table in read if table is not pool]
    assert len(read) - len(of_test) == 4
    assert {(one.layer, one.pooling) for one in of_test} == {(r.model.layer, r.model.pooling) for r in chosen}

    alone = [run(task, tmp_path / "alone", **one, overwrite="always") for one in FOUR]
    for seed, result in enumerate(chosen):
        losses = [one[seed].validation["metrics"]["loss"] for one in alone]
        settings, best = result.protocol.settings, losses.index(min(losses))
        assert len(set(losses)) == 4
        assert [trial["settings"] for trial in settings["trials"]] == FOUR
        assert [trial["validation"]["loss"] for trial in settings["trials"]] == losses
        assert settings["candidates"] == CANDIDATES
        selected = result.validation["selected"]
        assert {name: selected[name] for name in FOUR[best]} == FOUR[best]
        assert (selected["chosen_trial"], result.model.layer, result.model.pooling) == (best, *FOUR[best].values())
        assert result.metrics == alone[best][seed].metrics
        assert result.coverage == alone[best][seed].coverage
        assert "best of 2 layers x 2 poolings on validation" in result.flags
        assert result.config_id not in {one[seed].config_id for one in alone}
        assert list(disagreements(result)) == []
        other = result.model.model_copy(update={"layer": 3 - result.model.layer})
        assert any("model.layer" in text for text in disagreements(result.model_copy(update={"model": other})))
    assert len({r.config_id for r in chosen}) == 1
    again = run(task, tmp_path / "chosen", **CANDIDATES)
    assert [r.digest for r in again] == [r.digest for r in chosen]
    monkeypatch.chdir(tmp_path)
    checked = verify(tmp_path / "chosen", rerun=1)
    assert (checked.findings, checked.rerun) == ((), 1)
    for folder in ("alone", "chosen"):
        for path in (tmp_path / folder).rglob("*.json"):
            target = tmp_path / "both" / path.relative_to(tmp_path / folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            for file in path.parent.glob(f"{path.stem}.*"):
                (target.parent / file.name).write_bytes(file.read_bytes())
    (table,) = leaderboard(ResultStore(tmp_path / "both").load()).tables
    assert ("pooling of mean/max", "layer of 2/1") in {row.settings for row in table.rows}


def test_auto_is_the_same_for_every_model_and_means_nothing_to_controls(task: Path, tmp_path: Path) -> None:
    models = ("findna-tiny@random", "hyenadna-tiny-1k@random", "kmer", "majority")
    found = {r.model.name: r for r in run(task, tmp_path, models, layer="auto", pooling="auto", seeds=1)}
    assert found["findna-tiny@random"].protocol.settings["candidates"]["layer"] == [2, 1]
    assert found["hyenadna-tiny-1k@random"].protocol.settings["candidates"]["layer"] == [2, 1]
    for name in models[:2]:
        settings = found[name].protocol.settings
        n = {key: len(values) for key, values in settings["candidates"].items()}
        assert {"mean", "max"} <= set(settings["candidates"]["pooling"])
        assert len(settings["trials"]) == n["layer"] * n["pooling"]
        assert f"best of {n['layer']} layers x {n['pooling']} poolings on validation" in found[name].flags
    for name in models[2:]:
        assert not {"candidates", "trials"} & set(found[name].protocol.settings)
        assert not any("best of" in flag for flag in found[name].flags)
    assert verify(tmp_path).findings == ()


@pytest.mark.parametrize(
    ("protocol", "shots", "trials"), [("knn", None, 2), ("probe", 5, 2), ("knn", 5, 2), ("probe", 1, 0), ("knn", 1, 0)]
)
def test_few_shots_choose_within_themselves_and_one_shot_takes_the_first(
    task: Path, tmp_path: Path, protocol: str, shots: int | None, trials: int
) -> None:
    options = {"shots": shots} if shots else {}
    found = run(task, tmp_path, layer=[1, 2], protocol=protocol, **options)
    for r in found:
        settings = r.protocol.settings
        assert len(settings.get("trials", [])) == trials
        if trials:
            by = "loss" if protocol == "probe" else "accuracy"
            scores = [trial["validation"][by] for trial in settings["trials"]]
            best = min(scores) if by == "loss" else max(scores)
            assert r.model.layer == 1 + scores.index(best)
            assert "best of 2 layers on validation" in r.flags
        else:
            assert r.model.layer == 1
            assert "first of 2 layers, none chosen" in r.flags
            assert any("first of 2 candidates" in words for words in r.validation["warnings"])
    assert verify(tmp_path).findings == ()


def test_one_value_in_any_spelling_is_the_request_of_today() -> None:
    def ids(**options: Any) -> set[str]:
        (unit,) = expand(RunRequest(models="findna-tiny", tasks="demo/species4", seeds=1, **options), get_registry())
        return {unit.cells[0].request_id, json.dumps(unit.hashed["options"]["layer"])}

    assert ids(layer=2) == ids(layer="2") == ids(layer=[2]) == ids(layer=(2, 2))
    assert ids() == ids(layer=-1, pooling=None)
    assert ids(pooling="max") == ids(pooling=["max"])
    assert ids(layer=[1, 2]) == ids(layer="1, 2") != ids(layer=[2, 1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"layer": [1, 2], "protocol": "finetune"},
            "--layer: several are tried by heads .* --protocol finetune takes one",
        ),
        ({"pooling": "auto", "selection": "last", "preset": "findna-paper"}, "--selection last looks at none"),
        ({"pooling": "mean,median"}, "--pooling 'median': choose one of mean, "),
        ({"layer": "1,two"}, "--layer: a whole number is expected, not 'two'"),
        ({"layer": []}, "--layer: name at least one value"),
    ],
)
def test_what_cannot_be_chosen_is_said_before_any_work(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fb.run(["kmer"], ["demo/species4"], output_dir=tmp_path / "r", **options)
    assert not (tmp_path / "r").exists()


def test_a_layer_out_of_range_names_those_there_are(tmp_path: Path) -> None:
    task = write_task(tmp_path / "t.csv", seed=0)
    (failed,) = fb.run(["findna-tiny@random"], [str(task)], seeds=1, layer=[1, 9], output_dir=tmp_path / "r")
    assert failed.error is not None
    assert failed.error.message == "--layer 9: findna-tiny@random has layers 0 (embedding) to 2; -1 is the last"
