"""What went wrong in a training that came to its end; a loss of NaN ends it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.plugins.train.account import WELL_BELOW, losses_by_epoch, validation_losses

if TYPE_CHECKING:
    from registry.plugins.train.trainer import WeightedTrainer

ALARMS = ("not_converged", "diverged", "overfitted")

# A loss this many times the lowest of another epoch is no noise any more.
WORSE = 1.1


def alarms(trainer: WeightedTrainer, metrics: dict[str, float]) -> list[dict[str, Any]]:
    """Alarms of a finished training, with the value seen and the limit.

    - not_converged: the last epoch's loss is not well below the first step's and the uninformed one.
    - diverged: the last epoch's loss is above an earlier epoch's, by a tenth, or above the first step's.
    - overfitted: the validation loss of the weights that are kept is above the lowest, by a tenth.
    """
    found = []
    if not metrics["converged"]:
        limit = WELL_BELOW * min(metrics["first_loss"], metrics["uninformed_loss"])
        found.append({"alarm": "not_converged", "value": metrics["train_loss"], "limit": limit})
    limit = min(WORSE * min(losses_by_epoch(trainer)), metrics["first_loss"])
    if metrics["train_loss"] > limit:
        found.append({"alarm": "diverged", "value": metrics["train_loss"], "limit": limit})
    seen = validation_losses(trainer)
    if seen and metrics["validation_loss"] > WORSE * min(seen):
        value = metrics["validation_loss"]
        found.append({"alarm": "overfitted", "value": value, "limit": WORSE * min(seen)})
    return found
