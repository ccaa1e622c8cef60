"""Looking things up, in one reading transaction each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, joinedload

from registry.domain.lifecycle import Lifecycle
from registry.domain.references import Ref
from registry.storage import find
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import (
    AliasRow,
    Dataset,
    DatasetParent,
    DatasetVersion,
    EvidenceRow,
    Model,
    Run,
    System,
    Version,
    VersionData,
)
from registry.usecases.tiers import tier_bases
from registry.usecases.views import (
    DatasetView,
    EvidenceView,
    SystemView,
    VersionView,
)


def systems(session: Session, name: str | None = None) -> list[SystemView]:
    """All systems, or the one of a name."""
    rows = (
        [find.system(session, name)] if name else list(session.scalars(select(System).order_by(System.name)))
    )
    names = find.actor_names(session)
    models: dict[int, list[str]] = {row.id: [] for row in rows}
    for system_id, model in session.execute(select(Model.system_id, Model.name).order_by(Model.name)):
        models.setdefault(system_id, []).append(model)
    bases = tier_bases(session, [row.id for row in rows])
    return [
        SystemView(
            name=row.name,
            purpose=row.purpose,
            owner=row.owner,
            risk_tier=row.risk_tier,
            affected_groups=row.affected_groups,
            prohibited_uses=row.prohibited_uses,
            oversight=row.oversight,
            tags=row.tags or [],
            models=models[row.id],
            created_at=row.created_at,
            created_by=names[row.created_by],
            tier_basis=bases[row.id],
        )
        for row in rows
    ]


def datasets(session: Session) -> list[DatasetView]:
    """Every dataset version, without its evidence."""
    query = (
        select(DatasetVersion)
        .join(DatasetVersion.dataset)
        .options(joinedload(DatasetVersion.dataset))
        .order_by(Dataset.name, DatasetVersion.number)
    )
    rows = list(session.scalars(query))
    names = find.actor_names(session)
    refs = {row.id: find.ref_of(row) for row in rows}
    parents: dict[int, list[str]] = {}
    for child, parent in session.execute(select(DatasetParent.child_id, DatasetParent.parent_id)):
        parents.setdefault(child, []).append(refs[parent])
    return [_dataset(row, parents.get(row.id, []), names, []) for row in rows]


def dataset(session: Session, ref: Ref) -> DatasetView:
    """One dataset version, with its evidence."""
    row = find.dataset(session, ref)
    parents = session.scalars(
        select(DatasetVersion)
        .join(DatasetParent, DatasetParent.parent_id == DatasetVersion.id)
        .options(joinedload(DatasetVersion.dataset))
        .where(DatasetParent.child_id == row.id)
    )
    found = evidence(session, [row.digest])
    return _dataset(row, [find.ref_of(parent) for parent in parents], find.actor_names(session), found)


def _dataset(
    row: DatasetVersion, parents: list[str], names: dict[int, str], found: list[EvidenceView]
) -> DatasetView:
    return DatasetView(
        ref=find.ref_of(row),
        digest=row.digest,
        rows=row.rows,
        columns=row.columns,
        schema=row.schema,
        source=row.source,
        licence=row.licence,
        note=row.note,
        parents=parents,
        created_at=row.created_at,
        created_by=names[row.created_by],
        evidence=found,
    )


def versions(session: Session, *, model: str = "", stage: str = "") -> list[VersionView]:
    """Every version, or those of a model or at a stage."""
    query = (
        select(Version)
        .join(Version.model)
        .join(Model.system)
        .options(joinedload(Version.model).joinedload(Model.system))
        .order_by(Model.name, Version.number)
    )
    if model:
        query = query.where(Model.name == model)
    if stage:
        query = query.where(Version.stage == current_lifecycle(session).check_stage(stage))
    rows = list(session.scalars(query))
    lifecycle, names, data = current_lifecycle(session), find.actor_names(session), _data(session)
    aliases = _aliases(session)
    return [_version(row, lifecycle, data[row.id], names, aliases[row.id]) for row in rows]


def _aliases(session: Session) -> dict[int, list[str]]:
    """Which aliases point to which version."""
    newest = select(func.max(AliasRow.id)).group_by(AliasRow.model_id, AliasRow.name)
    pointing = select(AliasRow.version_id, AliasRow.name).where(AliasRow.id.in_(newest))
    found: dict[int, list[str]] = defaultdict(list)
    for version_id, name in session.execute(pointing.order_by(AliasRow.name)):
        if version_id is not None:
            found[version_id].append(name)
    return found


def _data(session: Session) -> dict[int, dict[str, str]]:
    """Every version's data: version -> role -> `loans/1`."""
    linked = (
        select(VersionData.version_id, VersionData.role, Dataset.name, DatasetVersion.number)
        .join(DatasetVersion, DatasetVersion.id == VersionData.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .order_by(VersionData.role)
    )
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for version_id, role, name, number in session.execute(linked):
        found[version_id][role] = f"{name}/{number}"
    return found


def version(session: Session, ref: Ref) -> VersionView:
    """One version, with its data."""
    row = find.version(session, ref)
    data = {role: find.ref_of(found) for role, found in find.data_of(session, row.id).items()}
    pointing = find.aliases_of(session.connection(), row.model_id)
    aliases = [alias.name for alias in pointing if alias.version_id == row.id]
    return _version(row, current_lifecycle(session), data, find.actor_names(session), aliases)


def _version(
    row: Version, lifecycle: Lifecycle, data: dict[str, str], names: dict[int, str], aliases: list[str]
) -> VersionView:
    return VersionView(
        ref=find.ref_of(row),
        stage=row.stage,
        system=row.model.system.name,
        risk_tier=row.model.system.risk_tier,
        purpose=row.plan["purpose"],
        task=row.plan["task"],
        targets=row.plan["targets"],
        data=data,
        design=row.design,
        artifact=row.artifact_digest or "",
        digest=row.digest,
        following=list(lifecycle.following(row.stage)),
        created_at=row.created_at,
        created_by=names[row.created_by],
        aliases=aliases,
    )


def evidence(session: Session, digests: Sequence[str]) -> list[EvidenceView]:
    """All evidence about digests, oldest first."""
    return _evidence(session, EvidenceRow.subject.in_(digests))


def evidence_of_run(session: Session, run: int) -> list[EvidenceView]:
    """All evidence that a run made."""
    return _evidence(session, EvidenceRow.run_id == run)


def _evidence(session: Session, which: ColumnElement[bool]) -> list[EvidenceView]:
    names = find.actor_names(session)
    return [
        EvidenceView(
            id=row.id,
            kind=row.kind,
            subject=row.subject,
            run=row.run_id,
            producer=row.producer,
            status=row.status,
            reason=row.reason,
            metrics=row.metrics,
            facts=row.facts,
            coverage=row.coverage,
            summary=row.summary,
            tables=row.tables,
            criteria_digest=row.criteria_digest,
            created_at=row.created_at,
            created_by=names[row.created_by],
            valid_until=row.valid_until,
        )
        for row in session.scalars(select(EvidenceRow).where(which).order_by(EvidenceRow.id))
    ]


def counts(session: Session) -> dict[str, int]:
    """How much there is of what."""
    tables: dict[str, Any] = {
        "systems": System,
        "models": Model,
        "versions": Version,
        "datasets": Dataset,
        "runs": Run,
    }
    return {
        name: session.scalar(select(func.count()).select_from(table)) or 0 for name, table in tables.items()
    }
