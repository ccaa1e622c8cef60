"""Envelopes: a payload, its type, and one signature over both (DSSE v1), also inside a Sigstore bundle."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from registry.errors import BadInput
from registry.signing.keys import PublicKey

IN_TOTO = "application/vnd.in-toto+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: type and payload, each with its length, so that none can be taken for the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed payload.

    Attributes:
        payload: The statement's bytes, as they were signed.
        signature: Over `pae(payload_type, payload)`.
        keyid: Which key is said to have signed.
    """

    payload: bytes
    signature: bytes
    keyid: str
    payload_type: str = IN_TOTO

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """An envelope from its JSON, or from that of the Sigstore bundle that it is in.

        Raises:
            BadInput: It is no envelope with one signature.
        """
        try:
            inner = stored.get("dsseEnvelope", stored)
            (signed,) = inner["signatures"]
            return cls(
                _decode(inner["payload"]),
                _decode(signed["sig"]),
                str(signed["keyid"]),
                str(inner["payloadType"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as cause:
            raise BadInput("this is no DSSE envelope with one signature") from cause

    def json(self) -> dict[str, Any]:
        """The envelope as JSON."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}],
        }

    def bundle(self, key: PublicKey) -> dict[str, Any]:
        """The envelope as a Sigstore bundle that names its key as model-signing does: by its PEM's hash."""
        hint = hashlib.sha256(key.pem.encode()).hexdigest()
        return {
            "mediaType": _BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": self.json(),
        }

    def signed_by(self, key: PublicKey) -> bool:
        """Whether a key signed it."""
        return self.keyid == key.keyid and key.verifies(pae(self.payload_type, self.payload), self.signature)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as cause:
        raise ValueError(text) from cause
