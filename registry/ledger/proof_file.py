"""Proofs that others verify offline (c2sp.org/tlog-proof): an entry, hashes, and a checkpoint."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from registry.domain.digests import canonical
from registry.errors import IntegrityViolated
from registry.ledger.checkpoints import SignedCheckpoint
from registry.ledger.merkle import leaf_hash
from registry.ledger.proofs import proves_inclusion

SUFFIX = ".tlog-proof"


@dataclass(frozen=True, slots=True)
class EntryProof:
    """Everything that shows that an entry is in a ledger; `str()` of it is the file.

    Attributes:
        index: The entry's number.
        header: The entry, as hashed.
        hashes: From the entry's sibling up to the root's child (RFC 6962, section 2.1.1).
        signed: A checkpoint that covers the entry.
        payload: What the entry commits to; None to keep it to oneself.
        salt: What it is salted with; None likewise.
    """

    index: int
    header: bytes
    hashes: Sequence[bytes]
    signed: SignedCheckpoint
    payload: bytes | None = None
    salt: bytes | None = None

    def check(self) -> None:
        """See that it proves what it says: nobody gets a proof that fails at the auditor's.

        Raises:
            IntegrityViolated: The ledger was changed since the checkpoint was signed.
        """
        there = self.signed.checkpoint
        if not proves_inclusion(leaf_hash(self.header), self.index, there.size, self.hashes, there.root):
            raise IntegrityViolated(
                f"entry {self.index} does not lead to the root that the checkpoint of {there.size} entries "
                "signed: the ledger was changed since",
                hint="phasegate audit verify",
            )

    def __str__(self) -> str:
        told = {"header": self.header.decode()}
        if self.payload is not None and self.salt is not None:
            told |= {"payload": self.payload.decode(), "salt": self.salt.hex()}
        lines = [
            "c2sp.org/tlog-proof@v1",
            f"extra {base64.b64encode(canonical(told)).decode()}",
            f"index {self.index}",
            *(base64.b64encode(hash).decode() for hash in self.hashes),
        ]
        return "\n".join(lines) + f"\n\n{self.signed.note}"
