"""Examples in the help of every verb."""

from __future__ import annotations

__all__ = ["EXAMPLES", "epilog"]

EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "findna-bench run -m findna-tiny,kmer --suite demo",
        "findna-bench run -m path:./my-model,kmer -t ./my.csv --name mine",
        "findna-bench run -m findna-tiny -t demo/species4 --protocol finetune",
    ),
    "worker": ("findna-bench worker -o results", "findna-bench worker -o results --wait 600"),
    "status": ("findna-bench status -o results", "findna-bench status -o results --json"),
    "plan": ("findna-bench plan -m findna-tiny,kmer --suite demo",),
    "fetch": (
        "findna-bench fetch genomic_benchmarks",
        "findna-bench fetch genomic_benchmarks --from ./downloads",
        "findna-bench fetch hyenadna",
    ),
    "audit": (
        "findna-bench audit demo/species4",
        "findna-bench audit ./my.csv --pages pages",
        "findna-bench audit ./my.csv --fail-on leak,shortcut",
    ),
    "pretrain": (
        "findna-bench pretrain findna-tiny --fasta genome.fa -o my-model --steps 1000",
        "findna-bench pretrain findna-tiny --on ./my.csv -o my-model",
    ),
    "profile": ("findna-bench profile -m findna-tiny,hyenadna -t mtcdna-1024 -o costs",),
    "check": ("findna-bench check findna-tiny", "findna-bench check my-dna", "findna-bench check mcc --kind metrics"),
    "embed": (
        "findna-bench embed findna-tiny --fasta my.fa -o vectors.npz",
        "findna-bench embed findna-tiny -t ./my.csv -o vectors.parquet",
    ),
    "leaderboard": (
        "findna-bench leaderboard -o results",
        "findna-bench leaderboard -o results --markdown page.md --html site",
        "findna-bench leaderboard --submissions submissions --site site",
    ),
    "compare": (
        "findna-bench compare findna-tiny kmer -o results",
        "findna-bench compare findna-tiny 'hyenadna@random:*' --metric mcc",
        "findna-bench compare 'family:distilled-*' 'family:masked-*'",
    ),
    "verify": (
        "findna-bench verify -o results",
        "findna-bench verify results.tar.gz --rerun 3 --map my.csv=data/my.csv",
        "findna-bench verify results.tar.gz --key lab.pub",
    ),
    "results export": (
        "findna-bench results export -o results --to table.csv",
        "findna-bench results export -o results --to submission --format geneb",
    ),
    "results bundle": (
        "findna-bench results bundle -o results --to results.tar.gz",
        "findna-bench results bundle -o results --to results.tar.gz --sign lab.key",
    ),
    "results keygen": ("findna-bench results keygen lab",),
    "results push": ("findna-bench results push my-lab/dna-results --name probes --sign lab.key",),
    "results pull": ("findna-bench results pull my-lab/dna-results -o theirs --key lab.pub",),
    "results merge": ("findna-bench results merge theirs ours -o together",),
    "cache info": ("findna-bench cache info",),
    "cache clear": ("findna-bench cache clear",),
    "list": ("findna-bench list models", "findna-bench list tasks --json"),
    "describe": ("findna-bench describe findna-tiny", "findna-bench describe demo/species4"),
}
"""Verb -> command lines."""


def epilog(verb: str) -> str:
    """What stands below the options of a verb."""
    return "\n\n".join(["Examples:", "\b\n" + "\n".join(f"  {line}" for line in EXAMPLES[verb])])
