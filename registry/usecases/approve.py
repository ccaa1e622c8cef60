"""Approving and rejecting."""

from __future__ import annotations

from registry.domain.events import VerdictGiven
from registry.domain.references import Ref
from registry.errors import BadInput
from registry.storage import find
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import ApprovalRow
from registry.storage.unit_of_work import UnitOfWork

APPROVED = "approved"
REJECTED = "rejected"


def give_verdict(work: UnitOfWork, ref: Ref, to: str, verdict: str, reason: str = "") -> ApprovalRow:
    """Record the actor's word on a version's step to a stage, for the digest that it has now.

    It counts only while the version keeps that digest; whether the actor is
    independent is judged by the gate, from who planned and trained it.

    Raises:
        NotFound: No such version.
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
        BadInput: A rejection without a reason.
    """
    if verdict == REJECTED and not reason.strip():
        raise BadInput("a rejection needs a reason", hint="say it with --reason")
    version = find.version(work.session, ref, lock=True)
    current_lifecycle(work.session).step(version.stage, to)
    row = ApprovalRow(
        version_id=version.id,
        to_stage=to,
        digest=version.digest,
        verdict=verdict,
        reason=reason.strip(),
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.session.add(row)
    work.record(VerdictGiven(f"model:{ref}", to, verdict, version.digest))
    return row
