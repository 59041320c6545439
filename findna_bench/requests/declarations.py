"""Declares what can be asked for, once: a field of a request with its help, its spelling and what it decides.

A request is a frozen dataclass whose fields are made by :func:`option`. The command line, configuration files, environment
variables, the Python API, the JSON that travels to another process and the block stored in results are all derived from these
declarations (:func:`options_of`, :func:`build`, :func:`to_json`, :func:`to_words`), so a new option is declared here and used
where it matters, and nowhere else.

Nothing but the standard library is imported: ``--help`` reads every request.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from findna_bench.errors import UsageError
from findna_bench.private_paths import last_part, public_path, public_word

__all__ = [
    "AutoOrNumber",
    "Candidates",
    "Flag",
    "Kind",
    "Names",
    "Number",
    "Numbers",
    "Option",
    "Pairs",
    "PathName",
    "PathNames",
    "Seeds",
    "Settings",
    "Text",
    "Whole",
    "Words",
    "build",
    "from_json",
    "identity_options",
    "option",
    "options_of",
    "quoted",
    "read_fields",
    "recorded",
    "request_id_options",
    "to_json",
    "to_words",
]

Request = TypeVar("Request")
InIds = Literal["", "always", "given"]


class Kind:
    """How the values of an option are written: by a shell, a TOML file, a script or JSON.

    ``shell_type`` is the type a command-line parser reads; a ``list`` makes the option repeatable.
    """

    shell_type: ClassVar[Any] = str

    def read(self, value: Any, where: str) -> Any:
        """The value of the field that ``value`` stands for.

        Args:
            value: text of a shell (a list of texts where the option is repeatable), or the value of a TOML file, of JSON or of
                a script.
            where: what to call the option in a message, e.g. ``--seeds``.

        Raises:
            UsageError: it stands for none.
        """
        raise NotImplementedError

    def from_shell(self, value: Any) -> Any:
        """What :meth:`read` takes, of what a command line or an environment variable holds."""
        return value

    def write(self, value: Any) -> Any:
        """JSON for a value of the field; :meth:`read` gives the value back."""
        return value

    def words(self, flag: str, value: Any) -> list[str]:
        """How a shell writes it."""
        return [flag, str(self.write(value))]


@dataclass(frozen=True)
class Text(Kind):
    """Text, one of ``choices`` where there are any."""

    choices: tuple[str, ...] = ()

    def read(self, value: Any, where: str) -> Any:
        if not isinstance(value, str):
            raise UsageError(f"{where}: text in quotes is expected, not {value!r}")
        if self.choices and value not in self.choices:
            raise UsageError(f"{where} {value!r}: choose one of {', '.join(self.choices)}")
        return value


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number, at least ``minimum``."""

    minimum: int | None = None
    why: str = ""
    """What a smaller number lacks, for the message."""
    shell_type: ClassVar[Any] = int

    def read(self, value: Any, where: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{where}: a whole number is expected, not {value!r}")
        if self.minimum is not None and value < self.minimum:
            raise UsageError(f"{where} {value}: {self.why or f'give {self.minimum} or more'}")
        return value


@dataclass(frozen=True)
class Number(Kind):
    """A number, more than ``above`` where that is given."""

    above: float | None = None
    shell_type: ClassVar[Any] = float

    def read(self, value: Any, where: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{where}: a number is expected, not {value!r}")
        if self.above is not None and value <= self.above:
            raise UsageError(f"{where} {value:g}: give a number above {self.above:g}")
        return float(value)


@dataclass(frozen=True)
class Flag(Kind):
    """On or off."""

    shell_type: ClassVar[Any] = bool

    def read(self, value: Any, where: str) -> Any:
        if not isinstance(value, bool):
            raise UsageError(f"{where}: true or false is expected, not {value!r}")
        return value


@dataclass(frozen=True)
class PathName(Kind):
    """A file or folder; ``~`` is the home folder."""

    shell_type: ClassVar[Any] = Path

    def read(self, value: Any, where: str) -> Any:
        if not isinstance(value, str | PathLike):
            raise UsageError(f"{where}: a path is expected, not {value!r}")
        return Path(fspath(value)).expanduser()

    def write(self, value: Any) -> Any:
        return str(value)


@dataclass(frozen=True)
class PathNames(Kind):
    """Files, repeatable."""

    shell_type: ClassVar[Any] = list[Path]

    def read(self, value: Any, where: str) -> Any:
        values = [value] if isinstance(value, str | PathLike) else value
        return tuple(PathName().read(part, where) for part in _sequence(values, where))

    def write(self, value: Any) -> Any:
        return [str(part) for part in value]

    def words(self, flag: str, value: Any) -> list[str]:
        return [word for part in value for word in (flag, str(part))]


def _path_as_name(path: PathLike[str]) -> str:
    """A path as it is written where names stand as well: ``x.csv`` is ``./x.csv``."""
    text = fspath(path)
    return text if text.startswith(("/", "./", "../", "~")) else f".{os.sep}{text}"


def _public_name(name: str) -> str:
    """A name as a recorded command has it; a path (of a task) still reads as one."""
    is_path = name.startswith(("/", "~", "./", "../"))
    return f".{os.sep}{last_part(name)}" if is_path and public_path(name) != name else name


@dataclass(frozen=True)
class Names(Kind):
    """Names, each counted once; text separates them by commas, and a shell may repeat the option."""

    shell_type: ClassVar[Any] = list[str]

    def from_shell(self, value: Any) -> Any:
        return ",".join(value)

    def read(self, value: Any, where: str) -> Any:
        if isinstance(value, PathLike):
            value = [value]
        names = value.split(",") if isinstance(value, str) else _sequence(value, where)
        names = [_path_as_name(name) if isinstance(name, PathLike) else name for name in names]
        if not all(isinstance(name, str) for name in names):
            raise UsageError(f"{where}: names are expected, not {value!r}")
        return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))

    def write(self, value: Any) -> Any:
        return list(value)

    def words(self, flag: str, value: Any) -> list[str]:
        return [flag, ",".join(map(_public_name, value))]


