"""Processes named so that a reused pid is not mistaken for an old one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process on some host.

    Attributes:
        started: When it began, in seconds since the epoch, as the system says.
    """

    pid: int
    started: float
    host: str

    @classmethod
    def of(cls, pid: int | None = None) -> ProcessId:
        """This process, or another one that is alive on this host."""
        import psutil

        number = pid or os.getpid()
        return cls(number, psutil.Process(number).create_time(), socket.gethostname())

    @property
    def here(self) -> bool:
        """Whether it is on this host, so that we can look at it."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        import psutil

        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
            )
        return False

    def end_group(self, grace: float) -> None:
        """SIGTERM to the whole process group, SIGKILL to what is left after `grace` seconds."""
        self._signal_group(signal.SIGTERM)
        deadline = time.monotonic() + grace
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.05)
        self._signal_group(signal.SIGKILL)

    def end_orphans(self, variable: str, value: str) -> None:
        """SIGKILL to what is left of the group of a process that is gone.

        Its number alone no longer names the group, it may have been given again: only what
        inherited `variable` with that value is ours.
        """
        import psutil

        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) == self.pid and process.environ().get(variable) == value:
                    process.kill()

    def _signal_group(self, number: signal.Signals) -> None:
        # The group outlives its leader: workers of a killed leader are still reached.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
