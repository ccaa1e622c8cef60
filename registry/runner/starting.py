"""Starting a run's first process on this machine; what it runs then is its launcher's matter."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from registry.runner.folder import RunFolder
from registry.runner.processes import ProcessId

# What a plugin must not see: it never touches the database.
_WITHHELD = ("PHASEGATE_DATABASE", "PHASEGATE_SUPERVISED")

# What all processes of a run carry in their environment: the path of its folder.
MARK = "PHASEGATE_RUN"

# Told to a run's first process once it is on record; without it, it ends.
GO = b"go\n"

DEFAULTS = {
    # Nothing is fetched behind a run's back unless its user says so.
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Threads that wait by spinning take the cores from other runs: three times the CPU time was measured.
    "OMP_WAIT_POLICY": "PASSIVE",
}


def start_child(folder: RunFolder) -> ProcessId:
    """Start `registry.runner.child FOLDER`, its output going to the folder's log.

    It begins when it is on record in the folder: whoever is killed in between leaves nothing running that
    nobody knows of. A part of a run is marked as that run's, and stays in its session: it ends with it.
    """
    part = os.environ.get(MARK, str(folder.path)) != str(folder.path)
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "registry.runner.child", str(folder.path)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=not part,
            env=environment(folder),
            bufsize=0,
        )
    assert process.stdin is not None
    started = ProcessId.of(process.pid)
    folder.write_child(started)
    with process.stdin as gate, contextlib.suppress(BrokenPipeError):
        gate.write(GO)
    process.returncode = 0  # let go: whoever started it waits for it itself
    return started


def environment(folder: RunFolder) -> dict[str, str]:
    """What the processes of a run inherit."""
    inherited = {key: value for key, value in os.environ.items() if key not in _WITHHELD}
    return {**DEFAULTS, MARK: str(folder.path), **inherited, "PYTHONUNBUFFERED": "1"}
