"""What changes the digest of a model's code, and what does not."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from findna_bench.code import factory_digest, file_settings, live_digest

FILES = {
    "lab/__init__.py": """
from findna_bench.cards import ModelCard, hookimpl
from lab import catalogue
from lab.sizes import WIDTH
SUMMARY = "a summary"
@hookimpl
def findna_bench_models():
    return [ModelCard(name="lab", kind="encoder", backbone="lab", summary=SUMMARY), *catalogue.MORE]
""",
    "lab/catalogue.py": "MORE = []\n",
    "lab/sizes.py": "WIDTH = 4\n",
    "lab/net.py": '''
"""Words."""
from typing import TYPE_CHECKING
from . import layers
from .tokens import tokenize
if TYPE_CHECKING:
    from lab.types_only import T
class Net(layers.Base):
    """Words."""
    width: int = 3
    """Words."""
    def forward(self, x):  # a comment
        import lab.deep.inner
        try:
            from .fast import attend
        except ImportError:
            attend = None
        return tokenize(x) * 2
''',
    "lab/layers.py": "from importlib import import_module\nclass Base:\n    kernel = import_module('lab.kernel')\n",
    "lab/kernel.py": "X = 1\n",
    "lab/tokens.py": "def tokenize(x):\n    return x\n",
    "lab/types_only.py": "T = int\n",
    "lab/deep/__init__.py": "Y = 1\n",
    "lab/deep/inner.py": "Z = 1\n",
    "lab/fast.py": "attend = 1\n",
    "lab/unrelated.py": "A = 1\n",
    "lab/tasks.py": "B = 1\n",
    "beside/__init__.py": "",
    "beside/ops.py": "C = 1\n",
    "lone.py": "import beside.ops\nclass Lone:\n    pass\n",
    "space/net.py": "from space.part.inner import D\nclass Net:\n    pass\n",
    "space/part/inner.py": "D = 1\n",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder on the path with a package, a single module and a namespace package, never imported in this process."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def digest(site: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str | None]:
    monkeypatch.syspath_prepend(site)
    return factory_digest


@pytest.mark.parametrize(
    ("factory", "file", "old", "new", "counts"),
    [
        ("lab.net:Net", "lab/net.py", "* 2", "* 3", True),
        ("lab.net:Net", "lab/net.py", "width: int = 3", "width: int = 4", True),
        ("lab.net:Net", "lab/layers.py", "class Base:", "class Base:\n    causal = True", True),
        ("lab.net:Net", "lab/tokens.py", "return x", "return x[::-1]", True),
        ("lab.net:Net", "lab/deep/inner.py", "Z = 1", "Z = 2", True),
        ("lab.net:Net", "lab/deep/__init__.py", "Y = 1", "Y = 2", True),
        ("lab.net:Net", "lab/fast.py", "attend = 1", "attend = 2", True),
        ("lab.net:Net", "lab/kernel.py", "X = 1", "X = 2", True),
        ("lab.net:Net", "lab/sizes.py", "WIDTH = 4", "WIDTH = 5", True),
        ("lab.net:Net", "lab/types_only.py", "T = int", "T = str", True),
        ("lone:Lone", "lone.py", "pass", "a = 1", True),
        ("lone:Lone", "beside/ops.py", "C = 1", "C = 2", True),
        ("space.net:Net", "space/part/inner.py", "D = 1", "D = 2", True),
        ("lab.net:Net", "lab/net.py", "Words.", "Other words.", False),
        ("lab.net:Net", "lab/net.py", "# a comment", "# another one", False),
        ("lab.net:Net", "lab/net.py", "        return tokenize(x) * 2", "\n        return (\n  tokenize(x)*2)", False),
        ("lab.net:Net", "lab/net.py", "class Net(", "\n\n\nclass Net(", False),
        ("lab.net:Net", "lab/unrelated.py", "A = 1", "A = 2", False),
        ("lab.net:Net", "lab/tasks.py", "B = 1", "B = 2", False),
        ("lab.net:Net", "lab/__init__.py", "a summary", "another summary", False),
        ("lab.net:Net", "lab/catalogue.py", "MORE = []", "MORE = [1]", False),
        ("space.net:Net", "lab/net.py", "* 2", "* 3", False),
    ],
)
def test_a_digest_follows_the_code_that_is_reached_and_nothing_else(
    site: Path, digest: Callable[[str], str | None], factory: str, file: str, old: str, new: str, counts: bool
) -> None:
    before = digest(factory)
    assert before is not None
    text = (site / file).read_text()
    assert old in text
    (site / file).write_text(text.replace(old, new))
    assert (digest(factory) != before) == counts
    (site / file).write_text(text)
    assert digest(factory) == before
    assert not {"lab", "lone", "space"} & set(sys.modules), "nothing is imported to be hashed"


def test_a_module_that_is_not_there_yet_counts_once_it_is(site: Path, digest: Callable[[str], str | None]) -> None:
    (site / "lab/fast.py").unlink()
    without = digest("lab.net:Net")
    (site / "lab/fast.py").write_text("attend = 1\n")
    assert digest("lab.net:Net") not in (without, None)


def test_a_process_goes_by_the_code_it_has_imported(site: Path) -> None:
    script = (
        "import sys, importlib; sys.path.insert(0, sys.argv[1]); import lone; from pathlib import Path\n"
        "from findna_bench.code import factory_digest as d\n"
        "old = d('lone:Lone'); Path(lone.__file__).write_text('class Lone:\\n    other = 1\\n')\n"
        "assert d('lone:Lone') == old, 'the old code still runs'\n"
        "importlib.reload(lone); assert d('lone:Lone') != old, 'the new code runs'\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(site)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_libraries_with_architectures_count_by_version_and_torch_does_not(
    site: Path, digest: Callable[[str], str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from findna_bench.code import modules

    (site / "lab/tokens.py").write_text("import torch\nimport transformers\nimport mamba_that_is_not_there\n")
    before = digest("lab.net:Net")
    real = modules._version
    monkeypatch.setattr(modules, "_version", lambda top: (top, "0.0.1") if top == "transformers" else real(top))
    assert digest("lab.net:Net") != before
    monkeypatch.setattr(modules, "_version", lambda top: (top, "0.0.1") if top == "torch" else real(top))
    assert digest("lab.net:Net") == before
    (site / "mamba_that_is_not_there.py").write_text("")
    assert digest("lab.net:Net") != before


NOTEBOOK = '''
from torch import nn
SCALE = 2.0
def scaled(x):
    """Words."""
    return x * SCALE
class Net(nn.Module):
    """Words."""
    def __init__(self):
        super().__init__()
        self.layer, self.power = nn.Linear(2, 2), 1
    def forward(self, x):
        return scaled(self.layer(x)) ** self.power
'''


def cell(text: str = NOTEBOOK) -> dict[str, Any]:
    """Names that a notebook's cell leaves behind."""
    names: dict[str, Any] = {"__name__": "a_notebook"}
    exec(text, names)
    return names


