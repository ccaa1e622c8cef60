"""What a run is about and what it reads: resolved, verified, and laid out on disk before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.names import did_you_mean
from registry.domain.references import Ref
from registry.domain.targets import criteria_digest
from registry.errors import BadConfig, BadInput, IntegrityViolated, WrongStage
from registry.extension.discovery import AnyPlugin
from registry.extension.inputs import (
    BaseInput,
    ColumnRoles,
    DatasetInput,
    DeploymentInput,
    EvidenceInput,
    ModelInput,
    OriginInput,
)
from registry.storage import find
from registry.storage.artifacts import ArtifactStore
from registry.storage.dossiers import as_json, find_descendants, targets_of
from registry.storage.home import Home
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import (
    Artifact,
    DatasetVersion,
    Deployment,
    EvidenceRow,
    Model,
    Run,
    RunInput,
    TransitionRow,
    Version,
)
from registry.storage.tables.base import now
from registry.usecases.bases import ROLE, Base, resolve_base
from registry.usecases.deployments import deployment_input

# Work that changes a version, so that the lifecycle says when it may be done.
_CHANGING = ("design", "train", "deploy", "retire")


@dataclass(frozen=True, slots=True)
class RunInputs:
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
    base: Base | None = None

    def read(self) -> list[tuple[str, str, str]]:
        """What the run reads: role, reference, digest."""
        found = [(role, data.ref, data.digest) for role, data in self.data.items()]
        if self.dataset is not None:
            found.append(("subject", self.dataset.ref, self.dataset.digest))
        if self.model is not None and self.model.artifact_digest:
            found.append(("artifact", self.model.ref, self.model.artifact_digest))
        if self.base is not None:
            found.append((ROLE, self.base.given.ref, self.base.given.digest))
        return found


def resolve_inputs(
    session: Session,
    store: ArtifactStore,
    home: Home,
    plugin: AnyPlugin,
    ref: Ref,
    data: dict[str, str],
    base: str = "",
    *,
    replays: bool = False,
) -> RunInputs:
    """Everything that a run reads, verified.

    Args:
        session: A reading transaction.
        store: Where the files are.
        home: Where deployments are kept.
        plugin: What is to be run.
        ref: What it is to be run on.
        data: Datasets by role, beside and before those that the version names.
        base: What a training begins with; empty from scratch.
        replays: Whether it mixes in old data: the base's own, unless a role `replay` is named.
    """
    for role in (ROLE, "artifact"):
        if role in data:
            raise BadInput(f"--data {role}=...: a run reads something else by that name", hint="rename it")
    if plugin.subject == "dataset":
        if data and not plugin.other_data:
            raise BadInput(f"{plugin.name} works on one dataset: --data does not apply")
        if "subject" in data:
            raise BadInput(f"--data subject=...: the subject is {ref}", hint="name the role another way")
        if base:
            raise BadInput(f"{plugin.name} works on a dataset: --base does not apply")
        row = find.dataset(session, ref)
        others = {role: find.dataset(session, Ref.parse(text)) for role, text in data.items()}
        return RunInputs(
            about=f"dataset:{ref}",
            version_id=None,
            dataset_version_id=row.id,
            criteria="",
            dataset=_dataset(session, store, row, "subject"),
            model=None,
            data={role: _dataset(session, store, other, role) for role, other in others.items()},
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
    begun = resolve_base(session, store, plugin, base) if base else None
    if replays and begun is not None and begun.train is not None:
        rows.setdefault("replay", begun.train)
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
    return RunInputs(
        about=f"model:{ref}",
        version_id=version.id,
        dataset_version_id=None,
        criteria=criteria_digest(targets_of(version)),
        dataset=None,
        model=_model(session, store, version),
        data={role: _dataset(session, store, row, role) for role, row in rows.items()},
        evidence=_evidence(session, store, plugin, version.artifact_digest or version.digest),
        deployments=tuple(deployment_input(row, home) for row in deployments),
        base=begun,
    )


def _dataset(session: Session, store: ArtifactStore, row: DatasetVersion, role: str) -> DatasetInput:
    return DatasetInput(
        ref=find.ref_of(row),
        role=role,
        digest=row.digest,
        path=_fetch(session, store, row.digest),
        rows=row.rows,
        columns=ColumnRoles.model_validate(row.columns),
        lineage=tuple(
            OriginInput(ref=find.ref_of(each), digest=each.digest, licence=each.licence, source=each.source)
            for each in (row, *(old for old in find.ancestry(session, [row]) if old.id != row.id))
        ),
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
        descendants=find_descendants(
            session.connection(), version, last=current_lifecycle(session).stages[-1]
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


@dataclass(frozen=True, slots=True)
class RecordedInputs:
    """What a training read, laid out on disk again."""

    model: ModelInput
    data: dict[str, DatasetInput]
    base: BaseInput | None


def recorded_inputs(session: Session, store: ArtifactStore, run: Run) -> RecordedInputs:
    """The data, the base and the design that a run on a version read, by their digests, verified.

    Raises:
        IntegrityViolated: Something is not what it was, or is gone.
    """
    named = select(Model.name, Version.number).join(Model, Model.id == Version.model_id)
    version = find.version(session, Ref(*session.execute(named.where(Version.id == run.version_id)).one()))
    data, base = {}, None
    for row in session.scalars(select(RunInput).where(RunInput.run_id == run.id).order_by(RunInput.role)):
        if row.role == "base":
            base = BaseInput(ref=row.ref, digest=row.digest, path=_fetch(session, store, row.digest))
        elif row.role != "artifact":
            dataset = find.dataset(session, Ref.parse(row.ref))
            if dataset.digest != row.digest:
                raise IntegrityViolated(f"{row.ref} is not what run {run.id} read as its {row.role} data")
            data[row.role] = _dataset(session, store, dataset, row.role)
    model = ModelInput(
        ref=find.ref_of(version),
        stage=version.stage,
        digest=version.digest,
        artifact=None,
        artifact_digest="",
        plan=version.plan,
        design=run.environment.get("design", version.design),
        targets=(),
    )
    return RecordedInputs(model, data, base)
