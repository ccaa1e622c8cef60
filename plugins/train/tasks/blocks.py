"""Documents as token ids, packed into blocks of one length: nothing is lost, and little is padding.

A document is framed by a begin and an end token; the last is only ever predicted, never read. One that is
longer than a block is cut into pieces, and what follows a piece is predicted from it, so that every token
but a document's first is predicted exactly once. Pieces are put into blocks by best fit, longest first
(Ding et al. 2024, "Fewer Truncations Improve Language Modeling"): no piece is cut for want of room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

IGNORED = -100
"""The label that a loss does not count."""


@dataclass(frozen=True)
class Tokens:
    """Documents, one after the other.

    Attributes:
        ids: Of all tokens, shape (tokens,), unsigned.
        starts: Where each document begins, and where the last one ends; shape (documents + 1,).
        trained: Whether the loss counts a token when it is predicted, shape (tokens,); None for all.
    """

    ids: np.ndarray
    starts: np.ndarray
    trained: np.ndarray | None = None

    @classmethod
    def of(cls, documents: Sequence[Any], trained: Sequence[Any] | None = None) -> Tokens:
        """From the ids of each document, and which of them are trained."""
        import numpy as np

        starts = np.zeros(len(documents) + 1, np.int64)
        np.cumsum([len(ids) for ids in documents], out=starts[1:])
        flat = np.empty(starts[-1], np.uint32)
        for number, ids in enumerate(documents):
            flat[starts[number] : starts[number + 1]] = ids
        if not len(flat) or flat.max() < 1 << 16:
            flat = flat.astype(np.uint16)
        return cls(flat, starts, None if trained is None else np.concatenate(trained))

    def __add__(self, more: Tokens) -> Tokens:
        """The documents of both; the loss counts tokens of both alike."""
        import numpy as np

        assert (self.trained is None) == (more.trained is None)
        return Tokens(
            np.concatenate([self.ids, more.ids]),
            np.concatenate([self.starts, more.starts[1:] + self.starts[-1]]),
            None if self.trained is None else np.concatenate([self.trained, more.trained]),
        )


class Blocks(Sequence[int]):
    """Rows of a batch: each holds pieces of documents, one or several.

    A piece is as many predictions: it reads `length` tokens from `start`, and predicts those from
    `start + 1`.

    Attributes:
        tokens: What they are cut from.
        starts: Of each piece, in the order of the blocks; shape (pieces,).
        lengths: Of each piece; shape (pieces,).
        first: Number of each block's first piece, and of all pieces; shape (blocks + 1,).
        sizes: Tokens that each block reads; shape (blocks,).
        apart: Whether a block may hold several pieces, none of which may see another.
    """

    def __init__(self, tokens: Tokens, pieces: np.ndarray, first: np.ndarray) -> None:
        import numpy as np

        self.tokens = tokens
        self.starts, self.lengths = pieces[:, 0], pieces[:, 1]
        self.first = first
        self.sizes = np.add.reduceat(self.lengths, first[:-1])
        self.apart = len(pieces) > len(first) - 1

    def __len__(self) -> int:
        return len(self.first) - 1

    def __add__(self, more: Blocks) -> Blocks:
        """The blocks of both, each as it was."""
        import numpy as np

        starts = np.concatenate([self.starts, more.starts + len(self.tokens.ids)])
        lengths = np.concatenate([self.lengths, more.lengths])
        first = np.concatenate([self.first, more.first[1:] + self.first[-1]])
        return Blocks(self.tokens + more.tokens, np.stack([starts, lengths], axis=1), first)

    def __getitem__(self, block: Any) -> Any:
        """Tokens that a block reads."""
        return self.sizes[block]

    def pieces(self, block: int) -> list[tuple[int, int]]:
        """Start and length of each piece of a block."""
        part = slice(self.first[block], self.first[block + 1])
        return list(zip(self.starts[part].tolist(), self.lengths[part].tolist(), strict=True))

    def take(self, rows: Sequence[int], filler: int, width: int | None = None) -> dict[str, np.ndarray]:
        """Some blocks as rectangles of shape (rows, width), computed without a loop over tokens.

        Args:
            rows: Which blocks.
            filler: Id that fills a row up; it is neither predicted nor seen by what is.
            width: Of the rectangles; None for the longest of the blocks.

        Returns:
            `input_ids`, `labels`, and `position_ids`, which begin anew with every piece.
        """
        import numpy as np

        chosen = np.asarray(rows)
        width = width or int(self.sizes[chosen].max())
        counts = self.first[chosen + 1] - self.first[chosen]
        piece = _ranges(self.first[chosen], counts)
        lengths, starts = self.lengths[piece], self.starts[piece]
        place = np.arange(len(chosen)) * width
        inside = np.cumsum(lengths) - lengths
        row_begins = np.repeat(inside[np.cumsum(counts) - counts], counts)
        target = _ranges(np.repeat(place, counts) + inside - row_begins, lengths)
        source = _ranges(starts, lengths)
        found = {name: np.zeros(len(chosen) * width, np.int64) for name in ("input_ids", "position_ids")}
        found["input_ids"][:] = filler
        found["input_ids"][target] = self.tokens.ids[source]
        found["position_ids"][target] = source - np.repeat(starts, lengths)
        labels = np.full(len(chosen) * width, IGNORED, np.int64)
        labels[target] = self.tokens.ids[source + 1]
        if self.tokens.trained is not None:
            labels[target[~self.tokens.trained[source + 1]]] = IGNORED
        found["labels"] = labels
        return {name: values.reshape(len(chosen), width) for name, values in found.items()}

    def documents(self, block: int) -> list[tuple[int, int, int]]:
        """Document, first and last-but-one token of each that a block reads or predicts, in its order.

        Tokens are counted within `tokens.ids`, what is predicted last included.
        """
        import numpy as np

        found = []
        begins = self.tokens.starts
        for start, length in self.pieces(block):
            end = start + length + 1
            number = int(np.searchsorted(begins, start, side="right")) - 1
            while number < len(begins) - 1 and begins[number] < end:
                found.append((number, max(start, int(begins[number])), min(end, int(begins[number + 1]))))
                number += 1
        return found


def cut(tokens: Tokens, context: int, *, stream: bool = False, keep_rest: bool = True) -> np.ndarray:
    """Pieces of at most `context` tokens, as start and length, shape (pieces, 2).

    Args:
        tokens: Documents.
        context: Longest piece.
        stream: Whether the documents are one text.
        keep_rest: Whether what is beyond a document's first piece is kept.
    """
    import numpy as np

    starts = tokens.starts[[0, -1]] if stream else tokens.starts
    reads = np.maximum(np.diff(starts) - 1, 0)
    counts = -(-reads // context) if keep_rest else np.minimum(reads, 1)
    offsets = _ranges(np.zeros_like(counts), counts) * context
    begins = np.repeat(starts[:-1], counts) + offsets
    lengths = np.minimum(np.repeat(reads, counts) - offsets, context)
    return np.stack([begins, lengths], axis=1)


def one_each(tokens: Tokens, pieces: np.ndarray) -> Blocks:
    """A block for each piece."""
    import numpy as np

    return Blocks(tokens, pieces, np.arange(len(pieces) + 1))


def pack(tokens: Tokens, pieces: np.ndarray, context: int) -> Blocks:
    """As few blocks as best fit needs; each piece is put where it leaves the least room."""
    import numpy as np

    # Blocks by room that is left, and a bit for each room that some block has: the lowest bit from
    # `length` on is the best fit.
    rooms: dict[int, list[int]] = {}
    bits = 0
    block = np.empty(len(pieces), np.int64)
    blocks = 0
    order = np.argsort(-pieces[:, 1], kind="stable")
    for number, length in zip(order.tolist(), pieces[order, 1].tolist(), strict=True):
        fitting = bits >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            chosen = rooms[room].pop()
            if not rooms[room]:
                bits &= ~(1 << room)
        else:
            room, chosen, blocks = context, blocks, blocks + 1
        block[number] = chosen
        if left := room - length:
            rooms.setdefault(left, []).append(chosen)
            bits |= 1 << left
    grouped = np.argsort(block, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(block, minlength=blocks))])
    return Blocks(tokens, pieces[grouped], first)


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`start, start + 1, ...` of each count, one after the other."""
    import numpy as np

    before = np.cumsum(counts) - counts
    found: np.ndarray = np.arange(int(counts.sum())) + np.repeat(starts - before, counts)
    return found
