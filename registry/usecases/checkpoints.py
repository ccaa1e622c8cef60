"""Checkpoints: the ledger's size and root, signed, and put where the database's owner cannot change them.

Whoever has the database can rewrite all of it, so that it fits. What was
signed and exported before does not fit then, and tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from registry.errors import BadInput, IntegrityViolated, RegistryError
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint
from registry.ledger.keys import VerifierKey
from registry.storage.checkpoint_files import (
    SUFFIX,
    add_checkpoint,
    commit_checkpoint,
    file_name,
    read_checkpoints,
)
from registry.storage.home import Home
from registry.storage.ledger_nodes import read_tree, roots_at
from registry.usecases.ledger_keys import endorsed_keys, key_problems, known_keys, signing_key, trusted_keys


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """A checkpoint, and where it was put.

    Attributes:
        origin: The ledger's name.
        size: Entries.
        root: Hex.
        signed_by: Name and hash of each key that signed, the ledger's first.
        note: The checkpoint as others read it (c2sp.org/tlog-checkpoint).
        files: Where it is now.
        commit: Of the git repository that it was exported to, if it was.
    """

    origin: str
    size: int
    root: str
    signed_by: list[str]
    note: str
    files: list[str] = field(default_factory=list)
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """What a ledger is held against.

    Attributes:
        files: Files of checkpoints.
        key_file: Where the ledger's signing key lies, and beside it the list of keys that are trusted.
        keys: Verifier keys to trust instead, from somebody who is trusted; those that they signed for, too.
    """

    files: Sequence[Path]
    key_file: Path
    keys: Sequence[VerifierKey] = ()


def view_of(signed: SignedCheckpoint, files: Iterable[Path] = (), commit: str = "") -> CheckpointView:
    """A checkpoint, for showing."""
    there = signed.checkpoint
    return CheckpointView(
        origin=there.origin,
        size=there.size,
        root=there.root.hex(),
        signed_by=[f"{each.name}+{each.id.hex()}" for each in signed.note.signatures],
        note=str(signed.note),
        files=[str(file) for file in files],
        commit=commit,
    )


def file_of(home: Home, origin: str) -> Path:
    """Where the checkpoints of a home's ledger are kept."""
    return home.checkpoints / file_name(origin)


def exported(home: Home, files: Iterable[Path] = (), keys: Iterable[str] = ()) -> Exported:
    """All checkpoints of a home, and those of other files.

    Raises:
        BadInput: A file that was named is not there, or a verifier key is none.
    """
    named = list(files)
    for file in named:
        if not file.is_file():
            raise BadInput(f"there is no file of checkpoints at {file}")
    own = sorted(home.checkpoints.glob(f"*{SUFFIX}"))
    return Exported([*own, *named], home.ledger_key, [VerifierKey.parse(key) for key in keys])


def sign_checkpoint(
    session: Session,
    home: Home,
    actor: str,
    key_file: Path,
    *,
    files: Sequence[Path] = (),
    git: Path | None = None,
) -> CheckpointView:
    """Sign the ledger as it is now, and put the checkpoint into the home and wherever else is asked for.

    Args:
        session: One moment.
        home: Its folder of checkpoints gets it in any case.
        actor: In whose name git commits, if git knows nobody.
        key_file: The signing key.
        files: Files to append it to.
        git: A folder in a git repository to commit it to.

    Raises:
        NotFound: The signing key is not there.
        IntegrityViolated: The ledger is not the one that an earlier checkpoint signed: nothing is signed.
        BadInput: A file or git refuses.
    """
    key = signing_key(session, key_file)
    tree = read_tree(session)
    targets = [file_of(home, key.name), *files]
    earlier = [*targets, *([git / file_name(key.name)] if git else [])]
    keys = [*trusted_keys(session, key_file), key.verifier]
    for file in earlier:
        for problem in _compare(session, tree.size, file, read_checkpoints(file), keys, key.name):
            raise IntegrityViolated(f"nothing is signed: {problem}", hint="phasegate audit verify")
    signed = SignedCheckpoint.of(Checkpoint(key.name, tree.size, tree.root).signed(key))
    for file in targets:
        add_checkpoint(file, signed)
    if git is None:
        return view_of(signed, targets)
    committed, commit = commit_checkpoint(git, signed, actor)
    return view_of(signed, [*targets, committed], commit)


def compare_checkpoints(session: Session, size: int, against: Exported) -> tuple[int, list[str]]:
    """Hold the ledger against what was exported of it.

    Roots are computed from stored inner nodes; that these are the entries' is for the caller to see.

    Args:
        session: The same moment as the rest of an audit.
        size: Entries that are there.
        against: What to hold it against.

    Returns:
        How many checkpoints were compared, and one sentence for each problem.
    """
    compared, problems = 0, []
    try:
        problems += key_problems(session, against.key_file)
        known = known_keys(session)
        keys = endorsed_keys(session, against.keys) or trusted_keys(session, against.key_file)
    except (RegistryError, ValueError, KeyError, TypeError) as cause:
        return 0, [f"the ledger's keys cannot be read: {cause}"]
    origin = (known or keys)[-1].name if known or keys else ""
    for file in against.files:
        try:
            found = read_checkpoints(file)
        except BadInput as cause:
            problems.append(cause.message)
        else:
            compared += len(found)
            problems += _compare(session, size, file, found, keys, origin)
    return compared, problems


def _compare(
    session: Session,
    size: int,
    file: Path,
    found: Iterable[SignedCheckpoint],
    keys: Sequence[VerifierKey],
    origin: str,
) -> Iterator[str]:
    """What is wrong with a file's checkpoints, or with the ledger as they tell."""
    in_order = sorted(found, key=lambda each: each.checkpoint.size)
    roots = roots_at(session, {each.checkpoint.size for each in in_order if each.checkpoint.size <= size})
    consistent, rewritten = 0, []
    for signed in in_order:
        there = signed.checkpoint
        if origin and there.origin != origin:
            yield f"{file}: the checkpoint of {there.size} entries is of {there.origin}, not of {origin}"
            continue
        try:
            signed.check_signature(keys)
            if there.size > size:
                yield f"the ledger was truncated: {file} signed {there.size} entries, {size} are there"
            elif roots[there.size] is None:
                yield f"the root of the first {there.size} entries, which {file} signed, cannot be computed"
            elif roots[there.size] != there.root:
                rewritten.append(there.size)
            elif not rewritten:
                consistent = there.size
        except IntegrityViolated as cause:
            yield f"{file}: {cause.message}"
    if rewritten:
        first = rewritten[0]
        where = (
            f"between entries {consistent} and {first - 1}"
            if first - consistent > 1
            else f"at entry {first - 1}"
        )
        more = f"; {len(rewritten) - 1} later checkpoints do not fit either" if len(rewritten) > 1 else ""
        yield (
            f"history was rewritten {where}: the first {first} entries are not those that {file} signed{more}"
        )
