"""A version that was let through with an exception, among people who watch each other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from integration.builder import SAFE, Builder, Finding
from integration.signed import key_of

from registry.domain.people import APPROVER, REVIEWER
from registry.storage.tables.base import now

REF = "loans/1"
RULE = "group-fairness/dp-difference"
UNFAIR = Finding(
    "check.bias",
    {
        f"{name}_difference{end}": value
        for name, values in {
            "demographic_parity": {"": 0.3, ".lower": 0.2, ".upper": 0.4},
            "equal_opportunity": {"": 0.03, ".lower": 0.01, ".upper": 0.05},
        }.items()
        for end, value in values.items()
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

    builder.judge(REF, SAFE)
    rita.approve(REF, "deployed", "seen")
    builder.judge(REF, UNFAIR, SAFE)
    rita.reject(REF, "deployed", "the groups differ")
    dora.approve(REF, "deployed", "with the control in place")

    vera.findings.add("women are ranked lower", ref=REF, severity="medium", owner="alice", due=now() + SOON)
    closed = vera.findings.add(
        "no way to object", system="credit", severity="low", owner="alice", due=now() + LATER
    )
    vera.findings.close(closed.id, reason="there is a form now")

    for title, review in (("unequal", LATER), ("leaks", SOON)):
        vera.risks.add(
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
    rita.risks.accept(1, "tolerable while a clerk confirms")

    asked = alice.waivers.request(
        RULE, ref=REF, reason="no better data yet", control="a clerk reads all of them", until=now() + LATER
    )
    refused = alice.waivers.request(
        RULE, ref=REF, reason="no time", control="none needed", until=now() + LATER
    )
    rita.waivers.approve(asked.id, "ten days, not longer")
    rita.waivers.reject(refused.id, "one is enough")
    builder.wait(SOON)

    builder.judge(REF, SAFE)
    rita.approve(REF, "deployed", "with the exception")
    dora.approve(REF, "deployed", "with the control in place")
    assert alice.promote(REF, "deployed").allowed
    builder.deploy(REF)
    assert alice.move_alias(REF, "canary").allowed
    rita.keys.sign(REF, key_of(builder, keys, "rita"))
