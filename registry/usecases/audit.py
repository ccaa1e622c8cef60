"""Auditing: the log, and whether it and the tables tell the same story."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, inspect, select
from sqlalchemy.orm import Session

from registry.domain.digests import digest_of, short
from registry.errors import BadInput
from registry.ledger.entries import commitment
from registry.ledger.merkle import Tree, leaf_hash
from registry.runner.recording import metrics_digest
from registry.storage.artifacts import ArtifactStore
from registry.storage.tables import Artifact, Base, LedgerEntry, LedgerHead, LedgerNode, Run
from registry.storage.tables.base import row_digest, row_key
from registry.usecases.checkpoints import Exported, compare_checkpoints

if TYPE_CHECKING:
    from hashlib import _Hash

_BATCH = 5000
# What reading raises where a forger left something of another kind.
_UNREADABLE = (KeyError, TypeError, ValueError)


@dataclass(slots=True)
class Audit:
    """What a verification found.

    Attributes:
        size: Entries in the ledger.
        root: Its Merkle root, hex.
        rows: Live rows compared with what the ledger says of them.
        artifacts: Artifacts whose bytes were hashed again.
        checkpoints: Signed checkpoints that it was held against.
        erased: Entries whose payload was erased for somebody's sake.
        problems: One sentence each; empty if all is well.
    """

    size: int = 0
    root: str = ""
    rows: int = 0
    artifacts: int = 0
    checkpoints: int = 0
    erased: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(
    session: Session, store: ArtifactStore | None = None, *, exported: Exported | None = None
) -> Audit:
    """Recompute the ledger's root, replay it, and compare what it says with the live tables.

    Args:
        session: One reading transaction, so that writers do not look like forgers.
        store: Hash every stored byte again, too.
        exported: Hold the ledger against checkpoints that left the database's reach, too.
    """
    audit = Audit()
    try:
        projection = _replay(session, audit)
    except _UNREADABLE as cause:
        audit.problems.append(f"the ledger cannot be read any more: {cause}")
        return audit
    for table in _governed():
        _compare_rows(session, audit, table, projection)
    audit.problems.extend(f"row {key} was deleted behind the ledger's back" for key in projection)
    _compare_metrics(session, audit)
    if exported is not None:
        audit.checkpoints, found = compare_checkpoints(session, audit.size, exported)
        audit.problems.extend(found)
    if store is not None:
        _compare_artifacts(session, audit, store)
    return audit


def _replay(session: Session, audit: Audit) -> dict[str, str]:
    """Row key -> digest that the ledger last gave it; a row that it says was deleted is left out."""
    tree = Tree()
    nodes: dict[int, _Hash] = defaultdict(sha256)
    projection: dict[str, str | None] = {}
    following = 0
    for entry in _each(session, select(LedgerEntry).order_by(LedgerEntry.index)):
        if entry.index != following:
            audit.problems.append(f"entry {following} is missing: entry {entry.index} comes instead")
        following = entry.index + 1
        if leaf_hash(entry.header) != entry.leaf:
            audit.problems.append(f"entry {entry.index} was edited: its header does not hash to its leaf")
        if problem := _entry_problem(entry):
            audit.problems.append(f"entry {entry.index} {problem}")
        if entry.payload is not None:
            projection.update(_rows_of(entry.payload))
        tree, finished = tree.append(leaf_hash(entry.header))
        for node in finished:
            nodes[node.level].update(_node(node.position, node.hash))
    audit.size, audit.root = tree.size, tree.root.hex()
    _compare_head(session, audit, tree, following)
    _compare_nodes(session, audit, nodes)
    return {key: digest for key, digest in projection.items() if digest is not None}


def _each(session: Session, query: Select[Any]) -> Iterator[Any]:
    yield from session.scalars(query.execution_options(yield_per=_BATCH))


def _entry_problem(entry: LedgerEntry) -> str:
    try:
        header = json.loads(entry.header)
        stored = (header["at"], header["actor"], header["action"], header["subject"])
        promised = header["payload"]
    except _UNREADABLE:
        return "was edited: its header is none"
    if stored != (entry.at.isoformat(), entry.actor_id, entry.action, entry.subject):
        return "was edited: its columns do not repeat its header"
    if entry.payload is None or entry.salt is None:
        return "has lost its payload"
    if commitment(entry.salt, entry.payload) != promised:
        return "was edited: its payload is not the one that its header commits to"
    return ""


def _rows_of(payload: bytes) -> dict[str, str | None]:
    try:
        return dict(json.loads(payload)["rows"])
    except _UNREADABLE:
        return {}


def _compare_head(session: Session, audit: Audit, tree: Tree, entries: int) -> None:
    head = session.get(LedgerHead, 1)
    if head is None:
        audit.problems.append("the ledger's head is gone")
    elif head.size != entries:
        how = "cut" if head.size > entries else "added to"
        audit.problems.append(
            f"the ledger was {how}: its head counts {head.size} entries, {entries} are there"
        )
    elif head.frontier != b"".join(tree.frontier):
        audit.problems.append("the ledger's root is not the one that its entries give")


def _compare_nodes(session: Session, audit: Audit, expected: dict[int, _Hash]) -> None:
    """Proofs are made of the stored inner nodes; of each level, one digest is compared."""
    stored: dict[int, _Hash] = defaultdict(sha256)
    for node in _each(session, select(LedgerNode).order_by(LedgerNode.level, LedgerNode.position)):
        stored[node.level].update(_node(node.position, node.hash))
    for level in sorted({*expected, *stored}):
        if expected[level].digest() != stored[level].digest():
            audit.problems.append(f"inner nodes of level {level} are not those that the entries give")


def _node(position: int, hash: bytes) -> bytes:
    return b"%d:%s;" % (position, hash)


def _compare_rows(session: Session, audit: Audit, table: type[Base], projection: dict[str, str]) -> None:
    """Take a table's rows out of the projection, and note every one that does not fit."""
    try:
        for row in _each(session, select(table).order_by(*inspect(table).primary_key)):
            audit.rows += 1
            key = row_key(row)
            digest = projection.pop(key, None)
            if digest is None:
                audit.problems.append(
                    f"row {key} is in no ledger entry: it was added behind the ledger's back"
                )
            elif digest != _digest(row):
                audit.problems.append(f"row {key} was changed behind the ledger's back")
    except _UNREADABLE as cause:
        name = table.__tablename__
        audit.problems.append(
            f"table {name} was changed behind the ledger's back: it cannot be read: {cause}"
        )
        for key in [key for key in projection if key.startswith(f"{name}:")]:
            del projection[key]


def _digest(row: Base) -> str:
    try:
        return row_digest(row)
    except BadInput:
        return ""  # it holds what could not have been recorded


def _governed() -> list[type[Base]]:
    return [mapper.class_ for mapper in Base.registry.mappers if mapper.class_.governed]


def _compare_metrics(session: Session, audit: Audit) -> None:
    connection = session.connection()
    for number, digest in session.execute(select(Run.id, Run.metrics_digest).where(Run.metrics_digest != "")):
        try:
            same = metrics_digest(connection, number) == digest
        except BadInput:
            same = False
        if not same:
            audit.problems.append(f"metrics of run {number} were changed behind the ledger's back")


def _compare_artifacts(session: Session, audit: Audit, store: ArtifactStore) -> None:
    for row in _each(session, select(Artifact).order_by(Artifact.digest)):
        audit.artifacts += 1
        if digest_of(row.manifest) != row.digest:
            audit.problems.append(
                f"artifact {short(row.digest)}: its manifest is not the one that it is named for"
            )
        else:
            found = store.problems(row.manifest)
            audit.problems.extend(f"artifact {short(row.digest)}: {problem}" for problem in found)
