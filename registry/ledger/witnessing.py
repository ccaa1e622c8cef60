"""What a witness does: it signs a checkpoint only if the ledger has done nothing but grow since the last one.

A ledger that shows one history to one reader and another to the next must
either leave a witness without a signature, or be caught by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from registry.errors import BadInput, IntegrityViolated
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint
from registry.ledger.keys import SigningKey, VerifierKey
from registry.ledger.notes import Note
from registry.ledger.proofs import proves_consistency


@dataclass(frozen=True, slots=True)
class Watched:
    """A ledger, as a witness knows it.

    Attributes:
        keys: Verifier keys that its checkpoints may be signed by.
        last: The last checkpoint that the witness signed; None before the first.
    """

    keys: tuple[VerifierKey, ...]
    last: SignedCheckpoint | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """All that a witness remembers; losing it means trusting anew.

    Attributes:
        ledgers: By origin.
    """

    ledgers: Mapping[str, Watched] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str()` wrote.

        Raises:
            BadInput: It is something else.
        """
        try:
            told: dict[str, Any] = json.loads(text)["ledgers"]
            return cls({origin: _watched(each) for origin, each in told.items()})
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise BadInput(f"this is not what a witness remembers: {cause}") from cause

    def __str__(self) -> str:
        told = {
            origin: {
                "keys": [str(key) for key in each.keys],
                "last": str(each.last.note) if each.last else "",
            }
            for origin, each in sorted(self.ledgers.items())
        }
        return json.dumps({"ledgers": told}, indent=2, ensure_ascii=False) + "\n"

    def trusting(self, keys: Iterable[VerifierKey]) -> Self:
        """The memory with more keys that are trusted; a key's name is its ledger's origin."""
        ledgers = dict(self.ledgers)
        for key in keys:
            known = ledgers.get(key.name, Watched(()))
            if key not in known.keys:
                ledgers[key.name] = replace(known, keys=(*known.keys, key))
        return replace(self, ledgers=ledgers)

    def keys_of(self, origin: str) -> tuple[VerifierKey, ...]:
        """Keys that a ledger's checkpoints may be signed by."""
        return self.ledgers[origin].keys if origin in self.ledgers else ()

    def last_of(self, signed: SignedCheckpoint) -> Checkpoint | None:
        """What the witness saw last of a checkpoint's ledger, if that ledger did sign the checkpoint.

        Raises:
            BadInput: The witness knows no such ledger.
            IntegrityViolated: The checkpoint is signed by none of the ledger's keys.
        """
        origin = signed.checkpoint.origin
        if origin not in self.ledgers:
            raise BadInput(
                f"this witness knows no ledger {origin}",
                hint="give its verifier key, from somebody whom you trust: --trust KEY "
                "(the ledger's owner sees it by: phasegate audit key)",
            )
        try:
            signed.check_signature(self.ledgers[origin].keys)
        except IntegrityViolated as cause:
            raise IntegrityViolated(
                f"not signed: {cause.message}",
                hint="if the ledger's old key was lost, ask its owner for the new one: --trust KEY",
            ) from cause
        last = self.ledgers[origin].last
        return last.checkpoint if last else None

    def having_signed(self, signed: SignedCheckpoint) -> Self:
        """The memory after a checkpoint was signed."""
        origin = signed.checkpoint.origin
        return replace(self, ledgers={**self.ledgers, origin: replace(self.ledgers[origin], last=signed)})


def check_growth(last: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """See that a ledger is the same as before, with more entries or none.

    Raises:
        IntegrityViolated: It has shrunk, or its history is another one than before.
    """
    if new.size < last.size:
        raise IntegrityViolated(
            f"the ledger {new.origin} has shrunk: this witness saw {last.size} entries, "
            f"the checkpoint has {new.size}"
        )
    if not proves_consistency(last.size, last.root, new.size, new.root, proof):
        raise IntegrityViolated(
            f"the ledger {new.origin} has forked: the {last.size} entries that this witness saw (root "
            f"{last.root.hex()[:16]}) are not the first {last.size} of the {new.size} that it has now (root "
            f"{new.root.hex()[:16]}); its history was rewritten, or others are shown another one"
        )


def cosign(signed: SignedCheckpoint, key: SigningKey, at: int) -> SignedCheckpoint:
    """The checkpoint with a witness's signature; `check_growth` comes first."""
    return SignedCheckpoint.of(signed.note.sign(key, at))


def _watched(told: Mapping[str, Any]) -> Watched:
    last = SignedCheckpoint.of(Note.parse(told["last"])) if told["last"] else None
    return Watched(tuple(VerifierKey.parse(key) for key in told["keys"]), last)
