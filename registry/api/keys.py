"""`registry.keys`: keys that sign, whose they are, and what they signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registry.api.opened import Opened
from registry.domain.references import Ref

if TYPE_CHECKING:
    from registry.signing.keys import PublicKey
    from registry.usecases.keys import KeyView
    from registry.usecases.signing import SignatureView, SignedView


class KeysApi:
    """Signing, and whose signature is trusted. A private key never enters the registry."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def make(self, file: Path, *, owner: str = "", ed25519: bool = False) -> PublicKey:
        """Write a new private key to a file, and its public key beside it.

        Args:
            file: Must not be there yet.
            owner: Trust it at once, as theirs; takes an admin.
            ed25519: Not an ECDSA key, but one that signs statements only.
        """
        from registry.usecases.keys import make_key, make_trusted_key

        if not owner:
            return make_key(file, ed25519=ed25519)
        with self._opened.write() as work:
            return make_trusted_key(work, file, owner, ed25519=ed25519)

    def trust(self, public: str, owner: str) -> str:
        """Take what a key signs for somebody's word; a public key's file or a keeper's URI. Takes an admin.

        Returns:
            The key's id.
        """
        from registry.usecases.keys import trust_key
        from registry.usecases.signers import find_public_key

        key = find_public_key(public)
        with self._opened.write() as work:
            return trust_key(work, key, owner).keyid

    def distrust(self, keyid: str, reason: str) -> str:
        """Let nothing count any more that a key signed; takes an admin. Returns the key's whole id."""
        from registry.usecases.keys import distrust_key

        with self._opened.write() as work:
            return distrust_key(work, keyid, reason).keyid

    def known(self) -> list[KeyView]:
        """Every key that is or was trusted."""
        from registry.usecases.keys import list_keys

        with self._opened.read() as session:
            return list_keys(session)

    def sign(self, ref: str, key: str, *, public: Path | None = None, decision: int = 0) -> list[SignedView]:
        """Sign everything current of a version, or one decision about it.

        Args:
            ref: The version.
            key: A private key's file, or a URI that securesystemslib knows.
            public: The public key's file, where a URI's keeper does not tell it.
            decision: Sign this decision and nothing else.
        """
        from registry.usecases.signers import open_signer
        from registry.usecases.signing import sign_version

        opened = self._opened
        return sign_version(
            opened.database,
            opened.store,
            opened.actor,
            Ref.parse(ref),
            open_signer(key, public),
            decision=decision,
        )

    def check(self, ref: str, folder: Path | None = None) -> list[SignatureView]:
        """Every signature over what a version is now, checked; written to files if a folder is named."""
        from registry.usecases.signing import check_signatures, export_signatures

        with self._opened.read() as session:
            if folder is not None:
                return export_signatures(session, Ref.parse(ref), folder)
            return check_signatures(session, Ref.parse(ref))
