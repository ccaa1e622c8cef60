"""Which rows are trained on together, and who computes which of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

# Rows are sorted by length in random pools of this many batches: longer pools save more padding,
# shorter ones mix better. At 8, training on short messages takes 0.65 of the time that random batches take.
_POOL = 8


class Plan:
    """The rows of every step: a function of seed and step alone, so a resumed run goes on with the same.

    Rows of like length share a step. The order of the steps is shuffled, unlike that of transformers'
    `group_by_length`: where length tells the label (long messages are spam), sorted batches sweep from
    one label to the other, and a model from scratch may learn nothing for epochs.

    Attributes:
        per_epoch: Steps in a pass over the data; its last one may have fewer rows.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        seed: int,
        lengths: Sequence[int] = (),
        *,
        pool: int = 0,
        drawn: int = 0,
    ) -> None:
        """Plan the steps.

        Args:
            rows: All there are.
            batch_size: Of a step.
            seed: Of the order, and of what is drawn.
            lengths: Of the rows; empty where all are alike.
            pool: How many of the rows, the last ones, are not of every epoch.
            drawn: How many of them are drawn for each.
        """
        self._pool = range(rows - pool, rows)
        self._drawn = drawn
        self._rows = rows - pool
        self._size = batch_size
        self._seed = seed
        self._lengths = lengths
        self._epoch = -1
        self._steps: list[list[int]] = []
        self.per_epoch = -(-(self._rows + drawn) // batch_size)

    def rows(self, step: int) -> list[int]:
        """Rows of an optimizer step, counted from 0 over all epochs."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._steps = epoch, list(self._order(epoch))
        return self._steps[place]

    def epoch(self, step: int) -> int:
        """Epoch, counted from 0, that a step belongs to."""
        return step // self.per_epoch

    def _order(self, epoch: int) -> Iterator[list[int]]:
        dice = random.Random(f"{self._seed}/{epoch}")
        rows = [*range(self._rows), *dice.sample(self._pool, self._drawn)]
        dice.shuffle(rows)
        if not self._lengths:
            return (rows[start : start + self._size] for start in range(0, len(rows), self._size))
        pool = _POOL * self._size
        for start in range(0, len(rows), pool):
            rows[start : start + pool] = sorted(rows[start : start + pool], key=self._lengths.__getitem__)
        batches = [rows[start : start + self._size] for start in range(0, len(rows), self._size)]
        dice.shuffle(batches)
        return iter(batches)


def share(rows: Sequence[int], rank: int, ranks: int, micro_batch: int) -> list[list[int]]:
    """The micro-batches of one of `ranks` data-parallel processes.

    Everybody gets equally many, for they add up gradients together: who has too few rows gets
    empty ones, which are to be computed all the same and to count for nothing.

    Args:
        rows: Of the whole step.
        rank: Whose share.
        ranks: How many share.
        micro_batch: Most rows in one; 0 for all.
    """
    mine = rows[rank::ranks]
    most = -(-len(rows) // ranks)
    size = micro_batch or most
    return [list(mine[start : start + size]) for start in range(0, most, size)]
