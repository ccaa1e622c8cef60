"""Looking at people: what everybody is now, and how they came to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.storage import find
from registry.storage.people import Standing, standings
from registry.storage.tables import ActorRow, DelegationRow, GrantRow, GroupRow, MemberRow


@dataclass(frozen=True, slots=True)
class PersonView:
    """What somebody is now.

    Attributes:
        roles: By grant or delegation; `developer` for somebody to whom nothing was granted.
        lent: Role -> whom they stand in for with it.
        groups: Names.
        since: When they first acted, or were first named.
    """

    name: str
    roles: list[str]
    lent: Mapping[str, list[str]]
    groups: list[str]
    since: datetime


@dataclass(frozen=True, slots=True)
class TenureView:
    """Something that somebody is or was, from when to when.

    Attributes:
        kind: `role`, `group`, `lent by` (they have it) or `lends to` (they gave it).
        what: The role or group.
        other: Whom it is lent by or to; empty for a role or group of their own.
        until: When a loan ends by itself.
        ended_at: When it was ended before; None if it was not.
    """

    kind: str
    what: str
    other: str
    reason: str
    since: datetime
    by: str
    until: datetime | None
    ended_at: datetime | None
    ended_by: str


@dataclass(frozen=True, slots=True)
class GroupView:
    name: str
    members: list[str]
    created_at: datetime
    created_by: str


def everybody(session: Session, at: datetime) -> list[PersonView]:
    """Everybody who ever acted or was named, by name."""
    rows = session.execute(select(ActorRow.name, ActorRow.created_at).order_by(ActorRow.name)).all()
    known = standings(session.connection(), [row.name for row in rows], at)
    return [_person(row.name, row.created_at, known[row.name]) for row in rows]


def person(session: Session, name: str, at: datetime) -> tuple[PersonView, list[TenureView]]:
    """What somebody is now, and everything that they ever were, oldest first.

    Raises:
        NotFound: Nobody of that name.
    """
    row = find.actor(session, name)
    view = _person(name, row.created_at, standings(session.connection(), [name], at)[name])
    return view, _tenures(session, row.id)


def groups(session: Session) -> list[GroupView]:
    """Every group, with who is in it now."""
    names = find.actor_names(session)
    members: dict[int, list[str]] = defaultdict(list)
    inside = select(MemberRow.group_id, MemberRow.actor_id).where(MemberRow.ended_at.is_(None))
    for group_id, actor_id in session.execute(inside):
        members[group_id].append(names[actor_id])
    return [
        GroupView(row.name, sorted(members[row.id]), row.created_at, names[row.created_by])
        for row in session.scalars(select(GroupRow).order_by(GroupRow.name))
    ]


def _person(name: str, since: datetime, standing: Standing) -> PersonView:
    lent = {role: list(lenders) for role, lenders in sorted(standing.lent.items())}
    return PersonView(name, list(standing.roles), lent, list(standing.groups), since)


def _tenures(session: Session, actor_id: int) -> list[TenureView]:
    names = find.actor_names(session)

    def view(row: GrantRow | MemberRow | DelegationRow, kind: str, what: str, other: int = 0) -> TenureView:
        loan = row if isinstance(row, DelegationRow) else None
        return TenureView(
            kind=kind,
            what=what,
            other=names.get(other, ""),
            reason=loan.reason if loan else "",
            since=row.created_at,
            by=names[row.created_by],
            until=loan.until if loan else None,
            ended_at=row.ended_at,
            ended_by=names[row.ended_by] if row.ended_by is not None else "",
        )

    grants = select(GrantRow).where(GrantRow.actor_id == actor_id)
    found = [view(row, "role", row.role) for row in session.scalars(grants)]
    called = dict(session.execute(select(GroupRow.id, GroupRow.name)).all())
    memberships = select(MemberRow).where(MemberRow.actor_id == actor_id)
    found += [view(row, "group", called[row.group_id]) for row in session.scalars(memberships)]
    borrowed = select(DelegationRow).where(DelegationRow.to_actor_id == actor_id)
    found += [view(row, "lent by", row.role, row.from_actor_id) for row in session.scalars(borrowed)]
    loans = select(DelegationRow).where(DelegationRow.from_actor_id == actor_id)
    found += [view(row, "lends to", row.role, row.to_actor_id) for row in session.scalars(loans)]
    return sorted(found, key=lambda tenure: tenure.since)
