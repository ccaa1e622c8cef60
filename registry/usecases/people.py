"""Who may do what: roles, granted and revoked by an admin."""

from __future__ import annotations

from sqlalchemy import select

from registry.domain.events import ActorAdded, RoleGranted
from registry.domain.names import check_name, did_you_mean
from registry.domain.people import ADMIN, ROLES
from registry.errors import AlreadyExists, BadInput
from registry.storage.tables import ActorRow, GrantRow
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


def grant_role(work: UnitOfWork, name: str, role: str) -> GrantRow:
    """Give somebody a role, until it is revoked.

    Raises:
        NotPermitted: The actor is no admin.
        BadInput: There is no such role.
        AlreadyExists: They have it.
    """
    work.require(ADMIN, "grant roles")
    check_role(role)
    person = known_actor(work, name)
    held = select(GrantRow.id).where(
        GrantRow.actor_id == person.id, GrantRow.role == role, GrantRow.ended_at.is_(None)
    )
    if work.session.scalar(held) is not None:
        raise AlreadyExists(f"{name} is {role} already", hint="phasegate people list")
    row = GrantRow(actor_id=person.id, role=role, created_at=work.at, created_by=work.actor.id)
    work.session.add(row)
    work.record(RoleGranted(f"actor:{person.id}", role))
    return row
