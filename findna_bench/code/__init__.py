"""The code behind a model or a generated task, as a digest: part of every identity and of every key of the embedding cache."""

from __future__ import annotations

import sys

from findna_bench.code.live import live_digest, patches_digest
from findna_bench.code.modules import CORE, file_settings, module_digest

__all__ = ["factory_digest", "file_settings", "live_digest", "module_digest"]


def factory_digest(factory: str) -> str | None:
    """Digest of the code that ``"package.module:Name"`` stands for; None where it cannot be hashed.

    Files count as :mod:`findna_bench.code.modules` says. A module without a file (a notebook, ``exec``, an archive) that is
    imported already is hashed as :mod:`findna_bench.code.live` says. Nothing is imported for it.
    """
    module, _, name = factory.partition(":")
    if module.partition(".")[0] == CORE:
        return CORE
    found = module_digest(module, name)
    made = getattr(sys.modules.get(module), name, None)
    if made is None:
        return found
    if found is None:
        return live_digest(made)
    patches = patches_digest(made) if isinstance(made, type) else ""
    return None if patches is None else f"{found}+{patches}" if patches else found
