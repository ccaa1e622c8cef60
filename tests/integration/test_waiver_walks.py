"""Any order of requests, approvals, revocations, changes and time: what holds is what a simple model says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from integration.exam import Exam, clock_off_by, days

from registry.domain.decision import Outcome
from registry.errors import BadInput, Conflict
from registry.storage.tables.base import now

LONGEST = timedelta(days=30)
NUMBERS = st.integers(0, 100)


@dataclass
class Waiver:
    """What the model knows of a waiver: when it ends, and what it is for."""

    until: datetime
    edition: int
    content: int | None  # of the version; None for a system's waiver
    state: str = "requested"


class Walk(RuleBasedStateMachine):
    """One version, its system, one rule; a clock that only goes forward."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        Path(self.folder.name, "registry.db").write_bytes(template())
        self.exam = Exam(Path(self.folder.name), f"sqlite:///{self.folder.name}/registry.db")
        self.waivers: list[Waiver] = []
        self.away = timedelta()
        self.edition = self.editions = 1
        self.content = 0

    @property
    def at(self) -> datetime:
        return now() + self.away

    def holds(self, waiver: Waiver) -> bool:
        return (
            waiver.state == "approved"
            and waiver.until > self.at
            and waiver.edition == self.edition
            and waiver.content in (None, self.content)
        )

    @rule(length=st.integers(1, 40), system=st.booleans())
    def ask(self, length: int, system: bool) -> None:
        until = days(length) + self.away
        with clock_off_by(self.away):
            if timedelta(days=length) > LONGEST:
                with pytest.raises(BadInput, match="later than policy exam allows"):
                    self.exam.ask(system="credit" if system else "", at=until)
                return
            assert self.exam.ask(system="credit" if system else "", at=until) == len(self.waivers) + 1
        self.waivers.append(Waiver(until, self.edition, None if system else self.content))

    @rule(length=st.integers(1, 30), system=st.booleans())
    def ask_and_approve(self, length: int, system: bool) -> None:
        self.ask(length, system)
        self.approve(len(self.waivers) - 1, "ruth")

    @precondition(lambda self: self.waivers)
    @rule(which=NUMBERS, who=st.sampled_from(["ruth", "rob"]))
    def approve(self, which: int, who: str) -> None:
        which %= len(self.waivers)
        waiver, number = self.waivers[which], which + 1
        fresh = waiver.edition == self.edition and waiver.content in (None, self.content)
        with clock_off_by(self.away):
            approve = self.exam.acting(who).waivers.approve
            if waiver.state != "requested" or not fresh:
                with pytest.raises(Conflict):
                    approve(number)
            elif waiver.until <= self.at:
                with pytest.raises(BadInput, match="is past"):
                    approve(number)
            else:
                assert approve(number).holds
                waiver.state = "approved"

    @precondition(lambda self: self.waivers)
    @rule(which=NUMBERS)
    def reject(self, which: int) -> None:
        self.decide(which, "requested", "rejected")

    @precondition(lambda self: self.waivers)
    @rule(which=NUMBERS)
    def revoke(self, which: int) -> None:
        self.decide(which, "approved", "revoked")

    def decide(self, which: int, before: str, after: str) -> None:
        which %= len(self.waivers)
        waivers = self.exam.acting("ruth").waivers
        verb = waivers.reject if after == "rejected" else waivers.revoke
        with clock_off_by(self.away):
            if self.waivers[which].state != before:
                with pytest.raises(Conflict):
                    verb(which + 1, "a reason")
                return
            verb(which + 1, "a reason")
        self.waivers[which].state = after

    @rule()
    def change_the_version(self) -> None:
        self.content += 1
        with clock_off_by(self.away):
            self.exam.change(self.exam.ref, layers=str(self.content))

    @rule()
    def publish_another_edition(self) -> None:
        self.editions += 1
        self.edition = self.editions
        with clock_off_by(self.away):
            self.exam.publish(edition=self.edition)

    @rule(hours=st.integers(1, 24 * 12))
    def time_passes(self, hours: int) -> None:
        self.away += timedelta(hours=hours)

    @invariant()
    def the_registry_agrees(self) -> None:
        with clock_off_by(self.away):
            listed = self.exam.acting("alice").waivers.all(ref=self.exam.ref)
            decision, dossier = self.exam.acting("alice").explain(self.exam.ref, "ready")
        expected = [self.holds(waiver) for waiver in self.waivers]
        assert [found.holds for found in listed] == expected
        assert [found.holds for found in dossier.waivers] == expected
        assert all(bool(found.why_not) != found.holds for found in listed)
        assert decision.allowed == any(expected)
        [tested] = [found for found in decision.verdict.results if found.rule == "exam/tested"]
        assert tested.outcome is (Outcome.WAIVED if any(expected) else Outcome.MISSING)

    def teardown(self) -> None:
        if hasattr(self, "exam"):
            audit = self.exam.acting("root").verify()
            assert audit.ok, audit.problems
            self.exam.close()
            self.folder.cleanup()


@cache
def template() -> bytes:
    """A registry file as every walk begins."""
    with TemporaryDirectory() as folder:
        made = Exam(Path(folder), f"sqlite:///{folder}/registry.db")
        made.begin()
        made.close()
        return Path(folder, "registry.db").read_bytes()


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
