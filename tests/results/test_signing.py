"""Signed bundles: whose they are, what was changed, and the same answers by the program ``minisign``."""

from __future__ import annotations

import random
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import findna_bench as fb
from findna_bench.cli import main
from findna_bench.errors import OutputError, UsageError
from findna_bench.matrix.verification import verify
from findna_bench.results.signing import check_signature, make_keys, sign, signature_of

pytest.importorskip("minisign", reason="py-minisign is not installed (extra sign)")

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("signing") / "results"
    fb.run(["majority"], ["demo/species4"], seeds=1, limit=40, output_dir=out)
    return out


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Types a command line; its exit code and what it says."""

    def typed(*words: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["findna-bench", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out + shown.err

    return typed


def keys(folder: Path, name: str = "lab", passphrase: str | None = None) -> tuple[Path, Path, str]:
    secret, public = folder / f"{name}.key", folder / f"{name}.pub"
    return secret, public, make_keys(secret, public, passphrase)


def quiet(text: str) -> None:
    raise AssertionError(text)


def no_passphrase() -> str:
    raise AssertionError("nobody asks for a passphrase of a key that has none")


def test_a_bundle_is_signed_and_whoever_has_the_public_key_checks_it(
    run: Run, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINDNA_BENCH_PASSPHRASE", "correct horse")
    assert run("results", "keygen", tmp_path / "lab")[0] == 0
    secret, public, archive = tmp_path / "lab.key", tmp_path / "lab.pub", tmp_path / "r.tar.gz"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert b"encrypted" in secret.read_bytes()
    code, said = run("results", "keygen", tmp_path / "lab")
    assert code == 2
    assert "is there already" in said
    code, said = run("results", "bundle", "-o", results, "--to", archive, "--sign", secret)
    assert (code, signature_of(archive).exists()) == (0, True), said
    line = public.read_text().splitlines()[1]
    key = re.findall(r"[0-9A-F]{16}", public.read_text())[0]
    for given in (public, line):
        code, said = run("verify", archive, "--key", given)
        assert code == 0, said
        assert f"signed with key {key}: timestamp:" in said
        assert "file:r.tar.gz" in said
    assert "was not checked; --key does" in run("verify", archive)[1]
    monkeypatch.setenv("FINDNA_BENCH_PASSPHRASE", "wrong horse")
    code, said = run("results", "bundle", "-o", results, "--to", tmp_path / "s.tar.gz", "--sign", secret)
    assert code == 2
    assert "wrong password" in said
    monkeypatch.delenv("FINDNA_BENCH_PASSPHRASE")
    code, said = run("results", "bundle", "-o", results, "--to", tmp_path / "s.tar.gz", "--sign", secret)
    assert code == 2
    assert "set FINDNA_BENCH_PASSPHRASE" in said


def test_a_changed_byte_anywhere_is_found_before_anything_is_unpacked(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, public, key = keys(tmp_path)
    archive = tmp_path / "r.tar.gz"
    fb_bundle(results, archive)
    sign(archive, secret, no_passphrase, quiet)
    assert verify(archive, key=str(public)).findings == ()

    def unpacked(*_: object) -> int:
        raise AssertionError("what is not signed is not unpacked")

    monkeypatch.setattr("findna_bench.matrix.verification.read_bundle", unpacked)
    good, generator = archive.read_bytes(), random.Random(0)
    for at in [0, len(good) - 1, *generator.sample(range(len(good)), 40)]:
        archive.write_bytes(good[:at] + bytes([good[at] ^ 1 << generator.randrange(8)]) + good[at + 1 :])
        with pytest.raises(OutputError, match=f"is not what was signed with key {key}"):
            verify(archive, key=str(public))
    for content in (good[:-1], good + b"\0", b""):
        archive.write_bytes(content)
        with pytest.raises(OutputError, match="is not what was signed"):
            verify(archive, key=str(public))
    archive.write_bytes(good)
    signature = signature_of(archive).read_bytes()
    first = signature.index(b"\n") + 1  # the line before is the one that a signature leaves out, by its format
    for at in generator.sample(range(first, len(signature) - 1), 60):
        if signature[at : at + 1] in b"\n=":
            continue
        changed = bytes([signature[at] ^ 1])
        signature_of(archive).write_bytes(signature[:at] + changed + signature[at + 1 :])
        with pytest.raises(OutputError, match=r"not what was signed|is no signature|is signed with key"):
            verify(archive, key=str(public))


def fb_bundle(results: Path, archive: Path) -> None:
    from findna_bench.results.bundle import write_bundle

    write_bundle(results, archive)


def test_another_key_is_named_and_so_is_what_is_none(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, public, key = keys(tmp_path)
    _, other, other_key = keys(tmp_path, "other")
    archive = tmp_path / "r.tar.gz"
    fb_bundle(results, archive)
    with pytest.raises(OutputError, match="has no signature beside it"):
        verify(archive, key=str(public))
    sign(archive, secret, no_passphrase, quiet)
    with pytest.raises(OutputError, match=f"is signed with key {key}, and --key is {other_key}"):
        verify(archive, key=str(other))
    for wrong in (secret, archive, tmp_path / "nowhere.pub", "RW" + "x" * 54):
        with pytest.raises(UsageError, match=r"no public key|cannot read the public key"):
            verify(archive, key=str(wrong))
    for wrong in (public, archive):
        with pytest.raises(UsageError, match="no secret key"):
            sign(archive, wrong, no_passphrase, lambda text: None)
    argv = ["findna-bench", "results", "bundle", "-o", results, "--to", tmp_path / "unsigned.tar.gz", "--sign", public]
    monkeypatch.setattr("sys.argv", [str(word) for word in argv])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert not (tmp_path / "unsigned.tar.gz").exists(), "the key is opened before anything is packed"
    with pytest.raises(UsageError, match=r"checks the signature of a bundle"):
        verify(results, key=str(public))


def test_a_key_that_others_may_read_is_said(results: Path, tmp_path: Path) -> None:
    secret, _, _ = keys(tmp_path)
    secret.chmod(0o644)
    fb_bundle(results, tmp_path / "r.tar.gz")
    said: list[str] = []
    sign(tmp_path / "r.tar.gz", secret, no_passphrase, said.append)
    assert "chmod 600" in said[0]


@pytest.fixture
def minisign() -> str:
    path = shutil.which("minisign")
    if path is None:
        pytest.skip("the program minisign is not installed")
    return path


def test_the_program_minisign_checks_and_makes_the_same_signatures(
    minisign: str, results: Path, tmp_path: Path
) -> None:
    secret, public, key = keys(tmp_path)
    archive = tmp_path / "r.tar.gz"
    fb_bundle(results, archive)
    sign(archive, secret, no_passphrase, quiet)
    ours = subprocess.run(
        [minisign, "-V", "-p", public, "-m", archive], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Signature and comment signature verified" in ours.stdout
    archive.write_bytes(archive.read_bytes() + b"\0")
    assert subprocess.run([minisign, "-V", "-p", public, "-m", archive], capture_output=True, check=False).returncode
    fb_bundle(results, archive)
    subprocess.run([minisign, "-S", "-s", secret, "-m", archive], check=True, capture_output=True, timeout=60)
    assert check_signature(archive, str(public)).key == key

    theirs = tmp_path / "theirs"
    make = [minisign, "-G", "-W", "-p", f"{theirs}.pub", "-s", f"{theirs}.key"]
    made = subprocess.run(make, check=True, capture_output=True, text=True, timeout=60)
    for more in ((), ("-l",)):  # hashed, and as versions before 0.6 signed
        subprocess.run([minisign, "-S", *more, "-s", f"{theirs}.key", "-m", archive], check=True, capture_output=True)
        assert check_signature(archive, f"{theirs}.pub").key in Path(f"{theirs}.pub").read_text(), made.stdout
    sign(archive, Path(f"{theirs}.key"), no_passphrase, lambda text: None)
    subprocess.run([minisign, "-V", "-p", f"{theirs}.pub", "-m", archive], check=True, capture_output=True)
