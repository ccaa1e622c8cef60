"""The ledger read in bulk, for an audit: rows as the driver gives them, a few thousand at a time.

The ORM, and SQLAlchemy's own rows, take longer to make than it takes to check what they hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from registry.ledger.replay import RawEntry

# Entries at a time: a power of two, so that the tree over them is one full subtree.
BATCH_LEVEL = 12
BATCH = 1 << BATCH_LEVEL

_AT = {
    "sqlite": "replace(at, ' ', 'T')",
    "postgresql": """to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')""",
}
_JOINED = {
    "sqlite": "lower(group_concat(hex(hash), ''))",
    "postgresql": "encode(string_agg(hash, ''::bytea ORDER BY position), 'hex')",
}
_ENTRIES = (
    'SELECT "index", {at}, actor_id, action, subject, header, payload, salt, leaf FROM ledger_entries '
    'WHERE {where} ORDER BY "index"'
)
_ERASED = (
    'SELECT "index" FROM ledger_entries WHERE "index" >= {first} AND "index" < {end} '
    'AND payload IS NULL AND salt IS NULL ORDER BY "index"'
)
_EXTENT = 'SELECT count(*), min("index"), max("index") FROM ledger_entries'
_NODES = (
    "SELECT count(*), min(position), {joined} FROM (SELECT position, hash FROM ledger_nodes "
    "WHERE level = {level} AND position >= {first} AND position < {end} ORDER BY position) AS nodes"
)
_LEVELS = "SELECT level, count(*) FROM ledger_nodes GROUP BY level"


def extent(connection: Connection) -> tuple[int, int, int]:
    """How many entries there are, and the lowest and highest index; an honest ledger has no gap."""
    ((count, lowest, highest),) = _fetch(connection, _EXTENT)
    return count, lowest or 0, highest if highest is not None else -1


def batches(connection: Connection, first: int, end: int) -> Iterator[list[RawEntry]]:
    """Entries from `first`, a multiple of the batch's size, up to, not including, `end`."""
    for start in range(first, end, BATCH):
        where = f'"index" >= {start} AND "index" < {min(start + BATCH, end)}'
        yield _fetch(connection, _entries(connection, where))


def batches_with_gaps(connection: Connection, lowest: int) -> Iterator[list[RawEntry]]:
    """All entries in their order, whatever their numbers are."""
    while found := _fetch(connection, _entries(connection, f'"index" >= {lowest}') + f" LIMIT {BATCH}"):
        yield found
        lowest = found[-1][0] + 1


def erased_between(connection: Connection, first: int, end: int) -> list[int]:
    """Entries of a range whose payload and salt are gone, in their order."""
    return [index for (index,) in _fetch(connection, _ERASED.format(first=first, end=end))]


def nodes_are(connection: Connection, level: int, first: int, hashes: list[bytes]) -> bool:
    """Whether the stored nodes of a level, from position `first` on, are these."""
    joined = _JOINED[connection.dialect.name]
    query = _NODES.format(joined=joined, level=level, first=first, end=first + len(hashes))
    ((count, lowest, found),) = _fetch(connection, query)
    return (count, lowest, found) == (len(hashes), first, b"".join(hashes).hex())


def node_counts(connection: Connection) -> Mapping[int, int]:
    """Level -> how many nodes of it are stored."""
    return dict(_fetch(connection, _LEVELS))


def _entries(connection: Connection, where: str) -> str:
    return _ENTRIES.format(at=_AT[connection.dialect.name], where=where)


def _fetch(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    cursor: Any = connection.exec_driver_sql(query).cursor
    return list(cursor.fetchall())
