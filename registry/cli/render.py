"""How answers look: tables for people at a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

# Outcomes as people read them, with the colour that a terminal adds.
OUTCOMES = {
    "pass": ("holds", "green"),
    "fail": ("fails", "red"),
    "missing": ("no evidence", "yellow"),
    "insufficient": ("cannot judge", "yellow"),
    "error": ("error", "magenta"),
    "waived": ("waived", "cyan"),
}


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, nothing: str = "nothing yet") -> None:
    """Print rows under column names; to a pipe, tab-separated and never cut."""
    texts = [[cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *texts]:
            click.echo("\t".join(" ".join(text.splitlines()).replace("\t", " ") for text in row))
        return
    if not texts:
        click.echo(nothing)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in texts:
        grid.add_row(*(Text(value) for value in row))
    Console().print(grid)


def facts(values: Mapping[str, Any]) -> None:
    """Print names and values, one per line, aligned; what is empty is left out."""
    shown = {name: cell(value) for name, value in values.items()}
    width = max((len(name) for name, text in shown.items() if text), default=0)
    for name, text in shown.items():
        if text:
            click.echo(f"{name:<{width}}  {text}")


def cell(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={cell(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value)
    return legible(str(value))


def legible(text: str) -> str:
    """Text without control characters: what somebody typed elsewhere must not drive this terminal."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")
