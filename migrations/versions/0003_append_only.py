"""Triggers that refuse UPDATE, DELETE and what amounts to it of what must never change."""

from __future__ import annotations

from registry.migrations.triggers import drop_function, keep, make_function, release

revision = "0003_append_only"
down_revision = "0002_people_and_risks"

# Rows of these never change.
FROZEN = (
    "artifacts",
    "dataset_versions",
    "dataset_parents",
    "evidence",
    "policies",
    "lifecycles",
    "decisions",
    "transitions",
    "approvals",
    "run_inputs",
    "run_outputs",
    "ledger_nodes",
    "alias_settings",
    "envelopes",
    "groups",
)
_ENDED_ONCE = (
    "OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL"
    " AND NEW.id = OLD.id AND NEW.created_at = OLD.created_at AND NEW.created_by = OLD.created_by"
)
# Rows of these are never deleted; what may change in them: condition on the old and the new row.
KEPT = {
    # Only erasure: payload and salt go together, everything that is hashed stays.
    "ledger_entries": (
        'NEW.payload IS NULL AND NEW.salt IS NULL AND NEW."index" = OLD."index" AND NEW.header = OLD.header'
        " AND NEW.leaf = OLD.leaf AND NEW.at = OLD.at AND NEW.actor_id = OLD.actor_id"
        " AND NEW.action = OLD.action AND NEW.subject = OLD.subject"
    ),
    # The log only grows.
    "ledger_head": "NEW.id = OLD.id AND NEW.size > OLD.size",
    # A binding is ended once, never changed.
    "bindings": (
        "OLD.unbound_at IS NULL AND NEW.unbound_at IS NOT NULL AND NEW.id = OLD.id AND NEW.name = OLD.name"
        " AND NEW.policy_id = OLD.policy_id AND NEW.action = OLD.action"
        " AND CAST(NEW.document AS TEXT) = CAST(OLD.document AS TEXT)"
        " AND NEW.bound_at = OLD.bound_at AND NEW.bound_by = OLD.bound_by"
    ),
    # A version keeps its number, its model and its maker.
    "versions": "NEW.id = OLD.id AND NEW.model_id = OLD.model_id AND NEW.number = OLD.number"
    " AND NEW.created_by = OLD.created_by",
    # A run that succeeded, failed or was cancelled is over.
    "runs": "OLD.state IN ('queued', 'running', 'lost') AND NEW.id = OLD.id",
    "systems": "NEW.id = OLD.id AND NEW.name = OLD.name",
    "models": "NEW.id = OLD.id AND NEW.name = OLD.name",
    "datasets": "NEW.id = OLD.id AND NEW.name = OLD.name",
    "deployments": "OLD.state = 'active' AND NEW.id = OLD.id",
    "actors": "NEW.id = OLD.id",
    "grants": f"{_ENDED_ONCE} AND NEW.actor_id = OLD.actor_id AND NEW.role = OLD.role",
    "group_members": f"{_ENDED_ONCE} AND NEW.actor_id = OLD.actor_id AND NEW.group_id = OLD.group_id",
    "delegations": (
        f"{_ENDED_ONCE} AND NEW.from_actor_id = OLD.from_actor_id AND NEW.to_actor_id = OLD.to_actor_id"
        " AND NEW.role = OLD.role AND NEW.until = OLD.until AND NEW.reason = OLD.reason"
    ),
    "trusted_keys": (
        f"{_ENDED_ONCE} AND NEW.keyid = OLD.keyid AND NEW.scheme = OLD.scheme AND NEW.public = OLD.public"
        " AND NEW.owner_id = OLD.owner_id"
    ),
    # Decided once, and ended once if it was granted; what was asked for stays.
    "waivers": (
        "NEW.id = OLD.id AND NEW.rule = OLD.rule AND NEW.policy_digest = OLD.policy_digest"
        " AND NEW.digest = OLD.digest AND NEW.until = OLD.until AND NEW.created_by = OLD.created_by"
        " AND NEW.reason = OLD.reason AND NEW.control = OLD.control AND NEW.created_at = OLD.created_at"
        " AND COALESCE(NEW.version_id, 0) = COALESCE(OLD.version_id, 0)"
        " AND COALESCE(NEW.system_id, 0) = COALESCE(OLD.system_id, 0)"
        " AND (OLD.state = 'requested' AND NEW.state IN ('approved', 'rejected')"
        " OR OLD.state = 'approved' AND NEW.state = 'revoked' AND NEW.decided_by = OLD.decided_by"
        " AND NEW.decided_at = OLD.decided_at)"
    ),
    "findings": (
        "OLD.closed_at IS NULL AND NEW.id = OLD.id AND NEW.title = OLD.title AND NEW.severity = OLD.severity"
        " AND NEW.created_by = OLD.created_by AND NEW.created_at = OLD.created_at AND NEW.text = OLD.text"
        " AND NEW.due = OLD.due AND NEW.owner_id = OLD.owner_id"
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
        " AND NEW.questionnaire = OLD.questionnaire AND NEW.reason = OLD.reason"
    ),
}


def upgrade() -> None:
    make_function()
    keep(FROZEN, KEPT)


def downgrade() -> None:
    release((*FROZEN, *KEPT))
    drop_function()
