"""Findings: challenges to a version or a system, open until their closure is written down."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from registry.domain.events import FindingClosed, FindingRaised
from registry.domain.people import APPROVER, REVIEWER
from registry.domain.risks import check_severity
from registry.errors import BadInput, Conflict, NotFound
from registry.storage import find
from registry.storage.tables import EvidenceRow, FindingRow, Model, Version
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.independence import see_that_others_decide, speaking_as
from registry.usecases.people import known_actor
from registry.usecases.subjects import Subject, find_subject, subject_of


def raise_finding(
    work: UnitOfWork,
    title: str,
    *,
    ref: str = "",
    system: str = "",
    severity: str,
    owner: str,
    due: datetime,
    text: str = "",
) -> FindingRow:
    """Write down a challenge. Anybody may raise one; it takes others to close it.

    Args:
        work: The open transaction.
        title: What is wrong, in a line.
        ref: The version that it is about; or
        system: the system, with all versions that it has.
        severity: `low`, `medium`, `high` or `critical`.
        owner: Who shall deal with it.
        due: Until when.
        text: More about it.

    Raises:
        NotFound: No such version or system.
        BadInput: No title, no such severity, or due in the past.
    """
    if not title.strip():
        raise BadInput("a finding needs a title", hint="say with --title what is wrong")
    check_severity(severity)
    if due <= work.at:
        raise BadInput(f"due {due:%Y-%m-%d %H:%M} is past", hint="give a time to come, for example 14d")
    subject = find_subject(work.session, ref, system)
    row = FindingRow(
        version_id=subject.version_id,
        system_id=subject.system_id,
        title=title.strip(),
        text=text.strip(),
        severity=severity,
        owner_id=known_actor(work, owner).id,
        due=due,
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.session.add(row)
    work.session.flush()
    work.record(FindingRaised(subject.entry, row.id, severity, due.isoformat()))
    return row


def close_finding(
    work: UnitOfWork, number: int, *, evidence: int | None = None, reason: str = ""
) -> FindingRow:
    """Close a finding, once and for good, with evidence that was made since or with words.

    Raises:
        NotFound: There is no such finding or evidence.
        NotPermitted: The actor is neither reviewer nor approver, owns it, or developed what it is about.
        Conflict: It is closed already.
        BadInput: Neither evidence nor a reason; or the evidence is older, or about something else.
    """
    if evidence is None and not reason.strip():
        raise BadInput(
            "a finding is closed with evidence or with a reason", hint="say --evidence N or --reason TEXT"
        )
    speakers = speaking_as(work, "close findings", REVIEWER, APPROVER)
    query = select(FindingRow).where(FindingRow.id == number)
    row = work.session.scalar(query.with_for_update())
    if row is None:
        raise NotFound(f"there is no finding {number}", hint="phasegate finding list")
    if row.closed_at is not None:
        raise Conflict(f"finding {number} is closed already", hint=f"phasegate finding show {number}")
    subject = subject_of(work.session, row.version_id, row.system_id)
    owner = find.actor_names(work.session)[row.owner_id]
    see_that_others_decide(speakers, [owner], f"owns finding {number}")
    see_that_others_decide(speakers, subject.developers(work), f"developed {subject.name}")
    if evidence is not None:
        _check_evidence(work, evidence, row, subject)
    row.closed_at, row.closed_by = work.at, work.actor.id
    row.evidence_id, row.closure = evidence, reason.strip() or None
    work.record(FindingClosed(subject.entry, number, row.severity))
    return row


def _check_evidence(work: UnitOfWork, number: int, finding: FindingRow, subject: Subject) -> None:
    found = work.session.get(EvidenceRow, number)
    if found is None:
        raise NotFound(f"there is no evidence {number}", hint="phasegate model show MODEL/N --json lists it")
    if found.subject not in _digests(work, subject):
        raise BadInput(
            f"evidence {number} ({found.kind}) is not about what {subject.name} or its data are now",
            hint="evidence of the version itself, or of its data, closes a finding",
        )
    if found.created_at <= finding.created_at:
        raise BadInput(
            f"evidence {number} ({found.kind}) is from before finding {finding.id} was raised",
            hint="measure again, or close it with --reason",
        )
    if found.status != "complete":
        raise BadInput(
            f"evidence {number} ({found.kind}) could not judge: {found.reason}",
            hint="measure again, or close it with --reason",
        )


def _digests(work: UnitOfWork, subject: Subject) -> set[str]:
    """What the version, or any version of the system, and their data are now."""
    session = work.session
    if subject.version is not None:
        versions = [subject.version]
    else:
        query = select(Version).join(Model, Model.id == Version.model_id)
        versions = list(session.scalars(query.where(Model.system_id == subject.system_id)))
    data = {row.digest for version in versions for row in find.lineage(session, version.id)}
    return data | {version.artifact_digest or version.digest for version in versions}
