"""One transaction: rows and the ledger entries that account for them, together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Insert,
    Update,
    and_,
    bindparam,
    event,
    func,
    insert,
    inspect,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction
from sqlalchemy.orm.attributes import set_committed_value

from registry.domain.events import ActorAdded, Event
from registry.domain.names import check_name
from registry.domain.people import AUDITOR, is_erased
from registry.errors import Conflict, DatabaseUnusable, Defect, NotPermitted
from registry.ledger.entries import Entry, make_entry
from registry.ledger.merkle import Tree
from registry.storage.clock import CLOCKS
from registry.storage.people import standings
from registry.storage.tables.base import Base, columns_of, now, row_digest, row_key
from registry.storage.tables.ledger import LedgerEntry, LedgerHead, LedgerNode
from registry.storage.tables.people import ActorRow, GrantRow

_HASH = 32
# How far a clock may be behind the ledger's last entry before nothing is written any more.
_SKEW = timedelta(minutes=1)
_ACTOR = select(ActorRow.id).where(ActorRow.name == bindparam("name"))
_LAST = select(LedgerEntry.at).where(LedgerEntry.index == LedgerHead.size - 1).scalar_subquery()


def _beginning(clock: Any) -> Any:
    """Who acts, with the roles granted to them; how long the ledger is; and two clocks."""
    return (
        select(_LAST.label("last"), clock.label("clock"), ActorRow.id, GrantRow.role)
        .select_from(LedgerHead)
        .outerjoin(ActorRow, ActorRow.name == bindparam("name"))
        .outerjoin(GrantRow, and_(GrantRow.actor_id == ActorRow.id, GrantRow.ended_at.is_(None)))
        .where(LedgerHead.id == 1)
    )


_BEGIN = {name: _beginning(clock) for name, clock in CLOCKS.items()}
# What others may write between a gate's decision and its being carried out, if it is about other models.
# Anything else may be what the gate looked at.
_HARMLESS = (
    "stage-decided",
    "system-added",
    "dataset-added",
    "version-planned",
    "data-linked",
    "design-recorded",
    "artifact-produced",
    "run-queued",
    "run-started",
    "run-taken-over",
    "run-ended",
    "run-replayed",
    "actor-added",
)
_OVERTAKING = (
    select(LedgerEntry.index, LedgerEntry.action)
    .where(
        LedgerEntry.index >= bindparam("since"),
        or_(
            LedgerEntry.action.not_in(_HARMLESS),
            func.substr(LedgerEntry.subject, 1, bindparam("length")) == bindparam("about"),
        ),
    )
    .order_by(LedgerEntry.index)
    .limit(1)
)
_HEAD = select(LedgerHead.size, LedgerHead.frontier).where(LedgerHead.id == 1).with_for_update()
_MOVE_HEAD = update(LedgerHead).where(LedgerHead.id == 1)
_ADD_ENTRIES = insert(LedgerEntry)
_ADD_NODES = insert(LedgerNode)


@cache
def _insert_into(table: type[Base]) -> Insert:
    return insert(table)


@cache
def _update_of(table: type[Base]) -> Update:
    """An update of one row, by its key."""
    columns = inspect(table).columns
    keys = [key for key, _, primary in columns_of(table) if primary]
    return update(table).where(*(columns[key] == bindparam(f"key_{key}") for key in keys))


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


class Overtaken(Conflict):
    """Something that a gate looks at was written since it decided; to be decided again."""


class UnitOfWork:
    """The open transaction of one actor.

    `record` accounts for every governed row that changed since the last `record`;
    `commit` refuses if one changed and nothing accounts for it.

    Attributes:
        session: SQLAlchemy's session; write through it by objects only.
        at: The moment of this transaction; every row and entry of it carries this time.
        last_entry: Index of its last ledger entry once committed, -1 before.

    Raises:
        NotPermitted: The actor is an auditor and nothing else.
        DatabaseUnusable: The clock is behind the ledger.
    """

    def __init__(self, session: RecordingSession, actor: str) -> None:
        self.session = session
        self.at: datetime = now()
        self.last_entry = -1
        self._decided_at: tuple[int, str] | None = None
        self.actor = self._begin(check_name(actor, "the actor's name"))

    def require(self, role: str, doing: str) -> None:
        """Go on only if the actor has a role, by grant or delegation.

        Raises:
            NotPermitted: They have not; says which roles they have.
        """
        roles = standings(self.session.connection(), [self.actor.name], self.at)[self.actor.name].roles
        if role not in roles:
            raise NotPermitted(
                f"{self.actor.name} is {' and '.join(roles)}: to {doing} takes the role {role}",
                hint=f"an admin can grant it: phasegate people grant {self.actor.name} {role}",
            )

    def stands_on(self, entries: int, *, about: str) -> None:
        """Say that this transaction carries out what was decided when the ledger had so many entries.

        `commit` then raises `Overtaken` if evidence, approvals, policies or the like came in between,
        or anything at all about subjects whose names begin with `about`.
        """
        self._decided_at = (entries, about)

    def alone(self) -> None:
        """Keep every other writer out until this transaction ends: for what may happen only once."""
        self.session.connection().execute(_HEAD)

    def append(self, row: Base) -> None:
        """Write a new row at once and set its key: for rows that only grow, at half the session's cost.

        The row stays outside the session; `record` accounts for it like for any other.
        """
        values = {column: getattr(row, key) for key, column, _ in columns_of(type(row))}
        given = {column: value for column, value in values.items() if value is not None}
        made = self.session.connection().execute(_insert_into(type(row)), given)
        keys = (key for key, _, primary in columns_of(type(row)) if primary)
        for key, value in zip(keys, made.inserted_primary_key or (), strict=True):
            setattr(row, key, value)
        self.session.changed[row_key(row)] = row

    def change(self, row: Base, **values: Any) -> None:
        """Change a row's columns at once, at half the session's cost; `record` accounts for it."""
        keys = {f"key_{key}": getattr(row, key) for key, _, primary in columns_of(type(row)) if primary}
        self.session.connection().execute(_update_of(type(row)), {**keys, **values})
        for name, value in values.items():
            set_committed_value(row, name, value)
        self.session.changed[row_key(row)] = row

    def record(self, happened: Event, *, restated: Mapping[str, str | None] | None = None) -> None:
        """Account for what was changed: one entry, written at commit.

        Args:
            happened: What happened.
            restated: Digests of rows that did not change, which entries gave whose payload is erased now.
        """
        session = self.session
        session.flush()
        rows: dict[str, str | None] = dict(restated or {})
        rows.update((key, row_digest(row)) for key, row in session.changed.items())
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
        if self._decided_at is not None and size != self._decided_at[0]:
            self._see_that_nothing_overtook(*self._decided_at)
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

    def _see_that_nothing_overtook(self, since: int, about: str) -> None:
        given = {"since": since, "length": len(about), "about": about}
        found = self.session.connection().execute(_OVERTAKING, given).first()
        if found is not None:
            raise Overtaken(
                f"entry {found.index} ({found.action}) was written since the gate decided",
                hint="try again; nothing was changed",
            )

    def _begin(self, name: str) -> Acting:
        if is_erased(name):
            raise NotPermitted(f"{name} stands for somebody who was erased: nobody acts in their name")
        connection = self.session.connection()
        rows = connection.execute(_BEGIN[connection.dialect.name], {"name": name}).all()
        if not rows:
            raise DatabaseUnusable("the ledger's head is gone", hint="phasegate audit verify")
        self.at = rows[0].clock or self.at
        if rows[0].last is not None and rows[0].last - self.at > _SKEW:
            raise DatabaseUnusable(
                f"the clock says {self.at:%Y-%m-%d %H:%M:%S}, and the ledger's last entry is from "
                f"{rows[0].last:%Y-%m-%d %H:%M:%S}: what has expired cannot be judged",
                hint="set the clock; nothing was changed",
            )
        if {row.role for row in rows} == {AUDITOR}:
            raise NotPermitted(f"{name} is auditor and nothing else: auditors read, and write nothing")
        return self._acting(name, rows[0].id)

    def _acting(self, name: str, known: int | None) -> Acting:
        """The actor's row; made, and accounted for, when somebody acts for the first time."""
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
