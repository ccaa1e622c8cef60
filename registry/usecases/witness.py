"""Witnessing: somebody else, with a key and a memory of their own, signs that the ledger only grew."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from registry.errors import BadInput, IntegrityViolated
from registry.files import alone_in, write_atomically
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint
from registry.ledger.keys import Kind, SigningKey, VerifierKey
from registry.ledger.witnessing import Memory, check_growth, cosign
from registry.storage.checkpoint_files import SUFFIX, add_checkpoint, read_checkpoints
from registry.storage.home import Home
from registry.storage.key_files import read_signing_key, write_signing_key
from registry.storage.ledger_nodes import consistency_proof, read_tree, root_at
from registry.storage.tables.base import now
from registry.usecases.ledger_keys import endorsed_keys


@dataclass(frozen=True, slots=True)
class WitnessFiles:
    """What is a witness's own, and nobody else's business.

    Attributes:
        key: Its signing key.
        state: What it remembers.
    """

    key: Path
    state: Path

    @classmethod
    def at(cls, key: Path | None = None, state: Path | None = None) -> WitnessFiles:
        """The files that arguments name, else those in `$PHASEGATE_WITNESS` or `~/.phasegate-witness`."""
        folder = Path(os.environ.get("PHASEGATE_WITNESS") or "~/.phasegate-witness").expanduser()
        return cls(key or folder / "witness.key", state or folder / "witness.json")

    @property
    def refused(self) -> Path:
        """Signed checkpoints that prove that a ledger has forked."""
        return self.state.with_name(f"{self.state.stem}.refused{SUFFIX}")


@dataclass(frozen=True, slots=True)
class WitnessView:
    """What a witness did.

    Attributes:
        witness: Its verifier key, for those who want its signature on a proof.
        origin: The ledger.
        size: Entries that it signed for.
        root: Hex.
        since: Entries that it had signed for before; None the first time.
        at: When.
        files: Where the cosigned checkpoint is.
    """

    witness: str
    origin: str
    size: int
    root: str
    since: int | None
    at: datetime
    files: list[str] = field(default_factory=list)


def witness(
    session: Session,
    home: Home,
    own: WitnessFiles,
    *,
    name: str,
    trust: Sequence[str] = (),
    checkpoints: Path | None = None,
    to: Path | None = None,
) -> WitnessView:
    """Check that the ledger only grew since this witness looked last, and cosign its newest checkpoint.

    The ledger's database is read, and not trusted: what it gives must prove itself.

    Args:
        session: The ledger, for reading.
        home: Whose newest checkpoint is signed.
        own: The witness's files; made the first time.
        name: Of the witness, if its key is made now.
        trust: Verifier keys of the ledger, from somebody who is trusted; needed the first time.
        checkpoints: A file to take the newest checkpoint from instead.
        to: File that gets the cosigned checkpoint; the one that it was taken from, unless named.

    Raises:
        BadInput: There is no checkpoint, or the ledger is not known to the witness.
        IntegrityViolated: The ledger shrank or forked, or its key did not sign. The checkpoint that
            proves a fork is kept beside the witness's state.
    """
    source, signed = _newest(home, checkpoints)
    there, at = signed.checkpoint, now()
    with _at_home(own):  # alone, else a slower one could forget what a faster one signed
        key = _own_key(own.key, name)
        memory = _remember(own.state).trusting(VerifierKey.parse(text) for text in trust)
        memory = memory.trusting(endorsed_keys(session, memory.keys_of(there.origin)))
        last = memory.last_of(signed)
        problem = _problem(session, last, there)
        cosigned = cosign(signed, key, int(at.timestamp()))
        if not problem:
            # Remembered first: a signature that was given and forgotten could be contradicted.
            write_atomically(own.state, str(memory.having_signed(cosigned)).encode())
    if problem:
        add_checkpoint(own.refused, signed)
        raise IntegrityViolated(
            f"not signed: {problem}",
            hint=f"the checkpoint, which the ledger signed, is kept as evidence in {own.refused}",
        )
    add_checkpoint(to or source, cosigned)
    return WitnessView(
        witness=str(key.verifier),
        origin=there.origin,
        size=there.size,
        root=there.root.hex(),
        since=last.size if last else None,
        at=at,
        files=[str(to or source)],
    )


def _problem(session: Session, last: Checkpoint | None, there: Checkpoint) -> str:
    """What speaks against signing: the ledger did not just grow, or its database is not what it signed."""
    size = read_tree(session).size
    try:
        if last is not None:
            proof = []
            if last.size <= there.size <= size:
                proof = consistency_proof(session, last.size, there.size)
            check_growth(last, there, proof)
        if size < there.size:
            return (
                f"the ledger {there.origin} was truncated: it signed {there.size} entries, {size} are there"
            )
        if root_at(session, there.size) != there.root:
            return f"the first {there.size} entries of the ledger {there.origin} are not those that it signed"
    except IntegrityViolated as cause:
        return cause.message
    return ""


@contextmanager
def _at_home(own: WitnessFiles) -> Iterator[None]:
    """The witness's folder, made and to itself."""
    try:
        own.state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone_in(own.state.parent):
            yield
    except OSError as cause:
        raise BadInput(f"the witness's folder {own.state.parent} cannot be used: {cause.strerror}") from cause


def _newest(home: Home, file: Path | None) -> tuple[Path, SignedCheckpoint]:
    files = [file] if file else sorted(home.checkpoints.glob(f"*{SUFFIX}"))
    found = [(signed.checkpoint.size, each, signed) for each in files for signed in read_checkpoints(each)]
    if not found:
        where = file or home.checkpoints
        raise BadInput(f"there is no checkpoint in {where}", hint="phasegate audit checkpoint")
    _, source, newest = max(found, key=lambda each: each[0])
    return source, newest


def _own_key(file: Path, name: str) -> SigningKey:
    key = read_signing_key(file)
    if key is None:
        key = SigningKey.generate(name, Kind.WITNESS)
        write_signing_key(file, key)
    if key.kind is not Kind.WITNESS:
        raise BadInput(
            f"{file} holds the ledger's own key: a witness is somebody else",
            hint="name another file: --key FILE",
        )
    return key


def _remember(file: Path) -> Memory:
    try:
        return Memory.parse(file.read_text("utf-8"))
    except FileNotFoundError:
        return Memory()
    except (OSError, UnicodeDecodeError) as cause:
        raise BadInput(f"the witness's state {file} cannot be read: {cause}") from cause
    except BadInput as cause:
        raise BadInput(f"{file}: {cause.message}") from cause
