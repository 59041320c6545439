"""findna-bench: any DNA model on any genomic task under one protocol. ``import findna_bench as fb`` gives the public names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from findna_bench.api import *  # noqa: F403
else:  # a checker that saw it would take every misspelt name for Any

    def __getattr__(name: str) -> Any:
        """The names of :mod:`findna_bench.api`, imported when first used."""
        if name.startswith("_"):
            raise AttributeError(name)
        import importlib

        api = importlib.import_module("findna_bench.api")
        try:
            return getattr(api, name)
        except AttributeError:
            raise AttributeError(f"module 'findna_bench' has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        from findna_bench import api

        return sorted({*globals(), *api.__all__})
