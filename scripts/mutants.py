"""Do the tests notice? A seeded sample of small changes to the code, each run against the tests that reach it.

    python scripts/reach.py -o reach.json -- -n auto --dist loadfile
    python scripts/mutants.py --reach reach.json --sample benchmarks/results/mutants-fresh-sample.json -o benchmarks/results/mutants-fresh.md
    python scripts/mutants.py --reach reach.json --count 150 --seed 1 --sample new.json -o new.md

One operator or one constant of one line is changed (`+` to `-`, `<` to `<=`, `and` to `or`, `True` to `False`, 3 to 4, a condition
negated) in a copy of the checkout, and the tests that run the line are run, the quickest first, until one fails; where none is known
to, or no ``--reach`` is given, those of the room that the line is in. A change after which all pass is unnoticed; a test that fails must pass without the change.
Places are drawn evenly from all places that can be changed, so that long files count for more.

A sample that is not there is drawn, and kept in its file by what the lines say, so that the next one who asks tries the same changes,
wherever these lines have gone. Tests are then written for what went unnoticed, so that a sample that is known flatters the tests: a new
one does not. Reasons why a change is no fault (equivalent code) stand with it, as ``equivalent``.

Each verdict is appended to a log beside the page (``.jsonl``), and a second call goes on from there: hundreds of test runs take long.
Remove the log to try everything again.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from reach import ROOT, Reach, sources

from findna_bench.results.environment import environment, environment_line

OPERATORS = (
    *(
        f"ReplaceBinaryOperator_{pair}"
        for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Add", "Pow_Mul")
    ),
    *(
        f"ReplaceComparisonOperator_{pair}"
        for pair in ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt")
    ),
    *("ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Not", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *(
        "ReplaceTrueWithFalse",
        "ReplaceFalseWithTrue",
        "NumberReplacer",
        "AddNot",
        "ReplaceBreakWithContinue",
        "ReplaceContinueWithBreak",
    ),
)
# Files that lie in no room of their own, and rooms whose tests are kept elsewhere.
TESTS_OF = {
    "findna_bench/api.py": ("tests/matrix/test_objects.py", "tests/docs/test_examples.py"),
    "findna_bench/cards.py": ("tests/testing", "tests/plugins"),
    "findna_bench/data/archives.py": ("tests/test_unpacking.py", "tests/data"),
    "findna_bench/data/table_tasks.py": ("tests/matrix/test_objects.py", "tests/data"),
    "findna_bench/download.py": (
        "tests/test_downloads.py",
        "tests/data/test_fault_server.py",
        "tests/models/test_hub.py",
    ),
    "findna_bench/errors.py": ("tests/test_errors.py", "tests/test_written_and_shown.py", "tests/cli"),
    "findna_bench/files.py": ("tests/test_written_and_shown.py", "tests/results", "tests/models"),
    "findna_bench/grid.py": ("tests/test_written_and_shown.py", "tests/cli", "tests/leaderboard"),
    "findna_bench/hookspecs.py": ("tests/plugins",),
    "findna_bench/interrupt.py": ("tests/cli", "tests/matrix/test_faults.py"),
    "findna_bench/matrix/models.py": ("tests/protocols/test_scored_pairs.py", "tests/matrix"),
    "findna_bench/matrix/local_data.py": ("tests/matrix/test_verify.py", "tests/matrix/test_rerun.py"),
    "findna_bench/models/base_vectors.py": ("tests/targets/test_per_base.py", "tests/protocols", "tests/models"),
    "findna_bench/models/object_models.py": ("tests/matrix/test_objects.py",),
    "findna_bench/models/precomputed_bases.py": ("tests/targets/test_per_base.py", "tests/models"),
    "findna_bench/plugin_code.py": ("tests/code/test_parts_of_digests.py", "tests/plugins", "tests/testing"),
    "findna_bench/private_paths.py": ("tests/test_private_paths.py", "tests/test_written_and_shown.py"),
    "findna_bench/protocols/label_probe.py": ("tests/targets/test_labels.py", "tests/protocols"),
    "findna_bench/protocols/seed_splits.py": ("tests/matrix/test_few_shot.py", "tests/protocols"),
    "findna_bench/protocols/settings.py": ("tests/protocols", "tests/matrix/test_few_shot.py"),
    "findna_bench/registry.py": ("tests/plugins",),
    "findna_bench/relatedness/genome_places.py": ("tests/auditing/test_references.py", "tests/relatedness"),
    "findna_bench/terminal.py": (
        "tests/test_written_and_shown.py",
        "tests/cli",
        "tests/leaderboard/test_hostile_strings.py",
    ),
    "findna_bench/threads.py": ("tests/matrix/test_threads.py",),
    "findna_bench/training/ranks.py": ("tests/training", "tests/protocols/test_fine_tuning.py"),
    "findna_bench/unpacking.py": ("tests/test_unpacking.py", "tests/test_written_and_shown.py"),
    "findna_bench/__init__.py": ("tests/plugins",),
    "plugins/findna_plugins/executors": ("tests/executors",),
    "plugins/findna_plugins/suites": ("tests/suites", "tests/data"),
    "plugins/findna_plugins": ("tests/findna", "tests/suites"),
    "baselines/findna_baselines/controls": ("tests/controls", "tests/matrix/test_threads.py"),
    "baselines/findna_baselines": ("tests/baselines",),
}
OF_EVERY_ROOM = "tests/test_dataclasses.py"


@dataclass(frozen=True)
class Change:
    """One place and what is done to it.

    Attributes:
        module: file, from the checkout on.
        line, column: where it begins.
        operator: of :data:`OPERATORS`.
        occurrence: which one of the places in the file that this operator changes.
        text: of the line, without the space around it.
        nth: which one of the places of this operator in lines that say the same.
    """

    module: str
    line: int
    column: int
    operator: str
    occurrence: int
    text: str
    nth: int

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Names the change as long as its line stays as it is."""
        return self.module, self.operator, self.text, self.nth

    @property
    def place(self) -> str:
        """Where it is today."""
        return f"{self.module}:{self.line}:{self.column}"

    def applied(self, source: str) -> str:
        """The module's text with the change in it."""
        changed = mutate_code(source, get_operator(f"core/{self.operator}")(), self.occurrence)
        if changed is None:
            raise ValueError(f"{self.place}: no such place for {self.operator}")
        return changed


