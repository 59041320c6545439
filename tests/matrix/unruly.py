"""A plugin whose models count their fits, are slow, die, hang, or want more memory than there is.

It is installed into a folder of its own by the fixture ``unruly``. A sequence that starts with :data:`MARK` in the train rows
is what makes the bad ones misbehave, so that one task is hit and the others are not.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from findna_bench.cards import BackboneCard, ExecutorCard, ModelCard, PresetCard, hookimpl

MARK = "ACGTACGTACGT"
HOWS = ("segfault", "killed", "hang", "raises", "exits", "memory", "leaves-a-child")


@hookimpl
def findna_bench_models() -> list[ModelCard]:
    bad = [
        ModelCard(name=how, kind="classifier", factory="unruly:Unruly", config={"how": how}, protocols=("probe",))
        for how in HOWS
    ]
    hungry = [
        ModelCard(name=name, kind="encoder", backbone="hungry", config={"rows": rows}, pooling_source="its author")
        for name, rows in (("hungry", 3), ("frugal", 1000), ("starving", 0))
    ]
    return [
        ModelCard(name="steady", kind="classifier", factory="unruly:Steady", protocols=("probe",)),
        ModelCard(name="letters", kind="features", factory="unruly:Letters", protocols=("probe", "knn")),
        ModelCard(name="steady-too", kind="classifier", factory="unruly:Steady", protocols=("probe",)),
        ModelCard(name="meets", kind="classifier", factory="unruly:Meets", protocols=("probe",)),
        ModelCard(name="meets-too", kind="classifier", factory="unruly:Meets", protocols=("probe",)),
        *bad,
        *hungry,
    ]


@hookimpl
def findna_bench_backbones() -> list[BackboneCard]:
    return [BackboneCard(name="hungry", factory="unruly_network:Hungry")]


@hookimpl
def findna_bench_presets() -> list[PresetCard]:
    choosy = {"rates": (1.0, 10.0, 0.1), "trial_steps": 3, "batch_size": 8, "epochs": 2}
    return [
        PresetCard(name="brief", protocol="finetune", settings={"lr": 0.01, "batch_size": 8, "epochs": 2}),
        PresetCard(name="choosy", protocol="finetune", settings=choosy),
    ]


@hookimpl
def findna_bench_executors() -> list[ExecutorCard]:
    return [ExecutorCard(name=name, factory=f"unruly:{name}") for name in ("forgetful", "repetitive")]


def forgetful(jobs: Any, report: Any) -> Any:
    """Runs the first job and no other."""
    from findna_bench.api import run_job

    return run_job(jobs[0].to_json(), report)


def repetitive(jobs: Any, report: Any) -> Any:
    return [settled for settled in forgetful(jobs, report) for _ in range(2)]


class Steady:
    """Compares the share of G and C with the train rows' classes; writes down every fit."""

    varies: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    def fit(self, train: Any, validation: Any, seed: int, n_classes: int) -> None:
        time.sleep(float(os.environ.get("UNRULY_SLEEP", "0")))
        print("a word on standard output")
        content = hashlib.sha256("\n".join(sorted([*train.sequences, *validation.sequences])).encode()).hexdigest()
        note(f"{content[:12]} {seed}")
        self.means = [
            sum(map(share, rows)) / len(rows)
            for label in range(n_classes)
            for rows in ([s for s, y in zip(train.sequences, train.labels, strict=True) if y == label],)
        ]
        self.settings = {"means": self.means}

    def predict_scores(self, table: Any) -> Any:
        import numpy as np

        distance = np.array([[abs(share(s) - mean) for mean in self.means] for s in table.sequences])
        closeness = np.exp(-20 * distance)
        return closeness / closeness.sum(axis=1, keepdims=True)


class Letters:
    """Shares of the four bases."""

    settings: ClassVar[dict[str, Any]] = {}
    varies: ClassVar[tuple[str, ...]] = ()

    def fit(self, train: Any, validation: Any, seed: int, n_classes: int) -> None:
        note(f"letters {seed}")

    def transform(self, table: Any) -> Any:
        import numpy as np

        return np.array([[s.count(base) / len(s) for base in "ACGT"] for s in table.sequences], dtype=np.float32)


class Unruly(Steady):
    """As :class:`Steady`, but where the mark is."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def fit(self, train: Any, validation: Any, seed: int, n_classes: int) -> None:
        if any(sequence.startswith(MARK) for sequence in train.sequences):
            self.misbehave()
        super().fit(train, validation, seed, n_classes)

    def misbehave(self) -> None:
        note(f"pid {os.getpid()}")
        if self.how == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "hang":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # not even asked politely
            time.sleep(3600)
        elif self.how == "raises":
            raise RuntimeError("no idea")
        elif self.how == "exits":
            sys.exit(3)
        elif self.how == "memory":
            raise MemoryError("not enough memory for this task")
        elif self.how == "leaves-a-child":
            if (pid := os.fork()) == 0:
                time.sleep(3600)
            note(f"pid {pid}")
            os.kill(os.getpid(), signal.SIGSEGV)


class Meets(Steady):
    """As :class:`Steady`, once another process is at the same."""

    def fit(self, train: Any, validation: Any, seed: int, n_classes: int) -> None:
        note(f"pid {os.getpid()}")
        end = time.monotonic() + 200
        while len(set(Path(os.environ["UNRULY_LOG"]).read_text().splitlines())) < 2:
            if time.monotonic() > end:
                raise RuntimeError("nobody else is at work")
            time.sleep(0.01)
        super().fit(train, validation, seed, n_classes)


def share(sequence: str) -> float:
    return (sequence.count("G") + sequence.count("C")) / len(sequence)


def note(text: str) -> None:
    """Append a line to the log in one write, whatever other processes do."""
    path = os.environ.get("UNRULY_LOG")
    if path:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{text}\n".encode())
        os.close(descriptor)
