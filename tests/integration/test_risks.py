"""The risk register: judged, accepted by others, judged anew, closed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from integration.exam import Exam, days

from registry.domain.people import APPROVER, REVIEWER
from registry.errors import BadInput, Conflict, NotFound, NotPermitted

SAID: dict[str, Any] = {
    "category": "training/bias",
    "title": "women are refused more often",
    "likelihood": 3,
    "severity": 4,
    "residual": "2x3",
    "controls": "reweighing",
    "owner": "alice",
}


def entered(exam: Exam, actor: str = "vera", **change: Any) -> int:
    return exam.acting(actor).risks.add("credit", **(SAID | {"review_by": days(90)} | change)).id


def test_a_risk_is_what_the_gate_sees(exam: Exam) -> None:
    number = entered(exam)
    accepted = exam.acting("ruth").risks.accept(number, "small enough")
    assert (accepted.state, accepted.accepted_by, accepted.acceptance) == ("accepted", "ruth", "small enough")
    _, dossier = exam.acting("alice").explain(exam.ref, "ready")
    [seen] = dossier.risks
    assert (seen.category, seen.score, seen.residual, seen.state, seen.accepted_by, seen.owner) == (
        "training/bias",
        12,
        6,
        "accepted",
        "ruth",
        "alice",
    )
    assert exam.acting("alice").verify().ok


@pytest.mark.parametrize(
    "change", [{"residual": "2x4"}, {"severity": 5}, {"review_by": days(200)}, {"owner": "bob"}]
)
def test_only_what_was_accepted_stays_accepted(exam: Exam, change: dict[str, Any]) -> None:
    number = entered(exam)
    exam.acting("ruth").risks.accept(number, "small enough")
    changed = exam.acting("vera").risks.change(number, **change)
    assert (changed.state, changed.accepted_by, changed.acceptance) == ("open", "", "")
    _, dossier = exam.acting("alice").explain(exam.ref, "ready")
    assert (dossier.risks[0].state, dossier.risks[0].accepted_by) == ("open", "")
    assert [found.id for found in exam.acting("alice").risks.all(only_open=True)] == [number]


def test_who_may_not_accept(exam: Exam) -> None:
    root = exam.acting("root")
    number = entered(exam)
    with pytest.raises(NotPermitted, match="to accept risks takes the role approver"):
        exam.acting("vera").risks.accept(number, "fine")
    root.people.grant("alice", APPROVER)
    with pytest.raises(NotPermitted, match=f"alice owns risk {number}"):
        exam.acting("alice").risks.accept(number, "fine")
    root.people.grant("emil", "developer")
    exam.acting("alice").people.delegate(APPROVER, "emil", until=days(2), reason="on leave")
    with pytest.raises(NotPermitted, match=f"alice owns risk {number}"):
        exam.acting("emil").risks.accept(number, "fine")
    exam.acting("ruth").risks.change(number, residual="1x1")
    with pytest.raises(NotPermitted, match=f"ruth judged risk {number}"):
        exam.acting("ruth").risks.accept(number, "fine")
    assert exam.acting("rob").risks.accept(number, "fine").accepted_by == "rob"


def test_a_developer_enters_a_risk_and_does_not_make_it_smaller(exam: Exam) -> None:
    number = entered(exam, "alice")
    with pytest.raises(NotPermitted, match="to change risks takes the role reviewer or approver"):
        exam.acting("alice").risks.change(number, residual="1x1")
    with pytest.raises(NotPermitted, match="to close risks takes the role reviewer or approver"):
        exam.acting("alice").risks.close(number, "gone")
    exam.acting("root").people.grant("alice", REVIEWER)
    with pytest.raises(NotPermitted, match=f"alice owns risk {number}"):
        exam.acting("alice").risks.close(number, "gone")
    closed = exam.acting("vera").risks.close(number, "the feature is gone")
    assert (closed.state, closed.closed_by, closed.closure) == ("closed", "vera", "the feature is gone")


def test_what_is_done_is_not_done_again(exam: Exam) -> None:
    number = entered(exam)
    exam.acting("ruth").risks.accept(number, "fine")
    with pytest.raises(Conflict, match="is accepted already"):
        exam.acting("rob").risks.accept(number, "fine")
    exam.acting("vera").risks.close(number, "gone")
    for verb in (
        lambda risks: risks.close(number, "gone"),
        lambda risks: risks.accept(number, "fine"),
        lambda risks: risks.change(number, severity=1),
    ):
        with pytest.raises(Conflict, match=f"risk {number} is closed already"):
            verb(exam.acting("ruth").risks)


def test_an_overdue_review_shows_and_is_not_accepted(exam: Exam) -> None:
    number = entered(exam, review_by=days(1 / 86_400))
    risks = exam.acting("alice").risks
    assert not risks.one(number).overdue
    time.sleep(1.1)
    assert risks.one(number).overdue
    with pytest.raises(BadInput, match="should have been looked at again") as caught:
        exam.acting("ruth").risks.accept(number, "fine")
    assert caught.value.hint == f"phasegate risk change {number} --review-by 90d"


@pytest.mark.parametrize(
    ("change", "says", "hint"),
    [
        ({"likelihood": 6}, "the likelihood is 6", "from 1"),
        ({"severity": 0}, "the severity is 0", "from 1"),
        ({"residual": "6x1"}, "the likelihood is 6", "from 1"),
        ({"residual": "big"}, "'big' is no score", "2x3"),
        ({"category": "bias"}, "no category of risk 'bias'", "did you mean 'training/bias'?"),
        ({"category": "genai/confabulations"}, "no category", "did you mean 'genai/confabulation'?"),
        ({"title": " "}, "needs a title", "--title"),
        ({"residual": "4x4"}, r"the residual 4x4 \(16\) is above 3x4 \(12\)", "--reason"),
        ({"controls": ""}, "nothing is done against it", "--controls"),
        ({"review_by": days(-1)}, "is past", "90d"),
        ({"owner": "no body"}, "cannot be used", ""),
    ],
)
def test_what_a_risk_cannot_be(exam: Exam, change: dict[str, Any], says: str, hint: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        entered(exam, **change)
    assert hint in caught.value.hint
    assert exam.acting("alice").risks.all() == []


def test_controls_that_make_it_worse_need_a_reason(exam: Exam) -> None:
    number = entered(exam, residual="4x4", reason="people trust it more now")
    assert exam.acting("alice").risks.one(number).residual_score == 16
    number = entered(exam)
    with pytest.raises(BadInput, match="is above 1x1"):
        exam.acting("vera").risks.change(number, likelihood=1, severity=1)
    assert exam.acting("alice").risks.one(number).inherent == "3x4"


def test_reasons_numbers_and_systems(exam: Exam) -> None:
    ruth = exam.acting("ruth").risks
    number = entered(exam)
    for verb in (ruth.accept, ruth.close):
        with pytest.raises(BadInput, match="needs a reason"):
            verb(number, " ")
    with pytest.raises(BadInput, match="nothing changes about risk"):
        ruth.change(number)
    for verb in (ruth.one, lambda n: ruth.accept(n, "x"), lambda n: ruth.change(n, severity=1)):
        with pytest.raises(NotFound, match="there is no risk 99"):
            verb(99)
    with pytest.raises(NotFound, match="there is no system 'credti'") as caught:
        ruth.all(system="credti")
    assert caught.value.hint == "did you mean 'credit'?"
