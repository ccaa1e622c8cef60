"""Waivers, findings, risks and assessments in every state that they can have."""

from __future__ import annotations

from datetime import timedelta

from integration.builder import Builder, Finding

from registry.api import Registry
from registry.domain.people import APPROVER, REVIEWER
from registry.domain.tiers import SHIPPED
from registry.storage.tables.base import now

# Answers that come to `minimal`; one that reaches another tier is put in their place.
HARMLESS = {question.id: next(iter(question.answers)) for question in SHIPPED.questions}


def a_rule(registry: Registry) -> str:
    """Some rule in force that may be waived for 20 days."""
    for policy in registry.policies():
        days = policy.document.get("waivers", {}).get("max_days", 30)
        for rule in policy.document["validations"]:
            if policy.bindings and days > 20 and rule.get("waivable", True):
                return f"{policy.name}/{rule['id']}"
    raise AssertionError("no rule may be waived")


def live_with_risks(builder: Builder) -> None:
    """A system `claims` with one version, claims/1 by alice: nothing stands open against it at the end."""
    ref = builder.plan("claims", system="claims", tier="limited")
    root, alice = builder.acting("root"), builder.acting("alice")
    root.people.grant("ruth", APPROVER)
    root.people.grant("vera", REVIEWER)
    ruth, vera = builder.acting("ruth"), builder.acting("vera")
    until = now() + timedelta(days=20)
    rule = a_rule(root)

    for about in ({"ref": ref}, {"system": "claims"}):
        made = alice.waivers.request(rule, **about, reason="why", control="how", until=until)
        ruth.waivers.approve(made.id, "the control is in place")
    ruth.waivers.revoke(made.id, "no longer needed")
    asked = alice.waivers.request(rule, ref=ref, reason="why", control="how", until=until)
    ruth.waivers.reject(asked.id, "measure it")

    raised = vera.findings.add("too few people", ref=ref, severity="high", owner="alice", due=until)
    builder.judge(ref, Finding("data.quality", {"rows": 500}))
    evidence = alice.evidence(ref)[-1].id
    vera.findings.close(raised.id, evidence=evidence)
    raised = vera.findings.add("no way to object", system="claims", severity="low", owner="alice", due=until)
    vera.findings.close(raised.id, reason="there is a form now")

    for title in ("unequal", "leaks"):
        vera.risks.add(
            "claims",
            category="training/bias",
            title=title,
            likelihood=3,
            severity=4,
            residual="2x2",
            controls="reweighing",
            owner="alice",
            review_by=until,
        )
    ruth.risks.accept(1, "small enough")
    vera.risks.close(2, "no personal data")

    alice.tiers.assess("claims", HARMLESS)
    ruth.tiers.approve(1, "a pilot")
    alice.tiers.assess("claims", HARMLESS | {"exposure": "public"})
