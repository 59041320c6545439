"""Faults planted into rows of real genomes: which are found by the audit, and by other linters that are installed.

    python benchmarks/planted_faults.py --data ../shared/data [--rows 600] [--faults a,b] [--strengths 1,2,3] [--backgrounds human,worm]
        [--seqleak PATH] [--gb-qc PATH] [--splits] [-o benchmarks/results/planted_faults.md]
    python benchmarks/planted_faults.py --data ../shared/data --clean 200

Rows are windows of a genome that do not overlap, with labels drawn at random: nothing is there to be found but what is planted. A fault is
*found* where a finding of the audit says what it is (:data:`EXPECTED`); for other linters, where they complain of anything that they do not
complain of before it is planted. seqleak and gb-qc are run through their command line where a path is given or they are on PATH, and are
said to be absent where they are not; gb-qc's comparison of splits needs MMseqs2 and is run with ``--splits`` only (minutes per set).
``--clean N`` plants nothing and counts the sets out of N that are accused of a leak or a shortcut.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from findna_bench.auditing import AuditReport, audit_task
from findna_bench.grid import markdown_table
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.sequences.fasta import read_fasta
from findna_bench.sequences.shuffling import dinucleotide_shuffle

GENOMES = {
    "human": "human/GRCh37_chr20.fa.gz",
    "worm": "small_genomes/celegans_chrI_1-1009800.fa",
    "yeast": "small_genomes/yeast_chr2.fa",
    "fly": "small_genomes/drosophila_chr2R.fa.gz",
}
LENGTH = 200
_BASES = 3_000_000
"""Bases of a genome that are read, from its first tenth on."""

Rows = list[tuple[str, int]]


@dataclass
class Set:
    """Rows of train and test: sequence and label, 0 or 1."""

    train: Rows
    test: Rows
    spare: list[str] = field(default_factory=list)


Plant = Callable[[Set, float, np.random.Generator], Set]


def windows(bases: str, n: int, generator: np.random.Generator, length: int = LENGTH) -> list[str]:
    """n windows of A, C, G, T that do not overlap, in random order.

    Raises:
        ValueError: the sequence has fewer.
    """
    found = [bases[i : i + length].upper() for i in range(0, len(bases) - length + 1, length)]
    found = [window for window in found if set(window) <= set("ACGT")]
    if len(found) < n:
        raise ValueError(f"{len(found)} windows of {length} bases, fewer than {n}; give fewer rows")
    return [found[i] for i in generator.permutation(len(found))[:n].tolist()]


def clean(bases: str, rows: int, generator: np.random.Generator, length: int = LENGTH) -> Set:
    """Two thirds train, one third test, labels drawn; as many rows again are spare."""
    found = windows(bases, 2 * rows, generator, length)
    labelled = list(zip(found[:rows], generator.permutation(np.arange(rows) % 2).tolist(), strict=True))
    return Set(labelled[: 2 * rows // 3], labelled[2 * rows // 3 :], found[rows:])


def _put(sequence: str, word: str, place: int) -> str:
    place %= len(sequence)
    return sequence[:place] + word + sequence[place + len(word) :]


def _positives(change: Callable[[str], str]) -> Plant:
    """Changes a share of the rows of class 1, in both splits."""

    def plant(rows: Set, strength: float, generator: np.random.Generator) -> Set:
        def changed(part: Rows) -> Rows:
            return [(change(s) if y and generator.random() < strength else s, y) for s, y in part]

        return Set(changed(rows.train), changed(rows.test))

    return plant


def _copies(change: Callable[[str, np.random.Generator], str], *, flip: bool = False) -> Plant:
    """Replaces a share of the test rows by train rows, each changed."""

    def plant(rows: Set, strength: float, generator: np.random.Generator) -> Set:
        n = round(strength * len(rows.test))
        originals = generator.permutation(len(rows.train))[:n].tolist()
        copies = [(change(rows.train[i][0], generator), rows.train[i][1] ^ flip) for i in originals]
        return Set(rows.train, copies + rows.test[n:])

    return plant


def substituted(sequence: str, share: float, generator: np.random.Generator) -> str:
    """That share of the bases replaced by another one."""
    letters = list(sequence)
    for i in generator.choice(len(letters), round(share * len(letters)), replace=False).tolist():
        letters[i] = "ACGT"[("ACGT".index(letters[i]) + int(generator.integers(1, 4))) % 4]
    return "".join(letters)


def _either_strand(share: float) -> Callable[[str, np.random.Generator], str]:
    def change(sequence: str, generator: np.random.Generator) -> str:
        copy = substituted(sequence, share, generator)
        return reverse_complement(copy) if generator.random() < 0.5 else copy

    return change


def _indels(sequence: str, generator: np.random.Generator) -> str:
    """Four bases taken out at one place, four put in at another."""
    a, b = sorted(generator.integers(20, len(sequence) - 20, 2).tolist())
    new = "".join(generator.choice(list("ACGT"), 4))
    return (sequence[:a] + sequence[a + 4 : b] + new + sequence[b:])[: len(sequence)]


def _shifted(sequence: str, generator: np.random.Generator) -> str:
    end = "".join(generator.choice(list("ACGT"), 40))
    return sequence[40:] + end


def _within(rows: Set, strength: float, generator: np.random.Generator) -> Set:
    """A share of the train rows of class 1 stand there again."""
    again = [row for row in rows.train if row[1] and generator.random() < strength]
    return Set(rows.train + again, rows.test)


def _longer(rows: Set, strength: float, generator: np.random.Generator) -> Set:
    """Rows of class 0 are cut to lengths that are shorter by that share on the whole."""

    def cut(part: Rows) -> Rows:
        lengths = generator.uniform(0.7, 1, len(part)) * LENGTH
        return [(s[: int(n * (1 if y else 1 - strength))], y) for (s, y), n in zip(part, lengths.tolist(), strict=True)]

    return Set(cut(rows.train), cut(rows.test))


def _parity(rows: Set, strength: float, generator: np.random.Generator) -> Set:
    """Rows of class 1 have even lengths, those of class 0 odd ones, as often as the strength says."""

    def cut(part: Rows) -> Rows:
        out = []
        for s, y in part:
            n = 2 * int(generator.integers(70, 95))
            odd = (y == 0) if generator.random() < strength else bool(generator.integers(2))
            out.append((s[: n + odd], y))
        return out

    return Set(cut(rows.train), cut(rows.test))


def _shuffles(rows: Set, strength: float, generator: np.random.Generator) -> Set:
    """A share of the rows of class 0 are shuffles of rows of class 1, dealt to train and test at random."""
    whole = rows.train + rows.test
    positives = [s for s, y in whole if y]
    made = [
        (dinucleotide_shuffle(positives[i % len(positives)], generator) if not y and generator.random() < strength else s, y)
        for i, (s, y) in enumerate(whole)
    ]  # fmt: skip
    order = [made[i] for i in generator.permutation(len(made)).tolist()]
    return Set(order[: len(rows.train)], order[len(rows.train) :])


FAULTS: dict[str, tuple[Plant, tuple[float, float, float]]] = {
    "dinucleotide at base 101 in one class": (_positives(lambda s: _put(s, "GT", 100)), (0.4, 0.7, 1.0)),
    "6-mer at one place in one class": (_positives(lambda s: _put(s, "GATTAC", 60)), (0.3, 0.5, 0.7)),
    "N at the start of one class": (_positives(lambda s: _put(s, "NNNNN", 0)), (0.3, 0.5, 0.7)),
    "lower case in one class": (_positives(str.lower), (0.3, 0.6, 1.0)),
    "start TG, end CA in one class": (_positives(lambda s: _put(_put(s, "TG", 0), "CA", -2)), (0.4, 0.6, 0.8)),
    "exact copies": (_copies(lambda s, g: s), (0.05, 0.2, 0.5)),
    "reverse complements": (_copies(lambda s, g: reverse_complement(s)), (0.05, 0.2, 0.5)),
    "5 % substituted": (_copies(_either_strand(0.05)), (0.1, 0.3, 0.6)),
    "8 % substituted": (_copies(_either_strand(0.08)), (0.1, 0.3, 0.6)),
    "15 % substituted": (_copies(_either_strand(0.15)), (0.1, 0.3, 0.6)),
    "20 % substituted": (_copies(_either_strand(0.20)), (0.1, 0.3, 0.6)),
    "indels": (_copies(_indels), (0.1, 0.3, 0.6)),
    "shifted by 40": (_copies(_shifted), (0.1, 0.3, 0.6)),
    "other label in train": (_copies(lambda s, g: s, flip=True), (0.05, 0.2, 0.5)),
    "duplicates within a class of train": (_within, (0.1, 0.3, 0.6)),
    "one class longer": (_longer, (0.1, 0.2, 0.4)),
    "even and odd lengths": (_parity, (0.5, 0.8, 1.0)),
    "dinucleotide shuffles": (_shuffles, (0.2, 0.5, 1.0)),
}
"""Name -> what plants it, and its three strengths: a share of rows; of ``one class longer`` by how much."""

_COPIES = {"leak: duplicates", "leak: similarity", "leak: diverged-copies"}
EXPECTED: dict[str, set[str]] = {
    "dinucleotide at base 101 in one class": {"shortcut: site"},
    "6-mer at one place in one class": {"shortcut: site"},
    "N at the start of one class": {"shortcut: site", "shortcut: ends"},
    "lower case in one class": {"shortcut: case"},
    "start TG, end CA in one class": {"shortcut: ends", "shortcut: site"},
    "exact copies": {"leak: duplicates"},
    "reverse complements": {"leak: duplicates"},
    "other label in train": {"conflicting-labels"},
    "duplicates within a class of train": {"note: duplicates"},
    "one class longer": {"shortcut: length"},
    "even and odd lengths": {"shortcut: length"},
    "dinucleotide shuffles": {"leak: same-composition", "shortcut: same-composition"},
}
"""Findings that say what the fault is; any of the findings of copies for faults that are not listed."""


def write(rows: Set, folder: Path) -> None:
    """``train.csv`` and ``test.csv`` with the columns sequence and label."""
    for split, part in (("train", rows.train), ("test", rows.test)):
        with (folder / f"{split}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["sequence", "label"])
            table.writerows(part)


def ours(folder: Path) -> AuditReport:
    """The audit of the files of :func:`write`."""
    return audit_task(str(folder), data_dir=folder / "root")


@dataclass(frozen=True)
class Linter:
    """Another linter: complaints of a folder of :func:`write`."""

    name: str
    complaints: Callable[[Path], set[str]]


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words[0]} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")


def _seqleak(program: str) -> Linter:
    def complaints(folder: Path) -> set[str]:
        out = folder / "seqleak.json"
        files = ["--train", str(folder / "train.csv"), "--test", str(folder / "test.csv")]
        _run([program, "audit", *files, "--out", str(out), "--quiet", "--threads", "1"])
        checks = json.loads(out.read_text())["checks"]
        return {name for name, check in checks.items() if check["status"] in ("WARN", "FAIL")}

    return Linter("seqleak", complaints)


def _gb_qc(program: str, splits: bool) -> Linter:
    def complaints(folder: Path) -> set[str]:
        out = ["--out-folder", str(folder / "gb-qc"), "--report-types", "simple", "--log-level", "ERROR"]
        _run([program, "evaluate-classes", "--input", str(folder / "train.csv"), *out])
        if splits:
            files = ["--train-input", str(folder / "train.csv"), "--test-input", str(folder / "test.csv")]
            _run([program, "evaluate-splits", *files, *out, "--threads", "1", "--similarity-threshold", "80"])
        found = set()
        for report in sorted((folder / "gb-qc").rglob("*.csv")):
            with report.open(newline="") as file:
                found |= {row["Check"] for row in csv.DictReader(file) if row["Flag"] in ("Warning", "Fail")}
        return found

    return Linter("gb-qc", complaints)


def linters(options: argparse.Namespace) -> tuple[list[Linter], list[str]]:
    """Those that are installed, and words on those that are not."""
    found, absent = [], []
    for name, path in (("seqleak", options.seqleak), ("gb-qc", options.gb_qc)):
        program = path or shutil.which(name)
        if program is None:
            absent.append(f"{name} is not installed here")
        else:
            found.append(_seqleak(program) if name == "seqleak" else _gb_qc(program, options.splits))
    if options.gb_qc and not options.splits:
        absent.append("gb-qc compared classes alone, not splits")
    return found, absent


def genome(data: Path, name: str) -> str:
    """Bases of a genome, from a tenth of its first record on."""
    _, bases = next(read_fasta(data / GENOMES[name]))
    return bases[len(bases) // 10 :][:_BASES]


def planted(
    backgrounds: dict[str, str], options: argparse.Namespace, others: Sequence[Linter]
) -> Iterator[tuple[str, str, float, dict[str, set[str] | None]]]:
    """(fault, background, strength, linter -> what it says; None = misses it)."""
    for background, bases in backgrounds.items():
        before = _complaints(clean(bases, options.rows, np.random.default_rng(options.seed)), others)
        print(f"{background}, nothing planted: {before}", file=sys.stderr, flush=True)
        for name in options.faults:
            plant, strengths = FAULTS[name]
            for number in options.strengths:
                generator = np.random.default_rng(options.seed)
                rows = plant(clean(bases, options.rows, generator), strengths[number - 1], generator)
                after = _complaints(rows, others)
                found = {
                    linter: (after[linter] & EXPECTED.get(name, _COPIES) if linter == "findna-bench" else after[linter] - before[linter])
                    for linter in after
                }  # fmt: skip
                print(f"{background}, {name}, {strengths[number - 1]:g}: {found}", file=sys.stderr, flush=True)
                yield name, background, strengths[number - 1], {key: says or None for key, says in found.items()}


def _complaints(rows: Set, others: Sequence[Linter]) -> dict[str, set[str]]:
    with tempfile.TemporaryDirectory() as folder:
        write(rows, Path(folder))
        found = {"findna-bench": set(ours(Path(folder)).flags)}
        return found | {linter.name: linter.complaints(Path(folder)) for linter in others}


def accused(bases: str, rows: int, seed: int) -> list[str]:
    """Leaks and shortcuts that the audit finds in a clean set."""
    with tempfile.TemporaryDirectory() as folder:
        write(clean(bases, rows, np.random.default_rng(seed)), Path(folder))
        return [flag for flag in ours(Path(folder)).flags if flag.startswith(("leak", "shortcut"))]


def page(found: Sequence[tuple[str, str, float, dict[str, set[str] | None]]], words: Sequence[str]) -> str:
    """A line per fault and strength: in how many backgrounds each linter finds it, and what it says there."""
    lines: dict[tuple[str, float], dict[str, list[set[str] | None]]] = {}
    for fault, _, strength, says in found:
        cell = lines.setdefault((fault, strength), {})
        for linter, each in says.items():
            cell.setdefault(linter, []).append(each)
    names = list(next(iter(lines.values())))
    rows = []
    for (fault, strength), cell in lines.items():
        row = [fault, f"{strength:g}"]
        for name in names:
            all_said = sorted(set().union(*(each or set() for each in cell[name])))
            row.append(
                f"{sum(map(bool, cell[name]))} of {len(cell[name])}" + (f" ({', '.join(all_said)})" if all_said else "")
            )
        rows.append(row)  # fmt: skip
    return "\n".join(
        ["# Planted faults", "", *words, "", *markdown_table(["fault", "strength", *names], rows, words=9), ""]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the genomes")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=lambda text: text.split(","), default=list(FAULTS))
    parser.add_argument("--strengths", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--backgrounds", type=lambda text: text.split(","), default=["human", "worm", "yeast"])
    parser.add_argument("--seqleak", help="the program, where it is not on PATH")
    parser.add_argument("--gb-qc", help="the program, where it is not on PATH")
    parser.add_argument("--splits", action="store_true", help="let gb-qc compare train and test, too (needs MMseqs2)")
    parser.add_argument("--clean", type=int, help="plant nothing; audit so many sets")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    backgrounds = {name: genome(options.data, name) for name in options.backgrounds}
    if options.clean:
        names = list(backgrounds)
        results = [accused(backgrounds[names[s % len(names)]], options.rows, 1000 + s) for s in range(options.clean)]
        wrong = [flags for flags in results if flags]
        print(f"{len(wrong)} of {len(results)} clean sets of {options.rows} rows are accused: {wrong}")
        return 0
    others, absent = linters(options)
    began = time.process_time()
    found = list(planted(backgrounds, options, others))
    command = " ".join(["python benchmarks/planted_faults.py", f"--rows {options.rows}", f"--seed {options.seed}"])
    words = [
        f"Made by `{command}` on {', '.join(backgrounds)}. In how many of these backgrounds each linter finds what is planted, and what it says.",
        *(f"{line[0].upper()}{line[1:]}." for line in absent),
    ]
    text = page(found, words)
    print(text)
    print(f"{time.process_time() - began:.0f} s of processor time, other linters not counted", file=sys.stderr)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
