"""Several processes that train one model: by data, shards, tensors, pipelines, and hybrids of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.extension import RunContext
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.strategy import Strategy

if TYPE_CHECKING:
    import torch


def join_parallel(ctx: RunContext, config: TorchConfig, device: torch.device) -> Strategy:
    """Meet the other processes; returns the strategy that the sizes ask for.

    Raises:
        RunFailed: The processes do not find each other.
    """
    from registry.plugins.train.engine.parallel.group import meet
    from registry.plugins.train.engine.parallel.pipeline import Pipeline
    from registry.plugins.train.engine.parallel.shared import Shared

    mesh = meet(ctx, config, device)
    return (Pipeline if config.pipeline > 1 else Shared)(mesh, device)
