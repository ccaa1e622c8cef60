"""`train-tabular`: classifiers of scikit-learn on the columns of a table, such as credit models."""

from __future__ import annotations

import json
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadInput
from registry.extension import DatasetInput, PluginConfig, RunContext, Trained
from registry.extension.features import Features, find_features
from registry.extension.options import Words
from registry.extension.predictor import CARD
from registry.extension.tables import read_rows
from registry.plugins.train.designed import DesignedTrain
from registry.plugins.train.labels import Labels, check_labels, read_labels
from registry.plugins.train.loss import row_weights, uninformed_loss

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from sklearn.pipeline import Pipeline

FORMAT = "tabular-classifier"
# What an option is for, where it is not for all of them.
_FOR = {
    "iterations": ("logistic",),
    "l2": ("logistic", "gradient-boosting"),
    "trees": ("random-forest", "gradient-boosting"),
    "depth": ("random-forest", "gradient-boosting"),
    "min_leaf": ("random-forest", "gradient-boosting"),
    "leaves": ("gradient-boosting",),
    "learning_rate": ("gradient-boosting",),
}
# A probability of nought would make the loss of one wrong answer infinite.
_LEAST = 1e-7


class TabularConfig(PluginConfig):
    """How to train, and what; options of the estimator default to the version's design."""

    estimator: Literal["logistic", "random-forest", "gradient-boosting"] = Field(
        "logistic", description="what is trained"
    )
    ignore: Words = Field((), description="columns that the model is not to read, comma-separated")
    use_sensitive: bool = Field(False, description="whether the model reads the sensitive columns, too")
    max_categories: int = Field(
        100, ge=2, description="most different words of a column; one with more is no category"
    )
    reweigh: Words = Field(
        (), description="sensitive columns, comma-separated, that row weights make independent of the label"
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare labels count as much as frequent ones"
    )
    positive: str = Field(
        "",
        description="label that binary metrics count as positive; default: the rarest in the training data",
    )
    iterations: int = Field(1000, ge=1, description="of logistic: most steps")
    l2: float = Field(1.0, ge=0, description="of logistic and gradient-boosting: L2 regularisation")
    trees: int = Field(100, ge=1, description="of a random-forest or gradient-boosting: trees")
    depth: int = Field(0, ge=0, description="of trees: most levels; 0: any")
    min_leaf: int = Field(5, ge=1, description="of trees: rows that a leaf needs")
    leaves: int = Field(31, ge=2, description="of gradient-boosting: most leaves of a tree")
    learning_rate: float = Field(
        0.1, gt=0, le=1, description="of gradient-boosting: share of a tree that counts"
    )
    threads: int = Field(
        1, ge=0, description="CPU threads; with one, the same run gives the same bytes; 0: one per core"
    )


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


