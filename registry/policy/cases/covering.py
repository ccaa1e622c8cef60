"""Coverage: which outcomes each rule had in its cases, of those that it can have.

What is asked of a rule is decided by what it can do: every rule can pass and fail. One that reads evidence,
data, targets, the champion, or an entry by its key can miss it. One that reads evidence can find it
insufficient. One that may be waived can be waived. And one whose expression holds an operation that can fail
at run time can be an error. What else a rule cannot be, its author says with `never`: `size(targets) > 0`
cannot fail, because a version without targets lacks what the rule reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.domain.decision import Outcome
from registry.policy.binding import compiled
from registry.policy.cases.case import NOT_APPLICABLE, CaseResult, CaseSet, never_of, rule_of
from registry.policy.policies import GatePolicy
from registry.policy.rules import Rule
from registry.policy.validations import WHEN
from registry.policy.waiving import can_be_waived


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """One rule's outcomes. The policy's own condition is the rule `when`: it passes, or is not applicable.

    Attributes:
        wanted: Outcomes that it can have.
        cases: In how many cases it had each, as was expected.
        never: Outcomes that its author says it cannot have.
    """

    policy: str
    rule: str
    wanted: tuple[str, ...]
    cases: Mapping[str, int]
    never: tuple[str, ...] = ()

    @property
    def lacking(self) -> tuple[str, ...]:
        """Outcomes that no case shows."""
        return tuple(outcome for outcome in self.wanted if not self.cases.get(outcome))

    @property
    def refuted(self) -> tuple[str, ...]:
        """Outcomes that it had although it never can, as its author says."""
        return tuple(outcome for outcome in self.never if self.cases.get(outcome))


def cover(
    policies: Iterable[GatePolicy], sets: Iterable[CaseSet], results: Iterable[CaseResult]
) -> tuple[RuleCoverage, ...]:
    """Every rule's coverage, in the order of the policies and their rules."""
    sets, results = tuple(sets), tuple(results)
    found = []
    for policy in policies:
        when, rules = compiled(policy)
        counts = _count(result for result in results if result.policy == policy.name)
        never = never_of(sets, policy)
        if when is not None:
            wanted = ["pass", NOT_APPLICABLE, *(["error"] if when.names.can_fail else [])]
            found.append(RuleCoverage(policy.name, WHEN, tuple(wanted), counts.get(WHEN, Counter())))
        for rule in rules:
            name = rule.validation.id
            excepted = never.get(name, frozenset())
            wanted = [outcome for outcome in _possible(policy, rule) if outcome not in excepted]
            had = counts.get(name, Counter())
            found.append(RuleCoverage(policy.name, name, tuple(wanted), had, tuple(sorted(excepted))))
    return tuple(found)


def rate(coverage: Iterable[RuleCoverage]) -> float:
    """The share of wanted outcomes that cases show, 0 to 1; 0 if there is nothing to show."""
    wanted = shown = 0
    for one in coverage:
        wanted += len(one.wanted)
        shown += len(one.wanted) - len(one.lacking)
    return shown / wanted if wanted else 0.0


def _possible(policy: GatePolicy, rule: Rule) -> tuple[str, ...]:
    names = rule.test.names
    possible = [Outcome.PASS, Outcome.FAIL]
    if rule.validation.each or names.paths or names.keyed:
        possible.append(Outcome.MISSING)
    if rule.sight.kinds or rule.sight.data_kinds:
        possible.append(Outcome.INSUFFICIENT)
    if names.can_fail:
        possible.append(Outcome.ERROR)
    if can_be_waived(policy, rule.validation):
        possible.append(Outcome.WAIVED)
    return tuple(outcome.value for outcome in possible)


def _count(results: Iterable[CaseResult]) -> dict[str, Counter[str]]:
    """In how many cases each rule had each outcome, as was expected."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        had = {(rule_of(one.rule), one.outcome) for one in result.got if one.right and one.rule != WHEN}
        if result.when:
            had.add((WHEN, result.when))
        for rule, outcome in had:
            counts.setdefault(rule, Counter())[outcome] += 1
    return counts
