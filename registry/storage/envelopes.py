"""Stored envelopes, held against the rows that they are about and the keys that are known."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.digests import digest_of
from registry.errors import BadInput
from registry.signing.keys import PublicKey
from registry.signing.slsa import PROVENANCE, SUMMARY
from registry.signing.statements import APPROVAL, EVIDENCE, RowRef
from registry.signing.verify import MODEL_SIGNATURE, Claim, problem_of
from registry.storage.tables import (
    ActorRow,
    ApprovalRow,
    Artifact,
    Base,
    DecisionRow,
    EnvelopeRow,
    EvidenceRow,
    Run,
    RunOutput,
    TrustedKeyRow,
)
from registry.storage.tables.base import row_key, row_values

ARTIFACT, PROVENANCE_OF_RUN, DECISION = "artifact", "provenance", "decision"
# What an approval or a rejection is signed as.
VERDICTS: Mapping[str, str] = {"approved": "approval", "rejected": "rejection"}

# Known already: SHA-256 of a row's values as Python writes them -> their digest.
_digests: dict[bytes, str] = {}
_MOST_DIGESTS = 10_000

_TABLES: Mapping[str, type[Base]] = {
    table.__tablename__: table for table in (Artifact, Run, EvidenceRow, ApprovalRow, DecisionRow)
}


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key of somebody, and whether it is trusted now."""

    key: PublicKey
    owner: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class Signable:
    """A row that statements can be about.

    Attributes:
        about: `artifact`, `provenance`, `decision`, `approval`, `rejection`, or the kind of evidence.
        claim: What a statement must say to be about the row as it is now.
        only: Whose signature alone means anything; empty if anybody's does.
    """

    row: Base
    about: str
    claim: Claim
    only: str = ""


@dataclass(frozen=True, slots=True)
class CheckedEnvelope:
    """A stored envelope, and what became of checking it.

    Attributes:
        signed: The row that it is about; None if there is no such row.
        signer: Owner of its key; empty if nobody here knows the key.
        trusted: Whether the key is trusted now.
        problem: Why it does not count; empty if it is valid.
    """

    stored: EnvelopeRow
    signed: Signable | None
    signer: str
    trusted: bool
    problem: str


def known_keys(session: Session, keyids: Collection[str]) -> dict[str, KnownKey]:
    """Of some keys, those that are known, by id; those that were distrusted, too."""
    query = (
        select(
            TrustedKeyRow.keyid,
            TrustedKeyRow.scheme,
            TrustedKeyRow.public,
            TrustedKeyRow.ended_at,
            ActorRow.name,
        )
        .join(ActorRow, ActorRow.id == TrustedKeyRow.owner_id)
        .where(TrustedKeyRow.keyid.in_(keyids))
        .order_by(TrustedKeyRow.id)
    )
    return {
        row.keyid: KnownKey(PublicKey(row.scheme, row.public), row.name, row.ended_at is None)
        for row in session.execute(query)
    }


def check_envelopes(session: Session, stored: Collection[EnvelopeRow]) -> list[CheckedEnvelope]:
    """Hold envelopes against their rows and keys as they are now."""
    if not stored:
        return []
    rows = signable_rows(session, {envelope.row for envelope in stored})
    keys = known_keys(session, {envelope.keyid for envelope in stored})
    return [_check(envelope, rows.get(envelope.row), keys.get(envelope.keyid)) for envelope in stored]


def _check(stored: EnvelopeRow, signed: Signable | None, known: KnownKey | None) -> CheckedEnvelope:
    if known is None:
        return CheckedEnvelope(stored, signed, "", False, "nobody here knows the key")
    if signed is None:
        problem = f"there is no row {stored.row}"
    elif known.key.keyid != stored.keyid:
        problem = "the key is not the one that its id names"
    elif stored.subject not in signed.claim.subjects:
        problem = "it is about another digest"
    elif signed.only and signed.only != known.owner:
        problem = f"{signed.only} gave it, and {known.owner} signed it"
    else:
        problem = problem_of(stored.envelope, known.key, signed.claim)
    return CheckedEnvelope(stored, signed, known.owner, known.trusted, problem)


