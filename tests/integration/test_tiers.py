"""Risk tiers: computed from answers; up at once, down only with somebody else's approval."""

from __future__ import annotations

import pytest
from integration.exam import Exam, days
from integration.lived_risks import HARMLESS

from registry.domain.people import APPROVER
from registry.errors import BadInput, Conflict, NotFound, NotPermitted

RISKY = HARMLESS | {"affected": "vulnerable"}
MIDDLING = HARMLESS | {"exposure": "public"}


def tier(exam: Exam) -> tuple[str, str]:
    found = exam.acting("alice").system("credit")
    return found.risk_tier, found.tier_basis


def test_what_was_declared_stands_until_it_is_assessed(exam: Exam) -> None:
    assert tier(exam) == ("limited", "declared, not assessed")


def test_a_higher_tier_is_in_force_at_once(exam: Exam) -> None:
    found = exam.acting("alice").tiers.assess("credit", RISKY)
    assert (found.computed, found.because, found.state) == ("high", ("affected=vulnerable",), "in force")
    assert tier(exam)[0] == found.stands == "high"
    assert tier(exam)[1].endswith("computed high")
    _, dossier = exam.acting("alice").explain(exam.ref, "ready")
    assert dossier.subject.risk_tier == dossier.subject.system.risk_tier == "high"
    assert exam.acting("alice").verify().ok


def test_a_lower_tier_waits_for_somebody_else(exam: Exam) -> None:
    found = exam.acting("alice").tiers.assess("credit", HARMLESS)
    assert (found.computed, found.tier, found.state, found.stands) == (
        "minimal",
        "minimal",
        "requested",
        "limited",
    )
    assert tier(exam)[1].endswith("computed minimal, and minimal waits for an approver")
    approved = exam.acting("ruth").tiers.approve(found.id, "a pilot")
    assert (approved.state, approved.stands, approved.decided_by) == ("in force", "minimal", "ruth")
    assert tier(exam)[1].endswith("minimal approved by ruth")
    assert exam.acting("alice").verify().ok


def test_the_same_tier_needs_nobody(exam: Exam) -> None:
    assert exam.acting("alice").tiers.assess("credit", MIDDLING).state == "in force"


@pytest.mark.parametrize(
    ("answers", "asked", "meanwhile"),
    [(RISKY, "limited", "high"), (RISKY, "minimal", "high"), (HARMLESS, "high", "limited")],
)
def test_another_tier_waits_and_the_higher_one_stands(
    exam: Exam, answers: dict[str, str], asked: str, meanwhile: str
) -> None:
    found = exam.acting("alice").tiers.assess("credit", answers, tier=asked, reason="a pilot of ten")
    assert (found.state, found.stands) == ("requested", meanwhile)
    assert exam.acting("ruth").tiers.approve(found.id).stands == asked


def test_a_rejected_tier_leaves_what_stands(exam: Exam) -> None:
    found = exam.acting("alice").tiers.assess("credit", RISKY, tier="minimal", reason="a pilot")
    rejected = exam.acting("ruth").tiers.reject(found.id, "children use it")
    assert (rejected.state, rejected.stands) == ("rejected", "high")
    assert tier(exam)[1].endswith("minimal was rejected by ruth")
    with pytest.raises(Conflict, match="is rejected already"):
        exam.acting("rob").tiers.approve(found.id)


def test_who_may_not_decide(exam: Exam) -> None:
    root, asked = exam.acting("root"), exam.acting("ruth").tiers.assess("credit", HARMLESS).id
    with pytest.raises(NotPermitted, match="to decide on risk tiers takes the role approver"):
        exam.acting("vera").tiers.approve(asked)
    with pytest.raises(NotPermitted, match=f"ruth asked for assessment {asked}"):
        exam.acting("ruth").tiers.approve(asked)
    root.people.grant("emil", "developer")
    exam.acting("ruth").people.delegate(APPROVER, "emil", until=days(2), reason="on leave")
    with pytest.raises(NotPermitted, match=f"ruth asked for assessment {asked}"):
        exam.acting("emil").tiers.approve(asked)
    root.people.grant("alice", APPROVER)
    with pytest.raises(NotPermitted, match="alice developed for credit"):
        exam.acting("alice").tiers.approve(asked)
    with pytest.raises(NotPermitted, match="takes the role approver"):
        exam.acting("vera").tiers.reject(asked, "no")
    assert exam.acting("ruth").tiers.reject(asked, "asked too early").state == "rejected"


def test_a_newer_assessment_goes_before_an_older_request(exam: Exam) -> None:
    older = exam.acting("alice").tiers.assess("credit", HARMLESS).id
    newer = exam.acting("bob").tiers.assess("credit", RISKY).id
    with pytest.raises(Conflict, match=f"assessment {newer} of credit is newer than {older}"):
        exam.acting("ruth").tiers.approve(older)
    assert tier(exam)[0] == "high"
    assert [found.id for found in exam.acting("alice").tiers.all("credit")] == [older, newer]


def test_a_prohibited_use_has_no_tier(exam: Exam) -> None:
    with pytest.raises(NotPermitted, match="a prohibited use: scores-people=yes"):
        exam.acting("alice").tiers.assess("credit", HARMLESS | {"scores-people": "yes"})
    assert exam.acting("alice").tiers.all() == []


@pytest.mark.parametrize(
    ("answers", "asked", "says", "hint"),
    [
        ({"exposure": "team"}, "", "not answered: purpose, affected", "system questions"),
        (HARMLESS | {"expose": "team"}, "", "no question 'expose'", "did you mean 'exposure'?"),
        (
            HARMLESS | {"exposure": "pubic"},
            "",
            "'pubic' is no answer",
            "did you mean 'public'?",
        ),
        (HARMLESS, "hihg", "no risk tier 'hihg'", "did you mean 'high'?"),
        (HARMLESS, "high", "another tier needs a reason", "--reason"),
    ],
)
def test_what_is_no_assessment(exam: Exam, answers: dict[str, str], asked: str, says: str, hint: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        exam.acting("alice").tiers.assess("credit", answers, tier=asked)
    assert hint in caught.value.hint


def test_numbers_names_and_reasons(exam: Exam) -> None:
    with pytest.raises(NotFound, match="there is no system"):
        exam.acting("alice").tiers.assess("credti", HARMLESS)
    with pytest.raises(NotFound, match="there is no assessment 9"):
        exam.acting("ruth").tiers.approve(9)
    asked = exam.acting("alice").tiers.assess("credit", HARMLESS).id
    with pytest.raises(BadInput, match="a rejection needs a reason"):
        exam.acting("ruth").tiers.reject(asked, " ")
