"""Pretraining: exact resume, whatever happens; several processes; folders that load."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from findna_bench import api as fb
from findna_bench.cards import Pretraining as ReadBefore
from findna_bench.cli import app
from findna_bench.errors import DataError, OutputError, UsageError, WeightsError
from findna_bench.models.loading import load_model
from findna_bench.requests.pretrain_request import PretrainRequest
from findna_bench.training.launch import choose_settings, pretrain
from findna_bench.training.pretrain_settings import PretrainSettings
from findna_bench.training.pretraining import Pretraining
from findna_bench.training.run_folder import ModelFolder
from findna_plugins.chordmixer import ChordMixer
from findna_plugins.objectives.self_distillation import SelfDistillation

SMALL = {"channels": 8, "track_size": 2, "hidden": 8, "layers": 1, "blocks_per_layer": 3}
WORKER = Path(__file__).with_name("ddp_worker.py")


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contigs of random sequence with a stretch of N."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    letters = ["".join(rng.choice(list("ACGT"), size=n)) for n in (6000, 3000)]
    letters[0] = letters[0][:2000] + "N" * 50 + letters[0][2000:]
    path.write_text("".join(f">c{i}\n{text}\n" for i, text in enumerate(letters)))
    return path


def settings(**changes: Any) -> PretrainSettings:
    values = {
        "objective": "self_distillation",
        "objective_options": {"n_cls": 2},
        "backbone": SMALL,
        "windows": 40,
        "window_length": 50,
        "validation_windows": 8,
        "batch_size": 8,
        "epochs": 3,
        "lr": 1e-2,
    }
    return PretrainSettings.of({**values, **changes}, "test")


def start(genome: Path, folder: Path, **options: Any) -> Any:
    changes, curves = options.pop("changes", {}), options.pop("curves", True)
    asked = PretrainRequest(model="chordmixer", output=folder, fasta=(genome,), device="cpu", log_every=2, **options)
    return pretrain(asked, settings(**changes), curves=curves)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_folder_loads_as_a_model_and_says_how_it_was_made(genome: Path, tmp_path: Path) -> None:
    report = start(genome, tmp_path / "m", curves=True)
    assert report.steps == 15
    rows = list(csv.DictReader((tmp_path / "m" / "log.csv").open()))
    assert [int(r["step"]) for r in rows if r["split"] == "validation"] == [5, 10, 15]
    assert {"mnm", "cl", "teacher_entropy", "student_entropy", "centre_norm"} <= rows[0].keys()
    assert (tmp_path / "m" / "curves.png").read_bytes()[:4] == b"\x89PNG"
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["status"] == "finished"
    assert record["pretraining"]["contigs"] == ["c0", "c1"]
    assert record["environment"]["versions"]["torch"]
    assert str(genome.parent) not in json.dumps(record)
    assert len((tmp_path / "m" / "windows.bed").read_text().splitlines()) == 40
    for network in ("teacher", "student"):
        model = fb.load_model(f"path:{tmp_path / 'm'}", network=network)
        stored = weights(tmp_path / "m")[f"{network}.embedding.weight"]
        assert torch.equal(model.backbone.embedding.weight, stored)
    assert fb.embed(fb.load_model(f"path:{tmp_path / 'm'}"), ["ACGTN", "AC"]).shape == (2, 8)


def test_training_windows_touch_no_validation_window(genome: Path, tmp_path: Path) -> None:
    start(genome, tmp_path / "m", changes={"steps": 1})
    train, held_out = (
        [line.split("\t") for line in (tmp_path / "m" / name).read_text().splitlines()]
        for name in ("windows.bed", "validation_windows.bed")
    )
    for contig, begin, end in held_out:
        assert not any(c == contig and int(b) < int(end) and int(e) > int(begin) for c, b, e in train)


def test_options_of_the_command_decide_where_windows_lie(genome: Path, tmp_path: Path) -> None:
    regions, exclude = tmp_path / "in.bed", tmp_path / "out.bed"
    regions.write_text("c0\t1500\t3500\nc1\t0\t1000\n")
    exclude.write_text("c0\t2500\t2600\n")
    sizes = [word for name, value in SMALL.items() for word in ("--set", f"backbone.{name}={value}")]
    words = [
        "chordmixer",
        "--objective",
        "masked_nucleotide",
        "--fasta",
        genome,
        "--regions",
        regions,
        "--exclude",
        exclude,
    ]
    words += ["--sampling", "length-weighted", "--max-n-frac", 0, "--windows", 300, "--window-length", 40, "--steps", 2]
    words += [
        "--validation-windows",
        20,
        "--batch-size",
        8,
        "--accumulate",
        2,
        "--seed",
        3,
        "--device",
        "cpu",
        "-q",
        "--json",
    ]
    done = CliRunner().invoke(app, ["pretrain", *map(str, words), *sizes, "-o", str(tmp_path / "m")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["steps"] == 2
    rows = [line.split("\t") for line in (tmp_path / "m" / "windows.bed").read_text().splitlines()]
    places = [(contig, int(begin), int(end)) for contig, begin, end in rows]
    assert len(places) == 300
    for contig, begin, end in places:
        assert end - begin == 40
        assert end <= 1000 if contig == "c1" else begin >= 1500 and end <= 3500
        assert contig == "c1" or end <= 2500 or begin >= 2600  # excluded
        assert contig == "c1" or end <= 2000 or begin >= 2050  # no N
    # By length c0's places are 1.8 times c1's; uniform sampling would draw from both alike.
    assert 0.57 < sum(contig == "c0" for contig, _, _ in places) / 300 < 0.72
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["pretraining"]["regions"] == [["c0", 1500, 3500], ["c1", 0, 1000]]
    assert record["pretraining"]["exclude"] == [["c0", 2500, 2600]]
    assert record["settings"]["sampling"] == "length-weighted"


def test_tensorboard_gets_what_the_log_gets(genome: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match="pip install tensorboard"):
        start(genome, tmp_path / "m", changes={"steps": 4}, tensorboard=True)
    assert not (tmp_path / "m" / "training.json").exists()
    written: list[tuple[str, int, float]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None: ...

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step, float(f"{value:.6g}")))

        def flush(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    start(genome, tmp_path / "m", changes={"steps": 4}, tensorboard=True)
    rows = list(csv.DictReader((tmp_path / "m" / "log.csv").open()))
    logged = {(f"{r['split']}/loss", int(r["step"]), float(r["loss"])) for r in rows}
    assert logged == {entry for entry in written if entry[0].endswith("/loss")}
    assert {step for _, step, _ in logged} == {2, 4}


class Stop(Exception):
    pass


def test_resume_is_exact_bit_by_bit(genome: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in an epoch, between reports, with dropout: weights, log and validation are those of one go."""
    changes = {"backbone": {**SMALL, "dropout": 0.2, "layer_dropout": 0.1}, "accumulate": 2}
    start(genome, tmp_path / "whole", changes=changes)
    one_step = Pretraining._one_step

    def interrupted(self: Pretraining, parts: Any) -> float:
        if self._step == 8:
            raise Stop
        return one_step(self, parts)

    monkeypatch.setattr(Pretraining, "_one_step", interrupted)
    with pytest.raises(Stop):
        start(genome, tmp_path / "parts", changes=changes, checkpoint_steps=7)
    monkeypatch.undo()
    report = start(genome, tmp_path / "parts", changes=changes)
    assert report.resumed_from == 7
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    logs = [list(csv.DictReader((tmp_path / name / "log.csv").open())) for name in ("whole", "parts")]
    timing = ("seconds", "sequences_per_second")
    assert [{k: v for k, v in r.items() if k not in timing} for r in logs[0]] == [
        {k: v for k, v in r.items() if k not in timing} for r in logs[1]
    ]
    assert not (tmp_path / "parts" / "checkpoint.pt").exists()
    assert start(genome, tmp_path / "parts", changes=changes).resumed_from == 15


