"""The plugin's own process: `python -m registry.runner.child FOLDER`. No database in reach."""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError

from registry.errors import BadConfig, Cancelled, RegistryError
from registry.extension.context import RunContext
from registry.extension.discovery import load_plugin, read_config
from registry.extension.results import Checked, Deployed, Evidence, Prepared, Retired, Trained
from registry.runner.folder import Ended, RunFolder
from registry.runner.processes import ProcessId

_RETURNS: dict[str, type] = {
    "prepare": Prepared,
    "train": Trained,
    "check": Evidence,
    "evaluate": Evidence,
    "deploy": Deployed,
    "monitor": Evidence,
    "retire": Retired,
}


def main(path: str) -> int:
    """Run the plugin that a folder's spec names; leave `result.json` and `exit.json` behind."""
    folder = RunFolder(Path(path))
    folder.write_child(ProcessId.of())
    signal.signal(signal.SIGTERM, _stop)
    try:
        _run(folder)
        ended = Ended("succeeded")
    except (Cancelled, KeyboardInterrupt):
        ended = Ended("cancelled", "cancelled on request")
    except RegistryError as error:
        traceback.print_exc()
        ended = Ended("failed", error.message, error.hint)
    except ValidationError as error:
        traceback.print_exc()
        ended = Ended(
            "failed", "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
        )
    except Exception as error:
        traceback.print_exc()
        ended = Ended("failed", f"{type(error).__name__}: {error}")
    folder.write_ended(ended)
    return 0 if ended.state == "succeeded" else 3


def _run(folder: RunFolder) -> None:
    spec = folder.spec
    plugin = load_plugin(spec.plugin)
    result: Any = plugin.run(RunContext(spec, folder.path), read_config(plugin, spec.config))
    # What it made, a running server maybe, must be told of: from here on the run ends as it is.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    expected = _RETURNS[plugin.kind]
    if not isinstance(result, expected):
        raise BadConfig(f"plugin {spec.plugin!r} returned {type(result).__name__}, not {expected.__name__}")
    if isinstance(result, Evidence):
        result = Checked(evidence=result)
    folder.write_result(result.model_dump(mode="json"))


def _stop(number: int, frame: FrameType | None) -> None:
    raise Cancelled("cancelled on request")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
