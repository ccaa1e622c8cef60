"""`train-tagger`: a tag for each word, such as names of people and places, or parts of speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import BadInput
from registry.extension import RunContext
from registry.plugins.train.encoder import OF_SCRATCH, EncoderConfig, check_heads
from registry.plugins.train.engine.task import Task
from registry.plugins.train.replay import mix, read_old
from registry.plugins.train.start import begin
from registry.plugins.train.texts import read_tagged
from registry.plugins.train.torch_train import TorchTrain

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from registry.plugins.train.sketch import Sketch


class TrainTagger(TorchTrain[EncoderConfig]):
    """Train an encoder to name a tag for each word of a text."""

    name = "train-tagger"
    of_scratch = OF_SCRATCH

    def build(self, ctx: RunContext, config: EncoderConfig) -> Task:
        if ctx.base is None:
            check_heads(config.hidden_size, config.heads)
        source = ctx.role("train")
        train = read_tagged(source)
        if old := read_old(ctx, config, read_tagged):
            train = old.after(train)
        validation = read_tagged(ctx.data["validation"]) if "validation" in ctx.data else None
        labels = _labels(train[1], validation[1] if validation else [])

        from transformers import BertForTokenClassification

        from registry.plugins.train.tasks.encoders import bert
        from registry.plugins.train.tasks.tags import FORMAT, Tags
        from registry.plugins.train.tasks.tokenizers import BEGIN, END, PAD, train_tokenizer
        from registry.plugins.train.tasks.vocabulary import begin_vocabulary

        vocabulary = begin_vocabulary(
            ctx,
            lambda: train_tokenizer(
                map(" ".join, train[0]), vocab_size=config.vocab_size, lowercase=config.lowercase
            ),
            {"pad_token": PAD, "cls_token": BEGIN, "sep_token": END},
        )
        _part_words(vocabulary.tokenizer)
        padding = vocabulary.id("pad_token")
        names = {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
        }
        model = begin(
            ctx,
            config,
            Tags.auto,
            lambda: BertForTokenClassification(bert(config, vocabulary.size, padding, **names)),
            **names,
        )
        # A base that knows these tags keeps its head, and with it their order.
        labels = [model.config.id2label[number] for number in range(len(labels))]
        task = Tags(
            model,
            vocabulary,
            train,
            validation,
            longest=config.max_length,
            smoothing=config.label_smoothing,
            card={
                "format": FORMAT,
                "labels": labels,
                "columns": source.columns.model_dump(mode="json"),
                "max_length": config.max_length,
            },
        )
        if old:
            mix(task, config, old.rows, task.encode(*old.kept))
        return task

    def sketch(self, config: EncoderConfig) -> Sketch:
        check_heads(config.hidden_size, config.heads)
        from transformers import BertForTokenClassification

        from registry.plugins.train.sketch import sketch_text
        from registry.plugins.train.tasks.encoders import bert

        return sketch_text(
            lambda: BertForTokenClassification(bert(config, config.vocab_size, 0, num_labels=2)),
            f"2 tags, and all of the {config.vocab_size:,} tokens that the tokenizer may learn",
            input_ids=config.max_length,
        )


def _labels(train: list[list[str]], validation: list[list[str]]) -> list[str]:
    """The tags in alphabetical order.

    Raises:
        BadInput: There is one only, or the validation data has others.
    """
    labels = sorted({tag for row in train for tag in row})
    if len(labels) < 2:
        raise BadInput(f"all words of the training data have the tag {labels[0]!r}: nothing to learn")
    if strangers := sorted({tag for row in validation for tag in row} - set(labels)):
        raise BadInput(f"the validation data has tags that the training data lacks: {', '.join(strangers)}")
    return labels


def _part_words(tokenizer: Tokenizer) -> None:
    """Let a byte-level tokenizer see a blank before each word, as in the running text that it knows."""
    from tokenizers.pre_tokenizers import ByteLevel

    if isinstance(tokenizer.pre_tokenizer, ByteLevel):
        tokenizer.pre_tokenizer.add_prefix_space = True
