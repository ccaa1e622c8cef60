"""The key that signs the ledger's checkpoints: it lies outside the database, and the ledger tells of it.

Every key that ever signed is in the ledger. When a key takes another's place,
the old one signs that, so that who trusts the first key can trust the last.
The list of verifier keys beside the signing key is out of the database's
reach: a key that somebody slips into the ledger is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.events import LedgerKeyMade, LedgerKeyRotated
from registry.domain.people import ADMIN
from registry.errors import BadInput, IntegrityViolated, NotFound
from registry.ledger.keys import Kind, SigningKey, VerifierKey
from registry.ledger.notes import Note
from registry.storage.database import Database
from registry.storage.key_files import (
    read_signing_key,
    read_verifier_keys,
    replace_signing_key,
    write_signing_key,
    write_verifier_keys,
)
from registry.storage.tables import LedgerEntry

_SUBJECT = "ledger"
_ACTIONS = ("ledger-key-made", "ledger-key-rotated")


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """Whose signature makes a checkpoint.

    Attributes:
        origin: The ledger's name, which all its keys have.
        verifier: Verifier key of the one that signs now.
        earlier: Verifier keys that signed before, oldest first: older checkpoints and proofs need them.
        file: Where the signing key is looked for.
        here: Whether it is there.
    """

    origin: str
    verifier: str
    earlier: list[str]
    file: str
    here: bool


def known_keys(session: Session) -> list[VerifierKey]:
    """Verifier keys that the ledger tells of, oldest first; the last one signs."""
    return [VerifierKey.parse(event["verifier"]) for _, event in _events(session)]


def trusted_keys(session: Session, file: Path) -> list[VerifierKey]:
    """Verifier keys of the list beside the signing key; without one, those that the ledger tells of."""
    return read_verifier_keys(list_beside(file)) or known_keys(session)


def list_beside(file: Path) -> Path:
    """Where the verifier keys of a signing key are listed: `ledger.pub` beside `ledger.key`."""
    return file.with_suffix(".pub") if file.suffix == ".key" else file.with_name(f"{file.name}.pub")


def look_at_keys(session: Session, file: Path) -> LedgerKeys | None:
    """The ledger's keys; None before the first is made."""
    known = known_keys(session)
    if not known:
        return None
    key = _current(file, known)
    return LedgerKeys(
        origin=known[-1].name,
        verifier=str(known[-1]),
        earlier=[str(each) for each in known[:-1]],
        file=str(file),
        here=key is not None and key.verifier == known[-1],
    )


def signing_key(session: Session, file: Path) -> SigningKey:
    """The key that signs now.

    Raises:
        NotFound: It is not there, or none was ever made.
        BadInput: What is there is another key, or others may read it.
    """
    known = known_keys(session)
    key = _current(file, known)
    if not known:
        raise NotFound("nobody signs this ledger yet", hint="phasegate audit key")
    if key is None:
        raise NotFound(
            f"the ledger's signing key {known[-1].short} is not at {file}",
            hint="name its file: --key FILE, or PHASEGATE_LEDGER_KEY",
        )
    if key.verifier != known[-1]:
        raise BadInput(
            f"{file} holds the key {key.verifier.short}: the ledger is signed by {known[-1].short} now",
            hint="name that key's file: --key FILE",
        )
    return key


def make_key(database: Database, actor: str, file: Path, name: str = "") -> LedgerKeys:
    """Make the ledger's first key, or take the one that lies there. Safe to repeat.

    Args:
        database: Whose ledger it is.
        actor: Must be an admin.
        file: Where the signing key shall lie; its folder is made.
        name: The ledger's name for ever, like `example.com/ledger`; made up if empty.

    Raises:
        BadInput: The ledger has another key or another name already.
    """
    with database.write(actor) as work:
        work.require(ADMIN, "make the ledger's key")
        work.alone()
        known = known_keys(work.session)
        if known:
            signing_key(work.session, file)
            if name not in ("", known[-1].name):
                raise BadInput(f"the ledger's name is {known[-1].name} for ever: it cannot become {name}")
        else:
            key = read_signing_key(file)
            if key is None:
                key = SigningKey.generate(name or _name_of(work.session), Kind.LOG)
                write_signing_key(file, key)
            elif key.kind is not Kind.LOG or name not in ("", key.name):
                raise BadInput(f"{file} holds the key {key.verifier.short}, which cannot sign for {name!r}")
            known = [key.verifier]
            work.record(LedgerKeyMade(_SUBJECT, str(key.verifier)))
    _list(file, known)
    return _looked(database, file)


