"""A reader of safetensors headers that trusts nothing.

The format (https://github.com/huggingface/safetensors, section "Format" of its
README): 8 bytes with the length of the header, an unsigned little-endian number;
the header, UTF-8 JSON that begins with `{` and may be padded with spaces; then the
tensors' bytes, which the header's offsets cover exactly, without overlap or hole.
"""

from __future__ import annotations

import math
from typing import Any, BinaryIO

from registry.plugins.check.strict_json import Malformed, parse_json

# Longest header that the reference implementation reads.
MAX_HEADER = 100_000_000
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


def check_safetensors(stream: BinaryIO, size: int) -> int:
    """Check the header of a file of `size` bytes against the file; returns the number of tensors.

    Raises:
        Malformed: The first thing found wrong with it.
    """
    prefix = stream.read(8)
    if len(prefix) < 8:
        raise Malformed(f"{len(prefix)} bytes are too few to hold the length of a header")
    length = int.from_bytes(prefix, "little")
    if length > min(MAX_HEADER, size - 8):
        raise Malformed(f"its header would be {length} bytes long in a file of {size}")
    header = stream.read(length)
    if not header.startswith(b"{"):
        raise Malformed("its header does not begin with '{'")
    tensors = parse_json(header)
    _check_metadata(tensors.pop("__metadata__", {}))
    position = 0
    for begin, end, name in sorted((*_span(name, entry), name) for name, entry in tensors.items()):
        if begin != position:
            raise Malformed(f"tensor {name!r} {'overlaps another' if begin < position else 'follows a hole'}")
        position = end
    if position != size - 8 - length:
        raise Malformed(f"its tensors cover {position} bytes of {size - 8 - length}")
    return len(tensors)


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor's bytes begin and end, counted from the end of the header."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Malformed(f"tensor {name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise Malformed(f"tensor {name!r} has the unknown dtype {dtype!r}")
    if not _counts(shape) or math.prod(max(number, 1) for number in shape) >= 2**63:
        # A 64-bit reader that multiplies them in any order must not overflow.
        raise Malformed(f"tensor {name!r} has no usable shape")
    if not _counts(offsets) or len(offsets) != 2:
        raise Malformed(f"tensor {name!r} has no usable offsets")
    begin, end = offsets
    if (end - begin) * 8 != math.prod(shape) * BITS[dtype]:
        raise Malformed(f"tensor {name!r}: {end - begin} bytes do not hold {dtype} of shape {shape}")
    return begin, end


def _counts(value: Any) -> bool:
    """Whether it is a list of whole numbers from 0."""
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Malformed("its __metadata__ is not a map from text to text")
