"""States per base with what goes wrong in practice, planted in one file: every first-party network is probed as scikit-learn does it on
vectors of a plain loop, and every control says what its counts say.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, matthews_corrcoef
from test_base_vectors import CASES, Ranges, by_loop
from test_likelihoods import built

import findna_bench as fb
from findna_baselines.controls.control_cards import MODELS as CONTROLS
from findna_bench.api import Backbone
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore
from findna_bench.statistics.base_states import NO_STATE

LENGTH = 30
SHORT = {"chordmixer", "hyenadna", "nt_v2", "dnabert", "dnabert2"}
"""One for each kind of token; the others are long tests."""
NETWORKS = [
    pytest.param(*case, id=case[0].__name__, marks=[] if case[0].__name__ in SHORT else pytest.mark.long)
    for case in CASES
]
Rows = dict[str, tuple[str, str, str]]
"""Name -> (sequence, states, split)."""


def drawn(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), size=length))


def of_bases(sequence: str) -> str:
    """Whether a base follows an A or C: the neighbour decides, not the base."""
    return "".join("R" if base in "AC" else "u" for base in "G" + sequence[:-1])


def planted(longest: int | None) -> dict[str, tuple[str, str]]:
    """Name -> (sequence, states) of test rows. longest: bases that a model reads."""
    text = drawn(LENGTH, 100)
    with_n, long = text[:12] + "N" + text[13:], drawn((longest or 3 * LENGTH) + 11, 101)
    return {
        "plain": (text, of_bases(text)),
        "an-n-inside": (with_n, of_bases(with_n)),
        "n-at-both-ends": ("N" * 5 + text[5:20] + "N" * 10, of_bases(text)),
        "padding-alone": ("N" * LENGTH, of_bases(text)),
        "nothing-known": (text[::-1], "." * LENGTH),
        "one-state": (drawn(LENGTH, 102), "R" * LENGTH),
        "first-and-last": (text, "R" + "." * (LENGTH - 2) + "u"),
        "lower-case": (drawn(LENGTH, 103).lower(), of_bases(drawn(LENGTH, 103))),
        "shorter-than-a-word": (text[:2], of_bases(text[:2])),
        "beyond-the-window": (long, of_bases(long)),
    }


def rows_of(longest: int | None) -> Rows:
    found: Rows = {}
    for number in range(24):
        text = drawn(LENGTH - number % 5, number)
        states = of_bases(text)
        if number == 3:
            text, states = "N" * len(text), states
        if number == 4:
            states = "." * len(text)
        if number == 5:
            text = text[:9] + "NN" + text[11:]
        found[f"row-{number}"] = (text, states, "train" if number < 18 else "validation")
    return found | {name: (*row, "test") for name, row in planted(longest).items()}


def write(path: Path, rows: Rows) -> Path:
    lines = [f"{name},{sequence},{states},{split}" for name, (sequence, states, split) in rows.items()]
    path.write_text("\n".join(["id,sequence,states,split", *lines]) + "\n")
    return path


def truth_of(sequence: str, states: str) -> np.ndarray:
    """(L,) 0, 1, or what does not count."""
    pairs = zip(sequence.upper(), states, strict=True)
    return np.array([NO_STATE if base == "N" or state == "." else "Ru".index(state) for base, state in pairs])


def run(models: object, task: Path, folder: Path, **options: object) -> list[Result]:
    return fb.run(models, [task], seeds=1, sanity=False, device="cpu", output_dir=folder, **options)  # type: ignore[arg-type]


def predicted(folder: Path, result: Result) -> dict[str, np.ndarray]:
    """Row id -> (W, C) probabilities."""
    rows = ResultStore(folder).predictions(result)
    return dict(zip(rows.ids.tolist(), rows.scores.astype(np.float64), strict=True))


def check_metrics(result: Result, scores: dict[str, np.ndarray], rows: Rows) -> None:
    """Nothing but the bases that count is scored, and behind them nothing is kept."""
    truth, best = [], []
    for name, (sequence, states, split) in rows.items():
        if split != "test":
            continue
        own = truth_of(sequence, states)
        known = own != NO_STATE
        truth.append(own[known])
        best.append(scores[name][: len(own)][known].argmax(axis=1))
        assert not scores[name][: len(own)][~known].any(), name
        assert not scores[name][len(own) :].any(), name
    every, predictions = np.concatenate(truth), np.concatenate(best)
    assert result.metrics.all["base_accuracy"] == pytest.approx(accuracy_score(every, predictions))
    if len(np.unique(every)) > 1:
        assert result.metrics.all["base_mcc"] == pytest.approx(matthews_corrcoef(every, predictions))


@pytest.mark.parametrize(("build", "ranges"), NETWORKS)
def test_every_network_is_probed_as_scikit_learn_does_it(
    build: Callable[[Path], Backbone], ranges: Ranges, tmp_path: Path
) -> None:
    backbone = built(build, tmp_path)
    rows = rows_of(backbone.max_length)
    (result,) = run(backbone, write(tmp_path / "x.csv", rows), tmp_path / "r")
    assert result.status == "success", result.error
    vectors = {}
    for name, (sequence, _, _) in rows.items():
        cut = sequence.upper()[: backbone.max_length]
        values, read = by_loop(backbone, cut, ranges, tmp_path)
        left = len(sequence) - len(cut)
        vectors[name] = np.pad(values, ((0, left), (0, 0))), np.pad(read, (0, left))
    of_train = [(name, truth_of(*row[:2])) for name, row in rows.items() if row[2] == "train"]
    usable = [(name, truth, (truth != NO_STATE) & vectors[name][1]) for name, truth in of_train]
    x = np.concatenate([vectors[name][0][known] for name, _, known in usable])
    y = np.concatenate([truth[known] for _, truth, known in usable])
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-6] = np.inf
    strength = result.validation["selected"]["strength"]
    theirs = LogisticRegression(C=1 / (strength * len(x)), tol=1e-9, max_iter=5000).fit((x - mean) / scale, y)
    everything = np.concatenate([truth[truth != NO_STATE] for _, truth in of_train])
    shares = np.bincount(everything, minlength=2) / len(everything)
    scores = predicted(tmp_path / "r", result)
    for name, (sequence, states) in planted(backbone.max_length).items():
        known = truth_of(sequence, states) != NO_STATE
        values, read = vectors[name]
        expected = np.where(read[:, None], theirs.predict_proba((values - mean) / scale), shares)
        np.testing.assert_allclose(scores[name][: len(sequence)][known], expected[known], atol=3e-3, err_msg=name)
    check_metrics(result, scores, rows)
    assert result.coverage.bases_total == sum(len(sequence) for sequence, _, _ in rows.values())


# ------------------------------------------------------------------------------------------------------------- controls


def of_split(rows: Rows, split: str) -> list[tuple[str, np.ndarray]]:
    """(sequence in capitals, states (L,)) of the rows of a split."""
    return [(sequence.upper(), truth_of(sequence, states)) for sequence, states, own in rows.values() if own == split]


def shares_by(key: Callable[[str, int], object], rows: Rows) -> Callable[[str, int], np.ndarray]:
    """Shares of the two states among train bases of one key, begun with one base that is as all of them are."""
    counts: dict[object, np.ndarray] = {}
    for sequence, truth in of_split(rows, "train"):
        for place in np.flatnonzero(truth != NO_STATE).tolist():
            counts.setdefault(key(sequence, place), np.zeros(2))[truth[place]] += 1
    everything = sum(counts.values(), np.zeros(2))
    prior = everything / everything.sum()

    def of(sequence: str, place: int) -> np.ndarray:
        found = counts.get(key(sequence, place), np.zeros(2)) + prior
        shares: np.ndarray = found / found.sum()
        return shares

    return of


def context(sequence: str, place: int) -> str:
    return f"-{sequence}-"[place : place + 3]


@pytest.mark.parametrize("control", ["majority", "base-context", "base-position"])
def test_every_control_of_states_says_what_its_counts_say(control: str, tmp_path: Path) -> None:
    rows = rows_of(None)
    (result,) = run(control, write(tmp_path / "x.csv", rows), tmp_path / "r")
    assert result.status == "success", result.error
    widest = max(len(sequence) for sequence, _ in of_split(rows, "train"))
    selected = result.validation["selected"]
    bins = selected.get("bins", 1)
    keys: dict[str, Callable[[str, int], object]] = {
        "majority": lambda sequence, place: None,
        "base-context": context,
        "base-position": lambda sequence, place: min(place, widest - 1) * bins // widest,
    }
    if control == "base-context":
        assert selected["bases"] == 3  # the state is that of the neighbour
    of, scores = shares_by(keys[control], rows), predicted(tmp_path / "r", result)
    for name, (sequence, states) in planted(None).items():
        for place in np.flatnonzero(truth_of(sequence, states) != NO_STATE).tolist():
            np.testing.assert_allclose(scores[name][place], of(sequence.upper(), place), atol=1e-3, err_msg=name)
    check_metrics(result, scores, rows)


def test_every_other_control_is_refused_in_a_sentence(tmp_path: Path) -> None:
    able = {"majority", "base-context", "base-position"}
    others = [card.name for card in CONTROLS if card.name not in able]
    results = run(others, write(tmp_path / "x.csv", rows_of(None)), tmp_path / "r")
    assert len(results) == len(others)
    for result in results:
        assert result.status == "skipped"
        assert result.error is not None
        assert result.error.message.endswith(("not per_base", "rows of adhoc/x are sequences")), result.error.message


@pytest.mark.parametrize("model", ["network", "majority", "base-context", "base-position"])
def test_one_state_alone_in_test_or_in_train(model: str, tmp_path: Path) -> None:
    """What has no value is none, and is named; what has only one state in train is predicted as that state."""
    models = built(CASES[0][0], tmp_path) if model == "network" else model
    rows = rows_of(None)
    one_in_test = {
        name: (sequence, "R" * len(sequence) if split == "test" else states, split)
        for name, (sequence, states, split) in rows.items()
    }
    (result,) = run(models, write(tmp_path / "x.csv", one_in_test), tmp_path / "r")
    assert result.status == "success", result.error
    assert "no test base has state u" in result.flags
    assert result.metrics.all["base_auprc:u"] is None
    assert result.metrics.all["base_auprc:R"] is None  # every base has it
    assert result.metrics.all["base_mcc"] is None
    scores = predicted(tmp_path / "r", result)
    check_metrics(result, scores, one_in_test)
    one_in_train = {
        name: (sequence, states if split == "test" else "R" * len(sequence), split)
        for name, (sequence, states, split) in rows.items()
    }
    (result,) = run(models, write(tmp_path / "y.csv", one_in_train), tmp_path / "s")
    assert result.status == "success", result.error
    check_metrics(result, found := predicted(tmp_path / "s", result), one_in_train)
    for name, (sequence, states) in planted(None).items():
        known = truth_of(sequence, states) != NO_STATE
        assert (found[name][: len(sequence)][known].argmax(axis=1) == 0).all(), name
