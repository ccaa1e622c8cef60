"""Losses of steps that are done, before anybody looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.plugins.train.engine.history import History
from registry.plugins.train.engine.strategy import Strategy
from registry.plugins.train.engine.watch import Watch

if TYPE_CHECKING:
    import torch


class Sums:
    """Losses kept on the device, so that a step need not wait for it."""

    def __init__(self, strategy: Strategy, history: History, watch: Watch) -> None:
        self._strategy = strategy
        self._history = history
        self._watch = watch
        self._losses: list[torch.Tensor] = []
        self._epoch = self._step = 0

    def add(self, loss: torch.Tensor, epoch: int) -> None:
        """The loss of a step that is done, this process's part of it, in its epoch."""
        if epoch != self._epoch:
            self.settle()
            self._epoch = epoch
        self._losses.append(loss)
        self._step = self._history.step
        if loss.device.type == "cpu":  # there is nothing to wait for
            self._watch.check_number("loss", float(loss), self._step)

    def settle(self) -> None:
        """Bring the losses, summed over all processes, into the history."""
        if not self._losses:
            return
        import torch

        losses = self._strategy.add(*torch.stack(self._losses).tolist())
        history = self._history
        for ago, loss in enumerate(reversed(losses)):
            self._watch.check_number("loss", loss, self._step - ago)
        history.window[0] += sum(losses)
        history.window[1] += len(losses)
        while len(history.epochs) <= self._epoch:
            history.epochs.append([0.0, 0])
        history.epochs[self._epoch][0] += sum(losses)
        history.epochs[self._epoch][1] += len(losses)
        self._losses.clear()
