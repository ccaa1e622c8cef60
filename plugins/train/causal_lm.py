"""`train-causal-lm`: a GPT-2 or Llama from scratch, or a base that goes on; documents or conversations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from registry.errors import BadConfig, BadInput
from registry.extension import DatasetInput, RunContext
from registry.plugins.train.encoder import check_heads
from registry.plugins.train.engine.task import Task
from registry.plugins.train.replay import REPLAY, mix, read_old
from registry.plugins.train.start import StartConfig, begin
from registry.plugins.train.texts import Chat, kind_of, read_chats, read_texts
from registry.plugins.train.torch_train import TorchTrain

if TYPE_CHECKING:
    from registry.plugins.train.sketch import Sketch

END = "<|endoftext|>"


class CausalConfig(StartConfig):
    """How to train, and what; options of the architecture default to the version's design."""

    family: Literal["gpt2", "llama"] = Field("gpt2", description="of a decoder from scratch")
    hidden_size: int = Field(256, ge=8, description="width of the decoder")
    layers: int = Field(4, ge=1, description="layers of the decoder")
    heads: int = Field(4, ge=1, description="attention heads; they divide hidden_size")
    kv_heads: int = Field(0, ge=0, description="of keys and values, in llama; they divide heads; 0: heads")
    context: int = Field(256, ge=2, description="tokens that the model reads at a time: a block")
    vocab_size: int = Field(8000, ge=260, description="most tokens that the tokenizer may learn")
    tokenizer: Literal["bpe", "characters"] = Field(
        "bpe", description="bpe: byte-level BPE learned from the data; a base keeps its own"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of the decoder (llama: of its attention)")
    tie: bool = Field(True, description="whether input and output share their embeddings")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each target spread over all tokens")
    packing: Literal["documents", "stream", "none"] = Field(
        "documents",
        description="documents: many in a block, kept apart; stream: rows are one text; none: one a block",
    )


class TrainCausalLM(TorchTrain[CausalConfig]):
    """Train a decoder on documents, or on conversations: then the loss counts the assistant's answers."""

    name = "train-causal-lm"
    of_scratch = (
        "family", "hidden_size", "layers", "heads", "kv_heads", "vocab_size", "tokenizer", "dropout", "tie",
    )  # fmt: skip

    def build(self, ctx: RunContext, config: CausalConfig) -> Task:
        if ctx.base is None:
            _check(config)
        source = ctx.role("train")
        kind = kind_of(source, "text", "messages")
        for data in (ctx.data[role] for role in ("validation", REPLAY) if role in ctx.data):
            if (other := kind_of(data, "text", "messages")) != kind:
                raise BadInput(f"the training data holds {kind}, and the {data.role} data {other}")
        if kind == "messages" and config.packing == "stream":
            raise BadConfig("conversations are no stream", hint="use packing=documents or packing=none")

        from registry.plugins.train.tasks import chat
        from registry.plugins.train.tasks.causal_lm import FORMAT, CausalLM
        from registry.plugins.train.tasks.corpus import Corpus, read_conversations, read_documents
        from registry.plugins.train.tasks.decoders import build_decoder
        from registry.plugins.train.tasks.language import vocabulary_size
        from registry.plugins.train.tasks.tokenizers import learn_bytes, learn_characters
        from registry.plugins.train.tasks.vocabulary import begin_vocabulary

        read: Callable[[DatasetInput], list[str] | list[Chat]] = read_texts if kind == "text" else read_chats
        fresh, old = read(source), read_old(ctx, config, read)
        validation = read(ctx.data["validation"]) if "validation" in ctx.data else None
        learn = learn_bytes if config.tokenizer == "bpe" else learn_characters
        vocabulary = begin_vocabulary(
            ctx,
            lambda: learn(
                chat.plain(old.after(fresh) if old else fresh),
                vocab_size=config.vocab_size,
                special=[END],
                # What is to be continued begins as a document does.
                frame=f"{END} $A",
            ),
            {"bos_token": END, "eos_token": END, "pad_token": END},
        )
        end = vocabulary.id("eos_token")
        if kind == "messages" and not vocabulary.template:
            vocabulary.template = chat.TEMPLATE
        model = begin(
            ctx,
            config,
            CausalLM.auto,
            lambda: build_decoder(config.family, vocabulary_size(vocabulary.size), end, config.model_dump()),
        )

        def corpus(rows: list[Any], role: str) -> Corpus:
            if kind == "text":
                return read_documents(rows, vocabulary, config.context, config.packing)
            return read_conversations(rows, vocabulary, config.context, config.packing, role)

        train = corpus(fresh, "train")
        earlier = corpus(old.pool, REPLAY) if old else None
        if earlier:
            train += earlier
        if train.ended is not None and train.ended < 1:
            ctx.log(f"of the answers, {train.ended:.0%} end in a special token that is trained")
        task = CausalLM(
            model,
            vocabulary,
            train,
            corpus(validation, "validation") if validation else None,
            longest=config.context,
            smoothing=config.label_smoothing,
            card={
                "format": FORMAT,
                "columns": source.columns.model_dump(mode="json"),
                "learned": "conversations" if kind == "messages" else "documents",
                "context": config.context,
            },
        )
        if old and earlier:
            kept = corpus(old.kept, REPLAY).blocks if old.kept else ()
            mix(task, config, len(earlier.blocks), kept)
        return task

    def sketch(self, config: CausalConfig) -> Sketch:
        _check(config)
        from registry.plugins.train.sketch import sketch_text
        from registry.plugins.train.tasks.decoders import build_decoder
        from registry.plugins.train.tasks.language import vocabulary_size

        return sketch_text(
            lambda: build_decoder(config.family, vocabulary_size(config.vocab_size), 0, config.model_dump()),
            f"all of the {config.vocab_size:,} tokens that the tokenizer may learn",
            "every row fills a block of its own",
            input_ids=config.context,
        )


def _check(config: CausalConfig) -> None:
    """Refuse shapes that no decoder has."""
    check_heads(config.hidden_size, config.heads)
    if config.kv_heads and config.heads % config.kv_heads:
        raise BadConfig(f"{config.kv_heads} kv_heads do not divide {config.heads} heads")
    if config.kv_heads and config.family == "gpt2":
        raise BadConfig("gpt2 has no kv_heads", hint="use family=llama, or leave kv_heads at 0")
    if config.family == "llama" and (config.hidden_size // config.heads) % 2:
        raise BadConfig(
            f"a head of llama has an even width, and {config.hidden_size} / {config.heads} is odd"
        )
