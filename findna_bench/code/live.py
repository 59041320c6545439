"""Digests of objects that no file stands for: a class written in a notebook, a module changed by hand.

Classes and functions are hashed by their source where it can be had, else by their bytecode, together with what they refer to
(globals, closures, defaults, bases); objects by their class and state, tensors and arrays by their numbers. What lives in a
file counts by :func:`findna_bench.code.modules.module_digest`, what lives in an installed library by its name. Anything whose state
Python cannot reach (open files, locks, generators) has no digest, and so has whatever refers to it.
"""

from __future__ import annotations

import ast
import dis
import functools
import hashlib
import inspect
import sys
import textwrap
import types
from collections.abc import Iterator
from typing import Any

from findna_bench.code.modules import (
    CORE,
    NO_ARCHITECTURES,
    has_file,
    library_version,
    module_digest,
    plain_tree,
    without_docstrings,
)
from findna_bench.files import stable_hash

__all__ = ["live_digest", "patches_digest"]

_OF_THE_CLASS_ITSELF = frozenset({
    "__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__slots__", "__match_args__", "__abstractmethods__",
    "__firstlineno__", "__static_attributes__", "__annotations__", "__annotate_func__", "__annotations_cache__",
    "__parameters__", "__orig_bases__", "__dataclass_fields__", "__dataclass_params__", "_abc_impl",
})  # fmt: skip
"""Attributes that follow from the others, or are words."""
_NAMED = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.ClassMethodDescriptorType,
)


def live_digest(value: Any) -> str | None:
    """Digest of a class, a function or an object with its state; None where some of it cannot be hashed."""
    try:
        return "live:" + stable_hash(_Description().of(value))
    except (_UnhashableError, RecursionError):
        return None


def patches_digest(value: type) -> str | None:
    """Digest of what a notebook has put into a class, or its bases, that come from files; ``""`` for nothing.

    None where it cannot be hashed.
    """
    description = _Description()
    try:
        found = [description.patches(base) for base in value.__mro__]
    except (_UnhashableError, RecursionError):
        return None
    return "live:" + stable_hash(found) if any(found) else ""


class _UnhashableError(Exception):
    """Python cannot reach all that decides what a value does."""


