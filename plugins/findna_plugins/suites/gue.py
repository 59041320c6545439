"""GUE, the Genome Understanding Evaluation (Zhou et al. 2023): 28 data sets with fixed train, dev and test.

Labels are the numbers of the published files, whose meaning upstream does not name. Rows per split are the paper's; rows per
class are counted where a whole published file was at hand. The ten EMP marks are measured on one yeast genome and share loci.
"""

from __future__ import annotations

from collections.abc import Mapping

from findna_bench.cards import DataSource, SuiteCard, TaskCard

SUITE = "gue"
LICENCE = "Apache-2.0 (DNABERT-2); MIT (the hub copy)"
CITATION = """@inproceedings{zhou2024dnabert2,
  title={{DNABERT-2}: Efficient Foundation Model and Benchmark for Multi-Species Genomes},
  author={Zhou, Zhihan and Ji, Yanrong and Li, Weijian and Dutta, Pratik and Davuluri, Ramana V. and Liu, Han},
  booktitle={The Twelfth International Conference on Learning Representations},
  year={2024},
  url={https://openreview.net/forum?id=oMLQB4EZE1}
}"""
HUB = "https://huggingface.co/datasets/leannmlindsey/GUE/resolve/main/GUE/{config}/{{split}}.csv"
SECOND = "https://huggingface.co/datasets/fm4bio-ning/GUE_public/resolve/main/{folder}/{{split}}.csv"
SPLIT_FILES = {"train": "train", "validation": "dev", "test": "test"}

Rows = tuple[int, int, int]
Counts = Mapping[str, tuple[int, ...]]


def _task(
    name: str,
    summary: str,
    rows: Rows,
    length: tuple[int, int],
    *,
    upstream: str,
    hub: str,
    second: str,
    classes: int = 2,
    metric: str = "mcc",
    assembly: str = "Homo sapiens",
    counts: Counts | None = None,
    locus_group: str = "",
) -> TaskCard:
    labels = tuple(str(i) for i in range(classes))
    return TaskCard(
        name=name,
        suite=SUITE,
        labels=labels,
        metric=metric,
        summary=summary,
        split_policy="official",
        counts={split: dict(zip(labels, held, strict=True)) for split, held in (counts or {}).items()},
        sources=(
            DataSource(url=HUB.format(config=hub), layout="tables", licence="MIT"),
            DataSource(url=SECOND.format(folder=second), layout="tables"),
        ),
        config={"rows": dict(zip(("train", "validation", "test"), rows, strict=True)), "split_files": SPLIT_FILES},
        strand="unknown",
        citation=CITATION,
        licence=LICENCE,
        length=length,
        assembly=assembly,
        locus_group=locus_group,
        aliases=tuple(dict.fromkeys((upstream, hub, second))),
    )


# Rows in train, dev and test; then rows of labels 0 and 1 in dev and test where counted.
EMP: dict[str, tuple[Rows, Counts]] = {
    "H3": ((11971, 1497, 1497), {"validation": (735, 762), "test": (742, 755)}),
    "H3K14ac": ((26438, 3305, 3305), {"validation": (1379, 1926), "test": (1409, 1896)}),
    "H3K36me3": ((27904, 3488, 3488), {"validation": (1627, 1861), "test": (1546, 1942)}),
    "H3K4me1": ((25341, 3168, 3168), {"validation": (1477, 1691), "test": (1434, 1734)}),
    "H3K4me2": ((24545, 3069, 3069), {"validation": (1270, 1799), "test": (1274, 1795)}),
    "H3K4me3": ((29439, 3680, 3680), {"validation": (1726, 1954), "test": (1731, 1949)}),
    "H3K79me3": ((23069, 2884, 2884), {}),
    "H3K9ac": ((22224, 2779, 2779), {"validation": (1262, 1517), "test": (1244, 1535)}),
    "H4": ((11679, 1461, 1461), {}),
    "H4ac": ((27275, 3410, 3410), {}),
}
MOUSE: dict[int, tuple[Rows, Counts]] = {
    0: ((6478, 810, 810), {"train": (3229, 3249), "validation": (415, 395), "test": (405, 405)}),
    1: ((53952, 6745, 6745), {"validation": (3354, 3391), "test": (3373, 3372)}),
    2: ((2620, 328, 328), {"train": (1311, 1309), "validation": (163, 165), "test": (164, 164)}),
    3: ((1904, 239, 239), {}),
    4: ((15064, 1883, 1883), {}),
}
PROM: dict[str, tuple[Rows, int, Counts]] = {
    "prom_300_all": ((47356, 5920, 5920), 300, {"validation": (2974, 2946), "test": (2940, 2980)}),
    "prom_300_notata": ((42452, 5307, 5307), 300, {"validation": (2681, 2626), "test": (2625, 2682)}),
    "prom_300_tata": (
        (4904, 613, 613),
        300,
        {"train": (2460, 2444), "validation": (290, 323), "test": (315, 298)},
    ),
    "prom_core_all": (
        (47356, 5920, 5920),
        70,
        {"train": (23705, 23651), "validation": (2941, 2979), "test": (2952, 2968)},
    ),
    "prom_core_notata": (
        (42452, 5307, 5307),
        70,
        {"train": (21284, 21168), "validation": (2601, 2706), "test": (2648, 2659)},
    ),
    "prom_core_tata": ((4904, 613, 613), 70, {}),
}
TF: dict[int, tuple[Rows, Counts]] = {
    0: ((32378, 1000, 1000), {"train": (16206, 16172), "validation": (483, 517), "test": (500, 500)}),
    1: ((30672, 1000, 1000), {"train": (15332, 15340), "validation": (504, 496), "test": (500, 500)}),
    2: ((19000, 1000, 1000), {"train": (9508, 9492), "validation": (492, 508), "test": (500, 500)}),
    3: ((27294, 1000, 1000), {}),
    4: ((19000, 1000, 1000), {}),
}

