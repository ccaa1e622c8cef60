"""Real processes that want the same thing at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from integration.builder import Builder
from sqlalchemy import func, select

from registry.api import Registry
from registry.storage.database import Database
from registry.storage.home import Home
from registry.storage.tables import LedgerEntry, LifecycleRow, PolicyRow, TransitionRow

WORKER = """
import json, sys
from registry.api import Registry
from registry.errors import RegistryError
from registry.storage.home import Home
from registry.usecases import audit, decide, plan, setup, systems

home, url, actor, calls = sys.argv[1:]
with Registry(Home.at(home, database=url), actor) as opened:
    print("ready", flush=True)
    sys.stdin.readline()
    for name, args, options in json.loads(calls):
        try:
            result = getattr(opened, name)(*args, **options)
            answer = result if isinstance(result, bool) else getattr(result, "allowed", True)
        except RegistryError as error:
            answer = [type(error).__name__, error.message]
        print(json.dumps(answer), flush=True)
"""

SLOW = """
import sys, time
from registry.api import Registry
from registry.storage.home import Home
from sqlalchemy import event

with Registry(Home.at(sys.argv[1], database=sys.argv[2]), "bob") as opened:

    @event.listens_for(opened._opened.database.engine, "after_cursor_execute")
    def pause(connection, cursor, statement, *rest):
        if "INSERT INTO lifecycles" in statement:
            print("half way", flush=True)
            time.sleep(0.5)

    assert opened.initialise()
"""

Call = tuple[str, Sequence[Any], Mapping[str, Any]]


class Workers:
    """Processes of several actors that begin together, each with calls of its own."""

    def __init__(self, home: Path, url: str, work: Sequence[tuple[str, Sequence[Call]]]) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(home), url, actor, json.dumps(calls)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for actor, calls in work
        ]

    def begin(self) -> None:
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.close()

    @property
    def working(self) -> bool:
        return any(process.poll() is None for process in self._processes)

    def answers(self) -> list[list[Any]]:
        """What every call of every process came to."""
        found = []
        with ExitStack() as stack:
            for process in self._processes:
                stack.enter_context(process)
            for process in self._processes:
                assert process.stdout is not None
                found.append([json.loads(line) for line in process.stdout])
                assert process.wait() == 0
        return found


def together(home: Path, url: str, work: Sequence[tuple[str, Sequence[Call]]]) -> list[list[Any]]:
    workers = Workers(home, url, work)
    workers.begin()
    return workers.answers()


def url_of(builder: Builder) -> str:
    return builder.database.url.render_as_string(hide_password=False)


def test_one_of_two_promotions_at_once_wins(builder: Builder) -> None:
    first = builder.plan("m0")
    alice = builder.acting("alice")
    data = dict(alice.version(first).data)
    refs = [first] + [
        alice.plan(f"m{n}", system="credit", targets=["f1>=0.9"], data=data, budget_hours=10).ref
        for n in range(1, 8)
    ]
    calls: list[Call] = [("promote", [ref, "prepared"], {}) for ref in refs]
    one, other = together(builder.home.root, url_of(builder), [("bob", calls), ("carol", calls)])
    for ref, answers in zip(refs, zip(one, other, strict=True), strict=True):
        assert Counter(map(json.dumps, answers)) == Counter(
            [json.dumps(True), json.dumps(["NoSuchTransition", "it is prepared already"])]
        )
        assert alice.version(ref).stage == "prepared"
        assert [decision.allowed for decision in alice.decisions(ref)] == [True]
    with builder.database.read() as session:
        moves = session.execute(
            select(TransitionRow.version_id, func.count()).group_by(TransitionRow.version_id)
        )
        assert [count for _, count in moves] == [1] * len(refs)
    decided = [entry.subject for entry in alice.log(action="stage-decided")]
    assert sorted(decided) == sorted(f"model:{ref}" for ref in refs)
    assert alice.verify().ok


def test_writers_of_different_things_lose_nothing(builder: Builder) -> None:
    """Four processes of one person who was never seen before, while an auditor looks on."""
    names = [[f"system-{worker}-{number}" for number in range(20)] for worker in range(4)]
    work: list[tuple[str, list[Call]]] = [
        ("dave", [("add_system", [name], {"purpose": "some", "risk_tier": "minimal"}) for name in mine])
        for mine in names
    ]
    auditor = builder.acting("auditor")
    size = auditor.verify().size
    workers = Workers(builder.home.root, url_of(builder), work)
    workers.begin()
    looked = 0
    while workers.working:
        audit = auditor.verify()
        assert audit.ok, audit.problems
        looked += 1
    assert workers.answers() == [[True] * 20] * 4
    assert looked > 1
    assert sorted(system.name for system in auditor.systems()) == sorted(chain.from_iterable(names))
    audit = auditor.verify()
    assert audit.ok
    assert audit.size == size + 80 + 1  # and dave
    with builder.database.read() as session:
        assert session.scalars(select(LedgerEntry.index).order_by(LedgerEntry.index)).all() == list(
            range(audit.size)
        )
    for mine in names:  # each one's entries are in the order in which they were made
        of_mine = [
            entry.subject for entry in auditor.log() if entry.subject in {f"system:{name}" for name in mine}
        ]
        assert of_mine == [f"system:{name}" for name in mine]


@pytest.fixture
def empty_home(empty_url: str, tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(Home.at(tmp_path / "home", database=empty_url), "alice")
    yield registry
    registry.close()


def test_a_registry_is_made_once(empty_home: Registry) -> None:
    url = empty_home._opened.database.url.render_as_string(hide_password=False)
    init: list[Call] = [("initialise", [], {}), ("verify", [], {})]
    answers = together(empty_home.home.root, url, [(actor, init) for actor in ("bob", "carol", "dave")])
    for made, _ in answers:
        assert made in (True, False) or made[0] in ("Conflict", "DatabaseUnusable")
    assert [made for made, _ in answers].count(True) == 1
    assert empty_home.verify().ok
    assert len(empty_home.log(action="registry-created")) == 1
    database = Database(url)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(LifecycleRow)) == 1
        policies = session.scalars(select(PolicyRow.name)).all()
    database.close()
    assert len(policies) == len(set(policies))


def test_who_comes_while_it_is_made_waits(empty_home: Registry) -> None:
    url = empty_home._opened.database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", SLOW, str(empty_home.home.root), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half way\n"
        assert not empty_home.initialise()
    assert process.returncode == 0
    assert len(empty_home.log(action="registry-created")) == 1
    assert empty_home.verify().ok


def test_versions_of_one_model_are_numbered_one_after_the_other(builder: Builder) -> None:
    builder.acting("alice").add_system("credit", purpose="lends", risk_tier="limited")
    calls: list[Call] = [("plan", ["loans"], {"system": "credit"})] * 6
    work = [("bob", calls), ("carol", calls)]
    answers = list(chain.from_iterable(together(builder.home.root, url_of(builder), work)))
    assert all(answer is True or answer[0] == "Conflict" for answer in answers)
    made = [version.ref for version in builder.acting("alice").versions(model="loans")]
    assert made == [f"loans/{number}" for number in range(1, answers.count(True) + 1)]
    assert len(made) >= 11  # only the very first may collide
    assert builder.acting("alice").verify().ok
