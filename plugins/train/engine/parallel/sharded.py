"""Sharded data parallelism: every process has a piece of each weight, and its own rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.distributed.device_mesh import DeviceMesh


def shard(root: nn.Module, model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Shard weights, gradients and optimizer state by torch's FSDP2 (`fully_shard`), block by block.

    Args:
        root: What is called: the model, or a stage around it.
        model: Whose blocks; transformers names their classes, `_no_split_modules`.
        mesh: Of one dimension, or two: copies by shards (HSDP).
    """
    from torch.distributed.fsdp import fully_shard

    blocks = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in blocks:
            fully_shard(module, mesh=mesh)
    return fully_shard(root, mesh=mesh)


def copy(root: nn.Module, model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Keep copies of weights that are already split, block by block, by the same machinery."""
    from torch.distributed._composable.replicate_with_fsdp import replicate

    blocks = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in blocks:
            replicate(module, mesh=mesh)
    return replicate(root, mesh=mesh)
