"""What a training begins with: a version's artifact, or a folder that is stored first."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from registry.errors import BadInput, NotFound, WrongStage
from registry.extension.discovery import AnyPlugin
from registry.extension.inputs import BaseInput, OriginInput
from registry.storage import find
from registry.storage.artifacts import ArtifactStore, Stored
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import Artifact, DatasetVersion, EvidenceRow, Run, RunInput, RunOutput, Version

ROLE = "base"

# What a model needs, and cannot run: weights as safetensors, the rest as JSON or text.
_TAKEN = (".safetensors", ".json", ".txt", ".md", ".jinja")
_NAMES = ("LICENSE", "LICENCE", "NOTICE", "COPYING")
# Formats that run code when they are loaded, or may.
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras")
# An owner's word on the licence: `license: mit` in the head of a README.
_LICENCE = re.compile(r"^licen[cs]e:\s*['\"]?([^'\"\n]+?)['\"]?\s*$", re.MULTILINE | re.IGNORECASE)
_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Base:
    """A resolved base.

    Attributes:
        given: As the run is told of it.
        stored: The folder in the store, whose row is to be written; None for a version's artifact.
        train: What the version was trained on; None where the registry does not know.
    """

    given: BaseInput
    stored: Stored | None = None
    train: DatasetVersion | None = None


def resolve_base(session: Session, store: ArtifactStore, plugin: AnyPlugin, named: str) -> Base:
    """The base that a run asks for.

    Args:
        session: A reading transaction.
        store: Where artifacts are.
        plugin: What is to be run.
        named: `minilm/1`, `minilm@champion`, or a folder: a path that begins with `.`, `/` or `~`.

    Raises:
        BadInput: The plugin begins with no base, or the folder holds what may run code, links or no model.
        NotFound: There is no such version or folder.
        WrongStage: The version has no artifact, or is out of use.
        IntegrityViolated: The artifact is not what its digest says.
    """
    if not plugin.takes_base:
        raise BadInput(f"{plugin.name} begins with no base: --base does not apply")
    if named.startswith((".", "/", "~")):
        return _folder(store, Path(named).expanduser(), named)
    try:
        ref = find.ref(session, named)
        version = find.version(session, ref)
    except BadInput as cause:
        if Path(named).is_dir():
            raise NotFound(
                f"{cause.message}; a folder is named by a path", hint=f"--base ./{named}"
            ) from cause
        raise
    if version.artifact_digest is None:
        raise WrongStage(f"the base {ref} has no artifact", hint=f"phasegate run train-classifier {ref}")
    if version.stage == current_lifecycle(session).stages[-1]:
        raise WrongStage(f"the base {ref} is {version.stage}: nothing new is built on it")
    read = _learned_from(session, version)
    data = find.ancestry(session, read.values())
    return Base(
        BaseInput(
            ref=str(ref),
            digest=version.artifact_digest,
            path=_fetch(session, store, version.artifact_digest),
            licence=_licence(session, version, data),
            data=tuple(
                OriginInput(ref=find.ref_of(row), digest=row.digest, licence=row.licence, source=row.source)
                for row in data
            ),
        ),
        train=read.get("train"),
    )


def _learned_from(session: Session, version: Version) -> dict[str, DatasetVersion]:
    """What the run that made the artifact learned from, by role."""
    rows = session.execute(
        select(RunInput.role, RunInput.ref, DatasetVersion)
        .join(DatasetVersion, DatasetVersion.digest == RunInput.digest)
        .options(joinedload(DatasetVersion.dataset))
        .join(RunOutput, RunOutput.run_id == RunInput.run_id)
        .join(Run, Run.id == RunInput.run_id)
        .where(
            Run.version_id == version.id,
            RunOutput.name == "artifact",
            RunOutput.digest == version.artifact_digest,
            RunInput.role.in_(("train", "replay")),
        )
        .order_by(RunInput.run_id)
    )
    # The same bytes may be registered under several names.
    return {role: row for role, ref, row in rows if find.ref_of(row) == ref}


def _licence(session: Session, version: Version, data: list[DatasetVersion]) -> str:
    """What its data and its own base ask of whoever uses it; empty if somebody did not say."""
    named = {row.licence for row in data}
    facts = session.scalar(
        select(EvidenceRow.facts)
        .where(EvidenceRow.subject == version.artifact_digest, EvidenceRow.kind == "run.train")
        .order_by(EvidenceRow.id.desc())
        .limit(1)
    )
    if facts and facts.get("base.ref", "none") != "none":
        named.add(facts.get("base.licence", "").replace("unknown", ""))
    if not named or "" in named:
        return ""
    return " AND ".join(sorted(f"({name})" if " OR " in name else name for name in named))


def _folder(store: ArtifactStore, folder: Path, named: str) -> Base:
    """Take a folder in: only what cannot run is copied to the store."""
    if not folder.is_dir():
        raise NotFound(f"there is no folder {named}", hint="a version is named MODEL/N or MODEL@ALIAS")
    # Before anything below it is looked at: somebody may have named the root of a disk.
    names = {path.name for path in folder.iterdir()}
    if "adapter_config.json" in names:
        raise BadInput(f"{folder} holds an adapter, not a model", hint="merge it into its base first")
    if "config.json" not in names:
        raise _no_model(folder)
    taken = list(_taken(folder))
    if not any(path.suffix == ".safetensors" for path in taken if path.parent == folder):
        raise _no_model(folder)
    with tempfile.TemporaryDirectory() as aside:
        for path in taken:
            target = Path(aside, path.relative_to(folder))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        stored = store.put(Path(aside))
    return Base(
        BaseInput(
            ref=folder.resolve().name,
            digest=stored.digest,
            path=store.fetch(stored.digest, stored.manifest),
            licence=_stated_licence(folder),
        ),
        stored,
    )


def _no_model(folder: Path) -> BadInput:
    return BadInput(
        f"{folder} is no model: it needs config.json and weights as .safetensors",
        hint="model.save_pretrained(FOLDER) of transformers writes both",
    )


def _taken(folder: Path) -> Iterator[Path]:
    """Files of a model's folder that are stored; what is hidden, and what is of no use to it, is left."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadInput(f"{name} in {folder} is a link or a special file: only plain files can be stored")
        if path.is_dir() or any(part.startswith(".") for part in name.parts):
            continue
        if path.suffix.lower() in _PICKLED:
            raise BadInput(
                f"{name} in {folder} can run code when it is loaded",
                hint="load it where you trust it, write it as safetensors by model.save_pretrained(FOLDER), "
                "and name that folder",
            )
        if path.suffix.lower() in _TAKEN or path.stem.upper() in _NAMES:
            yield path


def _stated_licence(folder: Path) -> str:
    """The licence that the folder's README or LICENSE names; empty if neither does."""
    for name in ("README.md", "readme.md"):
        if (folder / name).is_file():
            head = _head(folder / name)
            front = head.split("---")[1] if head.startswith("---") and head.count("---") > 1 else head
            if found := _LICENCE.search(front):
                return found[1].strip()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stem.upper() in ("LICENSE", "LICENCE", "COPYING"):
            lines = [line.strip() for line in _head(path).splitlines() if line.strip()]
            return " ".join(lines[:1])[:100]
    return ""


def _head(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_HEAD).decode("utf-8", "replace")


def _fetch(session: Session, store: ArtifactStore, digest: str) -> Path:
    return store.fetch(digest, session.get_one(Artifact, digest).manifest)
