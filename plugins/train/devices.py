"""Devices: how much memory they have, and how fast they are at best."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.domain.names import did_you_mean
from registry.errors import BadConfig

if TYPE_CHECKING:
    import torch

# Of a GPU's memory, what a training can have: the CUDA context, its libraries' workspaces and what lies
# unused between blocks of the allocator take the rest.
_USABLE = 0.92

_SIZE = re.compile(r"([0-9.]+) *([MGT])i?B", re.IGNORECASE)
_FACTORS = {"M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, slots=True)
class Device:
    """What a training runs on.

    Attributes:
        name: In words.
        memory: Bytes that a training can have.
        speeds: Floating-point operations a second at best, dense, by precision; a precision that is not in
            it the device does not have. Empty where nobody knows.
        source: Where its figures come from.
    """

    name: str
    memory: int
    speeds: Mapping[str, float]
    source: str


def _gpu(name: str, gigabytes: int, source: str, **tera: float) -> Device:
    speeds = {precision: speed * 1e12 for precision, speed in tera.items()}
    return Device(name, int(gigabytes * 2**30 * _USABLE), speeds, source)


# Tensor cores without sparsity; fp32 without them.
KINDS: Mapping[str, Device] = {
    "h200": _gpu("h200", 141, "NVIDIA H200 datasheet, SXM", bf16=989, fp16=989, tf32=494, fp32=67),
    "h100": _gpu("h100", 80, "NVIDIA H100 datasheet, SXM5", bf16=989, fp16=989, tf32=494, fp32=67),
    "h100-pcie": _gpu("h100-pcie", 80, "NVIDIA H100 datasheet, PCIe", bf16=756, fp16=756, tf32=378, fp32=51),
    "a100": _gpu("a100", 80, "NVIDIA A100 datasheet, 80 GB", bf16=312, fp16=312, tf32=156, fp32=19.5),
    "a100-40gb": _gpu(
        "a100-40gb", 40, "NVIDIA A100 datasheet, 40 GB", bf16=312, fp16=312, tf32=156, fp32=19.5
    ),
    "l40s": _gpu("l40s", 48, "NVIDIA L40S datasheet", bf16=362, fp16=362, tf32=183, fp32=91.6),
    "l4": _gpu("l4", 24, "NVIDIA L4 datasheet", bf16=121, fp16=121, tf32=60, fp32=30.3),
    "t4": _gpu("t4", 16, "NVIDIA T4 datasheet", fp16=65, fp32=8.1),
    "v100": _gpu("v100", 32, "NVIDIA V100 datasheet, SXM2", fp16=125, fp32=15.7),
}


def find_kind(name: str) -> Device:
    """A device of this machine (`cpu`, `cuda:0`), a kind of device (`h100`), or memory alone (`24GiB`).

    Raises:
        BadConfig: It is none of them, or is not there.
    """
    if name in KINDS:
        return KINDS[name]
    if found := _SIZE.fullmatch(name.strip()):
        size = float(found[1]) * _FACTORS[found[2].upper()]
        return Device(name, int(size), {}, "as given")
    if name == "cpu":
        return _this_cpu()
    if re.fullmatch(r"cuda(:\d+)?", name):
        return _this_gpu(name)
    known = (*KINDS, "cpu", "cuda", "24GiB")
    raise BadConfig(f"there is no device {name!r}", hint=did_you_mean(name.lower(), known))


def _this_cpu() -> Device:
    import psutil
    import torch

    return Device(
        "cpu",
        psutil.virtual_memory().total,
        dict.fromkeys(("fp32", "bf16", "fp16"), _measure(torch.device("cpu"), 512)),
        f"this machine; speed measured by a matrix product on {torch.get_num_threads()} threads",
    )


def _this_gpu(name: str) -> Device:
    import torch

    from registry.plugins.train.engine.device import find_device

    device = find_device(name)
    properties = torch.cuda.get_device_properties(device)
    speeds = {"fp32": _measure(device, 8192), "fp16": _measure(device, 8192, torch.float16)}
    if torch.cuda.get_device_capability(device) >= (8, 0):
        speeds |= {"tf32": speeds["fp16"] / 2, "bf16": _measure(device, 8192, torch.bfloat16)}
    return Device(
        f"{properties.name} ({device})",
        int(properties.total_memory * _USABLE),
        speeds,
        "this machine; speed measured by a matrix product",
    )


def _measure(device: torch.device, width: int, dtype: torch.dtype | None = None) -> float:
    """Floating-point operations a second of a square matrix product, the best of a few."""
    import torch

    left = torch.ones(width, width, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        left @ left
        if left.is_cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * width**3 / best
