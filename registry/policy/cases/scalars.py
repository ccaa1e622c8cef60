"""One YAML scalar to one value of a dossier, typed by the dossier's own classes."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from registry.policy.yaml_nodes import Source, kind_of

if TYPE_CHECKING:
    from yaml.nodes import Node

_RELATIVE = re.compile(r"([-+])(\d+(?:\.\d+)?)([smhdw])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_scalar(source: Source, node: Node, hint: type, what: str, now: datetime) -> Any:
    """A text, number, truth value or time; None, and a problem, if it is none."""
    if hint is datetime:
        return read_time(source, node, what, now)
    if hint is bool:
        return source.flag_of(node, what)
    return _read_text(source, node, what) if hint is str else _read_number(source, node, hint, what)


def read_time(source: Source, node: Node, what: str, now: datetime) -> datetime | None:
    """`now`, a time from now as `-10d` or `+3h`, or ISO text with its zone."""
    if kind_of(node) not in ("str", "timestamp"):
        source.wrong_kind(node, what, "a time")
        return None
    text = str(node.value).strip()
    if text == "now":
        return now
    if found := _RELATIVE.match(text):
        distance = timedelta(**{_UNITS[found[3]]: float(found[2])})
        return now - distance if found[1] == "-" else now + distance
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        source.report(
            node, f"{what}: {text!r} is no time", "write 2026-03-01T12:00:00Z, now, or from now: -10d, +3h"
        )
        return None
    if read.tzinfo is None:
        source.report(node, f"{what}: {text!r} says no time zone", "write a Z behind the time: 2026-03-01T12:00Z")
        return None
    return read


def _read_text(source: Source, node: Node, what: str) -> str | None:
    if kind_of(node) != "str":
        source.wrong_kind(node, what, "text")
        return None
    return str(node.value)


def _read_number(source: Source, node: Node, hint: type, what: str) -> float | int | None:
    kind = kind_of(node)
    if kind == "float" and hint is float and str(node.value).lower() == ".nan":
        return math.nan  # what a broken check may report; no rule may pass on it
    value = source.param_of(node, what) if kind in ("int", "float") else None
    if kind not in ("int", "float") or (hint is int and kind == "float"):
        source.wrong_kind(node, what, "a whole number" if hint is int else "a number")
        return None
    return value if value is None or hint is float else int(value)
