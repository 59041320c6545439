"""``findna-bench run``: models x tasks x seeds under one protocol."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from findna_bench.cli import options, output
from findna_bench.cli.options import env
from findna_bench.requests.shared import THREADS_HELP
from findna_bench.threads import DEFAULT_THREADS

_MATRIX = "Protocol"
_RUNNING = "Running"

Protocol = Annotated[
    str,
    typer.Option(
        "--protocol",
        help="probe, finetune (features that do not learn, such as k-mers, are probed) or knn.",
        envvar=env("protocol"),
        rich_help_panel=_MATRIX,
    ),
]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        help="Named settings of the protocol; see `list presets`.",
        envvar=env("preset"),
        rich_help_panel=_MATRIX,
    ),
]
Seeds = Annotated[
    str, typer.Option("--seeds", help="A number (5) or a list (0,1,2).", envvar=env("seeds"), rich_help_panel=_MATRIX)
]
Shots = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--shots",
        help="Few-shot: labelled rows per class, e.g. 1,10,100; settings are chosen within them.",
        envvar=env("shots"),
        rich_help_panel=_MATRIX,
    ),
]
ShotValidation = Annotated[
    str,
    typer.Option(
        "--shot-validation",
        help="Few-shot: choose settings within the shots (probe: cross-validation; fits that train longer: a part held out; "
        "one shot: fixed settings), or on the full validation rows beside them, which is flagged.",
        envvar=env("shot-validation"),
        rich_help_panel=_MATRIX,
    ),
]
Network = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--network",
        help="teacher or student, where a checkpoint holds both; teacher,student scores both, a row each.",
        envvar=env("network"),
        rich_help_panel=_MATRIX,
    ),
]
Pooling = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--pooling",
        help="mean, mean_all, mean_bases, cls, last or max (default: the card's).",
        envvar=env("pooling"),
        rich_help_panel=_MATRIX,
    ),
]
Layer = Annotated[
    int,
    typer.Option("--layer", help="Hidden layer to take; -1 is the last.", envvar=env("layer"), rich_help_panel=_MATRIX),
]
Strand = Annotated[
    str,
    typer.Option(
        "--strand", help="forward, rc-mean, rc-logit-mean or rc-augment.", envvar=env("strand"), rich_help_panel=_MATRIX
    ),
]
Window = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--window",
        help="Sequences too long for a model: truncate, truncate-middle, window or window:STRIDE (default: the card's).",
        envvar=env("window"),
        rich_help_panel=_MATRIX,
    ),
]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        help="official, grouped[:FOLD/K] (relatives stay on one side) or chromosome[:NAME+NAME] (held out for test).",
        envvar=env("split"),
        rich_help_panel=_MATRIX,
    ),
]
Selection = Annotated[
    str,
    typer.Option(
        "--selection",
        help="Choose settings and epochs on validation; last and test exist solely to reproduce papers, and are flagged.",
        envvar=env("selection"),
        rich_help_panel=_MATRIX,
    ),
]
Search = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--search",
        help="Fine-tuning: try N settings, the preset's among them and the same ones for every model; keep the best on validation.",
        envvar=env("search"),
        rich_help_panel=_MATRIX,
    ),
]
Dtype = Annotated[
    str, typer.Option("--dtype", help="auto, float32 or bfloat16.", envvar=env("dtype"), rich_help_panel=_RUNNING)
]
BatchSize = Annotated[
    str, typer.Option("--batch-size", help="auto or a number.", envvar=env("batch-size"), rich_help_panel=_RUNNING)
]
Threads = Annotated[int, typer.Option("--threads", help=THREADS_HELP, envvar=env("threads"), rich_help_panel=_RUNNING)]
Limit = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "-L",
        "--limit",
        help="At most N rows per split, for trials; flagged.",
        envvar=env("limit"),
        rich_help_panel=_RUNNING,
    ),
]
Config = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "-C", "--config", help="TOML file with any of these options.", envvar=env("config"), rich_help_panel=_RUNNING
    ),
]
Overwrite = Annotated[
    str,
    typer.Option(
        "--overwrite", help="Compute again: never, failed or always.", envvar=env("overwrite"), rich_help_panel=_RUNNING
    ),
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", help="Stop at the first failure.", envvar=env("fail-fast"), rich_help_panel=_RUNNING),
]
Executor = Annotated[
    str, typer.Option("--executor", help="See `list executors`.", envvar=env("executor"), rich_help_panel=_RUNNING)
]
Timeout = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--timeout",
        help="Seconds one model x task may take (executor process).",
        envvar=env("timeout"),
        rich_help_panel=_RUNNING,
    ),
]


NoSanity = Annotated[
    bool,
    typer.Option(
        "--no-sanity",
        help="Score trained weights even if they predict real sequence no better than chance. That a row is read alike alone, in a "
        "batch and again is checked in any case.",
        envvar=env("no-sanity"),
        rich_help_panel=_RUNNING,
    ),
]


def request_from(values: dict[str, Any]) -> Any:
    """The request that command-line values stand for."""
    from findna_bench.matrix.request import RunRequest

    return RunRequest(
        models=options.split_names(values["models"]),
        tasks=options.split_names(values["tasks"]),
        suites=options.split_names(values["suite"]),
        weights=options.parse_weights(values["weights"]),
        seeds=options.parse_seeds(values["seeds"]),
        shots=options.parse_numbers(values["shots"], "--shots"),
        batch_size=options.parse_batch_size(values["batch_size"]),
        timeout_s=values["timeout"],
        command=command_line(),
        sanity=not values["no_sanity"],
        **{
            name: values[name]
            for name in (
                "protocol", "preset", "shot_validation", "network", "pooling", "layer", "strand", "window", "split", "selection",
                "search", "limit",
                "device", "dtype", "threads", "output_dir", "data_dir", "offline", "overwrite", "fail_fast", "executor",
            )
        },
    )  # fmt: skip


def command_line() -> str:
    """The command as typed, for the record; paths of home folders are kept out."""
    return output.quoted(["findna-bench", *sys.argv[1:]])


def run(
    ctx: typer.Context,
    models: options.Models = None,
    tasks: options.Tasks = None,
    suite: options.Suites = None,
    protocol: Protocol = "probe",
    preset: Preset = "default",
    seeds: Seeds = "5",
    shots: Shots = None,
    shot_validation: ShotValidation = "within",
    weights: options.Weights = None,
    network: Network = None,
    pooling: Pooling = None,
    layer: Layer = -1,
    strand: Strand = "forward",
    window: Window = None,
    split: Split = "official",
    selection: Selection = "validation",
    search: Search = None,
    device: options.Device = "auto",
    dtype: Dtype = "auto",
    batch_size: BatchSize = "auto",
    threads: Threads = DEFAULT_THREADS,
    limit: Limit = None,
    output_dir: options.OutputDir = Path("results"),
    data_dir: options.DataDir = None,
    config: Config = None,
    offline: options.Offline = False,
    no_sanity: NoSanity = False,
    overwrite: Overwrite = "failed",
    fail_fast: FailFast = False,
    executor: Executor = "serial",
    timeout: Timeout = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Run models on tasks; finished cells are skipped, and the table is printed at the end."""
    values = options.with_config(ctx, config)
    request = request_from(values)
    from findna_bench.cli.progress import matrix_reporter
    from findna_bench.leaderboard.screen import render_screen
    from findna_bench.leaderboard.table import leaderboard
    from findna_bench.matrix.run import run as run_matrix
    from findna_bench.results.store import ResultStore

    # What a plugin prints goes where progress goes: stdout holds the answer and nothing else.
    with matrix_reporter() as reporter, contextlib.redirect_stdout(sys.stderr):
        results = run_matrix(request, reporter=reporter)
    if json:
        output.print_json([result.to_dict() for result in results])
    else:
        store = ResultStore(request.output_dir)
        render_screen(leaderboard(results, include_limited=True, predictions=store.predictions))
        output.remark(f"results are in {request.output_dir}")
    return int(any(result.status in ("error", "oom") for result in results))