TASKS: tuple[TaskCard, ...] = (
    *(
        _task(
            f"emp_{mark}",
            f"Yeast: histone mark {mark} at a nucleosome, 500 bp",
            rows,
            (290, 500),
            upstream=f"EMP/{mark}",
            hub=f"emp_{mark}",
            second=mark,
            assembly="Saccharomyces cerevisiae",
            counts=counts,
            locus_group="yeast-emp",
        )
        for mark, (rows, counts) in EMP.items()
    ),
    *(
        _task(
            f"mouse_{i}",
            f"Mouse: transcription factor binding, set {i}, 101 bp",
            rows,
            (101, 101),
            upstream=f"mouse/{i}",
            hub=f"mouse_{i}",
            second=f"mouse{i}",
            assembly="Mus musculus",
            counts=counts,
        )
        for i, (rows, counts) in MOUSE.items()
    ),
    *(
        _task(
            name,
            f"Human: {'core promoter' if length == 70 else 'promoter'}, {name.rpartition('_')[2]}, {length} bp",
            rows,
            (length, length),
            upstream=f"prom/{name}",
            hub=name,
            second=name,
            counts=counts,
            locus_group="human-epd-promoters",
        )
        for name, (rows, length, counts) in PROM.items()
    ),
    _task(
        "splice_reconstructed",
        "Human: splice sites, three classes, 400 bp",
        (36496, 4562, 4562),
        (400, 400),
        upstream="splice/reconstructed",
        hub="splice_reconstructed",
        second="splice_reconstructed",
        classes=3,
        counts={"validation": (1001, 987, 2574), "test": (956, 1025, 2581)},
    ),
    *(
        _task(
            f"tf_{i}",
            f"Human: transcription factor binding, set {i}, 101 bp",
            rows,
            (101, 101),
            upstream=f"tf/{i}",
            hub=f"human_tf_{i}",
            second=f"tf{i}",
            counts=counts,
        )
        for i, (rows, counts) in TF.items()
    ),
    _task(
        "virus_covid",
        "SARS-CoV-2: nine variants, 999 bp",
        (77669, 7000, 7000),
        (999, 999),
        upstream="virus/covid",
        hub="virus_covid",
        second="covid",
        classes=9,
        metric="f1_macro",
        assembly="SARS-CoV-2",
    ),
)

_EMP_NAMES = tuple(f"{SUITE}/emp_{mark}" for mark in EMP)
_REFERENCE = "https://github.com/MAGICS-LAB/DNABERT_2"

SUITES: tuple[SuiteCard, ...] = (
    SuiteCard(
        name="gue",
        tasks=tuple(task.full_name for task in TASKS),
        summary="All 28 data sets of GUE: MCC, but macro-F1 for covid, so no mean over all",
        reference=_REFERENCE,
        citation=CITATION,
    ),
    SuiteCard(
        name="gue-emp",
        tasks=_EMP_NAMES,
        summary="GUE's ten yeast histone marks; they share loci and count as one in statistics across tasks",
        reference=_REFERENCE,
        citation=CITATION,
    ),
    SuiteCard(
        name="findna-gue",
        tasks=(*_EMP_NAMES, f"{SUITE}/virus_covid"),
        summary="The eleven data sets of GUE in the FinDNA paper",
        reference="https://arxiv.org/abs/2405.08538",
        citation=CITATION,
    ),
)
