"""``findna-bench cache info|clear``: the embeddings that are kept on this machine."""

from __future__ import annotations

from dataclasses import asdict

import typer

from findna_bench.cli import options, output
from findna_bench.cli.examples import epilog
from findna_bench.cli.help_groups import GroupedCommand
from findna_bench.files import size_text

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
    limit = "none" if found.limit is None else size_text(found.limit)
    output.answer(f"folder   {found.folder}  (FINDNA_BENCH_CACHE_DIR)")
    output.answer(f"size     {size_text(found.bytes)}")
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
    output.remark(f"removed {size_text(clear_cache(folder))} from {folder}")
