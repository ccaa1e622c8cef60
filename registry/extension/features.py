"""Tables as feature matrices: one way to read them, so that training and prediction see the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from registry.domain.names import did_you_mean
from registry.errors import BadTable
from registry.extension.tables import groups_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Kind = Literal["number", "category", "other"]


@dataclass(frozen=True, slots=True)
class Features:
    """Columns that a model reads, in the order of its inputs: the numbers, then the categories."""

    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.numbers, *self.categories)

    def matrix(self, table: pa.Table, ref: str) -> np.ndarray:
        """Values of the columns, of dtype object and shape (rows, columns).

        Numbers are floats, NaN where there is none. Categories are words; `(missing)` where there is none.

        Raises:
            BadTable: A column that is not there, a number column that holds something else, or a number
                that is infinite; names the row.
        """
        import numpy as np

        found = np.empty((table.num_rows, len(self.names)), dtype=object)
        for place, name in enumerate(self.names):
            if name not in table.column_names:
                raise BadTable(
                    f"{ref} has no column {name!r}, which the model reads",
                    hint=did_you_mean(name, table.column_names),
                )
            if place >= len(self.numbers):
                found[:, place] = groups_of(table[name])
                continue
            if kind_of(table[name].type) != "number":
                raise BadTable(f"column {name!r} of {ref} holds {table[name].type}, the model reads numbers")
            values = np.array(table[name].to_pylist(), dtype=np.float64)  # None becomes NaN
            if np.isinf(values).any():
                raise BadTable(f"row {int(np.isinf(values).argmax())} of {ref} has an infinite {name!r}")
            found[:, place] = values
        return found

    def missing(self, matrix: np.ndarray) -> int:
        """How many numbers of a matrix are NaN."""
        import numpy as np

        return int(np.isnan(matrix[:, : len(self.numbers)].astype(np.float64)).sum())


def kind_of(type: pa.DataType) -> Kind:
    """What a column of a type is to a model."""
    import pyarrow as pa

    if pa.types.is_integer(type) or pa.types.is_floating(type) or pa.types.is_decimal(type):
        return "number"
    if pa.types.is_boolean(type) or pa.types.is_string(type) or pa.types.is_large_string(type):
        return "category"
    return "other"


def find_features(table: pa.Table, names: Sequence[str]) -> tuple[Features, list[str]]:
    """Columns as features by their types, and those that can be none, such as lists and times."""
    kinds: dict[Kind, list[str]] = {"number": [], "category": [], "other": []}
    for name in names:
        kinds[kind_of(table[name].type)].append(name)
    return Features(tuple(kinds["number"]), tuple(kinds["category"])), kinds["other"]
