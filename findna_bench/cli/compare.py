"""``findna-bench compare``: which differences between models are more than noise."""

from __future__ import annotations

from findna_bench.cli import options, output
from findna_bench.cli.requested import requested
from findna_bench.requests.compare_request import CompareRequest
from findna_bench.requests.declarations import to_words


@requested(CompareRequest)
def compare(request: CompareRequest, json: options.Json = False) -> int:
    """Compare models on the rows they share: differences with intervals, corrected p-values, ranks across tasks."""
    from findna_bench.comparison.comparing import compare_models
    from findna_bench.comparison.comparison_pages import render_comparison_markdown, render_comparison_screen
    from findna_bench.files import write_atomic

    found = compare_models(
        request.output_dir,
        request.models,
        tasks=request.tasks,
        suites=request.suites,
        protocol=request.protocol,
        split=request.split,
        metric=request.metric,
        data_dir=request.data_dir,
        left_out=output.complain,
    )
    if json:
        output.print_json(found.to_dict())
    if request.markdown is not None:
        page = render_comparison_markdown(found, title=request.title, command=to_words(request, "compare"))
        write_atomic(request.markdown, page)
        output.remark(f"wrote {request.markdown}")
    elif not json:
        render_comparison_screen(found)
    return 0 if found.complete else 1
