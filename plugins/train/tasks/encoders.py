"""The shape of an encoder that begins from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.plugins.train.encoder import EncoderConfig
from registry.plugins.train.tasks.language import vocabulary_size

if TYPE_CHECKING:
    from transformers import BertConfig


def bert(config: EncoderConfig, tokens: int, padding: int, **head: Any) -> BertConfig:
    """A BERT (Devlin et al. 2019) of the options' shape.

    Args:
        config: Its options.
        tokens: In its vocabulary.
        padding: Id of the padding token.
        head: More of its configuration, such as `id2label`.
    """
    from transformers import BertConfig

    return BertConfig(
        vocab_size=vocabulary_size(tokens),
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.hidden_size,
        max_position_embeddings=config.max_length,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        type_vocab_size=1,
        pad_token_id=padding,
        **head,
    )
