"""Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2): what goes in, and what they prove.

A proof is a list of hashes, each the root of a range of leaves. A range is
put together from full subtrees, whose roots are stored: O(log n) of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from hashlib import sha256
from typing import NamedTuple

from registry.ledger.merkle import node_hash

_EMPTY = sha256(b"").digest()


class Subtree(NamedTuple):
    """A full subtree: over leaves `position * 2^level` up to, not including, `(position + 1) * 2^level`.

    Level 0 is a leaf.
    """

    level: int
    position: int


class Range(NamedTuple):
    """Leaves `begin` up to, not including, `end`.

    `begin` is a multiple of some power of two that is at least their number.
    """

    begin: int
    end: int

    def subtrees(self) -> Iterator[Subtree]:
        """The full subtrees that the range consists of, largest first."""
        begin = self.begin
        while size := self.end - begin:
            level = size.bit_length() - 1
            yield Subtree(level, begin >> level)
            begin += 1 << level

    def root(self, hashes: Mapping[Subtree, bytes]) -> bytes:
        """Merkle tree hash of the range, from the roots of its subtrees."""
        parts = [hashes[subtree] for subtree in self.subtrees()]
        return reduce(lambda right, left: node_hash(left, right), reversed(parts)) if parts else _EMPTY


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Ranges whose roots prove that leaf `index` is in the tree of `size` leaves; its sibling first."""
    ranges, begin, end = [], 0, size
    while end - begin > 1:
        middle = _middle(begin, end)
        if index < middle:
            ranges.append(Range(middle, end))
            end = middle
        else:
            ranges.append(Range(begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """Ranges whose roots prove that a tree of `old` leaves is the beginning of one of `size` leaves."""
    ranges: list[Range] = []
    if old == 0:
        return ranges
    begin, end, known = 0, size, True  # known: the range is all of the old tree, whose root the reader has
    while old != end:
        middle = _middle(begin, end)
        if old <= middle:
            ranges.append(Range(middle, end))
            end = middle
        else:
            ranges.append(Range(begin, middle))
            begin, known = middle, False
    if not known:
        ranges.append(Range(begin, end))
    return ranges[::-1]


def _middle(begin: int, end: int) -> int:
    """Where RFC 6962 splits a range: after the largest power of two smaller than its length."""
    return begin + (1 << (end - begin - 1).bit_length() - 1)


def proves_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether a leaf hash is at `index` of the tree with that size and root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    here, last, found = index, size - 1, leaf
    for hash in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = node_hash(hash, found)
            here, last = _up_from_the_edge(here, last)
        else:
            found = node_hash(found, hash)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root


def proves_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `old` leaves is the beginning of the one of `size` (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= size:
        return False
    if old in (0, size):
        return not proof and (old_root == root if old else old_root == _EMPTY)
    if old & (old - 1) == 0:  # a full subtree: its root is the first of the proof
        proof = [old_root, *proof]
    if not proof:
        return False
    here, last = old - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    found_old = found = proof[0]
    for hash in proof[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            found_old, found = node_hash(hash, found_old), node_hash(hash, found)
            here, last = _up_from_the_edge(here, last)
        else:
            found = node_hash(found, hash)
        here, last = here >> 1, last >> 1
    return last == 0 and found_old == old_root and found == root


def _up_from_the_edge(here: int, last: int) -> tuple[int, int]:
    """Past the levels at which the right edge of the tree has no sibling."""
    while here and not here & 1:
        here, last = here >> 1, last >> 1
    return here, last
