"""JSON read so strictly that no two readers can understand it differently."""

from __future__ import annotations

import json
from typing import Any


class Malformed(ValueError):
    """A file is not what it says it is; the message says why."""


def parse_json(data: bytes) -> Any:
    """The value of a JSON text: UTF-8, no key twice in an object, no NaN or Infinity.

    Raises:
        Malformed: It is something else, or nested too deeply to read.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as cause:
        raise Malformed("it is nested too deeply to read") from cause
    except ValueError as cause:
        raise Malformed(f"it is no JSON: {cause}") from cause


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
