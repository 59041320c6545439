"""Committed pages and pictures: make them anew, and check that each says how it was made and is of today's protocol and rules.

    python scripts/pages.py list
    python scripts/pages.py make [NAME ...] [--data ../shared/data] [--work pages-work]
    python scripts/pages.py check

``scripts/pages.toml`` says what there is, what makes it and what that needs. ``make`` types the commands of a page in a folder of its own,
``pages-work/NAME``, which is kept: the same command goes on where it was broken off. A page whose data are not at hand is skipped, with
the reason. ``check`` takes seconds and no network: every file stands in the table and every file of the table is there; every page names
a command of the table, the processor and versions; scores are of today's protocol version; audits of today's schema and rules, and what
their JSON says; costs are what their JSON says; pages that are known to be old are in the list of old ones, and no other; figures in
README and docs/design/results.md are those of the pages.

A line ``<!-- figures: PAGE -->`` above a table or a paragraph holds it to a page: cells to those of the same row and column there, other
decimal numbers to what the page holds anywhere. README has none without such a line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from findna_bench.auditing.audit_pages import read_reports, render_index, render_report
from findna_bench.auditing.audit_report import SCHEMA, outdated
from findna_bench.auditing.rules import rule_versions
from findna_bench.matrix.request import PROTOCOL_VERSION
from findna_bench.profiling.cost_tables import read_profile, render_page

ROOT = Path(__file__).resolve().parents[1]
TABLE = "scripts/pages.toml"
ADOPTED = ("leaderboards", "benchmarks/results")
"""Folders whose every file stands in the table."""
RELEASE = "0.2"
"""Costs and simulations of earlier releases are old: their code was another."""
SHOWN = ("README.md", "docs/design/results.md")
"""Files whose figures are those of pages."""

_LINE = re.compile(
    r"(?P<cpu>[^:;*(]+), \d+ cores; Python [\d.]+, torch [\w.+]+, findna-bench (?P<release>[\d.]+)(?:; protocol version (?P<protocol>\d+))?"
)
_CODE = re.compile(r"``(.+?)``|`([^`\n]+)`")
_FIGURES = re.compile(r"<!-- figures: (?P<pages>[^>]+?) -->\n+(?P<block>(?:[^\n]*\S[^\n]*\n?)+)")
_DECIMAL = re.compile(r"(?<![\w.])\d[\d,]*\.\d+(?![\w.]*\d)")
_VERSION = re.compile(r"(?:Python|Apache|version|torch)[- ]\d+\.[\d.]+")


@dataclass(frozen=True)
class Page:
    """An entry of the table: what is committed and how it is made; fields are explained there."""

    name: str
    kind: str
    files: tuple[str, ...]
    commands: tuple[str, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    folder: str = ""
    seconds: int | None = None
    by_hand: bool = False

    def committed(self, root: Path) -> list[Path]:
        """The files that are there."""
        found: list[Path] = []
        for name in self.files:
            place = root / name
            within = sorted(p for p in place.rglob("*") if p.is_file())
            found += within if within and name.endswith("/") else [place]
        return found


@dataclass(frozen=True)
class Table:
    """All pages, those known to be old with the reason (a file, or a folder that ends in /), and where data are from."""

    pages: tuple[Page, ...]
    old: Mapping[str, str]
    sources: Mapping[str, str]

    def why_old(self, name: str) -> str | None:
        """The reason in the list of old pages, None where the file is in none."""
        return next(
            (
                why
                for place, why in self.old.items()
                if name == place or (place.endswith("/") and name.startswith(place))
            ),
            None,
        )


def read_table(root: Path = ROOT) -> Table:
    """The table of a checkout."""
    content = tomllib.loads((root / TABLE).read_text(encoding="utf-8"))
    pages = tuple(
        Page(**{k: tuple(v) if isinstance(v, list) else v for k, v in page.items()}) for page in content["page"]
    )
    return Table(pages, {old["files"]: old["why"] for old in content.get("old", ())}, content["sources"])


# ---------------------------------------------------------------------------------------------------------------- check


def check(root: Path = ROOT) -> list[str]:
    """What is wrong, in sentences; nothing where all is well. Prints the pages that are known to be old."""
    table = read_table(root)
    problems = [*_unlisted(table, root)]
    seen: set[str] = set()
    for page in table.pages:
        for path in page.committed(root):
            name = path.relative_to(root).as_posix()
            found = [] if page.kind == "input" else list(_of_file(page, path, root))
            place = next((p for p in table.old if name == p or (p.endswith("/") and name.startswith(p))), None)
            if place is None:
                problems += [f"{name}: {problem}" for problem in found]
            elif found:
                seen.add(place)
    for place, why in table.old.items():
        if place in seen:
            print(f"old: {place}: {why}")
        else:
            problems.append(f"{place}: in the list of old pages, and nothing is wrong with it; take it off")
    return [*problems, *_shown(root), *_picture(root)]


def _unlisted(table: Table, root: Path) -> Iterator[str]:
    """Files that no page lists, or more than one; files of pages that are not there."""
    owners: dict[Path, list[str]] = {}
    for page in table.pages:
        for path in page.committed(root):
            owners.setdefault(path, []).append(page.name)
            if not path.is_file():
                yield f"{path.relative_to(root)}: stands in {TABLE} (page {page.name}) and is not there; `make pages PAGES={page.name}`"
    for folder in ADOPTED:
        for path in sorted(p for p in (root / folder).rglob("*") if p.is_file() and p.suffix != ".lock"):
            listed = owners.get(path, [])
            if len(listed) != 1:
                which = "in no page" if not listed else f"in the pages {', '.join(listed)}"
                yield f"{path.relative_to(root)}: {which} of {TABLE}; one has to list it"


def _of_file(page: Page, path: Path, root: Path) -> Iterator[str]:
    """What is wrong with one file of a page."""
    if not path.is_file():
        return
    if page.kind == "audits":
        yield from _of_audit(path, page)
    elif path.suffix == ".png" and page.kind == "scores":
        yield from _made_on(page, path.read_bytes().decode("latin-1"))  # in its comment
    elif path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
        yield from _commands(page, text)
        yield from _made_on(page, text)
        if path.with_suffix(".json").is_file() and path.stem == "compute":
            yield from _of_costs(path)


def _commands(page: Page, text: str) -> Iterator[str]:
    """A page names one of its commands or more, and none that the table lacks."""
    named = [a or b for a, b in _CODE.findall(text)] + re.findall(
        r"^(?:\$ )?((?:python|findna-bench) .+)$", text, re.MULTILINE
    )
    named = [
        c
        for c in named
        if re.match(r"(python (benchmarks|scripts)/|findna-bench (run|leaderboard|compare|profile|audit) )", c)
    ]
    known = {_bare(command) for command in page.commands}
    if not any(_bare(command) in known for command in named):
        yield f"names none of the commands of page {page.name} in {TABLE}"
    if not page.by_hand:
        yield from (f"names `{c}`, which page {page.name} of {TABLE} lacks" for c in named if _bare(c) not in known)


_WHERE = (
    "--pages",
    "-o",
    "--output",
    "--output-dir",
    "--to",
    "--into",
    "--out",
    "--markdown",
    "--data-dir",
    "--data",
    "--page",
)


def _bare(command: str) -> str:
    """A command without where its data lie and its results go, and with the last part of every path."""
    words, skip = [], False
    for word in shlex.split(command):
        if not skip and word not in (*_WHERE, "--offline"):
            words.append(
                re.sub(r"(^|:)(?:\.{0,2}/)?(?:[\w.@*-]+/)+(?=[\w.*-]+$)", r"\1", word)
                if "/" in word and "," not in word
                else word
            )
        skip = word in _WHERE
    return " ".join(words)


def _made_on(page: Page, text: str) -> Iterator[str]:
    """Processor and versions; today's protocol version where there are scores, this release's figures elsewhere."""
    lines = list(_LINE.finditer(text))
    if not lines:
        yield 'does not say "PROCESSOR, N cores; Python X, torch Y, findna-bench Z"'
    for line in lines:
        protocol, release = line["protocol"], line["release"]
        if page.kind == "scores" and protocol != str(PROTOCOL_VERSION):
            said = f"protocol version {protocol}" if protocol else "no protocol version"
            yield f"says {said}, and today's is {PROTOCOL_VERSION}; `make pages PAGES={page.name}`"
        if page.kind == "measured" and not f"{release}.".startswith(f"{RELEASE}."):
            yield f"has figures of findna-bench {release}, older than {RELEASE}; `make pages PAGES={page.name}`"


def _of_costs(path: Path) -> Iterator[str]:
    """compute.md is what compute.json says."""
    content = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    published = {row["model"]: row["published_ratios"] for row in content["rows"] if row["published_ratios"]}
    rows = read_profile(path.with_suffix(".json"))
    shown = render_page(rows, command=content["command"], environment=content["environment"], published=published)
    if shown != path.read_text(encoding="utf-8"):
        yield f"is not what {path.stem}.json says"


def _of_audit(path: Path, page: Page) -> Iterator[str]:
    """A file of a folder of audits: an index, a report, its page or its picture."""
    if path.name == "README.md":
        if render_index(read_reports(path.parent)) != path.read_text(encoding="utf-8"):
            yield "is not the index of the reports beside it"
    elif path.suffix == ".json":
        yield from _of_report(path, page)
    elif not path.with_suffix(".json").is_file():
        yield "has no report (JSON) of its name beside it"


def _of_report(path: Path, page: Page) -> Iterator[str]:
    report = json.loads(path.read_text(encoding="utf-8"))
    if report.get("schema") != SCHEMA or report.get("rules") != rule_versions() or outdated(report):
        yield f"is {report.get('schema')}{', ' + outdated(report) if outdated(report) else ''}; today's is {SCHEMA} with all rules of today; `make pages PAGES={page.name}`"
    made_by = report.get("made_by") or {}
    if not all(made_by.get(key) for key in ("command", "cpu", "python", "versions")):
        yield "does not say by what command, on what processor and with what versions it was made"
    elif _bare(made_by["command"]) not in {_bare(command) for command in page.commands}:
        yield f"was made by `{made_by['command']}`, which page {page.name} of {TABLE} lacks"
    beside = path.with_suffix(".md")
    picture = path.with_suffix(".png")
    if not beside.is_file():
        yield "has no page beside it"
    elif render_report(report, plot=picture.name if picture.is_file() else None) != beside.read_text(encoding="utf-8"):
        yield f"{beside.name} is not what the report says"


def _shown(root: Path) -> Iterator[str]:
    """Figures of README and the page of results that are not those of the pages that they name."""
    for name in SHOWN:
        text = (root / name).read_text(encoding="utf-8")
        for held in _FIGURES.finditer(text):
            pages = [root / page for page in re.split(r"[,\s]+", held["pages"])]
            absent = [page for page in pages if not page.is_file()]
            if absent:
                yield f"{name}: figures of {absent[0].relative_to(root)}, which is not there"
                continue
            sources = [page.read_text(encoding="utf-8") for page in pages]
            yield from (f"{name}: {problem} in {held['pages']}" for problem in _not_in(held["block"], sources))
        if name == "README.md":
            rest = _VERSION.sub("", re.sub(r"```.*?```", "", _FIGURES.sub("", text), flags=re.DOTALL))
            for number in _DECIMAL.findall(rest):
                yield f"{name}: {number} is held to no page; a line <!-- figures: PAGE --> above it does that"


def _not_in(block: str, sources: Sequence[str]) -> Iterator[str]:
    """Cells of tables and numbers of prose that none of the texts has."""
    cells: dict[tuple[str, str], set[str]] = {}
    for source in sources:
        for key, cell in _cells(source):
            cells.setdefault(key, set()).add(cell)
    for (row, column), cell in _cells(block):
        if cell not in cells.get((row, column), ()):
            yield f"{row}, {column}: {cell} is not a cell of that row and column"
    prose = "\n".join(line for line in block.splitlines() if not line.startswith("|"))
    numbers = {number for source in sources for number in _DECIMAL.findall(source)}
    yield from (f"{number} is no figure" for number in _DECIMAL.findall(prose) if number not in numbers)


def _cells(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    """((first cell of the row, column), cell) of every Markdown table."""
    header: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            header = []
            continue
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if not header:
            header = row
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in row):
            yield from (((row[0], column), cell) for column, cell in zip(header[1:], row[1:], strict=False))


def _picture(root: Path) -> Iterator[str]:
    """The picture of scores holds the numbers of the demo page."""
    picture, page = root / "leaderboards/images/scores.svg", root / "leaderboards/demo.md"
    if not (picture.is_file() and page.is_file()):
        return
    cells: dict[tuple[str, str], str] = {}
    for (row, column), cell in _cells(page.read_text(encoding="utf-8")):
        row, column = (re.sub(r"\\|\s*\*\(control\)\*", "", name.partition("<br>")[0]) for name in (row, column))
        cells.setdefault((row, column), re.sub(r"\*|</?u>|\s*±[^<]*", "", cell).replace("<br>", " "))
    dots = ElementTree.fromstring(picture.read_text(encoding="utf-8")).iter("{http://www.w3.org/2000/svg}circle")
    titles = [dot.findtext("{http://www.w3.org/2000/svg}title") or "" for dot in dots]
    if not titles:
        yield "leaderboards/images/scores.svg: shows no score"
    for title in titles:
        model, _, rest = title.partition(", ")
        task, _, value = rest.partition(": ")
        if cells.get((model, task)) != value:
            yield f"leaderboards/images/scores.svg: {title or 'a dot without a title'} is not what leaderboards/demo.md says ({cells.get((model, task))})"


# ----------------------------------------------------------------------------------------------------------------- make


def make(pages: Sequence[Page], table: Table, data: Path, work: Path) -> int:
    """Type the commands of the pages, one page after another; the number of pages that failed."""
    failed = 0
    for page in pages:
        if page.kind == "input":
            print(f"{page.name}: nothing makes it")
            continue
        folder = _folder(page, data, work)
        missing = [need for need in page.needs if not (data / need).exists() and not (folder / need).exists()]
        if missing:
            print(f"{page.name}: skipped, without {missing[0]} in the data folder: {table.sources[missing[0]]}")
            continue
        took = (
            "how long it takes was not measured"
            if page.seconds is None
            else f"it took {page.seconds:,} s of the processor"
        )
        print(f"{page.name}: {took}", flush=True)
        started = resource.getrusage(resource.RUSAGE_CHILDREN)
        good = all(_typed(command, folder) for command in page.commands)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime
        failed += not good
        if good:
            for source, target in page.made.items():
                shutil.copyfile(folder / source, ROOT / target)
        end = "failed" if not good else "made; its figures are put on the page by hand" if page.by_hand else "made"
        print(f"{page.name}: {end}, {seconds:,.0f} s of the processor", flush=True)
    return failed


def _folder(page: Page, data: Path, work: Path) -> Path:
    """The page's own folder, with ways to the real ones."""
    folder = work / (page.folder or page.name)
    folder.mkdir(parents=True, exist_ok=True)
    ways = {name: ROOT / name for name in ("scripts", "benchmarks", "leaderboards")} | {"data": data.resolve()}
    for name, target in ways.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)
    return folder


