"""Labelled texts read from a dataset, checked before anything is computed on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadTable
from registry.extension import DatasetInput
from registry.extension.tables import groups_of, read_rows


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

    def __add__(self, more: LabelledTexts) -> LabelledTexts:
        return LabelledTexts(self.texts + more.texts, self.labels + more.labels, self.groups + more.groups)

    def only(self, rows: Sequence[int]) -> LabelledTexts:
        """Some of the rows."""
        return LabelledTexts(
            [self.texts[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.groups[row] for row in rows],
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Distinct labels in alphabetical order."""
        return tuple(sorted(set(self.labels)))


def read_labelled(data: DatasetInput, group_by: Sequence[str] = ()) -> LabelledTexts:
    """Read texts, labels and groups of a dataset.

    Raises:
        BadTable: It has no rows, or rows without text or label, or its text column holds something else.
        BadConfig: It does not say which column is text or label, or has no column of `group_by`.
    """
    text, label = data.column("text"), data.column("label")
    table = read_rows(data)
    for name in (text, label):
        if absent := table[name].null_count:
            raise BadTable(
                f"{absent} of {table.num_rows} rows of the {data.role} data {data.ref} have no {name!r}",
                hint=f"drop them: phasegate run clean {data.ref}",
            )
    for name in group_by:
        if name not in table.column_names:
            raise BadConfig(
                f"cannot reweigh by {name!r}: {data.ref} has no such column",
                hint=did_you_mean(name, table.column_names),
            )
    groups = list(zip(*(groups_of(table[name]) for name in group_by), strict=True))
    return LabelledTexts(
        table[text].to_pylist(),
        [str(value) for value in table[label].to_pylist()],
        groups or [()] * table.num_rows,
    )
