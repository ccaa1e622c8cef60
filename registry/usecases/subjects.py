"""What waivers and findings are about: one version, or one system with all that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.errors import BadInput
from registry.storage import find
from registry.storage.tables import Model, System, Version
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.independence import developers_of, developers_of_system


@dataclass(frozen=True, slots=True)
class Subject:
    """A version or a system; exactly one of them is there.

    Attributes:
        name: `loans/1`, or the system's name.
    """

    name: str
    version: Version | None = None
    system: System | None = None

    @property
    def version_id(self) -> int | None:
        return self.version.id if self.version is not None else None

    @property
    def system_id(self) -> int | None:
        return self.system.id if self.system is not None else None

    @property
    def entry(self) -> str:
        """How ledger entries name it."""
        return f"model:{self.name}" if self.version is not None else f"system:{self.name}"

    def developers(self, work: UnitOfWork) -> tuple[str, ...]:
        """Who made the version, or any version of the system, what it is."""
        if self.version is not None:
            return developers_of(work, self.version)
        assert self.system is not None
        return developers_of_system(work, self.system)


@dataclass(frozen=True, slots=True)
class Names:
    """References of versions, and names of systems, by id."""

    versions: Mapping[int, str]
    systems: Mapping[int, str]


def find_subject(session: Session, ref: str, system: str, *, lock: bool = False) -> Subject:
    """The version of a reference, or the system of a name; a version is locked if asked.

    Raises:
        BadInput: Neither is named, or both are.
        NotFound: There is no such version or system.
    """
    if bool(ref) == bool(system):
        raise BadInput("name a version or a system, and not both", hint="write MODEL/N, or --system NAME")
    if ref:
        row = find.version(session, find.ref(session, ref), lock=lock)
        return Subject(find.ref_of(row), version=row)
    return Subject(system, system=find.system(session, system))


def subject_of(
    session: Session, version_id: int | None, system_id: int | None, *, lock: bool = False
) -> Subject:
    """What a row is about; a version is locked if asked."""
    if version_id is not None:
        name = session.execute(
            select(Model.name, Version.number)
            .join(Version, Version.model_id == Model.id)
            .where(Version.id == version_id)
        ).one()
        return find_subject(session, f"{name[0]}/{name[1]}", "", lock=lock)
    found = session.get_one(System, system_id)
    return Subject(found.name, system=found)


def subject_names(session: Session) -> Names:
    """What every version and system is called."""
    versions = session.execute(
        select(Version.id, Model.name, Version.number).join(Model, Model.id == Version.model_id)
    )
    systems = session.execute(select(System.id, System.name))
    return Names({id: f"{name}/{number}" for id, name, number in versions}, dict(systems.all()))
