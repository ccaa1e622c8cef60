"""Who looks after a run: one at a time, and whoever was overtaken has no say."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import pytest
from cli.command import Phasegate
from faults.counting import (
    LONG,
    NO_CHECKPOINTS,
    SHORT,
    actions,
    assert_succeeded_once,
    begins,
    end,
    kill_both,
    start,
    state,
)
from faults.watching import gone, plugins, processes, supervisors, until

import registry
from registry.runner.folder import RunFolder
from registry.runner.supervisor import start_supervisor
from registry.usecases import recovery


def recover_at_once(bad: Phasegate, number: int) -> None:
    """Several look for runs that nobody looks after, at the same moment."""
    barrier = threading.Barrier(number)

    def recover() -> None:
        with registry.open(bad.home) as opened:
            barrier.wait()
            opened.runs.recover()

    threads = [threading.Thread(target=recover) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_many_who_recover_one_does(bad: Phasegate) -> None:
    start(bad, *LONG, *NO_CHECKPOINTS)
    (supervisor,) = supervisors(bad.home)
    supervisor.kill()
    until(lambda: gone(supervisor.pid))
    recover_at_once(bad, 4)
    assert actions(bad).count("run-taken-over") == 1
    assert end(bad) == "succeeded"
    assert_succeeded_once(bad, 60)


def test_a_run_that_ends_while_it_is_looked_at_is_left_alone(
    bad: Phasegate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen as running, then ended and its supervisor gone: there is nothing to recover."""
    start(bad, *SHORT)
    really_held = recovery.held

    def held_until_it_ended(session, run: int) -> bool:
        monkeypatch.setattr(recovery, "held", really_held)
        until(lambda: not processes(bad.home))
        return False

    monkeypatch.setattr(recovery, "held", held_until_it_ended)
    with registry.open(bad.home) as opened:
        assert opened.runs.recover() == []
    assert actions(bad) == ["run-queued", "run-started", "run-ended"]
    assert_succeeded_once(bad, 12)


def test_a_supervisor_that_was_thought_dead_cannot_record(bad: Phasegate) -> None:
    """Another host's lease that ran out, as it looks from here: the run is taken over, its plugin adopted."""
    start(bad, *LONG, *NO_CHECKPOINTS)
    (first,) = supervisors(bad.home)
    first.suspend()
    connection = sqlite3.connect(bad.home / "registry.db", isolation_level=None)
    connection.execute(
        "UPDATE run_leases SET host = 'elsewhere', heartbeat_at = '2026-01-01 00:00:00.000000'"
    )
    connection.close()
    assert state(bad) == "running"
    assert len(supervisors(bad.home)) == 2
    first.resume()
    until(lambda: gone(first.pid))
    assert len(plugins(bad.home)) == 1, "the stale supervisor has ended what is no longer its own"
    assert end(bad) == "succeeded"
    assert actions(bad) == ["run-queued", "run-started", "run-taken-over", "run-started", "run-ended"]
    assert_succeeded_once(bad, 60)


def test_a_late_supervisor_finds_its_token_stale(bad: Phasegate) -> None:
    """Started, and overtaken before it came to read anything: it must not pick up its successor's token."""
    start(bad, *SHORT)
    assert end(bad) == "succeeded"
    before = actions(bad)
    late = start_supervisor(RunFolder(bad.home / "runs" / "1"), 0, f"sqlite:///{bad.home / 'registry.db'}")
    until(lambda: gone(late.pid))
    assert actions(bad) == before
    bad.verify()


def test_a_plugin_begins_only_once_it_is_on_record(bad: Phasegate) -> None:
    """A supervisor killed between starting a process and noting it leaves one that ends by itself."""
    start(bad, *SHORT)
    end(bad)
    folder = bad.home / "runs" / "1"
    before = (folder / "events.jsonl").read_bytes()
    process = subprocess.run(
        [sys.executable, "-P", "-m", "registry.runner.child", str(folder)],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert process.returncode == 3
    assert (folder / "events.jsonl").read_bytes() == before


@pytest.mark.postgres
def test_the_same_on_postgres(bad_on_postgres: Phasegate) -> None:
    """Adopted by one of many, lost, resumed, and recorded once."""
    bad = bad_on_postgres
    start(bad, *LONG, *NO_CHECKPOINTS)
    (supervisor,) = supervisors(bad.home)
    supervisor.kill()
    until(lambda: gone(supervisor.pid))
    recover_at_once(bad, 4)
    assert actions(bad).count("run-taken-over") == 1
    kill_both(bad)
    assert state(bad) == "lost"
    bad("runs", "resume", "1")
    assert begins(bad) == [0, 0]
    assert_succeeded_once(bad, 60)
