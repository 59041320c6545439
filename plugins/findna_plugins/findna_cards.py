"""Cards of FinDNA, FinDNA-T and CM-MNM: their backbones, objectives, augmentations and models. No torch here."""

from __future__ import annotations

from findna_bench.cards import (
    AugmentationCard,
    BackboneCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    Pretraining,
    PublishedFineTuning,
    WeightsSource,
)

__all__ = ["AUGMENTATIONS", "BACKBONES", "MODELS", "OBJECTIVES", "PRETRAINING_PRESETS"]

PAPER = "Yu et al., Self-distillation improves DNA sequence inference, arXiv 2405.08538"
UPSTREAM = "https://github.com/wiedersehne/FinDNA (e3e72f1)"

BACKBONES = (
    BackboneCard(
        name="chordmixer",
        factory="findna_plugins.chordmixer:ChordMixer",
        summary="MLP over channels, then a rotation of channel tracks over positions; one token per base",
        reference="Khalitov et al., arXiv 2206.05852; " + PAPER,
    ),
    BackboneCard(
        name="transformer",
        factory="findna_plugins.transformer:Transformer",
        summary="bidirectional pre-norm Transformer over bases, learned positions (FinDNA-T); gated attention as option",
        reference=PAPER + ", Table 1; " + UPSTREAM,
    ),
)

OBJECTIVES = (
    ObjectiveCard(
        name="self_distillation",
        factory="findna_plugins.objectives.self_distillation:SelfDistillation",
        summary="masked nucleotides, and [CLS] tokens of two views compared between a student and its moving average",
        reference=PAPER + ", equations 1 to 9",
    ),
    ObjectiveCard(
        name="masked_nucleotide",
        factory="findna_plugins.objectives.masked_nucleotide:MaskedNucleotide",
        summary="masked nucleotides alone (CM-MNM)",
        reference=PAPER + ", equations 2 and 3",
    ),
)

_PAPER_SETTINGS = {
    "windows": 100_000,
    "window_length": 1000,
    "sampling": "uniform-chromosome",
    "epochs": 50,
    "batch_size": 64,
    "lr": 3e-4,
    "weight_decay": 3e-4,
    "decay_biases": True,
    "clip": 0.5,
    "warmup": 0.3,
    "schedule": "cosine",
}

PRETRAINING_PRESETS: tuple[PresetCard, ...] = (
    PresetCard(
        name="findna-paper",
        protocol="pretrain",
        settings={**_PAPER_SETTINGS, "objective": "self_distillation"},
        summary="the paper's equations read literally; learning rate, decay, batch and clipping are the released code's",
        reference=PAPER,
    ),
    PresetCard(
        name="findna-released-code",
        protocol="pretrain",
        settings={
            **_PAPER_SETTINGS,
            "epochs": 30,
            "objective": "self_distillation",
            "objective_options": {
                "recipe": "reference",
                "translocation_maximum": 20,
                "mask_scheme": "bert_80_10_10",
                "mnm_loss": "bce",
                "mnm_temperature": 0.1,
                "mnm_reduction": "mean",
                "cl_softmax": "channels",
                "cl_space": "head",
                "cl_reduction": "mean",
                "centre_momentum": 0.9,
                "static": True,
            },
        },
        summary="what the released code does where that is possible, at truly masked positions",
        reference=UPSTREAM,
    ),
    PresetCard(
        name="cm-mnm",
        protocol="pretrain",
        settings={**_PAPER_SETTINGS, "objective": "masked_nucleotide"},
        summary="as findna-paper without self-distillation",
        reference=PAPER + ", ablation CM-MNM",
    ),
)

_TINY_PRESET = PresetCard(
    name="findna-tiny",
    protocol="pretrain",
    settings={
        "objective": "self_distillation",
        "objective_options": {
            "alpha": 0.9,
            "mnm_reduction": "mean",
            "cl_reduction": "mean",
            "teacher_momentum": 0.99,
            "translocation_maximum": 20,
        },
        "windows": 20_800,
        "window_length": 500,
        "sampling": "length-weighted",
        "max_n_frac": 0.0,
        "validation_windows": 400,
        "epochs": 1,
        "batch_size": 16,
        "lr": 3e-3,
        "weight_decay": 1e-2,
        "decay_biases": True,
        "clip": 1.0,
        "warmup": 0.1,
        "schedule": "cosine",
    },
    summary="self-distillation with normalised losses, nine tenths of the weight on masked nucleotides, a faster teacher",
    reference="chosen on validation loss in short trials; the paper's equations, not its weights",
)
PRETRAINING_PRESETS += (_TINY_PRESET,)

EVOAUG = "Lee et al., EvoAug, Genome Biology 24:105 (2023); parameters of arXiv 2405.08538"

