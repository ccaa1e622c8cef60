"""Signing what a version is now, checking signatures, and giving them to others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.digests import canonical, digest_of
from registry.domain.events import StatementSigned
from registry.domain.references import Ref
from registry.errors import BadInput
from registry.files import write_atomically
from registry.signing.dsse import Envelope
from registry.storage import find
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.dossiers.signatures import current_signatures
from registry.storage.envelopes import (
    ARTIFACT,
    CheckedEnvelope,
    check_envelopes,
    known_keys,
)
from registry.storage.tables import (
    Artifact,
    DecisionRow,
    EnvelopeRow,
)
from registry.usecases.attest import payload_of
from registry.usecases.signables import Pending, current_evidence, current_signables, signable_decision
from registry.usecases.signers import StatementSigner

_BATCH = 500
# What checking raises where a forger left something of another kind.
_UNREADABLE = (AttributeError, BadInput, KeyError, TypeError, ValueError)
_UNSAFE = re.compile(r"[^A-Za-z0-9]")
_NOT_ECDSA = "model-signing verifies signatures of ECDSA keys only"


@dataclass(frozen=True, slots=True)
class SignedView:
    """A statement that was signed.

    Attributes:
        envelope: Its number; 0 if it was left unsigned.
        why_not: Why it was left unsigned; empty if it was signed.
    """

    about: str
    row: str
    name: str
    envelope: int
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class SignatureView:
    """A stored signature, checked.

    Attributes:
        about: `artifact`, `provenance`, `decision`, `approval`, the kind of evidence, `role:kind`.
        row: What was signed, as the ledger names it.
        signer: Owner of the key; empty if nobody here knows the key.
        problem: Why it does not count; empty if it is valid.
        file: Where it was exported to; empty if it was not.
    """

    envelope: int
    about: str
    row: str
    signer: str
    keyid: str
    valid: bool
    trusted: bool
    problem: str
    signed_at: datetime
    file: str = ""


def sign_version(
    database: Database,
    store: ArtifactStore,
    actor: str,
    ref: Ref,
    signer: StatementSigner,
    *,
    decision: int = 0,
) -> list[SignedView]:
    """Sign everything current of a version that a key has not signed yet, or one decision about it.

    That is the artifact, the provenance of the run that made it, current evidence about
    version and data, and the actor's own approvals. Signing happens outside of the writing
    transaction: what keeps the key may be slow. All envelopes are recorded together.

    Args:
        database: Of the registry.
        store: Where the artifact is; every byte of it is read.
        actor: Who signs.
        ref: Which version.
        signer: The key.
        decision: Sign this decision and nothing else.

    Raises:
        NotFound: No such version, or no such decision about it.
        BadInput: The key was distrusted, or cannot sign.
        IntegrityViolated: The artifact's bytes are not what they were.
    """
    keyid = signer.key.keyid
    made: list[tuple[Pending, Envelope]] = []
    left: list[SignedView] = []
    with database.read() as session:
        known = known_keys(session, [keyid]).get(keyid)
        if known is not None and not known.trusted:
            raise BadInput(f"the key {keyid[:12]} of {known.owner} is not trusted any more")
        version = find.version(session, ref)
        wanted = (
            [signable_decision(session, version, ref, decision)]
            if decision
            else list(current_signables(session, version, ref, known.owner if known else actor))
        )
        done = _signed_already(session, wanted, keyid)
        todo = [pending for pending in wanted if pending.signable.claim.row.name not in done]
        payloads = []
        for pending in todo:
            if pending.signable.about == ARTIFACT and signer.key.keytype != "ecdsa":
                left.append(_view(pending, 0, _NOT_ECDSA))
            else:
                payloads.append((pending, payload_of(session, store, pending.signable, pending.name)))
    made = [(pending, signer.sign(payload)) for pending, payload in payloads]
    if not made:
        return left
    with database.write(actor) as work:
        signed = []
        for pending, envelope in made:
            claim = pending.signable.claim
            stored = envelope.bundle(signer.key) if claim.manifest is not None else envelope.json()
            row = EnvelopeRow(
                subject=claim.subjects[0],
                about=pending.signable.about,
                row=claim.row.name,
                predicate_type=claim.predicate_type,
                keyid=keyid,
                digest=digest_of(stored),
                envelope=stored,
                created_at=work.at,
                created_by=work.actor.id,
            )
            work.session.add(row)
            work.session.flush()
            work.record(StatementSigned(pending.subject, row.about, row.row, keyid, row.digest))
            signed.append(_view(pending, row.id))
    return [*signed, *left]


def check_signatures(session: Session, ref: Ref) -> list[SignatureView]:
    """Every stored signature over what a version is now, and over decisions about it, checked.

    Raises:
        NotFound: No such version.
    """
    return [_checked(about, found) for about, found in _found(session, ref)]


def export_signatures(session: Session, ref: Ref, folder: Path) -> list[SignatureView]:
    """Write the same signatures to files, with the keys that are known: others verify them with other tools.

    `*.intoto.jsonl` hold DSSE envelopes, `model-KEY.sig` what model-signing verifies, `KEY.pub` public keys,
    `manifest.json` what the artifact's digest is the SHA-256 of.

    Raises:
        NotFound: No such version.
        BadInput: The folder cannot be written.
    """
    views = {}
    try:
        version = find.version(session, ref)
        if version.artifact_digest:
            manifest = session.get_one(Artifact, version.artifact_digest).manifest
            write_atomically(folder / "manifest.json", canonical(manifest))
        for about, found in _found(session, ref):
            stored = found.stored
            file = folder / _file_name(stored)
            write_atomically(file, canonical(stored.envelope))
            views[stored.id, about] = _checked(about, found, str(file))
        for keyid, known in known_keys(session, {view.keyid for view in views.values()}).items():
            write_atomically(folder / f"{keyid[:12]}.pub", known.key.pem.encode())
    except OSError as cause:
        raise BadInput(f"{folder} cannot be written: {cause.strerror}") from cause
    return list(views.values())


def envelope_problems(session: Session) -> Iterator[str]:
    """One sentence for each stored envelope that does not verify; of unknown keys nothing can be said."""
    last = 0
    while stored := session.scalars(
        select(EnvelopeRow).where(EnvelopeRow.id > last).order_by(EnvelopeRow.id).limit(_BATCH)
    ).all():
        last = stored[-1].id
        try:
            yield from filter(None, map(_problem, check_envelopes(session, stored)))
        except _UNREADABLE:
            yield from filter(None, (_problem_alone(session, each) for each in stored))


def _problem(found: CheckedEnvelope) -> str:
    stored = found.stored
    if found.signer and found.problem:
        return f"envelope {stored.id} over {stored.row}: {found.problem}"
    if digest_of(stored.envelope) != stored.digest:
        return f"envelope {stored.id} over {stored.row}: it is not the one that its digest names"
    return ""


def _problem_alone(session: Session, stored: EnvelopeRow) -> str:
    try:
        return _problem(check_envelopes(session, [stored])[0])
    except _UNREADABLE as cause:
        return f"envelope {stored.id} over {stored.row} cannot be read: {cause}"


def _signed_already(session: Session, wanted: list[Pending], keyid: str) -> set[str]:
    """Rows with an envelope of the key that still counts, or that nobody can judge because the key is new."""
    names = [pending.signable.claim.row.name for pending in wanted]
    stored = session.scalars(
        select(EnvelopeRow).where(EnvelopeRow.row.in_(names), EnvelopeRow.keyid == keyid)
    ).all()
    return {
        found.stored.row for found in check_envelopes(session, stored) if not (found.signer and found.problem)
    }


def _found(session: Session, ref: Ref) -> Iterator[tuple[str, CheckedEnvelope]]:
    version = find.version(session, ref)
    data = find.data_of(session, version.id)
    yield from current_signatures(session, version, data, current_evidence(session, version, data))
    decisions = session.scalars(select(DecisionRow.id).where(DecisionRow.version_id == version.id))
    names = [f"decisions:{number}" for number in decisions]
    stored = session.scalars(select(EnvelopeRow).where(EnvelopeRow.row.in_(names)).order_by(EnvelopeRow.id))
    for found in check_envelopes(session, stored.all()):
        yield found.signed.about if found.signed else found.stored.about, found


def _checked(about: str, found: CheckedEnvelope, file: str = "") -> SignatureView:
    stored = found.stored
    return SignatureView(
        envelope=stored.id,
        about=about,
        row=stored.row,
        signer=found.signer,
        keyid=stored.keyid,
        valid=not found.problem,
        trusted=found.trusted,
        problem=found.problem,
        signed_at=stored.created_at,
        file=file,
    )


def _view(pending: Pending, envelope: int, why_not: str = "") -> SignedView:
    signable = pending.signable
    return SignedView(signable.about, signable.claim.row.name, pending.name, envelope, why_not)


def _file_name(stored: EnvelopeRow) -> str:
    # What a row says may be forged: it names no other folder.
    row, keyid = (_UNSAFE.sub("-", text) for text in (stored.row, stored.keyid[:12]))
    if stored.row.startswith(f"{Artifact.__tablename__}:"):
        return f"model-{keyid}.sig"
    return f"{row}-{keyid}.intoto.jsonl"
