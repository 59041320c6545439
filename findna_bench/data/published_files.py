"""What recipes read published data from, and what they give back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from findna_bench.cards import TaskCard
from findna_bench.data.archives import Tree
from findna_bench.data.reference import reference_files
from findna_bench.data.table import SequenceTable
from findna_bench.data.table_files import read_table
from findna_bench.data.tabular import RawTable
from findna_bench.errors import DataError
from findna_bench.unpacking import without_compression

__all__ = ["PublishedFiles", "PublishedRows"]


@dataclass(frozen=True)
class PublishedRows:
    """Rows of a task by split.

    short: where they fall short of what is published, in words. notes: what a rule of the recipe left out or changed, in words.
    """

    tables: dict[str, SequenceTable]
    short: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    partial: frozenset[str] = frozenset()
    """Splits of which upstream's file is only there in part."""


@dataclass(frozen=True)
class PublishedFiles:
    """Files below a folder or in archives.

    trees: of files. cards: all that are imported at once. reference: FASTA, or a folder of them, None = none was given. cache_dir: for
    their indexes.
    """

    trees: Sequence[Tree]
    cards: Sequence[TaskCard]
    reference: Path | None
    cache_dir: Path
    held: dict[Any, Any] = field(default_factory=dict)
    """What one recipe read for several cards."""

    @property
    def label(self) -> str:
        return ", ".join(tree.label for tree in self.trees)

    def find(self, card: TaskCard, names: Sequence[str]) -> tuple[Tree, str] | None:
        """The file whose path, compression apart, ends in one of ``names``; None where there is none.

        Raises:
            DataError: there are two.
        """
        found = [(tree, file) for tree in self.trees for file in tree.files if _is_one_of(tree, file, names)]
        if len(found) > 1:
            first, second = (tree.origin(file) for tree, file in found[:2])
            raise DataError(f"{card.full_name}: {first} and {second} are both its file; leave one")
        return found[0] if found else None

    def table(self, card: TaskCard, names: Sequence[str], as_name: str | None = None) -> RawTable | None:
        """The table among the files (see :meth:`find`); ``as_name`` where its own name does not say of what format it is."""
        found = self.find(card, names)
        if found is None:
            return None
        tree, file = found
        with tree.open(file) as stream:
            return read_table(stream, as_name or file, tree.origin(file))

    @contextmanager
    def local(self, tree: Tree, file: str) -> Iterator[Path]:
        """A file as one on disk, for what cannot be read from a stream; one in an archive is unpacked for the time."""
        root = getattr(tree, "root", None)
        if root is not None:
            yield Path(root) / file
            return
        with tempfile.TemporaryDirectory(prefix="findna-bench-") as folder, tree.open(file) as stream:
            path = Path(folder) / Path(file).name
            with path.open("wb") as out:
                shutil.copyfileobj(stream, out)
            yield path

    def genome(self, card: TaskCard) -> Path:
        """The FASTA of the card's assembly.

        Raises:
            DataError: none was given, or none is of that assembly.
        """
        if self.reference is None:
            raise DataError(
                f"{card.full_name}: its files hold places in {card.assembly} and no sequences; give that genome with --reference FASTA"
            )
        return reference_files(card, self.reference)[0]


def _is_one_of(tree: Tree, file: str, names: Sequence[str]) -> bool:
    path = f"/{'/'.join((*tree.prefix, without_compression(file)))}"
    return any(path.endswith(f"/{name}") for name in names)
