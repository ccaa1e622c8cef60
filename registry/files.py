"""Files that are there whole or not at all, and manifests of folders."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.errors import BadInput

_BLOCK = 1 << 20


def write_atomically(path: Path, data: bytes) -> None:
    """Write aside, fsync, rename, fsync the folder: after a crash the file is old or new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(aside, path)
        sync_folder(path.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only one who changes files of a folder: others who ask for the same wait.

    The folder itself is locked, so no lock file is left in it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """`sha256:<hex>` of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return "sha256:" + digest.hexdigest()


def manifest_of(folder: Path) -> dict[str, str]:
    """Relative path -> digest of every file below a folder.

    Raises:
        BadInput: A symbolic link or a special file: what it points to could change unseen.
    """
    manifest = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadInput(f"{path} is a link or a special file: only plain files can be stored")
        if path.is_file():
            manifest[path.relative_to(folder).as_posix()] = sha256_of(path)
    return manifest


def disk_is_full(error: BaseException) -> bool:
    """Whether a full disk, a quota or a limit on the size of files is behind an error."""
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    # Libraries that are not written in Python give words alone; those of Rust have the number in them.
    words = (os.strerror(errno.ENOSPC), *(f"(os error {number})" for number in numbers))
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) in numbers or any(word in str(cause) for word in words):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
