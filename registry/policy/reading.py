"""One YAML document to one policy or binding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.domain.decision import Action
from registry.domain.lifecycle import Lifecycle
from registry.domain.names import check_name, did_you_mean
from registry.domain.tiers import TIERS
from registry.errors import BadName
from registry.policy.checking import check_expressions
from registry.policy.expressions import can_be_param
from registry.policy.policies import WAIVER_DAYS, GateBinding, GatePolicy, Match, ParamValue
from registry.policy.scopes import SCOPE_FIELDS, BindingScope
from registry.policy.validations import read_validations
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node


_MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class ReadBinding:
    """A binding, and where it names its policy and its parameters."""

    binding: GateBinding
    policy: Node
    params: dict[str, Node]


class Reader:
    """Reads the documents of one file, in which names must differ.

    Attributes:
        places: Where a policy's expressions and parameters stand: policy -> field -> node.
    """

    def __init__(self, source: Source, lifecycle: Lifecycle) -> None:
        self._source = source
        self._lifecycle = lifecycle
        self._named: dict[tuple[str, str], Node] = {}
        self.places: dict[str, dict[str, Node]] = {}

    @property
    def declared_policies(self) -> frozenset[str]:
        """Names of the policies of the file, the broken ones included."""
        return frozenset(name for kind, name in self._named if kind == "policy")

    def policy(self, node: Node) -> GatePolicy | None:
        """A policy, its expressions typed; None if anything is wrong with it."""
        before = len(self._source.problems)
        wanted = ("kind", "metadata", "match", "params", "validations", "waivers")
        fields = self._source.mapping(node, "a policy", wanted, ("metadata", "match", "validations"))
        metadata = self._metadata(fields.get("metadata"), "policy", ("title", "description", "controls"))
        params, set_at = self._params(fields.get("params"))
        places: dict[str, Node] = {f"params.{name}": node for name, node in set_at.items()}
        match = self._match(fields.get("match"), places)
        validations = read_validations(self._source, fields.get("validations"), places)
        policy = GatePolicy(
            match=match,
            validations=validations,
            params=params,
            max_waiver_days=self._waiver_days(fields.get("waivers")),
            **{"name": "", **metadata},
        )
        check_expressions(self._source, policy, places)
        self.places[policy.name] = places
        return policy if len(self._source.problems) == before else None

    def binding(self, node: Node) -> ReadBinding | None:
        """A binding; None if anything is wrong with it."""
        before = len(self._source.problems)
        wanted = ("kind", "metadata", "policy", "params", "action", "scope")
        fields = self._source.mapping(node, "a binding", wanted, ("metadata", "policy", "action"))
        metadata = self._metadata(fields.get("metadata"), "binding", ("description",))
        policy = self._source.text_of(fields.get("policy"), "the policy of a binding")
        action = self._source.choice_of(fields.get("action"), "action", [action.value for action in Action])
        params, set_at = self._params(fields.get("params"))
        scope = self._scope(fields.get("scope"))
        if len(self._source.problems) > before or policy is None or action is None:
            return None
        binding = GateBinding(policy=policy, action=Action(action), params=params, scope=scope, **metadata)
        return ReadBinding(binding, fields["policy"], set_at)

    def _metadata(self, node: Node | None, kind: str, optional: tuple[str, ...]) -> dict[str, Any]:
        fields = self._source.mapping(node, "metadata", ("name", *optional), ("name",))
        found: dict[str, Any] = {}
        for key in ("name", "title", "description"):
            if text := self._source.text_of(fields.get(key), key):
                found[key] = text
        if "controls" in fields:
            found["controls"] = tuple(self._source.texts_of(fields["controls"], "controls"))
        if "name" in found:
            self._take_name(fields["name"], kind, found["name"])
        return found

    def _take_name(self, node: Node, kind: str, name: str) -> None:
        try:
            check_name(name)
        except BadName as error:
            self._source.report(node, error.message, error.hint)
        if (kind, name) in self._named:
            first = self._named[kind, name].start_mark.line + 1
            self._source.report(node, f"the {kind} in line {first} has the same name {name!r}")
        self._named.setdefault((kind, name), node)

    def _params(self, node: Node | None) -> tuple[dict[str, ParamValue], dict[str, Node]]:
        """Values of parameters, and where they are set."""
        values: dict[str, ParamValue] = {}
        places: dict[str, Node] = {}
        for name, (key, node_of_value) in self._source.entries(node, "params").items():
            if not can_be_param(name):
                hint = "use letters, digits and '_'"
                self._source.report(key, f"{name!r} cannot be the name of a parameter", hint)
                continue
            value = self._source.param_of(node_of_value, f"parameter {name!r}")
            if value is not None:
                values[name], places[name] = value, key
        return values, places

    def _waiver_days(self, node: Node | None) -> int:
        fields = self._source.mapping(node, "waivers", ("max_days",), ("max_days",))
        if (days := fields.get("max_days")) is None:
            return WAIVER_DAYS
        count = self._source.count_of(days, "max_days")
        if count is not None and count > _MOST_DAYS:
            said = f"max_days is {count}: an exception that lasts longer than {_MOST_DAYS} days is a rule"
            self._source.report(days, said)
            return WAIVER_DAYS
        return count or 0

    def _scope(self, node: Node | None) -> BindingScope:
        fields = self._source.mapping(node, "scope", SCOPE_FIELDS)
        found: dict[str, tuple[str, ...]] = {}
        for key, entry in fields.items():
            if key in ("to", "from"):
                texts = self._stages(entry, key)
            else:
                named = self._source.texts_of(entry, key)
                texts = tuple(named)
                for place in named.values() if key == "risk_tiers" else ():
                    self._source.choice_of(place, "risk tier", TIERS)
            found[SCOPE_FIELDS[key]] = texts
        return BindingScope(**found)

    def _match(self, node: Node | None, places: dict[str, Node]) -> Match:
        fields = self._source.mapping(node, "match", ("to", "from", "when"), ("to",))
        to = self._stages(fields.get("to"), "to")
        origin = self._stages(fields.get("from"), "from")
        if to:
            self._check_steps(fields["to"], to, origin)
        when = self._source.text_of(fields.get("when"), "when") or ""
        if when:
            places["match.when"] = fields["when"]
        return Match(to, origin, when)

    def _stages(self, node: Node | None, what: str) -> tuple[str, ...]:
        """Stages, and where something is entered guarded aliases, too."""
        found = self._source.texts_of(node, what)
        known = self._lifecycle.goals if what == "to" else self._lifecycle.stages
        for stage, place in found.items():
            if stage in known:
                continue
            if stage.startswith("@") and what == "to":
                said = f"the lifecycle guards no alias {stage!r}"
                guarded = [f"@{alias}" for alias in self._lifecycle.aliases]
                hint = did_you_mean(stage, guarded) or "name it in the lifecycle's `aliases`"
                self._source.report(place, said, hint)
            else:
                self._source.report(place, f"there is no stage {stage!r}", did_you_mean(stage, known))
        return tuple(found)

    def _check_steps(self, node: Node, to: tuple[str, ...], origin: tuple[str, ...]) -> None:
        """A policy that no step can match guards nothing, whatever its author thinks."""
        if not set(to) <= set(self._lifecycle.goals) or not set(origin) <= set(self._lifecycle.stages):
            return
        for stage in (stage for stage in to if not stage.startswith("@")):
            steps = [step for step in self._lifecycle.steps if step.to == stage]
            if not any(step.origin in origin if origin or step.open else True for step in steps):
                left = " or ".join(origin) or "another stage, open steps apart,"
                ways = ", ".join(step.origin for step in steps)
                self._source.report(
                    node, f"no step leads from {left} to {stage}", f"steps to it: from {ways}"
                )
