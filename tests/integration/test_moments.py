"""Which version held which stage and alias at a moment; tables and ledger must say the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from integration.builder import Builder
from integration.conftest import At
from integration.forging import ENTRIES, forging, rewrite
from sqlalchemy import text, update

from registry.domain.events import ActorAdded, AliasMoved
from registry.domain.references import Ref
from registry.errors import BadInput, IntegrityViolated, NotFound
from registry.ledger import verify_proof
from registry.storage import find
from registry.storage.tables import AliasRow
from registry.usecases.moments import Held, Moment
from registry.usecases.views import EntryView


def held(builder: Builder, of: str, at: datetime) -> Moment:
    return builder.acting("auditor").ledger.held(of, at)


def stage_of(builder: Builder, ref: str, at: datetime) -> Held:
    (row,) = [row for row in held(builder, ref, at).held if row.what == "stage"]
    return row


def decided(builder: Builder, ref: str) -> list[EntryView]:
    log = builder.acting("auditor").log(subjects=[f"model:{ref}"], action="stage-decided")
    return [entry for entry in log if entry.payload["allowed"]]


def last_time(builder: Builder) -> datetime:
    return builder.acting("auditor").log(limit=1)[-1].at


def point(builder: Builder, alias: str, ref: str) -> None:
    """Let an alias point to a version, or to none; which gate it passes is told elsewhere."""
    with builder.database.write("root") as work:
        version = find.version(work.session, Ref.parse(ref)).id if ref else None
        row = AliasRow(
            model_id=1, name=alias, version_id=version, created_at=work.at, created_by=work.actor.id
        )
        work.append(row)
        work.record(AliasMoved(f"model:{ref or 'loans'}", alias, ref, 0))


def test_a_whole_life(lived_builder: Builder) -> None:
    moves = decided(lived_builder, "loans/1")
    assert [entry.payload["to"] for entry in moves][-3:] == ["deployed", "monitored", "retired"]
    for entry, following in zip(moves, [*moves[1:], None], strict=True):
        until = following.at - timedelta(microseconds=1) if following else last_time(lived_builder)
        for moment in (entry.at, until):
            row = stage_of(lived_builder, "loans/1", moment)
            assert (row.version, row.name, row.since) == ("loans/1", entry.payload["to"], entry.at)
            assert (row.entry, row.leaf, row.decision) == (entry.index, entry.leaf, entry.payload["decision"])
            assert (row.actor, row.erased, row.checkpoint) == ("alice", False, None)
    (planned,) = lived_builder.acting("auditor").log(subjects=["model:loans/1"], action="version-planned")
    first = stage_of(lived_builder, "loans/1", moves[0].at - timedelta(microseconds=1))
    assert (first.name, first.entry, first.decision) == ("planned", planned.index, None)
    assert held(lived_builder, "loans", planned.at - timedelta(microseconds=1)).held == []
    assert held(lived_builder, "loans", datetime.fromisoformat("1999-01-01T00:00+00:00")).entries == 0


def test_a_refusal_moves_nothing(at: At) -> None:
    builder = at("designed")
    registry = builder.acting("alice")
    assert not registry.promote("loans/1", "trained").allowed
    assert stage_of(builder, "loans/1", last_time(builder)).name == "designed"
    told = [entry.text for entry in registry.history("loans/1")]
    assert told[-1].startswith("refused: designed to trained (decision ")


def test_the_history_of_a_model_is_that_of_its_versions(lived_builder: Builder) -> None:
    registry = lived_builder.acting("alice")
    second = lived_builder.plan("loans")
    whole = {entry.index for entry in registry.history("loans")}
    for ref in ("loans/1", second):
        assert {entry.index for entry in registry.history(ref)} < whole
    with pytest.raises(NotFound):
        registry.history("lones")


def test_aliases(at: At) -> None:
    builder = at("prepared")
    second = builder.plan("loans")
    point(builder, "candidate", "loans/1")
    first_time = last_time(builder)
    point(builder, "shadow", "loans/1")
    point(builder, "candidate", second)
    moved = builder.acting("auditor").log(action="alias-moved")
    then = [row for row in held(builder, "loans", first_time).held if row.what == "alias"]
    assert [(row.version, row.name, row.entry, row.leaf) for row in then] == [
        ("loans/1", "candidate", moved[0].index, moved[0].leaf)
    ]
    now = held(builder, "loans", last_time(builder))
    assert [(row.version, row.name) for row in now.held if row.what == "alias"] == [
        (second, "candidate"),
        ("loans/1", "shadow"),
    ]
    only = held(builder, "loans/1", last_time(builder)).held
    assert [(row.what, row.name) for row in only] == [("stage", "prepared"), ("alias", "shadow")]
    point(builder, "shadow", "")
    assert [row.name for row in held(builder, "loans", last_time(builder)).held] == [
        "prepared",
        "planned",
        "candidate",
    ]


def test_the_order_of_entries_counts_where_times_run_against_it(at: At) -> None:
    builder = at("prepared")
    slow = last_time(builder)
    point(builder, "candidate", "loans/1")
    with builder.database.write("root") as work:
        work.at = slow + timedelta(microseconds=1)  # it began before the alias was moved, and ended after
        work.record(ActorAdded("actor:1", "something"))
    found = held(builder, "loans", slow + timedelta(microseconds=1))
    assert [row.name for row in found.held] == ["prepared", "candidate"]
    assert [row.name for row in held(builder, "loans", slow).held] == ["prepared"]


def test_what_cannot_be_asked(lived_builder: Builder) -> None:
    moment = last_time(lived_builder)
    with pytest.raises(NotFound, match=r"there is no model 'lones'"):
        held(lived_builder, "lones", moment)
    with pytest.raises(NotFound, match=r"has no version 7"):
        held(lived_builder, "loans/7", moment)
    with pytest.raises(BadInput, match=r"has not come yet"):
        held(lived_builder, "loans", moment + timedelta(days=1))


# -- proof ---------------------------------------------------------------------------------------


def test_the_proofs_prove_it(lived_builder: Builder, tmp_path: Path) -> None:
    ledger = lived_builder.acting("root").ledger
    key = ledger.make_key(name="example.com/ledger").verifier
    (entry,) = [entry for entry in decided(lived_builder, "loans/1") if entry.payload["to"] == "deployed"]
    assert stage_of(lived_builder, "loans/1", entry.at).checkpoint is None
    size = ledger.checkpoint().size
    assert stage_of(lived_builder, "loans/1", entry.at).checkpoint == size
    found = ledger.held("loans/1", entry.at, proofs=tmp_path / "proofs")
    assert found.held
    for row in found.held:
        proof = verify_proof.read_proof(Path(row.proof).read_text())
        told = dict(verify_proof.verify(proof, [verify_proof.read_key(key, 1)], []))
        assert told["entry"] == f"{row.entry} of {row.checkpoint}"
        assert ('"to":"deployed"' in told["payload"]) is (row.name == "deployed")
    with pytest.raises(BadInput, match=r"cannot be written"):
        ledger.held("loans/1", entry.at, proofs=Path("/proc/nowhere"))


def test_an_erased_entry_still_says_when_and_who(lived_builder: Builder, tmp_path: Path) -> None:
    root = lived_builder.acting("root")
    root.ledger.make_key(name="example.com/ledger")
    (entry,) = [entry for entry in decided(lived_builder, "loans/1") if entry.payload["to"] == "deployed"]
    root.ledger.erase("model:loans/1", "withdrawn")
    row = root.ledger.held("loans/1", entry.at, proofs=tmp_path).held[0]
    assert (row.name, row.entry, row.decision, row.erased) == (
        "deployed",
        entry.index,
        entry.payload["decision"],
        True,
    )
    assert Path(row.proof).exists()


def test_a_checkpoint_that_does_not_fit(lived_builder: Builder) -> None:
    ledger = lived_builder.acting("root").ledger
    ledger.make_key(name="example.com/ledger")
    ledger.checkpoint()
    (entry,) = [entry for entry in decided(lived_builder, "loans/1") if entry.payload["to"] == "deployed"]
    with forging(lived_builder) as connection:
        rewrite(connection, entry.index)
    with pytest.raises(IntegrityViolated, match=r"does not lead to the root"):
        held(lived_builder, "loans/1", entry.at)


MADE_UP = (
    "INSERT INTO alias_settings (id, model_id, name, created_at, created_by)"
    " SELECT 99, id, 'champion', created_at, 1 FROM models WHERE id = 1"
)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE versions SET stage = 'deployed' WHERE id = 1", "its moves lead elsewhere"),
        ("UPDATE transitions SET from_stage = 'x' WHERE id = 1", "its moves lead elsewhere"),
        ("UPDATE versions SET created_by = 3 WHERE id = 1", "by others or at another time"),
        ("UPDATE versions SET number = 7 WHERE id = 1", "there is no such version"),
        ("DELETE FROM transitions WHERE id = 2", "are not those that were decided"),
        ("UPDATE transitions SET to_stage = 'x' WHERE id = 2", "are not those that were decided"),
        (
            "UPDATE decisions SET version_id = 2 WHERE id = 2",
            "the ledger has 7 decisions on loans/1, the table 6",
        ),
        ("UPDATE decisions SET to_stage = '@x' WHERE id = 2", "decision 2 on loans/1 is not what entry"),
        ("UPDATE decisions SET created_by = 3 WHERE id = 2", "decision 2 on loans/1 is not what entry"),
        ("UPDATE alias_settings SET name = 'x'", "and no row of alias_settings says so"),
        (MADE_UP, "row alias_settings:99 is in no ledger entry"),
        ("DELETE FROM ledger_entries WHERE action = 'version-planned'", "was planned in 0 entries"),
        ("UPDATE ledger_entries SET action = 'x' WHERE action = 'alias-moved'", "is in no ledger entry"),
        ("UPDATE ledger_entries SET actor_id = 3 WHERE action = 'stage-decided'", "do not repeat its header"),
    ],
)
def test_tables_that_tell_another_story(lived_builder: Builder, statement: str, said: str) -> None:
    model = (
        "spam" if "alias" in statement and statement != MADE_UP else "loans"
    )  # it is spam that has aliases
    with forging(lived_builder) as connection:
        assert connection.execute(text(statement)).rowcount
    with pytest.raises(IntegrityViolated, match=rf"tables and ledger disagree about {model}: ") as found:
        held(lived_builder, model, last_time(lived_builder))
    assert said in found.value.message
    assert found.value.hint == "phasegate audit verify"


def test_an_edited_payload(lived_builder: Builder) -> None:
    (entry,) = [entry for entry in decided(lived_builder, "loans/1") if entry.payload["to"] == "deployed"]
    with forging(lived_builder) as connection:
        query = update(ENTRIES).where(ENTRIES.c["index"] == entry.index)
        connection.execute(query.values(payload=b'{"event":{},"rows":{}}'))
    with pytest.raises(IntegrityViolated, match=r"its payload is not the one that its header commits to"):
        held(lived_builder, "loans/1", entry.at)
