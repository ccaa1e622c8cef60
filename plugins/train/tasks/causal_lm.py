"""The next token of documents, or of what an assistant answers, by a decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from registry.errors import BadConfig, BadInput
from registry.plugins.train.engine.task import Batch, Dice
from registry.plugins.train.tasks import chat
from registry.plugins.train.tasks.blocks import IGNORED, Blocks, Tokens, cut, one_each, pack
from registry.plugins.train.tasks.language import LanguageTask, decode, entropy, is_part_of, perplexities
from registry.plugins.train.tasks.vocabulary import Vocabulary, encode_all
from registry.plugins.train.texts import Chat

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel

FORMAT = "causal-lm"
Packing = Literal["documents", "stream", "none"]


@dataclass(frozen=True)
class Corpus:
    """Rows of a dataset as blocks of tokens.

    Attributes:
        blocks: What the model is fed.
        says: What each row says: the text of a document, or what the assistant says in a conversation.
        rows: How many rows there are.
        cut_off: Rows of which a part is not read.
        share_read: Share of the tokens that are.
        ended: Of conversations: share of the answers whose terminator is trained.
        terminators: Of conversations: ids of the tokens that end answers.
    """

    blocks: Blocks
    says: Sequence[str] | Sequence[Sequence[str]]
    cut_off: int = 0
    share_read: float = 1.0
    ended: float | None = None
    terminators: tuple[int, ...] = ()


def read_documents(
    texts: Sequence[str], vocabulary: Vocabulary, context: int, packing: Packing, *, size: int = 1000
) -> Corpus:
    """Texts as blocks; every token is predicted once.

    Args:
        texts: One a document.
        vocabulary: Whose begin token comes before a document, and whose end token after it.
        context: Longest block.
        packing: `documents` may not see each other; `stream`: they follow each other as one text;
            `none`: a block for each.
        size: Texts that are tokenised at a time.
    """
    begin, end = vocabulary.id("bos_token", "eos_token"), vocabulary.id("eos_token")
    framed: list[list[int]] = []
    for start in range(0, len(texts), size):
        for ids in encode_all(vocabulary.tokenizer, texts[start : start + size]):
            # In a stream, the end of one document is the begin of the next where one token does both.
            joined = packing == "stream" and begin == end and framed
            framed.append([*([] if joined else [begin]), *ids, end])
    tokens = Tokens.of(framed)
    pieces = cut(tokens, context, stream=packing == "stream")
    return Corpus(_blocks(tokens, pieces, context, packing), texts)


def read_conversations(
    chats: Sequence[Chat], vocabulary: Vocabulary, context: int, packing: Packing, role: str
) -> Corpus:
    """Conversations as blocks; the loss counts the assistant's answers and what ends them.

    One that is longer than a block loses its end; one of which no answer is left is not read at all.

    Raises:
        BadInput: No answer is left of any of the data of this `role`.
    """
    import numpy as np

    encoded = chat.encode(chat.render(chats, vocabulary), vocabulary, context)
    tokens = encoded.tokens
    pieces = cut(tokens, context, keep_rest=False)
    assert tokens.trained is not None
    sums = np.concatenate([[0], np.cumsum(tokens.trained)])
    # The first token of a conversation is never predicted.
    left = sums[pieces.sum(axis=1) + 1] - sums[pieces[:, 0] + 1]
    pieces = pieces[left > 0]
    if not len(pieces):
        raise BadInput(
            f"no answer of the {role} data begins within {context} tokens: nothing to learn",
            hint="raise context, or shorten what comes before the answers",
        )
    return Corpus(
        _blocks(tokens, pieces, context, packing),
        [[m["content"] for m in row if m["role"] == "assistant"] for row in chats],
        cut_off=int((encoded.lengths > context + 1).sum()),
        share_read=float((pieces[:, 1] + 1).sum() / encoded.lengths.sum()),
        ended=encoded.ended,
        terminators=encoded.terminators,
    )


def _blocks(tokens: Tokens, pieces: np.ndarray, context: int, packing: Packing) -> Blocks:
    if packing == "documents":
        return pack(tokens, pieces, context)
    return one_each(tokens, pieces[pieces[:, 1].argsort(kind="stable")] if packing == "none" else pieces)


class CausalLM(LanguageTask):
    """Every token from those before it. An example is a block."""

    auto = "AutoModelForCausalLM"
    train: Blocks

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        train: Corpus,
        validation: Corpus | None,
        *,
        longest: int,
        smoothing: float,
        card: dict[str, Any],
    ) -> None:
        import numpy as np

        super().__init__(model, vocabulary, longest=longest, smoothing=smoothing, card=card)
        self.corpus = train
        self.train = train.blocks
        self.validation = validation.blocks if validation else ()
        # The last block of a stream may be short; where more are, like goes with like.
        ragged = not self.train.apart and (self.train.sizes < self.train.sizes.max()).sum() > 1
        self.lengths = self.train.sizes.tolist() if ragged else ()
        tokens = train.blocks.tokens
        predicted = np.ones(len(tokens.ids), bool) if tokens.trained is None else tokens.trained.copy()
        predicted[tokens.starts[:-1]] = False
        size = model.config.vocab_size
        self.uninformed = entropy(np.bincount(tokens.ids[predicted], minlength=size), smoothing)
        end = {vocabulary.id("eos_token"), *train.terminators}
        if model.generation_config is not None:
            model.generation_config.eos_token_id = sorted(end) if len(end) > 1 else end.pop()
        if self.train.apart:
            check_apart(model)

    def batch(self, examples: Sequence[Any], rows: Sequence[int], dice: Dice | None) -> Batch:
        import torch

        assert isinstance(examples, Blocks)
        # Of one width wherever they can be, so that compiled code is of one shape.
        width = self.pad_to or (None if self.lengths else int(examples.sizes.max()))
        found = examples.take(rows, self.vocabulary.id("eos_token"), width)
        if not examples.apart:
            # Filling is at the end, where nothing looks back from: plain causal attention, the fastest.
            del found["position_ids"]
        return {
            **{name: torch.from_numpy(values) for name, values in found.items()},
            "count": int((found["labels"] != IGNORED).sum()),
            "read": int(examples.sizes[list(rows)].sum()),
        }

    def inputs(self, batch: Batch) -> dict[str, Any]:
        # Where positions begin anew, transformers lets nothing look further back; see `check_apart`.
        return {name: batch[name] for name in ("input_ids", "position_ids") if name in batch}

    def derived(self, train_loss: float, validation_loss: float | None) -> dict[str, float]:
        return perplexities(train_loss, validation_loss, self.smoothing)

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        to_text = decode(self.vocabulary)
        return [self._audit(row, to_text) for row in rows]

    def _audit(self, row: int, to_text: Any) -> dict[str, Any]:
        tokens, corpus = self.train.tokens, self.corpus
        found = self.train.take([row], 0)
        read = int(self.train.sizes[row])
        parts: list[str] = []
        same = True
        for number, begin, end in self.train.documents(row):
            says = corpus.says[number]
            if isinstance(says, str):
                whole = (begin, end) == tuple(tokens.starts[number : number + 2])
                fed = to_text(tokens.ids[begin:end])
                same &= is_part_of(fed, says, self.vocabulary, whole=whole)
                parts.append(fed)
            else:
                fed_answers = [to_text(run) for run in _runs(tokens, begin, end)]
                same &= len(fed_answers) <= len(says) and all(
                    is_part_of(one, answer, self.vocabulary, whole=place < len(fed_answers) - 1)
                    for place, (one, answer) in enumerate(zip(fed_answers, says, strict=False))
                )
                parts.extend(fed_answers)
        return {
            "row": row,
            "documents": len(self.train.pieces(row)),
            "tokens": read,
            "share_trained": float((found["labels"] != IGNORED).sum()) / read,
            "same": bool(same),
            "fed_text": "\n".join(parts),
        }

    def metrics(self) -> dict[str, float]:
        corpus, blocks = self.corpus, self.train
        room = len(blocks) * int(blocks.sizes.max())
        return {
            "documents": len(corpus.says),
            "blocks": len(blocks),
            "blocks.filled": float(blocks.sizes.sum()) / room,
            "truncated_share": corpus.cut_off / len(corpus.says),
            "share_read": corpus.share_read,
            **({} if corpus.ended is None else {"label_audit.terminator_trained": corpus.ended}),
        }

    def facts(self) -> dict[str, str]:
        ends = self.corpus.terminators or (self.vocabulary.id("eos_token"),)
        return {
            **super().facts(),
            "packing": "documents kept apart" if self.train.apart else "one piece a block",
            "ends_with": ", ".join(str(self.vocabulary.tokenizer.id_to_token(end)) for end in ends),
        }


def _runs(tokens: Tokens, begin: int, end: int) -> list[np.ndarray]:
    """Ids of each run of trained tokens."""
    import numpy as np

    assert tokens.trained is not None
    edges = np.flatnonzero(np.diff(np.concatenate([[False], tokens.trained[begin:end], [False]]).astype(int)))
    return [tokens.ids[begin + a : begin + b] for a, b in edges.reshape(-1, 2).tolist()]


def check_apart(model: PreTrainedModel) -> None:
    """Refuse a model in which documents of one block see each other.

    Raises:
        BadConfig: Positions that begin anew do not keep them apart in this architecture.
    """
    import torch

    length = 4
    ids = torch.arange(2 * length, device=model.device)[None] % model.config.vocab_size
    other = torch.cat([ids[:, :length].flip(1), ids[:, length:]], dim=1)
    positions = torch.arange(length, device=model.device).repeat(2)[None]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            one, two = (model(input_ids=i, position_ids=positions).logits[:, length:] for i in (ids, other))
    except TypeError as cause:
        raise BadConfig(f"{type(model).__name__} takes no positions", hint="use packing=none") from cause
    finally:
        model.train(was_training)
    if not torch.equal(one, two):
        raise BadConfig(
            f"documents of one block would see each other in {type(model).__name__}",
            hint="use packing=none, or packing=stream if they may",
        )


def build_decoder(family: str, vocab_size: int, end: int, shape: Mapping[str, Any]) -> PreTrainedModel:
    """A decoder with random weights: GPT-2 (Radford et al. 2019) or Llama (Touvron et al. 2023).

    No token is named as padding: Llama would never train its embedding, and ours also begins documents.

    Args:
        family: `gpt2` or `llama`.
        vocab_size: Rows of the embedding.
        end: Id of the token that begins and ends documents.
        shape: `hidden_size`, `layers`, `heads`, `kv_heads`, `context`, `dropout`, `tie`.
    """
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    hidden, dropout = shape["hidden_size"], shape["dropout"]
    ends = {"bos_token_id": end, "eos_token_id": end, "tie_word_embeddings": shape["tie"]}
    if family == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocab_size,
                n_positions=shape["context"],
                n_embd=hidden,
                n_layer=shape["layers"],
                n_head=shape["heads"],
                resid_pdrop=dropout,
                embd_pdrop=dropout,
                attn_pdrop=dropout,
                **ends,
            )
        )
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            max_position_embeddings=shape["context"],
            hidden_size=hidden,
            # Two thirds of 4: three matrices then hold what two of a GELU layer do; rounded for GPUs.
            intermediate_size=-(-8 * hidden // 3 // 32) * 32,
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            num_key_value_heads=shape["kv_heads"] or shape["heads"],
            attention_dropout=dropout,
            **ends,
        )
    )
