"""Registries to test on: fresh, or with a life behind them, on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import administer
from integration.builder import Builder
from integration.rows_without_use_cases import write_rows_without_use_cases
from sqlalchemy import URL, make_url

from registry.api import Registry
from registry.storage.database import Database


class Databases:
    """Databases of one kind: empty ones, and copies of others, which cost less than making them anew."""

    def __init__(self, folder: Path, server: URL | None) -> None:
        self._folder = folder
        self._server = server

    def empty(self) -> str:
        """URL of a new database."""
        if self._server is None:
            return f"sqlite:///{self._folder / uuid.uuid4().hex}.db"
        return self._create(self._server, "template0")

    def copy(self, url: str) -> str:
        """URL of a copy; nobody may have the original open."""
        original = str(make_url(url).database)
        if self._server is not None:
            return self._create(self._server, original)
        copied = self.empty()
        shutil.copy(original, str(make_url(copied).database))
        return copied

    def drop(self, url: str) -> None:
        """Forget a database."""
        if self._server is not None:
            with administer(self._server) as connection:
                connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def _create(self, server: URL, template: str) -> str:
        name = f"phasegate_{uuid.uuid4().hex[:16]}"
        with administer(server) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Makes databases; the test runs once for each kind."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    return Databases(tmp_path_factory.mktemp("databases"), server)


@pytest.fixture(scope="session")
def initialised(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a registry with the shipped lifecycle and policies; to be copied, never opened."""
    url = databases.empty()
    Registry.open(tmp_path_factory.mktemp("home"), database=url, actor="root", create=True).close()
    return url


@pytest.fixture(scope="session")
def lived(
    databases: Databases, initialised: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A registry in which one version was retired and another is waited for; to be copied, never opened.

    Every table has rows. The second value is its home, with the artifacts.
    """
    url, home = databases.copy(initialised), tmp_path_factory.mktemp("lived")
    with Builder(home, url) as builder:
        raw = builder.dataset("raw")
        builder.dataset("clean", parent=raw)
        builder.bring(builder.plan("loans"), "retired")
        builder.queue(builder.plan("spam"))
        write_rows_without_use_cases(builder)
    return url, home


STAGES = ("planned", "prepared", "designed", "trained", "evaluated", "deployed", "monitored", "retired")
At = Callable[[str], Builder]


class Stages:
    """Registries in which one version, loans/1, has come to a stage; made once, to be copied."""

    def __init__(self, databases: Databases, initialised: str, folder: Path) -> None:
        self._databases = databases
        self._initialised = initialised
        self._folder = folder
        self._urls: dict[str, str] = {}

    def copy(self, stage: str, home: Path) -> str:
        """URL of a copy, whose home is laid out in a folder."""
        if stage not in self._urls:
            self._urls[stage] = self._make(stage, self._folder / stage)
        shutil.copytree(self._folder / stage, home)
        return self._databases.copy(self._urls[stage])

    def _make(self, stage: str, home: Path) -> str:
        before = STAGES[: STAGES.index(stage)]
        url = self.copy(before[-1], home) if before else self._databases.copy(self._initialised)
        with Builder(home, url) as builder:
            if before:
                builder.bring("loans/1", stage)
            else:
                builder.plan("loans")
        return url


@pytest.fixture(scope="session")
def stages(databases: Databases, initialised: str, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    return Stages(databases, initialised, tmp_path_factory.mktemp("stages"))


@pytest.fixture
def at(databases: Databases, stages: Stages, tmp_path: Path) -> Iterator[At]:
    """`at("evaluated")`: a registry whose version loans/1, planned by alice, has come that far."""
    made: list[tuple[Builder, str]] = []

    def open_at(stage: str) -> Builder:
        home = tmp_path / f"home-{len(made)}"
        url = stages.copy(stage, home)
        made.append((Builder(home, url), url))
        return made[-1][0]

    yield open_at
    for builder, url in made:
        builder.database.close()
        databases.drop(url)


@pytest.fixture
def empty_url(databases: Databases) -> Iterator[str]:
    """An empty database."""
    url = databases.empty()
    yield url
    databases.drop(url)


@pytest.fixture
def builder(databases: Databases, initialised: str, tmp_path: Path) -> Iterator[Builder]:
    """A registry with the shipped lifecycle and policies, and nothing else."""
    url = databases.copy(initialised)
    with Builder(tmp_path / "home", url) as made:
        yield made
    databases.drop(url)


@pytest.fixture
def builder_on_postgres(postgres_url: str, tmp_path: Path) -> Iterator[Builder]:
    """The same, for tests of what only a server can do."""
    Registry.open(tmp_path / "home", database=postgres_url, actor="root", create=True).close()
    with Builder(tmp_path / "home", postgres_url) as made:
        yield made


@pytest.fixture
def lived_builder(databases: Databases, lived: tuple[str, Path], tmp_path: Path) -> Iterator[Builder]:
    """A copy of the registry with a life behind it, its artifacts included."""
    url, home = lived
    shutil.copytree(home, tmp_path / "home")
    copied = databases.copy(url)
    with Builder(tmp_path / "home", copied) as made:
        yield made
    databases.drop(copied)


@pytest.fixture(scope="session")
def shared(databases: Databases, lived: tuple[str, Path]) -> Iterator[Database]:
    """One database with rows in every table for all tests that leave nothing behind in it."""
    url = databases.copy(lived[0])
    database = Database(url, lock_timeout=5)
    yield database
    database.close()
    databases.drop(url)


@pytest.fixture
def lived_database(databases: Databases, lived: tuple[str, Path]) -> Iterator[Database]:
    """A copy of the database with rows in every table."""
    url = databases.copy(lived[0])
    database = Database(url, lock_timeout=5)
    yield database
    database.close()
    databases.drop(url)
