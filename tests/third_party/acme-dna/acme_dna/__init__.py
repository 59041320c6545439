"""Everything that this distribution offers, as cards: nothing here imports torch or NumPy, so that listing stays fast.

One hook per kind of thing, one module per thing; each module is written against the public names of ``findna_bench.api`` only.
"""

from __future__ import annotations

from findna_bench.cards import (
    AugmentationCard,
    BackboneCard,
    ExecutorCard,
    MetricCard,
    ModelCard,
    ObjectiveCard,
    PresetCard,
    ProtocolCard,
    PublishedCard,
    SuiteCard,
    TargetCard,
    TaskCard,
    hookimpl,
)


@hookimpl
def findna_bench_backbones() -> list[BackboneCard]:
    return [BackboneCard(name="acme-convolution", factory="acme_dna.network:Convolution", summary="one convolution")]


@hookimpl
def findna_bench_objectives() -> list[ObjectiveCard]:
    return [
        ObjectiveCard(
            name="denoise",
            factory="acme_dna.objective:Denoise",
            summary="say which base stood where one was substituted",
        )
    ]


@hookimpl
def findna_bench_augmentations() -> list[AugmentationCard]:
    return [AugmentationCard(name="snp", factory="acme_dna.augmentation:SNP", summary="random substitutions")]


@hookimpl
def findna_bench_models() -> list[ModelCard]:
    return [
        ModelCard(
            name="acme",
            kind="encoder",
            backbone="acme-convolution",
            config={"width": 24},
            summary="a stranger's model",
            pooling_source="its authors",
            pretraining_preset="acme-short",
        ),
        ModelCard(
            name="acme-gaps",
            kind="features",
            factory="acme_dna.gapped_pairs:GappedPairs",
            config={"gaps": (0, 1, 2, 5)},
            summary="frequencies of pairs of bases at a distance that validation chooses",
            targets=("classes",),
            control=True,
        ),
        ModelCard(
            name="acme-bayes",
            kind="classifier",
            factory="acme_dna.naive_bayes:NaiveBayes",
            summary="naive Bayes on words of four bases",
            control=True,
        ),
    ]


@hookimpl
def findna_bench_tasks() -> list[TaskCard]:
    return [
        TaskCard(
            name=name,
            suite="acme",
            labels=("without", "with"),
            metric="accuracy",
            factory="acme_dna.tasks:poly_a",
            config={"rows": 160, "run": run},
            summary=f"does the sequence hold a run of {run} A?",
        )
        for name, run in (("poly-a", 20), ("poly-a-short", 8))
    ] + [
        TaskCard(
            name="composition",
            suite="acme",
            target="shares",
            labels=("GC", "A"),
            metric="explained_variance",
            factory="acme_dna.tasks:composition",
            config={"rows": 160},
            summary="what shares of the sequence are G or C, and A?",
        )
    ]


@hookimpl
def findna_bench_suites() -> list[SuiteCard]:
    return [SuiteCard(name="acme", tasks=("acme/poly-a", "acme/poly-a-short"), summary="runs of A, long and short")]


@hookimpl
def findna_bench_targets() -> list[TargetCard]:
    return [TargetCard(name="shares", factory="acme_dna.shares:Shares", summary="shares of a whole")]


@hookimpl
def findna_bench_metrics() -> list[MetricCard]:
    return [
        MetricCard(
            name="kappa",
            factory="acme_dna.kappa:CohensKappa",
            label="kappa x100",
            summary="agreement beyond that of the class shares",
        ),
        MetricCard(
            name="explained_variance",
            factory="acme_dna.shares:ExplainedVariance",
            targets=("shares",),
            label="explained variance %",
            summary="share of the variance that is explained",
        ),
    ]


@hookimpl
def findna_bench_protocols() -> list[ProtocolCard]:
    return [
        ProtocolCard(name="centroid", factory="acme_dna.centroid:NearestCentroid", summary="the nearest class mean")
    ]


@hookimpl
def findna_bench_presets() -> list[PresetCard]:
    return [
        PresetCard(
            name="acme-soft", protocol="centroid", settings={"sharpness": (0.1, 0.3)}, summary="unsure of itself"
        ),
        PresetCard(
            name="acme-short",
            protocol="pretrain",
            settings={"objective": "denoise", "objective_options": {"p": 0.2}, "steps": 20, "batch_size": 16},
            summary="a few steps",
        ),
    ]


@hookimpl
def findna_bench_executors() -> list[ExecutorCard]:
    return [ExecutorCard(name="acme-pool", factory="acme_dna.executor:pool", summary="a pool of processes")]


@hookimpl
def findna_bench_published() -> list[PublishedCard]:
    return [PublishedCard(name="acme-paper", path="acme_dna:paper.toml", summary="what Acme printed")]
