"""What the database itself refuses, whoever asks: by raw SQL, past all of our code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from integration.tables import TABLES
from sqlalchemy import CheckConstraint, Connection, Table, UniqueConstraint, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from registry.storage.database import Database
from registry.storage.tables import APPEND_ONLY, Base

KEPT = (
    "actors",
    "bindings",
    "datasets",
    "delegations",
    "deployments",
    "findings",
    "grants",
    "group_members",
    "ledger_entries",
    "ledger_head",
    "models",
    "risks",
    "runs",
    "systems",
    "tier_assessments",
    "trusted_keys",
    "versions",
    "waivers",
)
FROZEN = (*APPEND_ONLY, "ledger_nodes")
# Links that may change while a version is planned, and what is no history.
LOOSE = ("run_leases", "run_metrics", "version_data")


@pytest.fixture
def connection(shared: Database) -> Iterator[Connection]:
    """A transaction that is given up at the end of the test."""
    with shared.engine.connect() as opened:
        yield opened
        opened.rollback()


def row_of(connection: Connection, table: Table, having: str = "") -> dict[str, Any]:
    """A row of a table, one with a value in a column if asked."""
    query = select(table).where(table.c[having].is_not(None)) if having else select(table)
    return dict(connection.execute(query.limit(1)).mappings().one())


def another(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A row that differs in its number, and as asked."""
    fresh = {"id": 10_000} if "id" in row else {}
    return {**row, **fresh, **changes}


def table(name: str) -> Table:
    return Base.metadata.tables[name]


def test_every_table_is_spoken_of_here() -> None:
    assert sorted((*FROZEN, *KEPT, *LOOSE)) == sorted(found.name for found in TABLES)


# -- triggers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_row_is_never_updated(connection: Connection, name: str) -> None:
    column = list(table(name).columns)[-1].name
    with pytest.raises(DBAPIError, match=f"(?i)update of {name} is refused"):
        connection.execute(text(f'UPDATE {name} SET "{column}" = "{column}"'))


@pytest.mark.parametrize("name", [*FROZEN, *KEPT])
def test_no_row_is_ever_deleted(connection: Connection, name: str) -> None:
    with pytest.raises(DBAPIError, match=f"(?i)delete of {name} is refused"):
        connection.execute(text(f"DELETE FROM {name}"))


@pytest.mark.parametrize("name", [*FROZEN, *KEPT])
def test_there_is_no_way_around_delete(connection: Connection, name: str) -> None:
    """Neither SQLite's REPLACE nor PostgreSQL's TRUNCATE asks the triggers that guard DELETE."""
    statement, says = {
        "sqlite": (f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}", f"insert into {name} is refused"),
        "postgresql": (f"TRUNCATE {name} CASCADE", r"TRUNCATE of \w+ is refused"),
    }[connection.dialect.name]
    with pytest.raises(DBAPIError, match=says):
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "row",
    [
        "policies SELECT id + 1000, 'x', digest, '{}', created_at, created_by",
        "transitions SELECT id + 1000, version_id, decision_id, 'a', 'b', created_at, created_by",
        "actors SELECT id + 1000, name, created_at",
        "versions SELECT id + 1000, model_id, number, 'live', plan, design, NULL, digest, created_at, 1",
        "bindings SELECT id + 1000, name, in_force, policy_id, '{}', 'audit', bound_at, bound_by, unbound_at",
    ],
)
def test_nor_by_another_unique_column(connection: Connection, row: str) -> None:
    replace = "INSERT OR REPLACE" if connection.dialect.name == "sqlite" else "INSERT"
    name = row.partition(" ")[0]
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        connection.execute(text(f"{replace} INTO {row} FROM {name}"))


