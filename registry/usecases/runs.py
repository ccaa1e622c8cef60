"""Starting, cancelling, resuming and recovering runs."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.events import RunEnded, RunQueued, RunTakenOver
from registry.domain.names import did_you_mean
from registry.domain.references import Ref
from registry.domain.targets import criteria_digest
from registry.errors import AlreadyExists, BadConfig, BadInput, NotFound, RunFailed, WrongStage
from registry.extension.discovery import AnyPlugin, check_requirements, load_plugin, read_config
from registry.extension.inputs import (
    ColumnRoles,
    DatasetInput,
    DeploymentInput,
    EvidenceInput,
    ModelInput,
    RunSpec,
)
from registry.runner.folder import RunFolder, Ticket
from registry.runner.launcher import launcher
from registry.runner.lease import OPEN, held, put_lease
from registry.runner.processes import ProcessId
from registry.runner.supervisor import start_supervisor
from registry.storage import find
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.dossiers import as_json, targets_of
from registry.storage.home import Home
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import (
    Artifact,
    DatasetVersion,
    Deployment,
    EvidenceRow,
    Run,
    RunInput,
    RunLease,
    TransitionRow,
    Version,
)
from registry.storage.tables.base import now
from registry.usecases.deployments import deployment_input

# Work that changes a version, so that the lifecycle says when it may be done.
_CHANGING = ("train", "deploy", "retire")
_QUOTA = 20 << 30


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is run.

    Attributes:
        seed: For every random choice of the plugin.
        device: `cpu`, or a torch device name.
        max_seconds: Time limit, 0 for none.
        max_bytes: Most that the run folder may hold.
    """

    engine: str = "local"
    seed: int = 0
    device: str = "cpu"
    max_seconds: float = 0.0
    max_bytes: int = _QUOTA


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a run is about and what it reads, resolved and laid out on disk."""

    about: str
    version_id: int | None
    dataset_version_id: int | None
    criteria: str
    dataset: DatasetInput | None
    model: ModelInput | None
    data: dict[str, DatasetInput]
    evidence: dict[str, EvidenceInput]
    deployments: tuple[DeploymentInput, ...]


def start_run(
    database: Database,
    store: ArtifactStore,
    home: Home,
    actor: str,
    name: str,
    ref: Ref,
    *,
    data: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    options: RunOptions | None = None,
) -> int:
    """Start a plugin on a dataset or model version, and return the run's number at once.

    Everything that can be wrong with the request is found before anything is started.

    Raises:
        NotFound: No such plugin, version or engine.
        MissingExtra: The plugin's packages are not installed.
        BadConfig: An option that it has not, or of the wrong type; data that it needs is not named.
        WrongStage: The lifecycle does not allow this work now.
        IntegrityViolated: An input is not what its digest says.
        AlreadyExists: The home holds runs of another database.
        RunFailed: The home cannot be written, or no process started.
    """
    options = options or RunOptions()
    plugin = load_plugin(name)
    check_requirements(plugin)
    checked = read_config(plugin, dict(config or {}))
    launcher(options.engine)
    with database.read() as session:
        inputs = _resolve(session, store, home, plugin, ref, dict(data or {}))
    values = checked.model_dump(mode="json", exclude_unset=True)
    with database.write(actor) as work:
        run = Run(
            plugin=name,
            plugin_version=plugin.version,
            kind=plugin.kind,
            version_id=inputs.version_id,
            dataset_version_id=inputs.dataset_version_id,
            config=values,
            seed=options.seed,
            engine=options.engine,
            environment=_environment(plugin),
            criteria_digest=inputs.criteria,
            state="queued",
            reason="",
            token=1,
            metrics_digest="",
            created_at=work.at,
            created_by=work.actor.id,
        )
        work.session.add(run)
        work.session.flush()
        for role, reference, digest in _read_by(inputs):
            work.session.add(RunInput(run_id=run.id, role=role, ref=reference, digest=digest))
        put_lease(work.session.connection(), run.id, run.token, ProcessId.of())
        work.record(RunQueued(f"run:{run.id}", name, inputs.about, values, options.seed, inputs.criteria))
        number = run.id
        folder = RunFolder(home.runs / str(number))
        if folder.path.exists():
            raise AlreadyExists(
                f"run {number} would write to {folder.path}, which a run of another database has left there",
                hint=f"move {home.runs} away, or give each database a --home of its own",
            )
    try:
        folder.prepare(
            _spec(number, name, plugin, home, inputs, values, options), _ticket(number, plugin, home, options)
        )
        _hand_over(database, folder, number, 1)
    except BaseException as cause:
        # Nobody waits for it any more: it must neither stay queued nor begin by itself later.
        if folder.path.exists():
            folder.ask_to_cancel()
        _mark_lost(database, actor, number, f"it was never started: {str(cause) or type(cause).__name__}")
        if isinstance(cause, OSError):
            raise RunFailed(f"run {number} cannot be started: {cause}", hint="phasegate doctor") from cause
        raise
    return number


def cancel_run(database: Database, home: Home, number: int) -> None:
    """Ask a run to stop; its supervisor ends it within seconds.

    Raises:
        NotFound: No such run.
        BadInput: It has ended.
    """
    with database.read() as session:
        run = find.run(session, number)
        if run.state in _ENDED:
            raise BadInput(f"run {number} is not running: it {_ENDED[run.state]}")
        attended = held(session, number)
    if attended or RunFolder(home.runs / str(number)).prepared:
        open_folder(home, number).ask_to_cancel()
    recover_runs(database, home)


def resume_run(database: Database, home: Home, actor: str, number: int) -> None:
    """Start a lost run again, from its last verified checkpoint if it made one.

    Raises:
        NotFound: No such run, or its folder is not on this machine.
        BadInput: It is not lost, or never began.
    """
    with database.read() as session:
        _check_lost(find.run(session, number))
    folder = open_folder(home, number)
    if not folder.prepared:
        raise BadInput(f"run {number} never began", hint="start it anew: phasegate run PLUGIN REF")
    folder.take_back_cancel()
    _take_over(database, folder, actor, number, resume=True)


def recover_runs(database: Database, home: Home) -> list[int]:
    """Find runs that nobody looks after any more, and give each a new supervisor.

    It adopts the plugin's process if that is alive, records the end if that left word,
    resumes from a verified checkpoint, or marks the run lost. Returns the runs concerned.
    """
    with database.read() as session:
        rows = session.execute(select(Run.id, Run.created_by).where(Run.state.in_(OPEN)))
        names = find.actor_names(session)
        unattended = {number: names[actor] for number, actor in rows if not held(session, number)}
    concerned = []
    for number, actor in unattended.items():
        folder = RunFolder(home.runs / str(number))
        if folder.prepared:
            taken = _take_over(database, folder, actor, number, resume=False)
        else:
            reason = "it was never started: the command that asked for it was killed"
            taken = _mark_lost(database, actor, number, reason)
        if taken:
            concerned.append(number)
    for number in concerned:
        _settle(database, RunFolder(home.runs / str(number)), number)
    return concerned


_ENDED = {
    "succeeded": "has succeeded",
    "failed": "has failed",
    "cancelled": "was cancelled",
    "lost": "was lost",
}


def _check_lost(run: Run) -> None:
    if run.state != "lost":
        raise BadInput(f"run {run.id} is {run.state}: only a lost run can be resumed")


def _take_over(database: Database, folder: RunFolder, actor: str, number: int, *, resume: bool) -> bool:
    """Give a run a new supervisor; False if it has ended or found another one by now."""
    with database.write(actor) as work:
        run = find.run(work.session, number, lock=True)
        if resume:
            _check_lost(run)
            # How it ended stands in the ledger; it has not ended any more.
            run.state, run.reason, run.ended_at, run.metrics_digest = "queued", "", None, ""
        elif run.state not in OPEN or held(work.session, number):
            return False
        run.token += 1
        token = run.token
        put_lease(work.session.connection(), number, token, ProcessId.of())
        work.record(RunTakenOver(f"run:{number}", token))
    folder.write_ticket(replace(folder.ticket, token=token, resume=resume))
    _hand_over(database, folder, number, token)
    return True


def _hand_over(database: Database, folder: RunFolder, number: int, token: int) -> None:
    supervisor = start_supervisor(folder, token, database.url.render_as_string(hide_password=False))
    with database.ungoverned() as connection:
        current = connection.scalar(select(RunLease.token).where(RunLease.run_id == number))
        if current == token:
            put_lease(connection, number, token, supervisor)


def _mark_lost(database: Database, actor: str, number: int, reason: str) -> bool:
    """Write that a run was never started; False if it was."""
    with database.write(actor) as work:
        run = find.run(work.session, number, lock=True)
        if run.state != "queued":
            return False
        run.state = "lost"
        run.reason = reason
        run.ended_at = work.at
        work.record(RunEnded(f"run:{number}", run.state, run.reason, {}, run.metrics_digest))
    return True


def _settle(database: Database, folder: RunFolder, number: int, seconds: float = 10.0) -> None:
    """Give a new supervisor a moment to say what became of the run."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with database.read() as session:
            if find.run(session, number).state not in OPEN:
                return
        child = folder.child
        if child is not None and child.alive:
            return
        time.sleep(0.1)


