"""Recording how a run ended: everything it made, its evidence and its end, in one transaction."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, insert, select

from registry.domain.digests import digest_of
from registry.domain.events import (
    ArtifactProduced,
    DeploymentStarted,
    DeploymentStopped,
    EvidenceRecorded,
    RunEnded,
)
from registry.domain.references import Ref
from registry.errors import Conflict, DatabaseUnusable, RegistryError
from registry.extension.inputs import TABLE, DeploymentInput, RunSpec
from registry.extension.results import (
    AnyResult,
    Checked,
    Deployed,
    Designed,
    Evidence,
    Prepared,
    Retired,
    Trained,
)
from registry.files import disk_is_full
from registry.runner.folder import Ended, RunFolder, Ticket
from registry.runner.lease import beat
from registry.runner.telling import tell
from registry.storage import find
from registry.storage.artifacts import ArtifactStore, Stored
from registry.storage.database import Database
from registry.storage.dossiers import content_digest
from registry.storage.lifecycles import current_lifecycle
from registry.storage.register import register_artifact, register_dataset, register_design
from registry.storage.tables import ActorRow, Deployment, EvidenceRow, Run, RunMetric, RunOutput, Version
from registry.storage.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from sqlalchemy import Connection

# What the columns of a metric hold, and the longest reason that is kept.
_NAME, _STEP, _REASON = 100, 2**63 - 1, 2000

_RESULT: TypeAdapter[AnyResult] = TypeAdapter(AnyResult)


def record_metrics(database: Database, ticket: Ticket, events: Iterable[Mapping[str, Any]]) -> bool:
    """Say that we are alive, and store the metrics among some events, each once whoever calls.

    Returns:
        False if somebody else has taken the run over: then nothing is stored.
    """
    found = {metric["seq"]: metric for metric in map(_metric, events) if metric}
    with database.ungoverned() as connection:
        if not beat(connection, ticket):
            return False
        last = connection.scalar(select(func.max(RunMetric.seq)).where(RunMetric.run_id == ticket.run)) or 0
        if new := [{"run_id": ticket.run, **metric} for seq, metric in found.items() if seq > last]:
            connection.execute(insert(RunMetric), new)
    return True


def _metric(event: Mapping[str, Any]) -> dict[str, Any]:
    """A metric's columns; nothing for another event, or one that no row can hold."""
    match event:
        case {"type": "metric", "seq": int(seq), "name": str(name), "step": int(step), "value": float(value)}:
            if math.isfinite(value) and len(name) <= _NAME and abs(step) <= _STEP:
                return {"seq": seq, "name": name, "step": step, "value": value}
    return {}


def record_outcome(
    database: Database, store: ArtifactStore, folder: RunFolder, ticket: Ticket, ended: Ended
) -> str | None:
    """Write down how a run ended; returns the state recorded, None if the run is somebody else's by now.

    What a plugin returned is checked before any of it counts: a result that cannot
    be recorded makes the run a failed one, and leaves nothing else behind.

    Raises:
        DatabaseUnusable, Conflict: Not the result's fault: try again.
    """
    result: AnyResult | None = None
    if ended.state == "succeeded":
        try:
            result = _read_result(folder)
            return _record(database, store, folder, ticket, ended, result)
        except (DatabaseUnusable, Conflict):
            raise
        except Exception as error:
            # A plugin can return anything; whatever it trips over here, the run has failed and is over.
            tell()
            known = isinstance(error, (RegistryError, OSError, ValidationError))
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            if isinstance(result, Deployed):
                reason += _take_down(result, folder)
            ended = Ended("failed", f"its result was not recorded: {reason}", getattr(error, "hint", ""))
            if disk_is_full(error):
                again = f"make room, then: phasegate runs resume {ticket.run}"
                ended = Ended("lost", f"its disk is full, and {ended.reason}", again)
    return _record(database, store, folder, ticket, ended, None)


def _record(
    database: Database,
    store: ArtifactStore,
    folder: RunFolder,
    ticket: Ticket,
    ended: Ended,
    result: AnyResult | None,
) -> str | None:
    spec = folder.spec
    outputs = _Outputs(store, folder, result)
    with database.read() as session:
        actor = session.get_one(ActorRow, find.run(session, ticket.run).created_by).name
    with database.write(actor) as work:
        run = find.run(work.session, ticket.run, lock=True)
        if run.token != ticket.token or run.state != "running":
            return None
        refs = _Recorder(work, run, spec, ticket, outputs).record(result) if result else {}
        run.state = ended.state
        run.reason = _legible("; ".join(part for part in (ended.reason, ended.hint) if part))
        run.ended_at = work.at
        run.metrics_digest = metrics_digest(work.session.connection(), run.id)
        for name, (ref, digest) in refs.items():
            work.session.add(RunOutput(run_id=run.id, name=name, ref=ref, digest=digest))
        made = {name: ref for name, (ref, _) in refs.items()}
        work.record(RunEnded(f"run:{run.id}", run.state, run.reason, made, run.metrics_digest))
        return ended.state


