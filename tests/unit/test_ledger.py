"""The Merkle tree against the recursive definition of RFC 6962, and entries against what they commit to."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.ledger.entries import commitment, make_entry
from registry.ledger.merkle import Node, Tree, leaf_hash

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
# Entries and roots of the reference implementation's test vectors (google/certificate-transparency).
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def grow(leaves: list[bytes]) -> tuple[Tree, list[Node]]:
    tree, nodes = Tree(), []
    for leaf in leaves:
        tree, finished = tree.append(leaf_hash(leaf))
        nodes += finished
    return tree, nodes


def test_the_root_is_the_one_of_the_definition_at_every_size() -> None:
    leaves: list[bytes] = []
    tree = Tree()
    for size in range(200):
        assert (tree.size, tree.root) == (size, naive_root(leaves))
        leaves.append(size.to_bytes(2))
        tree, _ = tree.append(leaf_hash(leaves[-1]))


@pytest.mark.parametrize("size", ROOTS)
def test_the_published_vectors(size: int) -> None:
    tree, _ = grow([bytes.fromhex(text) for text in INPUTS[:size]])
    assert tree.root.hex() == ROOTS[size]


@given(st.lists(st.binary(max_size=8), max_size=130))
def test_finished_nodes_are_all_the_full_subtrees_each_once(leaves: list[bytes]) -> None:
    _, nodes = grow(leaves)
    found = {(node.level, node.position): node.hash for node in nodes}
    expected = {
        (level, position): naive_root(leaves[position << level : (position + 1) << level])
        for level in range(1, len(leaves).bit_length())
        for position in range(len(leaves) >> level)
    }
    assert found == expected
    assert len(nodes) == len(found)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_any_changed_leaf_changes_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    forged = list(leaves)
    forged[index] += b"!"
    assert grow(forged)[0].root != grow(leaves)[0].root


def test_appending_leaves_the_tree_before_as_it_was() -> None:
    before, _ = grow([b"a", b"b", b"c"])
    frontier = before.frontier
    before.append(leaf_hash(b"d"))
    assert (before.size, before.frontier) == (3, frontier)


def test_an_entry_commits_to_its_payload_without_telling_it() -> None:
    payload = {"event": {"name": "alice"}, "rows": {"actors:1": "sha256:00"}}
    entry = make_entry(AT, 1, "actor-added", "actor:1", payload)
    header = json.loads(entry.header)
    assert header == {
        "v": 1,
        "at": "2026-03-01T12:30:15.250000+00:00",
        "actor": 1,
        "action": "actor-added",
        "subject": "actor:1",
        "payload": commitment(entry.salt, entry.payload),
    }
    assert json.loads(entry.payload) == payload
    assert b"alice" not in entry.header
    assert entry.leaf == leaf_hash(entry.header)


def test_the_same_event_twice_has_two_commitments() -> None:
    one, other = (make_entry(AT, 1, "seen", "x", {"n": 1}) for _ in range(2))
    assert one.payload == other.payload
    assert one.header != other.header
    assert len(one.salt) == len(other.salt) == 16


@given(st.binary(min_size=16, max_size=16), st.binary(), st.binary())
def test_no_other_payload_fits_a_commitment(salt: bytes, payload: bytes, forged: bytes) -> None:
    assert (commitment(salt, payload) == commitment(salt, forged)) == (payload == forged)
