"""How the learning rate goes: pure functions of the step, so a resumed run needs no memory of them."""

from __future__ import annotations

import math

from registry.plugins.train.engine.options import TorchConfig

# One-cycle (Smith and Topin 2019): begins at a 25th of the peak, ends far below it.
_BEGIN, _END = 1 / 25, 1e-4


def rate_factor(config: TorchConfig, step: int, steps: int) -> float:
    """Share of the peak rate for optimizer step `step`, counted from 0, of `steps`.

    A warm-up begins above 0, so no step is for nothing. Formulas: linear, cosine and polynomial as in
    transformers' `get_*_schedule_with_warmup`; step decay cuts the rest into `rate_steps + 1` equal parts;
    one-cycle rises and falls by cosine, its rise being the warm-up. What a run has seen decides for
    `plateau`: see `Plateau`; this is its warm-up alone.
    """
    warm = math.ceil(config.warmup * steps)
    if config.schedule == "one-cycle":
        if step < warm:
            return _cosine(_BEGIN, 1.0, step / max(warm, 1))
        return _cosine(1.0, _END, (step - warm) / max(steps - warm - 1, 1))
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / max(steps - warm, 1)
    last = config.final_rate
    match config.schedule:
        case "linear":
            return last + (1 - last) * (1 - done)
        case "cosine":
            return _cosine(1.0, last, done)
        case "polynomial":
            left: float = (1 - done) ** config.power
            return last + (1 - last) * left
        case "step":
            drops = min(int(done * (config.rate_steps + 1)), config.rate_steps)
            return max(config.rate_factor**drops, last)
        case _:
            return 1.0


class Plateau:
    """A rate that drops whenever the validation loss has not fallen for a while.

    Attributes:
        factor: Share of the peak rate now.
    """

    def __init__(self, config: TorchConfig) -> None:
        self._config = config
        self.factor = 1.0
        self._best = math.inf
        self._bad = 0

    def see(self, loss: float) -> None:
        """Take note of a validation loss."""
        if self._config.schedule != "plateau":
            return
        if loss < self._best:
            self._best, self._bad = loss, 0
            return
        self._bad += 1
        if self._bad >= self._config.rate_patience:
            self.factor = max(self.factor * self._config.rate_factor, self._config.final_rate)
            self._bad = 0

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"factor": self.factor, "best": self._best, "bad": self._bad}

    def load(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint."""
        self.factor, self._best, self._bad = state["factor"], state["best"], int(state["bad"])


def _cosine(begin: float, end: float, done: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
