"""Options of `train-tabular`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from registry.extension.options import Words
from registry.plugins.train.label_options import LabelConfig

# What an option is for, where it is not for all of them.
FOR = {
    "iterations": ("logistic",),
    "l2": ("logistic", "gradient-boosting"),
    "trees": ("random-forest", "gradient-boosting"),
    "depth": ("random-forest", "gradient-boosting"),
    "min_leaf": ("random-forest", "gradient-boosting"),
    "leaves": ("gradient-boosting",),
    "learning_rate": ("gradient-boosting",),
}


class TabularConfig(LabelConfig):
    """How to train, and what; options of the estimator default to the version's design."""

    estimator: Literal["logistic", "random-forest", "gradient-boosting"] = Field(
        "logistic", description="what is trained"
    )
    ignore: Words = Field((), description="columns that the model is not to read, comma-separated")
    use_sensitive: bool = Field(False, description="whether the model reads the sensitive columns, too")
    max_categories: int = Field(
        100, ge=2, description="most different words of a column; one with more is no category"
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
