"""The numbers that are compared: one sample per feature, from training data and from traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.extension import DatasetInput, RunContext
from registry.plugins.monitor.features import LENGTHS, SCORE, SHAPES, UNKNOWN_WORDS, Vocabulary
from registry.plugins.monitor.traffic import Asked

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Samples = dict[str, np.ndarray]


# Decimals of a score that count: beyond them lie the rounding of the log and the arithmetic of the server.
_DECIMALS = 4


def reference_samples(
    ctx: RunContext, train: DatasetInput, unseen: DatasetInput, rows: int
) -> tuple[Vocabulary, Samples]:
    """At most `rows` values of every feature: of the training texts, and of the scores of unseen ones.

    The vocabulary is that of all training texts.
    """
    table, column = _rows(train), train.column("text")
    vocabulary = Vocabulary(table.column(column).to_pylist())
    texts = _draw(table, rows, ctx.seed).column(column).to_pylist()
    unknown = [vocabulary.unknown_share(text, trained_on=True) for text in texts]
    ctx.check_cancelled()
    predictor = ctx.predictor()
    probabilities = predictor.probabilities(_draw(_rows(unseen), rows, ctx.seed))
    scores = probabilities[:, predictor.labels.index(predictor.positive)].round(_DECIMALS)
    return vocabulary, _measured(texts) | _arrays({UNKNOWN_WORDS: unknown, SCORE: scores.tolist()})


def live_samples(rows: Sequence[Asked], vocabulary: Vocabulary) -> Samples:
    """All values of every feature: length and score of every row, the rest of those whose text was logged."""
    texts = [row.text for row in rows if row.text is not None]
    unknown = [vocabulary.unknown_share(text, trained_on=False) for text in texts]
    # The log has lengths even where it has no text.
    lengths = {name: [getattr(row, name) for row in rows] for name in LENGTHS}
    scores = [round(row.score, _DECIMALS) for row in rows]
    return _measured(texts) | _arrays({UNKNOWN_WORDS: unknown, SCORE: scores, **lengths})


def _measured(texts: Sequence[str]) -> Samples:
    return _arrays({name: [measure(text) for text in texts] for name, measure in (LENGTHS | SHAPES).items()})


def _arrays(samples: dict[str, Sequence[float]]) -> Samples:
    import numpy as np

    return {name: np.asarray(sample, dtype=np.float64) for name, sample in samples.items()}


def _rows(data: DatasetInput) -> pa.Table:
    """The rows that have a text."""
    import pyarrow.compute as pc

    table = data.read()
    return table.filter(pc.is_valid(table.column(data.column("text"))))


def _draw(table: pa.Table, rows: int, seed: int) -> pa.Table:
    import numpy as np

    if table.num_rows <= rows:
        return table
    return table.take(np.sort(np.random.default_rng(seed).choice(table.num_rows, rows, replace=False)))
