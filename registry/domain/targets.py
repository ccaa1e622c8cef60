"""Targets: what a version must reach, fixed before anything is evaluated."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from registry.domain.digests import canonical, digest_of
from registry.errors import BadTarget

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_TARGET = re.compile(r"\s*([A-Za-z][\w.@-]*)\s*(>=|<=|>|<)\s*([-+0-9.eE]+)\s*\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """One metric with its threshold."""

    metric: str
    op: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `f1>=0.9`.

        Raises:
            BadTarget: Not a metric, one of `>= <= > <`, and a finite number.
        """
        found = _TARGET.match(text)
        try:
            value = float(found[3]) if found else math.nan
        except ValueError:
            value = math.nan
        if not found or not math.isfinite(value):
            raise BadTarget(f"{text!r} is no target", hint="write METRIC>=NUMBER, for example 'f1>=0.90'")
        return cls(found[1], found[2], value)

    def met_by(self, measured: float) -> bool:
        """Whether a measured value reaches the target; NaN never does."""
        return _OPERATORS[self.op](measured, self.value)

    def __str__(self) -> str:
        return f"{self.metric}{self.op}{canonical(self.value).decode()}"


def criteria_digest(targets: Sequence[Target]) -> str:
    """Digest of the targets in force: evidence carries it, so a moved goalpost shows."""
    return digest_of(sorted(str(target) for target in targets))
