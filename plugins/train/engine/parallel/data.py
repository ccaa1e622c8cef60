"""Data parallelism: every process has the whole model, and its own rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import BadConfig
from registry.plugins.train.engine.task import Dice, Task

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.distributed import ProcessGroup


def replicate(model: nn.Module, group: ProcessGroup, *, unused: bool) -> nn.Module:
    """The model in torch's `DistributedDataParallel`: gradients are averaged while they are computed.

    Args:
        model: On its device.
        group: Who has other rows of the same layers.
        unused: Whether there are weights that get no gradient.
    """
    from torch.nn.parallel import DistributedDataParallel

    return DistributedDataParallel(
        model, process_group=group, find_unused_parameters=unused, gradient_as_bucket_view=True
    )


def has_unused(task: Task, model: nn.Module, device: torch.device) -> bool:
    """Whether the loss leaves some trainable weight without a gradient: DDP would wait for it for ever."""
    batch = task.batch(task.train, [0], Dice(0, 0))
    batch = {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}
    model.eval()
    task.loss(model, batch, training=True).backward()
    found = any(weight.requires_grad and weight.grad is None for weight in model.parameters())
    model.zero_grad(set_to_none=True)
    return found


def check_norms(model: nn.Module, ranks: int) -> None:
    """Refuse batch norms: each process would normalise by its own rows, and learn other statistics.

    Raises:
        BadConfig: The model has some that are trained.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    if ranks > 1 and any(isinstance(module, _BatchNorm) for module in model.modules()):
        raise BadConfig(
            f"{type(model).__name__} has batch norms: of {ranks} processes each would see its own rows",
            hint="train it in one process (--set threads=0 uses every core), or choose a model without",
        )
