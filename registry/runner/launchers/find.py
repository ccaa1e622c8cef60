"""Finding a launcher by its name."""

from __future__ import annotations

from typing import Any

from registry.domain.names import did_you_mean
from registry.errors import NotFound
from registry.runner.launchers.base import Launcher
from registry.runner.launchers.kubernetes import Kubernetes
from registry.runner.launchers.local import Local
from registry.runner.launchers.ray import Ray
from registry.runner.launchers.slurm import Slurm
from registry.runner.launchers.torchrun import Torchrun

AnyLauncher = Launcher[Any]

LAUNCHERS: dict[str, type[AnyLauncher]] = {
    launcher.name: launcher for launcher in (Local, Torchrun, Ray, Slurm, Kubernetes)
}


def find_launcher(name: str) -> AnyLauncher:
    """The launcher of an engine.

    Raises:
        NotFound: No such engine.
    """
    if name not in LAUNCHERS:
        raise NotFound(f"there is no engine {name!r}", hint=did_you_mean(name, LAUNCHERS))
    return LAUNCHERS[name]()
