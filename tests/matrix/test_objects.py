"""Models and tasks that are objects of a Python process: run by content, compared like any other, refused where another process is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import findna_bench as fb
from findna_bench.errors import BenchError, DataError, UsageError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.models import precision
from findna_bench.models.object_models import held_network, object_spec

ROWS = 80


def rows(seed: int = 0, n: int = ROWS) -> tuple[list[str], np.ndarray]:
    """Class 1 has more G and C."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    shares = {0: [0.35, 0.15, 0.15, 0.35], 1: [0.15, 0.35, 0.35, 0.15]}
    return ["".join(rng.choice(list("ACGT"), size=40, p=shares[int(label)])) for label in labels], labels


def table(seed: int = 0, labels: Any = None) -> fb.SequenceTable:
    sequences, classes = rows(seed)
    return fb.SequenceTable(sequences, classes if labels is None else labels, np.array([f"r{i}" for i in range(ROWS)]))


class Shares:
    """Shares of bases, as NumPy."""

    def __init__(self, bases: str = "ACGT") -> None:
        self.bases = bases

    def embed(self, sequences: list[str]) -> Any:
        return np.array([[text.count(base) / len(text) for base in self.bases] for text in sequences])


class Network(torch.nn.Module):
    """The same through a layer, with dropout that is off in eval mode."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer, self.dropout = torch.nn.Linear(4, 8), torch.nn.Dropout(0.5)

    def embed(self, sequences: list[str]) -> torch.Tensor:
        return self.dropout(self.layer(torch.tensor(Shares().embed(sequences), dtype=torch.float32)))


class Letters(fb.Backbone):
    """A backbone that no plugin registers."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embed_dim, self.n_layers, self.max_length = width, 0, None
        self.embedding = torch.nn.Embedding(6, width)

    def tokenizer_digest(self) -> str:
        return "one token per base"

    def tokenize(self, sequences: Any) -> fb.TokenBatch:
        codes = torch.from_numpy(fb.encode_padded(sequences)).long()
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        mask = torch.arange(codes.shape[1])[None] < lengths[:, None]
        return fb.TokenBatch(codes, mask, torch.zeros_like(mask), mask.long(), lengths)

    def forward(self, batch: fb.TokenBatch, *, layers: Any = None) -> fb.Encoding:
        hidden = self.embedding(batch.inputs)
        return fb.Encoding(hidden, layers=None if layers is None else {0: hidden})


def test_objects_and_tables_are_run_planned_compared_and_shown(tmp_path: Path) -> None:
    models, tasks = [Shares(), Network(), fb.load_model("findna-tiny"), Letters(), "kmer"], [table(), table(1)]
    options: dict[str, Any] = {"seeds": 1, "output_dir": tmp_path}
    found = fb.run(models, tasks, **options)
    assert [result.status for result in found] == ["success"] * 10
    names = [result.model.name.rpartition("-")[0] for result in found[:8:2]]
    assert names == ["memory:Shares", "memory:Network", "memory:findna-tiny", "memory:Letters"]
    assert found[0].metrics.main.value > 0.9
    plan = fb.plan(models, tasks, **options)
    assert (plan.cells, plan.finished) == (10, 10)
    again = fb.run(models, tasks, **options)
    assert [result.digest for result in again] == [result.digest for result in found]  # nothing is computed twice
    shares, kmer = found[0].model.name, "kmer"
    compared = fb.compare([shares, kmer], output_dir=tmp_path).tasks
    assert {task.task for task in compared} == {found[0].task_name, found[1].task_name}
    (shown,) = leaderboard(found).tables
    assert {row.model for row in shown.rows} == {result.model.name for result in found}
    assert len(fb.load_results(tmp_path)) == 10


def test_a_network_is_read_on_the_device_that_it_is_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, options = fb.load_model("findna-tiny", device="cpu"), {"seeds": 1, "output_dir": tmp_path}
    (named,) = fb.run([network], [table()], device="cpu", **options)  # type: ignore[arg-type]
    assert named.status == "success", named.error
    monkeypatch.setattr("findna_bench.models.precision.resolve_device", lambda name: torch.device("cuda"))
    (other,) = fb.run([network], [table(1)], device="cuda", **options)  # type: ignore[arg-type]
    assert other.error is not None
    assert "is on cpu, not on cuda; move the object, or leave out --device" in other.error.message


