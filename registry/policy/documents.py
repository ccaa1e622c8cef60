"""Policy files: YAML to policies and bindings, every problem with its line and column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.domain.decision import Action
from registry.domain.lifecycle import Lifecycle
from registry.domain.names import check_name, did_you_mean
from registry.errors import BadDocument, BadName
from registry.policy.binding import wrong_params
from registry.policy.checking import check_policy
from registry.policy.expressions import can_be_param
from registry.policy.lifecycles import parse_lifecycle, read_lifecycle
from registry.policy.policies import (
    VALIDATION_FIELDS,
    GateBinding,
    GatePolicy,
    Match,
    ParamValue,
    Validation,
)
from registry.policy.templates import places_for, places_in
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node

__all__ = ["GateBinding", "GatePolicy", "PolicyFile", "check", "parse_documents", "parse_lifecycle"]

KINDS = ("GatePolicy", "GateBinding", "Lifecycle")
_EACH = ("data", "targets")


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """What a policy file holds, in its order."""

    policies: tuple[GatePolicy, ...]
    bindings: tuple[GateBinding, ...]


def parse_documents(
    text: str, file: str, lifecycle: Lifecycle, known: Iterable[GatePolicy] = ()
) -> PolicyFile:
    """Read a policy file.

    Args:
        text: One or more YAML documents.
        file: Its name, for messages.
        lifecycle: Whose stages the policies may name.
        known: Policies published elsewhere, which bindings may name too.

    Raises:
        BadDocument: The first problem; `check` gives all of them.
    """
    read, problems = _read(text, file, lifecycle, known)
    if problems:
        raise problems[0]
    return read


def check(text: str, file: str, lifecycle: Lifecycle, known: Iterable[GatePolicy] = ()) -> list[BadDocument]:
    """Every problem of a policy or lifecycle file, in the order of its lines. Nothing is raised."""
    return _read(text, file, lifecycle, known)[1]


def _read(
    text: str, file: str, lifecycle: Lifecycle, known: Iterable[GatePolicy]
) -> tuple[PolicyFile, list[BadDocument]]:
    source = Source(text, file)
    reader = _Reader(source, lifecycle)
    for node in source.documents():
        reader.document(node)
    reader.check_bindings([*known, *reader.policies])
    problems = sorted(source.problems, key=lambda problem: (problem.line, problem.column))
    return PolicyFile(tuple(reader.policies), tuple(binding for binding, _, _ in reader.bindings)), problems


class _Reader:
    def __init__(self, source: Source, lifecycle: Lifecycle) -> None:
        self._source = source
        self._lifecycle = lifecycle
        self._named: dict[tuple[str, str], Node] = {}
        self.policies: list[GatePolicy] = []
        self.bindings: list[tuple[GateBinding, Node | None, dict[str, Node]]] = []

    def document(self, node: Node) -> None:
        """Read one document by its kind."""
        fields = self._source.entries(node, "a document")
        if "kind" not in fields:
            if fields:
                self._source.report(node, "the document says no 'kind'", f"one of: {', '.join(KINDS)}")
            return
        kind = self._source.choice_of(fields["kind"][1], "kind of document", KINDS)
        if kind == "GatePolicy":
            self._policy(node)
        elif kind == "GateBinding":
            self._binding(node)
        elif kind == "Lifecycle":
            read_lifecycle(self._source, node)

    def check_bindings(self, known: Iterable[GatePolicy]) -> None:
        """Every binding must fit a policy of this file or one that is known."""
        policies = {policy.name: policy for policy in known}
        for binding, node, params in self.bindings:
            if binding.policy in policies:
                for problem, hint, name in wrong_params(policies[binding.policy], binding.params):
                    self._source.report(params[name], problem, hint)
            elif node is not None and ("GatePolicy", binding.policy) not in self._named:
                self._source.report(
                    node, f"there is no policy {binding.policy!r}", did_you_mean(binding.policy, policies)
                )

    def _policy(self, node: Node) -> None:
        before = len(self._source.problems)
        wanted = ("kind", "metadata", "match", "params", "validations")
        fields = self._source.mapping(node, "a policy", wanted, ("metadata", "match", "validations"))
        metadata = self._metadata(fields.get("metadata"), "GatePolicy", ("title", "description", "controls"))
        params = self._params(fields.get("params"))
        places: dict[str, Node] = {}
        match = self._match(fields.get("match"), places)
        validations = self._validations(fields.get("validations"), places)
        policy = GatePolicy(
            name=str(metadata.get("name", "")),
            title=str(metadata.get("title", "")),
            description=str(metadata.get("description", "")),
            controls=tuple(metadata.get("controls", ())),
            match=match,
            params={name: value for name, (value, _) in params.items()},
            validations=tuple(validations),
        )
        # Types are judged where the form allows it: a broken field would only be complained about twice.
        check_policy(self._source, policy, places, {name: key for name, (_, key) in params.items()})
        if len(self._source.problems) == before:
            self.policies.append(policy)

    def _binding(self, node: Node) -> None:
        before = len(self._source.problems)
        wanted = ("kind", "metadata", "policy", "params", "action")
        fields = self._source.mapping(node, "a binding", wanted, ("metadata", "policy", "action"))
        metadata = self._metadata(fields.get("metadata"), "GateBinding", ("description",))
        policy = self._source.text_of(fields.get("policy"), "the policy of a binding")
        action = self._source.choice_of(fields.get("action"), "action", [action.value for action in Action])
        params = self._params(fields.get("params"))
        if len(self._source.problems) == before and policy and action:
            binding = GateBinding(
                name=str(metadata["name"]),
                policy=policy,
                action=Action(action),
                params={name: value for name, (value, _) in params.items()},
                description=str(metadata.get("description", "")),
            )
            nodes = {name: key for name, (_, key) in params.items()}
            self.bindings.append((binding, fields["policy"], nodes))

    def _metadata(
        self, node: Node | None, kind: str, optional: tuple[str, ...]
    ) -> dict[str, str | tuple[str, ...]]:
        fields = self._source.mapping(node, "metadata", ("name", *optional), ("name",))
        found: dict[str, str | tuple[str, ...]] = {}
        for key in ("name", "title", "description"):
            if text := self._source.text_of(fields.get(key), key):
                found[key] = text
        if "controls" in fields:
            found["controls"] = tuple(self._source.texts_of(fields["controls"], "controls"))
        if "name" in found:
            self._take_name(fields["name"], kind, str(found["name"]))
        return found

    def _take_name(self, node: Node, kind: str, name: str) -> None:
        try:
            check_name(name)
        except BadName as error:
            self._source.report(node, error.message, error.hint)
        if (kind, name) in self._named:
            first = self._named[kind, name].start_mark.line + 1
            self._source.report(node, f"{name!r} is the name of another one, in line {first}")
        self._named.setdefault((kind, name), node)

    def _params(self, node: Node | None) -> dict[str, tuple[ParamValue, Node]]:
        found: dict[str, tuple[ParamValue, Node]] = {}
        for name, (key, value) in self._source.entries(node, "params").items():
            if not can_be_param(name):
                self._source.report(
                    key, f"{name!r} cannot be the name of a parameter", "use letters, digits and '_'"
                )
                continue
            given = self._source.param_of(value, f"parameter {name!r}")
            if given is not None:
                found[name] = (given, key)
        return found

    def _match(self, node: Node | None, places: dict[str, Node]) -> Match:
        fields = self._source.mapping(node, "match", ("to", "from", "when"), ("to",))
        to = self._stages(fields.get("to"), "to")
        origin = self._stages(fields.get("from"), "from")
        if "to" in fields and to:
            self._check_steps(fields["to"], to, origin)
        when = self._source.text_of(fields.get("when"), "when") or ""
        if when:
            places["match.when"] = fields["when"]
        return Match(to, origin, when)

    def _stages(self, node: Node | None, what: str) -> tuple[str, ...]:
        found = self._source.texts_of(node, what)
        if node is not None and not found:
            self._source.report(node, f"{what} names no stage")
        for stage, place in found.items():
            if stage not in self._lifecycle.stages:
                self._source.report(
                    place, f"there is no stage {stage!r}", did_you_mean(stage, self._lifecycle.stages)
                )
        return tuple(found)

    def _check_steps(self, node: Node, to: tuple[str, ...], origin: tuple[str, ...]) -> None:
        """A policy that no step can match guards nothing, whatever its author thinks."""
        stages = self._lifecycle.stages
        if not set(to) | set(origin) <= set(stages):
            return
        for stage in to:
            steps = [step for step in self._lifecycle.steps if step.to == stage]
            if not any(step.origin in origin if origin or step.open else True for step in steps):
                ways = [step.origin for step in steps]
                hint = f"into {stage} it goes from: {', '.join(ways)}" if ways else ""
                left = " or ".join(origin) or "a stage that is not left openly"
                self._source.report(node, f"no step leads from {left} to {stage}", hint)

    def _validations(self, node: Node | None, places: dict[str, Node]) -> list[Validation]:
        items = self._source.items(node, "validations")
        if node is not None and not items:
            self._source.report(node, "there are no validations: a policy without rules permits nothing")
        found: dict[str, Validation] = {}
        for item in items:
            wanted = ("id", "expression", "message")
            fields = self._source.mapping(item, "a validation", VALIDATION_FIELDS, wanted)
            each = self._source.choice_of(fields.pop("each", None), "collection for `each`", _EACH) or ""
            given = {key: self._source.text_of(value, key) or "" for key, value in fields.items()}
            name = given.get("id", "")
            if name in found:
                self._source.report(fields["id"], f"two validations are called {name!r}")
                continue
            self._check_id(fields.get("id"), name)
            self._check_places(fields, given, each)
            if not given.get("expression"):
                continue
            places |= {f"{name}.{key}": value for key, value in fields.items()}
            named = {VALIDATION_FIELDS[key]: value for key, value in given.items()}
            found[name] = Validation(**{"id": "", "message": "", **named, "each": each})
        return list(found.values())

    def _check_id(self, node: Node | None, name: str) -> None:
        if node is None or not name:
            return
        try:
            check_name(name, "the id")
        except BadName as error:
            self._source.report(node, error.message, error.hint)

    def _check_places(self, fields: dict[str, Node], given: dict[str, str], each: str) -> None:
        known = places_for(each)
        for key in ("message", "remedy", "supply"):
            for place, offset in places_in(given.get(key, "")):
                if place not in known:
                    said = f"nothing can be put in for {{{place}}}"
                    hint = did_you_mean(place, known)
                    self._source.report_within(fields[key], 1, offset + 1, said, hint)
