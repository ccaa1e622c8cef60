"""Groups of one column, here and in a reference: how far their shares lie apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.extension.tables import MISSING

if TYPE_CHECKING:
    import numpy as np

# More different values than this are no groups: ids, dates, free text.
MOST_GROUPS = 200
# Numbers with more different values than this are compared by deciles of the reference.
MOST_NUMBERS = 20
# Share that stands for an empty group in the index, whose logarithm would be infinite; the usual choice.
_EPSILON = 1e-4


@dataclass(frozen=True, slots=True)
class Shares:
    """One column's groups.

    Attributes:
        names: All groups of either side, in alphabetical order; rows without a value are `(missing)`.
        rows: Of each group here, int64.
        reference: Share of each group in the reference, summing to 1.
        reference_rows: What those shares were counted from; 0 if they are known and not counted.
    """

    column: str
    names: tuple[str, ...]
    rows: np.ndarray
    reference: np.ndarray
    reference_rows: int

    @classmethod
    def count(
        cls, column: str, here: Sequence[str], reference: Mapping[str, float], reference_rows: int
    ) -> Shares:
        """Count a column's words; `reference` gives rows or shares by group."""
        import numpy as np

        counts = Counter(here)
        names = tuple(sorted({*counts, *reference}))
        whole = sum(reference.values())
        return cls(
            column=column,
            names=names,
            rows=np.array([counts[name] for name in names], dtype=np.int64),
            reference=np.array([reference.get(name, 0) / whole for name in names]),
            reference_rows=reference_rows,
        )

    def absent(self) -> list[str]:
        """Groups of the reference that have no row here."""
        return self._named((self.rows == 0) & (self.reference > 0))

    def strangers(self) -> list[str]:
        """Groups with rows here that the reference does not have."""
        return self._named(self.reference == 0)

    def small(self, least: int) -> list[str]:
        """Groups with rows here, but fewer than `least`."""
        return self._named((self.rows > 0) & (self.rows < least))

    def smallest(self) -> int:
        """Rows of the smallest group that is here."""
        return int(self.rows[self.rows > 0].min())

    def metrics(self, rounds: int, confidence: float, seed: int) -> dict[str, float]:
        """Total variation and stability index, with percentile bootstrap intervals of both sides' rows."""
        import numpy as np

        share = self.rows / self.rows.sum()
        dice = np.random.default_rng(seed)
        here = _draw(dice, share, int(self.rows.sum()), rounds)
        there = _draw(dice, self.reference, self.reference_rows, rounds)
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        metrics = {}
        for name, distance in (("tv", total_variation), ("psi", stability)):
            value = float(distance(share, self.reference))
            lower, upper = np.quantile(distance(here, there), tails)
            # Noise can only raise a distance: the interval of shares that are nearly equal lies too high.
            metrics[name] = value
            metrics[f"{name}.lower"] = min(float(lower), value)
            metrics[f"{name}.upper"] = max(float(upper), value)
        return metrics

    def table(self) -> list[dict[str, Any]]:
        """One row per group, the largest difference first."""
        total = int(self.rows.sum())
        found = [
            {
                "column": self.column,
                "group": name,
                "rows": int(rows),
                "share": int(rows) / total,
                "reference_share": float(expected),
                "difference": int(rows) / total - float(expected),
            }
            for name, rows, expected in zip(self.names, self.rows, self.reference, strict=True)
        ]
        return sorted(found, key=lambda row: (-abs(row["difference"]), row["group"]))

    def _named(self, chosen: np.ndarray) -> list[str]:
        # Rows without a value are no group of people that somebody could be missing.
        return [
            f"{self.column}={name}"
            for name, yes in zip(self.names, chosen, strict=True)
            if yes and name != MISSING
        ]


def total_variation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Half the summed distance of shares, 0 to 1: the share of rows that would have to change group."""
    import numpy as np

    distance: np.ndarray = np.abs(one - other).sum(axis=-1) / 2
    return distance


def stability(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Population stability index of shares: sum of (one - other) * ln(one / other), 0 for equal ones.

    Siddiqi, Credit Risk Scorecards (2006); above 0.1 is read as a shift, above 0.25 as a major one.
    """
    import numpy as np

    one, other = np.maximum(one, _EPSILON), np.maximum(other, _EPSILON)
    index: np.ndarray = ((one - other) * np.log(one / other)).sum(axis=-1)
    return index


def _draw(dice: np.random.Generator, shares: np.ndarray, rows: int, rounds: int) -> np.ndarray:
    """Shares of so many rows drawn again, shape (rounds, groups); shares that were not counted stay."""
    import numpy as np

    if not rows:
        return np.broadcast_to(shares, (rounds, len(shares)))
    drawn: np.ndarray = dice.multinomial(rows, shares / shares.sum(), size=rounds) / rows
    return drawn
