"""Signatures that say something about what a version is now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from registry.domain.dossier import SignatureFacts
from registry.domain.evidence import EvidenceFacts
from registry.storage.envelopes import CheckedEnvelope, Signable, check_envelopes
from registry.storage.tables import ApprovalRow, Artifact, DatasetVersion, EnvelopeRow, Run, Version

_ENVELOPES = (
    select(EnvelopeRow)
    .where(EnvelopeRow.subject.in_(bindparam("subjects", expanding=True)))
    .order_by(EnvelopeRow.id)
)
Judged = Mapping[str, Mapping[str, EvidenceFacts]]


def find_signatures(
    session: Session, version: Version, to: str, data: Mapping[str, DatasetVersion], current: Judged
) -> tuple[SignatureFacts, ...]:
    """Every signature over the artifact, its provenance, current evidence, and approvals of this step.

    What was signed about an older artifact, or about evidence that does not count, is left out.

    Args:
        session: The open transaction.
        version: As it is now.
        to: The stage, or `@alias`, that approvals must be for.
        data: Its data by role.
        current: Evidence that counts, by digest and kind.
    """
    return tuple(
        SignatureFacts(
            about=about,
            signer=found.signer,
            keyid=found.stored.keyid,
            valid=not found.problem,
            trusted=found.trusted,
        )
        for about, found in current_signatures(session, version, data, current)
        if not _of_another_step(found, to)
    )


def current_signatures(
    session: Session, version: Version, data: Mapping[str, DatasetVersion], current: Judged
) -> Iterator[tuple[str, CheckedEnvelope]]:
    """Stored signatures over what a version is now, oldest first, and what each is about in its eyes.

    Evidence about data is named by its role, too: `train:check.pii`.
    """
    own = version.artifact_digest or version.digest
    subjects = {own, version.digest, *(row.digest for row in data.values())}
    stored = list(session.scalars(_ENVELOPES, {"subjects": sorted(subjects)}))
    if not stored:
        return
    places: dict[str, list[str]] = defaultdict(list)
    for kind, facts in current.get(own, {}).items():
        places[f"evidence:{facts.id}"].append(kind)
    for role, row in data.items():
        for kind, facts in current.get(row.digest, {}).items():
            places[f"evidence:{facts.id}"].append(f"{role}:{kind}")
    # What cannot count needs no checking: evidence that newer evidence replaced, decisions of the past.
    stored = [
        each for each in stored if each.row in places or not each.row.startswith(("evidence:", "decisions:"))
    ]
    for found in check_envelopes(session, stored):
        names = places.get(found.stored.row, [])
        if found.signed is not None and _is_of(found.signed, version):
            names = [found.signed.about]
        for about in names:
            yield about, found


def _is_of(signed: Signable, version: Version) -> bool:
    """Whether a row other than evidence is about a version as it is now."""
    match signed.row:
        case Artifact() as artifact:
            return artifact.digest == version.artifact_digest
        case Run() as run:
            return run.version_id == version.id and version.artifact_digest in signed.claim.subjects
        case ApprovalRow() as approval:
            return approval.version_id == version.id and approval.digest == version.digest
    return False


def _of_another_step(found: CheckedEnvelope, to: str) -> bool:
    row = found.signed.row if found.signed else None
    return isinstance(row, ApprovalRow) and row.to_stage != to
