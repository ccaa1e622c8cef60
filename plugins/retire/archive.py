"""The archive of a retired version: its artifact in one plain file, and a tombstone that tells its story."""

from __future__ import annotations

import tarfile
from pathlib import Path


def write_tar(folder: Path, target: Path) -> int:
    """Write a folder's files as a tar that is the same for the same files; returns how many.

    Sorted by path, owners and times zeroed, modes 0644, nothing compressed: compressors differ
    between releases, and weights hardly shrink.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in files:
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            entry.mode = 0o644
            with path.open("rb") as stream:
                archive.addfile(entry, stream)
    return len(files)
