"""Options of `train-classifier`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from registry.extension.options import Words
from registry.plugins.train.start import StartConfig


class TrainConfig(StartConfig):
    """How to train, and what."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each target spread over all labels")
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
    lowercase: bool = Field(True, description="whether upper and lower case are the same to the model")
    hidden_size: int = Field(128, ge=8, description="width of the encoder")
    layers: int = Field(2, ge=1, description="layers of the encoder")
    heads: int = Field(4, ge=1, description="attention heads; they divide hidden_size")
    vocab_size: int = Field(8000, ge=260, description="most tokens that the tokenizer may learn")
    max_length: int = Field(128, ge=4, description="longest input in tokens; the rest of a text is not read")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of encoder and head")
