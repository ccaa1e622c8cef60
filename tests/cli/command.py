"""The command line in this process: quick, and with everything that it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.cli.main import execute

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
        self.verify()
        return answer

    def verify(self) -> None:
        """`audit verify`, every stored byte included."""
        assert self("audit", "verify", "--artifacts").out.endswith("the tables are what it says.\n")

    def state(self) -> dict[str, Any]:
        """What must not change when a command refuses: ledger, counts, and files in the home."""
        with registry.open(self.home) as opened:
            audit = opened.verify()
            files = {
                str(path.relative_to(self.home))
                for path in self.home.rglob("*")
                if path.is_file() and not path.name.startswith("registry.db")
            }
            return {"entries": audit.size, "root": audit.root, "counts": opened.counts(), "files": files}


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


@pytest.fixture
def phasegate(empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phasegate:
    """The command line on a fresh registry, which is the default one of this test."""
    home = tmp_path / "home"
    shutil.copytree(empty_home, home)
    for name in ("PHASEGATE_DATABASE", "PHASEGATE_ARTIFACTS", "PHASEGATE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHASEGATE_HOME", str(home))
    monkeypatch.setenv("PHASEGATE_ACTOR", ACTOR)
    return Phasegate(home)


@pytest.fixture
def words(phasegate: Phasegate, tmp_path: Path) -> str:
    """A dataset version of four labelled texts."""
    file = tmp_path / "words.csv"
    file.write_text("text,label,sex\ngood,yes,f\nbad,no,m\nfine,yes,m\npoor,no,f\n")
    phasegate("dataset", "add", "words", file, "--sensitive", "sex")
    return "words/1"


@pytest.fixture
def version(phasegate: Phasegate, words: str) -> str:
    """A planned model version, with data."""
    phasegate("system", "add", "mood", "--purpose", "sort texts", "--risk-tier", "limited")
    phasegate("model", "plan", "moods", "--system", "mood", "--target", "f1>=0.5", "--data", f"train={words}")
    return "moods/1"
