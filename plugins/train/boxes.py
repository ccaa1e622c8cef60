"""What is where in pictures, read from a dataset and checked against the pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import BadInput, BadTable
from registry.extension import DatasetInput
from registry.plugins.train.average_precision import Box
from registry.plugins.train.rows import Rows

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_LIKE = "a row is like [{box: [x, y, width, height], label: cat}], in pixels from the upper left corner"


@dataclass(frozen=True)
class Boxes(Rows):
    """Objects of each picture.

    Attributes:
        labels: Of each picture's objects.
        boxes: Centre, width and height of each, as shares of its picture's width and height.
    """

    labels: list[list[str]]
    boxes: list[list[Box]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Distinct labels in alphabetical order."""
        return tuple(sorted({label for labels in self.labels for label in labels}))

    @property
    def most(self) -> int:
        """Objects of the picture that has the most."""
        return max(map(len, self.labels))


def check_objects(table: pa.Table, data: DatasetInput) -> None:
    """Refuse a label column that holds no lists of objects, before a picture is decoded.

    Raises:
        BadTable: It holds something else, or a row has none.
        BadConfig: The dataset does not say which column is the label.
    """
    import pyarrow as pa

    name = data.column("label")
    kind = table[name].type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not lists or not pa.types.is_struct(kind.value_type) or _names(kind.value_type) != {"box", "label"}:
        raise BadTable(f"the label column {name!r} of {data.ref} holds {kind}, not boxes", hint=_LIKE)
    if absent := table[name].null_count:
        raise BadTable(
            f"{absent} of {table.num_rows} rows of {data.ref} have no {name!r}",
            hint="a picture with nothing in it has an empty list",
        )


def read_boxes(table: pa.Table, data: DatasetInput, sizes: np.ndarray) -> Boxes:
    """Objects of every picture.

    Args:
        table: The dataset's rows, whose labels `check_objects` found to be lists of objects.
        data: The dataset.
        sizes: Width and height of each picture in pixels, shape (rows, 2).

    Raises:
        BadTable: A box of no size, or not in its picture, or without a label; names the row.
    """
    labels: list[list[str]] = []
    boxes: list[list[Box]] = []
    for row, objects in enumerate(table[data.column("label")].to_pylist()):
        width, height = sizes[row].tolist()
        labels.append([])
        boxes.append([])
        for each in objects:
            if each is None or each["label"] is None:
                raise BadTable(f"row {row} of {data.ref} has an object without a label", hint=_LIKE)
            labels[-1].append(str(each["label"]))
            boxes[-1].append(_share(each["box"], width, height, f"row {row} of {data.ref}"))
    return Boxes(labels, boxes)


def check_boxes(train: Boxes, validation: Boxes | None, most: int) -> None:
    """Refuse what nothing can be learned from.

    Args:
        train: To learn from.
        validation: To judge by.
        most: Objects that the model can find in one picture.

    Raises:
        BadInput: No objects, more of them in a picture than the model can find, or classes to judge by
            that are nowhere to be learned.
    """
    if not train.classes:
        raise BadInput("no training picture has an object: nothing to learn")
    if train.most > most:
        raise BadInput(
            f"a training picture has {train.most} objects, and the model finds at most {most}",
            hint=f"--set objects={train.most}, or more",
        )
    if validation and (strangers := sorted(set(validation.classes) - set(train.classes))):
        raise BadInput(f"the validation data has labels that the training data lacks: {', '.join(strangers)}")


def _names(struct: pa.StructType) -> set[str]:
    return {struct.field(place).name for place in range(struct.num_fields)}


def _share(box: Sequence[float] | None, width: int, height: int, of: str) -> Box:
    """A box in pixels from its corner as shares of the picture from its centre."""
    if box is None or len(box) != 4 or None in box or not all(map(math.isfinite, box)):
        raise BadTable(f"{of} has the box {box}", hint=_LIKE)
    x, y, w, h = box
    if w <= 0 or h <= 0:
        raise BadTable(f"{of} has a box of no size: {list(box)}", hint=_LIKE)
    if x < 0 or y < 0 or x + w > width or y + h > height:
        raise BadTable(
            f"{of} has the box {list(box)} outside its picture of {width} x {height} pixels", hint=_LIKE
        )
    return ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
