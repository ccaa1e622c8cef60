"""Who may do what: roles and groups, given and taken by admins. What ended stays on record."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select

from registry.domain.events import (
    ActorAdded,
    DelegationEnded,
    GroupAdded,
    MemberAdded,
    MemberRemoved,
    RoleGranted,
    RoleRevoked,
)
from registry.domain.names import check_name, did_you_mean
from registry.domain.people import ADMIN, ROLES
from registry.errors import AlreadyExists, BadInput, NotFound, NotPermitted
from registry.storage import find
from registry.storage.people import Standing, standings
from registry.storage.tables import ActorRow, DelegationRow, GrantRow, GroupRow, MemberRow
from registry.storage.unit_of_work import UnitOfWork


def check_role(role: str) -> str:
    """Return `role` if there is such a role.

    Raises:
        BadInput: There is none; the nearest is in the hint.
    """
    if role not in ROLES:
        raise BadInput(f"there is no role {role!r}", hint=did_you_mean(role, ROLES))
    return role


def known_actor(work: UnitOfWork, name: str) -> ActorRow:
    """Somebody's row; made, and accounted for, if they are named before they ever acted."""
    check_name(name, "the actor's name")
    row = work.session.scalar(select(ActorRow).where(ActorRow.name == name))
    if row is None:
        row = ActorRow(name=name, created_at=work.at)
        work.session.add(row)
        work.session.flush()
        work.record(ActorAdded(f"actor:{row.id}", name))
    return row


def standing_of(work: UnitOfWork, name: str) -> Standing:
    """What somebody is, as it stands in this transaction."""
    return standings(work.session.connection(), [name], work.at)[name]


def grant_role(work: UnitOfWork, name: str, role: str) -> GrantRow:
    """Give somebody a role, until it is revoked.

    Raises:
        NotPermitted: The actor is no admin.
        BadInput: There is no such role.
        AlreadyExists: They have it.
    """
    check_role(role)
    _govern(work, "grant roles")
    person = known_actor(work, name)
    if _grants(work, person, role):
        raise AlreadyExists(f"{name} is {role} already", hint=f"phasegate people show {name}")
    row = GrantRow(actor_id=person.id, role=role, created_at=work.at, created_by=work.actor.id)
    work.session.add(row)
    work.record(RoleGranted(f"actor:{person.id}", role))
    return row


def revoke_role(work: UnitOfWork, name: str, role: str) -> None:
    """Take a role from somebody, and with it every loan that they made of it.

    Raises:
        NotPermitted: The actor is no admin, or this would leave none.
        BadInput: There is no such role.
        NotFound: Nobody of that name, or they have not got it by grant.
    """
    check_role(role)
    _govern(work, "revoke roles")
    person = find.actor(work.session, name)
    held = _grants(work, person, role)
    if not held:
        roles = standing_of(work, name).roles
        raise NotFound(f"{role} was not granted to {name}", hint=f"{name} is {' and '.join(roles)}")
    if role == ADMIN:
        others = select(func.count()).where(
            GrantRow.role == ADMIN, GrantRow.ended_at.is_(None), GrantRow.actor_id != person.id
        )
        if not work.session.scalar(others):
            raise NotPermitted(
                f"{name} is the last admin: nobody could grant a role any more",
                hint="grant another first: phasegate people grant NAME admin",
            )
    for row in held:
        row.ended_at, row.ended_by = work.at, work.actor.id
    work.record(RoleRevoked(f"actor:{person.id}", role))
    loans = select(DelegationRow).where(
        DelegationRow.from_actor_id == person.id,
        DelegationRow.role == role,
        DelegationRow.ended_at.is_(None),
    )
    end_loans(work, work.session.scalars(loans))


def end_loans(work: UnitOfWork, loans: Iterable[DelegationRow]) -> None:
    """End loans of roles, each with an entry of its own."""
    for loan in loans:
        loan.ended_at, loan.ended_by = work.at, work.actor.id
        work.record(DelegationEnded(f"actor:{loan.from_actor_id}", loan.role, loan.to_actor_id))


def add_group(work: UnitOfWork, name: str) -> GroupRow:
    """Make a group, for policies to name.

    Raises:
        NotPermitted: The actor is no admin.
        BadName: The name could not be stored.
        AlreadyExists: There is one of that name.
    """
    check_name(name, "the group's name")
    _govern(work, "make groups")
    if work.session.scalar(select(GroupRow.id).where(GroupRow.name == name)) is not None:
        raise AlreadyExists(f"there is a group {name!r} already", hint="phasegate people group list")
    row = GroupRow(name=name, created_at=work.at, created_by=work.actor.id)
    work.session.add(row)
    work.record(GroupAdded(f"group:{name}", name))
    return row


def join_group(work: UnitOfWork, group: str, name: str) -> MemberRow:
    """Put somebody into a group.

    Raises:
        NotPermitted: The actor is no admin.
        NotFound: No such group, or nobody of that name.
        AlreadyExists: They are in it.
    """
    _govern(work, "change groups")
    into, person = find.group(work.session, group), find.actor(work.session, name)
    if _membership(work, into, person) is not None:
        raise AlreadyExists(f"{name} is in {group} already", hint="phasegate people group list")
    row = MemberRow(group_id=into.id, actor_id=person.id, created_at=work.at, created_by=work.actor.id)
    work.session.add(row)
    work.record(MemberAdded(f"group:{group}", person.id))
    return row


def leave_group(work: UnitOfWork, group: str, name: str) -> None:
    """Take somebody out of a group.

    Raises:
        NotPermitted: The actor is no admin.
        NotFound: No such group, nobody of that name, or they are not in it.
    """
    _govern(work, "change groups")
    of, person = find.group(work.session, group), find.actor(work.session, name)
    row = _membership(work, of, person)
    if row is None:
        raise NotFound(f"{name} is not in {group}", hint="phasegate people group list")
    row.ended_at, row.ended_by = work.at, work.actor.id
    work.record(MemberRemoved(f"group:{group}", person.id))


def _govern(work: UnitOfWork, doing: str) -> None:
    """Go on only for an admin by grant, and only one at a time.

    Whoever is admin for a while must not make that last: a lent admin changes nothing about people. Two
    admins who revoke each other at once must not both succeed.
    """
    work.alone()
    work.require(ADMIN, doing)
    if ADMIN not in standing_of(work, work.actor.name).granted:
        raise NotPermitted(
            f"{work.actor.name} is admin by delegation only: to {doing} takes one to whom it was granted",
            hint="phasegate people list shows who that is",
        )


def _grants(work: UnitOfWork, person: ActorRow, role: str) -> list[GrantRow]:
    held = select(GrantRow).where(
        GrantRow.actor_id == person.id, GrantRow.role == role, GrantRow.ended_at.is_(None)
    )
    return list(work.session.scalars(held))


def _membership(work: UnitOfWork, group: GroupRow, person: ActorRow) -> MemberRow | None:
    found = select(MemberRow).where(
        MemberRow.group_id == group.id, MemberRow.actor_id == person.id, MemberRow.ended_at.is_(None)
    )
    return work.session.scalar(found)
