"""Variants of VCF and BCF files as tables: read by pysam, labels from the INFO fields that have a column's name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from findna_bench.data.tabular import RawTable
from findna_bench.errors import DataError, ModelError

__all__ = ["is_vcf", "read_vcf"]

_SUFFIX = re.compile(r"\.(vcf|bcf|vcf\.gz|vcf\.bgz)$", re.IGNORECASE)


def is_vcf(name: str) -> bool:
    """Whether a file is one, by its name."""
    return _SUFFIX.search(name) is not None


def read_vcf(path: Path) -> RawTable:
    """One row per record: ``chrom``, ``pos`` (from 1), ``ref``, ``alt`` (several separated by commas), ``id`` where all have one, and every
    INFO field with one value per record, in lower case: ``label``, ``value``, ``element``, ``split`` mean what they mean in a table.

    Raises:
        ModelError: pysam is not installed. DataError: the file cannot be read, or holds no record.
    """
    try:
        import pysam
    except ImportError as error:
        raise ModelError(
            f"{path}: VCF and BCF files are read by pysam, which is not installed; `pip install findna-bench[variants]`, or give a table "
            "with columns chrom, pos, ref and alt"
        ) from error
    columns: dict[str, list[Any]] = {name: [] for name in ("chrom", "pos", "ref", "alt", "id")}
    info: list[dict[str, Any]] = []
    try:
        with pysam.VariantFile(str(path)) as file:
            for record in file:
                columns["chrom"].append(record.contig)
                columns["pos"].append(record.pos)
                columns["ref"].append(record.ref)
                columns["alt"].append(",".join(record.alts or ("",)))
                columns["id"].append(record.id)
                info.append({key.lower(): _single(value) for key, value in record.info.items()})
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as VCF or BCF ({' '.join(str(error).split())})") from error
    if not info:
        raise DataError(f"{path} has a header and no records")
    if None in columns["id"]:
        del columns["id"]
    for name in dict.fromkeys(name for one in info for name in one):
        if name not in columns:
            columns[name] = [one.get(name) for one in info]
    raw = RawTable(str(path), columns)
    raw.where = lambda row: f"{path}, record {row + 1}"  # type: ignore[method-assign]
    return raw


def _single(value: Any) -> Any:
    """The value of a field; a tuple of one is that one, a flag is 1, several are text."""
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else ",".join(map(str, value))
    return int(value) if isinstance(value, bool) else value
