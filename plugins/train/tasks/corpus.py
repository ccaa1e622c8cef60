"""Documents and conversations as blocks of tokens: what a decoder is fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from registry.errors import BadInput
from registry.plugins.train.tasks import chat
from registry.plugins.train.tasks.blocks import Blocks, Tokens, cut, one_each, pack
from registry.plugins.train.tasks.vocabulary import Vocabulary, encode_all
from registry.plugins.train.texts import Chat

if TYPE_CHECKING:
    import numpy as np

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

    def __add__(self, more: Corpus) -> Corpus:
        """The rows of both; no block holds some of each."""
        both = (self, more)
        ended = None
        if self.ended is not None and more.ended is not None:
            answers = [sum(map(len, each.says)) for each in both]
            ended = (self.ended * answers[0] + more.ended * answers[1]) / sum(answers)
        read = [int(each.blocks.lengths.sum()) + len(each.blocks.lengths) for each in both]
        whole = [tokens / each.share_read for tokens, each in zip(read, both, strict=True)]
        return Corpus(
            self.blocks + more.blocks,
            [*self.says, *more.says],
            cut_off=self.cut_off + more.cut_off,
            share_read=sum(read) / sum(whole),
            ended=ended,
            terminators=tuple(sorted({*self.terminators, *more.terminators})),
        )


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
