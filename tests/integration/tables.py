"""What is in a database, for comparing before with after."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, inspect, select

from registry.storage.database import Database
from registry.storage.tables import Base

TABLES = Base.metadata.sorted_tables
# Only what a row's ledger entry accounts for can be missed when it changes.
GOVERNED = {
    mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers if mapper.class_.governed
}


def contents(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that is there."""
    there = set(inspect(connection).get_table_names())
    return {
        table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
        for table in TABLES
        if table.name in there
    }


def contents_of(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a database."""
    with database.engine.connect() as connection:
        return contents(connection)
