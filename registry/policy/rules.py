"""A validation, compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.policy.expressions import Expression, Scope
from registry.policy.policies import ParamValue, Validation
from registry.policy.view import Sight


@dataclass(frozen=True, slots=True)
class Rule:
    """A validation's expressions, and all that they look at."""

    validation: Validation
    test: Expression
    message: Expression | None
    value: Expression | None
    limit: Expression | None
    sight: Sight

    @property
    def expressions(self) -> dict[str, Expression]:
        """Its expressions by their names in YAML."""
        given = {
            "expression": self.test,
            "messageExpression": self.message,
            "value": self.value,
            "limit": self.limit,
        }
        return {name: expression for name, expression in given.items() if expression is not None}


def compile_rule(validation: Validation, params: Mapping[str, ParamValue]) -> Rule:
    """Compile what a validation says; problems stay with the expressions that have them."""
    scope = Scope.of(params, validation.each)
    test = Expression(validation.expression, scope, "truth value")
    told = validation.message_expression
    message = Expression(told, scope, "text") if told else None
    value = Expression(validation.value, scope, "figure") if validation.value else None
    limit = Expression(validation.limit, scope, "figure") if validation.limit else None
    given = [expression for expression in (test, message, value, limit) if expression is not None]
    return Rule(validation, test, message, value, limit, Sight.of(one.names for one in given))
