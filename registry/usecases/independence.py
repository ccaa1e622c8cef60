"""Four eyes: in whose name somebody acts, and whose work it is."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from registry.errors import NotPermitted
from registry.storage import find
from registry.storage.dossiers.involved import find_work
from registry.storage.people import standings
from registry.storage.tables import Model, System, Version
from registry.storage.unit_of_work import UnitOfWork


def speaking_as(work: UnitOfWork, doing: str, *roles: str) -> frozenset[str]:
    """Everybody in whose name the actor does what takes one of some roles.

    Whoever has the role only by delegation speaks for the one who lent it, too, and may not
    decide on either's own work.

    Raises:
        NotPermitted: The actor has none of the roles.
    """
    name = work.actor.name
    standing = standings(work.session.connection(), [name], work.at)[name]
    if standing.granted.intersection(roles):
        return frozenset({name})
    lenders = {lender for role in roles for lender in standing.lent.get(role, ())}
    if not lenders:
        raise NotPermitted(
            f"{name} is {' and '.join(standing.roles)}: to {doing} takes the role {' or '.join(roles)}",
            hint=f"an admin can grant it: phasegate people grant {name} {roles[0]}",
        )
    return frozenset({name, *lenders})


def see_that_others_decide(speakers: Collection[str], involved: Collection[str], why: str) -> None:
    """Go on only if nobody in whose name the actor speaks is involved.

    Args:
        speakers: Of `speaking_as`.
        involved: Who may not decide.
        why: What they are, after their name: `asked for it`.

    Raises:
        NotPermitted: Somebody is.
    """
    if own := sorted({*speakers} & {*involved}):
        raise NotPermitted(f"{own[0]} {why}: somebody else decides", hint="repeat it with --as SOMEBODY-ELSE")


def developers_of(work: UnitOfWork, version: Version) -> tuple[str, ...]:
    """Who planned a version, chose its data or design, or trained it."""
    return find_work(work.session.connection(), version, find.ref_of(version)).developers


def developers_of_system(work: UnitOfWork, system: System) -> tuple[str, ...]:
    """Who developed any version that the system has."""
    versions = work.session.scalars(
        select(Version).join(Version.model).where(Model.system_id == system.id)
    ).all()
    models = {
        row.id: row.name for row in work.session.scalars(select(Model).where(Model.system_id == system.id))
    }
    connection = work.session.connection()
    found = (find_work(connection, row, f"{models[row.model_id]}/{row.number}") for row in versions)
    return tuple(sorted({name for one in found for name in one.developers}))
