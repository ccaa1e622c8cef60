"""Triggers that refuse what must never happen to a row, in the words of each database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from alembic import op


def make_function() -> None:
    """What PostgreSQL's triggers call; SQLite's need none."""
    if op.get_bind().dialect.name != "sqlite":
        op.execute(
            "CREATE FUNCTION phasegate_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION '% of % is refused: rows of this table are kept as they are', "
            "TG_OP, TG_TABLE_NAME; "
            "END $$"
        )


def drop_function() -> None:
    """Take it away again."""
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION phasegate_refuse()")


def keep(frozen: Iterable[str], kept: Mapping[str, str]) -> None:
    """Guard tables.

    Args:
        frozen: Rows of these never change.
        kept: Rows of these are never deleted; the condition on OLD and NEW under which one may change.
    """
    conditions = {**dict.fromkeys(frozen, ""), **kept}
    for table, allowed in conditions.items():
        unless = f"WHEN (NOT ({allowed}))" if allowed else ""
        if op.get_bind().dialect.name == "sqlite":
            _sqlite(table, "update", unless)
            _sqlite(table, "delete", "")
            _sqlite_replace(table)
        else:
            _postgres(table, "update", "UPDATE", "ROW", unless)
            _postgres(table, "delete", "DELETE", "ROW")
            _postgres(table, "truncate", "TRUNCATE", "STATEMENT")


def release(tables: Iterable[str]) -> None:
    """Take the guards of tables away."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in tables:
        for what in ("update", "delete", "replace") if sqlite else ("update", "delete", "truncate"):
            op.execute(f"DROP TRIGGER keep_{table}_{what}" + ("" if sqlite else f" ON {table}"))


def _sqlite(table: str, what: str, when: str) -> None:
    op.execute(
        f"CREATE TRIGGER keep_{table}_{what} BEFORE {what.upper()} ON {table} {when} BEGIN "
        f"SELECT RAISE(ABORT, '{what} of {table} is refused: rows of this table are kept as they are'); END"
    )


def _sqlite_replace(table: str) -> None:
    """INSERT OR REPLACE deletes the row that is in its way, and asks no trigger on DELETE."""
    inspector = sa.inspect(op.get_bind())
    keys = [inspector.get_pk_constraint(table)["constrained_columns"]]
    keys += [unique["column_names"] for unique in inspector.get_unique_constraints(table)]
    same = " OR ".join(" AND ".join(f'"{column}" = NEW."{column}"' for column in key) for key in keys)
    op.execute(
        f"CREATE TRIGGER keep_{table}_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) BEGIN "
        f"SELECT RAISE(ABORT, 'insert into {table} is refused: not UNIQUE, and its rows are kept'); END"
    )


def _postgres(table: str, name: str, operation: str, each: str, when: str = "") -> None:
    op.execute(
        f"CREATE TRIGGER keep_{table}_{name} BEFORE {operation} ON {table} "
        f"FOR EACH {each} {when} EXECUTE FUNCTION phasegate_refuse()"
    )
