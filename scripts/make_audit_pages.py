"""Make ``leaderboards/audit``: the audit of all real data beside the checkout (about four minutes on one core).

    python scripts/make_audit_pages.py [--data ../shared/data] [--check]

Imports GenomicBenchmarks (sequences of three chromosomes, published test splits, all coordinates) and GUE into a temporary data
root and audits them, the cleaned suite and the embedded one. ``--check`` writes nothing and says which pages differ (JSON and
markdown; pictures depend on the version of matplotlib).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from findna_bench.auditing.audit_pages import write_pages
from findna_bench.auditing.audit_targets import audit_targets
from findna_bench.data.importing import import_suite

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "leaderboards" / "audit"
SOURCES = (
    ("genomic_benchmarks", "genomic_benchmarks/chr20_22_X"),
    ("genomic_benchmarks", "genomic_benchmarks/published_test"),
    ("genomic_benchmarks", "genomic_benchmarks/intervals"),
    ("gue", "gue"),
)
SUITES = ("demo", "genomic_benchmarks", "genomic_benchmarks-clean", "gue")


def make(data: Path, pages: Path) -> None:
    """Import, audit, write."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for suite, place in SOURCES:
            import_suite(suite, data / place, root)
        audited = audit_targets(SUITES, data_dir=root, offline=True, progress=lambda text: print(text, file=sys.stderr))
    write_pages([entry.report for entry in audited if entry.report is not None], pages)


def differing(made: Path, committed: Path) -> list[str]:
    """Names of pages that are not the same, or on one side only."""
    names = {
        path.relative_to(folder).as_posix()
        for folder in (made, committed)
        for path in folder.rglob("*.*")
        if path.suffix in (".md", ".json")
    }
    same = {n for n in names if all((f / n).is_file() for f in (made, committed))}
    return sorted(n for n in names if n not in same or (made / n).read_bytes() != (committed / n).read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not options.check:
        make(options.data, PAGES)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        make(options.data, Path(folder))
        wrong = differing(Path(folder), PAGES)
    for name in wrong:
        print(f"{name} is not what the data give", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
