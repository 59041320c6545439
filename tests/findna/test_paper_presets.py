"""The preset of the FinDNA paper, row by row: its section 4.3 and the tables of the authors' config_gb.yaml and config_gue.yaml."""

from __future__ import annotations

import pytest
import torch

from findna_bench.models.loading import count_parameters
from findna_bench.registry import get_registry
from findna_plugins.chordmixer import REFERENCE_ADAPTATIONS, ChordMixer
from findna_plugins.paper_presets import PRESETS

# How the authors cut the network: longest sequence, channels of a track, blocks of a layer, layers.
CUTS = """
human_nontata_promoters             251 50  8 4
human_enhancers_cohn                500 40  9 3
demo_human_or_worm                  200 50  8 4
dummy_mouse_enhancers_ensembl      4776 24 13 2
demo_coding_vs_intergenomic_seqs    200 38  8 2
human_enhancers_ensembl             573 40 10 3
human_ensembl_regulatory            802 36 10 4
human_ocr_ensembl                   593 30 10 2
emp_H3                              500 38  9 4
emp_H3K4me2                         500 38  9 4
emp_H3K4me3                         500 38  9 4
emp_H3K14ac                         500 38  9 4
emp_H4                              500 40  9 4
emp_H3K4me1                         500 40  9 4
emp_H3K36me3                        500 40  9 4
emp_H4ac                            500 40  9 4
emp_H3K79me3                        500 40  9 4
emp_H3K9ac                          500 40  9 4
virus_covid                         999 28 10 4
mtcdna-1024                        1024 28 10 4
mtcdna-4096                        4096 24 12 4
mtcdna-8192                        8192 22 13 4
mtcdna-16384                      16384 20 14 4
"""
# Parameters of the encoder cut so, and a classifier of two or three classes on top, in millions.
MILLIONS = {
    "human_nontata_promoters": 10.12, "human_enhancers_cohn": 8.54, "demo_human_or_worm": 10.12, "dummy_mouse_enhancers_ensembl": 8.22,
    "demo_coding_vs_intergenomic_seqs": 5.06, "human_enhancers_ensembl": 9.49, "human_ensembl_regulatory": 12.65, "human_ocr_ensembl": 6.33,
    "emp_H3": 11.39, "emp_H4": 11.39, "virus_covid": 12.65, "mtcdna-1024": 12.65, "mtcdna-4096": 15.18, "mtcdna-8192": 16.45, "mtcdna-16384": 17.71,
}  # fmt: skip
# data set: longest sequence, batch, learning rate, epochs, warm-up, dropouts of the MLP and of layers, classes' score, weight decay
TABLE = """
genomic_benchmarks/human_nontata_promoters            251 1024 5e-3 200 .3 0  0  accuracy .1
genomic_benchmarks/human_enhancers_cohn               500 1024 1e-3  50 .1 .3 .3 accuracy .1
genomic_benchmarks/demo_human_or_worm                 200 1024 5e-4 100 .3 .2 .2 accuracy .1
genomic_benchmarks/dummy_mouse_enhancers_ensembl     4776  128 5e-4 150 .3 0  0  accuracy .1
genomic_benchmarks/demo_coding_vs_intergenomic_seqs   200 1024 5e-4  30 .3 .2 .1 accuracy .1
genomic_benchmarks/human_enhancers_ensembl            573  512 1e-3  80 .2 0  0  accuracy .1
genomic_benchmarks/human_ensembl_regulatory           802  512 1e-4  50 .2 .1 .1 accuracy .1
genomic_benchmarks/human_ocr_ensembl                  593  256 3e-4  50 .3 .3 .3 accuracy .1
gue/emp_H3                                            500   32 5e-4  20 .3 .1 .1 main     .1
gue/emp_H3K14ac                                       500   32 5e-4  20 .3 .1 .1 main     .1
gue/emp_H3K36me3                                      500   32 5e-4  20 .3 0  0  main     .1
gue/emp_H3K4me1                                       500   32 5e-4  20 .3 0  0  main     .1
gue/emp_H3K4me2                                       500   32 5e-4  20 .3 .1 .1 main     .1
gue/emp_H3K4me3                                       500   32 5e-4  20 .3 .1 .1 main     .1
gue/emp_H3K79me3                                      500   32 5e-4  20 .3 0  0  main     .1
gue/emp_H3K9ac                                        500   32 5e-4  20 .3 0  0  main     .1
gue/emp_H4                                            500   32 5e-4  20 .3 .1 .1 main     .1
gue/emp_H4ac                                          500   32 5e-4  20 .3 0  0  main     .1
gue/virus_covid                                       999  256 1e-3 100 .3 .1 .1 accuracy .01
mtcdna/mtcdna-1024                                   1024   16 1e-4  80 .2 .1 .1 accuracy .1
mtcdna/mtcdna-4096                                   4096   16 1e-4  50 .2 .1 .1 accuracy .1
mtcdna/mtcdna-8192                                   8192   16 1e-4  50 .2 .1 .1 accuracy .1
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
(PAPER,) = (preset for preset in PRESETS if preset.name == "findna-paper")


def test_every_task_of_the_paper_has_a_row() -> None:
    assert sorted(PAPER.tasks) == sorted(row[0] for row in ROWS)
    for name in PAPER.tasks:
        get_registry().resolve("tasks", name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_settings_are_those_of_the_authors(row: list[str]) -> None:
    task, length, batch, lr, epochs, warmup, mlp, layers, monitor, decay = row
    found = {**PAPER.settings, **PAPER.tasks[task]}
    assert {name: found[name] for name in ("clip", "schedule", "decay_biases")} == {
        "clip": 0.5, "schedule": "cosine", "decay_biases": True,
    }  # fmt: skip
    asked = ("max_length", "batch_size", "lr", "epochs", "warmup", "monitor", "weight_decay")
    expected = (int(length), int(batch), float(lr), int(epochs), float(warmup), monitor, float(decay))
    assert tuple(found[name] for name in asked) == expected
    assert found["backbone"]["chordmixer"] == {
        "adapt": "reference", "task": task.partition("/")[2], "dropout": float(mlp), "layer_dropout": float(layers),
        "padding": "authors", "padded_length": int(length),
    }  # fmt: skip
    assert bool(found.get("drop_last")) == task.startswith("gue/")


def test_the_network_is_cut_as_in_the_authors_scripts() -> None:
    rows = {name: list(map(int, numbers)) for name, *numbers in map(str.split, CUTS.strip().splitlines())}
    found = {
        name: [cut[of] for of in ("length", "track_size", "blocks_per_layer", "layers")]
        for name, cut in REFERENCE_ADAPTATIONS.items()
    }
    assert found == rows
    for name, millions in MILLIONS.items():
        with torch.device("meta"):
            network = ChordMixer(adapt="reference", task=name)
        assert round((count_parameters(network) + 2 * 309) / 1e6, 2) == millions, name
        assert (network.track_size, network.blocks_per_layer, network.layers_count) == tuple(rows[name][1:])
