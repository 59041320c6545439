"""``findna-bench cache info|clear``: the embeddings that are kept on this machine."""

from __future__ import annotations

from dataclasses import asdict

import typer

from findna_bench.cli import options, output
from findna_bench.cli.examples import epilog
from findna_bench.cli.help_groups import GroupedCommand

app = typer.Typer(
    help="The embedding cache: where it is, what it holds, and how to empty it. It takes at most 20 GB (set "
    "FINDNA_BENCH_CACHE_LIMIT to a size such as 500MB, to 0, or to none); what was used longest ago goes first.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("info", cls=GroupedCommand, epilog=epilog("cache info"))
def info(
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Say where the cache is, how large, how many vectors it holds, and how large it may become."""
    from findna_bench.models.cache_folder import cache_info

    found = cache_info()
    if json:
        output.print_json(asdict(found))
        return
    limit = "none" if found.limit is None else _size(found.limit)
    output.answer(f"folder   {found.folder}  (FINDNA_BENCH_CACHE_DIR)")
    output.answer(f"size     {_size(found.bytes)}")
    output.answer(f"limit    {limit}  (FINDNA_BENCH_CACHE_LIMIT)")
    output.answer(
        f"entries  {found.vectors:,} vectors of {found.spaces:,} models and settings, in {found.shards:,} files"
    )


@app.command("clear", cls=GroupedCommand, epilog=epilog("cache clear"))
def clear(
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Remove all embeddings that are kept; downloaded weights stay. Runs in progress compute again what they miss."""
    from findna_bench.models.cache_folder import clear_cache, embeddings_folder

    folder = embeddings_folder()
    output.remark(f"removed {_size(clear_cache(folder))} from {folder}")


def _size(n_bytes: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.1f} {unit}"
    return f"{n_bytes} bytes"
