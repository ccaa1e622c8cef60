"""The lifecycle in force."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.lifecycle import Lifecycle, Step
from registry.errors import DatabaseUnusable
from registry.storage.tables import LifecycleRow

_NEWEST = select(LifecycleRow.digest, LifecycleRow.document).order_by(LifecycleRow.id.desc()).limit(1)
# Published lifecycles never change, so what was read once stays right.
_read: dict[str, Lifecycle] = {}


def current_lifecycle(session: Session) -> Lifecycle:
    """The newest published lifecycle.

    Raises:
        DatabaseUnusable: None was ever published: the registry was not initialised to its end.
    """
    row = session.connection().execute(_NEWEST).first()
    if row is None:
        raise DatabaseUnusable(
            "the registry has no lifecycle: its initialisation did not end", hint="phasegate init"
        )
    digest, document = row
    if digest not in _read:
        _read[digest] = from_document(document)
    return _read[digest]


def first_stages(session: Session) -> set[str]:
    """Where a version can have begun: the first stage of every lifecycle that was ever in force."""
    return {document["stages"][0] for document in session.scalars(select(LifecycleRow.document))}


def to_document(lifecycle: Lifecycle) -> dict[str, Any]:
    """A lifecycle as stored; without guarded aliases it is what it was before there were any."""
    document: dict[str, Any] = {
        "name": lifecycle.name,
        "stages": list(lifecycle.stages),
        "steps": [{"from": s.origin, "to": s.to, "open": s.open, "why": s.why} for s in lifecycle.steps],
        "work": {kind: list(stages) for kind, stages in lifecycle.work.items()},
    }
    if lifecycle.aliases:
        document["aliases"] = list(lifecycle.aliases)
    return document


def from_document(document: dict[str, Any]) -> Lifecycle:
    """A lifecycle from its stored form."""
    return Lifecycle(
        document["name"],
        tuple(document["stages"]),
        tuple(Step(s["from"], s["to"], s["open"], s["why"]) for s in document["steps"]),
        {kind: tuple(stages) for kind, stages in document["work"].items()},
        tuple(document.get("aliases", ())),
    )
