"""Migrations: up, down and up again with rows, or cut off in the middle; what they make is what is mapped."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from integration.tables import TABLES, contents, contents_of
from sqlalchemy import Connection, inspect, text

from registry.api import Registry
from registry.errors import DatabaseUnusable
from registry.storage.database import Database
from registry.storage.home import Home
from registry.storage.revisions import downgrade, head_revision, known_revisions, upgrade
from registry.storage.tables import Base

STALLING = """
import sys, time
from sqlalchemy import event
from registry.storage.database import Database

database = Database(sys.argv[1])

@event.listens_for(database.engine, "after_cursor_execute")
def stall(connection, cursor, statement, *rest):
    if sys.argv[2] in statement:
        print("half way", flush=True)
        time.sleep(float(sys.argv[3]))

database.migrate()
"""


@pytest.fixture
def empty_database(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url, lock_timeout=5)
    yield database
    database.close()


@contextmanager
def writing(database: Database) -> Iterator[Connection]:
    """One transaction, for schema changes that are no upgrade to the head."""
    with database.ungoverned() as connection:
        yield connection


def tables_of(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def test_from_nothing_to_the_head(empty_database: Database) -> None:
    assert empty_database.revision() is None
    empty_database.migrate()
    empty_database.check()
    assert empty_database.revision() == head_revision()
    assert tables_of(empty_database) == {table.name for table in TABLES} | {"alembic_version"}
    rows = {name: found for name, found in contents_of(empty_database).items() if found}
    assert rows == {"ledger_head": [(1, 0, b"")]}


def test_migrating_twice_changes_nothing(empty_database: Database) -> None:
    empty_database.migrate()
    before = contents_of(empty_database)
    empty_database.migrate()
    assert contents_of(empty_database) == before


def test_the_tables_are_those_that_the_code_maps(empty_database: Database) -> None:
    empty_database.migrate()
    with empty_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_table_has_rows_to_migrate(lived_database: Database) -> None:
    assert [name for name, rows in contents_of(lived_database).items() if not rows] == []


def test_down_to_the_tables_and_up_again_keeps_every_row(lived_database: Database) -> None:
    before = contents_of(lived_database)
    with writing(lived_database) as connection:
        downgrade(connection, "0002_people_and_risks")
    assert contents_of(lived_database) == before
    with writing(lived_database) as connection:
        connection.execute(text("UPDATE evidence SET summary = summary"))  # nothing guards it here
    with pytest.raises(DatabaseUnusable, match="at revision '0002_people_and_risks', this release needs"):
        lived_database.check()
    lived_database.migrate()
    assert contents_of(lived_database) == before
    with pytest.raises(Exception, match="of evidence is refused"), writing(lived_database) as connection:
        connection.execute(text("UPDATE evidence SET summary = 'better'"))


def test_down_to_nothing_and_up_again_with_rows(lived_database: Database, tmp_path: Path) -> None:
    with writing(lived_database) as connection:
        downgrade(connection, "base")
    assert tables_of(lived_database) == {"alembic_version"}
    assert lived_database.revision() is None
    url = lived_database.url.render_as_string(hide_password=False)
    with Registry.open(tmp_path, database=url, actor="alice", create=True) as registry:
        assert registry.verify().ok
        assert registry.counts()["versions"] == 0


def test_every_revision_has_a_way_up_and_down(empty_database: Database) -> None:
    for _ in range(2):
        for _ in known_revisions():
            with writing(empty_database) as connection:
                upgrade(connection, "+1")
        assert empty_database.revision() == head_revision()
        for _ in known_revisions():
            with writing(empty_database) as connection:
                downgrade(connection, "-1")
        assert empty_database.revision() is None


@contextmanager
def half_way(database: Database, statement: str, pause: float) -> Iterator[subprocess.Popen[str]]:
    """A process that migrates and pauses, for some seconds, after it has run a statement."""
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", STALLING, url, statement, str(pause)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half way\n"
        yield process


def cut_off(database: Database, statement: str) -> None:
    """Kill a process that migrates, after it has run a statement."""
    with half_way(database, statement, pause=60) as process:
        process.send_signal(signal.SIGKILL)


def test_two_upgrades_at_once_are_one(empty_database: Database) -> None:
    with half_way(empty_database, "CREATE TABLE evidence", pause=0.5) as process:
        empty_database.migrate()
    assert process.returncode == 0
    empty_database.check()
    assert len(contents_of(empty_database)["ledger_head"]) == 1


def test_killed_while_making_the_tables_leaves_nothing(empty_database: Database, tmp_path: Path) -> None:
    cut_off(empty_database, "CREATE TABLE evidence")
    assert empty_database.revision() is None
    assert tables_of(empty_database) <= {"alembic_version"}
    empty_database.migrate()
    empty_database.check()


def test_killed_while_upgrading_leaves_the_revision_before(lived_database: Database) -> None:
    with writing(lived_database) as connection:
        downgrade(connection, "0002_people_and_risks")
    before = contents_of(lived_database)
    cut_off(lived_database, "CREATE TRIGGER keep_decisions_update")
    assert lived_database.revision() == "0002_people_and_risks"
    assert contents_of(lived_database) == before
    lived_database.migrate()
    assert contents_of(lived_database) == before


def test_a_failing_upgrade_leaves_the_revision_before(lived_database: Database) -> None:
    def attempt() -> None:
        with writing(lived_database) as connection:
            upgrade(connection)
            assert contents(connection)["versions"]
            raise RuntimeError("stop")

    with writing(lived_database) as connection:
        downgrade(connection, "0002_people_and_risks")
        connection.execute(text("CREATE TABLE keepsake (id INTEGER)"))
    with pytest.raises(RuntimeError, match="stop"):
        attempt()
    assert lived_database.revision() == "0002_people_and_risks"
    lived_database.migrate()
    assert "keepsake" in tables_of(lived_database)


def test_an_upgraded_registry_goes_on_where_it_stood(lived_database: Database, tmp_path: Path) -> None:
    with writing(lived_database) as connection:
        downgrade(connection, "0002_people_and_risks")
    url = lived_database.url.render_as_string(hide_password=False)
    registry = Registry(Home.at(tmp_path, database=url), "alice")
    assert registry.upgrade() == ("0002_people_and_risks", head_revision())
    registry.add_system("support", purpose="answers mail", risk_tier="minimal")
    assert registry.verify().ok
    registry.close()
