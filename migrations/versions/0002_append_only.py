"""Triggers that refuse UPDATE, DELETE and what amounts to it of what must never change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

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
    if op.get_bind().dialect.name == "sqlite":
        for table in FROZEN:
            _sqlite(table, "update", "")
            _sqlite(table, "delete", "")
            _sqlite_replace(table)
        for table, allowed in KEPT.items():
            _sqlite(table, "update", f"WHEN NOT ({allowed})")
            _sqlite(table, "delete", "")
            _sqlite_replace(table)
        return
    op.execute(
        "CREATE FUNCTION phasegate_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% of % is refused: rows of this table are kept as they are', TG_OP, TG_TABLE_NAME; "
        "END $$"
    )
    for table in FROZEN:
        _postgres(table, "update", "UPDATE", "ROW")
        _postgres(table, "delete", "DELETE", "ROW")
        _postgres(table, "truncate", "TRUNCATE", "STATEMENT")
    for table, allowed in KEPT.items():
        _postgres(table, "update", "UPDATE", "ROW", f"WHEN (NOT ({allowed}))")
        _postgres(table, "delete", "DELETE", "ROW")
        _postgres(table, "truncate", "TRUNCATE", "STATEMENT")


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in (*FROZEN, *KEPT):
        for what in ("update", "delete", "replace") if sqlite else ("update", "delete", "truncate"):
            op.execute(f"DROP TRIGGER keep_{table}_{what}" + ("" if sqlite else f" ON {table}"))
    if not sqlite:
        op.execute("DROP FUNCTION phasegate_refuse()")


def _sqlite(table: str, what: str, when: str) -> None:
    op.execute(
        f"CREATE TRIGGER keep_{table}_{what} BEFORE {what.upper()} ON {table} {when} BEGIN "
        f"SELECT RAISE(ABORT, '{what} of {table} is refused: rows of this table are kept as they are'); END"
    )


def _sqlite_replace(table: str) -> None:
    """INSERT OR REPLACE deletes the row that is in its way, and asks no trigger on DELETE."""
    inspector = sa.inspect(op.get_bind())
    keys = [inspector.get_pk_constraint(table)["constrained_columns"]]
    keys += [unique["column_names"] for unique in inspector.get_unique_constraints(table)]
    same = " OR ".join(" AND ".join(f'"{column}" = NEW."{column}"' for column in key) for key in keys)
    op.execute(
        f"CREATE TRIGGER keep_{table}_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) BEGIN "
        f"SELECT RAISE(ABORT, 'insert into {table} is refused: not UNIQUE, and its rows are kept'); END"
    )


def _postgres(table: str, name: str, operation: str, each: str, when: str = "") -> None:
    op.execute(
        f"CREATE TRIGGER keep_{table}_{name} BEFORE {operation} ON {table} "
        f"FOR EACH {each} {when} EXECUTE FUNCTION phasegate_refuse()"
    )
