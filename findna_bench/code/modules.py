"""Code that lies in files, hashed by what it says.

A version says nothing while its author works on an editable install, so the files themselves are read, however they were
installed. Counted are the module of a factory and all modules that it reaches by static imports (absolute, relative, inside
functions, conditional, for type checkers), inside its own top-level package and in whatever else no version vouches for:
editable installs and plain folders on the path. Each is hashed as a syntax tree without docstrings and comments, so that
words and white space change nothing. Neither do hook implementations, nor what only they use: cards enter an identity by
their values. Other libraries count by their version, or as absent; those in :data:`NO_ARCHITECTURES` do not count (torch, numpy and
the like are recorded in every result's ``environment``), and ``findna_bench`` itself counts by its protocol version.

Not seen: imports whose names are computed, and files that code reads without importing them; give those as weights, tokenizer or
setting. Syntax trees are written down without what Python versions disagree on (positions, empty fields, ``kind``); where the
parser itself changed (the inside of f-strings, in 3.12), two versions may give two digests for one file.

Nothing is imported here to be hashed, and nothing heavy for it: to ask what a finished result was made by costs some parsing.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from findna_bench.files import stable_hash

__all__ = [
    "CORE",
    "NO_ARCHITECTURES",
    "file_settings",
    "has_file",
    "library_version",
    "module_digest",
    "plain_tree",
    "without_docstrings",
]

logger = logging.getLogger(__name__)

CORE = "findna_bench"
NO_ARCHITECTURES = frozenset({
    "torch", "numpy", "scipy", "sklearn", "pandas", "pyarrow", "pyfaidx", "tokenizers", "safetensors", "huggingface_hub",
    "tqdm", "rich", "typer", "pydantic", "pluggy", "platformdirs", "matplotlib", "tabulate", "packaging", "typing_extensions",
})  # fmt: skip
"""Import names of libraries in which no model is defined: a new version of them does not make every number another model's."""

_BY_VERSION = ("transformers", "timm")
"""Hold architectures, but are too large to be read file by file even from a checkout."""
_EVERYTHING = "*"
_SITES = ("site-packages", "dist-packages")


def module_digest(module: str, name: str = _EVERYTHING) -> str | None:
    """Digest of the files behind a module, by static imports from it on; None where a file cannot be found or read.

    name: what is taken from the module; everything by default.
    """
    try:
        reached = _reach(module, name)
    except _NoFileError as error:
        logger.info("%s: %s", module, error)
        return None
    return "sha256:" + stable_hash({"start": [module, name], "modules": reached.modules, "versions": reached.versions})


@functools.cache
def library_version(top: str) -> str | None:
    """``distribution version`` of an installed library by its import name; None where it counts by its files, or has none."""
    reached = _Reached()
    if _locate(top) is None or _is_unvouched(top, reached):
        return None
    return " ".join(f"{name} {version}" for name, version in reached.versions.items())


def has_file(module: str) -> bool:
    """Whether a module's code lies in a file; nothing is read."""
    return library_version(module.partition(".")[0]) is not None or _locate(module) is not None


def file_settings(settings: Any) -> dict[str, str]:
    """sha256 of every file that a setting names by a path (with a separator): such a setting counts by the file's content."""
    found: dict[str, str] = {}
    for value in _texts(settings):
        path = Path(os.path.expanduser(value))
        if os.sep in value and path.is_file():
            with path.open("rb") as stream:
                found[value] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, (str, os.PathLike)):
        yield os.fspath(value)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)
    elif hasattr(value, "values"):
        for part in value.values():
            yield from _texts(part)


# -------------------------------------------------------------------------------------------------- reaching modules


class _NoFileError(Exception):
    """A module has no file that could be hashed."""


@dataclass
class _Reached:
    """modules: name -> digest of its syntax tree. versions: distribution -> version, None where it is not installed."""

    modules: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str | None] = field(default_factory=dict)


