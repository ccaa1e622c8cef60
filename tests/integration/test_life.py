"""A version's whole life through the shipped gates: refused, supplied, allowed, stage by stage."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from integration.builder import GOOD_DATA, QUIET_WINDOW, SAFE, Finding
from integration.conftest import At
from sqlalchemy import select

from registry.domain.references import Ref
from registry.errors import NoSuchStage, NoSuchTransition, NotFound, WrongStage
from registry.storage import find
from registry.storage.tables import DecisionRow, LedgerEntry, TransitionRow
from registry.storage.tables.base import row_digest, row_key

NOBODY = next(finding for finding in GOOD_DATA if finding.kind == "check.pii")
ROAD = ("prepared", "designed", "trained", "evaluated", "deployed", "monitored", "retired")
# What the shipped gate misses when nothing was done for it.
MISSING = {
    "designed": {"design-recorded/recorded", "design-recorded/architecture", "design-reviewed/headings"},
    "trained": {"training-healthy/artifact", "training-healthy/converged", "training-healthy/loss-fell"},
    "evaluated": {"targets-met/met[f1]", "targets-met/fixed-before[f1]"},
    "deployed": {
        "group-fairness/dp-difference",
        "group-fairness/odds-difference",
        "artifact-safe/unsafe-files",
        "approvals/independent",
        "rollback/headings",
        "monitoring-plan/headings",
    },
    "monitored": {"deployment-healthy/active", "deployment-healthy/healthy", "first-window/window"},
    "retired": {"nothing-runs/no-active-deployment", "retirement-recorded/undeployed"},
}


def test_from_planned_to_retired(at: At) -> None:
    builder, ref = at("planned"), "loans/1"
    alice = builder.acting("alice")
    recorded = []
    for origin, to in zip(("planned", *ROAD), ROAD, strict=False):
        if to != "prepared":
            explained, _ = alice.explain(ref, to)
            refused = alice.promote(ref, to)
            assert not refused.allowed
            assert refused.verdict == explained.verdict
            assert {result.rule for result in refused.verdict.blocking} >= MISSING[to]
            assert alice.version(ref).stage == origin
            recorded.append(refused)
        builder.supply(ref, to)
        explained, _ = alice.explain(ref, to)
        allowed = alice.promote(ref, to)
        assert allowed.allowed, allowed.verdict.blocking
        assert allowed.verdict == explained.verdict
        assert (allowed.origin, allowed.to, alice.version(ref).stage) == (origin, to, to)
        recorded.append(allowed)
    assert alice.version(ref).following == []

    # Every decision is a row, a ledger entry, and tells the same in both.
    decisions = alice.decisions(ref)
    assert [(d.id, d.origin, d.to, d.allowed, d.digest) for d in decisions] == [
        (d.id, d.origin, d.to, d.allowed, d.digest) for d in recorded
    ]
    entries = alice.log(subjects=[f"model:{ref}"], action="stage-decided")
    assert [entry.index for entry in entries] == [decision.entry for decision in recorded]
    for entry, decision, view in zip(entries, recorded, decisions, strict=True):
        assert entry.payload["decision"] == decision.id
        assert entry.payload["allowed"] is decision.allowed
        assert entry.payload["blocking"] == [result.rule for result in decision.verdict.blocking]
        assert [result["rule"] for result in view.results] == [
            result.rule for result in decision.verdict.results
        ]
        assert entry.at == view.at

    # A transition for each that was allowed, and for none that was refused.
    with builder.database.read() as session:
        version = find.version(session, Ref.parse(ref))
        moves = session.scalars(
            select(TransitionRow).where(TransitionRow.version_id == version.id).order_by(TransitionRow.id)
        ).all()
        assert [(move.from_stage, move.to_stage, move.decision_id) for move in moves] == [
            (decision.origin, decision.to, decision.id) for decision in recorded if decision.allowed
        ]
        # The dossier that was seen is kept whole with the decision, and its entry holds the row's digest.
        for decision in recorded:
            row = session.get_one(DecisionRow, decision.id)
            assert row.dossier["subject"]["stage"] == row.from_stage
            payload = session.get_one(LedgerEntry, decision.entry).payload
            assert payload is not None
            assert json.loads(payload)["rows"][row_key(row)] == row_digest(row)

    history = alice.history(ref)
    assert {entry.action for entry in history} == {
        "artifact-produced",
        "dataset-added",
        "deployment-started",
        "deployment-stopped",
        "design-recorded",
        "evidence-recorded",
        "run-ended",
        "run-queued",
        "stage-decided",
        "verdict-given",
        "version-planned",
    }
    assert [entry.index for entry in history] == sorted(entry.index for entry in history)
    assert history[-1].text == f"moved from monitored to retired (decision {recorded[-1].id})"
    assert alice.verify(artifacts=True).ok


def test_another_versions_life_is_another_history(at: At) -> None:
    builder = at("designed")
    one, other = "loans/1", builder.plan("other")
    told = {entry.subject for entry in builder.acting("alice").history(other)}
    assert f"model:{one}" not in told
    assert f"model:{other}" in told


def test_people_found_in_the_data_stop_it_at_the_first_gate(at: At) -> None:
    builder, ref = at("planned"), "loans/1"
    found = {**NOBODY.metrics, "findings": 3, "findings.PHONE_NUMBER": 3}
    builder.judge_data("loans-test/1", [replace(NOBODY, metrics=found)])
    decision = builder.acting("alice").promote(ref, "prepared")
    blocking, another = decision.verdict.blocking
    assert another.rule == "personal-data/looked-for[loans-test/1]"
    assert blocking.rule == "personal-data/nobody-found[loans-test/1]"
    assert (blocking.value, blocking.limit) == ("3", "0")
    assert blocking.remedy == "phasegate run mask loans-test/1"


def test_rework_makes_what_was_known_of_the_old_artifact_stale(at: At) -> None:
    builder, ref = at("evaluated"), "loans/1"
    alice = builder.acting("alice")
    builder.judge(ref, SAFE)
    assert alice.promote(ref, "designed").allowed  # open: back, never forward
    builder.train(ref, b"other weights")
    assert alice.promote(ref, "trained").allowed
    refused = alice.promote(ref, "evaluated")
    assert "stale" in next(r.message for r in refused.verdict.blocking if r.rule == "evaluation-sound/rows")
    assert alice.explain(ref, "evaluated")[1].unusable["eval.security"].startswith("stale")
    builder.supply(ref, "evaluated")
    assert alice.promote(ref, "evaluated").allowed


def test_withdrawing_needs_no_evidence_and_coming_back_does(at: At) -> None:
    builder, ref = at("deployed"), "loans/1"
    alice = builder.acting("alice")
    assert alice.promote(ref, "evaluated").allowed
    assert alice.promote(ref, "deployed").allowed  # the same artifact, still approved
    builder.approver("rita").reject(ref, "monitored", "it drifts")  # of another step
    builder.supply(ref, "monitored")
    assert alice.promote(ref, "monitored").allowed
    assert alice.promote(ref, "evaluated").allowed
    builder.approver("rita").reject(ref, "deployed", "it drifts")
    blocking = alice.promote(ref, "deployed").verdict.blocking
    assert {result.rule for result in blocking} == {"approvals/independent", "approvals/no-rejection"}
    assert any("rejected by rita: it drifts" in result.message for result in blocking)


def test_what_was_only_planned_can_be_given_up_unless_it_runs(at: At) -> None:
    builder, ref = at("planned"), "loans/1"
    alice = builder.acting("alice")
    builder.queue(ref)
    (blocking,) = alice.promote(ref, "retired").verdict.blocking
    assert (blocking.rule, blocking.value) == ("nothing-runs/no-active-run", "1")
    other = builder.plan("other")
    assert alice.promote(other, "retired").allowed


@pytest.mark.parametrize(
    ("to", "error", "says", "hint"),
    [
        ("deployd", NoSuchStage, "there is no stage 'deployd'", "did you mean 'deployed'?"),
        (
            "deployed",
            NoSuchTransition,
            "deployed cannot follow planned",
            "from planned it can go to: prepared, retired",
        ),
        ("planned", NoSuchTransition, "it is planned already", "phasegate model history shows who moved it"),
    ],
)
def test_a_step_that_is_none_changes_nothing(
    at: At, to: str, error: type[Exception], says: str, hint: str
) -> None:
    builder, ref = at("planned"), "loans/1"
    alice = builder.approver("alice")
    size = alice.verify().size
    for attempt in (alice.promote, alice.explain, alice.approve):
        with pytest.raises(error, match=says) as caught:
            attempt(ref, to)
        assert caught.value.hint == hint  # type: ignore[attr-defined]
    assert alice.verify().size == size


def test_a_version_that_is_not_there(at: At) -> None:
    alice = at("planned").approver("alice")
    for ref, says, hint in (
        ("loans/2", "model 'loans' has no version 2", "its newest version is loans/1"),
        ("loan/1", "there is no model 'loan'", "did you mean 'loans'?"),
        ("zzz/1", "there is no model 'zzz'", "phasegate model plan NAME"),
    ):
        for attempt in (alice.promote, alice.explain, alice.approve):
            with pytest.raises(NotFound, match=says) as caught:
                attempt(ref, "prepared")
            assert caught.value.hint == hint


def test_work_outside_its_stage_is_refused(at: At) -> None:
    ref = "loans/1"
    alice = at("trained").acting("alice")
    with pytest.raises(WrongStage, match="data is done while a version is planned; loans/1 is trained"):
        alice.link_data(ref, {"test": "loans-test/1"})
    with pytest.raises(
        WrongStage, match="design is done while a version is planned or prepared or designed"
    ) as caught:
        alice.design(ref, {"layers": "4"})
    assert caught.value.hint == "phasegate promote loans/1 designed"


def test_one_dataset_serves_many_versions(at: At) -> None:
    """Evidence is about a digest: who linked it does not matter."""
    builder, ref = at("planned"), "loans/1"
    data = dict(builder.acting("alice").version(ref).data)
    other = (
        builder.acting("bob")
        .plan("loans", system="credit", targets=["f1>=0.5"], data=data, budget_hours=1)
        .ref
    )
    assert other == "loans/2"
    assert builder.acting("bob").promote(other, "prepared").allowed


def test_too_little_traffic_is_no_window(at: At) -> None:
    builder, ref = at("deployed"), "loans/1"
    builder.deploy(ref)
    builder.judge(ref, Finding(QUIET_WINDOW.kind, QUIET_WINDOW.metrics, status="insufficient"))
    decision = builder.acting("alice").promote(ref, "monitored")
    assert [(result.rule, result.outcome) for result in decision.verdict.blocking] == [
        ("first-window/window", "insufficient"),
        ("first-window/recent", "insufficient"),
    ]


def test_every_dataset_that_is_named_is_judged(at: At) -> None:
    builder, ref = at("planned"), "loans/1"
    alice = builder.acting("alice")
    reference = builder.dataset("live")
    alice.link_data(ref, {"reference": reference})
    blocked = {result.rule for result in alice.promote(ref, "prepared").verdict.blocking}
    assert all(rule.endswith(f"[{reference}]") for rule in blocked)
    assert len(blocked) == 8
    builder.judge_data(reference, GOOD_DATA)
    assert alice.promote(ref, "prepared").allowed
