"""Digests stand for values: equal for equal values, whatever order they were written in."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.digests import canonical, digest_bytes, digest_of, short
from registry.errors import BadInput

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


def reordered(value: Any) -> Any:
    """The same value with the keys of all its objects the other way round."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(values)
def test_canonical_json_is_json_and_says_the_same(value: Any) -> None:
    # JSON has one kind of number: a large float is written without a point.
    assert json.loads(canonical(value), parse_int=float) == value


@given(values)
def test_the_fast_way_writes_what_the_library_writes(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        {"\U0001f600": 1, "\ue000": 2},
        [-0.0, 0.0, 1.0, 1e15, 1e16, 1e21, 1e-5, 0.0001, 5e-324, 2.0**53],
        ["\x7f\u2028\x00\x1f"],
        (1, [True, None]),
    ],
)
def test_the_corners_of_the_fast_way(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(values)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert digest_of(value) == digest_of(reordered(value))


@given(values)
def test_what_was_stored_as_json_keeps_its_digest(value: Any) -> None:
    assert digest_of(json.loads(json.dumps(value))) == digest_of(value)


@given(values, values)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    assert (digest_of(one) == digest_of(other)) == (canonical(one) == canonical(other))


def test_the_vector_of_rfc_8785() -> None:
    """Section 3.2.2."""
    text = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    expected = (
        r"""{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"""
        r""""string":"€$\u000f\nA'B\"\\\\\"/"}"""
    )
    assert canonical(json.loads(text)).decode() == expected


@given(st.binary())
def test_digests_of_bytes_are_sha256(data: bytes) -> None:
    assert digest_bytes(data) == "sha256:" + hashlib.sha256(data).hexdigest()
    assert short(digest_bytes(data)) == digest_bytes(data)[: len("sha256:") + 12]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, "\ud800", {"deep": [float("-inf")]}, b"bytes"], ids=repr
)
def test_what_json_cannot_hold_is_bad_input(value: Any) -> None:
    with pytest.raises(BadInput, match="cannot be recorded"):
        canonical(value)