def test_a_checkpoint_with_flipped_bits_is_refused(
    genome: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_step = Pretraining._one_step

    def interrupted(self: Pretraining, parts: Any) -> float:
        if self._step == 4:
            raise Stop
        return one_step(self, parts)

    monkeypatch.setattr(Pretraining, "_one_step", interrupted)
    with pytest.raises(Stop):
        start(genome, tmp_path / "m", checkpoint_steps=3)
    monkeypatch.undo()
    file = tmp_path / "m" / "checkpoint.pt"
    kept = file.read_bytes()
    for share in (0.1, 0.5, 0.9):
        place = int(share * len(kept))
        file.write_bytes(kept[:place] + bytes([kept[place] ^ 3]) + kept[place + 1 :])
        with pytest.raises(OutputError, match=r"damaged.*remove it to begin again"):
            start(genome, tmp_path / "m")
    file.write_bytes(kept)
    assert start(genome, tmp_path / "m").resumed_from == 3


def test_a_folder_holds_one_run(genome: Path, tmp_path: Path) -> None:
    start(genome, tmp_path / "m", changes={"steps": 2})
    with pytest.raises(UsageError, match=r"settings: lr was 0\.01, now 0\.02"):
        start(genome, tmp_path / "m", changes={"steps": 2, "lr": 0.02})
    with pytest.raises(UsageError, match="threads was 1, now 2"):
        start(genome, tmp_path / "m", changes={"steps": 2}, threads=2)
    first = weights(tmp_path / "m")
    record = tmp_path / "m" / "training.json"
    kept = record.read_text()
    assert set(json.loads(kept)["code"]) == {"backbone", "objective"}
    record.write_text(json.dumps({**json.loads(kept), "code": {"backbone": "of another day"}}))
    with pytest.raises(UsageError, match="by code of the backbone that has changed since; choose another --output"):
        start(genome, tmp_path / "m", changes={"steps": 2})
    start(genome, tmp_path / "m", changes={"steps": 2, "lr": 0.02}, overwrite=True)
    assert not same(first, weights(tmp_path / "m"))


def test_a_seed_decides_everything(genome: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        start(genome, tmp_path / name, changes={"steps": 3, "seed": seed})
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_micro_batches_give_the_gradient_of_the_whole_batch(genome: Path, tmp_path: Path) -> None:
    """The mean over micro-batches, not their sum: with plain masking of everything, division changes nothing but rounding."""
    options = {"objective": "masked_nucleotide", "objective_options": {"recipe": "M", "mask_ratio": 1.0}, "steps": 1}
    for parts in (1, 4):
        start(genome, tmp_path / str(parts), changes={**options, "accumulate": parts, "warmup": 0.0})
    one, four = weights(tmp_path / "1"), weights(tmp_path / "4")
    assert all(torch.allclose(one[name], four[name], atol=1e-5) for name in one)


def test_pretraining_goes_on_from_a_folder_and_on_a_tasks_train_rows(genome: Path, tmp_path: Path) -> None:
    start(genome, tmp_path / "m", changes={"steps": 2})
    rng = np.random.default_rng(1)
    table = tmp_path / "my.csv"
    rows = ["".join(rng.choice(list("ACGT"), size=n)) for n in rng.integers(30, 60, size=60)]
    table.write_text("sequence,label\n" + "".join(f"{s},{i % 2}\n" for i, s in enumerate(rows)))
    name = f"path:{tmp_path / 'm'}"
    asked = PretrainRequest(model=name, output=tmp_path / "n", on=str(table))
    report = pretrain(asked, settings(backbone={}, steps=2, batch_size=4), curves=False)
    assert report.steps == 2
    record = json.loads((tmp_path / "n" / "training.json").read_text())
    assert record["pretraining"]["split"] == "train"
    assert record["start"].startswith("sha256:")
    assert record["rows"] < 60
    moved = weights(tmp_path / "n")["student.embedding.weight"] - weights(tmp_path / "m")["teacher.embedding.weight"]
    assert 0 < float(moved.abs().max()) < 0.1


def test_a_folder_says_what_its_model_has_read_where_that_is_known(genome: Path, tmp_path: Path) -> None:
    def read(model: str, folder: str, **data: Any) -> ReadBefore | None:
        changes = {} if model == "chordmixer" else {"backbone": {}}
        asked = PretrainRequest(model=model, output=tmp_path / folder, device="cpu", **data)
        pretrain(asked, settings(steps=1, **changes), curves=False)
        return load_model(f"path:{tmp_path / folder}", device="cpu").card.pretraining

    named = tmp_path / "named.fa"
    named.write_text(genome.read_text().replace(">c", ">chr"))
    some: dict[str, Any] = {"fasta": (named,), "contigs": ("chr0", "chr1"), "assembly": "GRCh37"}
    known = read("chordmixer", "m", **some)
    assert known == ReadBefore(assemblies=("GRCh37",), chromosomes=("chr0", "chr1"))
    as_another = load_model("findna-tiny", weights=tmp_path / "m", config=SMALL, device="cpu").card.pretraining
    assert as_another == known, "a folder knows better than the card it is given for"
    scaffolds = read("chordmixer", "scaffolds", fasta=(genome,), assembly="GRCh37")
    assert scaffolds == ReadBefore(assemblies=("GRCh37",)), "names that are no chromosomes' stand for all"
    bed = tmp_path / "part.bed"
    bed.write_text("chr0\t100\t2900\n")
    part = read("chordmixer", "part", fasta=(named,), regions=bed, assembly="GRCh37")
    assert part is not None
    assert part.regions == (("chr0", 100, 2900),)
    further = read(f"path:{tmp_path / 'm'}", "further", on="demo/human_vs_shuffled")
    assert further is not None
    assert further.chromosomes == ("chr0", "chr1")
    assert "train rows of demo/human_vs_shuffled" in further.note
    assert part.followed_by(ReadBefore(assemblies=("GRCh37",), chromosomes=())).regions == part.regions
    assert not part.followed_by(ReadBefore(note="nobody knows")).assemblies
    assert read("chordmixer", "unnamed", fasta=(genome,)) is None
    assert read(f"path:{tmp_path / 'unnamed'}", "unknown", **some) is None, "its start may have read anything"
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["findna_bench"]["pretraining"]["assemblies"] = "GRCh37"
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="does not say what was read"):
        load_model(f"path:{tmp_path / 'm'}", device="cpu")


def test_settings_come_from_preset_then_changes() -> None:
    paper, name = choose_settings("findna", changes={"epochs": 2, "lr": None, "objective_options": {"alpha": 0.9}})
    assert name == "findna-paper"
    assert (paper.epochs, paper.lr, paper.batch_size, paper.warmup) == (2, 3e-4, 64, 0.3)
    assert paper.objective_options == {"alpha": 0.9}
    other, _ = choose_settings("findna", objective="masked_nucleotide")
    assert other.objective == "masked_nucleotide"
    with pytest.raises(UsageError, match="--objective"):
        choose_settings("chordmixer")
    with pytest.raises(UsageError, match="learning_rate"):
        choose_settings("findna", changes={"learning_rate": 1})
    with pytest.raises(UsageError, match="preset"):
        choose_settings("findna", preset="nonsense")


def test_wrong_input_is_one_sentence(genome: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of the two"):
        PretrainRequest(model="chordmixer", output=tmp_path / "m")
    with pytest.raises(UsageError, match="do not fill one batch"):
        start(genome, tmp_path / "m", changes={"windows": 5})
    with pytest.raises(DataError):
        start(tmp_path / "no.fa", tmp_path / "m")
    with pytest.raises(UsageError, match="cannot be divided"):
        settings(accumulate=3)


def _command(genome: Path, folder: Path) -> list[str]:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); import test_pretrain as t; "
        "t.start(Path(sys.argv[1]), Path(sys.argv[2]), changes={'steps': 150}, checkpoint_steps=5)"
    )
    return [sys.executable, "-c", code, str(genome), str(folder), str(Path(__file__).parent)]


