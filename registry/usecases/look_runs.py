"""Looking at runs and what they put into service."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.references import Ref
from registry.errors import NotFound
from registry.storage import find
from registry.storage.tables import (
    Dataset,
    DatasetVersion,
    Deployment,
    Model,
    Run,
    RunInput,
    RunMetric,
    RunOutput,
    Version,
)
from registry.usecases.views import DeploymentView, RunView


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
        processes=row.processes,
        engine_options=row.engine_options,
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
