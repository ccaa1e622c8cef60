"""The risk register: what could go wrong with a system, judged, controlled, accepted or closed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import select

from registry.domain.events import RiskAccepted, RiskAdded, RiskChanged, RiskClosed
from registry.domain.people import APPROVER, REVIEWER
from registry.domain.risks import Score, check_category, check_residual
from registry.errors import BadInput, Conflict, NotFound
from registry.storage import find
from registry.storage.tables import RiskRow, System
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.independence import see_that_others_decide, speaking_as
from registry.usecases.people import known_actor

OPEN, ACCEPTED, CLOSED = "open", "accepted", "closed"


@dataclass(frozen=True, slots=True)
class RiskJudgement:
    """What somebody says of a risk; None for what stays as it is.

    Attributes:
        likelihood: Before controls, 1 to 5.
        severity: Likewise.
        residual: With the controls in place.
        controls: What is done against it.
        owner: Who looks after it.
        review_by: When it must be looked at again.
        reason: Why the residual is above the inherent score, if it is.
    """

    title: str | None = None
    description: str | None = None
    likelihood: int | None = None
    severity: int | None = None
    residual: Score | None = None
    controls: str | None = None
    owner: str | None = None
    review_by: datetime | None = None
    reason: str | None = None


def add_risk(
    work: UnitOfWork,
    system: str,
    *,
    category: str,
    title: str,
    likelihood: int,
    severity: int,
    residual: Score,
    controls: str,
    owner: str,
    review_by: datetime,
    description: str = "",
    reason: str = "",
) -> RiskRow:
    """Enter a risk into a system's register. Anybody may; it is open until an approver accepts it.

    Raises:
        NotFound: No such system.
        BadInput: No such category, no title, a review in the past, a residual above the inherent
            score without a reason, or one below it without controls.
    """
    check_category(category)
    found = find.system(work.session, system)
    row = RiskRow(
        system_id=found.id,
        category=category,
        state=OPEN,
        created_at=work.at,
        created_by=work.actor.id,
    )
    judgement = RiskJudgement(
        title=title,
        description=description,
        likelihood=likelihood,
        severity=severity,
        residual=residual,
        controls=controls,
        owner=owner,
        review_by=review_by,
        reason=reason,
    )
    _judge(work, row, judgement)
    work.session.add(row)
    work.session.flush()
    work.record(RiskAdded(f"system:{found.name}", row.id, category, residual.value))
    return row


def change_risk(work: UnitOfWork, number: int, judgement: RiskJudgement) -> RiskRow:
    """Judge a risk anew. What was accepted before is open again.

    Raises:
        NotFound: There is no such risk.
        NotPermitted: The actor is neither reviewer nor approver: a lower score opens gates.
        Conflict: It is closed.
        BadInput: Nothing changes, or it says what a risk cannot be.
    """
    if all(getattr(judgement, field.name) is None for field in fields(judgement)):
        raise BadInput(f"nothing changes about risk {number}", hint="phasegate risk change --help")
    speaking_as(work, "change risks", REVIEWER, APPROVER)
    row, system = _locked(work, number)
    _judge(work, row, judgement)
    row.state = OPEN
    row.accepted_at = row.accepted_by = row.acceptance = None
    residual = row.residual_likelihood * row.residual_severity
    work.record(RiskChanged(f"system:{system.name}", number, row.category, residual))
    return row


def accept_risk(work: UnitOfWork, number: int, reason: str) -> RiskRow:
    """Accept what remains of a risk, as it is judged now.

    Raises:
        NotFound: There is no such risk.
        NotPermitted: The actor is no approver, owns the risk, or judged it last.
        Conflict: It is closed or accepted already.
        BadInput: No reason, or its review is overdue.
    """
    if not reason.strip():
        raise BadInput("accepting a risk needs a reason", hint="say it with --reason")
    speakers = speaking_as(work, "accept risks", APPROVER)
    row, system = _locked(work, number)
    if row.state == ACCEPTED:
        raise Conflict(f"risk {number} is accepted already", hint=f"phasegate risk show {number}")
    names = find.actor_names(work.session)
    see_that_others_decide(speakers, [names[row.owner_id]], f"owns risk {number}")
    see_that_others_decide(speakers, [names[row.judged_by]], f"judged risk {number}")
    if row.review_by <= work.at:
        raise BadInput(
            f"risk {number} should have been looked at again by {row.review_by:%Y-%m-%d}",
            hint=f"phasegate risk change {number} --review-by 90d",
        )
    row.state, row.acceptance = ACCEPTED, reason.strip()
    row.accepted_at, row.accepted_by = work.at, work.actor.id
    residual = row.residual_likelihood * row.residual_severity
    work.record(RiskAccepted(f"system:{system.name}", number, row.category, residual))
    return row


def close_risk(work: UnitOfWork, number: int, reason: str) -> RiskRow:
    """Say that a risk is none any more, for good.

    Raises:
        NotFound: There is no such risk.
        NotPermitted: The actor is neither reviewer nor approver, or owns the risk.
        Conflict: It is closed already.
        BadInput: No reason.
    """
    if not reason.strip():
        raise BadInput("closing a risk needs a reason", hint="say it with --reason")
    speakers = speaking_as(work, "close risks", REVIEWER, APPROVER)
    row, system = _locked(work, number)
    owner = find.actor_names(work.session)[row.owner_id]
    see_that_others_decide(speakers, [owner], f"owns risk {number}")
    row.state, row.closed_at, row.closed_by, row.closure = CLOSED, work.at, work.actor.id, reason.strip()
    work.record(RiskClosed(f"system:{system.name}", number, row.category))
    return row


def _judge(work: UnitOfWork, row: RiskRow, said: RiskJudgement) -> None:
    """Put into the row what somebody says of it, and see that it makes sense together."""
    if said.owner is not None:
        row.owner_id = known_actor(work, said.owner).id
    if said.title is not None:
        row.title = said.title.strip()
    if said.description is not None:
        row.description = said.description.strip()
    if said.likelihood is not None:
        row.likelihood = said.likelihood
    if said.severity is not None:
        row.severity = said.severity
    if said.residual is not None:
        row.residual_likelihood, row.residual_severity = said.residual.likelihood, said.residual.severity
    if said.controls is not None:
        row.controls = said.controls.strip()
    if said.reason is not None:
        row.reason = said.reason.strip()
    if said.review_by is not None:
        row.review_by = said.review_by
    row.judged_at, row.judged_by = work.at, work.actor.id
    _check(row, work.at)


def _check(row: RiskRow, at: datetime) -> None:
    if not row.title:
        raise BadInput("a risk needs a title", hint="say with --title what could go wrong")
    inherent = Score(row.likelihood, row.severity)
    residual = Score(row.residual_likelihood, row.residual_severity)
    check_residual(inherent, residual, row.reason)
    if residual.value < inherent.value and not row.controls:
        raise BadInput(
            f"the residual {residual} is below {inherent}, and nothing is done against it",
            hint="say with --controls what makes it smaller",
        )
    if row.review_by <= at:
        raise BadInput(
            f"the review, {row.review_by:%Y-%m-%d}, is past", hint="give --review-by a time to come, like 90d"
        )


def _locked(work: UnitOfWork, number: int) -> tuple[RiskRow, System]:
    row = work.session.scalar(select(RiskRow).where(RiskRow.id == number).with_for_update())
    if row is None:
        raise NotFound(f"there is no risk {number}", hint="phasegate risk list")
    if row.state == CLOSED:
        raise Conflict(f"risk {number} is closed already", hint=f"phasegate risk show {number}")
    return row, work.session.get_one(System, row.system_id)
