"""`train-tabular`: classifiers of scikit-learn on the columns of a table, such as credit models."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadInput
from registry.extension import DatasetInput, RunContext, Trained
from registry.extension.features import Features, find_features
from registry.extension.inputs import RunSpec
from registry.extension.predictor import CARD
from registry.extension.tables import read_rows
from registry.plugins.train.designed import DesignedTrain
from registry.plugins.train.labels import check_labels, read_labels
from registry.plugins.train.tabular_options import FOR, TabularConfig

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "tabular-classifier"


class TrainTabular(DesignedTrain[TabularConfig]):
    """Train a classifier of scikit-learn on the columns of a version's training data."""

    name = "train-tabular"
    requires = ("numpy", "skops", "sklearn")
    extra = "tabular"

    def settle(self, spec: RunSpec, config: TabularConfig) -> TabularConfig:
        """The options, with the design's values wherever the run does not say otherwise.

        Raises:
            BadConfig: An option that would do nothing, another device, more processes, or a base.
        """
        config = super().settle(spec, config)
        _check(spec, config)
        return config

    def run(self, ctx: RunContext, config: TabularConfig) -> Trained:
        """Train; the same seed, data, options and one thread give the same bytes.

        Sensitive columns are not read unless `use_sensitive` says so; numbers that are missing are replaced
        by the median, and counted.

        Raises:
            BadInput: Data that nothing can be learned from.
            BadConfig: An option that does not fit the data, the estimator or the run.
            Cancelled: Somebody asked to stop.
        """
        from threadpoolctl import threadpool_limits

        from registry.plugins.train.estimators import MODEL, store
        from registry.plugins.train.tabular_account import account, check_parity
        from registry.plugins.train.tabular_fit import fit, read_inputs

        began = time.monotonic()
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
        train = read_inputs(table, source, labels, features, labels.classes, config)
        validation = None
        if held_out and validation_table is not None and validation_labels is not None:
            validation = read_inputs(
                validation_table, held_out, validation_labels, features, labels.classes, TabularConfig()
            )
        ctx.log(
            f"{len(labels.labels)} rows, {len(features.numbers)} numbers, {len(features.categories)} "
            f"categories; labels {', '.join(labels.classes)}, positive {positive!r}"
        )
        ctx.check_cancelled()
        with threadpool_limits(limits=config.threads or None):
            fitted = fit(ctx, train, validation, features, config)
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
            parity=parity,
            seconds=time.monotonic() - began,
        )
        return Trained(path=folder, evidence=evidence)


def _check(spec: RunSpec, config: TabularConfig) -> None:
    design = spec.model.design if spec.model else {}
    if spec.device != "cpu":
        raise BadConfig(
            f"device is {spec.device}, and scikit-learn computes on the CPU", hint="use --device cpu"
        )
    if spec.processes > 1:
        raise BadConfig(f"{spec.processes} processes cannot share this training", hint="--set threads=N")
    if spec.base is not None:
        raise BadConfig(f"this training cannot begin with {spec.base.ref}: it learns everything anew")
    for name in sorted(config.model_fields_set & FOR.keys()):
        if config.estimator not in FOR[name] and name not in design:
            raise BadConfig(
                f"{name} does nothing for {config.estimator}: it is for {' and '.join(FOR[name])}"
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
