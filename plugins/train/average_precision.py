"""How well objects are found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

Box = tuple[float, float, float, float]
"""Centre, width and height, in any one unit: x, y, w, h."""


class Found(NamedTuple):
    """An object that a model claims to see."""

    label: int
    score: float
    box: Box


def mean_average_precision(
    truth: Sequence[Sequence[tuple[int, Box]]], found: Sequence[Sequence[Found]], *, least: float = 0.5
) -> float:
    """Mean over the classes of the area under precision over recall; 1 is best.

    Everingham et al. (2010), "The PASCAL Visual Object Classes (VOC) Challenge", section 4.2, with every
    recall as a sampling point, as the challenge has had it since 2010. By falling score, a claim is right if
    the object of its class that it overlaps most overlaps it by `least`, and no claim before had that one.

    Args:
        truth: For each picture its objects.
        found: For each picture the model's claims.
        least: Intersection over union that makes a claim right.
    """
    labels = sorted({label for objects in truth for label, _ in objects})
    return sum(_average_precision(label, truth, found, least) for label in labels) / (len(labels) or 1)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    sides = [
        min(one[axis] + one[axis + 2] / 2, other[axis] + other[axis + 2] / 2)
        - max(one[axis] - one[axis + 2] / 2, other[axis] - other[axis + 2] / 2)
        for axis in (0, 1)
    ]
    if min(sides) <= 0:
        return 0.0
    both = sides[0] * sides[1]
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def _average_precision(
    label: int,
    truth: Sequence[Sequence[tuple[int, Box]]],
    found: Sequence[Sequence[Found]],
    least: float,
) -> float:
    objects = [[box for name, box in each if name == label] for each in truth]
    claims = sorted(
        (
            (claim.score, place, claim.box)
            for place, each in enumerate(found)
            for claim in each
            if claim.label == label
        ),
        key=lambda claim: -claim[0],
    )
    taken: dict[int, set[int]] = defaultdict(set)
    right: list[bool] = []
    for _, place, box in claims:
        overlaps = [overlap(box, other) for other in objects[place]]
        best = max(range(len(overlaps)), key=overlaps.__getitem__, default=-1)
        right.append(best >= 0 and overlaps[best] >= least and best not in taken[place])
        if right[-1]:
            taken[place].add(best)
    total, area, hits, height = sum(map(len, objects)), 0.0, sum(right), 0.0
    # From the last claim to the first, for the precision at a recall is the best at that recall or beyond.
    for rank in range(len(right), 0, -1):
        height = max(height, hits / rank)
        if right[rank - 1]:
            area += height / total
            hits -= 1
    return area
