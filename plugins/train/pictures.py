"""Pictures to learn from, decoded once and kept as they are fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry.extension import DatasetInput, RunContext
from registry.extension.pictures import decode_pictures, picture_files

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Pictures that are decoded between two looks at whether the run is to stop.
_BLOCK = 256
# Share of the free memory that decoded pictures may take; beyond it they are decoded anew for each batch.
_SHARE = 0.5


@dataclass(frozen=True)
class Pictures:
    """Pictures of one size.

    Attributes:
        files: Encoded, as the data holds them.
        size: Height and width in pixels after resizing.
        channels: 1 or 3.
        ref: Of the data.
        sizes: Width and height of each before resizing, shape (pictures, 2).
        pixels: All of them decoded, uint8 of shape (pictures, channels, size, size); None where they
            do not fit the memory.
        mean: Of each channel, of values from 0 to 1.
        std: Standard deviation of each channel, of values from 0 to 1.
    """

    files: Sequence[bytes]
    size: int
    channels: int
    ref: str
    sizes: np.ndarray
    pixels: np.ndarray | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def only(self, rows: Sequence[int]) -> Pictures:
        """Some of them; they are fed as all are."""
        chosen = list(rows)
        return replace(
            self,
            files=[self.files[row] for row in chosen],
            sizes=self.sizes[chosen],
            pixels=None if self.pixels is None else self.pixels[chosen],
        )

    def __add__(self, more: Pictures) -> Pictures:
        """The pictures of both, fed as these are."""
        import numpy as np

        kept = self.pixels is not None and more.pixels is not None
        return replace(
            self,
            files=[*self.files, *more.files],
            ref=f"{self.ref} and {more.ref}",
            sizes=np.concatenate([self.sizes, more.sizes]),
            pixels=np.concatenate([self.pixels, more.pixels]) if kept else None,
        )

    @property
    def resized(self) -> int:
        """How many were of another size."""
        return int((self.sizes != self.size).any(axis=1).sum())

    def of(self, rows: Sequence[int]) -> np.ndarray:
        """Pixels of some of them, uint8 of shape (rows, channels, size, size)."""
        if self.pixels is not None:
            return self.pixels[list(rows)]
        return self.decoded(rows)

    def decoded(self, rows: Sequence[int]) -> np.ndarray:
        """The same, decoded anew from the files."""
        files = [self.files[row] for row in rows]
        return decode_pictures(files, size=self.size, channels=self.channels, ref=self.ref)[0]


def read_pictures(
    ctx: RunContext, table: pa.Table, data: DatasetInput, *, size: int, channels: int
) -> Pictures:
    """Decode all pictures of a dataset, and measure them.

    Raises:
        BadTable: One of them cannot be decoded; names its row.
        BadConfig: The dataset does not say which column is the image.
        Cancelled: Somebody asked to stop.
    """
    import numpy as np
    import psutil

    files = picture_files(table, data.column("image"), data.ref)
    fits = len(files) * channels * size * size <= _SHARE * psutil.virtual_memory().available
    pixels = np.empty((len(files) if fits else 0, channels, size, size), dtype=np.uint8)
    sizes = np.empty((len(files), 2), dtype=np.int64)
    # Sums of whole numbers: exact, whatever the order and the blocks.
    sums, squares = np.zeros(channels, dtype=np.int64), np.zeros(channels, dtype=np.int64)
    for start in range(0, len(files), _BLOCK):
        ctx.check_cancelled()
        end = min(start + _BLOCK, len(files))
        block, sizes[start:end] = decode_pictures(
            files[start:end], size=size, channels=channels, ref=data.ref, first=start
        )
        if fits:
            pixels[start:end] = block
        whole = block.astype(np.int64)
        sums += whole.sum(axis=(0, 2, 3))
        squares += (whole * whole).sum(axis=(0, 2, 3))
        ctx.progress(end, len(files), f"pictures of {data.ref} decoded")
    count = len(files) * size * size
    mean = sums / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return Pictures(
        files,
        size,
        channels,
        data.ref,
        sizes,
        pixels if fits else None,
        tuple((mean / 255).tolist()),
        tuple((np.maximum(spread, 1.0) / 255).tolist()),  # pictures of one colour have no spread
    )