@pytest.mark.parametrize(
    "change",
    [
        "actors SET id = id + 1000",
        "bindings SET action = 'audit'",
        "bindings SET in_force = NULL, unbound_at = bound_at, document = '{}'",
        "bindings SET in_force = NULL, unbound_at = bound_at, bound_by = bound_by + 1",
        "bindings SET in_force = NULL, unbound_at = bound_at, action = 'audit'",
        "bindings SET in_force = NULL",
        "datasets SET name = 'other'",
        "delegations SET until = created_at WHERE ended_at IS NULL",
        "delegations SET ended_at = until, reason = 'other' WHERE ended_at IS NULL",
        "delegations SET ended_at = until, to_actor_id = 1 WHERE ended_at IS NULL",
        "delegations SET ended_at = NULL WHERE ended_at IS NOT NULL",
        "deployments SET state = 'active'",
        "grants SET role = 'admin' WHERE ended_at IS NULL",
        "grants SET ended_at = created_at, role = 'admin' WHERE ended_at IS NULL",
        "grants SET ended_at = created_at, created_by = created_by + 1 WHERE ended_at IS NULL",
        "grants SET ended_at = NULL, ended_by = NULL WHERE ended_at IS NOT NULL",
        "group_members SET ended_at = created_at, actor_id = 1 WHERE ended_at IS NULL",
        "group_members SET ended_at = NULL WHERE ended_at IS NOT NULL",
        "ledger_entries SET subject = 'model:other/1'",
        "ledger_entries SET payload = NULL",
        "ledger_entries SET payload = NULL, salt = NULL, header = leaf",
        "ledger_entries SET payload = NULL, salt = NULL, actor_id = actor_id + 1",
        "ledger_head SET size = size - 1",
        "ledger_head SET frontier = leaf FROM ledger_entries",
        "models SET name = 'other'",
        "runs SET state = 'failed' WHERE state = 'succeeded'",
        "runs SET id = id + 1000 WHERE state = 'queued'",
        "systems SET name = 'other'",
        "trusted_keys SET public = 'other', ended_at = created_at WHERE ended_at IS NULL",
        "trusted_keys SET scheme = 'other', ended_at = created_at WHERE ended_at IS NULL",
        "trusted_keys SET owner_id = owner_id + 1, ended_at = created_at WHERE ended_at IS NULL",
        "trusted_keys SET ended_at = NULL WHERE ended_at IS NOT NULL",
        "versions SET number = number + 1",
        "versions SET created_by = created_by + 1",
        "versions SET model_id = model_id + 1",
        "waivers SET until = created_at WHERE state = 'approved'",
        "waivers SET policy_digest = 'other' WHERE state = 'approved'",
        "waivers SET state = 'approved', ended_by = NULL WHERE state = 'revoked'",
        "waivers SET state = 'requested', decided_by = NULL WHERE state = 'approved'",
        "waivers SET state = 'approved' WHERE state = 'rejected'",
        "waivers SET control = 'none', state = 'revoked', ended_by = created_by WHERE state = 'approved'",
        "findings SET closed_at = NULL, closed_by = NULL",
        "findings SET closure = 'better words'",
        "risks SET state = 'open' WHERE state = 'closed'",
        "risks SET category = 'other' WHERE state = 'accepted'",
        "tier_assessments SET tier = 'minimal', state = 'in force'",
    ],
)
def test_what_a_kept_row_says_for_good_is_never_changed(connection: Connection, change: str) -> None:
    name = change.partition(" ")[0]
    with pytest.raises(DBAPIError, match=f"(?i)update of {name} is refused"):
        connection.execute(text(f"UPDATE {change}"))


@pytest.mark.parametrize(
    "change",
    [
        "bindings SET unbound_at = bound_at, in_force = NULL",
        "ledger_entries SET payload = NULL, salt = NULL",
        "delegations SET ended_at = created_at, ended_by = created_by WHERE ended_at IS NULL",
        "grants SET ended_at = created_at, ended_by = created_by WHERE ended_at IS NULL",
        "group_members SET ended_at = created_at, ended_by = created_by WHERE ended_at IS NULL",
        "runs SET state = 'running' WHERE state = 'queued'",
        "trusted_keys SET ended_at = created_at, ended_by = created_by WHERE ended_at IS NULL",
        "versions SET stage = 'retired'",
        "systems SET oversight = 'two people'",
        "waivers SET state = 'revoked', ended_by = created_by WHERE state = 'approved'",
        "risks SET state = 'open' WHERE state = 'accepted'",
    ],
)
def test_what_may_change_does(connection: Connection, change: str) -> None:
    assert connection.execute(text(f"UPDATE {change}")).rowcount > 0


# -- checks, uniqueness, foreign keys ------------------------------------------------------------

