"""A registry with one dataset, bad plugins installed for its processes, and an eye on those processes."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import psutil
import pytest
from cli.command import ACTOR, Phasegate, empty_home, phasegate, planned_home
from faults.bad_plugins.dist import install
from faults.watching import describe, processes

__all__ = ["empty_home", "phasegate", "planned_home"]

WORDS = "text,label\ngood,yes\nbad,no\nfine,yes\npoor,no\n"


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
    reach(plugin_path, monkeypatch)
    file = tmp_path / "words.csv"
    file.write_text(WORDS)
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


@pytest.fixture
def planned(
    bad: Phasegate, plugin_path: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Phasegate:
    """A version in a registry whose lifecycle lets one train and deploy at once."""
    return begin(tmp_path / "other", plugin_path, monkeypatch)


def begin(home: Path, plugin_path: list[Path], monkeypatch: pytest.MonkeyPatch) -> Phasegate:
    """Make a registry whose lifecycle lets one train and deploy at once, with version moods/1."""
    lifecycle = (files("registry.policies") / "lifecycle.yaml").read_text("utf-8")
    for work in ("train", "deploy"):
        assert f"  {work}: [" in lifecycle
        lifecycle = lifecycle.replace(f"  {work}: [", f"  {work}: [planned, ")
    (home.parent / "lifecycle.yaml").write_text(lifecycle)
    file = home.parent / "words.csv"
    file.write_text(WORDS)
    reach(plugin_path, monkeypatch)
    monkeypatch.setenv("PHASEGATE_HOME", str(home))
    monkeypatch.setenv("PHASEGATE_ACTOR", ACTOR)
    phasegate = Phasegate(home)
    phasegate("init", "--lifecycle", home.parent / "lifecycle.yaml")
    phasegate("dataset", "add", "words", file)
    phasegate("system", "add", "mood", "--purpose", "p", "--risk-tier", "limited")
    phasegate("model", "plan", "moods", "--system", "mood", "--data", "train=words/1")
    return phasegate


def reach(plugin_path: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process and those that it starts find the bad plugins."""
    for folder in reversed(plugin_path):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, plugin_path)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def ran_home(planned_home: Path, plugin_path: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose run 1 is a training of 20 steps; copied, never written to."""
    home = tmp_path_factory.mktemp("template") / "ran"
    with pytest.MonkeyPatch.context() as patch:
        phasegate = begin(home, plugin_path, patch)
        phasegate("model", "design", "moods/1", "--set", "layers=2")
        phasegate("run", "wavers", "moods/1", "--seed", "6")
    return home


@pytest.fixture
def ran(ran_home: Path, bad: Phasegate, monkeypatch: pytest.MonkeyPatch) -> Phasegate:
    """Run 1: a training of 20 steps, which claims to come again bit by bit."""
    shutil.rmtree(bad.home)
    shutil.copytree(ran_home, bad.home)
    return bad
