"""From rows to statements: what is said of a digest, in the words of in-toto and SLSA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.errors import IntegrityViolated
from registry.signing import predicates, slsa
from registry.signing.statements import Statement, uri
from registry.storage import find
from registry.storage.artifacts import ArtifactStore
from registry.storage.envelopes import Signable, ref_to
from registry.storage.tables import (
    ApprovalRow,
    Artifact,
    Base,
    DecisionRow,
    EnvelopeRow,
    EvidenceRow,
    Run,
    RunInput,
)

if TYPE_CHECKING:
    from pathlib import Path


def payload_of(session: Session, store: ArtifactStore, signable: Signable, name: str) -> bytes:
    """The statement about a row, as bytes to be signed.

    Args:
        session: One reading transaction.
        store: Where an artifact's files are; every byte of it is verified.
        signable: The row.
        name: Of what the statement is about, for people: `loans/1`.
    """
    if isinstance(signable.row, Artifact):
        return _model_signing(store, signable.row)
    predicate = _PREDICATES[type(signable.row)](session, signable.row, name)
    claim = signable.claim
    return Statement.about(name, claim.subjects[0], claim.predicate_type, predicate, claim.row).payload()


def _model_signing(store: ArtifactStore, row: Artifact) -> bytes:
    """The statement that model-signing makes of an artifact's folder."""
    from google.protobuf import json_format
    from model_signing import hashing
    from model_signing._signing.signing import Payload

    folder: Path = store.fetch(row.digest, row.manifest)
    # Every file counts: model-signing leaves out git's unless told otherwise.
    manifest = hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False).hash(folder)
    seen = {each.identifier: f"sha256:{each.digest.digest_hex}" for each in manifest.resource_descriptors()}
    if seen != row.manifest:
        raise IntegrityViolated(f"model-signing sees other files than {row.digest} has")
    return json_format.MessageToJson(Payload(manifest).statement.pb).encode()


def _evidence(session: Session, row: Any, name: str) -> dict[str, Any]:
    return predicates.evidence(
        kind=row.kind,
        status=row.status,
        reason=row.reason,
        coverage=row.coverage,
        metrics=row.metrics,
        facts=row.facts,
        producer=row.producer,
        run=row.run_id,
        criteria_digest=row.criteria_digest,
        at=row.created_at,
        valid_until=row.valid_until,
        files_digest=row.files_digest,
    )


def _approval(session: Session, row: Any, name: str) -> dict[str, Any]:
    names = find.actor_names(session)
    return predicates.approval(
        ref=name,
        verdict=row.verdict,
        to=row.to_stage,
        approver=names[row.created_by],
        on_behalf_of=names[row.on_behalf_of] if row.on_behalf_of else "",
        reason=row.reason,
        at=row.created_at,
        basis=row.basis or {},
    )


def _run(session: Session, row: Any, name: str) -> dict[str, Any]:
    inputs = session.scalars(select(RunInput).where(RunInput.run_id == row.id).order_by(RunInput.role))
    # Its own evidence comes first: a replay of it makes more.
    told = session.scalar(
        select(EvidenceRow).where(EvidenceRow.run_id == row.id).order_by(EvidenceRow.id).limit(1)
    )
    files = session.get(Artifact, told.files_digest) if told is not None and told.files_digest else None
    return slsa.provenance(
        run=row.id,
        plugin=row.plugin,
        plugin_version=row.plugin_version,
        config=row.config,
        seed=row.seed,
        kind=row.kind,
        engine=row.engine,
        processes=row.processes,
        engine_options=row.engine_options,
        environment=row.environment,
        criteria_digest=row.criteria_digest,
        metrics_digest=row.metrics_digest,
        inputs=[(each.role, each.ref, each.digest) for each in inputs],
        told=told.facts if told is not None else None,
        files=files.manifest if files is not None else None,
        started=row.started_at,
        finished=row.ended_at,
    )


def _decision(session: Session, row: Any, name: str) -> dict[str, Any]:
    return slsa.verification_summary(
        ref=name,
        decision=row.id,
        origin=row.from_stage,
        to=row.to_stage,
        allowed=row.allowed,
        at=row.created_at,
        release=installed_version("phasegate"),
        policies=[(result["rule"].partition("/")[0], result["policy"]) for result in row.results],
        inputs=list(_seen(session, row)),
    )


def _seen(session: Session, row: DecisionRow) -> Iterator[tuple[str, str]]:
    """Evidence that a decision saw: its envelopes that were there then, else the row itself."""
    about = [row.dossier["evidence"], *(each["evidence"] for each in row.dossier["data"].values())]
    numbers = sorted({facts["id"] for kinds in about for facts in kinds.values()})
    names = [f"evidence:{number}" for number in numbers]
    signed: dict[str, list[EnvelopeRow]] = {name: [] for name in names}
    for envelope in session.scalars(
        select(EnvelopeRow)
        .where(EnvelopeRow.row.in_(names), EnvelopeRow.created_at <= row.created_at)
        .order_by(EnvelopeRow.id)
    ):
        signed[envelope.row].append(envelope)
    for number, name in zip(numbers, names, strict=True):
        for envelope in signed[name]:
            yield uri(f"envelope:{envelope.id}"), envelope.digest
        if not signed[name]:
            yield uri(name), ref_to(session.get_one(EvidenceRow, number)).digest


_PREDICATES: dict[type[Base], Callable[[Session, Any, str], dict[str, Any]]] = {
    EvidenceRow: _evidence,
    ApprovalRow: _approval,
    Run: _run,
    DecisionRow: _decision,
}
