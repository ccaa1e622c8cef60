"""What a model says of labelled rows, beside what is true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.domain.names import did_you_mean
from registry.errors import BadTable, RunFailed
from registry.extension.context import RunContext
from registry.extension.inputs import DatasetInput
from registry.extension.tables import read_rows

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from registry.extension.predictor import Predictor

# Rows between two looks at whether somebody wants the run to stop.
_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Predictions:
    """Rows with their labels and a model's answers.

    Attributes:
        table: The rows themselves.
        labels: Class names; a class is known by its place here.
        positive: Place of the label that binary metrics count as positive.
        truth: True class of each row, shape (rows,).
        probabilities: Of each class, float64, shape (rows, labels).
    """

    table: pa.Table
    labels: tuple[str, ...]
    positive: int
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Most probable class of each row, shape (rows,)."""
        best: np.ndarray = self.probabilities.argmax(axis=1)
        return best


def predict_labelled(
    ctx: RunContext,
    data: DatasetInput,
    *,
    predictor: Predictor | None = None,
    rows: Sequence[int] | None = None,
) -> Predictions:
    """Ask the run's model about rows of a dataset.

    Args:
        ctx: The run.
        data: Whose label column is the truth.
        predictor: The run's model, if it is loaded already.
        rows: Numbers of the rows to ask about; None for all.

    Raises:
        BadTable: No rows, rows without a label, or labels that the model does not know.
        RunFailed: The predictor's answers are no probabilities.
        Cancelled: Somebody asked to stop.
    """
    import numpy as np

    name = data.column("label")
    table = read_rows(data)
    if rows is not None:
        table = table.take(rows)
    if absent := table[name].null_count:
        raise BadTable(f"{absent} of {table.num_rows} rows of {data.ref} have no {name!r}")
    predictor = predictor or ctx.predictor()
    numbers = {label: number for number, label in enumerate(predictor.labels)}
    words = [str(value) for value in table[name].to_pylist()]
    if strangers := sorted(set(words) - set(numbers)):
        raise BadTable(
            f"{data.ref} has labels that the model does not know: {', '.join(map(repr, strangers[:5]))}",
            hint=did_you_mean(strangers[0], numbers),
        )
    return Predictions(
        table=table,
        labels=predictor.labels,
        positive=numbers[predictor.positive],
        truth=np.array([numbers[word] for word in words], dtype=np.int64),
        probabilities=predict_table(ctx, predictor, table, f"rows of {data.ref} predicted"),
    )


def predict_table(ctx: RunContext, predictor: Predictor, table: pa.Table, doing: str) -> np.ndarray:
    """Probabilities for the rows of a table, float64 of shape (rows, labels); `doing` is for the progress.

    Raises:
        RunFailed: The predictor's answers are no probabilities.
        Cancelled: Somebody asked to stop.
    """
    import numpy as np

    parts = [np.zeros((0, len(predictor.labels)))]
    for start in range(0, table.num_rows, _ROWS):
        ctx.check_cancelled()
        parts.append(predictor.probabilities(table.slice(start, _ROWS)))
        ctx.progress(min(start + _ROWS, table.num_rows), table.num_rows, doing)
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) == 1:
        found: np.ndarray = np.concatenate(parts)
        if len(found) == table.num_rows and np.allclose(found.sum(axis=1), 1.0):
            return found
    raise RunFailed(
        f"the predictor's answers are no probabilities of {len(predictor.labels)} labels ({doing})"
    )
