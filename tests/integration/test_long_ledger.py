"""An audit of a ledger of several batches, in this process and in others beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.builder import Builder
from integration.conftest import Databases
from integration.forging import ENTRIES, NODES, forging
from sqlalchemy import Connection, delete, select, update

from registry.domain.events import ActorAdded, PayloadsErased
from registry.ledger.merkle import Tree
from registry.storage.ledger_reading import BATCH
from registry.storage.row_digests import live_rows
from registry.storage.tables import Base
from registry.storage.tables.base import row_digest, row_key
from registry.usecases import ledger_replay
from registry.usecases.audit import Audit

SIZE = 2 * BATCH + 77


@pytest.fixture(scope="module")
def long_url(
    databases: Databases, initialised: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    url = databases.copy(initialised)
    with Builder(tmp_path_factory.mktemp("long"), url) as builder:
        have = len(builder.acting("root").log())
        with builder.database.write("root") as work:
            for number in range(SIZE - have):
                work.record(ActorAdded(f"actor:{number}", f"some\u00f6ne {number}"))
    yield url
    databases.drop(url)


@pytest.fixture(params=["alone", "with others"])
def long(
    request: pytest.FixtureRequest,
    databases: Databases,
    long_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Builder]:
    """A copy of a registry whose ledger has more than two batches."""
    if request.param == "with others":
        monkeypatch.setattr(ledger_replay, "_LONG", 1)
        monkeypatch.setattr("os.cpu_count", lambda: 2)
    url = databases.copy(long_url)
    with Builder(tmp_path_factory.mktemp("home"), url) as builder:
        yield builder
    databases.drop(url)


def audit(builder: Builder) -> Audit:
    return builder.acting("auditor").verify()


def forge(connection: Connection, entry: int, **values: object) -> None:
    assert connection.execute(update(ENTRIES).where(ENTRIES.c["index"] == entry).values(values)).rowcount


def test_an_honest_one(long: Builder) -> None:
    tree = Tree()
    with long.database.read() as session:
        for leaf in session.scalars(select(ENTRIES.c.leaf).order_by(ENTRIES.c["index"])):
            tree, _ = tree.append(leaf)
    found = audit(long)
    assert (found.size, found.root, found.problems) == (SIZE, tree.root.hex(), [])


@pytest.mark.parametrize("index", [BATCH, SIZE - 1])
def test_an_edited_entry(long: Builder, index: int) -> None:
    with forging(long) as connection:
        forge(connection, index, payload=b'{"event":{},"rows":{}}')
    assert audit(long).problems == [
        f"entry {index} was edited: its payload is not the one that its header commits to"
    ]


@pytest.mark.parametrize("index", [0, BATCH])
def test_a_missing_entry(long: Builder, index: int) -> None:
    with forging(long) as connection:
        connection.execute(delete(ENTRIES).where(ENTRIES.c["index"] == index))
    found = audit(long)
    assert f"entry {index} is missing: entry {index + 1} comes instead" in found.problems
    assert "the ledger's root is not the one that its entries give" in found.problems
    assert (found.size, found.root) == (SIZE - 1, "")


def test_an_entry_far_away(long: Builder) -> None:
    with forging(long) as connection:
        forge(connection, SIZE - 1, index=10**12)
    assert f"entry {SIZE - 1} is missing: entry {10**12} comes instead" in audit(long).problems


@pytest.mark.parametrize(("level", "position"), [(1, SIZE // 2 - 1), (12, 1), (13, 0)])
def test_a_forged_node(long: Builder, level: int, position: int) -> None:
    with forging(long) as connection:
        chosen = update(NODES).where(NODES.c.level == level, NODES.c.position == position)
        assert connection.execute(chosen.values(hash=bytes(32))).rowcount
    assert audit(long).problems == [f"inner nodes of level {level} are not those that the entries give"]


def test_erased_payloads(long: Builder) -> None:
    gone = [BATCH - 1, BATCH, BATCH + 5, SIZE - 1]
    with forging(long) as connection:
        for index in gone:
            forge(connection, index, payload=None, salt=None)
    lost = [f"entry {index} has lost its payload" for index in gone]
    assert set(lost) <= set(audit(long).problems)
    with long.database.write("root") as work:
        work.record(PayloadsErased("actor:7", gone[1:], "asked"))
    assert {problem for problem in audit(long).problems if "payload" in problem} == {lost[0]}
    with long.database.write("root") as work:
        work.record(PayloadsErased("actor:7", gone[:1], "asked"))
    found = audit(long)
    assert (found.problems, found.erased) == ([], 4)


def test_an_erasure_that_was_told_of_before_is_none(long: Builder) -> None:
    with long.database.write("root") as work:
        work.record(PayloadsErased("actor:7", [SIZE + 1], "asked"))
        work.record(ActorAdded("actor:7", "somebody"))
    assert audit(long).problems == []
    with forging(long) as connection:
        forge(connection, SIZE + 1, payload=None, salt=None)
    assert f"entry {SIZE + 1} has lost its payload" in audit(long).problems


def test_other_processes_that_die_cost_only_time(long: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with forging(long) as connection:
        forge(connection, BATCH, salt=b"x")
    found = audit(long)
    assert (found.size, len(found.problems)) == (SIZE, 1)


def test_tables_read_in_bulk_have_the_digests_that_were_recorded(lived_builder: Builder) -> None:
    with lived_builder.database.read() as session:
        for mapper in Base.registry.mappers:
            cls: type[Base] = mapper.class_
            if cls.governed:
                expected = {row_key(row): row_digest(row) for row in session.scalars(select(cls))}
                assert expected
                assert live_rows(session.connection(), cls) == (expected, "")
