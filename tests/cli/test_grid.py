"""Tables on a terminal: words stay whole where they fit, to the column."""

from __future__ import annotations

import re

import pytest

from findna_bench.grid import Grid, print_grid

GRID = Grid(
    ("name", "summary of it"), (("human_enhancers", "active regions"), ("mouse", "a promoter")), "Tasks", words=2
)
# 15 letters of the longest name, 8 of the longest word beside it, three borders, and two spaces in each column
FITS = 15 + 8 + 3 + 2 * 2


@pytest.mark.parametrize("width", [FITS - 1, FITS, FITS + 1])
def test_a_table_of_words_is_blocks_where_one_would_be_cut(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_grid(GRID)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "human_enhancers" in shown
    assert max(map(len, shown.splitlines())) <= width
    assert ("\u2502 human_enhancers \u2502" in shown) == (width >= FITS)
