"""Where a user's files lie is found in nothing that is written for others."""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow.parquet as pq
import pytest

from findna_bench.cli import main
from findna_bench.private_paths import public_path, public_word, without_paths
from findna_bench.registry import get_registry

ROOT = Path(__file__).resolve().parents[1]

PLUGIN = """
from pathlib import Path

from findna_bench.cards import ModelCard, hookimpl

WORDS = str(Path(__file__).parent / "words.txt")


class Raises:
    varies = ()
    settings = {}

    def __init__(self, words):
        self.words = words

    def fit(self, train, validation, seed, n_classes):
        raise RuntimeError(f"{self.words}: cannot be read")

    def predict_scores(self, table):
        raise NotImplementedError


class Guesses(Raises):
    def fit(self, train, validation, seed, n_classes):
        self.n_classes = n_classes
        self.settings = {"words": self.words}

    def predict_scores(self, table):
        import numpy as np
        return np.full((len(table), self.n_classes), 1 / self.n_classes)


@hookimpl
def findna_bench_models():
    return [
        ModelCard(name=kind.lower(), kind="classifier", factory=f"own_plugin:{kind}", config={"words": WORDS})
        for kind in ("Raises", "Guesses")
    ]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with everything of the user's in it: working folder, plugin, data, vectors, a genome."""
    home = tmp_path / "homes" / "jane doe"
    work = home / "unpublished" / "grant-2027"
    work.mkdir(parents=True)
    (work / "own_plugin.py").write_text(PLUGIN)
    (work / "words.txt").write_text("words\n")
    info = work / "own_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[findna_bench]\nown = own_plugin\n")
    letters = np.random.default_rng(0)
    rows = ["sequence,label,split"]
    for i in range(60):
        row = "".join(letters.choice(list("ACGT" if i % 2 else "AACG"), 40))
        rows.append(f"{row},{i % 2},{'test' if i >= 40 else 'train'}")
    (work / "mine.csv").write_text("\n".join(rows) + "\n")
    (work / "broken.csv").write_text("sequence,label,split\nACGT,0,train\nAC!T,1,test\n")
    np.save(work / "vectors.npy", letters.normal(size=(60, 4)).astype(np.float32))
    np.save(work / "short.npy", letters.normal(size=(7, 4)).astype(np.float32))
    (work / "genome.fa").write_text(">chr1\n" + "".join(letters.choice(list("ACGT"), 4000)) + "\n")
    return home


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process as the user's: working folder, home folder, plugin and data root."""
    work = home / "unpublished" / "grant-2027"
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("FINDNA_BENCH_DATA_DIR", str(home / "unpublished" / "data"))
    monkeypatch.syspath_prepend(str(work))
    get_registry.cache_clear()
    yield home
    sys.modules.pop("own_plugin", None)
    get_registry.cache_clear()