@dataclass(frozen=True)
class Words(Kind):
    """Texts, each whole (a comma separates nothing); a shell writes them one after the other."""

    shell_type: ClassVar[Any] = list[str]

    def read(self, value: Any, where: str) -> Any:
        texts = [value] if isinstance(value, str) else _sequence(value, where)
        if not all(isinstance(text, str) for text in texts):
            raise UsageError(f"{where}: names are expected, not {value!r}")
        return tuple(texts)

    def write(self, value: Any) -> Any:
        return list(value)

    def words(self, flag: str, value: Any) -> list[str]:
        return [word for text in value for word in (flag, text)]


@dataclass(frozen=True)
class Numbers(Kind):
    """Whole numbers separated by commas, each at least ``minimum``."""

    minimum: int = 0
    why: str = ""

    def read(self, value: Any, where: str) -> Any:
        parts = [value] if isinstance(value, int) else value.split(",") if isinstance(value, str) else value
        texts = [str(part).strip() for part in _sequence(parts, where)]
        if not all(text.isdecimal() for text in texts if text):
            raise UsageError(f"{where} {value!r}: give whole numbers separated by commas")
        numbers = tuple(dict.fromkeys(int(text) for text in texts if text))
        if any(number < self.minimum for number in numbers):
            raise UsageError(f"{where} {','.join(texts)}: {self.why or f'each is {self.minimum} or more'}")
        return numbers

    def write(self, value: Any) -> Any:
        return list(value)

    def words(self, flag: str, value: Any) -> list[str]:
        return [flag, ",".join(str(part) for part in value)]


@dataclass(frozen=True)
class Seeds(Kind):
    """A number of seeds (``5`` means 0 to 4) or a list of them (``0,1,7``; ``3,`` is seed 3 alone)."""

    def read(self, value: Any, where: str) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        elif not isinstance(value, str):
            value = ",".join(str(part) for part in _sequence(value, where)) + ","
        parts = [part.strip() for part in value.split(",")]
        if not all(part.isdecimal() for part in parts if part) or not any(parts):
            if value == ",":
                raise UsageError(f"no seed given; say {where} 5 or {where} 0,1,2")
            raise UsageError(f"{where} {value!r}: give a number of seeds (5) or a list of seeds (0,1,2)")
        if len(parts) > 1:
            return tuple(dict.fromkeys(int(part) for part in parts if part))
        if int(parts[0]) < 1:
            raise UsageError(f"{where} 0: at least one seed is needed")
        return tuple(range(int(parts[0])))

    def write(self, value: Any) -> Any:
        return list(value)

    def words(self, flag: str, value: Any) -> list[str]:
        if tuple(value) == tuple(range(len(value))):
            return [flag, str(len(value))]
        return [flag, ",".join(str(part) for part in value) + ("," if len(value) == 1 else "")]


@dataclass(frozen=True)
class Pairs(Kind):
    """``NAME=VALUE``, repeatable; a table in TOML, a mapping in Python."""

    example: str = "NAME=PATH"
    shell_type: ClassVar[Any] = list[str]

    def read(self, value: Any, where: str) -> Any:
        if isinstance(value, Mapping):
            return {str(name): fspath(part) if isinstance(part, PathLike) else part for name, part in value.items()}
        pairs = {}
        for text in [value] if isinstance(value, str) else _sequence(value, where):
            name, separator, part = str(text).partition("=")
            if not separator or not name.strip() or not part.strip():
                raise UsageError(f"{where} {text!r}: write {self.example}")
            pairs[name.strip()] = part.strip()
        return pairs

    def write(self, value: Any) -> Any:
        return dict(value)

    def words(self, flag: str, value: Any) -> list[str]:
        return [word for name, part in value.items() for word in (flag, f"{name}={part}")]


