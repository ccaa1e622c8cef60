"""Who computes what: one process, or several that share rows, weights, layers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.task import Batch, Task
from registry.plugins.train.engine.weights import (
    changing,
    gradients,
    load_optimizer_state,
    optimizer_state,
    spread,
    whole_state,
)

if TYPE_CHECKING:
    import torch
    from torch import nn


class Strategy:
    """One process that does everything. Others extend it.

    All processes call all methods, in the same order: most of them wait for each other.

    Attributes:
        rank: Number of this process.
        data_rank: Which share of each step's rows is this process's.
        data_ranks: How many shares there are.
        stage: Which part of the layers is this process's.
        keeps: Whether whole weights come to rest in this process when they are gathered.
        device: Where it computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rank = 0
        self.data_rank = 0
        self.data_ranks = 1
        self.stage = 0
        self.keeps = True

    # -- the model --------------------------------------------------------------

    def prepare(self, task: Task, config: TorchConfig) -> nn.Module:
        """The model as it is really trained: on its device, wrapped, sharded or cut into stages.

        Raises:
            BadConfig: What was asked for would not, or did not, happen.
        """
        return task.model.to(self.device)

    def compile(self, model: nn.Module, *, dynamic: bool) -> None:
        """Compile the model in place.

        Raises:
            BadConfig: It cannot be compiled as it is shared.
        """
        model.compile(dynamic=dynamic or None)

    def bare(self, model: nn.Module) -> nn.Module:
        """What `prepare` wrapped: its weights have the names that they have in `task.model`."""
        return model

    def weights(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The weights that this process has, or has a piece of, by their name in `task.model`."""
        return dict(self.bare(model).named_parameters())

    # -- a step -----------------------------------------------------------------

    def forward_backward(
        self,
        task: Task,
        model: nn.Module,
        batches: Sequence[Batch],
        factor: float,
        scale: float,
        autocast: Any,
    ) -> torch.Tensor:
        """Add up the gradients of this process's micro-batches of a step.

        Args:
            task: Whose loss.
            model: As `prepare` returned it.
            batches: On the device; one whose `empty` is true counts for nothing.
            factor: What a sum of losses is multiplied by: one over the count of the whole step.
            scale: What gradients are multiplied by beside it.
            autocast: A context manager factory for the forward pass.

        Returns:
            This process's part of the step's mean loss, detached.
        """
        total = None
        for number, batch in enumerate(batches):
            with self.accumulating(model, last=number == len(batches) - 1):
                with autocast():
                    loss = task.loss(model, batch, training=True)
                loss = loss * (0.0 if batch.get("empty") else factor)
                (loss * (scale * self.averaged)).backward()
                total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return total

    @property
    def averaged(self) -> int:
        """Number that the wrapper divides summed gradients by: the loss is multiplied by it before."""
        return 1

    def accumulating(self, model: nn.Module, *, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Around a micro-batch: gradients need not be exchanged before the last one."""
        return contextlib.nullcontext()

    def clip(self, model: nn.Module, limit: float) -> torch.Tensor:
        """Shorten the gradient to `limit` (0: leave it); returns its norm before, over the whole model."""
        import torch

        weights = [weight for weight in model.parameters() if weight.grad is not None]
        total = self.norm(model, weights)
        if limit:
            # As torch.nn.utils.clip_grad_norm_ has it.
            share = torch.clamp(limit / (total + 1e-6), max=1.0)
            torch._foreach_mul_(gradients(weights), share)
        return total

    def norm(self, model: nn.Module, weights: Sequence[torch.Tensor]) -> torch.Tensor:
        """Euclidean norm of the gradient of the whole model; everybody gets the same bits.

        Args:
            model: As `prepare` returned it.
            weights: Of it, those that have a gradient.
        """
        import torch

        return torch.nn.utils.get_total_norm(gradients(weights))

    def answer(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor | None:
        """The model's logits, without gradients; None on processes that do not see them."""
        logits: torch.Tensor = model(**inputs).logits
        return logits

    def validation_loss(self, task: Task, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The loss of one batch, summed, without gradients."""
        return task.loss(model, batch, training=False)

    # -- agreeing ---------------------------------------------------------------

    def add(self, *values: float) -> list[float]:
        """Each value summed over the processes that have different rows; everybody gets the same."""
        return list(values)

    def agree(self, value: Any) -> Any:
        """What the first process says."""
        return value

    def lost_another(self, error: BaseException) -> bool:
        """Whether an error says that another process is gone."""
        return False

    # -- keeping ----------------------------------------------------------------

    def full_state(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, Any]]]:
        """Trained weights, and the optimizer's memory of each, whole and by name; on process 0 alone."""
        return (
            whole_state(changing(self.bare(model)), keep=self.keeps),
            optimizer_state(self.weights(model), optimizer, keep=self.keeps),
        )

    def load_state(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        weights: dict[str, torch.Tensor],
        state: dict[str, dict[str, Any]],
    ) -> None:
        """Take over what `full_state` gave, whatever the strategy was then."""
        import torch

        with torch.no_grad():
            for name, value in changing(self.bare(model)).items():
                value.copy_(spread(weights[name], value))
        load_optimizer_state(self.weights(model), optimizer, state)

    def gather(self, task: Task, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the trained weights into `task.model`, whole and without wrappers, on process 0."""

    # -- being known ------------------------------------------------------------

    def facts(self, model: nn.Module) -> dict[str, str]:
        """What was really done, read from wrappers and tensors: `strategy` and `processes` at least."""
        return {"strategy": "one process", "processes": "1"}

    def close(self) -> None:
        """Leave the group of processes."""
