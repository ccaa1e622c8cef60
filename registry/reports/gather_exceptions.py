"""Gathering what stands against a version, what is accepted all the same, and what was signed."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from typing import Any

from sqlalchemy.orm import Session

from registry.domain.dossier import Dossier
from registry.domain.references import Ref
from registry.reports.entries import Entries
from registry.reports.oversight import (
    AliasRecord,
    FindingRecord,
    RiskRecord,
    ServiceRecord,
    SignatureRecord,
    WaiverRecord,
)
from registry.usecases.aliases import settings
from registry.usecases.look_exceptions import findings, risks, waivers
from registry.usecases.signing import check_signatures

# Evidence of these kinds is what a version and its champion are compared by.
_PERFORMANCE = "eval.performance"


def waivers_of(session: Session, ref: Ref, entries: Entries) -> tuple[WaiverRecord, ...]:
    """Every exception that somebody asked for, for the version or its system: those that hold first."""
    found = [
        WaiverRecord(
            **_plain(view),
            entry=entries.holding("waiver", view.id, "waiver-requested"),
            decision_entry=entries.holding("waiver", view.id, "waiver-decided"),
            end_entry=entries.holding("waiver", view.id, "waiver-revoked"),
        )
        for view in waivers(session, ref=str(ref))
    ]
    return tuple(sorted(found, key=lambda record: (not record.holds, record.id)))


def findings_of(session: Session, ref: Ref, entries: Entries) -> tuple[FindingRecord, ...]:
    """Every challenge to the version or its system: overdue ones first, then open ones."""
    found = [
        FindingRecord(
            **_plain(view),
            entry=entries.holding("finding", view.id, "finding-raised"),
            closing_entry=entries.holding("finding", view.id, "finding-closed"),
        )
        for view in findings(session, ref=str(ref))
    ]
    return tuple(sorted(found, key=lambda record: (not record.open, not record.overdue, record.id)))


def risks_of(session: Session, system: str, entries: Entries) -> tuple[RiskRecord, ...]:
    """The system's risk register: what nobody has accepted first, then by residual score."""
    order = ("open", "accepted", "closed")
    found = [
        RiskRecord(
            **_plain(view),
            entry=entries.holding("risk", view.id, "risk-added", "risk-changed"),
            acceptance_entry=entries.holding("risk", view.id, "risk-accepted"),
            closing_entry=entries.holding("risk", view.id, "risk-closed"),
        )
        for view in risks(session, system=system)
    ]
    return tuple(sorted(found, key=lambda risk: (order.index(risk.state), -risk.residual_score, risk.id)))


def signatures_of(session: Session, ref: Ref, entries: Entries) -> tuple[SignatureRecord, ...]:
    """Every signature over what the version is now, and over decisions about it, checked."""
    return tuple(
        SignatureRecord(**_plain(view), entry=entries.signed(view.row, view.keyid))
        for view in check_signatures(session, ref)
    )


def service_of(session: Session, ref: Ref, dossier: Dossier, entries: Entries) -> ServiceRecord:
    """What the version replaces, what could replace it, and what would miss it."""
    own = dossier.evidence.get(_PERFORMANCE)
    return ServiceRecord(
        aliases=_aliases(session, ref, entries),
        champion=dossier.champion,
        metrics=own.metrics if own is not None and own.status == "complete" else {},
        rollback_targets=dossier.subject.rollback_targets,
        dependants=dossier.dependants,
    )


def _aliases(session: Session, ref: Ref, entries: Entries) -> tuple[AliasRecord, ...]:
    """Every time that an alias was pointed to the version, and until when."""
    by_name: dict[str, list[Any]] = {}
    for setting in settings(session, ref.name):
        by_name.setdefault(setting.alias, []).append(setting)
    return tuple(
        AliasRecord(
            **_plain(setting),
            until=later.at if later is not None else None,
            entry=entries.holding("decision", setting.decision, "alias-moved"),
        )
        for history in by_name.values()
        for setting, later in pairwise([*history, None])
        if setting.version == str(ref)
    )


def _plain(view: Any) -> dict[str, Any]:
    """A view's fields by name, to be continued."""
    return {field.name: getattr(view, field.name) for field in fields(view)}
