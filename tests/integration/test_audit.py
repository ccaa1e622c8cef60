"""Forgers have the database to themselves, triggers and all; `audit verify` finds and names what they did."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from integration.builder import Builder
from integration.conftest import Databases
from integration.tables import GOVERNED
from sqlalchemy import Connection, Engine, Table, create_engine, delete, insert, inspect, select, text, update
from sqlalchemy.orm import Session

from registry.ledger.entries import make_entry
from registry.ledger.merkle import Tree, leaf_hash
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.revisions import downgrade
from registry.storage.tables import Base, LedgerEntry, LedgerHead, LedgerNode, RunMetric
from registry.storage.tables.base import row_digest, row_key
from registry.usecases.audit import Audit, verify

ENTRIES, HEAD, NODES, METRICS = (
    table.__table__ for table in (LedgerEntry, LedgerHead, LedgerNode, RunMetric)
)


class Forger:
    """A transaction in which nothing is guarded; it is given up at the end of the test."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def execute(self, statement: Any) -> None:
        done = self.connection.execute(text(statement) if isinstance(statement, str) else statement)
        assert done.rowcount, f"nothing was forged by {statement}"

    def audit(self) -> Audit:
        with Session(self.connection) as session:
            return verify(session)

    @property
    def problems(self) -> list[str]:
        return self.audit().problems

    def entries(self) -> list[Any]:
        return list(self.connection.execute(select(ENTRIES).order_by(ENTRIES.c.index)))

    def rebuild(self) -> None:
        """Make leaves, nodes and head fit the headers again."""
        tree, nodes = Tree(), []
        for entry in self.entries():
            leaf = leaf_hash(entry.header)
            self.execute(update(ENTRIES).where(ENTRIES.c.index == entry.index).values(leaf=leaf))
            tree, finished = tree.append(leaf)
            nodes += [
                {"level": node.level, "position": node.position, "hash": node.hash} for node in finished
            ]
        self.execute(delete(NODES))
        self.connection.execute(insert(NODES), nodes)
        self.execute(update(HEAD).values(size=tree.size, frontier=b"".join(tree.frontier)))


@pytest.fixture(scope="module")
def unguarded(databases: Databases, lived: tuple[str, Path]) -> Iterator[Engine]:
    """A registry without its triggers and, on SQLite by default, without foreign keys."""
    url = databases.copy(lived[0])
    database = Database(url)
    with database.ungoverned() as connection:
        downgrade(connection, "0002_people_and_risks")
    database.close()
    engine = create_engine(url)
    yield engine
    engine.dispose()
    databases.drop(url)


@pytest.fixture
def forger(unguarded: Engine) -> Iterator[Forger]:
    with unguarded.connect() as connection:
        if unguarded.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield Forger(connection)
        connection.rollback()


def test_an_honest_registry(forger: Forger) -> None:
    audit = forger.audit()
    entries = forger.entries()
    tree = Tree()
    for entry in entries:
        tree, _ = tree.append(leaf_hash(entry.header))
    rows = sum(
        forger.connection.scalar(select(text("count(*)")).select_from(t.__table__)) for t in GOVERNED.values()
    )
    assert audit.ok
    assert (audit.size, audit.root, audit.rows) == (len(entries), tree.root.hex(), rows)


# -- rows ----------------------------------------------------------------------------------------


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    if isinstance(value, dict):
        return {**value, "forged": True}
    if isinstance(value, list):
        return [*value, "forged"]
    return (value or "")[:-1] + "~"


def some_row(forger: Forger, name: str) -> tuple[Table, dict[str, Any], Any, str]:
    """A row of a table, the condition that finds it, and its key as the ledger names it."""
    table = Base.metadata.tables[name]
    row = dict(forger.connection.execute(select(table).limit(1)).mappings().one())
    condition = [column == row[column.name] for column in table.primary_key]
    key = f"{name}:{'/'.join(str(row[column.name]) for column in table.primary_key)}"
    return table, row, condition, key


