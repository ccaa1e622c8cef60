"""Tensors that may be spread over processes, as whole ones, and back.

A weight is a plain tensor, or torch's `DTensor`: a piece of it on each process of a mesh. Torch computes
on many tensors at once only if all lie on one mesh, or none: mixed ones are grouped, or seen by their pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def layout(tensor: torch.Tensor) -> Any:
    """The mesh that a tensor is spread over; None for a plain one."""
    return getattr(tensor, "device_mesh", None)


def changing(model: nn.Module) -> dict[str, torch.Tensor]:
    """Of a model's state what training changes: all but frozen weights, by name."""
    frozen = {
        name for name, weight in model.named_parameters(remove_duplicate=False) if not weight.requires_grad
    }
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def whole(value: Any) -> Any:
    """A tensor with all of its pieces, on every process of its mesh; all of them must ask together."""
    return value.detach().full_tensor() if layout(value) is not None else value


def whole_state(state: Mapping[str, Any], *, keep: bool) -> dict[str, Any]:
    """Tensors, and other values, whole and on the CPU, one after the other; nothing if not to `keep` them."""
    kept = {}
    for name, value in state.items():
        full = whole(value)
        if keep:
            kept[name] = full.detach().cpu() if hasattr(full, "dtype") else full
    return kept


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This process's piece of a tensor, sharing its memory."""
    return tensor.to_local() if layout(tensor) is not None else tensor


def gradients(weights: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """This process's pieces of the gradients of weights that have one."""
    return [local(weight.grad) for weight in weights if weight.grad is not None]


def spread(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """This process's piece of a whole tensor, laid out like another."""
    if layout(like) is None:
        return value.to(like.device)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def optimizer_state(
    weights: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer, *, keep: bool
) -> dict[str, dict[str, Any]]:
    """What an optimizer remembers of each weight, whole, by the weight's name."""
    return {
        name: whole_state(optimizer.state[weight], keep=keep)
        for name, weight in weights.items()
        if optimizer.state.get(weight)
    }


def load_optimizer_state(
    weights: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Mapping[str, Any]],
) -> None:
    """Take over what `optimizer_state` gave; counters of steps stay on the CPU unless a kernel reads them."""
    groups = {weight: group for group in optimizer.param_groups for weight in group["params"]}
    optimizer.state.clear()
    for name, weight in weights.items():
        if name not in state or weight not in groups:
            continue
        on_device = groups[weight].get("fused") or groups[weight].get("capturable")
        for key, value in state[name].items():
            if not hasattr(value, "dtype"):
                kept = value
            elif value.shape == weight.shape:
                kept = spread(value, weight)
            else:
                kept = value.to("cpu" if key == "step" and not on_device else weight.device)
            optimizer.state[weight][key] = kept
