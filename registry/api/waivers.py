"""`registry.waivers`: approved exceptions to one rule."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from registry.api.opened import Opened

if TYPE_CHECKING:
    from registry.usecases.look_exceptions import WaiverView


class WaiversApi:
    """Exceptions to one rule, for one version as it is or for one system, until a date."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def request(
        self, rule: str, *, ref: str = "", system: str = "", reason: str, control: str, until: datetime
    ) -> WaiverView:
        """Ask for one; somebody else approves it."""
        from registry.usecases.waivers import request_waiver

        with self._opened.write() as work:
            row = request_waiver(
                work, rule, ref=ref, system=system, reason=reason, control=control, until=until
            )
        return self.one(row.id)

    def approve(self, number: int, reason: str = "") -> WaiverView:
        """Grant one; its length counts from now."""
        from registry.usecases.waivers import approve_waiver

        with self._opened.write() as work:
            approve_waiver(work, number, reason)
        return self.one(number)

    def reject(self, number: int, reason: str) -> WaiverView:
        """Say no to one, or take one's own back."""
        from registry.usecases.waivers import reject_waiver

        with self._opened.write() as work:
            reject_waiver(work, number, reason)
        return self.one(number)

    def revoke(self, number: int, reason: str) -> WaiverView:
        """End one that was granted, from now on."""
        from registry.usecases.waivers import revoke_waiver

        with self._opened.write() as work:
            revoke_waiver(work, number, reason)
        return self.one(number)

    def all(self, *, ref: str = "", system: str = "") -> list[WaiverView]:
        """All of them, or those that apply to a version or were given to a system; oldest first."""
        from registry.usecases.look_exceptions import waivers

        with self._opened.read() as session:
            return waivers(session, ref=ref, system=system)

    def one(self, number: int) -> WaiverView:
        """The one of a number."""
        from registry.usecases.look_exceptions import waivers

        with self._opened.read() as session:
            return waivers(session, number=number)[0]
