"""Targets keep their threshold to the last digit: a rounded goalpost is a moved one."""

from __future__ import annotations

import contextlib
import math
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry.domain.targets import Target, criteria_digest
from registry.errors import BadTarget

numbers = st.floats(allow_nan=False, allow_infinity=False)
metrics = st.from_regex(r"[A-Za-z][A-Za-z0-9_.@-]{0,20}", fullmatch=True)
targets = st.builds(Target, metrics, st.sampled_from([">=", "<=", ">", "<"]), numbers)


@given(targets)
@example(Target("f1", ">=", 0.123456789))
@example(Target("tokens", ">=", 12345678.0))
@example(Target("loss", "<", 1e-300))
@example(Target("loss", "<", 1e300))
def test_a_target_reads_back_exactly(target: Target) -> None:
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("f1>=0.90", "f1>=0.9"),
        (" f1 >= .9 ", "f1>=0.9"),
        ("rows>100", "rows>100"),
        ("ece<=1e-2", "ece<=0.01"),
    ],
)
def test_a_target_is_written_as_people_write_it(text: str, written: str) -> None:
    assert str(Target.parse(text)) == written


@given(st.text(alphabet="af1@._- <>=+0123456789eE\n"))
def test_any_text_is_a_finite_target_or_refused(text: str) -> None:
    with contextlib.suppress(BadTarget):
        target = Target.parse(text)
        assert math.isfinite(target.value)
        assert Target.parse(str(target)) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f1",
        "f1>=",
        ">=1",
        "f1==1",
        "f1=>1",
        "f1>=nan",
        "f1>=inf",
        "f1>=1e999",
        "f1>=0,9",
        "f1>=1%",
        "1f>=1",
        "f1>=e",
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(BadTarget) as caught:
        Target.parse(text)
    assert caught.value.message == f"{text!r} is no target"
    assert caught.value.hint == "write METRIC>=NUMBER, for example 'f1>=0.90'"


@given(targets, numbers)
def test_reached_or_missed_but_never_both(target: Target, measured: float) -> None:
    opposite = {">=": "<", "<": ">=", "<=": ">", ">": "<="}[target.op]
    assert target.met_by(measured) != Target(target.metric, opposite, target.value).met_by(measured)


@given(targets)
def test_what_was_not_measured_reaches_nothing(target: Target) -> None:
    assert not target.met_by(math.nan)


@given(st.lists(targets), st.randoms())
def test_the_criteria_do_not_depend_on_their_order(given_: list[Target], dice: Random) -> None:
    shuffled = list(given_)
    dice.shuffle(shuffled)
    assert criteria_digest(given_) == criteria_digest(shuffled)


@given(targets, numbers)
def test_a_moved_goalpost_is_another_criterion(target: Target, value: float) -> None:
    moved = Target(target.metric, target.op, value)
    assert (criteria_digest([target]) == criteria_digest([moved])) == (value == target.value)