@pytest.mark.long
def test_killed_at_any_moment_it_goes_on_from_the_last_checkpoint(genome: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    process = subprocess.Popen(_command(genome, folder), env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 240
    while not (folder / "checkpoint.pt").is_file() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "config.json").exists()
    report = start(genome, folder, changes={"steps": 150}, checkpoint_steps=5)
    assert 5 <= report.resumed_from < 150
    assert report.resumed_from % 5 == 0
    start(genome, tmp_path / "whole", changes={"steps": 150})
    assert same(weights(folder), weights(tmp_path / "whole"))


@pytest.mark.long
def test_killed_while_a_checkpoint_is_written_the_one_before_counts(genome: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    code = """
import os, signal, sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_pretrain as t
save, number = torch.save, 0
def half(state, stream):
    global number
    number += 1
    if number < 2:
        return save(state, stream)
    stream.write(b"PK" + bytes(1000))
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
torch.save = half
t.start(Path(sys.argv[1]), Path(sys.argv[2]), changes={"steps": 20}, checkpoint_steps=5)
"""
    words = [sys.executable, "-c", code, str(genome), str(folder), str(Path(__file__).parent)]
    done = subprocess.run(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(folder.glob(".checkpoint.pt.*.part"))
    report = start(genome, folder, changes={"steps": 20}, checkpoint_steps=5)
    assert report.resumed_from == 5
    start(genome, tmp_path / "whole", changes={"steps": 20})
    assert same(weights(folder), weights(tmp_path / "whole"))
    assert not list(folder.glob("*.part")) + list(folder.glob(".*.part"))


def run_ranks(genome: Path, folder: Path) -> dict[str, Any]:
    """Train as ``torchrun`` would; every rank writes the state of its objective."""
    from findna_bench.sequences.genome import Genome
    from findna_bench.training.corpus import GenomeWindows
    from findna_bench.training.ranks import process_group

    torch.set_num_threads(1)
    with process_group(torch.device("cpu")) as ranks:
        torch.manual_seed(ranks.rank)  # processes that differ at first must agree after the broadcast
        packed = Genome.open([genome], folder / f"cache{ranks.rank}")
        manifest = packed.draw(40, 50, np.random.default_rng(0))
        torch.manual_seed(0 if ranks.first else 99)
        objective = SelfDistillation(ChordMixer(**SMALL), n_cls=2)
        training = Pretraining(
            objective,
            GenomeWindows(packed, manifest),
            None,
            settings(accumulate=2, steps=4),
            folder / "run",
            model=ModelFolder(backbone="chordmixer", config=SMALL),
            ranks=ranks,
            curves=False,
            log_every=1,
        )
        training.run()
        torch.save(objective.state_dict(), folder / f"rank{ranks.rank}.pt")
    return dict(objective.state_dict())


@pytest.mark.long
def test_two_processes_equal_one_with_the_same_global_batch(genome: Path, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(WORKER)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(genome), str(tmp_path / "two")], env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alone = run_ranks(genome, tmp_path / "one")
    ranks = [torch.load(tmp_path / "two" / f"rank{i}.pt", weights_only=True) for i in range(2)]
    assert torch.equal(ranks[0]["centre.value"], ranks[1]["centre.value"])
    assert bool(alone["centre.value"].any())
    for name, value in alone.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        assert torch.allclose(value, ranks[0][name], atol=1e-5), name
    logs = [list(csv.DictReader((tmp_path / n / "run" / "log.csv").open())) for n in ("one", "two")]
    for one, two in zip(*logs, strict=True):
        assert float(one["loss"]) == pytest.approx(float(two["loss"]), rel=1e-4)


def test_windows_that_have_no_place_are_told_why(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "g.fa").write_text(f">1\n{''.join(rng.choice(list('ACGT'), 3000))}\n")
    (tmp_path / "part.bed").write_text("chr1\t0\t500\n")
    options: dict[str, Any] = {"objective": "masked_nucleotide", "set": {f"backbone.{k}": v for k, v in SMALL.items()}}

    def sentence(**changes: Any) -> str:
        with pytest.raises(DataError) as error:
            fb.pretrain("chordmixer", tmp_path / "out", fasta=tmp_path / "g.fa", device="cpu", **options, **changes)
        return str(error.value)

    assert "--validation-windows asks for fewer" in sentence(window_length=1000)
    assert "there are 2,001 places" in sentence(window_length=1000, windows=5000, validation_windows=0)
    assert "the longest of them has 500" in sentence(window_length=501, regions=tmp_path / "part.bed")
    (tmp_path / "all.bed").write_text("1\t0\t3000\n")
    assert "exclude less" in sentence(window_length=600, validation_windows=0, exclude=tmp_path / "all.bed")


def test_a_backbone_with_tokens_of_its_own_is_not_trained_on_codes_of_bases(
    genome: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take them for tokens of its own, and learn nonsense without a word."""

    def shifted(self: ChordMixer, sequences: list[str]) -> fb.TokenBatch:
        batch = usual(self, sequences)
        return replace(batch, inputs=batch.inputs + 1)

    usual = ChordMixer.tokenize
    monkeypatch.setattr(ChordMixer, "tokenize", shifted)
    with pytest.raises(UsageError, match="backbone 'chordmixer' cannot be trained by objective 'self_distillation'"):
        start(genome, tmp_path / "m", changes={"steps": 2})
