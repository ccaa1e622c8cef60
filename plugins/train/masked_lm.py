"""`train-masked-lm`: a BERT from scratch, or a base that goes on reading."""

from __future__ import annotations

from pydantic import Field

from registry.errors import BadConfig
from registry.extension import RunContext
from registry.plugins.train.engine.task import Task
from registry.plugins.train.start import StartConfig, begin
from registry.plugins.train.texts import read_texts
from registry.plugins.train.torch_train import TorchTrain

MASK = "[MASK]"


class MaskedConfig(StartConfig):
    """How to train, and what; options of the architecture default to the version's design."""

    hidden_size: int = Field(128, ge=8, description="width of the encoder")
    layers: int = Field(2, ge=1, description="layers of the encoder")
    heads: int = Field(4, ge=1, description="attention heads; they divide hidden_size")
    vocab_size: int = Field(8000, ge=260, description="most tokens that the tokenizer may learn")
    max_length: int = Field(128, ge=4, description="longest input in tokens; a longer text is cut into pieces")
    lowercase: bool = Field(False, description="whether upper and lower case are the same to the model")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of the encoder")
    masked_share: float = Field(0.15, gt=0, lt=1, description="share of the tokens that are to be found")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each target spread over all tokens")


class TrainMaskedLM(TorchTrain[MaskedConfig]):
    """Train an encoder to find hidden tokens; others are hidden in every epoch."""

    name = "train-masked-lm"
    designed = ("hidden_size", "layers", "heads", "vocab_size", "max_length", "dropout")

    def build(self, ctx: RunContext, config: MaskedConfig) -> Task:
        if config.hidden_size % config.heads:
            raise BadConfig(f"{config.heads} heads do not divide a hidden_size of {config.hidden_size}")
        source = ctx.role("train")
        texts = read_texts(source)
        validation = read_texts(ctx.data["validation"]) if "validation" in ctx.data else []

        from registry.plugins.train.tasks.language import vocabulary_size
        from registry.plugins.train.tasks.masked_lm import FORMAT, MaskedLM, build_encoder
        from registry.plugins.train.tasks.tokenizers import BEGIN, END, PAD, train_tokenizer
        from registry.plugins.train.tasks.vocabulary import begin_vocabulary

        vocabulary = begin_vocabulary(
            ctx,
            lambda: train_tokenizer(
                texts, vocab_size=config.vocab_size, lowercase=config.lowercase, further=[MASK]
            ),
            {"pad_token": PAD, "cls_token": BEGIN, "sep_token": END, "mask_token": MASK},
        )
        filler = vocabulary.id("pad_token")
        model = begin(
            ctx,
            config,
            "AutoModelForMaskedLM",
            lambda: build_encoder(vocabulary_size(vocabulary.size), filler, config.model_dump()),
        )
        return MaskedLM(
            model,
            vocabulary,
            texts,
            validation,
            longest=config.max_length,
            share=config.masked_share,
            smoothing=config.label_smoothing,
            card={
                "format": FORMAT,
                "columns": source.columns.model_dump(mode="json"),
                "max_length": config.max_length,
            },
        )
