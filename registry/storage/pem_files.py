"""Private keys in PEM files that only their owner reads, and public keys beside them."""

from __future__ import annotations

import os
from pathlib import Path

from registry.errors import AlreadyExists, BadInput, NotFound
from registry.files import sync_folder, write_atomically

_OTHERS = 0o077


def public_beside(path: Path) -> Path:
    """Where the public key of a private one lies: `rita.pub` beside `rita.key` or `rita.pem`."""
    return path.with_suffix(".pub") if path.suffix in (".key", ".pem") else path.with_name(f"{path.name}.pub")


def write_pair(path: Path, private: bytes, public: bytes) -> None:
    """Write a new private key that nobody else can read, and its public key beside it.

    Raises:
        AlreadyExists: There is a file: overwriting it could lose a key.
        BadInput: It cannot be written.
    """
    for each in (path, public_beside(path)):
        if each.exists():
            raise AlreadyExists(f"there is a file at {each} already", hint="name another FILE")
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(private)
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(path.parent)
        write_atomically(public_beside(path), public)
    except OSError as cause:
        raise BadInput(f"the key {path} cannot be written: {cause.strerror}") from cause


def read_private(path: Path) -> bytes:
    """What a private key's file holds.

    Raises:
        NotFound: There is no such file.
        BadInput: Others may read it, or it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            if mode & _OTHERS:
                raise BadInput(
                    f"the key {path} can be read by others (mode {mode:o})",
                    hint=f"chmod 600 {path}; if others may have read it, make another: phasegate key make",
                )
            return stream.read()
    except FileNotFoundError:
        raise NotFound(f"there is no key at {path}", hint=f"phasegate key make {path}") from None
    except OSError as cause:
        raise BadInput(f"the key {path} cannot be read: {cause.strerror}") from cause


def read_public(path: Path) -> bytes:
    """What a public key's file holds.

    Raises:
        NotFound: There is no such file.
        BadInput: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no public key at {path}") from None
    except OSError as cause:
        raise BadInput(f"the public key {path} cannot be read: {cause.strerror}") from cause
