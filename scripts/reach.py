"""Which tests reach which lines: the quick tests, run once under coverage, kept by what the lines say.

    python scripts/reach.py -o reach.json

`scripts/mutants.py` then runs only the tests that can notice a change. A line is known by its file and its text, so that the file is
still good when lines have moved; what was written since is not in it, and its tests are found by their room.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

from coverage import CoverageData

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("findna_bench", "plugins/findna_plugins", "baselines/findna_baselines")


@dataclass(frozen=True)
class Reach:
    """What the tests reach.

    Attributes:
        seconds: test function ("tests/room/test_file.py::test_name") -> how long all its cases took.
        lines: module -> text of a line, without the space around it -> the test functions that ran its statement.
        digests: test file -> digest of its text when it was run.
    """

    seconds: Mapping[str, float]
    lines: Mapping[str, Mapping[str, Sequence[str]]]
    digests: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Reach:
        """What was kept."""
        content = json.loads(path.read_text(encoding="utf-8"))
        names = content["tests"]
        lines = {
            module: {text: [names[i] for i in tests] for text, tests in rows.items()}
            for module, rows in content["lines"].items()
        }
        return cls(dict(zip(names, content["seconds"], strict=True)), lines, content["digests"])

    def write(self, path: Path) -> None:
        """Keep it: tests are named once, and by number in every line."""
        number = {name: i for i, name in enumerate(self.seconds)}
        lines = {
            module: {text: sorted(number[name] for name in tests) for text, tests in rows.items()}
            for module, rows in self.lines.items()
        }
        seconds = [round(value, 3) for value in self.seconds.values()]
        content = {"tests": list(number), "seconds": seconds, "lines": lines, "digests": self.digests}
        path.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def of(self, module: str, text: str) -> list[str]:
        """The tests that run a line, the quickest first; of a name that is set at import, those that run a line that speaks of it."""
        rows = self.lines.get(module, {})
        tests = set(rows.get(text, ()))
        if not tests and (name := re.match(r"(\w+)(?:: [^=]+)? = ", text)):
            named = re.compile(rf"\b{name[1]}\b")
            tests = {test for line, found in rows.items() if named.search(line) for test in found}
        there = [test for test in tests if self._stands(test)]
        return sorted(there, key=lambda test: self.seconds[test])

    def _stands(self, test: str) -> bool:
        file, _, name = test.partition("::")
        return file in self._texts and f"def {name.rsplit('::', 1)[-1]}(" in self._texts[file]

    @cached_property
    def written_since(self) -> list[str]:
        """Test files that are new, or not what they were."""
        return [file for file, text in self._texts.items() if self.digests.get(file) != _digest(text)]

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in _test_files()}


def _test_files() -> list[Path]:
    return sorted((ROOT / "tests").rglob("test_*.py"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sources() -> Iterator[tuple[str, str]]:
    """(name, source) of every file of the packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def statements(source: str) -> dict[int, range]:
    """Line number -> the lines of the innermost statement that it belongs to; of a compound one, of its head."""
    places: dict[int, range] = {}
    for node in ast.walk(ast.parse(source)):  # from the outside in
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            end = node.end_lineno or node.lineno
            head = max(node.lineno, body[0].lineno - 1) if isinstance(body, list) and body else end
            # The head of a function runs at import: the tests that call it are those that run its body.
            whole = range(node.lineno, (end if is_function else head) + 1)
            places.update(dict.fromkeys(range(node.lineno, head + 1), whole))
    return places


def measured(seconds: float, options: Sequence[str]) -> Reach:
    """Run the quick tests under coverage; some may fail, as what they reached is all that is asked."""
    with tempfile.TemporaryDirectory() as folder:
        data, report, rules = (Path(folder) / name for name in ("coverage", "tests.xml", "coverage.cfg"))
        places = "".join(f"\n    {package}" for package in PACKAGES)
        rules.write_text(f"[run]\nsource ={places}\ndata_file = {data}\nrelative_files = true\n")
        command = [sys.executable, "-m", "pytest", "-m", "not long", "-q", f"--timeout={seconds:.0f}", *options]
        command += ["--cov", f"--cov-config={rules}", "--cov-context=test", "--cov-report=", f"--junitxml={report}"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return _gathered(data, report)


def _gathered(data: Path, report: Path) -> Reach:
    took: dict[str, float] = defaultdict(float)
    for case in ElementTree.parse(report).iter("testcase"):
        # pytest names a case "tests.room.test_file" or "tests.room.test_file.TestClass".
        parts = case.attrib["classname"].split(".")
        file = next(i for i, part in enumerate(parts) if part.startswith("test_")) + 1
        name = "::".join((*parts[file:], case.attrib["name"].partition("[")[0]))
        took["/".join(parts[:file]) + f".py::{name}"] += float(case.attrib["time"])
    found = CoverageData(str(data))
    found.read()
    measured_files = {Path(name).as_posix(): name for name in found.measured_files()}
    lines: dict[str, dict[str, list[str]]] = {}
    for module, source in sources():
        if module not in measured_files:
            continue
        contexts = found.contexts_by_lineno(measured_files[module])
        at = {
            line: {test for context in names if (test := context.partition("|")[0].partition("[")[0]) in took}
            for line, names in contexts.items()
        }
        rows: dict[str, set[str]] = defaultdict(set)
        texts = source.splitlines()
        for line, whole in statements(source).items():
            rows[texts[line - 1].strip()].update(*(at.get(number, ()) for number in whole))
        lines[module] = {text: sorted(tests) for text, tests in rows.items() if tests}
    digests = {path.relative_to(ROOT).as_posix(): _digest(path.read_text(encoding="utf-8")) for path in _test_files()}
    return Reach(dict(took), lines, digests)


def main() -> None:
    """Run the tests, and keep what they reach."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file (.json)")
    parser.add_argument("--seconds", type=float, default=1800.0, help="a test that takes longer is ended")
    parser.add_argument("options", nargs="*", help="for pytest, after --; for instance -n auto --dist loadfile")
    options = parser.parse_args()
    reach = measured(options.seconds, options.options)
    reach.write(options.output)
    print(f"{options.output}: {len(reach.seconds)} tests, {len(reach.lines)} files")


if __name__ == "__main__":
    main()
