"""One transaction: rows and the ledger entries that account for them, together or not at all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import event, insert, select, update
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from registry.domain.events import ActorAdded, Event
from registry.domain.names import check_name
from registry.errors import Defect
from registry.ledger.entries import Entry, make_entry
from registry.ledger.merkle import Tree
from registry.storage.tables.base import Base, now, row_digest, row_key
from registry.storage.tables.ledger import LedgerEntry, LedgerHead, LedgerNode
from registry.storage.tables.people import ActorRow


class UnitOfWork:
    """The open transaction of one actor.

    `record` accounts for every governed row that changed since the last `record`;
    `commit` refuses if one changed and nothing accounts for it.

    Attributes:
        session: SQLAlchemy's session; write through it by objects only.
        at: The moment of this transaction; every row and entry of it carries this time.
        last_entry: Index of its last ledger entry once committed, -1 before.
    """

    def __init__(self, session: Session, actor: str) -> None:
        self.session = session
        self.at: datetime = now()
        self.last_entry = -1
        self._changed: dict[str, Base] = {}
        self._deleted: set[str] = set()
        self._pending: list[tuple[Entry, Event]] = []
        event.listen(session, "after_flush", self._notice)
        event.listen(session, "do_orm_execute", _refuse_bulk)
        self.actor = self._actor(check_name(actor, "the actor's name"))

    def record(self, happened: Event) -> None:
        """Account for what was changed: one entry, written at commit."""
        self.session.flush()
        rows: dict[str, str | None] = {key: row_digest(row) for key, row in self._changed.items()}
        rows.update(dict.fromkeys(self._deleted))
        self._changed, self._deleted = {}, set()
        payload = {"event": happened.payload, "rows": rows}
        entry = make_entry(self.at, self.actor.id, happened.action, happened.subject, payload)
        self._pending.append((entry, happened))

    def commit(self) -> None:
        """Append the entries, head locked last, and make all of it durable.

        Raises:
            Defect: A governed row changed and no event accounts for it.
        """
        self.session.flush()
        if self._changed or self._deleted:
            raise Defect(f"rows changed without an event: {', '.join([*self._changed, *self._deleted])}")
        if self._pending:
            self._append()
        self.session.commit()

    def _append(self) -> None:
        head = LedgerHead.__table__
        size, frontier = self.session.execute(
            select(LedgerHead.size, LedgerHead.frontier).where(LedgerHead.id == 1).with_for_update()
        ).one()
        tree = Tree(size, tuple(frontier[i : i + 32] for i in range(0, len(frontier), 32)))
        entries: list[dict[str, Any]] = []
        nodes: list[dict[str, Any]] = []
        for entry, happened in self._pending:
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
        self.last_entry = tree.size - 1
        connection = self.session.connection()
        connection.execute(insert(LedgerEntry.__table__), entries)  # type: ignore[arg-type]
        if nodes:
            connection.execute(insert(LedgerNode.__table__), nodes)  # type: ignore[arg-type]
        connection.execute(
            update(head).where(head.c.id == 1).values(size=tree.size, frontier=b"".join(tree.frontier))  # type: ignore[arg-type]
        )

    def _actor(self, name: str) -> ActorRow:
        row = self.session.scalar(select(ActorRow).where(ActorRow.name == name))
        if row is None:
            row = ActorRow(name=name, created_at=self.at)
            self.session.add(row)
            self.session.flush()
            self.actor = row
            self.record(ActorAdded(f"actor:{row.id}", name))
        return row

    def _notice(self, session: Session, _: UOWTransaction) -> None:
        for row in (*session.new, *session.dirty):
            if row.governed and (row in session.new or session.is_modified(row)):
                self._changed[row_key(row)] = row
        self._deleted.update(row_key(row) for row in session.deleted if row.governed)


def _refuse_bulk(state: ORMExecuteState) -> None:
    """Bulk statements would pass the bookkeeping by."""
    mapper = state.bind_mapper
    if (state.is_update or state.is_delete or state.is_insert) and mapper and mapper.class_.governed:
        raise Defect(f"bulk statement on governed table {mapper.class_.__tablename__}")
