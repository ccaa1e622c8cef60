"""Aliases: names that stand for one version of a model, guarded by gates where the lifecycle says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.decision import Decision
from registry.domain.events import AliasMoved
from registry.domain.names import check_name, did_you_mean
from registry.domain.people import ADMIN, DEPLOYER
from registry.domain.references import AliasRef, Ref
from registry.errors import BadInput, NotFound, NotPermitted
from registry.storage import find
from registry.storage.lifecycles import current_lifecycle
from registry.storage.people import standings
from registry.storage.tables import AliasRow, Version
from registry.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class AliasView:
    """One setting of an alias; the newest of a name is in force.

    Attributes:
        version: What it pointed to from then on; empty if it was taken away.
        decision: By which decision; 0 if it was taken away.
        guarded: Whether the lifecycle in force guards it.
        in_force: Whether nothing has replaced it.
    """

    alias: str
    version: str
    decision: int
    guarded: bool
    in_force: bool
    at: datetime
    by: str


def point_alias(work: UnitOfWork, version: Version, decision: Decision) -> None:
    """Point the alias that a decision allows to its version.

    Taking it from one version and giving it to the next is one transaction: it never points to none, or to
    two. The version that it leaves hears of it in an entry of its own.
    """
    alias = decision.to.removeprefix("@")
    before = _pointing(work.session, version.model_id).get(alias)
    work.append(_row(work, version.model_id, alias, version.id, decision.id))
    left = str(Ref(version.model.name, before)) if before is not None else ""
    for ref in filter(None, (decision.ref, left)):
        work.record(AliasMoved(f"model:{ref}", alias, decision.ref, decision.id, left))


def remove_alias(work: UnitOfWork, name: str, alias: str, reason: str) -> None:
    """Take an alias away from the version that it points to, without a successor.

    No gate is asked: what must leave service may not have to wait for evidence. That is why a guarded alias
    takes somebody who answers for service, a deployer or an admin, and a reason that the ledger keeps. To
    point it to another version is a decision of the gate instead: `carry_out`.

    Raises:
        BadInput: No reason.
        NotFound: No such model, or the alias points to no version.
        NotPermitted: It is guarded, and the actor is neither deployer nor admin.
    """
    if not reason.strip():
        raise BadInput("an alias is taken away for a reason", hint="say it with --reason")
    check_name(alias, "the alias")
    # The model first: whoever plans a version of it holds it, and waits for the ledger last.
    model = find.model(work.session, name, lock=True)
    work.alone()
    pointing = _pointing(work.session, model.id)
    if alias not in pointing:
        raise NotFound(
            f"{AliasRef(name, alias)} points to no version",
            hint=did_you_mean(alias, pointing) or f"phasegate model alias {name}",
        )
    if alias in current_lifecycle(work.session).aliases:
        _require_service(work, f"take the guarded alias @{alias} away")
    before = str(Ref(name, pointing[alias]))
    work.append(_row(work, model.id, alias, None, None))
    work.record(AliasMoved(f"model:{before}", alias, "", 0, before, reason.strip()))


def settings(session: Session, name: str) -> list[AliasView]:
    """Every setting that the aliases of a model ever had, oldest first.

    Raises:
        NotFound: No such model.
    """
    model = find.model(session, name)
    guarded, names = current_lifecycle(session).aliases, find.actor_names(session)
    query = select(AliasRow).where(AliasRow.model_id == model.id).order_by(AliasRow.id)
    rows = list(session.scalars(query))
    numbers = dict(
        session.execute(select(Version.id, Version.number).where(Version.model_id == model.id)).all()
    )
    newest = {row.name: row.id for row in rows}
    return [
        AliasView(
            alias=row.name,
            version=str(Ref(name, numbers[row.version_id])) if row.version_id is not None else "",
            decision=row.decision_id or 0,
            guarded=row.name in guarded,
            in_force=newest[row.name] == row.id,
            at=row.created_at,
            by=names[row.created_by],
        )
        for row in rows
    ]


def _pointing(session: Session, model_id: int) -> dict[str, int]:
    return {row.name: row.number for row in find.aliases_of(session.connection(), model_id)}


def _require_service(work: UnitOfWork, doing: str) -> None:
    actor = work.actor.name
    roles = standings(work.session.connection(), [actor], work.at)[actor].roles
    if not {DEPLOYER, ADMIN} & set(roles):
        raise NotPermitted(
            f"{actor} is {' and '.join(roles)}: to {doing} takes the role {DEPLOYER} or {ADMIN}",
            hint=f"an admin can grant it: phasegate people grant {actor} {DEPLOYER}",
        )


def _row(work: UnitOfWork, model: int, alias: str, version: int | None, decision: int | None) -> AliasRow:
    return AliasRow(
        model_id=model,
        name=alias,
        version_id=version,
        decision_id=decision,
        created_at=work.at,
        created_by=work.actor.id,
    )
