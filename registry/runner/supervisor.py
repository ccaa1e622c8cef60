"""The supervisor: one process per run, which outlives the command that asked for it.

`python -m registry.runner.supervisor FOLDER TOKEN`, in a session of its own. It takes
the run's lease, starts the plugin's process (or adopts one that outlived an
earlier supervisor), keeps the lease alive, and records how it ended.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from registry.errors import Conflict, DatabaseUnusable, RunFailed
from registry.files import disk_is_full
from registry.runner.folder import Ended, RunFolder, Ticket
from registry.runner.launchers.find import find_launcher
from registry.runner.launchers.settling import signal_name
from registry.runner.lease import lost_to_here, take_lease
from registry.runner.processes import ProcessId
from registry.runner.recording import record_metrics, record_outcome
from registry.runner.starting import MARK, start_child
from registry.runner.telling import tell
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database, lock_timeout
from registry.storage.home import Home

DATABASE = "PHASEGATE_SUPERVISED"
_TICK = 0.1
_GRACE = 8.0
_RESTARTS = 2
_MEASURE = 0.5  # seconds between looks at how much the folder holds
_METRICS = 2.0  # seconds between batches of metrics; each is a heartbeat too
_PATIENCE = 600.0  # seconds for which work is not given up because the database is locked or away
_BUSY = (DatabaseUnusable, Conflict)

T = TypeVar("T")

# Supervisors of this process, to be waited for when the next one starts: else they stay zombies.
_started: list[subprocess.Popen[bytes]] = []


@atexit.register
def _let_go() -> None:
    """They outlive this process, as they should: subprocess need not warn of it."""
    for process in _started:
        process.returncode = process.poll() or 0


def start_supervisor(folder: RunFolder, token: int, database: str) -> ProcessId:
    """Start a supervisor for a run folder; it runs on when this process ends.

    The token is its own, not read from the folder: a slow starter must not take the next one's.
    """
    _started[:] = [process for process in _started if process.poll() is None]
    # A run that another run's plugin asked for is no part of it.
    inherited = {key: value for key, value in os.environ.items() if key != MARK}
    with (folder.path / "supervisor.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "registry.runner.supervisor", str(folder.path), str(token)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**inherited, DATABASE: database},
        )
    _started.append(process)
    return ProcessId.of(process.pid)


_CANCELLED = Ended("cancelled", "cancelled on request")

# Words after which a run goes on, if it can.
_UNFINISHED = ("preempted", "died")


class Supervisor:
    """Looks after one run until it is recorded."""

    def __init__(self, folder: RunFolder, token: int, database: Database) -> None:
        self.folder = folder
        self.ticket: Ticket = replace(folder.ticket, token=token)
        self.database = database
        home = Home.at(self.ticket.home, database=str(database.url), artifacts=self.ticket.artifacts)
        self.store = ArtifactStore(home.artifacts, home.cache)
        self.engine = find_launcher(self.ticket.engine)
        self._processes = folder.spec.processes
        self._restarts = 0
        self._preempted_at = -1
        self._ours = True
        self._statuses: dict[int, int] = {}
        self._events: list[dict[str, Any]] = []
        self._beaten = time.monotonic()
        self._measured = 0.0

    def run(self) -> str | None:
        """Look after the run; returns its final state, or None if it is somebody else's."""
        if not _patiently(lambda: take_lease(self.database, self.ticket)):
            return None
        try:
            ended = self._plugin_to_its_end()
        except Exception as error:
            # A run must not stay open because of a fault in here, or a machine that can start nothing.
            tell()
            text = f"{type(error).__name__}: {error}"
            ended = Ended("failed", f"its supervisor failed: {text}")
            if disk_is_full(error):
                hint = f"make room, then: phasegate runs resume {self.ticket.run}"
                ended = Ended("lost", f"its disk is full: {text}", hint)
            if (child := self.folder.child) is not None and child.alive:
                child.end_group(_GRACE)
            with contextlib.suppress(Exception):
                self.engine.clear(self.folder)
        if ended is None or not _patiently(self._beat):
            return None
        return _patiently(lambda: record_outcome(self.database, self.store, self.folder, self.ticket, ended))

    def _plugin_to_its_end(self) -> Ended | None:
        """How the plugin ended; None if the run was taken over meanwhile."""
        child, adopted = self.folder.child, True
        while True:
            ended = None
            if child is not None:
                verdict = self._watch(child)
                if not self._ours:
                    return None
                ended = self._settled(verdict)
                # What is left of it must neither outlive the run nor write beside those that come next.
                # What a plugin put into service, in one process, may.
                if ended is None or ended.state != "succeeded" or self._processes > 1:
                    ended = self._cleared(verdict)
            if ended is not None and ended.state not in _UNFINISHED:
                return self._too_big() or ended if ended.state == "succeeded" else ended
            if self.folder.cancel_asked:
                return _CANCELLED
            if child is not None and not self._may_start_again(ended, adopted):
                return self._silent(child, ended)
            self.folder.take_back_word()
            child, adopted = start_child(self.folder), False

    def _cleared(self, verdict: Ended | None) -> Ended | None:
        """How it ended, when nothing of it is left.

        Raises:
            RunFailed: Something is, and it cannot go on beside that.
        """
        try:
            self.engine.clear(self.folder)
        except RunFailed as cause:
            ended = self._settled(verdict)
            if ended is None or ended.state in _UNFINISHED:
                raise
            return replace(ended, reason=f"{ended.reason}; and what is left of it stays: {cause.message}")
        return self._settled(verdict)

    def _settled(self, verdict: Ended | None) -> Ended | None:
        """How it ended: as we decided, unless it was done just before it was told to stop."""
        ended = self.folder.ended
        if verdict is None or (ended is not None and ended.state == "succeeded"):
            return ended
        return self._insist(verdict)

    def _may_start_again(self, ended: Ended | None, adopted: bool) -> bool:
        """Once because a person asked; whenever it was pre-empted; from a checkpoint after a death, twice."""
        if self.ticket.resume and adopted:
            return True
        step = self.folder.last_step
        if ended is not None and ended.state == "preempted" and step > self._preempted_at:
            self._preempted_at = step
            return True
        self._restarts += 1
        return step >= 0 and self._restarts <= _RESTARTS

    def _watch(self, child: ProcessId) -> Ended | None:
        """Wait until the process and all that it started in its group is gone; a verdict if it was ended."""
        began = time.monotonic() - max(time.time() - child.started, 0.0)
        lingering = 0.0
        if not child.alive:
            return None
        while child.alive:
            if not self._keep_lease():
                # Whoever took over on this host has adopted it; on another host nobody could.
                if not _patiently(lambda: lost_to_here(self.database, self.ticket)):
                    child.end_group(_GRACE)
                return None
            if self.folder.ended is not None:
                # It has said how it ended; a thread or a worker may hold it up for a moment, no longer.
                lingering += _TICK
                if lingering > _GRACE:
                    break
            elif (verdict := self._verdict(time.monotonic() - began)) is not None:
                child.end_group(_GRACE)
                return verdict
            time.sleep(_TICK)
            self._reap()
        child.end_group(0.0)
        return None

    def _insist(self, verdict: Ended) -> Ended:
        """Leave the verdict in the folder: should this process die now, the next one says the same."""
        with contextlib.suppress(OSError):
            self.folder.write_ended(verdict)
        return verdict

    def _verdict(self, seconds: float) -> Ended | None:
        """Why the process must end now, if it must."""
        limit = self.ticket.max_seconds
        if self.folder.cancel_asked:
            return _CANCELLED
        if limit and seconds > limit:
            return Ended(
                "failed",
                f"stopped after {limit:g} seconds, its time limit",
                "allow more with --timeout SECONDS",
            )
        if time.monotonic() - self._measured < _MEASURE:
            return None
        self._measured = time.monotonic()
        return self._too_big()

    def _too_big(self) -> Ended | None:
        if self.folder.size() <= self.ticket.max_bytes:
            return None
        reason = f"its folder grew over its quota of {self.ticket.max_bytes:,} bytes"
        return Ended("failed", reason, "allow more with --quota BYTES")

    def _keep_lease(self) -> bool:
        """Beat now and then; False once somebody else has the run."""
        if time.monotonic() - self._beaten >= _METRICS:
            self._beaten = time.monotonic()
            # A database that is busy now is asked again at the next beat.
            with contextlib.suppress(*_BUSY):
                self._beat()
        return self._ours

    def _beat(self) -> bool:
        """Say that we are alive, and store what metrics came."""
        self._events += self.folder.events()
        self._ours = record_metrics(self.database, self.ticket, self._events)
        self._events.clear()
        return self._ours

    def _reap(self) -> bool:
        """Let processes that ended go, and remember what ended them; whether there are others."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._statuses[found[0]] = found[1]
            return True
        return False

    def _status(self, child: ProcessId) -> int | None:
        """What ended a process, if it was ours; its first thread may be gone a moment before the others."""
        deadline = time.monotonic() + _GRACE
        while self._reap() and child.pid not in self._statuses and time.monotonic() < deadline:
            time.sleep(_TICK)
        return self._statuses.get(child.pid)

    def _silent(self, child: ProcessId, ended: Ended | None) -> Ended:
        """The verdict on a process that is gone and left no word, or said that it died or was pre-empted."""
        hint = f"phasegate runs logs {self.ticket.run}"
        if ended is not None:
            return self._insist(replace(ended, state="failed", hint=hint))
        status = self._status(child)
        if status is None:
            return Ended(
                "lost", "its process is gone and left no word", f"phasegate runs resume {self.ticket.run}"
            )
        if os.WIFSIGNALED(status):
            return Ended("failed", f"its process was killed by {signal_name(os.WTERMSIG(status))}", hint)
        return Ended("failed", f"its process ended with status {os.waitstatus_to_exitcode(status)}", hint)


def _patiently(act: Callable[[], T]) -> T:
    """Do something with the database, again and again while it is locked or away."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return act()
        except _BUSY:
            # Then `runs list` finds the run, and the word that its plugin left.
            if time.monotonic() > deadline:
                raise
        time.sleep(1.0)


def main(path: str, token: str) -> int:
    """Entry of the supervisor's process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.environ.pop(MARK, None)  # its run is a part of none, whoever asked for it
    database = Database(os.environ[DATABASE], lock_timeout=lock_timeout())
    Supervisor(RunFolder(Path(path)), int(token), database).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
