"""Forgetting somebody: what the ledger held about them goes, and everything that it proves stays proven.

An entry is a header, which is hashed, and a payload, which the header only commits to. Payload and salt are
erased; headers, leaves and root stay, and so does every proof. A payload also held the digests of the rows
that its transaction changed: those that no later entry speaks of are stated again, as they were, by the
entry that tells of the erasure. So a row that was changed behind the ledger's back is found as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import or_, select

from registry.domain.events import DelegationEnded, MemberRemoved, PayloadsErased, RoleRevoked
from registry.domain.people import ADMIN, is_erased, name_when_erased
from registry.errors import BadInput, IntegrityViolated, NotFound, NotPermitted
from registry.storage import find
from registry.storage.erasure import erase_payloads, last_said_by, rows_that_name, traces_of, word
from registry.storage.tables import ActorRow, DelegationRow, GrantRow, GroupRow, LedgerEntry, MemberRow
from registry.storage.tables.base import row_digest
from registry.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, and what was not.

    Attributes:
        subject: Whose entries they were, as the ledger names them: `actor:7`.
        name: What a person is called from now on; empty for other subjects.
        entries: Whose payload is gone.
        mentions: Other entries that name the subject in their payload still.
        rows: Rows of governed tables, and their columns, that name the subject: they are history, and stay.
        restated: Rows that the erased entries had accounted for, which the erasing one accounts for now.
        stays: What else stays, and why.
    """

    subject: str
    name: str
    entries: list[int]
    mentions: list[int]
    rows: list[str]
    restated: int
    stays: list[str]


class _Target(NamedTuple):
    subject: str
    word: str
    person: ActorRow | None


def erase(work: UnitOfWork, subject: str, reason: str, *, mentions: bool = False) -> Erased:
    """Erase the payloads of entries about somebody or something; a person's name goes with them.

    Args:
        work: The open transaction; every other writer waits for it.
        subject: An actor's name, or a subject of the ledger: `actor:7`, `model:loans/1`, `dataset:x/1`.
        reason: Kept in the ledger; it must not name the subject.
        mentions: Erase other entries that name the subject, too.

    Raises:
        NotPermitted: The actor is no admin, or would erase themselves.
        NotFound: The ledger holds nothing about it.
        BadInput: No reason, or one that keeps what is to be forgotten; or it is the ledger's own keys.
        IntegrityViolated: A person's row was changed behind the ledger's back: that must be seen first.
    """
    work.require(ADMIN, "erase what the ledger holds")
    work.alone()
    connection = work.session.connection()
    target = _target(work, subject)
    if not reason.strip():
        raise BadInput(
            "an erasure needs a reason: the ledger keeps it", hint="--reason 'asked on 2026-05-01'"
        )
    if word(target.word).search(reason):
        raise BadInput(f"the reason is kept, and names {target.word}", hint="say it without the name")
    row = f"actors:{target.person.id}" if target.person else ""
    found = traces_of(connection, target.subject, target.word, row)
    entries = sorted([*found.own, *found.mentions]) if mentions else found.own
    if not entries:
        there = "names it only in entries about others" if found.mentions else "holds nothing more about it"
        hint = "--mentions erases those" if found.mentions else "phasegate audit log"
        raise NotFound(f"there is nothing to erase about {subject!r}: the ledger {there}", hint=hint)
    restated = last_said_by(connection, entries)
    if target.person and row_digest(target.person) != restated.get(row, ""):
        raise IntegrityViolated(
            f"nothing is erased: row {row} was changed behind the ledger's back",
            hint="phasegate audit verify",
        )
    erase_payloads(connection, entries)
    if target.person:
        target.person.name = name_when_erased(target.person.id)
    work.record(PayloadsErased(target.subject, entries, reason), restated=restated)
    if target.person:
        _end_standing(work, target.person)
    return Erased(
        subject=target.subject,
        name=target.person.name if target.person else "",
        entries=entries,
        mentions=[] if mentions else found.mentions,
        rows=[f"{key} {column}" for key, column in rows_that_name(connection, target.word)],
        restated=len(restated),
        stays=_stays(target, found.kept),
    )


def _target(work: UnitOfWork, subject: str) -> _Target:
    kind, colon, rest = subject.partition(":")
    if not colon and subject != "ledger":
        told = work.session.scalar(select(LedgerEntry.index).where(LedgerEntry.subject == subject).limit(1))
        known = work.session.scalar(select(ActorRow).where(ActorRow.name == subject))
        if told is not None and known is None:
            return _Target(subject, subject, None)
        return _person(work, known or find.actor(work.session, subject))
    if kind == "actor":
        row = work.session.get(ActorRow, int(rest)) if rest.isdecimal() and len(rest) < 10 else None
        if row is None:
            raise NotFound(f"nobody is {subject!r} here", hint="phasegate people list")
        return _person(work, row)
    if subject == "ledger" or not rest:
        raise BadInput(f"{subject!r} cannot be erased: checkpoints are verified by the ledger's own keys")
    return _Target(subject, rest, None)


def _person(work: UnitOfWork, row: ActorRow) -> _Target:
    if row.id == work.actor.id:
        raise NotPermitted(f"{row.name} cannot erase themselves: another admin must", hint="--as ADMIN")
    if is_erased(row.name):
        raise NotFound(f"actor:{row.id} was erased before: there is no name left to look for")
    return _Target(f"actor:{row.id}", row.name, row)


def _end_standing(work: UnitOfWork, person: ActorRow) -> None:
    """Nobody is left to act: roles, memberships and delegations end, each told by its own event."""
    session, subject = work.session, f"actor:{person.id}"

    def end(row: GrantRow | MemberRow | DelegationRow) -> None:
        row.ended_at, row.ended_by = work.at, work.actor.id

    for grant in session.scalars(
        select(GrantRow).where(GrantRow.actor_id == person.id, GrantRow.ended_at.is_(None))
    ):
        end(grant)
        work.record(RoleRevoked(subject, grant.role))
    for member, group in session.execute(
        select(MemberRow, GroupRow.name)
        .join(GroupRow, GroupRow.id == MemberRow.group_id)
        .where(MemberRow.actor_id == person.id, MemberRow.ended_at.is_(None))
    ):
        end(member)
        work.record(MemberRemoved(f"group:{group}", person.id))
    involved = or_(DelegationRow.from_actor_id == person.id, DelegationRow.to_actor_id == person.id)
    for lent in session.scalars(select(DelegationRow).where(involved, DelegationRow.ended_at.is_(None))):
        end(lent)
        work.record(DelegationEnded(f"actor:{lent.from_actor_id}", lent.role, lent.to_actor_id))


def _stays(target: _Target, kept: list[int]) -> list[str]:
    said = ["headers of entries: when, who by number, what, about what; the root and all proofs need them"]
    if target.person:
        said.append(f"who did what, as actor {target.person.id}: whoever is accountable stays so, by number")
    if kept:
        numbers = ", ".join(map(str, kept))
        said.append(f"entries {numbers}: earlier erasures and the ledger's keys, which later audits need")
    said.append("what left the database: run folders, reports, proofs with payloads, backups, replicas")
    return said