def changes_of(module: str, source: str) -> Iterator[Change]:
    """All changes that can be made to a module."""
    nodes, lines = list(ast_nodes(get_ast(source))), source.splitlines()
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [place for node in nodes for place, _ in operator.mutation_positions(node)]
        alike: Counter[str] = Counter()
        for occurrence, (line, column) in enumerate(places):
            text = lines[line - 1].strip()
            yield Change(module, line, column, name, occurrence, text, alike[text])
            alike[text] += 1


def drawn(count: int, seed: int, only: Sequence[str] = ()) -> list[Change]:
    """A sample of changes, one for a place, in the order drawn: a longer sample begins with a shorter one.

    only: of files whose paths begin so; default: all.
    """
    places: dict[tuple[str, int, int], list[Change]] = defaultdict(list)
    for module, source in sources():
        for change in changes_of(module, source) if module.startswith(tuple(only) or "") else ():
            places[change.module, change.line, change.column].append(change)
    chance = random.Random(seed)
    order = sorted(places)
    chance.shuffle(order)
    return [chance.choice(places[place]) for place in order[:count]]


@dataclass(frozen=True)
class Sample:
    """changes: those whose lines are still there. gone: how many are not. equivalent: key -> why it is no fault. about: where it is from."""

    changes: list[Change]
    gone: int
    equivalent: Mapping[tuple[str, str, str, int], str]
    about: str

    @classmethod
    def read(cls, path: Path) -> Sample:
        """A sample that was kept."""
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = {(row["module"], row["operator"], row["text"], row["nth"]): row for row in content["changes"]}
        named = {module for module, *_ in rows}
        there = {
            change.key: change
            for module, source in sources()
            if module in named
            for change in changes_of(module, source)
        }
        found = [there[key] for key in rows if key in there]
        reasons = {key: row["equivalent"] for key, row in rows.items() if "equivalent" in row}
        return cls(found, len(rows) - len(found), reasons, content["about"])

    @classmethod
    def draw(cls, count: int, seed: int, only: Sequence[str], path: Path) -> Sample:
        """A new one, kept in a file."""
        changes, version = drawn(count, seed, only), environment()["versions"]["findna-bench"]
        about = (
            f"{count} changes drawn with seed {seed} from {', '.join(only) or 'all files'} of findna-bench {version}"
        )
        rows = [dict(zip(("module", "operator", "text", "nth"), change.key, strict=True)) for change in changes]
        path.write_text(json.dumps({"about": about, "changes": rows}, indent=1) + "\n", encoding="utf-8")
        return cls(changes, 0, {}, about)


