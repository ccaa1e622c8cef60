"""Group rates from counts, and how far they could be off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")
# What each difference compares; of several rates the larger difference counts.
DIFFERENCES = {
    "demographic_parity_difference": ("selection_rate",),
    "equal_opportunity_difference": ("true_positive_rate",),
    "equalized_odds_difference": ("true_positive_rate", "false_positive_rate"),
}


def count_table(groups: np.ndarray, truth: np.ndarray, selected: np.ndarray) -> np.ndarray:
    """Rows by group, true label and prediction, int64 of shape (groups, 2, 2).

    Args:
        groups: Group number of each row.
        truth: Whether its true label is the positive one.
        selected: Whether the model says so.
    """
    import numpy as np

    size = int(groups.max()) + 1
    counts: np.ndarray = np.bincount(groups * 4 + truth * 2 + selected, minlength=4 * size)
    return counts.reshape(size, 2, 2)


def group_rates(table: np.ndarray) -> dict[str, np.ndarray]:
    """The `RATES` of count tables of shape (..., groups, 2, 2): arrays (..., groups), NaN without rows."""
    import numpy as np

    def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
        return found

    labels = table.sum(axis=-1)
    return {
        "selection_rate": ratio(table[..., 1].sum(axis=-1), labels.sum(axis=-1)),
        "true_positive_rate": ratio(table[..., 1, 1], labels[..., 1]),
        "false_positive_rate": ratio(table[..., 0, 1], labels[..., 0]),
    }


def differences(rates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Largest less smallest rate over the groups, shape (...); NaN where a group has no such rate."""
    import numpy as np

    spread = {name: values.max(axis=-1) - values.min(axis=-1) for name, values in rates.items()}
    return {name: np.max([spread[part] for part in parts], axis=0) for name, parts in DIFFERENCES.items()}


def resample(table: np.ndarray, rounds: int, seed: int) -> np.ndarray:
    """Count tables of as many rows drawn with replacement, shape (rounds, groups, 2, 2).

    Drawing rows with replacement is drawing the whole table from one multinomial:
    1,000 rounds cost the same for a hundred rows and for a million.
    """
    import numpy as np

    total = table.sum()
    draws = np.random.default_rng(seed).multinomial(total, table.ravel() / total, size=rounds)
    return draws.reshape(rounds, *table.shape)


def interval(draws: np.ndarray, confidence: float, worst: float = 1.0) -> tuple[float, float]:
    """Percentile interval of a figure between 0 and `worst` (Efron and Tibshirani 1993, chapter 13).

    A draw that left a group without the rows that the figure needs is NaN. It counts as
    anything possible, 0 at the lower end and `worst` at the upper: few rows never look like certainty.
    """
    import numpy as np

    tails = (1 - confidence) / 2
    lower = np.quantile(np.nan_to_num(draws, nan=0.0), tails)
    upper = np.quantile(np.nan_to_num(draws, nan=worst), 1 - tails)
    return float(lower), float(upper)
