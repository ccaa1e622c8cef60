"""Labelled texts read from a dataset, checked before anything is computed on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.errors import BadTable
from registry.extension import DatasetInput
from registry.extension.tables import read_rows
from registry.plugins.train.labels import Labels, read_labels


@dataclass(frozen=True)
class LabelledTexts(Labels):
    """Rows to learn from.

    Attributes:
        texts: What the model reads.
    """

    texts: list[str]


def read_labelled(data: DatasetInput, group_by: Sequence[str] = ()) -> LabelledTexts:
    """Read texts, labels and groups of a dataset.

    Raises:
        BadTable: It has no rows, or rows without text or label, or a column holds something else.
        BadConfig: It does not say which column is text or label, or has no column of `group_by`.
    """
    text = data.column("text")
    table = read_rows(data)
    if absent := table[text].null_count:
        raise BadTable(
            f"{absent} of {table.num_rows} rows of the {data.role} data {data.ref} have no {text!r}",
            hint=f"drop them: phasegate run clean {data.ref}",
        )
    found = read_labels(table, data, group_by)
    return LabelledTexts(found.labels, found.groups, table[text].to_pylist())
