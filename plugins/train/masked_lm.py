"""`train-masked-lm`: a BERT from scratch, or a base that goes on reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from registry.extension import RunContext
from registry.plugins.train.encoder import OF_SCRATCH, EncoderConfig, check_heads
from registry.plugins.train.engine.task import Task
from registry.plugins.train.replay import mix, read_old
from registry.plugins.train.start import begin
from registry.plugins.train.texts import read_texts
from registry.plugins.train.torch_train import TorchTrain

if TYPE_CHECKING:
    from registry.plugins.train.sketch import Sketch

MASK = "[MASK]"


class MaskedConfig(EncoderConfig):
    """How to train, and what; a text that is longer than max_length is cut into pieces."""

    masked_share: float = Field(0.15, gt=0, lt=1, description="share of the tokens that are to be found")


class TrainMaskedLM(TorchTrain[MaskedConfig]):
    """Train an encoder to find hidden tokens; others are hidden in every epoch."""

    name = "train-masked-lm"
    of_scratch = OF_SCRATCH

    def build(self, ctx: RunContext, config: MaskedConfig) -> Task:
        if ctx.base is None:
            check_heads(config.hidden_size, config.heads)
        source = ctx.role("train")
        texts = read_texts(source)
        fresh = len(texts)
        if old := read_old(ctx, config, read_texts):
            texts = old.after(texts)
        validation = read_texts(ctx.data["validation"]) if "validation" in ctx.data else []

        from transformers import BertForMaskedLM

        from registry.plugins.train.tasks.encoders import bert
        from registry.plugins.train.tasks.masked_lm import FORMAT, MaskedLM
        from registry.plugins.train.tasks.tokenizers import BEGIN, END, PAD, train_tokenizer
        from registry.plugins.train.tasks.vocabulary import begin_vocabulary

        vocabulary = begin_vocabulary(
            ctx,
            lambda: train_tokenizer(
                texts, vocab_size=config.vocab_size, lowercase=config.lowercase, further=[MASK]
            ),
            {"pad_token": PAD, "cls_token": BEGIN, "sep_token": END, "mask_token": MASK},
        )
        mask = vocabulary.id("mask_token")
        model = begin(
            ctx,
            config,
            MaskedLM.auto,
            lambda: BertForMaskedLM(bert(config, vocabulary.size, vocabulary.id("pad_token"))),
        )
        task = MaskedLM(
            model,
            vocabulary,
            texts,
            validation,
            longest=config.max_length,
            mask=mask,
            share=config.masked_share,
            smoothing=config.label_smoothing,
            card={
                "format": FORMAT,
                "columns": source.columns.model_dump(mode="json"),
                "max_length": config.max_length,
            },
        )
        if old:
            pieces = sum(text >= fresh for text in task.sources)
            mix(task, config, pieces, task.encode(old.kept)[0])
        return task

    def sketch(self, config: MaskedConfig) -> Sketch:
        check_heads(config.hidden_size, config.heads)
        from transformers import BertForMaskedLM

        from registry.plugins.train.sketch import sketch_text
        from registry.plugins.train.tasks.encoders import bert

        return sketch_text(
            lambda: BertForMaskedLM(bert(config, config.vocab_size, 0)),
            f"all of the {config.vocab_size:,} tokens that the tokenizer may learn",
            input_ids=config.max_length,
        )
