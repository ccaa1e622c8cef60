"""`registry.ledger`: the ledger's key, checkpoints, witnesses and proofs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from registry.api.opened import Opened

if TYPE_CHECKING:
    from registry.usecases.checkpoints import CheckpointView
    from registry.usecases.erase import Erased
    from registry.usecases.ledger_keys import LedgerKeys
    from registry.usecases.moments import Moment
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

    def erase(self, subject: str, reason: str, *, mentions: bool = False) -> Erased:
        """Erase what the ledger holds about somebody or something; proofs and audits still hold."""
        from registry.usecases.erase import erase

        with self._opened.write() as work:
            erased = erase(work, subject, reason, mentions=mentions)
        self._opened.database.clear_remains()
        return erased

    def held(self, of: str, at: datetime, *, proofs: Path | None = None) -> Moment:
        """Which versions of a model held which stages and aliases at a moment, by the ledger.

        Args:
            of: A model, or one version of it.
            at: The moment.
            proofs: A folder that gets a proof of every entry that made it so.
        """
        from registry.usecases.moments import held, prove_held

        opened = self._opened
        with opened.read() as session:
            found = held(session, opened.home, self._file(None), of, at)
            return (
                prove_held(session, opened.home, opened.actor, self._file(None), found, proofs)
                if proofs
                else found
            )

    def _file(self, named: Path | None) -> Path:
        return named or self._opened.home.ledger_key
