"""The folder of a pretraining: which run it holds, how far that is, and the model in the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from findna_bench.cards import Pretraining as ReadBefore
from findna_bench.errors import OutputError, UsageError
from findna_bench.files import stable_hash, write_json
from findna_bench.models.folders import save_model_folder
from findna_bench.private_paths import published
from findna_bench.results.environment import environment

__all__ = ["ModelFolder", "RunFolder"]

_COMPARED = ("settings", "objective", "model", "corpus", "validation", "dtype", "device", "threads", "micro_batches")
_ADVICE = "choose another --output or say --overwrite"


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """How the trained networks are written: arguments of :func:`findna_bench.models.folders.save_model_folder`."""

    backbone: str
    config: Mapping[str, Any]
    pooling: str = "mean"
    pooling_source: str = ""
    notes: tuple[str, ...] = ()


class RunFolder:
    """One pretraining in one folder.

    Args:
        path: the folder.
        decides: everything that decides the run's numbers; a folder of another run is refused.
        known: what else its ``training.json`` says.
    """

    def __init__(self, path: Path, decides: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        self.path, self.identity = path, stable_hash(decides)
        self.record = {"identity": self.identity, **decides, **known}
        self.training, self.checkpoint = path / "training.json", path / "checkpoint.pt"
        self.log, self.curves = path / "log.csv", path / "curves.png"

    def check(self) -> bool:
        """Whether the run is finished already.

        Raises:
            UsageError: the folder holds another run, or a model. OutputError: its record is damaged.
        """
        if not self.training.is_file():
            if (self.path / "config.json").exists():
                raise UsageError(f"{self.path} holds a model already; {_ADVICE}")
            return False
        found = self.found()
        if found.get("identity") != self.identity:
            raise UsageError(f"{self.path} holds another pretraining ({_difference(found, self.record)}); {_ADVICE}")
        if found.get("status") != "finished":
            return False
        changed = [
            kind
            for kind, digest in self.record.get("code", {}).items()
            if found.get("code", {}).get(kind, digest) != digest
        ]
        if changed:
            raise UsageError(
                f"{self.path} holds this pretraining, by code of the {' and '.join(changed)} that has changed since; {_ADVICE}"
            )
        return True

    def clear(self) -> None:
        """Remove what another run has left."""
        model = (self.path / "config.json", self.path / "model.safetensors")
        for file in (self.training, self.checkpoint, self.log, self.curves, *model):
            file.unlink(missing_ok=True)

    def found(self) -> dict[str, Any]:
        """What ``training.json`` says.

        Raises:
            OutputError: it cannot be read.
        """
        try:
            value = json.loads(self.training.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.training} cannot be read ({error}); remove it to begin again") from error
        if not isinstance(value, dict):
            raise OutputError(f"{self.training} is no record of a training; remove it to begin again")
        return value

    def begin(self) -> None:
        """Say that the run is under way."""
        for left in self.path.glob(".*.part"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        write_json(self.training, published({"status": "running", **self.record}))

    def finish(
        self, networks: Mapping[str, nn.Module], model: ModelFolder, read: ReadBefore | None, results: Mapping[str, Any]
    ) -> None:
        """Networks, then ``training.json``, which says that the run is finished; the checkpoint goes last."""
        save_model_folder(
            self.path,
            {name: network.eval() for name, network in networks.items()},
            backbone=model.backbone,
            config=model.config,
            pooling=model.pooling,
            pooling_source=model.pooling_source,
            notes=model.notes,
            pretraining=read,
            extra={"pretraining": {"identity": self.identity, "steps": self.record["total_steps"]}},
        )
        record = {"status": "finished", **self.record, **results, "environment": environment()}
        write_json(self.training, published(record))
        self.checkpoint.unlink(missing_ok=True)


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first thing in which two runs differ, in words."""
    plain = published(json.loads(json.dumps(wanted)))
    for key in _COMPARED:
        old, new = found.get(key), plain.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            for name in sorted(old.keys() | new.keys()):
                if old.get(name) != new.get(name):
                    return f"{key}: {name} was {old.get(name)!r}, now {new.get(name)!r}"
        return f"{key} was {old}, now {new}" if isinstance(new, int) else f"another {key}"
    return "another starting point"
