"""People, waivers, findings, risks, aliases and signatures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_people_and_risks"
down_revision = "0001_tables"

TABLES = (
    "delegations",
    "envelopes",
    "grants",
    "groups",
    "trusted_keys",
    "group_members",
    "risks",
    "tier_assessments",
    "waivers",
    "alias_settings",
    "findings",
)


def upgrade() -> None:
    op.create_table(
        "delegations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("from_actor_id", sa.Integer(), nullable=False),
        sa.Column("to_actor_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "role IN ('developer', 'reviewer', 'approver', 'deployer', 'auditor', 'admin')",
            name=op.f("ck_delegations_role"),
        ),
        sa.CheckConstraint("from_actor_id <> to_actor_id", name=op.f("ck_delegations_other")),
        sa.ForeignKeyConstraint(["created_by"], ["actors.id"], name=op.f("fk_delegations_created_by_actors")),
        sa.ForeignKeyConstraint(["ended_by"], ["actors.id"], name=op.f("fk_delegations_ended_by_actors")),
        sa.ForeignKeyConstraint(
            ["from_actor_id"], ["actors.id"], name=op.f("fk_delegations_from_actor_id_actors")
        ),
        sa.ForeignKeyConstraint(
            ["to_actor_id"], ["actors.id"], name=op.f("fk_delegations_to_actor_id_actors")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegations")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_delegations_from_actor_id"), "delegations", ["from_actor_id"], unique=False)
    op.create_index(op.f("ix_delegations_to_actor_id"), "delegations", ["to_actor_id"], unique=False)
    op.create_table(
        "envelopes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=71), nullable=False),
        sa.Column("about", sa.String(length=60), nullable=False),
        sa.Column("row", sa.String(length=100), nullable=False),
        sa.Column("predicate_type", sa.String(length=200), nullable=False),
        sa.Column("keyid", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("envelope", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["actors.id"], name=op.f("fk_envelopes_created_by_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_envelopes")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_envelopes_row"), "envelopes", ["row"], unique=False)
    op.create_index("ix_envelopes_subject", "envelopes", ["subject"], unique=False)
    op.create_table(
        "grants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "role IN ('developer', 'reviewer', 'approver', 'deployer', 'auditor', 'admin')",
            name=op.f("ck_grants_role"),
        ),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_grants_actor_id_actors")),
        sa.ForeignKeyConstraint(["created_by"], ["actors.id"], name=op.f("fk_grants_created_by_actors")),
        sa.ForeignKeyConstraint(["ended_by"], ["actors.id"], name=op.f("fk_grants_ended_by_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_grants_actor_id"), "grants", ["actor_id"], unique=False)
    op.create_table(
        "groups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["actors.id"], name=op.f("fk_groups_created_by_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "trusted_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("keyid", sa.String(length=64), nullable=False),
        sa.Column("scheme", sa.String(length=40), nullable=False),
        sa.Column("public", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by"], ["actors.id"], name=op.f("fk_trusted_keys_created_by_actors")
        ),
        sa.ForeignKeyConstraint(["ended_by"], ["actors.id"], name=op.f("fk_trusted_keys_ended_by_actors")),
        sa.ForeignKeyConstraint(["owner_id"], ["actors.id"], name=op.f("fk_trusted_keys_owner_id_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusted_keys")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_trusted_keys_keyid"), "trusted_keys", ["keyid"], unique=False)
    op.create_table(
        "group_members",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_group_members_actor_id_actors")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["actors.id"], name=op.f("fk_group_members_created_by_actors")
        ),
        sa.ForeignKeyConstraint(["ended_by"], ["actors.id"], name=op.f("fk_group_members_ended_by_actors")),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_group_members_group_id_groups")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_members")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_group_members_actor_id"), "group_members", ["actor_id"], unique=False)
    op.create_index(op.f("ix_group_members_group_id"), "group_members", ["group_id"], unique=False)
    op.create_table(
        "risks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("system_id", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("likelihood", sa.Integer(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("controls", sa.String(), nullable=False),
        sa.Column("residual_likelihood", sa.Integer(), nullable=False),
        sa.Column("residual_severity", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("review_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_by", sa.Integer(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Integer(), nullable=True),
        sa.Column("acceptance", sa.String(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Integer(), nullable=True),
        sa.Column("closure", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state <> 'accepted' OR accepted_by IS NOT NULL", name=op.f("ck_risks_accepted")
        ),
        sa.CheckConstraint(
            "accepted_by <> owner_id AND accepted_by <> judged_by", name=op.f("ck_risks_other")
        ),
        sa.CheckConstraint("state IN ('open', 'accepted', 'closed')", name=op.f("ck_risks_state")),
        sa.CheckConstraint(
            "likelihood BETWEEN 1 AND 5 AND severity BETWEEN 1 AND 5", name=op.f("ck_risks_score")
        ),
        sa.CheckConstraint(
            "residual_likelihood BETWEEN 1 AND 5 AND residual_severity BETWEEN 1 AND 5",
            name=op.f("ck_risks_residual"),
        ),
        sa.ForeignKeyConstraint(["accepted_by"], ["actors.id"], name=op.f("fk_risks_accepted_by_actors")),
        sa.ForeignKeyConstraint(["closed_by"], ["actors.id"], name=op.f("fk_risks_closed_by_actors")),
        sa.ForeignKeyConstraint(["created_by"], ["actors.id"], name=op.f("fk_risks_created_by_actors")),
        sa.ForeignKeyConstraint(["judged_by"], ["actors.id"], name=op.f("fk_risks_judged_by_actors")),
        sa.ForeignKeyConstraint(["owner_id"], ["actors.id"], name=op.f("fk_risks_owner_id_actors")),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_risks_system_id_systems")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_risks_system_id"), "risks", ["system_id"], unique=False)
    op.create_table(
        "tier_assessments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("system_id", sa.Integer(), nullable=False),
        sa.Column("questionnaire", sa.String(length=71), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("computed", sa.String(length=20), nullable=False),
        sa.Column("tier", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "computed IN ('minimal', 'limited', 'high')", name=op.f("ck_tier_assessments_computed")
        ),
        sa.CheckConstraint(
            "decided_by <> created_by OR state = 'rejected'", name=op.f("ck_tier_assessments_other")
        ),
        sa.CheckConstraint(
            "state IN ('requested', 'in force', 'rejected')", name=op.f("ck_tier_assessments_state")
        ),
        sa.CheckConstraint("tier IN ('minimal', 'limited', 'high')", name=op.f("ck_tier_assessments_tier")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["actors.id"], name=op.f("fk_tier_assessments_created_by_actors")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["actors.id"], name=op.f("fk_tier_assessments_decided_by_actors")
        ),
        sa.ForeignKeyConstraint(
            ["system_id"], ["systems.id"], name=op.f("fk_tier_assessments_system_id_systems")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_assessments")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tier_assessments_system_id"), "tier_assessments", ["system_id"], unique=False)
    op.create_table(
        "waivers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=300), nullable=False),
        sa.Column("policy_digest", sa.String(length=71), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("system_id", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("control", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.CheckConstraint("(state = 'requested') = (decided_by IS NULL)", name=op.f("ck_waivers_decided")),
        sa.CheckConstraint("(state = 'revoked') = (ended_by IS NOT NULL)", name=op.f("ck_waivers_ended")),
        sa.CheckConstraint("decided_by <> created_by OR state = 'rejected'", name=op.f("ck_waivers_other")),
        sa.CheckConstraint(
            "state IN ('requested', 'approved', 'rejected', 'revoked')", name=op.f("ck_waivers_state")
        ),
        sa.CheckConstraint(
            "(version_id IS NULL) <> (system_id IS NULL)", name=op.f("ck_waivers_one_subject")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["actors.id"], name=op.f("fk_waivers_created_by_actors")),
        sa.ForeignKeyConstraint(["decided_by"], ["actors.id"], name=op.f("fk_waivers_decided_by_actors")),
        sa.ForeignKeyConstraint(["ended_by"], ["actors.id"], name=op.f("fk_waivers_ended_by_actors")),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_waivers_system_id_systems")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_waivers_version_id_versions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waivers")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_waivers_system_id"), "waivers", ["system_id"], unique=False)
    op.create_index(op.f("ix_waivers_version_id"), "waivers", ["version_id"], unique=False)
    op.create_table(
        "alias_settings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("decision_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by"], ["actors.id"], name=op.f("fk_alias_settings_created_by_actors")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_alias_settings_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_alias_settings_model_id_models")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_alias_settings_version_id_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias_settings")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_alias_settings_model_id_name", "alias_settings", ["model_id", "name", "id"], unique=False
    )
    op.create_index(op.f("ix_alias_settings_version_id"), "alias_settings", ["version_id"], unique=False)
    op.create_table(
        "findings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("system_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("severity", sa.String(length=20), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Integer(), nullable=True),
        sa.Column("closure", sa.String(), nullable=True),
        sa.Column("evidence_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (closed_by IS NULL)"
            " AND (closed_at IS NULL OR closure IS NOT NULL OR evidence_id IS NOT NULL)",
            name=op.f("ck_findings_closed"),
        ),
        sa.CheckConstraint(
            "severity IN ('low', 'medium', 'high', 'critical')", name=op.f("ck_findings_severity")
        ),
        sa.CheckConstraint(
            "(version_id IS NULL) <> (system_id IS NULL)", name=op.f("ck_findings_one_subject")
        ),
        sa.ForeignKeyConstraint(["closed_by"], ["actors.id"], name=op.f("fk_findings_closed_by_actors")),
        sa.ForeignKeyConstraint(["created_by"], ["actors.id"], name=op.f("fk_findings_created_by_actors")),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_findings_evidence_id_evidence")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["actors.id"], name=op.f("fk_findings_owner_id_actors")),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name=op.f("fk_findings_system_id_systems")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_findings_version_id_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_findings_system_id"), "findings", ["system_id"], unique=False)
    op.create_index(op.f("ix_findings_version_id"), "findings", ["version_id"], unique=False)
    op.add_column("approvals", sa.Column("basis", sa.JSON(), nullable=True))
    op.add_column("systems", sa.Column("tags", sa.JSON(), nullable=True))
    # SQLite adds a column with its key in one statement, or not at all.
    op.execute(
        "ALTER TABLE approvals ADD COLUMN on_behalf_of INTEGER "
        "CONSTRAINT fk_approvals_on_behalf_of_actors REFERENCES actors (id)"
    )


def downgrade() -> None:
    op.drop_column("systems", "tags")
    op.drop_column("approvals", "on_behalf_of")
    op.drop_column("approvals", "basis")
    for table in reversed(TABLES):
        op.drop_table(table)
