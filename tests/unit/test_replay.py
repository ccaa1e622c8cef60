"""Entries replayed in bulk say what they say one by one; canonical JSON is RFC 8785's, however it is made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.digests import SAFE_INTEGER, canonical
from registry.errors import BadInput
from registry.ledger.entries import make_entry
from registry.ledger.merkle import Tree, leaf_hash, levels_over
from registry.ledger.replay import RawEntry, Replayed, Stored, _one_by_one, problem_of, replay

DIGEST = "sha256:" + "ab" * 32
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.text('abc:/"\\\u00e9\u4e2d\U0001f600', max_size=4)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-SAFE_INTEGER, SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
)
EVENTS = st.dictionaries(KEYS | st.sampled_from(["rows", "event"]), VALUES, max_size=4)
ROWS = st.dictionaries(KEYS.map(lambda key: f"t:{key}"), st.sampled_from([DIGEST, None]), max_size=3)


def stored(number: int, at: datetime, event: dict[str, Any], rows: dict[str, Any], subject: str) -> RawEntry:
    entry = make_entry(at, 7, "something-happened", subject, {"event": event, "rows": rows})
    told = at.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return (
        number, told, 7, "something-happened", subject, entry.header, entry.payload, entry.salt, entry.leaf,
    )  # fmt: skip


TIMES = st.datetimes(datetime(2000, 1, 1), datetime(3000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ENTRIES = st.lists(st.tuples(TIMES, EVENTS, ROWS, TEXTS), max_size=90)


@given(ENTRIES)
def test_in_bulk_and_one_by_one(made: list[tuple[datetime, dict[str, Any], dict[str, Any], str]]) -> None:
    entries = [stored(number, *each) for number, each in enumerate(made)]
    found = replay(entries)
    assert found == _one_by_one(entries)
    assert found.problems == []
    rows: dict[str, Any] = {}
    for _, _, told, _ in made:
        rows |= told
    assert found.rows == rows


def honest(count: int = 100) -> list[RawEntry]:
    at = datetime(2026, 5, 1, 12, 0, 0, 5, UTC)
    return [
        stored(number, at, {"n": number}, {f"t:{number}": DIGEST}, "model:x/1") for number in range(count)
    ]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("at", "2026-05-01T12:00:00.000006", "columns"),
        ("at", "yesterday", "columns"),
        ("at", 7, "columns"),
        ("actor", 8, "columns"),
        ("action", "other", "columns"),
        ("subject", "model:x/2", "columns"),
        ("header", b"{}", "leaf"),
        ("header", "text", "header is none"),
        ("leaf", b"", "leaf"),
        ("payload", b'{"event":{},"rows":{}}', "commits to"),
        ("payload", "text", "commits to"),
        ("payload", None, "has lost its payload"),
        ("salt", None, "has lost its payload"),
        ("salt", b"", "commits to"),
    ],
)
@pytest.mark.parametrize("place", [0, 57, 99])
def test_one_that_is_not_honest(field: str, value: Any, said: str, place: int) -> None:
    entries = honest()
    entries[place] = tuple(Stored(*entries[place])._replace(**{field: value}))
    (problem,) = replay(entries).problems
    assert problem.startswith(f"entry {place} ")
    assert said in problem


def test_a_payload_that_is_erased_is_no_problem_of_its_own() -> None:
    entries = honest()
    entries[3] = tuple(Stored(*entries[3])._replace(payload=None, salt=None))
    found = replay(entries)
    assert (found.erased, found.problems) == ([3], [])
    assert "t:3" not in found.rows


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"no json", b"[]", b'{"rows":7}', b'{"rows":{}', b'{"rows":{"a":1}},{"rows":{}}',
        b'{"event":{},"rows":{}}"t:9":null}', b'{"rows":{"t:9":null},"z":{"rows":{}}}',
    ],
)  # fmt: skip
def test_a_payload_that_is_committed_to_and_is_none(payload: bytes) -> None:
    """Whoever can write to the ledger can commit to anything: nobody else's rows are read from it."""
    entries = honest()
    entry = make_entry(datetime(2026, 5, 1, tzinfo=UTC), 7, "x", "y", {})
    header = json.loads(entry.header)
    header["payload"] = "sha256:" + hashlib.sha256(entry.salt + payload).hexdigest()
    written = canonical(header)
    entries[50] = (
        50,
        "2026-05-01T00:00:00.000000",
        7,
        "x",
        "y",
        written,
        payload,
        entry.salt,
        leaf_hash(written),
    )
    assert problem_of(Stored(*entries[50])) == ""
    found = replay(entries)
    assert found.problems == []
    others = {f"t:{number}": DIGEST for number in range(100) if number != 50}
    assert {key: digest for key, digest in found.rows.items() if key in others and key != "t:9"} == {
        key: digest for key, digest in others.items() if key != "t:9"
    }


@given(VALUES)
def test_canonical_json(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), [2**53], "\ud800", {"\ud800": 1}, {1: 2}, float("nan"), b"x"]
)
def test_what_json_cannot_hold(value: Any) -> None:
    with pytest.raises(BadInput):
        canonical(value)


@given(st.integers(0, 70))
def test_levels_are_what_appending_finishes(size: int) -> None:
    leaves = [bytes([number]) * 32 for number in range(size)]
    tree, finished = Tree(), {}
    for leaf in leaves:
        tree, nodes = tree.append(leaf)
        finished.update({(node.level, node.position): node.hash for node in nodes})
    levels = levels_over(leaves)
    found = {
        (level, position): hash
        for level, hashes in enumerate(levels[1:], 1)
        for position, hash in enumerate(hashes)
    }
    assert found == finished


def test_replays_are_added_in_order() -> None:
    first, second = Replayed(rows={"a": "1", "b": None}), Replayed(rows={"a": None, "c": "2"}, erased=[4])
    first.add(replace(second))
    assert (first.rows, first.erased) == ({"a": None, "b": None, "c": "2"}, [4])
