"""The lifecycle: only its steps, only in its stages, and every refusal says what else there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.lifecycle import Lifecycle, Step
from registry.errors import NoSuchStage, NoSuchTransition, WrongStage
from registry.policy import shipped_lifecycle

WORDS = ("draft", "built", "checked", "live", "gone")
SHIPPED = shipped_lifecycle()


@st.composite
def lifecycles(draw: st.DrawFn) -> Lifecycle:
    stages = tuple(draw(st.lists(st.sampled_from(WORDS), min_size=2, unique=True)))
    pairs = draw(st.sets(st.tuples(st.sampled_from(stages[:-1]), st.sampled_from(stages))))
    steps = tuple(Step(origin, to, draw(st.booleans())) for origin, to in sorted(pairs) if origin != to)
    work = {"train": tuple(draw(st.lists(st.sampled_from(stages), unique=True)))}
    return Lifecycle("drawn", stages, steps, work)


@given(lifecycles(), st.sampled_from(WORDS), st.sampled_from(WORDS))
def test_a_step_is_one_of_the_lifecycle_or_refused(lifecycle: Lifecycle, origin: str, to: str) -> None:
    allowed = {(step.origin, step.to): step for step in lifecycle.steps}
    if (origin, to) in allowed:
        assert lifecycle.step(origin, to) is allowed[origin, to]
        assert to in lifecycle.following(origin)
    elif to not in lifecycle.stages:
        with pytest.raises(NoSuchStage, match=f"there is no stage '{to}'"):
            lifecycle.step(origin, to)
    else:
        with pytest.raises(NoSuchTransition) as caught:
            lifecycle.step(origin, to)
        if origin == to:
            assert caught.value.message == f"it is {to} already"
        else:
            assert caught.value.message == f"{to} cannot follow {origin}"
            assert all(stage in caught.value.hint for stage in lifecycle.following(origin))
            assert lifecycle.following(origin) or caught.value.hint == f"{origin} is final"


@given(lifecycles(), st.data())
def test_any_walk_keeps_to_the_steps(lifecycle: Lifecycle, data: st.DataObject) -> None:
    stage, pairs = lifecycle.first, {(step.origin, step.to) for step in lifecycle.steps}
    for _ in range(10):
        options = lifecycle.following(stage)
        assert [(stage, to) in pairs for to in lifecycle.stages] == [to in options for to in lifecycle.stages]
        if not options:
            break
        stage = lifecycle.step(stage, data.draw(st.sampled_from(options))).to
        assert stage in lifecycle.stages


@given(lifecycles(), st.data())
def test_work_is_done_where_the_lifecycle_says(lifecycle: Lifecycle, data: st.DataObject) -> None:
    stage = data.draw(st.sampled_from(lifecycle.stages))
    if stage in lifecycle.work["train"]:
        lifecycle.check_work("train", stage, "loans/1")
    else:
        with pytest.raises(WrongStage, match=f"loans/1 is {stage}"):
            lifecycle.check_work("train", stage, "loans/1")
    lifecycle.check_work("a work that it does not speak of", stage, "loans/1")


def test_work_at_the_wrong_stage_names_the_step_that_leads_to_the_right_one() -> None:
    with pytest.raises(WrongStage) as caught:
        SHIPPED.check_work("train", "prepared", "loans/1")
    assert (
        caught.value.message
        == "train is done while a version is designed or trained or tuned; loans/1 is prepared"
    )
    assert caught.value.hint == "phasegate promote loans/1 designed"


def test_work_that_no_step_leads_to_needs_a_new_version() -> None:
    with pytest.raises(WrongStage) as caught:
        SHIPPED.check_work("data", "retired", "loans/1")
    assert caught.value.hint == "plan a new version: phasegate model plan"


def test_an_unknown_stage_gets_the_nearest_name() -> None:
    with pytest.raises(NoSuchStage) as caught:
        SHIPPED.step("planned", "evaluted")
    assert caught.value.hint == "did you mean 'evaluated'?"


def test_the_shipped_lifecycle_is_the_one_that_is_documented() -> None:
    forward = {(step.origin, step.to) for step in SHIPPED.steps if not step.open}
    assert SHIPPED.first == "planned"
    assert forward == {
        ("planned", "prepared"),
        ("prepared", "designed"),
        ("designed", "trained"),
        ("designed", "tuned"),
        ("trained", "tuned"),
        ("trained", "evaluated"),
        ("tuned", "evaluated"),
        ("evaluated", "deployed"),
        ("deployed", "monitored"),
        *((stage, "retired") for stage in SHIPPED.stages[:-1]),
    }
    # What is open leads away from production, never towards it.
    assert {(step.origin, step.to) for step in SHIPPED.steps if step.open} == {
        ("trained", "designed"),
        ("tuned", "designed"),
        ("evaluated", "designed"),
        ("evaluated", "tuned"),
        ("deployed", "evaluated"),
        ("monitored", "evaluated"),
    }
    assert SHIPPED.following("retired") == ()
