"""How processes meet, and how each finds its place."""

from __future__ import annotations

import hashlib
import itertools
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from registry.errors import RunFailed
from registry.extension import RunContext
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.task import Dice, Task

if TYPE_CHECKING:
    import torch
    from torch.distributed.device_mesh import DeviceMesh

# From the outermost to the innermost: who talks most sits closest.
DIMS = ("pipeline", "data", "shard", "tensor")
# While process 0 writes a large checkpoint the others wait for it.
_PATIENCE = timedelta(hours=2)
# Groups that this process has joined.
_groups = itertools.count()
# What torch's messages about a process that is gone have in common: its gloo and TCP errors have no class.
_GONE = ("Connection closed", "Connection reset", "Socket", "Broken pipe", "Timed out", "NCCL", "connectFull")


def meet(ctx: RunContext, config: TorchConfig, device: torch.device) -> DeviceMesh:
    """Join the group that the launcher's environment names; returns the mesh of its processes.

    Raises:
        RunFailed: The processes do not find each other.
    """
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    # It warns of gathering whole weights in two steps, which is what a checkpoint of split shards takes.
    logging.getLogger("torch.distributed.tensor").setLevel(logging.ERROR)
    # Numbers that decide something go over gloo on a GPU too, so that nobody waits for the device.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        store, rank, size = next(dist.rendezvous("env://", timeout=_PATIENCE))
        # A process may join several groups, one after the other: addresses of an earlier one are no use.
        store = dist.PrefixStore(f"group-{next(_groups)}", store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    except (ValueError, RuntimeError) as cause:
        raise RunFailed(
            f"process {ctx.rank} of {ctx.processes} does not find the others: {cause}",
            hint="--engine torchrun sets what they need: MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE",
        ) from cause
    data = ctx.processes // (config.tensor * config.pipeline * config.shards)
    sizes = (config.pipeline, data, config.shards, config.tensor)
    return init_device_mesh(device.type, sizes, mesh_dim_names=DIMS)


def is_loss_of_another(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that another process is gone."""
    import torch.distributed as dist

    while error is not None:
        if isinstance(error, dist.DistError) or (
            isinstance(error, RuntimeError) and any(word in str(error) for word in _GONE)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def check_same(task: Task) -> None:
    """Make sure that all processes built the same model and the same examples.

    Raises:
        RunFailed: Somebody's differ: what they would train together were no one's model.
    """
    import torch.distributed as dist

    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, _digest(task))
    if strangers := [str(rank) for rank, digest in enumerate(found) if digest != found[0]]:
        raise RunFailed(
            f"the model or the data of process {', '.join(strangers)} is not that of process 0",
            hint="all machines need the same packages and data, and the plugin may draw only from the seed",
        )


def _digest(task: Task) -> str:
    """Of all weights' shapes and first values, and of the examples' number, lengths and first tensors."""
    digest = hashlib.sha256()
    for name, weight in task.model.named_parameters():
        start = weight.detach().flatten()[:16].float().cpu().numpy().tobytes()
        digest.update(f"{name} {tuple(weight.shape)} {weight.requires_grad}".encode() + start)
    digest.update(f"{len(task.train)} {len(task.validation)} {list(task.lengths)}".encode())
    first = task.batch(task.train, range(min(4, len(task.train))), Dice(0, 0))
    for name, value in sorted(first.items()):
        data = value.cpu().numpy().tobytes() if hasattr(value, "numpy") else repr(value).encode()
        digest.update(name.encode() + data)
    return digest.hexdigest()
