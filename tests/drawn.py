"""Small seeded pictures to learn from, drawn and not photographed."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
from PIL import Image

COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


def png(pixels: np.ndarray) -> bytes:
    """An array of uint8, (height, width) or (height, width, 3), as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def bars(rows: int, seed: int, size: int = 16) -> pa.Table:
    """Noisy grey pictures of a bar that lies or stands: columns image, label, hand (`l`/`r`)."""
    dice = np.random.default_rng(seed)
    pictures, labels = [], []
    for _ in range(rows):
        lies = bool(dice.integers(2))
        pixels = dice.integers(0, 90, (size, size), dtype=np.uint8)
        at = int(dice.integers(0, size - 3))
        if lies:
            pixels[at : at + 3] = 230
        else:
            pixels[:, at : at + 3] = 230
        pictures.append(png(pixels))
        labels.append("lies" if lies else "stands")
    return pa.table({"image": pictures, "label": labels, "hand": dice.choice(["l", "r"], rows).tolist()})


def squares(rows: int, seed: int, size: int = 48) -> pa.Table:
    """A red or blue square somewhere on a pale ground: columns image, label (a list of one object)."""
    dice = np.random.default_rng(seed)
    pictures, objects = [], []
    for _ in range(rows):
        pixels = np.full((size, size, 3), 235, np.uint8)
        name = ("red", "blue")[dice.integers(2)]
        side = int(dice.integers(size // 3, size * 7 // 12))
        x, y = (int(dice.integers(0, size - side + 1)) for _ in range(2))
        pixels[y : y + side, x : x + side] = COLOURS[name]
        pictures.append(png(pixels))
        objects.append([{"box": [float(x), float(y), float(side), float(side)], "label": name}])
    return pa.table({"image": pictures, "label": objects})
