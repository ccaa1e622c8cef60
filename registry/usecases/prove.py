"""Proofs of single entries, for people who have neither the database nor this program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from registry.errors import BadInput, NotFound
from registry.ledger.checkpoints import SignedCheckpoint
from registry.ledger.keys import VerifierKey
from registry.ledger.notes import Note
from registry.ledger.proof_file import EntryProof
from registry.storage.checkpoint_files import read_checkpoints
from registry.storage.home import Home
from registry.storage.key_files import read_signing_key
from registry.storage.ledger_nodes import inclusion_proof, read_tree
from registry.storage.tables import LedgerEntry
from registry.usecases.checkpoints import file_of, sign_checkpoint, view_of
from registry.usecases.ledger_keys import known_keys, trusted_keys


@dataclass(frozen=True, slots=True)
class ProofView:
    """A proof, and what its reader needs to know.

    Attributes:
        entry: The entry's number.
        size: Entries that the checkpoint signed.
        root: Hex.
        payload: Whether it tells what the entry commits to.
        key: Verifier key of the ledger that signed the checkpoint.
        signed_by: Name and hash of each key that signed, witnesses included.
        text: The proof file (c2sp.org/tlog-proof).
    """

    entry: int
    size: int
    root: str
    payload: bool
    key: str
    signed_by: list[str]
    text: str


def prove_entry(
    session: Session,
    home: Home,
    actor: str,
    key_file: Path,
    index: int,
    *,
    payload: bool = False,
    checkpoints: Path | None = None,
) -> ProofView:
    """Prove that an entry is in the ledger, by a checkpoint that covers it.

    The checkpoint with the most signatures is taken, of several the newest. If the home has none that covers
    the entry, and the signing key is here, the ledger is signed as it is now.

    Args:
        session: One moment.
        home: Whose checkpoints are used.
        actor: Who asks.
        key_file: The signing key, if there is one.
        index: The entry's number.
        payload: Tell what the entry commits to, with its salt, too: it may hold personal data.
        checkpoints: A file of checkpoints to choose from instead.

    Raises:
        NotFound: There is no such entry.
        BadInput: No checkpoint covers it, or its payload was erased and is asked for.
        IntegrityViolated: The ledger is not the one that the checkpoint signed.
    """
    entry = session.get(LedgerEntry, index)
    if entry is None:
        size = read_tree(session).size
        raise NotFound(f"there is no entry {index}: the ledger has {size}, from 0 to {size - 1}")
    if payload and (entry.payload is None or entry.salt is None):
        raise BadInput(f"the payload of entry {index} was erased", hint="prove the entry without its payload")
    signed, key = _covering(session, home, actor, key_file, index, checkpoints)
    proof = EntryProof(
        index=index,
        header=entry.header,
        hashes=inclusion_proof(session, index, signed.checkpoint.size),
        signed=signed,
        payload=entry.payload if payload else None,
        salt=entry.salt if payload else None,
    )
    proof.check()
    there = view_of(signed)
    return ProofView(index, there.size, there.root, payload, str(key), there.signed_by, str(proof))


def verifier_script() -> str:
    """The program that verifies proofs offline: one file, nothing but Python's standard library."""
    from importlib.resources import files

    return files("registry.ledger").joinpath("verify_proof.py").read_text("utf-8")


def best_checkpoint(
    session: Session, home: Home, key_file: Path, index: int, checkpoints: Path | None = None
) -> tuple[SignedCheckpoint, VerifierKey] | None:
    """The checkpoint that covers an entry with the most signatures, of several the newest; and who signed.

    Raises:
        IntegrityViolated: It is signed by none of the keys that are trusted.
    """
    known = known_keys(session)
    if not known:
        return None
    found = [
        signed
        for signed in read_checkpoints(checkpoints or file_of(home, known[-1].name))
        if signed.checkpoint.origin == known[-1].name and signed.checkpoint.size > index
    ]
    if not found:
        return None
    best = max(found, key=lambda signed: (len(signed.note.signatures), signed.checkpoint.size))
    return best, best.check_signature(trusted_keys(session, key_file))


def _covering(
    session: Session, home: Home, actor: str, key_file: Path, index: int, checkpoints: Path | None
) -> tuple[SignedCheckpoint, VerifierKey]:
    if best := best_checkpoint(session, home, key_file, index, checkpoints):
        return best
    known = known_keys(session)
    if not known:
        raise BadInput("nobody signs this ledger yet", hint="phasegate audit key")
    if checkpoints is not None:
        raise BadInput(
            f"no checkpoint in {checkpoints} covers entry {index}", hint="phasegate audit checkpoint"
        )
    if read_signing_key(key_file) is None:
        raise BadInput(
            f"no checkpoint covers entry {index}, and the signing key is not at {key_file}",
            hint="ask the key's holder for: phasegate audit checkpoint",
        )
    made = SignedCheckpoint.of(Note.parse(sign_checkpoint(session, home, actor, key_file).note))
    return made, made.check_signature(known)
