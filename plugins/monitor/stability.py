"""How far two samples of one number lie apart: population stability index and Kolmogorov-Smirnov."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

BINS = 10

# Share that stands for an empty bin, whose logarithm would be infinite; the usual choice.
_EPSILON = 1e-4


@dataclass(frozen=True, slots=True)
class Comparison:
    """One feature, reference against live.

    Attributes:
        psi: Population stability index, 0 for equal shares.
        psi_by_chance: What it stays below in 95 of 100 samples of these sizes without any drift.
        ks: Largest distance of the two distribution functions, 0 to 1.
        p: Probability of such a distance without drift (two-sided).
        edges: Inner edges of the bins, ascending; bin i holds `edges[i-1] < x <= edges[i]`.
        shares: Of the reference and of the live sample in each bin, one more than edges.
    """

    feature: str
    psi: float
    psi_by_chance: float
    ks: float
    p: float
    medians: tuple[float, float]
    edges: tuple[float, ...]
    shares: tuple[tuple[float, ...], tuple[float, ...]]
    span: tuple[float, float]

    def histogram(self) -> list[dict[str, Any]]:
        """One row per bin, for plots; the open ends are closed at the smallest and largest value seen."""
        lows = (self.span[0], *self.edges)
        highs = (*self.edges, self.span[1])
        return [
            {
                "feature": self.feature,
                "low": min(low, high),
                "high": high,
                "reference_share": reference,
                "live_share": live,
            }
            for low, high, reference, live in zip(lows, highs, *self.shares, strict=True)
        ]


def compare(feature: str, reference: np.ndarray, live: np.ndarray) -> Comparison:
    """Compare two samples of finite numbers.

    PSI = sum over bins of (live - reference) * ln(live / reference), after Siddiqi, Credit
    Risk Scorecards (2006), over deciles of the reference; above 0.25 is read as a major
    shift. Without drift it follows (1/n + 1/m) * chi-squared(bins - 1): Yurdakul,
    Statistical Properties of Population Stability Index (2018).
    """
    import numpy as np
    from scipy import stats

    edges = _edges(reference)
    shares = [_shares(sample, edges) for sample in (reference, live)]
    filled = [np.maximum(share, _EPSILON) for share in shares]
    psi = float(np.sum((filled[1] - filled[0]) * np.log(filled[1] / filled[0])))
    occupied = max(int(np.count_nonzero(shares[0] + shares[1])), 2)
    noise = (1 / len(reference) + 1 / len(live)) * stats.chi2.ppf(0.95, occupied - 1)
    test = stats.ks_2samp(reference, live, method="asymp")
    return Comparison(
        feature=feature,
        psi=psi,
        psi_by_chance=float(noise),
        ks=float(test.statistic),
        p=float(test.pvalue),
        medians=(float(np.median(reference)), float(np.median(live))),
        edges=tuple(edges.tolist()),
        shares=(tuple(shares[0].tolist()), tuple(shares[1].tolist())),
        span=(float(min(reference.min(), live.min())), float(max(reference.max(), live.max()))),
    )


def significant(comparisons: Sequence[Comparison], alpha: float) -> dict[str, bool]:
    """Which features' KS distance is more than chance, at a false discovery rate of `alpha` over all of them.

    Benjamini and Hochberg, Controlling the False Discovery Rate (1995).
    """
    from scipy import stats

    if not comparisons:
        return {}
    adjusted = stats.false_discovery_control([one.p for one in comparisons], method="bh")
    return {one.feature: bool(p <= alpha) for one, p in zip(comparisons, adjusted, strict=True)}


def _edges(reference: np.ndarray) -> np.ndarray:
    """Inner edges at the deciles. A value that holds several deciles gets a bin of its own."""
    import numpy as np

    deciles, counts = np.unique(np.quantile(reference, np.arange(1, BINS) / BINS), return_counts=True)
    return np.union1d(deciles, np.nextafter(deciles[counts > 1], -np.inf))


def _shares(sample: np.ndarray, edges: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1) / len(sample)
