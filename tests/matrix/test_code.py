"""A number belongs to the code that made it: whoever edits a model gets another result, whoever edits words does not."""

from __future__ import annotations

import json
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fork_server import Server

import findna_bench as fb
from findna_bench.cards import BackboneCard, ModelCard, PresetCard, hookimpl
from findna_bench.models import embedding
from findna_bench.models.cache_folder import cache_info
from findna_bench.protocols.fine_tuning import FineTuned
from findna_bench.registry import Plugin, get_registry
from findna_bench.results.store import ResultStore
from findna_bench.training import training_checkpoints

ACME = Path(__file__).resolve().parents[1] / "third_party" / "acme-dna" / "acme_dna"


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """Acme's package on the path, of one version for ever, as an editable install is."""
    site = tmp_path / "site"
    shutil.copytree(ACME, site / "acme_dna", ignore=shutil.ignore_patterns("__pycache__"))
    info = site / "acme_dna-2.3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-dna\nVersion: 2.3.1\n")
    (info / "entry_points.txt").write_text("[findna_bench]\nacme = acme_dna\n")
    return site / "acme_dna"


@pytest.fixture
def bench(acme: Path, tmp_path: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """``findna-bench run`` of acme's model in a process of its own; the one result."""
    (jobs := tmp_path / "jobs").mkdir()
    server = Server(jobs, [acme.parent], {})

    def run(*options: object) -> dict[str, Any]:
        command = ["run", "-m", "acme@random", "-t", "demo/species4", "--seeds", 1, "--json", *options]
        job = server.start(*command, cwd=tmp_path)
        assert job.wait() == 0, job.stderr
        return json.loads(job.stdout)[0] | {"said": job.stderr}

    yield run
    server.close()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_edited_forward_gives_another_number_wherever_it_is_asked_for(
    acme: Path, bench: Callable[..., dict[str, Any]]
) -> None:
    first = bench("-o", "r")
    assert round(100 * first["metrics"]["main"]["value"], 2) == 77.33
    edit(acme / "network.py", '"""One convolution over', '"""Other words: one convolution over')
    edit(acme / "__init__.py", "a stranger's model", "a stranger's model, said otherwise")
    edit(acme / "tasks.py", "size=80", "size=81")
    again = bench("-o", "r")
    assert again["created"] == first["created"], "words and other modules change no number"
    edit(acme / "network.py", "Encoding(hidden, layers", "Encoding(torch.ones_like(hidden), layers")
    for options in (("-o", "r"), ("-o", "another"), ("-o", "r", "--overwrite", "always")):
        constant = bench(*options)
        assert constant["metrics"]["main"]["value"] == 0.25
        assert constant["identity"] != first["identity"]
        assert constant["config_id"] != first["config_id"]
        assert constant["model"]["code_digest"] != first["model"]["code_digest"]
    edit(acme / "network.py", "Encoding(torch.ones_like(hidden), layers", "Encoding(hidden, layers")
    back = bench("-o", "r")
    assert (back["identity"], back["created"]) == (first["identity"], first["created"])


def test_a_longest_input_edited_in_a_card_gives_another_number(
    acme: Path, bench: Callable[..., dict[str, Any]]
) -> None:
    first = bench("-o", "r")
    edit(acme / "__init__.py", 'config={"width": 24},', 'config={"width": 24}, max_length=20,')
    cut = bench("-o", "r")
    assert cut["identity"] != first["identity"]
    assert cut["metrics"]["main"]["value"] < first["metrics"]["main"]["value"]


def test_always_computes_from_nothing(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registered: Callable[[object, Plugin], None]
) -> None:
    """Neither kept embeddings nor a checkpoint that was left behind is taken up."""

    class Brief:
        @hookimpl
        def findna_bench_presets(self) -> list[PresetCard]:
            return [
                PresetCard(name="six-steps", protocol="finetune", settings={"lr": 1e-3, "epochs": 2, "min_steps": 6})
            ]

    registered(Brief(), Plugin("brief", "brief", "brief", "1.0"))
    found: list[Any] = []
    load = training_checkpoints.load_checkpoint
    monkeypatch.setattr(training_checkpoints, "load_checkpoint", lambda path: (found.append(load(path)), found[-1])[1])
    monkeypatch.setattr(FineTuned, "discard_checkpoint", lambda self: None)
    embedded: list[int] = []
    rows = embedding._embed_rows
    monkeypatch.setattr(
        embedding,
        "_embed_rows",
        lambda model, s, which, *rest: (embedded.append(len(which)), rows(model, s, which, *rest))[1],
    )
    asked: dict[str, Any] = {"models": ["hyenadna@random"], "tasks": [str(task)], "seeds": 1}

    def finetuned(out: str, **options: Any) -> bool:
        found.clear()
        fb.run(**asked, protocol="finetune", preset="six-steps", limit=24, output_dir=tmp_path / out, **options)
        return any(state is not None for state in found)

    assert not finetuned("tuned")
    for path in ResultStore(tmp_path / "tuned").paths():
        path.unlink()
    assert finetuned("tuned"), "what a killed run left is taken up"
    assert not finetuned("tuned", overwrite="always")

    def probed(out: str, **options: Any) -> int:
        embedded.clear()
        fb.run(**asked, output_dir=tmp_path / out, **options)
        return sum(embedded)

    n = probed("a")
    assert n
    checked = probed("b")
    assert checked <= 12 < n, "nothing but the few rows on which the model's answers are compared"
    assert probed("b", overwrite="always") == n
    assert probed("c", overwrite="always", shots=(1, 5)) == n, "its own vectors are read again"


NOTEBOOK = """
from acme_dna_network import Convolution
SCALE = 1.0
class Net(Convolution):
    def forward(self, batch, *, layers=None):
        encoding = super().forward(batch, layers=layers)
        return type(encoding)(encoding.tokens * SCALE)
"""


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[object, Plugin], None]]:
    """Adds a plugin to this process for the time of a test."""
    registry, added = get_registry(), []
    monkeypatch.setattr(registry, "plugins", [*registry.plugins])
    monkeypatch.setattr(registry, "_entries", {kind: [*entries] for kind, entries in registry._entries.items()})

    def add(hooks: object, plugin: Plugin) -> None:
        registry.add(hooks, plugin)
        added.append(hooks)

    yield add
    for hooks in added:
        registry._manager.unregister(hooks)


