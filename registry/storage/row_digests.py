"""Digests of whole tables, for an audit: column by column, a few thousand rows at a time.

What `row_digest` says of a row, without making the row. A test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import Connection, DateTime, Row, select, type_coerce

from registry.domain.digests import SAFE_INTEGER, canonical
from registry.errors import BadInput
from registry.storage.tables.base import Base, UtcDateTime, columns_of

_BATCH = 5000
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)


def live_rows(connection: Connection, table: type[Base]) -> tuple[dict[str, str], str]:
    """Row key -> digest of each row of a table as it is; and why not all of it could be read, if so.

    The digest of a row is empty if it holds what could never have been recorded.
    """
    keys = [column for _, column, primary in columns_of(table) if primary]
    names = sorted(column for _, column, _ in columns_of(table))
    columns = (table.__table__.c[name] for name in names)
    # Without our own type around it, a time costs half; `_values` gives it its zone.
    query = select(*(type_coerce(c, DateTime()) if isinstance(c.type, UtcDateTime) else c for c in columns))
    query = query.order_by(*(table.__table__.c[key] for key in keys)).execution_options(yield_per=_BATCH)
    rows: dict[str, str] = {}
    try:
        for part in connection.execute(query).partitions():
            rows.update(_digests(table.__tablename__, names, [names.index(key) for key in keys], part))
    except _UNREADABLE as cause:
        return rows, str(cause) or type(cause).__name__
    return rows, ""


def _digests(
    table: str, names: Sequence[str], keys: Sequence[int], rows: Sequence[Row[Any]]
) -> Iterator[tuple[str, str]]:
    columns = list(zip(*rows, strict=True))
    numbers = [map(str, columns[place]) for place in keys]
    written = [
        _values(f"{encode_basestring(name)}:", column) for name, column in zip(names, columns, strict=True)
    ]
    for key, values in zip(zip(*numbers, strict=True), zip(*written, strict=True), strict=True):
        try:
            body = "{" + ",".join(filter(None, values)) + "}"
            digest = f"sha256:{sha256(body.encode()).hexdigest()}"
        except (TypeError, ValueError):
            digest = ""
        yield f"{table}:{'/'.join(key)}", digest


def _values(name: str, values: Sequence[Any]) -> list[Any]:
    """A column, as each row's canonical JSON has it; empty where it is left out."""
    kinds = set(map(type, values))
    if kinds == {int} and max(values) <= SAFE_INTEGER and min(values) >= -SAFE_INTEGER:
        return [f"{name}{value}" for value in values]
    if kinds == {str}:
        return [name + encode_basestring(value) for value in values]
    if kinds == {datetime}:
        return [f'{name}"{_moment(value)}"' for value in values]
    return [_value(name, value) for value in values]


def _value(name: str, value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = _moment(value)
    try:
        return name + canonical(value).decode()
    except BadInput:
        return _NEVER


def _moment(value: datetime) -> str:
    return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()


_NEVER = object()  # cannot be joined: the row gets no digest
