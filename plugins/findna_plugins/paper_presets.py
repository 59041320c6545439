"""Settings of the FinDNA paper for probing and fine-tuning, task by task. Data only.

Where the paper is silent, the released configuration files speak (``config_gb.yaml``, ``config_gue.yaml`` of the authors'
repository at e3e72f1). Not followed: rows of other lengths than the data set's are kept, and precision is the run's, not fp16.
The authors chose on the test split of GenomicBenchmarks; that needs ``--selection test`` and is then marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from findna_bench.cards import PresetCard

__all__ = ["PRESETS"]

_PAPER = "arXiv 2405.08538; github.com/wiedersehne/FinDNA at e3e72f1"


def _task(
    name: str,
    batch_size: int,
    lr: float,
    epochs: int,
    warmup: float,
    drop: tuple[float, float],
    *,
    length: int,
    padded: bool = True,
    **settings: Any,
) -> Mapping[str, Any]:
    """One row of the authors' tables. drop: in the MLP, and of whole layer outputs; length: bases rows are padded to."""
    backbone: dict[str, Any] = {
        "adapt": "reference",
        "task": name,
        "dropout": drop[0],
        "layer_dropout": drop[1],
        "padding": "authors" if padded else "own-length",
    }
    if padded:
        backbone["padded_length"] = length
    return {
        "batch_size": batch_size,
        "lr": lr,
        "epochs": epochs,
        "warmup": warmup,
        "max_length": length,
        "backbone": {"chordmixer": backbone},
        **settings,
    }


_GENOMIC_BENCHMARKS = {
    # task: batch, learning rate, epochs, warm-up, dropouts, longest sequence
    "human_nontata_promoters": (1024, 5e-3, 200, 0.3, (0.0, 0.0), 251),
    "human_enhancers_cohn": (1024, 1e-3, 50, 0.1, (0.3, 0.3), 500),
    "demo_human_or_worm": (1024, 5e-4, 100, 0.3, (0.2, 0.2), 200),
    "dummy_mouse_enhancers_ensembl": (128, 5e-4, 150, 0.3, (0.0, 0.0), 4776),
    "demo_coding_vs_intergenomic_seqs": (1024, 5e-4, 30, 0.3, (0.2, 0.1), 200),
    "human_enhancers_ensembl": (512, 1e-3, 80, 0.2, (0.0, 0.0), 573),
    "human_ensembl_regulatory": (512, 1e-4, 50, 0.2, (0.1, 0.1), 802),
    "human_ocr_ensembl": (256, 3e-4, 50, 0.3, (0.3, 0.3), 593),
}

_EMP_WITH_DROPOUT = ("H3", "H3K4me2", "H3K4me3", "H3K14ac", "H4")
_EMP_WITHOUT = ("H3K4me1", "H3K36me3", "H4ac", "H3K79me3", "H3K9ac")

_MTCDNA = {"mtcdna-1024": (1024, 80), "mtcdna-4096": (4096, 50), "mtcdna-8192": (8192, 50)}


def _finetune_tasks() -> dict[str, Mapping[str, Any]]:
    tasks: dict[str, Mapping[str, Any]] = {}
    for name, (batch, lr, epochs, warmup, drop, length) in _GENOMIC_BENCHMARKS.items():
        tasks[f"genomic_benchmarks/{name}"] = _task(
            name, batch, lr, epochs, warmup, drop, length=length, monitor="accuracy"
        )
    gue: dict[str, Any] = {"drop_last": True, "monitor": "main"}
    for marks, drop in ((_EMP_WITH_DROPOUT, (0.1, 0.1)), (_EMP_WITHOUT, (0.0, 0.0))):
        for mark in marks:
            tasks[f"gue/emp_{mark}"] = _task(f"emp_{mark}", 32, 5e-4, 20, 0.3, drop, length=500, **gue)
    covid: dict[str, Any] = {
        "drop_last": True,
        "monitor": "accuracy",
        "weight_decay": 0.01,
    }  # their F1 was micro-averaged: accuracy
    tasks["gue/virus_covid"] = _task("virus_covid", 256, 1e-3, 100, 0.3, (0.1, 0.1), length=999, **covid)
    for name, (length, epochs) in _MTCDNA.items():
        row = _task(name, 16, 1e-4, epochs, 0.2, (0.1, 0.1), length=length, monitor="accuracy")
        tasks[f"mtcdna/{name}"] = row
    return tasks


PRESETS = (
    PresetCard(
        name="small",
        protocol="finetune",
        settings={"lr": 1e-3, "epochs": 10, "min_steps": 300},
        summary="fine-tuning of networks of some million parameters at most, or of untrained ones: learning rate 1e-3",
        reference="most rates of the FinDNA authors' tables (config_gb.yaml, config_gue.yaml) lie between 3e-4 and 5e-3",
    ),
    PresetCard(
        name="small-short",
        protocol="finetune",
        settings={"lr": 1e-3, "epochs": 10, "min_steps": 300, "max_steps": 300},
        summary="as small, but 300 steps, whatever the number of rows: for comparisons on a CPU",
    ),
    PresetCard(
        name="findna-paper-inferred",
        protocol="probe",
        settings={
            "method": "adamw",
            "lr": 0.01,
            "weight_decay": 0.1,
            "batch_size": 1024,
            "epochs": 50,
            "warmup": 0.3,
            "standardise": False,
        },
        summary="linear layer by AdamW with the paper's section 4.3 values; no probing code was released, so inferred",
        reference=_PAPER,
    ),
    PresetCard(
        name="findna-paper",
        protocol="finetune",
        settings={"weight_decay": 0.1, "decay_biases": True, "clip": 0.5, "schedule": "cosine"},
        tasks=_finetune_tasks(),
        listed_only=True,
        summary="the authors' fine-tuning table per task; network re-cut per task as in their scripts (FinDNA only)",
        reference=_PAPER,
    ),
)
