"""Whether an envelope is signed by a key, and whether what it says is still so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from registry.domain.digests import digest_of
from registry.errors import BadInput
from registry.signing.dsse import IN_TOTO, Envelope
from registry.signing.keys import PublicKey
from registry.signing.statements import RowRef, Statement

MODEL_SIGNATURE = "https://model_signing/signature/v1.0"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a statement must say to be about a row as it is now.

    Attributes:
        row: The row.
        subjects: Digests that a statement on this row may be about.
        predicate_type: What kind of statement it must be.
        manifest: Of an artifact: its files' digests, which the statement must list instead.
    """

    row: RowRef
    subjects: tuple[str, ...]
    predicate_type: str
    manifest: Mapping[str, str] | None = None


def problem_of(stored: Mapping[str, Any], key: PublicKey, claim: Claim) -> str:
    """Why a stored envelope does not count for a row; empty if it does."""
    try:
        statement = _open(Envelope.read(stored), key)
    except BadInput as cause:
        return cause.message
    if statement is None:
        return "the signature is not of that key, or the statement was changed"
    if statement.predicate_type != claim.predicate_type:
        return f"it is a statement of another kind: {statement.predicate_type}"
    if claim.manifest is not None:
        return _manifest_problem(statement, claim)
    if statement.digest not in claim.subjects:
        return "it is about another digest"
    if statement.row is None or statement.row.name != claim.row.name:
        return "it is about another row"
    if statement.row.digest != claim.row.digest:
        return "the row is not what was signed"
    return ""


@lru_cache(maxsize=1024)
def _open(envelope: Envelope, key: PublicKey) -> Statement | None:
    """The statement in an envelope, None if the key did not sign it: this never changes, so it is kept."""
    if envelope.payload_type != IN_TOTO or not envelope.signed_by(key):
        return None
    return Statement.parse(envelope.payload)


def _manifest_problem(statement: Statement, claim: Claim) -> str:
    """Whether the files that model-signing listed are those of the artifact, by name and SHA-256."""
    assert claim.manifest is not None
    if not _named_by(claim.manifest, claim.subjects):
        return "the artifact's manifest is not the one that its digest names"
    try:
        how = statement.predicate["serialization"]
        listed = statement.predicate["resources"]
        if (how["method"], how["hash_type"]) != ("files", "sha256") or how.get("ignore_paths"):
            return "it does not list every file by its SHA-256"
        files = {str(each["name"]): f"sha256:{each['digest']}" for each in listed}
        root = hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in listed)).hexdigest()
    except (AttributeError, KeyError, TypeError, ValueError):
        return "it is no list of files"
    if files != claim.manifest or len(listed) != len(files):
        return "it is about other files"
    if statement.digest != f"sha256:{root}":
        return "its list of files is not the one that its digest names"
    return ""


def _named_by(manifest: Mapping[str, str], digests: tuple[str, ...]) -> bool:
    try:
        return digest_of(manifest) in digests
    except BadInput:
        return False