def _reach(start: str, name: str) -> _Reached:
    """Everything reached from ``start``. A package that is merely passed through is asked for no name of its own."""
    own, others = {start.partition(".")[0]}, set[str]()
    names: dict[str, frozenset[str]] = {}
    reached, waiting = _Reached(), [(start, name)]
    while waiting:
        module, wanted = waiting.pop()
        top = module.partition(".")[0]
        if top not in own | others:
            (own if _is_unvouched(top, reached) else others).add(top)
        if top in others:
            continue
        before = names.get(module)
        names[module] = (before or frozenset()) | ({wanted} if wanted else set())
        if names[module] == before:
            continue
        located = _locate(module)
        if located is None:
            if module == start:
                raise _NoFileError("no file on disk holds this module")
            continue  # an import that fails, or is never made
        waiting += [(parent, "") for parent in _parents(module)]
        if located.path is None:
            continue
        content = _content(module, located)
        reached.modules[module], imports = content.without_registration(names[module])
        for statement in imports:
            waiting += _targets(statement, module, located.is_package)
    return reached


def _is_unvouched(top: str, reached: _Reached) -> bool:
    """Whether a package is hashed by its files; else its version is put down, where that matters."""
    if top == CORE or top in NO_ARCHITECTURES or top in sys.stdlib_module_names:
        return False
    located = _locate(top)
    if located is not None and top not in _BY_VERSION and not _has_version(top, located):
        return True
    distribution, version = _version(top) if located is not None else (top, None)
    reached.versions[distribution] = version
    return False


def _has_version(top: str, located: _Located) -> bool:
    """Whether files lie where an installer puts copies: a new version is the only way in which they change."""
    places = [located.path] if located.path is not None else [Path(folder) for folder in located.folders]
    for place in places:
        entry = next((parent for parent in place.parents if parent.name in _SITES), None)
        if entry is None and not _is_recorded(
            top, place.parent.parent if located.is_package and located.path else place.parent
        ):
            return False
    return bool(places)


@functools.cache
def _is_recorded(top: str, entry: Path) -> bool:
    """Whether a distribution in this folder lists the package among its files (as ``pip --target`` writes it)."""
    for record in entry.glob("*.dist-info/RECORD"):
        try:
            lines = record.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            continue
        if any(line.startswith((f"{top}/", f"{top}.py,")) for line in lines):
            return True
    return False


@functools.cache
def _version(top: str) -> tuple[str, str | None]:
    """(distribution, version) of an installed import package."""
    try:
        return top, importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        names = sorted(importlib.metadata.packages_distributions().get(top, ()))
    return (names[0], importlib.metadata.version(names[0])) if names else (top, "unknown")


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _targets(statement: _Import, module: str, is_package: bool) -> Iterator[tuple[str, str]]:
    """(module, name asked of it) of one import statement; a package passed through is asked for ``""``, so for nothing."""
    base = statement.module
    if statement.level:
        package = module.split(".") if is_package else module.split(".")[:-1]
        kept = package[: len(package) - statement.level + 1]
        if not kept:
            return
        base = ".".join([*kept, *([base] if base else [])])
    if not statement.names:
        yield base, _EVERYTHING
        return
    for name in statement.names:
        inner = f"{base}.{name}"
        is_module = (
            name != _EVERYTHING and base.partition(".")[0] != CORE and _may_hold(base) and _locate(inner) is not None
        )
        yield base, ("" if is_module and not _binds(base, name) else name)
        if is_module:
            yield inner, _EVERYTHING


def _may_hold(base: str) -> bool:
    """Whether files of this package are looked at at all: not those of installed libraries."""
    top = base.partition(".")[0]
    return top not in NO_ARCHITECTURES and top not in sys.stdlib_module_names


def _binds(module: str, name: str) -> bool:
    """Whether a package itself defines a name, which then hides a module of that name."""
    located = _locate(module)
    if located is None or located.path is None:
        return False
    return name in _content(module, located).bound


# ---------------------------------------------------------------------------------------------------- finding files


@dataclass(frozen=True)
class _Located:
    """path: the file, None for a namespace package. folders: where modules inside it are looked for."""

    path: Path | None
    folders: tuple[str, ...] = ()
    is_package: bool = False


def _locate(module: str) -> _Located | None:
    """Where a module would be imported from, without importing it or its parents; None where nowhere."""
    parent, _, name = module.rpartition(".")
    if not parent:
        return _locate_top(module)
    above = _locate(parent)
    if above is None or not above.is_package:
        return None
    return _in_folders(name, above.folders) or _ask_finders(module, above.folders)


def _locate_top(module: str) -> _Located | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ValueError, ImportError, AttributeError):  # __main__ has no spec
        return None
    return _of_spec(spec)


