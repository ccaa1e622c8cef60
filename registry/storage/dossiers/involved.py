"""Who had a hand in a version: developers, approvers, and whoever asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, literal, select, union
from sqlalchemy.orm import Session, aliased

from registry.domain.dossier import ActorFacts, ApprovalFacts
from registry.storage import find
from registry.storage.dossiers.content import basis_of
from registry.storage.dossiers.judged import find_evidence
from registry.storage.people import Standing, standings
from registry.storage.tables import ActorRow, ApprovalRow, LedgerEntry, Run, Version

# Runs and events of these kinds make their actor a developer of the version: four eyes means other eyes.
DEVELOPING = ("train",)
SHAPING = ("version-planned", "data-linked", "design-recorded")
RESUMING = "run-taken-over"
_UNENDED = ("queued", "running")

_RUNS = (
    select(Run.id, Run.kind, Run.state, Run.started_at, Run.ended_at, ActorRow.name)
    .join(ActorRow, ActorRow.id == Run.created_by)
    .where(Run.version_id == bindparam("version_id"))
)
_BEHALF = aliased(ActorRow)
_APPROVALS = (
    select(
        ApprovalRow.verdict,
        ApprovalRow.to_stage,
        ApprovalRow.reason,
        ApprovalRow.created_at,
        ApprovalRow.digest,
        ApprovalRow.basis,
        ActorRow.name,
        _BEHALF.name.label("behalf"),
    )
    .join(ActorRow, ActorRow.id == ApprovalRow.created_by)
    .outerjoin(_BEHALF, _BEHALF.id == ApprovalRow.on_behalf_of)
    .where(ApprovalRow.version_id == bindparam("version_id"))
    .order_by(ApprovalRow.id)
)
_APPROVALS_OF_STEP = _APPROVALS.where(ApprovalRow.to_stage == bindparam("to"))
# Who decided what the version is, its plan, its data, its design; and who ran again what made it.
_SHAPED = union(
    select(literal("").label("action"), ActorRow.name).where(ActorRow.id == bindparam("planner")),
    select(LedgerEntry.action, ActorRow.name)
    .join(LedgerEntry, LedgerEntry.actor_id == ActorRow.id)
    .where(
        LedgerEntry.subject.in_(bindparam("subjects", expanding=True)),
        LedgerEntry.action.in_((*SHAPING, RESUMING)),
    ),
)


@dataclass(frozen=True, slots=True)
class Work:
    """Who worked on a version, and for how long.

    Attributes:
        planner: Who planned it.
        developers: Who planned it, chose its data or design, or trained it; sorted.
        trained_by: Who ran what made an artifact of it; sorted.
        active: Runs that have not ended.
        hours: By the clock, of the runs that have ended.
    """

    planner: str
    developers: tuple[str, ...]
    trained_by: tuple[str, ...]
    active: int
    hours: float


def find_work(connection: Connection, version: Version, ref: str) -> Work:
    """Who made a version what it is."""
    runs = connection.execute(_RUNS, {"version_id": version.id}).all()
    made = [run for run in runs if run.kind in DEVELOPING]
    subjects = [f"model:{ref}", *(f"run:{run.id}" for run in made)]
    shaped = connection.execute(_SHAPED, {"subjects": subjects, "planner": version.created_by}).all()
    planner = next(row.name for row in shaped if not row.action)
    trainers = {*(run.name for run in made), *(row.name for row in shaped if row.action == RESUMING)}
    seconds = sum(
        (run.ended_at - run.started_at).total_seconds()
        for run in runs
        if run.started_at is not None and run.ended_at is not None
    )
    return Work(
        planner=planner,
        developers=tuple(sorted({*trainers, *(row.name for row in shaped)})),
        trained_by=tuple(sorted(trainers)),
        active=sum(run.state in _UNENDED for run in runs),
        hours=seconds / 3600,
    )


def find_people(
    connection: Connection,
    version: Version,
    to: str,
    at: datetime,
    *,
    asking: str,
    approved: bool,
    developers: tuple[str, ...],
    basis: Mapping[str, str],
) -> tuple[ActorFacts, tuple[ApprovalFacts, ...]]:
    """Who asks, and, if anything was ever approved, the last word of each person on this step.

    An approver and whoever stands in for them are one person: the later of their words counts.
    """
    words = connection.execute(_APPROVALS_OF_STEP, {"version_id": version.id, "to": to}) if approved else ()
    given: dict[str, Any] = {row.behalf or row.name: row for row in words}
    known = standings(connection, {asking, *(row.name for row in given.values())} - {""}, at)
    actor = ActorFacts(asking, known[asking].roles, known[asking].groups) if asking else ActorFacts()
    return actor, tuple(_facts(row, version, known[row.name], developers, basis) for row in given.values())


def find_words(session: Session, version: Version, ref: str, at: datetime) -> list[tuple[str, ApprovalFacts]]:
    """Every word that was ever given on a version, oldest first, with the digest that it was given for."""
    connection = session.connection()
    rows = connection.execute(_APPROVALS, {"version_id": version.id}).all()
    known = standings(connection, {row.name for row in rows}, at)
    developers = find_work(connection, version, ref).developers
    basis = basis_now(session, version, at)
    return [(row.digest, _facts(row, version, known[row.name], developers, basis)) for row in rows]


def basis_now(session: Session, version: Version, at: datetime) -> dict[str, str]:
    """What somebody who approves at a moment has before them; see `basis_of`."""
    data = find.data_of(session, version.id)
    about = version.artifact_digest or version.digest
    current = find_evidence(session.connection(), version.id, about, data, at).current
    return basis_of(version, data, current.get(about, {}), current)


def _facts(
    row: Any, version: Version, standing: Standing, developers: Collection[str], basis: Mapping[str, str]
) -> ApprovalFacts:
    changed = changes(row.basis, basis) if row.basis is not None else ()
    return ApprovalFacts(
        actor=row.name,
        verdict=row.verdict,
        to=row.to_stage,
        reason=row.reason,
        at=row.created_at,
        current=row.digest == version.digest and not changed,
        independent=row.name not in developers and row.behalf not in developers,
        roles=standing.roles,
        groups=standing.groups,
        on_behalf_of=row.behalf or "",
        changed=changed,
    )


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the parts that two bases do not share."""
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
