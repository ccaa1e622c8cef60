"""Digests of values: SHA-256 over RFC 8785 canonical JSON."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from registry.errors import BadInput


def canonical(value: Any) -> bytes:
    """The one byte string that stands for a JSON value (RFC 8785).

    Raises:
        BadInput: JSON cannot hold it: NaN, infinity, an integer beyond 2^53, text that is not UTF-8.
    """
    try:
        return rfc8785.dumps(value)
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