WRONG = {
    "ck_approvals_verdict": ("approvals", {"verdict": "maybe"}),
    "ck_artifacts_digest_is_sha256": ("artifacts", {"digest": "md5:" + "0" * 67}),
    "ck_bindings_action": ("bindings", {"action": "shrug", "in_force": None}),
    "ck_bindings_in_force": ("bindings", {"in_force": "another name"}),
    "ck_dataset_versions_number_positive": ("dataset_versions", {"number": 0}),
    "ck_dataset_versions_rows_counted": ("dataset_versions", {"number": 99, "rows": -1}),
    "ck_delegations_other": ("delegations", {"from_actor_id": 1, "to_actor_id": 1}),
    "ck_delegations_role": ("delegations", {"role": "king"}),
    "ck_deployments_state": ("deployments", {"state": "paused"}),
    "ck_evidence_coverage": ("evidence", {"coverage": 1.5}),
    "ck_evidence_status": ("evidence", {"status": "fine"}),
    "ck_findings_closed": ("findings", {"closure": None, "evidence_id": None}),
    "ck_findings_one_subject": ("findings", {"version_id": None, "system_id": None}),
    "ck_findings_severity": ("findings", {"severity": "tiny"}),
    "ck_grants_role": ("grants", {"role": "king"}),
    "ck_ledger_head_single": ("ledger_head", {"id": 2}),
    "ck_risks_accepted": ("risks", {"state": "accepted", "accepted_by": None}),
    "ck_risks_other": ("risks", {"owner_id": 1, "accepted_by": 1}),
    "ck_risks_residual": ("risks", {"residual_severity": 6}),
    "ck_risks_score": ("risks", {"likelihood": 0}),
    "ck_risks_state": ("risks", {"state": "gone"}),
    "ck_runs_one_subject": ("runs", {"version_id": None, "dataset_version_id": None}),
    "ck_runs_state": ("runs", {"state": "tired"}),
    "ck_systems_risk_tier": ("systems", {"name": "other", "risk_tier": "none"}),
    "ck_tier_assessments_computed": ("tier_assessments", {"computed": "none"}),
    "ck_tier_assessments_other": ("tier_assessments", {"created_by": 1, "decided_by": 1}),
    "ck_tier_assessments_state": ("tier_assessments", {"state": "maybe"}),
    "ck_tier_assessments_tier": ("tier_assessments", {"tier": "none"}),
    "ck_versions_number_positive": ("versions", {"number": 0}),
    "ck_versions_stage_named": ("versions", {"number": 99, "stage": ""}),
    "ck_waivers_decided": ("waivers", {"state": "approved", "decided_by": None, "ended_by": None}),
    "ck_waivers_ended": ("waivers", {"state": "revoked", "ended_by": None}),
    "ck_waivers_one_subject": ("waivers", {"version_id": None, "system_id": None}),
    "ck_waivers_other": (
        "waivers",
        {"state": "approved", "created_by": 1, "decided_by": 1, "ended_by": None},
    ),
    "ck_waivers_state": ("waivers", {"state": "perhaps", "ended_by": None}),
}


@pytest.mark.parametrize("check", WRONG)
def test_a_check_refuses(connection: Connection, check: str) -> None:
    name, changes = WRONG[check]
    with pytest.raises(IntegrityError, match=check):
        connection.execute(table(name).insert(), another(row_of(connection, table(name)), **changes))


def test_every_check_is_tried() -> None:
    named = {c.name for found in TABLES for c in found.constraints if isinstance(c, CheckConstraint)}
    assert set(WRONG) == named


def test_a_run_is_about_one_thing(connection: Connection) -> None:
    versions, datasets = (
        connection.scalar(select(table(t).c.id).limit(1)) for t in ("versions", "dataset_versions")
    )
    with pytest.raises(IntegrityError, match="ck_runs_one_subject"):
        connection.execute(
            table("runs").insert(),
            another(row_of(connection, table("runs")), version_id=versions, dataset_version_id=datasets),
        )


UNIQUE = [
    pytest.param(found.name, [column.name for column in constraint.columns], id=str(constraint.name))
    for found in TABLES
    for constraint in found.constraints
    if isinstance(constraint, UniqueConstraint)
]


@pytest.mark.parametrize(("name", "columns"), UNIQUE)
def test_what_is_unique_stays_so(connection: Connection, name: str, columns: list[str]) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        connection.execute(table(name).insert(), another(row_of(connection, table(name))))


@pytest.mark.parametrize("name", [found.name for found in TABLES])
def test_no_key_is_given_twice(connection: Connection, name: str) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        connection.execute(table(name).insert(), row_of(connection, table(name)))


FOREIGN = [
    pytest.param(found.name, key.column.table.name, key.parent.name, id=f"{found.name}.{key.parent.name}")
    for found in TABLES
    for key in sorted(found.foreign_keys, key=lambda key: key.parent.name)
]


@pytest.mark.parametrize(("name", "other", "column"), FOREIGN)
def test_a_row_points_at_something_that_is_there(
    connection: Connection, name: str, other: str, column: str
) -> None:
    row = another(row_of(connection, table(name), having=column))
    fresh = {
        "name": "another",
        "digest": "another",
        "in_force": "another",
        "number": 99,
        "index": 10_000,
        "role": "another",
    }
    if "role" not in table(name).primary_key:  # then it is one of people, and there is a list of those
        del fresh["role"]
    row |= {key: value for key, value in fresh.items() if key in row}
    if "decision_id" in row:  # each decision moves a version once
        connection.execute(table("decisions").insert(), another(row_of(connection, table("decisions"))))
        row["decision_id"] = 10_000
    row[column] = "sha256:" + "f" * 64 if other == "artifacts" else 999_999
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        connection.execute(table(name).insert(), row)
