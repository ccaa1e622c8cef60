"""Databases that cannot be used: the message says why, the hint what to do, and nothing was changed."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from integration.builder import Builder
from integration.tables import contents
from sqlalchemy import Engine, create_engine, inspect, make_url, text

import registry
from registry.api import Registry
from registry.errors import BadInput, DatabaseUnusable
from registry.storage.home import Home
from registry.storage.revisions import downgrade

LOCKER = """
import sys
from sqlalchemy import create_engine
engine = create_engine(sys.argv[1])
with engine.connect() as connection:
    if engine.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.exec_driver_sql("UPDATE ledger_head SET size = size + 1")
    print("locked", flush=True)
    sys.stdin.read()
"""


def urls_of(builder: Builder) -> str:
    return builder.database.url.render_as_string(hide_password=False)


def state_of(engine: Engine) -> object:
    """All there is in a database, other tables than ours included."""
    with engine.connect() as connection:
        version = []
        if "alembic_version" in inspect(connection).get_table_names():
            version = [tuple(row) for row in connection.execute(text("SELECT * FROM alembic_version"))]
        return sorted(inspect(connection).get_table_names()), version, contents(connection)


@contextmanager
def unchanged(url: str) -> Iterator[None]:
    """Hold a database to what it was."""
    engine = create_engine(url)
    before = state_of(engine)
    yield
    assert state_of(engine) == before
    engine.dispose()


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def upgrade(home: Path, url: str) -> None:
    with Registry(Home.at(home, database=url), "alice") as named:
        named.upgrade()


OPENINGS: list[Callable[[Path, str], object]] = [
    lambda home, url: registry.open(home, database=url, actor="alice"),
    lambda home, url: registry.open(home, database=url, actor="alice", create=True),
    upgrade,
]


def refused_by_all(home: Path, url: str) -> list[DatabaseUnusable]:
    """What opening, making and upgrading say, none of which changes anything."""
    errors = []
    for attempt in OPENINGS:
        with unchanged(url), pytest.raises(DatabaseUnusable) as caught:
            attempt(home, url)
        errors.append(caught.value)
    return errors


def test_from_a_newer_release(builder: Builder, tmp_path: Path) -> None:
    url = urls_of(builder)
    builder.database.close()
    execute(url, "UPDATE alembic_version SET version_num = '0999_from_the_future'")
    for error in refused_by_all(tmp_path, url):
        assert "is at revision '0999_from_the_future', from a newer release" in error.message
        assert error.hint == "upgrade phasegate, then try again; nothing was changed"


@pytest.mark.parametrize(
    ("statement", "count"), [("DROP TABLE alembic_version", 0), ("DELETE FROM alembic_version", 0),
                             ("INSERT INTO alembic_version VALUES ('0002_people_and_risks')", 2)]
)  # fmt: skip
def test_half_migrated(builder: Builder, tmp_path: Path, statement: str, count: int) -> None:
    url = urls_of(builder)
    builder.database.close()
    execute(url, statement)
    for error in refused_by_all(tmp_path, url):
        assert (
            error.message == f"the database is half migrated: it has tables, and {count} revisions, not one"
        )
        assert error.hint == "restore the backup that was made before the upgrade"


def test_outdated(builder: Builder, tmp_path: Path) -> None:
    url = urls_of(builder)
    with builder.database.ungoverned() as connection:
        downgrade(connection, "0002_people_and_risks")
    builder.database.close()
    # Opening does not upgrade behind anybody's back.
    for attempt in OPENINGS[:2]:
        with (
            unchanged(url),
            pytest.raises(DatabaseUnusable, match="is at revision '0002_people_and_risks'") as caught,
        ):
            attempt(tmp_path, url)
        assert caught.value.hint == "make a backup, then: phasegate db upgrade"


def test_empty(empty_url: str, tmp_path: Path) -> None:
    engine = create_engine(empty_url)
    engine.connect().close()  # of SQLite, the file
    engine.dispose()
    for attempt in (OPENINGS[0], OPENINGS[2]):
        with unchanged(empty_url), pytest.raises(DatabaseUnusable, match="is empty") as caught:
            attempt(tmp_path, empty_url)
        assert caught.value.hint == "phasegate init"


def test_somebody_elses_tables_are_left_alone(empty_url: str, tmp_path: Path) -> None:
    execute(empty_url, "CREATE TABLE invoices (id INTEGER)", "INSERT INTO invoices VALUES (7)")
    with pytest.raises(DatabaseUnusable, match="is empty"):
        OPENINGS[0](tmp_path, empty_url)
    with registry.open(tmp_path, database=empty_url, actor="alice", create=True) as opened:
        assert opened.verify().ok
    engine = create_engine(empty_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT id FROM invoices")) == 7
    engine.dispose()


@contextmanager
def locked_by_another_process(url: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait()


def test_locked_by_another_process(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_LOCK_TIMEOUT", "0.2")
    url, ref = urls_of(builder), builder.plan()
    builder.approver("alice")
    builder.database.close()
    with registry.open(builder.home.root, database=url, actor="alice") as opened:
        with unchanged(url), locked_by_another_process(url):
            for write in (
                lambda: opened.add_system("support", purpose="answers mail", risk_tier="minimal"),
                lambda: opened.promote(ref, "prepared"),
                lambda: opened.approve(ref, "prepared"),
            ):
                with pytest.raises(DatabaseUnusable) as caught:
                    write()
                assert "is locked: another process has been writing for too long" in caught.value.message
                assert caught.value.hint == "try again; nothing was changed"
            # Reading goes on meanwhile.
            assert opened.version(ref).stage == "planned"
        assert opened.promote(ref, "prepared").allowed
        assert opened.verify().ok


@pytest.mark.parametrize("timeout", ["soon", "nan", "-1", "0"])
def test_a_lock_timeout_that_is_no_number_of_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: str
) -> None:
    monkeypatch.setenv("PHASEGATE_LOCK_TIMEOUT", timeout)
    with pytest.raises(BadInput, match="PHASEGATE_LOCK_TIMEOUT"):
        registry.open(tmp_path, actor="alice", create=True)


class TestSQLite:
    """What can only happen to a file."""

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DatabaseUnusable, match=f"there is no registry at {tmp_path}") as caught:
            registry.open(tmp_path, actor="alice")
        assert caught.value.hint == "phasegate init"
        assert list(tmp_path.iterdir()) == []

    def test_no_database_at_all(self, tmp_path: Path) -> None:
        file = tmp_path / "registry.db"
        file.write_bytes(b"I am a letter to my grandmother.\n" * 100)
        for attempt in OPENINGS:
            with pytest.raises(DatabaseUnusable, match="cannot be used: file is not a database"):
                attempt(tmp_path, f"sqlite:///{file}")
        assert file.read_bytes() == b"I am a letter to my grandmother.\n" * 100

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "registry.db").mkdir()
        for attempt in OPENINGS:
            with pytest.raises(DatabaseUnusable, match="cannot be used: unable to open database file"):
                attempt(tmp_path, f"sqlite:///{tmp_path / 'registry.db'}")

    def test_a_file_in_the_place_of_the_home(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.write_text("no folder")
        with pytest.raises(DatabaseUnusable, match="cannot be made"):
            registry.open(home, actor="alice", create=True)
        assert home.read_text() == "no folder"

    def test_cut_off_in_the_middle(self, tmp_path: Path) -> None:
        registry.open(tmp_path, actor="alice", create=True).close()
        file = tmp_path / "registry.db"
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(DatabaseUnusable, match="cannot be used: database disk image is malformed"):
            registry.open(tmp_path, actor="alice").verify()

    @pytest.mark.parametrize("mode", ["mode=ro", "immutable=1"])
    def test_read_only(self, tmp_path: Path, mode: str) -> None:
        """As an auditor opens a copy: everything can be read, nothing written."""
        with registry.open(tmp_path, actor="alice", create=True) as opened:
            opened.add_system("support", purpose="answers mail", risk_tier="minimal")
        file = tmp_path / "registry.db"
        before = hashlib.sha256(file.read_bytes()).hexdigest()
        with registry.open(
            tmp_path, database=f"sqlite:///file:{file}?{mode}&uri=true", actor="bob"
        ) as opened:
            assert opened.verify().ok
            assert [system.name for system in opened.systems()] == ["support"]
            with pytest.raises(DatabaseUnusable, match="is read-only") as caught:
                opened.add_system("credit", purpose="lends", risk_tier="high")
            assert caught.value.hint == "give this user the right to write to the file and its folder"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == before

    def test_a_missing_file_by_uri(self, tmp_path: Path) -> None:
        with pytest.raises(DatabaseUnusable, match="unable to open database file"):
            registry.open(tmp_path, database=f"sqlite:///file:{tmp_path}/x.db?mode=ro&uri=true", actor="bob")


@pytest.mark.postgres
class TestPostgreSQL:
    """What can only happen to a server."""

    def test_read_only(self, builder_on_postgres: Builder, tmp_path: Path) -> None:
        url = urls_of(builder_on_postgres)
        name = make_url(url).database
        execute(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        builder_on_postgres.database.close()
        with unchanged(url), registry.open(tmp_path, database=url, actor="bob") as opened:
            assert opened.verify().ok
            with pytest.raises(DatabaseUnusable, match="is read-only"):
                opened.add_system("credit", purpose="lends", risk_tier="high")

    def test_no_such_database(self, postgres_url: str, tmp_path: Path) -> None:
        url = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)
        for attempt in OPENINGS:
            with pytest.raises(DatabaseUnusable, match='database "nowhere" does not exist'):
                attempt(tmp_path, url)

    def test_no_server_and_no_password_in_the_message(self, tmp_path: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"postgresql+psycopg://alice:s3cret@127.0.0.1:{free.getsockname()[1]}/registry"
        with pytest.raises(DatabaseUnusable, match=r"cannot be used: .*refused") as caught:
            registry.open(tmp_path, database=url, actor="alice")
        assert "s3cret" not in caught.value.message
        assert "alice:***@127.0.0.1" in caught.value.message

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
    def test_every_usual_spelling_of_its_url(self, postgres_url: str, tmp_path: Path, scheme: str) -> None:
        url = postgres_url.replace("postgresql+psycopg", scheme)
        with registry.open(tmp_path, database=url, actor="alice", create=True) as opened:
            assert opened.verify().ok


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("registry.db", "not a database URL"),
        ("", None),
        ("oracle+nothing://host/x", r"no driver for 'oracle\+nothing'"),
        ("postgresql+psycopg://alice:s3cret@host:port/x", "not a database URL"),
    ],
)
def test_what_is_no_database_url(tmp_path: Path, url: str, says: str | None) -> None:
    if says is None:  # nothing named: the home's own
        registry.open(tmp_path, database=url, actor="alice", create=True).close()
        assert (tmp_path / "registry.db").exists()
        return
    with pytest.raises(BadInput, match=says) as caught:
        registry.open(tmp_path, database=url, actor="alice")
    assert "s3cret" not in caught.value.message
