"""Holds the direction of imports: every room imports only rooms below it, the core never imports a plugin, and plugins
import the core only through its public modules. Run in CI; prints each breach and exits 1.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Higher numbers may import lower ones; rooms on one level do not import each other.
LEVELS = {
    "errors": 0,
    "files": 1,
    "collecting": 1,
    "interrupt": 1,
    "private_paths": 1,
    "terminal": 1,
    "plugin_code": 4,
    "grid": 2,
    "threads": 1,
    "torchrun": 1,
    "unpacking": 2,
    "download": 2,
    "cards": 3,
    "hookspecs": 4,
    "requests": 4,
    "registry": 5,
    "code": 6,
    "sequences": 6,
    "results": 6,
    "statistics": 6,
    "relatedness": 7,
    "data": 8,
    "models": 8,
    "auditing": 9,
    "training": 9,
    "targets": 9,
    "protocols": 10,
    "matrix": 11,
    "profiling": 11,
    "leaderboard": 11,
    "comparison": 12,
    "api": 13,
    "testing": 14,
    "cli": 15,
    "__main__": 16,
}
PUBLIC = {"findna_bench", "findna_bench.api", "findna_bench.cards", "findna_bench.testing"}
PLUGINS = {
    "findna_plugins": ROOT / "plugins" / "findna_plugins",
    "findna_baselines": ROOT / "baselines" / "findna_baselines",
}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import in a file, those inside functions included; those for type checkers only are not."""
    tree = ast.parse(path.read_text(), str(path))
    typing_only: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            typing_only.update(id(inner) for child in node.body for inner in ast.walk(child))
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module
            if node.module == "findna_bench":
                for alias in node.names:
                    if alias.name in LEVELS:
                        yield node.lineno, f"findna_bench.{alias.name}"


def breaches() -> Iterator[str]:
    core = ROOT / "findna_bench"
    for path in sorted(core.rglob("*.py")):
        relative = path.relative_to(core)
        room = relative.parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        where = path.relative_to(ROOT)
        if room not in LEVELS:
            yield f"{where}: {room!r} is not a known room; give it a level in scripts/check_imports.py"
            continue
        for line, module in imports(path):
            top, _, rest = module.partition(".")
            if top in PLUGINS:
                yield f"{where}:{line}: the core imports plugin {module}"
            if top != "findna_bench" or not rest:
                continue
            other = rest.split(".")[0]
            if other == room:
                continue
            if other not in LEVELS:
                yield f"{where}:{line}: imports unknown room {module}"
            elif LEVELS[other] >= LEVELS[room]:
                yield f"{where}:{line}: {room} may not import {other}"
    for name, folder in PLUGINS.items():
        for path in sorted(folder.rglob("*.py")):
            for line, module in imports(path):
                if module.split(".")[0] == "findna_bench" and module not in PUBLIC:
                    yield f"{path.relative_to(ROOT)}:{line}: {name} imports {module}; plugins use findna_bench.api and findna_bench.cards"
                if module.split(".")[0] in set(PLUGINS) - {name}:
                    yield f"{path.relative_to(ROOT)}:{line}: {name} imports {module}; plugins do not know each other"


def main() -> int:
    found = list(breaches())
    print("\n".join(found) if found else "imports point one way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