def command(*words: str, ok: bool = True) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["findna-bench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0 or not ok, words


def contents(folder: Path) -> Iterator[tuple[str, str]]:
    """Everything that files and archives under a folder hold, names included, as text."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as archive:
                archive.extractall(path.with_suffix(".unpacked"), filter="data")
            for inner, text in contents(path.with_suffix(".unpacked")):
                yield f"{name}/{inner}", text
        text = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            text += f"{table.to_pydict()}{table.schema.metadata}"
        yield name, f"{name}\n{text}"


def test_no_home_folder_is_in_what_a_user_may_publish(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work, out = at_home / "unpublished" / "grant-2027", at_home / "unpublished" / "out"
    results, made = str(out / "results"), str(out / "made")
    drawn = [
        "--windows",
        "16",
        "--window-length",
        "64",
        "--batch-size",
        "8",
        "--validation-windows",
        "0",
        "--steps",
        "1",
    ]
    drawn += ["--fasta", f"{work}/genome.fa"]
    command("pretrain", "findna-tiny", "--from-weights", *drawn, "-o", made)
    command("pretrain", "findna-tiny", "--weights", f"{made}/model.safetensors", *drawn, "-o", str(out / "again"))
    damaged = work / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_bytes((out / "made" / "config.json").read_bytes())
    (damaged / "model.safetensors").write_text("x")
    models = [f"path:{made}", f"mine=path:{out}/again", f"path:{damaged}", f"embeddings:{work}/vectors.npy"]
    models += [f"embeddings:{work}/short.npy", "findna-tiny", "raises", "guesses", "kmer"]
    run = ["run", "-m", ",".join(models), "-t", f"{work}/mine.csv,{work}/broken.csv", "--seeds", "1", "--no-sanity"]
    run += ["--weights", f"findna-tiny={made}/model.safetensors", "--data-dir", f"{at_home}/unpublished/data"]
    command(*run, "-o", results, ok=False)
    pages = ["--markdown", f"{out}/page.md", "--html", f"{out}/html", "--csv", f"{out}/table.csv"]
    command("leaderboard", "-o", results, *pages)
    capsys.readouterr()
    command("leaderboard", "-o", results, "--json")
    (out / "results.json").write_text(capsys.readouterr().out)
    command("compare", "path:made", "kmer", "-o", results, "--markdown", f"{out}/compared.md", ok=False)
    for form, to in (("parquet", "table.parquet"), ("geneb", "geneb"), ("mteb", "mteb")):
        command("results", "export", f"{out}/{to}", "--format", form, "-o", results)
    command("results", "bundle", f"{out}/bundle.tar.gz", "-o", results)
    findings = ["--junit", f"{out}/findings.xml", "--sarif", f"{out}/findings.sarif"]
    command("audit", f"{work}/mine.csv", "--pages", f"{out}/audit", *findings)
    profiled = ["profile", "-m", f"path:{damaged}", "-t", f"{work}/mine.csv", "--repeats", "1", "--batch-size", "2"]
    command(*profiled, "--mode", "inference", "-o", f"{out}/costs", ok=False)
    command("embed", f"path:{made}", "-t", f"{work}/mine.csv", "-o", f"{out}/vectors.parquet")

    found = dict(contents(out))
    assert len(found) > 40
    errors = [text for name, text in found.items() if name.startswith("results/errors/")]
    assert len(errors) > 8
    assert any("own_plugin.py" in text for text in errors), "no traceback is kept"
    private = (str(at_home), quote(str(at_home)), quote(str(at_home), safe=""), "jane doe", "unpublished", "grant-2027")
    assert not [(name, word) for name, text in found.items() for word in private if word in text]
    for name in ("path:made", "path:mine", "embeddings:vectors.npy", "local:model.safetensors", "./mine.csv"):
        assert name in found["results.json"]


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("/data/lab/x.csv: row 3 has no label", "x.csv: row 3 has no label"),
        ("path:/home/jane doe/secret/m cannot be read", "path:m cannot be read"),
        ("OSError: '/home/jane doe/My Data/x.csv'", "OSError: 'My Data/x.csv'"),
        ("open ~/secret/x.csv, please", "open x.csv, please"),
        ("see file:///data/lab/x.csv", "see x.csv"),
        ("PosixPath('/data/lab/x.csv')", "PosixPath('x.csv')"),
        (
            "see https://huggingface.co/org/name and/or 3/4 of it",
            "see https://huggingface.co/org/name and/or 3/4 of it",
        ),
        (f'File "{ROOT}/findna_bench/cli/run.py", line 3', 'File "findna_bench/cli/run.py", line 3'),
    ],
)
def test_texts_name_files_without_their_folders(text: str, public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane doe")
    monkeypatch.syspath_prepend(str(ROOT))
    assert without_paths(text) == public


def test_known_paths_are_found_with_blanks_in_them() -> None:
    assert without_paths("/mnt/My Disk/x.csv is empty", ["/mnt/My Disk/x.csv"]) == "x.csv is empty"


@pytest.mark.parametrize(
    ("word", "public"),
    [
        ("path:/home/jane doe/m,kmer", "path:m,kmer"),
        ("NAME=/a/b.pt", "NAME=b.pt"),
        ("path:/a/m=/a/b.pt", "path:m=b.pt"),
        ("mine=path:../m", "mine=path:m"),
        ("./x/y.csv", "./x/y.csv"),
        ("results/mine", "results/mine"),
        ("~", "~"),
        ("/home/jane doe", "~"),
        ("demo/species4", "demo/species4"),
    ],
)
def test_words_of_commands_name_files_without_their_folders(
    word: str, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/jane doe")
    assert public_word(word) == public


def test_a_path_from_the_root_as_working_folder_names_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "jane"
    (home / "x").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    assert public_path("jane/x/y.csv") == "y.csv"
    monkeypatch.chdir(home)
    assert public_path("x/y.csv") == "x/y.csv"