@pytest.fixture
def in_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Path, registered: Callable[[object, Plugin], None]
) -> Callable[[str], fb.Result]:
    """Run a model whose class was defined in a notebook's cell."""
    shutil.copy(ACME / "network.py", tmp_path / "acme_dna_network.py")
    monkeypatch.syspath_prepend(tmp_path)

    class Here:
        @hookimpl
        def findna_bench_backbones(self) -> list[BackboneCard]:
            return [BackboneCard(name="live", factory="a_notebook:Net")]

        @hookimpl
        def findna_bench_models(self) -> list[ModelCard]:
            return [ModelCard(name="live", kind="encoder", backbone="live")]

    registered(Here(), Plugin("here", "a_notebook", "here", "1.0"))

    def run(text: str) -> fb.Result:
        notebook = types.ModuleType("a_notebook")
        exec(text, vars(notebook))
        monkeypatch.setitem(sys.modules, "a_notebook", notebook)
        result = fb.run(["live@random"], [str(task)], seeds=1, output_dir=tmp_path / "live", device="cpu")[0]
        assert result.status == "success", result.error
        return result

    return run


def test_a_notebooks_class_is_its_source(in_notebook: Callable[[str], fb.Result]) -> None:
    first = in_notebook(NOTEBOOK)
    assert str(first.model.code_digest).startswith("live:")
    assert in_notebook(NOTEBOOK).created == first.created
    other = in_notebook(NOTEBOOK.replace("SCALE = 1.0", "SCALE = 0.0"))
    assert other.identity != first.identity
    assert other.metrics.main.value != first.metrics.main.value


def test_code_that_cannot_be_hashed_is_flagged_and_nothing_of_it_is_kept(
    in_notebook: Callable[[str], fb.Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = NOTEBOOK.replace("SCALE = 1.0", "import threading\nLOCK = threading.Lock()\nSCALE = 1.0").replace(
        "* SCALE", "* SCALE * (LOCK is not None)"
    )
    embedded: list[int] = []
    rows = embedding._embed_rows
    monkeypatch.setattr(embedding, "_embed_rows", lambda *arguments: (embedded.append(1), rows(*arguments))[1])
    for _ in range(2):
        embedded.clear()
        result = in_notebook(hidden)
        assert result.model.code_digest is None
        assert "code not hashed" in result.flags
        assert embedded, "neither results nor vectors of it are taken up"
    assert cache_info().vectors == 0
