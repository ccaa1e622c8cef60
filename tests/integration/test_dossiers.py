"""What a gate gets to see: evidence that counts, and why other evidence does not; targets; who approved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from integration.builder import FAIR, GOOD_DATA, GOOD_EVALUATION, GOOD_TRAINING, SAFE, Builder, Finding
from integration.conftest import At
from integration.found import UNSEEN

from registry.domain.dossier import ApprovalFacts, Dossier, TargetFacts
from registry.errors import BadInput
from registry.storage.dossiers import as_json
from registry.storage.tables import DecisionRow

INSTANT = timedelta(microseconds=1)
REF = "loans/1"


def dossier(builder: Builder, ref: str, to: str) -> Dossier:
    return builder.acting("alice").explain(ref, to)[1]


# -- evidence ------------------------------------------------------------------------------------


def test_the_newest_of_each_kind_counts(at: At) -> None:
    builder = at("evaluated")
    first, second = builder.judge(REF, SAFE, Finding("eval.security", {"files": 2, "unsafe_files": 1}))
    seen = dossier(builder, REF, "deployed").evidence["eval.security"]
    assert (seen.run, seen.metrics["unsafe_files"]) == (str(second), 1)
    assert first < second


def test_that_a_later_check_could_not_judge_counts_too(at: At) -> None:
    builder = at("evaluated")
    builder.judge(REF, SAFE, Finding("eval.security", {}, status="insufficient"))
    seen = dossier(builder, REF, "deployed").evidence["eval.security"]
    assert (seen.status, seen.reason) == ("insufficient", "too little to judge by")


def test_evidence_about_an_older_artifact_is_stale(at: At) -> None:
    builder = at("evaluated")
    builder.judge(REF, FAIR, SAFE)
    builder.acting("alice").promote(REF, "designed")
    builder.train(REF, b"new weights")
    seen = dossier(builder, REF, "trained")
    assert set(seen.evidence) == {"run.train"}
    assert seen.unusable == dict.fromkeys(
        ["doc.design-review", "eval.performance", "check.bias", "eval.security"],
        "stale: an older artifact of this version has some",
    )


def test_the_same_bytes_trained_again_are_the_same_artifact(at: At) -> None:
    builder = at("evaluated")
    before = builder.acting("alice").version(REF)
    builder.acting("alice").promote(REF, "designed")
    builder.train(REF)
    after = builder.acting("alice").version(REF)
    assert (after.artifact, after.digest) == (before.artifact, before.digest)
    assert "eval.performance" in dossier(builder, REF, "trained").evidence


def test_evidence_of_a_version_without_artifact_is_about_its_plan(at: At) -> None:
    builder = at("planned")
    builder.judge(REF, Finding("check.plan", {"pages": 2}))
    assert "check.plan" in dossier(builder, REF, "prepared").evidence
    builder.acting("alice").design(REF, {"architecture": "encoder"})
    seen = dossier(builder, REF, "prepared")
    assert seen.evidence == {}
    assert "stale" in seen.unusable["check.plan"]


def test_expired_evidence_does_not_count(at: At) -> None:
    builder = at("evaluated")
    builder.judge(REF, Finding(FAIR.kind, FAIR.metrics, valid_for=INSTANT), SAFE)
    seen = dossier(builder, REF, "deployed")
    assert "check.bias" not in seen.evidence
    assert seen.unusable["check.bias"] == f"expired on {seen.now:%Y-%m-%d}"
    blocking = builder.acting("alice").promote(REF, "deployed").verdict.blocking
    assert any(
        "expired on" in result.message for result in blocking if result.rule.startswith("group-fairness")
    )


def test_evidence_that_holds_for_a_while_counts_meanwhile(at: At) -> None:
    builder = at("evaluated")
    builder.judge(REF, Finding(FAIR.kind, FAIR.metrics, valid_for=timedelta(days=1)))
    seen = dossier(builder, REF, "deployed")
    assert seen.evidence["check.bias"].valid_until is not None
    assert "check.bias" not in seen.unusable


def test_an_expired_check_is_not_replaced_by_an_older_one(at: At) -> None:
    builder = at("evaluated")
    builder.judge(REF, FAIR, Finding(FAIR.kind, FAIR.metrics, valid_for=INSTANT))
    assert "check.bias" not in dossier(builder, REF, "deployed").evidence


def test_expired_evidence_about_data_names_every_role_that_it_plays(at: At) -> None:
    builder = at("planned")
    alice = builder.acting("alice")
    alice.link_data(REF, {"reference": alice.version(REF).data["train"]})
    builder.judge_data("loans-train/1", [Finding("check.pii", {"findings": 0}, valid_for=INSTANT)])
    seen = dossier(builder, REF, "prepared")
    assert set(seen.unusable) == {"train:check.pii", "reference:check.pii"}
    assert "check.pii" in seen.data["test"].evidence


def test_data_shows_its_facts_by_role(at: At) -> None:
    builder = at("planned")
    seen = dossier(builder, REF, "prepared").data
    assert set(seen) == {"train", "test"}
    assert (seen["test"].ref, seen["test"].rows, seen["test"].licence) == ("loans-test/1", 500, "CC0")
    assert set(seen["train"].evidence) == {finding.kind for finding in GOOD_DATA}
    assert set(seen["test"].evidence) == {*seen["train"].evidence, UNSEEN.kind}


def test_evidence_about_another_version_is_not_seen(at: At) -> None:
    builder = at("evaluated")
    other = builder.plan("other")
    assert dossier(builder, other, "prepared").evidence == {}


# -- targets -------------------------------------------------------------------------------------


def target(builder: Builder, ref: str, to: str = "evaluated") -> TargetFacts:
    (found,) = dossier(builder, ref, to).targets
    return found


def test_a_target_that_nothing_measured_is_not_met(at: At) -> None:
    builder = at("trained")
    assert target(builder, REF) == TargetFacts("f1", ">=", 0.9, False, 0.0, False, False)


@pytest.mark.parametrize(("value", "met"), [(0.9, True), (0.93, True), (0.8999999, False)])
def test_a_measured_target_is_met_or_not(at: At, value: float, met: bool) -> None:
    builder = at("trained")
    builder.judge(REF, Finding("eval.performance", {"f1": value}), kind="evaluate")
    assert target(builder, REF) == TargetFacts("f1", ">=", 0.9, True, value, met, True)


def test_what_could_not_judge_has_not_measured(at: At) -> None:
    builder = at("trained")
    builder.judge(REF, Finding("eval.performance", {"f1": 0.99}, status="insufficient"), kind="evaluate")
    assert not target(builder, REF).measured


def test_an_evaluation_goes_before_what_training_said_of_itself(at: At) -> None:
    builder = at("designed")
    builder.train(REF, finding=replace(GOOD_TRAINING, metrics={**GOOD_TRAINING.metrics, "f1": 0.99}))
    assert target(builder, REF, "trained").value == 0.99
    builder.acting("alice").promote(REF, "trained")
    builder.judge(REF, Finding("eval.performance", {"f1": 0.5}), kind="evaluate")
    builder.judge(REF, Finding("check.other", {"f1": 0.98}))
    assert (target(builder, REF).value, target(builder, REF).met) == (0.5, False)


def test_a_measurement_under_other_targets_shows(at: At) -> None:
    builder = at("trained")
    builder.judge(REF, GOOD_EVALUATION, kind="evaluate", targets=["f1>=0.1"])
    assert target(builder, REF) == TargetFacts("f1", ">=", 0.9, True, 0.93, True, False)
    blocking = builder.acting("alice").promote(REF, "evaluated").verdict.blocking
    assert [result.rule for result in blocking] == ["targets-met/fixed-before[f1]"]


def test_a_threshold_is_kept_to_its_last_digit(builder: Builder) -> None:
    builder.plan()
    made = builder.acting("alice").plan("exact", system="credit", targets=["f1>=0.123456789012"])
    assert made.targets == ["f1>=0.123456789012"]
    assert target(builder, made.ref, "prepared").threshold == 0.123456789012


# -- approvals -----------------------------------------------------------------------------------


def approvals(builder: Builder, ref: str) -> dict[str, ApprovalFacts]:
    return {given.actor: given for given in dossier(builder, ref, "deployed").approvals}


def rule(builder: Builder, ref: str, name: str) -> bool:
    """Whether a rule of the shipped approvals holds."""
    results = builder.acting("alice").explain(ref, "deployed")[0].verdict.results
    (found,) = (result for result in results if result.rule == f"approvals/{name}")
    return found.outcome == "pass"


@pytest.fixture
def builder(at: At) -> Builder:
    """A version of a system of limited risk, planned by alice, trained by bob, which waits for approval."""
    return at("evaluated")


def test_who_planned_or_trained_it_is_not_independent(builder: Builder) -> None:
    assert dossier(builder, REF, "deployed").subject.developers == ("alice", "bob")
    for actor in ("alice", "bob", "rita"):
        builder.approver(actor).approve(REF, "deployed")
        assert rule(builder, REF, "independent") == (actor == "rita")
    assert {name: given.independent for name, given in approvals(builder, REF).items()} == {
        "alice": False,
        "bob": False,
        "rita": True,
    }


def test_who_chose_its_data_or_design_is_not_independent(at: At) -> None:
    planned = at("planned")
    registry = planned.acting("dora")
    registry.link_data(REF, {"extra": registry.version(REF).data["train"]})
    planned.acting("erna").design(REF, {"architecture": "encoder"})
    assert {"alice", "dora", "erna"} <= set(dossier(planned, REF, "prepared").subject.developers)


def test_who_only_evaluated_it_is_independent(builder: Builder) -> None:
    builder.judge(REF, FAIR, actor="vera")
    builder.approver("vera").approve(REF, "deployed")
    assert approvals(builder, REF)["vera"].independent


def test_the_last_word_counts(builder: Builder) -> None:
    rita = builder.approver("rita")
    rita.approve(REF, "deployed")
    rita.reject(REF, "deployed", "second thoughts")
    assert not rule(builder, REF, "independent")
    assert not rule(builder, REF, "no-rejection")
    rita.approve(REF, "deployed", "third thoughts")
    assert rule(builder, REF, "independent")
    assert rule(builder, REF, "no-rejection")
    assert approvals(builder, REF)["rita"].reason == "third thoughts"
    assert [given.verdict for given in rita.approvals(REF)] == ["approved", "rejected", "approved"]


def test_one_rejection_is_enough(builder: Builder) -> None:
    builder.approver("rita").approve(REF, "deployed")
    builder.approver("ravi").reject(REF, "deployed", "it fails my mother")
    assert rule(builder, REF, "independent")
    assert not rule(builder, REF, "no-rejection")


def test_approval_is_of_what_it_was(builder: Builder) -> None:
    builder.approver("rita").approve(REF, "deployed")
    builder.approver("ravi").reject(REF, "deployed", "not so")
    builder.acting("alice").promote(REF, "designed")
    builder.train(REF, b"better weights", actor="bob")
    for stage in ("trained", "evaluated"):
        if stage == "evaluated":
            builder.judge(REF, GOOD_EVALUATION, kind="evaluate")
        assert builder.acting("alice").promote(REF, stage).allowed
    assert {given.current for given in approvals(builder, REF).values()} == {False}
    assert not rule(builder, REF, "independent")
    assert rule(builder, REF, "no-rejection")
    assert {given.current for given in builder.acting("rita").approvals(REF)} == {False}


def test_training_it_takes_an_approval_back(builder: Builder) -> None:
    """Who becomes a developer after having approved is none the more independent."""
    builder.approver("rita").approve(REF, "deployed")
    builder.acting("alice").promote(REF, "designed")
    builder.train(REF, actor="rita")  # the same bytes: the digest stays
    builder.acting("alice").promote(REF, "trained")
    builder.acting("alice").promote(REF, "evaluated")
    assert not approvals(builder, REF)["rita"].independent
    builder.acting("rita").approve(REF, "deployed", "my own work, seen again")
    assert approvals(builder, REF)["rita"].current
    assert not rule(builder, REF, "independent")


def test_approval_is_of_one_step(builder: Builder) -> None:
    builder.approver("rita").approve(REF, "retired")
    assert approvals(builder, REF) == {}
    assert not rule(builder, REF, "independent")


def test_high_risk_takes_two_different_people(builder: Builder) -> None:
    ref = builder.plan("triage", system="triage", tier="high")
    builder.bring(ref, "evaluated")
    for reviewer, enough in (("rita", False), ("rita", False), ("ravi", True)):
        builder.approver(reviewer).approve(ref, "deployed")
        assert rule(builder, ref, "independent") == enough


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_rejection_says_why(builder: Builder, reason: str) -> None:
    rita = builder.approver("rita")
    size = rita.verify().size
    with pytest.raises(BadInput, match="a rejection needs a reason"):
        rita.reject(REF, "deployed", reason)
    assert builder.acting("alice").verify().size == size


# -- the rest ------------------------------------------------------------------------------------


def test_the_subject_says_what_the_version_is(builder: Builder) -> None:
    seen = dossier(builder, REF, "deployed").subject
    version = builder.acting("alice").version(REF)
    assert (seen.ref, seen.model, seen.number, seen.stage) == ("loans/1", "loans", 1, "evaluated")
    assert (seen.digest, seen.artifact) == (version.digest, version.artifact)
    assert (seen.risk_tier, seen.system.name, seen.created_by) == ("limited", "credit", "alice")
    assert seen.design == {"architecture": "encoder", "layers": "2"}
    assert seen.runs_active == 0
    builder.queue(REF)
    assert dossier(builder, REF, "deployed").subject.runs_active == 1


def test_deployments_are_seen_with_the_artifact_that_they_serve(builder: Builder) -> None:
    builder.bring(REF, "deployed")
    number = builder.deploy(REF)
    (seen,) = dossier(builder, REF, "monitored").deployments
    artifact = builder.acting("alice").version(REF).artifact
    assert (seen.id, seen.state, seen.artifact) == (number, "active", artifact)
    builder.undeploy(number, REF)
    assert dossier(builder, REF, "monitored").deployments[0].state == "stopped"


def test_a_decision_keeps_the_dossier_that_it_saw(builder: Builder) -> None:
    seen = as_json(dossier(builder, REF, "deployed"))
    decision = builder.acting("alice").promote(REF, "deployed")
    with builder.database.read() as session:
        kept = session.get_one(DecisionRow, decision.id).dossier
    assert {**kept, "now": None} == {**seen, "now": None}


def test_the_digest_is_over_plan_data_design_and_artifact(at: At) -> None:
    builder = at("planned")
    alice = builder.acting("alice")
    digests = [alice.version(REF).digest]
    alice.design(REF, {"architecture": "encoder"})
    digests.append(alice.version(REF).digest)
    alice.link_data(REF, {"reference": "loans-test/1"})
    digests.append(alice.version(REF).digest)
    alice.link_data(REF, {"reference": "loans-train/1"})
    digests.append(alice.version(REF).digest)
    builder.bring(REF, "trained")
    digests.append(alice.version(REF).digest)
    assert len(set(digests)) == len(digests)


def test_taking_a_role_away_gives_the_digest_from_before(at: At) -> None:
    builder = at("planned")
    alice = builder.acting("alice")
    before = alice.version(REF)
    alice.link_data(REF, {"reference": "loans-test/1"})
    assert alice.link_data(REF, {"reference": None}) == before
    assert alice.verify().ok
