"""What a training would take, reckoned from its options before anything is launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.domain.design import ESTIMATED


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plugin expects of a training with some options on some device.

    Attributes:
        plugin: Who reckoned.
        architecture: Class of the model, read from the model that the options build.
        parameters: Weights of the whole model, exactly.
        trained: Those of them that are learned.
        memory: Bytes at the worst moment of a step by what holds them, on each of the processes.
        device: The device in words, with where its figures come from.
        capacity: Bytes that a training can have there.
        processes: How many devices share the work.
        steps: Optimizer steps of the whole training; 0 if the number of rows is not known.
        flops_per_step: Floating-point operations of one step, over all processes.
        seconds: Of the whole training; None if the device's speed or the number of steps is not known.
        assumed: What was taken for granted, one sentence each.
        remedies: Changes that would make it fit, as `KEY=VALUE ...`; empty if it fits, or if none is enough.
    """

    plugin: str
    architecture: str
    parameters: int
    trained: int
    memory: Mapping[str, int]
    device: str
    capacity: int
    processes: int
    steps: int
    flops_per_step: float
    seconds: float | None
    assumed: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()

    @property
    def needed(self) -> int:
        """Bytes on each device."""
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        """Whether each device has the memory."""
        return self.needed <= self.capacity

    @property
    def flops(self) -> float:
        """Of the whole training."""
        return self.flops_per_step * self.steps

    def as_design(self) -> dict[str, str | float]:
        """The estimate as it is recorded with a design; gates read it there."""
        values: dict[str, str | float] = {
            "device": self.device,
            "processes": self.processes,
            "parameters": self.parameters,
            "memory_gib": round(self.needed / 2**30, 3),
            "capacity_gib": round(self.capacity / 2**30, 3),
            "flops_per_step": float(f"{self.flops_per_step:.4g}"),
        }
        if self.steps:
            values |= {"steps": self.steps, "flops": float(f"{self.flops:.4g}")}
        if self.seconds is not None:
            values["hours"] = float(f"{self.seconds / 3600:.4g}")
        return {ESTIMATED + name: value for name, value in values.items()}
