"""From rows to the dossier that a gate sees: the crossing between storage and policy.

Every promotion comes through here with its locks held, so statements are built
once, and columns are read over the session's connection instead of objects over
the session: half the time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select
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
from registry.storage.tables import (
    ActorRow,
    ApprovalRow,
    DatasetVersion,
    Deployment,
    EvidenceRow,
    LedgerEntry,
    Run,
    Version,
)

# Runs and events of these kinds make their actor a developer of the version: four eyes means other eyes.
DEVELOPING = ("train",)
SHAPING = ("version-planned", "data-linked", "design-recorded")
_UNENDED = ("queued", "running")

_EVIDENCE = (
    select(
        EvidenceRow.id,
        EvidenceRow.kind,
        EvidenceRow.subject,
        EvidenceRow.status,
        EvidenceRow.reason,
        EvidenceRow.metrics,
        EvidenceRow.facts,
        EvidenceRow.coverage,
        EvidenceRow.producer,
        EvidenceRow.run_id,
        EvidenceRow.criteria_digest,
        EvidenceRow.created_at,
        EvidenceRow.valid_until,
        ActorRow.name.label("actor"),
    )
    .join(ActorRow, ActorRow.id == EvidenceRow.created_by)
    .where(
        or_(
            EvidenceRow.subject.in_(bindparam("digests", expanding=True)),
            EvidenceRow.version_id == bindparam("version_id"),
        )
    )
    .order_by(EvidenceRow.id)
)
_RUNS = (
    select(Run.kind, Run.state, ActorRow.name)
    .join(ActorRow, ActorRow.id == Run.created_by)
    .where(Run.version_id == bindparam("version_id"))
)
_APPROVALS = (
    select(
        ApprovalRow.verdict,
        ApprovalRow.to_stage,
        ApprovalRow.reason,
        ApprovalRow.created_at,
        ApprovalRow.digest,
        ActorRow.name,
    )
    .join(ActorRow, ActorRow.id == ApprovalRow.created_by)
    .where(ApprovalRow.version_id == bindparam("version_id"), ApprovalRow.to_stage == bindparam("to"))
    .order_by(ApprovalRow.id)
)
_DEPLOYMENTS = (
    select(
        Deployment.id, Deployment.target, Deployment.endpoint, Deployment.state, Deployment.artifact_digest
    )
    .where(Deployment.version_id == bindparam("version_id"))
    .order_by(Deployment.id)
)
# Who decided what the version is: its plan, its data, its design.
_SHAPED = (
    select(ActorRow.name)
    .join(LedgerEntry, LedgerEntry.actor_id == ActorRow.id)
    .where(LedgerEntry.subject == bindparam("subject"), LedgerEntry.action.in_(SHAPING))
    .distinct()
)
_ACTOR = select(ActorRow.name).where(ActorRow.id == bindparam("id"))


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
    data = find.data_of(session, version.id)
    about = version.artifact_digest or version.digest
    evidence, unusable = _evidence(session, version, about, data, at)
    targets = targets_of(version)
    criteria = criteria_digest(targets)
    planner = session.connection().execute(_ACTOR, {"id": version.created_by}).scalar_one()
    shapers = session.connection().execute(_SHAPED, {"subject": f"model:{find.ref_of(version)}"}).scalars()
    developers, active = _runs(session, version.id, {planner, *shapers})
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
            created_by=planner,
            created_at=version.created_at,
            runs_active=active,
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
        approvals=_approvals(session, version, to, developers),
        deployments=tuple(
            DeploymentFacts(*row)
            for row in session.connection().execute(_DEPLOYMENTS, {"version_id": version.id})
        ),
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
    session: Session, version: Version, about: str, data: Mapping[str, DatasetVersion], at: datetime
) -> tuple[dict[str, dict[str, EvidenceFacts]], dict[str, str]]:
    """Newest current evidence per digest and kind, and why other evidence does not count."""
    digests = {about, *(row.digest for row in data.values())}
    rows = session.connection().execute(_EVIDENCE, {"digests": list(digests), "version_id": version.id})
    newest: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        newest[row.subject][row.kind] = row
    places: dict[str, list[str]] = defaultdict(list, {about: [""]})
    for role, dataset in data.items():
        places[dataset.digest].append(f"{role}:")
    current: dict[str, dict[str, EvidenceFacts]] = defaultdict(dict)
    unusable: dict[str, str] = {}
    for digest, kinds in newest.items():
        for kind, row in kinds.items():
            if digest not in digests:
                unusable.setdefault(kind, "stale: an older artifact of this version has some")
            elif row.valid_until is not None and row.valid_until <= at:
                expired = f"expired on {row.valid_until:%Y-%m-%d}"
                unusable.update({f"{place}{kind}": expired for place in places[digest]})
            else:
                current[digest][kind] = _facts(row)
    for kind in current[about]:
        unusable.pop(kind, None)
    return current, unusable


def _facts(row: Any) -> EvidenceFacts:
    return EvidenceFacts(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        status=row.status,
        reason=row.reason,
        metrics=row.metrics,
        facts=row.facts,
        coverage=row.coverage,
        producer=row.producer,
        run=str(row.run_id),
        actor=row.actor,
        criteria_digest=row.criteria_digest,
        created_at=row.created_at,
        valid_until=row.valid_until,
    )


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


def _runs(session: Session, version_id: int, shapers: Set[str]) -> tuple[tuple[str, ...], int]:
    """Who developed the version, and how many of its runs have not ended."""
    rows = session.connection().execute(_RUNS, {"version_id": version_id}).all()
    developers = {*shapers, *(name for kind, _, name in rows if kind in DEVELOPING)}
    return tuple(sorted(developers)), sum(state in _UNENDED for _, state, _ in rows)


def _approvals(
    session: Session, version: Version, to: str, developers: Sequence[str]
) -> tuple[ApprovalFacts, ...]:
    """The last word of each person on this step."""
    last = {
        row.name: row
        for row in session.connection().execute(_APPROVALS, {"version_id": version.id, "to": to})
    }
    return tuple(
        ApprovalFacts(
            actor=row.name,
            verdict=row.verdict,
            to=row.to_stage,
            reason=row.reason,
            at=row.created_at,
            current=row.digest == version.digest,
            independent=row.name not in developers,
        )
        for row in last.values()
    )


def as_json(value: Any) -> Any:
    """A dossier, decision or any frozen fact as JSON values."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    raise TypeError(f"{type(value).__name__} is no JSON value")
