"""What a training has seen so far: what its checkpoints carry, and its account at the end is made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class History:
    """Losses by step and epoch. All of it is plain numbers, so that it lies in a checkpoint as JSON.

    Attributes:
        step: Optimizer steps done.
        losses: Step, and mean training loss over the steps since the entry before.
        epochs: For each epoch the sum of its steps' losses, and their number.
        validation: Step, and validation loss.
        norms: Step, and norm of the gradient before clipping.
        best_step: Step of the lowest validation loss, 0 before the first.
        bad: Evaluations since it.
        tokens: Tokens or pictures that the model has read.
        window: Sum of the losses that no entry covers yet, and their number.
        plateau: State of the plateau schedule.
        alarms: Alarms that rang, in order.
    """

    step: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    epochs: list[list[float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    norms: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    bad: int = 0
    tokens: int = 0
    window: list[float] = field(default_factory=lambda: [0.0, 0])
    plateau: dict[str, float] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> History:
        """Go on from a checkpoint."""
        pairs = {name: [tuple(pair) for pair in state[name]] for name in ("losses", "validation", "norms")}
        return cls(**{**state, **pairs})

    @property
    def first_loss(self) -> float:
        """Loss of the first step."""
        return self.losses[0][1]

    @property
    def epoch_losses(self) -> list[float]:
        """Mean training loss of each epoch over its steps."""
        return [total / steps for total, steps in self.epochs if steps]

    @property
    def lowest(self) -> float:
        """Lowest validation loss; infinite before the first."""
        return min((loss for _, loss in self.validation), default=float("inf"))
