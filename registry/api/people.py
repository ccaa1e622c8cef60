"""`registry.people`: who may do what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from registry.api.opened import Opened
from registry.storage.tables.base import now

if TYPE_CHECKING:
    from registry.usecases.who import GroupView, PersonView, TenureView


class PeopleApi:
    """Actors, what they may do, and for whom."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def everybody(self) -> list[PersonView]:
        """Everybody who ever acted or was named, and what they are now."""
        from registry.usecases.who import everybody

        with self._opened.read() as session:
            return everybody(session, now())

    def person(self, name: str) -> tuple[PersonView, list[TenureView]]:
        """What somebody is now, and everything that they ever were."""
        from registry.usecases.who import person

        with self._opened.read() as session:
            return person(session, name, now())

    def groups(self) -> list[GroupView]:
        """Every group, with who is in it now."""
        from registry.usecases.who import groups

        with self._opened.read() as session:
            return groups(session)

    def grant(self, name: str, role: str) -> None:
        """Give somebody a role; takes an admin."""
        from registry.usecases.people import grant_role

        with self._opened.write() as work:
            grant_role(work, name, role)

    def revoke(self, name: str, role: str) -> None:
        """Take a role from somebody, and what they lent of it; takes an admin, and leaves one."""
        from registry.usecases.people import revoke_role

        with self._opened.write() as work:
            revoke_role(work, name, role)

    def add_group(self, group: str) -> None:
        """Make a group; takes an admin."""
        from registry.usecases.people import add_group

        with self._opened.write() as work:
            add_group(work, group)

    def join(self, group: str, name: str) -> None:
        """Put somebody into a group; takes an admin."""
        from registry.usecases.people import join_group

        with self._opened.write() as work:
            join_group(work, group, name)

    def leave(self, group: str, name: str) -> None:
        """Take somebody out of a group; takes an admin."""
        from registry.usecases.people import leave_group

        with self._opened.write() as work:
            leave_group(work, group, name)

    def delegate(self, role: str, to: str, *, until: datetime, reason: str) -> None:
        """Lend a role of one's own to somebody, who then stands in for the lender."""
        from registry.usecases.delegate import delegate_role

        with self._opened.write() as work:
            delegate_role(work, role, to, until=until, reason=reason)

    def undelegate(self, role: str, to: str, *, lender: str = "") -> None:
        """End a loan before its end; the actor's own unless a lender is named."""
        from registry.usecases.delegate import end_delegation

        with self._opened.write() as work:
            end_delegation(work, role, to, lender=lender)
