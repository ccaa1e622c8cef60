"""What a process is fed: the batches of a step, made ahead where a device computes meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from registry.plugins.train.engine.task import Batch


@dataclass(frozen=True, slots=True)
class Portion:
    """A process's share of a step.

    Attributes:
        batches: Micro-batches; one whose `empty` is true counts for nothing.
        count: Over how many things their loss is a sum.
        tokens: That the model reads.
    """

    batches: list[Batch]
    count: float
    tokens: int


class Feed:
    """The portions of consecutive steps.

    On a CPU they are made when asked for: a thread would only take the core from the model.

    Attributes:
        waited: Seconds in which the asker waited for portions.
    """

    def __init__(self, make: Callable[[int], Portion], first: int, end: int, ahead: int) -> None:
        """Begin with step `first`, make up to `ahead` portions before they are wanted, none from `end`."""
        self._make = make
        self._next, self._end = first, end
        self._thread = ThreadPoolExecutor(1, "feed") if ahead else None
        self._ready: deque[Future[Portion]] = deque()
        self._ahead = ahead
        self.waited = 0.0

    def take(self) -> Portion:
        """The portion of the next step."""
        asked = time.perf_counter()
        if self._thread is None:
            portion = self._make(self._next)
            self._next += 1
        else:
            self._order(self._thread)
            portion = self._ready.popleft().result()
            self._order(self._thread)
        self.waited += time.perf_counter() - asked
        return portion

    def close(self) -> None:
        """Make no more."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _order(self, thread: ThreadPoolExecutor) -> None:
        while len(self._ready) < self._ahead and self._next < self._end:
            self._ready.append(thread.submit(self._make, self._next))
            self._next += 1
