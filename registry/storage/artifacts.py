"""The content-addressed store: bytes under their SHA-256, on any fsspec file system."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.domain.digests import digest_of, short
from registry.errors import BadInput, IntegrityViolated
from registry.files import manifest_of, sync_folder

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """A folder in the store.

    Attributes:
        digest: Of the manifest path -> file digest.
        manifest: Relative path -> file digest.
        size: Bytes.
    """

    digest: str
    manifest: dict[str, str]
    size: int


class ArtifactStore:
    """Where bytes are kept. Nothing in it is ever overwritten; everything is verified when read."""

    def __init__(self, url: str, cache: Path) -> None:
        """Name the store.

        Args:
            url: fsspec URL or a local path: `/data/artifacts`, `s3://bucket/prefix`.
            cache: Local folder in which fetched artifacts are laid out.
        """
        self.url = url
        self._cache = cache
        self._opened: tuple[AbstractFileSystem, str] | None = None

    def put(self, folder: Path) -> Stored:
        """Store all files of a folder; storing the same again costs only hashing.

        Raises:
            BadInput: The folder is empty or holds links.
        """
        manifest = manifest_of(folder)
        if not manifest:
            raise BadInput(f"{folder} holds no files")
        for path, digest in manifest.items():
            self._put_file(folder / path, digest)
        size = sum((folder / path).stat().st_size for path in manifest)
        return Stored(digest_of(manifest), manifest, size)

    def fetch(self, digest: str, manifest: dict[str, Any]) -> Path:
        """A local folder with the artifact's files, read-only; every byte of it has just been verified.

        Raises:
            IntegrityViolated: A file is gone or is not what its digest says.
        """
        if digest_of(manifest) != digest:
            raise IntegrityViolated(f"the manifest of {short(digest)} is not the one that its digest names")
        folder = self._cache / digest.removeprefix("sha256:")
        if _holds(folder, manifest):
            return folder
        self._cache.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=self._cache, prefix=".fetching-"))
        try:
            for path, expected in manifest.items():
                self._get_file(expected, aside / "new" / path)
            try:
                os.replace(aside / "new", folder)
            except OSError:
                # What is there is another run's, who fetched it meanwhile and reads it now: it stays.
                # Unless it is spoilt: then it makes way, for the store's bytes are the ones that count.
                if not _holds(folder, manifest):
                    os.replace(folder, aside / "spoilt")
                    os.replace(aside / "new", folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return folder

    def problems(self, manifest: dict[str, str]) -> list[str]:
        """What is wrong with an artifact's files in the store: gone or changed."""
        found = []
        for path, expected in manifest.items():
            try:
                actual = self._hash(expected)
            except FileNotFoundError:
                found.append(f"{path} ({short(expected)}) is gone")
            except OSError as error:
                found.append(f"{path} ({short(expected)}) cannot be read: {error.strerror}")
            else:
                if actual != expected:
                    found.append(f"{path} is {short(actual)}, not {short(expected)}")
        return found

    def _place(self, digest: str) -> tuple[AbstractFileSystem, str]:
        if self._opened is None:
            from fsspec.core import url_to_fs

            fs, root = url_to_fs(self.url)
            self._opened = fs, root.rstrip("/")
        fs, root = self._opened
        name = digest.removeprefix("sha256:")
        return fs, f"{root}/sha256/{name[:2]}/{name}"

    def _put_file(self, source: Path, digest: str) -> None:
        fs, target = self._place(digest)
        if fs.exists(target) and fs.size(target) == source.stat().st_size:
            return
        folder = target.rsplit("/", 1)[0]
        fs.makedirs(folder, exist_ok=True)
        if "file" not in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,)):
            fs.put_file(str(source), target)  # object stores show a file only when it is whole
            return
        aside = Path(f"{folder}/.{uuid.uuid4().hex}")
        try:
            with source.open("rb") as reader, aside.open("wb") as writer:
                shutil.copyfileobj(reader, writer, _BLOCK)
                writer.flush()
                os.fsync(writer.fileno())
            aside.chmod(0o444)
            os.replace(aside, target)
            sync_folder(Path(folder))
        finally:
            aside.unlink(missing_ok=True)

    def _get_file(self, digest: str, target: Path) -> None:
        fs, source = self._place(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        hasher = hashlib.sha256()
        try:
            with fs.open(source, "rb") as reader, target.open("wb") as writer:
                while block := reader.read(_BLOCK):
                    hasher.update(block)
                    writer.write(block)
        except FileNotFoundError:
            raise IntegrityViolated(
                f"the store at {self.url} has lost {short(digest)}",
                hint="restore it from a backup of the store",
            ) from None
        if (actual := "sha256:" + hasher.hexdigest()) != digest:
            raise IntegrityViolated(
                f"the store holds other bytes under {short(digest)}: they hash to {short(actual)}",
                hint="phasegate audit verify --artifacts",
            )
        target.chmod(0o444)

    def _hash(self, digest: str) -> str:
        fs, source = self._place(digest)
        hasher = hashlib.sha256()
        with fs.open(source, "rb") as reader:
            while block := reader.read(_BLOCK):
                hasher.update(block)
        return "sha256:" + hasher.hexdigest()


def _holds(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether a folder has exactly these files."""
    try:
        return manifest_of(folder) == manifest
    except (BadInput, OSError):
        return False
