"""A state at every base of a user's own file: read by its columns, probed on vectors of bases, with controls, tables and tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, matthews_corrcoef

import findna_bench as fb
from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError, ModelError, OutputError
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.leaderboard.wording import format_entry
from findna_bench.matrix.verification import verify
from findna_bench.models.base_vectors import embed_bases
from findna_bench.models.embedding_cache import EmbeddingCache
from findna_bench.protocols import base_probe
from findna_bench.protocols.seed_splits import SeedSplit
from findna_bench.protocols.settings import LogisticProbe
from findna_bench.results.store import ResultStore, ScoredRows, read_predictions, write_predictions
from findna_bench.statistics.base_states import NO_STATE
from findna_bench.statistics.metric import Sample, make_metric
from findna_bench.targets.per_base import PerBase


def of_context(sequence: str) -> str:
    """A state that follows from a base and its two neighbours, and from nothing less."""
    around = f"-{sequence}-"
    return "".join(
        "R" if (around[i] in "AC") != (around[i + 2] in "AG") or around[i + 1] == "T" else "u"
        for i in range(len(sequence))
    )


def drawn(n: int = 150, seed: int = 0, longest: int = 60) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), size=rng.integers(30, longest))) for _ in range(n)]


def write(path: Path, sequences: list[str], states: list[str], *more: list[str]) -> Path:
    header = ",".join(["sequence", "states", "split"][: 2 + len(more)])
    rows = [",".join(row) for row in zip(sequences, states, *more, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def counted(rows: ScoredRows) -> tuple[np.ndarray, np.ndarray]:
    """States (B,) and scores (B, C) of all bases that count."""
    known = rows.labels != NO_STATE
    return rows.labels[known], rows.scores[known].astype(np.float64)


# ---------------------------------------------------------------------------------------------------------------- rows


def test_a_column_of_states_has_one_character_per_base(tmp_path: Path) -> None:
    sequences = drawn(40)
    sequences[3] = sequences[3][:5] + "N" + sequences[3][6:]
    states = [of_context(s) for s in sequences]
    states[7] = "." * 4 + states[7][4:]
    states[8] = "." * len(states[8])
    task = fb.load_task(write(tmp_path / "x.csv", sequences, states))
    assert (task.card.target, task.card.metric, task.label_names) == ("per_base", "base_mcc", ("R", "u"))
    table, _ = task.in_order()
    assert table.labels.dtype == np.uint8
    assert table.labels.shape == (40, max(map(len, sequences)))
    for row, (sequence, text) in enumerate(zip(sequences, states, strict=True)):
        expected = [
            NO_STATE if state == "." or base == "N" else "Ru".index(state)
            for base, state in zip(sequence, text, strict=True)
        ]
        np.testing.assert_array_equal(table.labels[row, : len(sequence)], expected)
        assert (table.labels[row, len(sequence) :] == NO_STATE).all()
    n = [
        sum(t[i] == state and s[i] != "N" for s, t in zip(sequences, states, strict=True) for i in range(len(s)))
        for state in "Ru"
    ]
    assert f"states per base R ({n[0]:,}), u ({n[1]:,})" in task.notes[0]


def test_digits_are_states_too_and_leading_zeros_stay(tmp_path: Path) -> None:
    sequences = drawn(20)
    states = ["0" * 10 + "1" * (len(s) - 10) for s in sequences]
    task = fb.load_task(write(tmp_path / "x.csv", sequences, states))
    assert task.label_names == ("0", "1")
    assert (task.in_order()[0].labels[:, :10] == 0).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-1], "states for 4"),
        (lambda text: text + "u", "give one character per base"),
        (lambda text: "", "the row has no states"),
    ],
)
def test_another_number_of_states_than_bases_is_named_with_its_row(tmp_path: Path, change: object, words: str) -> None:
    sequences = [s[:40].ljust(40, "A") for s in drawn(20)]
    states = [of_context(s) for s in sequences]
    states[6] = change(states[6])  # type: ignore[operator]
    with pytest.raises(DataError, match=words) as refused:
        fb.load_task(write(tmp_path / "x.csv", sequences, states))
    assert "row 8 (the header is row 1)" in str(refused.value)


def test_one_state_alone_and_states_that_are_numbers_are_refused(tmp_path: Path) -> None:
    sequences = drawn(20)
    with pytest.raises(DataError, match="all bases have state 'u'"):
        fb.load_task(write(tmp_path / "x.csv", sequences, ["u" * len(s) for s in sequences]))
    lines = [json.dumps({"sequence": s[:9], "states": 111222111}) for s in sequences]
    (tmp_path / "x.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="states is a int, not a text of one character per base"):
        fb.load_task(tmp_path / "x.jsonl")


# ------------------------------------------------------------------------------------------------------------- running


def test_a_file_of_states_runs_through_everything(tmp_path: Path) -> None:
    sequences = drawn()
    states = [of_context(s) for s in sequences]
    states[5] = "." * len(sequences[5])  # a row of which nothing counts
    states[6] = "." * 20 + states[6][20:]
    path = write(tmp_path / "x.csv", sequences, states)
    models = ["findna-tiny@random", "base-context", "base-position", "majority", "kmer", "nn-overlap", "cnn", "trivial"]
    results = fb.run(models, [path], seeds=2, output_dir=tmp_path / "r")
    found = {r.model.name: r for r in results}
    for name in ("kmer", "nn-overlap", "cnn", "trivial"):
        assert found[name].status == "skipped"
        assert found[name].error.message.endswith("not per_base")
    names = ["base_mcc", "base_f1_macro", "base_accuracy", "base_auprc_macro", "base_auprc:R", "base_auprc:u"]
    for name in models[:4]:
        assert found[name].status == "success", found[name].error
        assert list(found[name].metrics.all) == names
    context = found["base-context"]
    assert set(context.metrics.all.values()) == {1.0}  # what can be attained
    assert context.validation["selected"]["bases"] == 3
    assert (
        0.15 < found["findna-tiny@random"].metrics.main.value < 0.9
    )  # the state is no linear function of what is near
    assert found["findna-tiny@random"].validation["metrics"]["learned"] is True
    assert found["majority"].metrics.main.value == 0.0
    assert found["base-position"].metrics.main.value < 0.2
    found_again = verify(tmp_path / "r", rerun=10, places={"x.csv": path})
    assert not found_again.findings, found_again.findings
    assert found_again.rerun == 8
    store = ResultStore(tmp_path / "r")
    board = leaderboard(store.load(), predictions=store.predictions, metric="base_auprc:u")
    shown = {row.model: format_entry(row.entries["adhoc/x"]) for row in board.tables[0].rows}
    assert shown["base-context"].startswith("100.00")
    assert fb.load_results(tmp_path / "r")["metrics.all.base_f1_macro"].notna().any()
    comparison = fb.compare(["base-context", "findna-tiny@random"], [str(path)], output_dir=tmp_path / "r")
    (task,) = comparison.tasks
    assert task.differences[0].value > 0
    assert task.differences[0].p_value < 0.05
    table = fb.load_task(path).load("test")
    rows = store.predictions(context)
    np.testing.assert_array_equal(rows.labels, table.labels)


def test_values_are_scikit_learn_s_of_all_bases_that_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sequences = drawn(100)
    states = ["".join(rng.choice(list("abc."), size=len(s), p=(0.6, 0.2, 0.1, 0.1))) for s in sequences]
    path = write(tmp_path / "x.csv", sequences, states)
    (result,) = fb.run(["findna-tiny@random"], [path], seeds=1, output_dir=tmp_path / "r")
    truth, scores = counted(ResultStore(tmp_path / "r").predictions(result))
    predicted = scores.argmax(axis=1)
    of_states = [average_precision_score(truth == state, scores[:, state]) for state in range(3)]
    expected = {
        "base_mcc": matthews_corrcoef(truth, predicted),
        "base_f1_macro": f1_score(truth, predicted, average="macro", labels=np.unique(np.append(truth, predicted))),
        "base_accuracy": accuracy_score(truth, predicted),
        "base_auprc_macro": np.mean(of_states),
    } | {f"base_auprc:{name}": value for name, value in zip("abc", of_states, strict=True)}
    assert result.metrics.all == pytest.approx(expected, abs=1e-9)


def test_derivatives_are_those_of_whole_sequences() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, size=(12, 20)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = NO_STATE
    truth[4] = NO_STATE
    outputs = rng.dirichlet([1, 1, 1], size=truth.shape)
    truth, outputs = PerBase().prepare(truth, outputs)
    weights = rng.random(12) + 0.5
    for name in ("base_mcc", "base_f1_macro", "base_accuracy", "base_auprc_macro", "base_auprc:b"):
        metric = make_metric(name, "abc", target="per_base")
        slopes = metric.linearise(Sample(truth, outputs, weights)).slope
        for row in range(12):
            step = np.zeros(12)
            step[row] = 1e-5
            up, down = (metric.compute(truth, outputs, weights + sign * step) for sign in (1, -1))
            assert slopes[row] == pytest.approx((up - down) / 2e-5, abs=1e-6)


def test_intervals_are_over_sequences_and_cover(tmp_path: Path) -> None:
    """Bases of one sequence are right or wrong together: as many as there are sequences are independent."""
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(200):
        truth = rng.integers(0, 2, size=(40, 25)).astype(np.uint8)
        share = rng.beta(4, 2, size=(40, 1))
        right = rng.random(truth.shape) < share
        outputs = np.stack([truth != right, truth == right], axis=2).astype(float)
        _, intervals = PerBase().evaluate(truth, outputs, ["base_accuracy", "base_mcc"], "ab")
        low, high = intervals["base_accuracy"]
        hits.append(low <= 4 / 6 <= high)
    assert 0.9 <= np.mean(hits) <= 0.99


# -------------------------------------------------------------------------------------------------------------- heads


def test_the_head_is_the_logistic_regression_of_scikit_learn_on_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fb.load_model("findna-tiny", weights="random", device="cpu")
    sequences = drawn(60)
    rng = np.random.default_rng(1)
    texts = [of_context(s) for s in sequences]
    width = max(map(len, sequences))
    truth = np.full((60, width), NO_STATE, dtype=np.uint8)
    for row, text in enumerate(texts):
        truth[row, : len(text)] = ["Ru".index(state) for state in text]
        truth[row, : len(text)][rng.random(len(text)) < 0.1] = NO_STATE
    vectors = embed_bases(model, sequences).vectors
    split = SeedSplit(0, np.arange(45), np.arange(45, 60))
    (head,) = base_probe.fit_base_probe(vectors, truth, [split], 2, LogisticProbe(strengths=(1e-2,)))
    x = np.concatenate(
        [vectors.of_sequence(row)[0][truth[row, : len(sequences[row])] != NO_STATE] for row in split.train]
    )
    y = np.concatenate([truth[row][truth[row] != NO_STATE] for row in split.train])
    mean, scale = x.astype(float).mean(0), x.astype(float).std(0)
    theirs = LogisticRegression(C=1 / (1e-2 * len(x)), tol=1e-10, max_iter=5000).fit((x - mean) / scale, y)
    own = head.predict_scores(vectors[split.validation])
    for place, row in enumerate(split.validation):
        expected = theirs.predict_proba((vectors.of_sequence(row)[0] - mean) / scale)
        np.testing.assert_allclose(own[place, : len(sequences[row])], expected, atol=2e-3)
        assert not own[place, len(sequences[row]) :].any()
    assert head.settings["train_bases"] == head.settings["train_bases_of"] == len(x)
    monkeypatch.setattr(base_probe, "MOST_BASES", 500)
    few, again = (base_probe.fit_base_probe(vectors, truth, [split], 2)[0] for _ in range(2))
    assert (few.settings["train_bases"], few.settings["train_bases_of"]) == (500, len(x))
    np.testing.assert_array_equal(few.predict_scores(vectors), again.predict_scores(vectors))


def test_what_a_model_does_not_read_is_predicted_by_the_shares_of_train(tmp_path: Path) -> None:
    model = fb.load_model("findna-tiny", weights="random", device="cpu")
    found = embed_bases(model, drawn(20)).vectors
    read = found.read[0].copy()
    read[found.first[3] + 5 : found.first[4]] = False
    cut = replace(found, read=(read,))
    truth = np.full((20, found.width), NO_STATE, dtype=np.uint8)
    for row, length in enumerate(found.lengths):
        truth[row, :length] = np.arange(length) % 3 == 0
    (head,) = base_probe.fit_base_probe(cut, truth, [SeedSplit(0, np.arange(15), np.arange(15, 20))], 2)
    scores = head.predict_scores(cut)
    known = truth[:15][truth[:15] != NO_STATE]
    np.testing.assert_allclose(scores[3, 5, 1], (known == 1).mean(), atol=1e-3)


# ------------------------------------------------------------------------------------------------ splits, options, files


def test_strands_splits_shots_folds_and_layers(tmp_path: Path) -> None:
    sequences = drawn(200)
    path = write(tmp_path / "x.csv", sequences, [of_context(s) for s in sequences])
    options: dict = {"seeds": 1, "output_dir": tmp_path / "r"}
    runs = [
        *fb.run(["findna-tiny@random"], [path], strand="rc-mean", **options),
        *fb.run(["findna-tiny@random"], [path], strand="rc-augment", **options),
        *fb.run(["findna-tiny@random", "base-context"], [path], strand="rc-logit-mean", **options),
        *fb.run(["base-context"], [path], split="grouped", **options),
        *fb.run(["base-context"], [path], split="grouped:*/3", **options),
        *fb.run(["findna-tiny@random"], [path], shots=(30,), **options),
        *fb.run(["findna-tiny@random"], [path], layer=(0, -1), **options),
        *fb.run(["findna-tiny@random"], [path], limit=60, **options),
    ]
    for result in runs:
        assert result.status == "success", result.error
    plain = [r.metrics.main.value for r in runs]
    assert plain[3] < 1.0  # the context of the other strand is another one
    assert plain[4:6] == [1.0, 1.0]
    assert plain[6] > 0.1
    assert runs[7].model.layer in (0, 4, 3, 2)
    assert not verify(tmp_path / "r").findings


def test_what_does_not_apply_is_refused_in_a_sentence(tmp_path: Path) -> None:
    sequences = drawn(60)
    path = write(tmp_path / "x.csv", sequences, [of_context(s) for s in sequences])
    (result,) = fb.run(["findna-tiny@random"], [path], protocol="knn", seeds=1, output_dir=tmp_path / "r")
    assert (result.status, result.error.message) == ("skipped", "--protocol knn does not predict per_base")
    (pooled,) = fb.run(["findna-tiny@random"], [path], pooling="max", seeds=1, output_dir=tmp_path / "p")
    assert pooled.error.message == "--pooling has no meaning for per_base: every base keeps its own vector"
    np.save(tmp_path / "v.npy", np.zeros((60, 4), np.float32))
    (looked_up,) = fb.run([f"embeddings:{tmp_path / 'v.npy'}"], [path], seeds=1, output_dir=tmp_path / "r")
    assert "gives one vector per sequence, and per_base needs one per base" in looked_up.error.message
    assert fb.audit(path).splits["test"].details["counted"] > 0


def test_predictions_come_back_bit_by_bit_and_damage_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, size=(5, 8)).astype(np.uint8)
    truth[1, 3:] = truth[2] = NO_STATE
    truth, outputs = PerBase().prepare(truth, rng.dirichlet([1, 1, 1], size=truth.shape))
    path = tmp_path / "p.parquet"
    write_predictions(path, ScoredRows(np.arange(5).astype(str), truth, outputs, np.arange(5)), "per_base")
    rows = read_predictions(path, ["a", "b", "c"], "per_base")
    np.testing.assert_array_equal(rows.labels, truth)
    np.testing.assert_array_equal(rows.scores, outputs)
    with pytest.raises(OutputError, match="not those of target per_base"):
        read_predictions(path, ["a", "b"], "per_base")
    with pytest.raises(ModelError, match="is no probability"):
        PerBase().prepare(truth, np.where(truth[..., None] == 0, np.nan, outputs))


def test_states_beyond_a_sequence_and_outside_the_task_are_refused() -> None:
    table = SequenceTable(["ACGT", "AC"], np.array([[0, 1, 0, 1], [0, 1, 1, NO_STATE]], np.uint8), np.array(["a", "b"]))
    with pytest.raises(DataError, match="row 1 has 2 bases and a state at base 2"):
        PerBase().check(table, ("x", "y"), "here")
    table.labels[1] = [0, 2, NO_STATE, NO_STATE]
    with pytest.raises(DataError, match="base 1 of row 1 has state 2, outside 0 to 1"):
        PerBase().check(table, ("x", "y"), "here")


def test_a_convolutional_head_reads_neighbours_on_every_strand(tmp_path: Path) -> None:
    sequences = drawn(100, longest=40)
    path = write(tmp_path / "x.csv", sequences, [of_context(s) for s in sequences])
    options: dict = {"seeds": 1, "output_dir": tmp_path / "r", "preset": "conv"}
    plain, control = fb.run(["findna-tiny@random", "base-context"], [path], **options)
    assert (plain.status, control.status) == ("success", "success"), plain.error
    (linear,) = fb.run(["findna-tiny@random"], [path], seeds=1, output_dir=tmp_path / "r")
    assert plain.metrics.main.value > max(0.9, linear.metrics.main.value)
    chosen = plain.validation["selected"]
    assert plain.validation["metrics"]["loss"] == min(step["loss"] for step in plain.validation["metrics"]["path"])
    assert 1 <= chosen["epoch"] <= 50
    for more in ({"strand": "rc-augment"}, {"strand": "rc-logit-mean", "shots": (30,)}):
        (result,) = fb.run(["findna-tiny@random"], [path], **options, **more)
        assert result.status == "success", result.error
        assert result.metrics.main.value > 0.3, more
    assert not verify(tmp_path / "r").findings


def up_to(bases: int) -> fb.LoadedModel:
    """An untrained network that reads so many bases at once."""
    model = fb.load_model("findna-tiny@random")
    return replace(model, card=replace(model.card, max_length=bases))


def test_vectors_of_bases_are_kept_and_read_again_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = [*drawn(12, longest=90), "ACGT" * 40]
    model = up_to(64)
    plain = embed_bases(model, sequences, strand="rc-mean", window="window:32").vectors
    cache = EmbeddingCache(tmp_path / "cache")
    options: dict = {"strand": "rc-mean", "window": "window:32", "cache": cache}
    first = embed_bases(model, sequences, **options)
    monkeypatch.setattr("findna_bench.models.base_vectors.run_batches", lambda *_: pytest.fail("read again"))
    again = embed_bases(model, sequences[::-1], **options)
    assert again.coverage == first.coverage
    for row in range(len(sequences)):
        for vectors, read in (first.vectors.of_sequence(row), again.vectors.of_sequence(len(sequences) - 1 - row)):
            assert np.array_equal(vectors, plain.of_sequence(row)[0])
            assert np.array_equal(read, plain.of_sequence(row)[1])
    fresh = EmbeddingCache(tmp_path / "cache", fresh=True)
    with pytest.raises(pytest.fail.Exception, match="read again"):
        embed_bases(model, sequences, strand="rc-mean", window="window:32", cache=fresh)


def test_bases_that_no_window_covers_stay_unread_in_the_cache_and_a_small_cache_keeps_none(tmp_path: Path) -> None:
    model, long = up_to(100), "ACGTTGCA" * 30
    cache = EmbeddingCache(tmp_path / "cache")
    for _ in range(2):
        read = embed_bases(model, [long, "ACGT"], window="truncate", cache=cache).vectors.of_sequence(0)[1]
        assert (int(read.sum()), bool(read[0]), bool(read[120])) == (100, True, False)
    small = EmbeddingCache(tmp_path / "small", limit=1000)
    embed_bases(model, [long], cache=small)
    assert not list((tmp_path / "small").glob("*/*"))


class Malicious:
    """Unpickled carelessly, it would be counted."""

    ran = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Malicious, "ran", 1)


def embedded_elsewhere(path: Path, sequences: list[str], file: Path, **changes: object) -> Path:
    """Vectors of bases as somebody writes them, of the rows of a file."""
    model = fb.load_model("findna-tiny@random")
    found = embed_bases(model, sequences).vectors
    arrays: dict = {
        "vectors": np.concatenate([found.of_sequence(row)[0] for row in range(len(sequences))]),
        "offsets": np.cumsum([0, *map(len, sequences)]),
        "ids": np.arange(len(sequences)).astype(str),
    } | changes
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    return file


def test_vectors_of_bases_computed_elsewhere_score_as_the_model_does(tmp_path: Path) -> None:
    sequences = drawn(120)
    path = write(tmp_path / "x.csv", sequences, [of_context(s) for s in sequences])
    by_id = embedded_elsewhere(path, sequences, tmp_path / "ids.npz")
    by_order = embedded_elsewhere(path, sequences, tmp_path / "order.npz", ids=None)
    models = ["findna-tiny@random", f"embeddings:{by_id}", f"embeddings:{by_order}"]
    results = fb.run(models, [path], seeds=1, output_dir=tmp_path / "r")
    values = [result.metrics.main.value for result in results]
    assert values[0] == values[1] == values[2]
    (conv,) = fb.run([f"embeddings:{by_id}"], [path], preset="conv", seeds=1, output_dir=tmp_path / "c")
    assert conv.status == "success"
    assert not verify(tmp_path / "r").findings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"offsets": lambda a: a["offsets"][:-1]}, "offsets must rise from 0 to"),
        ({"offsets": lambda a: a["offsets"].astype(float)}, "offsets must be (rows + 1,) integers"),
        ({"vectors": lambda a: np.where(np.arange(len(a["vectors"]))[:, None] == 70, np.nan, a["vectors"])}, "base "),
        ({"vectors": lambda a: a["vectors"].astype(int)}, "must be floating-point numbers"),
        ({"ids": lambda a: a["ids"][:-1]}, "ids has shape"),
        ({"ids": lambda a: np.array(["x", *a["ids"][1:]])}, "has no vector for 1 of"),
        (
            {"offsets": lambda a: np.array([0, a["offsets"][1] - 1, *a["offsets"][2:]])},
            "give one for every base of every row",
        ),
        ({"vectors": lambda a: np.asfortranarray(a["vectors"])}, "ascontiguousarray"),
        *(
            ({name: lambda a: np.array([Malicious()], dtype=object)}, "it is none, or holds Python objects")
            for name in ("offsets", "ids", "split")
        ),
    ],
)
def test_vectors_of_bases_that_do_not_fit_are_refused(tmp_path: Path, changes: dict, words: str) -> None:
    sequences = drawn(40)
    path = write(tmp_path / "x.csv", sequences, [of_context(s) for s in sequences])
    rng = np.random.default_rng(0)
    arrays = {
        "vectors": rng.normal(size=(sum(map(len, sequences)), 4)).astype(np.float32),
        "offsets": np.cumsum([0, *map(len, sequences)]),
        "ids": np.arange(len(sequences)).astype(str),
    }
    np.savez(tmp_path / "v.npz", **(arrays | {name: change(arrays) for name, change in changes.items()}))
    (result,) = fb.run([f"embeddings:{tmp_path / 'v.npz'}"], [path], seeds=1, output_dir=tmp_path / "r")
    assert result.status in ("error", "skipped")
    assert words in result.error.message
    assert Malicious.ran == 0


def test_vectors_of_bases_are_for_states_per_base_and_the_strand_that_they_are_of(tmp_path: Path) -> None:
    sequences = drawn(60)
    path = write(tmp_path / "x.csv", sequences, [of_context(s) for s in sequences])
    (tmp_path / "y.csv").write_text("sequence,label\n" + "".join(f"{s},{i % 2}\n" for i, s in enumerate(sequences)))
    file = embedded_elsewhere(path, sequences, tmp_path / "v.npz")
    (other,) = fb.run([f"embeddings:{file}"], [tmp_path / "y.csv"], seeds=1, output_dir=tmp_path / "r")
    assert "predicts per_base, not classes" in other.error.message
    (turned,) = fb.run([f"embeddings:{file}"], [path], strand="rc-mean", seeds=1, output_dir=tmp_path / "s")
    assert "exist for the task's own rows only" in turned.error.message
