"""Tasks and suites say what is kept of them: sizes, counts, digests, settings (:mod:`card_facts`)."""

from __future__ import annotations

from card_facts import differences, kept


def test_no_card_of_suites_says_something_else_than_what_is_kept() -> None:
    assert list(differences("suites")) == []
    assert kept("suites")
