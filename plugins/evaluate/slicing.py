"""Parts of the test data, and how well the model does in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from registry.extension.predictions import Predictions
from registry.extension.tables import groups_of
from registry.plugins.evaluate.scores import confusion, rates

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the rows.

    Attributes:
        dimension: What it is a part of: a column, `length` or `label`.
        name: Which part: `sex=f`, `length=up to 40 characters`.
        rows: Whether each row belongs to it, shape (rows,).
    """

    dimension: str
    name: str
    rows: np.ndarray


def by_column(found: Predictions, columns: Sequence[str], pairs: bool) -> Iterator[Slice]:
    """The groups of each column, and of every pair of columns if asked; a null is the group `(missing)`."""
    import numpy as np

    words = {column: np.array(groups_of(found.table[column])) for column in columns}
    for column, values in words.items():
        for group in np.unique(values):
            yield Slice(column, f"{column}={group}", values == group)
    for one, other in combinations(columns, 2) if pairs else ():
        for first in np.unique(words[one]):
            for second in np.unique(words[other][words[one] == first]):
                rows = (words[one] == first) & (words[other] == second)
                yield Slice(f"{one} x {other}", f"{one}={first}, {other}={second}", rows)


def by_length(texts: Sequence[str], bands: int) -> Iterator[Slice]:
    """Bands of text length in characters that hold about as many rows each."""
    import numpy as np

    lengths = np.array([len(text) for text in texts])
    edges = np.unique(np.quantile(lengths, np.arange(1, bands) / bands).astype(int))
    place = np.searchsorted(edges, lengths, side="left")
    for number in range(len(edges) + 1):
        if not (place == number).any():
            continue
        low = f"over {edges[number - 1]}" if number else ""
        high = f"up to {edges[number]}" if number < len(edges) else ""
        yield Slice("length", f"length={' '.join(filter(None, [low, high]))} characters", place == number)


def by_label(found: Predictions) -> Iterator[Slice]:
    """The rows of each true label; the accuracy there is the label's recall."""
    for number, label in enumerate(found.labels):
        yield Slice("label", f"label={label}", found.truth == number)


def measure(
    part: Slice,
    found: Predictions,
    positive: int | None,
    *,
    min_label: int,
    rounds: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Accuracy with Wilson's interval and F1 with a bootstrap interval of one slice that has rows.

    F1 is that of the positive label, or the mean over the labels, where they have `min_label` rows in the
    slice: of two rows it would be 0, 0.67 or 1. It is None without such a label, and in slices of one label.
    """
    import numpy as np
    from scipy.stats import binomtest

    classes = len(found.labels)
    matrix = confusion(found.truth[part.rows], found.predicted[part.rows], classes)
    total, hits = int(matrix.sum()), int(np.trace(matrix))
    ends = binomtest(hits, total).proportion_ci(confidence, method="wilson")
    row: dict[str, Any] = {
        "dimension": part.dimension,
        "slice": part.name,
        "rows": total,
        "accuracy": hits / total,
        "accuracy.lower": float(ends.low),
        "accuracy.upper": float(ends.high),
        "f1": None,
        "f1.lower": None,
        "f1.upper": None,
    }
    judged = judged_labels(matrix, positive, min_label)
    if part.dimension == "label" or not judged:
        return row
    draws = np.random.default_rng(seed).multinomial(total, matrix.ravel() / total, size=rounds)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    row["f1"] = mean_f1(matrix, judged).item()
    row["f1.lower"], row["f1.upper"] = np.quantile(
        mean_f1(draws.reshape(rounds, classes, classes), judged), tails
    ).tolist()
    return row


def judged_labels(matrix: np.ndarray, positive: int | None, least: int) -> list[int]:
    """Labels whose F1 can be judged: the positive one or all, those with so many rows."""
    asked = range(len(matrix)) if positive is None else [positive]
    return [label for label in asked if matrix[label].sum() >= least]


def mean_f1(matrix: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Mean F1 of some labels, of confusion matrices of shape (..., classes, classes)."""
    import numpy as np

    mean: np.ndarray = np.mean([rates(matrix, label)["f1"] for label in labels], axis=0)
    return mean
