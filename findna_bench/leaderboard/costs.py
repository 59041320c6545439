"""What models cost, from the ``compute.json`` that ``findna-bench profile -o`` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from findna_bench.errors import UsageError

__all__ = ["Cost", "Costs", "read_costs"]


@dataclass(frozen=True)
class Cost:
    """Of one model in its best formulation: None = not measured."""

    ns_per_base: float | None
    flops_per_base: float | None
    peak_bytes: int | None


@dataclass(frozen=True)
class Costs:
    """Costs by canonical model name, all measured in one way (``about``)."""

    about: str
    models: Mapping[str, Cost]

    def of(self, model: str) -> Cost | None:
        """Cost of a model as results name it; untrained weights cost what trained ones do."""
        return self.models.get(model.partition("@")[0])


def read_costs(path: Path) -> Costs:
    """Rows of the best formulation at the greatest profiled length.

    Raises:
        UsageError: the file cannot be read, or is no profile.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        rows = [row for row in content["rows"] if row["formulation"] == "best" and row["status"] == "ok"]
        longest = max((row["length"] for row in rows), default=0)
        rows = [row for row in rows if row["length"] == longest]
        models = {
            row["model"]: Cost(
                row["ns_per_base"],
                None if row["flops"] is None else row["flops"] / (row["length"] * row["batch_size"]),
                row["peak_bytes"],
            )
            for row in rows
        }
        about = sorted(
            {f"{row['mode']}, {row['length']:,} bases, {row['device_name'] or row['device']}" for row in rows}
        )
    except OSError as error:
        raise UsageError(f"cannot read costs {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a compute.json; `findna-bench profile -o FOLDER` writes one") from error
    return Costs("; ".join(about), models)
