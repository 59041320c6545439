"""Results as one table."""

from __future__ import annotations

from typing import Any

from findna_bench.results.export import to_frame
from findna_bench.results.schema import Result


def result(seed: int, **metrics: float) -> Result:
    content: dict[str, Any] = {
        "identity": None, "request_id": f"{seed:032x}", "config_id": None, "status": "success", "protocol_version": 2,
        "model": {"name": "m", "kind": "encoder"}, "task": {"suite": "s", "name": "t", "labels": ["a", "b"]}, "seed": seed,
        "protocol": {"name": "probe"}, "metrics": {"main": {"name": "mcc"}, "all": metrics}, "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Result.model_validate(content)


def test_a_table_has_nothing_where_a_result_lacks_a_key() -> None:
    frame = to_frame([result(0, mcc=0.5), result(1, f1=0.25), result(2), result(3, mcc=0.75)])
    assert frame["seed"].tolist() == [0, 1, 2, 3]
    rows = frame[["metrics.all.mcc", "metrics.all.f1"]].astype(object).where(frame.notna(), None)
    assert rows["metrics.all.mcc"].tolist() == [0.5, None, None, 0.75]
    assert rows["metrics.all.f1"].tolist() == [None, 0.25, None, None]
    names = [name for name in frame.columns if name.startswith("metrics.all.")]
    assert names == ["metrics.all.mcc", "metrics.all.f1"], "columns stand in the order in which results first have them"
