"""Deciding: one resolver that answers what is missing, for `gate explain` and for `promote` alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from registry.domain.decision import Decision
from registry.domain.dossier import Dossier
from registry.domain.events import StageDecided
from registry.domain.lifecycle import Lifecycle, Step
from registry.domain.names import check_name
from registry.domain.references import Ref
from registry.errors import NoSuchTransition
from registry.policy import decide
from registry.storage import find
from registry.storage.dossiers import as_json, build_dossier
from registry.storage.gates import in_force
from registry.storage.tables import DecisionRow, TransitionRow, Version
from registry.storage.unit_of_work import Overtaken, UnitOfWork
from registry.usecases.aliases import point_alias

# How long a decision may wait for its being carried out: what it saw may expire.
_WAIT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a gate says of a step at one moment, before anything is recorded.

    Attributes:
        version: The row, as it was.
        entries: How many the ledger had.
    """

    decision: Decision
    dossier: Dossier
    version: Version
    entries: int


def judge(session: Session, ref: Ref, to: str, actor: str) -> Judgement:
    """What the gate says to an actor now, and the dossier that it sees. Nothing is changed.

    This is the one resolver: `gate explain` shows what it says, and `carry_out` makes it so.

    Args:
        session: A reading transaction, all of which sees one moment.
        ref: Which version.
        to: A stage, or `@alias`.
        actor: Who asks.

    Raises:
        NotFound: No such version.
        NoSuchStage, NoSuchTransition: It cannot go there from where it is, or is there already.
        BadName: The alias could not be stored.
    """
    now = in_force(session)
    version = find.version(session, ref)
    step = step_of(now.lifecycle, version, to)
    dossier = build_dossier(session, version, to, now.at, actor=actor, last=now.lifecycle.stages[-1])
    if to.startswith("@") and to[1:] in dossier.subject.aliases:
        raise NoSuchTransition(
            f"{ref.name}{to} is {ref} already", hint=f"phasegate model alias {ref.name} shows who moved it"
        )
    gate = [policy for policy in now.policies if policy.matches(step)]
    verdict = decide(gate, dossier, open_step=step.open)
    decision = Decision(str(ref), version.stage, to, version.digest, verdict)
    return Judgement(decision, dossier, version, now.entries)


def step_of(lifecycle: Lifecycle, version: Version, to: str) -> Step:
    """The step that a version would take to a stage, or to `@alias`.

    Raises:
        NoSuchStage, NoSuchTransition: It cannot go there from where it is.
        BadName: The alias could not be stored.
    """
    if to.startswith("@"):
        check_name(to[1:], "the alias")
        if version.stage == lifecycle.stages[-1]:
            raise NoSuchTransition(
                f"{to} cannot point to {find.ref_of(version)}: it is {version.stage}, and that is final",
                hint=f"phasegate model list --model {version.model.name}",
            )
    return lifecycle.step(version.stage, to)


def carry_out(work: UnitOfWork, judged: Judgement) -> Decision:
    """Record what a gate said, and do it if it allows: move the version, or the alias.

    A refusal is an answer, not an error: it is returned, and recorded in the same
    transaction as a move would be, so ledger and registry cannot disagree. The version is
    locked, must be what was judged, and nothing that a gate looks at may have been written
    since: so it is as if it had been judged in this transaction, which stays short.

    Raises:
        Overtaken: It is not so any more, here or at commit: judge again.
    """
    decision = judged.decision
    version = judged.version
    if find.hold(work.session, version.id) != (decision.origin, decision.digest):
        raise Overtaken(f"{decision.ref} was changed since the gate decided", hint="try again")
    if work.at - judged.dossier.now > _WAIT:
        raise Overtaken(f"the gate decided {work.at - judged.dossier.now} ago", hint="try again")
    if _has_expired(judged.dossier, work.at):
        raise Overtaken("something that the gate counted on has ended since", hint="try again")
    work.stands_on(judged.entries, about=f"model:{version.model.name}/")
    row = DecisionRow(
        version_id=version.id,
        from_stage=decision.origin,
        to_stage=decision.to,
        digest=decision.digest,
        allowed=decision.allowed,
        reason=decision.verdict.reason,
        results=as_json(decision.verdict.results),
        dossier=as_json(judged.dossier),
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.append(row)
    recorded = replace(decision, id=row.id)
    if decision.allowed and decision.to.startswith("@"):
        point_alias(work, version, recorded)
    elif decision.allowed:
        _move_version(work, version, recorded)
    work.record(_decided(recorded))
    return recorded


def decide_alone(work: UnitOfWork, ref: Ref, to: str) -> Decision:
    """Judge and carry out with every other writer kept out: for who has been overtaken too often.

    Raises:
        NotFound, NoSuchStage, NoSuchTransition, BadName: As `judge`.
    """
    find.version(work.session, ref, lock=True)  # first, as everybody does who locks the ledger's head
    work.alone()
    return carry_out(work, judge(work.session, ref, to, work.actor.name))


def _has_expired(dossier: Dossier, at: datetime) -> bool:
    """Whether a waiver or evidence that counted when a gate decided does not any more."""
    if any(waiver.holds and waiver.until <= at for waiver in dossier.waivers):
        return True
    kinds = (dossier.evidence, *(data.evidence for data in dossier.data.values()))
    found = (facts.valid_until for kind in kinds for facts in kind.values())
    return any(until is not None and until <= at for until in found)


def _move_version(work: UnitOfWork, version: Version, decision: Decision) -> None:
    work.change(version, stage=decision.to)
    work.append(
        TransitionRow(
            version_id=version.id,
            decision_id=decision.id,
            from_stage=decision.origin,
            to_stage=decision.to,
            created_at=work.at,
            created_by=work.actor.id,
        )
    )


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
