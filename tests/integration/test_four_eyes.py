"""Approvals: of one digest and one step, by people who did not make it, each counted once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from integration.builder import FAIR, GOOD_EVALUATION, SAFE, Builder, Finding
from integration.conftest import At
from integration.found import OF_TIER
from integration.peopled import publish, soon

from registry.domain.decision import RuleResult
from registry.domain.dossier import ApprovalFacts
from registry.domain.events import RunTakenOver
from registry.domain.people import APPROVER
from registry.errors import BadInput, NoSuchStage, NoSuchTransition, NotPermitted

REF = "loans/1"
TWO_OF_MODEL_RISK = """
kind: GatePolicy
metadata:
  name: model-risk-board
  title: Two of the group model-risk agree
match: {from: [evaluated], to: [deployed]}
params: {group: model-risk, needed: 2}
validations:
  - id: two-of-the-group
    expression: >-
      double(size(distinct(approvals.filter(a, a.verdict == 'approved' && a.to == to && a.current &&
      a.independent && params.group in a.groups && 'approver' in a.roles).map(a, a.actor)))) >= params.needed
    message: not enough people of the group have approved it as it is now
    messageExpression: >-
      approvals.exists(a, !a.current) ? 'stale: ' + approvals.filter(a, !a.current)[0].actor +
      ' saw another ' + approvals.filter(a, !a.current)[0].changed[0]
      : 'nobody of the group has approved it yet'
    remedy: phasegate approve {version} {to} --as MEMBER
---
kind: GateBinding
metadata: {name: model-risk-board}
policy: model-risk-board
action: deny
"""


def word(builder: Builder, actor: str, to: str = "deployed") -> ApprovalFacts:
    approvals = builder.acting("alice").explain(REF, to)[1].approvals
    (found,) = (given for given in approvals if given.actor == actor)
    return found


def result(builder: Builder, rule: str, to: str = "deployed") -> RuleResult:
    results = builder.acting("alice").explain(REF, to)[0].verdict.results
    (found,) = (each for each in results if each.rule == rule)
    return found


def approved(builder: Builder) -> bool:
    """Whether the shipped rule, one independent person for a limited risk, holds."""
    return result(builder, "approvals/independent").outcome == "pass"


@pytest.fixture
def builder(at: At) -> Builder:
    """A version planned by alice and trained by bob, that waits to be deployed."""
    return known(at("evaluated"))


def known(builder: Builder) -> Builder:
    """A registry in which dave and dora have a name already."""
    for name in ("dave", "dora"):
        builder.acting("root").people.grant(name, "developer")
    return builder


# -- nobody approves their own work --------------------------------------------------------------


def trained(builder: Builder) -> str:
    return "bob"


def planned(builder: Builder) -> str:
    return "alice"


def designed(builder: Builder) -> str:
    back(builder, "designed")
    builder.acting("dora").design(REF, {"layers": "3"})
    return forth(builder, "dora")


def trained_again(builder: Builder) -> str:
    """After another one's training, of the same bytes: both have made it."""
    back(builder, "designed")
    builder.train(REF, actor="dora")
    return forth(builder, "dora")


def resumed(builder: Builder) -> str:
    """Who brought a lost training run to its end."""
    back(builder, "designed")
    builder.train(REF, actor="bob")
    number = max(run.id for run in builder.acting("bob").runs.all(about=REF) if run.kind == "train")
    with builder.database.write("dora") as work:
        work.record(RunTakenOver(f"run:{number}", 2))
    return forth(builder, "dora")


def back(builder: Builder, stage: str) -> None:
    assert builder.acting("alice").promote(REF, stage).allowed


def forth(builder: Builder, actor: str) -> str:
    """From designed to evaluated."""
    alice = builder.acting("alice")
    if not alice.promote(REF, "trained").allowed:
        builder.train(REF, actor="bob")
        assert alice.promote(REF, "trained").allowed
    builder.judge(REF, GOOD_EVALUATION, kind="evaluate")
    assert alice.promote(REF, "evaluated").allowed
    return actor