@pytest.mark.parametrize("name", sorted(GOVERNED))
def test_a_changed_row(forger: Forger, name: str) -> None:
    table, row, condition, key = some_row(forger, name)
    keys = {column.name for column in table.primary_key}
    # The last that holds something and points nowhere; a table of keys alone has none but its keys.
    columns = [c.name for c in table.columns if row[c.name] is not None]
    columns.sort(key=lambda name: (name not in keys, not table.c[name].foreign_keys))
    column = columns[-1]
    forger.execute(update(table).where(*condition).values({column: changed(row[column])}))
    problems = forger.problems
    assert f"row {key} was {'deleted' if column in keys else 'changed'} behind the ledger's back" in problems
    assert len(problems) == (2 if column in keys else 1)


@pytest.mark.parametrize("name", sorted(GOVERNED))
def test_a_deleted_row(forger: Forger, name: str) -> None:
    table, _, condition, key = some_row(forger, name)
    forger.execute(delete(table).where(*condition))
    assert forger.problems == [f"row {key} was deleted behind the ledger's back"]


@pytest.mark.parametrize("name", sorted(GOVERNED))
def test_an_inserted_row(forger: Forger, name: str) -> None:
    table, row, _, _ = some_row(forger, name)
    fresh = {
        "id": 1000,
        "name": "forged",
        "in_force": None,
        "unbound_at": row.get("bound_at"),
        "number": 1000,
    }
    fresh |= {"role": "forged", "decision_id": 1000, "parent_id": 1000, "digest": "sha256:" + "0" * 64}
    if "role" not in table.primary_key:  # then it is one of people, and there is a list of those
        del fresh["role"]
    row |= {column: value for column, value in fresh.items() if column in row}
    forger.execute(insert(table).values(row))
    key = "/".join(str(row[column.name]) for column in table.primary_key)
    problems = forger.problems
    assert problems[0] == f"row {name}:{key} is in no ledger entry: it was added behind the ledger's back"
    # A run that was made up has made-up metrics, too.
    assert len(problems) == (2 if name == "runs" else 1)


@pytest.mark.parametrize("name", sorted(GOVERNED))
def test_every_column_counts(forger: Forger, name: str) -> None:
    cls = GOVERNED[name]
    with Session(forger.connection, autoflush=False) as session:
        row: Any = session.scalars(select(cls).limit(1)).one()
        key, digest = row_key(row), row_digest(row)
        for attribute in inspect(cls).column_attrs:
            before = getattr(row, attribute.key)
            setattr(row, attribute.key, changed(before))
            assert (row_key(row), row_digest(row)) != (key, digest), attribute.key
            setattr(row, attribute.key, before)
        assert (row_key(row), row_digest(row)) == (key, digest)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("runs", "config = '{not json'"),
        ("runs", "created_at = 'yesterday'"),
        ("versions", "plan = 7"),
        ("versions", "created_at = 7"),
        ("systems", "affected_groups = X'FF'"),
    ],
)
def test_what_cannot_even_be_read(forger: Forger, name: str, change: str) -> None:
    """SQLite takes anything anywhere."""
    if forger.connection.dialect.name != "sqlite":
        change = {"runs": "config = '[7]'"}.get(name, "created_by = 7")
        forger.execute(f"UPDATE {name} SET {change}")
        assert all(f"row {name}:" in problem for problem in forger.problems)
        return
    forger.execute(f"UPDATE {name} SET {change}")
    problems = forger.problems
    assert problems
    assert all(name in problem and "changed behind the ledger's back" in problem for problem in problems)


def test_a_swap_of_two_people(forger: Forger) -> None:
    """Who did what is told by numbers: the names behind them count, too."""
    for old, new in (("alice", "nobody"), ("rita", "alice"), ("nobody", "rita")):
        forger.execute(f"UPDATE actors SET name = '{new}' WHERE name = '{old}'")
    assert [problem[:12] for problem in forger.problems] == ["row actors:2", "row actors:5"]


