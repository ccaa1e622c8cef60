"""What a training took: arithmetic, energy, and CO2 where somebody says what a kilowatt-hour costs."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Any

from registry.plugins.train.engine.task import Task

# Examples whose forward pass is counted.
_ROWS = 8
# A backward pass takes twice the arithmetic of a forward pass (Kaplan et al. 2020, section 2.1).
_PASSES = 3
_POWERCAP = Path("/sys/class/powercap")
# Where nothing measures: of a server's processor for each busy core, memory included; of a GPU that trains.
_CORE_WATTS, _GPU_WATTS = 10.0, 350.0
_JOULES = 3.6e6


def flops_of(task: Task, tokens: int) -> tuple[float, str]:
    """Floating-point operations of the model in a training, without those of activations computed twice.

    The forward pass of a few examples is counted by torch's `FlopCounterMode`, which knows matrix products,
    convolutions and attention; three times that for each token that was read.

    Returns:
        Their number, and how it was found.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    examples = task.validation or task.train
    batch = task.batch(examples, range(min(_ROWS, len(examples))), None)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        task.model.eval()(**task.inputs(batch))
    each = counter.get_total_flops() / max(task.tokens(batch), 1)
    return _PASSES * each * tokens, "forward pass counted on some examples, times 3, for each token"


class Meter:
    """Energy from when it was made: measured where the machine measures, else estimated."""

    def __init__(self, device: Any, processes: int) -> None:
        """Begin.

        Args:
            device: That is computed on.
            processes: How many do what this one does.
        """
        self._processes = processes
        self._zones = [zone for zone in sorted(_POWERCAP.glob("intel-rapl:?")) if _microjoules(zone) >= 0]
        self._gpu = _Gpu.find(device) if device.type == "cuda" else None
        self._on_gpu = device.type == "cuda"
        self._began = time.monotonic()
        self._cpu = time.process_time()
        self._before = {zone: _microjoules(zone) for zone in self._zones}
        self._gpu_before = self._gpu.joules() if self._gpu else 0.0

    def read(self) -> tuple[float, str]:
        """Kilowatt-hours since then, and how they were found."""
        seconds, processes = time.monotonic() - self._began, self._processes
        if self._zones:
            joules = sum(self._spent(zone) for zone in self._zones)
            methods = ["CPU measured by RAPL, whatever else ran included"]
        else:
            joules = (time.process_time() - self._cpu) * _CORE_WATTS * processes
            methods = [f"CPU estimated by {_CORE_WATTS:g} W for each busy core"]
        if self._gpu:
            joules += (self._gpu.joules() - self._gpu_before) * processes
            methods.append("GPU measured by NVML")
        elif self._on_gpu:
            joules += seconds * _GPU_WATTS * processes
            methods.append(f"GPU estimated by {_GPU_WATTS:g} W")
        return joules / _JOULES, "; ".join(methods)

    def _spent(self, zone: Path) -> float:
        used = _microjoules(zone) - self._before[zone]
        if used < 0:  # the counter began anew
            used += int((zone / "max_energy_range_uj").read_text())
        return used / 1e6


def footprint(
    task: Task, tokens: int, meter: Meter, intensity: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Metrics and facts: `flops`, `energy_kwh`, and `co2_kg` if an intensity (g/kWh) is given."""
    flops, counted = flops_of(task, tokens)
    energy, measured = meter.read()
    metrics = {"flops": flops, "energy_kwh": energy}
    if intensity:
        metrics["co2_kg"] = energy * intensity / 1000
    return metrics, {"flops.method": counted, "energy.method": measured}


def _microjoules(zone: Path) -> int:
    """A counter's value; -1 if it may not be read."""
    try:
        return int((zone / "energy_uj").read_text())
    except (OSError, ValueError):
        return -1


class _Gpu:
    """A GPU's own energy counter, by NVIDIA's management library, which its driver brings."""

    def __init__(self, library: Any, handle: ctypes.c_void_p) -> None:
        self._library = library
        self._handle = handle

    @classmethod
    def find(cls, device: Any) -> _Gpu | None:
        """The counter of torch's device; None if there is none."""
        import torch

        try:
            library = ctypes.CDLL("libnvidia-ml.so.1")
            name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
        except (OSError, AttributeError):
            return None
        handle, value = ctypes.c_void_p(), ctypes.c_ulonglong()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)):
            return None
        if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value)):
            return None
        return cls(library, handle)

    def joules(self) -> float:
        value = ctypes.c_ulonglong()
        self._library.nvmlDeviceGetTotalEnergyConsumption(self._handle, ctypes.byref(value))
        return value.value / 1000
