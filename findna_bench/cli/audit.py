"""``findna-bench audit TASK|SUITE``: what a score on a task is worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from findna_bench.cli import options, output
from findna_bench.errors import UsageError

if TYPE_CHECKING:
    from findna_bench.auditing.audit_report import AuditReport
    from findna_bench.auditing.audit_targets import Audited

_FINDINGS = "Findings"
_REFERENCES = "Compared with"


def audit(
    targets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help="Tasks (suite/task, a bare name, a path) or suites."),
    ] = None,
    tasks: options.Tasks = None,
    suite: options.Suites = None,
    pages: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--pages",
            rich_help_panel=_FINDINGS,
            help="Write markdown, PNG and JSON per task, and an index, to this folder.",
        ),
    ] = None,
    html: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--html",
            rich_help_panel=_FINDINGS,
            help="Write one self-contained page on one task: verdict, bases by place, lengths, neighbours with alignments, tables.",
        ),
    ] = None,
    fail_on: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--fail-on",
            rich_help_panel=_FINDINGS,
            metavar="KINDS",
            help="Exit with 1 where there is a finding of these kinds (leak, shortcut, conflicting-labels, asymmetric, note) or rules (leak/duplicates), or a task could not be audited.",
        ),
    ] = None,
    junit: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--junit",
            rich_help_panel=_FINDINGS,
            help="Write the findings as JUnit XML; those of --fail-on are failures (default: leak,shortcut).",
        ),
    ] = None,
    sarif: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--sarif", rich_help_panel=_FINDINGS, help="Write the findings as SARIF 2.1.0, which code scanning reads."
        ),
    ] = None,
    write: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--write",
            rich_help_panel=_FINDINGS,
            help="Write the rows of one task, filtered, trimmed and split anew, to this folder, with what moved and why; exit with 1 where that is not clean.",
        ),
    ] = None,
    against: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--against",
            rich_help_panel=_REFERENCES,
            help="Count the rows that other tasks, suites or files have as well, as copies on either strand.",
        ),
    ] = None,
    genome: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--genome",
            rich_help_panel=_REFERENCES,
            help="FASTA: count the rows that are of it, and those of test that share loci with train. With the extra `genome` by minimap2.",
        ),
    ] = None,
    published_best: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--published-best",
            rich_help_panel=_REFERENCES,
            metavar="PERCENT",
            help="A published score of the task, as 97.4: how much of it does the best rule without biology reach? Default: the best one that is known for the task.",
        ),
    ] = None,
    data_dir: options.DataDir = None,
    target: options.Target = None,
    drop_missing: options.DropMissing = False,
    offline: options.Offline = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Find duplicates, near-duplicates, overlap and shortcuts, per class, and say what a score is worth.

    --json prints one object for one task, a list for several tasks or a suite. --fail-on makes a gate of it: exit code 1 where there is such a
    finding. --write splits the rows anew and audits what it wrote.
    """
    from findna_bench.auditing.audit_pages import write_pages
    from findna_bench.auditing.audit_targets import audit_targets, expand_targets
    from findna_bench.auditing.gate import parse_kinds
    from findna_bench.leaderboard.audit_references import audit_references

    kinds = None if fail_on is None else parse_kinds(fail_on)
    names = [*(targets or ()), *options.split_names(tasks), *options.split_names(suite)]
    if not names:
        raise UsageError("nothing to audit: name a task, a suite or a path (see `findna-bench list tasks`)")
    if published_best is not None and len(expand_targets(names)) > 1:
        raise UsageError("--published-best is a score of one task; name one")
    if html is not None and len(expand_targets(names)) > 1:
        raise UsageError("--html is a page on one task; name one (--pages writes a folder for several)")
    found_by = {"--target": target, "--against": against, "--genome": genome, "--published-best": published_best}
    references = audit_references(
        against=options.split_names(against),
        genome=genome,
        published_best=published_best,
        data_dir=data_dir,
        offline=offline,
        progress=output.remark,
    )
    command = None if pages is None else _command(names, pages, found_by, drop_missing=drop_missing)

    def written(report: AuditReport) -> None:
        if pages is not None:
            write_pages([report], pages, command=command)

    audited = audit_targets(
        names,
        references=references,
        data_dir=data_dir,
        offline=offline,
        drop_missing=drop_missing,
        target=target,
        progress=output.remark,
        finished=written,
    )
    reports = [entry.report for entry in audited if entry.report is not None]
    if html is not None and reports:
        _write_html(reports[0], html)
    if pages is not None:
        output.remark(f"pages are in {pages}")
    if json:
        one = len(expand_targets(names)) == 1
        output.print_json(reports[0].to_dict() if one else [_entry(entry) for entry in audited])
    elif len(audited) == 1 and reports:
        _print_report(reports[0])
    else:
        _print_overview(audited)
    _write_gate(audited, kinds, junit, sarif)
    codes = [0 if reports else 1]
    if write is not None:
        codes = [_write_anew(audited, write, data_dir, offline, drop_missing)]
    if kinds is not None:
        codes.append(_gate(audited, kinds))
    return max(codes)


