"""Cards only: nothing here imports torch."""

from findna_bench.cards import AugmentationCard, BackboneCard, ExecutorCard, ModelCard, ProtocolCard, TaskCard, hookimpl


@hookimpl
def findna_bench_backbones():
    return [BackboneCard(name="acme-convolution", factory="acme_dna.network:Convolution", summary="one convolution")]


@hookimpl
def findna_bench_augmentations():
    return [AugmentationCard(name="snp", factory="acme_dna.augmentation:SNP", summary="random substitutions")]


@hookimpl
def findna_bench_executors():
    return [ExecutorCard(name="acme-pool", factory="acme_dna.executor:pool", summary="a pool of processes")]


@hookimpl
def findna_bench_protocols():
    return [
        ProtocolCard(name="centroid", factory="acme_dna.centroid:NearestCentroid", summary="the nearest class mean")
    ]


@hookimpl
def findna_bench_models():
    return [
        ModelCard(
            name="acme",
            kind="encoder",
            backbone="acme-convolution",
            config={"width": 24},
            summary="a stranger's model",
            pooling_source="its authors",
        )
    ]


@hookimpl
def findna_bench_tasks():
    return [
        TaskCard(
            name="poly-a",
            suite="acme",
            kind="binary",
            labels=("without", "with"),
            metric="accuracy",
            factory="acme_dna.tasks:poly_a",
            config={"rows": 160},
            summary="does the sequence hold a run of A?",
        )
    ]