MAKERS = [planned, designed, trained, trained_again, resumed]


@pytest.mark.parametrize("made", MAKERS)
def test_who_made_it_does_not_count_whatever_roles_they_have(
    builder: Builder, made: Callable[[Builder], str]
) -> None:
    maker = made(builder)
    root = builder.acting("root").people
    for role in ("approver", "admin", "deployer", "reviewer"):
        root.grant(maker, role)
    builder.acting(maker).approve(REF, "deployed", "I know that it is good")
    given = word(builder, maker)
    assert (given.independent, given.current) == (False, True)
    assert {"admin", "approver"} <= set(given.roles)
    assert not approved(builder)
    builder.approver("rita").approve(REF, "deployed")
    assert approved(builder)


@pytest.mark.parametrize("made", MAKERS)
def test_who_stands_in_for_somebody_who_made_it_does_not_count(
    builder: Builder, made: Callable[[Builder], str]
) -> None:
    maker = made(builder)
    builder.approver(maker).people.delegate("approver", "root", until=soon(days=1), reason="ill")
    builder.acting("root").approve(REF, "deployed")
    given = word(builder, "root")
    assert (given.on_behalf_of, given.independent) == (maker, False)
    assert not approved(builder)


@pytest.mark.parametrize("made", MAKERS)
def test_who_made_it_does_not_count_for_an_approver_either(
    builder: Builder, made: Callable[[Builder], str]
) -> None:
    maker = made(builder)
    builder.approver("rita").people.delegate("approver", maker, until=soon(days=1), reason="ill")
    builder.acting(maker).approve(REF, "deployed")
    given = word(builder, maker)
    assert (given.on_behalf_of, given.independent) == ("rita", False)
    assert not approved(builder)


def test_the_gate_sees_who_trained_and_who_evaluated(builder: Builder) -> None:
    builder.judge(REF, GOOD_EVALUATION, kind="evaluate", actor="vera")
    subject = builder.acting("alice").explain(REF, "deployed")[1].subject
    assert (subject.trained_by, subject.evaluated_by) == (("bob",), ("vera",))
    assert subject.developers == ("alice", "bob")
    builder.judge(REF, SAFE, kind="evaluate", actor="sam")
    subject = builder.acting("alice").explain(REF, "deployed")[1].subject
    assert subject.evaluated_by == ("sam", "vera")


# -- an approver and whoever stands in for them are one person ------------------------------------


def test_a_loan_gives_no_second_vote(at: At) -> None:
    builder = known(at("planned"))
    ref = builder.plan("triage", system="triage", tier="high")
    builder.bring(ref, "evaluated")
    rita = builder.approver("rita")
    rita.people.delegate("approver", "dave", until=soon(days=1), reason="ill")
    rita.approve(ref, "deployed")
    builder.acting("dave").approve(ref, "deployed")
    decision, dossier = builder.acting("alice").explain(ref, "deployed")
    (given,) = dossier.approvals
    assert (given.actor, given.on_behalf_of) == ("dave", "rita")
    (rule,) = (each for each in decision.verdict.results if each.rule == "approvals/independent")
    assert rule.outcome == "fail"
    builder.approver("ravi").approve(ref, "deployed")
    (rule,) = (
        each
        for each in builder.acting("alice").explain(ref, "deployed")[0].verdict.results
        if each.rule == "approvals/independent"
    )
    assert rule.outcome == "pass"
    given_here = [each.actor for each in builder.acting("alice").approvals(ref) if each.to == "deployed"]
    assert given_here == ["rita", "dave", "ravi"]


def test_the_later_word_of_the_two_counts(builder: Builder) -> None:
    rita = builder.approver("rita")
    rita.people.delegate("approver", "dave", until=soon(days=1), reason="ill")
    builder.acting("dave").approve(REF, "deployed")
    assert approved(builder)
    rita.reject(REF, "deployed", "not in my name")
    assert not approved(builder)
    assert result(builder, "approvals/no-rejection").outcome == "fail"


