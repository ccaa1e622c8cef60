"""A stored scikit-learn model, judged by the types that it names, without loading it."""

from __future__ import annotations

import re
import zipfile
from typing import Any, BinaryIO

from registry.extension.skops_types import LOADERS, TYPES
from registry.plugins.check.strict_json import Malformed, parse_json

SCHEMA = "schema.json"
_ARRAY = re.compile(r"[0-9]+\.npy")
# Bytes that an archive may unpack to: the scan must not be what it is to prevent.
_MOST = 2 << 30
_MOST_SCHEMA = 256 << 20
# An array of Python objects is a pickle.
_OBJECTS = re.compile(rb"""['"][|<>=]?O[0-9]*['"]""")


def check_skops(stream: BinaryIO, size: int) -> None:
    """Refuse an archive with anything in it but plain arrays and objects of known types.

    Raises:
        Malformed: Says what it holds.
    """
    if stream.read(4) != b"PK\x03\x04":
        raise Malformed("it is no zip archive")
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(set(names)) != len(names) or SCHEMA not in names:
                raise Malformed(f"it has no {SCHEMA}, or a file twice")
            if sum(entry.file_size for entry in entries) > _MOST:
                raise Malformed(f"it unpacks to more than {_MOST} bytes")
            for entry in entries:
                if entry.filename != SCHEMA:
                    with archive.open(entry) as content:
                        _check_array(entry.filename, content.read(10 + 0xFFFF))
            if archive.getinfo(SCHEMA).file_size > _MOST_SCHEMA:
                raise Malformed(f"its {SCHEMA} is too large to be read")
            schema = archive.read(SCHEMA)
            if broken := archive.testzip():
                raise Malformed(f"{broken} in it is broken")
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError) as cause:
        raise Malformed(f"it is a broken archive: {cause}") from cause
    _check_types(parse_json(schema))


def _check_array(name: str, start: bytes) -> None:
    """Refuse what is no numpy array of numbers or texts."""
    if not _ARRAY.fullmatch(name):
        raise Malformed(f"it holds {name!r}, which is no array")
    if not start.startswith(b"\x93NUMPY") or len(start) < 12:
        raise Malformed(f"{name} in it is no array")
    wide = start[6] >= 2
    length = int.from_bytes(start[8 : 12 if wide else 10], "little")
    header = start[12 if wide else 10 :][:length]
    if len(header) < length or _OBJECTS.search(header):
        raise Malformed(f"{name} in it is an array of objects, which is a pickle")


def _check_types(schema: Any) -> None:
    """Refuse types and ways to make them that are not known."""
    left = [schema]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(value)
        if not isinstance(value, dict):
            continue
        left.extend(value.values())
        if "__loader__" in value or "__class__" in value:
            name = f"{value.get('__module__')}.{value.get('__class__')}"
            if name not in TYPES:
                raise Malformed(f"loading it makes a {name}, which is not known to be harmless")
            if (loader := str(value.get("__loader__"))) not in LOADERS:
                raise Malformed(f"loading it makes a {name} by {loader}")
