"""Whether a model that was taken apart still is the model: both answer the same question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.plugins.train.engine.task import Task

if TYPE_CHECKING:
    from torch import nn

    from registry.plugins.train.engine.strategy import Strategy

# Tokens that are asked: enough to see a wrong order or scale, few enough for a large model on a CPU.
_TOKENS = 16
# Largest difference, as a share of the largest logit: additions in another order, on another device.
_MOST = 1e-2


class Probe:
    """The whole model's answer to the beginning of the first training row, to be compared later."""

    def __init__(self, task: Task) -> None:
        import torch

        self._task = task
        inputs = task.inputs(task.batch(task.train, [0], None))
        self.inputs: dict[str, Any] = {
            name: value[:, :_TOKENS] if value.ndim == 2 and not value.is_floating_point() else value
            for name, value in inputs.items()
        }
        with torch.no_grad():
            self._answer = task.model.eval()(**self.inputs).logits.float()

    def compare(self, strategy: Strategy, model: nn.Module) -> None:
        """Ask the parts.

        Raises:
            BadConfig: They answer otherwise.
        """
        import torch

        model.eval()
        inputs = {name: value.to(strategy.device) for name, value in self.inputs.items()}
        name = type(self._task.model).__name__
        hint = "share it by --set shards=N, or by rows alone"
        wrong = 0.0
        try:
            with torch.no_grad():
                answer = strategy.answer(model, inputs)
            if answer is not None:
                most = (answer.float().cpu() - self._answer).abs().max() / self._answer.abs().max()
                wrong = float(not most <= _MOST)
        except RuntimeError as cause:
            if strategy.lost_another(cause):
                raise
            raise BadConfig(f"{name} cannot be shared in this way: {cause}", hint=hint) from cause
        if strategy.add(wrong)[0]:
            raise BadConfig(f"{name} in parts answers unlike the whole", hint=hint)