# -- metrics -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE run_metrics SET value = 0.25 WHERE run_id = 3",
        "UPDATE run_metrics SET value = value + 1e-15 WHERE run_id = 3",
        "UPDATE run_metrics SET name = 'accuracy' WHERE run_id = 3",
        "UPDATE run_metrics SET step = 7 WHERE run_id = 3",
        "DELETE FROM run_metrics WHERE run_id = 3",
        "INSERT INTO run_metrics SELECT run_id, 2, name, step, value FROM run_metrics WHERE run_id = 3",
        "UPDATE run_metrics SET value = {nan} WHERE run_id = 3",
    ],
)
def test_forged_metrics(forger: Forger, statement: str) -> None:
    nan = "'NaN'::float" if forger.connection.dialect.name == "postgresql" else "9e999"
    forger.execute(statement.format(nan=nan))
    assert forger.problems == ["metrics of run 3 were changed behind the ledger's back"]


# -- the ledger ----------------------------------------------------------------------------------


def test_an_edited_header(forger: Forger) -> None:
    header = forger.entries()[5].header.replace(b'"v":1', b'"v":2')
    forger.execute(update(ENTRIES).where(ENTRIES.c.index == 5).values(header=header))
    problems = forger.problems
    assert "entry 5 was edited: its header does not hash to its leaf" in problems
    assert "the ledger's root is not the one that its entries give" in problems


def test_an_edited_header_with_its_leaf(forger: Forger) -> None:
    header = forger.entries()[5].header.replace(b'"v":1', b'"v":2')
    forger.execute(update(ENTRIES).where(ENTRIES.c.index == 5).values(header=header, leaf=leaf_hash(header)))
    problems = forger.problems
    assert "the ledger's root is not the one that its entries give" in problems
    assert any(problem.startswith("inner nodes of level 1 ") for problem in problems)


@pytest.mark.parametrize("header", [b"", b"{}", b"[]", b"\xff\x00", b'{"at": 1}'])
def test_a_header_that_is_none(forger: Forger, header: bytes) -> None:
    forger.execute(update(ENTRIES).where(ENTRIES.c.index == 5).values(header=header, leaf=leaf_hash(header)))
    assert "entry 5 was edited: its header is none" in forger.problems


@pytest.mark.parametrize("column", ["action", "subject", "actor_id", "at"])
def test_columns_that_do_not_repeat_the_header(forger: Forger, column: str) -> None:
    value = changed(getattr(forger.entries()[5], column))
    forger.execute(update(ENTRIES).where(ENTRIES.c.index == 5).values({column: value}))
    assert forger.problems == ["entry 5 was edited: its columns do not repeat its header"]


def test_an_edited_payload(forger: Forger) -> None:
    entry = next(entry for entry in forger.entries() if entry.action == "stage-decided")
    payload = entry.payload.replace(b'"allowed":true', b'"allowed":false')
    assert payload != entry.payload
    forger.execute(update(ENTRIES).where(ENTRIES.c.index == entry.index).values(payload=payload))
    assert forger.problems == [
        f"entry {entry.index} was edited: its payload is not the one that its header commits to"
    ]


@pytest.mark.parametrize("payload", [b"", b"no json", b"[]", b'{"rows": 7}'])
def test_a_payload_that_is_none(forger: Forger, payload: bytes) -> None:
    forger.execute(update(ENTRIES).where(ENTRIES.c.index == 5).values(payload=payload))
    assert "entry 5 was edited: its payload is not the one that its header commits to" in forger.problems


@pytest.mark.parametrize("lost", ["payload", "salt"])
def test_half_of_an_erasure(forger: Forger, lost: str) -> None:
    forger.execute(update(ENTRIES).where(ENTRIES.c.index == 5).values({lost: None}))
    assert "entry 5 has lost its payload" in forger.problems


