"""Signing keys as files that only their owner reads, and lists of verifier keys beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from registry.errors import AlreadyExists, BadInput
from registry.files import sync_folder, write_atomically
from registry.ledger.keys import SigningKey, VerifierKey

_OTHERS = 0o077


def read_signing_key(path: Path) -> SigningKey | None:
    """The key in a file; None if there is no such file.

    Raises:
        BadInput: Others may read it, or it is no key.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            if mode & _OTHERS:
                raise BadInput(
                    f"the signing key {path} can be read by others (mode {mode:o})",
                    hint=f"chmod 600 {path}; if others may have read it: phasegate audit key --rotate",
                )
            return SigningKey.parse(stream.read().decode())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as cause:
        raise BadInput(f"the signing key {path} cannot be read: {_reason(cause)}") from cause
    except BadInput as cause:
        raise BadInput(f"{path}: {cause.message}", hint=cause.hint) from cause


def write_signing_key(path: Path, key: SigningKey) -> None:
    """Write a new key; whoever else reads the folder cannot read it.

    Raises:
        AlreadyExists: There is a key: overwriting it would lose it.
        BadInput: It cannot be written.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(key.text() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(path.parent)
    except FileExistsError:
        raise AlreadyExists(f"there is a key at {path} already") from None
    except OSError as cause:
        raise BadInput(f"the signing key {path} cannot be written: {_reason(cause)}") from cause


def replace_signing_key(old: Path, new: Path) -> None:
    """Put a key in another's place; the other is gone then."""
    os.replace(new, old)
    sync_folder(old.parent)


def read_verifier_keys(path: Path) -> list[VerifierKey]:
    """Keys of a list, one per line, oldest first; none if there is no such file.

    Raises:
        BadInput: A line is no key.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as cause:
        raise BadInput(f"the list of keys {path} cannot be read: {_reason(cause)}") from cause
    return [VerifierKey.parse(line) for line in lines if line.strip() and not line.startswith("#")]


def write_verifier_keys(path: Path, keys: Sequence[VerifierKey]) -> None:
    """Write a list of keys."""
    write_atomically(path, "".join(f"{key}\n" for key in keys).encode())


def _reason(cause: OSError | UnicodeDecodeError) -> str:
    return (cause.strerror or str(cause)) if isinstance(cause, OSError) else "it is no text"
