"""Forgetting somebody: what was held is gone, what was proven stays proven, and forgers are still found."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.builder import Builder
from integration.conftest import Databases
from integration.forging import ENTRIES, forging
from integration.tables import GOVERNED, contents_of
from integration.test_audit import Forger, changed, some_row
from sqlalchemy import Engine, create_engine, delete, select, text, update

from registry.domain.events import ActorAdded
from registry.errors import BadInput, IntegrityViolated, NotFound, NotPermitted
from registry.ledger import verify_proof
from registry.storage.database import Database
from registry.storage.revisions import downgrade
from registry.storage.tables import ActorRow

STALLING = """
import sys, time
from pathlib import Path
from sqlalchemy import event
from registry.api import Registry
from registry.storage.home import Home

registry = Registry(Home.at(sys.argv[1], database=sys.argv[2]), "root")

@event.listens_for(registry._opened.database.engine, "after_cursor_execute")
def stall(connection, cursor, statement, *rest):
    if sys.argv[3] in statement:
        print("half way", flush=True)
        time.sleep(600)

registry.ledger.erase("rita", "asked", mentions=True)
"""


def entries(builder: Builder) -> list[tuple[int, bytes | None, bytes | None, bytes]]:
    query = select(ENTRIES.c["index"], ENTRIES.c.payload, ENTRIES.c.salt, ENTRIES.c.leaf)
    with builder.database.read() as session:
        return [tuple(row) for row in session.execute(query.order_by(ENTRIES.c["index"]))]


def number_of(builder: Builder, name: str) -> int:
    with builder.database.read() as session:
        return session.scalars(select(ActorRow.id).where(ActorRow.name == name)).one()


def proven(proof: str, key: str) -> dict[str, str]:
    """What the script for people elsewhere reads in a proof."""
    read = verify_proof.read_proof(proof)
    return dict(verify_proof.verify(read, [verify_proof.read_key(key, 1)], []))


def test_a_person_is_forgotten(lived_builder: Builder) -> None:
    root = lived_builder.acting("root")
    before, number = entries(lived_builder), number_of(lived_builder, "rita")
    found = root.ledger.erase("rita", "asked on 2026-05-01")
    assert (found.subject, found.name) == (f"actor:{number}", f"erased-{number}")
    log = root.log()
    own = [entry.index for entry in log if entry.subject == found.subject and entry.index < len(before)]
    assert found.entries == own
    after = entries(lived_builder)
    for old, new in zip(before, after, strict=False):
        assert new == ((old[0], None, None, old[3]) if old[0] in own else old)
    # An entry tells of the erasure, without her name, and her role ended.
    assert [entry.action for entry in log[len(before) :]] == ["payloads-erased", "role-revoked"]
    assert log[len(before)].payload == {"entries": own, "reason": "asked on 2026-05-01"}
    assert {entry.text for entry in log if entry.index in own} == {"(erased)"}
    assert "rita" not in {entry.actor for entry in log}
    audit = root.verify(artifacts=True)
    assert (audit.problems, audit.erased) == ([], len(own))


def test_what_names_her_elsewhere_is_listed(lived_builder: Builder) -> None:
    root = lived_builder.acting("root")
    with lived_builder.database.write("root") as work:
        work.record(ActorAdded("actor:1", "rita, and nobody else"))
        work.record(ActorAdded("actor:1", "margarita, rita.b and rita-2 are others"))
    size = len(entries(lived_builder))
    found = root.ledger.erase("rita", "asked")
    assert size - 2 in found.mentions
    assert size - 1 not in found.mentions
    # A decision keeps the dossier that it was made on.
    assert any(place.startswith("decisions:") and place.endswith(" dossier") for place in found.rows)
    assert root.verify().problems == []


def test_mentions_can_go_with_her(lived_builder: Builder) -> None:
    root = lived_builder.acting("root")
    with lived_builder.database.write("root") as work:
        work.record(ActorAdded("actor:1", "rita, and nobody else"))
    mentioning = len(entries(lived_builder)) - 1
    found = root.ledger.erase("rita", "asked", mentions=True)
    assert mentioning in found.entries
    assert found.mentions == []
    assert all(b"rita" not in payload for _, payload, _, _ in entries(lived_builder) if payload)
    assert root.verify().problems == []


def test_nothing_of_the_name_is_left_in_the_files(builder: Builder) -> None:
    builder.approver("zebulon-q")
    builder.acting("root").ledger.erase("zebulon-q", "asked")
    if builder.database.engine.dialect.name == "sqlite":
        file = Path(str(builder.database.url.database))
        files = [file, *file.parent.glob(f"{file.name}-wal")]
        assert all(b"zebulon-q" not in path.read_bytes() for path in files)
    assert all("zebulon-q" not in str(rows) for rows in contents_of(builder.database).values())


def test_proofs_made_before_and_after(lived_builder: Builder) -> None:
    ledger = lived_builder.acting("root").ledger
    key = ledger.make_key(name="example.com/ledger").verifier
    ledger.checkpoint()
    (index, *_) = [e.index for e in lived_builder.acting("root").log() if e.action == "stage-decided"]
    before = ledger.prove(index, payload=True)
    assert index in ledger.erase("model:loans/1", "withdrawn").entries
    after = ledger.prove(index)
    assert proven(before.text, key)["payload"].startswith("{")
    assert proven(after.text, key)["payload"].startswith("not told; committed to as sha256:")
    assert proven(before.text, key)["subject"] == proven(after.text, key)["subject"] == "model:loans/1"
    with pytest.raises(BadInput, match=r"was erased"):
        ledger.prove(index, payload=True)
    later = ledger.checkpoint()
    assert proven(ledger.prove(later.size - 1, payload=True).text, key)["action"] == "payloads-erased"
    audit = lived_builder.acting("auditor").verify()
    assert (audit.problems, audit.checkpoints) == ([], 2)


def test_the_registry_lives_on(lived_builder: Builder) -> None:
    root = lived_builder.acting("root")
    root.ledger.erase("rita", "asked")
    root.ledger.erase("model:spam/1", "a mistake")
    root.ledger.erase("system:credit", "renamed")
    assert root.history("spam/1")
    assert lived_builder.plan("loans") == "loans/2"
    lived_builder.bring("spam/1", "designed")
    assert root.verify().problems == []
    assert root.report("loans/1") is not None


# -- forgers -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forgotten(
    databases: Databases, lived: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A registry whose ledger forgot everything that it may, without its triggers."""
    url = databases.copy(lived[0])
    with Builder(tmp_path_factory.mktemp("forgotten"), url) as builder:
        registry = builder.acting("root")
        subjects = {entry.subject for entry in registry.log()}
        for subject in sorted(subjects - {"actor:1", "ledger"}):  # nobody erases themselves
            registry.ledger.erase(subject, "all of it")
        assert registry.verify().problems == []
        with builder.database.ungoverned() as connection:
            downgrade(connection, "0002_people_and_risks")
    engine = create_engine(url)
    yield engine
    engine.dispose()
    databases.drop(url)


