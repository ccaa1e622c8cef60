"""A model's steps from stage to stage and its aliases: what the tables have, beside the ledger's entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from registry.ledger.replay import Stored, event_of, problem_of
from registry.storage import find
from registry.storage.lifecycles import first_stages
from registry.storage.tables import AliasRow, DecisionRow, LedgerEntry, Model, TransitionRow, Version

_PLANNED, _DECIDED, _MOVED = "version-planned", "stage-decided", "alias-moved"


class Entry(NamedTuple):
    """What a ledger entry says of a step; `event` is empty if it was erased."""

    number: int
    at: datetime
    actor_id: int
    actor: str
    action: str
    subject: str
    event: Mapping[str, Any]
    erased: bool
    leaf: bytes


class Step(NamedTuple):
    """A decision on a step, and its entry; `moved` if it took the version to another stage."""

    decision: int
    to: str
    moved: bool
    entry: Entry


class AliasStep(NamedTuple):
    """An alias was moved to a version, or taken away: then `version` is empty."""

    alias: str
    version: str
    decision: int | None
    entry: Entry


class VersionSteps(NamedTuple):
    """A version's way, refusals included, in the ledger's order."""

    ref: str
    first_stage: str
    planned: Entry
    steps: list[Step]


@dataclass(slots=True)
class Steps:
    """All that happened to a model's versions and aliases; `problems` is where tables and ledger disagree."""

    versions: list[VersionSteps] = field(default_factory=list)
    aliases: list[AliasStep] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def steps_of(session: Session, model: Model) -> Steps:
    """A model's versions and aliases; whatever the tables say must be what the ledger says."""
    found = Steps()
    entries = list(_entries(session, model.name, found.problems))
    versions = list(
        session.scalars(select(Version).where(Version.model_id == model.id).order_by(Version.number))
    )
    refs = {row.id: f"{model.name}/{row.number}" for row in versions}
    told = {entry.subject for entry in entries if entry.action == _PLANNED}
    found.problems += [
        f"{subject} was planned, and there is no such version"
        for subject in sorted(told - {f"model:{ref}" for ref in refs.values()})
    ]
    for row in versions:
        own = [entry for entry in entries if entry.subject == f"model:{refs[row.id]}"]
        found.problems += _read_version(session, row, refs[row.id], own, found)
    moves = [entry for entry in entries if entry.action == _MOVED]
    found.problems += _read_aliases(session, model, refs, moves, found)
    return found


def _entries(session: Session, model: str, problems: list[str]) -> Iterator[Entry]:
    names = find.actor_names(session)
    subject = f"model:{model}"
    rows = session.scalars(
        select(LedgerEntry)
        .where(
            LedgerEntry.action.in_((_PLANNED, _DECIDED, _MOVED)),
            or_(
                LedgerEntry.subject == subject, LedgerEntry.subject.startswith(f"{subject}/", autoescape=True)
            ),
        )
        .order_by(LedgerEntry.index)
    )
    for row in rows:
        at = row.at.isoformat()
        stored = Stored(
            row.index, at, row.actor_id, row.action, row.subject, row.header, row.payload, row.salt, row.leaf
        )
        if problem := problem_of(stored):
            problems.append(f"entry {row.index} {problem}")
        event = event_of(row.payload) if row.payload is not None else {}
        actor = names.get(row.actor_id, f"actor {row.actor_id}")
        yield Entry(
            row.index,
            row.at,
            row.actor_id,
            actor,
            row.action,
            row.subject,
            event,
            row.payload is None,
            row.leaf,
        )


def _read_version(
    session: Session, row: Version, ref: str, entries: Sequence[Entry], found: Steps
) -> Iterator[str]:
    planned = [entry for entry in entries if entry.action == _PLANNED]
    if [(entry.at, entry.actor_id) for entry in planned] != [(row.created_at, row.created_by)]:
        yield f"{ref} was planned in {len(planned)} entries, or by others or at another time than it says"
        return
    # A version is locked while it is decided on: its decisions and their entries come in the same order.
    decided = [entry for entry in entries if entry.action == _DECIDED]
    decisions = session.execute(
        select(
            DecisionRow.id,
            DecisionRow.from_stage,
            DecisionRow.to_stage,
            DecisionRow.allowed,
            DecisionRow.digest,
            DecisionRow.created_at,
            DecisionRow.created_by,
        )
        .where(DecisionRow.version_id == row.id)
        .order_by(DecisionRow.id)
    ).all()
    if len(decided) != len(decisions):
        yield f"the ledger has {len(decided)} decisions on {ref}, the table {len(decisions)}"
        return
    steps = []
    for entry, decision in zip(decided, decisions, strict=True):
        told = (entry.at, entry.actor_id, *_fields(entry, "decision", "origin", "to", "allowed", "digest"))
        kept = (decision.created_at, decision.created_by, *decision[:2], decision.to_stage, *decision[3:5])
        if told[: 2 if entry.erased else None] != kept[: 2 if entry.erased else None]:
            yield f"decision {decision.id} on {ref} is not what entry {entry.number} says"
        moved = decision.allowed and not decision.to_stage.startswith("@")
        steps.append(Step(decision.id, decision.to_stage, moved, entry))
    transitions = session.execute(
        select(TransitionRow.decision_id, TransitionRow.from_stage, TransitionRow.to_stage)
        .where(TransitionRow.version_id == row.id)
        .order_by(TransitionRow.id)
    ).all()
    moves = [(step.decision, step.to) for step in steps if step.moved]
    if moves != [(each.decision_id, each.to_stage) for each in transitions]:
        yield f"the moves of {ref} are not those that were decided"
    # Who has moved nowhere must be where versions begin.
    way = [*(each.from_stage for each in transitions), row.stage]
    if way[1:] != [each.to_stage for each in transitions] or way[0] not in first_stages(session):
        yield f"{ref} is {row.stage}, and its moves lead elsewhere: {' -> '.join(way)}"
    found.versions.append(VersionSteps(ref, way[0], planned[0], steps))


def _read_aliases(
    session: Session, model: Model, refs: Mapping[int, str], entries: Sequence[Entry], found: Steps
) -> Iterator[str]:
    rows = list(session.scalars(select(AliasRow).where(AliasRow.model_id == model.id).order_by(AliasRow.id)))
    for entry in entries:
        told = None if entry.erased else tuple(_fields(entry, "alias", "version", "decision"))
        for row in rows:
            version = refs.get(row.version_id or 0, "")
            kept = (row.name, version, row.decision_id or 0)
            if (row.created_at, row.created_by) == (entry.at, entry.actor_id) and told in (None, kept):
                found.aliases.append(AliasStep(row.name, version, row.decision_id, entry))
                rows.remove(row)
                break
        else:
            yield f"entry {entry.number} moved an alias, and no row of alias_settings says so"
    for row in rows:
        yield f"row alias_settings:{row.id} is in no ledger entry"


def _fields(entry: Entry, *names: str) -> Iterator[Any]:
    return (entry.event.get(name) for name in names)
