"""Options of `train-classifier`."""

from __future__ import annotations

from pydantic import Field

from registry.plugins.train.label_options import LabelConfig
from registry.plugins.train.start import StartConfig


class TrainConfig(LabelConfig, StartConfig):
    """How to train, and what."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each target spread over all labels")
    lowercase: bool = Field(True, description="whether upper and lower case are the same to the model")
    hidden_size: int = Field(128, ge=8, description="width of the encoder")
    layers: int = Field(2, ge=1, description="layers of the encoder")
    heads: int = Field(4, ge=1, description="attention heads; they divide hidden_size")
    vocab_size: int = Field(8000, ge=260, description="most tokens that the tokenizer may learn")
    max_length: int = Field(128, ge=4, description="longest input in tokens; the rest of a text is not read")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of encoder and head")
