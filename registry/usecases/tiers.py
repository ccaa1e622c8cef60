"""A system's risk tier: computed from answers, and changed in no other way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.domain.events import TierAssessed, TierDecided
from registry.domain.people import APPROVER
from registry.domain.tiers import SHIPPED, Questionnaire, check_tier, highest
from registry.errors import BadInput, Conflict, NotFound, NotPermitted
from registry.storage import find
from registry.storage.tables import System, TierAssessmentRow
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.independence import developers_of_system, see_that_others_decide, speaking_as

REQUESTED, IN_FORCE, REJECTED = "requested", "in force", "rejected"


@dataclass(frozen=True, slots=True)
class AssessmentView:
    """What an assessment came to.

    Attributes:
        computed: The tier that the answers reach.
        because: The answers that reach it.
        tier: The tier that it asks for: the computed one, or another for a reason.
        state: `in force`, `requested` while it waits for an approver, or `rejected`.
        stands: The system's tier now.
    """

    id: int
    system: str
    questionnaire: str
    answers: Mapping[str, str]
    computed: str
    because: tuple[str, ...]
    tier: str
    reason: str
    state: str
    stands: str
    assessed_by: str
    assessed_at: datetime
    decided_by: str
    decided_at: datetime | None
    decision_reason: str


def assess(
    work: UnitOfWork, name: str, answers: Mapping[str, str], *, tier: str = "", reason: str = ""
) -> TierAssessmentRow:
    """Compute a system's tier from answers; ask for another than that, if there is a reason.

    A higher tier than the one that stands is in force at once. A lower one, and any other than the
    computed one, waits for an approver; until then the higher of computed and current stands.

    Raises:
        NotFound: No such system.
        NotPermitted: The answers tell of a use that no tier permits.
        BadInput: Questions unanswered, answers that are none, or another tier without a reason.
    """
    assessed = SHIPPED.evaluate(answers)
    if tier and check_tier(tier) != assessed.tier and not reason.strip():
        raise BadInput(
            f"the answers come to {assessed.tier}: another tier needs a reason", hint="say --reason"
        )
    system = _locked(work, name)
    if assessed.prohibited:
        raise NotPermitted(
            f"{name} would be a prohibited use: {', '.join(assessed.prohibited)}",
            hint="no tier permits that, and nothing was recorded",
        )
    asked = tier or assessed.tier
    at_once = asked == assessed.tier and highest([asked, system.risk_tier]) == asked
    row = TierAssessmentRow(
        system_id=system.id,
        questionnaire=SHIPPED.digest,
        answers=dict(answers),
        computed=assessed.tier,
        tier=asked,
        reason=reason.strip(),
        state=IN_FORCE if at_once else REQUESTED,
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.session.add(row)
    system.risk_tier = highest([assessed.tier, system.risk_tier])
    work.session.flush()
    work.record(TierAssessed(f"system:{name}", row.id, row.computed, row.tier, row.state))
    return row


def decide_tier(work: UnitOfWork, number: int, *, approve: bool, reason: str = "") -> TierAssessmentRow:
    """Say yes or no to the tier that an assessment asks for.

    Raises:
        NotFound: There is no such assessment.
        NotPermitted: The actor is no approver, asked for it, or developed a version of the system.
        Conflict: It was decided, a newer one was made, or the questionnaire is another one now.
        BadInput: A rejection without a reason.
    """
    if not approve and not reason.strip():
        raise BadInput("a rejection needs a reason", hint="say it with --reason")
    found = work.session.get(TierAssessmentRow, number)
    if found is None:
        raise NotFound(f"there is no assessment {number}", hint="phasegate system tier list")
    system = _locked(work, work.session.get_one(System, found.system_id).name)
    row = work.session.scalars(
        select(TierAssessmentRow)
        .where(TierAssessmentRow.id == number)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if row.state != REQUESTED:
        raise Conflict(f"assessment {number} is {row.state} already")
    if approve:
        _see_that_it_counts(work, row, system)
        row.state, system.risk_tier = IN_FORCE, row.tier
    else:
        if row.created_by != work.actor.id:
            speaking_as(work, "decide on risk tiers", APPROVER)
        row.state = REJECTED
    row.decided_at, row.decided_by, row.decision_reason = work.at, work.actor.id, reason.strip()
    work.record(TierDecided(f"system:{system.name}", number, row.tier, row.state))
    return row


def _see_that_it_counts(work: UnitOfWork, row: TierAssessmentRow, system: System) -> None:
    speakers = speaking_as(work, "decide on risk tiers", APPROVER)
    asked_by = find.actor_names(work.session)[row.created_by]
    see_that_others_decide(speakers, [asked_by], f"asked for assessment {row.id}")
    see_that_others_decide(speakers, developers_of_system(work, system), f"developed for {system.name}")
    newest = work.session.scalar(
        select(func.max(TierAssessmentRow.id)).where(TierAssessmentRow.system_id == system.id)
    )
    if newest != row.id:
        raise Conflict(f"assessment {newest} of {system.name} is newer than {row.id}")
    if row.questionnaire != SHIPPED.digest:
        raise Conflict(
            f"assessment {row.id} answers another questionnaire than the one in force",
            hint=f"phasegate system assess {system.name}",
        )


def _locked(work: UnitOfWork, name: str) -> System:
    """A system, locked until the transaction ends."""
    found = find.system(work.session, name)
    query = select(System).where(System.id == found.id)
    return work.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()


# -- looking ------------------------------------------------------------------


def questionnaire() -> Questionnaire:
    """The questions that are asked now."""
    return SHIPPED


def assessments(session: Session, system: str = "") -> list[AssessmentView]:
    """All assessments, or those of one system, oldest first.

    Raises:
        NotFound: No such system.
    """
    query = select(TierAssessmentRow).order_by(TierAssessmentRow.id)
    if system:
        query = query.where(TierAssessmentRow.system_id == find.system(session, system).id)
    names = find.actor_names(session)
    systems = {row.id: row for row in session.scalars(select(System))}
    return [_view(row, systems[row.system_id], names) for row in session.scalars(query)]


def assessment(session: Session, number: int) -> AssessmentView:
    """One assessment."""
    row = session.get_one(TierAssessmentRow, number)
    return _view(row, session.get_one(System, row.system_id), find.actor_names(session))


def tier_bases(session: Session, systems: Collection[int]) -> dict[int, str]:
    """What each system's tier rests on, in words."""
    told = dict.fromkeys(systems, "declared, not assessed")
    names = find.actor_names(session)
    rows = session.scalars(
        select(TierAssessmentRow)
        .where(TierAssessmentRow.system_id.in_(list(systems)))
        .order_by(TierAssessmentRow.id)
    )
    for row in rows:
        told[row.system_id] = _basis(row, names)
    return told


def _basis(row: TierAssessmentRow, names: Mapping[int, str]) -> str:
    made = f"assessment {row.id} of {row.created_at:%Y-%m-%d} computed {row.computed}"
    if row.state == REQUESTED:
        return f"{made}, and {row.tier} waits for an approver"
    if row.state == REJECTED:
        return f"{made}; {row.tier} was rejected by {names[row.decided_by or 0]}"
    if row.decided_by is not None:
        return f"{made}; {row.tier} approved by {names[row.decided_by]}"
    return made


def _view(row: TierAssessmentRow, system: System, names: Mapping[int, str]) -> AssessmentView:
    same = row.questionnaire == SHIPPED.digest
    return AssessmentView(
        id=row.id,
        system=system.name,
        questionnaire=row.questionnaire,
        answers=row.answers,
        computed=row.computed,
        because=SHIPPED.evaluate(row.answers).because if same else (),
        tier=row.tier,
        reason=row.reason,
        state=row.state,
        stands=system.risk_tier,
        assessed_by=names[row.created_by],
        assessed_at=row.created_at,
        decided_by=names[row.decided_by] if row.decided_by is not None else "",
        decided_at=row.decided_at,
        decision_reason=row.decision_reason or "",
    )
