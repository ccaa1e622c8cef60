"""Predictor of the `tabular-classifier` format: `model.skops`, and the columns that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from registry.errors import BadInput, MissingExtra
from registry.extension import Predictor
from registry.extension.features import Features
from registry.extension.skops_types import ASKED
from registry.plugins.predict.cards import check_labels

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_MODEL = "model.skops"


class TabularClassifier(Predictor):
    """Labels rows of a table with a pipeline of scikit-learn that was stored without pickle.

    Attributes:
        features: Columns that it reads.
    """

    format = "tabular-classifier"

    def __init__(self, pipeline: Any, card: dict[str, Any]) -> None:
        self.labels = tuple(card["labels"])
        self.positive = card["positive"]
        self.features = Features(tuple(card["features"]["numbers"]), tuple(card["features"]["categories"]))
        self._pipeline = pipeline

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], device: str) -> Self:
        """Load the folder; nothing is made of types that are not known to be harmless.

        Raises:
            BadInput: The model is missing or broken, holds other types, or disagrees with the card.
            MissingExtra: scikit-learn or skops is not installed.
        """
        _check_card(card)
        path = folder / _MODEL
        if not path.is_file():
            raise BadInput(f"the artifact has no {_MODEL}")
        try:
            import skops.io
        except ModuleNotFoundError as cause:
            raise MissingExtra(
                f"{cls.format} needs {cause.name}", hint="pip install 'phasegate[tabular]'"
            ) from cause

        try:
            strangers = sorted(set(skops.io.get_untrusted_types(file=path)) - ASKED)
            pipeline: Any = None if strangers else skops.io.load(path, trusted=sorted(ASKED))
        except Exception as cause:  # zip, JSON, numpy and scikit-learn: any error means a broken artifact
            raise BadInput(f"the artifact cannot be loaded: {type(cause).__name__}: {cause}") from cause
        if strangers:
            raise BadInput(f"{_MODEL} holds types that are not known to be harmless: {', '.join(strangers)}")
        classes = getattr(pipeline, "classes_", ())
        if list(classes) != list(range(len(card["labels"]))):
            raise BadInput(f"the model has {len(classes)} outputs, its card {len(card['labels'])} labels")
        found = cls(pipeline, card)
        reads, named = pipeline.n_features_in_, len(found.features.names)
        if reads != named:
            raise BadInput(f"the model reads {reads} columns, its card names {named}")
        return found

    def probabilities(self, table: pa.Table) -> np.ndarray:
        """Class probabilities, float64 of shape (rows, labels), in the order of the rows.

        Raises:
            BadTable: A column is missing, holds something else than the model reads, or an infinite number.
        """
        import numpy as np

        if not table.num_rows:
            return np.zeros((0, len(self.labels)))
        found: np.ndarray = self._pipeline.predict_proba(self.features.matrix(table, "the data"))
        return found


def _check_card(card: dict[str, Any]) -> None:
    check_labels(card)
    features = card.get("features")
    if not (
        isinstance(features, dict)
        and all(
            isinstance(features.get(kind), list) and all(isinstance(name, str) for name in features[kind])
            for kind in ("numbers", "categories")
        )
    ):
        raise BadInput("phasegate.json: 'features' must list 'numbers' and 'categories'")
