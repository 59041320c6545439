"""Variants are scored without training: files, rules for rows that do not fit, groups, controls, and the published suite."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

import findna_bench as fb
from findna_bench.data.catalog import data_root
from findna_bench.data.importing import import_suite
from findna_bench.errors import DataError, UsageError
from findna_bench.leaderboard.html import render_html
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.matrix.unit import metrics_of
from findna_bench.matrix.verification import verify
from findna_bench.models.loading import load_model
from findna_bench.results.schema import Metrics
from findna_bench.results.store import ResultStore, ScoredRows
from findna_bench.targets.group_scores import group_codes, group_names, related_rows
from findna_bench.targets.target import find_target

BASES = "ACGT"


def windows(n: int = 3, length: int = 60, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(BASES), size=length)) for _ in range(n)]


def substitutions(elements: list[str], per_element: int = 40, seed: int = 0) -> list[list[object]]:
    """(sequence, offset, ref, alt, value, element) of random substitutions."""
    rng = np.random.default_rng(seed)
    rows: list[list[object]] = []
    for number, window in enumerate(elements):
        for offset in rng.choice(len(window), size=per_element, replace=True).tolist():
            alt = rng.choice([base for base in BASES if base != window[offset]])
            rows.append([window, offset, window[offset], alt, round(float(rng.normal()) + number, 4), f"e{number}"])
    return rows


HEADER = ["sequence", "offset", "ref", "alt", "value", "element"]


def write(path: Path, rows: list[list[object]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def expected_ratios(name: str, rows: list[list[object]]) -> np.ndarray:
    """Of a network that reads codes: every site hidden by itself, forward strand."""
    model = load_model(name, device="cpu")
    found = []
    for window, offset, ref, alt, *_ in rows:
        batch = model.backbone.tokenize([str(window)])
        batch.inputs[0, int(offset)] = 5  # type: ignore[call-overload]
        with torch.inference_mode():
            values = model.backbone.logits(batch)[0, int(offset)].double().log_softmax(-1)  # type: ignore[call-overload]
        found.append(float(values[BASES.index(str(alt))] - values[BASES.index(str(ref))]))
    return np.array(found)


def run(task: Path, models: str, out: Path, **options: object) -> list[fb.Result]:
    return fb.run(models=models, tasks=[task], protocol="zero_shot", output_dir=out, device="cpu", **options)  # type: ignore[arg-type]


def scores(out: Path, result: fb.Result) -> np.ndarray:
    return ResultStore(out).predictions(result).scores[:, -1]


def test_a_file_is_scored_whole_as_a_plain_loop_does(tmp_path: Path) -> None:
    rows = substitutions(windows())
    task = write(tmp_path / "v.csv", rows)
    (result,) = run(task, "findna-tiny", tmp_path / "r")
    expected = expected_ratios("findna-tiny", rows)
    np.testing.assert_allclose(scores(tmp_path / "r", result), expected, atol=1e-5)
    values = np.array([row[4] for row in rows], dtype=float)
    metrics = result.metrics
    assert metrics.all["spearman"] == pytest.approx(spearmanr(expected, values).statistic, abs=1e-6)
    assert set(metrics.all) == {"spearman", "pearson"}  # scores are in no unit of the values
    for number in range(3):
        own = [i for i, row in enumerate(rows) if row[5] == f"e{number}"]
        group = metrics.groups[f"e{number}"]
        assert group["n"] == 40
        assert group["spearman"] == pytest.approx(spearmanr(expected[own], values[own]).statistic, abs=1e-6)
        assert group["intervals"]["spearman"] is not None
    assert metrics.grouping["mean"]["spearman"] == pytest.approx(
        np.mean([group["spearman"] for group in metrics.groups.values()])
    )
    assert metrics.main.value == metrics.grouping["pooled"]["spearman"]
    # Elements differ in their mean, so a rule that knows the element alone ranks better.
    assert metrics.grouping["rule"]["spearman"] > 0.3
    assert "shortcut (group)" in result.flags
    assert result.protocol.settings["train_rows"] == 0
    assert result.is_deterministic
    assert not verify(tmp_path / "r", rerun=1, places={"v.csv": task}).findings
    with pytest.raises(UsageError, match="for which rmse means nothing"):
        leaderboard(
            ResultStore(tmp_path / "r").load(), metric="rmse", predictions=ResultStore(tmp_path / "r").predictions
        )


def test_strands_are_averaged_on_request_and_signs_are_the_protocol_s(tmp_path: Path) -> None:
    rows = substitutions(windows(), per_element=12)
    task = write(tmp_path / "v.csv", rows)
    turned = {"A": "T", "C": "G", "G": "C", "T": "A"}
    back = [
        [
            "".join(turned[b] for b in reversed(str(r[0]))),
            len(str(r[0])) - 1 - int(r[1]),
            turned[str(r[2])],
            turned[str(r[3])],
        ]  # type: ignore[call-overload]
        for r in rows
    ]
    forward, reverse = expected_ratios("findna-tiny", rows), expected_ratios("findna-tiny", back)
    for options, expected in (
        ({"strand": "rc-mean"}, (forward + reverse) / 2),
        ({"preset": "negative"}, -forward),
        ({"preset": "absolute"}, np.abs(forward)),
    ):
        (result,) = run(task, "findna-tiny", tmp_path / str(options), **options)
        np.testing.assert_allclose(scores(tmp_path / str(options), result), expected, atol=1e-5)


def test_each_of_several_values_is_ranked_by_the_one_score(tmp_path: Path) -> None:
    rows = substitutions(windows(), per_element=12)
    several = [[*row[:4], row[4], -float(str(row[4])) + i % 3] for i, row in enumerate(rows)]
    task = write(tmp_path / "v.csv", several, [*HEADER[:4], "value_a", "value_b"])
    (result,) = run(task, "findna-tiny", tmp_path / "r")
    assert result.status == "success", result.error
    found = ResultStore(tmp_path / "r").predictions(result).scores
    np.testing.assert_allclose(found, np.tile(expected_ratios("findna-tiny", rows)[:, None], 2), atol=1e-5)


def test_labels_are_ranked_by_how_unlikely_a_variant_is(tmp_path: Path) -> None:
    rows = substitutions(windows(), per_element=20)
    expected = expected_ratios("findna-tiny", rows)
    labels = np.where(expected < np.median(expected), "pathogenic", "benign")
    task = write(
        tmp_path / "v.csv", [[*row[:4], label] for row, label in zip(rows, labels, strict=True)], [*HEADER[:4], "label"]
    )
    (result,) = run(task, "findna-tiny", tmp_path / "r")
    assert result.metrics.main.name == "auroc"
    assert result.metrics.main.value == 1.0  # label 1 is the second name, and -(log ratio) is high for it
    assert set(result.metrics.all) == {"auroc", "auprc"}
    assert not result.metrics.groups


def test_rows_that_do_not_fit_are_left_out_counted_and_named(tmp_path: Path) -> None:
    (window,) = windows(1)
    good = substitutions([window], per_element=30)
    after = window[10]
    wrong = [
        [window, 10, next(b for b in BASES if b != after), next(b for b in reversed(BASES) if b != after), 1, "e0"],
        [window, 10, after, after, 1, "e0"],
        [window, 10, after, "N", 1, "e0"],
        [window, 10, after, ",".join(b for b in BASES if b != after), 1, "e0"],
        [window, 60, "A", "C", 1, "e0"],
    ]
    task = fb.load_task(write(tmp_path / "v.csv", [*good, *wrong]))
    assert len(task.load("test")) == 30
    (note,) = [note for note in task.notes if "left out" in note]
    for words in (
        "5 of 35 variants are left out",
        "1 whose ref is not what the sequence has there (first: row 32",
        "1 whose alt is their ref",
        "1 with letters other than A, C, G and T",
        "1 with several alternatives",
        "1 whose offset lies outside the sequence",
    ):
        assert words in note
    one_off = [[row[0], int(row[1]) + 1, *row[2:]] for row in good if int(row[1]) < 59]  # type: ignore[call-overload]
    with pytest.raises(DataError, match="offset counts from 0"):
        fb.load_task(write(tmp_path / "shifted.csv", one_off))


def test_an_n_beside_the_site_an_end_and_an_indel_are_scored_and_counted(tmp_path: Path) -> None:
    window = windows(1)[0]
    with_n = window[:21] + "N" + window[22:]
    other = {base: BASES[(BASES.index(base) + 1) % 4] for base in BASES}
    rows: list[list[object]] = [
        [with_n, 20, with_n[20], other[with_n[20]], 1.0, "e"],
        [window, 0, window[0], other[window[0]], 2.0, "e"],
        [window, 59, window[59], other[window[59]], 3.0, "e"],
        [window, 30, window[30], "-", 4.0, "e"],
        [window, 30, window[30], window[30] + "A", 5.0, "e"],
    ]
    task = write(tmp_path / "v.csv", rows)
    notes = " ".join(fb.load_task(task).notes)
    assert "1 variants with an N next to them" in notes
    assert "2 insertions or deletions" in notes
    (result,) = run(task, "findna-tiny", tmp_path / "r")
    found = scores(tmp_path / "r", result)
    np.testing.assert_allclose(found[:3], expected_ratios("findna-tiny", rows[:3]), atol=1e-5)
    assert (found[3:] != 0).all()
    model = load_model("findna-tiny", device="cpu")
    (pair,) = model.backbone.log_likelihoods([(window, window[:30] + window[31:])])
    assert found[3] == pytest.approx(pair[1] - pair[0], abs=1e-4)


def test_embedding_distances_are_scores_of_any_encoder(tmp_path: Path) -> None:
    rows = substitutions(windows(), per_element=8)
    task = write(tmp_path / "v.csv", rows)
    model = load_model("findna-tiny", device="cpu")
    for preset in ("cosine", "l2", "cosine-pooled", "l2-pooled"):
        (result,) = run(task, "findna-tiny", tmp_path / preset, preset=preset)
        found = scores(tmp_path / preset, result)
        for row, score in list(zip(rows, found, strict=True))[:5]:
            window, offset, alt = str(row[0]), int(row[1]), str(row[3])  # type: ignore[call-overload]
            other = window[:offset] + alt + window[offset + 1 :]
            one, two = (
                fb.encode(model, [text])[0][offset] if "pooled" not in preset else fb.encode(model, [text])[0].mean(0)
                for text in (window, other)
            )
            expected = (
                np.linalg.norm(one - two)
                if preset.startswith("l2")
                else 1 - one @ two / np.linalg.norm(one) / np.linalg.norm(two)
            )
            assert score == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_what_does_not_go_with_it_is_said_in_a_sentence(tmp_path: Path) -> None:
    rows = substitutions(windows(), per_element=12)
    task = write(tmp_path / "v.csv", rows)
    with pytest.raises(UsageError, match="trains nothing"):
        run(task, "findna-tiny", tmp_path / "r", shots=(2,))
    with pytest.raises(UsageError, match="rc-mean for the mean over both strands"):
        run(task, "findna-tiny", tmp_path / "r", strand="rc-augment")
    (majority,) = run(task, "majority", tmp_path / "r")
    assert majority.status == "skipped"
    assert majority.error is not None
    assert "majority reads sequences and pairs, and rows of adhoc/v are variants" in majority.error.message
    (features,) = run(task, "kmer", tmp_path / "r")
    assert features.status == "skipped"
    (sequences,) = fb.run(models="findna-tiny", tasks="demo/species4", protocol="zero_shot", output_dir=tmp_path / "r")
    assert sequences.status == "skipped"
    probed = fb.run(models="findna-tiny", tasks=[task], protocol="probe", output_dir=tmp_path / "r")
    assert probed[0].status == "skipped"
    assert probed[0].error is not None
    assert "has test rows only" in probed[0].error.message
    tuned = fb.run(models="findna-tiny", tasks=[task], protocol="finetune", output_dir=tmp_path / "r")
    assert tuned[0].status == "skipped"
    assert tuned[0].error is not None
    assert "has test rows only" in tuned[0].error.message


def upstream(path: Path, elements: dict[str, str]) -> Path:
    """A small table in the layout that the authors of the suite publish."""
    rng = np.random.default_rng(0)
    path.mkdir()
    with gzip.open(path / "elements.tsv.gz", "wt") as stream:
        stream.write("Element\tChrom\tPos\tRef\tAlt\tBarcodes\tDNA\tRNA\tCoefficient\tpValue\tRelease\n")
        for number, (name, window) in enumerate(elements.items()):
            for place, ref in enumerate(window):
                for alt in (*BASES, "-"):
                    if alt == ref or ref == "N":
                        continue
                    for release, first in (("GRCh37", 1000), ("GRCh38", 9000)):
                        where = f"{name}\t{number + 1}\t{first + place}\t{ref}\t{alt}"
                        stream.write(f"{where}\t{rng.integers(1, 40)}\t9\t9\t{rng.normal():.5f}\t0.5\t{release}\n")
    return path


def test_controls_are_fitted_on_other_groups(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = substitutions(windows(6, length=80), per_element=80, seed=1)
    for row in rows:  # what counts is which base becomes which, the same in every element
        row[4] = round("ACGT".index(str(row[3])) - "ACGT".index(str(row[2])) + 0.1 * rng.normal(), 4)
    task = write(tmp_path / "v.csv", rows)
    models = "variant-substitution,variant-cpg,variant-position"
    found = {result.model.name: result for result in run(task, models, tmp_path / "r")}
    assert found["variant-substitution"].metrics.main.value > 0.9  # type: ignore[operator]
    assert abs(found["variant-position"].metrics.main.value) < 0.3  # type: ignore[arg-type]
    # A value that belongs to one element alone cannot be known from the others.
    alone = [[*row[:4], float(number // 80), row[5]] for number, row in enumerate(rows)]
    (result, *_) = run(write(tmp_path / "w.csv", alone), models, tmp_path / "r")
    assert result.metrics.main.value < 0.2  # type: ignore[operator]
    (unknown,) = run(task, "variant-tss-distance", tmp_path / "r")
    assert unknown.status == "skipped"
    assert unknown.error is not None
    assert "no column tss_dist, or distance_to_nearest_TSS" in unknown.error.message
    distances = [int(10 ** rng.uniform(1, 6)) for _ in rows]
    near = [[*row[:4], -np.log10(d), row[5], -d if d % 2 else d] for row, d in zip(rows, distances, strict=True)]
    near[0][6] = ""  # not known
    header = [*HEADER, "distance_to_nearest_TSS"]
    (known,) = run(write(tmp_path / "tss.csv", near, header), "variant-tss-distance", tmp_path / "r")
    assert known.metrics.main.value > 0.95  # type: ignore[operator]
    near[3][6] = "far"
    with pytest.raises(DataError, match=r"row 5 .*distance_to_nearest_tss 'far' is no number of bases"):
        fb.load_task(write(tmp_path / "far.csv", near, header))
    (single,) = run(write(tmp_path / "one.csv", rows[:80]), "variant-cpg", tmp_path / "r")
    assert single.status == "skipped"
    assert single.error is not None
    assert "all 80 variants are of one (related) group" in single.error.message


def vep_like(rates: dict[str, float], per_class: int = 400) -> list[list[object]]:
    """(sequence, offset, ref, alt, label, consequence): how often a variant is pathogenic follows from its consequence alone."""
    rows, elements = [], windows(len(rates), length=per_class)
    for window, (name, rate) in zip(elements, rates.items(), strict=True):
        bad = np.random.default_rng(len(rows)).permutation(per_class) < round(rate * per_class)
        for offset, is_bad in enumerate(bad.tolist()):
            alt = next(base for base in BASES if base != window[offset])
            rows.append([window, offset, window[offset], alt, "pathogenic" if is_bad else "benign", name])
    return rows


def test_a_rule_that_knows_the_class_alone_is_a_control_and_a_flag(tmp_path: Path) -> None:
    rates = {"utr": 0.02, "intron": 0.02, "synonymous": 0.02, "missense": 0.25, "stop": 0.98, "splice": 0.98}
    task = write(tmp_path / "v.csv", vep_like(rates), [*HEADER[:4], "label", "consequence"])
    models = f"class-rate,scores:{write(tmp_path / 's.csv', _rated(rates), ['id', 'score'])}"
    rule, others = run(task, models, tmp_path / "r", sanity=False)
    assert rule.metrics.all["auroc"] == pytest.approx(0.97, abs=0.01)
    # Below a half by chance alone: the half of a group that has more of the rarer label is scored by the one that has fewer.
    assert rule.metrics.groups["missense"]["auroc"] == pytest.approx(0.5, abs=0.05)
    assert 0.35 < rule.metrics.grouping["mean"]["auroc"] < 0.52
    assert "a rule, no prediction" in rule.validation["warnings"][0]
    # The same rule from elsewhere is flagged: all rows together it is as good as the rule, within a class it knows nothing.
    assert others.metrics.grouping["mean"]["auroc"] == pytest.approx(0.5)
    assert "shortcut (group)" in others.flags
    assert not verify(tmp_path / "r").findings
    board = leaderboard(ResultStore(tmp_path / "r").load(), predictions=ResultStore(tmp_path / "r").predictions)
    text = render_markdown(board)
    (line,) = [line for line in text.splitlines() if line.startswith("| missense")]
    assert "400 |" in line
    assert "50.00" in line
    (reached,) = [line for line in text.splitlines() if line.startswith("| pooled, a rule on the group alone")]
    assert f"{100 * rule.metrics.grouping['rule']['auroc']:.2f}" in reached
    page = render_html(board)
    assert "a rule on the group alone" in page
    assert "missense" in page


def test_the_class_rate_is_that_of_train_where_there_is_one(tmp_path: Path) -> None:
    rows = vep_like({"utr": 0.1, "missense": 0.5, "stop": 0.9}, per_class=80)
    split = [[*row, "train" if number % 2 else "test"] for number, row in enumerate(rows)]
    task = write(tmp_path / "v.csv", split, [*HEADER[:4], "label", "consequence", "split"])
    (result,) = fb.run("class-rate", [task], protocol="probe", seeds=1, output_dir=tmp_path / "r")
    assert result.status == "success", result.error
    assert result.metrics.all["auroc"] > 0.85
    assert {group["auroc"] for group in result.metrics.groups.values()} == {0.5}  # one rate for all rows of a group
    assert not result.validation["warnings"]


def _rated(rates: dict[str, float]) -> list[list[object]]:
    return [[number, rates[str(row[5])]] for number, row in enumerate(vep_like(rates))]


def test_the_suite_is_read_from_the_published_table(tmp_path: Path) -> None:
    one, two = windows(2, length=50)
    one = one[:30] + "N" + one[31:]
    folder = upstream(tmp_path / "mpra", {"A": one, "B": two})
    report = import_suite("mpra-saturation", folder, data_root())
    assert {task.name: (task.status, task.rows["test"] > 0) for task in report.tasks} == {
        "mpra-saturation/snv": ("partial", True),
        "mpra-saturation/snv-all": ("partial", True),
    }
    whole, kept = (fb.load_task(f"mpra-saturation/{name}").load("test") for name in ("snv-all", "snv"))
    assert len(whole) == 3 * 49 + 3 * 50
    assert 0 < len(kept) < len(whole)
    assert set(zip(whole.extra["element"].tolist(), whole.sequences, strict=True)) == {("A", one), ("B", two)}
    result = fb.run(
        models="findna-tiny", tasks="mpra-saturation/snv", protocol="zero_shot", output_dir=tmp_path / "r", device="cpu"
    )[0]
    groups = result.metrics.groups
    assert result.metrics.main.value == pytest.approx(np.mean([groups[name]["spearman"] for name in "AB"]))
    assert "mean over 2 groups" in result.flags
    assert not verify(tmp_path / "r").findings


@pytest.mark.shared
def test_measured_elements_give_an_independent_loop_s_figures(tmp_path: Path, shared: Path) -> None:
    folder = shared / "data" / "mpra_saturation"
    small = tmp_path / "mpra"
    small.mkdir()
    with gzip.open(folder / "variants.tsv.gz", "rt") as stream, gzip.open(small / "variants.tsv.gz", "wt") as out:
        out.writelines(line for line in stream if line.split("\t")[0] in ("element", "HNF4A", "TERT-GBM"))
    import_suite("mpra-saturation", small, data_root())
    result = fb.run(
        models="findna-tiny",
        tasks="mpra-saturation/snv-all",
        protocol="zero_shot",
        output_dir=tmp_path / "r",
        device="cpu",
    )[0]
    found = {name: round(group["spearman"], 3) for name, group in result.metrics.groups.items()}
    assert found == {"HNF4A": -0.018, "TERT-GBM": 0.107}


def test_scores_computed_elsewhere_are_joined_by_variant(tmp_path: Path) -> None:
    rows = substitutions(windows(), per_element=15)
    rows = list({(row[0], row[1], row[3]): row for row in rows}.values())
    task = write(tmp_path / "v.csv", rows)
    rng = np.random.default_rng(5)
    order = rng.permutation(len(rows))
    own = [[*rows[i][:4], float(rows[i][4]) + rng.normal(scale=0.1)] for i in order[1:]]  # type: ignore[arg-type]
    file = write(tmp_path / "elsewhere.csv", own, ["sequence", "offset", "ref", "alt", "score"])
    (result,) = run(task, f"scores:{file}", tmp_path / "r")
    assert result.model.name == "scores:elsewhere.csv"
    assert result.metrics.all["spearman"] > 0.9  # type: ignore[operator]
    assert len(result.metrics.groups) == 3
    assert (
        f"1 of {len(rows)} variants have no score in the file and count as no difference"
        in result.validation["warnings"]
    )
    assert scores(tmp_path / "r", result)[order[0]] == 0.0
    by_id = write(tmp_path / "ids.csv", [[i, row[4]] for i, row in enumerate(rows)], ["id", "score"])
    (named,) = run(task, f"scores:{by_id}", tmp_path / "s", preset="negative")
    assert named.metrics.all["spearman"] == pytest.approx(-1.0)
    places = {"v.csv": task, "elsewhere.csv": file}
    assert not verify(tmp_path / "r", rerun=1, places=places).findings
    twice = write(tmp_path / "twice.csv", [own[0], own[0]], ["sequence", "offset", "ref", "alt", "score"])
    (failed,) = run(task, f"scores:{twice}", tmp_path / "t", seeds=1)
    assert failed.error is not None
    assert "a second score of one variant" in failed.error.message
    (skipped,) = fb.run(models=f"scores:{file}", tasks="demo/species4", output_dir=tmp_path / "u")
    assert skipped.status == "skipped"


def test_a_probe_reads_the_reference_and_what_the_variant_changes(tmp_path: Path) -> None:
    model = load_model("findna-tiny", device="cpu")
    elements = windows(12, length=40)
    rows = substitutions(elements, per_element=10)
    pairs = [(str(r[0]), str(r[0])[: int(r[1])] + str(r[3]) + str(r[0])[int(r[1]) + 1 :]) for r in rows]  # type: ignore[call-overload]
    one, two = (fb.embed(model, [pair[side] for pair in pairs]) for side in (0, 1))
    change = np.concatenate([one, two - one], axis=1)
    direction = np.random.default_rng(0).normal(size=change.shape[1])
    direction[: one.shape[1]] = 0.0  # the label is all in what the variant changes
    effect = change @ direction
    for row, value in zip(rows, effect / effect.std(), strict=True):
        row[4] = round(float(value), 5)
    held = {"e9", "e10", "e11"}
    task = write(
        tmp_path / "v.csv", [[*row, "test" if row[5] in held else "train"] for row in rows], [*HEADER, "split"]
    )
    (result,) = fb.run(models="findna-tiny", tasks=[task], output_dir=tmp_path / "r", device="cpu", seeds=1)
    assert result.status == "success", result.error
    assert result.metrics.all["spearman"] > 0.8  # type: ignore[operator]
    assert set(result.metrics.groups) == held
    assert not verify(tmp_path / "r").findings


def test_chromosomes_are_groups_and_count_by_their_rows_where_a_card_says_so() -> None:
    """As TraitGym scores: average precision within each chromosome, weighted by its rows, and an interval over chromosomes."""
    rng, rows = np.random.default_rng(0), []
    for chromosome in range(1, 13):
        for number in range(10 * chromosome):
            label, score = int(number % 10 == 0), float(rng.normal())
            rows.append([f"chr{chromosome}", number, label, score + label])
    names = [str(row[0]).removeprefix("chr") for row in rows]
    labels, outputs = (np.array([row[k] for row in rows]) for k in (2, 3))
    each = {name: np.flatnonzero(np.array(names) == name) for name in dict.fromkeys(names)}
    expected = [average_precision_score(labels[own], outputs[own]) for own in each.values()]
    sizes = [len(own) for own in each.values()]

    table = fb.SequenceTable(
        ["".join(rng.choice(list(BASES), size=20)) for _ in rows],
        labels.astype(np.int64),
        np.array([f"v{i}" for i in range(len(rows))]),
        contig=np.array(names),
        start=np.arange(len(rows)) * 100,
        end=np.arange(len(rows)) * 100 + 5,
        extra={"offset": np.full(len(rows), 2), "ref": np.full(len(rows), "G"), "alt": np.full(len(rows), "C")},
    )
    assert group_names(table) is not None
    target, both = find_target("classes"), np.stack([-outputs, outputs], axis=1)
    for weights, mean in (("uniform", np.mean(expected)), ("rows", np.average(expected, weights=sizes))):
        codes = group_codes(target, labels, table.contig, "auprc", ("no", "yes"), weights)  # type: ignore[arg-type]
        groups, words = related_rows(table, whole=True)
        assert len(np.unique(groups)) == 12
        rows_of = ScoredRows(table.ids, labels, both, groups, codes, table.contig, np.arange(len(rows)))
        main = Metrics(main={"name": "auprc"}).main  # type: ignore[arg-type]
        found = metrics_of(rows_of, main, words, ("no", "yes"))
        assert found.main.value == pytest.approx(mean)
        assert found.grouping["mean"]["auprc"] == pytest.approx(mean)
        assert found.grouping["all"] == "groups"
        assert found.grouping.get("weights", "uniform") == weights
        assert found.n_groups == 12
        low, high = found.intervals["auprc"]  # type: ignore[misc]
        # A bootstrap of chromosomes, each with all its rows.
        drawn = np.random.default_rng(1).integers(12, size=(2000, 12))
        chosen = np.array(expected)[drawn]
        of_rows = np.array(sizes)[drawn] if weights == "rows" else np.ones((2000, 12))
        spread = np.std((chosen * of_rows).sum(axis=1) / of_rows.sum(axis=1))
        assert (high - low) / 2 == pytest.approx(2.2 * spread, rel=0.25)