@pytest.fixture
def forger(forgotten: Engine) -> Iterator[Forger]:
    with forgotten.connect() as connection:
        if forgotten.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield Forger(connection)
        connection.rollback()


@pytest.mark.parametrize("name", sorted(GOVERNED))
def test_rows_are_still_accounted_for(forger: Forger, name: str) -> None:
    table, row, condition, key = some_row(forger, name)
    keys = {column.name for column in table.primary_key}
    free = [c.name for c in table.columns if row[c.name] is not None and c.name not in keys | {"name"}]
    free.sort(key=lambda name: not table.c[name].foreign_keys)
    if free:
        forger.execute(update(table).where(*condition).values({free[-1]: changed(row[free[-1]])}))
        assert forger.problems == [f"row {key} was changed behind the ledger's back"]
    forger.execute(delete(table).where(*condition))
    assert forger.problems == [f"row {key} was deleted behind the ledger's back"]


def test_an_erasure_that_nothing_tells_of(forger: Forger) -> None:
    """Somebody takes the entry that tells of one away, or erases on their own."""
    (last,) = [entry.index for entry in forger.entries() if entry.action == "payloads-erased"][-1:]
    forger.execute(update(ENTRIES).where(ENTRIES.c.index == last).values(payload=None, salt=None))
    problems = forger.problems
    assert f"entry {last} has lost its payload" in problems
    assert any("behind the ledger's back" in problem for problem in problems)


