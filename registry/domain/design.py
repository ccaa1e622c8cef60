"""A version's design: choices, which training takes its defaults from, and an estimate of what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What begins the keys that an estimate is recorded under.
ESTIMATED = "estimated_"

# Written with every estimate that was made here, and with none that somebody typed.
_MADE_HERE = f"{ESTIMATED}device"


def choices(design: Mapping[str, Any]) -> dict[str, Any]:
    """The design without an estimate that was made of it: it is worth nothing once a choice changes.

    Figures that somebody set by hand are choices, too.
    """
    if _MADE_HERE not in design:
        return dict(design)
    return {key: value for key, value in design.items() if not key.startswith(ESTIMATED)}
