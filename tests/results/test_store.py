"""What a result's predictions hold: every bit that the metrics were computed from, and the groups of its intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from findna_bench.errors import OutputError
from findna_bench.results.store import ScoredRows, read_predictions, write_predictions
from findna_bench.statistics.classification import compute_metrics


def close_scores(n: int = 400) -> ScoredRows:
    """Positives lie above negatives by less than float32 tells apart."""
    labels = np.arange(n) % 2
    positive = 0.9 + labels * 1e-9 + np.random.default_rng(0).permutation(n) * 1e-12
    return ScoredRows(
        np.array([f"r{i}" for i in range(n)]), labels, np.stack([1 - positive, positive], 1), np.arange(n) // 4
    )


def test_metrics_and_groups_come_back_exactly(tmp_path: Path) -> None:
    rows = close_scores()
    write_predictions(tmp_path / "p.parquet", rows)
    again = read_predictions(tmp_path / "p.parquet", ("a", "b"))
    assert compute_metrics(again.labels, again.scores) == compute_metrics(rows.labels, rows.scores)
    assert compute_metrics(again.labels, again.scores)["auroc"] == 1.0  # 0.5 where scores are rounded to float32
    np.testing.assert_array_equal(again.groups, rows.groups)
    np.testing.assert_array_equal(again.ids, rows.ids)


def test_files_of_schema_1_have_no_groups_and_are_read(tmp_path: Path) -> None:
    old = {"row_id": ["a", "b"], "label": [0, 1]}
    scores = {f"score_{c}": pa.array(np.array([0.25, 0.75], np.float32)) for c in range(2)}
    pq.write_table(pa.table(old | scores), tmp_path / "old.parquet")
    assert read_predictions(tmp_path / "old.parquet", ("a", "b")).groups is None
    pq.write_table(pa.table(old | scores | {"more": [1, 2]}), tmp_path / "other.parquet")
    with pytest.raises(OutputError, match="columns"):
        read_predictions(tmp_path / "other.parquet", ("a", "b"))
