"""The plugin's own process: `python -m registry.runner.child FOLDER`. No database in reach."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from registry.errors import BadConfig, Cancelled, Preempted, RegistryError
from registry.extension.context import RunContext
from registry.extension.discovery import load_plugin, read_config
from registry.extension.results import Checked, Deployed, Designed, Evidence, Prepared, Retired, Trained
from registry.runner.folder import Ended, RunFolder
from registry.runner.launcher import GO
from registry.runner.parts import start_part

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

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


def main(path: str) -> int:
    """Run the plugin that a folder's spec names; leave `result.json` and `exit.json` behind."""
    if sys.stdin.buffer.readline() != GO:
        return 3
    folder = RunFolder(Path(path))
    try:
        _run(folder)
        ended = Ended("succeeded")
    except (Cancelled, Preempted, KeyboardInterrupt):
        if not folder.cancel_asked:
            # It is the machine that goes down, or the supervisor's doing: this is no word of ours.
            return 128 + signal.SIGTERM
        ended = Ended("cancelled", "cancelled on request")
    except RegistryError as error:
        traceback.print_exc()
        ended = Ended("failed", error.message, error.hint)
    except ValidationError as error:
        traceback.print_exc()
        ended = Ended("failed", "; ".join(map(_problem, error.errors())))
    except Exception as error:
        traceback.print_exc()
        ended = Ended("failed", f"{type(error).__name__}: {error}")
    if ended.state != "succeeded" or not int(os.environ.get("RANK", "0")):
        folder.write_ended(ended)
    return 0 if ended.state == "succeeded" else 3


def _run(folder: RunFolder) -> None:
    spec = folder.spec
    plugin = load_plugin(spec.plugin)
    with contextlib.closing(RunContext(spec, folder.path, partial(start_part, folder))) as ctx:
        signal.signal(signal.SIGTERM, lambda number, frame: ctx.on_signal())
        result: Any = plugin.run(ctx, read_config(plugin, spec.config))
    # What it made, a running server maybe, must be told of: from here on the run ends as it is.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    expected = _RETURNS[plugin.kind]
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
