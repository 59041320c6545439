"""Faults planted into rows of real genomes: which are found by the audit, and by other linters that are installed.

    python benchmarks/planted_faults.py --data ../shared/data [--rows 800] [--faults a,b] [--strengths 1,2,3] [--backgrounds human,worm]
        [--linters findna-bench,seqleak,gb-qc-classes,gb-qc-splits] [--seqleak PATH] [--gb-qc PATH] [--keep FILE] [-o FILE]
    python benchmarks/planted_faults.py --data ../shared/data --clean 200
    python benchmarks/planted_faults.py --data ../shared/data --cure

Rows are windows of a genome that do not overlap, with labels drawn at random: nothing is there to be found but what is planted. A fault is
*found* where a finding of the audit says what it is (:data:`EXPECTED`); for other linters, where a check of theirs says worse than before
it is planted, or measures five points more than a complaint needed. What the audit calls a leak or a shortcut beside that is listed, too.

seqleak and gb-qc are run where a path is given or they are on PATH, each in one process of its own Python for all sets, and are said to be
absent where they are not. Alignment (BLAST or MMseqs2, which they call) is run where rows were put into both splits. ``--keep`` holds what
was said of each set, and what stands there is not computed again. ``--clean N`` plants nothing and counts the sets out of N that are accused
of a leak or a shortcut. ``--only-kept`` makes the page of what the file holds and computes nothing. ``--cure`` splits planted sets anew, as ``audit --write`` does, and lets the other linters look at what came out.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from findna_bench.auditing import AuditReport, audit_task
from findna_bench.grid import markdown_table
from findna_bench.results.environment import environment, environment_line
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

SEVERAL = "several at once"
"""The fault that is planted to be cured: copies of all kinds, under another label too, duplicates, and ends that tell the class."""

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


def _several(rows: Set, strength: float, generator: np.random.Generator) -> Set:
    """A fifth of the strength of each kind of copy, and ends and N in one class as often as the strength says."""
    for fault in (
        "exact copies",
        "reverse complements",
        "5 % substituted",
        "15 % substituted",
        "shifted by 40",
        "other label in train",
    ):
        rows = FAULTS[fault][0](rows, strength / 5, generator)
        n = round(strength / 5 * len(rows.test))
        rows = Set(rows.train, rows.test[n:] + rows.test[:n])  # those that follow replace other rows
    for fault in ("duplicates within a class of train", "start TG, end CA in one class"):
        rows = FAULTS[fault][0](rows, strength, generator)
    return rows


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
    SEVERAL: (_several, (0.2, 0.4, 0.6)),
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
    "dinucleotide shuffles": {"leak: same-composition", "shortcut: same-composition", "note: shuffles"},
}
"""Findings that say what the fault is; any of the findings of copies for faults that are not listed."""
ALIGNED = {
    "exact copies", "reverse complements", "5 % substituted", "8 % substituted", "15 % substituted", "20 % substituted", "indels",
    "shifted by 40", "other label in train", SEVERAL,
}  # fmt: skip
"""Faults for which other linters align rows."""
EXPLAINED = dict.fromkeys(ALIGNED, _COPIES | {"shortcut: similarity"})
"""Findings that are true of a fault and do not name it: of what was copied the nearest train row tells the label."""
CLEAN = 3
"""Sets of each background with nothing planted."""


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
class Complaint:
    """What a check says of a set. level: 0 passed, 1 warning, 2 failed. share: what it measured, a fraction."""

    level: int
    share: float

    def beyond(self, before: Complaint | None) -> bool:
        """Whether it is worse than what was said before."""
        if before is None or self.level > before.level:
            return self.level > 0
        return self.level > 0 and self.share >= before.share + _MORE


Complaints = dict[str, Complaint]
_MORE = 0.05
"""A check that complained before anything was planted finds it where it measures so much more."""


@dataclass(frozen=True)
class Linter:
    """Another linter. complaints: of folders of :func:`write` what each check says, with or without alignment."""

    name: str
    complaints: Callable[[Sequence[Path], bool], list[Complaints]]


def _call(program: str, code: str, arguments: Sequence[Sequence[str]]) -> None:
    """Run a linter's own entry point once per list of arguments, in one process of the Python that it is installed in."""
    python = Path(program).read_text().splitlines()[0].removeprefix("#!")
    words = json.dumps(list(arguments))
    done = subprocess.run([python, "-c", code], input=words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")


_SEQLEAK = """
import json, sys
from seqleak.cli import main
for arguments in json.load(sys.stdin):
    assert main(arguments) == 0
"""
_GB_QC = """
import json, sys
from genomic_benchmarks_qc.cli import app
for arguments in json.load(sys.stdin):
    assert not app(arguments, standalone_mode=False)
"""


def _files(folder: Path) -> list[str]:
    return [str(folder / "train.csv"), str(folder / "test.csv")]


def _seqleak(program: str) -> Linter:
    def complaints(folders: Sequence[Path], aligned: bool) -> list[Complaints]:
        calls = []
        for folder in folders:
            train, test = _files(folder)
            out = str(folder / "seqleak.json")
            calls.append(["audit", "--train", train, "--test", test, "--out", out, "--quiet", "--threads", "1"])
            calls[-1] += ["--homology", "auto" if aligned else "off"]
        _call(program, _SEQLEAK, calls)
        found = []
        for folder in folders:
            checks = json.loads((folder / "seqleak.json").read_text())["checks"]
            levels = {"WARN": 1, "FAIL": 2}
            found.append({n: Complaint(levels.get(c["status"], 0), c["value"] or 0.0) for n, c in checks.items()})
        return found

    return Linter("seqleak", complaints)


def _gb_qc(program: str, verb: str) -> Linter:
    def complaints(folders: Sequence[Path], aligned: bool) -> list[Complaints]:
        if verb == "splits" and not aligned:
            return [{} for _ in folders]
        calls = []
        for folder in folders:
            train, test = _files(folder)
            out = ["--out-folder", str(folder / "gb-qc"), "--report-types", "simple", "--log-level", "ERROR"]
            calls.append(["evaluate-classes", "--input", train, *out])
            if verb == "splits":
                calls[-1] = ["evaluate-splits", "--train-input", train, "--test-input", test, *out, "--threads", "1"]
        _call(program, _GB_QC, calls)
        return [_gb_qc_report(folder / "gb-qc") for folder in folders]

    return Linter(f"gb-qc-{verb}", complaints)


def _gb_qc_report(folder: Path) -> Complaints:
    """Checks of its table; those of single places and words count under the name of their kind."""
    found: Complaints = {}
    for report in sorted(folder.rglob("*.csv")):
        with report.open(newline="") as file:
            for row in csv.DictReader(file):
                level = {"Warning": 1, "Fail": 2}.get(row["Flag"], 0)
                share = float(row.get("Percentage of leaked queries", "").rstrip("%") or 0) / 100
                name = row["Check"].partition(" - ")[0]
                if level >= found.get(name, Complaint(0, 0)).level:
                    found[name] = Complaint(level, share)
    return found


def _ours(folders: Sequence[Path], aligned: bool) -> list[Complaints]:
    return [{flag: Complaint(2, 0) for flag in ours(folder).flags} for folder in folders]


OURS = "findna-bench"
LINTERS = (OURS, "seqleak", "gb-qc-classes", "gb-qc-splits")


def linters(options: argparse.Namespace) -> tuple[list[Linter], list[str]]:
    """Those that are asked for and installed, and words on those that are not."""
    found, absent = [], []
    if OURS in options.linters:
        found.append(Linter(OURS, _ours))
    for program, path in (("seqleak", options.seqleak), ("gb-qc", options.gb_qc)):
        wanted = [name for name in options.linters if name.startswith(program)]
        file = path or shutil.which(program)
        if wanted and file is None:
            absent.append(f"{program} is not installed here")
        elif file is not None:
            found += [
                _seqleak(file) if name == "seqleak" else _gb_qc(file, name.removeprefix("gb-qc-")) for name in wanted
            ]
    return found, absent


def genome(data: Path, name: str) -> str:
    """Bases of a genome, from a tenth of its first record on."""
    _, bases = next(read_fasta(data / GENOMES[name]))
    return bases[len(bases) // 10 :][:_BASES]


@dataclass(frozen=True)
class Case:
    """A set: strength 0 plants nothing. seed: of the rows."""

    background: str
    fault: str
    strength: float
    seed: int

    @property
    def aligned(self) -> bool:
        """Whether rows were put into both splits, or nothing was planted."""
        return self.fault in ("", *ALIGNED)

    def make(self, bases: str, rows: int) -> Set:
        """Its rows."""
        generator = np.random.default_rng(self.seed)
        made = clean(bases, rows, generator)
        return FAULTS[self.fault][0](made, self.strength, generator) if self.fault else made


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """All sets, background by background, first those with nothing planted."""
    for background in options.backgrounds:
        for seed in range(options.seed, options.seed + CLEAN):
            yield Case(background, "", 0, seed)
        for fault in options.faults:
            for number in options.strengths:
                yield Case(background, fault, FAULTS[fault][1][number - 1], options.seed)


Said = dict[tuple[Case, str], Complaints]


def look(options: argparse.Namespace, others: Sequence[Linter]) -> Said:
    """(set, linter) -> what it says; kept in a file, if one is named."""
    said = _kept(options.keep) if options.keep else {}
    if options.only_kept:
        return said
    bases = {name: genome(options.data, name) for name in options.backgrounds}
    together: dict[tuple[str, str], list[Case]] = {}
    for case in cases(options):
        together.setdefault((case.background, case.fault), []).append(case)
    for same in together.values():
        for linter in others:
            left = [case for case in same if (case, linter.name) not in said]
            with tempfile.TemporaryDirectory() as root:
                folders = [Path(root) / str(number) for number in range(len(left))]
                for folder, case in zip(folders, left, strict=True):
                    folder.mkdir()
                    write(case.make(bases[case.background], options.rows), folder)
                found = linter.complaints(folders, same[0].aligned) if left else []
            for case, complaints in zip(left, found, strict=True):
                said[case, linter.name] = complaints
                if options.keep:
                    _keep(options.keep, case, linter.name, complaints)
                bad = [name for name, complaint in complaints.items() if complaint.level]
                print(
                    f"{case.background}, {case.fault or 'nothing'}, {case.strength:g}, {linter.name}: {bad}",
                    file=sys.stderr,
                    flush=True,
                )
    return said


def _keep(path: Path, case: Case, linter: str, complaints: Complaints) -> None:
    line = {**asdict(case), "linter": linter, "complaints": {n: [c.level, c.share] for n, c in complaints.items()}}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _kept(path: Path) -> Said:
    said: Said = {}
    for line in path.read_text().splitlines() if path.is_file() else []:
        entry = json.loads(line)
        linter, complaints = entry.pop("linter"), entry.pop("complaints")
        said[Case(**entry), linter] = {name: Complaint(level, share) for name, (level, share) in complaints.items()}
    return said


def found_by(said: Said, case: Case, linter: str) -> set[str]:
    """What a linter says that finds the fault of a set."""
    after = said[case, linter]
    if linter == OURS:
        return set(after) & EXPECTED.get(case.fault, _COPIES)
    before = said[Case(case.background, "", 0, case.seed), linter]
    return {name for name, complaint in after.items() if complaint.beyond(before.get(name))}


def beside(said: Said, case: Case) -> set[str]:
    """Leaks and shortcuts of the audit that do not say what was planted."""
    known = EXPECTED.get(case.fault, _COPIES) | EXPLAINED.get(case.fault, set())
    return {flag for flag in said[case, OURS] if flag.startswith(("leak", "shortcut")) and flag not in known}


def accused(bases: str, rows: int, seed: int) -> list[str]:
    """Leaks and shortcuts that the audit finds in a clean set."""
    with tempfile.TemporaryDirectory() as folder:
        write(clean(bases, rows, np.random.default_rng(seed)), Path(folder))
        return [flag for flag in ours(Path(folder)).flags if flag.startswith(("leak", "shortcut"))]


def page(said: Said, options: argparse.Namespace, words: Sequence[str]) -> str:
    """A line per fault and strength: in how many backgrounds each linter finds it, and what it says; then what each says of clean sets."""
    names = [name for name in LINTERS if any(linter == name for _, linter in said)]
    planted = [case for case in cases(options) if case.fault]
    rows = []
    for fault, strength in dict.fromkeys((case.fault, case.strength) for case in planted):
        same = [case for case in planted if (case.fault, case.strength) == (fault, strength)]
        row = [fault, f"{strength:g}"]
        for name in names:
            if name == "gb-qc-splits" and not same[0].aligned:
                row.append("-")
                continue
            each = [found_by(said, case, name) for case in same if (case, name) in said]
            told = ", ".join(sorted(set().union(*each)))
            row.append(f"{sum(map(bool, each))} of {len(each)}" + (f" ({told})" if told else ""))
        if OURS in names:
            row.append(
                ", ".join(sorted(set().union(*(beside(said, case) for case in same if (case, OURS) in said)))) or "-"
            )
        rows.append(row)
    header = ["fault", "strength", *names, *(["findna-bench, beside it"] if OURS in names else [])]
    nothing = []
    for name in names:
        same = [case for case in cases(options) if not case.fault and (case, name) in said]
        each = [
            {check for check, complaint in said[case, name].items() if _accuses(name, check, complaint)}
            for case in same
        ]
        told = ", ".join(sorted(set().union(*each)))
        nothing.append([name, f"{sum(map(bool, each))} of {len(each)}", told or "-"])
    lines = ["# Planted faults", "", *words, "", *markdown_table(header, rows, words=len(header))]
    lines += ["", "## Nothing planted", "", f"{CLEAN} sets of each background.", ""]
    return "\n".join([*lines, *markdown_table(["linter", "sets accused", "of"], nothing, words=3), ""])


def clean_page(results: Sequence[Sequence[str]], options: argparse.Namespace) -> str:
    """How many of the sets with nothing planted are accused, and of what. results: leaks and shortcuts of each."""
    wrong = [", ".join(flags) for flags in results if flags]
    share = 100 * len(wrong) / len(results)
    command = f"python benchmarks/planted_faults.py --data ../shared/data --rows {options.rows} --clean {len(results)}"
    words = [
        f"Made by `{command}` on {', '.join(options.backgrounds)}; {environment_line(environment())}.",
        f"{len(wrong)} of {len(results)} sets of {options.rows} rows are accused ({share:.1f} %, goal: 2 % at most).",
    ]
    lines = [[text, str(wrong.count(text))] for text in sorted(set(wrong))]
    return "\n".join(["# Nothing planted", "", *words, "", *markdown_table(["accused of", "sets"], lines, words=1), ""])


def _accuses(linter: str, check: str, complaint: Complaint) -> bool:
    """Ours by a leak or a shortcut; a note accuses nobody."""
    return check.startswith(("leak", "shortcut")) if linter == OURS else complaint.level > 0


def cure(options: argparse.Namespace, others: Sequence[Linter]) -> list[list[str]]:
    """(background, fault, what the audit says of what was written, what each other linter does that it did not of clean rows)."""
    from findna_bench.auditing.cure import cure_tables, write_cure
    from findna_bench.data.task import open_task

    rows, others = [], [linter for linter in others if linter.name != OURS]
    for background in options.backgrounds:
        bases = genome(options.data, background)
        with tempfile.TemporaryDirectory() as root:
            folders = {fault: Path(root) / str(number) for number, fault in enumerate(["", *options.faults])}
            folders[""].mkdir()
            write(Case(background, "", 0, options.seed).make(bases, options.rows), folders[""])
            made = {}
            for fault in options.faults:
                planted = folders[fault] / "planted"
                planted.mkdir(parents=True)
                strength = FAULTS[fault][1][options.strengths[-1] - 1]
                write(Case(background, fault, strength, options.seed).make(bases, options.rows), planted)
                task = open_task(str(planted), data_dir=Path(root) / "root")
                made[fault] = cure_tables({split: task.load(split) for split in task.splits}, task.card)
                write_cure(made[fault], folders[fault])
                print(f"{background}, {fault}: {made[fault].sentence}", file=sys.stderr, flush=True)
            said = {}
            for linter in others:
                looked = ["", *(fault for fault in options.faults if fault in ALIGNED or linter.name != "gb-qc-splits")]
                found = linter.complaints([folders[fault] for fault in looked], True)
                said[linter.name] = dict(zip(looked, found, strict=True))
            for fault, each in made.items():
                row = [background, fault, f"{each.after.verdict.level} ({', '.join(each.after.flags) or '-'})"]
                for linter in others:
                    row.append(_worse(said[linter.name], fault))
                rows.append(row)
    return rows


def _worse(said: dict[str, Complaints], fault: str) -> str:
    """What a linter complains of in a split written anew; in brackets what it complains of just so in rows with nothing planted."""
    if fault not in said:
        return "-"
    before = said[""]
    bad = {name: complaint for name, complaint in said[fault].items() if complaint.level}
    words = [name if complaint.beyond(before.get(name)) else f"({name})" for name, complaint in sorted(bad.items())]
    return ", ".join(words) or "passes"


def _listed(text: str) -> list[str]:
    return text.split(",")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the genomes")
    parser.add_argument(
        "--rows", type=int, default=800, help="of both splits; gb-qc compares places from 250 train rows of a class on"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=_listed, default=[fault for fault in FAULTS if fault != SEVERAL])
    parser.add_argument("--strengths", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--backgrounds", type=_listed, default=["human", "worm", "yeast"])
    parser.add_argument("--linters", type=_listed, default=list(LINTERS))
    parser.add_argument("--seqleak", help="the program, where it is not on PATH")
    parser.add_argument("--gb-qc", help="the program, where it is not on PATH")
    parser.add_argument("--keep", type=Path, help="a file that holds what was said of each set")
    parser.add_argument("--only-kept", action="store_true", help="compute nothing that --keep does not hold")
    parser.add_argument("--clean", type=int, help="plant nothing; audit so many sets")
    parser.add_argument("--cure", action="store_true", help="split the planted sets anew and look at what came out")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.clean:
        bases = [genome(options.data, name) for name in options.backgrounds]
        results = [accused(bases[s % len(bases)], options.rows, 1000 + s) for s in range(options.clean)]
        text = clean_page(results, options)
        print(text)
        if options.output:
            options.output.write_text(text, encoding="utf-8")
        return 0
    others, absent = linters(options)
    command = f"python benchmarks/planted_faults.py {'--cure ' if options.cure else ''}--rows {options.rows} --seed {options.seed}"
    if options.only_kept:
        said = _kept(options.keep)
        others_run = {linter for _, linter in said}
        absent += [f"{name} was not run" for name in LINTERS if name not in others_run]
        if len(said) < len({case for case, _ in said}) * len(others_run):
            absent.append("of the other linters some sets were not run: n of m counts those that were")
    words = [
        f"Made by `{command}` on {', '.join(options.backgrounds)}; {environment_line(environment())}.",
        *(f"{line[0].upper()}{line[1:]}." for line in absent),
    ]
    if options.cure:
        words.append("In brackets: what a linter complains of in rows of the genome with nothing planted, too.")
        header = ["background", "fault", OURS, *(linter.name for linter in others if linter.name != OURS)]
        table = markdown_table(header, cure(options, others), words=len(header))
        text = "\n".join(["# Planted faults, split anew", "", *words, "", *table, ""])
    else:
        text = page(look(options, others), options, words)
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
