"""Deciding: one resolver that answers what is missing, for `gate explain` and for `promote` alike."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from registry.domain.decision import Decision, Verdict
from registry.domain.dossier import Dossier
from registry.domain.events import AliasMoved, StageDecided
from registry.domain.names import check_name
from registry.domain.references import Ref
from registry.policy import decide
from registry.storage import find
from registry.storage.dossiers import as_json, build_dossier
from registry.storage.gates import bound_policies
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import AliasRow, DecisionRow, TransitionRow, Version
from registry.storage.unit_of_work import UnitOfWork


def explain(session: Session, ref: Ref, to: str, at: datetime, actor: str) -> tuple[Decision, Dossier]:
    """What the gate would say to an actor now, and the dossier that it would see. Nothing is changed.

    `to` is a stage, or `@alias`.

    Raises:
        NotFound: No such version.
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
    """
    version = find.version(session, ref)
    verdict, dossier = _judge(session, version, to, at, actor)
    return Decision(str(ref), version.stage, to, version.digest, verdict), dossier


def promote(work: UnitOfWork, ref: Ref, to: str) -> Decision:
    """Move a model version to `to` if every rule of the gate agrees.

    A refusal is an answer, not an error: it is returned, and recorded in the same
    transaction as a move would be, so ledger and registry cannot disagree. The
    version is locked from before it is judged until after it has moved.

    Raises:
        NotFound: No such version.
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
        Overtaken: At commit: something that the gate looked at was written meanwhile.
    """
    version, decision = decide_step(work, ref, to)
    if decision.allowed:
        version.stage = to
        work.append(
            TransitionRow(
                version_id=version.id,
                decision_id=decision.id,
                from_stage=decision.origin,
                to_stage=to,
                created_at=work.at,
                created_by=work.actor.id,
            )
        )
    work.record(_decided(decision))
    return decision


def move_alias(work: UnitOfWork, ref: Ref, alias: str) -> Decision:
    """Let an alias of the model point to a version, if the gate into `@alias` agrees.

    The lifecycle says which aliases are guarded; any other moves freely, and is recorded as well.

    Raises:
        NotFound: No such version.
        BadName: The alias could not be stored.
    """
    check_name(alias, "the alias")
    version, decision = decide_step(work, ref, f"@{alias}")
    if decision.allowed:
        work.append(
            AliasRow(
                model_id=version.model_id,
                name=alias,
                version_id=version.id,
                decision_id=decision.id,
                created_at=work.at,
                created_by=work.actor.id,
            )
        )
        work.record(AliasMoved(f"model:{ref}", alias, str(ref), decision.id))
    work.record(_decided(decision))
    return decision


def decide_step(work: UnitOfWork, ref: Ref, to: str) -> tuple[Version, Decision]:
    """Judge a step of a version, locked from now on, and keep the decision with all that it saw."""
    work.decide()
    session = work.session
    version = find.version(session, ref, lock=True)
    verdict, dossier = _judge(session, version, to, work.at, work.actor.name)
    row = DecisionRow(
        version_id=version.id,
        from_stage=version.stage,
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
    return version, Decision(str(ref), version.stage, to, version.digest, verdict, id=row.id)


def _decided(decision: Decision) -> StageDecided:
    return StageDecided(
        f"model:{decision.ref}",
        decision.id,
        decision.origin,
        decision.to,
        decision.allowed,
        decision.digest,
        [result.rule for result in decision.verdict.blocking],
    )


def _judge(session: Session, version: Version, to: str, at: datetime, actor: str) -> tuple[Verdict, Dossier]:
    step = current_lifecycle(session).step(version.stage, to)
    dossier = build_dossier(session, version, to, at, actor=actor)
    gate = [policy for policy in bound_policies(session) if policy.matches(step)]
    return decide(gate, dossier, open_step=step.open), dossier
