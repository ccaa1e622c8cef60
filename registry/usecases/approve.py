"""Approving and rejecting."""

from __future__ import annotations

from registry.domain.events import VerdictGiven
from registry.domain.people import APPROVER
from registry.domain.references import Ref
from registry.errors import BadInput
from registry.storage import find
from registry.storage.dossiers import basis_of, find_evidence
from registry.storage.lifecycles import current_lifecycle
from registry.storage.people import standings
from registry.storage.tables import ApprovalRow
from registry.storage.unit_of_work import UnitOfWork

APPROVED = "approved"
REJECTED = "rejected"


def give_verdict(work: UnitOfWork, ref: Ref, to: str, verdict: str, reason: str = "") -> ApprovalRow:
    """Record the actor's word on a version's step to a stage, or to `@alias`, for what it is now.

    It counts only while plan, data, design, artifact and evidence are what they are now;
    whether the actor is independent is judged by the gate, from who planned and trained it.
    Whoever has the role only by delegation speaks for the one who lent it.

    Raises:
        NotPermitted: The actor is no approver.
        NotFound: No such version.
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
        BadInput: A rejection without a reason.
    """
    if verdict == REJECTED and not reason.strip():
        raise BadInput("a rejection needs a reason", hint="say it with --reason")
    work.require(APPROVER, "approve and reject")
    session, connection = work.session, work.session.connection()
    version = find.version(session, ref, lock=True)
    current_lifecycle(session).step(version.stage, to)
    data = find.data_of(session, version.id)
    about = version.artifact_digest or version.digest
    judged = find_evidence(connection, version.id, about, data, work.at)
    standing = standings(connection, [work.actor.name], work.at)[work.actor.name]
    lender = None if APPROVER in standing.granted else (standing.lent or {}).get(APPROVER)
    row = ApprovalRow(
        version_id=version.id,
        to_stage=to,
        digest=version.digest,
        verdict=verdict,
        reason=reason.strip(),
        basis=basis_of(version, data, judged.current.get(about, {}), judged.current),
        on_behalf_of=find.actor(session, lender).id if lender else None,
        created_at=work.at,
        created_by=work.actor.id,
    )
    session.add(row)
    work.record(VerdictGiven(f"model:{ref}", to, verdict, version.digest))
    return row
