"""What time it is: by the database's own clock, where it has one, for a writer's may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, null, select

from registry.storage.tables.base import now

# What has expired is judged by it. SQLite has none but that of the machine.
CLOCKS: dict[str, Any] = {"postgresql": func.clock_timestamp(), "sqlite": null()}


def read_clock(connection: Connection) -> datetime:
    """This moment, for somebody who only looks."""
    at: datetime | None = connection.execute(select(CLOCKS[connection.dialect.name])).scalar()
    return at.astimezone(UTC) if at is not None else now()
