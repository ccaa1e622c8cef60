"""Who may do what, as it stands; when a loan has ended is judged by a moment that the caller names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, literal, null, select, union_all

from registry.domain.people import DEFAULT_ROLE
from registry.storage.tables.people import ActorRow, DelegationRow, GrantRow, GroupRow, MemberRow

_LENDER = ActorRow.__table__.alias("lender")
# A role can be lent only by somebody who has it by grant, and for as long as that is so.
_HELD = (
    select(GrantRow.id)
    .where(
        GrantRow.actor_id == DelegationRow.from_actor_id,
        GrantRow.role == DelegationRow.role,
        GrantRow.ended_at.is_(None),
    )
    .exists()
)
_STANDING = union_all(
    select(ActorRow.name, literal("role").label("what"), GrantRow.role.label("value"), null().label("lender"))
    .join(GrantRow, GrantRow.actor_id == ActorRow.id)
    .where(ActorRow.name.in_(bindparam("names", expanding=True)), GrantRow.ended_at.is_(None)),
    select(ActorRow.name, literal("lent"), DelegationRow.role, _LENDER.c.name)
    .join(DelegationRow, DelegationRow.to_actor_id == ActorRow.id)
    .join(_LENDER, _LENDER.c.id == DelegationRow.from_actor_id)
    .where(
        ActorRow.name.in_(bindparam("names", expanding=True)),
        DelegationRow.ended_at.is_(None),
        DelegationRow.until > bindparam("at"),
        _HELD,
    ),
    select(ActorRow.name, literal("group"), GroupRow.name, null())
    .join(MemberRow, MemberRow.actor_id == ActorRow.id)
    .join(GroupRow, GroupRow.id == MemberRow.group_id)
    .where(ActorRow.name.in_(bindparam("names", expanding=True)), MemberRow.ended_at.is_(None)),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody is at a moment.

    Attributes:
        granted: Roles of their own.
        lent: Role -> who lend it to them, sorted.
        groups: Names.
    """

    granted: frozenset[str] = frozenset()
    lent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """By grant or delegation, sorted; the default role is everybody's to whom none was granted."""
        return tuple(sorted({*(self.granted or {DEFAULT_ROLE}), *self.lent}))


def standings(connection: Connection, names: Collection[str], at: datetime) -> dict[str, Standing]:
    """What each of some people is; everybody who is asked for is in the answer."""
    granted: dict[str, set[str]] = {name: set() for name in names}
    lent: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    groups: dict[str, list[str]] = {name: [] for name in names}
    if names:
        for name, what, value, lender in connection.execute(_STANDING, {"names": list(names), "at": at}):
            if what == "role":
                granted[name].add(value)
            elif what == "lent":
                lent[name].setdefault(value, []).append(lender)
            else:
                groups[name].append(value)
    return {
        name: Standing(
            frozenset(granted[name]),
            {role: tuple(sorted(set(lenders))) for role, lenders in lent[name].items()},
            tuple(sorted(groups[name])),
        )
        for name in granted
    }
