"""One of a run's processes: `python -m registry.runner.rank FOLDER`. No database in reach.

Which one it is stands in RANK, and how many there are in WORLD_SIZE.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from registry.errors import BadConfig, Cancelled, Preempted, RegistryError
from registry.extension.context import RunContext
from registry.extension.discovery import load_plugin, read_config
from registry.extension.results import (
    Checked,
    Deployed,
    Designed,
    Evidence,
    Prepared,
    Replayed,
    Retired,
    Trained,
)
from registry.files import disk_is_full
from registry.runner.folder import Ended, RunFolder
from registry.runner.parts import start_part
from registry.runner.telling import tell

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Heed = Callable[[RunContext], AbstractContextManager[None]]

_RETURNS: dict[str, type] = {
    "prepare": Prepared,
    "design": Designed,
    "train": Trained,
    "check": Evidence,
    "evaluate": Evidence,
    "deploy": Deployed,
    "monitor": Evidence,
    "retire": Retired,
}

# What tells a process that its machine is wanted back. Slurm and submitit send the latter two.
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def main(path: str) -> int:
    """Entry of a process that a launcher started."""
    return run_rank(RunFolder(Path(path)))


@contextlib.contextmanager
def heed_signals(ctx: RunContext) -> Iterator[None]:
    """Within it, signals reach the plugin; afterwards none does."""
    for number in _SIGNALS:
        signal.signal(number, lambda number, frame: ctx.on_signal())
    try:
        yield
    finally:
        # What it made, a running server maybe, must be told of: from here on the run ends as it is.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def run_rank(folder: RunFolder, heed: Heed = heed_signals) -> int:
    """Run the plugin that a folder's spec names, as one of its processes.

    The first process leaves the result. Every one leaves word when it fails, and the first word
    stands; an error that nobody foresaw may be the echo of another process's death, so where there
    are several it only counts if none was killed.

    Args:
        folder: The run's.
        heed: How this process learns that it is to end.

    Returns:
        An exit status.
    """
    rank, several = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")) > 1
    folder.forget_fault(rank)
    try:
        _run(folder, heed)
        ended = Ended("succeeded")
    except (Cancelled, Preempted, KeyboardInterrupt) as cause:
        if folder.cancel_asked:
            ended = Ended("cancelled", "cancelled on request")
        elif isinstance(cause, Preempted):
            ended = Ended("preempted", cause.message)
        else:
            # It is the machine that goes down, or the supervisor's doing: this is no word of ours.
            return 128 + signal.SIGTERM
    except RegistryError as error:
        tell()
        ended = Ended("failed", error.message, error.hint)
    except ValidationError as error:
        tell()
        ended = Ended("failed", "; ".join(map(_problem, error.errors())))
    except Exception as error:
        tell()
        text = f"{type(error).__name__}: {error}"
        if disk_is_full(error):
            hint = f"make room, then: phasegate runs resume {folder.path.name}"
            ended = Ended("lost", f"its disk is full: {text}", hint)
        elif several:
            with contextlib.suppress(OSError):
                folder.write_fault(rank, Ended("failed", f"process {rank}: {text}"))
            return 3
        else:
            ended = Ended("failed", text)
    if rank == 0 or ended.state not in ("succeeded", "preempted"):
        # Where the disk is full this may fail; then the supervisor finds out by itself.
        with contextlib.suppress(OSError):
            folder.leave_word(ended)
    # Torch's threads take their place in the interpreter once more when they let a tensor go. One that
    # does so while the interpreter ends brings the process down, so they end before: nothing uses them now.
    gc.collect()
    # Whoever saved its work ends well: nobody must end the others for it.
    return 0 if ended.state in ("succeeded", "preempted") else 3


def _run(folder: RunFolder, heed: Heed) -> None:
    spec = folder.spec
    plugin = load_plugin(spec.plugin)
    with contextlib.closing(RunContext(spec, folder.path, partial(start_part, folder))) as ctx, heed(ctx):
        result: Any = plugin.run(ctx, plugin.settle(spec, read_config(plugin, spec.config)))
    expected = Replayed if spec.stop_after else _RETURNS[plugin.kind]
    if not isinstance(result, expected):
        raise BadConfig(f"plugin {spec.plugin!r} returned {type(result).__name__}, not {expected.__name__}")
    if ctx.rank:
        return  # the run has one result, that of its first process
    if isinstance(result, Evidence):
        result = Checked(evidence=result)
    folder.write_result(result.model_dump(mode="json"))


def _problem(found: ErrorDetails) -> str:
    """What is wrong with a result, and where in it."""
    where = ".".join(map(str, found["loc"]))
    return f"{where}: {found['msg'].removeprefix('Value error, ')}" if where else found["msg"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
