"""A comparison as text: tables with sentences below them, on screen and as a markdown page. The same results give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from findna_bench.comparison.comparison_records import Comparison, PairedDifference, Score, TaskComparison
from findna_bench.comparison.conclusions import ALPHA
from findna_bench.grid import Grid, code, escape, print_grid
from findna_bench.leaderboard.score_tables import Entry
from findna_bench.leaderboard.wording import format_entry, percent, short
from findna_bench.statistics.metric import metric_label, metric_scale
from findna_bench.statistics.score_intervals import FEWEST

__all__ = ["render_comparison_markdown", "render_comparison_screen"]

_SHOWN_VIEWS = 5


def render_comparison_markdown(comparison: Comparison, *, title: str = "Comparison", command: str | None = None) -> str:
    """One page."""
    parts = [f"# {escape(title)}", ""]
    if command:
        parts += [f"This page was made by {code(command)}.", ""]
    if comparison.commands:
        parts += ["The results were computed by", "", *(f"* {code(c)}" for c in comparison.commands), ""]
    if comparison.environments:
        parts += ["on", "", *(f"* {escape(e)}" for e in comparison.environments), ""]
    for block in _blocks(comparison):
        parts += [f"## {escape(block.title)}", ""]
        parts += [*block.to_markdown(), ""] if block.rows else []
        parts += [*(f"* {escape(note)}" for note in block.notes), ""] if block.notes else []
    return "\n".join(parts).rstrip() + "\n"


def render_comparison_screen(comparison: Comparison) -> None:
    """Rich tables on a terminal, tab-separated lines elsewhere."""
    for block in _blocks(comparison):
        print_grid(block)


# ---------------------------------------------------------------------------------------------------------- what is said


def _blocks(comparison: Comparison) -> list[Grid]:
    compared = [task for task in comparison.tasks if task.scores]
    blocks = [_scores(comparison, compared), _differences(comparison, compared)]
    blocks += _across(comparison)
    absent = _absent(comparison)
    return [*blocks, Grid((), (), "Not compared", absent)] if absent else blocks


def _scores(comparison: Comparison, compared: Sequence[TaskComparison]) -> Grid:
    names = [model.label for model in comparison.models]
    rows = [
        (
            f"{short(task.task)} ({metric_label(task.metric)})",
            f"{task.n_rows:,}",
            f"{task.n_groups:,}",
            *(_score(task.scores.get(name), metric_scale(task.metric)) for name in names),
        )
        for task in compared
    ]
    split = "" if comparison.split == "official" else f", split {comparison.split}"
    sentences = [
        "± is the standard deviation over n fits (ddof 1), brackets the 95 % interval over groups of related test rows and over "
        f"fits (rows alone where n is 1), of the same method as in tables; too few: fewer than {FEWEST} rows of the rarer class.",
        *(f"{note}." for note in comparison.notes),
        *_related(compared),
        *_fits(comparison, compared),
        *_flags(comparison, compared),
        *_warnings(comparison, compared),
        *_reasons(compared),
    ]
    if len(names) > 2:
        sentences.insert(
            1, f"Models that share a letter do not differ at {ALPHA:.0%} after Holm's correction over the whole table."
        )
    header = ("task", "test rows", "independent groups", *names)
    return Grid(header, tuple(rows), f"Scores, {comparison.protocol}{split}", tuple(sentences))


def _score(score: Score | None, scale: float) -> str:
    if score is None:
        return "–"
    few = score.low is None
    entry = Entry("success", score.value, score.low, score.high, score.seed_sd, score.n_fits, too_few=few, scale=scale)
    return f"{format_entry(entry, newline=' ')} n={score.n_fits}" + (f" {score.letters}" if score.letters else "")


def _related(compared: Sequence[TaskComparison]) -> list[str]:
    known = _gathered((task.groups, short(task.task)) for task in compared if task.known_groups)
    unknown = _gathered((task.groups, short(task.task)) for task in compared if not task.known_groups)
    return [f"Related rows are known ({how}): {_listed(tasks)}." for how, tasks in known.items()] + [
        f"Related rows are not known, every row counts as independent, and intervals may be too narrow ({why}): {_listed(tasks)}."
        for why, tasks in unknown.items()
    ]


def _fits(comparison: Comparison, compared: Sequence[TaskComparison]) -> list[str]:
    varied = sorted({v for task in compared for score in task.scores.values() for v in score.varies})
    alone = _gathered(
        (name, short(task.task))
        for task in compared
        for name, score in task.scores.items()
        if score.varies and score.n_fits == 1
    )
    sentences = [f"What a seed changes here: {', '.join(varied)}."] if varied else []
    return sentences + [
        f"{name} has one fit of something that varies, so that no interval here covers it and no order is tested: {_listed(tasks)}."
        for name, tasks in alone.items()
    ]


def _flags(comparison: Comparison, compared: Sequence[TaskComparison]) -> list[str]:
    sentences = []
    for model in comparison.models:
        here = [task for task in compared if model.label in task.scores]
        by_flag = _gathered((flag, short(task.task)) for task in here for flag in task.scores[model.label].flags)
        words = [flag if len(tasks) == len(here) else f"{flag} on {_listed(tasks)}" for flag, tasks in by_flag.items()]
        sentences += [f"Flags of {model.label}: {'; '.join(words)}."] if words else []
    return sentences


def _warnings(comparison: Comparison, compared: Sequence[TaskComparison]) -> list[str]:
    sentences = []
    for model in comparison.models:
        here = [task for task in compared if model.label in task.scores]
        by_text = _gathered((text, short(task.task)) for task in here for text in task.scores[model.label].warnings)
        sentences += [
            f"Warning of fits of {model.label} on {_listed(tasks)}: {text}." for text, tasks in by_text.items()
        ]
    return sentences


def _reasons(compared: Sequence[TaskComparison]) -> list[str]:
    fewer = [
        f"{name} on {short(task.task)}: {score.reason}"
        for task in compared
        for name, score in task.scores.items()
        if score.reason
    ]
    return fewer + [f"{name} on {short(task.task)}: {why}" for task in compared for name, why in task.missing.items()]


def _differences(comparison: Comparison, compared: Sequence[TaskComparison]) -> Grid:
    several = len(comparison.models) > 2
    header = ["task", *(["pair"] if several else []), "difference, points", "p", "p (Holm)", "McNemar mid-p per seed"]
    rows = [
        (
            short(task.task),
            *([f"{d.first} − {d.second}"] if several else []),
            *_difference(d, metric_scale(task.metric)),
        )
        for task in compared
        for d in task.differences
    ]
    first, second = comparison.models[0].label, comparison.models[1].label
    tests = f"{comparison.n_tests} test{'' if comparison.n_tests == 1 else 's'}"
    sentences = (
        "Every difference is the first model's metric minus the second's on the same rows, with its 95 % interval.",
        f"p (Holm) is corrected for the {tests} of this table; below {ALPHA} the order of these models, as they were fitted, is "
        "evidence, above it is not. Where each stands for one pretraining, it says nothing of how they were pretrained: another "
        "pretraining seed may reverse it.",
        *_untested(compared),
        "McNemar's test counts right and wrong rows of a pair of fits of one seed, takes rows as independent, and is not "
        "corrected; a dash stands where the two models do not have the same seeds.",
        "Smallest detectable: the true difference that rows and fits like these show in four of five cases (5 % level, uncorrected).",
    )
    title = "Differences" if several else f"Differences: {first} − {second}"
    return Grid((*header, "smallest detectable"), tuple(rows), title, sentences, 2 if several else 1)


def _untested(compared: Sequence[TaskComparison]) -> list[str]:
    why = _gathered((d.withheld, short(task.task)) for task in compared for d in task.differences if d.withheld)
    return [f"Not tested ({reason}): {_listed(list(dict.fromkeys(tasks)))}." for reason, tasks in why.items()]


def _difference(d: PairedDifference, scale: float) -> tuple[str, ...]:
    interval = "[too few]" if d.low is None or d.high is None else f"[{scale * d.low:+.2f}, {scale * d.high:+.2f}]"
    detectable = "–" if d.detectable is None else percent(d.detectable, scale)
    return (f"{scale * d.value:+.2f} {interval}", _p(d.p_value), _p(d.p_holm), _views(d.mcnemar), detectable)


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}" if value >= 1e-4 else "<0.0001"


def _views(values: Sequence[float]) -> str:
    if len(values) > _SHOWN_VIEWS:
        return f"{_p(min(values))} to {_p(max(values))} ({len(values)})"
    return ", ".join(_p(value) for value in values) or "–"


def _across(comparison: Comparison) -> list[Grid]:
    across = comparison.across
    if across is None:
        return []
    ranks = [
        (name, f"{rank.mean:.2f} [{rank.low:.2f}, {rank.high:.2f}]", f"{rank.best_share:.0%}")
        for name, rank in sorted(across.ranks.items(), key=lambda item: (item[1].mean, item[0]))
    ]
    shared = [
        f"Tasks on the same loci count as one: {locus} ({_listed([short(t) for t in tasks])})."
        for locus, tasks in across.clusters.items()
    ]
    sentences = [
        f"Over the {len(across.tasks)} tasks that all models have, {across.n_clusters} of them independent; the interval "
        + ("is over tasks, rows and fits." if across.n_clusters > 1 else "is over rows and fits."),
        *shared,
    ]
    blocks = [Grid(("model", "mean rank", "chance of being the best"), tuple(ranks), "Ranks", tuple(sentences))]
    if across.why_no_pairs:
        return [*blocks, Grid((), (), "Across tasks", (f"No signed-rank test: {across.why_no_pairs}.",))]
    rows = tuple(
        (
            f"{pair.first} − {pair.second}",
            str(pair.n_tasks),
            str(pair.n_clusters),
            f"{100 * pair.mean_difference:+.2f}",
            _p(pair.p_value),
            _p(pair.p_holm),
            _p(pair.smallest_p),
        )
        for pair in across.pairs
    )
    header = ("pair", "tasks", "independent", "mean difference, points", "p", "p (Holm)", "smallest possible p")
    n_tests = sum(pair.p_value is not None for pair in across.pairs)
    tests = f"{n_tests} test{'' if n_tests == 1 else 's'}"
    sentence = (
        f"Wilcoxon's signed-rank test over independent tasks, exact; Holm's correction over the {tests} of this table. A dash stands "
        "where one fit of a model stands for something that varies."
    )
    return [*blocks, Grid(header, rows, "Across tasks", (sentence,))]


def _absent(comparison: Comparison) -> tuple[str, ...]:
    """Tasks without a comparison, those that no model has in one line."""
    nobody = [
        t
        for t in comparison.tasks
        if not t.scores and set(t.missing.values()) == {"no result"} and len(t.missing) == len(comparison.models)
    ]
    sentences = [f"No model has a result on {_listed([short(t.task) for t in nobody])}."] if nobody else []
    for task in comparison.tasks:
        if not task.scores and task not in nobody:
            reasons = "; ".join(f"{name}: {why}" for name, why in task.missing.items())
            sentences.append(f"{short(task.task)}: {task.problem}" + (f" ({reasons})" if reasons else "") + ".")
    return tuple(sentences)


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