def _resolve(
    session: Session, store: ArtifactStore, home: Home, plugin: AnyPlugin, ref: Ref, data: dict[str, str]
) -> _Inputs:
    if plugin.subject == "dataset":
        if data:
            raise BadInput(f"{plugin.name} works on one dataset: --data does not apply")
        row = find.dataset(session, ref)
        return _Inputs(
            about=f"dataset:{ref}",
            version_id=None,
            dataset_version_id=row.id,
            criteria="",
            dataset=_dataset(session, store, row, "subject"),
            model=None,
            data={},
            evidence=_evidence(session, store, plugin, row.digest),
            deployments=(),
        )
    version = find.version(session, ref)
    if plugin.kind in _CHANGING:
        current_lifecycle(session).check_work(plugin.kind, version.stage, str(ref))
    if plugin.needs_artifact and version.artifact_digest is None:
        raise WrongStage(f"{ref} has no artifact yet", hint=f"phasegate run train-classifier {ref}")
    rows = find.data_of(session, version.id)
    rows.update({role: find.dataset(session, Ref.parse(text)) for role, text in data.items()})
    for role in plugin.roles:
        if role not in rows:
            raise BadConfig(
                f"{plugin.name} needs {role} data and {ref} names none",
                hint=f"--data {role}=DATASET/N"
                + (f" ({near})" if (near := did_you_mean(role, rows)) else ""),
            )
    deployments = session.scalars(
        select(Deployment).where(Deployment.version_id == version.id, Deployment.state == "active")
    )
    return _Inputs(
        about=f"model:{ref}",
        version_id=version.id,
        dataset_version_id=None,
        criteria=criteria_digest(targets_of(version)),
        dataset=None,
        model=_model(session, store, version),
        data={role: _dataset(session, store, row, role) for role, row in rows.items()},
        evidence=_evidence(session, store, plugin, version.artifact_digest or version.digest),
        deployments=tuple(deployment_input(row, home) for row in deployments),
    )


