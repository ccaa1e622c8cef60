"""An eye on the processes of a registry's runs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")


def processes(home: Path, within: float = 0.0) -> list[psutil.Process]:
    """Live processes that serve runs of a home; waits up to `within` seconds for there to be none."""
    deadline = time.monotonic() + within
    while True:
        found = [process for process in psutil.process_iter() if belongs(process, home)]
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(0.05)


def belongs(process: psutil.Process, home: Path) -> bool:
    """Whether it is a supervisor, a plugin's process or a worker: by its arguments, or what it inherited."""
    runs = str(home / "runs")
    with contextlib.suppress(psutil.Error):
        if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
            marked = process.environ().get("PHASEGATE_RUN", "").startswith(runs)
            return marked or any(word.startswith(runs) for word in process.cmdline())
    return False


def describe(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:120]}"
    return f"{process.pid} gone"


def supervisors(home: Path) -> list[psutil.Process]:
    """Live supervisors of a home's runs."""
    return [process for process in processes(home) if "registry.runner.supervisor" in _words(process)]


def plugins(home: Path) -> list[psutil.Process]:
    """Live plugin processes of a home's runs."""
    return [process for process in processes(home) if "registry.runner.child" in _words(process)]


def until(holds: Callable[[], T | None], within: float = 20.0, every: float = 0.05) -> T:
    """Wait for something to become true, looking every so many seconds; returns it."""
    deadline = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {within:g} seconds"
        time.sleep(every)
    return found


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []
