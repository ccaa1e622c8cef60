"""A run's first process: `python -m registry.runner.child FOLDER`.

It runs the others, or the plugin itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from registry.errors import RegistryError
from registry.runner.folder import Ended, RunFolder
from registry.runner.launchers.find import find_launcher
from registry.runner.starting import GO
from registry.runner.telling import tell


def main(path: str) -> int:
    """Run a folder's plugin by the engine that its ticket names; its end is left in the folder."""
    if sys.stdin.buffer.readline() != GO:
        return 3
    folder = RunFolder(Path(path))
    ticket = folder.ticket
    try:
        engine = find_launcher(ticket.engine)
        return engine.run(folder, folder.spec.processes, engine.read_options(ticket.engine_options))
    except RegistryError as error:
        tell()
        folder.leave_word(Ended("failed", error.message, error.hint))
    except Exception as error:
        tell()
        folder.leave_word(Ended("failed", f"engine {ticket.engine!r}: {type(error).__name__}: {error}"))
    return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
