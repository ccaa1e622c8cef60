"""`kind: PolicyCases`: the cases of a policy, read from YAML with every problem's line and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.domain.decision import Action
from registry.domain.dossier import Dossier
from registry.domain.lifecycle import Lifecycle, Step
from registry.domain.names import did_you_mean
from registry.errors import NoSuchStage, NoSuchTransition
from registry.policy.binding import BoundPolicy, bind, wrong_params
from registry.policy.cases.case import EXPECTABLE, Case, CaseSet
from registry.policy.cases.expecting import read_expected, read_never
from registry.policy.cases.given import read_given
from registry.policy.cases.merging import merge
from registry.policy.policies import GateBinding, GatePolicy, ParamValue
from registry.policy.view import View
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node

_FIELDS = ("kind", "policy", "binding", "params", "step", "base", "never", "cases")
_OF_CASE = ("name", "step", "params", "given", "expect")
__all__ = ["EXPECTABLE", "CaseReader"]


class CaseReader:
    """Reads the case documents of one file."""

    def __init__(
        self,
        source: Source,
        lifecycle: Lifecycle,
        policies: Mapping[str, GatePolicy],
        bindings: Mapping[str, GateBinding],
    ) -> None:
        self._source = source
        self._lifecycle = lifecycle
        self._policies = policies
        self._bindings = bindings

    def read(self, node: Node) -> CaseSet | None:
        """One document's cases; None if it cannot be said what they are about."""
        source = self._source
        fields = source.mapping(node, "a set of cases", _FIELDS, ("policy",))
        name = source.text_of(fields.get("policy"), "policy")
        if name is None:
            return None
        if name not in self._policies:
            hint = (
                did_you_mean(name, self._policies) or "put the cases beside the policy, or name its file, too"
            )
            source.report(fields["policy"], f"there is no policy {name!r}", hint)
            return None
        policy = self._policies[name]
        bound = self._bound(fields, policy)
        if bound is None:
            return None
        never = read_never(source, fields.get("never"), policy)
        usual = self._step(fields.get("step"))
        found: dict[str, Case] = {}
        listed = source.entries_of(fields.get("cases"), "cases")
        for item in listed:
            case = self._case(item, bound, usual, fields, found)
            if case is not None:
                found[case.name] = case
        return CaseSet(policy, source.file, source.place_of(node)[0], tuple(found.values()), never)

    def _bound(self, fields: Mapping[str, Node], policy: GatePolicy) -> BoundPolicy | None:
        """The policy as the document's cases see it."""
        binding = GateBinding("cases", policy.name, Action.DENY)
        if "binding" in fields:
            own = {name: one for name, one in self._bindings.items() if one.policy == policy.name}
            chosen = self._source.choice_of(fields["binding"], f"binding of {policy.name}", tuple(own))
            if chosen is None:
                return None
            binding = own[chosen]
        return self._with_params(binding, policy, fields.get("params"))

    def _with_params(self, binding: GateBinding, policy: GatePolicy, node: Node | None) -> BoundPolicy | None:
        params: dict[str, ParamValue] = {}
        good = True
        for name, (key, value) in self._source.entries(node, "params").items():
            read = self._source.param_of(value, f"parameter {name!r}")
            if read is None:
                good = False
                continue
            params[name] = read
            for problem, hint, _ in wrong_params(policy, {name: read}):
                self._source.report(key, problem, hint)
                good = False
        return bind(policy, replace(binding, params={**binding.params, **params})) if good else None

    def _step(self, node: Node | None) -> Step | None:
        fields = self._source.mapping(node, "step", ("from", "to"), ("from", "to"))
        origin = self._source.text_of(fields.get("from"), "from")
        to = self._source.text_of(fields.get("to"), "to")
        if origin is None or to is None:
            return None
        if origin not in self._lifecycle.stages:
            hint = did_you_mean(origin, self._lifecycle.stages)
            self._source.report(fields["from"], f"there is no stage {origin!r}", hint)
            return None
        if to.startswith("@") and to not in self._lifecycle.goals:
            guarded = [goal for goal in self._lifecycle.goals if goal.startswith("@")]
            self._source.report(
                fields["to"], f"the lifecycle guards no alias {to!r}", did_you_mean(to, guarded)
            )
            return None
        try:
            return self._lifecycle.step(origin, to)
        except (NoSuchStage, NoSuchTransition) as error:
            self._source.report(fields["to"], error.message, error.hint)
            return None

    def _case(
        self,
        node: Node,
        bound: BoundPolicy,
        usual: Step | None,
        around: Mapping[str, Node],
        found: Mapping[str, Case],
    ) -> Case | None:
        source = self._source
        before = len(source.problems)
        fields = source.mapping(node, "a case", _OF_CASE, ("name", "expect"))
        name = source.text_of(fields.get("name"), "name")
        if name in found:
            source.report(fields["name"], f"two cases are called {name!r}")
        step = self._step(fields["step"]) if "step" in fields else usual
        if step is None and "step" not in fields and "step" not in around:
            source.report(
                node, "the case says no 'step', and neither does its document", "step: {from: X, to: Y}"
            )
        if "params" in fields:
            bound = self._with_params(bound.binding, bound.policy, fields["params"]) or bound
        if step is None or name is None:
            return None
        given = merge(source, around.get("base"), fields.get("given"))
        dossier = read_given(source, given, bound.policy, step)
        expected = self._expected(fields.get("expect"), bound.policy, dossier)
        if len(source.problems) > before:
            return None
        line = source.place_of(node)[0]
        return Case(name, source.file, line, bound, step, dossier, expected, View(dossier))

    def _expected(self, node: Node | None, policy: GatePolicy, dossier: Dossier) -> dict[str, str]:
        return {} if node is None else read_expected(self._source, node, policy, dossier)
