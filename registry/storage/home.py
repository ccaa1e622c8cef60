"""Where a registry lives on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with the default database, the artifact store, run folders and caches.

    Attributes:
        root: `$PHASEGATE_HOME`, or `./.phasegate`.
        database: SQLAlchemy URL; `registry.db` in the root unless another is named.
        artifacts: fsspec URL of the store; `artifacts/` in the root unless another is named.
    """

    root: Path
    database: str
    artifacts: str

    @classmethod
    def at(
        cls, root: str | Path | None = None, *, database: str | None = None, artifacts: str | None = None
    ) -> Home:
        """The home that arguments, else the environment, else the defaults name."""
        folder = Path(root or os.environ.get("PHASEGATE_HOME") or ".phasegate").expanduser().absolute()
        return cls(
            folder,
            database or os.environ.get("PHASEGATE_DATABASE") or f"sqlite:///{folder / 'registry.db'}",
            artifacts or os.environ.get("PHASEGATE_ARTIFACTS") or str(folder / "artifacts"),
        )

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def deployments(self) -> Path:
        return self.root / "deployments"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def ledger_key(self) -> Path:
        """The key that signs the ledger: `$PHASEGATE_LEDGER_KEY`, or `keys/ledger.key` in the root."""
        named = os.environ.get("PHASEGATE_LEDGER_KEY")
        return Path(named).expanduser().absolute() if named else self.root / "keys" / "ledger.key"
