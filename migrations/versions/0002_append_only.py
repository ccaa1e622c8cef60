"""Triggers that refuse UPDATE, DELETE and what amounts to it of what must never change."""

from __future__ import annotations

from registry.migrations.triggers import drop_function, keep, make_function, release

revision = "0002_append_only"
down_revision = "0001_tables"

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
}


def upgrade() -> None:
    make_function()
    keep(FROZEN, KEPT)


def downgrade() -> None:
    release((*FROZEN, *KEPT))
    drop_function()
