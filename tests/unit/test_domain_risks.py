"""Scores, categories and the questionnaire, as pure words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.risks import CATEGORIES, Score, check_category, check_residual
from registry.domain.tiers import PROHIBITED, SHIPPED, TIERS, Question, Questionnaire, highest
from registry.errors import BadInput

ANSWERS = st.fixed_dictionaries({q.id: st.sampled_from(sorted(q.answers)) for q in SHIPPED.questions})


@pytest.mark.parametrize("text", ["2x3", " 2 x 3 ", "2*3", "2×3"])
def test_a_score_is_read(text: str) -> None:
    assert Score.parse(text) == Score(2, 3)
    assert (Score.parse(text).value, str(Score.parse(text))) == (6, "2x3")


@pytest.mark.parametrize("text", ["", "6", "2x", "x3", "2x3x1", "two x three", "-1x2"])
def test_what_is_no_score(text: str) -> None:
    with pytest.raises(BadInput, match="is no score"):
        Score.parse(text)


@given(st.integers(), st.integers())
def test_a_score_has_two_numbers_from_1_to_5(likelihood: int, severity: int) -> None:
    if 1 <= likelihood <= 5 and 1 <= severity <= 5:
        assert 1 <= Score(likelihood, severity).value <= 25
    else:
        with pytest.raises(BadInput):
            Score(likelihood, severity)


@given(st.tuples(*[st.integers(1, 5)] * 4))
def test_what_remains_is_no_more_than_there_was(numbers: tuple[int, int, int, int]) -> None:
    inherent, residual = Score(*numbers[:2]), Score(*numbers[2:])
    check_residual(inherent, residual, "it is relied upon")
    if residual.value > inherent.value:
        with pytest.raises(BadInput):
            check_residual(inherent, residual, " ")
    else:
        check_residual(inherent, residual, "")


def test_the_categories_are_those_of_the_design_and_of_the_profile() -> None:
    groups = {name.partition("/")[0] for name in CATEGORIES}
    assert groups == {"training", "launch", "content", "genai"}
    assert sum(name.startswith("genai/") for name in CATEGORIES) == 12
    assert all(check_category(name) == name and 8 < len(label) < 90 for name, label in CATEGORIES.items())


@given(ANSWERS)
def test_the_tier_is_the_highest_that_an_answer_reaches(answers: dict[str, str]) -> None:
    reached = [question.answers[answers[question.id]] for question in SHIPPED.questions]
    assessed = SHIPPED.evaluate(answers)
    assert bool(assessed.prohibited) == (PROHIBITED in reached)
    for tier in TIERS:
        at_least = any(found in TIERS[TIERS.index(tier) :] for found in reached)
        assert (TIERS.index(assessed.tier) >= TIERS.index(tier)) == (at_least or tier == TIERS[0])
    assert all(said.partition("=")[2] == answers[said.partition("=")[0]] for said in assessed.because)


@given(ANSWERS, st.data())
def test_a_questionnaire_with_a_gap_is_no_assessment(answers: dict[str, str], data: st.DataObject) -> None:
    gap = data.draw(st.sampled_from(sorted(answers)))
    with pytest.raises(BadInput, match=f"not answered: {gap}"):
        SHIPPED.evaluate({key: value for key, value in answers.items() if key != gap})


def test_every_tier_can_be_reached_and_one_answer_suffices() -> None:
    harmless = {q.id: next(a for a, tier in q.answers.items() if tier == TIERS[0]) for q in SHIPPED.questions}
    assert SHIPPED.evaluate(harmless).tier == "minimal"
    for question in SHIPPED.questions:
        for answer, tier in question.answers.items():
            assessed = SHIPPED.evaluate(harmless | {question.id: answer})
            said = f"{question.id}={answer}"
            assert said in (assessed.prohibited if tier == PROHIBITED else assessed.because)
            assert assessed.tier == (tier if tier != PROHIBITED else "minimal")


def test_a_changed_questionnaire_is_another_one() -> None:
    first = SHIPPED.questions[0]
    changed = Question(first.id, first.text, {**first.answers, "team": "high"})
    assert Questionnaire((changed, *SHIPPED.questions[1:])).digest != SHIPPED.digest
    assert Questionnaire(SHIPPED.questions).digest == SHIPPED.digest


def test_the_highest_of_nothing_is_the_lowest() -> None:
    assert highest([]) == "minimal"
    assert highest(["limited", "high", "minimal"]) == "high"
