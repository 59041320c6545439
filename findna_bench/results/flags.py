"""Flags that follow from what a result itself holds, in the words that every table shows beside its number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from findna_bench.results.schema import Coverage, Result

__all__ = [
    "CODE_NOT_HASHED",
    "DID_NOT_LEARN",
    "FROM_DATA",
    "OF_CELLS",
    "OF_TASKS",
    "bases_read",
    "choice_words",
    "class_flag",
    "few_shot_words",
    "flags_of",
    "following_flags",
    "share_read",
    "truncation_flag",
    "truncation_note",
    "warnings_of",
]

DID_NOT_LEARN = "did not learn"
CODE_NOT_HASHED = "code not hashed"
"""Flag of a result that nothing can be compared with: neither it nor what it was computed from is ever taken up again."""
FROM_DATA = re.compile(
    r"partial \(.*\)|shortcut|leak|test drawn .*|pretraining-overlap \((yes|same genome|unknown)\)|.+ sequence not predicted",
    re.DOTALL,
)
"""Flags that come from data, cards and weights, and that no field of a result decides."""
_NO_GAIN = 0.005
"""Half a point: what a score may be above that of a rule and still be called reached. The rule predicts each row by half of its group, which costs it
a little."""
_NUMBER = re.compile(r"\d+(\.\d+)?(e[-+]?\d+)?")
OF_CELLS = ("truncated", DID_NOT_LEARN)
"""Flags of one model on one task, which may stand beside some tasks of a row and not beside others."""
OF_TASKS = ("partial", "shortcut", "leak", "one class in test", "absent from test")
"""Flags that speak of the data; all others speak of the model or the run."""


def share_read(seen: int, total: int) -> str:
    """``46 %``: rounded down, so that what was cut never reads as everything, nor anything read as nothing."""
    percent = 100 * seen / total if total else 100.0
    if percent >= 100 and seen >= total:
        return "100 %"
    if percent >= 99:
        return f"{min(math.floor(10 * percent), 999) / 10} %"
    return f"{math.floor(percent)} %" if percent >= 1 or not seen else "under 1 %"


def truncation_flag(coverage: Coverage) -> str | None:
    """``truncated (46 % of bases read)`` where a model did not read all bases of the rows; None also where that is not known."""
    seen, total = coverage.bases_seen, coverage.bases_total
    if seen is None or not total or seen >= total or not coverage.truncated_sequences:
        return None
    return f"truncated ({share_read(seen, total)} of bases read)"


def truncation_note(coverage: Coverage, remedy: str = "--window window reads all of them") -> str:
    """The same as a sentence with the remedy; empty where nothing was cut."""
    if (flag := truncation_flag(coverage)) is None:
        return ""
    rows = f"{coverage.truncated_sequences:,} sequence{'s are' if coverage.truncated_sequences != 1 else ' is'}"
    return f"{flag}: {rows} longer than the model takes and cut" + (f"; {remedy}" if remedy else "")


def class_flag(present: int, n_classes: int) -> str | None:
    """Test rows that lack classes: with one alone, MCC and AUROC mean nothing; with others absent, AUROC is undefined."""
    if present >= n_classes:
        return None
    if present == 1:
        return "one class in test (MCC and AUROC mean nothing)"
    return f"absent from test: {n_classes - present} of {n_classes} classes"


def few_shot_words(shots: int, validation: str | None) -> str:
    """``10-shot``, or ``10-shot, full validation`` where labelled rows beside the shots are chosen on."""
    return f"{shots}-shot" + (", full validation" if validation == "full" else "")


def choice_words(settings: Mapping[str, Any]) -> str | None:
    """``best of 4 layers on validation``, where a layer or a pooling was to be chosen; ``first of`` them, where nothing could be."""
    counts = {name: len(values) for name, values in settings.get("candidates", {}).items()}
    words = " x ".join(f"{n} {name}{'' if n == 1 else 's'}" for name, n in counts.items())
    if not words:
        return None
    return f"best of {words} on validation" if "trials" in settings else f"first of {words}, none chosen"


def following_flags(result: Result, of_rows: Sequence[str]) -> list[str]:
    """The flags that a successful result carries because of its own fields: written with it, and found again by ``verify``.

    of_rows: those that the target gives for the test rows.
    """
    settings = result.protocol.settings
    shots, search, selection = settings.get("shots"), settings.get("search"), result.selection
    flags = []
    if result.model.weights.trained is False:
        flags.append("untrained")
    if result.model.code_digest is None:
        flags.append(CODE_NOT_HASHED)
    if result.limit is not None:
        flags.append(f"limit {result.limit}")
    within = settings.get("shot_validation") == "within"
    if shots is not None:
        flags.append(few_shot_words(shots, settings.get("shot_validation")))
    if selection != "validation":
        flags.append("test-selected" if selection == "test" else "last-epoch")
    if result.task.split != "official":
        flags.append(f"split {result.task.split}")
    if search is not None:
        searched = result.model.kind == "encoder" and not (within and shots == 1)  # one shot leaves none to choose on
        flags.append(f"best of {search} settings on validation" if searched else "own budget, not searched")
    if (chosen := choice_words(settings)) is not None:
        flags.append(chosen)
    flags += of_rows
    flags += group_flags(result)
    if (cut := truncation_flag(result.coverage)) is not None:
        flags.append(cut)
    if any(text.startswith(DID_NOT_LEARN) for text in result.validation.get("warnings") or ()):
        flags.append(DID_NOT_LEARN)
    return flags


def group_flags(result: Result) -> list[str]:
    """Whether scores are means over groups; or are of all rows together, where a rule that knows the group alone has as much."""
    metrics = result.metrics
    if metrics.grouping.get("all") == "groups":
        n = len(metrics.groups) - len(metrics.grouping["left_out"])
        return [f"mean over {n} groups"]
    rule, pooled = (metrics.grouping.get(of, {}).get(metrics.main.name) for of in ("rule", "pooled"))
    if rule is None or pooled is None or len(metrics.groups) < 2:
        return []
    gain = pooled - rule if metrics.main.higher_is_better else rule - pooled
    return ["shortcut (group)"] if gain <= _NO_GAIN else []


def bases_read(results: Sequence[Result]) -> Coverage:
    """Coverage of several fits together; of those that know how much they read."""
    known = [r.coverage for r in results if r.coverage.bases_seen is not None]
    return Coverage(
        bases_total=sum(c.bases_total or 0 for c in known),
        bases_seen=sum(c.bases_seen or 0 for c in known),
        truncated_sequences=sum(c.truncated_sequences or 0 for c in known),
    )


def flags_of(results: Sequence[Result]) -> tuple[str, ...]:
    """Flags of one model on one task over its fits, each once.

    Truncation is said of all fits together, also of results written before it was a flag; ``did not learn`` with the number of fits
    it is true of, where it is not all.
    """
    flags = dict.fromkeys(flag for r in results for flag in r.flags if not flag.startswith(OF_CELLS))
    if (flag := truncation_flag(bases_read(results))) is not None:
        flags[flag] = None
    if failed := sum(DID_NOT_LEARN in r.flags for r in results):
        flags[DID_NOT_LEARN + (f" ({failed} of {len(results)} fits)" if failed < len(results) else "")] = None
    return tuple(flags)


def warnings_of(results: Sequence[Result]) -> dict[str, str]:
    """Warnings of the fits of one model on one task: kind (numbers aside) -> what is said, and of how many fits."""
    texts: dict[str, list[str]] = {}
    for r in results:
        kinds = {_NUMBER.sub("#", text): text for text in r.warnings}
        for kind, text in kinds.items():
            texts.setdefault(kind, []).append(text)
    return {kind: _of_fits(said, len(results)) for kind, said in texts.items()}


def _of_fits(texts: Sequence[str], n: int) -> str:
    alike = texts[0] + ("" if len(set(texts)) == 1 else ", and the like")
    return alike if n == 1 else f"{alike} ({'all' if len(texts) == n else f'{len(texts)} of'} {n} fits)"
