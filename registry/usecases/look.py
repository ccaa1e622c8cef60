"""Looking things up, in one reading transaction each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, joinedload

from registry.domain.lifecycle import Lifecycle
from registry.domain.names import did_you_mean
from registry.domain.references import Ref
from registry.errors import NotFound
from registry.storage import find
from registry.storage.dossiers import find_words
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import (
    AliasRow,
    BindingRow,
    Dataset,
    DatasetParent,
    DatasetVersion,
    DecisionRow,
    Deployment,
    EvidenceRow,
    Model,
    PolicyRow,
    Run,
    RunInput,
    RunMetric,
    RunOutput,
    System,
    Version,
    VersionData,
)
from registry.storage.tables.base import now
from registry.usecases.tiers import tier_bases
from registry.usecases.views import (
    ApprovalView,
    DatasetView,
    DecisionView,
    DeploymentView,
    EvidenceView,
    PolicyView,
    RunView,
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


def runs(session: Session, *, about: str = "", state: str = "", limit: int = 0) -> list[RunView]:
    """Runs, newest first; `about` is the reference of a version or dataset."""
    rows = list(session.scalars(select(Run).order_by(Run.id.desc())))
    subjects = _subjects(session)
    names = find.actor_names(session)
    found = [
        _run(row, subjects[row.id], names, {}, {}, {})
        for row in rows
        if about in ("", subjects[row.id].partition(":")[2]) and state in ("", row.state)
    ]
    return found[:limit] if limit else found


def run(session: Session, number: int) -> RunView:
    """One run, with inputs, outputs and the last value of each metric."""
    row = find.run(session, number)
    inputs = session.execute(select(RunInput.role, RunInput.ref).where(RunInput.run_id == number))
    outputs = session.execute(select(RunOutput.name, RunOutput.ref).where(RunOutput.run_id == number))
    metrics = session.execute(
        select(RunMetric.name, RunMetric.value).where(RunMetric.run_id == number).order_by(RunMetric.seq)
    )
    return _run(
        row,
        _subjects(session)[number],
        find.actor_names(session),
        dict(inputs.all()),
        dict(outputs.all()),
        dict(metrics.all()),
    )


def curves(session: Session, number: int) -> dict[str, list[tuple[int, float]]]:
    """A run's metrics by name: (step, value) in order."""
    found: dict[str, list[tuple[int, float]]] = {}
    rows = session.execute(
        select(RunMetric.name, RunMetric.step, RunMetric.value)
        .where(RunMetric.run_id == number)
        .order_by(RunMetric.seq)
    )
    for name, step, value in rows:
        found.setdefault(name, []).append((step, value))
    return found


def _subjects(session: Session) -> dict[int, str]:
    """Run -> `model:loans/1` or `dataset:loans/1`."""
    of_models = session.execute(
        select(Run.id, Model.name, Version.number)
        .join(Version, Version.id == Run.version_id)
        .join(Model, Model.id == Version.model_id)
    )
    of_datasets = session.execute(
        select(Run.id, Dataset.name, DatasetVersion.number)
        .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
    )
    subjects = {id: f"model:{name}/{number}" for id, name, number in of_models}
    subjects.update({id: f"dataset:{name}/{number}" for id, name, number in of_datasets})
    return subjects


def _run(
    row: Run,
    subject: str,
    names: dict[int, str],
    inputs: dict[str, str],
    outputs: dict[str, str],
    metrics: dict[str, float],
) -> RunView:
    return RunView(
        id=row.id,
        plugin=row.plugin,
        plugin_version=row.plugin_version,
        kind=row.kind,
        about=subject.partition(":")[2],
        state=row.state,
        reason=row.reason,
        engine=row.engine,
        config=row.config,
        seed=row.seed,
        environment=row.environment,
        inputs=inputs,
        outputs=outputs,
        metrics=metrics,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        created_by=names[row.created_by],
    )


def policies(session: Session, name: str = "") -> list[PolicyView]:
    """The newest version of every policy, or of the one of a name.

    Raises:
        NotFound: No such policy.
    """
    newest = select(func.max(PolicyRow.id)).group_by(PolicyRow.name)
    rows = list(session.scalars(select(PolicyRow).where(PolicyRow.id.in_(newest)).order_by(PolicyRow.name)))
    if name:
        known = [row.name for row in rows]
        if name not in known:
            raise NotFound(f"there is no policy {name!r}", hint=did_you_mean(name, known))
        rows = [rows[known.index(name)]]
    in_force: dict[int, dict[str, str]] = {}
    for binding in session.scalars(select(BindingRow).where(BindingRow.in_force.is_not(None))):
        in_force.setdefault(binding.policy_id, {})[binding.name] = binding.action
    return [
        PolicyView(
            name=row.name,
            digest=row.digest,
            title=row.document["metadata"].get("title", ""),
            stages=list(row.document["match"].get("to", [])),
            rules=[rule["id"] for rule in row.document["validations"]],
            bindings=in_force.get(row.id, {}),
            document=row.document,
            created_at=row.created_at,
        )
        for row in rows
    ]


def deployments(session: Session, ref: Ref | None = None) -> list[DeploymentView]:
    """All deployments, or those of one version."""
    query = (
        select(Deployment, Model.name, Version.number)
        .join(Version, Version.id == Deployment.version_id)
        .join(Model, Model.id == Version.model_id)
        .order_by(Deployment.id)
    )
    found = []
    for row, name, number in session.execute(query):
        if ref is None or Ref(name, number) == ref:
            found.append(
                DeploymentView(
                    id=row.id,
                    version=f"{name}/{number}",
                    target=row.target,
                    endpoint=row.endpoint,
                    state=row.state,
                    plugin=row.plugin,
                    run=row.run_id,
                    artifact=row.artifact_digest,
                    created_at=row.created_at,
                    stopped_at=row.stopped_at,
                )
            )
    return found


def deployment(session: Session, number: int) -> DeploymentView:
    """One deployment.

    Raises:
        NotFound: There is none of that number.
    """
    for found in deployments(session):
        if found.id == number:
            return found
    raise NotFound(f"there is no deployment {number}", hint="phasegate deployment list")


def decisions(session: Session, ref: Ref) -> list[DecisionView]:
    """Every decision on a version, oldest first."""
    version_id = find.version(session, ref).id
    names = find.actor_names(session)
    rows = session.scalars(
        select(DecisionRow).where(DecisionRow.version_id == version_id).order_by(DecisionRow.id)
    )
    return [
        DecisionView(
            id=row.id,
            ref=str(ref),
            origin=row.from_stage,
            to=row.to_stage,
            allowed=row.allowed,
            reason=row.reason,
            digest=row.digest,
            results=list(row.results),
            at=row.created_at,
            actor=names[row.created_by],
        )
        for row in rows
    ]


def approvals(session: Session, ref: Ref) -> list[ApprovalView]:
    """Everybody's word on a version, oldest first, and what has changed since it was given."""
    row = find.version(session, ref)
    return [
        ApprovalView(
            to=given.to,
            verdict=given.verdict,
            reason=given.reason,
            actor=given.actor,
            at=given.at,
            digest=digest,
            current=given.current,
            on_behalf_of=given.on_behalf_of,
            independent=given.independent,
            changed=list(given.changed),
        )
        for digest, given in find_words(session, row, str(ref), now())
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
