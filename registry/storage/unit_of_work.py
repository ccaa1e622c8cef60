"""One transaction: rows and the ledger entries that account for them, together or not at all."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, event, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from registry.domain.events import ActorAdded, Event
from registry.domain.names import check_name
from registry.errors import Defect
from registry.ledger.entries import Entry, make_entry
from registry.ledger.merkle import Tree
from registry.storage.tables.base import Base, columns_of, now, row_digest, row_key
from registry.storage.tables.ledger import LedgerEntry, LedgerHead, LedgerNode
from registry.storage.tables.people import ActorRow

_HASH = 32
_ACTOR = select(ActorRow.id).where(ActorRow.name == bindparam("name"))
_HEAD = select(LedgerHead.size, LedgerHead.frontier).where(LedgerHead.id == 1).with_for_update()
_MOVE_HEAD = update(LedgerHead).where(LedgerHead.id == 1)
_ADD_ENTRIES = insert(LedgerEntry)
_ADD_NODES = insert(LedgerNode)


class RecordingSession(Session):
    """A session that remembers which governed rows it flushed."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, autoflush=False, expire_on_commit=False)
        self.changed: dict[str, Base] = {}
        self.deleted_keys: set[str] = set()
        self.pending: list[tuple[Entry, Event]] = []


@event.listens_for(RecordingSession, "after_flush")
def _notice(session: RecordingSession, _: UOWTransaction) -> None:
    for row in session.new:
        if row.governed:
            session.changed[row_key(row)] = row
    for row in session.dirty:
        if row.governed and session.is_modified(row):
            session.changed[row_key(row)] = row
    session.deleted_keys.update(row_key(row) for row in session.deleted if row.governed)


@event.listens_for(RecordingSession, "before_commit")
def _refuse_unrecorded(session: RecordingSession) -> None:
    """However a commit is asked for, rows and entries come together."""
    if session.in_nested_transaction():
        return
    session.flush()
    if unaccounted := [*session.changed, *session.deleted_keys]:
        raise Defect(f"rows changed without an event: {', '.join(unaccounted)}")
    if session.pending:
        raise Defect(
            f"{len(session.pending)} entries are not written: the unit of work commits, not its session"
        )


@event.listens_for(RecordingSession, "do_orm_execute")
def _refuse_bulk(state: ORMExecuteState) -> None:
    """Bulk statements would pass the bookkeeping by."""
    if state.is_select:
        return
    table = getattr(getattr(state.statement, "table", None), "name", "")
    if any(
        mapper.class_.governed and table == mapper.class_.__tablename__ for mapper in Base.registry.mappers
    ):
        raise Defect(f"bulk statement on governed table {table}")


class Acting(NamedTuple):
    """Who acts in a transaction."""

    id: int
    name: str


class UnitOfWork:
    """The open transaction of one actor.

    `record` accounts for every governed row that changed since the last `record`;
    `commit` refuses if one changed and nothing accounts for it.

    Attributes:
        session: SQLAlchemy's session; write through it by objects only.
        at: The moment of this transaction; every row and entry of it carries this time.
        last_entry: Index of its last ledger entry once committed, -1 before.
    """

    def __init__(self, session: RecordingSession, actor: str) -> None:
        self.session = session
        self.at: datetime = now()
        self.last_entry = -1
        self.actor = self._acting(check_name(actor, "the actor's name"))

    def alone(self) -> None:
        """Keep every other writer out until this transaction ends: for what may happen only once."""
        self.session.connection().execute(_HEAD)

    def append(self, row: Base) -> None:
        """Write a new row at once and set its key: for rows that only grow, at half the session's cost.

        The row stays outside the session; `record` accounts for it like for any other.
        """
        values = {column: getattr(row, key) for key, column, _ in columns_of(type(row))}
        given = {column: value for column, value in values.items() if value is not None}
        made = self.session.connection().execute(insert(type(row)), given)
        keys = (key for key, _, primary in columns_of(type(row)) if primary)
        for key, value in zip(keys, made.inserted_primary_key or (), strict=True):
            setattr(row, key, value)
        self.session.changed[row_key(row)] = row

    def record(self, happened: Event) -> None:
        """Account for what was changed: one entry, written at commit."""
        session = self.session
        session.flush()
        rows: dict[str, str | None] = {key: row_digest(row) for key, row in session.changed.items()}
        rows.update(dict.fromkeys(session.deleted_keys))
        session.changed.clear()
        session.deleted_keys.clear()
        payload = {"event": happened.payload, "rows": rows}
        entry = make_entry(self.at, self.actor.id, happened.action, happened.subject, payload)
        session.pending.append((entry, happened))

    def commit(self) -> None:
        """Append the entries, head locked last, and make all of it durable.

        Raises:
            Defect: A governed row changed and no event accounts for it.
        """
        self.session.flush()
        if self.session.pending:
            self._append()
        self.session.commit()

    def _append(self) -> None:
        connection = self.session.connection()
        size, frontier = connection.execute(_HEAD).one()
        tree = Tree(size, tuple(frontier[i : i + _HASH] for i in range(0, len(frontier), _HASH)))
        entries: list[dict[str, Any]] = []
        nodes: list[dict[str, Any]] = []
        for entry, happened in self.session.pending:
            entries.append(
                {
                    "index": tree.size,
                    "at": self.at,
                    "actor_id": self.actor.id,
                    "action": happened.action,
                    "subject": happened.subject,
                    "header": entry.header,
                    "payload": entry.payload,
                    "salt": entry.salt,
                    "leaf": entry.leaf,
                }
            )
            tree, finished = tree.append(entry.leaf)
            nodes += [{"level": n.level, "position": n.position, "hash": n.hash} for n in finished]
        connection.execute(_ADD_ENTRIES, entries)
        if nodes:
            connection.execute(_ADD_NODES, nodes)
        connection.execute(_MOVE_HEAD, {"size": tree.size, "frontier": b"".join(tree.frontier)})
        self.session.pending.clear()
        self.last_entry = tree.size - 1

    def _acting(self, name: str) -> Acting:
        """The actor's row; made, and accounted for, when somebody acts for the first time."""
        known = self.session.connection().execute(_ACTOR, {"name": name}).scalar()
        if known is not None:
            return Acting(known, name)
        row = ActorRow(name=name, created_at=self.at)
        try:
            with self.session.begin_nested():
                self.session.add(row)
        except IntegrityError:
            # Another process of the same person was first.
            return Acting(self.session.connection().execute(_ACTOR, {"name": name}).scalar_one(), name)
        self.actor = Acting(row.id, name)
        self.record(ActorAdded(f"actor:{row.id}", name))
        return self.actor
