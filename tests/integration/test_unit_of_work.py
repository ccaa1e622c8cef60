"""One transaction: rows and the entries that account for them, all of it or nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from integration.builder import Builder
from integration.tables import contents_of
from registry.domain.events import DesignRecorded, SystemAdded
from registry.domain.references import Ref
from registry.errors import BadInput, BadName, Conflict, Defect
from registry.storage import find
from registry.storage.tables import (
    ActorRow,
    EvidenceRow,
    LedgerEntry,
    LedgerHead,
    LedgerNode,
    RunMetric,
    System,
    Version,
    VersionData,
)
from registry.storage.tables.base import row_digest
from registry.storage.unit_of_work import UnitOfWork


def new_system(work: UnitOfWork, name: str = "support", purpose: str = "answers mail") -> System:
    system = System(
        name=name,
        purpose=purpose,
        owner="alice",
        risk_tier="minimal",
        affected_groups=[],
        prohibited_uses=[],
        oversight="",
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.session.add(system)
    return system


def event(name: str = "support") -> SystemAdded:
    return SystemAdded(f"system:{name}", "minimal", "alice")


def test_a_recorded_change_is_kept_with_its_entry(builder: Builder) -> None:
    size = builder.acting("alice").verify().size
    with builder.database.write("alice") as work:
        system = new_system(work)
        work.record(event())
    entry = builder.acting("alice").log()[-1]
    # Alice's first write brings her in, too.
    assert (entry.index, work.last_entry) == (size + 1, size + 1)
    assert (entry.actor, entry.action, entry.subject, entry.at) == ("alice", "system-added", "system:support", work.at)
    with builder.database.read() as session:
        stored = session.get_one(LedgerEntry, entry.index)
        assert stored.payload is not None
        assert f'"systems:{system.id}":"{row_digest(system)}"' in stored.payload.decode()
    assert builder.acting("alice").verify().ok


def test_a_row_has_the_same_digest_before_and_after_it_was_stored(builder: Builder) -> None:
    with builder.database.write("alice") as work:
        system = new_system(work, purpose="größer als 1.0, \U0001f600 \\ \"quoted\"\n")
        work.record(event())
        before = row_digest(system)
    with builder.database.read() as session:
        assert row_digest(find.system(session, "support")) == before


def test_a_change_without_an_event_is_a_defect_and_leaves_nothing(builder: Builder) -> None:
    ref = builder.plan()
    before = contents_of(builder.database)
    with pytest.raises(Defect, match=r"rows changed without an event: systems:\d+"), builder.database.write("alice") as work:
        new_system(work)
    with pytest.raises(Defect, match=r"versions:\d+"), builder.database.write("alice") as work:
        find.version(work.session, Ref.parse(ref), lock=True).stage = "deployed"
    with pytest.raises(Defect, match=r"version_data:\d+/test"), builder.database.write("alice") as work:
        version = find.version(work.session, Ref.parse(ref), lock=True)
        work.session.delete(work.session.get_one(VersionData, (version.id, "test")))
    assert contents_of(builder.database) == before


def test_an_event_does_not_account_for_what_changes_after_it(builder: Builder) -> None:
    before = contents_of(builder.database)
    with pytest.raises(Defect, match="rows changed without an event"), builder.database.write("alice") as work:
        system = new_system(work)
        work.record(event())
        system.oversight = "nobody"
    assert contents_of(builder.database) == before


def test_committing_past_the_unit_of_work_is_a_defect(builder: Builder) -> None:
    before = contents_of(builder.database)
    with pytest.raises(Defect, match="rows changed without an event"), builder.database.write("alice") as work:
        new_system(work)
        work.session.commit()
    with pytest.raises(Defect, match="entries"), builder.database.write("alice") as work:
        new_system(work)
        work.record(event())
        work.session.commit()
    assert contents_of(builder.database) == before


def test_an_exception_in_the_middle_leaves_neither_rows_nor_entries(builder: Builder) -> None:
    before = contents_of(builder.database)
    with pytest.raises(ZeroDivisionError), builder.database.write("nobody-yet") as work:
        new_system(work)
        work.record(event())
        new_system(work, "second")
        work.record(event("second"))
        work.session.flush()
        1 / 0  # noqa: B018
    assert contents_of(builder.database) == before
    assert builder.acting("alice").verify().ok


def test_a_refused_statement_in_the_middle_leaves_nothing(builder: Builder) -> None:
    builder.plan()
    before = contents_of(builder.database)
    with pytest.raises(DBAPIError, match="(?i)update of evidence is refused"), builder.database.write("alice") as work:
        new_system(work)
        work.record(event())
        work.session.connection().execute(text("UPDATE evidence SET status = 'complete'"))
    assert contents_of(builder.database) == before


@pytest.mark.parametrize(
    "statement",
    [
        update(Version).values(stage="deployed"),
        update(Version.__table__).values(stage="deployed"),
        delete(VersionData),
        delete(VersionData.__table__),
        insert(ActorRow).values(name="mallory", created_at=datetime.now(UTC)),
        insert(ActorRow.__table__).values(name="mallory", created_at=datetime.now(UTC)),
        insert(EvidenceRow),
    ],
    ids=lambda statement: f"{type(statement).__name__} {statement.table.name} {'ORM' if statement._propagate_attrs else 'core'}",
)
def test_bulk_statements_on_governed_tables_are_refused(builder: Builder, statement: object) -> None:
    builder.plan()
    before = contents_of(builder.database)
    with pytest.raises(Defect, match="bulk statement on governed table"), builder.database.write("alice") as work:
        work.session.execute(statement)  # type: ignore[call-overload]
    assert contents_of(builder.database) == before


def test_what_is_not_governed_needs_no_event(lived_builder: Builder) -> None:
    with lived_builder.database.ungoverned() as connection:
        connection.execute(insert(RunMetric).values(run_id=20, seq=77, name="loss", step=1, value=0.5))
    with lived_builder.database.read() as session:
        assert session.get_one(RunMetric, (20, 77)).value == 0.5


def test_an_ungoverned_transaction_that_fails_leaves_nothing(lived_builder: Builder) -> None:
    before = contents_of(lived_builder.database)
    with pytest.raises(ZeroDivisionError), lived_builder.database.ungoverned() as connection:
        connection.execute(insert(RunMetric).values(run_id=20, seq=77, name="loss", step=1, value=0.5))
        1 / 0  # noqa: B018
    assert contents_of(lived_builder.database) == before


def test_a_session_for_looking_keeps_nothing(builder: Builder) -> None:
    ref = builder.plan()
    before = contents_of(builder.database)
    with builder.database.read() as session:
        find.version(session, Ref.parse(ref)).stage = "deployed"
        session.flush()
    assert contents_of(builder.database) == before
    with builder.database.read() as session:
        find.version(session, Ref.parse(ref)).stage = "deployed"
        session.commit()
    assert contents_of(builder.database) == before
    with builder.database.write("alice") as work:  # and writing goes on afterwards
        new_system(work)
        work.record(event())


def test_a_session_for_looking_sees_one_moment(builder: Builder) -> None:
    """What is written meanwhile would look like forgery to an audit that sees half of it."""
    ref = builder.plan()
    alice = builder.acting("alice")
    with builder.database.read() as session:
        assert find.version(session, Ref.parse(ref)).stage == "planned"
        entries = session.scalars(select(LedgerEntry.index)).all()
        assert alice.promote(ref, "prepared").allowed
        session.expire_all()
        assert find.version(session, Ref.parse(ref)).stage == "planned"
        assert session.scalars(select(LedgerEntry.index)).all() == entries
    assert alice.version(ref).stage == "prepared"


def test_several_events_are_entries_in_their_order(builder: Builder) -> None:
    size = builder.acting("alice").verify().size
    with builder.database.write("root") as work:
        for name in ("one", "two", "three"):
            new_system(work, name)
            work.record(event(name))
    subjects = [entry.subject for entry in builder.acting("alice").log()[size:]]
    assert subjects == ["system:one", "system:two", "system:three"]
    assert work.last_entry == size + 2


def test_the_head_and_the_nodes_are_those_of_the_tree(lived_builder: Builder) -> None:
    from registry.ledger.merkle import Tree

    with lived_builder.database.read() as session:
        tree, finished = Tree(), {}
        for leaf in session.scalars(select(LedgerEntry.leaf).order_by(LedgerEntry.index)):
            tree, nodes = tree.append(leaf)
            finished.update({(node.level, node.position): node.hash for node in nodes})
        head = session.get_one(LedgerHead, 1)
        assert (head.size, head.frontier) == (tree.size, b"".join(tree.frontier))
        assert {(row.level, row.position): row.hash for row in session.scalars(select(LedgerNode))} == finished


@pytest.mark.parametrize("actor", ["", "a b", "a/b", "x" * 101, "../root"])
def test_nobody_writes_under_a_name_that_is_none(builder: Builder, actor: str) -> None:
    before = contents_of(builder.database)
    with pytest.raises(BadName, match="the actor's name"), builder.database.write(actor) as work:
        work.record(event())
    assert contents_of(builder.database) == before


def test_a_transaction_that_only_looks_writes_nothing(builder: Builder) -> None:
    before = contents_of(builder.database)
    with builder.database.write("root") as work:
        assert work.session.scalars(select(System)).all() == []
    assert contents_of(builder.database) == before
    assert work.last_entry == -1


def test_two_rows_of_one_unique_name_are_a_conflict(builder: Builder) -> None:
    with builder.database.write("alice") as work:
        new_system(work)
        work.record(event())
    before = contents_of(builder.database)
    with pytest.raises(Conflict, match="somebody else wrote the same thing first; nothing was written") as caught:  # noqa: SIM117
        with builder.database.write("alice") as work:
            new_system(work)
            work.record(event())
    assert caught.value.hint == "try again"
    assert contents_of(builder.database) == before


@pytest.mark.parametrize("purpose", ["half a \ud83d smile", "an infinite budget"])
def test_what_cannot_be_stored_or_recorded_is_bad_input(builder: Builder, purpose: str) -> None:
    ref = builder.plan()
    before = contents_of(builder.database)
    with pytest.raises(BadInput, match="a value cannot be"), builder.database.write("alice") as work:
        if "infinite" in purpose:
            version = find.version(work.session, Ref.parse(ref), lock=True)
            version.design = {"budget": float("inf")}
            work.record(DesignRecorded(f"model:{ref}", version.design, version.digest))
        else:
            new_system(work, purpose=purpose)
            work.record(event())
    assert contents_of(builder.database) == before
