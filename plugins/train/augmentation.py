"""Pictures changed a little each time they are seen, so that a model learns what does not matter.

Each picture's changes come from the dice of its row and epoch: the same after a resume, in any batch, on
any number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.plugins.train.engine.task import Dice
from registry.plugins.train.picture_options import AugmentConfig

if TYPE_CHECKING:
    import numpy as np
    import torch

# Area and shape of what is erased: Zhong et al. (2017), "Random Erasing Data Augmentation", table 5.
_AREA, _SHAPE = (0.02, 0.33), 0.3


def augment(
    pixels: np.ndarray, rows: Sequence[int], dice: Dice, config: AugmentConfig, mean: Sequence[float]
) -> torch.Tensor:
    """Changed copies of pictures.

    All geometry is one bilinear sampling, so that a picture is blurred once. Beyond its edge its border
    goes on.

    Args:
        pixels: Shape (pictures, channels, height, width), 0 to 255.
        rows: Their numbers in the training data.
        dice: Of the epoch.
        config: How much.
        mean: Colour of what is erased, by channel, 0 to 1.

    Returns:
        float32 of the same shape.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    found = torch.from_numpy(pixels).float()
    throws = [dice.of(row) for row in rows]
    # Everybody throws everything in one order: one option on or off changes none of the others.
    turns = [_turn(each, config) for each in throws]
    if config.rotate or config.shift or config.zoom or config.flip:
        grid = affine_grid(torch.tensor(turns, dtype=torch.float32), list(found.shape), align_corners=False)
        found = grid_sample(found, grid, mode="bilinear", padding_mode="border", align_corners=False)
    if config.erase:
        height, width = found.shape[2:]
        colour = torch.tensor(mean, dtype=torch.float32).mul(255).view(-1, 1, 1)
        for picture, each in zip(found, throws, strict=True):
            chance, area, shape, x, y = each.random(5)
            if chance < config.erase:
                size = (_AREA[0] + area * (_AREA[1] - _AREA[0])) * height * width
                ratio = math.exp((2 * shape - 1) * -math.log(_SHAPE))
                tall = min(height, max(1, round(math.sqrt(size * ratio))))
                wide = min(width, max(1, round(math.sqrt(size / ratio))))
                top, left = int(y * (height - tall + 1)), int(x * (width - wide + 1))
                picture[:, top : top + tall, left : left + wide] = colour
    return found


def _turn(dice: np.random.Generator, config: AugmentConfig) -> list[list[float]]:
    """The affine map from a place in the changed picture to one in the old; the edges are at -1 and 1."""
    angle, right, down, scale, mirror = dice.random(5)
    turn = math.radians((2 * angle - 1) * config.rotate)
    size = 1 + (2 * scale - 1) * config.zoom
    side = -1.0 if config.flip and mirror < 0.5 else 1.0
    cos, sin = math.cos(turn) / size, math.sin(turn) / size
    return [
        [side * cos, -sin, 2 * (2 * right - 1) * config.shift],
        [side * sin, cos, 2 * (2 * down - 1) * config.shift],
    ]
