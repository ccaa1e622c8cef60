"""The shape of an encoder that begins from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.plugins.train.encoder import EncoderConfig
from registry.plugins.train.tasks.language import vocabulary_size
from registry.plugins.train.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import BertConfig


def bert(config: EncoderConfig, vocabulary: Vocabulary, **head: Any) -> BertConfig:
    """A BERT (Devlin et al. 2019) of the options' shape.

    Args:
        config: Its options.
        vocabulary: Of its tokens.
        head: More of its configuration, such as `id2label`.
    """
    from transformers import BertConfig

    return BertConfig(
        vocab_size=vocabulary_size(vocabulary.size),
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.hidden_size,
        max_position_embeddings=config.max_length,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        type_vocab_size=1,
        pad_token_id=vocabulary.id("pad_token"),
        **head,
    )
