"""Checkpoints (c2sp.org/tlog-checkpoint): the signed size and root of a ledger."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from registry.errors import BadInput, IntegrityViolated
from registry.ledger.keys import SigningKey, VerifierKey, decode64
from registry.ledger.notes import Note

_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z")
_ONE = re.compile(r"(?P<note>(?:(?!\u2014 ).+\n)+\n(?:\u2014 .+\n)+)\n*")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a ledger was at a moment.

    Attributes:
        origin: The ledger's name, the same for all its life.
        size: Entries.
        root: Merkle tree hash, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a note; lines after the third are somebody's extensions and passed over.

        Raises:
            BadInput: It is no checkpoint.
        """
        lines = text.split("\n")
        root = decode64(lines[2]) if len(lines) > 3 else None
        if root is None or len(root) != 32 or not _SIZE.match(lines[1]) or not all(lines[:-1]) or lines[-1]:
            raise BadInput(f"this is no checkpoint of a ledger: {text[:100]!r}")
        return cls(lines[0], int(lines[1]), root)

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, key: SigningKey) -> Note:
        """The checkpoint as a note that its ledger signed."""
        return Note(self.text).sign(key)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and the note that it came in.

    Attributes:
        note: As signed, by the ledger and perhaps by witnesses.
        checkpoint: What it says.
    """

    note: Note
    checkpoint: Checkpoint

    @classmethod
    def of(cls, note: Note) -> Self:
        """Read a note.

        Raises:
            BadInput: Its text is no checkpoint.
        """
        return cls(note, Checkpoint.parse(note.text))

    def check_signature(self, keys: Iterable[VerifierKey]) -> VerifierKey:
        """See that the ledger signed it; returns the key that did.

        Raises:
            IntegrityViolated: None of these keys did, or a signature is forged.
        """
        mine = [key for key in keys if key.name == self.checkpoint.origin]
        for key in self.note.signers(mine):
            return key
        named = ", ".join(f"{found.name}+{found.id.hex()}" for found in self.note.signatures)
        raise IntegrityViolated(
            f"the checkpoint of {self.checkpoint.origin} at {self.checkpoint.size} entries is signed by "
            f"{named}: none of them is a known key of that ledger"
        )


def parse_checkpoints(text: str) -> list[SignedCheckpoint]:
    """Read a file of checkpoints, one after the other, with or without empty lines between them.

    Raises:
        BadInput: Something in it is none; says from which line on.
    """
    rest = text.strip("\n")
    text = rest + "\n"
    found, place = [], 0
    while place < len(rest):
        one = _ONE.match(text, place)
        if one is None:
            line = text.count("\n", 0, place) + 1
            raise BadInput(f"from line {line} on, this is no checkpoint: {text[place : place + 100]!r}")
        found.append(SignedCheckpoint.of(Note.parse(one["note"])))
        place = one.end()
    return found
