"""What may be concluded about the order of models: paired differences on the same rows, corrected for all looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from findna_bench.cards import TaskCard
from findna_bench.comparison.aligned_predictions import AlignedPredictions
from findna_bench.comparison.comparison_records import (
    AcrossTasks,
    Comparison,
    PairAcross,
    PairedDifference,
    Score,
    TaskComparison,
)
from findna_bench.comparison.contestants import Contestant
from findna_bench.errors import OutputError, UsageError
from findna_bench.leaderboard.selected_results import schema_note
from findna_bench.registry import Registry
from findna_bench.results.environment import environment_line
from findna_bench.results.flags import flags_of, warnings_of
from findna_bench.statistics.metric import metric_card
from findna_bench.statistics.paired_tests import (
    Difference,
    TaskStatistics,
    across_tasks,
    analyse,
    compact_letters,
    holm,
    rank_intervals,
)

__all__ = ["ALPHA", "conclusions"]

ALPHA = 0.05
TOO_FEW = "too few rows of the rarer class, or all alike"


def conclusions(
    scored: Sequence[AlignedPredictions],
    contestants: Sequence[Contestant],
    registry: Registry,
    notes: Sequence[str],
) -> Comparison:
    """Differences on each task and across tasks, tested and corrected together.

    Raises:
        OutputError: nothing can be compared.
    """
    tasks: list[TaskComparison] = []
    found: dict[str, tuple[AlignedPredictions, TaskStatistics]] = {}
    for one in scored:
        task = one.task
        if one.predictions:
            try:
                found[task.task] = one, (statistics := analyse(one.predictions, task.metric))
                no_score = dict.fromkeys(statistics.undefined, f"{task.metric} is undefined for what it predicts")
                task = replace(task, missing={**task.missing, **no_score})
            except (ValueError, UsageError) as error:
                task = replace(task, problem=str(error))
        tasks.append(task)
    if not found:
        why = [f"{t.task}: {t.problem}" + "".join(f"; {m}: {r}" for m, r in t.missing.items()) for t in tasks]
        raise OutputError(f"nothing can be compared: {' | '.join(why[:5]) or 'no task has a result of these models'}")
    tested = {
        (task, pair): d.p_value
        for task, (one, statistics) in found.items()
        for pair, d in statistics.differences.items()
        if d.p_value is not None and not one.withheld(pair)
    }
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    with_letters = len(contestants) > 2
    tasks = [
        _with_statistics(task, *found[task.task], corrected, with_letters) if task.task in found else task
        for task in tasks
    ]
    successes = [r for one, _ in found.values() for cells in one.sources.values() for r in cells]
    sample = successes[0]
    return Comparison(
        protocol=sample.protocol.name,
        split=sample.task.split or "official",
        models=tuple(c.model for c in contestants),
        tasks=tuple(tasks),
        n_tests=len(tested),
        across=_across(found, [c.model.label for c in contestants], registry),
        notes=(*notes, *schema_note(successes)),
        commands=tuple(sorted({r.command for r in successes if r.command})),
        environments=tuple(sorted({environment_line(r.environment, r.protocol_version) for r in successes})),
        complete=not any(one.damaged for one in scored),
    )


def _paired(pair: tuple[str, str], d: Difference, withheld: str, p_holm: float | None) -> PairedDifference:
    if d.p_value is None:
        return PairedDifference(*pair, d.value, None, None, None, None, None, (), TOO_FEW)
    if withheld:
        return PairedDifference(*pair, d.value, d.low, d.high, None, None, None, (), withheld)
    return PairedDifference(*pair, d.value, d.low, d.high, d.p_value, p_holm, d.detectable, d.mcnemar)


def _with_statistics(
    task: TaskComparison,
    one: AlignedPredictions,
    statistics: TaskStatistics,
    corrected: Mapping[tuple[str, tuple[str, str]], float],
    with_letters: bool,
) -> TaskComparison:
    differences = tuple(
        _paired(pair, d, one.withheld(pair), corrected.get((task.task, pair)))
        for pair, d in statistics.differences.items()
    )
    alone = {name for name in statistics.estimates if one.fitted_once(name)}
    values = {name: e.value for name, e in statistics.estimates.items() if name not in alone}
    best_first = sorted(values, key=lambda name: values[name], reverse=metric_card(task.metric).higher_is_better)
    tested = [d for d in differences if d.p_holm is not None]
    apart = [(d.first, d.second) for d in tested if d.p_holm is not None and d.p_holm < ALPHA]
    letters = compact_letters(best_first, apart) if with_letters and tested else {}
    scores = {}
    for name, e in statistics.estimates.items():
        cells = one.sources[name]
        varies = tuple(dict.fromkeys(v for r in cells for v in r.protocol.settings.get("seed_varies", [])))
        seeds = tuple(dict.fromkeys(r.seed or 0 for r in cells))
        flags, warnings = flags_of(cells), tuple(warnings_of(cells).values())
        scores[name] = Score(
            e.value,
            e.low,
            e.high,
            e.n_seeds,
            e.seed_sd or None,
            seeds,
            varies,
            flags,
            letters.get(name, ""),
            one.reasons[name],
            warnings,
        )
    return replace(task, scores=scores, differences=differences)


def _across(
    found: Mapping[str, tuple[AlignedPredictions, TaskStatistics]], models: Sequence[str], registry: Registry
) -> AcrossTasks | None:
    """Ranks and signed-rank tests; None where fewer than two tasks were scored by all models."""
    common = [task for task, (_, s) in found.items() if all(model in s.estimates for model in models)]
    if len(common) < 2:
        return None
    cards = {card.full_name: card for card in registry.cards("tasks")}
    clusters = {task: _locus(task, cards) for task in found}
    sign = {t: 1.0 if metric_card(found[t][0].task.metric, registry).higher_is_better else -1.0 for t in common}
    values = {m: {t: sign[t] * found[t][1].drawn[m] for t in common} for m in models}
    n_clusters = len({clusters[task] for task in common})
    ranks = rank_intervals(values, clusters, resample_tasks=n_clusters > 1)
    metrics = sorted({found[task][0].task.metric for task in found})
    why = (
        ""
        if len(metrics) == 1
        else f"the tasks have unlike metrics ({', '.join(metrics)}); --metric chooses one for all"
    )
    sharing: dict[str, list[str]] = {}
    for task in found:
        sharing.setdefault(clusters[task], []).append(task)
    return AcrossTasks(
        tasks=tuple(common),
        n_clusters=n_clusters,
        clusters={locus: tuple(members) for locus, members in sharing.items() if len(members) > 1},
        ranks=ranks,
        pairs=() if why else _pairs_across(found, models, clusters),
        why_no_pairs=why,
    )


def _locus(task: str, cards: Mapping[str, TaskCard]) -> str:
    """What tasks on the same loci have in common: their card's group, that of the task they are made from, else the task."""
    card = cards.get(task)
    if card is None:
        return task
    return card.locus_group or (_locus(card.derived_from, cards) if card.derived_from else task)


def _pairs_across(
    found: Mapping[str, tuple[AlignedPredictions, TaskStatistics]], models: Sequence[str], clusters: Mapping[str, str]
) -> tuple[PairAcross, ...]:
    values = {m: {t: s.estimates[m].value for t, (_, s) in found.items() if m in s.estimates} for m in models}
    found_across = across_tasks(values, clusters)
    alone = {m for m in models for _, (one, s) in found.items() if m in s.estimates and one.fitted_once(m)}
    tested = {pair: p for pair, (_, p) in found_across.items() if not alone & set(pair)}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    pairs = []
    for (a, b), (mean, _) in found_across.items():
        both = [task for task in values[a] if task in values[b]]
        n_clusters = len({clusters[task] for task in both})
        smallest = min(1.0, 2.0 ** (1 - n_clusters))
        p_value, p_holm = tested.get((a, b)), corrected.get((a, b))
        pairs.append(PairAcross(a, b, len(both), n_clusters, mean, p_value, p_holm, smallest))
    return tuple(pairs)
