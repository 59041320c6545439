"""Cards of the controls: simple models that see no pretraining, and that a language model has to beat."""

from __future__ import annotations

from typing import Literal

from findna_bench.cards import ModelCard

__all__ = ["MODELS"]

_PACKAGE = "findna_baselines.controls"

_MAJORITY = ModelCard(
    name="majority",
    kind="classifier",
    summary="the class shares, the mean, or the share of each label or state of the training rows, whatever the sequence",
    factory=f"{_PACKAGE}.majority:Majority",
    targets=("classes", "values", "labels", "per_base"),
    inputs=("sequence", "pair"),
    control=True,
    licence_code="Apache-2.0",
)

_KMER = ModelCard(
    name="kmer",
    kind="features",
    aliases=("k-mer", "kmers"),
    summary="k-mer counts or frequencies, k = 1 to 6, of one strand or both, chosen on validation",
    factory=f"{_PACKAGE}.kmer:KmerFeatures",
    targets=("classes", "values", "labels"),  # k is chosen by a linear probe
    inputs=("sequence", "pair"),
    control=True,
    licence_code="Apache-2.0",
)

_TRIVIAL = ModelCard(
    name="trivial",
    kind="classifier",
    summary="length and composition: boosted trees, or a table of exact lengths (numbers: ridge; labels: logistic), whichever validation prefers",
    factory=f"{_PACKAGE}.trivial:TrivialClassifier",
    targets=("classes", "values", "labels"),
    inputs=("sequence", "pair"),
    control=True,
    licence_code="Apache-2.0",
)

_POSITION = ModelCard(
    name="position",
    kind="features",
    summary="bases at fixed places: one-hot first and last bases, or whole rows where all have one length, as validation prefers",
    factory=f"{_PACKAGE}.position:PositionFeatures",
    targets=("classes", "values", "labels"),
    control=True,
    licence_code="Apache-2.0",
)

_NN_OVERLAP = ModelCard(
    name="nn-overlap",
    kind="classifier",
    aliases=("nearest-overlap",),
    summary="the label, labels or value of an overlapping or similar training row, on either strand",
    factory=f"{_PACKAGE}.nn_overlap:NearestOverlap",
    targets=("classes", "values", "labels"),
    control=True,
    licence_code="Apache-2.0",
)

_CNN = ModelCard(
    name="cnn",
    kind="classifier",
    aliases=("cnn-small",),
    summary="small CNN from scratch, the shape of GenomicBenchmarks' baseline",
    factory=f"{_PACKAGE}.cnn:ConvolutionalClassifier",
    config={"network": "small"},
    protocols=("probe", "finetune"),
    control=True,
    paper="Gresova et al. 2023, Genomic benchmarks, BMC Genomic Data 24:25",
    licence_code="Apache-2.0",
)

_CNN_DEEPSEA = ModelCard(
    name="cnn-deepsea",
    kind="classifier",
    summary="CNN from scratch with DeepSEA's convolutions, learning rate chosen on validation",
    factory=f"{_PACKAGE}.cnn:ConvolutionalClassifier",
    config={"network": "deepsea", "learning_rates": (1e-3, 3e-4), "batch_size": 128},
    protocols=("probe", "finetune"),
    control=True,
    paper="Zhou and Troyanskaya 2015, Nature Methods 12:931",
    licence_code="Apache-2.0",
)

_VARIANT_CONTROLS = {
    "variant-substitution": ("substitution", "which base becomes which, between which neighbours"),
    "variant-cpg": ("cpg", "whether a CpG is lost or made, by transition or transversion"),
    "variant-position": ("position", "where in its window the variant lies, in twentieths"),
    "variant-tss-distance": ("tss_distance", "how far the transcription start site is (column tss_dist)"),
}
_VARIANTS = tuple(
    ModelCard(
        name=name,
        kind="classifier",
        summary=f"mean label of other groups' variants by {words}",
        factory=f"{_PACKAGE}.variant_means:VariantMeans",
        config={"by": by},
        targets=("classes", "values"),
        inputs=("variant",),
        control=True,
        licence_code="Apache-2.0",
    )
    for name, (by, words) in _VARIANT_CONTROLS.items()
)
_CLASS_RATE = ModelCard(
    name="class-rate",
    kind="classifier",
    aliases=("variant-group",),
    summary="mean label of a variant's group (element, gene, consequence, chromosome): of train, or of the other half of the group's test rows",
    factory=f"{_PACKAGE}.variant_means:VariantMeans",
    config={"by": "group"},
    targets=("classes", "values"),
    inputs=("variant",),
    control=True,
    licence_code="Apache-2.0",
)

_PAIR_CONTROLS: dict[str, tuple[Literal["classifier", "features"], str, dict[str, str], str]] = {
    "pair-distance": ("classifier", "PairTrees", {"by": "distance"}, "distance and strand alone, by boosted trees"),
    "pair-length": (
        "classifier",
        "PairTrees",
        {"by": "length"},
        "lengths, N and padding of both sides, by boosted trees",
    ),
    "pair-elements": (
        "classifier",
        "ElementMeans",
        {},
        "the mean label of training pairs that share a side, on either strand",
    ),
    "pair-a": ("features", "SideKmers", {"side": "a"}, "k-mers of the first side alone"),
    "pair-b": ("features", "SideKmers", {"side": "b"}, "k-mers of the second side alone"),
}
_PAIRS = tuple(
    ModelCard(
        name=name,
        kind=kind,
        summary=f"pairs: {words}",
        factory=f"{_PACKAGE}.pair_controls:{factory}",
        config=config,
        targets=("classes", "values", "labels"),
        inputs=("pair",),
        control=True,
        licence_code="Apache-2.0",
    )
    for name, (kind, factory, config, words) in _PAIR_CONTROLS.items()
)

_BASE_CONTEXT = ModelCard(
    name="base-context",
    kind="classifier",
    aliases=("trinucleotide-context",),
    summary="states per base: the base alone, or its trinucleotide context, whichever validation prefers",
    factory=f"{_PACKAGE}.base_context:BaseContext",
    targets=("per_base",),
    control=True,
    licence_code="Apache-2.0",
)

_BASE_POSITION = ModelCard(
    name="base-position",
    kind="classifier",
    summary="states per base: its place in the window, in as many bins as validation prefers",
    factory=f"{_PACKAGE}.base_context:BasePosition",
    targets=("per_base",),
    control=True,
    licence_code="Apache-2.0",
)

MODELS: tuple[ModelCard, ...] = (
    _MAJORITY,
    _TRIVIAL,
    _POSITION,
    _NN_OVERLAP,
    _KMER,
    _BASE_CONTEXT,
    _BASE_POSITION,
    _CNN,
    _CNN_DEEPSEA,
    *_VARIANTS,
    _CLASS_RATE,
    *_PAIRS,
)
