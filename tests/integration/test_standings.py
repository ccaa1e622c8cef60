"""What people are after any history of grants, loans and groups is what a simple model says."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from integration.builder import Builder
from integration.peopled import soon

from registry.errors import RegistryError
from registry.storage.people import standings

PEOPLE = ("ann", "ben", "cas")
ROLES = ("approver", "deployer")
GROUPS = ("board", "risk")
HOURS = st.integers(1, 6)
_fresh = count()

person, role = st.sampled_from(PEOPLE), st.sampled_from(ROLES)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), person, role),
        st.tuples(st.just("revoke"), person, role),
        st.tuples(st.just("delegate"), person, role, person, HOURS),
        st.tuples(st.just("undelegate"), person, role, person),
        st.tuples(st.just("join"), st.sampled_from(GROUPS), person),
        st.tuples(st.just("leave"), st.sampled_from(GROUPS), person),
    ),
    max_size=14,
)


@dataclass
class People:
    """Who may do what, as sets. Everybody begins as a reviewer, so that they have a name."""

    granted: set[tuple[str, str]] = field(default_factory=set)
    loans: dict[tuple[str, str, str], datetime] = field(default_factory=dict)
    inside: set[tuple[str, str]] = field(default_factory=set)

    def grant(self, name: str, what: str) -> bool:
        if (name, what) in self.granted:
            return False
        self.granted.add((name, what))
        return True

    def revoke(self, name: str, what: str) -> bool:
        if (name, what) not in self.granted:
            return False
        self.granted.remove((name, what))
        self.loans = {key: end for key, end in self.loans.items() if key[:2] != (name, what)}
        return True

    def delegate(self, lender: str, what: str, to: str, until: datetime) -> bool:
        known = {(lender, what, to)} & self.loans.keys() or {(to, what)} & self.granted
        if lender == to or known or (lender, what) not in self.granted:
            return False
        self.loans[lender, what, to] = until
        return True

    def undelegate(self, lender: str, what: str, to: str) -> bool:
        return self.loans.pop((lender, what, to), None) is not None

    def join(self, group: str, name: str) -> bool:
        there = (group, name) in self.inside
        self.inside.add((group, name))
        return not there

    def leave(self, group: str, name: str) -> bool:
        there = (group, name) in self.inside
        self.inside.discard((group, name))
        return there

    def roles(self, name: str, at: datetime) -> set[str]:
        return {"reviewer", *self.own(name), *self.lent(name, at)}

    def own(self, name: str) -> set[str]:
        return {what for holder, what in self.granted if holder == name}

    def lent(self, name: str, at: datetime) -> Mapping[str, tuple[str, ...]]:
        lenders: dict[str, set[str]] = {}
        for (lender, what, to), until in self.loans.items():
            if to == name and until > at:
                lenders.setdefault(what, set()).add(lender)
        return {what: tuple(sorted(found)) for what, found in lenders.items()}

    def groups(self, name: str) -> tuple[str, ...]:
        return tuple(sorted(group for group, member in self.inside if member == name))


class World:
    """The same steps, done to the registry under names that no other example has."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.model = People()
        number = next(_fresh)
        self.called = {name: f"{name}-{number}" for name in (*PEOPLE, *GROUPS)}
        self.root = builder.acting("root").people
        for name in PEOPLE:
            self.root.grant(self.called[name], "reviewer")
        for group in GROUPS:
            self.root.add_group(self.called[group])

    def step(self, verb: str, first: str, second: str, *rest: Any) -> bool:
        """Do one step; False if the registry refused it."""
        one, other = (self.called.get(word, word) for word in (first, second))
        with suppress(RegistryError):
            if verb == "delegate":
                to, until = self.called[rest[0]], rest[1]
                self.builder.acting(one).people.delegate(other, to, until=until, reason="away")
            elif verb == "undelegate":
                self.builder.acting(one).people.undelegate(other, self.called[rest[0]])
            else:
                getattr(self.root, verb)(one, other)
            return True
        return False

    def check(self, at: datetime) -> None:
        names = {self.called[name]: name for name in PEOPLE}
        groups = {self.called[group]: group for group in GROUPS}
        with self.builder.database.read() as session:
            found = standings(session.connection(), list(names), at)
        for called, name in names.items():
            seen = found[called]
            assert set(seen.granted) - {"reviewer"} == self.model.own(name)
            assert set(seen.roles) == self.model.roles(name, at)
            lenders = {what: tuple(names[one] for one in lent) for what, lent in seen.lent.items()}
            assert lenders == self.model.lent(name, at)
            assert tuple(groups[group] for group in seen.groups) == self.model.groups(name)


def test_standings_are_what_a_simple_model_says(builder: Builder) -> None:
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    @given(STEPS, HOURS)
    def live(steps: list[tuple[Any, ...]], hours: int) -> None:
        world = World(builder)
        now = soon()
        for verb, *words in steps:
            if verb == "delegate":
                words[-1] = now + timedelta(hours=words[-1])
            assert world.step(verb, *words) == getattr(world.model, verb)(*words), (verb, words)
        # Ends are full hours away: an hour and a half later is between two of them.
        for at in (now, now + timedelta(hours=hours), now + timedelta(hours=hours - 0.5)):
            world.check(at)

    live()
    assert builder.acting("root").verify().ok
