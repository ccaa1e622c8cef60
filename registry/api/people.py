"""`registry.people`: who may do what."""

from __future__ import annotations

from registry.api.opened import Opened


class PeopleApi:
    """Actors, and what they may do."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def grant(self, name: str, role: str) -> None:
        """Give somebody a role; takes an admin."""
        from registry.usecases.people import grant_role

        with self._opened.write() as work:
            grant_role(work, name, role)
