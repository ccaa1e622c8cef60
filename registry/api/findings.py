"""`registry.findings`: challenges to versions and systems."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from registry.api.opened import Opened

if TYPE_CHECKING:
    from registry.usecases.look_exceptions import FindingView


class FindingsApi:
    """The challenge log: what somebody says is wrong, and how that ended."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def add(
        self,
        title: str,
        *,
        ref: str = "",
        system: str = "",
        severity: str,
        owner: str,
        due: datetime,
        text: str = "",
    ) -> FindingView:
        """Raise one; anybody may."""
        from registry.usecases.findings import raise_finding

        with self._opened.write() as work:
            row = raise_finding(
                work, title, ref=ref, system=system, severity=severity, owner=owner, due=due, text=text
            )
        return self.one(row.id)

    def close(self, number: int, *, evidence: int | None = None, reason: str = "") -> FindingView:
        """Close one, with evidence made since or with words."""
        from registry.usecases.findings import close_finding

        with self._opened.write() as work:
            close_finding(work, number, evidence=evidence, reason=reason)
        return self.one(number)

    def all(self, *, ref: str = "", system: str = "", only_open: bool = False) -> list[FindingView]:
        """All of them, or those that apply to a version or are about a system; oldest first."""
        from registry.usecases.look_exceptions import findings

        with self._opened.read() as session:
            return findings(session, ref=ref, system=system, only_open=only_open)

    def one(self, number: int) -> FindingView:
        """The one of a number."""
        from registry.usecases.look_exceptions import findings

        with self._opened.read() as session:
            return findings(session, number=number)[0]
