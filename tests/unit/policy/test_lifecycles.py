"""Lifecycle files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.lifecycle import Step
from registry.errors import BadDocument, NoSuchTransition
from registry.policy import check, parse_lifecycle, shipped_lifecycle

SMALL = """\
kind: Lifecycle
metadata: {name: small}
stages: [idea, live, gone]
steps:
  - {from: idea, to: live}
  - {from: live, to: idea, open: true, why: back}
  - {from: any, to: gone}
work: {data: [idea], design: [idea], train: [idea], deploy: [live], retire: [idea, live]}
"""


def problem(text: str) -> BadDocument:
    with pytest.raises(BadDocument) as caught:
        parse_lifecycle(text, "life.yaml")
    return caught.value


def test_a_lifecycle_is_read_and_any_stands_for_every_other_stage() -> None:
    lifecycle = parse_lifecycle(SMALL, "life.yaml")
    assert lifecycle.stages == ("idea", "live", "gone")
    assert lifecycle.steps == (
        Step("idea", "live"),
        Step("live", "idea", open=True, why="back"),
        Step("idea", "gone"),
        Step("live", "gone"),
    )
    assert lifecycle.work["retire"] == ("idea", "live")


@pytest.mark.parametrize(
    ("change", "line", "said", "hint"),
    [
        (("to: live}", "to: lve}"), 5, "there is no stage 'lve'", "did you mean 'live'?"),
        (("from: idea, to: live", "from: live, to: live"), 5, "a step from live to itself leads nowhere", ""),
        (("from: any", "from: [idea, ide]"), 7, "there is no stage 'ide'", "did you mean 'idea'?"),
        (("open: true", "open: yep"), 6, "open must be true or false, and is text (yep)", ""),
        (("stages: [idea, live, gone]", "stages: [idea, live, gone, lost]"), 5, "no step leads to lost", ""),
        (("data: [idea]", "dta: [idea]"), 8, "work", ""),
        (("train: [idea]", "train: [ide]"), 8, "there is no stage 'ide'", "did you mean 'idea'?"),
        (("gone]", "any]"), 3, "a stage cannot be called 'any'", ""),
        (("gone]", "a b]"), 3, "cannot be used: it holds ' '", ""),
        (("gone]", "idea]"), 3, "stages names 'idea' twice", ""),
        (("metadata: {name: small}\n", ""), 1, "a lifecycle needs a field 'metadata'", ""),
        (("  - {from: any, to: gone}\n", ""), 5, "no step leads to gone", ""),
        (("  - {from: any", "  - {from: gone, to: idea}\n  - {from: any"), 5, "gone is the last stage", ""),
        (("  - {from: any", "  - {from: idea, to: gone}\n  - {from: any"), 5, "is there twice", ""),
    ],
)
def test_what_is_wrong_is_said_where(change: tuple[str, str], line: int, said: str, hint: str) -> None:
    assert change[0] in SMALL
    found = check(SMALL.replace(*change), "life.yaml", shipped_lifecycle())
    matching = [p for p in found if said in p.reason]
    assert matching, [p.reason for p in found]
    assert matching[0].line == line
    assert not hint or matching[0].hint == hint


def test_the_first_problem_is_raised_and_an_empty_file_is_one() -> None:
    assert str(problem("")) == "life.yaml: the file is empty"
    assert problem(SMALL.replace("idea, live, gone]", "idea, live, gone, live]")).line == 3
    assert "is no kind of lifecycle file" in problem(SMALL.replace("Lifecycle", "GatePolicy")).reason
    assert "holds one document" in str(problem(SMALL + "---\n" + SMALL))


def test_the_default_lifecycle_keeps_its_promises() -> None:
    lifecycle = shipped_lifecycle()
    assert lifecycle.first == "planned"
    for stage in lifecycle.stages[:-1]:
        assert not lifecycle.step(stage, "retired").open
    assert lifecycle.following("retired") == ()
    for stage in ("deployed", "monitored"):
        assert lifecycle.step(stage, "evaluated").open
    for origin, to in (("trained", "designed"), ("tuned", "designed"), ("evaluated", "designed")):
        assert lifecycle.step(origin, to).open
    with pytest.raises(NoSuchTransition):
        lifecycle.step("planned", "deployed")
    assert lifecycle.work["data"] == ("planned",)
    assert "retired" not in {stage for stages in lifecycle.work.values() for stage in stages}


@given(st.data())
def test_a_damaged_lifecycle_is_read_or_complained_about(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SMALL)))
    gone = data.draw(st.integers(0, 12))
    new = data.draw(st.text(st.sampled_from("ab:'\"{}[]-,>|&*!#\n\t ."), max_size=4))
    damaged = SMALL[:start] + new + SMALL[start + gone :]
    if not check(damaged, "life.yaml", shipped_lifecycle()):
        assert parse_lifecycle(damaged, "life.yaml").stages
