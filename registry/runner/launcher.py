"""Launchers: how a plugin's process is started. `local` starts it here."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from abc import ABC, abstractmethod

from registry.domain.names import did_you_mean
from registry.errors import NotFound
from registry.runner.folder import RunFolder
from registry.runner.processes import ProcessId

# What a plugin must not see: it never touches the database.
_WITHHELD = ("PHASEGATE_DATABASE", "PHASEGATE_SUPERVISED")

# What all processes of a run carry in their environment: the path of its folder.
MARK = "PHASEGATE_RUN"

# Told to a plugin's process once it is on record; without it, it ends.
GO = b"go\n"


class Launcher(ABC):
    """One way to run a plugin's process."""

    name: str

    @abstractmethod
    def start(self, folder: RunFolder) -> ProcessId:
        """Start the process that runs the folder's plugin, its output going to the folder's log.

        The plugin begins when its process is on record in the folder: whoever is killed in
        between leaves nothing running that nobody knows of.
        """


class Local(Launcher):
    """A process on this machine, leader of a session of its own."""

    name = "local"

    def start(self, folder: RunFolder) -> ProcessId:
        environment = {key: value for key, value in os.environ.items() if key not in _WITHHELD}
        # Nothing is fetched behind a run's back unless its user says so.
        environment.setdefault("HF_HUB_OFFLINE", "1")
        environment.setdefault("TOKENIZERS_PARALLELISM", "false")
        # Threads that wait by spinning take the cores from other runs: three times the CPU time was measured.
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        environment["PYTHONUNBUFFERED"] = "1"
        # A part of a run is marked as that run's, and stays in its session: it ends with it.
        part = environment.setdefault(MARK, str(folder.path)) != str(folder.path)
        with folder.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "registry.runner.child", str(folder.path)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=not part,
                env=environment,
                bufsize=0,
            )
        assert process.stdin is not None
        started = ProcessId.of(process.pid)
        folder.write_child(started)
        with process.stdin as gate, contextlib.suppress(BrokenPipeError):
            gate.write(GO)
        process.returncode = 0  # let go: the supervisor waits for all its children itself
        return started


_LAUNCHERS: dict[str, type[Launcher]] = {launcher.name: launcher for launcher in (Local,)}


def launcher(name: str) -> Launcher:
    """The launcher of an engine.

    Raises:
        NotFound: No such engine.
    """
    if name not in _LAUNCHERS:
        raise NotFound(f"there is no engine {name!r}", hint=did_you_mean(name, _LAUNCHERS))
    return _LAUNCHERS[name]()
