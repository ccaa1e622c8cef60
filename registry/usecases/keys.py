"""Keys that sign statements: making them, and whose signature is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.events import KeyDistrusted, KeyTrusted
from registry.domain.names import check_name
from registry.domain.people import ADMIN
from registry.errors import AlreadyExists, BadInput, NotFound
from registry.signing.keys import PublicKey
from registry.storage import find
from registry.storage.pem_files import write_pair
from registry.storage.tables import TrustedKeyRow
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.people import known_actor

_SHORTEST = 6


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key that is or was trusted.

    Attributes:
        owner: Whose signature it makes.
        ended_at: When it was distrusted; None while it is trusted.
    """

    keyid: str
    scheme: str
    owner: str
    trusted: bool
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    ended_by: str
    public: str


def make_key(file: Path, *, ed25519: bool = False) -> PublicKey:
    """Write a new private key to a file, and its public key beside it.

    The key is an ECDSA key on P-256: model-signing verifies no other kind of key than ECDSA.

    Args:
        file: Must not be there yet.
        ed25519: Make an Ed25519 key; it signs statements, but no artifact.

    Raises:
        AlreadyExists: There is a file of that name.
        BadInput: It cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate() if ed25519 else ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_pair(file, secret, public)
    return PublicKey.parse(public)


def make_trusted_key(work: UnitOfWork, file: Path, owner: str, *, ed25519: bool = False) -> PublicKey:
    """Make a key that is trusted from the beginning; `make_key` and `trust_key` say what can go wrong."""
    work.require(ADMIN, "trust keys")
    check_name(owner, "the owner's name")
    key = make_key(file, ed25519=ed25519)
    trust_key(work, key, owner)
    return key


def trust_key(work: UnitOfWork, key: PublicKey, owner: str) -> TrustedKeyRow:
    """Take what a key signs for somebody's word, until it is distrusted.

    Raises:
        NotPermitted: The actor is no admin.
        AlreadyExists: It is trusted already, maybe as somebody else's.
    """
    work.require(ADMIN, "trust keys")
    work.alone()  # a key has one owner: two admins must not give it two
    held = _in_force(work.session, key.keyid)
    if held is not None:
        whose = find.actor_names(work.session)[held.owner_id]
        raise AlreadyExists(
            f"the key {key.keyid[:12]} is trusted already, as {whose}'s", hint="phasegate key list"
        )
    person = known_actor(work, owner)
    row = TrustedKeyRow(
        keyid=key.keyid,
        scheme=key.scheme,
        public=key.pem,
        owner_id=person.id,
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.session.add(row)
    work.record(KeyTrusted(f"actor:{person.id}", key.keyid, person.id))
    return row


def distrust_key(work: UnitOfWork, keyid: str, reason: str) -> TrustedKeyRow:
    """Let nothing count any more that a key signed, whenever that was.

    Args:
        work: The open transaction.
        keyid: Its id, or how it begins.
        reason: Told to the ledger.

    Raises:
        NotPermitted: The actor is no admin.
        NotFound: No key of that id is trusted.
        BadInput: No reason, or several keys begin so.
    """
    work.require(ADMIN, "distrust keys")
    if not reason.strip():
        raise BadInput("to distrust a key needs a reason", hint="say it with --reason")
    if len(keyid) < _SHORTEST:
        raise BadInput(f"{keyid!r} is too short for a key id: at least {_SHORTEST} characters")
    found = [
        row
        for row in work.session.scalars(select(TrustedKeyRow).where(TrustedKeyRow.ended_at.is_(None)))
        if row.keyid.startswith(keyid.lower())
    ]
    if not found:
        raise NotFound(f"no key {keyid!r} is trusted", hint="phasegate key list")
    if len(found) > 1:
        raise BadInput(f"{len(found)} keys begin with {keyid!r}", hint="write more of its id")
    (row,) = found
    row.ended_at = work.at
    row.ended_by = work.actor.id
    work.record(KeyDistrusted(f"actor:{row.owner_id}", row.keyid, reason.strip()))
    return row


def list_keys(session: Session) -> list[KeyView]:
    """Every key that is or was trusted, oldest first."""
    names = find.actor_names(session)
    return [
        KeyView(
            keyid=row.keyid,
            scheme=row.scheme,
            owner=names[row.owner_id],
            trusted=row.ended_at is None,
            created_at=row.created_at,
            created_by=names[row.created_by],
            ended_at=row.ended_at,
            ended_by=names[row.ended_by] if row.ended_by else "",
            public=row.public,
        )
        for row in session.scalars(select(TrustedKeyRow).order_by(TrustedKeyRow.id))
    ]


def _in_force(session: Session, keyid: str) -> TrustedKeyRow | None:
    return session.scalar(
        select(TrustedKeyRow).where(TrustedKeyRow.keyid == keyid, TrustedKeyRow.ended_at.is_(None))
    )
