"""Waivers: who may ask and grant, what they except, and when they hold no longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from integration.exam import Exam, clock_off_by, days

from registry.domain.decision import Outcome
from registry.domain.people import APPROVER
from registry.domain.references import Ref
from registry.errors import BadInput, Conflict, DatabaseUnusable, NotFound, NotPermitted
from registry.storage.unit_of_work import Overtaken
from registry.usecases.decide import carry_out, judge


def test_a_waiver_lets_through_what_it_excepts(exam: Exam) -> None:
    alice, ruth = exam.acting("alice"), exam.acting("ruth")
    assert not alice.promote(exam.ref, "ready").allowed
    number = exam.ask()
    assert exam.outcome() is Outcome.MISSING, "a request is no exception"
    view = ruth.waivers.approve(number, "the control is in place")
    assert (view.holds, view.decided_by, view.decision_reason) == (True, "ruth", "the control is in place")
    decision = alice.promote(exam.ref, "ready")
    assert decision.allowed
    waived = [result for result in decision.verdict.results if result.outcome is Outcome.WAIVED]
    assert [(result.rule, result.waiver) for result in waived] == [("exam/tested", number)]
    assert "somebody watches" in waived[0].message
    recorded = alice.decisions(exam.ref)[-1].results
    assert [result["waiver"] for result in recorded if result["outcome"] == "waived"] == [number]
    report = alice.report(exam.ref)
    assert [r.waiver for d in report.decisions for r in d.decision.verdict.results if r.waiver] == [number]
    assert alice.verify().ok


def test_explain_list_and_dossier_say_the_same(exam: Exam) -> None:
    granted, asked = exam.grant(), exam.ask()
    _, dossier = exam.acting("alice").explain(exam.ref, "ready")
    listed = exam.acting("alice").waivers.all(ref=exam.ref)
    assert [(w.id, w.holds, w.why_not) for w in dossier.waivers] == [
        (granted, True, ""),
        (asked, False, "nobody has decided on it yet"),
    ]
    assert [(w.id, w.holds, w.why_not) for w in listed] == [
        (w.id, w.holds, w.why_not) for w in dossier.waivers
    ]


def test_a_systems_waiver_is_for_every_version_of_it(exam: Exam) -> None:
    number = exam.grant(system="credit")
    other = exam.plan("cards")
    assert exam.outcome() is exam.outcome(ref=other) is Outcome.WAIVED
    exam.change(exam.ref, layers="3")
    assert exam.outcome() is Outcome.WAIVED
    assert [w.about for w in exam.acting("alice").waivers.all(system="credit")] == ["system credit"]
    assert [w.id for w in exam.acting("alice").waivers.all(ref=other)] == [number]


def test_one_item_of_a_rule_per_item(exam: Exam) -> None:
    exam.publish(edition=0)
    exam.grant(rule="exam/target[f1]")
    assert exam.outcome("exam/target[f1]") is Outcome.WAIVED
    with pytest.raises(NotFound, match="loans/1 has no 'f2' among its targets") as caught:
        exam.ask("exam/target[f2]")
    assert caught.value.hint == "did you mean 'f1'?"
    with pytest.raises(BadInput, match="tested is not judged per item"):
        exam.ask("exam/tested[f1]")


# -- what ends it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda exam, n: exam.change(exam.ref, layers="3"), "the version is not what it was granted for"),
        (lambda exam, n: exam.publish(edition=2), "another version of exam is in force"),
        (lambda exam, n: exam.acting("ruth").waivers.revoke(n, "it was dropped"), "ruth revoked it on"),
        (lambda exam, n: exam.acting("alice").waivers.revoke(n, "not needed"), "alice revoked it on"),
    ],
    ids=["version", "policy", "revoked", "withdrawn"],
)
def test_it_ends_visibly(exam: Exam, spoil: Callable[[Exam, int], None], says: str) -> None:
    number = exam.grant()
    spoil(exam, number)
    assert exam.outcome() is Outcome.MISSING
    assert says in exam.acting("alice").waivers.one(number).why_not
    assert not exam.acting("alice").promote(exam.ref, "ready").allowed


def test_it_ends_when_its_approver_works_on_the_version(exam: Exam) -> None:
    number = exam.grant(system="credit")
    exam.change(exam.ref, actor="ruth", layers="3")
    assert "ruth, who approved it, has worked on the version since" in (
        exam.acting("alice").waivers.all(ref=exam.ref)[0].why_not
    )
    assert exam.outcome() is Outcome.MISSING
    other = exam.plan("cards")
    assert exam.outcome(ref=other) is Outcome.WAIVED
    assert exam.acting("alice").waivers.one(number).holds, "of the system as a whole"


def test_nothing_is_promoted_on_a_waiver_that_has_ended(exam: Exam) -> None:
    number = exam.grant(until=2.5 / 86_400)
    assert exam.outcome() is Outcome.WAIVED
    time.sleep(2.6)
    assert exam.outcome() is Outcome.MISSING
    assert "it ended on" in exam.acting("alice").waivers.one(number).why_not
    decision = exam.acting("alice").promote(exam.ref, "ready")
    assert not decision.allowed
    assert [result.rule for result in decision.verdict.blocking] == ["exam/tested"]


def test_nor_on_one_that_ended_between_decision_and_move(exam: Exam) -> None:
    exam.grant(until=2 / 86_400)
    alice = exam.acting("alice")
    with alice._opened.read() as session:
        judged = judge(session, Ref.parse(exam.ref), "ready", "alice")
    assert judged.decision.allowed
    time.sleep(2.1)
    with pytest.raises(Overtaken, match="has ended since"), alice._opened.write() as work:
        carry_out(work, judged)
    assert alice.version(exam.ref).stage == "draft"
    assert not alice.promote(exam.ref, "ready").allowed


@pytest.mark.parametrize("behind", [timedelta(minutes=2), timedelta(days=3), timedelta(days=400)])
def test_nor_on_a_machine_whose_clock_is_behind(
    exam: Exam, request: pytest.FixtureRequest, behind: timedelta
) -> None:
    exam.grant(until=1.5 / 86_400)
    time.sleep(1.6)
    exam.acting("root").add_system("later", purpose="is written after it ended", risk_tier="minimal")
    alice = exam.acting("alice")
    with clock_off_by(-behind):
        if alice.database.startswith("postgresql"):
            assert not alice.promote(exam.ref, "ready").allowed, "the database's clock judges"
        else:
            with pytest.raises(DatabaseUnusable, match="what has expired cannot be judged"):
                alice.promote(exam.ref, "ready")
    assert alice.version(exam.ref).stage == "draft"


def test_a_clock_ahead_makes_no_waiver_longer(exam: Exam) -> None:
    # Where the database has a clock, a request dated by a wrong one is too late at once; elsewhere what a
    # clock that is ahead wrote keeps everybody from writing, until it is true.
    alice, ruth = exam.acting("alice"), exam.acting("ruth")
    with clock_off_by(timedelta(days=100)):
        if alice.database.startswith("postgresql"):
            with pytest.raises(BadInput, match="later than policy exam allows"):
                exam.ask(until=120)
        else:
            number = exam.ask(until=120)
            ruth.waivers.approve(number)
    if not alice.database.startswith("postgresql"):
        with pytest.raises(DatabaseUnusable, match="cannot be judged"):
            alice.promote(exam.ref, "ready")
        decision, _ = alice.explain(exam.ref, "ready")
        assert not decision.allowed, "the judge believes no waiver that is longer than the policy allows"
    assert alice.version(exam.ref).stage == "draft"


# -- who -----------------------------------------------------------------------------------------


def test_nobody_grants_their_own_request(exam: Exam) -> None:
    number = exam.ask(actor="ruth")
    with pytest.raises(NotPermitted, match=f"ruth asked for waiver {number}: somebody else decides"):
        exam.acting("ruth").waivers.approve(number)
    exam.acting("rob").waivers.approve(number)


def test_no_developer_grants_an_exception_for_their_own_work(exam: Exam) -> None:
    exam.acting("root").people.grant("alice", APPROVER)
    number = exam.ask(actor="bob")
    with pytest.raises(NotPermitted, match="alice developed loans/1"):
        exam.acting("alice").waivers.approve(number)
    number = exam.ask(actor="bob", system="credit")
    with pytest.raises(NotPermitted, match="alice developed credit"):
        exam.acting("alice").waivers.approve(number)


def test_nor_through_somebody_to_whom_they_lend_their_role(exam: Exam) -> None:
    exam.acting("root").people.grant("alice", APPROVER)
    for name in ("eve", "emil"):
        exam.acting("root").people.grant(name, "developer")
    exam.acting("alice").people.delegate(APPROVER, "eve", until=days(3), reason="on leave")
    number = exam.ask(actor="bob")
    with pytest.raises(NotPermitted, match="alice developed loans/1"):
        exam.acting("eve").waivers.approve(number)
    number = exam.ask(actor="rob")
    exam.acting("rob").people.delegate(APPROVER, "emil", until=days(3), reason="on leave")
    with pytest.raises(NotPermitted, match=f"rob asked for waiver {number}"):
        exam.acting("emil").waivers.approve(number)


def test_only_approvers_grant_and_reject(exam: Exam) -> None:
    number = exam.ask()
    for verb in (lambda w: w.approve(number), lambda w: w.reject(number, "no")):
        with pytest.raises(NotPermitted, match="takes the role approver"):
            verb(exam.acting("vera").waivers)
    exam.acting("alice").waivers.reject(number, "I have measured it")
    assert exam.acting("alice").waivers.one(number).why_not == "alice rejected it: I have measured it"
    granted = exam.grant()
    with pytest.raises(NotPermitted, match="to revoke waivers takes the role approver"):
        exam.acting("vera").waivers.revoke(granted, "no")


# -- when ----------------------------------------------------------------------------------------


def test_the_end_is_no_later_than_the_policy_allows(exam: Exam) -> None:
    with pytest.raises(BadInput, match="later than policy exam allows: 30 days") as caught:
        exam.ask(until=31)
    assert "within 30 days" in caught.value.hint
    with pytest.raises(BadInput, match="is past"):
        exam.ask(until=-1)
    exam.publish(days=2, edition=3)
    with pytest.raises(BadInput, match="2 days"):
        exam.ask(until=3)
    exam.publish(days=0, edition=4)
    with pytest.raises(BadInput, match="policy exam allows no waivers"):
        exam.ask(until=1)


def test_what_is_granted_late_must_still_have_its_end_before_it(exam: Exam) -> None:
    number = exam.ask(until=1.5 / 86_400)
    time.sleep(1.6)
    with pytest.raises(BadInput, match="is past"):
        exam.acting("ruth").waivers.approve(number)
    assert "its end" in exam.acting("ruth").waivers.one(number).why_not


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda exam: exam.change(exam.ref, layers="3"), "loans/1 has changed since waiver 1 was asked for"),
        (lambda exam: exam.publish(edition=2), "another version of exam is in force than waiver 1"),
        (lambda exam: exam.acting("ruth").waivers.approve(1), "waiver 1 is approved already"),
        (lambda exam: exam.acting("ruth").waivers.reject(1, "no"), "waiver 1 is rejected already"),
    ],
    ids=["version", "policy", "twice", "rejected"],
)
def test_a_request_is_granted_for_what_it_was_asked_for(
    exam: Exam, spoil: Callable[[Exam], None], says: str
) -> None:
    assert exam.ask() == 1
    spoil(exam)
    with pytest.raises(Conflict, match=says):
        exam.acting("rob").waivers.approve(1)


def test_what_was_not_granted_is_not_revoked(exam: Exam) -> None:
    number = exam.ask()
    with pytest.raises(Conflict, match="only one that was approved can be revoked"):
        exam.acting("ruth").waivers.revoke(number, "no")
    exam.acting("ruth").waivers.approve(number)
    exam.acting("ruth").waivers.revoke(number, "no")
    with pytest.raises(Conflict, match="is revoked"):
        exam.acting("ruth").waivers.revoke(number, "no")


# -- what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "error", "says", "hint"),
    [
        ("exam/testd", NotFound, "no policy in force has a rule 'exam/testd'", "did you mean 'exam/tested'?"),
        ("tested", BadInput, "'tested' names no rule", "POLICY/VALIDATION"),
        ("exam/tested[", BadInput, "names no rule", "POLICY/VALIDATION"),
        ("exam/named", BadInput, "exam/named cannot be waived", ""),
    ],
)
def test_only_a_rule_in_force_that_may_be_waived(
    exam: Exam, rule: str, error: type[BadInput], says: str, hint: str
) -> None:
    with pytest.raises(error, match=says.replace("[", r"\[")) as caught:
        exam.ask(rule)
    assert hint in caught.value.hint


def test_one_subject_a_reason_and_a_control(exam: Exam) -> None:
    waivers = exam.acting("alice").waivers
    ask = {"ref": exam.ref, "reason": "r", "control": "c", "until": days(1)}
    for change, says in (
        ({"system": "credit"}, "a version or a system, and not both"),
        ({"ref": ""}, "a version or a system, and not both"),
        ({"reason": " "}, "needs a reason"),
        ({"control": " "}, "needs a compensating control"),
        ({"ref": "loans/7"}, "has no version 7"),
    ):
        with pytest.raises(BadInput, match=says):
            waivers.request("exam/tested", **(ask | change))
    for verb in (waivers.reject, waivers.revoke):
        with pytest.raises(BadInput, match="needs a reason"):
            verb(1, " ")
    for verb in (waivers.one, exam.acting("ruth").waivers.approve):
        with pytest.raises(NotFound, match="there is no waiver 99"):
            verb(99)


def test_those_that_end_soon_are_marked(exam: Exam) -> None:
    soon, later = exam.grant(until=13), exam.grant(until=20)
    marked = {found.id: found.ends_soon for found in exam.acting("alice").waivers.all()}
    assert marked == {soon: True, later: False}
