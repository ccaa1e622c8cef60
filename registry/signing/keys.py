"""Public keys: their schemes and ids, and whether one of them signed something.

Schemes and key ids are those of securesystemslib, so that its signers and its users know our keys by
the same names; checking needs only `cryptography`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from registry.errors import BadInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

_CURVES: Mapping[str, str] = {"secp256r1": "nistp256", "secp384r1": "nistp384", "secp521r1": "nistp521"}
_HASH_OF_CURVE: Mapping[str, str] = {"nistp256": "sha256", "nistp384": "sha384", "nistp521": "sha512"}
_RSA = tuple(f"{padding}-sha{bits}" for padding in ("rsassa-pss", "rsa-pkcs1v15") for bits in (256, 384, 512))
ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key.

    Attributes:
        scheme: How it signs: `ecdsa-sha2-nistp256`, `ed25519`, `rsassa-pss-sha256`, ...
        pem: SubjectPublicKeyInfo, as `cryptography` writes it.
    """

    scheme: str
    pem: str

    @classmethod
    def parse(cls, pem: str | bytes, scheme: str = "") -> Self:
        """Read a public key.

        Args:
            pem: SubjectPublicKeyInfo in PEM.
            scheme: How it signs; the usual one for its type unless given.

        Raises:
            BadInput: It is no public key, of a type that is not known here, or signs otherwise.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization

        data = pem.encode() if isinstance(pem, str) else pem
        try:
            key = serialization.load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as cause:
            hint = "give the public key, not the private one" if b"PRIVATE" in data else ""
            raise BadInput("this is no public key in PEM", hint=hint) from cause
        fits = _schemes(key)
        if not fits:
            raise BadInput(
                f"a key of type {type(key).__name__} is not known here",
                hint="ECDSA on P-256, P-384 or P-521, Ed25519 and RSA are",
            )
        if scheme and scheme not in fits:
            raise BadInput(f"this key cannot sign by {scheme}", hint=f"it signs by {', '.join(fits)}")
        text = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        return cls(scheme or fits[0], text)

    @property
    def keytype(self) -> str:
        """`ecdsa`, `ed25519` or `rsa`."""
        return "rsa" if self.scheme.startswith("rsa") else self.scheme.partition("-")[0]

    @property
    def keyid(self) -> str:
        """SHA-256 of the key as securesystemslib writes it canonically."""
        return _keyid(self)

    @property
    def value(self) -> str:
        """The key as securesystemslib holds it: hex of an Ed25519 key, PEM of any other."""
        return _raw(self.pem) if self.scheme == ED25519 else self.pem

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed a message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            key = _load(self.pem)
            if self.scheme not in _schemes(key):
                return False
            if self.scheme == ED25519:
                key.verify(signature, message)
            elif self.keytype == "ecdsa":
                algorithm = _hash(_HASH_OF_CURVE[self.scheme.rpartition("-")[2]])
                key.verify(signature, message, ec.ECDSA(algorithm))
            else:
                _verify_rsa(key, self.scheme, message, signature)
        except (InvalidSignature, ValueError):
            return False
        return True


def _schemes(key: object) -> tuple[str, ...]:
    """How a key of `cryptography` can sign, the usual way first; none if it is not known here."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match key:
        case ed25519.Ed25519PublicKey():
            return (ED25519,)
        case ec.EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return (f"ecdsa-sha2-{_CURVES[key.curve.name]}",)
        case rsa.RSAPublicKey():
            return _RSA
    return ()


def _verify_rsa(key: RSAPublicKey, scheme: str, message: bytes, signature: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import padding

    algorithm = _hash(scheme.rpartition("-")[2])
    if scheme.startswith("rsassa-pss"):
        pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
        key.verify(signature, message, pss, algorithm)
    else:
        key.verify(signature, message, padding.PKCS1v15(), algorithm)


def _hash(name: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    return {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[name]


@lru_cache(maxsize=1024)
def _keyid(key: PublicKey) -> str:
    # OLPC's canonical JSON: sorted, without spaces, line breaks as they are.
    text = f'{{"keytype":"{key.keytype}","keyval":{{"public":"{key.value}"}},"scheme":"{key.scheme}"}}'
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=256)
def _load(pem: str) -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_public_key(pem.encode())


def _raw(pem: str) -> str:
    from cryptography.hazmat.primitives import serialization

    raw: bytes = _load(pem).public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw.hex()
