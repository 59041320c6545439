"""What of a file counts for the digest of code, one construct at a time; and whose code a fault is said to be of."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from findna_bench.code.modules import (
    file_settings,
    has_file,
    library_version,
    module_digest,
    plain_tree,
    without_docstrings,
)
from findna_bench.errors import DataError, PluginError
from findna_bench.plugin_code import fault_in_words, in_words, plugin_code, plugin_fault


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes modules of a package ``pk`` that nothing has imported, each test into a folder of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def plain(text: str) -> Any:
    return plain_tree(without_docstrings(ast.parse(text)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1  # words"),
        ("x=(1)", "x = 1"),
        ("def f():\n  'words'\n  return 1", "def f():\n    return 1"),
        ("class C:\n  'words'\n  x = 1\n  'more'", "class C:\n  x = 1"),
        ("def f():\n  'words'", "def f():\n  pass"),
        ("if x:\n  y\nelse:\n  'words'", "if x:\n  y"),
        ("try:\n  x\nfinally:\n  'a'\n  y", "try:\n  x\nfinally:\n  y"),
        ("def f():\n  pass\n  x = 1", "def f():\n  x = 1"),
        ("'words'\nx = 'a'", "x = 'a'"),
        ("x = u'a'", "x = 'a'"),
    ],
)
def test_words_and_spaces_are_no_code(one: str, other: str) -> None:
    assert plain(one) == plain(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = '1'", "x = 1"),
        ("x = b'1'", "x = '1'"),
        ("x = 'a'", "x = 'b'"),
        ("f(1)", "f(a=1)"),
        ("f(a=1)", "f(b=1)"),
        ("x < y", "x <= y"),
        ("x = []", "x = [[]]"),
        ("def f(a): pass", "def f(a=None): pass"),
        ("def f(): return 'words'", "def f(): return"),
        ("async def f(): pass", "def f(): pass"),
        ("x: int = 1", "x = 1"),
        ("f(1)", "f()\n1"),
        ("1", ""),
    ],
)
def test_what_computes_otherwise_is_other_code(one: str, other: str) -> None:
    assert plain(one) != plain(other)


def test_a_tree_is_written_down_without_places_and_empty_fields() -> None:
    assert plain("x = f(1)") == [
        "Module",
        [
            "body",
            [
                [
                    "Assign",
                    ["targets", [["Name", ["id", "x"]]]],
                    ["value", ["Call", ["func", ["Name", ["id", "f"]]], ["args", [["Constant", "int", "1"]]]]],
                ]
            ],
        ],
    ]
    assert plain("pass") == plain("") == ["Module"]


@pytest.mark.parametrize(
    ("start", "change", "counts"),
    [
        ("import pk.other", "pk/other", True),
        ("from pk import other", "pk/other", True),
        ("from pk.other import X", "pk/other", True),
        ("from . import other", "pk/other", True),
        ("from .other import X", "pk/other", True),
        ("from .other import *", "pk/other", True),
        ("def f():\n    from .other import X", "pk/other", True),
        ("import importlib\nimportlib.import_module('pk.other')", "pk/other", True),
        ("from importlib import import_module\nimport_module('.other', 'pk')", "pk/other", True),
        ("__import__('pk.other')", "pk/other", True),
        ("import importlib\nimportlib.reload('pk.other')", "pk/other", False),
        ("import importlib\nimportlib.import_module(name)", "pk/other", False),
        ("import importlib\nimportlib.import_module(5)", "pk/other", False),
        ("import importlib\nimportlib.import_module('.', 'pk')", "pk/other", False),
        ("from pk import missing", "pk/other", False),
        ("from ... import other", "pk/other", False),
        ("from pk import named", "pk/named", True),
        ("import pk.sub.inner", "pk/sub/__init__", True),
        ("import pk.sub.inner", "pk/other", False),
        ("from .sub import inner", "pk/sub/inner", True),
    ],
)
def test_a_digest_follows_every_way_to_import(start: str, change: str, counts: bool, site: Callable[..., Path]) -> None:
    modules = {
        "pk/__init__": "named = 1\n",
        "pk/start": start + "\n",
        "pk/other": "X = 1\n",
        "pk/named": "Y = 1\n",
        "pk/sub/__init__": "Z = 1\n",
        "pk/sub/inner": "W = 1\n",
    }
    site(modules)
    before = module_digest("pk.start")
    assert before is not None
    site({change: modules[change] + "MORE = 2\n"})
    assert (module_digest("pk.start") != before) is counts
    assert "pk" not in sys.modules


HOOKED = """
from findna_bench.cards import hookimpl
from pk import used_by_hook
SHARED, ALONE = 1, 2
ONLY = 3
CHAIN = ONLY + 1
class Net:
    width = 4
@hookimpl
def findna_bench_models():
    return [used_by_hook, CHAIN, Net]
class Plugin:
    depth = 5
    @hookimpl(tryfirst=True)
    def findna_bench_tasks(self):
        return []
