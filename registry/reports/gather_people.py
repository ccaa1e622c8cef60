"""Gathering who had to do with a version, and what each of them said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.dossier import SubjectFacts
from registry.reports.entries import Entries
from registry.reports.facts import DecisionRecord, DeploymentRecord
from registry.reports.oversight import ApprovalRecord, PersonRecord, RiskRecord, WaiverRecord
from registry.storage.dossiers import find_words
from registry.storage.people import standings
from registry.storage.tables import DecisionRow, Version


def approvals_of(
    session: Session, version: Version, ref: str, entries: Entries, at: datetime
) -> tuple[ApprovalRecord, ...]:
    """Everybody's word, oldest first, whether it stands, and which decisions counted it."""
    counted = _counted(session, version)
    return tuple(
        ApprovalRecord(
            actor=word.actor,
            verdict=word.verdict,
            to=word.to,
            reason=word.reason,
            at=word.at,
            digest=digest,
            current=word.current,
            independent=word.independent,
            entry=entries.verdict(word.actor, word.at),
            roles=word.roles,
            groups=word.groups,
            on_behalf_of=word.on_behalf_of,
            changed=word.changed,
            counted=tuple(counted.get((word.actor, word.at.isoformat()), ())),
        )
        for digest, word in find_words(session, version, ref, at)
    )


def _counted(session: Session, version: Version) -> dict[tuple[str, str], list[int]]:
    """Who said when what stood when a decision was taken, as that decision recorded it."""
    recorded = (
        select(DecisionRow.id, DecisionRow.dossier["approvals"])
        .where(DecisionRow.version_id == version.id)
        .order_by(DecisionRow.id)
    )
    found: dict[tuple[str, str], list[int]] = {}
    for number, words in session.execute(recorded):
        for word in words or ():
            if word["current"]:
                found.setdefault((word["actor"], word["at"]), []).append(number)
    return found


def people_of(
    session: Session,
    subject: SubjectFacts,
    at: datetime,
    *,
    approvals: Sequence[ApprovalRecord],
    waivers: Sequence[WaiverRecord],
    risks: Sequence[RiskRecord],
    decisions: Sequence[DecisionRecord],
    deployments: Sequence[DeploymentRecord],
) -> tuple[PersonRecord, ...]:
    """Everybody who had to do with a version: developers first, then by name."""
    granted = [(w.decided_by, f"waiver {w.id}") for w in waivers if w.state in ("approved", "revoked")]
    accepted = [(risk.accepted_by, f"risk {risk.id}") for risk in risks if risk.accepted_by]
    moved = [(record.actor, record.decision.to) for record in decisions if record.decision.allowed]
    deployed = [(found.actor, f"deployment {found.id}") for found in deployments if found.actor]
    names = {
        *subject.developers,
        *subject.evaluated_by,
        *(word.actor for word in approvals),
        *(word.on_behalf_of for word in approvals if word.on_behalf_of),
        *(name for name, _ in (*granted, *accepted, *moved, *deployed)),
    }
    known = standings(session.connection(), names, at)
    return tuple(
        PersonRecord(
            name=name,
            roles=known[name].roles,
            groups=known[name].groups,
            planned=name == subject.created_by,
            developer=name in subject.developers,
            trained=name in subject.trained_by,
            evaluated=name in subject.evaluated_by,
            approved=_steps(name, "approved", approvals),
            rejected=_steps(name, "rejected", approvals),
            excepted=_of(name, (*granted, *accepted)),
            moved=_of(name, moved),
            deployed=_of(name, deployed),
            represented_by=_of(name, ((word.on_behalf_of, word.actor) for word in approvals)),
        )
        for name in sorted(names, key=lambda name: (name not in subject.developers, name))
    )


def _steps(name: str, verdict: str, approvals: Sequence[ApprovalRecord]) -> tuple[str, ...]:
    return _of(name, ((word.actor, word.to) for word in approvals if word.verdict == verdict))


def _of(name: str, pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What is somebody's, each once, in order."""
    return tuple(dict.fromkeys(what for who, what in pairs if who == name))
