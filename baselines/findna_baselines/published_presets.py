"""Fine-tuning settings of published baselines, task by task. Data only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from findna_bench.cards import PresetCard

__all__ = ["PRESETS"]

_MARKS = ("H3", "H3K14ac", "H3K36me3", "H3K4me1", "H3K4me2", "H3K4me3", "H3K79me3", "H3K9ac", "H4", "H4ac")


def _tasks() -> dict[str, Mapping[str, Any]]:
    table: dict[str, Mapping[str, Any]] = {}

    def add(names: Iterable[str], tokens: int, epochs: int, every: int, warmup_steps: int, **settings: Any) -> None:
        for name in names:
            table[f"gue/{name}"] = {
                "max_tokens": tokens,
                "epochs": epochs,
                "validate_every": every,
                "warmup_steps": warmup_steps,
                **settings,
            }

    add((f"emp_{mark}" for mark in _MARKS), 128, 3, 200, 50)
    add(("prom_core_all", "prom_core_notata"), 20, 4, 400, 50)
    add(("prom_core_tata",), 20, 10, 200, 50)
    add(("prom_300_all", "prom_300_notata"), 70, 4, 400, 50)
    add(("prom_300_tata",), 70, 10, 200, 50)
    add(("splice_reconstructed",), 80, 5, 200, 50)
    add(("virus_covid",), 256, 8, 200, 50)
    add((f"mouse_{n}" for n in range(5)), 30, 5, 200, 30, min_steps=1000, max_steps=1000)
    add((f"tf_{n}" for n in range(5)), 30, 3, 200, 30)
    return table


PRESETS = (
    PresetCard(
        name="gue-dnabert2",
        protocol="finetune",
        settings={
            "lr": 3e-5,
            "weight_decay": 0.01,
            "schedule": "linear",
            "clip": 1.0,
            "batch_size": 32,
            "head": "pooler",
            "head_dropout": 0.1,
            "pooling": "cls",
            "monitor": "loss",
        },
        tasks=_tasks(),
        listed_only=True,
        summary="DNABERT-2's GUE script: steps, token lengths, best checkpoint by validation loss; batch of 32 on all tasks",
        reference=(
            "github.com/MAGICS-LAB/DNABERT_2, finetune/scripts/run_dnabert2.sh at 7d569d730fd0934ff4b68ba33ab01340bf4569e5 (8 rows "
            "on each of 4 devices; for covid the script says 32 per device, the paper 32), defaults of finetune/train.py"
        ),
    ),
)
