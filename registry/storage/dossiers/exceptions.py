"""What stands against a version, and what people accept all the same: waivers, findings, risks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select
from sqlalchemy.orm import aliased

from registry.domain.dossier import FindingFacts, RiskFacts, WaiverFacts
from registry.storage.tables import ActorRow, FindingRow, RiskRow, Version, WaiverRow

_FIRST, _SECOND = aliased(ActorRow), aliased(ActorRow)
_WAIVERS = (
    select(
        WaiverRow.id,
        WaiverRow.rule,
        WaiverRow.policy_digest,
        WaiverRow.version_id,
        WaiverRow.digest,
        WaiverRow.reason,
        WaiverRow.control,
        WaiverRow.until,
        WaiverRow.state,
        _FIRST.name.label("requested_by"),
        _SECOND.name.label("decided_by"),
    )
    .join(_FIRST, _FIRST.id == WaiverRow.created_by)
    .outerjoin(_SECOND, _SECOND.id == WaiverRow.decided_by)
    .where(
        or_(WaiverRow.version_id == bindparam("version_id"), WaiverRow.system_id == bindparam("system_id"))
    )
    .order_by(WaiverRow.id)
)
_FINDINGS = (
    select(
        FindingRow.id,
        FindingRow.title,
        FindingRow.severity,
        FindingRow.due,
        FindingRow.created_at,
        FindingRow.closed_at,
        _FIRST.name.label("owner"),
        _SECOND.name.label("raised_by"),
    )
    .join(_FIRST, _FIRST.id == FindingRow.owner_id)
    .join(_SECOND, _SECOND.id == FindingRow.created_by)
    .where(
        or_(FindingRow.version_id == bindparam("version_id"), FindingRow.system_id == bindparam("system_id"))
    )
    .order_by(FindingRow.id)
)
_RISKS = (
    select(
        RiskRow.id,
        RiskRow.category,
        RiskRow.title,
        RiskRow.likelihood,
        RiskRow.severity,
        RiskRow.controls,
        RiskRow.residual_likelihood,
        RiskRow.residual_severity,
        RiskRow.state,
        RiskRow.review_by,
        _FIRST.name.label("owner"),
        _SECOND.name.label("accepted_by"),
    )
    .join(_FIRST, _FIRST.id == RiskRow.owner_id)
    .outerjoin(_SECOND, _SECOND.id == RiskRow.accepted_by)
    .where(RiskRow.system_id == bindparam("system_id"))
    .order_by(RiskRow.id)
)


def find_waivers(
    connection: Connection, version: Version, system_id: int, at: datetime
) -> tuple[WaiverFacts, ...]:
    """Every exception that somebody asked for, and whether it holds now."""
    rows = connection.execute(_WAIVERS, {"version_id": version.id, "system_id": system_id})
    return tuple(_waiver(row, version, at) for row in rows)


def _waiver(row: Any, version: Version, at: datetime) -> WaiverFacts:
    why_not = ""
    if row.state == "requested":
        why_not = "nobody has decided on it yet"
    elif row.state != "approved":
        why_not = f"it was {row.state}"
    elif row.until <= at:
        why_not = f"it ended on {row.until:%Y-%m-%d}"
    elif row.version_id is not None and row.digest != version.digest:
        why_not = "the version is not what it was granted for any more"
    return WaiverFacts(
        id=row.id,
        rule=row.rule,
        policy=row.policy_digest,
        reason=row.reason,
        control=row.control,
        requested_by=row.requested_by,
        approved_by=row.decided_by or "",
        until=row.until,
        holds=not why_not,
        why_not=why_not,
    )


def find_findings(connection: Connection, version_id: int, system_id: int) -> tuple[FindingFacts, ...]:
    """Every challenge to a version or its system."""
    rows = connection.execute(_FINDINGS, {"version_id": version_id, "system_id": system_id})
    return tuple(
        FindingFacts(
            id=row.id,
            title=row.title,
            severity=row.severity,
            owner=row.owner,
            raised_by=row.raised_by,
            raised_at=row.created_at,
            due=row.due,
            open=row.closed_at is None,
        )
        for row in rows
    )


def find_risks(connection: Connection, system_id: int) -> tuple[RiskFacts, ...]:
    """The system's risk register."""
    return tuple(
        RiskFacts(
            id=row.id,
            category=row.category,
            title=row.title,
            score=row.likelihood * row.severity,
            residual=row.residual_likelihood * row.residual_severity,
            controls=row.controls,
            owner=row.owner,
            state=row.state,
            accepted_by=row.accepted_by or "",
            review_by=row.review_by,
        )
        for row in connection.execute(_RISKS, {"system_id": system_id})
    )
