"""Cases, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from registry.domain.decision import Outcome
from registry.domain.dossier import Dossier
from registry.domain.lifecycle import Step
from registry.policy.binding import BoundPolicy
from registry.policy.policies import GatePolicy
from registry.policy.view import View

# A policy that does not govern a step, or whose condition is not true, has no results.
NOT_APPLICABLE = "not-applicable"
EXPECTABLE = (*(outcome.value for outcome in Outcome), NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Case:
    """One dossier, and what is expected of every rule.

    Attributes:
        file, line: Where it stands.
        bound: The policy with the parameters and the scope under which it is judged.
        expected: Outcome by rule, or by `rule[item]` where one is judged per item.
        view: The dossier as expressions see it, converted once for all who judge it.
    """

    name: str
    file: str
    line: int
    bound: BoundPolicy
    step: Step
    dossier: Dossier
    expected: Mapping[str, str]
    view: View = field(repr=False, compare=False)

    @property
    def policy(self) -> GatePolicy:
        return self.bound.policy


@dataclass(frozen=True, slots=True)
class Got:
    """What one rule said of a case.

    Attributes:
        rule: Its id, with `[item]` where it is judged per item.
        expected: Empty if nothing was: the policy's condition could not be judged.
    """

    rule: str
    expected: str
    outcome: str
    message: str = ""
    value: str = ""
    limit: str = ""

    @property
    def right(self) -> bool:
        return self.expected == self.outcome


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case.

    Attributes:
        when: What the policy's condition said: `pass`, `not-applicable`, `error`; empty if unasked.
    """

    name: str
    policy: str
    file: str
    line: int
    got: tuple[Got, ...]
    when: str = ""

    @property
    def wrong(self) -> tuple[Got, ...]:
        return tuple(one for one in self.got if not one.right)

    @property
    def passed(self) -> bool:
        return not self.wrong


@dataclass(frozen=True, slots=True)
class CaseSet:
    """The cases of one document.

    Attributes:
        never: Outcomes that a rule cannot have, as the author says: rule -> outcomes.
    """

    policy: GatePolicy
    file: str
    line: int
    cases: tuple[Case, ...]
    never: Mapping[str, tuple[str, ...]]


def rule_of(name: str) -> str:
    """`completeness` of `completeness[sample-train/1]`."""
    return name.partition("[")[0]


def never_of(sets: Iterable[CaseSet], policy: GatePolicy) -> dict[str, frozenset[str]]:
    """What all documents about a policy say that its rules cannot be."""
    found: dict[str, frozenset[str]] = {}
    for one in sets:
        for rule, outcomes in one.never.items() if one.policy == policy else ():
            found[rule] = found.get(rule, frozenset()) | frozenset(outcomes)
    return found
