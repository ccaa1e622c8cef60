"""From rows to the dossier that a gate sees: the crossing between storage and policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.domain.digests import digest_of
from registry.domain.dossier import (
    ApprovalFacts,
    DataFacts,
    DeploymentFacts,
    Dossier,
    SubjectFacts,
    SystemFacts,
    TargetFacts,
)
from registry.domain.evidence import EvidenceFacts
from registry.domain.targets import Target, criteria_digest
from registry.storage import find
from registry.storage.tables import ApprovalRow, DatasetVersion, Deployment, EvidenceRow, Run, Version

# Work of these kinds makes its actor a developer of the version: four eyes means other eyes.
DEVELOPING = ("train",)


def content_digest(version: Version, data: Mapping[str, DatasetVersion]) -> str:
    """Digest of all that a version is: plan, data, design, artifact. Approvals are given for it."""
    return digest_of(
        {
            "plan": version.plan,
            "data": {role: row.digest for role, row in data.items()},
            "design": version.design,
            "artifact": version.artifact_digest or "",
        }
    )


def targets_of(version: Version) -> tuple[Target, ...]:
    """The targets of a version's plan."""
    return tuple(Target.parse(text) for text in version.plan["targets"])


def build_dossier(session: Session, version: Version, to: str, at: datetime) -> Dossier:
    """Everything that the gate into `to` may look at, as it stands in this transaction."""
    names = find.actor_names(session)
    data = find.data_of(session, version.id)
    about = version.artifact_digest or version.digest
    evidence, unusable = _evidence(session, version, about, data, names, at)
    targets = targets_of(version)
    criteria = criteria_digest(targets)
    developers = _developers(session, version, names)
    return Dossier(
        subject=SubjectFacts(
            ref=find.ref_of(version),
            model=version.model.name,
            number=version.number,
            stage=version.stage,
            digest=version.digest,
            artifact=version.artifact_digest or "",
            criteria_digest=criteria,
            purpose=version.plan["purpose"],
            task=version.plan["task"],
            risk_tier=version.model.system.risk_tier,
            system=_system(version),
            design={key: str(value) for key, value in version.design.items()},
            developers=developers,
            created_by=names[version.created_by],
            created_at=version.created_at,
            runs_active=_active_runs(session, version.id),
        ),
        to=to,
        now=at,
        evidence=evidence[about],
        data={
            role: DataFacts(
                ref=find.ref_of(row),
                role=role,
                digest=row.digest,
                rows=row.rows,
                licence=row.licence,
                source=row.source,
                evidence=evidence[row.digest],
            )
            for role, row in data.items()
        },
        targets=tuple(_target(target, evidence[about], criteria) for target in targets),
        approvals=_approvals(session, version, to, developers, names),
        deployments=_deployments(session, version.id),
        unusable=unusable,
    )


def _system(version: Version) -> SystemFacts:
    row = version.model.system
    return SystemFacts(
        name=row.name,
        purpose=row.purpose,
        owner=row.owner,
        risk_tier=row.risk_tier,
        affected_groups=tuple(row.affected_groups),
        prohibited_uses=tuple(row.prohibited_uses),
        oversight=row.oversight,
    )


def _evidence(
    session: Session,
    version: Version,
    about: str,
    data: Mapping[str, DatasetVersion],
    names: Mapping[int, str],
    at: datetime,
) -> tuple[dict[str, dict[str, EvidenceFacts]], dict[str, str]]:
    """Newest current evidence per digest and kind, and why other evidence does not count."""
    digests = {about, *(row.digest for row in data.values())}
    rows = session.scalars(
        select(EvidenceRow).where(EvidenceRow.subject.in_(digests)).order_by(EvidenceRow.id)
    )
    newest: dict[str, dict[str, EvidenceRow]] = defaultdict(dict)
    for row in rows:
        newest[row.subject][row.kind] = row
    roles = {row.digest: f"{role}:" for role, row in data.items()}
    current: dict[str, dict[str, EvidenceFacts]] = defaultdict(dict)
    unusable: dict[str, str] = {}
    for digest, kinds in newest.items():
        for kind, row in kinds.items():
            if row.valid_until is not None and row.valid_until <= at:
                unusable["".join((roles.get(digest, ""), kind))] = f"expired on {row.valid_until:%Y-%m-%d}"
            else:
                current[digest][kind] = row.facts_of(names[row.created_by])
    older = session.execute(
        select(EvidenceRow.kind)
        .where(EvidenceRow.version_id == version.id, EvidenceRow.subject != about)
        .distinct()
    ).scalars()
    for kind in older:
        if kind not in current[about]:
            unusable.setdefault(kind, "stale: an older artifact of this version has some")
    return current, unusable


def _target(target: Target, evidence: Mapping[str, EvidenceFacts], criteria: str) -> TargetFacts:
    """What the newest evidence that measured the metric says; evaluation goes before everything else."""
    found = [
        facts for facts in evidence.values() if target.metric in facts.metrics and facts.status == "complete"
    ]
    found.sort(key=lambda facts: (facts.kind.startswith("eval."), facts.id))
    best = found[-1] if found else None
    value = best.metrics[target.metric] if best else 0.0
    return TargetFacts(
        metric=target.metric,
        op=target.op,
        threshold=target.value,
        measured=best is not None,
        value=value,
        met=best is not None and target.met_by(value),
        criteria_current=best is not None and best.criteria_digest == criteria,
    )


def _developers(session: Session, version: Version, names: Mapping[int, str]) -> tuple[str, ...]:
    ran = session.scalars(
        select(Run.created_by).where(Run.version_id == version.id, Run.kind.in_(DEVELOPING)).distinct()
    )
    return tuple(sorted({names[id] for id in {version.created_by, *ran}}))


def _active_runs(session: Session, version_id: int) -> int:
    query = select(func.count()).where(Run.version_id == version_id, Run.state.in_(("queued", "running")))
    return session.scalar(query) or 0


def _approvals(
    session: Session, version: Version, to: str, developers: Sequence[str], names: Mapping[int, str]
) -> tuple[ApprovalFacts, ...]:
    """The last word of each person on this step."""
    rows = session.scalars(
        select(ApprovalRow)
        .where(ApprovalRow.version_id == version.id, ApprovalRow.to_stage == to)
        .order_by(ApprovalRow.id)
    )
    last: dict[int, ApprovalRow] = {row.created_by: row for row in rows}
    return tuple(
        ApprovalFacts(
            actor=names[row.created_by],
            verdict=row.verdict,
            to=row.to_stage,
            reason=row.reason,
            at=row.created_at,
            current=row.digest == version.digest,
            independent=names[row.created_by] not in developers,
        )
        for row in last.values()
    )


def _deployments(session: Session, version_id: int) -> tuple[DeploymentFacts, ...]:
    rows = session.scalars(
        select(Deployment).where(Deployment.version_id == version_id).order_by(Deployment.id)
    )
    return tuple(
        DeploymentFacts(
            id=row.id, target=row.target, endpoint=row.endpoint, state=row.state, artifact=row.artifact_digest
        )
        for row in rows
    )


def as_json(value: Any) -> Any:
    """A dossier, decision or any frozen fact as JSON values."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
