"""Which version held which stage and which alias at a moment, with proof.

A moment is a place in the ledger: everything up to the last entry whose time is not after it. Entries
carry the time at which their transaction began, so times may run slightly against the order of entries;
where they do, the order counts. The answer is made from the tables, and every step of it is held against
the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.domain.names import check_name
from registry.domain.references import Ref
from registry.errors import BadInput, IntegrityViolated
from registry.files import write_atomically
from registry.ledger.proof_file import SUFFIX
from registry.ledger.proofs import proves_inclusion
from registry.storage import find
from registry.storage.home import Home
from registry.storage.ledger_nodes import inclusion_proof
from registry.storage.steps import AliasStep, Steps, VersionSteps, steps_of
from registry.storage.tables import LedgerEntry
from registry.storage.tables.base import now
from registry.usecases.prove import best_checkpoint, prove_entry

STAGE, ALIAS = "stage", "alias"


@dataclass(frozen=True, slots=True)
class Held:
    """A version held a stage or an alias, because of one entry.

    Attributes:
        version: `loans/1`.
        what: `stage` or `alias`.
        name: Of the stage or the alias.
        since: When the entry's transaction began.
        actor: Who did it.
        decision: Number of the decision that allowed it; None for a version that was just planned.
        entry: The ledger's entry that made it so.
        leaf: Its hash, hex.
        erased: Whether the entry's payload was erased since: then the tables alone tell what it was.
        checkpoint: Entries of a signed checkpoint that covers the entry; None if there is none.
        proof: File that proves the entry, if one was asked for.
    """

    version: str
    what: str
    name: str
    since: datetime
    actor: str
    decision: int | None
    entry: int
    leaf: str
    erased: bool
    checkpoint: int | None = None
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """A model as it was at a moment.

    Attributes:
        of: The model, or the one version that was asked for.
        at: The moment.
        entries: It is what the ledger's first so many entries say.
        held: Every version's stage, in the versions' order; then every alias.
    """

    of: str
    at: datetime
    entries: int
    held: list[Held]


def held(session: Session, home: Home, key_file: Path, of: str, at: datetime) -> Moment:
    """Which versions held which stages and aliases at a moment.

    Args:
        session: One moment of now.
        home: Whose checkpoints may cover the entries.
        key_file: Where the signing key lies, and beside it the list of keys that are trusted.
        of: A model, or one version of it.
        at: The moment.

    Raises:
        NotFound: No such model or version, not even later.
        BadInput: The moment has not come yet.
        IntegrityViolated: Tables and ledger, or ledger and checkpoint, disagree.
    """
    if at > now():
        raise BadInput(f"{at:%Y-%m-%d %H:%M:%S} has not come yet", hint="leave --at out for all up to now")
    ref = Ref.parse(of) if "/" in of else None
    model = find.model(session, ref.name if ref else check_name(of, "the model's name"))
    if ref:
        find.version(session, ref)
    found = steps_of(session, model)
    if problems := found.problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise IntegrityViolated(
            f"tables and ledger disagree about {model.name}: {problems[0]}{more}",
            hint="phasegate audit verify",
        )
    last = session.scalar(select(func.max(LedgerEntry.index)).where(LedgerEntry.at <= at))
    size = 0 if last is None else last + 1
    rows = [*_stages(found, size), *_aliases(found, size)]
    if ref:
        rows = [row for row in rows if row.version == str(ref)]
    return Moment(of, at, size, [_covered(session, home, key_file, row) for row in rows])


def prove_held(
    session: Session, home: Home, actor: str, key_file: Path, moment: Moment, folder: Path
) -> Moment:
    """Write a proof of every entry that a moment rests on, payload included, for somebody elsewhere.

    Raises:
        BadInput: The folder cannot be written, or no checkpoint covers an entry and the key is not here.
    """
    proven = []
    for row in moment.held:
        proof = prove_entry(session, home, actor, key_file, row.entry, payload=not row.erased)
        file = folder / f"entry-{row.entry}{SUFFIX}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(file, proof.text.encode())
        except OSError as cause:
            raise BadInput(f"{file} cannot be written: {cause.strerror}") from cause
        proven.append(replace(row, proof=str(file), checkpoint=proof.size))
    return replace(moment, held=proven)


def _stages(found: Steps, size: int) -> Iterator[Held]:
    for version in found.versions:
        if version.planned.number < size:
            yield _stage(version, size)


def _stage(version: VersionSteps, size: int) -> Held:
    stage, decision, entry = version.first_stage, None, version.planned
    for step in version.steps:
        if step.moved and step.entry.number < size:
            stage, decision, entry = step.to, step.decision, step.entry
    return Held(
        version=version.ref,
        what=STAGE,
        name=stage,
        since=entry.at,
        actor=entry.actor,
        decision=decision,
        entry=entry.number,
        leaf=entry.leaf.hex(),
        erased=entry.erased,
    )


def _aliases(found: Steps, size: int) -> Iterator[Held]:
    newest: dict[str, AliasStep] = {step.alias: step for step in found.aliases if step.entry.number < size}
    for name, step in sorted(newest.items()):
        if step.version:
            yield Held(
                version=step.version,
                what=ALIAS,
                name=name,
                since=step.entry.at,
                actor=step.entry.actor,
                decision=step.decision,
                entry=step.entry.number,
                leaf=step.entry.leaf.hex(),
                erased=step.entry.erased,
            )


def _covered(session: Session, home: Home, key_file: Path, row: Held) -> Held:
    """The same, with the best checkpoint that covers its entry; the entry must lead to that one's root."""
    best = best_checkpoint(session, home, key_file, row.entry)
    if best is None:
        return row
    there = best[0].checkpoint
    hashes = inclusion_proof(session, row.entry, there.size)
    if not proves_inclusion(bytes.fromhex(row.leaf), row.entry, there.size, hashes, there.root):
        raise IntegrityViolated(
            f"entry {row.entry} does not lead to the root that the checkpoint of {there.size} entries signed",
            hint="phasegate audit verify",
        )
    return replace(row, checkpoint=there.size)
