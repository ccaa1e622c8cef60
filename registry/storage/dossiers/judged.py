"""Evidence about a version and its data, and what it says of the targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from registry.domain.dossier import TargetFacts
from registry.domain.evidence import EvidenceFacts
from registry.domain.targets import Target
from registry.storage.tables import ActorRow, DatasetVersion, EvidenceRow

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


@dataclass(frozen=True, slots=True)
class Judged:
    """What current evidence there is.

    Attributes:
        current: Digest -> kind -> the newest evidence that counts.
        unusable: Why evidence of some kind does not count; see `Dossier.unusable`.
    """

    current: Mapping[str, Mapping[str, EvidenceFacts]]
    unusable: Mapping[str, str]


def find_evidence(
    connection: Connection, version_id: int, about: str, data: Mapping[str, DatasetVersion], at: datetime
) -> Judged:
    """Newest current evidence per digest and kind, and why other evidence does not count."""
    digests = {about, *(row.digest for row in data.values())}
    rows = connection.execute(_EVIDENCE, {"digests": list(digests), "version_id": version_id})
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
    return Judged(current, unusable)


def measured_by(metric: str, evidence: Mapping[str, EvidenceFacts]) -> EvidenceFacts | None:
    """The evidence that a target is judged by: the newest that measured the metric, evaluation first."""
    found = [facts for facts in evidence.values() if metric in facts.metrics and facts.status == "complete"]
    return max(found, key=lambda facts: (facts.kind.startswith("eval."), facts.id), default=None)


def judge_target(target: Target, evidence: Mapping[str, EvidenceFacts], criteria: str) -> TargetFacts:
    """What the newest evidence that measured the metric says; evaluation goes before everything else."""
    best = measured_by(target.metric, evidence)
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
