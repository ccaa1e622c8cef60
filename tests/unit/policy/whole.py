"""A version of a system of high risk that lacks nothing, at any step of the default lifecycle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from integration import found
from unit.policy import samples

from registry.domain.dossier import ActorFacts, Dossier, RiskFacts, SignatureFacts, SystemFacts
from registry.domain.evidence import EvidenceFacts

ABOUT_DATA = (*found.GOOD_DATA, found.DATASHEET, found.REPRESENTATIVE, found.UNSEEN)
ABOUT_VERSION = (
    found.TUNED,
    found.GOOD_EVALUATION,
    *(finding for findings in found.OF_TIER["high"].values() for finding in findings),
    found.HEALTHY,
    found.QUIET_WINDOW,
    found.RETIREMENT,
)
KINDS = tuple(finding.kind for finding in (*ABOUT_DATA, *ABOUT_VERSION))
METRICS = tuple((finding.kind, name) for finding in (*ABOUT_DATA, *ABOUT_VERSION) for name in finding.metrics)
# What plugins tell of the data that they read.
READ = {
    f"{role}{part}": value
    for role in ("train", "test")
    for part, value in (("", role), (".digest", f"sha256:{role}"))
}


def evidence(findings: Iterable[found.Finding]) -> dict[str, EvidenceFacts]:
    """Findings as a gate sees them."""
    return {
        finding.kind: samples.evidence(
            finding.kind, dict(finding.metrics), facts={**READ, **finding.facts}, actor="erik"
        )
        for finding in findings
    }


def data(role: str, **changes: Any) -> Any:
    """A linked dataset about which everything is known."""
    return samples.data(role, **{"evidence": evidence(ABOUT_DATA), **changes})


def whole(origin: str = "evaluated", to: str = "deployed", *, tier: str = "high", **changes: Any) -> Dossier:
    """The dossier; fields of it can be changed."""
    system = SystemFacts(
        name="loans",
        risk_tier=tier,
        affected_groups=("women", "men"),
        prohibited_uses=("to set interest rates",),
        oversight="a clerk decides",
    )
    review = samples.NOW + (samples.NOW - samples.subject().created_at)
    risk = RiskFacts(1, "training/bias", "refusals", 12, 6, "a clerk", "dev", "accepted", "rita", review)
    facts = samples.dossier(
        origin,
        to,
        subject=samples.subject(
            origin,
            risk_tier=tier,
            system=system,
            budget_hours=10.0,
            hours_used=1.0,
            base="minilm/1",
            base_digest="sha256:minilm",
        ),
        evidence=evidence(ABOUT_VERSION),
        data={role: data(role) for role in ("train", "test")},
        approvals=tuple(
            replace(samples.approval(actor), to=to, roles=("approver",)) for actor in ("rita", "rob")
        ),
        actor=ActorFacts("dora", ("deployer",)),
        risks=(risk,),
        signatures=(SignatureFacts("artifact", "bob", "k1", valid=True, trusted=True),),
    )
    return replace(facts, **changes)
