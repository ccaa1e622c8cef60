"""What every part of an open registry stands on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.home import Home

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.storage.unit_of_work import UnitOfWork


@dataclass(slots=True)
class Opened:
    """A registry's home, database and store, and in whose name they are used."""

    home: Home
    database: Database
    store: ArtifactStore
    actor: str

    def read(self) -> AbstractContextManager[Session]:
        """One reading transaction."""
        return self.database.read()

    def write(self) -> AbstractContextManager[UnitOfWork]:
        """One writing transaction of the actor, with its ledger entries."""
        return self.database.write(self.actor)
