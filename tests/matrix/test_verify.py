"""Verification finds what was changed, in a folder and in a bundle, calls nothing wrong that is fresh, and repeats sampled cells."""

from __future__ import annotations

import copy
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fork_server import Server
from motif_tasks import IMPORTED, import_motif_task, write_task

import findna_bench as fb
from findna_bench.errors import OutputError, UsageError
from findna_bench.matrix.verification import verify
from findna_bench.requests.run_request import RunRequest
from findna_bench.results.bundle import read_bundle, write_bundle
from findna_bench.results.export import export
from findna_bench.results.schema import read_result
from findna_bench.results.store import ResultStore

ENCODER = "hyenadna-tiny-1k@random"
Where = tuple[str | int, ...]

UNSEEN: tuple[Where, ...] = (
    ("command",),
    ("created",),
    ("model", "weights", "source"),
    ("n_effective_seeds",),
    ("batch",),
    ("validation",),
    ("coverage",),
    ("timing",),
    ("memory",),
    ("environment",),
    ("request", "options", "seeds"),
    ("request", "options", "sanity"),
    ("request", "options", "shard"),
)
"""What somebody may change who makes the digest anew: it was measured or noted down once, and nothing else says it again."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "results"
    fb.run(["majority", "hyenadna@random"], ["demo/species4"], seeds=2, limit=40, output_dir=out)
    return out


def copy_of(results: Path, to: Path) -> Path:
    return Path(shutil.copytree(results, to / "copy"))


def only(results: Path, model: str, to: Path) -> Path:
    """A folder with the first result of one model; its file."""
    first = sorted((results / model).rglob("*.json"))[0]
    target = to / first.relative_to(results)
    target.parent.mkdir(parents=True)
    for file in (first, first.with_suffix(".predictions.parquet")):
        shutil.copy(file, target.with_name(file.name))
    return target


def problems(folder: Path) -> list[str]:
    return [finding.problem for finding in verify(folder).findings]


def forge(path: Path, where: Where, value: Any, *, consistently: bool = True) -> None:
    """Change one value of a result file; ``consistently``: with a digest that fits."""
    content = json.loads(path.read_text())
    put(content, where, value)
    if consistently and "digest" in content:
        from findna_bench.results.schema import digest_of

        content["digest"] = digest_of(content)
    path.write_text(json.dumps(content))


def put(content: Any, where: Where, value: Any) -> None:
    for key in where[:-1]:
        content = content[key]
    content[where[-1]] = value


def get(content: Any, where: Where) -> Any:
    for key in where:
        content = content[key]
    return content


def leaves(content: Any, where: Where = ()) -> Iterator[Where]:
    """Every place that holds a single value or an empty container."""
    if isinstance(content, dict | list) and content:
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(value, (*where, key))
    else:
        yield where


def changed(where: Where, value: Any) -> Any:
    """Another value that the schema allows at this place."""
    known = {"schema_version": 1, "status": "skipped", "interval_unit": "groups" if value == "rows" else "rows"}
    if where[-1] in known:
        return known[where[-1]]
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value[:-1] + ("0" if value[-1:] != "0" else "1")
        case list():
            return ["untrained"]
        case dict():
            return {"more": 1}
    if where[0] == "request" and value is None:
        return "something" if where[-1] in ("network", "pooling", "window") else 1
    numbers = ("timing", "memory", "coverage", "limit", "layer", "n_parameters", "threads", "intervals")
    return 1 if {*where} & {*numbers} else {} if where == ("error",) else "something"


def test_untouched_results_hold_and_a_rerun_agrees(results: Path) -> None:
    found = verify(results, rerun=2)
    assert (found.results, found.rerun, found.findings, found.notes) == (4, 2, (), ())
    assert {kind: (check.done, check.not_done) for kind, check in found.checks.items()} == {
        kind: (4, {}) for kind in ("digest", "ids and fields", "predictions", "metrics", "intervals", "data")
    }


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("metrics", "intervals", "accuracy"), [0.9, 0.99], "interval of accuracy"),
        (("metrics", "all", "mcc"), 0.99, "mcc is stored"),
        (("metrics", "main", "value"), 0.99, "main metric"),
        (("flags",), [], "flag 'untrained' is missing"),
        (("flags",), ["untrained", "limit 40", "test-selected"], "flag 'test-selected' does not follow"),
        (("flags",), ["untrained", "limit 40", "leak"], "flag 'leak' is not that of the data"),
        (("selection",), "test", "selection"),
        (("task", "data_digest"), "0" * 64, "data_digest"),
        (("task", "labels", 0), "others", "labels"),
        (("model", "weights", "digest"), "sha256:0", "weights_digest"),
        (("model", "tokenizer_digest"), "0", "tokenizer_digest"),
        (("model", "version"), "9.9", "version"),
        (("protocol", "settings", "tolerance"), 1.0, "task_settings"),
        (("protocol", "settings", "seed_varies"), [], "task_settings"),
        (("protocol", "settings", "train_rows"), 4000, "rows to train on"),
        (("protocol", "settings", "train_rows"), 7, "train_rows is 7, the data here give 36"),
        (("protocol", "settings", "validation_rows"), 7, "validation_rows is 7, the data here give 4"),
        (("protocol", "settings", "validation_split"), "test", "validation_split is test, the data here give drawn"),
        (("hashed", "config", "card_version"), 7, "config_id is not the hash"),
        (("seed",), 3, "seed"),
        (("limit",), None, "limit"),
    ],
)
def test_a_consistent_digest_does_not_hide_what_was_changed(
    results: Path, tmp_path: Path, where: Where, value: Any, words: str
) -> None:
    path = only(results, ENCODER, tmp_path)
    forge(path, where, value)
    found = problems(tmp_path)
    assert any(words in problem for problem in found), found
    assert not any("digest is not that of its fields" in problem for problem in found), found


def test_an_identity_is_the_whole_hash_not_its_first_digits(results: Path, tmp_path: Path) -> None:
    path = only(results, ENCODER, tmp_path)
    identity = json.loads(path.read_text())["identity"]
    forge(path, ("identity",), identity[:16] + "0" * 48)
    assert any("identity is not the hash" in problem for problem in problems(tmp_path))


def test_every_field_is_covered_by_the_digest_and_all_but_a_few_by_something_else(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from findna_bench.matrix import unit
    from findna_bench.results.schema import digest_of

    path = only(results, ENCODER, tmp_path)
    whole = json.loads(path.read_text())
    one = read_result(path)
    known = unit.metrics_of(ResultStore(results).predictions(one), one.metrics.main, None, one.task.labels)

    def computed_once(rows: Any, main: Any, groups_by: str | None, *_: Any, **__: Any) -> Any:
        # the predictions stay what they are
        value = known.all.get(main.name)
        return known.model_copy(update={"main": main.model_copy(update={"value": value}), "groups_by": groups_by})

    monkeypatch.setattr("findna_bench.matrix.verification.metrics_of", computed_once)
    unseen = []
    for where in leaves(whole):
        if where == ("digest",):
            continue
        value = changed(where, get(whole, where))
        content = copy.deepcopy(whole)
        put(content, where, value)
        assert digest_of(content) != content["digest"], where
        content["digest"] = digest_of(content)
        path.write_text(json.dumps(content))
        if not verify(tmp_path).findings:
            unseen.append(where)
    allowed = [where for where in unseen if any(where[: len(place)] == place for place in UNSEEN)]
    assert unseen == allowed
    assert {place for place in UNSEEN if any(where[: len(place)] == place for where in unseen)} == {*UNSEEN}


def test_without_a_new_digest_every_change_shows(results: Path, tmp_path: Path) -> None:
    path = only(results, "majority", tmp_path)
    for where, value in (
        (("timing", "fit_s"), 0.001),
        (("created",), "1999-01-01T00:00:00+00:00"),
        (("digest",), None),
    ):
        before = path.read_text()
        forge(path, where, value, consistently=False)
        assert problems(tmp_path) == ["its digest is not that of its fields: it was changed after it was written"]
        path.write_text(before)


def test_predictions_of_another_seed_are_not_taken_for_these(results: Path, tmp_path: Path) -> None:
    folder = copy_of(results, tmp_path)
    first, second = sorted((folder / ENCODER).rglob("*.predictions.parquet"))[:2]
    content = first.read_bytes()
    assert content != second.read_bytes()
    second.write_bytes(content)
    found = problems(folder)
    assert len(found) == 1
    assert "not those it was written with" in found[0]


def test_a_missing_prediction_a_moved_file_and_a_stray_one_are_named(results: Path, tmp_path: Path) -> None:
    folder = copy_of(results, tmp_path)
    first, second = list(ResultStore(folder).paths())[:2]
    first.with_suffix(".predictions.parquet").unlink()
    second.rename(second.with_name("0" * 16 + ".json"))
    found = verify(folder)
    named = [finding.problem for finding in found.findings]
    for word in ("predictions are missing", "place"):
        assert any(word in problem for problem in named), named
    assert any("predictions without a result" in note and second.stem in note for note in found.notes), found.notes


def test_failed_and_skipped_cells_are_held_to_what_was_asked(tmp_path: Path) -> None:
    out = tmp_path / "r"
    failed = fb.run(["majority"], ["genomic_benchmarks/human_enhancers_cohn"], seeds=1, output_dir=out)
    skipped = fb.run(["majority"], ["demo/species4"], seeds=1, strand="rc-augment", output_dir=out)
    assert [r.status for r in (*failed, *skipped)] == ["error", "skipped"]
    assert problems(out) == []
    for path in ResultStore(out).paths():
        for where, value in (
            (("status",), "oom"),
            (("request_id",), path.stem[:-1] + "x"),
            (("strand",), "rc-mean"),
            (("model", "kind"), "encoder"),
            (("seed",), 5),
            (("limit",), 9),
            (("error",), None),
            (("metrics", "main", "value"), 0.99),
        ):
            if value == "oom":  # which no field but the digest tells from another failure
                continue
            before = path.read_text()
            forge(path, where, value)
            assert problems(out), where
            path.write_text(before)


def test_nothing_to_verify_is_a_problem(tmp_path: Path) -> None:
    found = verify(tmp_path)
    assert found.results == 0
    assert ["no result is here" in finding.problem for finding in found.findings] == [True]
    command = [sys.executable, "-c", "from findna_bench.cli import main; main()", "verify", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "no result is here" in ended.stdout
    assert "--rerun" in ended.stderr


@pytest.mark.parametrize(
    ("models", "options"),
    [
        (["kmer"], {"shots": [5], "seeds": 2}),
        (["kmer", "cnn"], {"shots": [1, 5], "limit": 60}),
        (["kmer"], {"shots": [5], "shot_validation": "full", "limit": 60}),
        (["kmer"], {"protocol": "knn", "split": "grouped", "limit": 60}),
        (["cnn"], {"limit": 40}),
        (["hyenadna@random"], {"selection": "test", "limit": 40, "strand": "rc-mean"}),
        (["findna-tiny"], {"limit": 40}),
    ],
    ids=["few-shot", "one shot", "few-shot, full validation", "knn", "cnn", "test-selected", "findna-tiny"],
)
def test_fresh_results_hold(models: list[str], options: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "r"
    done = fb.run(models, ["demo/species4"], output_dir=out, **({"seeds": 1} | options))
    assert {r.status for r in done} == {"success"}, done[0].error
    found = verify(out)
    assert found.findings == ()
    assert {check.done for check in found.checks.values()} == {len(done)}


@pytest.mark.long
def test_fine_tuning_and_a_search_hold(server: Server, tmp_path: Path, log: Path) -> None:
    import_motif_task(tmp_path / "data", tmp_path, seed=0)
    words = ["-t", IMPORTED, "-m", "hungry@random,majority", "--seeds", 2, "--data-dir", "data", "-o", "r"]
    tuning = ["--protocol", "finetune", "--preset", "brief"]
    for more in ([], ["--search", 2]):
        job = server.start("run", *words, *tuning, *more, cwd=tmp_path)
        assert job.wait() == 0, job.stderr
    job = server.start("verify", "r", "--json", "--data-dir", "data", cwd=tmp_path)
    job.wait()
    found = json.loads(job.stdout)
    assert found["findings"] == []
    assert {check["done"] for check in found["checks"].values()} == {found["results"]} == {8}


def test_a_task_given_as_a_path_is_compared_with_data_where_its_place_is_said(tmp_path: Path) -> None:
    task = write_task(tmp_path / "motif.csv", seed=0)
    fb.run(["kmer"], [str(task)], seeds=1, output_dir=tmp_path / "r")
    found = verify(tmp_path / "r")
    assert found.findings == ()
    assert found.checks["data"].not_done == {"a task given as a path; say where it lies now, --map motif.csv=PATH": 1}
    found = verify(tmp_path / "r", places={"motif.csv": task})
    assert (found.findings, found.checks["data"].done) == ((), 1)
    found = verify(tmp_path / "r", places={"motif.csv": write_task(tmp_path / "other.csv", seed=1)})
    assert found.findings == ()
    assert found.checks["data"].not_done == {"--map motif.csv: this is another file than the one it was made with": 1}


def test_chromosomes_held_out_hold(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = ["sequence,label,chrom,start,end"]
    for row in range(240):
        letters = "".join(generator.choice(list("ACGT"), size=40))
        rows.append(f"{letters},{'ab'[row % 2]},chr{row % 3 + 1},{100 * row},{100 * row + 40}")
    (tmp_path / "placed.csv").write_text("\n".join(rows) + "\n")
    done = fb.run(["kmer"], [str(tmp_path / "placed.csv")], seeds=1, split="chromosome:2", output_dir=tmp_path / "r")
    assert done[0].status == "success", done[0].error
    assert "split chromosome:2" in done[0].flags
    assert problems(tmp_path / "r") == []


def close_ones(n: int) -> np.ndarray:
    """(n, 2) scores that differ by less than float32 tells apart."""
    positive = 0.9 + np.random.default_rng(0).permutation(n) * 1e-12
    return np.stack([1 - positive, positive], axis=1)


def with_scores(folder: Path, scores: np.ndarray) -> Path:
    """A result with other scores, written as `run` writes it; its file."""
    from findna_bench.matrix.unit import metrics_of, replace_result
    from findna_bench.results.store import ScoredRows

    store = ResultStore(folder)
    result = store.load()[0]
    old = store.predictions(result)
    rows = ScoredRows(old.ids, old.labels, scores, old.groups)
    metrics = metrics_of(rows, result.metrics.main, result.metrics.groups_by)
    return store.write(replace_result(result, metrics=metrics), rows)


def test_scores_that_float32_would_make_equal_hold(tmp_path: Path) -> None:
    fb.run(["majority"], ["demo/motif_order"], seeds=1, limit=100, output_dir=tmp_path)
    path = with_scores(tmp_path, close_ones(100))
    auroc = json.loads(path.read_text())["metrics"]["all"]["auroc"]
    assert auroc != 0.5  # what scores rounded to float32, all ties, would give
    assert problems(tmp_path) == []
    forge(path, ("metrics", "all", "auroc"), 0.5)
    assert any("auroc is stored as 0.5" in problem for problem in problems(tmp_path))


def make_schema_1(path: Path) -> None:
    """A result as the first version wrote it: no digest, nothing that was hashed, scores in float32, no groups."""
    content = json.loads(path.read_text())
    for key in ("digest", "predictions_digest", "threads", "hashed", "request"):
        content.pop(key)
    content["model"].pop("code_digest")
    content |= {"schema_version": 1, "protocol_version": 1}
    path.write_text(json.dumps(content))
    file = path.with_suffix(".predictions.parquet")
    table = pq.read_table(file).drop_columns(["group"])
    for name in [name for name in table.column_names if name.startswith("score_")]:
        at = table.column_names.index(name)
        table = table.set_column(at, name, table[name].cast(pa.float32(), safe=False))
    pq.write_table(table, file)


def test_results_of_schema_1_are_read_and_said_to_have_no_digest(tmp_path: Path) -> None:
    fb.run(["majority"], ["demo/motif_order"], seeds=1, limit=100, output_dir=tmp_path)
    path = with_scores(tmp_path, close_ones(100))
    make_schema_1(path)
    found = verify(tmp_path)
    assert found.findings == ()
    assert found.notes == ("1 result is of schema 1: no digest, fields cannot be checked",)
    assert (found.checks["digest"].done, found.checks["metrics"].done) == (0, 1)
    forge(path, ("metrics", "all", "accuracy"), 0.99)
    assert any("accuracy is stored as 0.99" in problem for problem in problems(tmp_path))


def test_schema_1_is_no_way_around_the_digest(results: Path, tmp_path: Path) -> None:
    path = only(results, "majority", tmp_path)
    forge(path, ("schema_version",), 1)
    assert any("which came with schema 2" in problem for problem in problems(tmp_path))


def test_everything_made_anew_on_other_data_is_found_where_the_data_are(results: Path, tmp_path: Path) -> None:
    from findna_bench.matrix.identity import identity
    from findna_bench.results.schema import digest_of

    path = only(results, "majority", tmp_path)
    content = json.loads(path.read_text())
    content["task"]["data_digest"] = content["hashed"]["cell"]["data_digest"] = "0" * 64
    content["identity"] = identity(content["hashed"]["config"], content["hashed"]["cell"])
    content["digest"] = digest_of(content)
    new = path.with_name(f"{content['identity'][:16]}.json")
    path.with_suffix(".predictions.parquet").rename(new.with_suffix(".predictions.parquet"))
    path.unlink()
    new.write_text(json.dumps(content))
    (problem,) = problems(tmp_path)
    assert "that of the data here" in problem


def test_every_key_that_is_hashed_is_compared_or_listed_as_shown_nowhere() -> None:
    from findna_bench.matrix.agreement import CELL_FIELDS, CONFIG_FIELDS, ONLY_HASHED
    from findna_bench.matrix.identity import ModelFacts, TaskFacts, cell_settings, config_settings

    request = RunRequest(models=("m",), tasks=("t",), protocol="finetune", search=2)
    config = config_settings(request, ModelFacts("m", "encoder", "d", "1", 1), {}, 5)
    assert {*config} == {*CONFIG_FIELDS} | ONLY_HASHED
    task = TaskFacts("s", "t", ("a", "b"), "0", "official", "mcc", True)
    assert {*cell_settings(task, {}, 0)} == {*CELL_FIELDS}


def test_results_name_no_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    task = write_task(home / "secret-task.csv", seed=0)
    np.save(home / "secret-vectors.npy", np.zeros((3, 2), dtype=np.float32))
    weights = home / "secret-folder"
    shutil.copytree(files("findna_plugins") / "weights" / "findna-tiny", weights)
    out = tmp_path / "r"
    models = [f"embeddings:{home}/secret-vectors.npy", "majority", "findna-tiny"]
    done = fb.run(models, [str(task)], seeds=1, output_dir=out, weights={"findna-tiny": str(weights)})
    assert [r.status for r in done] == ["error", "success", "success"]
    assert done[-1].model.weights.source == "local:secret-folder"
    for path in ResultStore(out).paths():
        assert str(home) not in path.read_text()
    assert problems(out) == []


def test_bundles_are_deterministic_and_refuse_what_was_tampered_with(results: Path, tmp_path: Path) -> None:
    n = write_bundle(results, tmp_path / "a.tar.gz")
    write_bundle(results, tmp_path / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    assert n == 8
    assert verify(tmp_path / "a.tar.gz").findings == ()
    for name, words in (("../evil", "no plain file"), ("extra.json", "extra.json")):
        with tarfile.open(tmp_path / "a.tar.gz") as old, tarfile.open(tmp_path / "c.tar.gz", "w:gz") as new:
            for member in old:
                new.addfile(member, old.extractfile(member))
            info = tarfile.TarInfo(name)
            info.size = 2
            new.addfile(info, io.BytesIO(b"{}"))
        with pytest.raises(OutputError, match=words):
            verify(tmp_path / "c.tar.gz")
    (tmp_path / "d.tar.gz").write_bytes((tmp_path / "a.tar.gz").read_bytes()[:500])
    with pytest.raises(OutputError, match="bundle"):
        verify(tmp_path / "d.tar.gz")


def repacked(archive: Path, to: Path, contents: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(to, "w:gz") as tar:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return to


def test_a_bundle_names_every_file_that_is_missing_changed_or_more(results: Path, tmp_path: Path) -> None:
    write_bundle(results, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        packed = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    files = [entry for entry in packed if entry[0] != "bundle.json"]
    gone, other = files[0][0], files[1][0]
    tampered = [(name, b"{}" if name == other else content) for name, content in packed if name != gone]
    with pytest.raises(OutputError) as caught:
        read_bundle(
            repacked(tmp_path / "a.tar.gz", tmp_path / "b.tar.gz", [*tampered, ("new.json", b"{}")]), tmp_path / "x"
        )
    for words in (f"missing: {gone}", f"changed: {other}", "not packed: new.json"):
        assert words in str(caught.value)
    assert not (tmp_path / "x").exists()
    with pytest.raises(OutputError, match="twice"):
        read_bundle(repacked(tmp_path / "a.tar.gz", tmp_path / "c.tar.gz", [*packed, packed[1]]), tmp_path / "x")


def test_exports_carry_every_cell(results: Path, tmp_path: Path) -> None:
    loaded = ResultStore(results).load()
    export(loaded, "parquet", tmp_path / "all.parquet")
    table = pq.read_table(tmp_path / "all.parquet").to_pandas()
    assert sorted(table["identity"]) == sorted(r.identity for r in loaded)
    frame = fb.load_results(results)
    assert list(frame.columns) == list(table.columns)
    assert dict(zip(frame["identity"], frame["metrics.main.value"], strict=True)) == {
        r.identity: r.metrics.main.value for r in loaded
    }
    with pytest.raises(UsageError, match="does not exist"):
        fb.load_results(tmp_path / "nowhere")
    geneb = [json.loads(path.read_text()) for path in export(loaded, "geneb", tmp_path / "geneb")]
    assert {g["model_id"] for g in geneb} == {r.model.name for r in loaded}
    assert all(set(g["results"]["full"]["demo/species4"]) == {"MCC", "Acc", "F1"} for g in geneb)
    mteb = [json.loads(path.read_text()) for path in export(loaded, "mteb", tmp_path / "mteb")]
    assert all(len(m["scores"]["test"]) == 2 for m in mteb)
