"""Lending a role to somebody else for a while."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from registry.domain.events import RoleDelegated
from registry.domain.people import ADMIN, AUDITOR
from registry.errors import AlreadyExists, BadInput, NotFound, NotPermitted
from registry.storage import find
from registry.storage.tables import DelegationRow
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.people import check_role, end_loans, standing_of


def delegate_role(work: UnitOfWork, role: str, to: str, *, until: datetime, reason: str) -> DelegationRow:
    """Lend a role of the actor's own to somebody, who then stands in for the actor.

    It ends at its end, when it is ended, or when the lender loses the role; a loan cannot be lent on.

    Raises:
        BadInput: No such role, no reason, an end that is over, or to oneself.
        NotPermitted: The actor has not got the role by grant, or the other one only ever reads.
        NotFound: Nobody is called so.
        AlreadyExists: They have the role, or it is lent to them already.
    """
    check_role(role)
    if not reason.strip():
        raise BadInput("a delegation needs a reason", hint="say it with --reason")
    if until <= work.at:
        raise BadInput(
            f"the delegation would be over before it begins: {until:%Y-%m-%d %H:%M} UTC is past",
            hint="phasegate people delegate ... --until 30d",
        )
    work.alone()
    lender = work.actor
    person = find.actor(work.session, to)
    if person.id == lender.id:
        raise BadInput(f"{to} cannot stand in for themselves")
    mine, theirs = standing_of(work, lender.name), standing_of(work, to)
    if role not in mine.granted:
        lent = role in mine.lent
        raise NotPermitted(
            f"{lender.name} is {role} by delegation only: a loan cannot be lent on"
            if lent
            else f"{lender.name} is {' and '.join(mine.roles)}: only an own role can be lent, not {role}",
            hint=f"ask {' or '.join(mine.lent[role])}" if lent else "phasegate people list",
        )
    if theirs.granted == {AUDITOR}:
        raise NotPermitted(f"{to} is auditor and nothing else: auditors read, and stand in for nobody")
    if role in theirs.granted:
        raise AlreadyExists(f"{to} is {role} already, and speaks for themselves")
    if lender.name in theirs.lent.get(role, ()):
        raise AlreadyExists(
            f"{to} is {role} for {lender.name} already",
            hint=f"to change its end: phasegate people undelegate {role} {to}, then lend it again",
        )
    row = DelegationRow(
        from_actor_id=lender.id,
        to_actor_id=person.id,
        role=role,
        reason=reason.strip(),
        until=until,
        created_at=work.at,
        created_by=lender.id,
    )
    work.session.add(row)
    work.record(RoleDelegated(f"actor:{lender.id}", role, person.id, until.isoformat()))
    return row


def end_delegation(work: UnitOfWork, role: str, to: str, *, lender: str = "") -> None:
    """End a loan before its end: the lender, whoever it was lent to, or an admin may.

    Args:
        work: The open transaction.
        role: What was lent.
        to: Who has it.
        lender: Who lent it; the actor if empty.

    Raises:
        BadInput: There is no such role.
        NotFound: Nobody of that name, or nothing is lent so.
        NotPermitted: It is neither from nor to the actor, who is no admin.
    """
    check_role(role)
    work.alone()
    person = find.actor(work.session, to)
    owner = find.actor(work.session, lender or work.actor.name)
    if work.actor.id not in (person.id, owner.id):
        work.require(ADMIN, "end what others lend each other")
    query = select(DelegationRow).where(
        DelegationRow.from_actor_id == owner.id,
        DelegationRow.to_actor_id == person.id,
        DelegationRow.role == role,
        DelegationRow.ended_at.is_(None),
        DelegationRow.until > work.at,
    )
    loans = list(work.session.scalars(query))
    if not loans:
        raise NotFound(f"{owner.name} lends {role} to {to} no more", hint=f"phasegate people show {to}")
    end_loans(work, loans)
