"""Hashes of the ledger's tree, read for a proof: O(log n) of them, in two queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TypeVar

from sqlalchemy import Executable, select, text
from sqlalchemy.orm import Session

from registry.errors import BadInput, IntegrityViolated
from registry.ledger.merkle import Tree
from registry.ledger.proofs import Range, Subtree, consistency_ranges, inclusion_ranges
from registry.storage.tables.ledger import LedgerEntry, LedgerHead, LedgerNode

_HASH = 32
_AT_ONCE = 128  # more than any one proof needs
_T = TypeVar("_T")


def read_tree(session: Session) -> Tree:
    """The tree as it is now: its size, and the frontier that gives its root.

    Raises:
        IntegrityViolated: Its head is gone.
    """
    found = session.execute(select(LedgerHead.size, LedgerHead.frontier)).one_or_none()
    if found is None:
        raise IntegrityViolated("the ledger's head is gone", hint="phasegate audit verify")
    size, frontier = found
    return Tree(size, tuple(frontier[i : i + _HASH] for i in range(0, len(frontier), _HASH)))


def root_at(session: Session, size: int) -> bytes:
    """The root that the tree had when it had `size` leaves.

    Raises:
        IntegrityViolated: A node that is needed is gone.
    """
    (root,) = _roots(session, [Range(0, size)])
    return root


def roots_at(session: Session, sizes: Iterable[int]) -> dict[int, bytes | None]:
    """The roots that the tree had at many sizes, read together; None where a node is gone."""
    ranges = {size: Range(0, size) for size in sizes}
    hashes = _read(session, {subtree for part in ranges.values() for subtree in part.subtrees()})
    return {
        size: part.root(hashes) if all(subtree in hashes for subtree in part.subtrees()) else None
        for size, part in ranges.items()
    }


def inclusion_proof(session: Session, index: int, size: int) -> list[bytes]:
    """Hashes that lead from leaf `index` to the root of the tree of `size` leaves.

    Raises:
        BadInput: That tree has no such leaf.
        IntegrityViolated: A node that is needed is gone.
    """
    if not 0 <= index < size:
        raise BadInput(f"there is no entry {index} among the first {size}: they count from 0")
    return _roots(session, inclusion_ranges(index, size))


def consistency_proof(session: Session, old: int, size: int) -> list[bytes]:
    """Hashes that show that the tree of `old` leaves is the beginning of the one of `size` leaves.

    Raises:
        BadInput: The old tree is the larger one.
        IntegrityViolated: A node that is needed is gone.
    """
    if not 0 <= old <= size:
        raise BadInput(f"a ledger of {old} entries is no beginning of one of {size}")
    return _roots(session, consistency_ranges(old, size))


def _roots(session: Session, ranges: Sequence[Range]) -> list[bytes]:
    wanted = {subtree for part in ranges for subtree in part.subtrees()}
    hashes = _read(session, wanted)
    if missing := sorted(wanted - hashes.keys()):
        named = ", ".join(
            f"entry {position}" if level == 0 else f"node {position} of level {level}"
            for level, position in missing
        )
        raise IntegrityViolated(f"the ledger's tree has lost {named}", hint="phasegate audit verify")
    return [part.root(hashes) for part in ranges]


def _read(session: Session, wanted: set[Subtree]) -> dict[Subtree, bytes]:
    found: dict[Subtree, bytes] = {}
    leaves = sorted(position for level, position in wanted if level == 0)
    nodes = sorted(subtree for subtree in wanted if subtree.level)
    for some in _chunks(leaves):
        entries = select(LedgerEntry.index, LedgerEntry.leaf).where(LedgerEntry.index.in_(some))
        found.update((Subtree(0, index), leaf) for index, leaf in session.execute(entries))
    for group in _chunks(nodes):
        keys = {
            f"{part}{number}": value
            for number, node in enumerate(group)
            for part, value in zip("lp", node, strict=True)
        }
        rows = session.execute(_select_nodes(len(group)), keys)
        found.update((Subtree(level, position), hash) for level, position, hash in rows)
    return found


def _chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


@cache
def _select_nodes(count: int) -> Executable:
    """Nodes by their keys; as text, because SQLite searches no index for `(level, position) IN (...)`."""
    node = "(level = :l{0} AND position = :p{0})"
    where = " OR ".join(node.format(number) for number in range(count))
    return text(f"SELECT level, position, hash FROM {LedgerNode.__tablename__} WHERE {where}").columns(
        LedgerNode.level, LedgerNode.position, LedgerNode.hash
    )
