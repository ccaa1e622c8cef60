"""Labelled texts read from a dataset, checked before anything is computed on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadInput
from registry.extension import DatasetInput

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = "(missing)"


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """Rows to learn from.

    Attributes:
        texts: What the model reads.
        labels: What it learns, as words.
        groups: Each row's values of the columns asked for; a null is its own group, `(missing)`.
    """

    texts: list[str]
    labels: list[str]
    groups: list[tuple[str, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Distinct labels in alphabetical order."""
        return tuple(sorted(set(self.labels)))


def read_labelled(data: DatasetInput, group_by: Sequence[str] = ()) -> LabelledTexts:
    """Read texts, labels and groups of a dataset.

    Raises:
        BadInput: It has no rows, or rows without text or label, or its text column holds something else.
        BadConfig: A column is not there; the nearest name is in the hint.
    """
    table = data.read()
    if not table.num_rows:
        raise BadInput(f"the {data.role} data {data.ref} has no rows")
    texts = _complete(data, table, data.column("text"))
    labels = _complete(data, table, data.column("label"))
    if not isinstance(texts[0], str):
        raise BadInput(
            f"column {data.column('text')!r} of {data.ref} holds {type(texts[0]).__name__}, not text"
        )
    columns = [_column(data, table, name) for name in group_by]
    groups = [
        tuple(MISSING if value is None else str(value) for value in row) for row in zip(*columns, strict=True)
    ]
    return LabelledTexts(texts, [str(label) for label in labels], groups or [()] * len(texts))


def _complete(data: DatasetInput, table: pa.Table, name: str) -> list[Any]:
    values = _column(data, table, name)
    if absent := values.count(None):
        raise BadInput(
            f"{absent} of {len(values)} rows of the {data.role} data {data.ref} have no {name!r}",
            hint=f"phasegate run clean {data.ref}",
        )
    return values


def _column(data: DatasetInput, table: pa.Table, name: str) -> list[Any]:
    if name not in table.column_names:
        raise BadConfig(
            f"the {data.role} data {data.ref} has no column {name!r}",
            hint=did_you_mean(name, table.column_names),
        )
    values: list[Any] = table.column(name).to_pylist()
    return values
