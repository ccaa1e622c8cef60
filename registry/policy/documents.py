"""Policy files: YAML to policies and bindings, every problem with its line and column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.domain.lifecycle import Lifecycle
from registry.domain.names import did_you_mean
from registry.errors import BadDocument
from registry.policy.binding import wrong_params
from registry.policy.lifecycles import parse_lifecycle, read_lifecycle
from registry.policy.policies import GateBinding, GatePolicy
from registry.policy.reading import ReadBinding, Reader
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node

__all__ = ["GateBinding", "GatePolicy", "PolicyFile", "check", "parse_documents", "parse_lifecycle"]

KINDS = ("GatePolicy", "GateBinding", "Lifecycle")


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
    reader = Reader(source, lifecycle)
    policies: list[GatePolicy] = []
    bindings: list[ReadBinding] = []
    for node in source.documents():
        kind = _kind_of(source, node)
        if kind == "GatePolicy" and (policy := reader.policy(node)):
            policies.append(policy)
        elif kind == "GateBinding" and (binding := reader.binding(node)):
            bindings.append(binding)
        elif kind == "Lifecycle":
            read_lifecycle(source, node)
    by_name = {policy.name: policy for policy in (*known, *policies)}
    for read in bindings:
        _check_binding(source, read, by_name, reader.declared_policies)
    problems = sorted(source.problems, key=lambda problem: (problem.line, problem.column))
    return PolicyFile(tuple(policies), tuple(read.binding for read in bindings)), problems


def _kind_of(source: Source, node: Node) -> str | None:
    value = source.peek(node, "kind")
    if value is None:
        source.report(node, "the document says no 'kind'", f"one of: {', '.join(KINDS)}")
        return None
    return source.choice_of(value, "kind of document", KINDS)


def _check_binding(
    source: Source, read: ReadBinding, policies: dict[str, GatePolicy], declared: frozenset[str]
) -> None:
    """A binding must fit a policy that is known; one that is declared but broken was complained about."""
    name = read.binding.policy
    if name in policies:
        for problem, hint, param in wrong_params(policies[name], read.binding.params):
            source.report(read.params[param], problem, hint)
    elif name not in declared:
        hint = did_you_mean(name, policies) or "publish the policy first: phasegate policy publish FILE"
        source.report(read.policy, f"there is no policy {name!r}", hint)
