"""What a case expects: an outcome for every rule, by name or by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.domain.decision import Outcome
from registry.domain.dossier import Dossier
from registry.domain.names import did_you_mean
from registry.policy.cases.case import EXPECTABLE, rule_of
from registry.policy.judging import items_of
from registry.policy.policies import GatePolicy
from registry.policy.templates import name_of
from registry.policy.validations import WHEN
from registry.policy.yaml_nodes import Source, kind_of

if TYPE_CHECKING:
    from yaml.nodes import Node

REST = "*"


def read_expected(source: Source, node: Node, policy: GatePolicy, dossier: Dossier) -> dict[str, str]:
    """The outcome that is expected of each result, by its name.

    `rule[item]` goes before `rule`, and that before `*`. A single outcome stands for `{"*": outcome}`.
    """
    if kind_of(node) == "str":
        wanted = source.choice_of(node, "outcome", EXPECTABLE)
        return dict.fromkeys(names_of(policy, dossier), wanted) if wanted else {}
    said: dict[str, str] = {}
    places: dict[str, Node] = {}
    names = names_of(policy, dossier)
    for name, (key, value) in source.entries(node, "expect").items():
        places[name] = key
        _check_name(source, key, name, policy, names)
        wanted = source.choice_of(value, "outcome", EXPECTABLE)
        said[name] = wanted or ""
    expected: dict[str, str] = {}
    if WHEN in said:
        expected[WHEN] = said[WHEN]
    for name in names:
        asked = next((key for key in (name, rule_of(name), REST) if key in said), None)
        if asked is None:
            rest = f'expect it, or say what all others are: "{REST}": pass'
            source.report(node, f"nothing is expected of {name}", rest)
        else:
            expected[name] = said[asked]
    return expected


def read_never(source: Source, node: Node | None, policy: GatePolicy) -> dict[str, tuple[str, ...]]:
    """Outcomes that the author says a rule cannot have."""
    found: dict[str, tuple[str, ...]] = {}
    known = tuple(outcome.value for outcome in Outcome)
    rules = [rule.id for rule in policy.validations]
    for name, (key, value) in source.entries(node, "never").items():
        if name not in rules:
            source.report(key, f"{policy.name} has no rule {name!r}", did_you_mean(name, rules))
            continue
        outcomes = source.texts_of(value, f"never of {name}")
        for place in outcomes.values():
            source.choice_of(place, "outcome", known)
        found[name] = tuple(outcomes)
    return found


def names_of(policy: GatePolicy, dossier: Dossier) -> tuple[str, ...]:
    """Names of the results that a policy would have on a dossier."""
    return tuple(
        rule.id if item is None else f"{rule.id}[{name_of(item)}]"
        for rule in policy.validations
        for item in items_of(rule.each, dossier)
    )


def _check_name(source: Source, key: Node, name: str, policy: GatePolicy, names: tuple[str, ...]) -> None:
    rules = [rule.id for rule in policy.validations]
    if name == REST or name in rules or name in names or (name == WHEN and policy.match.when):
        return
    if rule_of(name) in rules:
        items = [one for one in names if rule_of(one) == rule_of(name)]
        source.report(key, f"the case has no item {name!r}", did_you_mean(name, items))
    else:
        known = [*rules, WHEN] if policy.match.when else rules
        source.report(key, f"{policy.name} has no rule {rule_of(name)!r}", did_you_mean(rule_of(name), known))
