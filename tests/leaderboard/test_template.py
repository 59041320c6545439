"""The repository to copy for a leaderboard of many: its script finds what a pull request may not bring."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import findna_bench as fb
from findna_bench.results.bundle import write_bundle

TEMPLATE = Path(__file__).parents[2] / "leaderboards" / "template"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    fb.run(["majority"], ["demo/species4"], seeds=1, output_dir=folder / "results")
    write_bundle(folder / "results", folder / "r.tar.gz")
    return folder / "r.tar.gz"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the template under git, and a ``findna-bench`` that is this checkout."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    copy = tmp_path / "repository"
    shutil.copytree(TEMPLATE, copy)
    program = tmp_path / "bin" / "findna-bench"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from findna_bench.cli import main; main()" "$@"\n')
    program.chmod(0o755)
    git(copy, "init", "-q")
    commit(copy)
    return copy


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


Verify = Callable[..., tuple[int, str]]


@pytest.fixture
def verify(repository: Path) -> Verify:
    """Runs the script on what was committed since a commit."""

    def run(base: str = "", rerun: int = 0) -> tuple[int, str]:
        path = f"{repository.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "verify_submissions.sh", base],
            cwd=repository,
            env={**os.environ, "PATH": path, "RERUN": str(rerun)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_good_submissions_pass_and_others_are_refused(repository: Path, bundle: Path, verify: Verify) -> None:
    assert verify() == (0, "")
    base = commit(repository)
    good = repository / "submissions" / "my-lab.tar.gz"
    shutil.copy(bundle, good)
    commit(repository)
    code, said = verify(base, rerun=1)
    assert code == 0, said
    assert "1 result, 1 computed again: no problems" in said
    assert "not signed" in said
    for name, content in (
        ("torn.tar.gz", bundle.read_bytes()[:-50]),
        ("run.py", b"import os"),
        ("$(touch owned).tar.gz", bundle.read_bytes()),
        ("a b.tar.gz", bundle.read_bytes()),
    ):
        bad = repository / "submissions" / name
        bad.write_bytes(content)
        commit(repository)
        code, said = verify(base)
        assert code == 1, (name, said)
        assert "refused: " in said
        bad.unlink()
    assert not (repository / "owned").exists()
    commit(repository)
    assert verify(base)[0] == 0


def test_the_key_that_was_there_before_decides(repository: Path, bundle: Path, verify: Verify) -> None:
    pytest.importorskip("minisign", reason="py-minisign is not installed (extra sign)")
    from findna_bench.results.signing import make_keys, sign

    submission, key = repository / "submissions" / "my-lab.tar.gz", repository / "keys" / "my-lab.pub"
    elsewhere = repository.parent
    make_keys(elsewhere / "own.key", key, None)
    base = commit(repository)
    shutil.copy(bundle, submission)
    sign(submission, elsewhere / "own.key", str, lambda text: None)
    commit(repository)
    code, said = verify(base)
    assert code == 0, said
    assert "signed with key" in said
    key.unlink()
    make_keys(elsewhere / "other.key", key, None)  # a pull request that brings a key of its own
    sign(submission, elsewhere / "other.key", str, lambda text: None)
    commit(repository)
    code, said = verify(base)
    assert code == 1
    assert "and --key is" in said