def _ask_finders(module: str, folders: Sequence[str]) -> _Located | None:
    """For finders of their own, as some editable installs bring them."""
    for finder in sys.meta_path:
        if finder is importlib.machinery.PathFinder or not hasattr(finder, "find_spec"):
            continue
        try:
            found = _of_spec(finder.find_spec(module, folders, None))
        except Exception:  # a stranger's finder
            continue
        if found is not None:
            return found
    return None


def _of_spec(spec: importlib.machinery.ModuleSpec | None) -> _Located | None:
    if spec is None:
        return None
    folders = None if spec.submodule_search_locations is None else tuple(map(str, spec.submodule_search_locations))
    path = Path(spec.origin) if spec.has_location and spec.origin else None
    if path is not None and not path.is_file():
        return None  # inside an archive
    if path is None and folders is None:
        return None  # built in
    return _Located(path, folders or (), folders is not None)


def _in_folders(name: str, folders: Sequence[str]) -> _Located | None:
    """As Python's own finder: the first folder with a package or module of that name, else all folders so called together."""
    suffixes = importlib.machinery.all_suffixes()
    ordered = sorted(suffixes, key=lambda suffix: suffix not in importlib.machinery.EXTENSION_SUFFIXES)
    namespace = []
    for folder in folders:
        inner = os.path.join(folder, name)
        for suffix in ordered:
            if os.path.isfile(os.path.join(inner, f"__init__{suffix}")):
                return _Located(Path(inner, f"__init__{suffix}"), (inner,), True)
        for suffix in ordered:
            if os.path.isfile(inner + suffix):
                return _Located(Path(inner + suffix))
        if os.path.isdir(inner):
            namespace.append(inner)
    return _Located(None, tuple(namespace), True) if namespace else None


# ---------------------------------------------------------------------------------------------------- reading a file


@dataclass(frozen=True)
class _Import:
    """``import module`` (no names) or ``from module import names``."""

    module: str
    names: tuple[str, ...] = ()
    level: int = 0


class _Content:
    """One file, parsed; what is no Python source is hashed byte by byte and imports nothing."""

    def __init__(self, path: Path) -> None:
        self.tree: ast.Module | None = None
        self._views: dict[frozenset[str], tuple[str, tuple[_Import, ...]]] = {}
        raw = path.read_bytes()
        self._raw = hashlib.sha256(raw).hexdigest()
        if path.suffix == ".py":
            try:
                self.tree = without_docstrings(ast.parse(raw))
            except (SyntaxError, ValueError, RecursionError):
                self.tree = None

    @functools.cached_property
    def bound(self) -> frozenset[str]:
        """Names that its statements define."""
        body = self.tree.body if self.tree is not None else []
        return frozenset(name for statement in body for name in _bound(statement))

    def without_registration(self, names: frozenset[str]) -> tuple[str, tuple[_Import, ...]]:
        """(digest, imports) of what is left without hook implementations and what only they use, but for these names and what they use."""
        if self.tree is None:
            return self._raw, ()
        if names not in self._views:
            body = _without_hooks(self.tree.body, names)
            digest = hashlib.sha256(json.dumps([plain_tree(node) for node in body]).encode()).hexdigest()
            self._views[names] = digest, tuple(_imports(body))
        return self._views[names]


_BY_FILE: dict[tuple[str, int, int], _Content] = {}
_BY_IMPORT: dict[str, tuple[Any, _Content, tuple[str, int, int]]] = {}


def _content(module: str, located: _Located) -> _Content:
    """The content of a module's file; of a module that is imported, as it was when it was first looked at.

    A process goes on with the code it has imported, whatever becomes of the file; so must the digest.
    """
    assert located.path is not None
    try:
        state = located.path.stat()
        key = str(located.path), state.st_mtime_ns, state.st_size
        spec = getattr(sys.modules.get(module), "__spec__", None)
        known = _BY_IMPORT.get(module)
        if known is not None and spec is not None and known[0] is spec:
            if known[2] != key:
                _warn_of_change(str(located.path), key[1])
            return known[1]
        content = _BY_FILE.get(key) or _BY_FILE.setdefault(key, _Content(located.path))
    except OSError as error:
        raise _NoFileError(f"{located.path} cannot be read ({error.strerror or error})") from error
    if spec is not None:
        _BY_IMPORT[module] = spec, content, key
    return content


