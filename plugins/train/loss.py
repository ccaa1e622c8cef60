"""How much each row counts, and the loss that counts it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Group = TypeVar("Group", bound=Hashable)


def reweighing(groups: Sequence[Group], labels: Sequence[str]) -> dict[tuple[Group, str], float]:
    """Weights under which group and label are independent.

    `P(group) P(label) / P(group, label)` of Kamiran and Calders (2012), "Data
    preprocessing techniques for classification without discrimination",
    Knowledge and Information Systems 33, section 4.3. Their mean over the rows is 1
    when every group has every label.
    """
    rows = len(labels)
    by_group, by_label = Counter(groups), Counter(labels)
    return {
        (group, label): by_group[group] * by_label[label] / (rows * together)
        for (group, label), together in Counter(zip(groups, labels, strict=True)).items()
    }


def balancing(labels: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    """Factors that give every class the same total weight."""
    totals: dict[str, float] = dict.fromkeys(labels, 0.0)
    for label, weight in zip(labels, weights, strict=True):
        totals[label] += weight
    return {label: sum(weights) / (len(totals) * total) for label, total in totals.items()}


def row_weights(
    labels: Sequence[str],
    *,
    groups: Sequence[Hashable] | None = None,
    balanced: bool = False,
) -> list[float]:
    """One weight per row, of mean 1, so that the learning rate means the same with and without.

    Args:
        labels: Each row's label.
        groups: Each row's group, to reweigh by; None for no reweighing.
        balanced: Whether rare classes count as much as frequent ones.
    """
    weights = [1.0] * len(labels)
    if groups is not None:
        table = reweighing(groups, labels)
        weights = [table[pair] for pair in zip(groups, labels, strict=True)]
    if balanced:
        factors = balancing(labels, weights)
        weights = [weight * factors[label] for label, weight in zip(labels, weights, strict=True)]
    mean = sum(weights) / len(weights)
    return [weight / mean for weight in weights]


def uninformed_loss(labels: Sequence[str], weights: Sequence[float], *, smoothing: float = 0.0) -> float:
    """Mean loss in nats of always answering the weighted label shares: the best that ignores the text.

    It is the entropy of the smoothed shares; a model whose loss is not below it has learned nothing.
    """
    whole = sum(weights)
    totals: dict[str, float] = dict.fromkeys(labels, 0.0)
    for label, weight in zip(labels, weights, strict=True):
        totals[label] += weight / whole
    shares = [(1 - smoothing) * share + smoothing / len(totals) for share in totals.values()]
    return -sum(share * math.log(share) for share in shares)


def weighted_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Mean over rows of weight times cross-entropy in nats.

    Args:
        logits: Shape (rows, classes).
        labels: Class numbers, shape (rows,).
        weights: Shape (rows,), of mean 1 over the training set: the mean over a
            batch is then an unbiased estimate of the weighted risk.
        smoothing: Share of each target spread evenly over all classes.
    """
    from torch.nn.functional import cross_entropy

    losses = cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    return (losses * weights).sum()
