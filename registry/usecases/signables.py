"""What can be signed of a version as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.evidence import EvidenceFacts
from registry.domain.references import Ref
from registry.errors import NotFound
from registry.storage import find
from registry.storage.dossiers import find_evidence
from registry.storage.envelopes import ARTIFACT, Signable, signable_rows
from registry.storage.tables import (
    ActorRow,
    ApprovalRow,
    DatasetVersion,
    DecisionRow,
    Run,
    RunOutput,
    Version,
)
from registry.storage.tables.base import now


@dataclass(frozen=True, slots=True)
class Pending:
    """Something to be signed: a row, what it is called, and whose history tells of it."""

    signable: Signable
    name: str
    subject: str


def current_signables(session: Session, version: Version, ref: Ref, approver: str) -> Iterator[Pending]:
    """Everything that can be signed of a version as it is now."""
    data = find.data_of(session, version.id)
    current = current_evidence(session, version, data)
    names: dict[str, tuple[str, str]] = {}
    own = (str(ref), f"model:{ref}")
    if version.artifact_digest:
        runs = select(RunOutput.run_id).join(Run, Run.id == RunOutput.run_id)
        for number in session.scalars(
            runs.where(
                RunOutput.name == ARTIFACT,
                RunOutput.digest == version.artifact_digest,
                Run.version_id == version.id,
            ).order_by(RunOutput.run_id)
        ):
            names[f"runs:{number}"] = own
        names[f"artifacts:{version.artifact_digest}"] = own
    for facts in current.get(version.artifact_digest or version.digest, {}).values():
        names[f"evidence:{facts.id}"] = own
    for row in data.values():
        for facts in current.get(row.digest, {}).values():
            names.setdefault(f"evidence:{facts.id}", (find.ref_of(row), f"dataset:{find.ref_of(row)}"))
    given = select(ApprovalRow.id).join(ActorRow, ActorRow.id == ApprovalRow.created_by)
    for number in session.scalars(
        given.where(
            ApprovalRow.version_id == version.id,
            ApprovalRow.digest == version.digest,
            ActorRow.name == approver,
        ).order_by(ApprovalRow.id)
    ):
        names[f"approvals:{number}"] = own
    rows = signable_rows(session, names)
    for name, (called, subject) in names.items():
        yield Pending(rows[name], called, subject)


def signable_decision(session: Session, version: Version, ref: Ref, number: int) -> Pending:
    row = session.get(DecisionRow, number)
    if row is None or row.version_id != version.id:
        raise NotFound(
            f"there is no decision {number} about {ref}", hint=f"phasegate model show {ref} --json lists them"
        )
    name = f"decisions:{number}"
    return Pending(signable_rows(session, [name])[name], str(ref), f"model:{ref}")


def current_evidence(
    session: Session, version: Version, data: dict[str, DatasetVersion]
) -> dict[str, dict[str, EvidenceFacts]]:
    about = version.artifact_digest or version.digest
    found = find_evidence(session.connection(), version.id, about, data, now())
    return {digest: dict(kinds) for digest, kinds in found.current.items()}
