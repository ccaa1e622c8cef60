"""A policy in force: compiled, and joined with its binding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from registry.domain.dossier import Dossier
from registry.domain.lifecycle import Step
from registry.domain.names import did_you_mean
from registry.errors import BadInput
from registry.policy.expressions import Expression, Scope
from registry.policy.policies import GateBinding, GatePolicy, ParamValue, param_type
from registry.policy.rules import Rule, compile_rule


@dataclass(frozen=True, slots=True)
class BoundPolicy:
    """A policy in force, with the parameters and the action of its binding.

    It is compiled when it is first asked to judge, so that a command pays only for the gate it opens.

    Attributes:
        since: Since when these rules have been in force with these parameters; None if that is not known.
    """

    policy: GatePolicy
    binding: GateBinding
    params: Mapping[str, Any]
    since: datetime | None = None

    @property
    def when(self) -> Expression | None:
        """The condition under which it applies; None for always."""
        return compiled(self.policy)[0]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Its validations, compiled."""
        return compiled(self.policy)[1]

    def covers(self, dossier: Dossier) -> bool:
        """Whether the binding's scope takes a version in."""
        return self.binding.scope.covers(dossier)

    def matches(self, step: Step) -> bool:
        """Whether it governs a step. An open step is governed only by a policy that names its origin."""
        match = self.policy.match
        if step.to not in match.to:
            return False
        return step.origin in match.origin if match.origin or step.open else True


def bind(policy: GatePolicy, binding: GateBinding, since: datetime | None = None) -> BoundPolicy:
    """Put a policy in force.

    A rule that cannot be compiled, as one published under an older schema, is kept: it is an
    error in every decision, and so refuses.

    Raises:
        BadInput: The binding is of another policy, or sets a parameter that the policy has not,
            or to another type.
    """
    if binding.policy != policy.name:
        raise BadInput(f"binding {binding.name!r} is of policy {binding.policy!r}, not of {policy.name!r}")
    for problem, hint, _ in wrong_params(policy, binding.params):
        raise BadInput(f"binding {binding.name!r}: {problem}", hint=hint)
    params = {
        f"params.{name}": list(value) if isinstance(value, tuple) else value
        for name, value in {**policy.params, **binding.params}.items()
    }
    return BoundPolicy(policy, binding, params, since)


def wrong_params(policy: GatePolicy, params: Mapping[str, ParamValue]) -> Iterator[tuple[str, str, str]]:
    """Parameters that do not fit a policy: problem, hint, name."""
    for name, value in params.items():
        if name not in policy.params:
            problem = f"policy {policy.name!r} has no parameter {name!r}"
            yield problem, did_you_mean(name, policy.params) or "it has none", name
            continue
        default = policy.params[name]
        empty_list = value == () and isinstance(default, tuple)
        if param_type(value) != param_type(default) and not empty_list:
            problem = f"parameter {name!r} is a {param_type(default)}, and is set to a {param_type(value)}"
            yield problem, "", name


@lru_cache(maxsize=512)
def compiled(policy: GatePolicy) -> tuple[Expression | None, tuple[Rule, ...]]:
    """A policy's condition and rules; problems stay with the expressions that have them."""
    when = policy.match.when
    condition = Expression(when, Scope.of(policy.params, measured=False), "truth value") if when else None
    return condition, tuple(compile_rule(rule, policy.params) for rule in policy.validations)
