"""Migrations: where they are, and how they are run."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

_PACKAGE = "registry.migrations"
_ASSIGNED = re.compile(r"^(revision|down_revision)\b[^=]*=\s*(?:\"([^\"]*)\"|None)", re.MULTILINE)


@cache
def _chain() -> dict[str, str]:
    """Revision -> the one before it, read off the files: importing Alembic would cost every command 0.1 s."""
    chain = {}
    for file in files(_PACKAGE).joinpath("versions").iterdir():
        if file.name.endswith(".py") and not file.name.startswith("__"):
            found = dict(_ASSIGNED.findall(file.read_text("utf-8")))
            chain[found["revision"]] = found.get("down_revision", "")
    return chain


def known_revisions() -> frozenset[str]:
    """Every revision of this release."""
    return frozenset(_chain())


def head_revision() -> str:
    """The newest revision of this release."""
    (head,) = set(_chain()) - set(_chain().values())
    return head


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for a connection of ours."""
    from alembic.config import Config

    config = Config()
    with as_file(files(_PACKAGE)) as folder:
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Migrate up, in the connection's transaction."""
    from alembic import command

    command.upgrade(configuration(connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Migrate down, in the connection's transaction."""
    from alembic import command

    command.downgrade(configuration(connection), revision)
