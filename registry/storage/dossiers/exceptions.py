"""What stands against a version, and what people accept all the same: waivers, findings, risks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select
from sqlalchemy.orm import aliased

from registry.domain.dossier import FindingFacts, RiskFacts, WaiverFacts
from registry.storage.tables import (
    ActorRow,
    BindingRow,
    FindingRow,
    PolicyRow,
    RiskRow,
    Version,
    WaiverRow,
)

_FIRST, _SECOND, _THIRD = aliased(ActorRow), aliased(ActorRow), aliased(ActorRow)
WAIVERS = (
    select(
        WaiverRow.id,
        WaiverRow.rule,
        WaiverRow.policy_digest,
        WaiverRow.version_id,
        WaiverRow.system_id,
        WaiverRow.digest,
        WaiverRow.reason,
        WaiverRow.control,
        WaiverRow.until,
        WaiverRow.state,
        WaiverRow.created_at,
        WaiverRow.decided_at,
        WaiverRow.decision_reason,
        WaiverRow.ended_at,
        WaiverRow.end_reason,
        Version.digest.label("digest_now"),
        _FIRST.name.label("requested_by"),
        _SECOND.name.label("decided_by"),
        _THIRD.name.label("ended_by"),
    )
    .join(_FIRST, _FIRST.id == WaiverRow.created_by)
    .outerjoin(_SECOND, _SECOND.id == WaiverRow.decided_by)
    .outerjoin(_THIRD, _THIRD.id == WaiverRow.ended_by)
    .outerjoin(Version, Version.id == WaiverRow.version_id)
    .order_by(WaiverRow.id)
)
_WAIVERS = WAIVERS.where(
    or_(WaiverRow.version_id == bindparam("version_id"), WaiverRow.system_id == bindparam("system_id"))
)
_POLICIES = (
    select(PolicyRow.digest, PolicyRow.name)
    .join(BindingRow, BindingRow.policy_id == PolicyRow.id)
    .where(BindingRow.in_force.is_not(None))
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
    connection: Connection, version: Version, system_id: int, at: datetime, developers: Collection[str]
) -> tuple[WaiverFacts, ...]:
    """Every exception that somebody asked for, and whether it holds for a version now."""
    rows = connection.execute(_WAIVERS, {"version_id": version.id, "system_id": system_id}).all()
    in_force = policies_in_force(connection, rows)
    return tuple(resolve_waiver(row, in_force, developers, at) for row in rows)


def policies_in_force(connection: Connection, rows: Sequence[Any]) -> dict[str, str]:
    """Digest -> name of every policy in force, if any row of `WAIVERS` was granted."""
    if not any(row.state == "approved" for row in rows):
        return {}
    return dict(connection.execute(_POLICIES).all())


def resolve_waiver(
    row: Any, in_force: Mapping[str, str], developers: Collection[str], at: datetime
) -> WaiverFacts:
    """A row of `WAIVERS`, and whether it holds. Gate, explain, report and lists all ask here.

    Args:
        row: What was asked for.
        in_force: Of `policies_in_force`.
        developers: Of the version in question: nobody excepts their own work.
        at: What counts as now.
    """
    why_not = _why_not(row, in_force, developers, at)
    return WaiverFacts(
        id=row.id,
        rule=row.rule,
        policy=row.policy_digest,
        reason=row.reason,
        control=row.control,
        requested_by=row.requested_by,
        approved_by=row.decided_by if row.state in ("approved", "revoked") else "",
        until=row.until,
        holds=not why_not,
        why_not=why_not,
    )


def _why_not(row: Any, in_force: Mapping[str, str], developers: Collection[str], at: datetime) -> str:
    if row.state == "requested":
        over = f", and its end, {row.until:%Y-%m-%d}, is past" if row.until <= at else ""
        return f"nobody has decided on it yet{over}"
    if row.state == "rejected":
        return f"{row.decided_by} rejected it: {row.decision_reason}"
    if row.state == "revoked":
        return f"{row.ended_by} revoked it on {row.ended_at:%Y-%m-%d}: {row.end_reason}"
    if row.until <= at:
        return f"it ended on {row.until:%Y-%m-%d}"
    if row.version_id is not None and row.digest != row.digest_now:
        return "the version is not what it was granted for any more"
    if row.decided_by in developers:
        return f"{row.decided_by}, who approved it, has worked on the version since"
    if row.policy_digest not in in_force:
        policy = row.rule.partition("/")[0]
        if policy in in_force.values():
            return f"another version of {policy} is in force than it was granted for"
        return f"{policy} is not in force any more"
    return ""


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
