"""Two at once: the same bytes fetched, the same database written to."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from cli.command import Phasegate
from faults.watching import until

from registry.storage.artifacts import ArtifactStore


def at_once(number: int, act: Callable[[], object]) -> list[object]:
    """What `number` threads get that do the same at the same moment."""
    barrier = threading.Barrier(number)

    def wait_and_act() -> object:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(number) as pool:
        return [future.result() for future in [pool.submit(wait_and_act) for _ in range(number)]]


def test_many_fetch_the_same_artifact(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(20):
        (source / f"file{number}").write_bytes(bytes([number]) * 10_000)
    url = str(tmp_path / "store")
    stored = ArtifactStore(url, tmp_path / "unused").put(source)

    def fetch_and_read(cache: Path) -> Path:
        folder = ArtifactStore(url, cache).fetch(stored.digest, stored.manifest)
        for _ in range(30):
            assert sum(len((folder / name).read_bytes()) for name in stored.manifest) == stored.size
        return folder

    for attempt in range(5):
        cache = tmp_path / f"cache{attempt}"
        found = at_once(6, partial(fetch_and_read, cache))
        assert found == [cache / stored.digest.removeprefix("sha256:")] * 6
        assert list(cache.iterdir()) == found[:1]


def test_a_damaged_copy_in_the_cache_makes_way(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("right")
    store = ArtifactStore(str(tmp_path / "store"), tmp_path / "cache")
    stored = store.put(source)
    file = store.fetch(stored.digest, stored.manifest) / "file"
    file.chmod(0o644)
    file.write_text("wrong")
    assert (store.fetch(stored.digest, stored.manifest) / "file").read_text() == "right"
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.slow
def test_a_result_waits_for_a_database_that_is_locked(bad: Phasegate) -> None:
    """Somebody writes for longer than a writer waits: the run does not fail, it is recorded after."""
    bad("run", "counts", "words/1", "--detach", "--set", "steps=12", "--set", "pause=0.05")
    until(lambda: bad("runs", "show", 1, "--json").json["state"] == "running")
    connection = sqlite3.connect(bad.home / "registry.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    until(lambda: (bad.home / "runs" / "1" / "exit.json").exists())
    time.sleep(23)
    assert bad("runs", "show", 1, "--json").json["state"] == "running"
    connection.execute("ROLLBACK")
    connection.close()
    until(lambda: bad("runs", "show", 1, "--json").json["state"] == "succeeded", within=30)
    bad.verify()
