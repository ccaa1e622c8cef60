"""What a file holds, judged by its bytes and never by its name alone."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from registry.plugins.check.pickle_program import read_pickle
from registry.plugins.check.safetensors_header import check_safetensors
from registry.plugins.check.skops_archive import check_skops
from registry.plugins.check.strict_json import Malformed, parse_json

SAFE, UNSAFE, UNKNOWN = "safe", "unsafe", "unknown"
# Longest text or JSON file that is read whole.
_MOST_TEXT = 512 << 20
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
# transformers imports the Python files that these name.
_CODE_KEYS = ("auto_map", "custom_pipelines")
_MAGIC = {
    b"\x7fELF": "an ELF program",
    b"MZ": "a Windows program",
    b"\xfe\xed\xfa\xce": "a Mach-O program",
    b"\xfe\xed\xfa\xcf": "a Mach-O program",
    b"\xce\xfa\xed\xfe": "a Mach-O program",
    b"\xcf\xfa\xed\xfe": "a Mach-O program",
    b"\xca\xfe\xba\xbe": "a Mach-O or Java program",
    b"\x00asm": "a WebAssembly program",
    b"#!": "a script",
    b"PK\x03\x04": "a zip archive, as torch.save and Keras write",
    b"PK\x05\x06": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x89HDF": "an HDF5 file, which may hold Python code for Keras",
    b"\x93NUMPY": "a numpy file, which may hold pickles",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one file.

    Attributes:
        format: What it really is, as far as that is known.
        verdict: `safe`, `unsafe`, or `unknown`: nothing bad was recognised, and nothing good proved.
        reason: Why it is not safe.
        bytes: Its size.
        examined: How many of them the verdict rests on.
    """

    format: str
    verdict: str
    reason: str = ""
    bytes: int = 0
    examined: int = 0


def judge(path: Path, *, allow_pickle: bool = False) -> Judgement:
    """Judge one file. What cannot be read is unsafe."""
    size = 0
    try:
        status = path.lstat()
        size = status.st_size
        if stat.S_ISLNK(status.st_mode):
            return Judgement("link", UNSAFE, f"a link to {path.readlink()}, which can change unseen")
        if not stat.S_ISREG(status.st_mode):
            return Judgement("special file", UNSAFE, "neither a file nor a folder")
        with path.open("rb") as stream:
            return _judge_bytes(stream, size, path.suffix.lower(), allow_pickle)
    except OSError as cause:
        return Judgement("unread", UNSAFE, f"it cannot be read: {cause.strerror}", size)


def _judge_bytes(stream: BinaryIO, size: int, suffix: str, allow_pickle: bool) -> Judgement:
    reason = ""
    if check := _FORMATS.get(suffix):
        try:
            check(stream, size)
            return Judgement(suffix[1:], SAFE, bytes=size, examined=size)
        except Malformed as cause:
            reason = f"not what its name says: {cause}"
    stream.seek(0)
    start = stream.read(512)
    found = next((what for magic, what in _MAGIC.items() if start.startswith(magic)), "")
    if start[257:262] == b"ustar":
        found = "a tar archive"
    if found:
        return Judgement(found, UNSAFE, reason or "such a file can hold code", size, size)
    stream.seek(0)
    if program := read_pickle(stream):
        if allow_pickle and program.harmless:
            return Judgement("pickle", SAFE, bytes=size, examined=size)
        imports = ", ".join(program.globals) or "nothing"
        ending = "" if program.complete else ", and is broken or followed by more"
        return Judgement(
            "pickle", UNSAFE, f"loading it runs a program that imports {imports}{ending}", size, size
        )
    if reason:
        return Judgement("unrecognised", UNSAFE, reason, size, size)
    return Judgement(
        "unrecognised", UNKNOWN, f"no format that can be verified ({suffix or 'no suffix'})", size
    )


def _check_json(stream: BinaryIO, size: int) -> None:
    value = parse_json(_read_text(stream, size))
    for key, named in _pairs(value):
        if key in _CODE_KEYS and isinstance(named, (dict, list, str)) and named:
            raise Malformed(f"its {key!r} names Python code to be imported")


def _check_text(stream: BinaryIO, size: int) -> None:
    data = _read_text(stream, size)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise Malformed(f"it is no UTF-8 text: {cause.reason}") from cause
    if data.startswith(b"#!"):
        raise Malformed("it begins like a script")
    if found := _NO_TEXT.search(data):
        raise Malformed(f"a control character at byte {found.start()}")
    stream.seek(0)
    if (program := read_pickle(stream)) and program.calls:
        raise Malformed("it is a pickle, too")


def _read_text(stream: BinaryIO, size: int) -> bytes:
    if size > _MOST_TEXT:
        raise Malformed(f"{size} bytes are more than text is read of")
    return stream.read()


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from value.items()
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


_FORMATS: dict[str, Callable[[BinaryIO, int], object]] = {
    ".safetensors": check_safetensors,
    ".json": _check_json,
    ".skops": check_skops,
    ".txt": _check_text,
    ".md": _check_text,
}
VERIFIED = tuple(suffix[1:] for suffix in _FORMATS)