def test_a_table_is_read_as_the_file_with_its_rows(tmp_path: Path) -> None:
    sequences, labels = rows()
    frame = pd.DataFrame({"Sequence": sequences, "label": labels, "id": [f"r{i}" for i in range(ROWS)]})
    frame.to_csv(tmp_path / "x.csv", index=False)
    of_file, of_table, of_task = fb.run(
        "majority",
        [tmp_path / "x.csv", table(), frame, fb.load_task("demo/species4")],  # table and frame hold the same
        seeds=1,
        output_dir=tmp_path / "r",
    )
    assert of_table.task.data_digest == of_file.task.data_digest
    assert of_table.metrics.main.value == of_file.metrics.main.value
    assert of_table.task.name == f"table-{of_table.task.data_digest[:8]}"
    assert of_task.task_name == "demo/species4"


def test_splits_and_numbers_come_as_tables_too(tmp_path: Path) -> None:
    values = table(labels=np.random.default_rng(0).normal(size=(ROWS, 1)))
    split = {"train": table(), "dev": table(1), "test": table(2)}
    numbers, classes = fb.run("kmer", [values, split], seeds=1, output_dir=tmp_path)
    assert (numbers.task.target, numbers.metrics.main.name) == ("values", "spearman")
    assert classes.task.counts["validation"] == {"0": 40, "1": 40}


def test_content_decides_which_objects_are_one_model(tmp_path: Path) -> None:
    options: dict[str, Any] = {"seeds": 1, "output_dir": tmp_path}
    one, alike, other = Network(0), Network(0), Network(1)
    alike.train(), one.eval()
    assert fb.plan([one, alike], [table()], **options).cells == 1
    assert fb.plan([one, other], [table()], **options).cells == 2
    assert fb.plan([Shares("ACGT"), Shares("AC"), Shares("ACGT")], [table()], **options).cells == 2
    changed = fb.load_model("findna-tiny")
    with torch.no_grad():
        next(changed.backbone.parameters()).add_(1.0)
    assert (
        fb.plan([fb.load_model("findna-tiny"), fb.load_model("findna-tiny"), changed], [table()], **options).cells == 2
    )
    assert fb.plan("kmer", [table(), table(), table(1)], **options).cells == 2


def test_an_object_is_computed_in_eval_mode_and_left_as_it_was(tmp_path: Path) -> None:
    network = Network().train()
    network.dropout.eval()
    network.layer.train()
    (found,) = fb.run(network, table(), seeds=1, output_dir=tmp_path)
    assert found.status == "success"
    assert (network.training, network.dropout.training, network.layer.training) == (True, False, True)


def test_what_python_cannot_reach_is_a_model_of_its_own_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    class Hidden(Shares):
        def __init__(self) -> None:
            super().__init__()
            self.state = (i for i in range(3))  # a generator cannot be copied

    model = Hidden()
    first, second = (fb.run(model, table(), seeds=1, output_dir=tmp_path)[0] for _ in range(2))
    assert first.status == second.status == "success"
    assert first.model.name != second.model.name
    assert first.model.code_digest is None


def test_a_loaded_model_has_the_numbers_of_its_name(tmp_path: Path) -> None:
    named, held = fb.run(["findna-tiny", fb.load_model("findna-tiny")], table(), seeds=1, output_dir=tmp_path)
    assert held.metrics.all == named.metrics.all


def test_an_object_is_computed_where_it_is_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    network = fb.load_model("findna-tiny@random")
    spec = object_spec(network)
    for device in ("auto", "cpu"):
        assert held_network(spec, {}, device=device, dtype="auto").device == network.device
    elsewhere = torch.device("meta")
    monkeypatch.setattr(precision, "resolve_device", lambda device: elsewhere)
    assert held_network(spec, {}, device="auto", dtype="auto").device == network.device
    with pytest.raises(UsageError, match="is on cpu, not on meta; move the object, or leave out --device"):
        held_network(spec, {}, device="cuda", dtype="auto")


