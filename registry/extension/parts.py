"""Runs within a run: a plugin whose work is to run other plugins starts them as its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.extension.results import AnyResult


@dataclass(frozen=True, slots=True)
class PartEnd:
    """How a part ended.

    Attributes:
        state: `succeeded`, `failed` or `cancelled`.
        reason: Why, if it did not succeed.
        result: What its plugin returned, if it did.
    """

    state: str
    reason: str = ""
    result: AnyResult | None = None


class Part(ABC):
    """A run within a run: processes and a folder of its own, nothing in the registry.

    It ends with the run that it is a part of, whatever ends that. A part that died without a word
    is started again from its last checkpoint, a few times, as a run would be.

    Attributes:
        folder: Its folder, below the run's.
    """

    folder: Path

    @abstractmethod
    def look(self) -> PartEnd | None:
        """How it ended; None while it runs. Does not wait; call it now and then."""

    @abstractmethod
    def events(self) -> Iterator[dict[str, Any]]:
        """What it said since the last call, from its very first word on: metrics, progress, log."""

    @abstractmethod
    def stop(self, *, saving: bool = False) -> None:
        """Ask it to end, and see to it in `look`.

        Args:
            saving: It is to go on another time: it may save its work first.
        """
