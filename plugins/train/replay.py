"""Continual learning: rows of what was learned before, mixed into what is learned now.

Rehearsal (Ratcliff 1990; Rolnick et al. 2019, "Experience Replay for Continual Learning"): the plainest
remedy against forgetting, and one that can be measured.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.extension import RunContext
from registry.plugins.train.start import StartConfig

if TYPE_CHECKING:
    from registry.plugins.train.engine.task import Task

ROLE = "replay"
# Old rows that are never drawn, so that what is forgotten can be told from what was rehearsed.
_KEPT_SHARE, _MOST_KEPT = 0.1, 512
_ROWS = 64


def replays(ctx: RunContext, config: StartConfig) -> bool:
    """Whether old rows are mixed in.

    Raises:
        BadConfig: One of data and share is named without the other.
    """
    if config.replay_share and ROLE not in ctx.data:
        raise BadConfig(
            f"replay_share is {config.replay_share:g}, and there is nothing to replay",
            hint="--data replay=DATASET/N, or --base MODEL/N for what that was trained on",
        )
    if ROLE in ctx.data and not config.replay_share:
        raise BadConfig(
            f"{ctx.data[ROLE].ref} is to be replayed, and replay_share is 0", hint="--set replay_share=0.2"
        )
    return bool(config.replay_share)


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


def loss_on(ctx: RunContext, task: Task, examples: Sequence[Any]) -> float:
    """Mean loss of `task.model` on some examples, as they are, on the run's device."""
    import torch

    from registry.plugins.train.engine.device import find_device

    device = find_device(ctx.device)
    model = task.model.to(device).eval()
    total = count = 0.0
    with torch.no_grad():
        for start in range(0, len(examples), _ROWS):
            ctx.check_cancelled()
            batch = task.batch(examples, range(start, min(start + _ROWS, len(examples))), None)
            count += task.count(batch)
            batch = {
                name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()
            }
            total += float(task.loss(model, batch, training=False))
    return total / max(count, 1.0)
