"""A class for each text, by a transformer encoder with a classification head."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.extension.predictor import CARD
from registry.plugins.train.engine.task import Batch, Dice, Task
from registry.plugins.train.label_audit import text_is_fed
from registry.plugins.train.labelled import LabelledTexts
from registry.plugins.train.loss import reweighing, row_weights, uninformed_loss, weighted_cross_entropy
from registry.plugins.train.options import TrainConfig
from registry.plugins.train.tasks.padding import pad

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

FORMAT = "text-classifier"


class TextClasses(Task):
    """Texts with one label each; rows may count more or less in the training loss.

    An example is a row's token ids, class number and weight.
    """

    auto = "AutoModelForSequenceClassification"
    train: list[tuple[list[int], int, float]]
    validation: list[tuple[list[int], int, float]]

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        train: LabelledTexts,
        validation: LabelledTexts | None,
        *,
        config: TrainConfig,
        special: Mapping[str, str],
        card: dict[str, Any],
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.rows = train
        self.config = config
        self.special = dict(special)
        self.max_length = config.max_length
        self.card = card
        self.numbers = {label: number for number, label in enumerate(card["labels"])}
        weights = row_weights(
            train.labels,
            groups=train.groups if config.reweigh else None,
            balanced=config.class_weight == "balanced",
        )
        self.uninformed = uninformed_loss(train.labels, weights, smoothing=config.label_smoothing)
        tokenizer.enable_truncation(self.max_length)
        self.train, self.truncated = self.encode(train, weights)
        self.lengths = [len(ids) for ids, _, _ in self.train]
        held_out = self.encode(validation)[0] if validation else []
        self.validation = sorted(held_out, key=lambda example: len(example[0]))

    def batch(
        self, examples: Sequence[tuple[list[int], int, float]], rows: Sequence[int], dice: Dice | None
    ) -> Batch:
        import torch

        chosen = [examples[row] for row in rows]
        return {
            **pad([ids for ids, _, _ in chosen], self.model.config.pad_token_id or 0, self.pad_to),
            "labels": torch.tensor([label for _, label, _ in chosen]),
            "weights": torch.tensor([weight for _, _, weight in chosen]),
        }

    def count(self, batch: Batch) -> float:
        return len(batch["labels"])

    def loss_of(self, outputs: torch.Tensor, batch: Batch, *, training: bool) -> torch.Tensor:
        smoothing = self.config.label_smoothing if training else 0.0
        return weighted_cross_entropy(outputs, batch["labels"], batch["weights"], smoothing)

    def save(self, folder: Path) -> None:
        from transformers import PreTrainedTokenizerFast

        self.model.save_pretrained(folder)
        self.tokenizer.no_truncation()
        wrapped = PreTrainedTokenizerFast(
            tokenizer_object=self.tokenizer,
            model_max_length=self.max_length,
            **self.special,
        )
        wrapped.save_pretrained(folder)
        (folder / CARD).write_text(json.dumps(self.card, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        names = self.model.config.id2label
        found = []
        for row in rows:
            ids, number, _ = self.train[row]
            text, label = self.rows.texts[row], self.rows.labels[row]
            fed = text_is_fed(self.tokenizer, ids, text)
            same = fed.pop("same") and names[number] == label
            told = {"row": row, "label": label, "fed_label": names[number], "same": same}
            found.append({**told, **fed})
        return found

    def metrics(self) -> dict[str, float]:
        counts = Counter(self.rows.labels)
        return {
            "labels": len(counts),
            "labels.minority_share": min(counts.values()) / len(self.train),
            "truncated_share": self.truncated / len(self.train),
        }

    def facts(self) -> dict[str, str]:
        return {
            "max_length": str(self.max_length),
            "vocabulary": f"{self.tokenizer.get_vocab_size()} tokens",
            "positive": self.card["positive"],
            "reweigh": ", ".join(self.config.reweigh) or "none",
            "class_weight": self.config.class_weight,
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        rows = len(self.rows.labels)
        tables: dict[str, list[dict[str, Any]]] = {
            "labels": [
                {"label": label, "rows": count, "share": count / rows}
                for label, count in sorted(Counter(self.rows.labels).items())
            ]
        }
        if self.config.reweigh:
            tables["reweighing"] = _group_weights(self.rows, self.config.reweigh)
        return tables

    def encode(
        self, rows: LabelledTexts, weights: Sequence[float] = ()
    ) -> tuple[list[tuple[list[int], int, float]], int]:
        """Examples, and how many of the texts were cut off."""
        encodings = self.tokenizer.encode_batch(rows.texts)
        numbers = [self.numbers[label] for label in rows.labels]
        examples = list(
            zip(
                (encoding.ids for encoding in encodings),
                numbers,
                weights or [1.0] * len(numbers),
                strict=True,
            )
        )
        return examples, sum(bool(encoding.overflowing) for encoding in encodings)


def _group_weights(train: LabelledTexts, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The weight of each group's rows of each label."""
    rows = Counter(zip(train.groups, train.labels, strict=True))
    return [
        {
            **dict(zip(columns, group, strict=True)),
            "label": label,
            "rows": rows[group, label],
            "weight": weight,
        }
        for (group, label), weight in sorted(reweighing(train.groups, train.labels).items())
    ]


def build_encoder(labels: Sequence[str], vocab_size: int, config: TrainConfig) -> PreTrainedModel:
    """A BERT encoder (Devlin et al. 2019) with a classification head and random weights.

    Args:
        labels: Class names in the order of the outputs.
        vocab_size: Tokens that the tokenizer really has.
        config: Its architecture options.
    """
    from transformers import BertConfig, BertForSequenceClassification

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
