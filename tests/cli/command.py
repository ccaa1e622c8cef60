"""The command line in this process: quick, and with everything that it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.cli.main import execute
from registry.files import sha256_of

ACTOR = "tess"
EXECUTABLE = Path(sys.executable).with_name("phasegate")


@dataclass(frozen=True)
class Answer:
    """What a command answered: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error object that `--json` gives on standard error."""
        return json.loads(self.err)["error"]


class Phasegate:
    """`phasegate ARGUMENTS` on one home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: object, expect: int = 0) -> Answer:
        """Run a command; `expect` is the exit code that it must end with."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = execute([*map(str, arguments)])
        said = [stream.buffer.getvalue().decode() for stream in (out, err)]
        answer = Answer(code, *said)
        assert code == expect, f"phasegate {arguments} exited with {code}:\n{answer.out}\n{answer.err}"
        return answer

    def refuses(self, *arguments: object, code: int = 2) -> Answer:
        """Run a command that must fail: nothing may be lost, changed or half written by it."""
        before = self.state()
        answer = self(*arguments, expect=code)
        assert answer.out == ""
        assert "Traceback" not in answer.err
        assert self.state() == before
        return answer

    def verify(self) -> None:
        """`audit verify`, every stored byte included."""
        assert self("audit", "verify", "--artifacts").out.endswith("the tables are what it says.\n")

    def state(self) -> tuple[str, dict[str, str]]:
        """What must not change when a command refuses: every row of the database, every other file."""
        with contextlib.closing(sqlite3.connect(self.home / "registry.db")) as connection:
            rows = "\n".join(connection.iterdump())
        others = (path for path in self.home.rglob("*") if not path.name.startswith("registry.db"))
        return rows, {str(path): sha256_of(path) for path in others if path.is_file()}


def environment(home: Path) -> dict[str, str]:
    """Environment for a real `phasegate` process on a home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHASEGATE_")}
    return kept | {"PHASEGATE_HOME": str(home), "PHASEGATE_ACTOR": ACTOR}


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry as `phasegate init` leaves it; copied, never written to."""
    home = tmp_path_factory.mktemp("template") / "home"
    registry.open(home, actor=ACTOR, create=True).close()
    return home


@pytest.fixture(scope="session")
def planned_home(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with dataset words/1, system mood and version moods/1; copied, never written to."""
    home = tmp_path_factory.mktemp("template") / "planned"
    shutil.copytree(empty_home, home)
    file = home.parent / "words.csv"
    file.write_text("text,label,sex\ngood,yes,f\nbad,no,m\nfine,yes,m\npoor,no,f\n")
    with registry.open(home, actor=ACTOR) as opened:
        words = opened.add_dataset("words", file, sensitive=["sex"])
        opened.add_system("mood", purpose="sort texts", risk_tier="limited")
        opened.plan("moods", system="mood", targets=["f1>=0.5"], data={"train": words.ref})
    return home


@pytest.fixture
def phasegate(
    request: pytest.FixtureRequest,
    empty_home: Path,
    planned_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Phasegate:
    """The command line on a registry of its own: an empty one, unless the test asks for what is in it."""
    home = tmp_path / "home"
    asked = {"words", "version"} & set(request.fixturenames)
    shutil.copytree(planned_home if asked else empty_home, home)
    for name in ("PHASEGATE_DATABASE", "PHASEGATE_ARTIFACTS", "PHASEGATE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHASEGATE_HOME", str(home))
    monkeypatch.setenv("PHASEGATE_ACTOR", ACTOR)
    return Phasegate(home)


@pytest.fixture
def words() -> str:
    """A dataset version of four labelled texts."""
    return "words/1"


@pytest.fixture
def version() -> str:
    """A planned model version, with data."""
    return "moods/1"
