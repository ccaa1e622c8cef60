"""Fitting a pipeline of scikit-learn to rows of a table, and measuring its losses."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.extension import DatasetInput, RunContext
from registry.extension.features import Features
from registry.plugins.train.estimators import build_pipeline
from registry.plugins.train.labels import Labels
from registry.plugins.train.loss import row_weights, uninformed_loss
from registry.plugins.train.tabular_options import TabularConfig

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from sklearn.pipeline import Pipeline

# A probability of nought would make the loss of one wrong answer infinite.
_LEAST = 1e-7


@dataclass(frozen=True)
class Rows:
    """A dataset as the estimator takes it.

    Attributes:
        table: The rows themselves.
        labels: As the data says.
        inputs: As `Features.matrix` gives them.
        numbers: Class of each row.
        weights: Of each row, of mean 1.
    """

    table: pa.Table
    labels: Labels
    inputs: np.ndarray
    numbers: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Fit:
    """A fitted pipeline, and how it went.

    Attributes:
        uninformed: Loss of answering the label shares, on the training data.
        train_loss: Mean weighted log loss on the training data, in nats.
        validation: Mean log loss on the validation data: of the label shares, after each tree of a boosting,
            and at the end; empty without such data.
        gave_up: What scikit-learn said of a solver that did not come to its end; empty if it did.
    """

    pipeline: Pipeline
    uninformed: float
    train_loss: float
    validation: list[float] = field(default_factory=list)
    gave_up: str = ""

    @property
    def steps(self) -> int:
        """Steps of the solver, or trees."""
        model = self.pipeline[-1]
        return int(max(model.n_iter_)) if hasattr(model, "coef_") else _trees(model)


def read_inputs(
    table: pa.Table,
    data: DatasetInput,
    labels: Labels,
    features: Features,
    classes: tuple[str, ...],
    config: TabularConfig,
) -> Rows:
    import numpy as np

    places = {label: number for number, label in enumerate(classes)}
    weights = row_weights(
        labels.labels,
        groups=labels.groups if config.reweigh else None,
        balanced=config.class_weight == "balanced",
    )
    return Rows(
        table,
        labels,
        features.matrix(table, data.ref),
        np.array([places[label] for label in labels.labels]),
        np.array(weights),
    )


def fit(
    ctx: RunContext, train: Rows, validation: Rows | None, features: Features, config: TabularConfig
) -> Fit:
    """Fit a pipeline, and measure its losses."""
    from sklearn.exceptions import ConvergenceWarning

    pipeline = build_pipeline(features, config, ctx.seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        pipeline.fit(train.inputs, train.numbers, model__sample_weight=train.weights)
    gave_up = next((str(one.message) for one in said if issubclass(one.category, ConvergenceWarning)), "")
    ctx.check_cancelled()
    loss = log_loss(pipeline.predict_proba(train.inputs), train)
    losses: list[float] = []
    if validation is not None:
        shares = _shares(train)
        losses.append(log_loss(shares[None].repeat(len(validation.numbers), axis=0), validation))
        model = pipeline[-1]
        if hasattr(model, "staged_predict_proba"):
            inputs = pipeline[:-1].transform(validation.inputs)
            losses += [log_loss(chances, validation) for chances in model.staged_predict_proba(inputs)]
        else:
            losses.append(log_loss(pipeline.predict_proba(validation.inputs), validation))
        for step, value in enumerate(losses):
            ctx.log_metric("validation_loss", value, step)
    uninformed = uninformed_loss(train.labels.labels, train.weights.tolist())
    found = Fit(pipeline, uninformed, loss, losses, gave_up)
    ctx.log_metric("loss", loss, found.steps)
    return found


def log_loss(chances: np.ndarray, rows: Rows) -> float:
    """Mean over rows of weight times cross-entropy, in nats; `chances` of shape (rows, classes)."""
    import numpy as np

    right = chances[np.arange(len(rows.numbers)), rows.numbers]
    return float((-np.log(np.maximum(right, _LEAST)) * rows.weights).mean())


def _shares(train: Rows) -> np.ndarray:
    """Weighted share of each class."""
    import numpy as np

    found: np.ndarray = np.bincount(train.numbers, weights=train.weights) / train.weights.sum()
    return found


def _trees(model: Any) -> int:
    return len(model.estimators_) if hasattr(model, "estimators_") else int(model.n_iter_)
