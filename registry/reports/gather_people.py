"""Gathering who had to do with a version, and what each of them said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from registry.domain.dossier import SubjectFacts
from registry.reports.entries import Entries
from registry.reports.facts import DecisionRecord, DeploymentRecord
from registry.reports.oversight import ApprovalRecord, PersonRecord, RiskRecord, WaiverRecord
from registry.storage.dossiers import find_words
from registry.storage.people import standings
from registry.storage.tables import Version


def approvals_of(
    session: Session, version: Version, ref: str, entries: Entries, at: datetime
) -> tuple[ApprovalRecord, ...]:
    """Everybody's word, oldest first, and whether it counts as the gate sees it."""
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
        )
        for digest, word in find_words(session, version, ref, at)
    )


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
        )
        for name in sorted(names, key=lambda name: (name not in subject.developers, name))
    )


def _steps(name: str, verdict: str, approvals: Sequence[ApprovalRecord]) -> tuple[str, ...]:
    return _of(name, ((word.actor, word.to) for word in approvals if word.verdict == verdict))


def _of(name: str, pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What is somebody's, each once, in order."""
    return tuple(dict.fromkeys(what for who, what in pairs if who == name))
