"""Keys that sign notes, written as Go and C2SP write them (c2sp.org/signed-note, c2sp.org/tlog-cosignature).

A verifier key is `name+hash+key`, a signing key `PRIVATE+KEY+name+hash+key`.
Two kinds of Ed25519 key are known: a log's signs the text of a note, a
witness's signs it together with the moment at which the witness saw it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from registry.errors import BadInput

_PRIVATE = "PRIVATE+KEY+"
_HASH = re.compile(r"[0-9a-f]{8}\Z")
_KEY_SIZE = 32
_SIGNATURE_SIZE = 64
_TIME_SIZE = 8


class Kind(IntEnum):
    """The signature type byte of a key."""

    LOG = 1
    WITNESS = 4


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key.

    Attributes:
        name: Of the log or the witness; a log's is its origin.
        kind: What it signs.
        public: 32 bytes (RFC 8032).
    """

    name: str
    kind: Kind
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name+hash+key`.

        Raises:
            BadInput: It is no such key, of another algorithm, or its hash is not its own.
        """
        name, kind, public = _parse(text.strip(), "a verifier key (name+hash+key)")
        return cls(name, kind, public)

    def __str__(self) -> str:
        return _write(self.name, self.id, self.kind, self.public)

    @property
    def id(self) -> bytes:
        """Four bytes that a signature names its key by."""
        return _key_id(self.name, self.kind, self.public)

    @property
    def short(self) -> str:
        """Name and hash, as people tell keys apart."""
        return f"{self.name}+{self.id.hex()}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key signed a note's text."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        message = text.encode()
        if self.kind is Kind.WITNESS:
            message = _cosigned(message, signed_at(signature))
            signature = signature[_TIME_SIZE:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; it is never printed by accident.

    Attributes:
        name: Of the log or the witness.
        kind: What it signs.
        seed: 32 secret bytes (RFC 8032).
    """

    name: str
    kind: Kind
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, name: str, kind: Kind) -> Self:
        """A new key.

        Raises:
            BadInput: A note cannot hold the name.
        """
        import secrets

        return cls(check_key_name(name), kind, secrets.token_bytes(_KEY_SIZE))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `PRIVATE+KEY+name+hash+key`.

        Raises:
            BadInput: It is no such key, of another algorithm, or its hash is not its own.
        """
        text = text.strip()
        if not text.startswith(_PRIVATE):
            raise BadInput(f"this is no signing key: it does not begin with {_PRIVATE}")
        name, kind, seed = _parse(text.removeprefix(_PRIVATE), "a signing key", check_id=False)
        key = cls(name, kind, seed)
        if text != key.text():
            raise BadInput(f"the signing key of {name!r} is damaged: its hash is not its own")
        return key

    def text(self) -> str:
        """The key with its secret, for a file that only its owner reads."""
        return _PRIVATE + _write(self.name, self.verifier.id, self.kind, self.seed)

    @property
    def verifier(self) -> VerifierKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return VerifierKey(self.name, self.kind, public)

    def sign(self, text: str, at: int = 0) -> bytes:
        """Sign a note's text; a witness's signature says that it saw it at `at`, in seconds since 1970."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key, message = Ed25519PrivateKey.from_private_bytes(self.seed), text.encode()
        if self.kind is Kind.WITNESS:
            return at.to_bytes(_TIME_SIZE) + key.sign(_cosigned(message, at))
        return key.sign(message)


def check_key_name(name: str) -> str:
    """Return `name` if a key can have it.

    Raises:
        BadInput: Empty, over 100 characters, or with a space, a plus or a control character.
    """
    if not name or len(name) > 100 or any(c == "+" or c.isspace() or not c.isprintable() for c in name):
        raise BadInput(
            f"{name!r} cannot be the name of a key: no spaces, no '+', 1 to 100 characters",
            hint="write it like example.com/ledger",
        )
    return name


def signed_at(cosignature: bytes) -> int:
    """Seconds since 1970 at which a witness signed."""
    return int.from_bytes(cosignature[:_TIME_SIZE])


def decode64(text: str) -> bytes | None:
    """Bytes of standard base64 with padding, if it is that and nothing else."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if base64.b64encode(found).decode() == text else None


def _cosigned(text: bytes, at: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%s" % (at, text)


def _key_id(name: str, kind: Kind, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _write(name: str, id: bytes, kind: Kind, key: bytes) -> str:
    return f"{name}+{id.hex()}+{base64.b64encode(bytes([kind]) + key).decode()}"


def _parse(text: str, what: str, *, check_id: bool = True) -> tuple[str, Kind, bytes]:
    name, _, rest = text.partition("+")
    id, _, coded = rest.partition("+")
    key = decode64(coded)
    if not _HASH.match(id) or key is None or len(key) != 1 + _KEY_SIZE:
        raise BadInput(f"this is not {what}" + (f": {text!r}" if check_id else ""))
    check_key_name(name)
    if key[0] not in set(Kind):
        raise BadInput(f"the key of {name!r} is of type {key[0]}: Ed25519 keys of types 1 and 4 are known")
    kind = Kind(key[0])
    if check_id and _key_id(name, kind, key[1:]).hex() != id:
        raise BadInput(f"the key of {name!r} is damaged: {id} is not its hash")
    return name, kind, key[1:]
