"""Reading a folder of pictures into a table; nothing half understood.

A folder per class, or, to learn where things are, pictures and an `annotations.jsonl` beside them.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry.errors import BadTable, MissingExtra
from registry.storage.tabular import TABLE, TableFacts

ANNOTATIONS = "annotations.jsonl"
_FORMATS = ("PNG", "JPEG")
_SUFFIXES = (".png", ".jpg", ".jpeg")
# Pictures that are in memory at once.
_ROWS = 256


def import_pictures(source: Path, folder: Path) -> TableFacts:
    """Read a folder of PNG and JPEG files and lay it out as `data.parquet` in another.

    Its columns are `image` (the file as it is), `label`, and `file` (its path in the folder). The label is
    the name of the folder that a picture lies in, or, with `annotations.jsonl`, the list of its
    objects: `{"file": "a.png", "objects": [{"box": [x, y, width, height], "label": "cat"}]}`, a line
    for every picture, boxes in pixels from the upper left corner.

    Raises:
        BadTable: A file that is no whole picture, a link, a folder without pictures, a picture without
            a line or a line without a picture, a box that is not in its picture; names the file or line.
        MissingExtra: Pillow is not installed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    objects = pa.list_(pa.struct({"box": pa.list_(pa.float64()), "label": pa.string()}))
    annotated = (source / ANNOTATIONS).exists()
    schema = pa.schema(
        {"image": pa.binary(), "label": objects if annotated else pa.string(), "file": pa.string()}
    )
    rows = _annotated(source) if annotated else _by_folder(source)
    count = 0
    with pq.ParquetWriter(folder / TABLE, schema, compression="zstd") as writer:
        block: list[dict[str, Any]] = []
        for row in rows:
            block.append(row)
            count += 1
            if len(block) == _ROWS:
                writer.write_table(pa.Table.from_pylist(block, schema))
                block = []
        if block or not count:
            writer.write_table(pa.Table.from_pylist(block, schema))
    if not count:
        raise BadTable(
            f"{source} has no pictures",
            hint=f"put them into a folder per class, or beside an {ANNOTATIONS}",
        )
    return TableFacts(count, {field.name: str(field.type) for field in schema})


def _by_folder(source: Path) -> Iterator[dict[str, Any]]:
    """A row for each picture, labelled with its folder's name."""
    for group in _listed(source):
        if not group.is_dir():
            raise BadTable(
                f"{group.name} lies in {source.name} outside the folder of a class",
                hint=f"move it into one, or describe all pictures in {ANNOTATIONS}",
            )
        pictures = _listed(group)
        if not pictures:
            raise BadTable(f"the folder {group.name} has no pictures", hint="remove it, or fill it")
        for path in pictures:
            data, _ = _picture(path, source)
            yield {"image": data, "label": group.name, "file": f"{group.name}/{path.name}"}


def _annotated(source: Path) -> Iterator[dict[str, Any]]:
    """A row for each line of the annotations."""
    left = {path.relative_to(source).as_posix() for path in _files(source)} - {ANNOTATIONS}
    for number, line in enumerate((source / ANNOTATIONS).read_bytes().splitlines(), 1):
        place = f"{ANNOTATIONS} line {number}"
        try:
            entry = json.loads(line.decode("utf-8"))
            name, objects = entry["file"], entry["objects"]
            if not isinstance(name, str):
                raise TypeError(f"file is {name!r}, not a name")
            boxes = [list(map(float, each["box"])) for each in objects]
            labels = [str(each["label"]) for each in objects]
        except (ValueError, TypeError, KeyError) as cause:
            raise BadTable(
                f"{place} cannot be read: {type(cause).__name__}: {cause}",
                hint='a line is like {"file": "a.png", "objects": [{"box": [0, 0, 9, 9], "label": "cat"}]}',
            ) from cause
        if name not in left:
            raise BadTable(f"{place} names {name!r}, which is not there, or was named before")
        left.remove(name)
        data, (width, height) = _picture(source / name, source)
        for box in boxes:
            _check_box(box, width, height, f"{place}: {name}")
        found = [{"box": box, "label": label} for box, label in zip(boxes, labels, strict=True)]
        yield {"image": data, "label": found, "file": name}
    if left:
        raise BadTable(f"{ANNOTATIONS} has no line for {min(left)}", hint="give it one, or remove the file")


def _check_box(box: list[float], width: int, height: int, of: str) -> None:
    whole = len(box) == 4 and min(box[:2]) >= 0 and min(box[2:]) > 0
    if not (whole and box[0] + box[2] <= width and box[1] + box[3] <= height):
        raise BadTable(
            f"{of} is {width} x {height} pixels, and the box {box} is not in it",
            hint="a box is [x, y, width, height] in pixels, from the upper left corner",
        )


def _files(folder: Path) -> Iterator[Path]:
    for path in _listed(folder):
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _listed(folder: Path) -> list[Path]:
    """What lies in a folder, in order of name, none of it a link."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as cause:
        raise BadTable(f"{folder} cannot be read: {cause.strerror}") from cause
    for path in paths:
        if path.is_symlink():
            raise BadTable(
                f"{folder.name}/{path.name} is a link, which can change unseen", hint="copy the file itself"
            )
        if not path.name.isprintable():
            raise BadTable(f"{folder.name} has a file whose name cannot be printed: {path.name!r}")
    return paths


def _picture(path: Path, source: Path) -> tuple[bytes, tuple[int, int]]:
    """A picture's file as it is, and its width and height; it is decoded to see that it can be."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as cause:
        raise MissingExtra(
            "a folder of pictures needs Pillow", hint="pip install 'phasegate[vision]'"
        ) from cause

    name = path.relative_to(source).as_posix()
    if path.is_dir() or path.suffix.lower() not in _SUFFIXES:
        raise BadTable(f"{name} is no picture", hint=f"remove it: known are {', '.join(_SUFFIXES)}")
    try:
        data = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.open(io.BytesIO(data), formats=_FORMATS).verify()  # a PNG file to its last checksum
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
            picture.load()
        return data, ImageOps.exif_transpose(picture).size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as cause:
        raise BadTable(
            f"{name} is a broken picture, or none: {cause}", hint="repair it, or remove it"
        ) from cause
