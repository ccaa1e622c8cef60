"""`train-seq2seq`: a T5 from scratch, or a base that learns to summarise, translate or rewrite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from registry.extension import RunContext
from registry.plugins.train.encoder import check_heads
from registry.plugins.train.engine.task import Task
from registry.plugins.train.replay import mix, read_old
from registry.plugins.train.start import StartConfig, begin
from registry.plugins.train.texts import read_pairs
from registry.plugins.train.torch_train import TorchTrain

if TYPE_CHECKING:
    from registry.plugins.train.sketch import Sketch

PAD, END = "<pad>", "</s>"


class Seq2SeqConfig(StartConfig):
    """How to train, and what; options of the architecture default to the version's design."""

    hidden_size: int = Field(128, ge=8, description="width of encoder and decoder")
    layers: int = Field(2, ge=1, description="layers of each of them")
    heads: int = Field(4, ge=1, description="attention heads; they divide hidden_size")
    vocab_size: int = Field(8000, ge=260, description="most tokens that the tokenizer may learn")
    max_length: int = Field(256, ge=4, description="longest input in tokens; the rest of a text is not read")
    max_target: int = Field(64, ge=2, description="longest output in tokens; the rest of a target is cut off")
    prefix: str = Field("", description="what is put before each text, for example 'summarise: '")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of encoder and decoder")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each target spread over all tokens")
    generate_rows: int = Field(
        64, ge=0, description="most validation rows that are generated, for exact_match and rouge_l"
    )


class TrainSeq2Seq(TorchTrain[Seq2SeqConfig]):
    """Train an encoder and decoder to make the label text from the text."""

    name = "train-seq2seq"
    of_scratch = ("hidden_size", "layers", "heads", "vocab_size", "dropout")

    def build(self, ctx: RunContext, config: Seq2SeqConfig) -> Task:
        if ctx.base is None:
            check_heads(config.hidden_size, config.heads)
        source = ctx.role("train")
        train = read_pairs(source)
        if old := read_old(ctx, config, read_pairs):
            train = old.after(train)
        validation = read_pairs(ctx.data["validation"]) if "validation" in ctx.data else None

        from registry.plugins.train.tasks.language import vocabulary_size
        from registry.plugins.train.tasks.seq2seq import FORMAT, Seq2Seq, build_t5
        from registry.plugins.train.tasks.tokenizers import learn_bytes
        from registry.plugins.train.tasks.vocabulary import begin_vocabulary

        vocabulary = begin_vocabulary(
            ctx,
            lambda: learn_bytes(
                [config.prefix, *train[0], *train[1]],
                vocab_size=config.vocab_size,
                special=[PAD, END],
                frame=f"$A {END}",
            ),
            {"pad_token": PAD, "eos_token": END},
        )
        end, filler = vocabulary.id("eos_token"), vocabulary.id("pad_token")
        model = begin(
            ctx,
            config,
            Seq2Seq.auto,
            lambda: build_t5(vocabulary_size(vocabulary.size), end, filler, config.model_dump()),
        )
        task = Seq2Seq(
            model,
            vocabulary,
            train,
            validation,
            longest=config.max_length,
            longest_target=config.max_target,
            prefix=config.prefix,
            generated=config.generate_rows,
            smoothing=config.label_smoothing,
            card={
                "format": FORMAT,
                "columns": source.columns.model_dump(mode="json"),
                "max_length": config.max_length,
                "max_target": config.max_target,
                "prefix": config.prefix,
            },
        )
        if old:
            mix(task, config, old.rows, task.encode(*old.kept)[0])
        return task

    def sketch(self, config: Seq2SeqConfig) -> Sketch:
        check_heads(config.hidden_size, config.heads)
        from registry.plugins.train.sketch import sketch_text
        from registry.plugins.train.tasks.language import vocabulary_size
        from registry.plugins.train.tasks.seq2seq import build_t5

        return sketch_text(
            lambda: build_t5(vocabulary_size(config.vocab_size), 1, 0, config.model_dump()),
            f"all of the {config.vocab_size:,} tokens that the tokenizer may learn",
            input_ids=config.max_length,
            decoder_input_ids=config.max_target,
        )
