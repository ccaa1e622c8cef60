"""Tensors by name that several processes have, brought to the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch.distributed import ProcessGroup


def collect(mine: dict[str, Any], group: ProcessGroup) -> dict[str, Any]:
    """All processes' values; what several have is taken from the last. Others than the first get nothing.

    Args:
        mine: Tensors on the CPU or plain values, or dictionaries of such.
        group: Who has some; all of them call this.
    """
    import torch.distributed as dist

    first = dist.get_rank(group) == 0
    shapes, tensors = _taken_apart(mine)
    everyone: list[Any] | None = [None] * dist.get_world_size(group) if first else None
    dist.gather_object(shapes, everyone, group=group, group_dst=0)
    if everyone is None:
        for tensor in tensors:
            dist.send(tensor.contiguous(), group=group, group_dst=0)
        return {}
    found = dict(mine)
    for sender, theirs in enumerate(everyone[1:], start=1):
        found |= _received(theirs, sender, group)
    return found


class _Shape:
    """What is known of a tensor before it comes."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.shape, self.dtype = tuple(tensor.shape), tensor.dtype


def _taken_apart(values: dict[str, Any]) -> tuple[dict[str, Any], list[torch.Tensor]]:
    shapes: dict[str, Any] = {}
    tensors: list[torch.Tensor] = []
    for name, value in values.items():
        if isinstance(value, dict):
            shapes[name], more = _taken_apart(value)
            tensors += more
        elif hasattr(value, "dtype"):
            shapes[name] = _Shape(value)
            tensors.append(value)
        else:
            shapes[name] = value
    return shapes, tensors


def _received(shapes: dict[str, Any], sender: int, group: ProcessGroup) -> dict[str, Any]:
    import torch
    import torch.distributed as dist

    found: dict[str, Any] = {}
    for name, value in shapes.items():
        if isinstance(value, dict):
            found[name] = _received(value, sender, group)
        elif isinstance(value, _Shape):
            found[name] = torch.empty(value.shape, dtype=value.dtype)
            dist.recv(found[name], group=group, group_src=sender)
        else:
            found[name] = value
    return found