def metrics_digest(connection: Connection, run: int) -> str:
    """Digest of a run's metrics: with it in the ledger, none can be changed unseen."""
    rows = connection.execute(
        select(RunMetric.seq, RunMetric.name, RunMetric.step, RunMetric.value)
        .where(RunMetric.run_id == run)
        .order_by(RunMetric.seq)
    )
    return digest_of([list(row) for row in rows])


def _legible(text: str) -> str:
    """What a plugin said went wrong, without what a database or a terminal cannot bear."""
    plain = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text[: _REASON + 1])
    return plain if len(plain) <= _REASON else plain[: _REASON - 4] + " ..."


def _read_result(folder: RunFolder) -> AnyResult:
    return _RESULT.validate_python(folder.result)


class _Outputs:
    """A result's files, put into the store before the transaction begins: storing twice is no harm."""

    def __init__(self, store: ArtifactStore, folder: RunFolder, result: AnyResult | None) -> None:
        self._folder = folder.path.resolve()
        self.datasets: list[tuple[Stored, int, dict[str, str]]] = []
        self.artifact: Stored | None = None
        self.files: Stored | None = None
        if isinstance(result, Prepared):
            for draft in result.datasets:
                path = self._own(draft.path)
                self.datasets.append((store.put(path), *_table_facts(path)))
        if isinstance(result, Trained):
            self.artifact = store.put(self._own(result.path))
        if isinstance(result, Retired):
            self.artifact = store.put(self._own(result.archive))
        if result is not None and result.evidence is not None and result.evidence.files:
            self.files = store.put(self._gather(result.evidence.files))

    def _own(self, path: Path) -> Path:
        """The path, if it is in the run's folder: what is elsewhere was not made by this run."""
        resolved = (self._folder / path).resolve()
        if not resolved.is_relative_to(self._folder):
            raise OSError(f"{path} is outside the run's folder")
        return resolved

    def _gather(self, files: tuple[Path, ...]) -> Path:
        target = Path(tempfile.mkdtemp(dir=self._folder, prefix=".evidence-"))
        for file in files:
            os.link(self._own(file), target / file.name)
        return target