def tests_of(module: str) -> list[str]:
    """The tests of a module's room: those called after the module first, then those that name it, as they are the likeliest to notice."""
    parts = Path(module).parts
    near = next(
        (TESTS_OF["/".join(parts[:n])] for n in range(len(parts), 0, -1) if "/".join(parts[:n]) in TESTS_OF), None
    )
    folders = near or (f"tests/{parts[1]}",)
    files = [
        f
        for folder in folders
        for f in ([ROOT / folder] if folder.endswith(".py") else sorted((ROOT / folder).rglob("test_*.py")))
    ]
    if not files:
        raise SystemExit(f"mutants: no tests are known for {module}: name them in TESTS_OF of {Path(__file__).name}")
    stem = Path(module).stem
    files.sort(key=lambda file: (stem not in file.stem, stem not in file.read_text(encoding="utf-8")))
    return [*(file.relative_to(ROOT).as_posix() for file in files), OF_EVERY_ROOM]


def tests_for(change: Change, reach: Reach | None, seconds: float) -> list[str]:
    """What is run against a change: the tests that reach its line, as long as they take so many seconds, and those of its room that are new."""
    room = tests_of(change.module)
    if reach is None or not (found := reach.of(change.module, change.text)):
        return room
    took, chosen = 0.0, []
    for test in found:
        took += reach.seconds[test]
        if chosen and took > seconds:
            break
        chosen.append(test)
    return [*(file for file in room if file in reach.written_since), *chosen]


class Copy:
    """A copy of the checkout in which one change at a time is tried."""

    def __init__(self, folder: Path, reach: Reach | None, seconds: float, tests_seconds: float) -> None:
        self.folder, self.reach, self.seconds, self.tests_seconds = folder, reach, seconds, tests_seconds
        self.unchanged: dict[str, bool] = {}
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)

    def run(self, tests: list[str]) -> tuple[str, str, float]:
        """("passed" | "failed" | "time", the first test that failed, seconds)."""
        paths = [str(self.folder / part) for part in (".", "plugins", "baselines")]
        chosen = self.folder / "chosen-tests.txt"  # a command line may be too short for them
        chosen.write_text("".join(f"{test}\n" for test in tests), encoding="utf-8")
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": str(self.folder / ".cache"),
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-n",
            "0",
            "-m",
            "not long",
            "-p",
            "no:cacheprovider",
            f"@{chosen}",
        ]
        began = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=self.seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return "time", "", time.monotonic() - began
        took = time.monotonic() - began
        if process.returncode == 0:
            return "passed", "", took
        failed = re.search(r"^(?:FAILED|ERROR) (tests/\S+?)(?: - |$)", output, re.MULTILINE)
        if process.returncode == 5:
            raise SystemExit(f"mutants: no test was found in {', '.join(tests)}: {output[-500:]}")
        return "failed", failed[1] if failed else "", took

    def passes_unchanged(self, test: str, among: list[str]) -> bool:
        """Whether a test passes on the code as it is (tried once); of a file that was not read, or none, whether the others are found."""
        asked = [test] if "::" in test else ["--collect-only", *among]
        name = " ".join(asked)
        if name not in self.unchanged:
            self.unchanged[name] = self.run(asked)[0] == "passed"
        return self.unchanged[name]

    def verdict(self, change: Change) -> dict[str, Any]:
        """Whether the tests notice a change."""
        path = self.folder / change.module
        source = path.read_text(encoding="utf-8")
        changed = change.applied(source)
        lines = [
            row
            for row in difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm="")
            if row[:3] not in ("---", "+++", "@@ ")
        ]
        tests = tests_for(change, self.reach, self.tests_seconds)
        path.write_text(changed, encoding="utf-8")
        try:
            outcome, test, took = self.run(tests)
        finally:
            path.write_text(source, encoding="utf-8")
        if outcome == "failed" and not self.passes_unchanged(test, tests):
            raise SystemExit(f"mutants: {test or ' '.join(tests)} fails without a change, too: mend it first")
        about = {"outcome": outcome, "test": test, "seconds": round(took, 1), "change": [row[:200] for row in lines]}
        return {**asdict(change), **about}


