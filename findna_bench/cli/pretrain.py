"""``findna-bench pretrain MODEL --fasta FILE -o FOLDER``: train a model's network by self-supervision."""

from __future__ import annotations

from findna_bench.cli import options, output
from findna_bench.cli.requested import requested
from findna_bench.requests.pretrain_request import PretrainRequest


@requested(PretrainRequest)
def pretrain(request: PretrainRequest, json: options.Json = False) -> None:
    """Pretrain a network on unlabelled DNA; the same command goes on where it was stopped.

    Start it under torchrun to train on several devices.
    """
    from findna_bench.cli.pretraining_progress import pretraining_reporter
    from findna_bench.training import launch

    report = launch.pretrain(request, reporter=pretraining_reporter())
    if json:
        output.print_json(report.to_dict())
        return
    shown = ", ".join(f"{name} {value:.4g}" for name, value in report.validation.items())
    output.answer(
        f"{report.folder}: {report.steps} steps in {report.seconds:.0f} s" + (f"; validation {shown}" if shown else "")
    )
    output.answer(f"use it as path:{report.folder}")
