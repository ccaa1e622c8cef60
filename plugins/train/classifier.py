"""`train-classifier`: a transformer encoder, from scratch with a tokenizer of its own, or from a base."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadInput
from registry.extension import RunContext
from registry.plugins.train.base import fill, special_tokens
from registry.plugins.train.engine.task import Task
from registry.plugins.train.labelled import LabelledTexts, read_labelled
from registry.plugins.train.options import TrainConfig
from registry.plugins.train.replay import ROLE, keep_apart, replays
from registry.plugins.train.start import begin, begin_tokenizer
from registry.plugins.train.torch_train import OF_SCRATCH, TorchTrain

if TYPE_CHECKING:
    from registry.plugins.train.sketch import Sketch


class TrainClassifier(TorchTrain[TrainConfig]):
    """Train a text classifier on a version's training data, from scratch or from a base."""

    name = "train-classifier"
    of_scratch = (*OF_SCRATCH, "dropout")

    def build(self, ctx: RunContext, config: TrainConfig) -> Task:
        if ctx.base is None:
            _check_heads(config)
        source = ctx.role("train")
        train = read_labelled(source, config.reweigh)
        fresh, kept = len(train.labels), None
        if replays(ctx, config):
            old = read_labelled(ctx.data[ROLE], config.reweigh)
            pool, apart = keep_apart(len(old.labels), ctx.seed)
            train, kept = train + old.only(pool), old.only(apart)
        validation = read_labelled(ctx.data["validation"]) if "validation" in ctx.data else None
        positive = _check(train, validation, config)
        ctx.log(f"labels {', '.join(train.classes)}, positive {positive!r}")

        from registry.plugins.train.tasks.text_classes import FORMAT, TextClasses, build_encoder
        from registry.plugins.train.tasks.tokenizers import SPECIAL, train_tokenizer

        tokenizer = begin_tokenizer(
            ctx,
            lambda: train_tokenizer(train.texts, vocab_size=config.vocab_size, lowercase=config.lowercase),
        )
        model = begin(
            ctx,
            config,
            "AutoModelForSequenceClassification",
            lambda: build_encoder(train.classes, tokenizer.get_vocab_size(), config),
            id2label=dict(enumerate(train.classes)),
            label2id={label: number for number, label in enumerate(train.classes)},
        )
        special = special_tokens(ctx.base.path) if ctx.base else SPECIAL
        fill(model, tokenizer, special)
        task = TextClasses(
            model,
            tokenizer,
            train,
            validation,
            config=config,
            special=special,
            card={
                "format": FORMAT,
                # A base that was trained for the same labels may have them in another order.
                "labels": [model.config.id2label[number] for number in range(len(train.classes))],
                "positive": positive,
                "columns": source.columns.model_dump(mode="json"),
                "max_length": config.max_length,
            },
        )
        if kept is not None:
            task.replay(len(train.labels) - fresh, config.replay_share, kept)
        return task

    def sketch(self, config: TrainConfig) -> Sketch:
        _check_heads(config)
        from registry.plugins.train.sketch import sketch_text
        from registry.plugins.train.tasks.text_classes import build_encoder

        return sketch_text(
            lambda: build_encoder(["no", "yes"], config.vocab_size, config),
            f"2 labels, and all of the {config.vocab_size:,} tokens that the tokenizer may learn",
            input_ids=config.max_length,
        )


def _check_heads(config: TrainConfig) -> None:
    if config.hidden_size % config.heads:
        raise BadConfig(f"{config.heads} heads do not divide a hidden_size of {config.hidden_size}")


def _check(train: LabelledTexts, validation: LabelledTexts | None, config: TrainConfig) -> str:
    """Refuse what cannot be learned; returns the positive label."""
    if len(train.classes) < 2:
        raise BadInput(
            f"all {len(train.labels)} training rows have the label {train.classes[0]!r}: nothing to learn"
        )
    if validation and (strangers := sorted(set(validation.classes) - set(train.classes))):
        raise BadInput(f"the validation data has labels that the training data lacks: {', '.join(strangers)}")
    if config.positive and config.positive not in train.classes:
        raise BadConfig(
            f"positive is {config.positive!r}, which is none of the labels",
            hint=did_you_mean(config.positive, train.classes),
        )
    counts = Counter(train.labels)
    return config.positive or min(train.classes, key=lambda label: (counts[label], label))
