"""What all tables share: names of constraints, times in UTC, and what makes a row governed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, MetaData, inspect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from registry.domain.digests import digest_of

# Rows of these are never changed or deleted; triggers in the database see to it.
APPEND_ONLY = (
    "artifacts",
    "dataset_versions",
    "dataset_parents",
    "evidence",
    "policies",
    "lifecycles",
    "decisions",
    "transitions",
    "approvals",
    "alias_settings",
    "envelopes",
    "groups",
    "run_inputs",
    "run_outputs",
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always with its zone: SQLite would forget it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """A table.

    Attributes:
        governed: Whether a change of a row must come with a ledger entry. The entry
            holds the row's digest, so a change behind its back is found.
    """

    governed: ClassVar[bool] = True
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime()}


@cache
def columns_of(table: type[Base]) -> tuple[tuple[str, str, bool], ...]:
    """Attribute, column, and whether it is part of the key; for each column of a table."""
    return tuple(
        (attribute.key, attribute.columns[0].name, attribute.columns[0].primary_key)
        for attribute in inspect(table).column_attrs
    )


def row_key(row: Base) -> str:
    """`table:primary/key`, as ledger entries name a row. The key's columns must be set."""
    key = (str(getattr(row, attribute)) for attribute, _, primary in columns_of(type(row)) if primary)
    return f"{row.__tablename__}:{'/'.join(key)}"


def row_digest(row: Base) -> str:
    """Digest of all columns of a row that have a value, the same on every database.

    What is NULL is left out, so that a column which a later release adds changes no older digest.
    """
    return digest_of(row_values(row))


def row_values(row: Base) -> dict[str, Any]:
    """All columns of a row that have a value, as JSON values."""
    values = {}
    for attribute, column, _ in columns_of(type(row)):
        value = getattr(row, attribute)
        if value is not None:
            values[column] = value.isoformat() if isinstance(value, datetime) else value
    return values


def now() -> datetime:
    """This moment in UTC, to the microsecond that both databases keep."""
    return datetime.now(UTC)
