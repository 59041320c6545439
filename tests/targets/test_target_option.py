"""``--target``: what the columns of a user's own file predict, where it is not what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_labels import planted, write

import findna_bench as fb
from findna_bench.cli import main
from findna_bench.errors import DataError, UnknownNameError, UsageError
from findna_bench.matrix.verification import verify


def test_a_column_of_classes_is_read_as_numbers_or_labels(tmp_path: Path) -> None:
    sequences, truth = planted()
    counts = [sum(base in "GC" for base in s) for s in sequences]
    path = write(tmp_path / "x.csv", "sequence,label", sequences, counts)
    assert fb.load_task(path).card.target == "classes"
    values = fb.load_task(path, target="values")
    assert (values.card.target, values.label_names) == ("values", ("label",))
    np.testing.assert_array_equal(values.in_order()[0].labels[:, 0], counts)
    names = [("poor", "rich")[rich] for rich in truth[:, 0]]
    single = fb.load_task(write(tmp_path / "y.csv", "sequence,labels", sequences, names), target="labels")
    assert (single.card.target, single.label_names) == ("labels", ("poor", "rich"))
    both = write(tmp_path / "z.csv", "sequence,value,label_rich", sequences, counts, truth[:, 0])
    with pytest.raises(DataError, match=r"those of values .* and labels .*choose with --target"):
        fb.load_task(both)
    assert fb.load_task(both, target="labels").label_names == ("rich",)
    classes = fb.load_task(
        write(tmp_path / "c.csv", "sequence,label,value", sequences, names, counts), target="classes"
    )
    assert classes.card.target == "classes"


def test_columns_that_cannot_be_it_are_refused_in_a_sentence(tmp_path: Path) -> None:
    sequences, truth = planted(40)
    names = [("poor", "rich")[rich] for rich in truth[:, 0]]
    path = write(tmp_path / "x.csv", "sequence,label", sequences, names)
    with pytest.raises(DataError, match=r"label 'poor' is no number|label 'rich' is no number"):
        fb.load_task(path, target="values")
    with pytest.raises(DataError, match=r"--target values: none of its columns \(sequence, kind\) can hold values"):
        fb.load_task(write(tmp_path / "y.csv", "sequence,kind", sequences, names), target="values")
    with pytest.raises(UnknownNameError, match="value"):
        fb.load_task(path, target="valeus")
    with pytest.raises(UsageError, match="demo/species4 is no file"):
        fb.load_task("demo/species4", target="values")
    with pytest.raises(UsageError, match="demo/species4 is no file"):
        fb.plan("kmer", "demo/species4", target="values")


def test_the_option_is_in_identities_where_it_is_used_and_results_are_found_again(tmp_path: Path) -> None:
    sequences, _ = planted(120)
    path = write(
        tmp_path / "x.csv", "sequence,label", sequences, [sum(base in "GC" for base in s) // 12 for s in sequences]
    )
    (plain,) = fb.run(["trivial"], [path], seeds=1, output_dir=tmp_path / "r")
    (values,) = fb.run(["trivial"], [path], seeds=1, target="values", output_dir=tmp_path / "r")
    assert (plain.task.target, values.task.target) == ("classes", "values")
    assert "target" not in plain.hashed.config  # type: ignore[operator]
    assert values.hashed.config["target"] == "values"  # type: ignore[index]
    assert plain.request_id != values.request_id
    checked = verify(tmp_path / "r", rerun=2, places={"x.csv": path})
    assert (checked.findings, checked.rerun, checked.checks["data"].done) == ((), 2, 2)


def test_every_verb_that_reads_a_file_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bench(*words: str, fails: bool = False) -> str:
        monkeypatch.setattr("sys.argv", ["findna-bench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert bool(ended.value.code) is fails, shown.err
        return shown.out + shown.err

    sequences, _ = planted(80)
    path = str(write(tmp_path / "x.csv", "sequence,label", sequences, [row % 10 for row in range(80)]))
    as_values = ("--target", "values")
    for verb in (("describe", path), ("audit", path)):
        assert bench(*verb) != bench(*verb, *as_values)
        assert "valuse" in bench(*verb, "--target", "valuse", fails=True)
    vectors = tmp_path / "v.npy"
    bench("embed", "findna-tiny", "-t", path, *as_values, "-o", str(vectors))
    assert len(np.load(vectors)) == 80
    assert fb.audit(path, target="values").to_dict() != fb.audit(path).to_dict()