AUGMENTATIONS = tuple(
    AugmentationCard(
        name=name,
        aliases=aliases,
        factory=f"findna_plugins.augmentations:{factory}",
        summary=summary,
        reference=EVOAUG,
    )
    for name, aliases, factory, summary in (
        ("deletion", ("D",), "Deletion", "cut 0 to 20 bases, fill both ends with random bases"),
        ("insertion", ("I",), "Insertion", "insert 0 to 20 random bases, crop to the length"),
        (
            "translocation",
            ("T",),
            "Translocation",
            "swap the two parts at a random breakpoint; or roll by 0 to N bases either way",
        ),
        ("noise", ("N",), "Noise", "add N(0, 0.2) to all five channels"),
        ("reverse-complement", ("R",), "ReverseComplement", "the other strand, with probability 0.5"),
        ("masking", ("M", "mask"), "Masking", "blank 30 % of the positions"),
    )
)

FINETUNING = PublishedFineTuning(
    learning_rate=5e-4,
    source="config_gb.yaml and config_gue.yaml, github.com/wiedersehne/FinDNA at e3e72f1",
    optimizer={"weight_decay": 0.1, "clip": 0.5, "schedule": "cosine"},
    note="a rate for each task, from 1e-4 to 5e-3, of which this is the median; batches of 16 to 1024, 20 to 200 epochs",
)
"""The preset ``findna-paper`` has the whole table."""

FINDNA_SIZES = {"channels": 308, "track_size": 28, "hidden": 512, "layers": 4, "blocks_per_layer": 10}

MODELS = (
    ModelCard(
        name="findna",
        kind="encoder",
        backbone="chordmixer",
        config=FINDNA_SIZES,
        summary="ChordMixer pretrained by self-distillation on 100,000 human windows",
        weights=(
            WeightsSource(
                url="https://github.com/wiedersehne/FinDNA/raw/e3e72f1abc898e42fb922a940590f6d271d5d7bb/"
                "model_29_1000_4l_308_512_noiseandTL.pt",
                files=("model_29_1000_4l_308_512_noiseandTL.pt",),
                git_blob="b3db14980cbf0853cd6d01034b141cfa0f654930",
                licence="none stated upstream",
            ),
        ),
        networks=("teacher", "student"),
        pooling="mean",
        pooling_source="wiedersehne/FinDNA: mean over positions of the mixer output",
        n_parameters=12_650_328,
        paper=PAPER,
        licence_code="Apache-2.0",
        licence_weights="none stated upstream",
        notes=("authors' release: 30 epochs, recipe of the released code",),
        finetuning=FINETUNING,
        # Its head was trained through a sigmoid at temperature 0.1 on a scrambled mask: its masked loss proves nothing.
        sanity=False,
        pretraining=Pretraining(
            assemblies=("GRCh38",),
            note="100,000 windows of 1,000 bp from chr1-22, X, Y; their places are not published",
        ),
        pretraining_preset="findna-paper",
    ),
    ModelCard(
        name="findna-t",
        kind="encoder",
        backbone="transformer",
        config={"width": 512, "layers": 4, "heads": 8, "feedforward": 2048, "positions": 1010},
        summary="FinDNA with a Transformer of the same size; no weights are published",
        pooling="mean",
        pooling_source="as findna",
        max_length=1010,
        n_parameters=13_130_752,
        paper=PAPER,
        licence_code="Apache-2.0",
        notes=("the paper gives no sizes: these match FinDNA's parameter count",),
        pretraining_preset="findna-paper",
    ),
    ModelCard(
        name="cm-mnm",
        kind="encoder",
        backbone="chordmixer",
        config=FINDNA_SIZES,
        summary="ChordMixer for pretraining by masked nucleotides alone; no weights are published",
        pooling="mean",
        pooling_source="as findna",
        n_parameters=12_650_328,
        paper=PAPER,
        licence_code="Apache-2.0",
        finetuning=FINETUNING,
        pretraining_preset="cm-mnm",
    ),
    ModelCard(
        name="findna-tiny",
        kind="encoder",
        backbone="chordmixer",
        config={
            "channels": 96,
            "track_size": 10,
            "hidden": 128,
            "layers": 2,
            "blocks_per_layer": 6,
            "directions": "alternate",
        },
        summary="small ChordMixer pretrained by this package on human chromosomes X and 22; weights included",
        weights=(
            WeightsSource(
                package="findna_plugins:weights/findna-tiny",
                files=("model.safetensors", "config.json"),
                licence="Apache-2.0",
            ),
        ),
        pooling="mean",
        pooling_source="as findna",
        n_parameters=298_176,
        paper=PAPER,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        notes=("rotations alternate in direction from block to block, which the paper's do not",),
        pretraining=Pretraining(
            assemblies=("GRCh37",),
            chromosomes=("X", "22"),
            excluded_chromosomes=("20",),
            note="windows of 500 bp from chrX:1-69,999,930 and chr22; chromosome 20 was held out",
        ),
        pretraining_preset="findna-tiny",
    ),
)