def key_of(verdict: Mapping[str, Any]) -> tuple[str, str, str, int]:
    """:attr:`Change.key` of a line of the log."""
    return verdict["module"], verdict["operator"], verdict["text"], verdict["nth"]


def page(sample: Sample, known: Mapping[tuple[str, str, str, int], Mapping[str, Any]], asked: str, which: str) -> str:
    """The verdicts as Markdown: the share unnoticed, rooms, and each change that went unnoticed."""
    same = [change for change in sample.changes if change.key in sample.equivalent]
    verdicts = [known[change.key] for change in sample.changes if change not in same]
    unnoticed = [verdict for verdict in verdicts if verdict["outcome"] == "passed"]
    count = len(sample.changes)
    gone = f" {sample.gone} of the sample are gone with their lines." if sample.gone else ""
    rows = [
        "# Do the tests notice?",
        "",
        f"`{asked}` on {environment_line(environment())}.",
        "",
        f"Of {count} small changes {len(unnoticed)} ({100 * len(unnoticed) / max(1, count):.0f} %) went unnoticed by the tests {which}; "
        f"{len(same)} more change nothing that a user could see and are not counted as such.{gone}",
        "",
        f"The sample: {sample.about}.",
        "",
        "| room | changes | unnoticed |",
        "|---|---:|---:|",
    ]
    rooms = Counter(str(Path(change.module).parent) for change in sample.changes)
    missed = Counter(str(Path(str(verdict["module"])).parent) for verdict in unnoticed)
    rows += [f"| `{room}` | {count} | {missed[room]} |" for room, count in sorted(rooms.items())]
    if unnoticed:
        rows += ["", "## Unnoticed", ""]
    for verdict in unnoticed:
        rows += [f"* `{verdict['module']}`", "", "  ```diff", *(f"  {row}" for row in verdict["change"]), "  ```"]
    if same:
        rows += ["", "## Equivalent", ""]
    rows += [
        f"* `{change.module}`: `{change.text}`, {change.operator}. {sample.equivalent[change.key]}" for change in same
    ]
    return "\n".join(rows) + "\n"


def main() -> None:
    """Try the changes that the log does not hold yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=Path, required=True, help="the sample (.json); one that is not there is drawn")
    parser.add_argument("--count", type=int, default=150, help="how many changes are drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument("--reach", type=Path, help="what scripts/reach.py wrote (.json)")
    parser.add_argument("--only", action="append", default=[], help="draw from files that begin so; repeatable")
    parser.add_argument("--workers", type=int, default=1, help="copies that work side by side")
    parser.add_argument("--seconds", type=float, default=900.0, help="a change that takes longer counts as noticed")
    parser.add_argument(
        "--tests-seconds", type=float, default=120.0, help="of the tests that reach a line, so many seconds' worth"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the page (.md); its log is kept beside it")
    options = parser.parse_args()
    log = options.output.with_suffix(".jsonl")
    known = {key_of(row): row for row in map(json.loads, log.read_text().splitlines())} if log.exists() else {}
    is_kept = options.sample.exists()
    sample = (
        Sample.read(options.sample)
        if is_kept
        else Sample.draw(options.count, options.seed, options.only, options.sample)
    )
    reach = Reach.read(options.reach) if options.reach else None
    left = [change for change in sample.changes if change.key not in {*known, *sample.equivalent}]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.workers) as pool, log.open("a") as stream:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(options.workers):
            copies.put(Copy(Path(folder) / str(number), reach, options.seconds, options.tests_seconds))

        def try_one(change: Change) -> dict[str, Any]:
            copy = copies.get()
            try:
                return copy.verdict(change)
            finally:
                copies.put(copy)

        for done in as_completed([pool.submit(try_one, change) for change in left]):
            verdict = done.result()
            known[key_of(verdict)] = verdict
            stream.write(json.dumps(verdict) + "\n")
            stream.flush()
            print(
                f"{verdict['outcome']:7} {verdict['seconds']:7} s  {verdict['module']}: {verdict['text']}", flush=True
            )
    asked = f"--reach {options.reach.name} " if options.reach else ""
    command = f"python scripts/{Path(__file__).name} {asked}--sample {options.sample} -o {options.output}"
    text = page(sample, known, command, "that reach them" if options.reach else "of their room")
    options.output.write_text(text, encoding="utf-8")
    print(text.splitlines()[4])


if __name__ == "__main__":
    main()
