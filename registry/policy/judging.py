"""One policy's rules, judged on one dossier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry.domain.decision import Outcome, RuleResult
from registry.domain.dossier import Dossier
from registry.policy.binding import BoundPolicy
from registry.policy.expressions import Expression, Failed, Seen, is_true
from registry.policy.figures import show, show_apart
from registry.policy.gaps import Gap, Item, find_gap
from registry.policy.rules import Rule
from registry.policy.templates import fill, name_of, values_for
from registry.policy.view import Sight, View


class Judge:
    """Applies a policy in force to a dossier, rule by rule. It never raises: every doubt is a result."""

    def __init__(self, bound: BoundPolicy, dossier: Dossier, view: View) -> None:
        self._bound = bound
        self._dossier = dossier
        self._view = view

    def results(self) -> Iterator[RuleResult]:
        """Every rule's finding; none if the policy says that it does not apply here."""
        if self._bound.when is not None:
            applies = self._condition(self._bound.when)
            if isinstance(applies, Failed):
                # Nobody knows whether it applies: so it does, and says why.
                yield self._error("when", f"whether it applies cannot be judged: {applies.error}")
            elif not is_true(applies):
                return
        for rule in self._bound.rules:
            for item in self._items(rule.validation.each):
                yield self._judge(rule, item)

    def _condition(self, when: Expression) -> Seen | Failed:
        try:
            variables = self._view.variables(Sight.of([when.names]))
        except (TypeError, ValueError) as error:
            return Failed(str(error))
        return when.evaluate({**self._bound.params, **variables})

    def _items(self, each: str) -> tuple[Item | None, ...]:
        items: tuple[Item, ...] = ()
        if each == "data":
            items = tuple(self._dossier.data.values())
        elif each == "targets":
            items = self._dossier.targets
        return items or (None,)

    def _judge(self, rule: Rule, item: Item | None) -> RuleResult:
        each = rule.validation.each
        # A rule per item without items has nothing to hold for: the collection itself is what is missing.
        paths = [(each,)] if each and item is None else rule.test.names.paths
        try:
            gap = find_gap(paths, self._dossier, item)
            variables = {**self._bound.params, **self._view.variables(rule.sight, item)}
        except Exception as error:  # a dossier that cannot be read refuses; it must not break the gate
            return self._error(_name(rule, item), f"{type(error).__name__}: {error}")
        if gap is not None:
            return self._lacking(rule, item, gap, variables)
        found = rule.test.evaluate(variables)
        if isinstance(found, Failed) and found.missing is not None:
            return self._lacking(
                rule, item, Gap(Outcome.MISSING, f"there is no {found.missing!r}"), variables
            )
        if isinstance(found, Failed):
            return self._error(_name(rule, item), f"cannot be judged: {found.error}")
        return self._judged(rule, item, is_true(found), variables)

    def _judged(self, rule: Rule, item: Item | None, holds: bool, variables: Mapping[str, Any]) -> RuleResult:
        value, limit = show_apart(_value(rule.value, variables), _value(rule.limit, variables))
        if holds:
            return self._result(_name(rule, item), Outcome.PASS, value=value, limit=limit)
        places = values_for(self._dossier, item)
        told = _value(rule.message, variables)
        return self._result(
            _name(rule, item),
            Outcome.FAIL,
            message=told or fill(rule.validation.message, places),
            value=value,
            limit=limit,
            remedy=fill(rule.validation.remedy, places),
        )

    def _lacking(self, rule: Rule, item: Item | None, gap: Gap, variables: Mapping[str, Any]) -> RuleResult:
        command = rule.validation.supply or rule.validation.remedy
        return self._result(
            _name(rule, item),
            gap.outcome,
            message=gap.message,
            limit=show(_value(rule.limit, variables)),
            remedy=fill(command, values_for(self._dossier, item)),
        )

    def _error(self, name: str, message: str) -> RuleResult:
        remedy = f"phasegate policy show {self._bound.policy.name}"
        return self._result(name, Outcome.ERROR, message=message, remedy=remedy)

    def _result(self, name: str, outcome: Outcome, **told: str) -> RuleResult:
        policy = self._bound.policy
        return RuleResult(
            rule=f"{policy.name}/{name}",
            policy=policy.digest,
            binding=self._bound.binding.name,
            outcome=outcome,
            action=self._bound.binding.action,
            **told,
        )


def _name(rule: Rule, item: Item | None) -> str:
    return rule.validation.id if item is None else f"{rule.validation.id}[{name_of(item)}]"


def _value(expression: Expression | None, variables: Mapping[str, Any]) -> Any:
    """What is shown beside a result; if it cannot be told, nothing is."""
    found = expression.evaluate(variables) if expression is not None else None
    return found.value if isinstance(found, Seen) else None
