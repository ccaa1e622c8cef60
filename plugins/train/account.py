"""What a training run says of itself: losses, machine, weights, and where it left the design."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.plugins.train.labelled import LabelledTexts
from registry.plugins.train.loss import reweighing
from registry.plugins.train.options import ARCHITECTURE, TrainConfig

if TYPE_CHECKING:
    from registry.plugins.train.trainer import WeightedTrainer

# Converged: the last epoch's loss is at most this share of the first step's and of the uninformed loss.
WELL_BELOW = 0.9


def losses(trainer: WeightedTrainer, uninformed: float) -> dict[str, float]:
    """First and last loss; the last is the mean over the last epoch's steps, of weighted rows as trained."""
    first = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    final = losses_by_epoch(trainer)[-1]
    metrics = {
        "first_loss": first,
        "train_loss": final,
        "uninformed_loss": uninformed,
        "converged": float(final <= WELL_BELOW * min(first, uninformed)),
    }
    if seen := validation_losses(trainer):
        metrics["validation_loss"] = min(seen) if trainer.args.load_best_model_at_end else seen[-1]
    return metrics


def losses_by_epoch(trainer: WeightedTrainer) -> list[float]:
    """Mean training loss of each epoch over its steps: an entry is the mean of the steps since the last."""
    sums: dict[int, list[float]] = {}
    before = 0
    for entry in trainer.state.log_history:
        if "loss" in entry:
            size, before = entry["step"] - before, entry["step"]
            of_epoch = sums.setdefault(math.ceil(entry["epoch"] - 1e-6), [0.0, 0.0])
            of_epoch[0] += size
            of_epoch[1] += size * entry["loss"]
    return [total / steps for steps, total in sums.values()]


def validation_losses(trainer: WeightedTrainer) -> list[float]:
    """Validation loss after each epoch; empty without validation data."""
    return [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]


def machine(trainer: WeightedTrainer) -> dict[str, str]:
    """Where and how it really ran, read from the trainer's own objects."""
    import torch

    wrapper = trainer.model_wrapped
    dtypes = sorted(
        {str(parameter.dtype).removeprefix("torch.") for parameter in trainer.network.parameters()}
    )
    autocast = trainer.accelerator.mixed_precision
    return {
        "device": str(trainer.args.device),
        "precision": ", ".join(dtypes) + ("" if autocast == "no" else f", autocast to {autocast}"),
        "strategy": "one process" if wrapper is trainer.network else type(wrapper).__name__,
        "processes": str(trainer.args.world_size),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }


def differences(design: Mapping[str, Any], config: TrainConfig) -> str:
    """Where the trained architecture is not the designed one."""
    return ", ".join(
        f"{name} {design[name]} -> {getattr(config, name)}"
        for name in ARCHITECTURE
        if name in design and not math.isclose(float(design[name]), getattr(config, name))
    )


def label_counts(labels: list[str]) -> list[dict[str, Any]]:
    """How many rows have each label, and which share of all."""
    return [
        {"label": label, "rows": rows, "share": rows / len(labels)}
        for label, rows in sorted(Counter(labels).items())
    ]


def group_weights(train: LabelledTexts, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The weight of each group's rows of each label."""
    rows = Counter(zip(train.groups, train.labels, strict=True))
    return [
        {
            **dict(zip(columns, group, strict=True)),
            "label": label,
            "rows": rows[group, label],
            "weight": weight,
        }
        for (group, label), weight in sorted(reweighing(train.groups, train.labels).items())
    ]
