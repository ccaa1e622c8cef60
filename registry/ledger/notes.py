"""Signed notes (c2sp.org/signed-note): a text, an empty line, and a line for each signature."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from registry.errors import BadInput, IntegrityViolated
from registry.ledger.keys import Kind, SigningKey, VerifierKey, check_key_name, decode64, signed_at

_DASH = "\u2014 "  # an em dash, as the format wants it
_ID_SIZE = 4
_MOST_SIGNATURES = 100


@dataclass(frozen=True, slots=True)
class Signature:
    """One line below a note.

    Attributes:
        name: Of the key.
        id: Four bytes of its hash.
        value: What the key made of the text; of a witness, with the time before it.
    """

    name: str
    id: bytes
    value: bytes

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line.

        Raises:
            BadInput: It is no signature.
        """
        name, _, coded = line.removeprefix(_DASH).partition(" ")
        value = decode64(coded)
        if not line.startswith(_DASH) or value is None or len(value) <= _ID_SIZE:
            raise BadInput(f"this is no signature of a note: {line[:100]!r}")
        return cls(check_key_name(name), value[:_ID_SIZE], value[_ID_SIZE:])

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.id + self.value).decode()}"

    def is_by(self, key: VerifierKey) -> bool:
        """Whether it claims to be of that key; `Note.signers` sees whether it is."""
        return (self.name, self.id) == (key.name, key.id)


@dataclass(frozen=True, slots=True)
class Note:
    """A text that is signed.

    Attributes:
        text: What is signed; ends with a line feed.
        signatures: At least one, once it is written.
    """

    text: str
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note.

        Raises:
            BadInput: No text, no signature, or a control character in it.
        """
        body, gap, lines = text.rpartition("\n\n")
        if not gap or not body or not lines.endswith("\n"):
            raise BadInput("this is no signed note: a text, an empty line and signatures are needed")
        if any(c < " " and c != "\n" for c in text):
            raise BadInput("this is no signed note: it holds a control character")
        found = tuple(Signature.parse(line) for line in lines[:-1].split("\n"))
        if len(found) > _MOST_SIGNATURES:
            raise BadInput(f"the note has {len(found)} signatures: at most {_MOST_SIGNATURES} are read")
        return cls(body + "\n", found)

    def __str__(self) -> str:
        return self.text + "\n" + "".join(f"{signature}\n" for signature in self.signatures)

    def sign(self, key: SigningKey, at: int = 0) -> Self:
        """The note with a signature of a key; it takes the place of an older one of the same key."""
        verifier = key.verifier
        others = [signature for signature in self.signatures if not signature.is_by(verifier)]
        mine = Signature(verifier.name, verifier.id, key.sign(self.text, at))
        return replace(self, signatures=(*others, mine))

    def joined(self, other: Note) -> Self:
        """The note with those signatures of another copy that it lacks; of a key's two, the other's."""
        named = {(signature.name, signature.id): signature for signature in self.signatures}
        named.update({(signature.name, signature.id): signature for signature in other.signatures})
        return replace(self, signatures=tuple(named.values()))

    def signers(self, keys: Iterable[VerifierKey]) -> dict[VerifierKey, Signature]:
        """Which of some known keys signed it. Signatures of other keys are passed over.

        Raises:
            IntegrityViolated: A signature that names a known key is not of that key.
        """
        found = {}
        for key in keys:
            for signature in self.signatures:
                if not signature.is_by(key):
                    continue
                if not key.verifies(self.text, signature.value):
                    raise IntegrityViolated(f"a signature that names the key {key.short} is not of that key")
                found[key] = signature
        return found


def cosigners(note: Note, keys: Iterable[VerifierKey]) -> dict[VerifierKey, int]:
    """Which witnesses signed a note, and when, in seconds since 1970."""
    signed = note.signers(key for key in keys if key.kind is Kind.WITNESS)
    return {key: signed_at(signature.value) for key, signature in signed.items()}
