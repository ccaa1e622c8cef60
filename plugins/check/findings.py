"""Findings of a scan: places in a table, counted and kept; never what stands there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """Characters `start` to `end` (excluded) of one cell; a row of `findings.parquet`."""

    row: int
    column: str
    start: int
    end: int
    entity_type: str
    score: float


def count(findings: Sequence[Finding], read: int, sees: Iterable[str]) -> dict[str, float]:
    """Metrics of a scan that read so many rows; every entity type that it looked for has one, 0 included."""
    found = Counter(finding.entity_type for finding in findings)
    rows = len({finding.row for finding in findings})
    return {
        "findings": float(len(findings)),
        "rows_scanned": float(read),
        "rows_with_findings": float(rows),
        "rows_share": rows / read if read else 0.0,
        **{f"findings.{name}": float(found[name]) for name in sees},
    }


def per_entity(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Per entity type and column: how many findings, in how many rows."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for finding in findings:
        groups[finding.entity_type, finding.column].append(finding.row)
    return [
        {"entity_type": kind, "column": column, "findings": len(rows), "rows": len(set(rows))}
        for (kind, column), rows in sorted(groups.items())
    ]


def write(findings: Sequence[Finding], path: Path) -> Path:
    """Write them as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = (pa.int64(), pa.string(), pa.int32(), pa.int32(), pa.string(), pa.float64())
    schema = pa.schema(list(zip(Finding._fields, types, strict=True)))
    pq.write_table(pa.Table.from_pylist([finding._asdict() for finding in findings], schema=schema), path)
    return path
