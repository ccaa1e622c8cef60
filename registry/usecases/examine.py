"""Examining an installation: what is there, what works, and what would help."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from registry.domain.people import EMBEDDED_TRUST
from registry.errors import RegistryError
from registry.extension.discovery import find_plugins
from registry.storage.database import Database
from registry.storage.home import Home


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        fatal: Whether the registry cannot be used without it.
    """

    name: str
    ok: bool
    text: str
    fatal: bool = False


def examine(home: Home, database: Database) -> list[Check]:
    """Look at everything that the registry stands on; changes nothing."""
    return list(_look(home, database))


def _look(home: Home, database: Database) -> Iterator[Check]:
    yield Check("phasegate", True, f"{version('phasegate')} on Python {sys.version.split()[0]}")
    yield _home(home)
    try:
        database.check()
        yield Check("database", True, f"{database.name} at {database.revision()}", fatal=True)
    except RegistryError as error:
        yield Check("database", False, f"{error.message} -> {error.hint}", fatal=True)
    yield Check("people", True, EMBEDDED_TRUST)
    yield from _engines()
    for found in find_plugins():
        yield Check(f"plugin {found.name}", not found.problem, found.problem or found.summary)


def _engines() -> Iterator[Check]:
    """What trainings can run on. Nothing heavy is imported to find out."""
    yield _package("torch", "torch", "train")
    yield _gpus()
    yield _package("engine ray", "ray", "ray")
    yield _package("engine slurm", "submitit", "slurm")
    where = shutil.which("kubectl")
    yield Check("engine kubernetes", bool(where), f"kubectl is {where}" if where else "there is no kubectl")


def _package(name: str, package: str, extra: str) -> Check:
    try:
        return Check(name, True, f"{package} {version(package)}")
    except PackageNotFoundError:
        return Check(name, False, f"needs {package}: pip install 'phasegate[{extra}]'")


def _gpus() -> Check:
    """As the driver itself lists them."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return Check("gpus", False, "no NVIDIA driver: trainings run on the CPU")
    found = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not found:
        return Check("gpus", False, f"the driver shows none: {done.stderr.strip() or done.stdout.strip()}")
    return Check("gpus", True, f"{len(found)}: " + "; ".join(found))


def _home(home: Home) -> Check:
    if not home.root.exists():
        return Check("home", False, f"{home.root} is not there -> phasegate init", fatal=True)
    if not os.access(home.root, os.W_OK):
        return Check("home", False, f"{home.root} cannot be written by this user", fatal=True)
    free = shutil.disk_usage(home.root).free
    return Check("home", True, f"{home.root}, {free / 2**30:.1f} GiB free", fatal=True)
