"""Continual learning: rows of what was learned before, mixed into what is learned now.

Rehearsal (Ratcliff 1990; Rolnick et al. 2019, "Experience Replay for Continual Learning"): the plainest
remedy against forgetting, and one that can be measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Generic, TypeVar

from registry.errors import BadConfig
from registry.extension import DatasetInput, RunContext
from registry.extension.inputs import RunSpec
from registry.plugins.train.engine.task import Task
from registry.plugins.train.rows import joined, only
from registry.plugins.train.start import StartConfig

R = TypeVar("R")

REPLAY = "replay"
# Old rows that are never drawn, so that what is forgotten can be told from what was rehearsed.
_KEPT_SHARE, _MOST_KEPT = 0.1, 512
_ROWS = 64


@dataclass(frozen=True, slots=True)
class Old(Generic[R]):
    """Rows of what was learned before.

    Attributes:
        pool: That may be drawn.
        rows: How many these are.
        kept: That only measure what is forgotten.
    """

    pool: R
    rows: int
    kept: R

    def after(self, fresh: R) -> R:
        """New rows, and behind them those that may be drawn."""
        return joined(fresh, self.pool)


def read_old(ctx: RunContext, config: StartConfig, read: Callable[[DatasetInput], R]) -> Old[R] | None:
    """The run's replay data; None if it replays none.

    Args:
        ctx: The run.
        config: Its options.
        read: Reads a dataset as the plugin reads its training data.
    """
    if not config.replay_share:
        return None
    rows, data = read(ctx.data[REPLAY]), ctx.data[REPLAY]
    pool, kept = keep_apart(data.rows, ctx.seed)
    return Old(only(rows, pool), len(pool), only(rows, kept))


def mix(task: Task, config: StartConfig, examples: int, kept: Sized) -> None:
    """Let a task's last examples be old ones, drawn anew for each epoch to make up a share of it.

    Args:
        task: Its training examples are new ones, and behind them old ones.
        config: Says which share.
        examples: How many are old.
        kept: Old examples that are never drawn.

    Raises:
        BadConfig: The share is more than there are, or none.
    """
    task.replayed = examples
    task.drawn = drawn(len(task.train) - examples, examples, config.replay_share)
    task.remembered = kept


def mixture(task: Task) -> dict[str, float]:
    """What was mixed in, as metrics; nothing if nothing was."""
    if not task.replayed:
        return {}
    fresh = len(task.train) - task.replayed
    return {
        "replay.pool": task.replayed,
        "replay.drawn": task.drawn,
        "replay.share": task.drawn / (fresh + task.drawn),
        "replay.kept": len(task.remembered),
    }


def check_replay(spec: RunSpec, config: StartConfig) -> None:
    """Refuse one of data and share without the other.

    Raises:
        BadConfig: Says which is missing.
    """
    if config.replay_share and REPLAY not in spec.data:
        raise BadConfig(
            f"replay_share is {config.replay_share:g}, and there is nothing to replay",
            hint="--data replay=DATASET/N, or --base MODEL/N for what that was trained on",
        )
    if REPLAY in spec.data and not config.replay_share:
        raise BadConfig(
            f"{spec.data[REPLAY].ref} is to be replayed, and replay_share is 0",
            hint="--set replay_share=0.2",
        )


def keep_apart(rows: int, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the old rows that may be drawn, and of those that only measure what is forgotten."""
    kept = sorted(random.Random(f"{seed}/kept").sample(range(rows), min(int(rows * _KEPT_SHARE), _MOST_KEPT)))
    apart = set(kept)
    return [row for row in range(rows) if row not in apart], kept


def drawn(fresh: int, pool: int, share: float) -> int:
    """How many old rows make up `share` of an epoch with `fresh` new ones.

    Raises:
        BadConfig: More than there are, or none.
    """
    count = round(fresh * share / (1 - share))
    if count < 1:
        raise BadConfig(f"a replay_share of {share:g} beside {fresh} new rows is not one row")
    if count > pool:
        raise BadConfig(
            f"a replay_share of {share:g} is {count} rows an epoch, and there are {pool} to draw from",
            hint=f"--set replay_share={int(1000 * pool / (pool + fresh)) / 1000}",
        )
    return count


def loss_on(ctx: RunContext, task: Task, examples: Sized) -> float:
    """Mean loss of `task.model` on some examples, as they are, on the run's device."""
    import torch

    from registry.plugins.train.engine.device import find_device, moved

    device = find_device(ctx.device)
    model = task.model.to(device).eval()
    total = count = 0.0
    with torch.no_grad():
        for start in range(0, len(examples), _ROWS):
            ctx.check_cancelled()
            batch = task.batch(examples, range(start, min(start + _ROWS, len(examples))), None)
            count += task.count(batch)
            total += float(task.loss(model, moved(batch, device), training=False))
    return total / max(count, 1.0)
