"""Who computes what: one process, or several that share rows, weights, layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.extension import RunContext
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.task import Batch, Task

if TYPE_CHECKING:
    import torch
    from torch import nn


class Strategy:
    """One process that does everything. Others extend it.

    Attributes:
        rank: Number of this process.
        data_rank: Which share of each step's rows is this process's.
        data_ranks: How many shares there are.
        device: Where it computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rank = 0
        self.data_rank = 0
        self.data_ranks = 1

    def prepare(self, task: Task, config: TorchConfig) -> nn.Module:
        """The model as it is really trained: on its device, wrapped, sharded or cut into stages."""
        return task.model.to(self.device)

    def forward_backward(
        self,
        task: Task,
        model: nn.Module,
        batches: Sequence[Batch],
        factor: float,
        scaler: Any,
        autocast: Any,
    ) -> torch.Tensor:
        """Add up the gradients of this process's micro-batches of a step.

        Args:
            task: Whose loss.
            model: As `prepare` returned it.
            batches: On the device; one whose `empty` is true counts for nothing.
            factor: What a sum of losses is multiplied by: one over the count of the whole step.
            scaler: Of fp16 gradients, or None.
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
                backward = loss * self.data_ranks if self.averages else loss
                (scaler.scale(backward) if scaler else backward).backward()
                total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return total

    def validation_loss(self, task: Task, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The loss of one batch, summed, without gradients."""
        return task.loss(model, batch, training=False)

    @property
    def averages(self) -> bool:
        """Whether its wrapper divides gradients by the number of data ranks."""
        return False

    def accumulating(self, model: nn.Module, *, last: bool) -> Any:
        """Around a micro-batch: gradients need not be exchanged before the last one."""
        import contextlib

        return contextlib.nullcontext()

    def add(self, *values: float) -> list[float]:
        """Each value summed over the processes that have different rows."""
        return list(values)

    def clip(self, model: nn.Module, limit: float) -> torch.Tensor:
        """Shorten the gradient to `limit` (0: leave it); returns its norm before, over the whole model."""
        import torch

        weights = [p for p in model.parameters() if p.grad is not None]
        return torch.nn.utils.clip_grad_norm_(weights, limit or float("inf"))

    def full_state(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Weights and optimizer state by parameter name, whole and on the CPU; on process 0 alone."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return get_state_dict(model, optimizer, options=options)

    def load_state(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        weights: dict[str, Any],
        state: dict[str, Any],
    ) -> None:
        """Take over what `full_state` gave, whatever the strategy was then."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        options = StateDictOptions(full_state_dict=True)
        set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=state, options=options)

    def gather(self, task: Task, model: nn.Module) -> None:
        """Put the trained weights back into `task.model`, whole, on process 0."""

    def facts(self, model: nn.Module) -> dict[str, str]:
        """What was really done, read from wrappers and tensors: `strategy` and `processes` at least."""
        return {"strategy": "one process", "processes": "1"}

    def close(self) -> None:
        """Leave the group of processes."""


def join(ctx: RunContext, config: TorchConfig) -> Strategy:
    """The strategy that the options ask for, on the processes that there are.

    Raises:
        BadConfig: Sizes that do not multiply to the processes, or a device that is not there.
    """
    from registry.plugins.train.engine.device import find_device

    device = find_device(ctx.device)
    if ctx.processes == 1:
        for name in ("tensor", "pipeline", "shards"):
            if (size := getattr(config, name)) > 1:
                raise BadConfig(
                    f"{name} is {size}, and the run has one process",
                    hint="add --engine torchrun --processes N",
                )
        return Strategy(device)
    from registry.plugins.train.engine.parallel import join_parallel

    return join_parallel(ctx, config, device)