def test_who_stands_in_for_two_says_for_whom(builder: Builder) -> None:
    for lender in ("rita", "ravi"):
        builder.approver(lender).people.delegate("approver", "dave", until=soon(days=1), reason="ill")
    dave = builder.acting("dave")
    with pytest.raises(BadInput, match="dave stands in for ravi and rita: for whom is this"):
        dave.approve(REF, "deployed")
    with pytest.raises(NotPermitted, match="dave does not stand in for alice"):
        dave.approve(REF, "deployed", on_behalf_of="alice")
    dave.approve(REF, "deployed", on_behalf_of="rita")
    assert word(builder, "dave").on_behalf_of == "rita"
    dave.reject(REF, "deployed", "not for him", on_behalf_of="ravi")
    approvals = builder.acting("alice").explain(REF, "deployed")[1].approvals
    assert {(each.on_behalf_of, each.verdict) for each in approvals} == {
        ("rita", "approved"),
        ("ravi", "rejected"),
    }


def test_a_loan_that_is_over_approves_nothing(builder: Builder) -> None:
    rita = builder.approver("rita")
    rita.people.delegate("approver", "dave", until=soon(seconds=1), reason="ill")
    rita.people.delegate("approver", "dora", until=soon(days=1), reason="ill")
    builder.wait(timedelta(seconds=1.1))
    with pytest.raises(NotPermitted, match=r"dave is developer: .* takes the role approver"):
        builder.acting("dave").approve(REF, "deployed")
    builder.acting("root").people.revoke("rita", APPROVER)
    with pytest.raises(NotPermitted, match="dora is developer"):
        builder.acting("dora").approve(REF, "deployed")
    assert builder.acting("alice").approvals(REF) == []


# -- of one digest, and one step -----------------------------------------------------------------


def new_evidence(builder: Builder) -> None:
    builder.judge(REF, FAIR)


def new_data_evidence(builder: Builder) -> None:
    builder.judge_data("loans-test/1", [Finding("check.pii", {"findings": 0})])


def another_kind(builder: Builder) -> None:
    builder.judge(REF, Finding("eval.robustness", {"rows": 10}))


def other_weights(builder: Builder) -> None:
    back(builder, "designed")
    builder.train(REF, b"better weights")
    forth(builder, "")


def other_design(builder: Builder) -> None:
    designed(builder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (new_evidence, ("evidence check.bias",)),
        (another_kind, ("evidence eval.robustness",)),
        (new_data_evidence, ("evidence test:check.pii",)),
        (
            other_weights,
            ("artifact", "evidence check.bias", "evidence eval.performance", "evidence run.train"),
        ),
        (other_design, ("design", "evidence eval.performance")),
    ],
)
def test_what_changed_is_named(
    builder: Builder, change: Callable[[Builder], None], named: tuple[str, ...]
) -> None:
    builder.judge(REF, FAIR)
    builder.approver("rita").approve(REF, "deployed")
    assert (word(builder, "rita").current, word(builder, "rita").changed) == (True, ())
    change(builder)
    given = word(builder, "rita")
    assert not given.current
    assert set(named) <= set(given.changed)
    assert not approved(builder)
    (shown,) = builder.acting("alice").approvals(REF)
    assert (shown.current, tuple(shown.changed), shown.independent) == (False, given.changed, True)
    assert named[0] in given.changed


def test_other_data_is_named(at: At) -> None:
    builder = at("planned")
    builder.approver("rita").approve(REF, "prepared")
    alice = builder.acting("alice")
    alice.link_data(REF, {"test": "loans-train/1"})
    assert set(word(builder, "rita", "prepared").changed) >= {"test data"}
    alice.link_data(REF, {"test": "loans-test/1"})
    assert word(builder, "rita", "prepared").current
    alice.link_data(REF, {"extra": "loans-train/1"})
    assert "extra data" in word(builder, "rita", "prepared").changed


