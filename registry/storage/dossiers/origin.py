"""What a version's artifact was made from, and what was made from its artifacts: as runs were given them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, select
from sqlalchemy.orm import aliased

from registry.storage import find
from registry.storage.tables import Model, Run, RunInput, RunOutput, Version

_ORIGIN = (
    select(RunInput.role, RunInput.ref, RunInput.digest)
    .join(Run, Run.id == RunInput.run_id)
    .join(RunOutput, and_(RunOutput.run_id == Run.id, RunOutput.name == "artifact"))
    .where(
        Run.version_id == bindparam("version_id"),
        RunOutput.digest == bindparam("artifact"),
        RunInput.role.in_(("base", "replay")),
    )
    .order_by(Run.id)
)
_made, _out, _tuned, _tuned_out = aliased(Run), aliased(RunOutput), aliased(Run), aliased(RunOutput)
_DESCENDANTS = (
    select(Model.name, Version.number)
    .select_from(_made)
    .join(_out, and_(_out.run_id == _made.id, _out.name == "artifact"))
    .join(RunInput, and_(RunInput.digest == _out.digest, RunInput.role == "base"))
    .join(_tuned, _tuned.id == RunInput.run_id)
    .join(_tuned_out, and_(_tuned_out.run_id == _tuned.id, _tuned_out.name == "artifact"))
    .join(Version, and_(Version.id == _tuned.version_id, Version.artifact_digest == _tuned_out.digest))
    .join(Model, Model.id == Version.model_id)
    .where(
        _made.version_id == bindparam("version_id"),
        RunInput.ref == bindparam("ref"),
        Version.id != bindparam("version_id"),
        Version.stage != bindparam("last"),
    )
    .distinct()
    .order_by(Model.name, Version.number)
)


@dataclass(frozen=True, slots=True)
class Origin:
    """What the run that made an artifact began with; empty where it began with nothing.

    Attributes:
        base: Reference of the base model.
        base_digest: Of its files.
        replayed: Digest of the old data that was mixed in.
    """

    base: str = ""
    base_digest: str = ""
    replayed: str = ""


def find_origin(connection: Connection, version: Version) -> Origin:
    """What the version's present artifact was made from, beside its data."""
    if version.artifact_digest is None:
        return Origin()
    named = {"version_id": version.id, "artifact": version.artifact_digest}
    found = {role: (ref, digest) for role, ref, digest in connection.execute(_ORIGIN, named)}
    base, digest = found.get("base", ("", ""))
    return Origin(base, digest, found.get("replay", ("", ""))[1])


def find_descendants(connection: Connection, version: Version, *, last: str) -> tuple[str, ...]:
    """Versions whose present artifact was tuned from one of this version, but for those in the last stage."""
    if version.artifact_digest is None:
        return ()
    named = {"version_id": version.id, "ref": find.ref_of(version), "last": last}
    return tuple(f"{name}/{number}" for name, number in connection.execute(_DESCENDANTS, named))
