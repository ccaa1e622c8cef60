"""Typing a policy's expressions against what a gate sees, before anything is published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.policy.binding import compiled
from registry.policy.expressions import Expression
from registry.policy.policies import GatePolicy
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node


def check_expressions(source: Source, policy: GatePolicy, places: Mapping[str, Node]) -> None:
    """Report everything that is wrong with a policy's expressions.

    Args:
        source: The file, which takes the problems.
        policy: As far as it could be read.
        places: Where the expressions stand: `match.when` and `ID.FIELD`.
    """
    when, rules = compiled(policy)
    if when is not None:
        _report(source, places["match.when"], when)
    for rule in rules:
        for name, expression in rule.expressions.items():
            _report(source, places[f"{rule.validation.id}.{name}"], expression)


def _report(source: Source, node: Node, expression: Expression) -> None:
    for problem in expression.problems:
        source.report_within(node, problem.line, problem.column, problem.message, problem.hint)
