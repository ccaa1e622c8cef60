"""A database's owner who rewrites history, so that everything in the database fits again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from integration.builder import Builder
from sqlalchemy import Connection, delete, insert, select, text, update

from registry.ledger.entries import make_entry
from registry.ledger.merkle import Tree, leaf_hash
from registry.storage.tables import LedgerEntry, LedgerHead, LedgerNode

ENTRIES, HEAD, NODES = (table.__table__ for table in (LedgerEntry, LedgerHead, LedgerNode))


@contextmanager
def forging(builder: Builder) -> Iterator[Connection]:
    """A transaction in which nothing is guarded, and which is kept."""
    with builder.database.ungoverned() as connection:
        if connection.dialect.name == "sqlite":
            triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            for (name,) in triggers.all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield connection


def rewrite(connection: Connection, index: int) -> None:
    """Another entry in an entry's place, of the same content; leaves, nodes and head are made to fit."""
    old = connection.execute(select(ENTRIES).where(ENTRIES.c.index == index)).one()
    new = make_entry(old.at, old.actor_id, old.action, old.subject, json.loads(old.payload))
    connection.execute(
        update(ENTRIES)
        .where(ENTRIES.c.index == index)
        .values(header=new.header, payload=new.payload, salt=new.salt, leaf=new.leaf)
    )
    refit(connection)


def truncate(connection: Connection, size: int) -> None:
    """Only the first entries; nodes and head are made to fit."""
    connection.execute(delete(ENTRIES).where(ENTRIES.c.index >= size))
    refit(connection)


def refit(connection: Connection) -> None:
    """Nodes and head as the entries give them."""
    tree, nodes = Tree(), []
    for entry in connection.execute(select(ENTRIES).order_by(ENTRIES.c.index)):
        tree, finished = tree.append(leaf_hash(entry.header))
        nodes += [{"level": node.level, "position": node.position, "hash": node.hash} for node in finished]
    connection.execute(delete(NODES))
    connection.execute(insert(NODES), nodes)
    connection.execute(update(HEAD).values(size=tree.size, frontier=b"".join(tree.frontier)))
