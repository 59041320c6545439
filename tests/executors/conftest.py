"""A plugin with models that count their fits, and a Slurm, for tests of executors."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MATRIX = Path(__file__).parents[1] / "matrix"
sys.path.append(str(MATRIX))

from local_ray import LocalRay  # noqa: E402
from local_slurm import LocalSlurm, missing  # noqa: E402


@pytest.fixture(scope="session")
def unruly_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """``PYTHONPATH`` with the unruly plugin of the matrix's tests as an installed distribution."""
    site = tmp_path_factory.mktemp("unruly")
    for name in ("unruly.py", "unruly_network.py"):
        shutil.copy(MATRIX / name, site / name)
    info = site / "unruly-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unruly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[findna_bench]\nunruly = unruly\n")
    return os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSlurm]:
    """A Slurm of two nodes."""
    pytest.importorskip("submitit", reason="submitit is not installed (extra slurm)")
    if reason := missing():
        pytest.skip(reason)
    running = LocalSlurm(tmp_path_factory.mktemp("slurm"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[LocalRay]:
    """A Ray cluster of two nodes of one processor each."""
    pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
    running = LocalRay()
    yield running
    running.stop()
