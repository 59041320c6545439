"""Results pushed to and pulled from a dataset repository, on a stand-in for the hub."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hub_stand_in import TOKEN, HubStandIn

import findna_bench as fb
from findna_bench.cli import main
from findna_bench.errors import OutputError
from findna_bench.results.bundle import read_bundle
from findna_bench.results.store import ResultStore

REPOSITORY = "lab/dna-results"
BUNDLE = "bundles/probes.tar.gz"
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results on a user's own file, in a folder that others need not know of."""
    folder = tmp_path_factory.mktemp("of-jane-doe")
    rows = "\n".join(f"{'ACGT'[n % 4] * 30},{n % 2},{'test' if n % 3 == 0 else 'train'}" for n in range(60))
    for name in ("own.csv", "more.csv"):
        (folder / name).write_text(f"sequence,label,split\n{rows}\n")
        fb.run(["majority"], [folder / name], seeds=1, output_dir=folder / "results")
    (folder / "results" / "notes.txt").write_text("not for others")
    return folder / "results"


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as running:
        yield running


@pytest.fixture
def run(hub: HubStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``findna-bench results WORDS`` with the stand-in as the hub; exit code and what was said."""
    constants = "huggingface_hub.constants"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"{constants}.HF_HUB_DISABLE_XET", True)

    def typed(*words: object, offline: bool = False, **changes: str) -> tuple[int, str]:
        monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", offline)
        for name, value in {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, **changes}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["findna-bench", "results", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        said = shown.out + shown.err
        assert TOKEN not in said
        return int(ended.value.code or 0), said

    return typed


def content(folder: Path) -> dict[str, bytes]:
    names = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".json", ".parquet")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in names}


def test_what_is_pushed_comes_back_and_nothing_else_leaves(
    run: Run, hub: HubStandIn, results: Path, tmp_path: Path
) -> None:
    code, said = run("push", REPOSITORY, "-o", results, "--name", "probes")
    assert code == 0, said
    assert f"pushed 4 files: {hub.address}/datasets/{REPOSITORY}/commit/1" in said
    assert list(hub.repositories[REPOSITORY]) == [BUNDLE]
    assert f"Bearer {TOKEN}" in hub.tokens
    for body in [*hub.heard, gzip.decompress(hub.repositories[REPOSITORY][BUNDLE])]:
        assert b"jane-doe" not in body
        assert b"not for others" not in body
    code, said = run("pull", REPOSITORY, "-o", "theirs")
    assert code == 0, said
    assert "2 results copied to theirs" in said
    assert content(tmp_path / "theirs") == content(results)
    assert len(list(ResultStore(tmp_path / "theirs").load())) == 2
    code, said = run("pull", REPOSITORY, "-o", "theirs")
    assert code == 0
    assert "0 results copied" in said
    code, said = run("push", REPOSITORY, "-o", results, "--name", "probes", "--pull-request")
    assert code == 0
    assert "discussions/1" in said
    assert [proposed for *_, proposed in hub.commits] == [False, True]


def test_signed_bundles_are_pulled_with_a_key_and_others_are_refused(
    run: Run, hub: HubStandIn, results: Path, tmp_path: Path
) -> None:
    pytest.importorskip("minisign", reason="py-minisign is not installed (extra sign)")
    from findna_bench.results.signing import make_keys

    make_keys(tmp_path / "lab.key", tmp_path / "lab.pub", None)
    assert run("push", REPOSITORY, "-o", results, "--name", "probes", "--sign", "lab.key")[0] == 0
    assert sorted(hub.repositories[REPOSITORY]) == [BUNDLE, f"{BUNDLE}.minisig"]
    assert run("pull", REPOSITORY, "-o", "theirs", "--key", "lab.pub")[0] == 0
    files = hub.repositories[REPOSITORY]
    files[BUNDLE] = files[BUNDLE][:-1] + b"?"
    code, said = run("pull", REPOSITORY, "-o", "others", "--key", "lab.pub")
    assert code != 0
    assert "is not what was signed" in said
    assert run("push", REPOSITORY, "-o", results, "--name", "probes")[0] == 0
    assert list(hub.repositories[REPOSITORY]) == [BUNDLE], "a signature that no longer fits does not stay"
    code, said = run("pull", REPOSITORY, "-o", "others", "--key", "lab.pub")
    assert code != 0
    assert "has no signature" in said
    assert not (tmp_path / "others").exists()


def packed(members: Mapping[str, bytes], **others: str) -> bytes:
    """A bundle whose digests are right, but for others."""
    import hashlib

    digests = {name: hashlib.sha256(held).hexdigest() for name, held in members.items()} | others
    manifest = json.dumps({"bundle_version": 1, "files": digests}).encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, held in {"bundle.json": manifest, **members}.items():
            info = tarfile.TarInfo(name)
            info.size = len(held)
            tar.addfile(info, io.BytesIO(held))
    return raw.getvalue()


@pytest.mark.parametrize(("missing", "rest"), [(20, ""), (21, " and 1 more"), (23, " and 3 more")])
def test_a_bundle_that_is_not_as_it_was_packed_says_of_which_files(missing: int, rest: str, tmp_path: Path) -> None:
    archive = tmp_path / "b.tar.gz"
    absent = {f"a{number:02}": "0" * 64 for number in range(missing)}
    archive.write_bytes(packed({"changed": b"1", "whole": b"2"}, **absent, changed="0" * 64))
    with pytest.raises(OutputError) as refused:
        read_bundle(archive, tmp_path / "r")
    named = ", ".join(list(absent)[:20])
    assert str(refused.value) == (
        f"{archive} is not as it was packed (missing: {named}{rest}; changed: changed); ask for the bundle again"
    )
    assert not (tmp_path / "r").exists()


def test_what_is_unsafe_damaged_or_no_result_is_refused_and_nothing_is_taken(
    run: Run, hub: HubStandIn, results: Path, tmp_path: Path
) -> None:
    good = content(results)
    name = next(name for name in good if name.endswith(".json"))
    whole = packed(good)
    bad: dict[str, tuple[bytes, str]] = {
        "outside": (packed({**good, "../evil.json": b"{}"}), "refused, because '../evil.json'"),
        "absolute": (packed({**good, "/tmp/evil.json": b"{}"}), "refused"),
        "cut": (whole[: len(whole) // 2], "damaged or truncated"),
        "no-archive": (b"<html>", "cannot be read as a bundle"),
        "no-schema": (packed({**good, name: b'{"schema_version": 2}'}), f"holds what is no result ({name}"),
        "future": (packed({**good, name: good[name].replace(b'"schema_version": 2', b'"schema_version": 99')}), "no result"),
    }  # fmt: skip
    for what, (archive, words) in bad.items():
        hub.repositories[REPOSITORY] = {BUNDLE: whole, f"bundles/{what}.tar.gz": archive}
        code, said = run("pull", REPOSITORY, "-o", "theirs")
        assert code != 0, what
        assert words in said, (what, said)
        assert not (tmp_path / "theirs").exists(), "not from the good one either"
    hub.repositories[REPOSITORY] = {
        BUNDLE: whole,
        "bundles/..%2f.tar.gz": b"",
        "bundles/a b.tar.gz": b"",
        "README.md": b"",
    }
    code, said = run("pull", REPOSITORY, "-o", "theirs")
    assert code == 0, said
    assert said.count("is left out; that is no name of a bundle") == 2
    assert "probes of" in said


def test_a_hub_that_says_no_or_nothing_is_one_sentence(run: Run, hub: HubStandIn, results: Path) -> None:
    for words, changes, expected in (
        (("pull", "lab/nothing"), {}, "no such dataset repository"),
        (("pull", "not a name"), {}, "write OWNER/NAME"),
        (("push", REPOSITORY, "--name", "../x"), {}, "letters, digits"),
        (("push", REPOSITORY), {"HF_TOKEN": "hf_of_somebody_else"}, "401"),
        (("push", REPOSITORY, "--offline"), {}, "--offline forbids"),
        (("pull", REPOSITORY), {"offline": True}, "cannot be reached, or may not be"),
        (("pull", REPOSITORY), {"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
    ):
        options: dict[str, Any] = changes
        code, said = run(*words, "-o", results, **options)
        assert code != 0, words
        assert expected in said, (words, said)
    hub.repositories[REPOSITORY] = {"README.md": b""}
    assert "has no bundles" in run("pull", REPOSITORY)[1]
    hub.repositories[REPOSITORY] = {BUNDLE: b""}
    assert "has no bundle other; it has probes" in run("pull", REPOSITORY, "--name", "other")[1]
    hub.down = True
    code, said = run("pull", REPOSITORY)
    assert code != 0
    assert "503" in said


def test_contradicting_scores_are_named_and_not_taken(run: Run, hub: HubStandIn, results: Path, tmp_path: Path) -> None:
    hub.repositories[REPOSITORY] = {BUNDLE: packed(content(results))}
    assert run("pull", REPOSITORY, "-o", "theirs")[0] == 0
    path = next((tmp_path / "theirs").glob("majority/*/*/*/*.json"))
    changed = json.loads(path.read_text())
    changed["metrics"]["main"]["value"] = 0.99
    changed["metrics"]["all"][changed["metrics"]["main"]["name"]] = 0.99
    path.write_text(json.dumps({key: value for key, value in changed.items() if key != "digest"}))
    before = path.read_bytes()
    code, said = run("pull", REPOSITORY, "-o", "theirs")
    assert (code, path.read_bytes()) == (1, before), said
    assert "conflict: " in said


def test_the_bundle_there_is_one_that_verify_reads(run: Run, hub: HubStandIn, results: Path, tmp_path: Path) -> None:
    assert run("push", REPOSITORY, "-o", results)[0] == 0
    (tmp_path / "r.tar.gz").write_bytes(hub.repositories[REPOSITORY]["bundles/results.tar.gz"])
    assert read_bundle(tmp_path / "r.tar.gz", tmp_path / "x") == 4
