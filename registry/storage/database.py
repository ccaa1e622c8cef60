"""The database: opened, checked, and never left half used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.orm import Session

from registry.errors import BadInput, Conflict, DatabaseUnusable
from registry.storage.revisions import head_revision, known_revisions, upgrade

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from registry.storage.unit_of_work import UnitOfWork

_WRITING = "phasegate_writing"
_MIGRATING = int.from_bytes(b"phasegat")


def lock_timeout() -> float:
    """Seconds of `$PHASEGATE_LOCK_TIMEOUT`, 20 unless set.

    Raises:
        BadInput: It is no such number.
    """
    given = os.environ.get("PHASEGATE_LOCK_TIMEOUT") or "20"
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise BadInput(f"PHASEGATE_LOCK_TIMEOUT is {given!r}", hint="give it seconds, up to a day")
    return seconds


class Database:
    """One registry's database: `read()` for looking, `write(actor)` for one transaction that records."""

    def __init__(self, url: str, *, lock_timeout: float = 20.0) -> None:
        """Prepare a connection; nothing is opened yet.

        Args:
            url: SQLAlchemy URL.
            lock_timeout: Seconds that a writer waits for another one.

        Raises:
            BadInput: The URL cannot be read, or its driver is not installed.
        """
        try:
            self.url = make_url(url)
            if self.url.drivername in ("postgres", "postgresql"):
                self.url = self.url.set(drivername="postgresql+psycopg")
            self.engine = _engine(self.url, lock_timeout)
            self._looking = _looking(self.engine)
        except (ImportError, NoSuchModuleError) as cause:
            raise BadInput(
                f"no driver for {url.split(':')[0]!r}: {cause}", hint="pip install 'phasegate[postgres]'"
            ) from cause
        except Exception as cause:
            raise BadInput(f"not a database URL: {cause}") from cause

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking, which sees one moment; nothing that it changes is kept."""
        with (
            _explained(self.name),
            self._looking.connect() as connection,
            connection.begin() as transaction,
            Session(connection, autoflush=False, join_transaction_mode="rollback_only") as session,
        ):
            yield session
            transaction.rollback()

    @contextmanager
    def write(self, actor: str) -> Iterator[UnitOfWork]:
        """One transaction, with its ledger entries; all of it or nothing.

        Raises:
            DatabaseUnusable: Locked for longer than the timeout, or read-only.
            Conflict: Two transactions deadlocked, or wrote the same thing.
        """
        # Only writers need the ledger: whoever just looks does not pay for loading it.
        from registry.storage.unit_of_work import RecordingSession, UnitOfWork

        with (
            _explained(self.name),
            self.engine.connect().execution_options(**{_WRITING: True}) as connection,
            RecordingSession(connection) as session,
        ):
            work = UnitOfWork(session, actor)
            yield work
            work.commit()

    @contextmanager
    def ungoverned(self) -> Iterator[Connection]:
        """One transaction on tables that are no history: leases, live metrics. Triggers guard the rest."""
        with (
            _explained(self.name),
            self.engine.connect().execution_options(**{_WRITING: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def clear_remains(self) -> None:
        """See that rows as they were before a change are not in the database's own files any more.

        As far as the database can: what others still read stays until they are done.
        """
        sqlite = self.engine.dialect.name == "sqlite"
        statements = (
            ("PRAGMA wal_checkpoint(TRUNCATE)",) if sqlite else ("VACUUM ledger_entries", "VACUUM actors")
        )
        with (
            _explained(self.name),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            for statement in statements:
                connection.exec_driver_sql(statement)

    def revision(self) -> str | None:
        """The migration that the database is at; None for an empty database.

        Raises:
            DatabaseUnusable: It cannot be reached, or has our tables and no revision.
        """
        with _explained(self.name), self.engine.connect() as connection:
            return _revision_of(connection)

    def migrate(self) -> None:
        """Migrate up to this release, in one transaction: a migration that is killed leaves nothing.

        Raises:
            DatabaseUnusable: The database is from a newer release.
        """
        revision = self.revision()
        if revision is not None and revision not in known_revisions():
            self.check()
        with (
            _explained(self.name),
            self.engine.connect().execution_options(**{_WRITING: True}) as connection,
            connection.begin(),
        ):
            # One at a time; on SQLite, the writer's lock sees to it.
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
            upgrade(connection)

    def check(self) -> None:
        """See that the database can be used by this release.

        Raises:
            DatabaseUnusable: Missing, empty, outdated, newer, or half migrated.
        """
        file = self.url.database if self.url.get_backend_name() == "sqlite" else None
        # SQLite makes a file that is not there, unless it is named by URI: then the URI's mode decides.
        if file not in (None, ":memory:") and "uri" not in self.url.query and not Path(str(file)).exists():
            raise DatabaseUnusable(f"there is no registry at {file}", hint="phasegate init")
        revision = self.revision()
        if revision == head_revision():
            return
        if revision is None:
            raise DatabaseUnusable(f"{self.name} is empty", hint="phasegate init")
        if revision not in known_revisions():
            raise DatabaseUnusable(
                f"{self.name} is at revision {revision!r}, from a newer release of phasegate than this",
                hint="upgrade phasegate, then try again; nothing was changed",
            )
        raise DatabaseUnusable(
            f"{self.name} is at revision {revision!r}, this release needs {head_revision()!r}",
            hint="make a backup, then: phasegate db upgrade",
        )

    def close(self) -> None:
        self.engine.dispose()


def _revision_of(connection: Connection) -> str | None:
    tables = set(inspect(connection).get_table_names())
    rows: list[str] = []
    if "alembic_version" in tables:
        rows = list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
    if len(rows) == 1:
        return rows[0]
    if rows or tables & {"versions", "ledger_entries"}:
        raise DatabaseUnusable(
            f"the database is half migrated: it has tables, and {len(rows)} revisions, not one",
            hint="restore the backup that was made before the upgrade",
        )
    return None


def _engine(url: URL, lock_timeout: float) -> Engine:
    if url.get_backend_name() != "sqlite":
        # READ COMMITTED with row locks: what must not interleave locks the version, then the ledger's head.
        engine = create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED")

        @event.listens_for(engine, "connect")
        def _limit_waiting(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            cursor.execute(f"SET lock_timeout = {max(1, int(lock_timeout * 1000))}")  # 0 would be for ever
            cursor.close()
            connection.commit()

        return engine

    engine = create_engine(url, connect_args={"timeout": lock_timeout})

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            try:
                connection.execute(f"PRAGMA {pragma}")
            except Exception as cause:
                # A read-only file cannot change its journal mode, and needs not.
                if "readonly" not in str(cause):
                    raise

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes its lock at once: upgrading a read lock later could fail half-way.
        mode = "IMMEDIATE" if connection.get_execution_options().get(_WRITING) else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _looking(engine: Engine) -> Engine:
    """The engine, with one snapshot for all of a transaction; SQLite has no other kind."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ")


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say in our words what a driver says in its own."""
    try:
        yield
    except DBAPIError as error:
        text_ = str(error.orig)
        if "locked" in text_ or "lock timeout" in text_:
            raise DatabaseUnusable(
                f"{name} is locked: another process has been writing for too long",
                hint="try again; nothing was changed",
            ) from error
        if "readonly" in text_ or "read-only" in text_:
            raise DatabaseUnusable(
                f"{name} is read-only", hint="give this user the right to write to the file and its folder"
            ) from error
        if "deadlock" in text_ or "could not serialize" in text_:
            raise Conflict(
                "somebody else changed the same rows; nothing was written", hint="try again"
            ) from error
        if isinstance(error, IntegrityError) and "unique" in text_.lower():
            raise Conflict(
                "somebody else wrote the same thing first; nothing was written", hint="try again"
            ) from error
        reason = text_.strip().partition("\n")[0]
        if isinstance(error, DataError):
            raise BadInput(f"a value cannot be stored: {reason}") from error
        if type(error) in (OperationalError, DatabaseError):
            raise DatabaseUnusable(f"{name} cannot be used: {reason}") from error
        raise
    except UnicodeEncodeError as error:
        raise BadInput(f"a value cannot be stored: {error}") from error
