"""Erasing what entries committed to, and finding who is spoken of elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import JSON, Connection, String, Text, cast, select, update

from registry.ledger.replay import Stored, rows_of
from registry.storage.ledger_reading import batches_with_gaps
from registry.storage.tables import Base, LedgerEntry
from registry.storage.tables.base import columns_of

_AT_ONCE = 500
# Erasures keep the tables accounted for, and keys keep old signatures true.
_KEPT = ("payloads-erased", "ledger-key-made", "ledger-key-rotated")


@dataclass(slots=True)
class Traces:
    """Where the ledger holds something about somebody.

    Attributes:
        own: Entries about them.
        mentions: Other entries whose payload names them.
        kept: Entries of either kind that must keep their payload: earlier erasures, and the ledger's keys.
    """

    own: list[int] = field(default_factory=list)
    mentions: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


def word(name: str) -> re.Pattern[str]:
    """Finds a name where it stands alone: `jane`, not `jane.doe` or `janet`."""
    return re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", re.IGNORECASE)


def traces_of(connection: Connection, subject: str, name: str, row: str = "") -> Traces:
    """Search all payloads for somebody.

    Args:
        connection: The open transaction.
        subject: The entries' subject that is theirs.
        name: What they are called elsewhere.
        row: Their own row, `actors:7`: an entry with its digest lets a guess at the name be confirmed.
    """
    found, named = Traces(), word(name)
    for batch in batches_with_gaps(connection, 0):
        for entry in map(Stored._make, batch):
            if entry.payload is None:
                continue
            mine = entry.subject == subject or (row and row in rows_of(entry.payload))
            if not mine and not named.search(entry.payload.decode()):
                continue
            if entry.action in _KEPT:
                found.kept.append(entry.number)
            else:
                (found.own if mine else found.mentions).append(entry.number)
    return found


def last_said_by(connection: Connection, entries: Sequence[int]) -> dict[str, str | None]:
    """The digests of rows that only these entries account for: nothing after them speaks of these rows."""
    chosen, said = set(entries), {}
    for batch in batches_with_gaps(connection, min(entries)):
        for entry in map(Stored._make, batch):
            if entry.payload is None:
                continue
            rows = rows_of(entry.payload)
            if entry.number in chosen:
                said.update(rows)
            elif said:
                for key in rows.keys() & said.keys():
                    del said[key]
    return said


def erase_payloads(connection: Connection, entries: Sequence[int]) -> None:
    """Forget what entries committed to, with the salt; what is hashed stays."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")  # overwrite, do not just let go
    for start in range(0, len(entries), _AT_ONCE):
        some = entries[start : start + _AT_ONCE]
        connection.execute(
            update(LedgerEntry).where(LedgerEntry.index.in_(some)).values(payload=None, salt=None)
        )


def rows_that_name(connection: Connection, name: str) -> Iterator[tuple[str, str]]:
    """Rows of governed tables that name somebody in words, and the column that does."""
    named = word(name)
    for mapper in Base.registry.mappers:
        cls: type[Base] = mapper.class_
        if not cls.governed:
            continue
        table = cls.__table__
        keys = [table.c[column] for _, column, primary in columns_of(cls) if primary]
        for column in table.columns:
            if not isinstance(column.type, (String, JSON)):
                continue
            content = cast(column, Text)
            query = select(*keys, content).where(content.icontains(name, autoescape=True)).order_by(*keys)
            for *key, value in connection.execute(query):
                if named.search(value):
                    yield f"{cls.__tablename__}:{'/'.join(map(str, key))}", column.name
