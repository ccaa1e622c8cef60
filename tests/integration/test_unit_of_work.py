"""One transaction: rows and the entries that account for them, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from integration.builder import Builder
from integration.conftest import At
from integration.tables import contents_of
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from registry.domain.events import DesignRecorded, SystemAdded, VerdictGiven
from registry.domain.references import Ref
from registry.errors import BadInput, BadName, Conflict, Defect
from registry.ledger.merkle import Tree
from registry.storage import find
from registry.storage.database import Database
from registry.storage.tables import (
    ActorRow,
    ApprovalRow,
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


SPAM = Ref("spam", 1)  # in the shared database: planned


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
    assert (entry.actor, entry.action, entry.subject, entry.at) == (
        "alice",
        "system-added",
        "system:support",
        work.at,
    )
    with builder.database.read() as session:
        stored = session.get_one(LedgerEntry, entry.index)
        assert stored.payload is not None
        assert f'"systems:{system.id}":"{row_digest(system)}"' in stored.payload.decode()
    assert builder.acting("alice").verify().ok


def test_a_row_has_the_same_digest_before_and_after_it_was_stored(builder: Builder) -> None:
    with builder.database.write("alice") as work:
        system = new_system(work, purpose='größer als 1.0, \U0001f600 \\ "quoted"\n')
        work.record(event())
        before = row_digest(system)
    with builder.database.read() as session:
        assert row_digest(find.system(session, "support")) == before


def test_an_appended_row_is_accounted_for_like_any_other(lived_builder: Builder) -> None:
    with lived_builder.database.write("alice") as work:
        row = word(work)
        work.append(row)
        work.record(VerdictGiven(f"model:{SPAM}", "prepared", "approved", row.digest))
    with lived_builder.database.read() as session:
        assert row_digest(session.get_one(ApprovalRow, row.id)) == row_digest(row)
    assert lived_builder.acting("alice").verify().ok


def test_several_events_are_entries_in_their_order(builder: Builder) -> None:
    size = builder.acting("alice").verify().size
    with builder.database.write("root") as work:
        for name in ("one", "two", "three"):
            new_system(work, name)
            work.record(event(name))
    subjects = [entry.subject for entry in builder.acting("alice").log()[size:]]
    assert subjects == ["system:one", "system:two", "system:three"]
    assert work.last_entry == size + 2


def test_the_head_and_the_nodes_are_those_of_the_tree(shared: Database) -> None:
    with shared.read() as session:
        tree, finished = Tree(), {}
        for leaf in session.scalars(select(LedgerEntry.leaf).order_by(LedgerEntry.index)):
            tree, nodes = tree.append(leaf)
            finished.update({(node.level, node.position): node.hash for node in nodes})
        head = session.get_one(LedgerHead, 1)
        assert (head.size, head.frontier) == (tree.size, b"".join(tree.frontier))
        assert {
            (row.level, row.position): row.hash for row in session.scalars(select(LedgerNode))
        } == finished


# -- what cannot be kept -------------------------------------------------------------------------


def unrecorded_row(work: UnitOfWork) -> None:
    new_system(work)


def unrecorded_change(work: UnitOfWork) -> None:
    find.version(work.session, SPAM, lock=True).stage = "deployed"


def unrecorded_deletion(work: UnitOfWork) -> None:
    version = find.version(work.session, SPAM, lock=True)
    work.session.delete(work.session.get_one(VersionData, (version.id, "test")))


def word(work: UnitOfWork) -> ApprovalRow:
    """A row that can only be added."""
    version = find.version(work.session, SPAM)
    return ApprovalRow(
        version_id=version.id,
        to_stage="prepared",
        digest=version.digest,
        verdict="approved",
        reason="",
        created_at=work.at,
        created_by=work.actor.id,
    )


def unrecorded_word(work: UnitOfWork) -> None:
    work.append(word(work))


def change_after_its_event(work: UnitOfWork) -> None:
    system = new_system(work)
    work.record(event())
    system.oversight = "nobody"


def commit_of_rows_alone(work: UnitOfWork) -> None:
    new_system(work)
    work.session.commit()


def commit_before_the_entries(work: UnitOfWork) -> None:
    new_system(work)
    work.record(event())
    work.session.commit()


def fault_in_the_middle(work: UnitOfWork) -> None:
    new_system(work)
    work.record(event())
    new_system(work, "second")
    work.record(event("second"))
    work.session.flush()
    raise ZeroDivisionError("in the middle")


def refused_statement_in_the_middle(work: UnitOfWork) -> None:
    new_system(work)
    work.record(event())
    work.session.connection().execute(text("UPDATE evidence SET status = 'complete'"))


def name_that_is_taken(work: UnitOfWork) -> None:
    new_system(work, "credit")
    work.record(event("credit"))


def half_a_character(work: UnitOfWork) -> None:
    new_system(work, purpose="half a \ud83d smile")
    work.record(event())


def infinite_number(work: UnitOfWork) -> None:
    version = find.version(work.session, SPAM, lock=True)
    version.design = {"budget": float("inf")}
    work.record(DesignRecorded(f"model:{SPAM}", version.design, version.digest))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (unrecorded_row, Defect, r"rows changed without an event: systems:\d+"),
        (unrecorded_change, Defect, r"rows changed without an event: versions:\d+"),
        (unrecorded_deletion, Defect, r"rows changed without an event: version_data:\d+/test"),
        (unrecorded_word, Defect, r"rows changed without an event: approvals:\d+"),
        (change_after_its_event, Defect, r"rows changed without an event: systems:\d+"),
        (commit_of_rows_alone, Defect, r"rows changed without an event: systems:\d+"),
        (commit_before_the_entries, Defect, r"\d entries are not written"),
        (fault_in_the_middle, ZeroDivisionError, "in the middle"),
        (refused_statement_in_the_middle, DBAPIError, "(?i)update of evidence is refused"),
        (name_that_is_taken, Conflict, "somebody else wrote the same thing first; nothing was written"),
        (half_a_character, BadInput, "a value cannot be stored"),
        (infinite_number, BadInput, "a value cannot be"),
    ],
)
@pytest.mark.parametrize("actor", ["alice", "nobody-yet"])
def test_what_cannot_be_kept_leaves_neither_rows_nor_entries(
    shared: Database, actor: str, change: Callable[[UnitOfWork], None], error: type[Exception], says: str
) -> None:
    before = contents_of(shared)
    attempt = unit(shared, change, actor)
    with pytest.raises(error, match=says):
        attempt()
    assert contents_of(shared) == before


def unit(database: Database, change: Callable[[UnitOfWork], Any], actor: str = "alice") -> Callable[[], None]:
    """A change as one unit of work."""

    def attempt() -> None:
        with database.write(actor) as work:
            change(work)

    return attempt


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
    ids=lambda statement: (
        f"{type(statement).__name__} {statement.table.name} {'ORM' if statement._propagate_attrs else 'core'}"
    ),
)
def test_bulk_statements_on_governed_tables_are_refused(shared: Database, statement: Any) -> None:
    before = contents_of(shared)
    with pytest.raises(Defect, match="bulk statement on governed table"):
        unit(shared, lambda work: work.session.execute(statement))()
    assert contents_of(shared) == before


@pytest.mark.parametrize("actor", ["", "a b", "a/b", "x" * 101, "../root"])
def test_nobody_writes_under_a_name_that_is_none(shared: Database, actor: str) -> None:
    before = contents_of(shared)
    with pytest.raises(BadName, match="the actor's name"):
        unit(shared, lambda work: work.record(event()), actor)()
    assert contents_of(shared) == before


def test_an_ungoverned_transaction_that_fails_leaves_nothing(shared: Database) -> None:
    def attempt() -> None:
        with shared.ungoverned() as connection:
            connection.execute(insert(RunMetric).values(run_id=20, seq=77, name="loss", step=1, value=0.5))
            raise ZeroDivisionError

    before = contents_of(shared)
    with pytest.raises(ZeroDivisionError):
        attempt()
    assert contents_of(shared) == before


# -- what is no history, and looking -------------------------------------------------------------


def test_what_is_not_governed_needs_no_event(lived_builder: Builder) -> None:
    with lived_builder.database.ungoverned() as connection:
        connection.execute(insert(RunMetric).values(run_id=20, seq=77, name="loss", step=1, value=0.5))
    with lived_builder.database.read() as session:
        assert session.get_one(RunMetric, (20, 77)).value == 0.5


def test_a_session_for_looking_keeps_nothing(at: At) -> None:
    builder, ref = at("planned"), "loans/1"
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


def test_a_session_for_looking_sees_one_moment(at: At) -> None:
    """What is written meanwhile would look like forgery to an audit that sees half of it."""
    builder, ref = at("planned"), "loans/1"
    alice = builder.acting("alice")
    with builder.database.read() as session:
        assert find.version(session, Ref.parse(ref)).stage == "planned"
        entries = session.scalars(select(LedgerEntry.index)).all()
        assert alice.promote(ref, "prepared").allowed
        session.expire_all()
        assert find.version(session, Ref.parse(ref)).stage == "planned"
        assert session.scalars(select(LedgerEntry.index)).all() == entries
    assert alice.version(ref).stage == "prepared"


def test_a_transaction_that_only_looks_writes_nothing(shared: Database) -> None:
    before = contents_of(shared)
    with shared.write("root") as work:
        assert work.session.scalars(select(System)).all()
    assert contents_of(shared) == before
    assert work.last_entry == -1
