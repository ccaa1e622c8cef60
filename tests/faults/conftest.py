"""A registry with one dataset, bad plugins installed for its processes, and an eye on those processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cli.command import Phasegate, empty_home, phasegate, planned_home
from faults.bad_plugins.dist import install
from faults.watching import describe, processes

__all__ = ["empty_home", "phasegate", "planned_home"]


@pytest.fixture(scope="session")
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders that a process needs on its path to find the bad plugins."""
    return install(tmp_path_factory.mktemp("plugins"))


@pytest.fixture
def bad(
    phasegate: Phasegate,
    plugin_path: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Phasegate]:
    """The command line on a registry with dataset words/1 and the bad plugins.

    When the test is over, no process of the registry may be left.
    """
    for folder in reversed(plugin_path):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, plugin_path)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = tmp_path / "words.csv"
    file.write_text("text,label\ngood,yes\nbad,no\nfine,yes\npoor,no\n")
    phasegate("dataset", "add", "words", file)
    yield phasegate
    left = processes(phasegate.home, within=5.0)
    words = [describe(process) for process in left]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert words == [], "processes were left"


@pytest.fixture
def bad_on_postgres(bad: Phasegate, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Phasegate:
    """The same with a PostgreSQL database."""
    monkeypatch.setenv("PHASEGATE_DATABASE", postgres_url)
    bad("init")
    bad("dataset", "add", "words", bad.home.parent / "words.csv")
    return bad
