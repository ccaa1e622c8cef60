"""The model that is trained, and the artifact folder that it becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.extension.predictor import CARD
from registry.plugins.train.options import TrainConfig
from registry.plugins.train.tokenizer import BEGIN, END, PAD

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

FORMAT = "text-classifier"


def build_encoder(labels: Sequence[str], vocab_size: int, config: TrainConfig, seed: int) -> PreTrainedModel:
    """A BERT encoder (Devlin et al. 2019) with a classification head and random weights.

    Args:
        labels: Class names in the order of the outputs.
        vocab_size: Tokens that the tokenizer really has.
        config: Its architecture options.
        seed: Of the random weights; it also seeds Python's, numpy's and torch's global generators.
    """
    from transformers import BertConfig, BertForSequenceClassification, set_seed

    set_seed(seed)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=vocab_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.hidden_size,
            max_position_embeddings=config.max_length,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            type_vocab_size=1,
            pad_token_id=0,
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
        )
    )


def save_artifact(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    labels: Sequence[str],
    positive: str,
    columns: dict[str, Any],
    max_length: int,
) -> None:
    """Write the `text-classifier` format: weights as safetensors, the rest as JSON, nothing pickled."""
    from transformers import PreTrainedTokenizerFast

    model.save_pretrained(folder)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=max_length, pad_token=PAD, cls_token=BEGIN, sep_token=END
    )
    wrapped.save_pretrained(folder)
    card = {
        "format": FORMAT,
        "labels": list(labels),
        "positive": positive,
        "columns": columns,
        "max_length": max_length,
    }
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
