"""Values as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.policy.figures import interval, show, show_apart


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.2100001, "0.21"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (12345.678, "12345.7"),
        (0.00001234, "1.234e-05"),
        (412.0, "412"),
        (1e20, "1e+20"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (True, "yes"),
        (False, "no"),
        (7, "7"),
        ("text", "text"),
        (None, ""),
        ([0.5, 1.0], "0.5, 1"),
        ([], ""),
        (list(range(10)), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"),
        ({"b": 1.0, "a": 0.25}, "a: 0.25, b: 1"),
        (timedelta(hours=36), "1.5 days"),
        (datetime(2026, 3, 1, 9, 5, tzinfo=UTC), "2026-03-01 09:05 UTC"),
    ],
)
def test_a_value_reads_well(value: object, text: str) -> None:
    assert show(value) == text


def test_an_interval() -> None:
    assert interval(0.21, 0.17, 0.24) == "0.21 [0.17, 0.24]"


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers, numbers)
def test_different_numbers_never_look_the_same_beside_each_other(value: float, limit: float) -> None:
    shown = show_apart(value, limit)
    assert (shown[0] == shown[1]) is (value == limit)


@given(numbers.filter(lambda x: abs(x) < 1e6))
def test_a_shown_number_is_close(value: float) -> None:
    assert float(show(value)) == pytest.approx(value, rel=1e-3, abs=0.5 if abs(value) > 1000 else 1e-300)