def _command(names: list[str], pages: Path, found_by: Mapping[str, Any], *, drop_missing: bool) -> str:
    """The command line that makes the same pages, for the record. found_by: what decides the figures, by flag; None = not given."""
    from findna_bench.requests.declarations import quoted

    words = ["findna-bench", "audit", *names, "--pages", str(pages)]
    for flag, value in found_by.items():
        given = [] if value is None else value if isinstance(value, list) else [value]
        words += [word for one in given for word in (flag, str(one))]
    return quoted([*words, "--drop-missing"] if drop_missing else words)


def _write_html(report: AuditReport, path: Path) -> None:
    from findna_bench.files import write_atomic
    from findna_bench.leaderboard.audit_html import render_audit_html

    write_atomic(path, render_audit_html(report))
    output.remark(f"the page is {path}")


def _write_gate(audited: list[Audited], kinds: tuple[str, ...] | None, junit: Path | None, sarif: Path | None) -> None:
    from findna_bench.auditing import gate
    from findna_bench.files import write_atomic

    if junit is not None:
        write_atomic(junit, gate.junit(audited, kinds or ("leak", "shortcut")))
    if sarif is not None:
        write_atomic(sarif, gate.sarif(audited))


def _write_anew(audited: list[Audited], folder: Path, data_dir: Path | None, offline: bool, drop_missing: bool) -> int:
    from findna_bench.auditing.cure import cure_tables, write_cure
    from findna_bench.data.task import open_task

    if len(audited) != 1 or audited[0].report is None:
        raise UsageError("--write splits the rows of one task anew; name one")
    task = open_task(audited[0].task, data_dir=data_dir, offline=offline, drop_missing=drop_missing)
    cure = cure_tables({split: task.load(split) for split in task.splits}, task.card)
    write_cure(cure, folder)
    if cure.clean:
        output.remark(f"{folder}: {cure.sentence}")
    else:
        output.complain(f"{folder}: {cure.sentence}")
    return 0 if cure.clean else 1


def _gate(audited: list[Audited], kinds: tuple[str, ...]) -> int:
    from findna_bench.auditing.gate import failures

    failed = failures(audited, kinds)
    for failure in failed:
        output.complain(f"{failure.task}: {failure.rule_id}: {failure.text}")
    if not failed:
        output.remark(f"passed: no {' and no '.join(kinds)} in {len(audited)} task{'s' * (len(audited) != 1)}")
    return 1 if failed else 0


def _entry(entry: Audited) -> dict[str, object]:
    return entry.report.to_dict() if entry.report is not None else {"task": entry.task, "skipped": entry.reason}


def _print_overview(audited: list[Audited]) -> None:
    rows = []
    for entry in audited:
        if entry.report is None:
            rows.append((entry.task, "-", "-", "skipped", entry.reason))
            continue
        for report in (entry.report, entry.report.published_coordinates):
            if report is not None:
                verdict = report.verdict
                rows.append(
                    (report.task, report.route, report.status or "-", verdict.level, ", ".join(verdict.flags) or "-")
                )
    output.print_table("audit", ("task", "route", "data", "verdict", "flags"), rows)


def _print_report(report: AuditReport) -> None:
    from findna_bench.auditing.audit_pages import report_grids

    for grid in report_grids(report.to_dict()):
        output.print_table(f"{report.task} ({report.route}): {grid.title}", grid.header, grid.rows)
    output.answer(f"{report.task} ({report.route}): {report.verdict.level}. {report.verdict.text}")
    output.answer(f"flags: {', '.join(report.flags) or 'none'}")
    if report.published_coordinates is not None:
        output.answer()
        _print_report(report.published_coordinates)
