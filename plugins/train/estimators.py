"""Estimators of scikit-learn in one pipeline with what they need of their inputs, and how they are stored."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import BadInput, Defect
from registry.extension.features import Features
from registry.extension.skops_types import ASKED

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from registry.plugins.train.tabular_options import TabularConfig

MODEL = "model.skops"
_SCHEMA = "schema.json"


def build_pipeline(features: Features, config: TabularConfig, seed: int) -> Pipeline:
    """A pipeline that takes `Features.matrix`: numbers imputed by their median, categories encoded.

    Linear models get scaled numbers and a column for each category; trees get a number for it. A category
    that the training data lacks is none of its columns, or -1.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = [("impute", SimpleImputer(strategy="median"))]
    encode: Any = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model: Any
    if config.estimator == "logistic":
        numbers.append(("scale", StandardScaler()))
        encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        model = LogisticRegression(
            C=1 / config.l2 if config.l2 else float("inf"), max_iter=config.iterations, random_state=seed
        )
    elif config.estimator == "random-forest":
        model = RandomForestClassifier(
            n_estimators=config.trees,
            max_depth=config.depth or None,
            min_samples_leaf=config.min_leaf,
            n_jobs=config.threads or -1,
            random_state=seed,
        )
    else:
        model = HistGradientBoostingClassifier(
            max_iter=config.trees,
            max_depth=config.depth or None,
            min_samples_leaf=config.min_leaf,
            max_leaf_nodes=config.leaves,
            learning_rate=config.learning_rate,
            l2_regularization=config.l2,
            early_stopping=False,
            random_state=seed,
        )
    split = len(features.numbers)
    kinds = [
        ("numbers", Pipeline(numbers), list(range(split))),
        ("categories", encode, list(range(split, len(features.names)))),
    ]
    return Pipeline([("inputs", ColumnTransformer([kind for kind in kinds if kind[2]])), ("model", model)])


def store(pipeline: Pipeline, path: Path) -> None:
    """Write a pipeline as skops has it: no pickle, and the same bytes for the same pipeline.

    skops names objects by their place in memory, which differs in every run: here they are numbered in
    order of appearance, and the archive's clock stands still.

    Raises:
        Defect: It holds types that are not on our list.
    """
    import skops.io

    data = skops.io.dumps(pipeline)
    if strangers := set(skops.io.get_untrusted_types(data=data)) - ASKED:
        raise Defect(
            f"the model holds types that are not known to be harmless: {', '.join(sorted(strangers))}"
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        numbers: dict[Any, int] = {}
        files: dict[str, str] = {}
        schema = _numbered(json.loads(archive.read(_SCHEMA)), numbers, files)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as canonical:
            for old, new in files.items():
                canonical.writestr(zipfile.ZipInfo(new), archive.read(old), zipfile.ZIP_DEFLATED)
            text = json.dumps(schema, sort_keys=True)
            canonical.writestr(zipfile.ZipInfo(_SCHEMA), text, zipfile.ZIP_DEFLATED)


def load(path: Path) -> Pipeline:
    """Load a pipeline again.

    Raises:
        BadInput: It holds types that are not on our list.
    """
    import skops.io

    if strangers := set(skops.io.get_untrusted_types(file=path)) - ASKED:
        raise BadInput(f"{path.name} holds types that are not known to be harmless: {sorted(strangers)}")
    found: Pipeline = skops.io.load(path, trusted=sorted(ASKED))
    return found


def _numbered(node: Any, numbers: dict[Any, int], files: dict[str, str]) -> Any:
    """A schema with objects and files numbered in order of appearance; fills in both tables."""
    if isinstance(node, list):
        return [_numbered(each, numbers, files) for each in node]
    if not isinstance(node, dict):
        return node
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key == "__id__":
            found[key] = numbers.setdefault(value, len(numbers))
        elif key == "file":
            found[key] = files.setdefault(value, f"{len(files)}{Path(value).suffix}")
        else:
            found[key] = _numbered(value, numbers, files)
    return found