@dataclass(frozen=True)
class Settings(Pairs):
    """Several ``NAME=VALUE`` in one text, separated by commas; a comma before no ``NAME=`` is part of the value.

    Example:
        >>> Settings().read("gres=gpu:1,nodelist=a,b,time=10", "--set")
        {'gres': 'gpu:1', 'nodelist': 'a,b', 'time': '10'}
    """

    def read(self, value: Any, where: str) -> Any:
        if not isinstance(value, Mapping):
            texts = [value] if isinstance(value, str) else _sequence(value, where)
            value = [part for text in texts for part in _BETWEEN_SETTINGS.split(str(text)) if part.strip()]
        return {name: str(part) for name, part in super().read(value, where).items()}

    def words(self, flag: str, value: Any) -> list[str]:
        return [flag, ",".join(f"{name}={part}" for name, part in value.items())] if value else []


_BETWEEN_SETTINGS = re.compile(r",(?=\s*[A-Za-z][\w-]*=)")


@dataclass(frozen=True)
class AutoOrNumber(Kind):
    """``auto`` or a positive whole number."""

    def read(self, value: Any, where: str) -> Any:
        if value == "auto":
            return value
        text = str(value)
        if isinstance(value, bool) or not text.isdecimal() or int(text) < 1:
            raise UsageError(f"{where} {text!r}: give auto or a positive number")
        return int(text)


