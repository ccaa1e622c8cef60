"""The dossier of one version, put together."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from registry.domain.dossier import DataFacts, Dossier, SubjectFacts, SystemFacts
from registry.domain.targets import criteria_digest
from registry.storage import find
from registry.storage.dossiers.content import basis_of, targets_of
from registry.storage.dossiers.exceptions import find_findings, find_risks, find_waivers
from registry.storage.dossiers.involved import find_people, find_work
from registry.storage.dossiers.judged import find_evidence, judge_target
from registry.storage.dossiers.origin import Origin, find_descendants, find_origin
from registry.storage.dossiers.present import find_present
from registry.storage.dossiers.service import Service, find_service
from registry.storage.dossiers.signatures import find_signatures
from registry.storage.tables import System, Version


def build_dossier(
    session: Session, version: Version, to: str, at: datetime, *, actor: str, last: str
) -> Dossier:
    """Everything that the gate into `to` may look at, as it stands in this transaction.

    Args:
        session: The open transaction; the version is locked in it if it may move.
        version: With its model and system.
        to: A stage, or `@alias`.
        at: What counts as now.
        actor: Who asks; empty if nobody does.
        last: The lifecycle's last stage.
    """
    connection = session.connection()
    ref = find.ref_of(version)
    system = version.model.system
    there = find_present(connection, version, system.id)
    data = find.data_of(session, version.id)
    about = version.artifact_digest or version.digest
    judged = find_evidence(connection, version.id, about, data, at)
    evidence = judged.current.get(about, {})
    targets = targets_of(version)
    criteria = criteria_digest(targets)
    work = find_work(connection, version, ref)
    asking, approvals = find_people(
        connection,
        version,
        to,
        at,
        asking=actor,
        approved=there.approvals,
        developers=work.developers,
        basis=basis_of(version, data, evidence, judged.current),
    )
    service = find_service(connection, version, data, last=last) if there.service else Service()
    origin = find_origin(connection, version) if there.origin else Origin()
    descendants = find_descendants(connection, version, last=last) if there.descendants else ()
    return Dossier(
        subject=SubjectFacts(
            ref=ref,
            model=version.model.name,
            number=version.number,
            stage=version.stage,
            digest=version.digest,
            artifact=version.artifact_digest or "",
            criteria_digest=criteria,
            purpose=version.plan["purpose"],
            task=version.plan["task"],
            risk_tier=system.risk_tier,
            system=_system(system),
            design={key: str(value) for key, value in version.design.items()},
            developers=work.developers,
            created_by=work.planner,
            created_at=version.created_at,
            runs_active=work.active,
            tags=tuple(sorted({*version.plan.get("tags", ()), *(system.tags or ())})),
            aliases=service.aliases,
            budget_hours=version.plan.get("budget_hours") or 0.0,
            hours_used=work.hours,
            trained_by=work.trained_by,
            evaluated_by=tuple(
                sorted({facts.actor for kind, facts in evidence.items() if kind.startswith("eval.")})
            ),
            rollback_targets=service.rollback_targets,
            base=origin.base,
            base_digest=origin.base_digest,
            replayed=origin.replayed,
        ),
        to=to,
        now=at,
        evidence=evidence,
        data={
            role: DataFacts(
                ref=find.ref_of(row),
                role=role,
                digest=row.digest,
                rows=row.rows,
                licence=row.licence,
                source=row.source,
                evidence=judged.current.get(row.digest, {}),
            )
            for role, row in data.items()
        },
        targets=tuple(judge_target(target, evidence, criteria) for target in targets),
        approvals=approvals,
        deployments=service.deployments,
        unusable=judged.unusable,
        actor=asking,
        waivers=find_waivers(connection, version, system.id, at, work.developers) if there.waivers else (),
        findings=find_findings(connection, version.id, system.id) if there.findings else (),
        risks=find_risks(connection, system.id) if there.risks else (),
        signatures=find_signatures(session, version, to, data, judged.current) if there.signatures else (),
        champion=service.champion,
        dependants=(*service.dependants, *descendants),
    )


def _system(row: System) -> SystemFacts:
    return SystemFacts(
        name=row.name,
        purpose=row.purpose,
        owner=row.owner,
        risk_tier=row.risk_tier,
        affected_groups=tuple(row.affected_groups),
        prohibited_uses=tuple(row.prohibited_uses),
        oversight=row.oversight,
        tags=tuple(row.tags or ()),
    )
