"""Adding systems."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from registry.domain.events import SystemAdded
from registry.domain.names import check_name
from registry.domain.tiers import check_tier
from registry.errors import AlreadyExists, BadInput
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
