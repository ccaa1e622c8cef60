"""Token ids of unequal length as one rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def pad(
    ids: Sequence[Sequence[int] | np.ndarray], filler: int, length: int | None = None
) -> dict[str, torch.Tensor]:
    """`input_ids` filled up at the end, and the `attention_mask` that tells tokens from filling.

    Args:
        ids: Of each row.
        filler: Id of the padding token.
        length: Of the rectangle; None for that of the longest row.
    """
    import torch

    shape = (len(ids), length or max(map(len, ids)))
    input_ids = torch.full(shape, filler, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    for number, row in enumerate(ids):
        input_ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return {"input_ids": input_ids, "attention_mask": mask}
