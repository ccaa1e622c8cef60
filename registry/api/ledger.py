"""`registry.ledger`: the ledger's key, checkpoints, witnesses and proofs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.api.opened import Opened

if TYPE_CHECKING:
    from registry.usecases.checkpoints import CheckpointView
    from registry.usecases.ledger_keys import LedgerKeys
    from registry.usecases.prove import ProofView
    from registry.usecases.witness import WitnessView


class LedgerApi:
    """The ledger, proven to people elsewhere. A key's file is the home's unless one is named."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def key(self, file: Path | None = None) -> LedgerKeys | None:
        """The keys that sign and signed; None before the first is made."""
        from registry.usecases.ledger_keys import look_at_keys

        with self._opened.read() as session:
            return look_at_keys(session, self._file(file))

    def make_key(self, file: Path | None = None, *, name: str = "") -> LedgerKeys:
        """Make the key that signs, or take the one that lies there."""
        from registry.usecases.ledger_keys import make_key

        return make_key(self._opened.database, self._opened.actor, self._file(file), name)

    def rotate_key(self, file: Path | None = None, *, reason: str = "", lost: bool = False) -> LedgerKeys:
        """Put a new key in the place of the one that signs."""
        from registry.usecases.ledger_keys import rotate_key

        return rotate_key(self._opened.database, self._opened.actor, self._file(file), reason, lost=lost)

    def checkpoint(
        self, key_file: Path | None = None, *, files: Sequence[Path] = (), git: Path | None = None
    ) -> CheckpointView:
        """Sign the ledger as it is now, and export that to files and a git repository."""
        from registry.usecases.checkpoints import sign_checkpoint

        opened = self._opened
        with opened.read() as session:
            return sign_checkpoint(
                session, opened.home, opened.actor, self._file(key_file), files=files, git=git
            )

    def witness(
        self,
        *,
        key_file: Path | None = None,
        state: Path | None = None,
        name: str = "",
        trust: Sequence[str] = (),
        checkpoints: Path | None = None,
        to: Path | None = None,
    ) -> WitnessView:
        """Cosign the newest checkpoint, if the ledger only grew since the last time."""
        from registry.usecases.witness import WitnessFiles, witness

        with self._opened.read() as session:
            return witness(
                session,
                self._opened.home,
                WitnessFiles.at(key_file, state),
                name=name or f"witness/{self._opened.actor}",
                trust=trust,
                checkpoints=checkpoints,
                to=to,
            )

    def prove(
        self,
        entry: int,
        *,
        payload: bool = False,
        checkpoints: Path | None = None,
        key_file: Path | None = None,
    ) -> ProofView:
        """Prove that an entry is in the ledger, to somebody who has neither database nor program."""
        from registry.usecases.prove import prove_entry

        opened = self._opened
        with opened.read() as session:
            return prove_entry(
                session,
                opened.home,
                opened.actor,
                self._file(key_file),
                entry,
                payload=payload,
                checkpoints=checkpoints,
            )

    def _file(self, named: Path | None) -> Path:
        return named or self._opened.home.ledger_key