class TrainTabular(DesignedTrain[TabularConfig]):
    """Train a classifier of scikit-learn on the columns of a version's training data."""

    name = "train-tabular"
    requires = ("numpy", "skops", "sklearn")
    extra = "tabular"
    designed = ("estimator", *_FOR)

    def run(self, ctx: RunContext, config: TabularConfig) -> Trained:
        """Train; the same seed, data, options and one thread give the same bytes.

        Sensitive columns are not read unless `use_sensitive` says so; numbers that are missing are replaced by
        the median, and counted.

        Raises:
            BadInput: Data that nothing can be learned from.
            BadConfig: An option that does not fit the data, the estimator or the run.
            Cancelled: Somebody asked to stop.
        """
        from threadpoolctl import threadpool_limits

        from registry.plugins.train.tabular_account import account, check_parity

        began = time.monotonic()
        config = self.with_design(ctx, config)
        _check(ctx, config)
        source = ctx.role("train")
        table = read_rows(source)
        labels = read_labels(table, source, config.reweigh)
        features = _features(ctx, table, source, config)
        held_out = ctx.data.get("validation")
        validation_table = read_rows(held_out) if held_out else None
        validation_labels = read_labels(validation_table, held_out) if held_out else None
        positive = check_labels(labels, validation_labels, config.positive)
        card = {
            "format": FORMAT,
            "labels": list(labels.classes),
            "positive": positive,
            "columns": source.columns.model_dump(mode="json"),
            "features": {"numbers": list(features.numbers), "categories": list(features.categories)},
        }
        train = _rows(table, source, labels, features, labels.classes, config)
        validation = None
        if held_out and validation_table is not None and validation_labels is not None:
            validation = _rows(
                validation_table, held_out, validation_labels, features, labels.classes, TabularConfig()
            )
        ctx.log(
            f"{len(labels.labels)} rows, {len(features.numbers)} numbers, {len(features.categories)} "
            f"categories; labels {', '.join(labels.classes)}, positive {positive!r}"
        )
        ctx.check_cancelled()
        with threadpool_limits(limits=config.threads or None):
            fitted = fit(ctx, train, validation, features, config)
            from registry.plugins.train.estimators import MODEL, store

            folder = ctx.output("artifact")
            store(fitted.pipeline, folder / MODEL)
            (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
            parity = check_parity(fitted, folder / MODEL, validation or train)
        evidence = account(
            ctx,
            config,
            fitted,
            train,
            validation,
            features,
            card,
            designed=self.designed,
            parity=parity,
            seconds=time.monotonic() - began,
        )
        return Trained(path=folder, evidence=evidence)


def fit(
    ctx: RunContext, train: Rows, validation: Rows | None, features: Features, config: TabularConfig
) -> Fit:
    """Fit a pipeline, and measure its losses."""
    from sklearn.exceptions import ConvergenceWarning

    from registry.plugins.train.estimators import build_pipeline

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


def _check(ctx: RunContext, config: TabularConfig) -> None:
    if ctx.device != "cpu":
        raise BadConfig(
            f"device is {ctx.device}, and scikit-learn computes on the CPU", hint="use --device cpu"
        )
    if ctx.processes > 1:
        raise BadConfig(f"{ctx.processes} processes cannot share this training", hint="--set threads=N")
    if ctx.base is not None:
        raise BadConfig(f"this training cannot begin with {ctx.base.ref}: it learns everything anew")
    for name in sorted(config.model_fields_set & _FOR.keys()):
        if config.estimator not in _FOR[name] and name not in ctx.model.design:
            raise BadConfig(
                f"{name} does nothing for {config.estimator}: it is for {' and '.join(_FOR[name])}"
            )


def _features(ctx: RunContext, table: pa.Table, data: DatasetInput, config: TabularConfig) -> Features:
    """Columns that the model reads.

    Raises:
        BadInput: A column that can be no feature, or none left.
        BadConfig: `ignore` names a column that is not there.
    """
    for name in config.ignore:
        if name not in table.column_names:
            raise BadConfig(
                f"cannot ignore {name!r}: {data.ref} has no such column",
                hint=did_you_mean(name, table.column_names),
            )
    roles = data.columns
    sensitive = () if config.use_sensitive else roles.sensitive
    unread = {roles.label, *config.ignore, *sensitive}
    features, others = find_features(table, [name for name in table.column_names if name not in unread])
    if others:
        raise BadInput(
            f"column {others[0]!r} of {data.ref} holds {table[others[0]].type}: neither numbers nor words",
            hint=f"--set ignore={','.join(others)}",
        )
    for name in features.categories:
        if (count := len(table[name].unique())) > config.max_categories:
            raise BadInput(
                f"column {name!r} of {data.ref} has {count} different words: no category",
                hint=f"--set ignore={name}, or --set max_categories={count}",
            )
    for name in features.numbers:
        if table[name].null_count == table.num_rows:
            raise BadInput(f"column {name!r} of {data.ref} holds no values", hint=f"--set ignore={name}")
    if not features.names:
        raise BadInput(f"{data.ref} has no column to learn from but {', '.join(filter(None, unread))}")
    if sensitive:
        ctx.log(f"not read, for it is sensitive: {', '.join(sensitive)}")
    return features


def _rows(
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


def _shares(train: Rows) -> np.ndarray:
    """Weighted share of each class."""
    import numpy as np

    found: np.ndarray = np.bincount(train.numbers, weights=train.weights) / train.weights.sum()
    return found


def _trees(model: Any) -> int:
    return len(model.estimators_) if hasattr(model, "estimators_") else int(model.n_iter_)