def test_a_deleted_entry(forger: Forger) -> None:
    forger.execute(delete(ENTRIES).where(ENTRIES.c.index == 5))
    problems = forger.problems
    assert "entry 5 is missing: entry 6 comes instead" in problems
    assert "the ledger's root is not the one that its entries give" in problems
    # What the missing entry told of is named; all the rest is still compared.
    assert len([problem for problem in problems if "row " in problem]) <= 1


def test_the_first_entry_deleted(forger: Forger) -> None:
    forger.execute(delete(ENTRIES).where(ENTRIES.c.index == 0))
    assert "entry 0 is missing: entry 1 comes instead" in forger.problems


def test_two_entries_swapped(forger: Forger) -> None:
    for old, new in ((5, -1), (6, 5), (-1, 6)):
        forger.execute(update(ENTRIES).where(ENTRIES.c.index == old).values({"index": new}))
    assert "the ledger's root is not the one that its entries give" in forger.problems


def test_a_truncated_ledger(forger: Forger) -> None:
    size = len(forger.entries())
    forger.execute(delete(ENTRIES).where(ENTRIES.c.index >= size - 3))
    assert f"the ledger was cut: its head counts {size} entries, {size - 3} are there" in forger.problems


def test_an_emptied_ledger(forger: Forger) -> None:
    size = len(forger.entries())
    forger.execute(delete(ENTRIES))
    assert f"the ledger was cut: its head counts {size} entries, 0 are there" in forger.problems


def test_a_truncated_ledger_made_to_fit_leaves_rows_that_nothing_tells_of(forger: Forger) -> None:
    size = len(forger.entries())
    forger.execute(delete(ENTRIES).where(ENTRIES.c.index >= size - 2))
    forger.rebuild()
    problems = forger.problems
    assert problems
    assert all("behind the ledger's back" in problem for problem in problems)


def test_an_entry_made_up(forger: Forger) -> None:
    last = forger.entries()[-1]
    entry = make_entry(last.at, last.actor_id, "stage-decided", "model:loans/1", {"event": {}, "rows": {}})
    forger.execute(
        insert(ENTRIES).values(
            {
                **last._mapping,
                "index": last.index + 1,
                "action": "stage-decided",
                "subject": "model:loans/1",
                "header": entry.header,
                "payload": entry.payload,
                "salt": entry.salt,
                "leaf": entry.leaf,
            }
        )
    )
    size = last.index + 1
    problems = forger.problems
    assert f"the ledger was added to: its head counts {size} entries, {size + 1} are there" in problems


@pytest.mark.parametrize("frontier", [b"", b"\x00" * 32, b"short"])
def test_a_forged_root(forger: Forger, frontier: bytes) -> None:
    forger.execute(update(HEAD).values(frontier=frontier))
    assert forger.problems == ["the ledger's root is not the one that its entries give"]


def test_a_lost_head(forger: Forger) -> None:
    forger.execute(delete(HEAD))
    assert forger.problems == ["the ledger's head is gone"]


@pytest.mark.parametrize(
    ("statement", "level"),
    [
        (update(NODES).where(NODES.c.level == 2, NODES.c.position == 3).values(hash=b"\x00" * 32), 2),
        (delete(NODES).where(NODES.c.level == 3, NODES.c.position == 1), 3),
        (update(NODES).where(NODES.c.level == 1, NODES.c.position == 0).values(position=-1), 1),
        (insert(NODES).values(level=40, position=0, hash=b"\x00" * 32), 40),
    ],
    ids=["changed", "deleted", "moved", "added"],
)
def test_forged_inner_nodes(forger: Forger, statement: Any, level: int) -> None:
    forger.execute(statement)
    assert forger.problems == [f"inner nodes of level {level} are not those that the entries give"]