def test_a_copy_of_a_backbone_is_fine_tuned(tmp_path: Path) -> None:
    network = Letters()
    before = network.embedding.weight.clone()
    options: dict[str, Any] = {"protocol": "finetune", "selection": "last", "seeds": 1, "output_dir": tmp_path}
    (tuned,) = fb.run(network, table(), **options)
    assert tuned.status == "success", tuned.error
    assert tuned.protocol.name == "finetune"
    assert torch.equal(before, network.embedding.weight)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (torch.nn.Linear(2, 2), "Linear is a torch module that does not say how it reads DNA; give it a method embed"),
        (None, "None is no model; give a name"),
        (object(), "an object of class object is no model"),
        (Shares, "Shares is a class, no model; make an object of it"),
        ("memory:Shares-00000000", "is an object of a Python process; give the object itself"),
    ],
)
def test_what_is_no_model_is_refused_before_any_work(tmp_path: Path, model: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fb.run([model], [table()], output_dir=tmp_path)


def test_what_is_no_table_is_refused_before_any_work(tmp_path: Path) -> None:
    for task, words in (
        (3, "the table is a int; give a name"),
        ({"fold1": table()}, "a table is called 'fold1', which is no split"),
        ({"train": table(), "training": table()}, "two tables are for the train split"),
        (pd.DataFrame({"sequence": ["ACGT"]}), "no column label or class"),
        (pd.DataFrame([["A", "C"]], columns=["sequence", " Sequence"]), "two columns have the same name"),
        (table().take([]), "the table has no rows"),
        (table(labels=np.zeros(ROWS, dtype=int)), "all rows have label '0'"),
    ):
        with pytest.raises(BenchError, match=words):
            fb.run("majority", [task], output_dir=tmp_path)
    missing = pd.DataFrame({"sequence": [*rows()[0][:40]], "label": ["a", None, "b", float("nan")] * 10})
    with pytest.raises(DataError, match=r"the table, row 2 .* has no label.*--drop-missing"):
        fb.run("majority", missing, output_dir=tmp_path)
    (found,) = fb.run("majority", missing, drop_missing=True, seeds=1, output_dir=tmp_path)
    assert sum(sum(held.values()) for held in found.task.counts.values()) == 20


class Wrong(Shares):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def embed(self, sequences: list[str]) -> Any:
        return self.answer(super().embed(sequences))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda v: v[:1], r"of shape \(1, 4\) for 3 sequences; \(3, D\) numbers are expected"),
        (lambda v: v[:, 0], r"of shape \(3,\)"),
        (lambda v: v[:, None], r"of shape \(3, 1, 4\)"),
        (lambda v: v * np.nan, "NaN or infinity"),
        (lambda v: v - v.mean(axis=0), "depends on the rows that are asked for with it"),
        (lambda v: v + np.random.default_rng().normal(size=v.shape), "the same rows twice give different answers"),
        (lambda v: v.astype(str), "numbers are expected"),
        (lambda v: v[10], "its embed fails with IndexError"),
    ],
)
def test_vectors_that_are_none_end_in_a_sentence(tmp_path: Path, answer: Any, words: str) -> None:
    import re

    (found,) = fb.run(Wrong(answer), table(), seeds=1, output_dir=tmp_path)
    assert found.status == "error"
    assert re.search(words, found.error.message), found.error.message


def test_other_processes_are_told_what_to_do(tmp_path: Path) -> None:
    for models, tasks in (([Shares()], ["demo/species4"]), (["kmer"], [table()])):
        with pytest.raises(UsageError, match="exists in this process only; run it with executor='serial'"):
            fb.run(models, tasks, executor="process", output_dir=tmp_path)
        (job,) = fb.make_jobs(models, tasks, seeds=1, output_dir=tmp_path)
        with pytest.raises(UsageError, match="exists in this process only"):
            job.to_json()
        (settled,) = fb.run_job(job)  # here it is
        assert settled.results


def test_options_that_do_not_apply_to_an_object_are_refused(tmp_path: Path) -> None:
    loaded = fb.load_model("findna-tiny")
    with pytest.raises(UsageError, match="one network in memory"):
        fb.run(loaded, table(), network="teacher", output_dir=tmp_path)
    with pytest.raises(UsageError, match="'findna-tiny' is not among the models"):
        fb.run(loaded, table(), weights={"findna-tiny": "x.pt"}, output_dir=tmp_path)


def test_paths_of_models_are_paths(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", Shares().embed(rows()[0]))
    pd.DataFrame({"sequence": rows()[0], "label": rows()[1]}).to_csv(tmp_path / "x.csv", index=False)
    (found,) = fb.run([tmp_path / "v.npy"], [tmp_path / "x.csv"], seeds=1, output_dir=tmp_path / "r")
    assert (found.status, found.model.name) == ("success", "embeddings:v.npy")
    with pytest.raises(UsageError, match="there is no such folder"):
        fb.run([tmp_path / "nowhere"], [tmp_path / "x.csv"], output_dir=tmp_path / "r")
