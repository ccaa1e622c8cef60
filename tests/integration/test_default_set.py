"""The default set as a whole: a version of each risk tier walks from planned to retired by real gates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from integration.builder import Builder
from integration.conftest import At, Databases
from integration.found import DISCREET, EVERY_SLICE, FAIR, GOOD_EVALUATION, ROBUST, SAFE, Finding, document

from registry.domain.decision import Action, Outcome
from registry.domain.tiers import TIERS

SERVICE = ("evaluated", "deployed", "monitored", "retired")
# From scratch; from a base; and trained before it was tuned.
ROADS = (
    ("prepared", "designed", "trained", *SERVICE),
    ("prepared", "designed", "tuned", *SERVICE),
    ("prepared", "designed", "trained", "tuned", *SERVICE),
)


@pytest.fixture
def builder(databases: Databases, initialised: str, tmp_path: Path) -> Iterator[Builder]:
    """A registry in which nothing was planned yet."""
    url = databases.copy(initialised)
    with Builder(tmp_path / "home", url) as builder:
        yield builder
    databases.drop(url)


@pytest.mark.parametrize("road", ROADS, ids=["trained", "tuned", "both"])
@pytest.mark.parametrize("tier", TIERS)
def test_each_tier_walks_from_planned_to_retired(builder: Builder, tier: str, road: tuple[str, ...]) -> None:
    ref = builder.plan("walker", system=f"{tier}-system", tier=tier)
    alice = builder.acting("alice")
    for stage in road:
        if stage != "prepared":
            refused = builder.mover(ref, stage).promote(ref, stage)
            assert not refused.allowed, stage
        builder.supply(ref, stage)
        decision = builder.mover(ref, stage).promote(ref, stage)
        assert decision.allowed, decision.verdict.blocking
        lacking = [result for result in decision.verdict.results if result.outcome is not Outcome.PASS]
        assert {result.action for result in lacking} <= {Action.WARN}, lacking
        assert not lacking or tier == "limited"
        if stage == "monitored":
            assert alice.move_alias(ref, "champion").allowed
            assert not alice.promote(ref, "retired").allowed
            builder.acting("root").remove_alias("walker", "champion", "it retires")
    assert alice.version(ref).following == []
    assert alice.verify(artifacts=True).ok


@pytest.fixture
def high(at: At) -> Builder:
    """A version of a system of high risk, evaluated, with everything that the next gate asks for."""
    builder = at("planned")
    ref = builder.plan("triage", system="triage", tier="high")
    builder.bring(ref, "evaluated")
    return builder


REF = "triage/1"
DEPLOYED = (FAIR, SAFE, DISCREET, document("oversight"), document("security"), document("rollback-plan"))


def test_every_piece_refuses_by_itself_and_names_what_would_supply_it(high: Builder) -> None:
    high.supply(REF, "deployed")
    dora = high.mover(REF, "deployed")
    assert dora.explain(REF, "deployed")[0].allowed
    for piece in DEPLOYED:
        high.judge(REF, replace(piece, status="insufficient"))
        blocking = dora.explain(REF, "deployed")[0].verdict.blocking
        told = [result for result in blocking if piece.kind in result.message]
        assert {result.outcome for result in told} == {Outcome.INSUFFICIENT}, piece.kind
        assert all(result.remedy.startswith("phasegate run ") for result in told)
        # New evidence is something that nobody who approved has seen.
        assert {result.rule for result in blocking} - {result.rule for result in told} == {
            "approvals/independent"
        }
        high.judge(REF, piece)
    for reviewer in ("rita", "ravi"):
        high.approver(reviewer).approve(REF, "deployed")
    assert dora.promote(REF, "deployed").allowed


def test_high_risk_is_not_deployed_by_who_built_it_nor_with_a_grave_finding_open(high: Builder) -> None:
    high.supply(REF, "deployed")
    (blocking,) = high.acting("alice").explain(REF, "deployed")[0].verdict.blocking
    assert (blocking.rule, blocking.value) == ("deployer-acts/role", "alice")
    dora = high.mover(REF, "deployed")
    found = high.acting("vera").findings.add(
        "no test on people over 70",
        ref=REF,
        severity="high",
        owner="alice",
        due=datetime.now(UTC) + timedelta(days=30),
    )
    (blocking,) = dora.explain(REF, "deployed")[0].verdict.blocking
    assert blocking.message == "open: no test on people over 70, raised by vera"
    high.holding("reviewer", "rosa").findings.close(found.id, reason="tested, see the slices")
    assert dora.promote(REF, "deployed").allowed


def test_a_challenger_that_is_worse_does_not_pass_the_champion(at: At) -> None:
    builder = at("monitored")
    alice = builder.acting("alice")
    assert alice.move_alias("loans/1", "champion").allowed
    data = dict(alice.version("loans/1").data)
    again = alice.plan("loans", system="credit", targets=["f1>=0.5"], data=data, budget_hours=1).ref
    for stage in ("prepared", "designed", "trained"):
        if stage == "trained":
            builder.train(again, b"other weights", actor="bob")
        else:
            builder.supply(again, stage)
        assert alice.promote(again, stage).allowed
    worse = replace(GOOD_EVALUATION, metrics={**GOOD_EVALUATION.metrics, "f1": 0.8})
    builder.judge(again, worse, EVERY_SLICE, ROBUST, kind="evaluate", actor="erik")
    (blocking,) = alice.promote(again, "evaluated").verdict.blocking
    assert (blocking.rule, blocking.value, blocking.limit) == (
        "against-champion/not-worse[f1]",
        "0.8",
        "0.93",
    )
    builder.judge(again, GOOD_EVALUATION, kind="evaluate", actor="erik")
    assert alice.promote(again, "evaluated").allowed
    assert not alice.move_alias(again, "champion").allowed  # it is not in service


def test_an_evaluation_of_other_data_does_not_count(at: At) -> None:
    builder = at("trained")
    other = Finding(
        GOOD_EVALUATION.kind, GOOD_EVALUATION.metrics, facts={"test": "easy/1", "test.digest": "sha256:easy"}
    )
    builder.judge("loans/1", other, kind="evaluate", actor="erik")
    (blocking,) = builder.acting("alice").promote("loans/1", "evaluated").verdict.blocking
    assert (blocking.rule, blocking.value, blocking.limit) == (
        "evaluation-sound/test-data",
        "easy/1",
        "loans-test/1",
    )
