"""Who signs: a private key in a file, or one that never leaves where it is kept, by securesystemslib's URI.

`gcpkms:`, `awskms:`, `azurekms:`, `hsm:`, `hv:` (HashiCorp Vault) and whatever else is registered in
securesystemslib's `SIGNER_FOR_URI_SCHEME`.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import BadInput, MissingExtra, RegistryError
from registry.signing.dsse import IN_TOTO, Envelope, pae
from registry.signing.keys import PublicKey
from registry.storage.pem_files import read_private, read_public

if TYPE_CHECKING:
    from securesystemslib.signer import Signer, SSlibKey

_MODULES = ("securesystemslib", "model_signing", "OpenSSL")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StatementSigner:
    """A key that can sign."""

    key: PublicKey
    _signer: Signer = field(repr=False)

    def sign(self, payload: bytes, payload_type: str = IN_TOTO) -> Envelope:
        """An envelope around a payload.

        Raises:
            BadInput: The key's keeper refuses or cannot be reached, or signed with another key.
        """
        message = pae(payload_type, payload)
        try:
            signature = bytes.fromhex(self._signer.sign(message).signature)
        except Exception as cause:  # each keeper has errors of its own
            raise BadInput(f"the key {self.key.keyid[:12]} cannot sign: {cause}") from cause
        if not self.key.verifies(message, signature):
            raise BadInput(
                f"what was signed was not signed by the key {self.key.keyid[:12]}",
                hint="is --public the key's own?",
            )
        return Envelope(payload, signature, self.key.keyid, payload_type)


def check_extra() -> None:
    """See that everything that signing needs is installed.

    Raises:
        MissingExtra: It is not; says what.
    """
    if missing := [name for name in _MODULES if importlib.util.find_spec(name) is None]:
        raise MissingExtra(f"signing needs {', '.join(missing)}", hint="pip install 'phasegate[signing]'")


def open_signer(where: str, public: Path | None = None) -> StatementSigner:
    """The key in a file or at a URI, ready to sign.

    Args:
        where: A PEM file, or a URI that securesystemslib knows.
        public: The public key's file, for URIs whose keeper does not tell it.

    Raises:
        MissingExtra: The extra `signing` is not installed.
        NotFound: No such file.
        BadInput: It is no private key, others may read it, or its keeper cannot be asked.
    """
    check_extra()
    from securesystemslib.signer import Signer

    if not is_uri(where):
        return _from_file(Path(where).expanduser())
    uri, known = _ask_keeper(where) if public is None else (where, PublicKey.parse(read_public(public)))
    try:
        return StatementSigner(known, Signer.from_priv_key_uri(uri, _theirs(known)))
    except Exception as cause:  # each keeper has errors of its own
        raise BadInput(f"the key {where} cannot be used: {cause}") from cause


def find_public_key(where: str) -> PublicKey:
    """A public key from its file, or as the keeper of a private key tells it.

    Raises:
        MissingExtra: A URI, and the extra `signing` is not installed.
        NotFound: No such file.
        BadInput: It is no public key, or its keeper cannot be asked.
    """
    if not is_uri(where):
        return PublicKey.parse(read_public(Path(where).expanduser()))
    check_extra()
    return _ask_keeper(where)[1]


def is_uri(where: str) -> bool:
    """Whether a key is named by a URI and not by a file."""
    return _SCHEME.match(where) is not None and not Path(where).exists()


def _ask_keeper(where: str) -> tuple[str, PublicKey]:
    """Of a URI, the one to sign with, and the public key."""
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME

    found = _SCHEME.match(where)
    scheme, rest = (found[1], found[2]) if found else ("", "")
    if scheme not in SIGNER_FOR_URI_SCHEME:
        known = ", ".join(f"{name}:" for name in sorted(SIGNER_FOR_URI_SCHEME))
        raise BadInput(f"{scheme}: keeps no keys that are known here", hint=f"a file, or {known}")
    if scheme == "file2":
        return where, _from_file(Path(rest)).key
    ask = getattr(SIGNER_FOR_URI_SCHEME[scheme], "import_", None)
    hint = "write its public key into a PEM file, and name that"
    if ask is None:
        raise BadInput(f"{scheme}: does not tell public keys", hint=hint)
    try:
        uri, theirs = ask(rest)
        return uri, _ours(theirs)
    except RegistryError:
        raise
    except Exception as cause:  # each keeper has errors of its own
        raise BadInput(f"{where} does not tell its public key: {cause}", hint=hint) from cause


def _from_file(path: Path) -> StatementSigner:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from securesystemslib.signer import CryptoSigner

    data = read_private(path)
    try:
        private = serialization.load_pem_private_key(data, None)
    except TypeError as cause:
        hint = "keep it with a keeper of keys, or unlock it"
        raise BadInput(f"the key {path} is locked with a passphrase", hint=hint) from cause
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise BadInput(f"{path} holds no private key in PEM", hint="phasegate key make FILE") from cause
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = PublicKey.parse(public)
    return StatementSigner(key, CryptoSigner(private, _theirs(key)))


def _theirs(key: PublicKey) -> SSlibKey:
    from securesystemslib.signer import SSlibKey

    return SSlibKey(key.keyid, key.keytype, key.scheme, {"public": key.value})


def _ours(key: SSlibKey) -> PublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = key.keyval["public"]
    if key.keytype == "ed25519":
        raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        public = raw.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
    return PublicKey.parse(public, key.scheme)
