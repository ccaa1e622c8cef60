"""Deciding: one resolver that answers what is missing, for `gate explain` and for `promote` alike."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from registry.domain.decision import Decision, Verdict
from registry.domain.dossier import Dossier
from registry.domain.events import StageDecided
from registry.domain.references import Ref
from registry.policy import decide
from registry.storage import find
from registry.storage.dossiers import as_json, build_dossier
from registry.storage.gates import bound_policies
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import DecisionRow, TransitionRow, Version
from registry.storage.unit_of_work import UnitOfWork


def explain(session: Session, ref: Ref, to: str, at: datetime) -> tuple[Decision, Dossier]:
    """What the gate would say now, and the dossier that it would see. Nothing is changed.

    Raises:
        NotFound: No such version.
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
    """
    version = find.version(session, ref)
    verdict, dossier = _judge(session, version, to, at)
    return Decision(str(ref), version.stage, to, version.digest, verdict), dossier


def promote(work: UnitOfWork, ref: Ref, to: str) -> Decision:
    """Move a model version to `to` if every rule of the gate agrees.

    A refusal is an answer, not an error: it is returned, and recorded in the same
    transaction as a move would be, so ledger and registry cannot disagree. The
    version is locked from before it is judged until after it has moved.

    Raises:
        NotFound: No such version.
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
    """
    session = work.session
    version = find.version(session, ref, lock=True)
    origin = version.stage
    verdict, dossier = _judge(session, version, to, work.at)
    row = DecisionRow(
        version_id=version.id,
        from_stage=origin,
        to_stage=to,
        digest=version.digest,
        allowed=verdict.allowed,
        reason=verdict.reason,
        results=as_json(verdict.results),
        dossier=as_json(dossier),
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.append(row)
    if verdict.allowed:
        version.stage = to
        work.append(
            TransitionRow(
                version_id=version.id,
                decision_id=row.id,
                from_stage=origin,
                to_stage=to,
                created_at=work.at,
                created_by=work.actor.id,
            )
        )
    blocking = [result.rule for result in verdict.blocking]
    work.record(StageDecided(f"model:{ref}", row.id, origin, to, verdict.allowed, version.digest, blocking))
    return Decision(str(ref), origin, to, version.digest, verdict, id=row.id)


def _judge(session: Session, version: Version, to: str, at: datetime) -> tuple[Verdict, Dossier]:
    step = current_lifecycle(session).step(version.stage, to)
    dossier = build_dossier(session, version, to, at)
    gate = [policy for policy in bound_policies(session) if policy.matches(step)]
    return decide(gate, dossier, open_step=step.open), dossier
