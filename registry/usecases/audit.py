"""Auditing: the log, and whether it and the tables tell the same story."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from registry.domain.digests import digest_of, short
from registry.errors import BadInput
from registry.runner.recording import metrics_digest
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.row_digests import live_rows
from registry.storage.tables import Artifact, Base, Run
from registry.usecases.checkpoints import Exported, compare_checkpoints
from registry.usecases.ledger_replay import Replaying
from registry.usecases.signing import envelope_problems

_BATCH = 5000


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
    session: Session,
    store: ArtifactStore | None = None,
    *,
    exported: Exported | None = None,
    database: Database | None = None,
) -> Audit:
    """Recompute the ledger's root, replay it, and compare what it says with the live tables.

    Args:
        session: One reading transaction, so that writers do not look like forgers.
        store: Hash every stored byte again, too.
        exported: Hold the ledger against checkpoints that left the database's reach, too.
        database: Where other processes may read a long ledger beside this one, to save time.
    """
    audit = Audit()
    connection = session.connection()
    replaying = Replaying(connection, database)
    try:
        live = [(table.__tablename__, *live_rows(connection, table)) for table in _governed()]
        ledger = replaying.finish()
    finally:
        replaying.stop()
    audit.size, audit.root, audit.erased = ledger.size, ledger.root, ledger.erased
    audit.problems += ledger.problems
    for name, rows, unreadable in live:
        audit.rows += len(rows)
        audit.problems += _row_problems(rows, ledger.rows)
        if unreadable:
            audit.problems.append(
                f"table {name} was changed behind the ledger's back: it cannot be read: {unreadable}"
            )
            for key in [key for key in ledger.rows if key.startswith(f"{name}:")]:
                del ledger.rows[key]
    audit.problems.extend(f"row {key} was deleted behind the ledger's back" for key in ledger.rows)
    if not audit.problems:  # of rows that were changed, signatures only say the same again
        audit.problems.extend(envelope_problems(session))
    _compare_metrics(session, audit)
    if exported is not None:
        audit.checkpoints, found = compare_checkpoints(session, audit.size, exported)
        audit.problems.extend(found)
    if store is not None:
        _compare_artifacts(session, audit, store)
    return audit


def _row_problems(live: Mapping[str, str], told: dict[str, str]) -> Iterator[str]:
    """What does not fit; rows that are there are taken out of what the ledger tells of."""
    for key, digest in live.items():
        expected = told.pop(key, None)
        if expected is None:
            yield f"row {key} is in no ledger entry: it was added behind the ledger's back"
        elif expected != digest:
            yield f"row {key} was changed behind the ledger's back"


def _governed() -> list[type[Base]]:
    return [mapper.class_ for mapper in Base.registry.mappers if mapper.class_.governed]


def _each(session: Session, query: Select[Any]) -> Iterator[Any]:
    yield from session.scalars(query.execution_options(yield_per=_BATCH))


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