class _Description:
    """Values as nested lists, JSON-serialisable; each object is written out once, and referred to by number after that."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []
        """Alive for as long as their ids are compared."""

    def of(self, value: Any) -> Any:
        if value is None or value is Ellipsis or value is NotImplemented:
            return repr(value)
        if type(value) in (bool, int, float, complex, str, bytes):
            return [type(value).__name__, repr(value)]
        if id(value) in self._numbers:
            return ["again", self._numbers[id(value)]]
        self._numbers[id(value)] = len(self._kept)
        self._kept.append(value)
        return self._written_out(value)

    def _written_out(self, value: Any) -> Any:
        if type(value) in (list, tuple):
            return [type(value).__name__, *map(self.of, value)]
        if type(value) in (set, frozenset):
            return [type(value).__name__, *sorted((self.of(entry) for entry in value), key=stable_hash)]
        if type(value) is dict:
            return ["dict", *([self.of(key), self.of(entry)] for key, entry in value.items())]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__, self._home(value.__name__)]
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, (staticmethod, classmethod)):
            return [type(value).__name__, self.of(value.__func__)]
        if isinstance(value, property):
            return ["property", *map(self.of, (value.fget, value.fset, value.fdel))]
        if isinstance(value, types.MethodType):
            return ["method", self.of(value.__func__), self.of(value.__self__)]
        if isinstance(value, _NAMED):
            return ["built in", getattr(value, "__qualname__", str(value)), self._of_owner(value)]
        return self._numbers_of(value) or self._object(value)

    def _of_owner(self, value: Any) -> Any:
        """``random.random`` is a method of a hidden object; a plain built-in belongs to its module."""
        owner = getattr(value, "__self__", None)
        return None if owner is None or isinstance(owner, (type, types.ModuleType)) else self.of(owner)

    def _numbers_of(self, value: Any) -> Any:
        """Tensors and arrays, where these libraries are loaded at all."""
        torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
        if torch is not None and isinstance(value, torch.Tensor):
            if value.is_meta or value.layout != torch.strided:
                raise _UnhashableError
            raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            return ["tensor", str(value.dtype), list(value.shape), value.requires_grad, hashlib.sha256(raw).hexdigest()]
        if torch is not None and isinstance(value, (torch.dtype, torch.device, torch.Size)):
            return [type(value).__name__, str(value)]
        if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind != "O":
            return ["array", str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
        return None

    def _object(self, value: Any) -> Any:
        """By what a copy would be made of."""
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            raise _UnhashableError from error
        if isinstance(reduced, str):
            return ["name", reduced, self.of(type(value))]
        make, arguments, *rest = reduced
        state, entries, items = (*rest, None, None, None)[:3]
        entries, items = (None if parts is None else list(parts) for parts in (entries, items))
        return ["object", *map(self.of, (make, arguments, state, entries, items))]

    # ------------------------------------------------------------------------------------------ classes and functions

    def _home(self, module: str) -> str | None:
        """What stands for a whole module: the name of an installed library, or its files; None where it has none."""
        top = module.partition(".")[0]
        if top in NO_ARCHITECTURES or top == CORE or (top in sys.stdlib_module_names and top != "__main__"):
            return top
        # A library is large, and changes by its version alone.
        return library_version(top) or module_digest(module)

    def _class(self, value: type) -> Any:
        named, home = ["class", value.__qualname__], self._home(value.__module__)
        if home is not None:
            return [*named, home, *self.patches(value)]
        own = {name: entry for name, entry in vars(value).items() if name not in _OF_THE_CLASS_ITSELF}
        described = [[name, self.of(entry)] for name, entry in sorted(own.items())]
        return [*named, described, [self.of(base) for base in value.__bases__]]

    def patches(self, value: type) -> list[Any]:
        """Functions without a file that were put into a class that has one."""
        foreign = {
            name: entry
            for name, entry in vars(value).items()
            if isinstance(entry, types.FunctionType) and entry.__module__ not in (None, value.__module__)
        }
        live = {name: entry for name, entry in foreign.items() if not has_file(entry.__module__)}
        return [[name, self.of(entry)] for name, entry in sorted(live.items())]

    def _function(self, value: types.FunctionType) -> Any:
        around = [self.of(value.__defaults__), self.of(value.__kwdefaults__), *self._closure(value)]
        home = self._home(value.__module__ or "__main__")
        if home is not None and value.__code__.co_filename != "<string>":
            return ["function", value.__qualname__, home, *around]
        names = {name: value.__globals__[name] for name in _global_names(value.__code__) if name in value.__globals__}
        refers = [[name, self.of(entry)] for name, entry in sorted(names.items())]
        return ["function", self._source(value), refers, *around]

    def _closure(self, value: types.FunctionType) -> Iterator[Any]:
        for cell in value.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                yield "empty"
            else:
                yield self.of(content)

    def _source(self, value: types.FunctionType) -> Any:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
        except (OSError, TypeError, SyntaxError, ValueError):
            return self._code(value.__code__, value.__doc__)
        return plain_tree(without_docstrings(tree).body)

    def _code(self, code: types.CodeType, doc: str | None = None) -> Any:
        constants = [self.of(constant) for constant in code.co_consts if doc is None or constant != doc]
        names = [list(part) for part in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)]
        shape = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
        return [
            "code",
            f"Python {sys.version_info[0]}.{sys.version_info[1]}",
            code.co_code.hex(),
            constants,
            names,
            shape,
        ]


@functools.lru_cache(maxsize=1024)
def _global_names(code: types.CodeType) -> frozenset[str]:
    """Global names that a code object reads, those inside it included."""
    own = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = [_global_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return frozenset(own.union(*inner))
