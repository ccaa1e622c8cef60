"""A registry with a lifecycle and a policy of its own: one gate whose rules a test knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registry.api import Registry
from registry.domain.decision import Outcome
from registry.domain.people import APPROVER, REVIEWER
from registry.policy import parse_documents, parse_lifecycle
from registry.storage.home import Home
from registry.storage.tables.base import now

if TYPE_CHECKING:
    from integration.conftest import Databases

LIFECYCLE = """
kind: Lifecycle
metadata: {name: exam}
stages: [draft, ready, gone]
steps:
  - {from: draft, to: ready}
  - {from: ready, to: draft, open: true, why: rework}
  - {from: any, to: gone, open: true}
work: {data: [draft, ready], design: [draft, ready], train: [draft], deploy: [ready], retire: [ready]}
"""
POLICY = """
kind: GatePolicy
metadata: {{name: exam}}
match: {{to: [ready]}}
params: {{edition: {edition}}}
waivers: {{max_days: {days}}}
validations:
  - {{id: tested, expression: "subject.design['tested'] == 'yes'", message: nobody has tested it}}
  - {{id: named, expression: subject.purpose != '', message: it has no purpose, waivable: false}}
  - {{id: target, each: targets, expression: item.measured || params.edition > 0.0, message: no value}}
---
kind: GateBinding
metadata: {{name: exam}}
policy: exam
action: deny
"""
# Where the program asks its own machine for the time.
CLOCKS = ("storage.clock", "storage.gates", "storage.unit_of_work", "api.registry")


def days(number: float) -> datetime:
    """So many days from now."""
    return now() + timedelta(days=number)


@contextmanager
def clock_off_by(away: timedelta) -> Iterator[None]:
    """This machine's clock is wrong: by the time that everything in the block looks at it."""
    modules: list[Any] = [import_module(f"registry.{name}") for name in CLOCKS]
    try:
        for module in modules:
            module.now = lambda: now() + away
        yield
    finally:
        for module in modules:
            module.now = now


class Exam:
    """The registry, opened for whoever is asked for. alice has planned loans/1; ruth and rob may approve."""

    def __init__(self, home: Path, database: str) -> None:
        self._home = Home.at(home, database=database)
        self._opened: dict[str, Registry] = {}
        self.ref = "loans/1"

    def begin(self) -> None:
        """Make the registry, the people and the version."""
        file = self._home.root / "exam.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(LIFECYCLE)
        self.acting("root").initialise(lifecycle=file)
        self.publish()
        for name, role in (("ruth", APPROVER), ("rob", APPROVER), ("vera", REVIEWER)):
            self.acting("root").people.grant(name, role)
        self.acting("alice").add_system("credit", purpose="decides about loans", risk_tier="limited")
        assert self.plan() == self.ref

    def acting(self, name: str) -> Registry:
        if name not in self._opened:
            self._opened[name] = Registry(self._home, name)
        return self._opened[name]

    def close(self) -> None:
        for registry in self._opened.values():
            registry.close()

    def plan(self, model: str = "loans", *, actor: str = "alice") -> str:
        """The next version of a model of the system."""
        return self.acting(actor).plan(model, system="credit", targets=["f1>=0.9"]).ref

    def change(self, ref: str, *, actor: str = "alice", **design: str) -> None:
        """Make a version another one, in its design."""
        self.acting(actor).design(ref, design)

    def publish(self, *, edition: int = 1, days: int = 30) -> None:
        """Put an edition of the policy in force."""
        text = POLICY.format(edition=edition, days=days)
        read = parse_documents(text, "exam.yaml", parse_lifecycle(LIFECYCLE, "lifecycle.yaml"))
        self.acting("root").publish(read.policies, read.bindings)

    def ask(
        self,
        rule: str = "exam/tested",
        *,
        ref: str = "",
        system: str = "",
        until: float = 10,
        at: datetime | None = None,
        actor: str = "alice",
    ) -> int:
        """Ask for a waiver that ends in so many days, or at a moment; of loans/1 unless a system is named."""
        made = self.acting(actor).waivers.request(
            rule,
            ref=ref or ("" if system else self.ref),
            system=system,
            reason="there is no time",
            control="somebody watches",
            until=at or days(until),
        )
        return made.id

    def grant(self, **asked: object) -> int:
        """A waiver that alice asked for and ruth approved."""
        number = self.ask(**asked)  # type: ignore[arg-type]
        self.acting("ruth").waivers.approve(number)
        return number

    def outcome(self, rule: str = "exam/tested", ref: str = "") -> Outcome:
        """What `gate explain` says of a rule."""
        decision, _ = self.acting("alice").explain(ref or self.ref, "ready")
        return next(result.outcome for result in decision.verdict.results if result.rule == rule)


@pytest.fixture(scope="session")
def examined(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of the registry as it begins; to be copied, never opened."""
    url = databases.empty()
    made = Exam(tmp_path_factory.mktemp("exam") / "home", url)
    made.begin()
    made.close()
    return url


@pytest.fixture
def exam(databases: Databases, examined: str, tmp_path: Path) -> Iterator[Exam]:
    """A registry of its own for one test."""
    url = databases.copy(examined)
    made = Exam(tmp_path / "home", url)
    yield made
    made.close()
    databases.drop(url)
