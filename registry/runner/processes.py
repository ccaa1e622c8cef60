"""Processes named so that a reused pid is not mistaken for an old one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import RunFailed

if TYPE_CHECKING:
    import psutil


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

    def _signal_group(self, number: signal.Signals) -> None:
        # The group outlives its leader: workers of a killed leader are still reached.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def end_marked(variable: str, value: str, seconds: float = 30.0) -> None:
    """SIGKILL to every process of this user that inherited `variable` with that value, but this one.

    By what they inherited and not by their group: workers have sessions of their own, and the number
    of a group whose leader is gone may have been given again. Returns when all are gone.

    Raises:
        RunFailed: One is still there after so many seconds.
    """
    import psutil

    deadline = time.monotonic() + seconds
    while found := [process for process in psutil.process_iter() if _carries(process, variable, value)]:
        if time.monotonic() > deadline:
            raise RunFailed(f"process {found[0].pid} of an earlier start cannot be ended")
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.05)  # not waited for: whose children they are must learn what ended them


def _carries(process: psutil.Process, variable: str, value: str) -> bool:
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        return (
            process.pid != os.getpid()
            and process.environ().get(variable) == value
            and process.status() != psutil.STATUS_ZOMBIE
        )
    return False
