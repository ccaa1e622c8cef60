"""One policy's rules, judged on one dossier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from registry.domain.decision import Outcome, RuleResult
from registry.domain.dossier import Dossier
from registry.policy.binding import BoundPolicy
from registry.policy.expressions import Expression, Failed, Seen, is_true
from registry.policy.figures import show, show_apart
from registry.policy.gaps import Gap, Item, find_gap
from registry.policy.rules import Rule
from registry.policy.templates import fill, name_of, values_for
from registry.policy.timing import is_late
from registry.policy.view import Sight, View
from registry.policy.waiving import waive


class Judge:
    """Applies a policy in force to a dossier, rule by rule. It never raises: every doubt is a result."""

    def __init__(self, bound: BoundPolicy, dossier: Dossier, view: View) -> None:
        self._bound = bound
        self._dossier = dossier
        self._view = view

    def results(self) -> Iterator[RuleResult]:
        """Every rule's finding; none if the policy says that it does not apply here."""
        when = self._bound.when
        if when is not None:
            applies = self._condition(when)
            if isinstance(applies, Failed):
                # Nobody knows whether it applies: so it does, and says why.
                yield self._error("when", f"whether it applies cannot be judged: {applies.error}")
            elif not is_true(applies):
                return
        for rule in self._bound.rules:
            for item in items_of(rule.validation.each, self._dossier):
                yield self._judge(rule, item)

    def _condition(self, when: Expression) -> Seen | Failed:
        try:
            return when.evaluate(self._give(when, Sight.of([when.names]), None))
        except Exception as error:  # as in _judge
            return Failed(f"{type(error).__name__}: {error}")

    def _give(self, expression: Expression, sight: Sight, item: Item | None) -> Any:
        return expression.give({**self._bound.params, **self._view.variables(sight, item)})

    def _judge(self, rule: Rule, item: Item | None) -> RuleResult:
        try:
            found = self._find(rule, item)
            since = self._bound.since
            if since is not None and is_late(rule.test.names.paths, self._dossier, item, since):
                found = replace(found, late=True)
            if found.outcome is Outcome.PASS or not self._dossier.waivers:
                return found
            return waive(found, self._bound.policy, rule.validation, self._dossier)
        except Exception as error:  # a dossier that cannot be read refuses; it must not break the gate
            return self._error(_name(rule, item), f"cannot be judged: {type(error).__name__}: {error}")

    def _find(self, rule: Rule, item: Item | None) -> RuleResult:
        each = rule.validation.each
        # A rule per item without items has nothing to hold for: the collection itself is what is missing.
        paths = [(each,)] if each and item is None else rule.test.names.paths
        gap = find_gap(paths, self._dossier, item)
        given = self._give(rule.test, rule.sight, item)
        if gap is not None:
            return self._lacking(rule, item, gap, given)
        found = rule.test.evaluate(given)
        if isinstance(found, Seen):
            return self._judged(rule, item, is_true(found), given)
        if found.missing is not None:
            return self._lacking(rule, item, Gap(Outcome.MISSING, f"there is no {found.missing!r}"), given)
        return self._error(_name(rule, item), f"cannot be judged: {found.error}")

    def _judged(self, rule: Rule, item: Item | None, holds: bool, given: Any) -> RuleResult:
        value, limit = show_apart(_value(rule.value, given), _value(rule.limit, given))
        if holds:
            return self._result(_name(rule, item), Outcome.PASS, value=value, limit=limit)
        places = values_for(self._dossier, item)
        told = _value(rule.message, given)
        return self._result(
            _name(rule, item),
            Outcome.FAIL,
            message=told or fill(rule.validation.message, places),
            value=value,
            limit=limit,
            remedy=fill(rule.validation.remedy, places),
        )

    def _lacking(self, rule: Rule, item: Item | None, gap: Gap, given: Any) -> RuleResult:
        command = rule.validation.supply or rule.validation.remedy
        return self._result(
            _name(rule, item),
            gap.outcome,
            message=gap.message,
            limit=show(_value(rule.limit, given)),
            remedy=fill(command, values_for(self._dossier, item)),
        )

    def _error(self, name: str, message: str) -> RuleResult:
        remedy = f"phasegate policy show {self._bound.policy.name}"
        return self._result(name, Outcome.ERROR, message=message, remedy=remedy)

    def _result(
        self,
        name: str,
        outcome: Outcome,
        *,
        message: str = "",
        value: str = "",
        limit: str = "",
        remedy: str = "",
    ) -> RuleResult:
        policy, binding = self._bound.policy, self._bound.binding
        return RuleResult(
            rule=f"{policy.name}/{name}",
            policy=policy.digest,
            binding=binding.name,
            outcome=outcome,
            action=binding.action,
            message=message,
            value=value,
            limit=limit,
            remedy=remedy,
        )


def items_of(each: str, dossier: Dossier) -> tuple[Item | None, ...]:
    """What a rule is judged for, one by one: None alone if it is not judged per item, or without items."""
    items: tuple[Item, ...] = ()
    if each == "data":
        items = tuple(dossier.data.values())
    elif each == "targets":
        items = dossier.targets
    return items or (None,)


def _name(rule: Rule, item: Item | None) -> str:
    return rule.validation.id if item is None else f"{rule.validation.id}[{name_of(item)}]"


def _value(expression: Expression | None, given: Any) -> Any:
    """What is shown beside a result; if it cannot be told, nothing is."""
    found = expression.evaluate(given) if expression is not None else None
    return found.value if isinstance(found, Seen) else None