def rotate_key(
    database: Database, actor: str, file: Path, reason: str = "", *, lost: bool = False
) -> LedgerKeys:
    """Put a new key in the place of the one that signs; the old one signs that, and is destroyed.

    Args:
        database: Whose ledger it is.
        actor: Must be an admin.
        file: Where the signing key lies.
        reason: Told to the ledger.
        lost: The old key is gone and cannot sign for the new one; needs a reason.

    Raises:
        BadInput: No reason for a lost key, or the key is there after all.
        NotFound: The key is not there.
    """
    if lost and not reason:
        raise BadInput(
            "a key that is lost needs a reason: readers will have to trust the new one without proof"
        )
    aside = _aside(file)
    with database.write(actor) as work:
        work.require(ADMIN, "rotate the ledger's key")
        work.alone()
        known = known_keys(work.session)
        old = None if lost and known else signing_key(work.session, file)
        if lost and read_signing_key(file) is not None:
            raise BadInput(f"{file} is there: it is not lost", hint="move it away, or leave --lost out")
        new = SigningKey.generate(known[-1].name, Kind.LOG)
        aside.unlink(missing_ok=True)
        write_signing_key(aside, new)
        statement = _statement(known[-1], new.verifier)
        signed = str(Note(statement).sign(old)) if old else ""
        work.record(LedgerKeyRotated(_SUBJECT, str(new.verifier), str(known[-1]), reason, signed))
    replace_signing_key(file, aside)
    _list(file, [*known, new.verifier])
    return _looked(database, file)


def key_problems(session: Session, file: Path) -> list[str]:
    """What is wrong with the keys that the ledger tells of; one sentence each."""
    problems = []
    keys: list[VerifierKey] = []
    for index, event in _events(session):
        key = VerifierKey.parse(event["verifier"])
        if "replaces" in event and (problem := _rotation_problem(keys, key, event)):
            problems.append(f"entry {index}: the key {key.short} {problem}")
        keys.append(key)
    listed = read_verifier_keys(list_beside(file))
    if listed:
        problems += [
            f"the ledger tells of the key {key.short}, which {list_beside(file)} does not list: "
            "it was added behind the key holder's back"
            for key in keys
            if key not in listed
        ]
    return problems


def endorsed_keys(session: Session, trusted: Iterable[VerifierKey]) -> list[VerifierKey]:
    """Keys that somebody trusts, and those that took their place with their signature, and so on."""
    found = list(trusted)
    for _, event in _events(session):
        old = next((key for key in found if str(key) == event.get("replaces")), None)
        new = VerifierKey.parse(event["verifier"])
        if old is not None and new not in found and _signed_for(old, new, event["statement"]):
            found.append(new)
    return found


def _rotation_problem(keys: list[VerifierKey], new: VerifierKey, event: dict[str, str]) -> str:
    if not keys or event["replaces"] != str(keys[-1]):
        return "takes the place of another key than the one that signed"
    # Without a statement, the old key was lost: the entry says why.
    if event["statement"] and not _signed_for(keys[-1], new, event["statement"]):
        return f"took the place of {keys[-1].short}, which did not sign that"
    return ""


def _signed_for(old: VerifierKey, new: VerifierKey, statement: str) -> bool:
    """Whether a key signed that another one takes its place."""
    try:
        note = Note.parse(statement)
        return note.text == _statement(old, new) and old in note.signers([old])
    except (BadInput, IntegrityViolated):
        return False


def _statement(old: VerifierKey, new: VerifierKey) -> str:
    """What an old key signs; no checkpoint, whose second line is a number, can be mistaken for it."""
    return f"phasegate/key-rotation/v1\nfrom {old}\nto {new}\n"


def _events(session: Session) -> list[tuple[int, dict[str, str]]]:
    found = session.execute(
        select(LedgerEntry.index, LedgerEntry.payload)
        .where(LedgerEntry.subject == _SUBJECT, LedgerEntry.action.in_(_ACTIONS))
        .order_by(LedgerEntry.index)
    )
    return [(index, json.loads(payload)["event"]) for index, payload in found if payload is not None]


def _current(file: Path, known: list[VerifierKey]) -> SigningKey | None:
    """The key in a file. A rotation that was cut off after its entry was written is finished first."""
    key = read_signing_key(file)
    if known and (key is None or key.verifier != known[-1]):
        new = read_signing_key(_aside(file))
        if new is not None and new.verifier == known[-1]:
            replace_signing_key(file, _aside(file))
            _list(file, known)
            return new
    return key


def _aside(file: Path) -> Path:
    return file.with_name(f"{file.name}.next")


def _list(file: Path, keys: list[VerifierKey]) -> None:
    """See that keys are listed beside the signing key; nothing is taken off the list."""
    listed = read_verifier_keys(list_beside(file))
    if more := [key for key in keys if key not in listed]:
        write_verifier_keys(list_beside(file), [*listed, *more])


def _looked(database: Database, file: Path) -> LedgerKeys:
    with database.read() as session:
        found = look_at_keys(session, file)
    if found is None:
        raise NotFound("the ledger tells of no key", hint="phasegate audit key")
    return found


def _name_of(session: Session) -> str:
    """A name that no other ledger has: its first entry is salted."""
    leaf: bytes = session.scalars(select(LedgerEntry.leaf).where(LedgerEntry.index == 0)).one()
    return f"phasegate.local/{leaf.hex()[:16]}"
