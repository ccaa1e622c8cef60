"""Finding rows by the names that people use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from registry.domain.names import nearest
from registry.domain.references import AliasRef, Ref, parse_reference
from registry.errors import NotFound
from registry.storage.tables import (
    ActorRow,
    AliasRow,
    Dataset,
    DatasetParent,
    DatasetVersion,
    GroupRow,
    Model,
    Run,
    System,
    Version,
    VersionData,
)

_VERSION = (
    select(Version)
    .join(Version.model)
    .join(Model.system)
    .options(contains_eager(Version.model).contains_eager(Model.system))
    .where(Model.name == bindparam("name"), Version.number == bindparam("number"))
)
_VERSION_LOCKED = _VERSION.with_for_update(of=Version).execution_options(populate_existing=True)
_HELD = select(Version.stage, Version.digest).where(Version.id == bindparam("id")).with_for_update()
_DATA = (
    select(VersionData)
    .options(joinedload(VersionData.dataset_version).joinedload(DatasetVersion.dataset))
    .where(VersionData.version_id == bindparam("version_id"))
    .order_by(VersionData.role)
)
_NEWEST_ALIAS = (
    select(func.max(AliasRow.id)).where(AliasRow.model_id == bindparam("model_id")).group_by(AliasRow.name)
)
_ALIASES = (
    select(AliasRow.name, AliasRow.version_id, Version.number, Version.artifact_digest)
    .join(Version, Version.id == AliasRow.version_id)
    .where(AliasRow.id.in_(_NEWEST_ALIAS))
    .order_by(AliasRow.name)
)


def system(session: Session, name: str, *, lock: bool = False) -> System:
    """A system by name; locked until the transaction ends if asked.

    Raises:
        NotFound: There is none; the nearest name is in the hint.
    """
    query = select(System).where(System.name == name)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(
            f"there is no system {name!r}", hint=_near(session, name, System, "phasegate system add NAME")
        )
    return row


def actor(session: Session, name: str) -> ActorRow:
    """Somebody who has acted, or was named, before.

    Raises:
        NotFound: Nobody of that name; the nearest is in the hint.
    """
    row = session.scalar(select(ActorRow).where(ActorRow.name == name))
    if row is None:
        hint = _near(
            session, name, ActorRow, f"an admin names whoever is new: phasegate people grant {name} developer"
        )
        raise NotFound(f"nobody is called {name!r} here", hint=hint)
    return row


def group(session: Session, name: str) -> GroupRow:
    """A group of people by name.

    Raises:
        NotFound: There is none; the nearest name is in the hint.
    """
    row = session.scalar(select(GroupRow).where(GroupRow.name == name))
    if row is None:
        hint = _near(session, name, GroupRow, "phasegate people group add NAME")
        raise NotFound(f"there is no group {name!r}", hint=hint)
    return row


def model(session: Session, name: str, *, lock: bool = False) -> Model:
    """A model by name; locked until the transaction ends if asked.

    Raises:
        NotFound: There is none; the nearest name is in the hint.
    """
    query = select(Model).where(Model.name == name)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        hint = _near(session, name, Model, "phasegate model plan NAME")
        raise NotFound(f"there is no model {name!r}", hint=hint)
    return row


def ref(session: Session, text: str) -> Ref:
    """What a reference names: `loans/3` as it is, `loans@champion` as the alias points now.

    Every command that takes a version comes through here, in the transaction in which it works: so an alias
    means the same version from the first statement to the last.

    Raises:
        BadReference, BadName: It cannot be read.
        NotFound: No such model, or no alias of that name points to a version; the nearest is in the hint.
    """
    named = parse_reference(text)
    if isinstance(named, Ref):
        return named
    of = model(session, named.name)
    pointing = aliases_of(session.connection(), of.id)
    for row in pointing:
        if row.name == named.alias:
            return Ref(named.name, row.number)
    known = [str(AliasRef(named.name, row.name)) for row in pointing]
    close = nearest(str(named), known)
    raise NotFound(
        f"{named} points to no version",
        hint=f"did you mean {close!r}?" if close else f"phasegate model alias {named.name}/N {named.alias}",
    )


def aliases_of(connection: Connection, model_id: int) -> Sequence[Row[str, int | None, int, str | None]]:
    """Where each alias of a model points now: name, version_id, number, artifact_digest; by name."""
    return connection.execute(_ALIASES, {"model_id": model_id}).all()


def version(session: Session, ref: Ref, *, lock: bool = False) -> Version:
    """A model version, with its model and system; locked until the transaction ends if asked.

    Raises:
        NotFound: No such model, or no such version of it.
    """
    query = _VERSION_LOCKED if lock else _VERSION
    row = session.execute(query, {"name": ref.name, "number": ref.number}).scalar()
    if row is None:
        raise _no_version(
            session, ref, Model, Version, Version.model_id, "model", "phasegate model plan NAME"
        )
    return row


def hold(session: Session, version_id: int) -> tuple[str, str]:
    """Lock a version until the transaction ends; its stage and digest are of this moment."""
    stage, digest = session.connection().execute(_HELD, {"id": version_id}).one()
    return stage, digest


def dataset(session: Session, ref: Ref) -> DatasetVersion:
    """A dataset version, with its dataset.

    Raises:
        NotFound: No such dataset, or no such version of it.
    """
    row = session.scalar(
        select(DatasetVersion)
        .join(DatasetVersion.dataset)
        .options(contains_eager(DatasetVersion.dataset))
        .where(Dataset.name == ref.name, DatasetVersion.number == ref.number)
    )
    if row is None:
        hint = "phasegate dataset add NAME FILE"
        raise _no_version(session, ref, Dataset, DatasetVersion, DatasetVersion.dataset_id, "dataset", hint)
    return row


def run(session: Session, number: int, *, lock: bool = False) -> Run:
    """A run by its number.

    Raises:
        NotFound: There is none.
    """
    query = select(Run).where(Run.id == number)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no run {number}", hint="phasegate runs list")
    return row


def data_of(session: Session, version_id: int) -> dict[str, DatasetVersion]:
    """A version's data by role."""
    rows = session.execute(_DATA, {"version_id": version_id}).scalars()
    return {row.role: row.dataset_version for row in rows}


