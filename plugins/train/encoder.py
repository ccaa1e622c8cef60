"""Options of the plugins that train an encoder."""

from __future__ import annotations

from pydantic import Field

from registry.errors import BadConfig
from registry.plugins.train.start import StartConfig

OF_SCRATCH = ("hidden_size", "layers", "heads", "vocab_size", "lowercase", "dropout")
"""Options that a base settles already."""


class EncoderConfig(StartConfig):
    """How to train an encoder; options of the architecture default to the version's design."""

    hidden_size: int = Field(128, ge=8, description="width of the encoder")
    layers: int = Field(2, ge=1, description="layers of the encoder")
    heads: int = Field(4, ge=1, description="attention heads; they divide hidden_size")
    vocab_size: int = Field(8000, ge=260, description="most tokens that the tokenizer may learn")
    max_length: int = Field(128, ge=4, description="longest input in tokens")
    lowercase: bool = Field(False, description="whether upper and lower case are the same to the model")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of encoder and head")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each target spread over all others")


def check_heads(hidden_size: int, heads: int) -> None:
    """Refuse a shape from scratch whose heads do not divide the width.

    Raises:
        BadConfig: They do not.
    """
    if hidden_size % heads:
        raise BadConfig(f"{heads} heads do not divide a hidden_size of {hidden_size}")
