"""Predictors: one way to ask any artifact, so that checks need not know its format.

An artifact is a folder with a `phasegate.json`; its `format` names an entry
point in the group `phasegate.predictors`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from registry.domain.names import did_you_mean
from registry.errors import BadInput, NotFound

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

GROUP = "phasegate.predictors"
CARD = "phasegate.json"


class Predictor(ABC):
    """A loaded classifier.

    Attributes:
        format: Name of the artifact format that it loads.
        labels: Class names, in the order of the columns of `probabilities`.
        positive: The label that binary metrics count as positive.
    """

    format: ClassVar[str]
    labels: tuple[str, ...]
    positive: str

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, card: dict[str, Any], device: str) -> Self:
        """Load an artifact folder; `card` is its parsed `phasegate.json`."""

    @abstractmethod
    def probabilities(self, table: pa.Table) -> np.ndarray:
        """Class probabilities, float64 of shape (rows, labels), rows summing to 1."""


def read_card(folder: Path) -> dict[str, Any]:
    """The artifact's description of itself.

    Raises:
        BadInput: It has none, or it is no JSON object with a `format`.
    """
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (OSError, ValueError) as cause:
        raise BadInput(f"the artifact has no readable {CARD}: {cause}") from cause
    if not isinstance(card, dict) or not isinstance(card.get("format"), str):
        raise BadInput(f"{CARD} of the artifact names no format")
    return card


def load_predictor(folder: Path, device: str = "cpu") -> Predictor:
    """Load an artifact by the predictor of its format.

    Raises:
        NotFound: No installed package brings a predictor for it.
    """
    card = read_card(folder)
    found = {point.name: point for point in entry_points(group=GROUP)}
    if card["format"] not in found:
        raise NotFound(
            f"no predictor for format {card['format']!r}", hint=did_you_mean(card["format"], found)
        )
    predictor: type[Predictor] = found[card["format"]].load()
    return predictor.load(folder, card, device)
