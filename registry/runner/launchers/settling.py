"""What to say of several processes of which one failed."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from registry.runner.folder import Ended, RunFolder


def settle(folder: RunFolder, statuses: Mapping[int, int | None]) -> int:
    """Leave word of a failed set of processes, unless one of them did so on purpose.

    When one is killed, the others fail for it a moment later. So a kill is the cause whatever the
    others say, and the run may go on from a checkpoint; else the earliest fault is.

    Args:
        folder: The run's.
        statuses: By rank, of those that ended badly and not because the launcher ended them: an exit
            status, negative for the signal that killed it, None if it is gone and nobody knows how.

    Returns:
        The exit status for the run's first process.
    """
    faults = folder.faults()
    if killed := {rank: status for rank, status in statuses.items() if status is None or status < 0}:
        rank, status = min(killed.items())
        folder.leave_word(Ended("died", f"process {rank} {_fate(status)}"))
    elif faults:
        folder.leave_word(faults[0][1])
    elif statuses:
        rank, status = min(statuses.items())
        folder.leave_word(Ended("died", f"process {rank} ended with status {status}"))
    return 3


def _fate(status: int | None) -> str:
    return "is gone and left no word" if status is None else f"was killed by {signal_name(-status)}"


def signal_name(number: int) -> str:
    """`SIGKILL` of 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
