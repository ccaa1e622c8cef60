"""Approving and rejecting."""

from __future__ import annotations

from registry.domain.events import VerdictGiven
from registry.domain.lifecycle import Lifecycle
from registry.domain.names import did_you_mean
from registry.domain.people import APPROVER
from registry.domain.references import Ref
from registry.errors import BadInput, NoSuchStage, NotPermitted
from registry.storage import find
from registry.storage.dossiers import basis_now
from registry.storage.lifecycles import current_lifecycle
from registry.storage.people import standings
from registry.storage.tables import ApprovalRow, Version
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.decide import step_of

APPROVED = "approved"
REJECTED = "rejected"


def give_verdict(
    work: UnitOfWork, ref: Ref, to: str, verdict: str, reason: str = "", *, on_behalf_of: str = ""
) -> ApprovalRow:
    """Record the actor's word on a version's step to a stage, or to `@alias`, for what it is now.

    It counts for this one step, and only while plan, data, design, artifact and evidence are what they are
    now; whether the actor is independent is judged by the gate, from who planned and trained it. Whoever has
    the role only by delegation speaks for the one who lent it.

    Args:
        work: The open transaction.
        ref: Which version.
        to: A stage, or a guarded alias as `@alias`.
        verdict: `approved` or `rejected`.
        reason: Why; a rejection needs one.
        on_behalf_of: Whom the actor stands in for, if several people lend them the role.

    Raises:
        NotPermitted: The actor is no approver, or does not stand in for that person.
        NotFound: No such version.
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
        BadInput: A rejection without a reason; several lenders and none named.
    """
    if verdict == REJECTED and not reason.strip():
        raise BadInput("a rejection needs a reason", hint="say it with --reason")
    work.require(APPROVER, "approve and reject")
    session = work.session
    version = find.version(session, ref, lock=True)
    _check_step(current_lifecycle(session), version, to)
    lender = _principal(work, on_behalf_of)
    row = ApprovalRow(
        version_id=version.id,
        to_stage=to,
        digest=version.digest,
        verdict=verdict,
        reason=reason.strip(),
        basis=basis_now(session, version, work.at),
        on_behalf_of=find.actor(session, lender).id if lender else None,
        created_at=work.at,
        created_by=work.actor.id,
    )
    session.add(row)
    work.record(VerdictGiven(f"model:{ref}", to, verdict, version.digest))
    return row


def _check_step(lifecycle: Lifecycle, version: Version, to: str) -> None:
    """Refuse a word on what no gate can stand before: it would never be heard."""
    step_of(lifecycle, version, to)
    if to not in lifecycle.goals:
        guarded = [goal for goal in lifecycle.goals if goal.startswith("@")]
        raise NoSuchStage(f"no gate guards {to}: it needs nobody's word", hint=did_you_mean(to, guarded))


def _principal(work: UnitOfWork, named: str) -> str:
    """For whom the actor speaks; empty for themselves."""
    actor = work.actor.name
    standing = standings(work.session.connection(), [actor], work.at)[actor]
    lenders = standing.lent.get(APPROVER, ())
    if named:
        if named not in lenders:
            raise NotPermitted(
                f"{actor} does not stand in for {named} as {APPROVER}",
                hint=f"{actor} stands in for: {', '.join(lenders) or 'nobody'}",
            )
        return named
    if APPROVER in standing.granted:
        return ""
    if len(lenders) > 1:
        raise BadInput(
            f"{actor} stands in for {' and '.join(lenders)}: for whom is this?",
            hint=f"say it with --for {lenders[0]}",
        )
    return lenders[0]
