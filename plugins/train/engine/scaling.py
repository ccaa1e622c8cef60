"""Scaling of fp16 losses, so that small gradients do not vanish (Micikevicius et al. 2018, section 3.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from registry.errors import RunFailed
from registry.plugins.train.engine.weights import gradients

if TYPE_CHECKING:
    import torch

# As torch's GradScaler has them.
_BEGIN, _GROW, _SHRINK, _PATIENCE = 2.0**16, 2.0, 0.5, 2000
# Below this it is not the scale that is wrong.
_LEAST = 2.0**-10


class LossScale:
    """A factor that halves when gradients overflow, and doubles when they have not for long.

    Torch's GradScaler judges each process's own gradients: processes that share a model would then
    disagree on which steps to leave out. This one judges the norm over all of them.

    Attributes:
        factor: What the loss is multiplied by.
        skipped: Steps that were left out.
    """

    def __init__(self) -> None:
        self.factor = _BEGIN
        self.skipped = 0
        self._good = 0

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the factor."""
        import torch

        weights = (weight for group in optimizer.param_groups for weight in group["params"])
        torch._foreach_mul_(gradients(weights), 1.0 / self.factor)

    def judge(self, norm: float) -> bool:
        """Whether a step whose gradient has this norm is to be taken; the factor changes by it.

        Raises:
            RunFailed: Gradients overflow whatever the factor.
        """
        if not math.isfinite(norm):
            self.factor, self._good = self.factor * _SHRINK, 0
            self.skipped += 1
            if self.factor < _LEAST:
                raise RunFailed(
                    f"fp16 gradients overflow however small the loss is made (factor {self.factor:g})",
                    hint="--set precision=bf16, or lower the learning_rate",
                )
            return False
        self._good += 1
        if self._good == _PATIENCE:
            self.factor, self._good = self.factor * _GROW, 0
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"factor": self.factor, "skipped": self.skipped, "good": self._good}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.factor, self.skipped, self._good = state["factor"], state["skipped"], state["good"]
