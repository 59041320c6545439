"""``describe``: of a task card, data, audit and published figures in one place; of a preset every protocol."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest

from findna_bench.cli import main
from findna_bench.data.catalog import resolve_task
from findna_bench.errors import UnknownNameError


def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["findna-bench", *words])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    return capsys.readouterr().out


def test_published_figures_stand_with_how_they_were_made_and_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = bench(monkeypatch, capsys, "describe", "dummy_mouse_enhancers_ensembl")
    for words in (
        "@article{gresova2023genomic",
        "licence: Apache-2.0",
        "FinDNA-T: 78.23 ± 0.05 percent",
        "No mean of 5 accuracies over 242 rows rounds to 78.23",
        "findna, table 1 (probe; accuracy; 5 runs; ± standard deviation of five runs; 50 epochs; split official (v0); "
        "not stated: selection split; arXiv:2405.08538)",
        "hyenadna, table 4.1, quoted from GenomicBenchmarks",
    ):
        assert words in text
    figures = json.loads(bench(monkeypatch, capsys, "describe", "gue/virus_covid", "--json"))["published"]
    assert {"FinDNA": "74.09", "DNABERT-2": "71.02"}.items() <= {f["label"]: f["value"] for f in figures}.items()
    assert {f["n_runs"] for f in figures if f["quoted"]} == {None}


@pytest.mark.parametrize("name", ["demo/motif_order", "kmer", "hyenadna@random", "probe"])
def test_a_version_is_that_of_the_distribution(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(bench(monkeypatch, capsys, "describe", name, "--json"))
    assert found["version"] == importlib.metadata.version("findna-bench")
    assert isinstance(found.get("card_version", 1), int)


def test_the_last_audit_is_quoted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not audited here: findna-bench audit demo/motif_order" in bench(
        monkeypatch, capsys, "describe", "demo/motif_order"
    )
    audited = json.loads(bench(monkeypatch, capsys, "audit", "demo/motif_order", "--json"))
    described = json.loads(bench(monkeypatch, capsys, "describe", "demo/motif_order", "--json"))
    assert described["audit"] == audited["verdict"]["level"]
    assert described["audit verdict"] == audited["verdict"]["sentences"]


def test_a_preset_of_several_protocols_is_described_for_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = bench(monkeypatch, capsys, "describe", "findna-paper")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("protocol ")] == ["pretrain", "finetune"]
    both = json.loads(bench(monkeypatch, capsys, "describe", "findna-paper", "--json"))
    assert [card["protocol"] for card in both] == ["pretrain", "finetune"]
    one = json.loads(bench(monkeypatch, capsys, "describe", "gue-dnabert2", "--json"))
    assert one["protocol"] == "finetune"
    assert "7d569d730fd0934ff4b68ba33ab01340bf4569e5" in one["reference"]


def test_all_things_of_one_name_are_described(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = json.loads(bench(monkeypatch, capsys, "describe", "findna-tiny", "--json"))
    assert [one["kind"] for one in tiny] == ["encoder", "preset"]
    default = json.loads(bench(monkeypatch, capsys, "describe", "default", "--json"))
    assert {one["protocol"] for one in default} >= {"probe", "finetune", "knn"}
    assert all(one["settings"] for one in default)


def test_what_run_takes_can_be_described_though_no_plugin_registers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{'ACGT' * 5}{'ACGT'[i % 4]}{'ACGT'[i // 4 % 4]},{i % 2}\n" for i in range(16))
    (tmp_path / "my.csv").write_text("sequence,label\n" + rows)
    task = json.loads(bench(monkeypatch, capsys, "describe", "./my.csv", "--json"))
    assert (task["kind"], task["target"]) == ("task", "classes")
    assert sum(n for split in task["data counts"].values() for n in split.values()) == 16
    drawn = json.loads(bench(monkeypatch, capsys, "describe", "findna-tiny@random:3", "--json"))
    assert (drawn["kind"], drawn["weights drawn with seed"], drawn["backbone"]) == ("encoder", 3, "chordmixer")
    assert "weights" not in drawn
    hub = bench(monkeypatch, capsys, "describe", "hf:acme/tiny@v1")
    assert "acme/tiny" in hub
    monkeypatch.setattr(sys, "argv", ["findna-bench", "describe", "my.csv"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "write ./my.csv" in capsys.readouterr().err
    with pytest.raises(UnknownNameError, match=r"write \./my\.csv"):
        resolve_task("my.csv")


def test_a_value_of_zero_is_a_value(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "max_n_frac: 0.0" in bench(monkeypatch, capsys, "describe", "findna-tiny")
