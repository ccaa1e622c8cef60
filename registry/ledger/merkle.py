"""An append-only Merkle tree (RFC 6962, section 2.1).

The tree is kept as its *frontier*: the roots of the full subtrees that the
binary digits of its size name, largest first. Appending costs O(log n).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import reduce


def leaf_hash(data: bytes) -> bytes:
    """Hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Node:
    """A finished inner node.

    It is the root of the full subtree over leaves `position * 2^level` up to, not including,
    `(position + 1) * 2^level`.
    """

    level: int
    position: int
    hash: bytes


def levels_over(hashes: list[bytes]) -> list[list[bytes]]:
    """The full subtrees over nodes that stand side by side, level by level; the first is the nodes.

    What has no sibling yet is in the list of its own level only, as its last.
    """
    levels, sha256 = [hashes], hashlib.sha256
    while len(levels[-1]) > 1:
        each = iter(levels[-1])
        levels.append([sha256(b"\x01" + left + right).digest() for left, right in zip(each, each)])  # noqa: B905
    return levels


@dataclass(frozen=True, slots=True)
class Tree:
    """The state of a tree: its size and frontier (32 bytes each)."""

    size: int = 0
    frontier: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> tuple[Tree, list[Node]]:
        """The tree with one more leaf hash, and the inner nodes that it finished."""
        finished = []
        frontier, carry, level = list(self.frontier), leaf, 0
        while self.size >> level & 1:
            carry = node_hash(frontier.pop(), carry)
            level += 1
            finished.append(Node(level, self.size >> level, carry))
        return Tree(self.size + 1, (*frontier, carry)), finished

    @property
    def root(self) -> bytes:
        """The Merkle tree hash; of an empty tree, the hash of nothing."""
        if not self.frontier:
            return hashlib.sha256(b"").digest()
        return reduce(lambda right, left: node_hash(left, right), reversed(self.frontier))
