"""What goes wrong in a training, and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.extension import RunContext
from registry.plugins.train.engine.history import History

ALARMS = ("not_converged", "diverged", "overfitted")

# Converged: the last epoch's loss is at most this share of the first step's and of the uninformed loss.
WELL_BELOW = 0.9
# A loss this many times the lowest of another epoch is no noise any more.
WORSE = 1.1

REMEDIES: Mapping[str, str] = {
    "not_converged": "train longer (epochs), or with a higher learning_rate",
    "diverged": "lower the learning_rate, or clip harder",
    "overfitted": "raise weight_decay, dropout or label_smoothing, or stop early (patience)",
}


class Watch:
    """Looks at a training as it goes; each alarm rings once, is logged, and is kept in the history."""

    def __init__(self, ctx: RunContext, history: History, uninformed: float) -> None:
        self._ctx = ctx
        self._history = history
        self._uninformed = uninformed

    def after_training(self, kept_loss: float | None) -> None:
        """Judge the whole of a training.

        Args:
            kept_loss: Validation loss of the weights that are kept; None without validation data.
        """
        history = self._history
        losses = history.epoch_losses
        last = losses[-1]
        limit = WELL_BELOW * min(history.first_loss, self._uninformed)
        if last > limit:
            self.ring("not_converged", last, limit)
        limit = min(WORSE * min(losses), history.first_loss)
        if last > limit:
            self.ring("diverged", last, limit)
        if kept_loss is not None and kept_loss > WORSE * history.lowest:
            self.ring("overfitted", kept_loss, WORSE * history.lowest)

    def ring(self, alarm: str, value: float, limit: float) -> None:
        """Ring an alarm, unless it rings already."""
        if any(row["alarm"] == alarm for row in self._history.alarms):
            return
        row: dict[str, Any] = {
            "alarm": alarm,
            "step": self._history.step,
            "value": value,
            "limit": limit,
            "remedy": REMEDIES[alarm],
        }
        self._history.alarms.append(row)
        self._ctx.log(f"alarm: {alarm}, {value:.4g} beyond {limit:.4g}: {row['remedy']}")