def _typed(command: str, folder: Path) -> bool:
    """Run one command as it stands in the table; whether it ended well."""
    print(f"$ {command}", flush=True)
    words = shlex.split(command)
    here = Path(sys.executable)
    words[0] = {"python": str(here), "findna-bench": str(here.with_name("findna-bench"))}[words[0]]
    path = os.pathsep.join((str(here.parent), os.environ.get("PATH", "")))
    return subprocess.run(words, cwd=folder, env={**os.environ, "PATH": path}, check=False).returncode == 0


def chosen(table: Table, names: Iterable[str]) -> list[Page]:
    """The pages of these names, all where there is none. Raises SystemExit for a name that the table lacks."""
    by_name = {page.name: page for page in table.pages}
    wanted = list(names) or list(by_name)
    for name in wanted:
        if name not in by_name:
            raise SystemExit(f"no page {name!r} in {TABLE}; there are {', '.join(by_name)}")
    return [by_name[name] for name in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="the pages, what they need and how long they take")
    verbs.add_parser("check", help="is every page what it has to be? exit code 1 if not")
    making = verbs.add_parser("make", help="make all pages, or those named")
    making.add_argument("names", nargs="*", metavar="NAME")
    making.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data of the field"
    )
    making.add_argument("--work", type=Path, default=ROOT / "pages-work")
    options: Any = parser.parse_args(arguments)
    table = read_table()
    if options.verb == "make":
        return int(make(chosen(table, options.names), table, options.data, options.work) > 0)
    if options.verb == "list":
        for page in table.pages:
            took = "not measured" if page.seconds is None else f"{page.seconds:,} s"
            print("\t".join((page.name, page.kind, took, ", ".join(page.needs) or "no data", " ".join(page.files))))
        return 0
    problems = check()
    for problem in problems:
        print(problem, file=sys.stderr)
    print(
        f"{len(problems)} problems"
        if problems
        else f"{len(table.pages)} pages: all are in the table and are what it says"
    )
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
