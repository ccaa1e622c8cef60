"""A row in each table that no use case writes yet; to be deleted with the last of them."""

from __future__ import annotations

from datetime import timedelta

from integration.builder import Builder

from registry.domain.digests import digest_of
from registry.domain.events import (
    AliasMoved,
    FindingRaised,
    GroupAdded,
    KeyTrusted,
    MemberAdded,
    RiskAdded,
    RoleDelegated,
    StatementSigned,
    TierAssessed,
    WaiverRequested,
)
from registry.storage.tables import (
    AliasRow,
    DelegationRow,
    EnvelopeRow,
    FindingRow,
    GroupRow,
    MemberRow,
    RiskRow,
    TierAssessmentRow,
    TrustedKeyRow,
    WaiverRow,
)

_DIGEST = digest_of("something")


def write_rows_without_use_cases(builder: Builder) -> None:
    """Groups, delegations, aliases, waivers, findings, risks, tiers, keys, envelopes, with their events."""
    with builder.database.write("root") as work:
        made = {"created_at": work.at, "created_by": work.actor.id}
        later = work.at + timedelta(days=30)
        session = work.session

        group = GroupRow(name="model-risk", **made)
        session.add(group)
        work.record(GroupAdded("group:model-risk", "model-risk"))
        session.add(MemberRow(group_id=group.id, actor_id=2, **made))
        work.record(MemberAdded("group:model-risk", 2))
        lent = DelegationRow(from_actor_id=1, to_actor_id=2, role="admin", reason="away", until=later, **made)
        session.add(lent)
        work.record(RoleDelegated("actor:1", "admin", 2, later.isoformat()))

        session.add(AliasRow(model_id=1, name="candidate", version_id=1, **made))
        work.record(AliasMoved("model:loans/1", "candidate", "loans/1", 0))
        waiver = WaiverRow(
            rule="group-fairness/dp-difference", policy_digest=_DIGEST, version_id=1, digest=_DIGEST,
            reason="a small group", control="reviewed by hand", until=later, state="requested", **made,
        )  # fmt: skip
        session.add(waiver)
        session.flush()
        work.record(WaiverRequested("model:loans/1", waiver.id, waiver.rule, later.isoformat()))
        finding = FindingRow(
            version_id=1, title="slices", text="too few", severity="high", owner_id=2, due=later, **made
        )
        session.add(finding)
        session.flush()
        work.record(FindingRaised("model:loans/1", finding.id, "high", later.isoformat()))

        risk = RiskRow(
            system_id=1, category="bias", title="a group is refused", description="", likelihood=3,
            severity=4, controls="review", residual_likelihood=2, residual_severity=3, owner_id=2,
            review_by=later, state="open", **made,
        )  # fmt: skip
        session.add(risk)
        session.flush()
        work.record(RiskAdded("system:credit", risk.id, risk.category, 6))
        tier = TierAssessmentRow(
            system_id=1, questionnaire=_DIGEST, answers={"exposure": "public"}, computed="high",
            tier="limited", reason="a pilot", state="requested", **made,
        )  # fmt: skip
        session.add(tier)
        session.flush()
        work.record(TierAssessed("system:credit", tier.id, "high", "limited", "requested"))

        session.add(TrustedKeyRow(keyid="ab" * 32, scheme="ed25519", public="(a key)", owner_id=2, **made))
        work.record(KeyTrusted("actor:2", "ab" * 32, 2))
        session.add(
            EnvelopeRow(
                subject=_DIGEST,
                about="decision",
                row="decisions:1",
                predicate_type="test",
                keyid="ab" * 32,
                digest=_DIGEST,
                envelope={"payload": "e30="},
                **made,
            )
        )
        work.record(StatementSigned("decisions:1", "decision", "decisions:1", "ab" * 32, _DIGEST))
