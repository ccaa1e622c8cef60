"""Who had a hand in a version: developers, approvers, and whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import aliased

from registry.domain.dossier import ActorFacts, ApprovalFacts
from registry.storage.people import standings
from registry.storage.tables import ActorRow, ApprovalRow, LedgerEntry, Run, Version

# Runs and events of these kinds make their actor a developer of the version: four eyes means other eyes.
DEVELOPING = ("train",)
SHAPING = ("version-planned", "data-linked", "design-recorded")
_UNENDED = ("queued", "running")

_RUNS = (
    select(Run.kind, Run.state, Run.started_at, Run.ended_at, ActorRow.name)
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
    .where(ApprovalRow.version_id == bindparam("version_id"), ApprovalRow.to_stage == bindparam("to"))
    .order_by(ApprovalRow.id)
)
# Who decided what the version is: its plan, its data, its design.
_SHAPED = (
    select(ActorRow.name)
    .join(LedgerEntry, LedgerEntry.actor_id == ActorRow.id)
    .where(LedgerEntry.subject == bindparam("subject"), LedgerEntry.action.in_(SHAPING))
    .distinct()
)
_ACTOR = select(ActorRow.name).where(ActorRow.id == bindparam("id"))


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
    planner = connection.execute(_ACTOR, {"id": version.created_by}).scalar_one()
    shapers = connection.execute(_SHAPED, {"subject": f"model:{ref}"}).scalars()
    runs = connection.execute(_RUNS, {"version_id": version.id}).all()
    trainers = {run.name for run in runs if run.kind in DEVELOPING}
    seconds = sum(
        (run.ended_at - run.started_at).total_seconds()
        for run in runs
        if run.started_at is not None and run.ended_at is not None
    )
    return Work(
        planner=planner,
        developers=tuple(sorted({planner, *shapers, *trainers})),
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
    developers: tuple[str, ...],
    basis: Mapping[str, str],
) -> tuple[ActorFacts, tuple[ApprovalFacts, ...]]:
    """Who asks, and the last word of each person on this step."""
    given = {row.name: row for row in connection.execute(_APPROVALS, {"version_id": version.id, "to": to})}
    known = standings(connection, {asking, *given} - {""}, at)
    actor = ActorFacts(asking, known[asking].roles, known[asking].groups) if asking else ActorFacts()
    approvals = []
    for name, row in given.items():
        changed = changes(row.basis, basis) if row.basis is not None else ()
        approvals.append(
            ApprovalFacts(
                actor=name,
                verdict=row.verdict,
                to=row.to_stage,
                reason=row.reason,
                at=row.created_at,
                current=row.digest == version.digest and not changed,
                independent=name not in developers and row.behalf not in developers,
                roles=known[name].roles,
                groups=known[name].groups,
                on_behalf_of=row.behalf or "",
                changed=changed,
            )
        )
    return actor, tuple(approvals)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the parts that two bases do not share."""
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
