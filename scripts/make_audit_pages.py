"""Make ``leaderboards/audit``: the audit of all real data beside the checkout, all suites or those named.

    python scripts/make_audit_pages.py [--suite gue] [--data ../shared/data] [--check]

Imports GenomicBenchmarks (sequences of three chromosomes, published test splits, all coordinates) and GUE into a temporary data
root and audits them, the cleaned suite and the embedded one; pages of other suites stay as they are, and the index is made of all. ``--check`` writes nothing and says which pages differ (JSON and
markdown; pictures depend on the version of matplotlib).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from findna_bench.auditing.audit_pages import write_pages
from findna_bench.auditing.audit_targets import audit_targets, expand_targets
from findna_bench.data.catalog import resolve_task, task_status
from findna_bench.data.importing import import_suite
from findna_bench.leaderboard.audit_references import audit_references

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "leaderboards" / "audit"
SOURCES = (
    ("genomic_benchmarks", "genomic_benchmarks/chr20_22_X"),
    ("genomic_benchmarks", "genomic_benchmarks/published_test"),
    ("genomic_benchmarks", "genomic_benchmarks/intervals"),
    ("gue", "gue"),
)
SUITES = ("demo", "genomic_benchmarks", "genomic_benchmarks-clean", "gue")


def say(text: str) -> None:
    print(text, file=sys.stderr)


def make(data: Path, pages: Path, suites: Sequence[str]) -> None:
    """Import what the suites are made of, audit, write."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for suite, place in SOURCES:
            if any(name.startswith(suite) for name in suites):
                import_suite(suite, data / place, root)
        references = audit_references(data_dir=root, offline=True, progress=say)
        for task in expand_targets(
            suites
        ):  # one after another, so that what was made stays where the rest is broken off
            card = resolve_task(task).card
            if card is not None and task_status(card, root) == "missing":
                say(f"{task} is not among the data")
                continue
            (audited,) = audit_targets([task], data_dir=root, offline=True, references=references, progress=say)
            if audited.report is not None:
                write_pages([audited.report], pages)


def differing(made: Path, committed: Path, suites: Sequence[str]) -> list[str]:
    """Names of pages of these suites that are not the same, or on one side only."""
    names = {
        path.relative_to(folder).as_posix()
        for folder in (made, committed)
        for suite in suites
        for path in (folder / suite).rglob("*.*")
        if path.suffix in (".md", ".json")
    }
    same = {n for n in names if all((f / n).is_file() for f in (made, committed))}
    return sorted(n for n in names if n not in same or (made / n).read_bytes() != (committed / n).read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    suites = options.suite or SUITES
    if not options.check:
        make(options.data, PAGES, suites)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        make(options.data, Path(folder), suites)
        wrong = differing(Path(folder), PAGES, suites)
    for name in wrong:
        print(f"{name} is not what the data give", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
