"""Triggers for the tables of people, waivers, findings, risks, aliases and signatures."""

from __future__ import annotations

from registry.migrations.triggers import keep, release

revision = "0004_kept"
down_revision = "0003_people_and_risks"

FROZEN = ("alias_settings", "envelopes", "groups")
_ENDED_ONCE = (
    "OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL"
    " AND NEW.id = OLD.id AND NEW.created_by = OLD.created_by"
)
KEPT = {
    "grants": f"{_ENDED_ONCE} AND NEW.actor_id = OLD.actor_id AND NEW.role = OLD.role",
    "group_members": f"{_ENDED_ONCE} AND NEW.actor_id = OLD.actor_id AND NEW.group_id = OLD.group_id",
    "delegations": (
        f"{_ENDED_ONCE} AND NEW.from_actor_id = OLD.from_actor_id AND NEW.to_actor_id = OLD.to_actor_id"
        " AND NEW.role = OLD.role AND NEW.until = OLD.until"
    ),
    "trusted_keys": (
        f"{_ENDED_ONCE} AND NEW.keyid = OLD.keyid AND NEW.public = OLD.public AND NEW.owner_id = OLD.owner_id"
    ),
    # Decided once, and ended once if it was granted; what was asked for stays.
    "waivers": (
        "NEW.id = OLD.id AND NEW.rule = OLD.rule AND NEW.policy_digest = OLD.policy_digest"
        " AND NEW.digest = OLD.digest AND NEW.until = OLD.until AND NEW.created_by = OLD.created_by"
        " AND COALESCE(NEW.version_id, 0) = COALESCE(OLD.version_id, 0)"
        " AND COALESCE(NEW.system_id, 0) = COALESCE(OLD.system_id, 0)"
        " AND (OLD.state = 'requested' AND NEW.state IN ('approved', 'rejected')"
        " OR OLD.state = 'approved' AND NEW.state = 'revoked' AND NEW.decided_by = OLD.decided_by)"
    ),
    "findings": (
        "OLD.closed_at IS NULL AND NEW.id = OLD.id AND NEW.title = OLD.title AND NEW.severity = OLD.severity"
        " AND NEW.created_by = OLD.created_by"
        " AND COALESCE(NEW.version_id, 0) = COALESCE(OLD.version_id, 0)"
        " AND COALESCE(NEW.system_id, 0) = COALESCE(OLD.system_id, 0)"
    ),
    "risks": (
        "OLD.state <> 'closed' AND NEW.id = OLD.id AND NEW.system_id = OLD.system_id"
        " AND NEW.category = OLD.category AND NEW.created_by = OLD.created_by"
    ),
    "tier_assessments": (
        "OLD.state = 'requested' AND NEW.state <> 'requested' AND NEW.id = OLD.id"
        " AND NEW.system_id = OLD.system_id AND NEW.computed = OLD.computed AND NEW.tier = OLD.tier"
        " AND CAST(NEW.answers AS TEXT) = CAST(OLD.answers AS TEXT) AND NEW.created_by = OLD.created_by"
    ),
}


def upgrade() -> None:
    keep(FROZEN, KEPT)


def downgrade() -> None:
    release((*FROZEN, *KEPT))
