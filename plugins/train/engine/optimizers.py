"""Optimizers by name, each with the decay that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.weights import layout

if TYPE_CHECKING:
    import torch


def parameter_groups(
    weights: Mapping[str, torch.Tensor], config: TorchConfig, rates: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Trainable weights in groups of one decay, one rate, and one way to be spread over processes.

    Biases and norms, whatever has one dimension, are not decayed.

    Args:
        weights: By name.
        config: Rate and decay.
        rates: Share of the rate by parameter name; a name that is not in it has 1.
    """
    found: dict[tuple[float, float, Any], list[torch.Tensor]] = {}
    for name, parameter in weights.items():
        if parameter.requires_grad:
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            found.setdefault((rates.get(name, 1.0), decay, layout(parameter)), []).append(parameter)
    return [
        {"params": members, "share": share, "weight_decay": decay, "lr": config.learning_rate * share}
        for (share, decay, _), members in found.items()
    ]


def build_optimizer(groups: list[dict[str, Any]], config: TorchConfig) -> torch.optim.Optimizer:
    """The optimizer, fused where torch has a fused kernel for it.

    Decoupled decay (Loshchilov and Hutter 2019) of an optimizer that has none is done by
    `decay_decoupled`, and coupled decay of Adafactor, whose own is decoupled, by `decay_coupled`: then its
    own is switched off. Adafactor's rate (Shazeer and Stern 2018) is a share of the weights' own size, and
    at most one over the root of the step.
    """
    from torch import optim

    rate, betas = config.learning_rate, (config.beta1, config.beta2)
    coupled = config.decay == "coupled"
    if config.optimizer in ("adam", "adamw"):
        # AdamW is Adam with decoupled decay: `decay` says which, whatever it is called.
        return (optim.Adam if coupled else optim.AdamW)(groups, lr=rate, betas=betas, fused=_fusible(groups))
    if coupled == (config.optimizer == "adafactor"):
        groups = [{**group, config.decay: group["weight_decay"], "weight_decay": 0.0} for group in groups]
    match config.optimizer:
        case "sgd":
            return optim.SGD(groups, lr=rate, momentum=config.beta1, fused=_fusible(groups, whole=True))
        case "adagrad":
            return optim.Adagrad(groups, lr=rate)
        case "adadelta":
            return optim.Adadelta(groups, lr=rate, rho=config.beta2)
        case _:
            return optim.Adafactor(groups, lr=rate)


def set_rate(optimizer: torch.optim.Optimizer, config: TorchConfig, factor: float) -> float:
    """Set every group's rate to its share of the peak rate; returns the rate of share 1."""
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * factor * group["share"]
    return config.learning_rate * factor


def decay_decoupled(optimizer: torch.optim.Optimizer) -> None:
    """Shrink the weights of groups whose optimizer has no decoupled decay of its own."""
    import torch

    for group in optimizer.param_groups:
        if decay := group.get("decoupled"):
            with torch.no_grad():
                torch._foreach_mul_(group["params"], 1.0 - group["lr"] * decay)


def decay_coupled(optimizer: torch.optim.Optimizer) -> None:
    """Add `decay * w` to the gradients of groups whose optimizer has no coupled decay of its own."""
    import torch

    for group in optimizer.param_groups:
        if decay := group.get("coupled"):
            weights = [weight for weight in group["params"] if weight.grad is not None]
            with torch.no_grad():
                torch._foreach_add_([weight.grad for weight in weights], weights, alpha=decay)


def add_l1(groups: Iterable[Mapping[str, Any]], l1: float) -> None:
    """Add the subgradient of `l1 * sum(|w|)` to the gradients of matrices."""
    import torch

    with torch.no_grad():
        for group in groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.ndim > 1:
                    parameter.grad.add_(parameter.sign(), alpha=l1)


def _fusible(groups: list[dict[str, Any]], *, whole: bool = False) -> bool:
    """Whether torch's fused kernels take these weights; some take only `whole` ones."""
    weights = [parameter for group in groups for parameter in group["params"]]
    if whole and any(layout(weight) is not None for weight in weights):
        return False
    return all(weight.is_floating_point() and weight.device.type in ("cpu", "cuda") for weight in weights)
