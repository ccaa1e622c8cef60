"""Device, precision and threads: asked for, and really there."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.plugins.train.engine.options import TorchConfig

if TYPE_CHECKING:
    import torch


def find_device(name: str) -> torch.device:
    """The device; of several GPUs, the one of this process.

    Raises:
        BadConfig: torch does not know it, or it is not there.
    """
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as cause:
        raise BadConfig(f"torch knows no device {name!r}", hint="use cpu or cuda") from cause
    if device.type not in ("cpu", "cuda"):
        raise BadConfig(f"cannot train on device {name!r}", hint="use cpu or cuda")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise BadConfig(f"device is {name}, and torch finds no GPU here", hint="use --device cpu")
        number = device.index if device.index is not None else int(os.environ.get("LOCAL_RANK", "0"))
        if number >= torch.cuda.device_count():
            raise BadConfig(f"device is cuda:{number}, and there are {torch.cuda.device_count()} GPUs here")
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    return device


def use_threads(count: int) -> None:
    """Compute with so many CPU threads; 0 for one per core."""
    import torch

    torch.set_num_threads(count or os.cpu_count() or 1)


def precision(
    config: TorchConfig, device: torch.device
) -> tuple[Callable[[], AbstractContextManager[Any]], Any]:
    """A context manager factory for the forward pass, and a gradient scaler or None.

    Raises:
        BadConfig: A precision that this device would silently not compute in.
    """
    import torch

    if config.precision == "tf32":
        if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
            raise BadConfig(
                f"precision is tf32, which {device.type} does not have here", hint="use fp32 or bf16"
            )
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    if config.precision in ("fp32", "tf32"):
        return nullcontext, None
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float16

    def autocast() -> AbstractContextManager[Any]:
        return torch.autocast(device.type, dtype=dtype)

    scaler = torch.amp.GradScaler(device.type) if config.precision == "fp16" else None
    return autocast, scaler
