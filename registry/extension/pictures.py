"""Pictures as models read them: one way to decode, so that training, prediction and audit see the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.domain.names import did_you_mean
from registry.errors import BadTable, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_MODES = {1: "L", 3: "RGB"}


def picture_files(table: pa.Table, column: str, ref: str) -> list[bytes]:
    """The encoded files of a table's picture column.

    Raises:
        BadTable: It has no such column, the column holds something else, or a row has none.
    """
    import pyarrow as pa

    if column not in table.column_names:
        raise BadTable(f"{ref} has no column {column!r}", hint=did_you_mean(column, table.column_names))
    kind = table[column].type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise BadTable(
            f"the image column {column!r} of {ref} holds {kind}, not pictures",
            hint="it is to hold encoded files (PNG, JPEG) as bytes",
        )
    if absent := table[column].null_count:
        raise BadTable(f"{absent} of {table.num_rows} rows of {ref} have no {column!r}")
    files: list[bytes] = table[column].to_pylist()
    return files


def decode_pictures(
    files: Sequence[bytes], *, size: int, channels: int, ref: str, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of encoded pictures, resized to squares.

    Args:
        files: Encoded.
        size: Height and width to resize to, in pixels, bilinear; a picture of that size is left as it is.
        channels: 1 for grey, 3 for red, green and blue.
        ref: Of the data, for the error.
        first: Row number of the first of them, for the error.

    Returns:
        Pixels, uint8 of shape (pictures, channels, size, size), and the sizes that they had, int64 of
        shape (pictures, 2): width and height.

    Raises:
        BadTable: A file is no picture, or a broken one; names the row.
        MissingExtra: Pillow is not installed.
    """
    import numpy as np

    pixels = np.empty((len(files), channels, size, size), dtype=np.uint8)
    sizes = np.empty((len(files), 2), dtype=np.int64)
    for number, data in enumerate(files):
        try:
            picture = _open(data)
        except (OSError, ValueError, SyntaxError, Warning) as cause:
            raise BadTable(
                f"row {first + number} of {ref} is no readable picture: {cause}",
                hint=f"it can be one of {', '.join(FORMATS)}",
            ) from cause
        sizes[number] = picture.size
        plain = picture.convert(_MODES[channels])
        if plain.size != (size, size):
            plain = plain.resize((size, size), resample=2)  # PIL.Image.Resampling.BILINEAR
        pixels[number] = np.asarray(plain).reshape(size, size, channels).transpose(2, 0, 1)
    return pixels, sizes


def _open(data: bytes) -> Image:
    """A whole picture, upright, without transparency: what is see-through is white."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as cause:
        raise MissingExtra("pictures need Pillow", hint="pip install 'phasegate[vision]'") from cause

    with warnings.catch_warnings():
        # A few kilobytes can unpack to gigabytes; Pillow warns of it, and here that is an error.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            picture.load()
        except Image.DecompressionBombError as cause:
            raise ValueError(str(cause)) from cause
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits; converting would cut them off at 255
        picture = picture.point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        solid = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid)
    return picture
