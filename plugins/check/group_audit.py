"""One sensitive column: its groups counted, rated and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.extension.predictions import Predictions
from registry.extension.tables import groups_of
from registry.plugins.check.count_table import (
    RATES,
    count_table,
    differences,
    group_rates,
    interval,
    resample,
)

if TYPE_CHECKING:
    import numpy as np


class GroupAudit:
    """The groups of one column, counted, rated and resampled.

    Attributes:
        column: Its name.
        names: Its groups in alphabetical order; a null is the group `(missing)`.
        sizes: Rows of each.
        rates: Each of `RATES` by group; NaN where the group has no row that it needs.
    """

    def __init__(self, found: Predictions, column: str, *, rounds: int, confidence: float, seed: int) -> None:
        import numpy as np

        names, groups = np.unique(groups_of(found.table[column]), return_inverse=True)
        truth, selected = found.truth == found.positive, found.predicted == found.positive
        table = count_table(groups, truth, selected)
        self.column = column
        self.names = names.tolist()
        self.sizes = table.sum(axis=(1, 2))
        self._positive = found.labels[found.positive]
        self._labels = table.sum(axis=2)
        self._confidence = confidence
        self.rates = _fairlearn_rates(groups, truth, selected)
        for rate, counted in group_rates(table).items():
            # fairlearn calls a rate without rows 0, which would pass for a difference.
            self.rates[rate][np.isnan(counted)] = np.nan
        self._draws = group_rates(resample(table, rounds, seed))

    def metrics(self) -> dict[str, float]:
        """Differences with intervals, under the column's name; none that a group lacks rows for."""
        import numpy as np

        draws = differences(self._draws)
        metrics = {}
        for name, value in differences(self.rates).items():
            if np.isnan(value):
                continue
            lower, upper = interval(draws[name], self._confidence)
            metrics[f"{self.column}.{name}"] = float(value)
            # Resampling adds noise to a figure that noise can only raise: the interval of groups
            # that are nearly alike lies too high, and would leave out the figure itself.
            metrics[f"{self.column}.{name}.lower"] = min(lower, float(value))
            metrics[f"{self.column}.{name}.upper"] = max(upper, float(value))
        return metrics

    def doubts(self, min_group: int) -> list[str]:
        """Why the groups cannot be judged; empty if they can."""
        if len(self.names) < 2:
            return [f"{self.column}: all rows are {self.names[0]!r}, there is nothing to compare"]
        reasons = []
        for name, size, (negative, positive) in zip(self.names, self.sizes, self._labels, strict=True):
            if size < min_group:
                reasons.append(f"{self.column}: group {name!r} has {size} rows, fewer than {min_group}")
            elif not positive or not negative:
                which = "no" if not positive else "only"
                reasons.append(f"{self.column}: group {name!r} has {which} rows labelled {self._positive!r}")
        return reasons

    def described(self) -> str:
        """`women 412, men 388`, the largest first."""
        ordered = sorted(
            zip(self.sizes.tolist(), self.names, strict=True), key=lambda pair: (-pair[0], pair[1])
        )
        return ", ".join(f"{name} {size}" for size, name in ordered)

    def rows(self) -> list[dict[str, Any]]:
        """One row per group for reports; None where the group has no row that a rate needs."""
        table = []
        for number, name in enumerate(self.names):
            row: dict[str, Any] = {"column": self.column, "group": name, "rows": int(self.sizes[number])}
            for rate in RATES:
                value = float(self.rates[rate][number])
                known = value == value
                ends = interval(self._draws[rate][:, number], self._confidence) if known else (None, None)
                row |= {rate: value if known else None, f"{rate}.lower": ends[0], f"{rate}.upper": ends[1]}
            table.append(row)
        return table


def _fairlearn_rates(groups: np.ndarray, truth: np.ndarray, selected: np.ndarray) -> dict[str, np.ndarray]:
    """Each of `RATES` by group, as fairlearn's MetricFrame gives them."""
    import fairlearn.metrics

    frame = fairlearn.metrics.MetricFrame(
        metrics={rate: getattr(fairlearn.metrics, rate) for rate in RATES},
        y_true=truth.astype(int),
        y_pred=selected.astype(int),
        sensitive_features=groups,
    )
    by_group = frame.by_group.sort_index()
    return {rate: by_group[rate].to_numpy(dtype=float, copy=True) for rate in RATES}