class _Recorder:
    """Turns one result into rows and events, in the run's transaction."""

    def __init__(self, work: UnitOfWork, run: Run, spec: RunSpec, ticket: Ticket, outputs: _Outputs) -> None:
        self.work = work
        self.session = work.session
        self.run = run
        self.spec = spec
        self.ticket = ticket
        self.outputs = outputs

    def record(self, result: AnyResult) -> dict[str, tuple[str, str]]:
        """Write the result; returns outputs by name: reference and digest."""
        if isinstance(result, Prepared):
            return self._prepared(result)
        if isinstance(result, Designed):
            return self._designed(result)
        if isinstance(result, Trained):
            return self._trained(result)
        if isinstance(result, Deployed):
            return self._deployed(result)
        if isinstance(result, Retired):
            return self._retired(result)
        return self._checked(result)

    def _prepared(self, result: Prepared) -> dict[str, tuple[str, str]]:
        assert self.spec.dataset is not None
        parent = find.dataset(self.session, Ref.parse(self.spec.dataset.ref))
        outputs = {}
        for draft, (stored, rows, schema) in zip(result.datasets, self.outputs.datasets, strict=True):
            name = parent.dataset.name + (f"-{draft.suffix}" if draft.suffix else "")
            made = register_dataset(
                self.work,
                name,
                stored,
                rows=rows,
                columns=draft.columns.model_dump(mode="json"),
                schema=schema,
                source=parent.source,
                licence=parent.licence,
                note=draft.note,
                parents=[parent],
            )
            outputs[draft.suffix or "dataset"] = (find.ref_of(made), stored.digest)
            if result.evidence is not None:
                self._evidence(result.evidence, made.digest, find.ref_of(made), None)
        return outputs

    def _designed(self, result: Designed) -> dict[str, tuple[str, str]]:
        version = self._version()
        ref = find.ref_of(version)
        # The version may have moved on while this ran.
        current_lifecycle(self.session).check_work(self.run.kind, version.stage, ref)
        register_design(self.work, version, result.design)
        self._evidence(result.evidence, version.digest, ref, version)
        return {"design": (ref, version.digest)}

    def _trained(self, result: Trained) -> dict[str, tuple[str, str]]:
        version = self._version()
        stored = self.outputs.artifact
        assert stored is not None
        # The version may have moved on while this ran.
        current_lifecycle(self.session).check_work(self.run.kind, version.stage, find.ref_of(version))
        register_artifact(self.work, stored)
        version.artifact_digest = stored.digest
        version.digest = content_digest(version, find.data_of(self.session, version.id))
        ref = find.ref_of(version)
        self.work.record(ArtifactProduced(f"model:{ref}", stored.digest, self.run.id, version.digest))
        self._evidence(result.evidence, stored.digest, ref, version)
        return {"artifact": (ref, stored.digest)}

    def _checked(self, result: Checked) -> dict[str, tuple[str, str]]:
        if self.spec.dataset is not None:
            self._evidence(result.evidence, self.spec.dataset.digest, self.spec.dataset.ref, None)
        else:
            self._evidence(result.evidence, self._about, self.spec.subject, self._version())
        return {}

    def _deployed(self, result: Deployed) -> dict[str, tuple[str, str]]:
        version = self._version()
        ref = find.ref_of(version)
        current_lifecycle(self.session).check_work(self.run.kind, version.stage, ref)
        deployment = Deployment(
            version_id=version.id,
            run_id=self.run.id,
            plugin=self.run.plugin,
            target=result.target,
            endpoint=result.endpoint,
            artifact_digest=self._about,
            details=result.details,
            state="active",
            created_at=self.work.at,
        )
        self.session.add(deployment)
        self.session.flush()
        subject = f"deployment:{deployment.id}"
        self.work.record(DeploymentStarted(subject, ref, result.target, result.endpoint, self._about))
        self._evidence(result.evidence, self._about, ref, version)
        return {"deployment": (str(deployment.id), self._about)}

    def _retired(self, result: Retired) -> dict[str, tuple[str, str]]:
        version = self._version()
        ref = find.ref_of(version)
        stored = self.outputs.artifact
        assert stored is not None
        register_artifact(self.work, stored)
        for number in result.stopped:
            deployment = self.session.get_one(Deployment, number)
            deployment.state = "stopped"
            deployment.stopped_at = self.work.at
            self.work.record(DeploymentStopped(f"deployment:{number}", ref, "retired"))
        self._evidence(result.evidence, self._about, ref, version)
        return {"archive": (ref, stored.digest)}

    def _version(self) -> Version:
        return find.version(self.session, Ref.parse(self.spec.subject), lock=True)

    @property
    def _about(self) -> str:
        """What evidence of this run is about: what it was given, whatever the version has become since."""
        assert self.spec.model is not None
        return self.spec.model.artifact_digest or self.spec.model.digest

    def _evidence(self, evidence: Evidence, about: str, ref: str, version: Version | None) -> None:
        if self.outputs.files is not None:
            register_artifact(self.work, self.outputs.files)
        days = self.ticket.valid_days
        row = EvidenceRow(
            kind=self.ticket.evidence,
            subject=about,
            version_id=version.id if version else None,
            run_id=self.run.id,
            status=evidence.status.value,
            reason=evidence.reason,
            metrics=evidence.metrics,
            facts=evidence.facts,
            coverage=evidence.coverage,
            summary=evidence.summary,
            tables=evidence.tables,
            files_digest=self.outputs.files.digest if self.outputs.files else None,
            producer=f"{self.run.plugin}@{self.run.plugin_version}",
            criteria_digest=self.run.criteria_digest,
            created_at=self.work.at,
            valid_until=self.work.at + timedelta(days=days) if days is not None else None,
            created_by=self.run.created_by,
        )
        self.session.add(row)
        self.session.flush()
        subject = f"{'model' if version else 'dataset'}:{ref}"
        self.work.record(
            EvidenceRecorded(subject, row.kind, about, self.run.id, row.status, row.criteria_digest)
        )


def _table_facts(folder: Path) -> tuple[int, dict[str, str]]:
    """Rows and column types of a dataset folder's table."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(folder / TABLE)
    return file.metadata.num_rows, {field.name: str(field.type) for field in file.schema_arrow}


def _take_down(result: Deployed, folder: RunFolder) -> str:
    """Stop what was started but may not be recorded; if that fails, the words for it."""
    from registry.extension.discovery import load_deployer

    spec = folder.spec
    deployment = DeploymentInput(
        id=0,
        target=result.target,
        endpoint=result.endpoint,
        plugin=spec.plugin,
        folder=spec.keep or folder.path,
        details=result.details,
    )
    try:
        load_deployer(spec.plugin).stop(deployment)
    except Exception as error:
        return f"; it still runs at {result.endpoint}, for it could not be stopped: {error}"
    return ""
