"""Looking at what stands against versions and systems, and at what is accepted all the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from registry.domain.dossier import WaiverFacts
from registry.errors import NotFound
from registry.storage import find
from registry.storage.clock import read_clock
from registry.storage.dossiers.exceptions import WAIVERS, policies_in_force, resolve_waiver
from registry.storage.dossiers.involved import find_work
from registry.storage.tables import FindingRow, RiskRow, System, Version, WaiverRow
from registry.usecases.subjects import Names, find_subject, subject_names

# How long before its end a waiver is pointed out.
ENDING = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class WaiverView:
    """An exception that somebody asked for.

    Attributes:
        about: `loans/1`, or `system credit`.
        policy: Digest of the policy for which it was asked.
        state: `requested`, `approved`, `rejected` or `revoked`.
        holds: Whether it holds now.
        why_not: Why it does not; empty if it does.
        ends_soon: Whether it holds, and ends within 14 days.
    """

    id: int
    about: str
    rule: str
    policy: str
    state: str
    holds: bool
    why_not: str
    reason: str
    control: str
    until: datetime
    ends_soon: bool
    requested_by: str
    requested_at: datetime
    decided_by: str
    decided_at: datetime | None
    decision_reason: str
    ended_by: str
    ended_at: datetime | None
    end_reason: str


@dataclass(frozen=True, slots=True)
class FindingView:
    """A challenge.

    Attributes:
        about: `loans/1`, or `system credit`.
        overdue: Whether it is open, and should not be any more.
        evidence: Number of the evidence that closed it; None if words did.
    """

    id: int
    about: str
    title: str
    text: str
    severity: str
    owner: str
    due: datetime
    open: bool
    overdue: bool
    raised_by: str
    raised_at: datetime
    closed_by: str
    closed_at: datetime | None
    closure: str
    evidence: int | None


@dataclass(frozen=True, slots=True)
class RiskView:
    """A row of a system's risk register.

    Attributes:
        inherent: Likelihood and severity before controls: `3x4`.
        score: The two multiplied.
        residual: The same with the controls in place.
        residual_score: The two multiplied.
        overdue: Whether it is not closed, and should have been looked at again.
        reason: Why the residual is above the inherent score, if it is.
    """

    id: int
    system: str
    category: str
    title: str
    description: str
    inherent: str
    score: int
    controls: str
    residual: str
    residual_score: int
    reason: str
    owner: str
    review_by: datetime
    overdue: bool
    state: str
    judged_by: str
    judged_at: datetime
    accepted_by: str
    accepted_at: datetime | None
    acceptance: str
    closed_by: str
    closed_at: datetime | None
    closure: str


def waivers(session: Session, *, ref: str = "", system: str = "", number: int = 0) -> list[WaiverView]:
    """All waivers, those that a version or a system was given, or the one of a number; oldest first.

    Those of a version's system are among the version's.

    Raises:
        NotFound: There is no such version, system or waiver.
    """
    query, asked = WAIVERS, None
    if number:
        query = query.where(WaiverRow.id == number)
    elif ref or system:
        about = find_subject(session, ref, system)
        asked = about.version
        own = WaiverRow.system_id == about.system_id
        if asked is not None:
            own = or_(WaiverRow.version_id == asked.id, WaiverRow.system_id == asked.model.system_id)
        query = query.where(own)
    connection = session.connection()
    at = read_clock(connection)
    rows = connection.execute(query).all()
    if number and not rows:
        raise NotFound(f"there is no waiver {number}", hint="phasegate waiver list")
    in_force = policies_in_force(connection, rows)
    names = subject_names(session)
    developers = {row.version_id: _developers(session, row.version_id, names) for row in rows}
    # A system's waiver is looked at for the version that was asked about, if one was.
    developers[None] = _developers(session, asked.id if asked is not None else None, names)
    return [
        _waiver(row, resolve_waiver(row, in_force, developers[row.version_id], at), names, at) for row in rows
    ]


def _waiver(row: Any, facts: WaiverFacts, names: Names, at: datetime) -> WaiverView:
    return WaiverView(
        id=facts.id,
        about=_about(row.version_id, row.system_id, names),
        rule=facts.rule,
        policy=facts.policy,
        state=row.state,
        holds=facts.holds,
        why_not=facts.why_not,
        reason=facts.reason,
        control=facts.control,
        until=facts.until,
        ends_soon=facts.holds and facts.until <= at + ENDING,
        requested_by=facts.requested_by,
        requested_at=row.created_at,
        decided_by=row.decided_by or "",
        decided_at=row.decided_at,
        decision_reason=row.decision_reason or "",
        ended_by=row.ended_by or "",
        ended_at=row.ended_at,
        end_reason=row.end_reason or "",
    )


def _developers(session: Session, version_id: int | None, names: Names) -> tuple[str, ...]:
    if version_id is None:
        return ()
    version = session.get_one(Version, version_id)
    return find_work(session.connection(), version, names.versions[version_id]).developers


def findings(
    session: Session,
    *,
    ref: str = "",
    system: str = "",
    number: int = 0,
    only_open: bool = False,
) -> list[FindingView]:
    """All findings, those about a version or a system, or the one of a number; oldest first.

    Those about a version's system are among the version's.

    Raises:
        NotFound: There is no such version, system or finding.
    """
    query = select(FindingRow).order_by(FindingRow.id)
    if number:
        query = query.where(FindingRow.id == number)
    elif ref or system:
        about = find_subject(session, ref, system)
        own = FindingRow.system_id == about.system_id
        if (asked := about.version) is not None:
            own = or_(FindingRow.version_id == asked.id, FindingRow.system_id == asked.model.system_id)
        query = query.where(own)
    if only_open:
        query = query.where(FindingRow.closed_at.is_(None))
    rows = list(session.scalars(query))
    if number and not rows:
        raise NotFound(f"there is no finding {number}", hint="phasegate finding list")
    subjects, names = subject_names(session), find.actor_names(session)
    at = read_clock(session.connection())
    return [
        FindingView(
            id=row.id,
            about=_about(row.version_id, row.system_id, subjects),
            title=row.title,
            text=row.text,
            severity=row.severity,
            owner=names[row.owner_id],
            due=row.due,
            open=row.closed_at is None,
            overdue=row.closed_at is None and row.due <= at,
            raised_by=names[row.created_by],
            raised_at=row.created_at,
            closed_by=names[row.closed_by] if row.closed_by is not None else "",
            closed_at=row.closed_at,
            closure=row.closure or "",
            evidence=row.evidence_id,
        )
        for row in rows
    ]


def risks(session: Session, *, system: str = "", number: int = 0, only_open: bool = False) -> list[RiskView]:
    """All risks, those of a system, or the one of a number; oldest first.

    Raises:
        NotFound: There is no such system or risk.
    """
    query = select(RiskRow).order_by(RiskRow.id)
    if number:
        query = query.where(RiskRow.id == number)
    elif system:
        query = query.where(RiskRow.system_id == find.system(session, system).id)
    if only_open:
        query = query.where(RiskRow.state == "open")
    rows = list(session.scalars(query))
    if number and not rows:
        raise NotFound(f"there is no risk {number}", hint="phasegate risk list")
    systems = dict(session.execute(select(System.id, System.name)).all())
    at = read_clock(session.connection())
    names = find.actor_names(session)
    return [
        RiskView(
            id=row.id,
            system=systems[row.system_id],
            category=row.category,
            title=row.title,
            description=row.description,
            inherent=f"{row.likelihood}x{row.severity}",
            score=row.likelihood * row.severity,
            controls=row.controls,
            residual=f"{row.residual_likelihood}x{row.residual_severity}",
            residual_score=row.residual_likelihood * row.residual_severity,
            reason=row.reason,
            owner=names[row.owner_id],
            review_by=row.review_by,
            overdue=row.state != "closed" and row.review_by <= at,
            state=row.state,
            judged_by=names[row.judged_by],
            judged_at=row.judged_at,
            accepted_by=names[row.accepted_by] if row.accepted_by is not None else "",
            accepted_at=row.accepted_at,
            acceptance=row.acceptance or "",
            closed_by=names[row.closed_by] if row.closed_by is not None else "",
            closed_at=row.closed_at,
            closure=row.closure or "",
        )
        for row in rows
    ]


def _about(version_id: int | None, system_id: int | None, names: Names) -> str:
    return names.versions[version_id] if version_id is not None else f"system {names.systems[system_id or 0]}"
