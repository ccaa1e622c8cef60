"""A moving average of the weights; it lies in the optimizer's state, so checkpoints and shards carry it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_KEY = "average"


def update(optimizer: torch.optim.Optimizer, decay: float) -> None:
    """Take the weights after a step into their average, `decay * average + (1 - decay) * weight`."""
    import torch

    with torch.no_grad():
        for group in optimizer.param_groups:
            averages = []
            for weight in group["params"]:
                state = optimizer.state[weight]
                if _KEY not in state:
                    state[_KEY] = weight.detach().clone()
                averages.append(state[_KEY])
            torch._foreach_lerp_(averages, group["params"], 1.0 - decay)


@contextmanager
def averaged(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Within it, the weights are their average; nothing changes if there is none."""
    import torch

    pairs = [
        (weight, optimizer.state[weight][_KEY])
        for group in optimizer.param_groups
        for weight in group["params"]
        if _KEY in optimizer.state[weight]
    ]
    with torch.no_grad():
        kept = [weight.detach().clone() for weight, _ in pairs]
        for weight, average in pairs:
            weight.copy_(average)
        try:
            yield
        finally:
            for (weight, _), old in zip(pairs, kept, strict=True):
                weight.copy_(old)


def settle(optimizer: torch.optim.Optimizer) -> None:
    """Make the average the weights, for good."""
    import torch

    with torch.no_grad():
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if _KEY in optimizer.state[weight]:
                    weight.copy_(optimizer.state[weight][_KEY])
