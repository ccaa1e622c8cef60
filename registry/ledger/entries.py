"""Entries: a small canonical header that is hashed, and a payload that it commits to.

The payload is salted, so that it can be erased (with its salt) and leave a
proof that still verifies but tells nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.domain.digests import canonical
from registry.ledger.merkle import leaf_hash


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        header: Canonical JSON: version, time, actor id, action, subject, payload commitment.
        payload: Canonical JSON: the event's fields and the digests of the rows that it changed.
        salt: 16 random bytes.
    """

    header: bytes
    payload: bytes
    salt: bytes

    @property
    def leaf(self) -> bytes:
        return leaf_hash(self.header)


def make_entry(at: datetime, actor: int, action: str, subject: str, payload: dict[str, Any]) -> Entry:
    """Write down an event."""
    salt = secrets.token_bytes(16)
    body = canonical(payload)
    header = {
        "v": 1,
        "at": at.isoformat(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "payload": commitment(salt, body),
    }
    return Entry(canonical(header), body, salt)


def commitment(salt: bytes, payload: bytes) -> str:
    """`sha256:<hex>` over salt and payload."""
    return "sha256:" + hashlib.sha256(salt + payload).hexdigest()