def test_evidence_that_expires_is_named(builder: Builder) -> None:
    builder.judge(REF, Finding("check.extra", {"rows": 1}, valid_for=timedelta(seconds=1)))
    builder.approver("rita").approve(REF, "deployed")
    assert word(builder, "rita").current
    builder.wait(timedelta(seconds=1.1))
    assert word(builder, "rita").changed == ("evidence check.extra",)


def test_an_approval_is_of_the_step_from_where_it_was(at: At) -> None:
    builder = at("evaluated")
    builder.supply(REF, "deployed")
    builder.approver("rita").approve(REF, "retired", "it is of no use")
    assert word(builder, "rita", "retired").current
    assert builder.acting("alice").promote(REF, "deployed").allowed
    assert word(builder, "rita", "retired").changed == ("stage",)


@pytest.mark.parametrize(
    ("to", "error", "said", "hint"),
    [
        ("deployd", NoSuchStage, "there is no stage 'deployd'", "did you mean 'deployed'?"),
        ("prepared", NoSuchTransition, "prepared cannot follow evaluated", ""),
        ("@champoin", NoSuchStage, "no gate guards @champoin", "did you mean '@champion'?"),
    ],
)
def test_nobody_approves_what_is_no_step(
    builder: Builder, to: str, error: type[Exception], said: str, hint: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        builder.approver("rita").approve(REF, to)
    assert hint in str(getattr(caught.value, "hint", ""))
    assert builder.acting("alice").approvals(REF) == []


# -- several people out of a group ---------------------------------------------------------------


def test_two_out_of_a_group(builder: Builder) -> None:
    publish(builder, TWO_OF_MODEL_RISK)
    root = builder.acting("root").people
    root.add_group("model-risk")
    rule = "model-risk-board/two-of-the-group"
    builder.judge(REF, *OF_TIER["limited"]["deployed"])
    for name in ("mia", "max", "rita", "bob"):
        builder.approver(name)
    for name in ("mia", "max", "bob"):
        root.join("model-risk", name)
    assert result(builder, rule).message == "nobody of the group has approved it yet"

    builder.acting("mia").approve(REF, "deployed")
    builder.acting("mia").approve(REF, "deployed", "still")  # one person, twice
    builder.acting("rita").approve(REF, "deployed")  # an approver, but not of the group
    builder.acting("bob").approve(REF, "deployed")  # of the group, but he trained it
    builder.acting("mia").people.delegate("approver", "dave", until=soon(days=1), reason="ill")
    root.join("model-risk", "dave")
    builder.acting("dave").approve(REF, "deployed")  # of the group, but for mia
    assert result(builder, rule).outcome == "fail"
    assert not builder.acting("alice").promote(REF, "deployed").allowed

    builder.acting("max").approve(REF, "deployed")
    assert result(builder, rule).outcome == "pass"
    root.leave("model-risk", "max")
    assert result(builder, rule).outcome == "fail"
    root.join("model-risk", "max")

    builder.judge(REF, FAIR)
    assert result(builder, rule).message.startswith("stale: ")
    assert "saw another evidence check.bias" in result(builder, rule).message
    for name in ("mia", "max"):
        builder.acting(name).approve(REF, "deployed", "seen again")
    assert builder.acting("alice").promote(REF, "deployed").allowed
    assert builder.acting("alice").verify().ok


def test_a_decision_keeps_whom_the_approvals_were_of(builder: Builder) -> None:
    builder.judge(REF, *OF_TIER["limited"]["deployed"])
    builder.approver("rita").people.delegate("approver", "dave", until=soon(days=1), reason="ill")
    builder.acting("dave").approve(REF, "deployed", "as she would")
    assert builder.acting("alice").promote(REF, "deployed").allowed
    entry = builder.acting("alice").log(action="verdict-given")[-1]
    assert (entry.actor, entry.text.startswith("approved for deployed")) == ("dave", True)
    (shown,) = builder.acting("alice").approvals(REF)[-1:]
    assert (shown.actor, shown.on_behalf_of, shown.reason) == ("dave", "rita", "as she would")
