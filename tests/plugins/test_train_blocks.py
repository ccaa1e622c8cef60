"""Blocks: every token is predicted once, and rows are what a plain loop would make of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.plugins.train.tasks.blocks import IGNORED, Blocks, Tokens, cut, one_each, pack

DOCUMENTS = st.lists(st.integers(2, 40), min_size=1, max_size=30)


def corpus(lengths: list[int]) -> Tokens:
    """Documents whose tokens are all different."""
    ids = np.arange(sum(lengths))
    return Tokens.of(np.split(ids, np.cumsum(lengths)[:-1]))


def predicted(blocks: Blocks) -> Counter[tuple[int, int]]:
    """Each token that is predicted, with the one that is read before it."""
    found = blocks.take(range(len(blocks)), filler=0)
    kept = found["labels"] != IGNORED
    return Counter(zip(found["input_ids"][kept].tolist(), found["labels"][kept].tolist(), strict=True))


@given(DOCUMENTS, st.integers(1, 16))
def test_every_token_but_the_first_of_a_document_is_predicted_once(lengths: list[int], context: int) -> None:
    tokens = corpus(lengths)
    first = set(tokens.starts[:-1].tolist())
    wanted = Counter((i - 1, i) for i in range(len(tokens.ids)) if i not in first)
    pieces = cut(tokens, context)
    for blocks in (one_each(tokens, pieces), pack(tokens, pieces, context)):
        assert predicted(blocks) == wanted
        assert blocks.sizes.max() <= context


@given(DOCUMENTS, st.integers(1, 16))
def test_of_a_stream_only_the_first_is_not_predicted(lengths: list[int], context: int) -> None:
    tokens = corpus(lengths)
    blocks = one_each(tokens, cut(tokens, context, stream=True))
    assert predicted(blocks) == Counter((i - 1, i) for i in range(1, len(tokens.ids)))
    assert all(size == context for size in blocks.sizes[:-1])


@given(DOCUMENTS, st.integers(2, 16))
def test_positions_begin_anew_with_every_piece(lengths: list[int], context: int) -> None:
    tokens = corpus(lengths)
    blocks = pack(tokens, cut(tokens, context), context)
    found = blocks.take(range(len(blocks)), filler=7, width=context + 2)
    for row in range(len(blocks)):
        ids, positions = [], []
        for start, length in blocks.pieces(row):
            ids += range(start, start + length)
            positions += range(length)
        filling = context + 2 - len(ids)
        assert found["input_ids"][row].tolist() == [*ids, *[7] * filling]
        assert found["position_ids"][row].tolist() == [*positions, *[0] * filling]
        assert (found["labels"][row][len(ids) :] == IGNORED).all()


def test_best_fit_fills_blocks_that_can_be_filled() -> None:
    lengths = [5, 3, 8, 4, 4, 2, 6]
    tokens = corpus([length + 1 for length in lengths])
    blocks = pack(tokens, cut(tokens, 8), 8)
    assert blocks.sizes.tolist() == [8, 8, 8, 8]


def test_what_is_not_trained_is_no_label() -> None:
    tokens = Tokens.of([[5, 6, 7, 8]], [np.array([True, False, True, False])])
    found = one_each(tokens, cut(tokens, 8)).take([0], 0)
    assert found["labels"].tolist() == [[IGNORED, 7, IGNORED]]


@pytest.mark.parametrize(("highest", "size"), [(65_535, 2), (65_536, 4)])
def test_ids_take_no_more_room_than_they_need(highest: int, size: int) -> None:
    assert Tokens.of([[1, highest]]).ids.itemsize == size


def test_documents_of_a_block_are_told_apart_in_a_stream() -> None:
    tokens = corpus([4, 3, 5])
    blocks = one_each(tokens, cut(tokens, 5, stream=True))
    assert blocks.documents(0) == [(0, 0, 4), (1, 4, 6)]
    assert blocks.documents(1) == [(1, 5, 7), (2, 7, 11)]
