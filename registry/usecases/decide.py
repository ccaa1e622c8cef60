"""Deciding: one resolver that answers what is missing, for `gate explain` and for `promote` alike."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from registry.domain.decision import Decision, Verdict
from registry.domain.dossier import Dossier
from registry.domain.events import StageDecided
from registry.domain.lifecycle import Step
from registry.domain.names import check_name, did_you_mean
from registry.domain.references import Ref
from registry.errors import NoSuchStage, NoSuchTransition
from registry.policy import decide
from registry.storage import find
from registry.storage.dossiers import as_json, build_dossier
from registry.storage.gates import bound_policies
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import DecisionRow, TransitionRow, Version
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
    if to.startswith("@"):
        raise NoSuchStage(f"{to} is an alias", hint=f"phasegate model alias {ref} {to[1:]}")
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
    work.record(decided(decision))
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


def decided(decision: Decision) -> StageDecided:
    """The event of a decision, whatever it says."""
    return StageDecided(
        f"model:{decision.ref}",
        decision.id,
        decision.origin,
        decision.to,
        decision.allowed,
        decision.digest,
        [result.rule for result in decision.verdict.blocking],
    )


def open_to(session: Session, version: Version, to: str) -> Step:
    """The step that a version would take to a stage, or to `@alias`.

    Raises:
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
        BadName: The alias could not be stored.
    """
    lifecycle = current_lifecycle(session)
    if to.startswith("@"):
        check_name(to[1:], "the alias")
        if version.stage == lifecycle.stages[-1]:
            raise NoSuchTransition(
                f"{to} cannot point to {find.ref_of(version)}: it is {version.stage}, and that is final",
                hint=f"phasegate model list --model {version.model.name}",
            )
    return lifecycle.step(version.stage, to)


def guarded_step(session: Session, version: Version, to: str) -> Step:
    """The step that a version would take, if it is one that a gate can stand before.

    Raises:
        NoSuchStage, NoSuchTransition: It cannot go there from where it is, or nothing guards the alias.
    """
    step = open_to(session, version, to)
    goals = current_lifecycle(session).goals
    if to not in goals:
        hint = did_you_mean(to, [goal for goal in goals if goal.startswith("@")])
        raise NoSuchStage(f"no gate guards {to}: it needs nobody's word", hint=hint)
    return step


def _judge(session: Session, version: Version, to: str, at: datetime, actor: str) -> tuple[Verdict, Dossier]:
    step = open_to(session, version, to)
    dossier = build_dossier(session, version, to, at, actor=actor)
    gate = [policy for policy in bound_policies(session) if policy.matches(step)]
    return decide(gate, dossier, open_step=step.open), dossier