@functools.cache
def _warn_of_change(path: str, changed: int) -> None:
    logger.warning(
        "%s has changed since it was imported; this process goes on with the code it has, start another", path
    )


def _imports(body: Sequence[ast.AST]) -> Iterator[_Import]:
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Import):
            yield from (_Import(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield _Import(node.module or "", tuple(alias.name for alias in node.names), node.level)
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)):
            level = len(name) - len(name.lstrip("."))
            if level and not name.lstrip("."):
                continue
            head, _, tail = name.lstrip(".").rpartition(".")
            yield _Import(head, (tail,), level) if level else _Import(name)


def _imported_by_call(node: ast.Call) -> str | None:
    """``importlib.import_module("name")`` and ``__import__("name")`` with the name written out."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    if called not in ("import_module", "__import__") or not node.args or not isinstance(node.args[0], ast.Constant):
        return None
    return node.args[0].value if isinstance(node.args[0].value, str) else None


# ------------------------------------------------------------------------------------------------------ syntax trees


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree without statements that are a mere string: docstrings of modules, classes, functions and attributes."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, [s for s in statements if not _is_words(s)])
    return tree


def _is_words(statement: ast.AST) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant and isinstance(statement.value.value, str)  # type: ignore[attr-defined]


def plain_tree(node: Any) -> Any:
    """A syntax tree as lists, JSON-serialisable, without positions and whatever Python versions write in different ways."""
    if isinstance(node, ast.Constant):
        return ["Constant", type(node.value).__name__, repr(node.value)]
    if isinstance(node, ast.AST):
        fields = [
            (name, plain_tree(value)) for name, value in ast.iter_fields(node) if name not in ("ctx", "type_comment")
        ]
        return [type(node).__name__, *([name, value] for name, value in fields if value not in (None, []))]
    if isinstance(node, list):
        kept = [plain_tree(entry) for entry in node]
        return [entry for entry in kept if entry != ["Pass"]] if any(isinstance(e, ast.stmt) for e in node) else kept
    return node if node is None or isinstance(node, (int, str)) else repr(node)


def _without_hooks(body: Sequence[ast.stmt], names: frozenset[str]) -> list[ast.stmt]:
    """Top-level statements that are left without hook implementations, and without definitions that nothing else uses."""
    left, gone = [], set[str]()
    for statement in body:
        kept, used = _cut_hooks(statement)
        gone |= used
        if kept is not None:
            left.append(kept)
    while gone and _EVERYTHING not in names:
        uses = [_used(statement) for statement in left]
        idle = [
            number
            for number, statement in enumerate(left)
            if (bound := _bound(statement))
            and bound <= gone - names
            and not any(bound & used for other, used in enumerate(uses) if other != number)
        ]
        if not idle:
            break
        gone |= set().union(*(uses[number] for number in idle))
        left = [statement for number, statement in enumerate(left) if number not in idle]
    return left


def _cut_hooks(statement: ast.stmt) -> tuple[ast.stmt | None, set[str]]:
    """(statement without the hook implementations in it, names that these use)."""
    if _is_hook(statement):
        return None, _used(statement)
    if not isinstance(statement, ast.ClassDef) or not any(map(_is_hook, statement.body)):
        return statement, set()
    hooks = [inner for inner in statement.body if _is_hook(inner)]
    rest = ast.ClassDef(**{**dict(ast.iter_fields(statement)), "body": [s for s in statement.body if s not in hooks]})
    return rest, set().union(*map(_used, hooks))


def _is_hook(statement: ast.AST) -> bool:
    for mark in getattr(statement, "decorator_list", ()):
        mark = mark.func if isinstance(mark, ast.Call) else mark
        if (mark.attr if isinstance(mark, ast.Attribute) else getattr(mark, "id", None)) == "hookimpl":
            return True
    return False


def _bound(statement: ast.AST) -> set[str]:
    """Names a statement defines at the top level of its module; none for statements that may do more than define."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    if isinstance(statement, (ast.Assign, ast.AnnAssign)) and all(isinstance(target, ast.Name) for target in targets):
        return {target.id for target in targets if isinstance(target, ast.Name)}
    return set()


def _used(statement: ast.AST) -> set[str]:
    """Names that a statement reads."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