def test_an_unreadable_ledger(forger: Forger) -> None:
    if forger.connection.dialect.name == "sqlite":
        forger.execute("UPDATE ledger_entries SET at = 'yesterday' WHERE \"index\" = 5")
        assert forger.problems == ["entry 5 was edited: its columns do not repeat its header"]
        forger.execute("UPDATE ledger_entries SET header = 'text', leaf = 7 WHERE \"index\" = 5")
        assert "entry 5 was edited: its header is none" in forger.problems
    else:
        forger.execute("UPDATE ledger_entries SET header = '\\xff' WHERE \"index\" = 5")
        assert "entry 5 was edited: its header does not hash to its leaf" in forger.problems


# -- artifacts -----------------------------------------------------------------------------------


@pytest.fixture
def stored(lived: tuple[str, Path], tmp_path: Path) -> Path:
    """A copy of the artifacts of a registry that has lived."""
    shutil.copytree(lived[1] / "artifacts", tmp_path / "artifacts")
    return tmp_path / "artifacts"


def artifact_problems(forger: Forger, stored: Path) -> list[str]:
    with Session(forger.connection) as session:
        return verify(session, ArtifactStore(str(stored), stored / "cache")).problems


def weights(stored: Path) -> Path:
    """Where the bytes of the trained model are."""
    (found,) = (path for path in stored.rglob("*") if path.is_file() and path.read_bytes() == b"weights")
    found.chmod(0o644)
    return found


def test_whole_artifacts(forger: Forger, stored: Path) -> None:
    assert artifact_problems(forger, stored) == []


def test_a_swapped_artifact_file(forger: Forger, stored: Path) -> None:
    file = weights(stored)
    file.write_bytes(b"poison!")  # of the same length
    (problem,) = artifact_problems(forger, stored)
    assert "model.safetensors is sha256:" in problem
    assert f"not sha256:{file.name[:12]}" in problem


def test_a_lost_artifact_file(forger: Forger, stored: Path) -> None:
    file = weights(stored)
    file.unlink()
    (problem,) = artifact_problems(forger, stored)
    assert problem.endswith(f"model.safetensors (sha256:{file.name[:12]}) is gone")


def test_an_artifact_file_that_cannot_be_read(forger: Forger, stored: Path) -> None:
    file = weights(stored)
    file.unlink()
    file.mkdir()
    (problem,) = artifact_problems(forger, stored)
    assert "model.safetensors" in problem
    assert "cannot be read: Is a directory" in problem


def test_a_forged_manifest(forger: Forger, stored: Path) -> None:
    forger.execute("UPDATE artifacts SET manifest = '{}'")
    problems = artifact_problems(forger, stored)
    named = [problem for problem in problems if "its manifest is not the one that it is named for" in problem]
    assert len(named) == len(problems) / 2 > 0


# -- by the public surface -----------------------------------------------------------------------


def test_the_registry_says_the_same(lived_builder: Builder) -> None:
    registry = lived_builder.acting("auditor")
    honest = registry.verify(artifacts=True)
    assert honest.ok
    assert honest.artifacts > 0
    with lived_builder.database.ungoverned() as connection:
        downgrade(connection, "0002_people_and_risks")
        connection.execute(text("UPDATE versions SET stage = 'deployed' WHERE id = 2"))
    forged = registry.verify(artifacts=True)
    assert forged.problems == ["row versions:2 was changed behind the ledger's back"]
    assert (forged.size, forged.root) == (honest.size, honest.root)


def test_looking_is_not_forging(lived_builder: Builder) -> None:
    """An audit leaves no trace: an auditor reads and never writes."""
    auditor = lived_builder.acting("auditor")
    before = auditor.verify()
    auditor.log()
    auditor.history("loans/1")
    after = auditor.verify()
    assert (before.root, before.rows) == (after.root, after.rows)
    assert "auditor" not in {entry.actor for entry in auditor.log()}
