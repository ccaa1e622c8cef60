"""A version that was let through with an exception, among people who watch each other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from integration.builder import FAIR, OF_TIER, SAFE, Builder, Finding
from integration.signed import key_of

from registry.api import Registry
from registry.domain.people import APPROVER, REVIEWER
from registry.storage.tables.base import now

REF = "loans/1"
RULE = "group-fairness/dp-difference"
UNFAIR = Finding(
    FAIR.kind,
    {
        **FAIR.metrics,
        "demographic_parity_difference": 0.3,
        "demographic_parity_difference.lower": 0.2,
        "demographic_parity_difference.upper": 0.4,
    },
)
SOON = timedelta(seconds=0.3)
LATER = timedelta(days=10)


def govern(builder: Builder, keys: Path) -> None:
    """Bring loans/1, which was evaluated, into service past a rule that it fails.

    vera reviews, rita approves, dora stands in for ruth. rita's first approval goes stale; one waiver
    holds, one was rejected; a finding is overdue, another closed; one risk of two is accepted.
    """
    root, alice = builder.acting("root"), builder.acting("alice")
    rita, ruth = builder.approver("rita"), builder.approver("ruth")
    for reviewer in ("vera", "dora"):
        root.people.grant(reviewer, REVIEWER)
    root.people.add_group("validation")
    root.people.join("validation", "rita")
    vera, dora = builder.acting("vera"), builder.acting("dora")
    ruth.people.delegate(APPROVER, "dora", until=now() + LATER, reason="on leave")

    builder.judge(REF, *OF_TIER["limited"]["deployed"], actor="erik")
    rita.approve(REF, "deployed", "seen")
    builder.judge(REF, UNFAIR, SAFE)
    rita.reject(REF, "deployed", "the groups differ")
    dora.approve(REF, "deployed", "with the control in place")

    closed = vera.findings.add(
        "no way to object", system="credit", severity="low", owner="alice", due=now() + LATER
    )
    vera.findings.close(closed.id, reason="there is a form now")

    add_risk(vera, "unequal", LATER)
    rita.risks.accept(1, "tolerable while a clerk confirms")

    asked = alice.waivers.request(
        RULE, ref=REF, reason="no better data yet", control="a clerk reads all of them", until=now() + LATER
    )
    refused = alice.waivers.request(
        RULE, ref=REF, reason="no time", control="none needed", until=now() + LATER
    )
    rita.waivers.approve(asked.id, "ten days, not longer")
    rita.waivers.reject(refused.id, "one is enough")

    builder.judge(REF, SAFE)
    rita.approve(REF, "deployed", "with the exception")
    dora.approve(REF, "deployed", "with the control in place")
    decision = alice.promote(REF, "deployed")
    assert decision.allowed, decision.verdict.blocking
    vera.findings.add("women are ranked lower", ref=REF, severity="medium", owner="alice", due=now() + SOON)
    add_risk(vera, "leaks", SOON)
    builder.wait(SOON)
    builder.deploy(REF)
    assert alice.move_alias(REF, "canary").allowed
    rita.keys.sign(REF, key_of(builder, keys, "rita"))


def add_risk(reviewer: Registry, title: str, review: timedelta) -> None:
    reviewer.risks.add(
        "credit",
        category="training/bias",
        title=title,
        likelihood=4,
        severity=4,
        residual="2x3",
        controls="a clerk confirms every decision",
        owner="alice",
        review_by=now() + review,
    )
