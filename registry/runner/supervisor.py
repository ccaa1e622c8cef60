"""The supervisor: one process per run, which outlives the command that asked for it.

`python -m registry.runner.supervisor FOLDER`, in a session of its own. It takes
the run's lease, starts the plugin's process (or adopts one that outlived an
earlier supervisor), keeps the lease alive, and records how it ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from registry.runner.folder import Ended, RunFolder, Ticket
from registry.runner.launcher import launcher
from registry.runner.lease import beat, take_lease
from registry.runner.processes import ProcessId
from registry.runner.recording import record_metrics, record_outcome
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.home import Home

DATABASE = "PHASEGATE_SUPERVISED"
_TICK = 0.1
_GRACE = 8.0
_RESTARTS = 2
_METRICS = 2.0  # seconds between batches of metrics; each is a heartbeat too


def start_supervisor(folder: RunFolder, database: str) -> ProcessId:
    """Start a supervisor for a run folder; it runs on when this process ends."""
    with (folder.path / "supervisor.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "registry.runner.supervisor", str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, DATABASE: database},
        )
    return ProcessId.of(process.pid)


class Supervisor:
    """Looks after one run until it is recorded."""

    def __init__(self, folder: RunFolder, database: Database) -> None:
        self.folder = folder
        self.ticket: Ticket = folder.ticket
        self.database = database
        home = Home.at(self.ticket.home, database=str(database.url), artifacts=self.ticket.artifacts)
        self.store = ArtifactStore(home.artifacts, home.cache)
        self._restarts = 0
        self._ours = True
        self._statuses: dict[int, int] = {}
        self._beaten = time.monotonic()
        self._measured = 0.0

    def run(self) -> str | None:
        """Look after the run; returns its final state, or None if it is somebody else's."""
        if not take_lease(self.database, self.ticket):
            return None
        ended = self._plugin_to_its_end()
        if ended is None:
            return None
        record_metrics(self.database, self.ticket, self.folder)
        return record_outcome(self.database, self.store, self.folder, self.ticket, ended)

    def _plugin_to_its_end(self) -> Ended | None:
        """How the plugin ended; None if the run was taken over meanwhile."""
        child, started = self.folder.child, False
        while (ended := self.folder.ended) is None:
            if child is None or not child.alive:
                if child is not None and not self._may_start_again(started):
                    return self._silent(child)
                child, started = self._start(), True
            stopped = self._watch(child)
            if not self._ours:
                return None
            if stopped is not None:
                # It may have been done just before it was told to stop.
                done = self.folder.ended
                return done if done is not None and done.state == "succeeded" else stopped
        return ended

    def _may_start_again(self, started: bool) -> bool:
        """After a silent death: once because a person asked, or from a checkpoint, a few times."""
        if self.ticket.resume and not started:
            return True
        self._restarts += 1
        return self.folder.has_checkpoint and self._restarts <= _RESTARTS

    def _start(self) -> ProcessId:
        child = launcher(self.ticket.engine).start(self.folder)
        self.folder.write_child(child)
        return child

    def _watch(self, child: ProcessId) -> Ended | None:
        """Wait until the process is gone; a verdict if it had to be ended."""
        began = time.monotonic()
        while child.alive:
            if (verdict := self._verdict(time.monotonic() - began)) is not None:
                child.end_group(_GRACE)
                return verdict
            if not self._keep_lease():
                child.end_group(_GRACE)
                return None
            time.sleep(_TICK)
            self._reap()
        return None

    def _verdict(self, seconds: float) -> Ended | None:
        """Why the process must end now, if it must."""
        limit = self.ticket.max_seconds
        if self.folder.cancel_asked:
            return Ended("cancelled", "cancelled on request")
        if limit and seconds > limit:
            return Ended(
                "failed",
                f"stopped after {limit:g} seconds, its time limit",
                "allow more with --timeout SECONDS",
            )
        if self._over_quota():
            reason = f"its folder grew over its quota of {self.ticket.max_bytes:,} bytes"
            return Ended("failed", reason, "allow more with --quota BYTES")
        return None

    def _over_quota(self) -> bool:
        if time.monotonic() - self._measured < 0.5:
            return False
        self._measured = time.monotonic()
        return self.folder.size() > self.ticket.max_bytes

    def _keep_lease(self) -> bool:
        """Beat now and then, and store metrics; False once somebody else has the run."""
        if time.monotonic() - self._beaten >= _METRICS:
            self._beaten = time.monotonic()
            record_metrics(self.database, self.ticket, self.folder)
            self._ours = beat(self.database, self.ticket)
        return self._ours

    def _reap(self) -> None:
        """Let processes that ended go, and remember what ended them."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._statuses[found[0]] = found[1]

    def _silent(self, child: ProcessId) -> Ended:
        """The verdict on a process that is gone and left no word."""
        status = self._statuses.get(child.pid)
        hint = f"phasegate runs logs {self.ticket.run}"
        if status is None:
            return Ended(
                "lost", "its process is gone and left no word", f"phasegate runs resume {self.ticket.run}"
            )
        if os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            return Ended("failed", f"its process was killed by {name}", hint)
        return Ended("failed", f"its process ended with status {os.waitstatus_to_exitcode(status)}", hint)


def main(path: str) -> int:
    """Entry of the supervisor's process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    database = Database(os.environ[DATABASE])
    Supervisor(RunFolder(Path(path)), database).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
