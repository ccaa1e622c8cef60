"""`train-classifier`: a transformer encoder, from scratch with a tokenizer of its own, or from a base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.extension import RunContext
from registry.plugins.train.base import fill, special_tokens
from registry.plugins.train.encoder import check_heads
from registry.plugins.train.engine.task import Task
from registry.plugins.train.labelled import read_labelled
from registry.plugins.train.labels import check_labels
from registry.plugins.train.options import TrainConfig
from registry.plugins.train.replay import mix, read_old
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
            check_heads(config.hidden_size, config.heads)
        source = ctx.role("train")
        train = read_labelled(source, config.reweigh)
        if old := read_old(ctx, config, lambda data: read_labelled(data, config.reweigh)):
            train = old.after(train)
        validation = read_labelled(ctx.data["validation"]) if "validation" in ctx.data else None
        positive = check_labels(train, validation, config.positive)
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
            TextClasses.auto,
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
        if old:
            mix(task, config, old.rows, task.encode(old.kept)[0])
        return task

    def sketch(self, config: TrainConfig) -> Sketch:
        check_heads(config.hidden_size, config.heads)
        from registry.plugins.train.sketch import sketch_text
        from registry.plugins.train.tasks.text_classes import build_encoder

        return sketch_text(
            lambda: build_encoder(["no", "yes"], config.vocab_size, config),
            f"2 labels, and all of the {config.vocab_size:,} tokens that the tokenizer may learn",
            input_ids=config.max_length,
        )
