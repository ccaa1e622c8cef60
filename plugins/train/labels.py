"""Labels that are classes, read from a dataset and checked before anything is computed on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadInput, BadTable
from registry.extension import DatasetInput
from registry.extension.tables import groups_of
from registry.plugins.train.rows import Rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Labels(Rows):
    """What each row is, and of which groups.

    Attributes:
        labels: Each row's class, as a word.
        groups: Each row's values of the columns asked for; a null is its own group, `(missing)`.
    """

    labels: list[str]
    groups: list[tuple[str, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Distinct labels in alphabetical order."""
        return tuple(sorted(set(self.labels)))

    @property
    def minority_share(self) -> float:
        """Share of the rarest label."""
        return min(Counter(self.labels).values()) / len(self.labels)


def read_labels(table: pa.Table, data: DatasetInput, group_by: Sequence[str] = ()) -> Labels:
    """Each row's label, and its groups.

    Args:
        table: The dataset's rows.
        data: The dataset, which says which column is the label.
        group_by: Columns that name a group.

    Raises:
        BadTable: A row has no label, or one that is no class.
        BadConfig: The dataset does not say which column is the label, or has no column of `group_by`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    name = data.column("label")
    column = table[name]
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise BadTable(f"the label column {name!r} of {data.ref} holds {column.type}, not classes")
    absent = column.null_count
    if pa.types.is_floating(column.type):
        absent += pc.sum(pc.invert(pc.is_finite(column))).as_py() or 0
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        # What a CSV file leaves out.
        absent += pc.sum(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py() or 0
    if absent:
        raise BadTable(
            f"{absent} of {table.num_rows} rows of the {data.role} data {data.ref} have no {name!r}",
            hint="give them one, or leave them out",
        )
    for group in group_by:
        if group not in table.column_names:
            raise BadConfig(
                f"cannot reweigh by {group!r}: {data.ref} has no such column",
                hint=did_you_mean(group, table.column_names),
            )
    groups = list(zip(*(groups_of(table[group]) for group in group_by), strict=True))
    return Labels([str(value) for value in column.to_pylist()], groups or [()] * table.num_rows)


def check_labels(train: Labels, validation: Labels | None, positive: str) -> str:
    """Refuse what nothing can be learned from.

    Args:
        train: Rows to learn from.
        validation: Rows to judge by.
        positive: The label that binary metrics are to count as positive; empty: the rarest.

    Returns:
        The positive label.

    Raises:
        BadInput: One class only, or validation data with labels that the training data lacks.
        BadConfig: `positive` is none of the labels.
    """
    classes = train.classes
    if len(classes) < 2:
        raise BadInput(
            f"all {len(train.labels)} training rows have the label {classes[0]!r}: nothing to learn"
        )
    if validation and (strangers := sorted(set(validation.classes) - set(classes))):
        raise BadInput(f"the validation data has labels that the training data lacks: {', '.join(strangers)}")
    if positive and positive not in classes:
        raise BadConfig(
            f"positive is {positive!r}, which is none of the labels", hint=did_you_mean(positive, classes)
        )
    counts = Counter(train.labels)
    return positive or min(classes, key=lambda label: (counts[label], label))
