"""What a plugin's author is told by mypy: the public names have their types, and misspelt ones do not exist."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import findna_bench as fb
from findna_bench import api

ROOT = Path(__file__).resolve().parents[2]

WRONG = """
import findna_bench as fb
from findna_bench.api import Classifier, ModelCard, SequenceTable, encode_bases

one: int = ModelCard(name="a", kind="features", factory="a:b")
two: int = fb.run(["kmer"], ["demo/species4"])
three: int = encode_bases(["ACGT"])
four = fb.misspelt

class NoScores:
    varies = ()
    settings: dict[str, int] = {}

    def fit(self, train: SequenceTable, validation: SequenceTable, seed: int, n_classes: int) -> None: ...

five: Classifier = NoScores()
"""


def mypy(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mypy", reason="mypy is not installed")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache" / "plugins"), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.long
def test_a_plugins_mypy_sees_the_types_of_public_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPYPATH", str(Path(fb.__file__).parents[1]))
    (tmp_path / "wrong.py").write_text(WRONG)
    found = mypy("wrong.py", cwd=tmp_path).stdout
    lines = dict(enumerate(WRONG.splitlines(), start=1))
    told = {int(row.split(":")[1]) for row in found.splitlines() if row.startswith("wrong.py:") and ": error:" in row}
    assert {lines[number].split(":")[0].split(" =")[0] for number in told} == {"one", "two", "three", "four", "five"}, (
        found
    )
    assert '"NoScores" is missing following "Classifier" protocol member' in found
    assert 'expression has type "ModelCard"' in found


def test_every_public_name_exists_and_is_typed_where_it_is_made() -> None:
    for name, module in api._HOME.items():
        original = getattr(importlib.import_module(module), api._RENAMED.get(name, name))
        assert getattr(api, name) is original
    assert sorted(api.__all__) == sorted(set(api.__all__))
    assert set(api._HOME) <= set(api.__all__)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(fb.__file__).parent / "py.typed").is_file()


def test_no_room_hides_a_public_name() -> None:
    """Importing a module puts it on its package, in the place of whatever is there: ``fb.audit`` was a function only once."""
    rooms = {path.stem for path in Path(fb.__file__).parent.iterdir()}
    assert not rooms & set(api.__all__)
