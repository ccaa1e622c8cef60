"""Times, as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from registry.errors import BadInput

_RELATIVE = re.compile(r"([0-9]{1,6})([mhdw])\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
TIME = "ISO 8601, UTC unless it says otherwise; or how far away: 12h, 30d."


def read_time(text: str, option: str, *, past: bool = False) -> datetime:
    """A moment that somebody typed: `2027-01-31`, `2027-01-31T12:00Z`, `30d`.

    Args:
        text: What was typed.
        option: Where, as the user knows it: `--until`.
        past: `30d` is 30 days ago, not 30 days from now.

    Raises:
        BadInput: It is no time.
    """
    try:
        if relative := _RELATIVE.match(text.strip()):
            away = timedelta(**{_UNITS[relative[2]]: int(relative[1])})
            return datetime.now(UTC) - away if past else datetime.now(UTC) + away
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise BadInput(
            f"{option}: {text!r} is no time", hint="write it like 2027-01-31, 2027-01-31T12:00Z or 30d"
        ) from None
    try:
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except OverflowError:
        raise BadInput(f"{option}: {text!r} is beyond all calendars") from None
