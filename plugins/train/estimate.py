"""What a training would take on a device: parameters, memory, operations, time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.extension import Estimate
from registry.plugins.train.devices import Device, find_kind
from registry.plugins.train.engine.options import TorchConfig

if TYPE_CHECKING:
    from registry.plugins.train.sketch import Pass, Sketch

# Share of a device's peak that a training reaches. PaLM reports 46% (appendix B), and 40% is what
# well-made code reaches on GPUs (llm.c on an H100); small models and short batches reach less.
UTILISATION = 0.4

# How many devices may share a model that no change makes fit on one.
_SHARDS = (2, 4, 8, 16, 32, 64)

# fp32 numbers that an optimizer keeps for every weight. Adafactor's are counted by shape.
_MOMENTS = {"adamw": 2, "adam": 2, "sgd": 1, "adagrad": 1, "adadelta": 2}


def estimate(
    plugin: str, sketch: Sketch, config: TorchConfig, *, device: str, rows: int, processes: int
) -> Estimate:
    """Reckon what training a sketched model takes.

    Raises:
        BadConfig: An unknown device, one without the precision, or a number of processes that tensor,
            pipeline and shards do not divide.
    """
    found = find_kind(device)
    if found.speeds and config.precision not in found.speeds:
        raise BadConfig(
            f"{found.name} does not compute in {config.precision}", hint=f"use {' or '.join(found.speeds)}"
        )
    shared = config.tensor * config.pipeline * config.shards
    number = processes or shared
    if number % shared:
        raise BadConfig(
            f"{number} processes cannot be cut into tensor {config.tensor} x pipeline {config.pipeline} x "
            f"shards {config.shards}",
            hint=f"use a multiple of {shared}",
        )
    job = _Job(sketch, config, number)
    steps = config.steps or (config.epochs * math.ceil(rows / config.batch_size) if rows else 0)
    flops = job.one.flops * config.batch_size
    seconds = None
    if steps and found.speeds:
        seconds = flops * steps / (found.speeds[config.precision] * UTILISATION * number)
    memory = job.memory()
    short = sum(memory.values()) > found.memory
    return Estimate(
        plugin=plugin,
        architecture=type(sketch.model).__name__,
        parameters=job.parameters,
        trained=job.trained,
        memory=memory,
        device=found.name,
        capacity=found.memory,
        processes=number,
        steps=steps,
        flops_per_step=flops,
        seconds=seconds,
        assumed=(*sketch.assumed, *_assumed(found, config, steps)),
        remedies=tuple(_remedies(sketch, config, number, found)) if short else (),
    )


@dataclass(frozen=True)
class _Job:
    """A training as one of its processes sees it."""

    sketch: Sketch
    config: TorchConfig
    processes: int

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.sketch.model.parameters())

    @property
    def trained(self) -> int:
        return sum(p.numel() for p in self.sketch.model.parameters() if p.requires_grad)

    @property
    def one(self) -> Pass:
        """One row, forward and backward."""
        config = self.config
        return self.sketch.count(config.precision, checkpointing=config.activation_checkpointing)

    @property
    def rows(self) -> int:
        """That this process computes at a time; a pipeline has as many in flight as it has stages."""
        config = self.config
        replicas = max(self.processes // (config.tensor * config.pipeline), 1)
        share = math.ceil(config.batch_size / replicas)
        return min(config.micro_batch or share, share)

    def memory(self) -> dict[str, int]:
        """Bytes by what holds them, at the end of the forward pass of a later step than the first."""
        config, sketch, one = self.config, self.sketch, self.one
        cut = config.tensor * config.pipeline * config.shards
        weights = 4 * self.parameters / cut
        if config.shards > 1:
            # FSDP2 puts one layer together at a time, and fetches the next meanwhile.
            weights += 2 * 4 * sketch.largest_layer() / config.tensor
        activations = one.once / cut + self.rows * one.kept / config.tensor
        if config.activation_checkpointing:
            # The layer whose activations are there again.
            whole = sketch.count(config.precision, checkpointing=False)
            activations += self.rows * max(whole.kept - one.kept, 0) / sketch.layers() / config.tensor
        return {
            "weights": int(weights),
            "gradients": int(4 * self.trained / cut),
            "optimizer": int(4 * self._moments() / cut),
            "activations": int(activations),
            # Log-probabilities that the loss keeps, and the gradient that it begins with.
            "loss": int(2 * self.rows * one.logits),
        }

    def _moments(self) -> float:
        """Numbers that the optimizer keeps, the averaged weights among them."""
        config = self.config
        averaged = self.trained if config.ema else 0
        if config.optimizer == "adafactor":
            shapes = [p.shape for p in self.sketch.model.parameters() if p.requires_grad]
            return averaged + sum(int(s[0] + s[1] if len(s) == 2 else math.prod(s)) for s in shapes)
        moments = 0 if config.optimizer == "sgd" and not config.beta1 else _MOMENTS[config.optimizer]
        return averaged + moments * self.trained


def _remedies(sketch: Sketch, config: TorchConfig, processes: int, device: Device) -> Iterator[str]:
    """Changes that make it fit: each alone if it is enough, else all of them; and more devices."""
    job = _Job(sketch, config, processes)

    def fits(changes: dict[str, Any], number: int = processes) -> bool:
        changed = _Job(sketch, config.model_copy(update=changes), number)
        return sum(changed.memory().values()) <= device.memory

    alone: list[dict[str, Any]] = []
    size = job.rows
    while size > 1:
        size //= 2
        alone.append({"micro_batch": size})
    if not config.activation_checkpointing and sketch.model.supports_gradient_checkpointing:
        alone.append({"activation_checkpointing": True})
    if config.precision in ("fp32", "tf32") and "bf16" in (device.speeds or {"bf16": 0.0}):
        alone.append({"precision": "bf16"})
    enough = [changes for changes in alone if fits(changes)]
    named: set[str] = set()
    for changes in enough:  # of the sizes of a micro-batch the first, which is the largest
        (name,) = changes
        if name not in named:
            named.add(name)
            yield _words(changes)
    together: dict[str, Any] = {}
    for changes in alone:
        together |= changes
    if not enough and len(together) > 1 and fits(together):
        yield _words(together)
    if config.shards == 1:
        sharded = [{**more, "shards": shards} for more in ({}, together) for shards in _SHARDS]
        if found := next((each for each in sharded if fits(each, processes * each["shards"])), None):
            yield _words(found)


def _words(changes: dict[str, Any]) -> str:
    return " ".join(f"{name}={str(value).lower()}" for name, value in changes.items())


def _assumed(device: Device, config: TorchConfig, steps: int) -> Iterator[str]:
    yield f"{device.name}: {device.source}"
    yield "every row is as long as a row may be; attention keeps no probabilities (a CPU does, with dropout)"
    if device.speeds:
        peak = device.speeds[config.precision]
        yield f"{UTILISATION:.0%} of a peak of {peak / 1e12:.3g} TFLOPs in {config.precision}"
    else:
        yield "nobody knows how fast the device is: no time is estimated"
    if not steps:
        yield "the version names no train data: no number of steps is estimated"
