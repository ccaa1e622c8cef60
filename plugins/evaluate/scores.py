"""Scores of a classifier from its confusion matrix and its probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.extension.predictions import Predictions

if TYPE_CHECKING:
    import numpy as np


def average_of(found: Predictions) -> str:
    """What precision, recall and F1 are about, in words."""
    if len(found.labels) == 2:
        return f"binary, positive {found.labels[found.positive]!r}"
    return f"macro, {len(found.labels)} labels"


def too_little(found: Predictions, min_rows: int) -> str:
    """Why these rows are not enough to judge by; empty if they are."""
    import numpy as np

    if len(found.truth) < min_rows:
        return f"{len(found.truth)} test rows, fewer than {min_rows}"
    rows = np.bincount(found.truth, minlength=len(found.labels))
    absent = [label for label, count in zip(found.labels, rows, strict=True) if not count]
    return f"no test row has the label {', '.join(map(repr, absent))}" if absent else ""


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Rows by true class (first axis) and predicted class, int64 of shape (classes, classes)."""
    import numpy as np

    counts: np.ndarray = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def rates(matrix: np.ndarray, positive: int | None) -> dict[str, np.ndarray]:
    """Accuracy, precision, recall and F1 of confusion matrices, shape (..., classes, classes).

    Args:
        matrix: Counts; leading axes are kept, so a thousand resamples are one call.
        positive: The class that precision, recall and F1 are about; None for their
            unweighted mean over all classes (macro).

    Returns:
        Arrays of shape (...). A ratio without rows below it is 0, as in scikit-learn's `zero_division=0`.
    """
    import numpy as np

    def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
        zeros = np.zeros(np.broadcast(above, below).shape)
        found: np.ndarray = np.divide(above, below, out=zeros, where=below > 0)
        return found

    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    actual, claimed = matrix.sum(axis=-1), matrix.sum(axis=-2)
    of_classes = {
        "precision": ratio(hits, claimed),
        "recall": ratio(hits, actual),
        "f1": ratio(2 * hits, actual + claimed),
    }
    chosen = {
        name: values.mean(axis=-1) if positive is None else values[..., positive]
        for name, values in of_classes.items()
    }
    return {"accuracy": ratio(hits.sum(axis=-1), matrix.sum(axis=(-2, -1))), **chosen}


def correlation(matrix: np.ndarray) -> float:
    """Matthews' correlation of a confusion matrix of any number of classes; 0 where it is undefined.

    Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation coefficient".
    """
    import numpy as np

    total, hits = matrix.sum(), np.trace(matrix)
    actual, claimed = matrix.sum(axis=1), matrix.sum(axis=0)
    spread = (total**2 - claimed @ claimed) * (total**2 - actual @ actual)
    return float((hits * total - actual @ claimed) / np.sqrt(float(spread))) if spread else 0.0


def intervals(
    matrix: np.ndarray, positive: int | None, *, rounds: int, confidence: float, seed: int
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of `rates` (Efron and Tibshirani 1993, chapter 13).

    Drawing rows with replacement is drawing a confusion matrix from a multinomial,
    so no row is touched and a thousand rounds take milliseconds.
    """
    import numpy as np

    total = matrix.sum()
    draws = np.random.default_rng(seed).multinomial(total, matrix.ravel() / total, size=rounds)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    return {
        name: tuple(np.quantile(values, tails).tolist())
        for name, values in rates(draws.reshape(rounds, *matrix.shape), positive).items()
    }


def brier(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Half the mean squared distance between probabilities and truth (Brier 1950): 0 is best, 1 is worst.

    Of two classes it is the mean of (probability of the positive - truth) squared.
    """
    import numpy as np

    right = np.eye(probabilities.shape[1])[truth]
    return float(np.square(probabilities - right).sum(axis=1).mean() / 2)


def calibration(
    truth: np.ndarray, probabilities: np.ndarray, bins: int
) -> tuple[float, list[dict[str, Any]]]:
    """Expected calibration error and the bins that it is made of.

    The mean distance between confidence (the highest probability) and accuracy over
    bins of equal width, weighted by their rows: Guo et al. (2017), "On Calibration of
    Modern Neural Networks", equation 3.
    """
    import numpy as np

    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    # Intervals are open at their left end there: a confidence of exactly 1 is in the last one.
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (confidence, right)]
    error = float(np.abs(sums[0] - sums[1]).sum() / len(truth))
    table = [
        {
            "from": number / bins,
            "to": (number + 1) / bins,
            "rows": int(rows[number]),
            "confidence": float(sums[0][number] / rows[number]),
            "accuracy": float(sums[1][number] / rows[number]),
        }
        for number in range(bins)
        if rows[number]
    ]
    return error, table
