"""Taking a version's files out of the store: to serve them elsewhere, or to look at them."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sqlalchemy.orm import Session

from registry.domain.references import Ref
from registry.errors import AlreadyExists, BadInput, WrongStage
from registry.storage import find
from registry.storage.artifacts import ArtifactStore
from registry.storage.tables import Artifact


def fetch_artifact(session: Session, store: ArtifactStore, ref: Ref, folder: Path) -> tuple[str, list[str]]:
    """Copy a version's artifact into a new folder, which is there whole or not at all.

    Returns:
        The artifact's digest, and the relative paths of its files.

    Raises:
        WrongStage: The version has no artifact yet.
        AlreadyExists: The folder holds something.
        IntegrityViolated: A file in the store is not what its digest says.
    """
    version = find.version(session, ref)
    if version.artifact_digest is None:
        raise WrongStage(f"{ref} has no artifact yet", hint=f"phasegate gate explain {ref} trained")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AlreadyExists(f"{folder} is there already, and is not empty", hint="name a new folder")
    manifest = session.get_one(Artifact, version.artifact_digest).manifest
    source = store.fetch(version.artifact_digest, manifest)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            for path in manifest:
                target = aside / "new" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / path, target)
            os.replace(aside / "new", folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as cause:
        raise BadInput(f"{folder} cannot be written: {cause.strerror}") from cause
    return version.artifact_digest, sorted(manifest)
