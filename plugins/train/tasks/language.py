"""What the language tasks share: a model with a vocabulary, how both are saved, and perplexity."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.extension.predictor import CARD
from registry.plugins.train.engine.task import Batch, Task
from registry.plugins.train.tasks.blocks import IGNORED
from registry.plugins.train.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import PreTrainedModel


# Blanks, and what a character that was cut in two decodes to.
_BLANK = re.compile(r"[\s\u2581\ufffd]+")


class LanguageTask(Task):
    """A model of transformers that reads token ids; its loss is a cross-entropy over what is labelled.

    A batch holds `labels`, and two plain numbers: `count`, how many of them the loss counts, and `read`,
    tokens without filling. They are no tensors, for asking a device for a number makes it wait.

    Attributes:
        smoothing: Share of each target spread over all labels, in training.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        *,
        longest: int,
        smoothing: float,
        card: dict[str, Any],
    ) -> None:
        vocabulary.check(model, longest)
        self.model = model
        self.vocabulary = vocabulary
        self.longest = longest
        self.smoothing = smoothing
        self.card = card
        # Nothing is generated in training, and a cache of keys and values costs memory.
        model.config.use_cache = False

    def count(self, batch: Batch) -> float:
        return float(batch["count"])

    def tokens(self, batch: Batch) -> int:
        return int(batch["read"])

    def loss_of(self, outputs: torch.Tensor, batch: Batch, *, training: bool) -> torch.Tensor:
        from torch.nn.functional import cross_entropy

        return cross_entropy(
            outputs.flatten(0, -2),
            batch["labels"].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.smoothing if training else 0.0,
        )

    def save(self, folder: Path) -> None:
        self.model.config.use_cache = True
        self.model.save_pretrained(folder)
        self.model.config.use_cache = False
        self.vocabulary.save(folder, self.longest)
        (folder / CARD).write_text(json.dumps(self.card, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def reload(self, folder: Path) -> PreTrainedModel:
        model = super().reload(folder)
        model.config.use_cache = False
        return model

    def facts(self) -> dict[str, str]:
        return {"context": str(self.longest), **self.vocabulary.facts()}


def perplexities(train_loss: float, validation_loss: float | None, smoothing: float) -> dict[str, float]:
    """Perplexity: e to the mean loss in nats a token; of training only where the loss is not smoothed."""
    found = {} if smoothing else {"perplexity": _exp(train_loss)}
    if validation_loss is not None:
        found["validation_perplexity"] = _exp(validation_loss)
    return found


def entropy(counts: np.ndarray, smoothing: float = 0.0) -> float:
    """Mean loss in nats of always answering the shares of the labels: the best that ignores the input.

    Args:
        counts: Of each label, shape (labels,).
        smoothing: Share of each target spread over all labels.
    """
    shares = (1 - smoothing) * counts / counts.sum() + smoothing / len(counts)
    shares = shares[shares > 0]
    return float(-(shares * _log(shares)).sum())


def vocabulary_size(tokens: int) -> int:
    """Rows of an embedding for so many tokens: a multiple of 64, which is what GPUs multiply fast."""
    return -(-tokens // 64) * 64


def decode(vocabulary: Vocabulary) -> Callable[[Any], str]:
    """Token ids as text, without special tokens."""
    special = set(vocabulary.special_ids)

    def to_text(ids: Any) -> str:
        text: str = vocabulary.tokenizer.decode([int(one) for one in ids if int(one) not in special])
        return text

    return to_text


def is_part_of(fed: str, text: str, vocabulary: Vocabulary, *, whole: bool = False) -> bool:
    """Whether what was decoded stands in a text, or is the whole of it.

    Blanks do not count, for tokenizers differ in how they write them.
    """
    normalizer = vocabulary.tokenizer.normalizer
    text = _BLANK.sub("", normalizer.normalize_str(text) if normalizer else text)
    fed = _BLANK.sub("", fed)
    return fed == text if whole else fed in text


def _exp(loss: float) -> float:
    return math.exp(min(loss, 700.0))


def _log(values: np.ndarray) -> np.ndarray:
    import numpy as np

    found: np.ndarray = np.log(values)
    return found
