"""Auditing: the log, and whether it and the tables tell the same story."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.digests import short
from registry.ledger.entries import commitment
from registry.ledger.merkle import Tree, leaf_hash
from registry.runner.recording import metrics_digest
from registry.storage.artifacts import ArtifactStore
from registry.storage.tables import Artifact, Base, LedgerEntry, LedgerHead, Run
from registry.storage.tables.base import row_digest, row_key

_BATCH = 5000


@dataclass(slots=True)
class Audit:
    """What a verification found.

    Attributes:
        size: Entries in the ledger.
        root: Its Merkle root, hex.
        rows: Live rows compared with what the ledger says of them.
        artifacts: Artifacts whose bytes were hashed again.
        problems: One sentence each; empty if all is well.
    """

    size: int = 0
    root: str = ""
    rows: int = 0
    artifacts: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(session: Session, store: ArtifactStore | None = None) -> Audit:
    """Recompute the ledger's root, replay it, and compare what it says with the live tables.

    Args:
        session: One reading transaction, so that writers do not look like forgers.
        store: Hash every stored byte again, too.
    """
    audit = Audit()
    projection = _replay(session, audit)
    _compare_rows(session, audit, projection)
    _compare_metrics(session, audit)
    if store is not None:
        for row in session.scalars(select(Artifact).order_by(Artifact.digest)):
            audit.artifacts += 1
            for problem in store.problems(row.manifest):
                audit.problems.append(f"artifact {short(row.digest)}: {problem}")
    return audit


def _replay(session: Session, audit: Audit) -> dict[str, str | None]:
    """Row key -> digest that the ledger last gave it, None for a row that it says was deleted."""
    tree = Tree()
    projection: dict[str, str | None] = {}
    for entry in _entries(session):
        if entry.index != tree.size:
            audit.problems.append(
                f"entry {tree.size} is missing: entry {entry.index} follows {tree.size - 1}"
            )
            break
        leaf = leaf_hash(entry.header)
        if leaf != entry.leaf:
            audit.problems.append(f"entry {entry.index} was edited: its header does not hash to its leaf")
        problem = _entry_problem(entry)
        if problem:
            audit.problems.append(f"entry {entry.index} {problem}")
        elif entry.payload is not None:
            projection.update(json.loads(entry.payload)["rows"])
        tree, _ = tree.append(leaf)
    head = session.get_one(LedgerHead, 1)
    audit.size, audit.root = tree.size, tree.root.hex()
    if head.size != tree.size:
        audit.problems.append(
            f"the ledger was cut: its head counts {head.size} entries, {tree.size} are there"
        )
    elif head.frontier != b"".join(tree.frontier):
        audit.problems.append("the ledger's root is not the one that its entries give")
    return projection


def _entries(session: Session) -> Iterator[LedgerEntry]:
    query = select(LedgerEntry).order_by(LedgerEntry.index).execution_options(yield_per=_BATCH)
    yield from session.scalars(query)


def _entry_problem(entry: LedgerEntry) -> str:
    header = json.loads(entry.header)
    stored = (header["at"], header["actor"], header["action"], header["subject"])
    if stored != (entry.at.isoformat(), entry.actor_id, entry.action, entry.subject):
        return "was edited: its columns do not repeat its header"
    if entry.payload is None or entry.salt is None:
        return "has lost its payload"
    if commitment(entry.salt, entry.payload) != header["payload"]:
        return "was edited: its payload is not the one that its header commits to"
    return ""


def _compare_rows(session: Session, audit: Audit, projection: dict[str, str | None]) -> None:
    expected = {key: digest for key, digest in projection.items() if digest is not None}
    for table in _governed():
        for row in session.scalars(select(table).execution_options(yield_per=_BATCH)):
            audit.rows += 1
            key = row_key(row)
            digest = expected.pop(key, None)
            if digest is None:
                audit.problems.append(
                    f"row {key} is in no ledger entry: it was added behind the ledger's back"
                )
            elif digest != row_digest(row):
                audit.problems.append(f"row {key} was changed behind the ledger's back")
    audit.problems.extend(f"row {key} was deleted behind the ledger's back" for key in expected)


def _governed() -> list[type[Base]]:
    return [mapper.class_ for mapper in Base.registry.mappers if mapper.class_.governed]


def _compare_metrics(session: Session, audit: Audit) -> None:
    connection = session.connection()
    for number, digest in session.execute(select(Run.id, Run.metrics_digest).where(Run.metrics_digest != "")):
        if metrics_digest(connection, number) != digest:
            audit.problems.append(f"metrics of run {number} were changed behind the ledger's back")
