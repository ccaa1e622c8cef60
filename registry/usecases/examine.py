"""Examining an installation: what is there, what works, and what would help."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

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
    for found in find_plugins():
        yield Check(f"plugin {found.name}", not found.problem, found.problem or found.summary)


def _home(home: Home) -> Check:
    if not home.root.exists():
        return Check("home", False, f"{home.root} is not there -> phasegate init", fatal=True)
    if not os.access(home.root, os.W_OK):
        return Check("home", False, f"{home.root} cannot be written by this user", fatal=True)
    free = shutil.disk_usage(home.root).free
    return Check("home", True, f"{home.root}, {free / 2**30:.1f} GiB free", fatal=True)
