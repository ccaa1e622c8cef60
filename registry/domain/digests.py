"""Digests of values: SHA-256 over RFC 8785 canonical JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import rfc8785

from registry.errors import BadInput

# Where no number has a fraction and no key needs UTF-16 order, Python's own JSON, sorted and without spaces,
# is the canonical one, in a fifth of the time.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
# The largest whole number that JSON readers agree on.
SAFE_INTEGER = 2**53 - 1


def canonical(value: Any) -> bytes:
    """The one byte string that stands for a JSON value (RFC 8785).

    Raises:
        BadInput: JSON cannot hold it: NaN, infinity, an integer beyond 2^53, text that is not UTF-8.
    """
    try:
        return _encode(value).encode() if _is_plain(value) else rfc8785.dumps(value)
    except ValueError as cause:
        raise BadInput(f"a value cannot be recorded: {cause}") from cause


def digest_of(value: Any) -> str:
    """`sha256:<hex>` of a JSON value's canonical form."""
    return digest_bytes(canonical(value))


def digest_bytes(data: bytes) -> str:
    """`sha256:<hex>` of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def short(digest: str) -> str:
    """A digest as people read it: `sha256:9f2c41d07a3e`."""
    return digest[:19]


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-SAFE_INTEGER <= value <= SAFE_INTEGER)
    if kind is dict:
        return all(type(key) is str and key.isascii() and _is_plain(item) for key, item in value.items())
    return (kind is list or kind is tuple) and all(map(_is_plain, value))