@dataclass(frozen=True)
class Candidates(Kind):
    """One value of the kind ``one``; several of them, separated by commas in a text, or ``auto``, among which validation chooses."""

    one: Kind

    def read(self, value: Any, where: str) -> Any:
        if value == "auto":
            return value
        parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else value
        values = dict.fromkeys(self.one.read(self._typed(part), where) for part in _sequence(parts, where))
        if not values:
            raise UsageError(f"{where}: name at least one value")
        return tuple(values) if len(values) > 1 else next(iter(values))

    def _typed(self, part: Any) -> Any:
        """A piece of text as the value that a shell would read it as; what is none is left to the message of ``one``."""
        if not isinstance(part, str):
            return part
        try:
            return self.one.shell_type(part.strip())
        except ValueError:
            return part

    def write(self, value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value

    def words(self, flag: str, value: Any) -> list[str]:
        return [flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]


def _sequence(value: Any, where: str) -> Sequence[Any]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return list(value)
    raise UsageError(f"{where}: a list is expected, not {value!r}")


@dataclass(frozen=True)
class Option:
    """One declared option.

    Attributes:
        field: name of the request's field.
        name: the option's name, without dashes.
        kind: how its values are written.
        help: what it does, one sentence.
        flags: spellings on the command line, the first being the usual one; empty for a positional argument.
        off: the spelling that turns a flag off, where the flag is on by default.
        panel: heading it stands under in ``--help``.
        metavar: placeholder in ``--help``.
        environment: whether ``FINDNA_BENCH_<NAME>`` sets it.
        recorded: whether results hold it: what was computed, not where and how.
        in_ids: ``always``: its value is part of request ids, and what came of it is part of identities; ``given``: it is part of both
            where it is not the default, so that results from before there was such an option keep their names; empty: of neither.
        default: the field's default; ``...`` where it must be given.
    """

    field: str
    name: str
    kind: Kind
    help: str
    flags: tuple[str, ...]
    off: str
    panel: str
    metavar: str | None
    environment: bool
    recorded: bool
    in_ids: InIds
    default: Any

    @property
    def flag(self) -> str:
        """What a message calls it."""
        return self.off or next(
            (f for f in self.flags if f == f"--{self.name}"), self.flags[-1] if self.flags else self.name.upper()
        )

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "FINDNA_BENCH_" + self.name.upper().replace("-", "_")

    def read(self, value: Any, where: str = "") -> Any:
        """The field's value (:meth:`Kind.read`); None stands for "not given" where that is the default."""
        if value is None and self.default is None:
            return None
        return self.kind.read(value, where or self.flag)


def option(
    kind: Kind,
    help: str,
    *,
    default: Any = ...,
    name: str = "",
    flags: Sequence[str] = (),
    off: str = "",
    positional: bool = False,
    panel: str = "",
    metavar: str | None = None,
    environment: bool = True,
    recorded: bool = True,
    in_ids: InIds = "",
) -> Any:
    """A field of a request (see :class:`Option`).

    Example:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Asked:
        ...     seeds: tuple[int, ...] = option(Seeds(), "A number (5) or a list (0,1,2).", default=(0, 1, 2, 3, 4))
        >>> build(Asked, {"seeds": "2"})
        Asked(seeds=(0, 1))
    """
    metadata = {
        "option": {
            "kind": kind, "help": help, "name": name, "flags": tuple(flags), "off": off, "positional": positional,
            "panel": panel, "metavar": metavar, "environment": environment, "recorded": recorded, "in_ids": in_ids,
        }
    }  # fmt: skip
    if default is ...:
        return field(metadata=metadata)
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def options_of(request: Any) -> tuple[Option, ...]:
    """The options of a request class, or of a request, in the order of its fields."""
    return tuple(_option(found) for found in dataclasses.fields(request) if "option" in found.metadata)


def _option(found: dataclasses.Field[Any]) -> Option:
    settings: Mapping[str, Any] = found.metadata["option"]
    name = settings["name"] or found.name.replace("_", "-")
    flags = () if settings["positional"] else settings["flags"] or (settings["off"] or f"--{name}",)
    if found.default is not dataclasses.MISSING:
        default = found.default
    elif found.default_factory is not dataclasses.MISSING:
        default = found.default_factory()
    else:
        default = ...
    return Option(
        found.name, name, settings["kind"], settings["help"], flags, settings["off"], settings["panel"], settings["metavar"],
        settings["environment"], settings["recorded"], settings["in_ids"], default,
    )  # fmt: skip


def read_fields(request: Any) -> None:
    """Give every field of a request the value that it stands for; to be called first in ``__post_init__``.

    Raises:
        UsageError: a value is none of its option's.
    """
    for found in options_of(request):
        object.__setattr__(request, found.field, found.read(getattr(request, found.field)))


def build(request: Callable[..., Request], values: Mapping[str, Any]) -> Request:
    """A request from values in any of their spellings, by field; what is not given keeps its default.

    Raises:
        UsageError: a value is none of its option's, a required one is missing, or a name is no option.
    """
    known = {found.name: found for found in dataclasses.fields(request)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no option; there are {', '.join(sorted(known))}")
    missing = [found.flag for found in options_of(request) if found.default is ... and found.field not in values]
    if missing:
        raise UsageError(f"{missing[0]} is missing")
    return request(**values)


def to_json(request: Any) -> dict[str, Any]:
    """Every field of a request, JSON-serialisable."""
    kinds = {found.field: found.kind for found in options_of(request)}
    found = (one for one in dataclasses.fields(request) if one.metadata.get("in_json", True))
    values = {one.name: getattr(request, one.name) for one in found}
    return {
        name: kinds[name].write(value) if name in kinds and value is not None else value
        for name, value in values.items()
    }


def recorded(request: Any) -> dict[str, Any]:
    """Those options that results hold, JSON-serialisable."""
    values = to_json(request)
    return {found.field: values[found.field] for found in options_of(request) if found.recorded}


def request_id_options(request: Any) -> dict[str, Any]:
    """Those options that are part of request ids, JSON-serialisable."""
    values = to_json(request)
    always = {found.field: values[found.field] for found in options_of(request) if found.in_ids == "always"}
    return always | identity_options(request)


def identity_options(request: Any) -> dict[str, Any]:
    """Those options that are part of identities as they were given, JSON-serialisable."""
    values = to_json(request)
    given = (found for found in options_of(request) if found.in_ids == "given")
    return {found.field: values[found.field] for found in given if getattr(request, found.field) != found.default}


def from_json(request: Callable[..., Request], values: Mapping[str, Any]) -> Request:
    """The inverse of :func:`to_json` (errors as :func:`build`)."""
    return build(request, values)


def to_words(request: Any, verb: str, *, program: str = "findna-bench") -> str:
    """The command line that asks for the same, whichever way it was asked for. Paths that lead out of the working folder are named
    by their last part: commands are published, and where a user's files lie is nobody's business.
    """
    words = [program, verb]
    for found in options_of(request):
        value = getattr(request, found.field)
        if value == found.default or value is None:
            continue
        if not found.flags:
            words += [str(part) for part in (value if isinstance(value, tuple) else (value,))]
        elif isinstance(found.kind, Flag):
            words.append(found.off or found.flags[0].split("/")[0 if value else -1])
        else:
            words += found.kind.words(found.flag, value)
    return quoted(words)


def quoted(words: Sequence[str]) -> str:
    """A command line for the record: quoted for a shell, without the folders that the user's files lie in."""
    return shlex.join(map(public_word, words))
