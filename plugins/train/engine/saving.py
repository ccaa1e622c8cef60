"""When a training is saved, and how it is taken up again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import RunFailed
from registry.extension import RunContext
from registry.files import disk_is_full
from registry.plugins.train.engine import checkpoints
from registry.plugins.train.engine.history import History
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.scaling import LossScale
from registry.plugins.train.engine.schedules import Plateau
from registry.plugins.train.engine.strategy import Strategy

if TYPE_CHECKING:
    import torch
    from torch import nn


def make_room(ctx: RunContext, config: TorchConfig, model: nn.Module) -> None:
    """Make the folder of the checkpoints, before the model is spread over processes.

    Raises:
        RunFailed: The disk is too small for them.
    """
    folder = ctx.folder / checkpoints.FOLDER
    folder.mkdir(exist_ok=True)
    # A run that goes on has room for what it has, or finds the disk full when it is.
    if ctx.resume_from() is None:
        weights = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
        checkpoints.check_space(
            folder,
            trained=sum(size for size, trained in weights if trained),
            whole=sum(size for size, _ in weights),
            checkpoints=config.checkpoints,
        )


class Saving:
    """Checkpoints of one training; all processes call all methods."""

    def __init__(
        self,
        ctx: RunContext,
        config: TorchConfig,
        strategy: Strategy,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        history: History,
        plateau: Plateau,
        scale: LossScale | None,
    ) -> None:
        self._ctx, self._config, self._strategy = ctx, config, strategy
        self._model, self._optimizer = model, optimizer
        self._history, self._plateau, self._scale = history, plateau, scale
        self._saved = -1

    def save(self) -> None:
        """A checkpoint of now, declared once it is whole; a replay leaves none.

        Raises:
            RunFailed: It could not be written.
        """
        history = self._history
        if self._ctx.stop_after or self._saved == history.step:
            return  # the same again would take a whole checkpoint away while it is written
        self._saved = history.step
        weights, optimizer = self._strategy.full_state(self._model, self._optimizer)
        if self._strategy.rank:
            return
        history.plateau = self._plateau.state()
        folder = checkpoints.folder_of(self._ctx, history.step)
        state = {"history": history.as_json(), "scaler": self._scale.state() if self._scale else {}}
        try:
            checkpoints.save(folder, weights, optimizer, state)
        except OSError as cause:
            if disk_is_full(cause):
                raise  # the run can go on once there is room: it has not failed
            raise RunFailed(f"a checkpoint could not be written: {cause}", hint="free some space") from cause
        self._ctx.checkpoint(folder, history.step)
        best = checkpoints.folder_of(self._ctx, history.best_step) if self._config.patience else None
        checkpoints.keep_last(self._ctx, history.step, self._config.checkpoints, best)

    def resume(self) -> str:
        """Go on from the last whole checkpoint; returns its name, `start` if there is none."""
        found = self._ctx.resume_from() if self._strategy.rank == 0 else None
        name: str = self._strategy.agree(found.name if found else "")
        if not name:
            return "start"
        history, state = self._history, self._load(self._ctx.folder / checkpoints.FOLDER / name)
        history.__dict__.update(History.from_json(state["history"]).__dict__)
        self._plateau.load(history.plateau)
        if self._scale:
            self._scale.load(state["scaler"])
        self._saved = history.step
        self._ctx.log(f"going on from step {history.step}")
        return name

    def take_best(self) -> None:
        """Put the weights of the best step back."""
        self._load(checkpoints.folder_of(self._ctx, self._history.best_step))

    def _load(self, folder: Path) -> dict[str, Any]:
        weights, optimizer, state = checkpoints.load(folder)
        self._strategy.load_state(self._model, self._optimizer, weights, optimizer)
        return state
