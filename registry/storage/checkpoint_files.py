"""Files of checkpoints, one after the other: what left the database's reach."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from registry.errors import BadInput
from registry.files import alone_in, write_atomically
from registry.ledger.checkpoints import SignedCheckpoint, parse_checkpoints

SUFFIX = ".checkpoints"


def file_name(origin: str) -> str:
    """Name of the file for a ledger's checkpoints."""
    return origin.replace("/", "_").lstrip(".") + SUFFIX


def read_checkpoints(path: Path) -> list[SignedCheckpoint]:
    """Checkpoints of a file, in its order; none if there is no such file.

    Raises:
        BadInput: It cannot be read, or something in it is no checkpoint.
    """
    try:
        return parse_checkpoints(path.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "it is no text"
        raise BadInput(f"{path} cannot be read: {reason}") from cause
    except BadInput as cause:
        raise BadInput(f"{path}: {cause.message}", hint=cause.hint) from cause


def add_checkpoint(path: Path, signed: SignedCheckpoint) -> bool:
    """Append a checkpoint, or its signatures if the file has it; False if there was nothing to add.

    The file is old or new, never half, and nothing is lost that others append meanwhile.

    Raises:
        BadInput: The file holds something else, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(path.parent):
            known = read_checkpoints(path)
            kept = [
                SignedCheckpoint.of(found.note.joined(signed.note)) if _same(found, signed) else found
                for found in known
            ]
            if not any(_same(found, signed) for found in known):
                kept.append(signed)
            if kept == known:
                return False
            write_atomically(path, "\n".join(str(found.note) for found in kept).encode())
            return True
    except OSError as cause:
        raise BadInput(f"{path} cannot be written: {cause.strerror}") from cause


def commit_checkpoint(folder: Path, signed: SignedCheckpoint, author: str) -> tuple[Path, str]:
    """Add a checkpoint to a git repository's folder and commit it; returns the file and the commit.

    Raises:
        BadInput: There is no git, the folder is in no repository, or git refuses.
    """
    if not folder.is_dir() or _git(folder, "rev-parse", "--is-inside-work-tree", check=False) != "true":
        raise BadInput(f"{folder} is in no git repository", hint=f"git init {folder}")
    file = folder / file_name(signed.checkpoint.origin)
    add_checkpoint(file, signed)
    _git(folder, "add", "--", file.name)
    if _git(folder, "status", "--porcelain", "--", file.name):
        there = signed.checkpoint
        message = f"Checkpoint of {there.origin}: {there.size} entries\n\nroot {there.root.hex()}"
        identity = []
        if not _git(folder, "var", "GIT_COMMITTER_IDENT", check=False):
            identity = ["-c", f"user.name={author}", "-c", f"user.email={author}@localhost"]
        _git(folder, *identity, "commit", "--quiet", "-m", message, "--only", "--", file.name)
    return file, _git(folder, "log", "-1", "--format=%H", "--", file.name)


def _same(one: SignedCheckpoint, other: SignedCheckpoint) -> bool:
    return one.note.text == other.note.text


def _git(folder: Path, *arguments: str, check: bool = True) -> str:
    # Called by a hook of another repository, git would write into that one.
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_PLACES}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        raise BadInput("git is not installed", hint="install git, or export to a file: -o FILE") from None
    if check and done.returncode:
        raise BadInput(f"git {arguments[0]} in {folder} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip() if done.returncode == 0 else ""


_GIT_PLACES = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})