def test_a_class_without_a_file_is_hashed_by_its_source_and_all_that_this_refers_to() -> None:
    plain = live_digest(cell()["Net"])
    assert plain == live_digest(cell(NOTEBOOK.replace("Words.", "Other words."))["Net"])
    for old, new in (("SCALE = 2.0", "SCALE = 3.0"), ("x * SCALE", "x + SCALE"), ("** self.power", "* self.power")):
        assert live_digest(cell(NOTEBOOK.replace(old, new))["Net"]) not in (plain, None)
    assert live_digest(cell(NOTEBOOK + "LATER = 1\n")["Net"]) == plain


def test_an_object_is_hashed_by_its_state() -> None:
    made = cell()["Net"]

    def net() -> Any:
        torch.manual_seed(0)
        return made()

    plain = live_digest(net())
    assert plain == live_digest(net())
    weight, setting, hooked = net(), net(), net()
    with torch.no_grad():
        weight.layer.weight[0, 0] += 1
    setting.power = 2
    hooked.register_forward_hook(lambda module, inputs, output: output + 1)
    others = {live_digest(other) for other in (weight, setting, hooked)}
    assert len(others) == 3
    assert not others & {plain, None}
    assert live_digest(random.Random(1)) != live_digest(random.Random(2))


def test_what_python_cannot_see_into_has_no_digest() -> None:
    hidden = cell()["Net"]()
    hidden.lock = threading.Lock()
    assert live_digest(hidden) is None
    assert live_digest(cell(NOTEBOOK.replace("SCALE = 2.0", "SCALE = (i for i in ())"))["Net"]) is None


def test_a_class_of_a_file_that_a_notebook_has_changed_is_not_that_of_the_file(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "tests_patched.py").write_text("class Net:\n    def forward(self, x):\n        return x\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "tests_patched", raising=False)
    module = __import__("tests_patched")
    before = factory_digest("tests_patched:Net")
    monkeypatch.setattr(module.Net, "forward", cell("def forward(self, x):\n    return 0 * x\n")["forward"])
    assert factory_digest("tests_patched:Net") not in (before, None)
    monkeypatch.undo()
    sys.modules.pop("tests_patched", None)


def test_a_setting_that_names_a_file_counts_by_its_content(tmp_path: Path) -> None:
    table = tmp_path / "table.txt"
    table.write_text("1")
    before = file_settings({"sizes": [3, {"table": str(table)}], "pooling": "mean"})
    assert list(before) == [str(table)]
    table.write_text("2")
    assert file_settings({"sizes": [3, {"table": str(table)}]}) != before