def _dataset(session: Session, store: ArtifactStore, row: DatasetVersion, role: str) -> DatasetInput:
    return DatasetInput(
        ref=find.ref_of(row),
        role=role,
        digest=row.digest,
        path=_fetch(session, store, row.digest),
        rows=row.rows,
        columns=ColumnRoles.model_validate(row.columns),
    )


def _model(session: Session, store: ArtifactStore, version: Version) -> ModelInput:
    names = find.actor_names(session)
    moves = session.scalars(
        select(TransitionRow).where(TransitionRow.version_id == version.id).order_by(TransitionRow.id)
    )
    return ModelInput(
        ref=find.ref_of(version),
        stage=version.stage,
        digest=version.digest,
        artifact=_fetch(session, store, version.artifact_digest) if version.artifact_digest else None,
        artifact_digest=version.artifact_digest or "",
        plan=version.plan,
        design=version.design,
        targets=tuple(as_json(target) for target in targets_of(version)),
        history=tuple(
            {
                "from": move.from_stage,
                "to": move.to_stage,
                "at": move.created_at.isoformat(),
                "actor": names[move.created_by],
            }
            for move in moves
        ),
    )


def _evidence(
    session: Session, store: ArtifactStore, plugin: AnyPlugin, digest: str
) -> dict[str, EvidenceInput]:
    found: dict[str, EvidenceInput] = {}
    rows = session.scalars(
        select(EvidenceRow)
        .where(EvidenceRow.subject == digest, EvidenceRow.kind.in_(plugin.reads_evidence))
        .order_by(EvidenceRow.id)
    )
    for row in rows:
        if row.valid_until is None or row.valid_until > now():
            found[row.kind] = EvidenceInput(
                kind=row.kind,
                run=str(row.run_id),
                status=row.status,
                metrics=row.metrics,
                facts=row.facts,
                path=_fetch(session, store, row.files_digest) if row.files_digest else None,
            )
    return found