def signable_rows(session: Session, names: Iterable[str]) -> dict[str, Signable]:
    """Rows by the name that the ledger gives them, with what a statement must say of each."""
    wanted: dict[str, list[Any]] = defaultdict(list)
    for name in names:
        table, _, key = name.partition(":")
        if table == Artifact.__tablename__:
            wanted[table].append(key)
        elif table in _TABLES and key.isdecimal() and len(key) < 10:
            wanted[table].append(int(key))
    found: dict[str, Signable] = {}
    for table, keys in wanted.items():
        found |= _READERS[table](session, keys)
    return found


def _artifacts(session: Session, digests: list[str]) -> dict[str, Signable]:
    rows = session.scalars(select(Artifact).where(Artifact.digest.in_(digests)))
    return {
        row_key(row): Signable(
            row, ARTIFACT, Claim(ref_to(row), (row.digest,), MODEL_SIGNATURE, manifest=row.manifest)
        )
        for row in rows
    }


def _runs(session: Session, numbers: list[int]) -> dict[str, Signable]:
    made: dict[int, list[str]] = defaultdict(list)
    outputs = select(RunOutput.run_id, RunOutput.digest).where(
        RunOutput.run_id.in_(numbers), RunOutput.name == ARTIFACT
    )
    for number, digest in session.execute(outputs):
        made[number].append(digest)
    rows = session.scalars(select(Run).where(Run.id.in_(numbers)))
    return {
        row_key(row): Signable(row, PROVENANCE_OF_RUN, Claim(ref_to(row), tuple(made[row.id]), PROVENANCE))
        for row in rows
    }


def _evidence(session: Session, numbers: list[int]) -> dict[str, Signable]:
    rows = session.scalars(select(EvidenceRow).where(EvidenceRow.id.in_(numbers)))
    return {
        row_key(row): Signable(row, row.kind, Claim(ref_to(row), (row.subject,), EVIDENCE)) for row in rows
    }


def _approvals(session: Session, numbers: list[int]) -> dict[str, Signable]:
    rows = session.execute(
        select(ApprovalRow, ActorRow.name)
        .join(ActorRow, ActorRow.id == ApprovalRow.created_by)
        .where(ApprovalRow.id.in_(numbers))
    )
    return {
        row_key(row): Signable(
            row,
            VERDICTS.get(row.verdict, row.verdict),
            Claim(ref_to(row), (row.digest,), APPROVAL),
            only=name,
        )
        for row, name in rows
    }


def _decisions(session: Session, numbers: list[int]) -> dict[str, Signable]:
    rows = session.scalars(select(DecisionRow).where(DecisionRow.id.in_(numbers)))
    return {
        row_key(row): Signable(row, DECISION, Claim(ref_to(row), (judged_digest(row),), SUMMARY))
        for row in rows
    }


def judged_digest(row: DecisionRow) -> str:
    """What a decision was about: the artifact that the version had then, else the version itself."""
    return str(row.dossier["subject"]["artifact"] or row.digest)


def ref_to(row: Base) -> RowRef:
    """A row by name and digest; without a digest if it holds what could not have been recorded."""
    try:
        return RowRef(row_key(row), _digest(json.dumps(row_values(row))))
    except BadInput:
        return RowRef(row_key(row), "")


def _digest(text: str) -> str:
    """Digest of a row's values: a gate sees the same evidence again and again, and canonical JSON is slow."""
    key = sha256(text.encode()).digest()
    found = _digests.get(key)
    if found is None:
        if len(_digests) >= _MOST_DIGESTS:
            _digests.clear()
        found = _digests[key] = digest_of(json.loads(text))
    return found


_READERS: Mapping[str, Callable[[Session, list[Any]], dict[str, Signable]]] = {
    Artifact.__tablename__: _artifacts,
    Run.__tablename__: _runs,
    EvidenceRow.__tablename__: _evidence,
    ApprovalRow.__tablename__: _approvals,
    DecisionRow.__tablename__: _decisions,
}