def lineage(session: Session, version_id: int) -> list[DatasetVersion]:
    """A version's data and everything that they were made from, oldest first."""
    return ancestry(session, data_of(session, version_id).values())


def ancestry(session: Session, rows: Iterable[DatasetVersion]) -> list[DatasetVersion]:
    """Dataset versions and everything that they were made from, oldest first."""
    known = {row.id: row for row in rows}
    young = set(known)
    while young:
        parents = session.scalars(
            select(DatasetVersion)
            .join(DatasetParent, DatasetParent.parent_id == DatasetVersion.id)
            .options(joinedload(DatasetVersion.dataset))
            .where(DatasetParent.child_id.in_(young))
        )
        found = {row.id: row for row in parents.unique()}
        young = set(found) - set(known)
        known.update(found)
    return [known[number] for number in sorted(known)]


def actor_names(session: Session) -> dict[int, str]:
    """Every actor's name by id."""
    return dict(session.execute(select(ActorRow.id, ActorRow.name)).all())


def model_name(session: Session, model_id: int) -> str:
    """A model's name by its id."""
    return session.get_one(Model, model_id).name


def ref_of(row: Version | DatasetVersion) -> str:
    """`loans/1`; the row's model or dataset must be loaded."""
    return f"{(row.model if isinstance(row, Version) else row.dataset).name}/{row.number}"


def _near(session: Session, name: str, table: Any, otherwise: str) -> str:
    close = nearest(name, session.scalars(select(table.name)))
    return f"did you mean {close!r}?" if close else otherwise


def _no_version(
    session: Session, ref: Ref, table: Any, versions: Any, owner: Any, what: str, otherwise: str
) -> NotFound:
    row = session.scalar(select(table).where(table.name == ref.name))
    if row is None:
        return NotFound(f"there is no {what} {ref.name!r}", hint=_near(session, ref.name, table, otherwise))
    query: Select[Any] = select(func.max(versions.number)).where(owner == row.id)
    newest = session.scalar(query) or 0
    hint = f"its newest version is {ref.name}/{newest}" if newest else otherwise
    return NotFound(f"{what} {ref.name!r} has no version {ref.number}", hint=hint)
