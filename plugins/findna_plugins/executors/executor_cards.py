"""Executors that take more than this machine."""

from findna_bench.cards import ExecutorCard

__all__ = ["EXECUTORS"]

EXECUTORS = [
    ExecutorCard(
        name="slurm",
        factory="findna_plugins.executors.slurm_executor:slurm",
        summary="each model as a task of a Slurm job array; the jobs outlive this command (extra slurm)",
        reference="https://github.com/facebookincubator/submitit",
    ),
    ExecutorCard(
        name="ray",
        factory="findna_plugins.executors.ray_executor:ray",
        summary="each model as a task of a Ray cluster, a running one or one on this machine (extra ray)",
        reference="https://github.com/ray-project/ray",
    ),
]