"""


@pytest.mark.parametrize(
    ("old", "new", "name", "counts"),
    [
        ("[used_by_hook, CHAIN, Net]", "[Net, CHAIN, used_by_hook]", "Net", False),
        ("ONLY = 3", "ONLY = 4", "Net", False),
        ("CHAIN = ONLY + 1", "CHAIN = ONLY + 2", "Net", False),
        ("CHAIN = ONLY + 1", "CHAIN = ONLY + 2", "CHAIN", True),
        ("ONLY = 3", "ONLY = 4", "CHAIN", True),
        ("ONLY = 3", "ONLY = 4", "*", True),
        ("width = 4", "width = 5", "Net", True),
        ("width = 4", "width = 5", "CHAIN", False),
        ("SHARED, ALONE = 1, 2", "SHARED, ALONE = 1, 3", "Net", True),
        ("depth = 5", "depth = 6", "Net", True),
        ("        return []", "        return [1]", "Net", False),
        ("tryfirst=True", "trylast=True", "Net", False),
    ],
)
def test_what_only_hooks_use_does_not_count(
    old: str, new: str, name: str, counts: bool, site: Callable[..., Path]
) -> None:
    site({"pk/__init__": "", "pk/used_by_hook": "X = 1\n", "pk/start": HOOKED})
    before = module_digest("pk.start", name)
    assert HOOKED.count(old) == 1
    site({"pk/start": HOOKED.replace(old, new)})
    assert (module_digest("pk.start", name) != before) is counts


def test_libraries_count_by_version_or_not_at_all(site: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    site({"pk/__init__": "import torch\n", "pk/start": "import json, numpy, findna_bench.errors\n"})
    plain_one = module_digest("pk.start")
    site({"pk/start": "import json, numpy, findna_bench.errors\nimport transformers\n"})
    with_library = module_digest("pk.start")
    assert plain_one != with_library
    version = importlib.metadata.version("transformers")
    assert library_version("transformers") == f"transformers {version}"
    assert library_version("json") == library_version("torch") == ""
    assert library_version("no_such_library") is None
    assert library_version("pk") is None
    assert (has_file("pk.start"), has_file("pk.none"), has_file("no_such_library"), has_file("json")) == (
        True,
        False,
        False,
        True,
    )
    assert module_digest("pk.none") is None
    assert module_digest("no_such_library") is None
    site({"pk/broken": "def (:\n"})
    broken = module_digest("pk.broken")
    site({"pk/broken": "def (:  # words\n"})
    assert module_digest("pk.broken") != broken  # no Python: byte by byte


def test_settings_that_name_files_count_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words.txt").write_text("a")
    (tmp_path / "other.txt").write_text("b")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    own = hashlib.sha256(b"a").hexdigest()
    name = str(tmp_path / "words.txt")
    settings = {
        "x": [name, 3, None],
        "y": {"z": ("~/other.txt", "words.txt", str(tmp_path), "/no/such")},
        "p": Path(name),
    }
    assert file_settings(settings) == {name: own, "~/other.txt": hashlib.sha256(b"b").hexdigest()}
    assert file_settings("./words.txt") == {"./words.txt": own}
    assert file_settings(5) == {}


# ---------------------------------------------------------------------------------------------------- whose fault


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("a\n  b"), "ValueError: a b"),
        (ValueError(), "ValueError"),
        (KeyError("k"), "KeyError: 'k'"),
        (SystemExit(), "it calls sys.exit()"),
        (SystemExit(0), "it calls sys.exit(0)"),
        (SystemExit("bye"), "it calls sys.exit('bye')"),
    ],
)
def test_what_was_raised_is_a_line(error: BaseException, words: str) -> None:
    assert in_words(error) == words


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def caught(call: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as found:
        call()
    return found.value


def test_the_innermost_line_of_a_plugin_is_named(site: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    site(
        {
            "pk/__init__": "",
            "pk/faulty": "import json\n\n\ndef outer():\n    return inner()\n\n\ndef inner():\n    return json.loads('{')\n\n\ndef two(a):\n    pass\n\n\n"
            "class Part:\n    def __init__(self, a):\n        pass\n\n    def run(self):\n        raise ValueError('x')\n\n\nclass Data:\n    pass\n",
        }
    )
    for name in ("pk", "pk.faulty"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import pk.faulty as faulty  # type: ignore[import-not-found]

    try:
        error = caught(faulty.outer)
        assert fault_in_words(error, package="pk").endswith(" (pk/faulty.py, line 9)")
        assert fault_in_words(error, package="pk").startswith("JSONDecodeError: Expecting property name")
        said = str(caught(lambda: _within("model 'm'", "pk.faulty:outer", faulty.outer)))
        assert said.startswith("model 'm' (pk.faulty:outer): JSONDecodeError: ")
        assert said.endswith(" (pk/faulty.py, line 9)")
        part = faulty.Part(1)
        assert str(caught(lambda: _within("objective 'o'", "", part.run, parts={faulty.Part: "backbone"}))) == (
            "backbone 'Part', called by objective 'o': ValueError: x (pk/faulty.py, line 21)"
        )
        assert isinstance(caught(lambda: _within("x", "", _raiser(DataError("own")))), DataError)
        assert isinstance(caught(lambda: _within("x", "", _raiser(KeyboardInterrupt()))), KeyboardInterrupt)
        assert isinstance(caught(lambda: _within("x", "", _raiser(SystemExit(3)))), PluginError)
        found = plugin_fault(error, {"pk": "dist-pk"})
        assert str(found).startswith("plugin dist-pk: JSONDecodeError: ")
        assert str(found).endswith(" (pk/faulty.py, line 9)")
        assert plugin_fault(error, {"other": "x"}) is None
        assert plugin_fault(caught(_raiser(DataError("x"))), {"pk": "d"}) is None
        assert in_words(Mute()) == "Mute"
    finally:
        for name in ("pk", "pk.faulty"):
            sys.modules.pop(name, None)


def _raiser(error: BaseException) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


def _within(what: str, factory: str, call: Callable[[], object], **options: Any) -> None:
    with plugin_code(what, factory, **options):
        call()
