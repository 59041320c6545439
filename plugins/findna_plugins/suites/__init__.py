"""Suites of labelled data sets: cards only, one module per published benchmark."""

from __future__ import annotations

from findna_bench.cards import SuiteCard, TaskCard
from findna_plugins.suites import (
    bend,
    copy_recall_suite,
    dart_eval,
    deepstarr,
    demo,
    dnalongbench,
    genomic_benchmarks,
    genomic_benchmarks_clean,
    glrb,
    gue,
    mpra_saturation,
    mtcdna,
    nt_tasks,
    synthetic_kinds_suite,
    synthetic_pairs_suite,
    synthetic_suite,
    traitgym,
)

MODULES = (
    bend,
    copy_recall_suite,
    dart_eval,
    deepstarr,
    demo,
    dnalongbench,
    genomic_benchmarks,
    genomic_benchmarks_clean,
    glrb,
    gue,
    mpra_saturation,
    mtcdna,
    nt_tasks,
    synthetic_pairs_suite,
    synthetic_kinds_suite,
    synthetic_suite,
    traitgym,
)

TASKS: tuple[TaskCard, ...] = tuple(task for module in MODULES for task in module.TASKS)
SUITES: tuple[SuiteCard, ...] = tuple(suite for module in MODULES for suite in module.SUITES)
