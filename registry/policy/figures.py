"""Values as people read them: 0.21, not 0.2100001."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

_MOST = 8  # items of a list that are shown


def show(value: Any, *, digits: int = 4) -> str:
    """A value as text; numbers with `digits` significant digits, whole ones in full."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value, digits)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M %Z}".strip()
    if isinstance(value, timedelta):
        return f"{_number(value / timedelta(days=1), digits)} days"
    if isinstance(value, Mapping):
        return _join([f"{show(key)}: {show(item, digits=digits)}" for key, item in sorted(value.items())])
    if isinstance(value, list | tuple):
        return _join([show(item, digits=digits) for item in value])
    return "" if value is None else str(value)


def show_apart(value: Any, limit: Any) -> tuple[str, str]:
    """A value and the limit that it missed, with as many digits as it takes to tell them apart."""
    texts = show(value), show(limit)
    # A number that a fact holds as text is no other number for that.
    if texts[0] == texts[1] and type(value) is type(limit) and value != limit:
        return show(value, digits=17), show(limit, digits=17)
    return texts


def interval(value: float, lower: float, upper: float) -> str:
    """A value with the ends of its interval: `0.21 [0.17, 0.24]`."""
    return f"{show(value)} [{show(lower)}, {show(upper)}]"


def _number(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    # More digits before the point than asked for are no reason for an exponent.
    before = len(str(int(abs(value))))
    return f"{value:.{min(17, max(digits, before + 1))}g}"


def _join(texts: list[str]) -> str:
    more = f" and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return ", ".join(texts[:_MOST]) + more
