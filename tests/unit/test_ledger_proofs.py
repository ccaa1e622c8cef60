"""Proofs against the definitions of RFC 6962, sections 2.1.1 and 2.1.2, taken word for word."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.ledger.merkle import Tree, leaf_hash, node_hash
from registry.ledger.proofs import (
    Range,
    Subtree,
    consistency_ranges,
    inclusion_ranges,
    proves_consistency,
    proves_inclusion,
)

LEAVES = [number.to_bytes(2) for number in range(140)]
sizes = st.integers(1, len(LEAVES))


def split(count: int) -> int:
    """The largest power of two smaller than a number."""
    k = 1
    while 2 * k < count:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    """Merkle tree hash: section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = split(len(leaves))
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """Audit path: section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], *, known: bool = True) -> list[bytes]:
    """Consistency proof: section 2.1.2."""
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known=known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], known=False), mth(leaves[:k])]


def stored(leaves: list[bytes]) -> dict[Subtree, bytes]:
    """What a registry stores of a tree: its leaves' hashes, and the nodes that appending finished."""
    tree, hashes = Tree(), {}
    for position, leaf in enumerate(leaves):
        hashes[Subtree(0, position)] = leaf_hash(leaf)
        tree, finished = tree.append(leaf_hash(leaf))
        hashes |= {Subtree(node.level, node.position): node.hash for node in finished}
    return hashes


HASHES = stored(LEAVES)


def inclusion(index: int, size: int) -> list[bytes]:
    return [part.root(HASHES) for part in inclusion_ranges(index, size)]


def consistency(old: int, size: int) -> list[bytes]:
    return [part.root(HASHES) for part in consistency_ranges(old, size)]


@pytest.mark.parametrize("size", [*range(1, 35), 63, 64, 65, 100, 127, 128, 129])
def test_every_proof_is_the_one_of_the_definition_and_proves_it(size: int) -> None:
    leaves, root = LEAVES[:size], mth(LEAVES[:size])
    for index in range(size):
        proof = inclusion(index, size)
        assert proof == path(index, leaves)
        assert proves_inclusion(leaf_hash(leaves[index]), index, size, proof, root)
    for old in range(1, size + 1):
        proof = consistency(old, size)
        assert proof == subproof(old, leaves)
        assert proves_consistency(old, mth(leaves[:old]), size, root, proof)


@given(sizes, st.data())
def test_a_proof_is_as_long_as_the_tree_is_high(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    assert len(inclusion_ranges(index, size)) <= (size - 1).bit_length()
    assert len(consistency_ranges(index, size)) <= (size - 1).bit_length() + 1


@given(st.integers(1, 2**62), st.data())
def test_what_is_read_for_a_proof_grows_with_the_logarithm(size: int, data: st.DataObject) -> None:
    """Only one range of a proof is no full subtree on its own: the right edge."""
    for ranges in (
        inclusion_ranges(data.draw(st.integers(0, size - 1)), size),
        consistency_ranges(data.draw(st.integers(1, size)), size),
    ):
        read = [subtree for part in ranges for subtree in part.subtrees()]
        assert len(read) == len(set(read)) <= 2 * size.bit_length()
        assert all((subtree.position + 1) << subtree.level <= size for subtree in read)


@given(sizes)
def test_the_root_of_a_range_that_is_the_tree(size: int) -> None:
    assert Range(0, size).root(HASHES) == mth(LEAVES[:size])


def test_the_root_of_nothing() -> None:
    assert Range(0, 0).root({}) == hashlib.sha256(b"").digest() == Tree().root


# -- what proves nothing -------------------------------------------------------------------------


@given(sizes, st.data())
def test_an_inclusion_proof_is_for_one_leaf_number_size_and_root(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(-1, size + 1).filter(lambda number: number != index))
    leaf, root, proof = leaf_hash(LEAVES[index]), mth(LEAVES[:size]), inclusion(index, size)
    assert not proves_inclusion(leaf, other, size, proof, root)
    assert not proves_inclusion(leaf_hash(b"forged"), index, size, proof, root)
    assert not proves_inclusion(leaf, index, size, proof, mth(LEAVES[: size - 1]))
    assert not proves_inclusion(leaf, index, size, [*proof, root], root)
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        assert not proves_inclusion(leaf, index, size, [*proof[:place], *proof[place + 1 :]], root)
        forged = [*proof[:place], leaf_hash(b"forged"), *proof[place + 1 :]]
        assert not proves_inclusion(leaf, index, size, forged, root)


@given(sizes, st.data())
def test_a_consistency_proof_is_for_two_trees(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    old_root, root, proof = mth(LEAVES[:old]), mth(LEAVES[:size]), consistency(old, size)
    forged = mth([*LEAVES[: old - 1], b"forged"])
    assert not proves_consistency(old, forged, size, root, proof)
    assert not proves_consistency(old, old_root, size, mth([b"forged", *LEAVES[1:size]]), proof)
    assert not proves_consistency(old, old_root, size, root, [*proof, root])
    assert not proves_consistency(size + 1, root, size, root, [])
    assert not proves_consistency(-1, root, size, root, [])
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        assert not proves_consistency(old, old_root, size, root, [*proof[:place], *proof[place + 1 :]])
        changed = [*proof[:place], leaf_hash(b"forged"), *proof[place + 1 :]]
        assert not proves_consistency(old, old_root, size, root, changed)


@given(st.integers(2, len(LEAVES)), st.data())
def test_no_proof_makes_a_rewritten_history_consistent(size: int, data: st.DataObject) -> None:
    """The forger has all of the new tree to make proofs of."""
    old = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, old - 1))
    forged = [*LEAVES[:changed], b"forged", *LEAVES[changed + 1 : size]]
    hashes = stored(forged)
    proof = [part.root(hashes) for part in consistency_ranges(old, size)]
    assert proves_consistency(old, mth(forged[:old]), size, mth(forged), proof)
    assert not proves_consistency(old, mth(LEAVES[:old]), size, mth(forged), proof)


def test_the_empty_tree_is_the_beginning_of_every_tree() -> None:
    empty, root = mth([]), mth(LEAVES[:5])
    assert consistency_ranges(0, 5) == []
    assert proves_consistency(0, empty, 5, root, [])
    assert proves_consistency(0, empty, 0, empty, [])
    assert not proves_consistency(0, root, 5, root, [])
    assert not proves_consistency(0, empty, 5, root, [root])
