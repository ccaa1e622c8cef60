"""One process on this machine: the run's first process runs the plugin itself."""

from __future__ import annotations

from registry.runner.folder import RunFolder
from registry.runner.launchers.base import EngineOptions, Launcher
from registry.runner.rank import run_rank


class Local(Launcher[EngineOptions]):
    """One process, leader of a session of its own."""

    name = "local"
    several = False

    def run(self, folder: RunFolder, processes: int, options: EngineOptions) -> int:
        return run_rank(folder)
