"""Fixtures shared by all rooms: hermetic folders, seeds, and the optional folder of real shared data."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from findna_bench.registry import Registry

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _hermetic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has its own data root and caches, and no way to the network."""
    home = tmp_path_factory.mktemp("home")
    for name in [n for n in os.environ if n.startswith("FINDNA_BENCH_") and n != "FINDNA_BENCH_SHARED"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FINDNA_BENCH_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("FINDNA_BENCH_CACHE_DIR", str(home / "cache"))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real sequence and parity cases; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("FINDNA_BENCH_SHARED", ROOT.parent / "shared"))
    if not (folder / "parity").is_dir():
        pytest.skip(f"real shared data is not at {folder} (set FINDNA_BENCH_SHARED)")
    return folder


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """What makes a new module of a file that is in no package, by its path in the checkout."""

    def load(path: str) -> ModuleType:
        spec = spec_from_file_location(Path(path).stem, ROOT / path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def acme_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The registry of this process with the example of a stranger's distribution, which is not installed."""
    from findna_bench.registry import Plugin, get_registry

    monkeypatch.syspath_prepend(str(ROOT / "tests" / "third_party" / "acme-dna"))
    import acme_dna

    get_registry.cache_clear()
    registry = get_registry()
    registry.add(acme_dna, Plugin("acme", "acme_dna", "acme-dna", "1"))
    yield registry
    get_registry.cache_clear()
