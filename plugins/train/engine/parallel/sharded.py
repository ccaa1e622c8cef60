"""Sharded data parallelism: every process has a piece of each weight, and its own rows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.distributed.device_mesh import DeviceMesh


def shard(root: nn.Module, model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Shard weights, gradients and optimizer state by torch's FSDP2 (`fully_shard`), block by block.

    Args:
        root: What is called: the model, or a stage around it.
        model: Whose blocks; transformers names their classes, `_no_split_modules`.
        mesh: Of one dimension, or two: copies by shards (HSDP); one shard and several copies is plain data
            parallelism, for weights that DDP cannot hold.
    """
    from torch.distributed.fsdp import fully_shard

    # Logits of a split head are a view of a piece; nothing here changes them in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")
    blocks = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in blocks:
            fully_shard(module, mesh=mesh)
    return fully_shard(root, mesh=mesh)
