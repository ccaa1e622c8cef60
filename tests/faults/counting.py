"""Runs of the plugin `counts`, started, watched and judged."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator

from cli.command import EXECUTABLE, Phasegate
from faults.watching import gone, plugins, supervisors, until

SUBJECT = "words/1"
SHORT = ("--set", "steps=12", "--set", "pause=0.05")
LONG = ("--set", "steps=60", "--set", "pause=0.05")
# Half a minute: it is cancelled long before, however busy the machine is.
LONGER = ("--set", "steps=600", "--set", "pause=0.05")
NO_CHECKPOINTS = ("--set", "checkpoints=false")


def start(bad: Phasegate, *options: str) -> None:
    """Start a run of `counts` and wait until it counts."""
    bad("run", "counts", SUBJECT, "--detach", *options)
    until(lambda: counted(bad) >= 7)


def counted(bad: Phasegate) -> int:
    try:
        return (bad.home / "runs" / "1" / "events.jsonl").read_text().count('"metric"')
    except FileNotFoundError:
        return 0


def state(bad: Phasegate) -> str:
    """State of run 1, after whatever recovery it needed."""
    return bad("runs", "list", "--json").json[0]["state"]


def actions(bad: Phasegate) -> list[str]:
    return [entry["action"] for entry in bad("audit", "log", "--subject", "run:1", "--json").json]


def begins(bad: Phasegate, run: int = 1) -> list[int]:
    """Where the plugin began, each time that it did."""
    events = bad.home / "runs" / str(run) / "events.jsonl"
    lines = events.read_text().splitlines() if events.exists() else []
    texts = [json.loads(line).get("text", "") for line in lines]
    return [int(text.split()[2]) for text in texts if text.startswith("begins at")]


def end(bad: Phasegate) -> str:
    """Wait for the end of run 1; returns its state."""
    until(lambda: state(bad) not in ("queued", "running"), every=0.3)
    return state(bad)


def assert_succeeded_once(bad: Phasegate, steps: int) -> None:
    """One dataset, of every number once; one end; one piece of evidence."""
    assert state(bad) == "succeeded"
    made = bad("dataset", "show", "words-counted/1", "--json").json
    assert made["rows"] == steps
    assert len(made["evidence"]) == 1
    assert made["evidence"][0]["metrics"] == {"steps": steps}
    assert len(bad("dataset", "list", "--json").json) == 2
    assert actions(bad).count("run-ended") - actions(bad).count("run-taken-over") <= 1
    bad.verify()


def recorded_metrics(bad: Phasegate) -> int:
    """How many metrics the database holds."""
    with contextlib.closing(sqlite3.connect(bad.home / "registry.db")) as connection:
        (number,) = connection.execute("SELECT count(*) FROM run_metrics").fetchone()
    return int(number)


def kill_both(bad: Phasegate, number: signal.Signals = signal.SIGKILL) -> None:
    """Supervisor first, so that it sees nothing."""
    victims = [*supervisors(bad.home), *plugins(bad.home)]
    assert len(victims) == 2
    for process in victims:
        process.send_signal(number)
    until(lambda: all(gone(process.pid) for process in victims))


@contextlib.contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`phasegate ARGUMENTS` as a process, killed at the end if it still runs."""
    process = subprocess.Popen(
        [EXECUTABLE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
