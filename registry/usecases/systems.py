"""Adding systems."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from registry.domain.events import SystemAdded, SystemChanged
from registry.domain.names import check_name
from registry.domain.people import ADMIN
from registry.domain.tiers import check_tier
from registry.errors import AlreadyExists, BadInput
from registry.storage import find
from registry.storage.tables import System
from registry.storage.unit_of_work import UnitOfWork


def add_system(
    work: UnitOfWork,
    name: str,
    *,
    purpose: str,
    risk_tier: str,
    owner: str = "",
    affected_groups: Sequence[str] = (),
    prohibited_uses: Sequence[str] = (),
    oversight: str = "",
    tags: Sequence[str] = (),
) -> System:
    """Record an AI system in its use.

    Its tier is what somebody declares until it is assessed; from then on only assessments change it.

    Raises:
        BadName: The name could not be stored.
        BadInput: No purpose, or no such risk tier.
        AlreadyExists: The name is taken.
    """
    check_name(name, "the system's name")
    if not purpose.strip():
        raise BadInput("a system needs a purpose", hint="say with --purpose what it is for")
    check_tier(risk_tier)
    if work.session.scalar(select(System.id).where(System.name == name)) is not None:
        raise AlreadyExists(f"there is a system {name!r} already", hint=f"phasegate system show {name}")
    system = System(
        name=name,
        purpose=purpose.strip(),
        owner=owner or work.actor.name,
        risk_tier=risk_tier,
        affected_groups=list(affected_groups),
        prohibited_uses=list(prohibited_uses),
        oversight=oversight,
        tags=sorted({check_name(tag, "the tag") for tag in tags}) or None,
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.session.add(system)
    work.record(SystemAdded(f"system:{name}", risk_tier, system.owner))
    return system


def change_system(
    work: UnitOfWork,
    name: str,
    *,
    owner: str | None = None,
    affected_groups: Sequence[str] | None = None,
    prohibited_uses: Sequence[str] | None = None,
    oversight: str | None = None,
    tags: Sequence[str] | None = None,
) -> System:
    """Say otherwise whom a system affects, what it must not be used for, who answers for it.

    Its purpose stays: another purpose is another system. Its tier comes from assessments. What is None
    stays as it is, what is empty is taken away. Approvals that were given before go stale.

    Raises:
        NotFound: No such system.
        NotPermitted: The actor is neither its owner nor an admin.
        BadInput: Nothing would change, or nobody would answer for it.
    """
    system = find.system(work.session, name, lock=True)
    if work.actor.name != system.owner:
        work.require(ADMIN, f"change a system that {system.owner} answers for")
    if owner is not None:
        check_name(owner, "the owner's name")
    given = {
        "owner": owner,
        "affected_groups": None if affected_groups is None else list(affected_groups),
        "prohibited_uses": None if prohibited_uses is None else list(prohibited_uses),
        "oversight": None if oversight is None else oversight.strip(),
        "tags": None if tags is None else sorted({check_name(tag, "the tag") for tag in tags}),
    }
    changed = {
        key: value
        for key, value in given.items()
        if value is not None and value != (getattr(system, key) or type(value)())
    }
    if not changed:
        raise BadInput(f"nothing of system {name!r} would change", hint=f"phasegate system show {name}")
    for key, value in changed.items():
        setattr(system, key, value)
    work.record(SystemChanged(f"system:{name}", sorted(changed)))
    return system
