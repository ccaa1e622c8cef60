"""Gathering what was done: evidence, data, runs, deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from registry.domain.dossier import Dossier
from registry.domain.references import Ref
from registry.reports.entries import Entries
from registry.reports.facts import DataRecord, DeploymentRecord, EvidenceRecord, RunRecord, Standing
from registry.usecases import look, look_runs
from registry.usecases.views import DatasetView, EntryView, EvidenceView, RunView


def runs_of(session: Session, happened: Sequence[EntryView]) -> list[RunView]:
    """Every run for the version, its data and what they were made from."""
    asked = [entry.subject.partition(":")[2] for entry in happened if entry.action == "run-queued"]
    return [look_runs.run(session, int(number)) for number in asked]


def evidence_of(
    session: Session,
    dossier: Dossier,
    runs: Sequence[RunView],
    data: Mapping[str, DatasetView],
    entries: Entries,
) -> tuple[EvidenceRecord, ...]:
    """All evidence, counted or not, with the reason as the gate sees it."""
    subject = dossier.subject
    about = subject.artifact or subject.digest
    roles = {found.digest: (role, found.ref) for role, found in data.items()}
    counted = {facts.id for facts in dossier.evidence.values()}
    counted |= {facts.id for found in dossier.data.values() for facts in found.evidence.values()}
    found = {row.id: row for run in runs for row in look.evidence_of_run(session, run.id)}
    found.update({row.id: row for row in look.evidence(session, [about, *roles])})
    asked_for = {run.id: run.about for run in runs}
    records = []
    for row in sorted(found.values(), key=lambda row: row.id):
        role, name = roles.get(row.subject, ("", asked_for.get(row.run, subject.ref)))
        if row.id in counted:
            standing: Standing = "current"
        elif row.subject not in {about, *roles}:
            standing = "stale" if name == subject.ref else "earlier data"
        else:
            expired = row.valid_until is not None and row.valid_until <= dossier.now
            standing = "expired" if expired else "superseded"
        records.append(_record(row, name, role, standing, entries))
    return tuple(records)


def _record(row: EvidenceView, about: str, role: str, standing: Standing, entries: Entries) -> EvidenceRecord:
    return EvidenceRecord(
        id=row.id,
        kind=row.kind,
        about=about,
        role=role,
        subject=row.subject,
        standing=standing,
        status=row.status,
        reason=row.reason,
        summary=row.summary,
        metrics=row.metrics,
        facts=row.facts,
        coverage=row.coverage,
        producer=row.producer,
        run=str(row.run),
        actor=row.created_by,
        created_at=row.created_at,
        valid_until=row.valid_until,
        criteria_digest=row.criteria_digest,
        entry=entries.evidence(row.run, row.subject),
        tables=row.tables,
    )


def data_of(data: Mapping[str, DatasetView], entries: Entries) -> tuple[DataRecord, ...]:
    """The dataset versions that the version uses, by role."""
    return tuple(_data(role, found, entries) for role, found in data.items())


def _data(role: str, found: DatasetView, entries: Entries) -> DataRecord:
    return DataRecord(
        role=role,
        ref=found.ref,
        digest=found.digest,
        rows=found.rows,
        licence=found.licence,
        source=found.source,
        parents=tuple(found.parents),
        entry=entries.of(f"dataset:{found.ref}", "dataset-added"),
    )


def run_record(session: Session, run: RunView, entries: Entries) -> RunRecord:
    """One run, with the curves that it logged."""
    return RunRecord(
        id=str(run.id),
        plugin=f"{run.plugin}@{run.plugin_version}",
        subject=run.about,
        state=run.state,
        actor=run.created_by,
        started_at=run.started_at or run.created_at,
        seconds=run.seconds,
        config=run.config,
        inputs=run.inputs,
        outputs=run.outputs,
        entry=entries.of(f"run:{run.id}", "run-queued"),
        curves=look_runs.curves(session, run.id),
    )


def deployments_of(session: Session, ref: Ref, entries: Entries) -> tuple[DeploymentRecord, ...]:
    """Every place where the version runs or ran."""
    return tuple(
        DeploymentRecord(
            id=found.id,
            target=found.target,
            endpoint=found.endpoint,
            state=found.state,
            artifact=found.artifact,
            actor=entries.actor(f"deployment:{found.id}", "deployment-started"),
            started_at=found.created_at,
            stopped_at=found.stopped_at,
            entry=entries.of(f"deployment:{found.id}", "deployment-started"),
        )
        for found in look_runs.deployments(session, ref)
    )
