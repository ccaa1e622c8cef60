"""Device, precision and threads: asked for, and really there."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.scaling import LossScale
from registry.plugins.train.engine.task import Batch

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
) -> tuple[Callable[[], AbstractContextManager[Any]], LossScale | None]:
    """A context manager factory for the forward pass, and a scale of the loss or None.

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
        context: AbstractContextManager[Any] = torch.autocast(device.type, dtype=dtype)
        return context

    return autocast, LossScale() if config.precision == "fp16" else None


def check_compiler(device: torch.device) -> None:
    """Refuse to compile where torch has no compiler to do it with.

    Raises:
        BadConfig: Says which is missing.
    """
    if device.type == "cpu":
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            get_cpp_compiler()
        except InvalidCxxCompiler as cause:
            raise BadConfig(
                "compile is true, and there is no C++ compiler for torch to use on a CPU",
                hint="install one (apt-get install g++), name one in CXX, or --set compile=false",
            ) from cause
    elif find_spec("triton") is None:
        raise BadConfig(
            "compile is true, and triton, which torch compiles for a GPU with, is not installed",
            hint="pip install triton, or --set compile=false",
        )


def pinned(batch: Batch, device: torch.device) -> Batch:
    """A batch in memory that a GPU copies from by itself; for a CPU it stays where it is."""
    if device.type == "cpu":
        return batch
    return {
        name: value.pin_memory() if hasattr(value, "pin_memory") else value for name, value in batch.items()
    }


def moved(batch: Batch, device: torch.device) -> Batch:
    """A batch on the device; what is pinned comes while others compute."""
    if device.type == "cpu":
        return batch
    return {
        name: value.to(device, non_blocking=True) if hasattr(value, "to") else value
        for name, value in batch.items()
    }