def test_erasing_is_no_laundering(lived_builder: Builder) -> None:
    """A row that was forged before is not accounted for by forgetting what accounted for it."""
    with forging(lived_builder) as connection:
        connection.execute(text("UPDATE versions SET plan = '{}' WHERE id = 1"))
        connection.execute(
            text("UPDATE actors SET created_at = '2020-01-01 00:00:00.000000' WHERE name = 'rita'")
        )
    root = lived_builder.acting("root")
    assert root.ledger.erase("model:loans/1", "withdrawn").restated
    assert "row versions:1 was changed behind the ledger's back" in root.verify().problems
    before = contents_of(lived_builder.database)
    with pytest.raises(IntegrityViolated, match=r"nothing is erased: row actors:\d was changed"):
        root.ledger.erase("rita", "asked")
    assert contents_of(lived_builder.database) == before


# -- what is refused, and what dies half way -----------------------------------------------------


@pytest.mark.parametrize(
    ("actor", "subject", "reason", "error", "said"),
    [
        ("bob", "rita", "asked", NotPermitted, "takes the role admin"),
        ("root", "root", "asked", NotPermitted, "cannot erase themselves"),
        ("root", "actor:1", "asked", NotPermitted, "cannot erase themselves"),
        ("root", "rita", " ", BadInput, "needs a reason"),
        ("root", "rita", "Rita asked", BadInput, "names rita"),
        ("root", "nobody-here", "asked", NotFound, "nobody is called"),
        ("root", "actor:999", "asked", NotFound, "nobody is 'actor:999'"),
        ("root", "actor:x", "asked", NotFound, "nobody is 'actor:x'"),
        ("root", "ledger", "asked", BadInput, "ledger's own keys"),
        ("root", "model:", "asked", BadInput, "cannot be erased"),
        ("root", "model:other/1", "asked", NotFound, "holds nothing more about it"),
        ("root", "credit:x", "asked", NotFound, "holds nothing more about it"),
    ],
)
def test_what_is_refused(
    lived_builder: Builder, actor: str, subject: str, reason: str, error: type[Exception], said: str
) -> None:
    before = contents_of(lived_builder.database)
    with pytest.raises(error, match=said):
        lived_builder.acting(actor).ledger.erase(subject, reason)
    assert contents_of(lived_builder.database) == before


def test_nobody_takes_the_place_of_somebody_who_was_erased(lived_builder: Builder) -> None:
    root = lived_builder.acting("root")
    name = root.ledger.erase("rita", "asked").name
    with pytest.raises(NotFound, match=r"was erased before"):
        root.ledger.erase(name, "asked again")
    with pytest.raises(NotPermitted, match=r"nobody acts in their name"):
        lived_builder.acting(name).add_system("x", purpose="y", risk_tier="high")


@pytest.mark.parametrize(
    "statement", ["UPDATE ledger_entries", "UPDATE actors", "INSERT INTO ledger_entries"]
)
def test_killed_half_way_nothing_is_erased(lived_builder: Builder, statement: str) -> None:
    before = contents_of(lived_builder.database)
    url = lived_builder.database.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-c", STALLING, str(lived_builder.home.root), url, statement],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half way\n"
        process.send_signal(signal.SIGKILL)
    database = Database(url, lock_timeout=20)
    assert contents_of(database) == before
    database.close()
    root = lived_builder.acting("root")
    assert root.verify().problems == []
    assert root.ledger.erase("rita", "asked", mentions=True).entries
    assert root.verify().problems == []
