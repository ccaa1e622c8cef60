"""Reading a deployment's traffic log.

A deployment's folder holds `traffic.jsonl`, and the part before it as `traffic.1.jsonl`:
one JSON object a line with `at` (Unix seconds), `score` (of the positive label),
`characters`, `words`, and `text` if the deployment logs inputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

PARTS = ("traffic.1.jsonl", "traffic.jsonl")


class Asked(BaseModel):
    """One row that was predicted. Lengths in characters and in words between white space."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    at: float
    score: float
    characters: int
    words: int
    text: str | None = None


class Window(BaseModel):
    """The last rows of some deployments, oldest first.

    Attributes:
        unreadable: Lines that are no rows: one that was cut off when a server died, for example.
    """

    model_config = ConfigDict(frozen=True)

    rows: tuple[Asked, ...]
    unreadable: int


def read_window(folders: Iterable[Path], *, last: int, since: datetime | None) -> Window:
    """The `last` rows that were asked at or after `since`."""
    start = since.timestamp() if since else 0.0
    rows, unreadable = [], 0
    for folder in folders:
        for part in PARTS:
            path = folder / part
            if not path.exists():
                continue
            for line in path.read_bytes().splitlines():
                try:
                    row = Asked.model_validate_json(line)
                except ValidationError:
                    unreadable += 1
                    continue
                if row.at >= start:
                    rows.append(row)
    rows.sort(key=lambda row: row.at)
    return Window(rows=tuple(rows[-last:]), unreadable=unreadable)