def _fetch(session: Session, store: ArtifactStore, digest: str) -> Path:
    return store.fetch(digest, session.get_one(Artifact, digest).manifest)


def _read_by(inputs: _Inputs) -> list[tuple[str, str, str]]:
    """What a run reads: role, reference, digest."""
    read = [(role, data.ref, data.digest) for role, data in inputs.data.items()]
    if inputs.dataset is not None:
        read.append(("subject", inputs.dataset.ref, inputs.dataset.digest))
    if inputs.model is not None and inputs.model.artifact_digest:
        read.append(("artifact", inputs.model.ref, inputs.model.artifact_digest))
    return read


def _spec(
    number: int,
    name: str,
    plugin: AnyPlugin,
    home: Home,
    inputs: _Inputs,
    values: dict[str, Any],
    options: RunOptions,
) -> RunSpec:
    keep = home.deployments / str(number) if plugin.kind == "deploy" else None
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    return RunSpec(
        run=str(number),
        plugin=name,
        subject=inputs.about.partition(":")[2],
        config=values,
        seed=options.seed,
        device=options.device,
        dataset=inputs.dataset,
        data=inputs.data,
        model=inputs.model,
        evidence=inputs.evidence,
        deployments=inputs.deployments,
        keep=keep,
    )


def _ticket(number: int, plugin: AnyPlugin, home: Home, options: RunOptions) -> Ticket:
    return Ticket(
        run=number,
        token=1,
        engine=options.engine,
        evidence=plugin.evidence,
        valid_days=plugin.valid_days,
        home=str(home.root),
        artifacts=home.artifacts,
        max_seconds=options.max_seconds,
        max_bytes=options.max_bytes,
    )


def _environment(plugin: AnyPlugin) -> dict[str, Any]:
    """What the run runs on: enough to build it again."""
    packages = {}
    for name in ("phasegate", *plugin.requires):
        try:
            packages[name] = installed_version(name.replace("_", "-"))
        except PackageNotFoundError:
            packages[name] = "unknown"
    return {"python": sys.version.split()[0], "platform": platform.platform(), "packages": packages}


def open_folder(home: Home, number: int) -> RunFolder:
    """The folder of a run.

    Raises:
        NotFound: It is not on this machine.
    """
    folder = RunFolder(home.runs / str(number))
    if not folder.path.exists():
        raise NotFound(f"the folder of run {number} is not in {home.runs}")
    return folder
